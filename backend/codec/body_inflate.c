/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   in ──► member ──► member ──► … ──► end        (gzip; else one stream)
 *             │
 *             └─► room, limits checked each time it is written to
 */

#include "codec/body_inflate.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

/* zlib counts in unsigned int. */
#define PIECE_MAX (1u << 30)

struct body_inflate {
    z_stream stream;
    struct body_inflate_config cfg;
    uint64_t received;
    uint64_t made;
    const char *problem;
    bool is_begun;   /* a byte was seen */
    bool is_ended;   /* at the end of a member, or of the stream */
    bool is_waiting; /* zlib may hold output that had no room */
};

static const struct {
    const char *name;
    enum body_coding coding;
} codings[] = {
    {"identity", BODY_IDENTITY},
    {"gzip", BODY_GZIP},
    {"x-gzip", BODY_GZIP},
    {"deflate", BODY_DEFLATE},
};

static enum body_coding
coding_named(const char *name, size_t bytes)
{
    if (bytes == 0)
        return BODY_IDENTITY;
    for (size_t i = 0; i < sizeof codings / sizeof *codings; i++)
        if (strlen(codings[i].name) == bytes
            && strncasecmp(codings[i].name, name, bytes) == 0)
            return codings[i].coding;
    return BODY_UNKNOWN;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

enum body_coding
body_coding_add(enum body_coding so_far, const char *value, size_t bytes)
{
    const char *end = value + bytes;

    while (value < end) {
        const char *comma = memchr(value, ',', (size_t) (end - value));
        const char *last = comma != NULL ? comma : end;
        const char *next = comma != NULL ? comma + 1 : end;
        enum body_coding coding;

        while (value < last && is_blank(*value))
            value++;
        while (value < last && is_blank(last[-1]))
            last--;
        coding = coding_named(value, (size_t) (last - value));
        if (coding != BODY_IDENTITY)
            so_far = so_far == BODY_IDENTITY ? coding : BODY_UNKNOWN;
        value = next;
    }
    return so_far;
}

static void *
on_zlib_alloc(void *arg, unsigned items, unsigned bytes)
{
    struct body_inflate *b = arg;

    if (bytes != 0 && items > SIZE_MAX / bytes)
        return NULL;
    return b->cfg.alloc(b->cfg.arg, (size_t) items * bytes);
}

static void
on_zlib_free(void *arg, void *memory)
{
    struct body_inflate *b = arg;

    b->cfg.release(b->cfg.arg, memory);
}

enum body_result
body_inflate_create(struct body_inflate **bp,
                    const struct body_inflate_config *cfg)
{
    struct body_inflate *b = cfg->alloc(cfg->arg, sizeof *b);
    int bits = cfg->coding == BODY_GZIP ? MAX_WBITS + 16 : MAX_WBITS;

    if (b == NULL)
        return BODY_NO_MEMORY;
    memset(b, 0, sizeof *b);
    b->cfg = *cfg;
    b->problem = "no problem";
    b->stream.zalloc = on_zlib_alloc;
    b->stream.zfree = on_zlib_free;
    b->stream.opaque = b;
    if (inflateInit2(&b->stream, bits) != Z_OK) {
        cfg->release(cfg->arg, b);
        return BODY_NO_MEMORY;
    }
    *bp = b;
    return BODY_NEED_INPUT;
}

void
body_inflate_destroy(struct body_inflate *b)
{
    if (b == NULL)
        return;
    inflateEnd(&b->stream);
    b->cfg.release(b->cfg.arg, b);
}

static enum body_result
fail(struct body_inflate *b, enum body_result result, const char *problem)
{
    b->problem = problem;
    return result;
}

/*
 * The low nibble of a zlib stream's first byte is 8, the high one at most 7. A
 * raw stream that begins so would be a stored block with something in its
 * padding, which no compressor writes.
 */
static bool
is_zlib(uint8_t first)
{
    return (first & 0x0f) == Z_DEFLATED && first >> 4 <= 7;
}

/* Before a byte is given to zlib that begins a body or a member. */
static enum body_result
begin(struct body_inflate *b, uint8_t first)
{
    int rc = Z_OK;

    if (b->is_ended && b->cfg.coding != BODY_GZIP)
        return fail(b, BODY_CORRUPT, "bytes behind the end");
    if (b->is_ended)
        rc = inflateReset(&b->stream);
    else if (b->cfg.coding == BODY_DEFLATE && !is_zlib(first))
        rc = inflateReset2(&b->stream, -MAX_WBITS);
    b->is_begun = true;
    b->is_ended = false;
    return rc == Z_OK ? BODY_NEED_INPUT
                      : fail(b, BODY_NO_MEMORY, "zlib refused a reset");
}

/* One call of zlib. */
static int
step(struct body_inflate *b, struct body_span *s)
{
    z_stream *z = &b->stream;
    size_t in = s->in_bytes < PIECE_MAX ? s->in_bytes : PIECE_MAX;
    size_t room = s->room < PIECE_MAX ? s->room : PIECE_MAX;
    int rc;

    z->next_in = (Bytef *) s->in; /* zlib does not write to it */
    z->avail_in = (uInt) in;
    z->next_out = s->out;
    z->avail_out = (uInt) room;
    rc = inflate(z, Z_NO_FLUSH);
    in -= z->avail_in;
    room -= z->avail_out;
    s->in += in;
    s->in_bytes -= in;
    s->out += room;
    s->room -= room;
    b->received += in;
    b->made += room;
    b->is_waiting = rc == Z_OK && z->avail_out == 0;
    return rc;
}

static enum body_result
check_limits(struct body_inflate *b)
{
    const struct body_inflate_config *cfg = &b->cfg;

    if (cfg->bytes_max != 0 && b->made > cfg->bytes_max)
        return fail(b, BODY_TOO_LARGE, "size limit");
    if (cfg->ratio_max != 0 && b->made > BODY_RATIO_FREE
        && b->made / cfg->ratio_max >= b->received
        && b->made > b->received * cfg->ratio_max)
        return fail(b, BODY_TOO_LARGE, "ratio limit");
    return BODY_NEED_INPUT;
}

/* What zlib's answer means; BODY_NEED_INPUT: go on. */
static enum body_result
judge(struct body_inflate *b, int rc, const struct body_span *s)
{
    const char *text = b->stream.msg;

    switch (rc) {
    case Z_OK:
        return BODY_NEED_INPUT;
    case Z_STREAM_END:
        b->is_ended = true;
        return BODY_NEED_INPUT;
    case Z_BUF_ERROR:
        /* Nothing waited; with input there is always something to do. */
        return s->in_bytes == 0 ? BODY_NEED_INPUT
                                : fail(b, BODY_CORRUPT, "no progress");
    case Z_NEED_DICT:
        return fail(b, BODY_CORRUPT, "preset dictionary");
    case Z_DATA_ERROR:
        return fail(b, BODY_CORRUPT, text != NULL ? text : "data error");
    default:
        return fail(b, BODY_NO_MEMORY, "zlib has no memory");
    }
}

enum body_result
body_inflate_push(struct body_inflate *b, struct body_span *span)
{
    enum body_result result;
    int rc;

    for (;;) {
        if (span->in_bytes == 0 && !b->is_waiting)
            return BODY_NEED_INPUT;
        if (span->room == 0)
            return BODY_NEED_ROOM;
        if (b->is_ended || !b->is_begun) {
            result = begin(b, *span->in);
            if (result != BODY_NEED_INPUT)
                return result;
        }
        rc = step(b, span);
        result = check_limits(b);
        if (result == BODY_NEED_INPUT)
            result = judge(b, rc, span);
        if (result != BODY_NEED_INPUT)
            return result;
    }
}

enum body_result
body_inflate_finish(struct body_inflate *b)
{
    if (!b->is_begun)
        return fail(b, BODY_CORRUPT, "no bytes");
    if (!b->is_ended)
        return fail(b, BODY_CORRUPT, "the end is missing");
    return BODY_NEED_INPUT;
}

uint64_t
body_inflate_received(const struct body_inflate *b)
{
    return b->received;
}

uint64_t
body_inflate_made(const struct body_inflate *b)
{
    return b->made;
}

const char *
body_inflate_problem(const struct body_inflate *b)
{
    return b->problem;
}

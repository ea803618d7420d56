/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Inflates a body twice: in one piece into large room, and in pieces into room
 * whose sizes the input chooses. Both must make the same bytes and come to the
 * same end; no limit may be passed, and nothing written beyond the room.
 * First byte: coding and limits; second: seed of the sizes. From the second
 * on the input is also taken for a Content-Encoding value.
 */

#include "codec/body_inflate.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROOM 4096
#define MOST (256 * 1024)

struct run {
    struct body_inflate *body;
    enum body_result result;
    uint64_t sum; /* of what came out */
    uint64_t made;
    size_t held; /* allocations not given back */
};

static void *
run_alloc(void *arg, size_t bytes)
{
    struct run *r = arg;

    r->held++;
    return malloc(bytes);
}

static void
run_release(void *arg, void *memory)
{
    struct run *r = arg;

    r->held--;
    free(memory);
}

static void
run_start(struct run *r, uint8_t options)
{
    struct body_inflate_config cfg = {
        .coding = options & 1 ? BODY_GZIP : BODY_DEFLATE,
        .bytes_max = options & 2   ? MOST
                     : options & 4 ? 100
                                   : MOST - 1,
        .ratio_max = options & 8 ? 2 : 0,
        .alloc = run_alloc,
        .release = run_release,
        .arg = r,
    };

    memset(r, 0, sizeof *r);
    if (body_inflate_create(&r->body, &cfg) != BODY_NEED_INPUT)
        abort();
}

static void
run_take(struct run *r, const uint8_t *out, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        r->sum = (r->sum ^ out[i]) * UINT64_C(0x100000001b3);
    r->made += bytes;
    if (r->made != body_inflate_made(r->body))
        abort();
}

/* All of the input, with room of that size. */
static void
run_push(struct run *r, const uint8_t *in, size_t bytes, size_t room)
{
    struct body_span span = {.in = in, .in_bytes = bytes};

    do {
        /* Exactly as large: a byte beyond is seen. */
        uint8_t *out = malloc(room);

        if (out == NULL)
            abort();
        span.out = out;
        span.room = room;
        r->result = body_inflate_push(r->body, &span);
        if (span.out + span.room != out + room)
            abort();
        run_take(r, out, (size_t) (span.out - out));
        free(out);
        if (r->result == BODY_NEED_ROOM && span.room != 0)
            abort();
    } while (r->result == BODY_NEED_ROOM);
    if (r->result == BODY_NEED_INPUT && span.in_bytes != 0)
        abort();
}

static void
run_end(struct run *r)
{
    if (r->result == BODY_NEED_INPUT)
        r->result = body_inflate_finish(r->body);
    if (body_inflate_problem(r->body) == NULL)
        abort();
    body_inflate_destroy(r->body);
    if (r->held != 0)
        abort();
}

static void
check_coding(const uint8_t *data, size_t size)
{
    enum body_coding coding =
        body_coding_add(BODY_IDENTITY, (const char *) data, size);

    if (coding != BODY_IDENTITY
        && body_coding_add(BODY_GZIP, (const char *) data, size)
               != BODY_UNKNOWN)
        abort();
    if (body_coding_add(BODY_UNKNOWN, (const char *) data, size)
        != BODY_UNKNOWN)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run whole, pieces;
    unsigned seed;

    if (size < 2)
        return 0;
    seed = data[1];
    check_coding(data + 1, size - 1);
    run_start(&whole, data[0]);
    run_push(&whole, data + 2, size - 2, ROOM);
    run_start(&pieces, data[0]);
    for (size_t at = 2; at < size && pieces.result == BODY_NEED_INPUT;) {
        size_t piece = 1 + (seed = seed * 75 + 74) % 61;

        piece = piece < size - at ? piece : size - at;
        run_push(&pieces, data + at, piece, 1 + seed % 97);
        at += piece;
    }
    run_end(&whole);
    run_end(&pieces);
    /* The ratio is that of a moment: pieces see more moments. */
    if (data[0] & 8 && pieces.result == BODY_TOO_LARGE)
        return 0;
    if (whole.result != pieces.result)
        abort();
    if (whole.result == BODY_NEED_INPUT
        && (whole.sum != pieces.sum || whole.made != pieces.made))
        abort();
    return 0;
}

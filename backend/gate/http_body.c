/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   curl ─► push ─► inflate, a piece at a time ─► cap ─┬─► kept
 *     ▲       │                                        └─► on_bytes
 *     └ again ┘ paused, or enough for this turn
 *
 * Who pauses in the middle of what curl gave is not given the rest of it: the
 * coded bytes that zlib has taken are counted, and skipped when curl offers
 * them again.
 */

#include "gate/http_body.h"

#include <stdlib.h>
#include <uv.h>

void
http_body_init(struct http_body *b, const struct http_request *rq, void *arg)
{
    size_t most = rq->max_answer_bytes;

    if (most == 0 && !rq->stream)
        most = HTTP_CLIENT_ANSWER_MAX;
    *b =
        (struct http_body){.stream = rq->stream, .arg = arg, .max_bytes = most};
    buffer_init(&b->kept, rq->stream ? 0 : most);
}

void
http_body_deinit(struct http_body *b)
{
    body_inflate_destroy(b->inflate);
    b->inflate = NULL;
    buffer_deinit(&b->kept);
}

static void *
on_inflate_alloc(void *arg, size_t bytes)
{
    (void) arg;
    return malloc(bytes);
}

static void
on_inflate_release(void *arg, void *memory)
{
    (void) arg;
    free(memory);
}

int
http_body_open(struct http_body *b, enum body_coding coding)
{
    const struct body_inflate_config cfg = {.coding = coding,
                                            .alloc = on_inflate_alloc,
                                            .release = on_inflate_release};

    if (coding == BODY_IDENTITY)
        return 0;
    if (coding == BODY_UNKNOWN)
        return UV_EPROTO;
    return body_inflate_create(&b->inflate, &cfg) == BODY_NEED_INPUT
               ? 0
               : UV_ENOMEM;
}

static bool
is_resting(const struct http_body *b)
{
    return b->paused || b->told >= HTTP_BODY_TURN;
}

void
http_body_rested(struct http_body *b)
{
    b->told = 0;
}

/* Where plain bytes go. */
static int
plain_push(struct http_body *b, const char *data, size_t bytes)
{
    int err;

    if (bytes == 0)
        return 0;
    if (b->max_bytes != 0 && bytes > b->max_bytes - b->bytes)
        return UV_EMSGSIZE;
    b->bytes += bytes;
    if (b->stream) {
        b->told += bytes;
        err = b->stream->on_bytes(b->arg, data, bytes);
        return err == UV_EAGAIN ? UV_EINVAL : err; /* it is for pausing */
    }
    err = buffer_append(&b->kept, data, bytes);
    return err == UV_ENOBUFS ? UV_EMSGSIZE : err;
}

static int
inflate_error(enum body_result result)
{
    if (result == BODY_NO_MEMORY)
        return UV_ENOMEM;
    return result == BODY_TOO_LARGE ? UV_EMSGSIZE : UV_EPROTO;
}

/* Members and blocks of nothing make no byte that a cap would count. */
static bool
is_waste(const struct http_body *b)
{
    return b->max_bytes != 0
           && body_inflate_received(b->inflate)
                  > (uint64_t) b->max_bytes + HTTP_BODY_WASTE;
}

static int
coded_push(struct http_body *b, const char *data, size_t bytes)
{
    char piece[HTTP_BODY_PIECE];
    struct body_span span = {.in = (const uint8_t *) data, .in_bytes = bytes};
    enum body_result result;
    int err;

    do {
        span.out = (uint8_t *) piece;
        span.room = sizeof(piece);
        result = body_inflate_push(b->inflate, &span);
        if (result != BODY_NEED_INPUT && result != BODY_NEED_ROOM)
            return inflate_error(result);
        err = plain_push(b, piece, sizeof(piece) - span.room);
        if (err == 0 && is_waste(b))
            err = UV_EMSGSIZE;
        if (err != 0)
            return err;
        if (is_resting(b) && result == BODY_NEED_ROOM) {
            b->taken += bytes - span.in_bytes;
            return UV_EAGAIN;
        }
    } while (result == BODY_NEED_ROOM);
    return 0;
}

int
http_body_push(struct http_body *b, const char *data, size_t bytes)
{
    size_t skip = b->taken < bytes ? b->taken : bytes;
    int err;

    if (is_resting(b))
        return UV_EAGAIN;
    if (!b->inflate)
        return plain_push(b, data, bytes);
    b->taken -= skip;
    err = coded_push(b, data + skip, bytes - skip);
    if (err == UV_EAGAIN)
        b->taken += skip;
    return err;
}

int
http_body_finish(const struct http_body *b)
{
    /* HEAD, 204 and 304 name a coding and have no body. */
    if (!b->inflate || body_inflate_received(b->inflate) == 0)
        return 0;
    return body_inflate_finish(b->inflate) == BODY_NEED_INPUT ? 0 : UV_EPROTO;
}

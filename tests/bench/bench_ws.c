/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   socket ──► http_read ──► frames_read ──► on_piece      (text, binary)
 *                                      └───► control_take  (ping, close)
 *   bench_ws_send ──► header, mask ──► socket, what does not fit ──► rest
 */

#include "bench_deflate.h"
#include "bench_ws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* The sample key of RFC 6455, 1.3, and the answer that it must get. */
const char bench_ws_key[] = "dGhlIHNhbXBsZSBub25jZQ==";
static const char key_answer[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

#define READ_BYTES 65536
#define READ_TURNS 16

#define OP_CLOSE 8
#define OP_PING  9
#define OP_PONG  10

void
bench_ws_drop(struct bench_ws *ws, const char *why)
{
    bool expected = ws->state == BENCH_WS_CLOSING;

    if (ws->state == BENCH_WS_CLOSED)
        return;
    bench_tls_close(ws->tls);
    ws->tls = NULL;
    close(ws->fd);
    ws->fd = -1;
    ws->state = BENCH_WS_CLOSED;
    free(ws->head);
    free(ws->rest);
    ws->head = NULL;
    ws->rest = NULL;
    ws->handler->on_closed(ws, why, expected);
}

int
bench_ws_open(struct bench_ws *ws, const struct bench_target *target)
{
    int fd = bench_target_connect(target);
    if (fd < 0)
        return fd;
    ws->fd = fd;
    ws->state = BENCH_WS_CONNECTING;
    ws->began_ns = bench_now_ns();
    int error = bench_loop_watch(ws->loop, fd, EPOLLIN | EPOLLOUT, ws);
    if (!error && ws->stamped)
        error = bench_stamp_enable(fd);
    if (error) {
        close(fd);
        ws->state = BENCH_WS_CLOSED;
    }
    return error;
}

/* --- sending */

static int
rest_keep(struct bench_ws *ws, const uint8_t *data, size_t bytes)
{
    ws->rest = malloc(bytes);
    if (!ws->rest)
        return -ENOMEM;
    memcpy(ws->rest, data, bytes);
    ws->rest_bytes = bytes;
    ws->rest_at = 0;
    return bench_loop_change(ws->loop, ws->fd, EPOLLIN | EPOLLOUT, ws);
}

static ssize_t
socket_send(struct bench_ws *ws, const uint8_t *data, size_t bytes)
{
    return ws->tls ? bench_tls_send(ws->tls, data, bytes)
                   : send(ws->fd, data, bytes, MSG_NOSIGNAL);
}

static int
bytes_send(struct bench_ws *ws, const uint8_t *data, size_t bytes)
{
    ssize_t done = socket_send(ws, data, bytes);

    if (done < 0 && errno != EAGAIN)
        return -errno;
    if (done < 0)
        done = 0;
    if ((size_t) done == bytes)
        return 0;
    return rest_keep(ws, data + done, bytes - (size_t) done);
}

static int
rest_flush(struct bench_ws *ws)
{
    ssize_t done =
        socket_send(ws, ws->rest + ws->rest_at, ws->rest_bytes - ws->rest_at);

    if (done < 0)
        return errno == EAGAIN ? 0 : -errno;
    ws->rest_at += (size_t) done;
    if (ws->rest_at < ws->rest_bytes)
        return 0;
    free(ws->rest);
    ws->rest = NULL;
    return bench_loop_change(ws->loop, ws->fd, EPOLLIN, ws);
}

static uint32_t
mask_next(void)
{
    static uint32_t state = 2463534242u;

    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static void
mask_apply(uint8_t *data, size_t bytes, const uint8_t mask[4])
{
    uint64_t wide;
    size_t i = 0;

    memcpy(&wide, mask, 4);
    memcpy((uint8_t *) &wide + 4, mask, 4);
    for (; i + 8 <= bytes; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, 8);
        word ^= wide;
        memcpy(data + i, &word, 8);
    }
    for (; i < bytes; i++)
        data[i] ^= mask[i % 4];
}

int
bench_ws_send(struct bench_ws *ws, uint8_t opcode, uint8_t *payload,
              size_t bytes)
{
    size_t length = bytes < 126 ? 0 : bytes < 65536 ? 2 : 8;
    uint8_t *frame = payload - 6 - length;
    uint32_t mask = mask_next();

    if (ws->rest)
        return -EAGAIN;
    frame[0] = 0x80u | opcode;
    frame[1] = 0x80u
               | (uint8_t) (length == 0   ? bytes
                            : length == 2 ? 126
                                          : 127);
    for (size_t i = 0; i < length; i++)
        frame[2 + i] = (uint8_t) (bytes >> (8 * (length - 1 - i)));
    memcpy(payload - 4, &mask, 4);
    mask_apply(payload, bytes, payload - 4);
    int error = bytes_send(ws, frame, 6 + length + bytes);
    if (error)
        bench_ws_drop(ws, "send failed");
    return error;
}

void
bench_ws_close(struct bench_ws *ws)
{
    uint8_t out[14 + 2] = {0};

    if (ws->state != BENCH_WS_OPEN) {
        bench_ws_drop(ws, "given up");
        return;
    }
    ws->state = BENCH_WS_CLOSING;
    out[14] = 1000 >> 8;
    out[15] = 1000 & 0xff;
    if (bench_ws_send(ws, OP_CLOSE, out + 14, 2) == -EAGAIN)
        bench_ws_drop(ws, "still sending at the end");
}

/* --- receiving */

/* A control frame is whole. False: the connection is gone. */
static bool
control_take(struct bench_ws *ws)
{
    uint8_t out[14 + 125];
    uint8_t bytes = ws->control_bytes;

    if (ws->opcode == OP_CLOSE) {
        if (bytes >= 2)
            ws->close_code = (uint16_t) (ws->control[0] << 8 | ws->control[1]);
        bench_ws_drop(ws, "closed by the server");
        return false;
    }
    if (ws->opcode != OP_PING)
        return true;
    memcpy(out + 14, ws->control, bytes);
    /* A pong that does not fit now is dropped: the server pings again. */
    bench_ws_send(ws, OP_PONG, out + 14, bytes);
    return ws->state != BENCH_WS_CLOSED;
}

/* Payload of the frame being read. False: the connection is gone. */
static bool
payload_take(struct bench_ws *ws, const uint8_t *data, size_t bytes)
{
    ws->left -= bytes;
    if (ws->opcode >= OP_CLOSE) {
        memcpy(ws->control + ws->control_bytes, data, bytes);
        ws->control_bytes = (uint8_t) (ws->control_bytes + bytes);
        return ws->left > 0 || control_take(ws);
    }
    bool last = ws->left == 0 && ws->fin;
    bool first = !ws->piece_seen;
    ws->piece_seen = !last;
    ws->handler->on_piece(ws, data, bytes, first, last);
    return ws->state != BENCH_WS_CLOSED;
}

/* Whether a header of `have` bytes is whole; *want: how many it needs. */
static bool
header_is_whole(const uint8_t *head, unsigned have, unsigned *want)
{
    unsigned length = have > 1 ? head[1] & 0x7f : 0;

    *want = 2u + (length == 126 ? 2u : length == 127 ? 8u : 0u);
    return have >= 2 && have >= *want;
}

/* The header is whole: what will follow. NULL, or what is wrong. */
static const char *
header_take(struct bench_ws *ws)
{
    const uint8_t *head = ws->frame;
    unsigned length = head[1] & 0x7f;
    unsigned opcode = head[0] & 0x0f;

    unsigned reserved = head[0] & 0x70;

    if (ws->deflate && (opcode == BENCH_WS_TEXT || opcode == BENCH_WS_BINARY))
        reserved &= ~(unsigned) BENCH_WS_PACKED;
    if (reserved || head[1] & 0x80)
        return "reserved bits or a mask from the server";
    ws->left = length < 126 ? length : 0;
    for (unsigned i = 2; i < ws->frame_bytes; i++)
        ws->left = ws->left << 8 | head[i];
    ws->frame_bytes = 0;
    ws->opcode = (uint8_t) opcode;
    ws->control_bytes = 0;
    if (opcode >= OP_CLOSE)
        return opcode > OP_PONG || ws->left > 125 || !(head[0] & 0x80)
                   ? "a bad control frame"
                   : NULL;
    ws->fin = head[0] & 0x80;
    if (opcode > BENCH_WS_BINARY || (opcode == 0) != (ws->message != 0))
        return "a frame out of order";
    if (opcode) {
        ws->message = ws->opcode;
        ws->packed = head[0] & BENCH_WS_PACKED;
        ws->piece_seen = false;
    }
    return NULL;
}

/* Takes up to one frame header; bytes taken, or 0: the connection is gone. */
static size_t
header_read(struct bench_ws *ws, const uint8_t *data, size_t bytes)
{
    size_t at = 0;
    unsigned want = 2;

    while (at < bytes && !header_is_whole(ws->frame, ws->frame_bytes, &want))
        ws->frame[ws->frame_bytes++] = data[at++];
    if (!header_is_whole(ws->frame, ws->frame_bytes, &want))
        return at;
    const char *wrong = header_take(ws);
    if (wrong) {
        bench_ws_drop(ws, wrong);
        return 0;
    }
    if (ws->left == 0 && !payload_take(ws, data, 0))
        return 0;
    return at;
}

static void
frames_read(struct bench_ws *ws, const uint8_t *data, size_t bytes)
{
    while (bytes > 0) {
        size_t took;
        if (ws->left == 0) {
            took = header_read(ws, data, bytes);
            if (took == 0)
                return;
        } else {
            took = bytes < ws->left ? bytes : (size_t) ws->left;
            if (!payload_take(ws, data, took))
                return;
        }
        if (ws->left == 0 && ws->frame_bytes == 0 && ws->fin
            && ws->opcode < OP_CLOSE)
            ws->message = 0;
        data += took;
        bytes -= took;
    }
}

/* Whether the answer is a 101 to our very key. */
static bool
answer_is_right(const char *head)
{
    static const char name[] = "\r\nSec-WebSocket-Accept:";

    if (strncmp(head, "HTTP/1.1 101 ", 13) != 0)
        return false;
    for (const char *at = head; (at = strstr(at, "\r\n")); at += 2) {
        if (strncasecmp(at, name, sizeof(name) - 1) != 0)
            continue;
        at += sizeof(name) - 1;
        at += strspn(at, " ");
        return strncmp(at, key_answer, sizeof(key_answer) - 1) == 0;
    }
    return false;
}

static void
http_read(struct bench_ws *ws, const uint8_t *data, size_t bytes)
{
    size_t room = BENCH_WS_HEAD - 1 - ws->head_bytes;
    size_t had = ws->head_bytes;
    size_t take = bytes < room ? bytes : room;

    memcpy(ws->head + had, data, take);
    ws->head_bytes += take;
    ws->head[ws->head_bytes] = '\0';
    char *end = strstr(ws->head, "\r\n\r\n");
    if (!end && take == room) {
        bench_ws_drop(ws, "an HTTP answer without end");
        return;
    }
    if (!end)
        return;
    end[2] = '\0';
    data += (size_t) (end + 4 - ws->head) - had;
    bytes -= (size_t) (end + 4 - ws->head) - had;
    if (!answer_is_right(ws->head)) {
        char why[64];
        snprintf(why, sizeof(why), "refused: %.30s", ws->head);
        why[strcspn(why, "\r\n")] = '\0';
        bench_ws_drop(ws, why);
        return;
    }
    if (ws->deflate && !bench_deflate_is_agreed(ws->head)) {
        bench_ws_drop(ws, "no compression agreed");
        return;
    }
    ws->state = BENCH_WS_OPEN;
    ws->opened = true;
    ws->handler->on_open(ws);
    if (ws->state != BENCH_WS_CLOSED)
        frames_read(ws, data, bytes);
    free(ws->head);
    ws->head = NULL;
}

static ssize_t
socket_recv(struct bench_ws *ws, uint8_t *to, size_t room)
{
    if (ws->tls)
        return bench_tls_recv(ws->tls, to, room);
    return ws->stamped ? bench_stamp_recv(ws->fd, to, room, &ws->arrived_ns)
                       : recv(ws->fd, to, room, 0);
}

static void
readable(struct bench_ws *ws)
{
    static uint8_t scratch[READ_BYTES];

    for (int turn = 0; turn < READ_TURNS; turn++) {
        ssize_t got = socket_recv(ws, scratch, sizeof(scratch));
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            bench_ws_drop(ws, got < 0 ? strerror(errno)
                                      : "end of file without a Close");
            return;
        }
        if (ws->state == BENCH_WS_UPGRADING)
            http_read(ws, scratch, (size_t) got);
        else
            frames_read(ws, scratch, (size_t) got);
        if (ws->state == BENCH_WS_CLOSED
            || (!ws->tls && (size_t) got < sizeof(scratch)))
            return;
    }
}

static int
handshake_send(struct bench_ws *ws)
{
    int error;

    ws->head = malloc(BENCH_WS_HEAD);
    if (!ws->head)
        return -ENOMEM;
    ws->head_bytes = 0;
    ws->state = BENCH_WS_UPGRADING;
    error = bench_loop_change(ws->loop, ws->fd, EPOLLIN, ws);
    return error ? error
                 : bytes_send(ws, (const uint8_t *) ws->request,
                              strlen(ws->request));
}

/* Once connected, then whenever TLS may go on. */
static int
secure(struct bench_ws *ws)
{
    int wait;

    if (!ws->tls)
        ws->tls = bench_tls_open(ws->fd);
    if (!ws->tls)
        return -ENOMEM;
    ws->state = BENCH_WS_SECURING;
    wait = bench_tls_shake(ws->tls);
    if (wait < 0)
        return wait;
    if (wait == 0)
        return handshake_send(ws);
    return bench_loop_change(ws->loop, ws->fd, wait == 1 ? EPOLLIN : EPOLLOUT,
                             ws);
}

static int
connected(struct bench_ws *ws)
{
    int error = 0;
    socklen_t bytes = sizeof(error);

    if (getsockopt(ws->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) < 0 || error)
        return error ? -error : -errno;
    return ws->secure ? secure(ws) : handshake_send(ws);
}

void
bench_ws_event(struct bench_ws *ws, uint32_t mask)
{
    int error = 0;

    if (ws->state == BENCH_WS_CLOSED)
        return;
    if (ws->state == BENCH_WS_CONNECTING)
        error = connected(ws);
    else if (ws->state == BENCH_WS_SECURING)
        error = secure(ws);
    else if (mask & EPOLLOUT && ws->rest)
        error = rest_flush(ws);
    if (error) {
        bench_ws_drop(ws, strerror(-error));
        return;
    }
    if (ws->state > BENCH_WS_SECURING && mask & (EPOLLIN | EPOLLERR | EPOLLHUP))
        readable(ws);
}

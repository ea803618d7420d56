/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   socket ─ MSG_PEEK ─► records ─► names and values: do they end in PARAMS?
 *   not all there yet ─► wait a moment, look again
 */

#include "gate/params_peek.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <uv.h>

#define FIRST_BYTES 8192 /* nearly every request fits */
#define RECORD_HEAD 8
#define WAIT_MS     1

enum { BEGIN_REQUEST = 1, PARAMS = 4 };
enum verdict { SOUND, MORE, BROKEN };

/* What of the pairs has been seen; they may span records at any byte. */
struct pairs {
    uint8_t head[8];
    unsigned have;
    uint64_t left; /* of a name and its value */
};

static unsigned
length_bytes(uint8_t first)
{
    return first & 0x80 ? 4 : 1;
}

static uint32_t
length_of(const uint8_t *p)
{
    return p[0] & 0x80 ? (uint32_t) (p[0] & 0x7f) << 24 | (uint32_t) p[1] << 16
                             | (uint32_t) p[2] << 8 | p[3]
                       : p[0];
}

/* Whether both lengths are there; then they count. */
static bool
pairs_head(struct pairs *pairs)
{
    unsigned name = length_bytes(pairs->head[0]);

    if (pairs->have <= name
        || pairs->have < name + length_bytes(pairs->head[name])) {
        return false;
    }
    pairs->left =
        (uint64_t) length_of(pairs->head) + length_of(pairs->head + name);
    pairs->have = 0;
    return true;
}

static enum verdict
pairs_take(struct pairs *pairs, const uint8_t *data, size_t bytes)
{
    while (bytes > 0) {
        size_t step = 1;

        if (pairs->left > 0) {
            step = bytes < pairs->left ? bytes : (size_t) pairs->left;
            pairs->left -= step;
        } else {
            pairs->head[pairs->have++] = *data;
            if (pairs_head(pairs) && pairs->left > PARAMS_PEEK_MAX) {
                return BROKEN;
            }
        }
        data += step;
        bytes -= step;
    }
    return MORE;
}

/* One record; *at moves behind it. */
static enum verdict
record_take(struct pairs *pairs, const uint8_t *data, size_t bytes, size_t *at)
{
    const uint8_t *head = data + *at;
    size_t content;
    bool first = *at == 0;

    if (bytes - *at < RECORD_HEAD) {
        *at = bytes;
        return MORE;
    }
    content = (size_t) head[4] << 8 | head[5];
    if (head[0] != 1 || head[1] != (first ? BEGIN_REQUEST : PARAMS)
        || head[2] != data[2] || head[3] != data[3]) {
        return BROKEN;
    }
    if (!first && content == 0) {
        return pairs->have == 0 && pairs->left == 0 ? SOUND : BROKEN;
    }
    *at += RECORD_HEAD;
    if (bytes - *at < content + head[6]) {
        *at = bytes;
        return MORE;
    }
    *at += content + head[6];
    return first ? MORE : pairs_take(pairs, head + RECORD_HEAD, content);
}

static enum verdict
records_judge(const uint8_t *data, size_t bytes)
{
    struct pairs pairs = {.have = 0};
    enum verdict verdict = MORE;
    size_t at = 0;

    while (verdict == MORE && at < bytes) {
        verdict = record_take(&pairs, data, bytes, &at);
    }
    return verdict;
}

static enum verdict
socket_judge(int fd, uint8_t *data, size_t room, ssize_t *bytes)
{
    *bytes = recv(fd, data, room, MSG_PEEK);
    return *bytes <= 0 ? BROKEN : records_judge(data, (size_t) *bytes);
}

static uint64_t
patience_ms(int fd)
{
    struct timeval limit = {0};
    socklen_t bytes = sizeof(limit);

    if (getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &bytes) != 0
        || (limit.tv_sec == 0 && limit.tv_usec == 0)) {
        return UINT32_MAX;
    }
    return (uint64_t) limit.tv_sec * 1000 + (uint64_t) limit.tv_usec / 1000;
}

/* False when nothing more will come. */
static bool
wait_moment(int fd)
{
    struct pollfd gone = {.fd = fd, .events = POLLRDHUP};

    return poll(&gone, 1, WAIT_MS) == 0;
}

/* The rest of a request that came in parts, or is large. */
static enum verdict
rest_judge(int fd, uint8_t *data)
{
    uint64_t patience = patience_ms(fd), last_ms = clock_now_ms();
    enum verdict verdict;
    ssize_t bytes, before = 0;
    bool open = true;

    for (;;) {
        verdict = socket_judge(fd, data, PARAMS_PEEK_MAX, &bytes);
        if (verdict != MORE || !open || bytes == PARAMS_PEEK_MAX) {
            return verdict;
        }
        if (bytes > before) {
            before = bytes;
            last_ms = clock_now_ms();
        } else if (clock_now_ms() - last_ms > patience) {
            return BROKEN;
        }
        open = wait_moment(fd);
    }
}

int
params_peek(int fd)
{
    uint8_t first[FIRST_BYTES], *data;
    ssize_t bytes;
    enum verdict verdict = socket_judge(fd, first, sizeof(first), &bytes);

    if (verdict == MORE) {
        data = malloc(PARAMS_PEEK_MAX);
        if (data == NULL) {
            return UV_ENOMEM;
        }
        verdict = rest_judge(fd, data);
        free(data);
    }
    return verdict == SOUND ? 0 : UV_EPROTO;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "kit/fcgi_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void
fcgi_put(struct fcgi_bytes *to, const void *data, size_t bytes)
{
    if (to->capacity - to->bytes < bytes) {
        to->capacity = (to->bytes + bytes) * 2;
        to->data = realloc(to->data, to->capacity);
        assert_non_null(to->data);
    }
    if (bytes > 0) {
        memcpy(to->data + to->bytes, data, bytes);
    }
    to->bytes += bytes;
}

void
fcgi_free(struct fcgi_bytes *b)
{
    free(b->data);
    *b = (struct fcgi_bytes){0};
}

void
fcgi_put_record(struct fcgi_bytes *to, unsigned type, const void *content,
                size_t bytes)
{
    size_t padding = (8 - bytes % 8) % 8;
    const uint8_t head[8] = {1,
                             (uint8_t) type,
                             0,
                             1,
                             (uint8_t) (bytes >> 8),
                             (uint8_t) bytes,
                             (uint8_t) padding,
                             0};

    assert_true(bytes <= 65535);
    fcgi_put(to, head, 8);
    fcgi_put(to, content, bytes);
    fcgi_put(to, "\xff\xff\xff\xff\xff\xff\xff\xff", padding);
}

static void
put_length(struct fcgi_bytes *to, size_t bytes)
{
    const uint8_t wide[4] = {(uint8_t) (0x80 | bytes >> 24),
                             (uint8_t) (bytes >> 16), (uint8_t) (bytes >> 8),
                             (uint8_t) bytes};

    fcgi_put(to, bytes < 128 ? wide + 3 : wide, bytes < 128 ? 1 : 4);
}

void
fcgi_put_request(struct fcgi_bytes *to, bool keep, const char *const *params)
{
    const uint8_t begin[8] = {0, 1, keep};
    struct fcgi_bytes pairs = {0};

    for (; params[0] != NULL; params += 2) {
        put_length(&pairs, strlen(params[0]));
        put_length(&pairs, strlen(params[1]));
        fcgi_put(&pairs, params[0], strlen(params[0]));
        fcgi_put(&pairs, params[1], strlen(params[1]));
    }
    fcgi_put_record(to, 1, begin, 8);
    fcgi_put_record(to, 4, pairs.data, pairs.bytes);
    fcgi_put_record(to, 4, "", 0);
    fcgi_free(&pairs);
}

void
fcgi_write(int fd, const struct fcgi_bytes *b, size_t step)
{
    for (size_t at = 0; at < b->bytes;) {
        size_t left = b->bytes - at;
        size_t part = step > 0 && step < left ? step : left;
        ssize_t n = send(fd, b->data + at, part, MSG_NOSIGNAL);

        assert_true(n > 0);
        at += (size_t) n;
    }
}

static ssize_t
read_some(int fd, void *to, size_t bytes)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&ready, 1, 5000), 1);
    return recv(fd, to, bytes, 0);
}

static void
read_all(int fd, void *to, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        ssize_t n = read_some(fd, (char *) to + at, bytes - at);

        assert_true(n > 0);
        at += (size_t) n;
    }
}

bool
fcgi_read(int fd, struct fcgi_bytes *out, size_t enough)
{
    uint8_t head[8], content[65535 + 255];
    size_t bytes;

    while (enough == 0 || out->bytes < enough) {
        read_all(fd, head, 8);
        assert_int_equal(head[0], 1);
        assert_int_equal(head[3], 1);
        bytes = (size_t) head[4] << 8 | head[5];
        read_all(fd, content, bytes + head[6]);
        if (head[1] == 3) {
            return true;
        }
        assert_int_equal(head[1], 6);
        fcgi_put(out, content, bytes);
    }
    return false;
}

bool
fcgi_is_closed(int fd)
{
    char scrap[4096];
    ssize_t n;

    do {
        n = read_some(fd, scrap, sizeof(scrap));
    } while (n > 0);
    return true;
}

int
fcgi_listen(char path[108])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char dir[] = "/tmp/voice-unit-XXXXXX";

    assert_non_null(mkdtemp(dir));
    snprintf(path, 108, "%s/s", dir);
    memcpy(address.sun_path, path, 108);
    assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)),
                     0);
    assert_int_equal(listen(fd, 4096), 0);
    return fd;
}

int
fcgi_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof(address)),
                     0);
    return fd;
}

void
fcgi_unlink(const char *path)
{
    char copy[108];

    snprintf(copy, sizeof(copy), "%s", path);
    unlink(path);
    rmdir(dirname(copy));
}

bool
fcgi_eventually(bool (*holds)(void *arg), void *arg)
{
    for (int i = 0; i < 5000; i++) {
        if (holds(arg)) {
            return true;
        }
        usleep(1000);
    }
    return false;
}

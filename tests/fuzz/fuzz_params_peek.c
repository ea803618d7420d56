/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The judge that looks at a request before libfcgi does, against a slow
 * reading of the same bytes; over each beginning of them its verdict is final
 * or "more"; and what it calls sound libfcgi reads, with the same parameters.
 * The file is included: the judge has no other way in than a socket.
 *
 * First byte: 1 the input is names and values, which are put into records
 * here; 2 it is their lengths, so that they end where they should; else it is
 * records.
 */

#include "gate/params_peek.c"

#include "kit/script.h"

#include <fcgiapp.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define RESPONDER  1
#define STDIN_TYPE 5

/* Lengths of name and value; false: they are not all there. */
static bool
pair_read(const struct bytes *all, size_t *at, uint64_t lengths[2])
{
    for (int i = 0; i < 2; i++) {
        size_t width = 1;

        if (*at < all->count && all->data[*at] >= 0x80) {
            width = 4;
        }
        if (all->count - *at < width) {
            return false;
        }
        lengths[i] = all->data[*at] & 0x7f;
        for (size_t k = 1; k < width; k++) {
            lengths[i] = lengths[i] * 256 + all->data[*at + k];
        }
        *at += width;
    }
    return true;
}

/* Counts the pairs; SOUND when they end with the bytes. */
static enum verdict
pairs_read(const struct bytes *all, size_t *count)
{
    uint64_t lengths[2];
    size_t at = 0;

    for (*count = 0; at < all->count; ++*count) {
        if (!pair_read(all, &at, lengths)) {
            return MORE;
        }
        if (lengths[0] + lengths[1] > PARAMS_PEEK_MAX) {
            return BROKEN;
        }
        if (lengths[0] + lengths[1] > all->count - at) {
            return MORE;
        }
        at += lengths[0] + lengths[1];
    }
    return SOUND;
}

static enum verdict
slow_judge(const uint8_t *data, size_t bytes, size_t *count)
{
    struct bytes all = {.data = NULL};
    enum verdict records = MORE, pairs;
    size_t at = 0;

    while (records == MORE && bytes - at >= 8) {
        const uint8_t *head = data + at;
        size_t content = head[4] * 256u + head[5];

        if (head[0] != 1 || head[1] != (at > 0 ? 4 : 1)
            || memcmp(head + 2, data + 2, 2) != 0) {
            records = BROKEN;
        } else if (at > 0 && content == 0) {
            records = SOUND;
        } else if (bytes - at - 8 < content + head[6]) {
            break;
        } else {
            bytes_add(&all, head + 8, at > 0 ? content : 0);
            at += 8 + content + head[6];
        }
    }
    pairs = pairs_read(&all, count);
    bytes_free(&all);
    return pairs == BROKEN || (records == SOUND && pairs == MORE) ? BROKEN
                                                                  : records;
}

static size_t
strings_count(char **strings)
{
    size_t count = 0;

    while (strings[count] != NULL) {
        count++;
    }
    return count;
}

/* libfcgi answers a role that it knows and a connection that it keeps; it must
 * come back in any case. */
static void
libfcgi_read(const uint8_t *data, size_t bytes, size_t count)
{
    static const uint8_t no_input[8] = {1, STDIN_TYPE, 0, 1};
    FCGX_Request request;
    int ends[2], rc;

    CHECK(FCGX_Init() == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    CHECK(write(ends[0], data, bytes) == (ssize_t) bytes);
    CHECK(write(ends[0], no_input, 8) == 8);
    shutdown(ends[0], SHUT_WR);
    CHECK(FCGX_InitRequest(&request, -1, 0) == 0);
    request.ipcFd = ends[1];
    request.keepConnection = 1;
    rc = FCGX_Accept_r(&request);
    if (rc == 0 && data[8] == 0 && data[9] == RESPONDER) {
        size_t got = strings_count(request.envp);

        /* one of its own for the role */
        CHECK(got == count || got == count + 1);
    }
    /* its end would wait for the other side to close first */
    close(ends[0]);
    request.keepConnection = 0;
    FCGX_Finish_r(&request);
    FCGX_Free(&request, 1);
}

static void
length_make(struct bytes *out, size_t length, bool wide)
{
    if (wide || length > 127) {
        bytes_put(out, 0x80 | (unsigned) (length >> 24));
        bytes_put(out, (unsigned) (length >> 16));
        bytes_put(out, (unsigned) (length >> 8));
    }
    bytes_put(out, (unsigned) length & 0xff);
}

/* From three bytes each: widths and scale, both lengths. */
static void
pairs_make(struct bytes *out, struct input *input)
{
    while (input->left > 0) {
        unsigned op = input_byte(input);
        size_t name = input_byte(input) * (op & 4 ? 50u : 1u);
        size_t value = input_byte(input) * (op & 8 ? 50u : 1u);

        length_make(out, name, op & 1);
        length_make(out, value, op & 2);
        for (size_t i = 0; i < name + value; i++) {
            bytes_put(out, i < name ? 'N' : op);
        }
    }
}

static void
request_make(struct bytes *out, unsigned kind, struct input input)
{
    struct bytes pairs = {.data = NULL};
    struct dice dice;

    dice_init(&dice, input_byte(&input));
    if (kind & 2) {
        pairs_make(&pairs, &input);
    }
    bytes_add(&pairs, input.data, input.left);
    script_record(out, BEGIN_REQUEST, "\0\1\1\0\0\0\0", 8, 0);
    script_records(out, &dice, PARAMS, 0, &pairs);
    script_record(out, PARAMS, "", 0, 0);
    bytes_free(&pairs);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct input input = {data, bytes};
    struct bytes request = {.data = NULL};
    enum verdict whole, part;
    unsigned kind = input_byte(&input);
    size_t count;

    if (kind & 3) {
        request_make(&request, kind, input);
    } else {
        bytes_add(&request, input.data, input.left);
    }
    if (request.count == 0 || request.count > 20000) {
        bytes_free(&request);
        return 0;
    }
    whole = records_judge(request.data, request.count);
    CHECK(whole == slow_judge(request.data, request.count, &count));
    for (size_t n = 1; n < request.count; n += 1 + n / 8) {
        part = records_judge(request.data, n);
        CHECK(part == MORE || part == whole);
    }
    if (whole == SOUND) {
        libfcgi_read(request.data, request.count, count);
    }
    bytes_free(&request);
    return 0;
}

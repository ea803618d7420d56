/* SPDX-License-Identifier: BSD-2-Clause */

/* A stream of server-sent events: read in pieces that its first byte decides,
 * it says the same as in one. */

#include "codec/sse.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct heard {
    uint64_t hash;
    unsigned count;
};

static void
hash_add(uint64_t *hash, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        *hash = (*hash ^ (unsigned char) text[i]) * 1099511628211u;
    *hash = (*hash ^ 256) * 1099511628211u;
}

static int
on_event(void *arg, const struct sse_event *event)
{
    struct heard *heard = arg;

    if (event->data[event->bytes] != '\0' || event->bytes >= MAX_BYTES)
        abort();
    hash_add(&heard->hash, event->type, strlen(event->type));
    hash_add(&heard->hash, event->data, event->bytes);
    heard->count++;
    return 0;
}

static int
stream_read(struct sse *sse, struct heard *heard, const uint8_t *data,
            size_t bytes, size_t piece)
{
    int result = 0;

    *heard = (struct heard){.hash = 14695981039346656037u};
    sse_init(sse, MAX_BYTES, on_event, heard);
    for (size_t at = 0; at < bytes && !result; at += piece)
        result = sse_push(sse, (const char *) data + at,
                          bytes - at < piece ? bytes - at : piece);
    sse_deinit(sse);
    return result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct heard whole, split;
    struct sse a, b;

    if (!bytes)
        return 0;
    int first = stream_read(&a, &whole, data + 1, bytes - 1, bytes);
    int second = stream_read(&b, &split, data + 1, bytes - 1, 1 + data[0] % 64);
    /* How a line that is too long came decides whether it is one. */
    if (first || second)
        return 0;
    if (whole.hash != split.hash || whole.count != split.count
        || strcmp(a.id, b.id) != 0 || a.retry_ms != b.retry_ms)
        abort();
    return 0;
}

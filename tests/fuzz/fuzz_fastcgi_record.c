/* SPDX-License-Identifier: BSD-2-Clause */

/* Whole or byte by byte, a stream of records must be read the same way. */

#include "codec/fastcgi_record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A hash of the records met until the input is bad or at its end. */
static uint64_t
walk(const uint8_t *data, size_t bytes, size_t step)
{
    struct fastcgi_decoder decoder = {0};
    struct fastcgi_record record;
    uint64_t hash = 1;
    size_t at = 0, skip = 0;

    while (at < bytes) {
        size_t left = bytes - at;
        size_t part = left < step ? left : step;
        int n;

        if (skip > 0) {
            part = part < skip ? part : skip;
            skip -= part;
            at += part;
            continue;
        }
        n = fastcgi_decoder_push(&decoder, data + at, part, &record);
        if (n < 0) {
            return hash * 31 + 7;
        }
        if (n > FASTCGI_HEADER_BYTES || (size_t) n > part) {
            abort();
        }
        at += n > 0 ? (size_t) n : part;
        if (n > 0) {
            skip = record.content_bytes + record.padding_bytes;
            if (record.content_bytes > 65535 || record.padding_bytes > 255) {
                abort();
            }
            hash = hash * 31 + record.type + record.request_id + skip;
        }
    }
    return hash;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint64_t whole = walk(data, bytes, SIZE_MAX);

    if (walk(data, bytes, 1) != whole || walk(data, bytes, 3) != whole) {
        abort();
    }
    return 0;
}

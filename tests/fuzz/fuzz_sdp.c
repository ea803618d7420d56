/* SPDX-License-Identifier: BSD-2-Clause */

/* Any bytes as an offer: refused, or made into one that is made into itself,
 * line by line what it was but for what is ours. */

#include "codec/sdp.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Lines that can't have changed are there as often as before. */
static size_t
count_foreign(const char *text, size_t bytes)
{
    size_t count = 0;

    for (const char *at = text, *end = text + bytes; at < end;) {
        const char *feed = memchr(at, '\n', (size_t) (end - at));
        size_t line = feed ? (size_t) (feed - at) : (size_t) (end - at);
        count += !(line >= 7 && memcmp(at, "a=fmtp:", 7) == 0)
                 && !(line >= 8 && memcmp(at, "a=ptime:", 8) == 0)
                 && !(line >= 11 && memcmp(at, "a=maxptime:", 11) == 0);
        at += line + 1;
    }
    return count;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct buffer once, twice;
    const char *text = (const char *) data;

    buffer_init(&once, SDP_MAX_BYTES);
    buffer_init(&twice, SDP_MAX_BYTES);
    int result = sdp_apply_opus(text, bytes, &sdp_opus_default, &once);
    if (result && (once.bytes || (result != UV_EINVAL && result != UV_E2BIG)))
        abort();
    if (!result) {
        if (count_foreign(text, bytes)
            != count_foreign((char *) once.data, once.bytes))
            abort();
        result = sdp_apply_opus((char *) once.data, once.bytes,
                                &sdp_opus_default, &twice);
        if (result || once.bytes != twice.bytes
            || memcmp(once.data, twice.data, once.bytes) != 0)
            abort();
    }
    buffer_deinit(&once);
    buffer_deinit(&twice);
    return 0;
}

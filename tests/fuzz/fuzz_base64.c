/* SPDX-License-Identifier: BSD-2-Clause */

/* Both variants agree; what decodes encodes to the same text; all bytes go
 * there and back. */

#include "codec/base64.h"
#include "codec/pcm_text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* As samples, with half a one before it: the same bytes. */
static void
samples_check(const char *text, size_t chars, const uint8_t *want, ssize_t n)
{
    struct pcm_text_reader reader = {.odd = 0x5a, .has_odd = 1};
    int16_t *pcm = malloc(pcm_text_samples_max(chars) * sizeof *pcm);
    ssize_t samples = pcm_text_read(&reader, pcm, text, chars);

    if ((n < 0) != (samples < 0) || reader.has_odd != (n < 0 || n % 2 == 0))
        abort();
    if (n >= 0
        && (samples != (n + 1) / 2
            || (n > 0
                && (*(uint8_t *) pcm != 0x5a
                    || memcmp((uint8_t *) pcm + 1, want,
                              (size_t) samples * 2 - 1)
                           != 0))))
        abort();
    free(pcm);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    size_t room = base64_decoded_max(bytes);
    size_t chars = base64_encoded_bytes(bytes);
    uint8_t *one = malloc(room + 1), *two = malloc(room + 1);
    char *text = malloc(chars + 1), *copy = malloc(bytes + 1);
    ssize_t n, m;

    if (base64_use("table") != 0)
        abort();
    n = base64_decode(one, (const char *) data, bytes);
    base64_use("avx2");
    m = base64_decode(two, (const char *) data, bytes);
    if (n != m || (n > 0 && memcmp(one, two, (size_t) n) != 0))
        abort();
    samples_check((const char *) data, bytes, one, n);
    memcpy(copy, data, bytes);
    if (base64_decode(copy, copy, bytes) != n
        || (n > 0 && memcmp(copy, one, (size_t) n) != 0))
        abort();
    if (n >= 0
        && (base64_decoded_bytes((const char *) data, bytes) != n
            || base64_encode(copy, one, (size_t) n) != bytes
            || memcmp(copy, data, bytes) != 0))
        abort();
    if (base64_encode(text, data, bytes) != chars
        || base64_decode(text, text, chars) != (ssize_t) bytes
        || memcmp(text, data, bytes) != 0)
        abort();
    free(one);
    free(two);
    free(text);
    free(copy);
    return 0;
}

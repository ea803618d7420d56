/* SPDX-License-Identifier: BSD-2-Clause */

/* Both variants agree; what decodes encodes to the same text; all bytes go
 * there and back. */

#include "codec/base64.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

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

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Base64 (RFC 4648, section 4: the standard alphabet, padding required). Pure,
 * no allocation, any thread; owns nothing. The table version and an AVX2 one
 * (taken when the CPU has it) give the same answers. Refuses on decoding:
 * whitespace, the URL alphabet, a missing or early '=', and leftover bits that
 * are not zero, so that a text has one meaning and bytes have one text.
 */

#ifndef VOICE_BASE64_H
#define VOICE_BASE64_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Characters that `bytes` bytes become, without a NUL. bytes <= SIZE_MAX/2. */
static inline size_t
base64_encoded_bytes(size_t bytes)
{
    return (bytes / 3 + (bytes % 3 != 0)) * 4;
}

/* Most bytes that `chars` characters can become. */
static inline size_t
base64_decoded_max(size_t chars)
{
    return chars / 4 * 3;
}

/* Writes exactly base64_encoded_bytes(bytes) characters, no NUL; gives that
 * count. `to` and `from` do not overlap. */
size_t base64_encode(char *to, const void *from, size_t bytes);

/*
 * Decodes the whole text. Gives the bytes written (0 for an empty text), or
 * UV_EINVAL: bad length, character, padding or leftover bits (`to` is then
 * partly written). `to` needs base64_decoded_max(chars) bytes and may be the
 * same memory as `from` (decode in place), else they do not overlap.
 */
ssize_t base64_decode(void *to, const char *from, size_t chars);

/* The exact size of the decoded text by its length and padding alone, or
 * UV_EINVAL when the length is wrong. Does not look at the other characters. */
ssize_t base64_decoded_bytes(const char *from, size_t chars);

/* For tests and the bench: "table" or "avx2". base64_use takes such a name
 * and gives 0, or UV_ENOTSUP. Not while another thread is in here. */
const char *base64_variant(void);
int base64_use(const char *variant);

#endif

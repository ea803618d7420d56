/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * SHA-256, HMAC, randomness, ids and comparison in constant time. The only
 * module that includes OpenSSL. Callable from any thread; randomness comes
 * from a pool of the calling thread. Owns nothing of the caller. When the
 * library can't give randomness the process ends: an id that can be guessed
 * is worse.
 */

#ifndef VOICE_CRYPTO_H
#define VOICE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRYPTO_SHA256_BYTES 32
#define CRYPTO_SHA1_BYTES   20
#define CRYPTO_ID_CHARS     21 /* alphanumerics of an id after its prefix */
#define CRYPTO_ID_BYTES     32 /* room for a prefix of 10, them, and a NUL */

void crypto_sha256(const void *data, size_t bytes,
                   uint8_t out[CRYPTO_SHA256_BYTES]);
void crypto_hmac_sha256(const void *key, size_t key_bytes, const void *data,
                        size_t bytes, uint8_t out[CRYPTO_SHA256_BYTES]);

/* For the WebSocket handshake (RFC 6455, 4.2.2) and nothing else. */
void crypto_sha1(const void *data, size_t bytes,
                 uint8_t out[CRYPTO_SHA1_BYTES]);

void crypto_random(void *out, size_t bytes);

/* `chars` unbiased random alphanumerics and a NUL. */
void crypto_alphanumerics(char *out, size_t chars);

/* prefix ("sess_", at most 10 characters) + 21 alphanumerics + NUL. Cheap
 * enough for an id an event. */
void crypto_id(const char *prefix, char out[CRYPTO_ID_BYTES]);

/* Time depends on `bytes` alone. */
bool crypto_equal(const void *a, const void *b, size_t bytes);

/* 2 * bytes lower case digits and a NUL. */
void crypto_hex(const uint8_t *data, size_t bytes, char *out);
/* Exactly 2 * bytes digits; false when `hex` is anything else. */
bool crypto_unhex(const char *hex, uint8_t *out, size_t bytes);

#endif

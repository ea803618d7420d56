/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const char alphanumerics[] =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* A fork must not hand its parent's pool to the child: the generation that a
 * pool was filled in tells. */
#define POOL_BYTES 1024
static unsigned pool_generation = 1;
static _Thread_local struct {
    unsigned generation;
    size_t left; /* unused bytes at the end of `bytes` */
    uint8_t bytes[POOL_BYTES];
} pool;

static void
on_fork_child(void)
{
    pool_generation++;
}

static void
fork_watch(void)
{
    pthread_atfork(NULL, NULL, on_fork_child);
}

static void
digest(const EVP_MD *kind, const void *data, size_t bytes, uint8_t *out)
{
    if (EVP_Digest(data, bytes, out, NULL, kind, NULL) != 1)
        abort(); /* only for want of memory */
}

void
crypto_sha256(const void *data, size_t bytes, uint8_t out[CRYPTO_SHA256_BYTES])
{
    digest(EVP_sha256(), data, bytes, out);
}

void
crypto_sha1(const void *data, size_t bytes, uint8_t out[CRYPTO_SHA1_BYTES])
{
    digest(EVP_sha1(), data, bytes, out);
}

void
crypto_hmac_sha256(const void *key, size_t key_bytes, const void *data,
                   size_t bytes, uint8_t out[CRYPTO_SHA256_BYTES])
{
    if (!HMAC(EVP_sha256(), key, (int) key_bytes, data, bytes, out, NULL))
        abort();
}

static void
random_fill(void *out, size_t bytes)
{
    if (RAND_bytes(out, (int) bytes) != 1)
        abort();
}

void
crypto_random(void *out, size_t bytes)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    uint8_t *to = out;

    pthread_once(&once, fork_watch);
    if (bytes > POOL_BYTES / 4) {
        random_fill(out, bytes);
        return;
    }
    if (pool.generation != pool_generation || pool.left < bytes) {
        random_fill(pool.bytes, POOL_BYTES);
        pool.left = POOL_BYTES;
        pool.generation = pool_generation;
    }
    uint8_t *from = pool.bytes + POOL_BYTES - pool.left;
    memcpy(to, from, bytes);
    OPENSSL_cleanse(from, bytes); /* what was given is known to one */
    pool.left -= bytes;
}

void
crypto_alphanumerics(char *out, size_t chars)
{
    uint8_t bytes[32];
    size_t have = 0, used = 0;

    for (size_t n = 0; n < chars;) {
        if (used == have) {
            have = chars - n < sizeof(bytes) ? chars - n : sizeof(bytes);
            crypto_random(bytes, have);
            used = 0;
        }
        uint8_t b = bytes[used++];
        if (b < 4 * 62) /* the rest would favour the first letters */
            out[n++] = alphanumerics[b % 62];
    }
    out[chars] = '\0';
    OPENSSL_cleanse(bytes, sizeof(bytes));
}

void
crypto_id(const char *prefix, char out[CRYPTO_ID_BYTES])
{
    size_t n = strnlen(prefix, CRYPTO_ID_BYTES - CRYPTO_ID_CHARS - 1);
    memcpy(out, prefix, n);
    crypto_alphanumerics(out + n, CRYPTO_ID_CHARS);
}

bool
crypto_equal(const void *a, const void *b, size_t bytes)
{
    return CRYPTO_memcmp(a, b, bytes) == 0;
}

void
crypto_hex(const uint8_t *data, size_t bytes, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * bytes] = '\0';
}

static int
nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool
crypto_unhex(const char *hex, uint8_t *out, size_t bytes)
{
    if (strlen(hex) != 2 * bytes)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        int high = nibble(hex[2 * i]), low = nibble(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t) (high << 4 | low);
    }
    return true;
}

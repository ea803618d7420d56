/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define MOST 700

static const char *const variants[] = {"table", "avx2"};

/* Runs a check with every variant this CPU has. */
static void
each_variant(void (*check)(void))
{
    const char *before = base64_variant();

    for (size_t i = 0; i < 2; i++) {
        if (base64_use(variants[i]) != 0)
            continue;
        assert_string_equal(base64_variant(), variants[i]);
        check();
    }
    assert_int_equal(base64_use(before), 0);
    assert_int_equal(base64_use("none"), UV_ENOTSUP);
}

static void
check_vectors(void)
{
    /* RFC 4648, section 10. */
    static const char *const vectors[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    char text[16];
    uint8_t bytes[16];

    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        size_t n = strlen(vectors[i][0]), chars = strlen(vectors[i][1]);

        assert_int_equal(base64_encoded_bytes(n), chars);
        assert_int_equal(base64_encode(text, vectors[i][0], n), chars);
        assert_memory_equal(text, vectors[i][1], chars);
        assert_int_equal(base64_decoded_bytes(vectors[i][1], chars), n);
        assert_int_equal(base64_decode(bytes, vectors[i][1], chars), n);
        assert_memory_equal(bytes, vectors[i][0], n);
    }
}

/* Exactly as large as promised: the sanitizer sees any byte beyond. */
static void
check_lengths(void)
{
    srand(1);
    for (size_t n = 0; n < MOST; n++) {
        size_t chars = base64_encoded_bytes(n);
        uint8_t *from = malloc(n + 1), *back = malloc(n + 1);
        char *text = malloc(chars + 1);

        from = realloc(from, n > 0 ? n : 1);
        text = realloc(text, chars > 0 ? chars : 1);
        back = realloc(back, n > 0 ? base64_decoded_max(chars) : 1);
        for (size_t i = 0; i < n; i++)
            from[i] = (uint8_t) rand();
        assert_int_equal(base64_encode(text, from, n), chars);
        assert_int_equal(base64_decode(back, text, chars), n);
        assert_memory_equal(back, from, n);
        /* in place */
        assert_int_equal(base64_decode(text, text, chars), n);
        assert_memory_equal(text, from, n);
        free(from);
        free(back);
        free(text);
    }
}

static void
check_bad_bytes(void)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[96], bad[96];
    uint8_t out[96];

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = alphabet[(i * 7) % 64];
    for (size_t at = 0; at < sizeof text; at++) {
        for (int c = 0; c < 256; c++) {
            bool good = c != 0 && strchr(alphabet, c) != NULL;

            if (c == '=' && at == sizeof text - 1)
                continue; /* padding: the bits before it decide */
            memcpy(bad, text, sizeof bad);
            bad[at] = (char) c;
            assert_int_equal(base64_decode(out, bad, sizeof bad),
                             good ? 72 : UV_EINVAL);
        }
    }
}

static void
check_strict(void)
{
    static const char *const bad[] = {
        "A",     "AA",   "AAA",  "AAAAA",    "====",     "A===",
        "AA=A",  "Zh==", "Zm9=", "Zg==Zg==", "Zm8=Zm8=", "Zg= ",
        "Zg=\n", "AA-_", " AAA", "Zg==\n"};
    uint8_t out[16];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(base64_decode(out, bad[i], strlen(bad[i])), UV_EINVAL);
    assert_int_equal(base64_decoded_bytes("AAA", 3), UV_EINVAL);
}

#define EACH(name)                                                             \
    static void test_##name(void **state)                                      \
    {                                                                          \
        (void) state;                                                          \
        each_variant(check_##name);                                            \
    }
EACH(vectors)
EACH(lengths)
EACH(bad_bytes)
EACH(strict)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_bad_bytes),
        cmocka_unit_test(test_strict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

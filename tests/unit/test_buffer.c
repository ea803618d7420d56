/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static void
test_append_consume(void **state)
{
    struct buffer b;
    unsigned char next_in = 0, next_out = 0;

    (void) state;
    buffer_init(&b, 1000);
    assert_null(b.data);
    srand(1);
    for (int i = 0; i < 20000; i++) {
        unsigned char bytes[64];
        size_t n = (size_t) rand() % 64;

        for (size_t k = 0; k < n; k++) {
            bytes[k] = (unsigned char) (next_in + k);
        }
        if (b.bytes + n > 1000) {
            assert_int_equal(buffer_append(&b, bytes, n), UV_ENOBUFS);
        } else {
            assert_int_equal(buffer_append(&b, bytes, n), 0);
            next_in = (unsigned char) (next_in + n);
        }
        n = (size_t) rand() % 64;
        for (size_t k = 0; k < n && k < b.bytes; k++) {
            assert_int_equal(b.data[k], (unsigned char) (next_out + k));
        }
        next_out = (unsigned char) (next_out + (n < b.bytes ? n : b.bytes));
        buffer_consume(&b, n);
        assert_true(b.capacity <= 1024);
    }
    buffer_deinit(&b);
    assert_null(b.data);
}

static void
test_text_and_take(void **state)
{
    struct buffer b;
    char *taken;

    (void) state;
    buffer_init(&b, 8);
    assert_string_equal(buffer_text(&b), "");
    assert_int_equal(buffer_printf(&b, "%d-%s", 12, "345678"), UV_ENOBUFS);
    assert_int_equal(b.bytes, 0);
    assert_int_equal(buffer_printf(&b, "%d-%s", 12, "34567"), 0);
    assert_string_equal(buffer_text(&b), "12-34567");
    assert_int_equal(buffer_append(&b, "x", 1), UV_ENOBUFS);
    assert_null(buffer_reserve(&b, 1));
    buffer_consume(&b, 3);
    memcpy(buffer_reserve(&b, 3), "890", 3);
    buffer_commit(&b, 3);
    assert_string_equal(buffer_text(&b), "34567890");
    taken = (char *) buffer_take(&b);
    assert_memory_equal(taken, "34567890", 8);
    free(taken);
    assert_null(buffer_take(&b));
    assert_int_equal(buffer_append(&b, "again", 5), 0);
    buffer_deinit(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_consume),
        cmocka_unit_test(test_text_and_take),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/fastcgi_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>
#include <uv.h>

static void
test_every_split(void **state)
{
    const uint8_t head[8] = {1, 5, 0x12, 0x34, 0xff, 0xff, 0xff, 0};
    struct fastcgi_record record;

    (void) state;
    for (size_t split = 0; split <= 8; split++) {
        struct fastcgi_decoder decoder = {0};
        int n = fastcgi_decoder_push(&decoder, head, split, &record);

        if (split < 8) {
            assert_int_equal(n, 0);
            n = fastcgi_decoder_push(&decoder, head + split, 8 - split,
                                     &record);
        }
        assert_int_equal(n, split < 8 ? 8 - split : 8);
        assert_int_equal(record.type, FASTCGI_STDIN);
        assert_int_equal(record.request_id, 0x1234);
        assert_int_equal(record.content_bytes + record.padding_bytes, 65790);
    }
}

static void
test_bad_version(void **state)
{
    struct fastcgi_decoder decoder = {0};
    struct fastcgi_record record;

    (void) state;
    assert_int_equal(
        fastcgi_decoder_push(&decoder, (const uint8_t *) "H", 1, &record),
        UV_EPROTO);
}

static void
test_encode(void **state)
{
    uint8_t out[16];

    (void) state;
    fastcgi_header_encode(out, FASTCGI_STDOUT, FASTCGI_CONTENT_MAX);
    assert_memory_equal(out, "\x01\x06\x00\x01\xff\xf8\x00\x00", 8);
    fastcgi_header_encode(out, FASTCGI_STDOUT, 1);
    assert_memory_equal(out, "\x01\x06\x00\x01\x00\x01\x07\x00", 8);
    fastcgi_end_encode(out, 0x01020304, FASTCGI_OVERLOADED);
    assert_memory_equal(out,
                        "\x01\x03\x00\x01\x00\x08\x00\x00"
                        "\x01\x02\x03\x04\x02\x00\x00\x00",
                        16);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_bad_version),
        cmocka_unit_test(test_encode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

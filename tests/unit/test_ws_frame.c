/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/ws_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- headers: one table for what is taken and what is refused ---- */

struct header_case {
    const char *name;
    enum ws_masking masking;
    uint8_t rsv_allowed;
    uint8_t bytes[WS_HEADER_MAX];
    size_t length;
    int result; /* length, or minus the close code */
    uint64_t payload;
};

#define U   WS_MASK_FORBIDDEN
#define M   WS_MASK_REQUIRED
#define BAD (-WS_CLOSE_PROTOCOL_ERROR)

static const struct header_case header_cases[] = {
    {"empty text", U, 0, {0x81, 0}, 2, 2, 0},
    {"125 bytes", U, 0, {0x82, 125}, 2, 2, 125},
    {"126 bytes", U, 0, {0x82, 126, 0, 126}, 4, 4, 126},
    {"65535 bytes", U, 0, {0x82, 126, 0xff, 0xff}, 4, 4, 65535},
    {"65536 bytes", U, 0, {0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}, 10, 10, 65536},
    {"2^63 - 1 bytes",
     U,
     0,
     {0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255},
     10,
     10,
     INT64_MAX},
    {"masked, 5 bytes", M, 0, {0x81, 0x85, 1, 2, 3, 4}, 6, 6, 5},
    {"masked, 65536 bytes",
     M,
     0,
     {0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4},
     14,
     14,
     65536},
    {"ping with 125 bytes", U, 0, {0x89, 125}, 2, 2, 125},
    {"RSV1 where agreed", U, WS_RSV1, {0xc1, 1}, 2, 2, 1},

    {"length 125 in 16 bits", U, 0, {0x82, 126, 0, 125}, 4, BAD, 0},
    {"length 65535 in 64 bits",
     U,
     0,
     {0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff},
     10,
     BAD,
     0},
    {"length with the top bit", U, 0, {0x82, 127, 0x80}, 10, BAD, 0},
    {"masked where forbidden", U, 0, {0x81, 0x80}, 2, BAD, 0},
    {"unmasked where required", M, 0, {0x81, 0}, 2, BAD, 0},
    {"RSV1", U, 0, {0xc1, 0}, 2, BAD, 0},
    {"RSV2", U, WS_RSV1, {0xa1, 0}, 2, BAD, 0},
    {"RSV3", U, WS_RSV1, {0x91, 0}, 2, BAD, 0},
    {"RSV1 on a ping", U, WS_RSV1, {0xc9, 0}, 2, BAD, 0},
    {"opcode 3", U, 0, {0x83, 0}, 2, BAD, 0},
    {"opcode 7", U, 0, {0x87, 0}, 2, BAD, 0},
    {"opcode 11", U, 0, {0x8b, 0}, 2, BAD, 0},
    {"opcode 15", U, 0, {0x8f, 0}, 2, BAD, 0},
    {"ping with 126 bytes", U, 0, {0x89, 126, 0, 126}, 4, BAD, 0},
    {"fragmented ping", U, 0, {0x09, 0}, 2, BAD, 0},
    {"fragmented close", U, 0, {0x08, 0}, 2, BAD, 0},
    {"continuation of nothing", U, 0, {0x80, 0}, 2, BAD, 0},
};

static void
test_headers_at_every_split(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof header_cases / sizeof *header_cases; i++) {
        const struct header_case *c = &header_cases[i];

        for (size_t split = 0; split <= c->length; split++) {
            struct ws_decoder decoder;
            struct ws_frame frame;
            int rc;

            ws_decoder_init(&decoder, c->masking, c->rsv_allowed);
            rc = ws_decoder_push(&decoder, c->bytes, split, &frame);
            if (rc == 0) {
                rc = ws_decoder_push(&decoder, c->bytes + split,
                                     c->length - split, &frame);
                if (rc > 0)
                    rc += (int) split;
            }
            if (rc != c->result)
                fail_msg("%s: split %zu: %d", c->name, split, rc);
            if (rc > 0)
                assert_int_equal(frame.payload_bytes, c->payload);
        }
    }
}

static void
test_message_kind_and_continuation_discipline(void **state)
{
    static const uint8_t stream[] = {
        0x01, 0, /* text, goes on */
        0x89, 0, /* a ping between */
        0x00, 0, /* continuation */
        0x80, 0, /* last */
        0x82, 0, /* binary */
    };
    static const uint8_t kinds[] = {WS_TEXT, 0, WS_TEXT, WS_TEXT, WS_BINARY};
    static const uint8_t new_text[] = {0x81, 0}, rsv[] = {0xc0, 0};
    struct ws_decoder decoder;
    struct ws_frame frame;

    (void) state;
    ws_decoder_init(&decoder, WS_MASK_FORBIDDEN, WS_RSV1);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(ws_decoder_push(&decoder, stream + 2 * i, 2, &frame),
                         2);
        assert_int_equal(frame.message, kinds[i]);
    }
    assert_int_equal(ws_decoder_push(&decoder, stream, 2, &frame), 2);
    assert_int_equal(ws_decoder_push(&decoder, new_text, 2, &frame), BAD);

    ws_decoder_init(&decoder, WS_MASK_FORBIDDEN, WS_RSV1);
    assert_int_equal(ws_decoder_push(&decoder, stream, 2, &frame), 2);
    assert_int_equal(ws_decoder_push(&decoder, rsv, 2, &frame), BAD);
}

static void
test_encode_is_what_decode_reads(void **state)
{
    static const uint64_t lengths[] = {0,     1,     125,        126,
                                       65535, 65536, 0xffffffff, INT64_MAX};

    (void) state;
    for (size_t i = 0; i < 16; i++) {
        struct ws_frame in = {.payload_bytes = lengths[i / 2],
                              .opcode = WS_BINARY,
                              .fin = true,
                              .masked = i & 1,
                              .mask = {9, 8, 7, 6}};
        struct ws_decoder decoder;
        struct ws_frame out;
        uint8_t head[WS_HEADER_MAX];
        size_t n = ws_frame_encode(head, &in);

        assert_int_equal(n, ws_frame_header_bytes(in.payload_bytes, in.masked));
        ws_decoder_init(&decoder, in.masked, 0);
        assert_int_equal(ws_decoder_push(&decoder, head, n, &out), n);
        assert_int_equal(out.payload_bytes, in.payload_bytes);
        assert_int_equal(out.masked, in.masked);
        if (in.masked)
            assert_memory_equal(out.mask, in.mask, 4);
    }
}

/* ---- masks ---- */

static void
test_unmask_every_length_shift_and_split(void **state)
{
    static const uint8_t mask[4] = {0x11, 0x22, 0x44, 0x88};
    uint8_t plain[100], data[120];

    (void) state;
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t) (i * 37);
    for (size_t length = 0; length <= sizeof plain; length++) {
        for (size_t shift = 0; shift <= 20; shift++) {
            size_t split = length * shift / 20;
            uint8_t key[4];

            for (size_t i = 0; i < length; i++)
                data[shift + i] = plain[i] ^ mask[i & 3];
            memcpy(key, mask, 4);
            ws_unmask(data, data + shift, split, key);
            ws_unmask(data + split, data + shift + split, length - split, key);
            assert_memory_equal(data, plain, length);
            for (size_t i = 0; i < 4; i++)
                assert_int_equal(key[i], mask[(i + length) & 3]);
        }
    }
}

/* ---- UTF-8 ---- */

static const struct {
    const char *bytes;
    size_t length;
    bool valid;
} utf8_cases[] = {
    {"", 0, true},
    {"plain ASCII, long enough for words", 34, true},
    {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", 11, true},
    {"0123456789abcdef\xe2\x82\xac tail", 24, true},
    {"\xc2\x80", 2, true},
    {"\xe0\xa0\x80", 3, true},
    {"\xed\x9f\xbf", 3, true},
    {"\xee\x80\x80", 3, true},
    {"\xef\xbf\xbf", 3, true},
    {"\xf0\x90\x80\x80", 4, true},
    {"\xf4\x8f\xbf\xbf", 4, true},
    {"\0", 1, true},
    {"\x80", 1, false},
    {"\xbf", 1, false},
    {"\xc0\x80", 2, false},
    {"\xc1\xbf", 2, false},
    {"\xe0\x9f\xbf", 3, false},
    {"\xed\xa0\x80", 3, false},
    {"\xed\xbf\xbf", 3, false},
    {"\xf0\x8f\xbf\xbf", 4, false},
    {"\xf4\x90\x80\x80", 4, false},
    {"\xf5\x80\x80\x80", 4, false},
    {"\xfe", 1, false},
    {"\xff", 1, false},
    {"\xc2", 1, false},
    {"\xe2\x82", 2, false},
    {"\xf0\x9f\x98", 3, false},
    {"\xe2\x82\x41", 3, false},
    {"0123456789abcde\xff", 16, false},
};

static void
test_utf8_at_every_split(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof utf8_cases / sizeof *utf8_cases; i++) {
        const uint8_t *data = (const uint8_t *) utf8_cases[i].bytes;
        size_t length = utf8_cases[i].length;

        for (size_t split = 0; split <= length; split++) {
            struct ws_utf8 utf8;
            bool valid;

            ws_utf8_init(&utf8);
            valid = ws_utf8_push(&utf8, data, split)
                    && ws_utf8_push(&utf8, data + split, length - split)
                    && ws_utf8_is_complete(&utf8);
            if (valid != utf8_cases[i].valid)
                fail_msg("case %zu, split %zu", i, split);
        }
    }
}

/* Every code point and every three-byte string against a plain definition. */
static void
test_utf8_against_the_definition(void **state)
{
    (void) state;
    for (uint32_t v = 0; v < 0x1000000; v += 0x11) {
        uint8_t b[4] = {(uint8_t) (v >> 16), (uint8_t) (v >> 8), (uint8_t) v,
                        0};
        size_t n = 0;
        bool good = true;
        struct ws_utf8 utf8 = {0};

        while (good && n < 3) {
            size_t len = b[n] < 0x80             ? 1
                         : (b[n] & 0xe0) == 0xc0 ? 2
                         : (b[n] & 0xf0) == 0xe0 ? 3
                                                 : 9;
            uint32_t cp = len == 2 ? b[n] & 0x1f : len == 3 ? b[n] & 0x0f : 0;

            good = n + len <= 3;
            for (size_t i = 1; good && i < len; i++) {
                good = (b[n + i] & 0xc0) == 0x80;
                cp = cp << 6 | (b[n + i] & 0x3f);
            }
            if (good && len == 2)
                good = cp >= 0x80;
            if (good && len == 3)
                good = cp >= 0x800 && (cp < 0xd800 || cp > 0xdfff);
            n += len;
        }
        if ((ws_utf8_push(&utf8, b, 3) && ws_utf8_is_complete(&utf8)) != good)
            fail_msg("%06x", v);
    }
}

/* ---- close payloads ---- */

static void
test_close_codes(void **state)
{
    static const struct {
        unsigned first, last;
        bool valid;
    } ranges[] = {
        {0, 999, false},      {1000, 1003, true},  {1004, 1006, false},
        {1007, 1014, true},   {1015, 2999, false}, {3000, 4999, true},
        {5000, 65535, false},
    };

    (void) state;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        for (unsigned c = ranges[i].first; c <= ranges[i].last; c++) {
            uint8_t payload[2] = {(uint8_t) (c >> 8), (uint8_t) c};
            uint16_t code = 0;
            int rc = ws_close_decode(payload, 2, &code);

            assert_int_equal(rc, ranges[i].valid ? 0 : BAD);
            if (rc == 0)
                assert_int_equal(code, c);
            assert_int_equal(ws_close_code_is_valid(c), ranges[i].valid);
        }
    }
}

static void
test_close_payloads(void **state)
{
    uint16_t code = 0;
    uint8_t out[WS_CONTROL_MAX];
    char reason[200];

    (void) state;
    assert_int_equal(ws_close_decode(NULL, 0, &code), 0);
    assert_int_equal(code, WS_CLOSE_NOT_GIVEN);
    assert_int_equal(ws_close_decode((const uint8_t *) "\x03", 1, &code), BAD);
    assert_int_equal(ws_close_decode((const uint8_t *) "\x03\xe8ok", 4, &code),
                     0);
    assert_int_equal(code, 1000);
    assert_int_equal(
        ws_close_decode((const uint8_t *) "\x03\xe8\xce", 3, &code),
        -WS_CLOSE_BAD_PAYLOAD);
    assert_int_equal(
        ws_close_decode((const uint8_t *) "\x03\xe8\xff", 3, &code),
        -WS_CLOSE_BAD_PAYLOAD);

    assert_int_equal(ws_close_encode(out, 1005, "", 0), 0);
    assert_int_equal(ws_close_encode(out, 1011, "gone", 4), 6);
    assert_memory_equal(out, "\x03\xf3gone", 6);
    assert_int_equal(ws_close_encode(out, 1000, NULL, 0), 2);

    /* a reason of two-byte characters is cut between two of them */
    for (size_t i = 0; i < sizeof reason; i += 2)
        memcpy(reason + i, "\xc3\xa4", 2);
    assert_int_equal(ws_close_encode(out, 1000, reason, sizeof reason), 124);
    assert_int_equal(ws_close_decode(out, 124, &code), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers_at_every_split),
        cmocka_unit_test(test_message_kind_and_continuation_discipline),
        cmocka_unit_test(test_encode_is_what_decode_reads),
        cmocka_unit_test(test_unmask_every_length_shift_and_split),
        cmocka_unit_test(test_utf8_at_every_split),
        cmocka_unit_test(test_utf8_against_the_definition),
        cmocka_unit_test(test_close_codes),
        cmocka_unit_test(test_close_payloads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

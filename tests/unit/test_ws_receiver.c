/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/crypto.h"
#include "gate/ws_handshake.h"
#include "gate/ws_receiver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

/* Feeds all, `step` bytes at a time, and writes down what came out. */
static int
feed(const char *data, size_t bytes, size_t step, char *out)
{
    struct ws_receiver r;
    struct ws_received got;
    ssize_t used = 0;

    ws_receiver_init(&r, 1000);
    *out = '\0';
    while (bytes) {
        size_t n = bytes < step ? bytes : step;
        used = ws_receiver_push(&r, (const uint8_t *) data, n, &got);
        if (used < 0)
            break;
        data += used;
        bytes -= (size_t) used;
        if (got.kind != WS_RECEIVED_NONE)
            out += snprintf(out, 200, "%c%.*s|", ".MPOC"[got.kind],
                            (int) got.bytes, (const char *) got.data);
    }
    ws_receiver_deinit(&r);
    return used < 0 ? (int) used : 0;
}

#define CASE(bytes) bytes, sizeof(bytes) - 1

static const struct {
    const char *data;
    size_t bytes;
    int result;
    const char *out;
} cases[] = {
    {CASE("\x81\x02hi"), 0, "Mhi|"},
    {CASE("\x81\x00\x82\x01x"), 0, "M|Mx|"},
    {CASE("\x01\x02he\x89\x01p\x80\x03llo"), 0, "Pp|Mhello|"},
    {CASE("\x01\x01\xc3\x80\x01\xa9"), 0, "M\xc3\xa9|"},
    {CASE("\x8a\x02ok\x88\x05\x03\xe8"
          "bye"),
     0,
     "Ook|C\x03\xe8"
     "bye|"},
    {CASE("\x81\x01\xc3"), -WS_CLOSE_BAD_PAYLOAD, ""},
    {CASE("\x81\x02\xff\xff"), -WS_CLOSE_BAD_PAYLOAD, ""},
    {CASE("\x81\x7e\x04\x00"), -WS_CLOSE_TOO_BIG, ""},
    {CASE("\x02\x7e\x03\xe8"), 0, ""},
    {CASE("\x81\x81mask!"), -WS_CLOSE_PROTOCOL_ERROR, ""},
    {CASE("\xc1\x01x"), -WS_CLOSE_PROTOCOL_ERROR, ""},
    {CASE("\x80\x01x"), -WS_CLOSE_PROTOCOL_ERROR, ""},
    {CASE("\x09\x01x"), -WS_CLOSE_PROTOCOL_ERROR, ""},
};

static void
frames_become_messages_at_any_split(void **state)
{
    char out[1024];

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t step = 1; step <= cases[i].bytes; step++) {
            assert_int_equal(feed(cases[i].data, cases[i].bytes, step, out),
                             cases[i].result);
            assert_string_equal(out, cases[i].out);
        }
    }
}

static int
answered(const char *head, struct ws_handshake *h)
{
    const struct ws_request rq = {
        .authority = "h", .target = "/", .subprotocols = "realtime, other"};
    struct buffer out;
    char text[1024];

    buffer_init(&out, 4096);
    assert_int_equal(ws_handshake_write(h, &rq, &out), 0);
    assert_non_null(strstr(buffer_text(&out), "Sec-WebSocket-Protocol: real"));
    buffer_deinit(&out);
    /* The RFC's own example, so that the accept value is a known one. */
    memcpy(h->key, "dGhlIHNhbXBsZSBub25jZQ==", 25);
    snprintf(text, sizeof(text), "%s", head);
    return ws_handshake_read(h, &rq, text, strlen(text));
}

#define OK_HEAD                                                                \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\n"               \
    "Connection: keep-alive, Upgrade\r\n"                                      \
    "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static void
an_answer_is_judged(void **state)
{
    static const struct {
        const char *head, *error;
    } bad[] = {
        {"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno", "was refused"},
        {"HTTP/1.0 101 X\r\n\r\n", "not HTTP/1.1"},
        {"rubbish\r\n\r\n", "not HTTP/1.1"},
        {"HTTP/1.1 101 X\r\nConnection: upgrade\r\n\r\n", "no Upgrade"},
        {"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", "no Connection"},
        {"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
         "Sec-WebSocket-Accept: wrong\r\n\r\n",
         "missing or wrong"},
        {OK_HEAD "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
         "extension"},
        {OK_HEAD "Sec-WebSocket-Protocol: real\r\n\r\n", "subprotocol"},
    };
    struct ws_handshake h;

    (void) state;
    assert_int_equal(answered(OK_HEAD, &h), 0);
    assert_int_equal(answered(OK_HEAD "\r\nmore", &h), strlen(OK_HEAD) + 2);
    assert_true(answered(OK_HEAD "Sec-WebSocket-Protocol: realtime\r\n\r\n", &h)
                > 0);
    assert_string_equal(h.subprotocol, "realtime");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(answered(bad[i].head, &h), UV_EPROTO);
        assert_non_null(strstr(h.error, bad[i].error));
    }
}

static void
ids_are_of_their_alphabet_and_differ(void **state)
{
    char a[CRYPTO_ID_BYTES], b[CRYPTO_ID_BYTES];
    uint8_t raw[2], digest[CRYPTO_SHA256_BYTES];
    char hex[2 * CRYPTO_SHA256_BYTES + 1];

    (void) state;
    for (int i = 0; i < 1000; i++) {
        crypto_id("sess_", a);
        crypto_id("sess_", b);
        assert_int_equal(strlen(a), 26);
        assert_int_equal(strspn(a + 5, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "abcdefghijklmnopqrstuvwxyz"),
                         21);
        assert_string_not_equal(a, b);
    }
    crypto_hmac_sha256("key", 3, "The quick brown fox jumps over the lazy dog",
                       43, digest);
    crypto_hex(digest, sizeof(digest), hex);
    assert_string_equal(hex, "f7bc83f430538424b13298e6aa6fb143"
                             "ef4d59a14946175997479dbc2d1a3cd8");
    assert_true(crypto_unhex("0aFf", raw, 2));
    assert_int_equal(raw[1], 0xff);
    assert_false(crypto_unhex("0aF", raw, 2));
    assert_false(crypto_unhex("0aFg", raw, 2));
    assert_true(crypto_equal("ab", "ab", 2));
    assert_false(crypto_equal("ab", "aB", 2));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_become_messages_at_any_split),
        cmocka_unit_test(an_answer_is_judged),
        cmocka_unit_test(ids_are_of_their_alphabet_and_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

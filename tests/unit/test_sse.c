/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

/* What was told, as text: type|data;… */
struct heard {
    char text[4096];
    size_t bytes;
    int stop_at, count;
};

static int
on_event(void *arg, const struct sse_event *event)
{
    struct heard *h = arg;
    h->bytes +=
        (size_t) snprintf(h->text + h->bytes, sizeof(h->text) - h->bytes,
                          "%s|%s;", event->type, event->data);
    assert_int_equal(strlen(event->data), event->bytes);
    return ++h->count == h->stop_at ? UV_ECANCELED : 0;
}

struct row {
    const char *stream, *heard, *id;
    int64_t retry_ms;
};

static const struct row rows[] = {
    {"data: a\n\n", "message|a;", "", -1},
    {"data:a\r\n\r\n", "message|a;", "", -1},
    {"data: a\r\r", "message|a;", "", -1},
    {"data: a\r\ndata: b\n\r\n", "message|a\nb;", "", -1},
    {"data\n\n", "message|;", "", -1},
    {"data:  two\n\n", "message| two;", "", -1},
    {"data: a\n", "", "", -1}, /* not ended */
    {"id: 7\ndata:\n\ndata: b\n\n", "message|;message|b;", "7", -1},
    {"id: 7\n\n", "", "7", -1}, /* no event, but where we are */
    {"id: 7\n", "", "", -1},
    {"id: 7\n\nid\n\n", "", "", -1},
    {"id: a\nid: b\ndata: x\n\n", "message|x;", "b", -1},
    {"event: ping\ndata: x\n\ndata: y\n\n", "ping|x;message|y;", "", -1},
    {"event: lost\n\ndata: y\n\n", "message|y;", "", -1},
    {": comment\ndata: x\nunknown: y\nnothing\n\n", "message|x;", "", -1},
    {"retry: 500\n\n", "", "", 500},
    {"retry: 500\nretry: x\nretry: -1\nretry:\nretry: 9999999999\n", "", "",
     500},
    {"\xef\xbb\xbf"
     "data: x\n\n",
     "message|x;", "", -1},
    {"data: x\n\n\xef\xbb\xbf"
     "data: y\n\n",
     "message|x;", "", -1},
    {"data: {\"a\":\ndata: 1}\n\n", "message|{\"a\":\n1};", "", -1},
};

/* In pieces of every size. */
static void
streams_are_read_in_any_pieces(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t all = strlen(rows[i].stream);
        for (size_t piece = 1; piece <= all; piece++) {
            struct heard h = {.stop_at = -1};
            struct sse sse;
            sse_init(&sse, 256, on_event, &h);
            for (size_t at = 0; at < all; at += piece)
                assert_int_equal(sse_push(&sse, rows[i].stream + at,
                                          all - at < piece ? all - at : piece),
                                 0);
            if (strcmp(h.text, rows[i].heard) != 0
                || strcmp(sse.id, rows[i].id) != 0
                || sse.retry_ms != rows[i].retry_ms)
                fail_msg("%s by %zu: %s id=%s retry=%lld", rows[i].stream,
                         piece, h.text, sse.id, (long long) sse.retry_ms);
            sse_deinit(&sse);
        }
    }
}

static int
push(size_t max_bytes, const char *text, size_t piece)
{
    struct heard h = {.stop_at = -1};
    struct sse sse;
    int result = 0;
    sse_init(&sse, max_bytes, on_event, &h);
    for (size_t at = 0, all = strlen(text); at < all && !result; at += piece)
        result = sse_push(&sse, text + at, all - at < piece ? all - at : piece);
    sse_deinit(&sse);
    return result;
}

static void
what_is_too_large_ends_it(void **state)
{
    (void) state;
    assert_int_equal(push(16, "data: 12345678\n\n", 1), 0);
    assert_int_equal(push(8, "data: 12345678\n\n", 100), UV_EMSGSIZE);
    assert_int_equal(push(8, "nothing at all\n\n", 1), UV_EMSGSIZE);
    /* Many lines of one event. */
    assert_int_equal(push(16, "data: 12345678\ndata: 12345678\n\n", 100),
                     UV_EMSGSIZE);
    assert_int_equal(push(16, "data: 12345678\n\ndata: 12345678\n\n", 3), 0);
}

static void
ids_that_do_not_fit_are_not_kept(void **state)
{
    struct heard h = {.stop_at = -1};
    struct sse sse;
    char text[600];

    (void) state;
    sse_init(&sse, 4096, on_event, &h);
    memset(text, 'x', sizeof(text));
    memcpy(text, "id: 1\n\nid: ", 11);
    memcpy(text + 500, "\n\n", 2);
    assert_int_equal(sse_push(&sse, text, 502), 0);
    assert_string_equal(sse.id, "");
    assert_int_equal(sse_push(&sse, "id: 2\n\nid: a\0b\n\n", 17), 0);
    assert_string_equal(sse.id, "2");
    sse_deinit(&sse);
}

static void
a_handler_may_end_it_and_a_stream_may_begin_anew(void **state)
{
    struct heard h = {.stop_at = 1};
    struct sse sse;

    (void) state;
    sse_init(&sse, 256, on_event, &h);
    assert_int_equal(sse_push(&sse, "id: 1\ndata: a\n\ndata: b\n\n", 24),
                     UV_ECANCELED);
    assert_string_equal(h.text, "message|a;");
    assert_int_equal(sse_push(&sse, "id: 2\ndata: lo", 14), 0);
    sse_restart(&sse);
    assert_string_equal(sse.id, "1");
    assert_int_equal(sse_push(&sse, "data: c\n\n", 9), 0);
    assert_string_equal(h.text, "message|a;message|c;");
    assert_string_equal(sse.id, "1");
    sse_deinit(&sse);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_read_in_any_pieces),
        cmocka_unit_test(what_is_too_large_ends_it),
        cmocka_unit_test(ids_that_do_not_fit_are_not_kept),
        cmocka_unit_test(a_handler_may_end_it_and_a_stream_may_begin_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

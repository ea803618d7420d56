/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_responses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACTIVE "conversation_already_has_active_response"

static enum session_responses_verdict
create_at(struct session_responses *r, const char *text, uint64_t now_ms)
{
    const struct realtime_span span = {text, strlen(text)};
    struct realtime_peek peek;

    assert_int_equal(realtime_peek(text, span.bytes, &peek), REALTIME_SOUND);
    return session_responses_create(r, &peek, span, now_ms);
}

static enum session_responses_verdict
create(struct session_responses *r, const char *text)
{
    return create_at(r, text, 1);
}

static enum session_responses_verdict
cancel(struct session_responses *r, const char *text, bool *drops)
{
    struct realtime_peek peek;

    assert_int_equal(realtime_peek(text, strlen(text), &peek), REALTIME_SOUND);
    return session_responses_cancel(r, &peek, drops);
}

/* Whether the model's event passes. */
static bool
say(struct session_responses *r, const char *text)
{
    struct session_event e;

    assert_int_equal(session_event_open(&e, text, strlen(text)), 0);
    bool passes = session_responses_look(r, &e, 1);
    session_event_close(&e);
    return passes;
}

static void
made(struct session_responses *r, const char *id, const char *conversation)
{
    char text[256];

    snprintf(text, sizeof(text),
             "{\"type\":\"response.created\",\"response\":{\"id\":\"%s\","
             "\"conversation_id\":%s}}",
             id, conversation);
    assert_true(say(r, text));
}

static void
done(struct session_responses *r, const char *id)
{
    char text[256];

    snprintf(text, sizeof(text),
             "{\"type\":\"response.done\",\"response\":{\"id\":\"%s\"}}", id);
    assert_true(say(r, text));
}

static bool
fails(struct session_responses *r, const char *code, const char *event_id)
{
    char text[256];

    snprintf(text, sizeof(text),
             "{\"type\":\"error\",\"error\":{\"code\":\"%s\",\"event_id\":%s}}",
             code, event_id);
    return say(r, text);
}

static void
assert_next(struct session_responses *r, const char *wanted)
{
    size_t bytes;
    const char *text = session_responses_next(r, &bytes, 1);

    if (!wanted) {
        assert_null(text);
        return;
    }
    assert_non_null(text);
    assert_string_equal(text, wanted);
    assert_int_equal(bytes, strlen(wanted));
}

#define A "{\"type\":\"response.create\",\"event_id\":\"a\"}"
#define B "{\"type\":\"response.create\",\"event_id\":\"b\"}"
#define N "{\"type\":\"response.create\"}"
#define OUT                                                                    \
    "{\"type\":\"response.create\",\"response\":{\"conversation\":\"none\"}}"

static void
test_one_at_a_time(void **state)
{
    struct session_responses r = {0};

    (void) state;
    assert_int_equal(create(&r, A), RESPONSES_SEND);
    assert_int_equal(create(&r, B), RESPONSES_HELD);
    assert_next(&r, NULL);
    made(&r, "r1", "\"conv\"");
    assert_int_equal(create(&r, N), RESPONSES_HELD);
    assert_next(&r, NULL);
    done(&r, "r1");
    assert_next(&r, B);
    assert_next(&r, NULL);
    made(&r, "r2", "\"conv\"");
    done(&r, "r2");
    assert_next(&r, N);
    made(&r, "r3", "\"conv\"");
    done(&r, "r3");
    assert_next(&r, NULL);
    assert_int_equal(create(&r, A), RESPONSES_SEND);
    session_responses_deinit(&r);
}

static void
test_turn_detection_counts(void **state)
{
    struct session_responses r = {0};

    (void) state;
    made(&r, "vad", "\"conv\"");
    assert_int_equal(create(&r, A), RESPONSES_HELD);
    done(&r, "vad");
    assert_next(&r, A);
    session_responses_deinit(&r);
}

static void
test_beside(void **state)
{
    struct session_responses r = {0};
    bool drops;

    (void) state;
    assert_int_equal(create(&r, A), RESPONSES_SEND);
    made(&r, "r1", "\"conv\"");
    assert_int_equal(create(&r, OUT), RESPONSES_SEND);
    made(&r, "o1", "null");
    assert_int_equal(create(&r, B), RESPONSES_HELD);
    done(&r, "o1");
    assert_next(&r, NULL);
    done(&r, "r1");
    assert_next(&r, B);
    made(&r, "r2", "\"conv\"");
    done(&r, "r2");
    /* One beside the conversation may be cancelled, and holds nobody up. */
    assert_int_equal(create(&r, OUT), RESPONSES_SEND);
    made(&r, "o2", "null");
    assert_int_equal(
        cancel(&r, "{\"type\":\"response.cancel\",\"response_id\":\"o2\"}",
               &drops),
        RESPONSES_SEND);
    assert_int_equal(create(&r, A), RESPONSES_SEND);
    done(&r, "o2");
    assert_int_equal(create(&r, B), RESPONSES_HELD);
    session_responses_deinit(&r);
}

/* A server that gives no conversation_id at all, or always null. */
static void
test_no_conversation_id(void **state)
{
    struct session_responses r = {0};

    (void) state;
    assert_true(say(&r, "{\"type\":\"response.created\",\"response\":"
                        "{\"id\":\"r1\"}}"));
    assert_int_equal(create(&r, A), RESPONSES_HELD);
    done(&r, "r1");
    assert_next(&r, A);
    made(&r, "r2", "null");
    assert_int_equal(create(&r, B), RESPONSES_HELD);
    done(&r, "r2");
    assert_next(&r, B);
    session_responses_deinit(&r);
}

static void
test_full(void **state)
{
    struct session_responses r = {0};
    char *large = malloc(SESSION_RESPONSES_HELD_BYTES + 100);

    (void) state;
    assert_int_equal(create(&r, A), RESPONSES_SEND);
    for (int i = 0; i < SESSION_RESPONSES_HELD; i++)
        assert_int_equal(create(&r, B), RESPONSES_HELD);
    assert_int_equal(create(&r, B), RESPONSES_FULL);
    assert_int_equal(create(&r, OUT), RESPONSES_SEND);
    session_responses_deinit(&r);
    memset(&r, 0, sizeof(r));
    int n = sprintf(large, "{\"type\":\"response.create\",\"event_id\":\"");
    memset(large + n, 'x', SESSION_RESPONSES_HELD_BYTES);
    strcpy(large + n + SESSION_RESPONSES_HELD_BYTES, "\"}");
    assert_int_equal(create(&r, large), RESPONSES_SEND);
    assert_int_equal(create(&r, large), RESPONSES_FULL);
    session_responses_deinit(&r);
    free(large);
}

static void
test_cancel(void **state)
{
    static const char plain[] = "{\"type\":\"response.cancel\"}";
    struct session_responses r = {0};
    bool drops;
    char *id;

    (void) state;
    assert_int_equal(cancel(&r, plain, &drops), RESPONSES_SWALLOW);
    assert_int_equal(create(&r, A), RESPONSES_SEND);
    assert_int_equal(cancel(&r, plain, &drops), RESPONSES_SEND);
    made(&r, "r1", "\"conv\"");
    assert_int_equal(create(&r, B), RESPONSES_HELD);
    assert_int_equal(create(&r, N), RESPONSES_HELD);
    assert_int_equal(
        cancel(&r, "{\"type\":\"response.cancel\",\"response_id\":\"o\"}",
               &drops),
        RESPONSES_SEND);
    assert_false(drops);
    assert_int_equal(
        cancel(&r, "{\"type\":\"response.cancel\",\"response_id\":\"r1\"}",
               &drops),
        RESPONSES_SEND);
    assert_true(drops);
    assert_true(session_responses_drop(&r, &id));
    assert_string_equal(id, "\"b\"");
    free(id);
    assert_true(session_responses_drop(&r, &id));
    assert_null(id);
    assert_false(session_responses_drop(&r, &id));
    done(&r, "r1");
    assert_next(&r, NULL);
    assert_int_equal(cancel(&r, plain, &drops), RESPONSES_SWALLOW);
    session_responses_deinit(&r);
}

/* The model began a response of its own at the moment that ours went out. */
static void
test_retry(void **state)
{
    struct session_responses r = {0};

    (void) state;
    assert_int_equal(create(&r, A), RESPONSES_SEND);
    made(&r, "vad", "\"conv\"");
    assert_false(fails(&r, ACTIVE, "\"a\""));
    assert_next(&r, NULL);
    assert_int_equal(create(&r, B), RESPONSES_HELD);
    done(&r, "vad");
    assert_next(&r, A);
    /* Twice is enough: then the client hears of it. */
    assert_true(fails(&r, ACTIVE, "\"a\""));
    assert_next(&r, B);
    made(&r, "r1", "\"conv\"");
    /* Another one's error is the client's. */
    assert_true(fails(&r, ACTIVE, "\"z\""));
    assert_true(fails(&r, ACTIVE, "null"));
    done(&r, "r1");
    session_responses_deinit(&r);
}

static void
test_retry_without_id(void **state)
{
    struct session_responses r = {0};

    (void) state;
    assert_int_equal(create(&r, N), RESPONSES_SEND);
    assert_false(fails(&r, ACTIVE, "null"));
    done(&r, "vad");
    assert_next(&r, N);
    session_responses_deinit(&r);
}

/* A create that the model refuses holds up nobody. */
static void
test_refused(void **state)
{
    struct session_responses r = {0};

    (void) state;
    assert_int_equal(create(&r, A), RESPONSES_SEND);
    assert_int_equal(create(&r, B), RESPONSES_HELD);
    assert_true(fails(&r, "invalid_value", "\"c\""));
    assert_next(&r, NULL);
    assert_true(fails(&r, "invalid_value", "\"a\""));
    assert_next(&r, B);
    session_responses_deinit(&r);
}

static void
test_stale(void **state)
{
    struct session_responses r = {0};

    (void) state;
    assert_int_equal(create(&r, A), RESPONSES_SEND);
    made(&r, "r1", "\"conv\"");
    assert_int_equal(create_at(&r, B, SESSION_RESPONSES_STALE_MS),
                     RESPONSES_HELD);
    assert_int_equal(create_at(&r, N, SESSION_RESPONSES_STALE_MS + 1),
                     RESPONSES_SEND);
    made(&r, "r2", "\"conv\"");
    done(&r, "r2");
    assert_next(&r, B); /* what waited comes after it */
    session_responses_deinit(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_turn_detection_counts),
        cmocka_unit_test(test_beside),
        cmocka_unit_test(test_no_conversation_id),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_retry_without_id),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_stale),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

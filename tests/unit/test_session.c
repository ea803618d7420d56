/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session.h"

#include "base/metrics.h"
#include "kit/session_rig.h"
#include "session/session_down.h"
#include "session/session_up.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CREATED                                                                \
    "{\"type\":\"session.created\",\"event_id\":\"event_1\","                  \
    "\"session\":{\"type\":\"realtime\",\"object\":\"realtime.session\","      \
    "\"id\":\"sess_0123456789ABCDEFGHIJK\",\"voice\":\"alloy\","               \
    "\"instructions\":\"default\"}}"
#define UPDATED                                                                \
    "{\"type\":\"session.updated\",\"event_id\":\"event_2\","                  \
    "\"session\":{\"type\":\"realtime\",\"object\":\"realtime.session\","      \
    "\"id\":\"sess_0123456789ABCDEFGHIJK\",\"voice\":\"marin\"}}"
#define APPEND "{\"type\":\"input_audio_buffer.append\",\"audio\":\"AAAA\"}"
#define VOICE  "{\"voice\":\"marin\"}"

/* An event with `bytes` bytes of filling; the model's have an event_id. */
static char *
big_event(const char *type, const char *key, size_t bytes)
{
    char *text = malloc(bytes + 128);
    const char *id = strcmp(key, "delta") == 0 ? "\"event_id\":\"e\"," : "";
    int n = sprintf(text, "{\"type\":\"%s\",%s\"%s\":\"", type, id, key);

    memset(text + n, 'A', bytes);
    strcpy(text + n + bytes, "\"}");
    return text;
}

static void
assert_state(struct rig *rig, const char *wanted)
{
    char *state = rig_state(rig);

    assert_string_equal(state, wanted);
    free(state);
}

/* The error event n that the client got: its code and whose it is. */
static void
assert_error(struct rig *rig, size_t n, const char *code, const char *event_id)
{
    json_t *event = json_loads(rig_client_got(rig, n), 0, NULL);
    json_t *error = json_object_get(event, "error");
    const char *id = json_string_value(json_object_get(error, "event_id"));

    assert_string_equal(json_string_value(json_object_get(event, "type")),
                        "error");
    assert_int_equal(
        strncmp(json_string_value(json_object_get(event, "event_id")), "event_",
                6),
        0);
    assert_string_equal(json_string_value(json_object_get(error, "code")),
                        code);
    if (event_id)
        assert_string_equal(id, event_id);
    else
        assert_null(id);
    json_decref(event);
}

static void
test_plain_life(void **state)
{
    struct rig rig;

    (void) state;
    rig_start(&rig, "");
    assert_int_equal(rig.model.opened, 1);
    assert_string_equal(rig.model.asked, "gpt-realtime");
    assert_state(&rig, "starting");
    assert_int_equal(rig.got.count, 0);
    rig_say(&rig, CREATED);
    assert_state(&rig, "live");
    assert_string_equal(rig_client_got(&rig, 0), CREATED);
    assert_int_equal(rig.model.got.count, 0);
    rig_send(&rig, APPEND);
    assert_string_equal(rig_model_got(&rig, 0), APPEND);
    /* A type that no client knows is not for it. */
    rig_say(&rig, "{\"type\":\"brand.new\",\"x\":1}");
    rig_say(&rig, "not even JSON");
    rig_say(&rig, "{\"type\":\"input_audio_buffer.cleared\","
                  "\"event_id\":\"event_2\"}");
    assert_int_equal(rig.got.count, 2);
    assert_string_equal(rig_client_got(&rig, 1),
                        "{\"type\":\"input_audio_buffer.cleared\","
                        "\"event_id\":\"event_2\"}");
    rig_client_close(&rig, 1000);
    assert_true(rig.ended);
    assert_true(rig.model.closing);
    rig_stop(&rig);
}

static void
test_registry_shows(void **state)
{
    struct rig rig;

    (void) state;
    rig_start(&rig, "");
    rig_say(&rig, CREATED);
    rig_send(&rig, APPEND);
    char *text = session_registry_list(rig.registry);
    json_t *list = json_loads(text, 0, NULL);
    json_t *entry = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(entry, "tenant")),
                        "acme");
    assert_string_equal(json_string_value(json_object_get(entry, "model")),
                        "gpt-realtime");
    assert_int_equal(json_integer_value(json_object_get(entry, "up_messages")),
                     1);
    assert_int_equal(
        json_integer_value(json_object_get(entry, "down_messages")), 1);
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
    free(text);
    rig_client_close(&rig, 1000);
    rig_stop(&rig);
}

/* The session of the event that the client got. */
static json_t *
client_session(struct rig *rig, size_t n, const char *type)
{
    json_t *event = json_loads(rig_client_got(rig, n), 0, NULL);
    json_t *session = json_incref(json_object_get(event, "session"));

    assert_string_equal(json_string_value(json_object_get(event, "type")),
                        type);
    assert_non_null(session);
    json_decref(event);
    return session;
}

static void
assert_voice(const json_t *session, const char *voice)
{
    const json_t *output =
        json_object_get(json_object_get(session, "audio"), "output");

    assert_string_equal(json_string_value(json_object_get(output, "voice")),
                        voice);
}

static void
test_policy_is_applied_first(void **state)
{
    struct rig rig;

    (void) state;
    rig_start(&rig, VOICE);
    rig_send(&rig, APPEND);
    rig_say(&rig, CREATED);
    /* The client has not waited for the model's answer. */
    assert_state(&rig, "live");
    json_t *session = client_session(&rig, 0, "session.created");
    assert_voice(session, "marin");
    json_decref(session);
    assert_int_equal(rig.model.got.count, 2);
    assert_non_null(strstr(rig_model_got(&rig, 0), "\"session.update\""));
    assert_non_null(strstr(rig_model_got(&rig, 0), "\"voice\":\"marin\""));
    assert_string_equal(rig_model_got(&rig, 1), APPEND);
    /* The answer to it is ours, the first one and no more. */
    rig_say(&rig, UPDATED);
    assert_int_equal(rig.got.count, 1);
    rig_say(&rig, UPDATED);
    assert_string_equal(rig_client_got(&rig, 1), UPDATED);
    rig_client_close(&rig, 1000);
    rig_stop(&rig);
}

/* An error that answers an event of the client's is the client's, also while
 * our own update is under way. */
static void
test_settling_passes_errors(void **state)
{
    struct rig rig;

    (void) state;
    rig_start(&rig, VOICE);
    rig_say(&rig, CREATED);
    rig_say(&rig, "{\"type\":\"error\",\"event_id\":\"event_3\",\"error\":"
                  "{\"type\":\"x\",\"code\":\"y\",\"message\":\"z\","
                  "\"param\":null,\"event_id\":\"c1\"}}");
    assert_error(&rig, 1, "y", "c1");
    assert_state(&rig, "live");
    rig_client_close(&rig, 1000);
    rig_stop(&rig);
}

static void
test_bound_session(void **state)
{
    struct rig rig;

    (void) state;
    rig_init(&rig, VOICE);
    rig.bound_session = "{\"type\":\"realtime\",\"model\":\"gpt-realtime\","
                        "\"instructions\":\"Bound.\"}";
    assert_int_equal(rig_session_start(&rig), 0);
    rig_say(&rig, CREATED);
    json_t *session = client_session(&rig, 0, "session.created");
    assert_voice(session, "marin");
    assert_string_equal(
        json_string_value(json_object_get(session, "instructions")), "Bound.");
    assert_string_equal(json_string_value(json_object_get(session, "id")),
                        "sess_0123456789ABCDEFGHIJK");
    json_decref(session);
    assert_int_equal(rig.model.got.count, 1);
    assert_non_null(strstr(rig_model_got(&rig, 0),
                           "\"instructions\":\"Bound.\",\"audio\":{\"output\":"
                           "{\"voice\":\"marin\"}}}"));
    assert_null(strstr(rig_model_got(&rig, 0), "gpt-realtime"));
    rig_client_close(&rig, 1000);
    rig_stop(&rig);
}

/* The model has another name for it; the client sees ours alone. */
static void
test_own_id(void **state)
{
    struct rig rig;

    (void) state;
    rig_start(&rig, "");
    rig_say(&rig, "{\"type\":\"session.created\",\"event_id\":\"e\","
                  "\"session\":{\"id\":\"sess_upstream\"}}");
    rig_say(&rig, "{\"type\":\"session.updated\",\"event_id\":\"e\","
                  "\"session\":{\"id\":\"sess_upstream\"}}");
    for (size_t i = 0; i < 2; i++) {
        assert_null(strstr(rig_client_got(&rig, i), "sess_upstream"));
        assert_non_null(strstr(rig_client_got(&rig, i),
                               "\"id\":\"sess_0123456789ABCDEFGHIJK\""));
    }
    rig_client_close(&rig, 1000);
    rig_stop(&rig);
}

/* --- every way to the end */

static void
end_client_closed(struct rig *rig)
{
    rig_say(rig, CREATED);
    rig_client_close(rig, 4321);
}

static void
end_client_lost(struct rig *rig)
{
    rig_say(rig, CREATED);
    close(rig->fd);
    rig->fd = -1;
    rig_turn(rig);
}

static void
end_client_aborts_early(struct rig *rig)
{
    rig_send_record(rig, 2, NULL, 0);
    rig_turn(rig);
}

static void
end_broken_record(struct rig *rig)
{
    rig_send_record(rig, 99, "x", 1);
    rig_turn(rig);
}

static void
end_bad_payload(struct rig *rig)
{
    rig_say(rig, CREATED);
    rig_client_close(rig, 1007);
}

static void
end_too_big(struct rig *rig)
{
    char *text = big_event("input_audio_buffer.append", "audio", 5 << 20);

    rig_say(rig, CREATED);
    rig_send(rig, text);
    free(text);
}

static void
end_upstream_closed(struct rig *rig)
{
    rig_say(rig, CREATED);
    rig_model_end(rig, 4000, "invalid_request_error.x");
    assert_string_equal(rig->close_reason, "invalid_request_error.x");
}

static void
end_upstream_lost(struct rig *rig)
{
    rig_say(rig, CREATED);
    rig_model_end(rig, 1006, "");
}

static void
end_upstream_lost_early(struct rig *rig)
{
    rig_send(rig, APPEND);
    rig_model_end(rig, 1006, "");
}

static void
end_started_with_error(struct rig *rig)
{
    rig_say(rig, "{\"type\":\"error\",\"event_id\":\"event_1\",\"error\":"
                 "{\"type\":\"server_error\",\"code\":\"upstream_lost\","
                 "\"message\":\"x\",\"param\":null,\"event_id\":null}}");
    assert_error(rig, 0, "upstream_lost", NULL);
    rig_model_end(rig, 1011, "upstream_lost");
}

static void
end_policy_refused(struct rig *rig)
{
    rig_say(rig, CREATED);
    rig_say(rig, "{\"type\":\"error\",\"error\":{\"code\":\"x\"}}");
    assert_int_equal(rig->got.count, 1);
}

static void
end_policy_refused_by_id(struct rig *rig)
{
    rig_say(rig, CREATED);
    rig_say(rig, "{\"type\":\"error\",\"error\":{\"code\":\"x\",\"event_id\":"
                 "\"sess_0123456789ABCDEFGHIJK\"}}");
    assert_int_equal(rig->got.count, 1);
}

static void
end_created_without_session(struct rig *rig)
{
    rig_say(rig, "{\"type\":\"session.created\"}");
}

static void
end_update_not_taken(struct rig *rig)
{
    rig->model.send_result = UV_EPIPE;
    rig_say(rig, CREATED);
}

static void
end_start_late(struct rig *rig)
{
    rig_hurry(rig, SESSION_START_MS);
}

static void
end_shutdown(struct rig *rig)
{
    rig_say(rig, CREATED);
    session_registry_end_all(rig->registry);
    rig_turn(rig);
}

static void
end_shutdown_early(struct rig *rig)
{
    session_registry_end_all(rig->registry);
    session_registry_end_all(rig->registry);
    rig_turn(rig);
}

static void
end_model_send_fails(struct rig *rig)
{
    rig_say(rig, CREATED);
    rig->model.send_result = UV_ENOMEM;
    rig_send(rig, APPEND);
}

/* Says more than the queue may hold, to a client that reads nothing. */
static void
model_floods(struct rig *rig, size_t total)
{
    char *text = big_event("response.output_audio.delta", "delta", 60000);

    rig->reads = false;
    for (size_t said = 0; said < total && !rig->model.closing; said += 60000)
        rig_say(rig, text);
    free(text);
}

static void
end_flooded_client(struct rig *rig)
{
    rig_say(rig, CREATED);
    model_floods(rig, SESSION_DOWN_MAX + (2 << 20));
    rig->reads = true;
    rig_turn(rig);
}

static void
end_slow_client(struct rig *rig)
{
    rig_say(rig, CREATED);
    model_floods(rig, 1 << 20);
    assert_true(rig->model.paused);
    rig_hurry(rig, SESSION_SLOW_CLIENT_MS);
    rig->reads = true;
    rig_turn(rig);
}

static const struct {
    const char *reason;
    unsigned code;  /* in the log */
    unsigned close; /* on the wire, 0 none */
    const char *changes;
    void (*how)(struct rig *rig);
} ends[] = {
    {"client_closed", 4321, 0, "", end_client_closed},
    {"client_lost", 1006, 0, "", end_client_lost},
    {"client_lost", 1006, 0, "", end_client_aborts_early},
    {"protocol_error", 1002, 0, "", end_broken_record},
    {"protocol_error", 1007, 0, "", end_bad_payload},
    {"message_too_big", 1009, 1009, "", end_too_big},
    {"upstream_closed", 4000, 4000, "", end_upstream_closed},
    {"upstream_lost", 1011, 1011, "", end_upstream_lost},
    {"upstream_lost", 1011, 1011, "", end_upstream_lost_early},
    {"upstream_closed", 1011, 1011, "", end_started_with_error},
    {"policy_refused", 1011, 1011, VOICE, end_policy_refused},
    {"policy_refused", 1011, 1011, VOICE, end_policy_refused_by_id},
    {"upstream_lost", 1011, 1011, VOICE, end_created_without_session},
    {"upstream_lost", 1011, 1011, VOICE, end_update_not_taken},
    {"upstream_lost", 1011, 1011, "", end_start_late},
    {"upstream_lost", 1011, 1011, VOICE, end_start_late},
    {"upstream_lost", 1011, 1011, "", end_model_send_fails},
    {"shutdown", 1001, 1001, "", end_shutdown},
    {"shutdown", 1001, 1001, "", end_shutdown_early},
    {"slow_client", 1013, 1013, "", end_flooded_client},
    {"slow_client", 1013, 1013, "", end_slow_client},
};

static int64_t
ended_count(const char *reason)
{
    char name[96];

    snprintf(name, sizeof(name), "voiced_sessions_ended_total{reason=\"%s\"}",
             reason);
    return metric_get(metric_register(METRIC_COUNTER, name, "x"));
}

static void
assert_ended(struct rig *rig, const char *reason, unsigned code)
{
    char line[128];
    char *log;

    rig_wait_end(rig);
    log = rig_log(rig);
    snprintf(line, sizeof(line),
             "session=sess_0123456789ABCDEFGHIJK ended=%s code=%u "
             "duration_ms=",
             reason, code);
    char *at = strstr(log, line);
    if (!at)
        fail_msg("no \"%s\" in: %s", line, log);
    assert_null(strstr(at + strlen(line), " ended="));
    free(log);
}

static void
test_ends(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct rig rig;
        rig_start(&rig, ends[i].changes);
        int64_t before = ended_count(ends[i].reason);
        ends[i].how(&rig);
        assert_ended(&rig, ends[i].reason, ends[i].code);
        if (rig.close_code != ends[i].close)
            fail_msg("end %zu: close %u, not %u", i, rig.close_code,
                     ends[i].close);
        assert_int_equal(ended_count(ends[i].reason), before + 1);
        assert_true(rig.model.closed);
        rig_stop(&rig);
    }
}

static void
test_model_not_opened(void **state)
{
    static const struct {
        int result;
        const char *reason;
        unsigned code;
    } table[] = {{UV_EBUSY, "overloaded", 1013},
                 {UV_ECONNREFUSED, "upstream_lost", 1011}};

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        struct rig rig;
        rig_init(&rig, "");
        rig.model.open_result = table[i].result;
        assert_int_equal(rig_session_start(&rig), 0);
        rig_turn(&rig);
        assert_int_equal(rig.close_code, table[i].code);
        assert_true(rig.ended);
        assert_ended(&rig, table[i].reason, table[i].code);
        rig_stop(&rig);
    }
}

/* --- up */

static void
test_waits_for_the_model(void **state)
{
    struct rig rig;
    char text[96];

    (void) state;
    rig_start(&rig, "");
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof(text),
                 "{\"type\":\"input_audio_buffer.clear\",\"n\":%d}", i);
        if (i == 7)
            rig_send(&rig, "{\"type\":");
        if (i == 9)
            rig_send_frame(&rig, WS_BINARY, "x", 1);
        rig_send(&rig, text);
    }
    assert_int_equal(rig.model.got.count, 0);
    assert_int_equal(rig.got.count, 0);
    rig_say(&rig, CREATED);
    assert_int_equal(rig.model.got.count, 20);
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof(text),
                 "{\"type\":\"input_audio_buffer.clear\",\"n\":%d}", i);
        assert_string_equal(rig_model_got(&rig, (size_t) i), text);
    }
    assert_string_equal(rig_client_got(&rig, 0), CREATED);
    assert_error(&rig, 1, "invalid_event", NULL);
    assert_error(&rig, 2, "invalid_event", NULL);
    rig_client_close(&rig, 1000);
    rig_stop(&rig);
}

/* As many as the client can get rid of without anybody reading: the rest
 * stays in the socket. Gives how many went out. */
static size_t
send_until_full(struct rig *rig, const char *text)
{
    size_t sent = 0;

    while (sent < 500) {
        rig_send(rig, text);
        sent++;
        if (rig_unread(rig) > 20000)
            break;
    }
    return sent;
}

static void
test_much_waiting_pauses(void **state)
{
    struct rig rig;
    char *text = big_event("input_audio_buffer.append", "audio", 10000);

    (void) state;
    rig_start(&rig, "");
    size_t sent = send_until_full(&rig, text);
    assert_true(sent < 100);
    assert_true(session_up_waiting_all() > SESSION_UP_WAIT_HIGH);
    assert_true(session_up_waiting_all() < 4 * SESSION_UP_WAIT_HIGH);
    rig_say(&rig, CREATED);
    rig_turn(&rig);
    assert_int_equal(rig.model.got.count, sent);
    assert_int_equal(session_up_waiting_all(), 0);
    rig_client_close(&rig, 1000);
    rig_stop(&rig);
    free(text);
}

static void
test_full_model_pauses(void **state)
{
    struct rig rig;
    char *text = big_event("input_audio_buffer.append", "audio", 10000);

    (void) state;
    rig_start(&rig, "");
    rig_say(&rig, CREATED);
    rig.model.send_result = UV_EAGAIN;
    size_t sent = send_until_full(&rig, text);
    assert_true(sent < 100);
    assert_int_equal(rig.model.got.count, 1);
    /* One more each time there is room for one. */
    rig.model.handlers->on_writable(rig.model.arg);
    rig_turn(&rig);
    assert_int_equal(rig.model.got.count, 2);
    rig.model.send_result = 0;
    rig.model.handlers->on_writable(rig.model.arg);
    rig_turn(&rig);
    assert_int_equal(rig.model.got.count, sent);
    rig_client_close(&rig, 1000);
    rig_stop(&rig);
    free(text);
}

static void
test_ends_while_waiting(void **state)
{
    struct rig rig;
    char *text = big_event("input_audio_buffer.append", "audio", 30000);

    (void) state;
    rig_start(&rig, "");
    for (int i = 0; i < 2; i++)
        rig_send(&rig, text);
    assert_true(session_up_waiting_all() > 60000);
    rig_client_close(&rig, 1000);
    rig_stop(&rig);
    free(text);
}

static const struct {
    const char *text;
    const char *code;
    const char *event_id;
} malformed[] = {
    {"", "invalid_event", NULL},
    {"hello", "invalid_event", NULL},
    {"[]", "invalid_event", NULL},
    {"{\"event_id\":\"c1\"}", "invalid_event", "c1"},
    {"{\"event_id\":\"c1\",\"type\":7}", "invalid_event", "c1"},
    {"{\"event_id\":\"c1\",\"type\":\"response.cancel\",\"type\":\"x\"}",
     "invalid_event", "c1"},
    {"{\"event_id\":\"c1\",\"\\u0074ype\":\"response.cancel\"}",
     "invalid_event", "c1"},
    {"{\"event_id\":\"c1\",\"type\":\"session\\u002eupdate\"}", "invalid_event",
     "c1"},
    {"{\"event_id\":\"c1\",\"type\":\"x\",\"session\":{},\"session\":{}}",
     "invalid_event", "c1"},
    {"{\"event_id\":[],\"type\":\"x\"", "invalid_event", NULL},
};

static void
test_malformed(void **state)
{
    struct rig rig;
    size_t count = sizeof(malformed) / sizeof(malformed[0]);

    (void) state;
    rig_start(&rig, "");
    rig_say(&rig, CREATED);
    for (size_t i = 0; i < count; i++) {
        rig_send(&rig, malformed[i].text);
        assert_error(&rig, i + 1, malformed[i].code, malformed[i].event_id);
    }
    rig_send_frame(&rig, WS_BINARY, "\x01\x02", 2);
    rig_turn(&rig);
    assert_error(&rig, count + 1, "invalid_event", NULL);
    assert_int_equal(rig.model.got.count, 0);
    /* What is well-formed but unknown is for the model to judge. */
    rig_send(&rig, "{\"type\":\"nobody.knows\"}");
    assert_string_equal(rig_model_got(&rig, 0), "{\"type\":\"nobody.knows\"}");
    assert_int_equal(rig.got.count, count + 2);
    rig_client_close(&rig, 1000);
    rig_stop(&rig);
}

static void
test_sizes(void **state)
{
    struct rig rig;
    char *audio = big_event("input_audio_buffer.append", "audio", 2 << 20);
    char *item = big_event("conversation.item.create", "item", 1 << 20);
    char *down = big_event("conversation.item.retrieved", "item", 1 << 20);

    (void) state;
    rig_start(&rig, "");
    rig_say(&rig, CREATED);
    rig_send(&rig, audio);
    assert_string_equal(rig_model_got(&rig, 0), audio);
    rig_send(&rig, item);
    assert_int_equal(rig.model.got.count, 1);
    assert_error(&rig, 1, "event_too_large", NULL);
    rig_say(&rig, down);
    assert_error(&rig, 2, "event_too_large", NULL);
    rig_client_close(&rig, 1000);
    rig_stop(&rig);
    free(audio);
    free(item);
    free(down);
}

#define SET_C                                                                  \
    "{\"type\":\"session.update\",\"event_id\":\"c1\","                        \
    "\"session\":{\"instructions\":\"C\"}}"

static void
test_client_update(void **state)
{
    static const struct {
        const char *changes;
        const char *model; /* what it gets, NULL: the client an error */
    } table[] = {
        {"{\"client_update\":\"allow\"}", SET_C},
        {"{\"client_update\":\"deny\"}", NULL},
        {"{\"client_update\":\"merge\"}", SET_C},
    };

    (void) state;
    for (size_t i = 0; i < 3; i++) {
        struct rig rig;
        rig_start(&rig, table[i].changes);
        rig_say(&rig, CREATED);
        rig_send(&rig, SET_C);
        if (table[i].model)
            assert_string_equal(rig_model_got(&rig, 0), table[i].model);
        else
            assert_error(&rig, 1, "forbidden", "c1");
        /* Audio goes through untouched, with its spaces. */
        size_t had = rig.model.got.count;
        rig_send(&rig, " " APPEND);
        assert_string_equal(rig_model_got(&rig, had), " " APPEND);
        rig_client_close(&rig, 1000);
        rig_stop(&rig);
    }
}

/* --- down */

static void
test_unread_client_pauses_model(void **state)
{
    struct rig rig;
    char *text = big_event("response.output_audio.delta", "delta", 60000);
    size_t said = 0;

    (void) state;
    rig_start(&rig, "");
    rig_say(&rig, CREATED);
    rig.reads = false;
    while (!rig.model.paused && said < 100) {
        rig_say(&rig, text);
        said++;
    }
    assert_true(rig.model.paused);
    /* A bounded few may still come. */
    for (int i = 0; i < 5; i++, said++)
        rig_say(&rig, text);
    rig.reads = true;
    rig_turn(&rig);
    assert_false(rig.model.paused);
    assert_int_equal(rig.got.count, said + 1);
    for (size_t i = 0; i < said; i++)
        assert_string_equal(rig_client_got(&rig, i + 1), text);
    /* The timer of the full queue does not run any more. */
    assert_state(&rig, "live");
    rig_client_close(&rig, 1000);
    rig_stop(&rig);
    free(text);
}

static void
test_summary(void **state)
{
    struct rig rig;
    char *log;

    (void) state;
    rig_start(&rig, "");
    rig_say(&rig, CREATED);
    for (int i = 0; i < 2; i++) {
        rig_send(&rig, APPEND);
        rig_say(&rig, "{\"type\":\"response.created\"}");
        rig_say(&rig, "{\"type\":\"response.output_audio.delta\"}");
        rig_say(&rig, "{\"type\":\"response.output_audio.delta\"}");
        rig_say(&rig, "{\"type\":\"response.done\"}");
    }
    rig_send_frame(&rig, WS_PONG, "\x00\x00\x30\x39", 4);
    rig_client_close(&rig, 1000);
    rig_stop(&rig);

    rig_start(&rig, "");
    rig_say(&rig, CREATED);
    for (int i = 0; i < 2; i++) {
        rig_send(&rig, APPEND);
        rig_say(&rig, "{\"type\":\"response.created\","
                      "\"response\":{\"id\":\"resp_1\"}}");
        rig_say(&rig, "{\"type\":\"response.output_text.delta\","
                      "\"response_id\":\"resp_1\"}");
        rig_say(&rig, "{\"type\":\"response.done\","
                      "\"response\":{\"id\":\"resp_1\"}}");
    }
    rig_send_frame(&rig, WS_PONG, "\x00\x00\x30\x39", 4);
    rig_client_close(&rig, 1000);
    log = rig_summary(&rig);
    unsigned long duration, up, down, up_bytes, down_bytes, turns, rtt, gateway,
        stall;
    char *line = strstr(log, "session=sess_");
    assert_non_null(line);
    assert_int_equal(
        sscanf(
            line,
            "session=%*s ended=client_closed code=1000 duration_ms=%lu "
            "up_messages=%lu down_messages=%lu up_bytes=%lu "
            "down_bytes=%lu turns=%lu rtt_us=%lu gateway_us=%lu "
            "first_ms=%*u voice_ms=0 stall_ms=%lu model=gpt-realtime upstream=",
            &duration, &up, &down, &up_bytes, &down_bytes, &turns, &rtt,
            &gateway, &stall),
        9);
    assert_int_equal(up, 2);
    assert_int_equal(down, 7);
    assert_int_equal(up_bytes, 2 * strlen(APPEND));
    assert_int_equal(turns, 2);
    assert_int_equal(rtt, 12345);
    assert_true(gateway < 1000000);
    free(log);
    rig_stop(&rig);
}

static void
test_echo(void **state)
{
    struct rig rig;
    char *text = big_event("x", "y", 1 << 20);

    (void) state;
    rig_start_echo(&rig);
    assert_int_equal(session_registry_count(rig.registry), 1);
    rig_send(&rig, "anything");
    assert_string_equal(rig_client_got(&rig, 0), "anything");
    rig_send_frame(&rig, WS_BINARY, "\0\1", 2);
    rig_turn(&rig);
    assert_int_equal(rig.got.items[1].opcode, WS_BINARY);
    assert_int_equal(rig.got.items[1].bytes, 2);
    for (int i = 0; i < 3; i++)
        rig_send(&rig, text);
    rig_turn(&rig);
    assert_int_equal(rig.got.count, 5);
    assert_string_equal(rig_client_got(&rig, 4), text);
    session_registry_end_all(rig.registry);
    rig_turn(&rig);
    assert_int_equal(rig.close_code, 1001);
    assert_ended(&rig, "shutdown", 1001);
    rig_stop(&rig);
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_life),
        cmocka_unit_test(test_registry_shows),
        cmocka_unit_test(test_policy_is_applied_first),
        cmocka_unit_test(test_settling_passes_errors),
        cmocka_unit_test(test_bound_session),
        cmocka_unit_test(test_own_id),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_model_not_opened),
        cmocka_unit_test(test_waits_for_the_model),
        cmocka_unit_test(test_much_waiting_pauses),
        cmocka_unit_test(test_full_model_pauses),
        cmocka_unit_test(test_ends_while_waiting),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_client_update),
        cmocka_unit_test(test_unread_client_pauses_model),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_echo),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

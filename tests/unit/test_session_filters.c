/* SPDX-License-Identifier: BSD-2-Clause */

/* Playback, cancelled responses, errors, hiding and strictness, each by
 * itself. */

#include "session/session_filters.h"

#include "kit/policy_text.h"
#include "session/session_errors.h"
#include "session/session_strict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct realtime_peek
peek_of(const char *text)
{
    struct realtime_peek peek;

    assert_int_equal(realtime_peek(text, strlen(text), &peek), REALTIME_SOUND);
    return peek;
}

/* --- playback */

static void
play(struct session_playback *p, const char *item, size_t chars)
{
    char *text = malloc(chars + 256);
    int n = sprintf(text,
                    "{\"type\":\"response.output_audio.delta\",\"item_id\":"
                    "\"%s\",\"delta\":\"",
                    item);

    memset(text + n, 'A', chars);
    strcpy(text + n + (int) chars, "\"}");
    struct realtime_peek peek = peek_of(text);
    session_playback_sent(p, &peek);
    free(text);
}

static enum session_truncate
cut(const struct session_playback *p, const char *item, const char *ms,
    uint64_t *end)
{
    char text[256];

    snprintf(text, sizeof(text),
             "{\"type\":\"conversation.item.truncate\",\"item_id\":\"%s\","
             "\"content_index\":0,\"audio_end_ms\":%s}",
             item, ms);
    struct realtime_peek peek = peek_of(text);
    return session_playback_look(p, &peek, end);
}

static void
test_playback(void **state)
{
    struct session_playback p = {0};
    uint64_t end = 0;

    (void) state;
    play(&p, "i", 6400);
    play(&p, "i", 6400); /* 9600 bytes: 200 ms of 24 kHz PCM */
    assert_int_equal(cut(&p, "i", "150", &end), TRUNCATE_PASS);
    assert_int_equal(cut(&p, "i", "200", &end), TRUNCATE_PASS);
    assert_int_equal(cut(&p, "i", "201", &end), TRUNCATE_CLAMP);
    assert_int_equal(end, 200);
    assert_int_equal(cut(&p, "i", "0", &end), TRUNCATE_CLAMP);
    assert_int_equal(end, 1);
    assert_int_equal(cut(&p, "text", "10", &end), TRUNCATE_ANSWER);
    /* No number, or no time at all: the model says what is wrong with it. */
    assert_int_equal(cut(&p, "i", "1.5", &end), TRUNCATE_PASS);
    assert_int_equal(cut(&p, "i", "-1", &end), TRUNCATE_PASS);
    assert_int_equal(cut(&p, "i", "\"9999\"", &end), TRUNCATE_PASS);
    assert_int_equal(cut(&p, "i", "99999999999999999999", &end), TRUNCATE_PASS);
    struct realtime_peek none =
        peek_of("{\"type\":\"conversation.item.truncate\",\"item_id\":\"i\"}");
    assert_int_equal(session_playback_look(&p, &none, &end), TRUNCATE_PASS);
    /* Cut once, it is no longer than that. */
    struct realtime_peek truncated =
        peek_of("{\"type\":\"conversation.item.truncated\",\"item_id\":\"i\","
                "\"content_index\":0,\"audio_end_ms\":50}");
    session_playback_truncated(&p, &truncated);
    assert_int_equal(cut(&p, "i", "150", &end), TRUNCATE_CLAMP);
    assert_int_equal(end, 50);
}

static void
test_playback_formats(void **state)
{
    static const struct {
        const char *shown;
        uint64_t ms; /* of 9600 bytes */
    } formats[] = {
        {"{\"audio\":{\"output\":{\"format\":{\"type\":\"audio/pcmu\"}}}}",
         1200},
        {"{\"audio\":{\"output\":{\"format\":{\"type\":\"audio/pcma\"}}}}",
         1200},
        {"{\"audio\":{\"output\":{\"voice\":\"ash\"}}}", 1200},
        {"{\"audio\":{\"output\":{\"format\":{\"type\":\"audio/pcm\",\"rate\":"
         "24000}}}}",
         200},
        {"{}", 200},
    };
    struct session_playback p = {0};
    uint64_t end = 0;
    char item[8];

    (void) state;
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        json_t *shown = json_loads(formats[i].shown, 0, NULL);
        session_playback_format(&p, shown);
        json_decref(shown);
        snprintf(item, sizeof(item), "i%zu", i);
        play(&p, item, 12800);
        assert_int_equal(cut(&p, item, "5000", &end), TRUNCATE_CLAMP);
        assert_int_equal(end, formats[i].ms);
    }
}

/* Items that were pushed out may have audio: the model decides then. */
static void
test_playback_forgets(void **state)
{
    struct session_playback p = {0};
    uint64_t end = 0;
    char item[16];

    (void) state;
    for (int i = 0; i < SESSION_PLAYBACK_ITEMS; i++) {
        snprintf(item, sizeof(item), "i%d", i);
        play(&p, item, 6400);
    }
    assert_int_equal(cut(&p, "unknown", "10", &end), TRUNCATE_ANSWER);
    play(&p, "more", 6400);
    assert_int_equal(cut(&p, "i0", "10", &end), TRUNCATE_PASS);
    assert_int_equal(cut(&p, "i1", "1000", &end), TRUNCATE_CLAMP);
    assert_int_equal(cut(&p, "more", "1000", &end), TRUNCATE_CLAMP);
}

/* --- cancelled */

static bool
is_late(struct session_cancelled *c, const char *text, uint64_t now_ms)
{
    struct session_event e;

    assert_int_equal(session_event_open(&e, text, strlen(text)), 0);
    bool late = session_cancelled_look(c, &e, now_ms);
    session_event_close(&e);
    return late;
}

static void
test_cancelled(void **state)
{
    static const char delta[] = "{\"type\":\"response.output_audio.delta\","
                                "\"response_id\":\"r1\",\"delta\":\"\"}";
    struct session_cancelled c = {0};

    (void) state;
    assert_false(is_late(&c, delta, 1));
    assert_false(is_late(&c,
                         "{\"type\":\"response.done\",\"response\":{\"id\":"
                         "\"r0\",\"status\":\"completed\"}}",
                         1));
    assert_false(is_late(&c,
                         "{\"type\":\"response.done\",\"response\":{\"id\":"
                         "\"r1\",\"status\":\"cancelled\"}}",
                         1));
    assert_true(is_late(&c, delta, 2));
    assert_true(is_late(&c,
                        "{\"type\":\"response.output_item.done\","
                        "\"response_id\":\"r1\",\"item\":{}}",
                        2));
    assert_false(is_late(&c,
                         "{\"type\":\"output_audio_buffer.cleared\","
                         "\"response_id\":\"r1\"}",
                         2));
    assert_false(is_late(&c,
                         "{\"type\":\"response.output_audio.delta\","
                         "\"response_id\":\"r2\"}",
                         2));
    assert_false(is_late(&c, "{\"type\":\"rate_limits.updated\"}", 2));
    assert_false(is_late(&c, delta, 1 + SESSION_CANCELLED_MS));
}

/* --- errors */

static void
test_errors(void **state)
{
    static const struct {
        bool harmless;
        const char *error;
    } errors[] = {
        {true, "{\"code\":\"response_cancel_not_active\",\"message\":\"x\"}"},
        {true, "{\"code\":null,\"message\":\"Cancellation failed: no active "
               "response found\"}"},
        {true, "{\"code\":\"invalid_value\",\"message\":\"Audio content of "
               "300ms is already shorter than 900ms\"}"},
        {false, "{\"code\":\"invalid_value\",\"message\":\"x\"}"},
        {false, "{\"code\":\"item_retrieve_invalid_item_id\"}"},
        {false, "{\"code\":\"conversation_already_has_active_response\","
                "\"event_id\":\"agents_js_response_create_1\"}"},
        {false, "{\"code\":\"input_audio_buffer_commit_empty\"}"},
        {false, "{}"},
        {false, "{\"code\":7,\"message\":[]}"},
        {false, "\"x\""},
    };

    (void) state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        json_t *error = json_loads(errors[i].error, JSON_DECODE_ANY, NULL);
        assert_int_equal(session_errors_is_harmless(error), errors[i].harmless);
        json_decref(error);
    }
}

/* --- strict */

#define USAGE                                                                  \
    "{\"input_tokens\":0,\"output_tokens\":0,\"total_tokens\":0,"              \
    "\"input_token_details\":{\"text_tokens\":0,\"audio_tokens\":0,"           \
    "\"image_tokens\":0,\"cached_tokens\":0,\"cached_tokens_details\":{"       \
    "\"text_tokens\":0,\"audio_tokens\":0,\"image_tokens\":0}},"               \
    "\"output_token_details\":{\"text_tokens\":0,\"audio_tokens\":0}}"
#define RESPONSE(status, usage)                                                \
    "\"response\":{\"object\":\"realtime.response\",\"status\":\"" status      \
    "\",\"status_details\":null,\"output\":[],\"metadata\":null,"              \
    "\"usage\":" usage "}"
#define ITEM "\"event_id\":\"e\",\"previous_item_id\":null,\"item\":"

static const struct {
    const char *in;
    const char *out; /* NULL: as it is */
} stricts[] = {
    {"{\"type\":\"response.output_audio.delta\",\"event_id\":\"e\"}", NULL},
    {"{\"type\":\"response.output_audio.delta\",\"delta\":\"AA\"}",
     "{\"event_id\":\"new\",\"type\":\"response.output_audio.delta\","
     "\"delta\":\"AA\"}"},
    {" {\"type\":\"input_audio_buffer.cleared\"}",
     "{\"event_id\":\"new\",\"type\":\"input_audio_buffer.cleared\"}"},
    {"{\"type\":\"input_audio_buffer.cleared\",\"event_id\":null}",
     "{\"type\":\"input_audio_buffer.cleared\",\"event_id\":\"new\"}"},
    {"{\"type\":\"input_audio_buffer.cleared\",\"event_id\":7}",
     "{\"type\":\"input_audio_buffer.cleared\",\"event_id\":\"new\"}"},
    {"{\"type\":\"session.updated\",\"event_id\":\"e\",\"session\":{"
     "\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}}}",
     "{\"type\":\"session.updated\",\"event_id\":\"e\",\"session\":{"
     "\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"},\"type\":"
     "\"realtime\",\"object\":\"realtime.session\"}}"},
    {"{\"type\":\"session.created\",\"event_id\":\"e\",\"session\":{\"type\":"
     "\"transcription\"}}",
     "{\"type\":\"session.created\",\"event_id\":\"e\",\"session\":{\"type\":"
     "\"transcription\",\"object\":\"realtime.transcription_session\"}}"},
    {"{\"type\":\"response.created\",\"event_id\":\"e\",\"response\":{}}",
     "{\"type\":\"response.created\",\"event_id\":\"e\"," RESPONSE(
         "in_progress", "null") "}"},
    {"{\"type\":\"response.done\",\"event_id\":\"e\",\"response\":{}}",
     "{\"type\":\"response.done\",\"event_id\":\"e\"," RESPONSE("completed",
                                                                USAGE) "}"},
    {"{\"type\":\"response.done\",\"event_id\":\"e\"," RESPONSE("failed",
                                                                USAGE) "}",
     NULL},
    {"{\"type\":\"conversation.item.added\"," ITEM
     "{\"type\":\"message\",\"role\":\"assistant\"}}",
     "{\"type\":\"conversation.item.added\"," ITEM
     "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[]}}"},
    {"{\"type\":\"conversation.item.added\"," ITEM
     "{\"type\":\"message\",\"content\":[{\"type\":\"input_audio\","
     "\"transcript\":null}]}}",
     NULL},
    {"{\"type\":\"response.output_item.added\",\"event_id\":\"e\",\"item\":{"
     "\"type\":\"function_call\",\"arguments\":null}}",
     "{\"type\":\"response.output_item.added\",\"event_id\":\"e\",\"item\":{"
     "\"type\":\"function_call\",\"arguments\":\"\"}}"},
    {"{\"type\":\"response.content_part.added\",\"event_id\":\"e\",\"part\":{"
     "\"type\":\"output_audio\",\"audio\":null,\"transcript\":null}}",
     "{\"type\":\"response.content_part.added\",\"event_id\":\"e\",\"part\":{"
     "\"type\":\"audio\",\"transcript\":\"\"}}"},
    {"{\"type\":\"response.content_part.done\",\"event_id\":\"e\",\"part\":{"
     "\"type\":\"output_text\",\"text\":\"x\"}}",
     "{\"type\":\"response.content_part.done\",\"event_id\":\"e\",\"part\":{"
     "\"type\":\"text\",\"text\":\"x\"}}"},
    {"{\"type\":\"response.content_part.done\",\"event_id\":\"e\",\"part\":{"
     "\"type\":\"text\",\"text\":\"x\"}}",
     NULL},
    {"{\"type\":\"rate_limits.updated\",\"event_id\":\"e\",\"rate_limits\":[{"
     "\"name\":\"tokens\"},{\"name\":\"seconds\"},{}]}",
     "{\"type\":\"rate_limits.updated\",\"event_id\":\"e\",\"rate_limits\":[{"
     "\"name\":\"tokens\"}]}"},
    {"{\"type\":\"error\",\"event_id\":\"e\",\"error\":\"no\"}",
     "{\"type\":\"error\",\"event_id\":\"e\",\"error\":{\"message\":\"no\","
     "\"type\":\"server_error\",\"code\":null,\"param\":null,\"event_id\":"
     "null}}"},
    {"{\"type\":\"error\",\"event_id\":\"e\",\"error\":{\"type\":\"t\","
     "\"code\":\"c\",\"message\":\"m\",\"param\":null,\"event_id\":\"x\"}}",
     NULL},
};

static void
test_strict(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(stricts) / sizeof(stricts[0]); i++) {
        const char *in = stricts[i].in;
        struct session_event e;
        bool changed;
        assert_int_equal(session_event_open(&e, in, strlen(in)), 0);
        const char *id = session_strict_has_id(&e) ? NULL : "new";
        assert_int_equal(session_strict_apply(&e, id, &changed), 0);
        assert_int_equal(session_event_render(&e), 0);
        assert_string_equal(e.json, stricts[i].out ? stricts[i].out : in);
        assert_int_equal(e.bytes, strlen(e.json));
        if (!stricts[i].out)
            assert_ptr_equal(e.json, in);
        session_event_close(&e);
    }
}

/* Numbers that are there stay; what is not told apart counts as text. */
static void
test_strict_usage(void **state)
{
    static const char in[] =
        "{\"type\":\"response.done\",\"event_id\":\"e\",\"response\":{"
        "\"usage\":{\"input_tokens\":40,\"output_tokens\":20,"
        "\"input_token_details\":{\"audio_tokens\":30},"
        "\"output_token_details\":null}}}";
    struct session_event e;
    bool changed;
    int total, text, audio, cached, out;

    (void) state;
    assert_int_equal(session_event_open(&e, in, strlen(in)), 0);
    assert_int_equal(session_strict_apply(&e, NULL, &changed), 0);
    assert_true(changed);
    assert_int_equal(
        json_unpack(
            session_event_tree(&e), "{s:{s:{s:i,s:{s:i,s:i,s:i},s:{s:i}}}}",
            "response", "usage", "total_tokens", &total, "input_token_details",
            "text_tokens", &text, "audio_tokens", &audio, "cached_tokens",
            &cached, "output_token_details", "text_tokens", &out),
        0);
    assert_int_equal(total, 60);
    assert_int_equal(text, 10);
    assert_int_equal(audio, 30);
    assert_int_equal(cached, 0);
    assert_int_equal(out, 20);
    session_event_close(&e);
}

static void
test_strict_types(void **state)
{
    static const char *const unknown[] = {"conversation.item.created",
                                          "conversation.created",
                                          "ping",
                                          "brand",
                                          "session.update",
                                          "response.audio.delta",
                                          "voice.attached"};
    static const char *const known[] = {
        "session.created",
        "response.done",
        "error",
        "rate_limits.updated",
        "response.mcp_call.completed",
        "output_audio_buffer.cleared",
        "conversation.item.input_audio_transcription.segment"};
    struct session_event e;
    char text[128];

    (void) state;
    for (size_t i = 0; i < 7; i++) {
        snprintf(text, sizeof(text), "{\"type\":\"%s\"}", unknown[i]);
        assert_int_equal(session_event_open(&e, text, strlen(text)), 0);
        assert_true(session_strict_is_unknown(&e));
        snprintf(text, sizeof(text), "{\"type\":\"%s\"}", known[i]);
        assert_int_equal(session_event_open(&e, text, strlen(text)), 0);
        assert_false(session_strict_is_unknown(&e));
    }
}

/* --- scrub */

#define OWN "You are the house's own secret voice."

static const struct {
    const char *update; /* the policy's */
    const char *said;   /* what the client has sent; NULL nothing */
    const char *in;
    const char *out; /* NULL: swallowed */
} scrubs[] = {
    /* instructions */
    {"deny", NULL,
     "{\"type\":\"session.updated\",\"session\":{"
     "\"instructions\":\"" OWN "\"}}",
     "{\"type\":\"session.updated\",\"session\":{\"instructions\":\"\","
     "\"id\":\"s\"}}"},
    {"deny", NULL,
     "{\"type\":\"session.updated\",\"session\":{"
     "\"instructions\":\"altered by the server\",\"id\":\"s\"}}",
     "{\"type\":\"session.updated\",\"session\":{\"instructions\":\"\","
     "\"id\":\"s\"}}"},
    {"merge", NULL,
     "{\"type\":\"session.updated\",\"session\":{"
     "\"instructions\":\"" OWN "\\n\\nBe brief.\","
     "\"id\":\"s\"}}",
     "{\"type\":\"session.updated\",\"session\":{\"instructions\":"
     "\"Be brief.\",\"id\":\"s\"}}"},
    {"merge", NULL,
     "{\"type\":\"session.updated\",\"session\":{"
     "\"instructions\":\"altered " OWN "\",\"id\":\"s\"}}",
     "{\"type\":\"session.updated\",\"session\":{\"instructions\":\"\","
     "\"id\":\"s\"}}"},
    {"allow", NULL,
     "{\"type\":\"session.updated\",\"session\":{"
     "\"instructions\":\"" OWN "\",\"id\":\"s\"}}",
     "{\"type\":\"session.updated\",\"session\":{\"instructions\":\"\","
     "\"id\":\"s\"}}"},
    {"allow", NULL,
     "{\"type\":\"session.updated\",\"session\":{"
     "\"instructions\":\"altered\",\"id\":\"s\"}}",
     "{\"type\":\"session.updated\",\"session\":{\"instructions\":\"\","
     "\"id\":\"s\"}}"},
    {"allow",
     "{\"type\":\"session.update\",\"session\":{\"instructions\":"
     "\"Mine.\"}}",
     "{\"type\":\"session.updated\",\"session\":{\"instructions\":\"Mine.\","
     "\"id\":\"s\"}}",
     "{\"type\":\"session.updated\",\"session\":{\"instructions\":\"Mine.\","
     "\"id\":\"s\"}}"},
    {"allow",
     "{\"type\":\"session.update\",\"session\":{\"instructions\":"
     "\"Mine.\"}}",
     "{\"type\":\"session.updated\",\"session\":{\"instructions\":\"" OWN
     "\",\"id\":\"s\"}}",
     "{\"type\":\"session.updated\",\"session\":{\"instructions\":\"\","
     "\"id\":\"s\"}}"},
    {"deny", NULL,
     "{\"type\":\"response.created\",\"response\":{"
     "\"instructions\":\"" OWN "\",\"tools\":[{\"name\":\"f\"}],"
     "\"tool_choice\":{\"name\":\"f\"},\"prompt\":{\"id\":"
     "\"p\"}}}",
     "{\"type\":\"response.created\",\"response\":{\"instructions\":\"\","
     "\"tools\":[],\"tool_choice\":\"auto\",\"prompt\":null}}"},
    {"merge", NULL,
     "{\"type\":\"response.done\",\"response\":{\"tools\":[{"
     "\"name\":\"f\"}],\"instructions\":\"" OWN "\\n\\nB\"}}",
     "{\"type\":\"response.done\",\"response\":{\"tools\":[{\"name\":\"f\"}],"
     "\"instructions\":\"B\"}}"},
    /* errors that quote */
    {"deny", NULL,
     "{\"type\":\"error\",\"error\":{\"message\":\"Bad: '" OWN "'\"}}",
     "{\"type\":\"error\",\"error\":{\"message\":\"The model refuses "
     "this.\"}}"},
    {"deny", NULL, "{\"type\":\"error\",\"error\":{\"message\":\"Other.\"}}",
     "{\"type\":\"error\",\"error\":{\"message\":\"Other.\"}}"},
    /* the gateway's own items */
    {"allow", NULL,
     "{\"type\":\"conversation.item.added\",\"item\":{\"id\":"
     "\"item_gw_1\"}}",
     NULL},
    {"allow", NULL,
     "{\"type\":\"conversation.item.retrieved\",\"item\":{"
     "\"id\":\"item_gw_1\"}}",
     NULL},
    {"allow", NULL,
     "{\"type\":\"conversation.item.deleted\",\"item_id\":"
     "\"item_gw_1\"}",
     NULL},
    {"allow", NULL,
     "{\"type\":\"conversation.item.added\","
     "\"previous_item_id\":\"item_gw_1\",\"item\":{\"id\":"
     "\"i\"}}",
     "{\"type\":\"conversation.item.added\",\"previous_item_id\":null,"
     "\"item\":{\"id\":\"i\"}}"},
};

static void
scrub_check(size_t i)
{
    char changes[256];
    snprintf(changes, sizeof(changes),
             "{\"client_update\":\"%s\",\"instructions\":\"%s \"}",
             scrubs[i].update, OWN);
    const struct policy *policy = policy_of(changes);
    struct session_scrub s = {.policy = policy, .id = "s"};
    struct session_event e;

    assert_int_equal(session_scrub_open(&s, NULL), 0);
    if (scrubs[i].said) {
        struct realtime_peek said = peek_of(scrubs[i].said);
        session_scrub_said(&s, &said);
    }
    assert_int_equal(session_event_open(&e, scrubs[i].in, strlen(scrubs[i].in)),
                     0);
    enum session_scrub_verdict verdict = session_scrub_look(&s, &e);
    assert_int_equal(verdict == SCRUB_HIDE, scrubs[i].out == NULL);
    if (scrubs[i].out) {
        assert_int_equal(session_event_render(&e), 0);
        assert_string_equal(e.json, scrubs[i].out);
        assert_int_equal(verdict == SCRUB_CHANGED,
                         strcmp(scrubs[i].in, scrubs[i].out) != 0);
    }
    session_event_close(&e);
    session_scrub_deinit(&s);
    policy_put(&policy);
}

static void
test_scrub(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(scrubs) / sizeof(scrubs[0]); i++)
        scrub_check(i);
    policy_cache_clear();
}

/* What is too long to be looked through is not shown. */
static void
test_scrub_long(void **state)
{
    const struct policy *policy =
        policy_of("{\"client_update\":\"deny\",\"instructions\":\"" OWN "\"}");
    struct session_scrub s = {.policy = policy, .id = "s"};
    size_t bytes = 1024 * 1024;
    char *in = malloc(bytes + 64);
    struct session_event e;

    (void) state;
    int head =
        snprintf(in, 64, "{\"type\":\"error\",\"error\":{\"message\":\"");
    memset(in + head, 'x', bytes);
    memcpy(in + head + bytes, "\"}}", sizeof("\"}}"));
    assert_int_equal(session_event_open(&e, in, strlen(in)), 0);
    assert_int_equal(session_scrub_look(&s, &e), SCRUB_CHANGED);
    assert_int_equal(session_event_render(&e), 0);
    assert_string_equal(e.json, "{\"type\":\"error\",\"error\":{"
                                "\"message\":\"The model refuses this.\"}}");
    session_event_close(&e);
    free(in);
    policy_put(&policy);
    policy_cache_clear();
}

/* Under deny the bound session's instructions are the server's too; under
 * allow they are what the client would have sent. */
static void
test_scrub_bound(void **state)
{
    static const char in[] = "{\"type\":\"session.updated\",\"session\":{"
                             "\"instructions\":\"Bound.\",\"id\":\"s\"}}";
    static const struct {
        const char *update;
        const char *shown;
    } table[] = {{"deny", ""}, {"allow", "Bound."}};
    json_t *settings = json_pack("{s:s}", "instructions", "Bound.");

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        char changes[128];
        snprintf(changes, sizeof(changes), "{\"client_update\":\"%s\"}",
                 table[i].update);
        const struct policy *policy = policy_of(changes);
        struct session_scrub s = {.policy = policy, .id = "s"};
        struct session_event e;
        assert_int_equal(session_scrub_open(&s, settings), 0);
        assert_int_equal(session_event_open(&e, in, strlen(in)), 0);
        session_scrub_look(&s, &e);
        const json_t *session =
            json_object_get(session_event_tree(&e), "session");
        assert_string_equal(
            json_string_value(json_object_get(session, "instructions")),
            table[i].shown);
        session_event_close(&e);
        session_scrub_deinit(&s);
        policy_put(&policy);
    }
    json_decref(settings);
    policy_cache_clear();
}

static void
test_hidden_items_up(void **state)
{
    struct session_filters f = {0};
    struct session_filters_out out;
    const struct policy *policy = policy_of("");
    static const char *const texts[] = {
        "{\"type\":\"conversation.item.retrieve\",\"item_id\":\"item_gw_1\"}",
        "{\"type\":\"conversation.item.delete\",\"item_id\":\"item_gw_1\"}",
        "{\"type\":\"conversation.item.delete\",\"item_id\":"
        "\"\\u0069tem_gw_1\"}",
    };

    (void) state;
    session_filters_init(&f, policy, "s");
    for (size_t i = 0; i < 3; i++) {
        const struct realtime_span span = {texts[i], strlen(texts[i])};
        struct realtime_peek peek = peek_of(texts[i]);
        assert_int_equal(session_filters_up(&f, &peek, span, 1, &out),
                         FILTERS_REFUSE);
        assert_string_equal(out.error.param, "item_id");
    }
    session_filters_deinit(&f);
    policy_put(&policy);
    policy_cache_clear();
}

/* A clamped truncate keeps what else the client said. */
static void
test_truncate_up(void **state)
{
    static const char text[] =
        "{\"type\":\"conversation.item.truncate\",\"event_id\":\"c1\","
        "\"item_id\":\"i\",\"content_index\":0,\"audio_end_ms\":900}";
    const struct realtime_span span = {text, sizeof(text) - 1};
    struct realtime_peek peek = peek_of(text);
    struct session_filters_out out;
    const struct policy *policy = policy_of("");
    struct session_filters f = {0};

    (void) state;
    session_filters_init(&f, policy, "s");
    assert_int_equal(session_filters_up(&f, &peek, span, 1, &out),
                     FILTERS_ANSWER);
    json_t *answer = json_loads(out.answer, 0, NULL);
    assert_int_equal(
        json_integer_value(json_object_get(answer, "audio_end_ms")), 900);
    assert_string_equal(json_string_value(json_object_get(answer, "type")),
                        "conversation.item.truncated");
    json_decref(answer);
    play(&f.playback, "i", 6400);
    assert_int_equal(session_filters_up(&f, &peek, span, 1, &out),
                     FILTERS_SEND);
    assert_string_equal(
        out.text.text,
        "{\"type\":\"conversation.item.truncate\",\"event_id\":\"c1\","
        "\"item_id\":\"i\",\"content_index\":0,\"audio_end_ms\":100}");
    assert_int_equal(out.text.bytes, strlen(out.text.text));
    session_filters_deinit(&f);
    policy_put(&policy);
    policy_cache_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_playback),
        cmocka_unit_test(test_playback_formats),
        cmocka_unit_test(test_playback_forgets),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_strict),
        cmocka_unit_test(test_strict_usage),
        cmocka_unit_test(test_strict_types),
        cmocka_unit_test(test_scrub),
        cmocka_unit_test(test_scrub_long),
        cmocka_unit_test(test_scrub_bound),
        cmocka_unit_test(test_hidden_items_up),
        cmocka_unit_test(test_truncate_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

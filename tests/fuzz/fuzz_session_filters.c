/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A session in lines, each a text of the client ('>') or of the model ('<'),
 * through the filters of a session whose policy has something to hide. What
 * reaches the client is JSON, documented, has its event_id, whole usage and
 * nothing that is the server's; what reaches the model is JSON; what waits is
 * within its bounds.
 */

#include "session/session_filters.h"
#include "session/session_strict.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define CHECK(ok)                                                              \
    do {                                                                       \
        if (!(ok))                                                             \
            abort();                                                           \
    } while (0)

#define SECRET "You are the house's secret voice."

static const char policy_text[] =
    "{\"v\":1,\"model\":null,\"models\":[],\"upstream\":[],\"voice\":null,"
    "\"instructions\":\"" SECRET "\",\"vad\":null,\"opus\":null,\"buffer\":"
    "\"balanced\",\"context\":null,\"tools\":[],\"http_tools\":[],"
    "\"transcript\":true,\"transcription\":null,\"client_update\":\"deny\","
    "\"web_app\":false,\"auth_seen\":false}";

static const char *
text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static void
shown_check(const json_t *shown)
{
    if (!json_is_object(shown))
        return;
    CHECK(text_at(shown, "instructions")[0] == 0);
    CHECK(json_array_size(json_object_get(shown, "tools")) == 0);
    CHECK(!json_is_object(json_object_get(shown, "prompt")));
}

static void
usage_check(const json_t *response)
{
    json_t *usage = json_object_get(response, "usage");
    json_int_t n[4];
    json_t *cached;

    CHECK(json_unpack(usage, "{s:I,s:{s:I,s:I,s:o},s:{s:I}}", "total_tokens",
                      &n[0], "input_token_details", "text_tokens", &n[1],
                      "audio_tokens", &n[2], "cached_tokens_details", &cached,
                      "output_token_details", "audio_tokens", &n[3])
          == 0);
}

static void
client_check(const struct session_event *e)
{
    json_t *event = json_loadb(e->json, e->bytes,
                               JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);

    /* A delta passes unread; the peek has found it sound. */
    if (!event) {
        struct realtime_peek peek;
        CHECK(realtime_peek(e->json, e->bytes, &peek) == REALTIME_SOUND);
        CHECK(peek.value[REALTIME_KEY_EVENT_ID].text);
        return;
    }
    CHECK(text_at(event, "type")[0]);
    CHECK(json_string_length(json_object_get(event, "event_id")) > 0);
    CHECK(strncmp(text_at(json_object_get(event, "item"), "id"),
                  SESSION_SCRUB_ITEM, sizeof(SESSION_SCRUB_ITEM) - 1)
              != 0
          || (e->type != REALTIME_ITEM_ADDED && e->type != REALTIME_ITEM_DONE
              && e->type != REALTIME_ITEM_RETRIEVED));
    if (e->type == REALTIME_SESSION_UPDATED
        || e->type == REALTIME_SESSION_CREATED) {
        shown_check(json_object_get(event, "session"));
        CHECK(strcmp(text_at(json_object_get(event, "session"), "id"), "s")
              == 0);
    }
    if (e->type == REALTIME_RESPONSE_DONE
        || e->type == REALTIME_RESPONSE_CREATED)
        shown_check(json_object_get(event, "response"));
    if (e->type == REALTIME_RESPONSE_DONE)
        usage_check(json_object_get(event, "response"));
    if (e->type == REALTIME_ERROR)
        CHECK(!strstr(text_at(json_object_get(event, "error"), "message"),
                      SECRET));
    json_decref(event);
}

static void
model_check(const char *text, size_t bytes)
{
    struct realtime_peek peek;

    CHECK(realtime_peek(text, bytes, &peek) == REALTIME_SOUND);
}

static void
down(struct session_filters *f, const char *text, size_t bytes, uint64_t now)
{
    struct session_event e;
    const char *next;

    if (session_event_open(&e, text, bytes))
        return;
    if (session_filters_down(f, &e, now)) {
        CHECK(session_event_render(&e) == 0);
        client_check(&e);
        session_filters_sent(f, &e);
    }
    session_event_close(&e);
    if ((next = session_filters_next(f, &bytes, now)) != NULL)
        model_check(next, bytes);
}

static void
up(struct session_filters *f, const char *text, size_t bytes, uint64_t now)
{
    const struct realtime_span span = {text, bytes};
    struct session_filters_out out;
    struct realtime_peek peek;
    char *id;

    if (realtime_peek(text, bytes, &peek))
        return;
    switch (session_filters_up(f, &peek, span, now, &out)) {
    case FILTERS_SEND:
        model_check(out.text.text, out.text.bytes);
        break;
    case FILTERS_ANSWER:
        model_check(out.answer, strlen(out.answer));
        break;
    default:
        break;
    }
    while (out.drops && session_filters_drop(f, &id))
        free(id);
    CHECK(f->responses.held <= SESSION_RESPONSES_HELD + 1);
    CHECK(f->responses.held_bytes <= SESSION_RESPONSES_HELD_BYTES);
}

static const struct policy *
policy_once(void)
{
    static const struct policy *policy;
    char error[POLICY_ERROR_BYTES];

    if (!policy)
        CHECK(policy_get(&policy, policy_text, error) == 0);
    return policy;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct session_filters f = {0};
    const char *at = (const char *) data;
    const char *end = at + bytes;

    session_filters_init(&f, policy_once(), "s");
    for (uint64_t now = 1; at < end; now += 500) {
        const char *line = memchr(at, '\n', (size_t) (end - at));
        size_t length = (size_t) ((line ? line : end) - at);
        /* A copy of its own: reading beyond it is seen. */
        char *text = malloc(length + 1);
        memcpy(text, at, length);
        text[length] = 0;
        if (length > 0 && text[0] == '>')
            up(&f, text + 1, length - 1, now);
        else if (length > 0)
            down(&f, text + 1, length - 1, now);
        free(text);
        at += length + 1;
    }
    session_filters_deinit(&f);
    return 0;
}

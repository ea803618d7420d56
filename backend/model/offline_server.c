/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "model/offline_fields.h"
#include "model/offline_hearing.h"
#include "model/offline_responses.h"
#include "model/offline_turn.h"

#include <stdlib.h>
#include <string.h>

struct offline_server {
    struct offline_server_config cfg;
    struct offline_sink sink; /* ours, in front of cfg.sink */
    struct offline_settings *settings;
    struct offline_turn_settings turns;
    struct offline_conversation *conversation;
    struct offline_usage *usage;
    struct offline_turn *turn;
    struct offline_hearings *hearings;
    struct wit *wit;
    struct offline_responses *responses;
    struct loop_timer *kick; /* what waits for the event to be over */
    struct loop_timer *idle;
    bool answer_later; /* a spoken turn ended while a response ran */
    bool audio_made;   /* the voice is locked */
};

typedef int event_h(struct offline_server *s, const json_t *event,
                    struct offline_fault *fault);

/* The grammar is large: a session that never speaks has none. */
static int
need_wit(struct offline_server *s, struct offline_fault *fault)
{
    if (s->wit != NULL) {
        return 0;
    }
    if (wit_create(&s->wit, offline_settings_get(s->settings, "tools")) != 0) {
        return offline_fault_server(fault, "server_error", "Out of memory.");
    }
    offline_turn_set_grammar(s->turn, wit_grammar(s->wit));
    offline_hearings_set_grammar(s->hearings, wit_grammar(s->wit));
    return 0;
}

static void
forget_wit(struct offline_server *s)
{
    offline_turn_set_grammar(s->turn, NULL);
    offline_hearings_set_grammar(s->hearings, NULL);
    wit_destroy(&s->wit);
}

/* --- responses */

static void
sources_fill(const struct offline_server *s,
             struct offline_request_sources *sources)
{
    sources->settings = s->settings;
    sources->conversation = s->conversation;
    sources->parser.format = offline_settings_input_format(s->settings);
    sources->parser.max_audio_bytes = s->cfg.max_append_bytes;
}

static void
arm_idle(struct offline_server *s, uint64_t played_ms)
{
    uint64_t now = clock_now_ms();

    loop_timer_stop(s->idle);
    if (s->turns.idle_ms == 0 || offline_turn_is_speaking(s->turn))
        return;
    loop_timer_start(
        s->idle, (played_ms > now ? played_ms - now : 0) + s->turns.idle_ms, 0);
}

static void respond_to_turn(struct offline_server *s, bool idle);

static void
on_response_done(void *arg, uint64_t played_ms)
{
    struct offline_server *s = arg;

    arm_idle(s, played_ms);
    if (!s->answer_later)
        return;
    s->answer_later = false;
    respond_to_turn(s, false);
}

static int
create_response(struct offline_server *s, const json_t *json, bool idle,
                struct offline_fault *fault)
{
    struct offline_request_sources sources;
    struct offline_request request;
    struct offline_response *r;
    struct offline_item *subject;

    sources_fill(s, &sources);
    if (need_wit(s, fault) != 0
        || offline_request_parse(&request, &sources, json, fault) != 0)
        return UV_EINVAL;
    request.idle = idle;
    r = offline_responses_start(s->responses, &request, fault);
    if (r == NULL)
        return UV_EINVAL;
    subject = offline_response_subject(r);
    if (subject != NULL)
        offline_hearings_ensure(s->hearings, subject);
    loop_timer_stop(s->idle);
    loop_timer_start(s->kick, 0, 0);
    return 0;
}

/* The turn's own response; what hinders it is told like any other error. */
static void
respond_to_turn(struct offline_server *s, bool idle)
{
    struct offline_fault fault;

    if (offline_responses_is_active(s->responses)) {
        s->answer_later = true;
        return;
    }
    if (create_response(s, NULL, idle, &fault) != 0)
        offline_emit_fault(&s->sink, &fault, NULL);
}

static void
on_kick(void *arg)
{
    struct offline_server *s = arg;

    offline_hearings_settle(s->hearings);
    offline_responses_proceed(s->responses, s->wit);
}

/* --- what turn and ears tell */

static void
on_heard(void *arg, struct offline_item *item)
{
    struct offline_server *s = arg;

    offline_conversation_measure(s->conversation, item);
    offline_responses_proceed(s->responses, s->wit);
}

static void
on_speech_started(void *arg)
{
    struct offline_server *s = arg;
    struct offline_fault none;

    loop_timer_stop(s->idle);
    s->answer_later = false;
    if (s->turns.interrupt_response
        && offline_responses_is_active(s->responses))
        offline_responses_cancel(s->responses, NULL, "turn_detected", &none);
}

static void
on_committed(void *arg, struct offline_commit *commit)
{
    struct offline_server *s = arg;
    bool answer =
        commit->by_timeout || (commit->by_voice && s->turns.create_response);
    const json_t *transcription =
        offline_settings_get(s->settings, "audio.input.transcription");

    if (offline_conversation_append(s->conversation, commit->item) != 0) {
        offline_ear_destroy(&commit->ear);
        offline_item_unref(&commit->item);
        return;
    }
    offline_conversation_finish(s->conversation, commit->item);
    if (answer && commit->by_timeout)
        commit->item->hearing = HEARD_DONE;
    else
        offline_hearings_add(s->hearings, commit->item, &commit->ear,
                             transcription);
    offline_item_unref(&commit->item);
    if (answer)
        respond_to_turn(s, commit->by_timeout);
    loop_timer_start(s->kick, 0, 0);
}

static void
on_idle(void *arg)
{
    struct offline_server *s = arg;

    if (!offline_responses_is_active(s->responses)
        && !offline_turn_is_speaking(s->turn))
        offline_turn_time_out(s->turn);
}

/* --- client events */

static int
on_session_update(struct offline_server *s, const json_t *event,
                  struct offline_fault *fault)
{
    const json_t *session = json_object_get(event, "session");

    if (offline_settings_update(s->settings, session, s->audio_made, fault)
        != 0)
        return UV_EINVAL;
    if (json_object_get(session, "tools") != NULL && s->wit != NULL) {
        forget_wit(s);
        if (need_wit(s, fault) != 0) {
            return UV_EIO;
        }
    }
    offline_settings_turn(s->settings, &s->turns);
    offline_turn_configure(s->turn, &s->turns,
                           offline_settings_input_format(s->settings));
    if (s->turns.idle_ms == 0)
        loop_timer_stop(s->idle);
    offline_emit(&s->sink, "session.updated", "{s:O}", "session",
                 offline_settings_session(s->settings));
    return 0;
}

static int
on_append(struct offline_server *s, const json_t *event,
          struct offline_fault *fault)
{
    if (need_wit(s, fault) != 0) {
        return UV_EIO;
    }
    return offline_turn_append(s->turn, json_object_get(event, "audio"), fault);
}

static int
on_commit(struct offline_server *s, const json_t *event,
          struct offline_fault *fault)
{
    (void) event;
    return offline_turn_commit(s->turn, fault);
}

static int
on_clear(struct offline_server *s, const json_t *event,
         struct offline_fault *fault)
{
    (void) event;
    (void) fault;
    offline_turn_clear(s->turn);
    return 0;
}

static int
on_output_clear(struct offline_server *s, const json_t *event,
                struct offline_fault *fault)
{
    (void) s;
    (void) event;
    return offline_fault_set(fault, "invalid_value", "type",
                             "output_audio_buffer.clear is for WebRTC and "
                             "SIP only: a WebSocket client holds its own "
                             "output.");
}

static int
on_item_create(struct offline_server *s, const json_t *event,
               struct offline_fault *fault)
{
    const json_t *previous = json_object_get(event, "previous_item_id");
    struct offline_request_sources sources;
    struct offline_item *item;
    int rc;

    sources_fill(s, &sources);
    rc = offline_item_parse(&item, &sources.parser,
                            json_object_get(event, "item"), "item", fault);
    if (rc != 0)
        return rc;
    rc = offline_conversation_insert(s->conversation, item,
                                     json_string_value(previous), fault);
    offline_item_unref(&item);
    return rc;
}

static const char *
item_id(const json_t *event)
{
    return json_string_value(json_object_get(event, "item_id"));
}

static int
on_item_retrieve(struct offline_server *s, const json_t *event,
                 struct offline_fault *fault)
{
    return offline_conversation_retrieve(s->conversation, item_id(event),
                                         fault);
}

static int
on_item_truncate(struct offline_server *s, const json_t *event,
                 struct offline_fault *fault)
{
    return offline_conversation_truncate(s->conversation, event, fault);
}

static int
on_item_delete(struct offline_server *s, const json_t *event,
               struct offline_fault *fault)
{
    return offline_conversation_delete(s->conversation, item_id(event), fault);
}

static int
on_response_create(struct offline_server *s, const json_t *event,
                   struct offline_fault *fault)
{
    const json_t *response = json_object_get(event, "response");

    if (offline_settings_is_transcription(s->settings))
        return offline_fault_set(fault, "invalid_value", "type",
                                 "A transcription session makes no "
                                 "responses.");
    return create_response(s, json_is_null(response) ? NULL : response, false,
                           fault);
}

static int
on_response_cancel(struct offline_server *s, const json_t *event,
                   struct offline_fault *fault)
{
    const char *id = json_string_value(json_object_get(event, "response_id"));

    return offline_responses_cancel(s->responses, id, "client_cancelled",
                                    fault);
}

/* --- the table */

static const struct event_kind {
    const char *type;
    event_h *handler;
} event_kinds[] = {
    {"input_audio_buffer.append", on_append},
    {"session.update", on_session_update},
    {"input_audio_buffer.commit", on_commit},
    {"input_audio_buffer.clear", on_clear},
    {"output_audio_buffer.clear", on_output_clear},
    {"conversation.item.create", on_item_create},
    {"conversation.item.retrieve", on_item_retrieve},
    {"conversation.item.truncate", on_item_truncate},
    {"conversation.item.delete", on_item_delete},
    {"response.create", on_response_create},
    {"response.cancel", on_response_cancel},
};

#define EVENT_KINDS (sizeof(event_kinds) / sizeof(event_kinds[0]))

static int
event_dispatch(struct offline_server *s, const json_t *event,
               struct offline_fault *fault)
{
    const char *type;

    if (offline_event_check(event, fault) != 0) {
        return UV_EINVAL;
    }
    type = json_string_value(json_object_get(event, "type"));
    for (size_t i = 0; i < EVENT_KINDS; i++) {
        if (strcmp(event_kinds[i].type, type) == 0) {
            return event_kinds[i].handler(s, event, fault);
        }
    }
    return UV_EINVAL; /* the check lets no other type pass */
}

void
offline_server_take(struct offline_server *s, const char *text, size_t bytes)
{
    struct offline_fault fault;
    json_error_t error;
    json_t *event = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    const char *id;

    if (!json_is_object(event)) {
        offline_fault_set(&fault, "invalid_event", NULL,
                          "The event is not a JSON object: %s",
                          event == NULL ? error.text : "another kind of JSON");
        offline_emit_fault(&s->sink, &fault, NULL);
        json_decref(event);
        return;
    }
    id = json_string_value(json_object_get(event, "event_id"));
    if (event_dispatch(s, event, &fault) != 0)
        offline_emit_fault(
            &s->sink, &fault,
            id != NULL && strlen(id) <= OFFLINE_EVENT_ID_MAX ? id : NULL);
    json_decref(event);
}

/* --- life */

static void
on_emit(void *arg, json_t *event)
{
    struct offline_server *s = arg;
    const char *type = json_string_value(json_object_get(event, "type"));

    if (type != NULL && strcmp(type, "response.output_audio.delta") == 0)
        s->audio_made = true;
    s->cfg.sink.emit(s->cfg.sink.arg, event);
}

static int
make_responses(struct offline_server *s)
{
    struct offline_responses_config cfg = {
        .response = {.sink = s->sink,
                     .loop = s->cfg.loop,
                     .speech = s->cfg.speech,
                     .conversation = s->conversation,
                     .usage = s->usage,
                     .audio_pace = s->cfg.audio_pace},
        .on_done = on_response_done,
        .arg = s,
    };

    return offline_responses_create(&s->responses, &cfg);
}

static int
make_parts(struct offline_server *s)
{
    const struct offline_server_config *cfg = &s->cfg;
    struct offline_ear_config ear = {.speech = cfg->speech, .loop = cfg->loop};
    struct offline_settings_config settings = {
        .session_id = cfg->session_id,
        .model = cfg->model,
        .expires_at_s = cfg->expires_at_s,
        .transcription = cfg->transcription,
    };
    struct offline_conversation_config conversation = {
        .sink = s->sink,
        .max_bytes = cfg->max_conversation_bytes,
        .max_items = cfg->max_items,
    };
    struct offline_hearings_config hearings = {
        .sink = s->sink, .ear = ear, .on_heard = on_heard, .arg = s};
    struct offline_turn_config turn = {
        .sink = s->sink,
        .ear = ear,
        .max_append_bytes = cfg->max_append_bytes,
        .max_bytes = cfg->max_input_bytes,
        .on_speech_started = on_speech_started,
        .on_committed = on_committed,
        .arg = s,
    };
    int rc = offline_settings_create(&s->settings, &settings);

    if (rc == 0)
        rc = offline_conversation_create(&s->conversation, &conversation);
    if (rc == 0)
        rc = offline_usage_create(&s->usage);
    if (rc == 0)
        rc = offline_hearings_create(&s->hearings, &hearings);
    turn.conversation = s->conversation;
    if (rc == 0)
        rc = offline_turn_create(&s->turn, &turn);
    if (rc == 0)
        rc = make_responses(s);
    return rc;
}

int
offline_server_create(struct offline_server **sp,
                      const struct offline_server_config *cfg)
{
    struct offline_server *s = calloc(1, sizeof(*s));
    int rc;

    if (s == NULL)
        return UV_ENOMEM;
    s->cfg = *cfg;
    s->sink.emit = on_emit;
    s->sink.arg = s;
    rc = make_parts(s);
    if (rc == 0)
        rc = loop_timer_create(&s->kick, cfg->loop, on_kick, s);
    if (rc == 0)
        rc = loop_timer_create(&s->idle, cfg->loop, on_idle, s);
    if (rc != 0) {
        offline_server_destroy(&s);
        return rc;
    }
    offline_settings_turn(s->settings, &s->turns);
    offline_turn_configure(s->turn, &s->turns, OFFLINE_PCM);
    *sp = s;
    return 0;
}

void
offline_server_destroy(struct offline_server **sp)
{
    struct offline_server *s = *sp;

    *sp = NULL;
    if (s == NULL)
        return;
    offline_responses_destroy(&s->responses);
    loop_timer_destroy(&s->kick);
    loop_timer_destroy(&s->idle);
    offline_turn_destroy(&s->turn);
    offline_hearings_destroy(&s->hearings);
    if (s->conversation != NULL
        && offline_conversation_dropped(s->conversation) > 0)
        LOG(INFO, NULL, "offline_audio_dropped=%llu",
            (unsigned long long) offline_conversation_dropped(s->conversation));
    offline_conversation_destroy(&s->conversation);
    offline_usage_destroy(&s->usage);
    offline_settings_destroy(&s->settings);
    wit_destroy(&s->wit);
    free(s);
}

void
offline_server_greet(struct offline_server *s)
{
    offline_emit(&s->sink, "session.created", "{s:O}", "session",
                 offline_settings_session(s->settings));
}

void
offline_server_pause(struct offline_server *s, bool paused)
{
    offline_responses_pause(s->responses, paused);
}

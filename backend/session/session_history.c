/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   client ─► up ──────┐               ┌─► close_response ─► client
 *                      ▼               │
 *              items · responses · owed ─► replay ─► session_swap ─► new model
 *              settings · microphone   │
 *                      ▲               └─► resume ─────────────────► new model
 *   model ─► down ─────┘
 */

#include "session/session_history.h"

#include "gate/crypto.h"
#include "session/session_history_watch.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define APPEND_MS 200 /* of audio in one append of ours */

int
session_history_create(struct session_history **hp)
{
    struct session_history *h = calloc(1, sizeof(*h));

    if (!h)
        return UV_ENOMEM;
    h->items.max_bytes = SESSION_HISTORY_MAX;
    history_owed_init(&h->owed);
    history_settings_init(&h->settings);
    session_microphone_init(&h->microphone);
    *hp = h;
    return 0;
}

void
session_history_destroy(struct session_history **hp)
{
    struct session_history *h = *hp;

    if (!h)
        return;
    *hp = NULL;
    history_responses_clear(&h->responses);
    history_items_clear(&h->items);
    history_owed_clear(&h->owed);
    history_settings_deinit(&h->settings);
    session_microphone_deinit(&h->microphone);
    free(h);
}

void
session_history_audio(struct session_history *h, struct realtime_span audio)
{
    session_microphone_append(&h->microphone, audio);
}

/* --- what passes */

static const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static void
cancel_note(struct session_history *h, const json_t *event)
{
    const char *id = text_of(event, "response_id");
    struct history_response *response =
        id[0] ? history_responses_find(&h->responses, id)
              : history_responses_main(&h->responses);

    if (response)
        response->cancelled = true;
}

static void
sent_note(struct session_history *h, enum realtime_type type,
          const json_t *event)
{
    if (type == REALTIME_SESSION_UPDATE) {
        history_settings_sent(&h->settings, json_object_get(event, "session"));
    } else if (type == REALTIME_AUDIO_COMMIT) {
        session_microphone_commit(&h->microphone);
    } else if (type == REALTIME_AUDIO_CLEAR) {
        session_microphone_clear(&h->microphone);
        h->speech = false;
    } else if (type == REALTIME_RESPONSE_CREATE) {
        h->beside_sent +=
            strcmp(text_of(json_object_get(event, "response"), "conversation"),
                   "none")
            == 0;
    }
}

static void
watch_up(struct session_history *h, enum realtime_type type, const char *json,
         size_t bytes)
{
    json_t *event;

    switch (type) {
    case REALTIME_SESSION_UPDATE:
    case REALTIME_AUDIO_COMMIT:
    case REALTIME_AUDIO_CLEAR:
    case REALTIME_ITEM_CREATE:
    case REALTIME_ITEM_RETRIEVE:
    case REALTIME_ITEM_TRUNCATE:
    case REALTIME_ITEM_DELETE:
    case REALTIME_RESPONSE_CREATE:
    case REALTIME_RESPONSE_CANCEL:
        break;
    default:
        return;
    }
    event = json_loadb(json, bytes, JSON_ALLOW_NUL, NULL);
    if (!event)
        return;
    if (type == REALTIME_RESPONSE_CANCEL) {
        cancel_note(h, event);
    } else {
        sent_note(h, type, event);
        history_owed_push(&h->owed, type, event, json, bytes);
    }
    json_decref(event);
}

void
session_history_up(struct session_history *h, enum realtime_type type,
                   const char *json, size_t bytes)
{
    watch_up(h, type, json, bytes);
}

bool
session_history_down(struct session_history *h, enum realtime_type type,
                     const char *json, size_t bytes)
{
    return history_watch_down(h, type, json, bytes);
}

/* --- towards the client */

struct teller {
    session_history_emit_h *emit;
    void *arg;
};

static void
on_line(void *arg, const char *id, const char *json, size_t bytes)
{
    const struct teller *teller = arg;

    (void) id;
    teller->emit(teller->arg, json, bytes);
}

static void
truncated_tell(struct session_history *h, const json_t *event,
               struct history_script *script)
{
    const char *id = json_string_value(json_object_get(event, "item_id"));
    json_int_t index =
        json_integer_value(json_object_get(event, "content_index"));
    json_int_t end_ms =
        json_integer_value(json_object_get(event, "audio_end_ms"));
    struct history_item *item = id ? history_items_find(&h->items, id) : NULL;

    if (item && index >= 0 && end_ms >= 0) {
        history_item_truncate(item, (uint64_t) index, (uint64_t) end_ms,
                              h->settings.out_bytes_per_ms);
        history_items_count(&h->items, item);
    }
    history_script_tell(script, json_pack("{s:s, s:s?, s:I, s:I}", "type",
                                          "conversation.item.truncated",
                                          "item_id", id, "content_index", index,
                                          "audio_end_ms", end_ms));
}

static void
span_set(json_t *event, const char *key, struct realtime_span span)
{
    if (span.text)
        json_object_set_new(
            event, key,
            json_loadb(span.text, span.bytes, JSON_DECODE_ANY, NULL));
}

bool
session_history_answers(struct session_history *h,
                        const struct realtime_peek *peek,
                        session_history_emit_h *emit, void *arg)
{
    struct teller teller = {emit, arg};
    struct history_script script;
    const struct history_item *item;
    json_t *event;
    bool answers;

    if (peek->type != REALTIME_ITEM_TRUNCATE)
        return false;
    event = json_object();
    span_set(event, "item_id", peek->value[REALTIME_KEY_ITEM_ID]);
    span_set(event, "content_index", peek->value[REALTIME_KEY_CONTENT_INDEX]);
    span_set(event, "audio_end_ms", peek->value[REALTIME_KEY_AUDIO_END_MS]);
    item = history_items_find(&h->items, text_of(event, "item_id"));
    answers = item && item->replayed;
    if (answers) {
        history_script_init(&script);
        truncated_tell(h, event, &script);
        history_script_run(&script, on_line, &teller);
    }
    json_decref(event);
    return answers;
}

/* What the client wants cut will be text to the next model. */
static void
truncates_close(struct session_history *h, struct history_script *script)
{
    struct history_owed *owed, *next;

    for (owed = h->owed.first; owed; owed = next) {
        next = owed->next;
        if (owed->type != REALTIME_ITEM_TRUNCATE)
            continue;
        json_t *event =
            json_loadb(owed->text, owed->bytes, JSON_ALLOW_NUL, NULL);
        truncated_tell(h, event, script);
        json_decref(event);
        history_owed_take(&h->owed, owed);
        history_owed_free(owed);
    }
}

/* The client's own words, or plain ones. */
static void
response_ask(struct session_history *h, const struct history_owed *request)
{
    char text[128], id[CRYPTO_ID_BYTES];
    json_t *event;

    if (request) {
        watch_up(h, REALTIME_RESPONSE_CREATE, request->text, request->bytes);
        return;
    }
    crypto_id("voice_", id);
    event = json_pack("{s:s, s:s}", "type", "response.create", "event_id", id);
    size_t bytes =
        event ? json_dumpb(event, text, sizeof(text), JSON_COMPACT) : 0;
    json_decref(event);
    if (bytes > 0 && bytes <= sizeof(text))
        watch_up(h, REALTIME_RESPONSE_CREATE, text, bytes);
}

/* Whoever speaks will be answered when he has done. */
static void
response_close(struct session_history *h, struct history_response *response,
               struct history_script *script)
{
    bool again = history_response_close(response, &h->items, script);

    if (again
        && (response->beside
            || (!h->speech && !history_owed_has_response(&h->owed))))
        response_ask(h, response->request);
    history_responses_end(&h->responses, response, &h->items);
}

int
session_history_close_response(struct session_history *h,
                               session_history_emit_h *emit, void *arg)
{
    struct teller teller = {emit, arg};
    struct history_script script;

    history_script_init(&script);
    history_items_close(&h->items, &script);
    truncates_close(h, &script);
    while (h->responses.first)
        response_close(h, h->responses.first, &script);
    return history_script_run(&script, on_line, &teller);
}

/* --- towards the new model */

struct replayer {
    session_history_replay_h *emit;
    void *arg;
};

static void
on_replay_line(void *arg, const char *id, const char *json, size_t bytes)
{
    const struct replayer *replayer = arg;

    replayer->emit(replayer->arg, id, json, bytes);
}

static void
settings_replay(struct session_history *h, struct history_script *script)
{
    bool failed;
    json_t *event = history_settings_event(&h->settings, &failed);

    if (event)
        json_object_set_new(event, "event_id",
                            json_string(SESSION_HISTORY_SETTINGS));
    if (event || failed)
        history_script_add(script, NULL, event);
}

static void
item_replay(struct session_history *h, struct history_item *item,
            struct history_script *script)
{
    const struct voice_memo *held =
        session_microphone_of(&h->microphone, item->id);
    char *audio = held ? session_microphone_text(held) : NULL;
    char id[HISTORY_WIRE_MAX + 1];

    history_wire_id(item->id, id);
    json_t *json = history_item_replay(item, audio);
    free(audio);
    json_t *event =
        json ? json_pack("{s:s, s:s, s:o}", "type", "conversation.item.create",
                         "event_id", id, "item", json)
             : NULL;
    history_script_add(script, id, event);
    item->marked = true;
}

/* The output of a call that stands before it. */
static void
call_replay(struct session_history *h, struct history_item *call,
            struct history_script *script)
{
    const char *call_id = call->call_id ? call->call_id : "";
    struct history_item *before;

    item_replay(h, call, script);
    for (before = h->items.first; before != call; before = before->next)
        if (before->listed && before->kind == HISTORY_OUTPUT && before->call_id
            && strcmp(before->call_id, call_id) == 0) {
            item_replay(h, before, script);
            return;
        }
}

/* Behind its call, and the first one. */
static bool
output_is_due(struct session_history *h, const struct history_item *output)
{
    const char *call_id = output->call_id ? output->call_id : "";
    const struct history_item *call = history_items_call(&h->items, call_id);
    const struct history_item *other = NULL;

    if (!call || !call->marked)
        return false;
    while ((other = history_items_output(&h->items, call_id, other)) != NULL)
        if (other->marked)
            return false;
    return true;
}

static void
any_replay(struct session_history *h, struct history_item *item,
           struct history_script *script)
{
    switch (item->kind) {
    case HISTORY_MESSAGE:
        item_replay(h, item, script);
        break;
    case HISTORY_CALL:
        if (item->arguments_done
            && history_items_call(&h->items, item->call_id ? item->call_id : "")
                   == item)
            call_replay(h, item, script);
        break;
    case HISTORY_OUTPUT:
        if (output_is_due(h, item))
            item_replay(h, item, script);
        break;
    case HISTORY_RAW:
        if (item->text.bytes)
            item_replay(h, item, script);
        break;
    default:
        break;
    }
}

int
session_history_replay(struct session_history *h,
                       session_history_replay_h *emit, void *arg)
{
    struct replayer replayer = {emit, arg};
    struct history_script script;
    struct history_item *item;

    history_script_init(&script);
    settings_replay(h, &script);
    for (item = h->items.first; item; item = item->next)
        item->marked = false;
    for (item = h->items.first; item; item = item->next) {
        if (!item->listed)
            continue;
        any_replay(h, item, &script);
        item->sent = HISTORY_SENT;
    }
    return history_script_run(&script, on_replay_line, &replayer);
}

void
session_history_refused(struct session_history *h, const char *item_id)
{
    struct history_item *item = history_items_find(&h->items, item_id);

    if (item)
        item->sent = HISTORY_REFUSED;
}

/* The new model is the model. */
static void
replay_settle(struct session_history *h)
{
    struct history_item *item, *next;

    for (item = h->items.first; item; item = next) {
        next = item->next;
        if (item->sent == HISTORY_SENT) {
            item->replayed = true;
            item->sent = HISTORY_UNSENT;
        } else if (item->sent == HISTORY_REFUSED) {
            h->refused++;
            history_items_unlist(&h->items, item);
        }
    }
}

static void
audio_append(struct session_history *h, const struct voice_memo *memo,
             struct history_script *script)
{
    size_t most = (size_t) h->microphone.bytes_per_ms * APPEND_MS;
    uint8_t *audio = voice_memo_read(memo);
    size_t all = audio ? voice_memo_bytes(memo) : 0;

    for (size_t at = 0; at < all; at += most) {
        size_t bytes = all - at < most ? all - at : most;
        char *text = session_microphone_base64(audio + at, bytes);
        history_script_add(script, NULL,
                           json_pack("{s:s, s:s}", "type",
                                     "input_audio_buffer.append", "audio",
                                     text));
        free(text);
    }
    free(audio);
}

static const struct history_owed *
last_commit(const struct session_history *h)
{
    const struct history_owed *owed, *last = NULL;

    for (owed = h->owed.first; owed; owed = owed->next)
        if (owed->type == REALTIME_AUDIO_COMMIT)
            last = owed;
    return last;
}

int
session_history_resume(struct session_history *h, session_history_emit_h *emit,
                       void *arg)
{
    struct teller teller = {emit, arg};
    struct history_script script;
    const struct history_owed *owed, *commit = last_commit(h);

    history_script_init(&script);
    replay_settle(h);
    if (h->turn_waits && !h->speech && !history_owed_has_response(&h->owed))
        response_ask(h, NULL);
    for (owed = h->owed.first; owed; owed = owed->next) {
        if (owed == commit && h->microphone.held_is_sent)
            audio_append(h, &h->microphone.held, &script);
        history_script_text(&script, owed->text, owed->bytes);
    }
    audio_append(h, &h->microphone.open, &script);
    h->speech = false; /* until the new model hears it too */
    return history_script_run(&script, on_line, &teller);
}

/* --- questions */

bool
session_history_wants_response(const struct session_history *h)
{
    return history_owed_has_response(&h->owed) || (h->turn_waits && !h->speech);
}

bool
session_history_is_quiet(const struct session_history *h)
{
    const struct history_item *item;

    if (h->responses.first || h->owed.first || h->speech || h->turn_waits)
        return false;
    for (item = h->items.last; item; item = item->prev)
        if (item->listed && item->kind == HISTORY_CALL && item->arguments_done
            && !item->answered)
            return false;
    return true;
}

void
session_history_figures(const struct session_history *h,
                        struct session_history_figures *out)
{
    *out = (struct session_history_figures){
        .items = h->items.count,
        .bytes = h->items.bytes,
        .audio_bytes = voice_memo_bytes(&h->microphone.open)
                       + voice_memo_bytes(&h->microphone.held),
        .dropped = h->items.dropped,
        .refused = h->refused,
    };
}

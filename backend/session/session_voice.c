/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Looks at what passes both ways, and tells the parts: session_voice_up and
 * _down do the audio, session_health says how, session_bargein interrupts.
 */

#include "session/session_voice.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/speech_gate.h"
#include "codec/voice_event.h"
#include "codec/voice_rules.h"
#include "gate/crypto.h"
#include "session/session_bargein.h"
#include "session/session_health.h"
#include "session/session_heard.h"
#include "session/session_voice_down.h"
#include "session/session_turns.h"
#include "session/session_voice_up.h"

#include <stdlib.h>
#include <string.h>

struct session_voice {
    struct session_voice_config cfg;
    const struct session_voice_handlers *handlers;
    void *arg;
    struct session_voice_up *up;
    struct session_voice_down *down;
    struct session_health health;
    struct session_bargein bargein;
    struct session_heard heard;
    struct speech_gate gate;
    uint64_t heard_ms; /* when something was last played */
    bool closed;
    bool unheard; /* an answer has started that no report has reached */
};

/* --- events of ours */

static void
event_send(struct session_voice *v, const char *json, size_t bytes,
           bool passing)
{
    if (!v->closed)
        v->handlers->send_event(v->arg, json, bytes, passing);
}

static void
error_send(struct session_voice *v, const struct realtime_error *error)
{
    char text[REALTIME_ERROR_BYTES], id[CRYPTO_ID_BYTES];

    crypto_id("event_", id);
    event_send(v, text, realtime_error_write(text, id, error), false);
}

static void
buffer_send(struct session_voice *v, enum voice_buffer_event which,
            const char *response_id)
{
    char text[VOICE_EVENT_BYTES], id[CRYPTO_ID_BYTES];

    crypto_id("event_", id);
    event_send(v, text, voice_buffer_write(text, id, which, response_id),
               false);
}

/* --- up */

static void
on_append(void *arg, const char *json, size_t bytes)
{
    struct session_voice *v = arg;

    if (!v->closed)
        v->handlers->on_event(v->arg, json, bytes);
}

static void
on_pcm(void *arg, const int16_t *pcm, size_t samples)
{
    struct session_voice *v = arg;

    speech_gate_push(&v->gate, pcm, samples);
    if (speech_gate_is_open(&v->gate))
        session_bargein_sure(&v->bargein, clock_now_ms());
}

static void
on_up_error(void *arg, const struct realtime_error *error)
{
    error_send(arg, error);
}

void
session_voice_packet(struct session_voice *v, const void *message, size_t bytes)
{
    if (!v->closed)
        session_voice_up_packet(v->up, message, bytes, clock_now_us());
}

bool
session_voice_up_event(struct session_voice *v, const char *json, size_t bytes)
{
    struct realtime_peek peek;
    struct realtime_error error;

    if (v->closed || realtime_peek(json, bytes, &peek))
        return false; /* what is wrong with it is said behind us */
    switch (voice_rules_look(&peek, &error)) {
    case VOICE_RULE_TRUNCATE:
        session_bargein_truncated(&v->bargein,
                                  peek.value[REALTIME_KEY_ITEM_ID]);
        return false;
    case VOICE_RULE_CLEAR:
        session_bargein_clear(&v->bargein, clock_now_ms());
        return true;
    case VOICE_RULE_STATS:
        session_health_report(&v->health, &peek, json, bytes);
        return true;
    case VOICE_RULE_REFUSE:
        error_send(v, &error);
        return true;
    default:
        return false;
    }
}

/* --- down */

static int
on_down_send(void *arg, const uint8_t *message, size_t bytes)
{
    struct session_voice *v = arg;

    return v->closed ? UV_ENOTCONN
                     : v->handlers->send_packet(v->arg, message, bytes);
}

static void
on_down_started(void *arg, const char *response_id)
{
    struct session_voice *v = arg;

    v->unheard = true;
    buffer_send(arg, VOICE_BUFFER_STARTED, response_id);
}

static void
on_down_stopped(void *arg, const char *response_id)
{
    struct session_voice *v = arg;

    v->heard_ms = clock_now_ms();
    buffer_send(arg, VOICE_BUFFER_STOPPED, response_id);
}

static const struct session_voice_down_handlers down_handlers = {
    on_down_send, on_down_started, on_down_stopped};

static unsigned
index_of(struct realtime_span number)
{
    return number.text ? (unsigned) strtoul(number.text, NULL, 10) : 0;
}

static struct session_voice_part
part_of(const struct realtime_peek *peek)
{
    return (struct session_voice_part){
        .response_id = peek->value[REALTIME_KEY_RESPONSE_ID],
        .item_id = peek->value[REALTIME_KEY_ITEM_ID],
        .content_index = index_of(peek->value[REALTIME_KEY_CONTENT_INDEX]),
    };
}

static void
delta_take(struct session_voice *v, const struct realtime_peek *peek)
{
    const struct session_voice_part part = part_of(peek);
    int result = session_voice_down_push(
        v->down, &part, peek->value[REALTIME_KEY_DELTA], clock_now_ms());

    if (!result || result == UV_ECANCELED)
        session_heard_audio(&v->heard, peek);
    else
        LOG_LIMITED(WARN, v->cfg.id, "event=audio_dropped error=\"%s\"",
                    uv_strerror(result));
}

static void
part_done(struct session_voice *v, const struct realtime_peek *peek)
{
    const struct session_voice_part part = part_of(peek);

    session_voice_down_part_done(v->down, &part, clock_now_ms());
}

/* Of a model that names no response in its deltas any end is that of all. */
static void
response_done(struct session_voice *v, const struct realtime_peek *peek)
{
    struct realtime_span told = peek->value[REALTIME_KEY_RESPONSE];
    json_t *response =
        told.text ? json_loadb(told.text, told.bytes, 0, NULL) : NULL;
    char *id = json_dumps(json_object_get(response, "id"), JSON_ENCODE_ANY);

    if (id)
        session_voice_down_response_done(
            v->down, (struct realtime_span){id, strlen(id)}, clock_now_ms());
    session_voice_down_response_done(v->down, (struct realtime_span){0},
                                     clock_now_ms());
    free(id);
    json_decref(response);
}

/* Who finds the end of a turn, and whether speech interrupts. */
static void
session_shown(struct session_voice *v, const struct realtime_peek *peek)
{
    struct realtime_span told = peek->value[REALTIME_KEY_SESSION];
    json_t *session =
        told.text ? json_loadb(told.text, told.bytes, 0, NULL) : NULL;
    json_t *input = json_object_get(json_object_get(session, "audio"), "input");
    json_t *turns = json_object_get(input, "turn_detection");

    if (turns) {
        session_voice_up_set_manual(v->up, json_is_null(turns));
        v->bargein.interrupts =
            !json_is_false(json_object_get(turns, "interrupt_response"));
    }
    json_decref(session);
}

static void
speech_started(struct session_voice *v)
{
    session_voice_up_speech(v->up, true);
    session_bargein_speech(&v->bargein, speech_gate_is_open(&v->gate),
                           clock_now_ms());
}

static void
speech_stopped(struct session_voice *v)
{
    session_voice_up_speech(v->up, false);
    session_bargein_stopped(&v->bargein);
}

/* With what was heard of it. */
static bool
truncated(struct session_voice *v, const struct realtime_peek *peek,
          const char *json, size_t bytes)
{
    char *text = session_heard_truncated(&v->heard, peek, json, bytes);

    if (!text)
        return false;
    event_send(v, text, strlen(text), false);
    free(text);
    return true;
}

static bool
down_event(struct session_voice *v, const struct realtime_peek *peek,
           const char *json, size_t bytes)
{
    switch (peek->type) {
    case REALTIME_OUTPUT_AUDIO_DELTA:
        delta_take(v, peek);
        return true;
    case REALTIME_OUTPUT_TRANSCRIPT_DELTA:
        session_heard_words(&v->heard, peek);
        return false;
    case REALTIME_OUTPUT_AUDIO_DONE:
        part_done(v, peek);
        return false;
    case REALTIME_OUTPUT_ITEM_DONE:
        session_heard_item(&v->heard, peek);
        return false;
    case REALTIME_RESPONSE_DONE:
        response_done(v, peek);
        return false;
    case REALTIME_SPEECH_STARTED:
        speech_started(v);
        return false;
    case REALTIME_SPEECH_STOPPED:
    case REALTIME_AUDIO_COMMITTED:
        speech_stopped(v);
        return false;
    case REALTIME_SESSION_CREATED:
    case REALTIME_SESSION_UPDATED:
        session_shown(v, peek);
        return false;
    case REALTIME_ITEM_TRUNCATED:
        return truncated(v, peek, json, bytes);
    default:
        return false;
    }
}

bool
session_voice_down_event(struct session_voice *v, const char *json,
                         size_t bytes, const struct realtime_peek *peek)
{
    struct realtime_peek own;

    if (v->closed)
        return false;
    if (!peek) {
        if (realtime_peek(json, bytes, &own))
            return false;
        peek = &own;
    }
    return down_event(v, peek, json, bytes);
}

/* --- interruption */

static void
on_cleared(void *arg, const char *clear_id, const char *response_id)
{
    struct session_voice *v = arg;
    char text[VOICE_EVENT_BYTES];

    v->heard_ms = clock_now_ms();
    if (clear_id)
        event_send(v, text, voice_clear_write(text, clear_id), true);
    buffer_send(v, VOICE_BUFFER_CLEARED, response_id);
    speech_gate_forget(&v->gate);
}

static void
on_truncate(void *arg, const struct session_voice_cut *cut, uint64_t heard_ms)
{
    struct session_voice *v = arg;
    char text[VOICE_EVENT_BYTES];
    size_t bytes =
        voice_truncate_write(text, cut->item_id, cut->content_index, heard_ms);

    LOG(INFO, v->cfg.id,
        "event=interrupted heard_ms=%llu sent_ms=%llu made_ms=%llu",
        (unsigned long long) heard_ms, (unsigned long long) cut->sent_ms,
        (unsigned long long) cut->total_ms);
    if (!v->closed)
        v->handlers->on_event(v->arg, text, bytes);
}

static const struct session_bargein_handlers bargein_handlers = {on_cleared,
                                                                 on_truncate};

/* --- the connection */

static void
on_health_send(void *arg, const char *json, size_t bytes)
{
    event_send(arg, json, bytes, true);
}

static void
on_health_error(void *arg, const struct realtime_error *error)
{
    error_send(arg, error);
}

/* The report was half a round trip on its way. */
static void
answer_hear(struct session_voice *v, uint64_t place_ms, uint64_t now_ms)
{
    uint64_t begun_ms = session_voice_down_begun_ms(v->down);
    uint64_t ago_ms = session_health_rtt_ms(&v->health) / 2;

    if (!v->unheard || place_ms <= begun_ms)
        return;
    v->unheard = false;
    ago_ms += place_ms - begun_ms;
    if (v->cfg.turns && ago_ms < now_ms)
        session_turns_heard(v->cfg.turns, (now_ms - ago_ms) * 1000);
}

static void
on_health_played(void *arg, uint64_t place_ms, const char *reply_to,
                 uint64_t now_ms)
{
    struct session_voice *v = arg;

    session_voice_down_played(v->down, place_ms, now_ms);
    answer_hear(v, place_ms, now_ms);
    if (v->cfg.turns && v->health.rtt_ms)
        session_turns_path(v->cfg.turns, v->health.rtt_ms * 1000,
                           v->health.target_ms * 1000);
    session_bargein_report(&v->bargein, place_ms, reply_to, now_ms);
}

static const struct session_health_handlers health_handlers = {
    on_health_send, on_health_error, on_health_played};

void
session_voice_rtt(struct session_voice *v, uint32_t rtt_us)
{
    if (!v->closed)
        session_health_rtt(&v->health, rtt_us / 1000.0);
}

void
session_voice_attached(struct session_voice *v, const char *token)
{
    const struct voice_session_told told = {
        .session_id = v->cfg.id,
        .resume_token = token,
        .resume_grace_ms = token ? v->cfg.resume_grace_ms : 0,
    };

    if (v->closed)
        return;
    session_health_start(&v->health, &told);
    session_voice_up_restart(v->up);
    /* the one before may be there still, and take no more */
    session_voice_down_pause(v->down, true, clock_now_ms());
}

void
session_voice_begin(struct session_voice *v)
{
    if (!v->closed)
        session_voice_down_pause(v->down, false, clock_now_ms());
}

void
session_voice_detached(struct session_voice *v)
{
    session_health_stop(&v->health);
    session_voice_down_pause(v->down, true, clock_now_ms());
}

void
session_voice_writable(struct session_voice *v)
{
    if (!v->closed)
        session_voice_down_resume(v->down, clock_now_ms());
}

void
session_voice_pause(struct session_voice *v, bool paused)
{
    if (!v->closed)
        session_voice_up_pause(v->up, paused);
}

/* --- life */

/* Who asks for no least length of speech needs no detector. */
static int
up_open(struct session_voice *v)
{
    static const struct session_voice_up_handlers plain = {
        .on_append = on_append, .on_error = on_up_error};
    static const struct session_voice_up_handlers gated = {
        .on_append = on_append, .on_pcm = on_pcm, .on_error = on_up_error};
    const struct policy *policy = v->cfg.policy;
    const struct speech_gate_config gate = {
        .threshold = policy->vad.threshold,
        .need_ms = policy->vad.min_speech_ms,
    };
    const struct session_voice_up_config cfg = {
        .loop = v->cfg.loop,
        .id = v->cfg.id,
    };

    speech_gate_init(&v->gate, &gate);
    return session_voice_up_create(&v->up, &cfg, gate.need_ms ? &gated : &plain,
                                   v);
}

static int
down_open(struct session_voice *v)
{
    const struct session_voice_down_config cfg = {
        .loop = v->cfg.loop,
        .id = v->cfg.id,
        .opus = session_health_settings(&v->health),
        .target_ms = v->health.target_ms,
    };

    return session_voice_down_create(&v->down, &cfg, &down_handlers, v);
}

static int
health_open(struct session_voice *v)
{
    v->health.id = v->cfg.id;
    v->health.figures = v->cfg.figures;
    v->health.policy = v->cfg.policy;
    v->health.handlers = &health_handlers;
    v->health.arg = v;
    return session_health_init(&v->health, v->cfg.loop);
}

static int
bargein_open(struct session_voice *v)
{
    v->bargein.down = v->down;
    v->bargein.health = &v->health;
    v->bargein.handlers = &bargein_handlers;
    v->bargein.arg = v;
    return session_bargein_init(&v->bargein, v->cfg.loop);
}

int
session_voice_create(struct session_voice **vp,
                     const struct session_voice_config *cfg,
                     const struct session_voice_handlers *handlers, void *arg)
{
    struct session_voice *v = calloc(1, sizeof(*v));

    if (!v)
        return UV_ENOMEM;
    v->cfg = *cfg;
    v->handlers = handlers;
    v->arg = arg;
    session_heard_init(&v->heard);
    int result = health_open(v);
    if (!result)
        result = up_open(v);
    if (!result)
        result = down_open(v);
    if (!result)
        result = bargein_open(v);
    v->health.up = v->up;
    v->health.down = v->down;
    if (result)
        session_voice_destroy(&v);
    else
        *vp = v;
    return result;
}

void
session_voice_close(struct session_voice *v)
{
    v->closed = true;
    session_bargein_deinit(&v->bargein);
    session_health_deinit(&v->health);
    if (v->down)
        session_voice_down_pause(v->down, true, clock_now_ms());
    if (v->up)
        session_voice_up_pause(v->up, true);
}

void
session_voice_destroy(struct session_voice **vp)
{
    struct session_voice *v = *vp;

    if (!v)
        return;
    *vp = NULL;
    session_voice_close(v);
    session_voice_down_destroy(&v->down);
    session_voice_up_destroy(&v->up);
    session_heard_deinit(&v->heard);
    free(v);
}

void
session_voice_get_figures(const struct session_voice *v,
                          struct session_voice_figures *out)
{
    struct session_voice_down_counts down;
    struct session_voice_up_stats up;

    session_voice_down_get_counts(v->down, &down);
    session_voice_up_get_stats(v->up, &up);
    *out = (struct session_voice_figures){
        .up_packets = up.packets,
        .up_lost = up.lost,
        .up_refused = up.refused,
        .down_packets = down.packets,
        .down_dropped = down.dropped_packets,
        .interruptions = v->bargein.count,
        .quality = session_health_level(&v->health),
    };
}

uint64_t
session_voice_heard_ms(const struct session_voice *v)
{
    uint64_t now_ms = clock_now_ms();

    return session_voice_down_is_heard(v->down, now_ms) ? now_ms : v->heard_ms;
}

unsigned
session_voice_buffer_ms(const struct session_voice *v)
{
    return v->health.target_ms;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   audio and marks, in the order they passed ─► records of the loop's desk
 *   desk ─(pool)─► on_measure ─► meter
 *        ─(loop)─► on_done ─► turn_tell ─► log, sum, counters
 */

#include "session/session_levels.h"

#include "base/log.h"
#include "base/metrics.h"
#include "session/level_desk.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USER_SLOTS    512 /* 20 s: a client may send faster than it speaks */
#define ANSWER_SLOTS  1   /* begins and ends are told at their places */
#define QUIET_DBFS    (-45.0)
#define CLIPPED_SHARE 1000 /* one sample of so many is too many */

enum record_kind {
    RECORD_AUDIO,   /* base64 follows */
    RECORD_LOST,    /* value: characters that are not here */
    RECORD_BEGIN,   /* value: ms */
    RECORD_RESTART, /* nothing before belongs to what comes */
    RECORD_MARK,    /* the client's commit: the turn ends here if it is taken */
    RECORD_MARK_DROP,
    RECORD_CUT,
    RECORD_END, /* value: ms; room for a level_turn follows, as below */
    RECORD_END_NOW,
    RECORD_END_MARK
};

/* --- counters */

enum judgement { TURN_GOOD, TURN_QUIET, TURN_CLIPPED, JUDGEMENTS };

static struct metric *turn_metrics[LEVELS_SIDES][JUDGEMENTS];
static struct metric *skipped_metric;

static void
metrics_make(void)
{
    static const char *const who[] = {"user", "assistant"};
    static const char *const level[] = {"good", "quiet", "clipped"};

    for (unsigned i = 0; i < LEVELS_SIDES; i++) {
        for (unsigned j = 0; j < JUDGEMENTS; j++) {
            char name[96];
            snprintf(name, sizeof(name),
                     "voiced_turns_total{who=\"%s\",level=\"%s\"}", who[i],
                     level[j]);
            turn_metrics[i][j] = metric_register(
                METRIC_COUNTER, name, "Spoken turns by their level.");
        }
    }
    skipped_metric = metric_register(
        METRIC_COUNTER, "voiced_levels_skipped_total",
        "Events of audio whose level was not measured: too much waited.");
}

static void
metrics_need(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, metrics_make);
}

static enum judgement
turn_judge(const struct audio_level *level)
{
    if (level->clipped * CLIPPED_SHARE > level->samples)
        return TURN_CLIPPED;
    return audio_level_rms_dbfs(level) < QUIET_DBFS ? TURN_QUIET : TURN_GOOD;
}

/* --- on the pool */

static size_t
text_unescape(char *text, size_t chars)
{
    size_t n = 0;

    for (size_t i = 0; i < chars; i++)
        if (text[i] != '\\')
            text[n++] = text[i];
    return n;
}

/* Some writers of JSON escape '/'. What is no base64 then either the model
 * refuses as well. */
static void
audio_measure(struct level_meter *m, struct level_record *r)
{
    char *text = level_record_data(r);
    size_t taken = level_meter_push(m, r->format, text, r->bytes);
    size_t left = r->bytes - taken;

    if (left > 0)
        level_meter_push(m, r->format, text + taken,
                         text_unescape(text + taken, left));
}

static void
on_measure(struct level_record *r)
{
    const struct session_levels *l = r->owner;
    struct level_meter *m = l->side[r->side].meter;

    switch (r->kind) {
    case RECORD_AUDIO:
        audio_measure(m, r);
        break;
    case RECORD_LOST:
        level_meter_skip(m, r->format, r->value);
        break;
    case RECORD_BEGIN:
        level_meter_begin(m, r->value);
        break;
    case RECORD_RESTART:
        level_meter_restart(m);
        break;
    case RECORD_MARK:
        level_meter_mark(m);
        break;
    case RECORD_MARK_DROP:
        level_meter_mark_drop(m);
        break;
    case RECORD_CUT:
        level_meter_end(m, level_meter_now_ms(m), &(struct level_turn){0});
        break;
    case RECORD_END:
        level_meter_end(m, r->value, level_record_data(r));
        break;
    case RECORD_END_NOW:
        level_meter_end(m, level_meter_now_ms(m), level_record_data(r));
        break;
    default:
        level_meter_end_mark(m, level_record_data(r));
    }
}

/* --- on the loop */

static void
turn_tell(struct session_levels *l, enum session_levels_who who,
          const struct level_turn *turn)
{
    const struct audio_level *level = &turn->level;
    struct session_levels_sum *sum = &l->sum[who];

    if (level->samples == 0)
        return;
    audio_level_merge(&sum->level, level);
    sum->ms += turn->ms;
    sum->turns++;
    metric_add(turn_metrics[who][turn_judge(level)], 1);
    LOG(INFO, l->id,
        "event=turn who=%s ms=%" PRIu64 " rms_dbfs=%.1f peak_dbfs=%.1f"
        " clipped=%" PRIu64,
        who == LEVELS_USER ? "user" : "assistant", turn->ms,
        audio_level_rms_dbfs(level), audio_level_peak_dbfs(level),
        level->clipped);
}

static void
gone_check(struct session_levels *l)
{
    if (!l->closed || l->under_way > 0)
        return;
    for (unsigned i = 0; i < LEVELS_SIDES; i++)
        level_meter_destroy(&l->side[i].meter);
    if (l->uses_desk)
        level_desk_unref();
    l->on_gone(l->arg);
}

static void
on_done(struct level_record *r)
{
    struct session_levels *l = r->owner;

    if (r->kind >= RECORD_END)
        turn_tell(l, r->side, level_record_data(r));
    l->under_way--;
    gone_check(l);
}

static const struct level_desk_handlers desk_handlers = {on_measure, on_done};

static bool
desk_add(struct session_levels *l, enum session_levels_who who,
         struct level_record *r, const void *data)
{
    r->handlers = &desk_handlers;
    r->owner = l;
    r->side = (uint8_t) who;
    r->format = (uint8_t) l->side[who].format;
    if (!level_desk_add(l->loop, r, data))
        return false;
    l->under_way++;
    return true;
}

/* False: there is no room for it, and it is forgotten. What was lost before
 * has its place before it. */
static bool
record_add(struct session_levels *l, enum session_levels_who who,
           struct level_record *r, const void *data)
{
    struct session_levels_side *side = &l->side[who];
    struct level_record lost = {.kind = RECORD_LOST, .value = side->lost_chars};

    if (!side->meter)
        return false;
    if (side->lost_chars > 0 && desk_add(l, who, &lost, NULL))
        side->lost_chars = 0;
    return desk_add(l, who, r, data);
}

static void
mark_add(struct session_levels *l, enum session_levels_who who,
         enum record_kind kind, uint64_t value)
{
    struct level_record r = {.kind = kind, .value = value};

    record_add(l, who, &r, NULL);
}

/* The turn is over: it is measured at once. */
static void
turn_end(struct session_levels *l, enum session_levels_who who,
         enum record_kind kind, uint64_t value)
{
    struct level_record r = {
        .kind = kind, .value = value, .bytes = sizeof(struct level_turn)};

    if (record_add(l, who, &r, NULL))
        level_desk_flush(l->loop);
}

static void
meter_make(struct session_levels *l, enum session_levels_who who)
{
    metrics_need();
    if (!l->uses_desk)
        level_desk_ref();
    l->uses_desk = true;
    /* Without memory: the next event tries again. */
    level_meter_create(&l->side[who].meter,
                       who == LEVELS_USER ? USER_SLOTS : ANSWER_SLOTS);
}

/* What passes and can't be copied is at least counted. */
static void
audio_lose(struct session_levels *l, enum session_levels_who who, size_t chars)
{
    metric_add(skipped_metric, 1);
    l->side[who].lost_chars += chars;
}

/* Base64 with its quotes. */
static void
audio_add(struct session_levels *l, enum session_levels_who who,
          struct realtime_span audio)
{
    if (!audio.text || audio.bytes <= 2 || audio.text[0] != '"')
        return;
    if (!l->side[who].meter)
        meter_make(l, who);
    struct level_record r = {.kind = RECORD_AUDIO,
                             .bytes = (uint32_t) (audio.bytes - 2)};
    if (audio.bytes - 2 > SESSION_LEVELS_PIECE
        || !record_add(l, who, &r, audio.text + 1))
        audio_lose(l, who, audio.bytes - 2);
}

/* --- what passes */

void
session_levels_init(struct session_levels *l, struct loop *loop, const char *id)
{
    l->loop = loop;
    l->id = id;
}

void
session_levels_up(struct session_levels *l, const struct realtime_peek *peek)
{
    if (l->closed)
        return;
    if (peek->type == REALTIME_AUDIO_APPEND)
        audio_add(l, LEVELS_USER, peek->value[REALTIME_KEY_AUDIO]);
    else if (peek->type == REALTIME_AUDIO_COMMIT)
        mark_add(l, LEVELS_USER, RECORD_MARK, 0);
    else if (peek->type == REALTIME_AUDIO_CLEAR)
        mark_add(l, LEVELS_USER, RECORD_CUT, 0);
}

/* "?" when there is none, or a strange one. */
static void
id_read(struct realtime_span span, char out[SESSION_LEVELS_ID])
{
    size_t bytes = span.text && span.bytes > 2 ? span.bytes - 2 : 0;

    if (bytes == 0 || bytes >= SESSION_LEVELS_ID) {
        memcpy(out, "?", 2);
        return;
    }
    memcpy(out, span.text + 1, bytes);
    out[bytes] = 0;
}

static void
answer_end(struct session_levels *l)
{
    if (!l->answer[0])
        return;
    l->answer[0] = 0;
    turn_end(l, LEVELS_ASSISTANT, RECORD_END_NOW, 0);
}

void
session_levels_sent(struct session_levels *l, const struct realtime_peek *delta)
{
    char id[SESSION_LEVELS_ID];

    if (l->closed)
        return;
    id_read(delta->value[REALTIME_KEY_RESPONSE_ID], id);
    if (l->answer[0] && strcmp(l->answer, id) != 0) {
        if (!l->answer_is_old)
            return;
        answer_end(l);
    }
    if (!l->answer[0]) {
        memcpy(l->answer, id, sizeof(id));
        l->answer_is_old = false;
        mark_add(l, LEVELS_ASSISTANT, RECORD_RESTART, 0);
    }
    audio_add(l, LEVELS_ASSISTANT, delta->value[REALTIME_KEY_DELTA]);
}

/* A session or a response as the model shows it. */
static void
format_read(struct session_levels *l, enum session_levels_who who,
            const json_t *shown)
{
    struct session_levels_side *side = &l->side[who];
    const json_t *direction =
        json_object_get(json_object_get(shown, "audio"),
                        who == LEVELS_USER ? "input" : "output");
    const char *type = json_string_value(
        json_object_get(json_object_get(direction, "format"), "type"));
    enum level_format format = LEVEL_PCM;

    if (!type)
        return;
    if (strcmp(type, "audio/pcmu") == 0)
        format = LEVEL_ULAW;
    else if (strcmp(type, "audio/pcma") == 0)
        format = LEVEL_ALAW;
    side->format = format;
}

static void
session_shown(struct session_levels *l, struct session_event *e)
{
    const json_t *session = json_object_get(session_event_tree(e), "session");

    format_read(l, LEVELS_USER, session);
    format_read(l, LEVELS_ASSISTANT, session);
}

/* A place in the user's audio; one that is missing or strange can't be. */
static uint64_t
place_read(struct session_event *e, const char *key)
{
    const json_t *ms = json_object_get(session_event_tree(e), key);
    double value = json_number_value(ms);

    return json_is_number(ms) && value >= 0 && value < 1e15 ? (uint64_t) value
                                                            : UINT64_MAX;
}

static void
speech_started(struct session_levels *l, struct session_event *e)
{
    l->speaking = true;
    mark_add(l, LEVELS_USER, RECORD_BEGIN, place_read(e, "audio_start_ms"));
}

static void
speech_stopped(struct session_levels *l, struct session_event *e)
{
    l->speaking = false;
    l->told = true;
    turn_end(l, LEVELS_USER, RECORD_END, place_read(e, "audio_end_ms"));
}

/* Of a turn that the model has ended by itself, or of one by hand. */
static void
committed(struct session_levels *l)
{
    if (!l->told)
        turn_end(l, LEVELS_USER, RECORD_END_MARK, 0);
    l->told = false;
    l->speaking = false;
}

/* A commit that was refused ends nothing. */
static void
refused(struct session_levels *l, struct session_event *e)
{
    const json_t *error = json_object_get(session_event_tree(e), "error");
    const char *code = json_string_value(json_object_get(error, "code"));
    static const char commit[] = "input_audio_buffer_commit";

    if (code && strncmp(code, commit, sizeof(commit) - 1) == 0)
        mark_add(l, LEVELS_USER, RECORD_MARK_DROP, 0);
}

static void
response_created(struct session_levels *l, struct session_event *e)
{
    l->answer_is_old = true;
    format_read(l, LEVELS_ASSISTANT,
                json_object_get(session_event_tree(e), "response"));
}

static void
response_done(struct session_levels *l, struct session_event *e)
{
    const json_t *response = json_object_get(session_event_tree(e), "response");
    const char *id = json_string_value(json_object_get(response, "id"));

    if (id && strcmp(id, l->answer) == 0)
        answer_end(l);
}

void
session_levels_down(struct session_levels *l, struct session_event *e)
{
    if (l->closed)
        return;
    switch (e->type) {
    case REALTIME_SESSION_CREATED:
    case REALTIME_SESSION_UPDATED:
        session_shown(l, e);
        break;
    case REALTIME_SPEECH_STARTED:
        speech_started(l, e);
        break;
    case REALTIME_SPEECH_STOPPED:
        speech_stopped(l, e);
        break;
    case REALTIME_AUDIO_TIMEOUT: /* its commit is of silence */
        l->told = true;
        break;
    case REALTIME_AUDIO_COMMITTED:
        committed(l);
        break;
    case REALTIME_ERROR:
        refused(l, e);
        break;
    case REALTIME_RESPONSE_CREATED:
        response_created(l, e);
        break;
    case REALTIME_RESPONSE_DONE:
        response_done(l, e);
        break;
    default:
        break;
    }
}

/* --- the end */

void
session_levels_close(struct session_levels *l, void (*on_gone)(void *arg),
                     void *arg)
{
    answer_end(l);
    if (l->speaking)
        turn_end(l, LEVELS_USER, RECORD_END, UINT64_MAX);
    l->on_gone = on_gone;
    l->arg = arg;
    l->closed = true;
    if (l->under_way > 0)
        level_desk_flush(l->loop);
    gone_check(l);
}

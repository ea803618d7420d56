/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_turns.h"

#include "codec/arrival_marks.h"
#include "session/session_turns_told.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_BYTES          48
#define PCM_BYTES_PER_MS  48 /* 24 kHz, 16 bits */
#define G711_BYTES_PER_MS 8
#define SILENCE_MS        500 /* the API's default */
#define SILENCE_UNKNOWN   UINT16_MAX
#define MS_DIGITS_MAX     9

/* What was said or asked for, as long as nothing has answered it; 0: not. */
struct turn {
    uint64_t speech_end_us; /* the user fell silent */
    uint64_t end_us;        /* of what was spoken: the model was told so */
    uint64_t asked_us;      /* the model was to respond from then on */
};

enum answer_phase { ANSWER_NONE, ANSWER_OPEN, ANSWER_OVER };

struct answer {
    struct turn turn;
    uint64_t created_us, sent_us, heard_us;
    uint32_t up_us, down_us;
    enum answer_phase phase;
    enum turns_output first; /* what came first */
    bool has_call, interrupted, is_measured;
    char id[ID_BYTES];
};

struct session_turns_book {
    struct arrival_marks marks;
    uint64_t audio_bytes; /* of the user's, as 24 kHz PCM */
    struct turn turn;
    struct answer answer;
    uint64_t arrived_us; /* of the output on its way to the client; 0 none */
    bool arrived_audio;
    uint32_t took_us; /* of the client's last message */
    uint32_t responses, voices, firsts, measured;
    uint64_t voice_us, first_us, gateway_us; /* sums */
};

static struct session_turns_book *
book_make(struct session_turns *turns)
{
    if (!turns->book)
        turns->book = calloc(1, sizeof(*turns->book));
    return turns->book;
}

/* --- what the client says */

/* Of base64 in quotes, padded or not. */
static uint64_t
audio_bytes(struct realtime_span span)
{
    size_t chars = span.bytes < 2 ? 0 : span.bytes - 2;

    while (chars > 0 && span.text[chars] == '=')
        chars--;
    return (uint64_t) chars * 3 / 4;
}

static void
audio_note(struct session_turns *turns, struct session_turns_book *t,
           struct realtime_span audio, uint64_t now_us)
{
    unsigned a_ms =
        turns->bytes_per_ms ? turns->bytes_per_ms : PCM_BYTES_PER_MS;

    t->audio_bytes += audio_bytes(audio) * (PCM_BYTES_PER_MS / a_ms);
    arrival_marks_note(&t->marks,
                       (uint32_t) (t->audio_bytes / PCM_BYTES_PER_MS), now_us);
}

void
session_turns_up(struct session_turns *turns, const struct realtime_peek *peek,
                 uint64_t now_us)
{
    struct session_turns_book *t;

    if (peek->type != REALTIME_AUDIO_APPEND
        && peek->type != REALTIME_AUDIO_COMMIT
        && peek->type != REALTIME_RESPONSE_CREATE)
        return;
    t = book_make(turns);
    if (!t)
        return;
    if (peek->type == REALTIME_AUDIO_APPEND)
        audio_note(turns, t, peek->value[REALTIME_KEY_AUDIO], now_us);
    else if (peek->type == REALTIME_AUDIO_COMMIT)
        t->turn = (struct turn){now_us, now_us, now_us};
    else
        t->turn.asked_us = now_us;
}

void
session_turns_took(struct session_turns *turns, uint64_t took_us)
{
    if (turns->book)
        turns->book->took_us =
            took_us > UINT32_MAX ? UINT32_MAX : (uint32_t) took_us;
}

void
session_turns_path(struct session_turns *turns, uint32_t rtt_us,
                   uint32_t buffer_us)
{
    turns->rtt_us = rtt_us;
    turns->buffer_us = buffer_us;
}

/* --- the session's settings */

static void
silence_read(struct session_turns *turns, const json_t *detection)
{
    const char *type = json_string_value(json_object_get(detection, "type"));
    const json_t *silence = json_object_get(detection, "silence_duration_ms");
    json_int_t ms = json_integer_value(silence);

    if (type && strcmp(type, "server_vad") != 0)
        turns->silence_ms = SILENCE_UNKNOWN;
    else if (ms > 0 && ms < SILENCE_UNKNOWN)
        turns->silence_ms = (uint16_t) ms;
    else if (type)
        turns->silence_ms = SILENCE_MS;
}

static void
settings_read(struct session_turns *turns, struct session_event *e)
{
    const json_t *session = json_object_get(session_event_tree(e), "session");
    const json_t *input =
        json_object_get(json_object_get(session, "audio"), "input");
    const char *format = json_string_value(
        json_object_get(json_object_get(input, "format"), "type"));

    if (format)
        turns->bytes_per_ms = strcmp(format, "audio/pcm") != 0
                                  ? G711_BYTES_PER_MS
                                  : PCM_BYTES_PER_MS;
    silence_read(turns, json_object_get(input, "turn_detection"));
}

/* --- a turn ends */

/* A whole number that is not negative and not beyond a life; else false. */
static bool
ms_read(struct realtime_span span, uint32_t *out)
{
    uint32_t value = 0;

    if (!span.text || span.bytes == 0 || span.bytes > MS_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < span.bytes; i++) {
        if (span.text[i] < '0' || span.text[i] > '9')
            return false;
        value = value * 10 + (uint32_t) (span.text[i] - '0');
    }
    *out = value;
    return true;
}

/* The user had fallen silent when the silence that told the model began. */
static uint64_t
speech_end(const struct session_turns *turns,
           const struct session_turns_book *t, uint32_t end_ms,
           uint64_t came_us)
{
    uint32_t silence_ms = turns->silence_ms ? turns->silence_ms : SILENCE_MS;

    if (silence_ms == SILENCE_UNKNOWN || silence_ms > end_ms)
        return 0;
    uint64_t end_us = arrival_marks_when(&t->marks, end_ms - silence_ms);
    if (end_us)
        return end_us;
    uint64_t silence_us = (uint64_t) silence_ms * 1000;
    return came_us > silence_us ? came_us - silence_us : 0;
}

/* audio_end_ms counts all audio of the session, that silence with it. */
static void
speech_stopped(const struct session_turns *turns, struct session_turns_book *t,
               const struct session_event *e, uint64_t now_us)
{
    uint32_t end_ms;

    t->turn = (struct turn){.end_us = now_us, .asked_us = now_us};
    if (!ms_read(e->peek.value[REALTIME_KEY_AUDIO_END_MS], &end_ms))
        return;
    uint64_t came_us = arrival_marks_when(&t->marks, end_ms);
    if (!came_us || came_us > now_us)
        return;
    session_turns_told_vad(now_us - came_us);
    t->turn.speech_end_us = speech_end(turns, t, end_ms, came_us);
}

/* --- its answer */

static void
voice_tell(const struct session_turns_book *t, bool heard, uint64_t at_us)
{
    const struct answer *a = &t->answer;
    struct session_turns_voice voice = {.heard = heard,
                                        .interrupted = a->interrupted};

    if (at_us >= a->turn.end_us)
        session_turns_told_voice(voice, at_us - a->turn.end_us);
    voice.from_speech_end = true;
    if (a->turn.speech_end_us && at_us >= a->turn.speech_end_us)
        session_turns_told_voice(voice, at_us - a->turn.speech_end_us);
}

static void
voice_sum(struct session_turns_book *t)
{
    const struct turn *turn = &t->answer.turn;

    t->voices++;
    t->voice_us += t->answer.sent_us
                   - (turn->speech_end_us ? turn->speech_end_us : turn->end_us);
}

/* An answer that only calls a tool is not what the user waits for: what is
 * said after its output is. */
static void
turn_return(struct session_turns_book *t)
{
    const struct answer *a = &t->answer;

    if (!a->has_call || a->interrupted || a->sent_us || t->turn.end_us)
        return;
    t->turn.speech_end_us = a->turn.speech_end_us;
    t->turn.end_us = a->turn.end_us;
}

static void
answer_close(const struct session_turns *turns, bool interrupted)
{
    struct session_turns_book *t = turns->book;
    struct answer *a = &t->answer;

    if (a->phase != ANSWER_OPEN)
        return;
    a->phase = ANSWER_OVER;
    a->interrupted = interrupted;
    turn_return(t);
    if (!a->sent_us || !a->turn.end_us)
        return;
    voice_tell(t, false, a->sent_us);
    voice_sum(t);
    if (a->heard_us)
        voice_tell(t, true, a->heard_us);
    if (turns->rtt_us)
        session_turns_told_round_trip((uint64_t) turns->rtt_us
                                      + turns->buffer_us + a->up_us
                                      + a->down_us);
}

void
session_turns_heard(struct session_turns *turns, uint64_t at_us)
{
    struct session_turns_book *t = turns->book;
    struct answer *a = t ? &t->answer : NULL;

    if (!a || !a->sent_us || a->heard_us || !a->turn.end_us)
        return;
    /* Reports are in milliseconds, the way back is half of a mean. */
    a->heard_us = at_us > a->sent_us ? at_us : a->sent_us;
    if (a->phase == ANSWER_OVER)
        voice_tell(t, true, a->heard_us);
}

/* A response beside the conversation answers nobody's turn. */
static bool
response_read(struct session_event *e, char id[ID_BYTES])
{
    const json_t *response = json_object_get(session_event_tree(e), "response");
    const char *text = json_string_value(json_object_get(response, "id"));

    if (!text || strlen(text) >= ID_BYTES
        || json_is_null(json_object_get(response, "conversation_id")))
        return false;
    snprintf(id, ID_BYTES, "%s", text);
    return true;
}

static void
response_created(const struct session_turns *turns, struct session_event *e,
                 uint64_t now_us)
{
    struct session_turns_book *t = turns->book;
    struct answer a = {.turn = t->turn,
                       .created_us = now_us,
                       .up_us = t->took_us,
                       .phase = ANSWER_OPEN};

    if (!response_read(e, a.id))
        return;
    answer_close(turns, true); /* whose end was never told */
    if (a.turn.end_us && now_us - a.turn.end_us > SESSION_TURNS_LATE_US)
        a.turn.end_us = a.turn.speech_end_us = 0;
    t->turn = (struct turn){0};
    t->answer = a;
    session_turns_told_gateway(true, a.up_us);
}

static void
response_done(const struct session_turns *turns, struct session_event *e)
{
    struct session_turns_book *t = turns->book;
    const json_t *response = json_object_get(session_event_tree(e), "response");
    const char *id = json_string_value(json_object_get(response, "id"));
    const char *status = json_string_value(json_object_get(response, "status"));

    t->responses++;
    if (id && strcmp(id, t->answer.id) == 0)
        answer_close(turns, status && strcmp(status, "cancelled") == 0);
}

/* --- its first output */

static enum turns_output
output_of(enum realtime_type type)
{
    switch (type) {
    case REALTIME_OUTPUT_AUDIO_DELTA:
        return TURNS_OUTPUT_AUDIO;
    case REALTIME_OUTPUT_TEXT_DELTA:
        return TURNS_OUTPUT_TEXT;
    case REALTIME_ARGUMENTS_DELTA:
        return TURNS_OUTPUT_CALL;
    default:
        return TURNS_OUTPUT_NONE;
    }
}

static void
first_note(struct session_turns_book *t, enum turns_output output,
           uint64_t now_us)
{
    struct answer *a = &t->answer;

    a->first = output;
    session_turns_told_first(TURNS_FROM_CREATED, output,
                             now_us - a->created_us);
    if (!a->turn.asked_us)
        return;
    session_turns_told_first(TURNS_FROM_TURN_END, output,
                             now_us - a->turn.asked_us);
    t->firsts++;
    t->first_us += now_us - a->turn.asked_us;
}

/* Deltas by the hundred: nothing is read once the first has passed. */
static bool
output_note(struct session_turns_book *t, const struct session_event *e,
            enum turns_output output, uint64_t (*now_us)(void))
{
    struct answer *a = &t->answer;

    if (a->phase != ANSWER_OPEN)
        return false;
    a->has_call |= output == TURNS_OUTPUT_CALL;
    if (a->first && (output != TURNS_OUTPUT_AUDIO || a->sent_us))
        return false;
    if (!realtime_span_equals(e->peek.value[REALTIME_KEY_RESPONSE_ID], a->id))
        return false;
    t->arrived_us = now_us();
    t->arrived_audio = output == TURNS_OUTPUT_AUDIO;
    if (!a->first)
        first_note(t, output, t->arrived_us);
    return true;
}

void
session_turns_sent(struct session_turns *turns, uint64_t now_us)
{
    struct session_turns_book *t = turns->book;
    struct answer *a = t ? &t->answer : NULL;

    if (!a || !t->arrived_us || a->phase != ANSWER_OPEN)
        return;
    if (t->arrived_audio)
        a->sent_us = now_us;
    if (!a->is_measured) {
        a->is_measured = true;
        a->down_us = (uint32_t) (now_us - t->arrived_us);
        session_turns_told_gateway(false, a->down_us);
        t->measured++;
        t->gateway_us += (uint64_t) a->up_us + a->down_us;
    }
    t->arrived_us = 0;
}

/* --- what the model says */

static void
step_note(struct session_turns *turns, struct session_turns_book *t,
          struct session_event *e, uint64_t (*now_us)(void))
{
    if (e->type == REALTIME_SPEECH_STARTED)
        t->turn = (struct turn){0};
    else if (e->type == REALTIME_SPEECH_STOPPED)
        speech_stopped(turns, t, e, now_us());
    else if (e->type == REALTIME_RESPONSE_CREATED)
        response_created(turns, e, now_us());
    else if (e->type == REALTIME_RESPONSE_DONE)
        response_done(turns, e);
}

bool
session_turns_down(struct session_turns *turns, struct session_event *e,
                   uint64_t (*now_us)(void))
{
    enum turns_output output = output_of(e->type);

    if (output)
        return turns->book && output_note(turns->book, e, output, now_us);
    if (e->type == REALTIME_SESSION_CREATED
        || e->type == REALTIME_SESSION_UPDATED)
        settings_read(turns, e);
    if (e->type == REALTIME_RESPONSE_CREATED)
        book_make(turns);
    if (turns->book)
        step_note(turns, turns->book, e, now_us);
    return false;
}

/* --- the session's figures */

static uint32_t
mean_of(uint64_t sum_us, uint32_t count)
{
    uint64_t mean_us = count ? sum_us / count : 0;

    return mean_us > UINT32_MAX ? UINT32_MAX : (uint32_t) mean_us;
}

struct session_turns_figures
session_turns_figures(const struct session_turns *turns)
{
    const struct session_turns_book *t = turns->book;

    if (!t)
        return (struct session_turns_figures){.rtt_us = turns->rtt_us};
    return (struct session_turns_figures){
        .rtt_us = turns->rtt_us,
        .turns = t->responses,
        .voice_us = mean_of(t->voice_us, t->voices),
        .first_us = mean_of(t->first_us, t->firsts),
        .gateway_us = mean_of(t->gateway_us, t->measured),
    };
}

void
session_turns_deinit(struct session_turns *turns)
{
    if (turns->book)
        answer_close(turns, true);
    free(turns->book);
    turns->book = NULL;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_response.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "codec/pcm.h"
#include "model/offline_answer.h"
#include "model/offline_fields.h"
#include "model/offline_mouth.h"
#include "model/offline_output.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define AUDIO_DELTA_SAMPLES 4800u /* 200 ms */
#define FIRST_DELTA_SAMPLES 2400u /* the first is half: it is waited for */
#define TEXT_DELTA_MS       8u
#define ARGUMENTS_BYTES     16u
#define RATE_LIMIT_TOKENS   1000000

/* X(state, name) */
#define RESPONSE_STATES(X)                                                     \
    X(RESPONSE_WAITING, "waiting")                                             \
    X(RESPONSE_SPEAKING, "speaking")                                           \
    X(RESPONSE_WRITING, "writing")                                             \
    X(RESPONSE_DONE, "done")

enum response_state {
#define X(state, name) state,
    RESPONSE_STATES(X)
#undef X
};

struct offline_response {
    struct offline_response_config cfg;
    struct offline_request request;
    char id[OFFLINE_ID_BYTES];
    enum response_state state;
    struct offline_input_tokens input;
    struct wit_answer answer;
    bool answered; /* `answer` is filled */
    struct offline_output *output;
    struct offline_mouth *mouth;
    struct offline_audio format;
    size_t written; /* bytes of the answer given as deltas */
    struct loop_timer *timer;
    bool paused;
    uint64_t first_audio_ms;
};

static void response_tick(void *arg);

/* The only writer of the state; false: that step does not exist. */
static bool
response_enter(struct offline_response *r, enum response_state state)
{
    static const char *const names[] = {
#define X(id, name) name,
        RESPONSE_STATES(X)
#undef X
    };
    bool legal = state == RESPONSE_DONE ? r->state != RESPONSE_DONE
                                        : r->state == RESPONSE_WAITING;

    LOG(DEBUG, r->id, "%s -> %s", names[r->state], names[state]);
    if (legal)
        r->state = state;
    return legal;
}

/* --- the response object */

static void
output_tokens(const struct offline_response *r, struct offline_tokens *tokens)
{
    memset(tokens, 0, sizeof(*tokens));
    if (r->output != NULL)
        offline_output_tokens(r->output, tokens);
}

static json_t *
response_json(const struct offline_response *r, const char *status,
              json_t *details, json_t *usage)
{
    const struct offline_request *q = &r->request;
    json_t *output = json_array();

    if (r->output != NULL)
        json_array_append(output, offline_output_item(r->output));
    return json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:s?, s:O, s:O, s:{s:{s:O, s:O}}, s:o,"
        " s:O}",
        "object", "realtime.response", "id", r->id, "status", status,
        "status_details", details, "output", output, "conversation_id",
        q->out_of_band ? NULL : offline_conversation_id(r->cfg.conversation),
        "output_modalities", q->modalities, "max_output_tokens", q->max_tokens,
        "audio", "output", "format", q->format, "voice", q->voice, "usage",
        usage, "metadata", q->metadata);
}

static void
emit_rate_limits(struct offline_response *r, int spent)
{
    offline_emit(&r->cfg.sink, "rate_limits.updated",
                 "{s:[{s:s, s:i, s:i, s:f}]}", "rate_limits", "name", "tokens",
                 "limit", RATE_LIMIT_TOKENS, "remaining",
                 spent < RATE_LIMIT_TOKENS ? RATE_LIMIT_TOKENS - spent : 0,
                 "reset_seconds", spent * 60.0 / RATE_LIMIT_TOKENS);
}

/* The one end. details is taken. */
static void
response_end(struct offline_response *r, const char *status, json_t *details)
{
    bool whole = strcmp(status, "completed") == 0;
    struct offline_tokens tokens;
    json_t *usage;
    int spent;

    if (!response_enter(r, RESPONSE_DONE)) {
        json_decref(details);
        return;
    }
    loop_timer_stop(r->timer);
    offline_mouth_destroy(&r->mouth);
    if (r->output != NULL)
        offline_output_close(r->output, whole ? "completed" : "incomplete");
    output_tokens(r, &tokens);
    usage = offline_usage_json(&r->input, &tokens);
    spent = (int) json_integer_value(json_object_get(usage, "total_tokens"));
    offline_emit(&r->cfg.sink, "response.done", "{s:o}", "response",
                 response_json(r, status, details, usage));
    emit_rate_limits(r, spent);
    r->cfg.on_done(r->cfg.arg, r);
}

static void
response_fail(struct offline_response *r, const char *code, const char *message)
{
    struct offline_fault fault;

    offline_fault_server(&fault, code, message);
    offline_emit_fault(&r->cfg.sink, &fault, NULL);
    response_end(r, "failed",
                 json_pack("{s:s, s:{s:s, s:s, s:s}}", "type", "failed",
                           "error", "type", fault.type, "code", fault.code,
                           "message", fault.message));
}

static void
response_fail_code(struct offline_response *r, int error)
{
    if (error == UV_ENOSYS)
        response_fail(r, "speech_unavailable",
                      "This server has no speech plugin: only text can be "
                      "understood and written.");
    else if (error == UV_EBUSY)
        response_fail(r, "speech_busy",
                      "The speech engine has too much to do: try again.");
    else
        response_fail(r, "server_error", "The speech engine failed.");
}

void
offline_response_cancel(struct offline_response *r, const char *reason)
{
    response_end(
        r, "cancelled",
        json_pack("{s:s, s:s}", "type", "cancelled", "reason", reason));
}

/* --- life */

int
offline_response_start(struct offline_response **rp,
                       const struct offline_response_config *cfg,
                       struct offline_request *request)
{
    struct offline_response *r = calloc(1, sizeof(*r));
    struct offline_context context;
    int rc = UV_ENOMEM;

    if (r != NULL)
        rc = loop_timer_create(&r->timer, cfg->loop, response_tick, r);
    if (rc != 0) {
        offline_request_deinit(request);
        free(r);
        return rc;
    }
    r->cfg = *cfg;
    r->request = *request;
    memset(request, 0, sizeof(*request));
    offline_id_make(r->id, "resp_", 21);
    offline_audio_init(&r->format, offline_format_of(r->request.format));
    offline_request_context(&r->request, &context);
    offline_usage_count(cfg->usage, &context, !r->request.out_of_band,
                        &r->input);
    offline_emit(&cfg->sink, "response.created", "{s:o}", "response",
                 response_json(r, "in_progress", json_null(), json_null()));
    *rp = r;
    return 0;
}

void
offline_response_destroy(struct offline_response **rp)
{
    struct offline_response *r = *rp;

    *rp = NULL;
    if (r == NULL)
        return;
    loop_timer_destroy(&r->timer);
    offline_mouth_destroy(&r->mouth);
    offline_output_destroy(&r->output);
    if (r->answered)
        wit_answer_deinit(&r->answer);
    offline_request_deinit(&r->request);
    free(r);
}

/* --- deltas */

/* Ends the response when it has said as much as it may. */
static bool
response_is_over_limit(struct offline_response *r)
{
    struct offline_tokens tokens;

    output_tokens(r, &tokens);
    if (r->request.max_output_tokens == 0
        || tokens.text + tokens.audio < r->request.max_output_tokens)
        return false;
    response_end(r, "incomplete",
                 json_pack("{s:s, s:s}", "type", "incomplete", "reason",
                           "max_output_tokens"));
    return true;
}

static size_t
arguments_length(const char *text, size_t bytes)
{
    size_t n = bytes < ARGUMENTS_BYTES ? bytes : ARGUMENTS_BYTES;

    while (n < bytes && ((unsigned char) text[n] & 0xC0) == 0x80)
        n++;
    return n;
}

static void
write_some(struct offline_response *r)
{
    bool call = r->answer.action == WIT_CALL;
    const char *text = call ? r->answer.arguments : r->answer.text;
    size_t left = strlen(text) - r->written, n;

    text += r->written;
    n = call ? arguments_length(text, left) : offline_words_length(text, left);
    if (n > 0 && offline_output_text(r->output, text, n) != 0) {
        response_fail(r, "server_error", "Out of memory.");
        return;
    }
    r->written += n;
    if (n == left && (call || r->request.max_output_tokens == 0))
        response_end(r, "completed", json_null());
    else if (!response_is_over_limit(r) && n == left)
        response_end(r, "completed", json_null());
}

static void
speak_words(struct offline_response *r, bool all)
{
    size_t bytes;
    const char *words = offline_mouth_words(r->mouth, all, &bytes);

    if (words != NULL)
        offline_output_text(r->output, words, bytes);
}

static int
speak_audio(struct offline_response *r, const int16_t *pcm, size_t samples)
{
    if (r->first_audio_ms == 0)
        r->first_audio_ms = clock_now_ms();
    speak_words(r, false);
    return offline_output_audio(r->output,
                                offline_audio_encode(&r->format, pcm, samples),
                                pcm, samples);
}

static void
speak_some(struct offline_response *r)
{
    int16_t pcm[AUDIO_DELTA_SAMPLES];
    size_t max =
        r->first_audio_ms == 0 ? FIRST_DELTA_SAMPLES : AUDIO_DELTA_SAMPLES;
    size_t n = offline_mouth_take(r->mouth, pcm, max);

    if (n > 0 && speak_audio(r, pcm, n) != 0) {
        response_fail(r, "server_error", "Out of memory.");
        return;
    }
    if (n > 0 && response_is_over_limit(r))
        return;
    if (offline_mouth_is_done(r->mouth)) {
        speak_words(r, true);
        response_end(r, "completed", json_null());
    } else if (n == 0 && offline_mouth_error(r->mouth) != 0) {
        response_fail_code(r, offline_mouth_error(r->mouth));
    }
}

static uint64_t
tick_ms(const struct offline_response *r)
{
    uint64_t ms = 200u / (r->cfg.audio_pace > 0 ? r->cfg.audio_pace : 1);

    if (r->state == RESPONSE_WRITING)
        return TEXT_DELTA_MS;
    return ms > 0 ? ms : 1;
}

static void
response_tick(void *arg)
{
    struct offline_response *r = arg;

    if (r->state == RESPONSE_SPEAKING)
        speak_some(r);
    else if (r->state == RESPONSE_WRITING)
        write_some(r);
}

/* The first sound is not kept waiting for a tick. */
static void
on_mouth_ready(void *arg)
{
    struct offline_response *r = arg;

    if (!r->paused && r->first_audio_ms == 0)
        response_tick(r);
}

void
offline_response_pause(struct offline_response *r, bool paused)
{
    r->paused = paused;
    if (paused)
        loop_timer_stop(r->timer);
    else if (r->state == RESPONSE_SPEAKING || r->state == RESPONSE_WRITING)
        loop_timer_start(r->timer, 0, tick_ms(r));
}

/* --- from words to deltas */

static const char *
voice_name(const struct offline_response *r)
{
    const json_t *voice = r->request.voice;

    if (json_is_object(voice))
        voice = json_object_get(voice, "id");
    return json_string_value(voice);
}

static int
begin_speaking(struct offline_response *r)
{
    struct offline_mouth_config mouth = {
        .speech = r->cfg.speech,
        .loop = r->cfg.loop,
        .text = r->answer.text,
        .voice = voice_name(r),
        .speed = r->request.speed,
        .on_ready = on_mouth_ready,
        .arg = r,
    };

    return offline_mouth_start(&r->mouth, &mouth);
}

static int
begin_output(struct offline_response *r, enum offline_output_kind kind)
{
    struct offline_output_config output = {
        .sink = r->cfg.sink,
        .conversation = r->request.out_of_band ? NULL : r->cfg.conversation,
        .response_id = r->id,
        .kind = kind,
        .tool = r->answer.tool,
    };

    return offline_output_open(&r->output, &output);
}

static void
response_begin(struct offline_response *r)
{
    bool call = r->answer.action == WIT_CALL;
    bool speak = !call && r->request.audio;
    int rc = speak ? begin_speaking(r) : 0;

    if (rc != 0) {
        response_fail_code(r, rc);
        return;
    }
    rc = begin_output(r, call    ? OUTPUT_CALL
                         : speak ? OUTPUT_AUDIO
                                 : OUTPUT_TEXT);
    if (rc != 0) {
        response_fail(r, "server_error", "Out of memory.");
        return;
    }
    response_enter(r, speak ? RESPONSE_SPEAKING : RESPONSE_WRITING);
    if (!r->paused)
        loop_timer_start(r->timer, speak ? tick_ms(r) : 0, tick_ms(r));
}

void
offline_response_proceed(struct offline_response *r, const struct wit *wit)
{
    const struct offline_item *subject = offline_response_subject(r);

    if (r->state != RESPONSE_WAITING)
        return;
    if (subject != NULL && subject->hearing == HEARD_PENDING)
        return;
    if (subject != NULL && subject->hearing == HEARD_FAILED) {
        response_fail_code(r, r->cfg.speech != NULL ? UV_EIO : UV_ENOSYS);
        return;
    }
    if (offline_answer_find(&r->request, wit, &r->answer) != 0) {
        response_fail(r, "server_error", "Out of memory.");
        return;
    }
    r->answered = true;
    LOG(DEBUG, r->id, "intent=%s", r->answer.intent);
    response_begin(r);
}

/* --- questions */

const char *
offline_response_id(const struct offline_response *r)
{
    return r->id;
}

bool
offline_response_is_out_of_band(const struct offline_response *r)
{
    return r->request.out_of_band;
}

struct offline_item *
offline_response_subject(const struct offline_response *r)
{
    return offline_request_subject(&r->request);
}

uint64_t
offline_response_played_ms(const struct offline_response *r)
{
    if (r->first_audio_ms == 0 || r->output == NULL)
        return 0;
    return r->first_audio_ms
           + pcm_ms_of_samples(offline_output_samples(r->output));
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_turn.h"

#include "codec/pcm.h"
#include "codec/voice_activity.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define SLICE_SAMPLES 480u  /* 20 ms: how finely a long append is heard */
#define IDLE_MS       1000u /* kept over the prefix while nobody speaks */
#define SPECULATE_MS  200u  /* silence after which listening begins */
#define MIN_SPEECH_MS 60u   /* below: clicks */
#define COMMIT_MIN_MS 100u

struct offline_turn {
    struct offline_turn_config cfg;
    struct offline_turn_settings settings;
    struct offline_audio input;
    struct voice_activity vad;
    uint64_t vad_offset; /* samples written before the VAD began */
    uint64_t written;    /* samples of the whole session */
    uint64_t speech_end; /* where the last speech ended, once PAUSED */
    int16_t *pcm;        /* the buffer; its last sample is `written` - 1 */
    size_t count, capacity;
    char item_id[OFFLINE_ID_BYTES]; /* of the turn being spoken */
    bool speaking;
    struct offline_ear *ear; /* begun at a pause */
};

/* The words of a pause wait in the ear until the turn is over. */
static void
on_listened(void *arg, struct offline_ear *ear)
{
    (void) arg;
    (void) ear;
}

int
offline_turn_create(struct offline_turn **tp,
                    const struct offline_turn_config *cfg)
{
    struct offline_turn *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return UV_ENOMEM;
    t->cfg = *cfg;
    t->cfg.ear.on_done = on_listened;
    t->cfg.ear.arg = t;
    *tp = t;
    return 0;
}

void
offline_turn_destroy(struct offline_turn **tp)
{
    struct offline_turn *t = *tp;

    *tp = NULL;
    if (t == NULL)
        return;
    offline_ear_destroy(&t->ear);
    free(t->pcm);
    free(t);
}

/* --- settings */

static void
voice_settings(const struct offline_turn *t, struct voice_activity_config *va)
{
    va->threshold = t->settings.threshold;
    va->silence_ms = t->settings.silence_ms;
    va->min_speech_ms = MIN_SPEECH_MS;
    va->pause_ms = t->settings.silence_ms > SPECULATE_MS ? SPECULATE_MS : 0;
}

static void
forget_speech(struct offline_turn *t)
{
    offline_ear_destroy(&t->ear);
    voice_activity_reset(&t->vad);
    t->speaking = false;
}

void
offline_turn_configure(struct offline_turn *t,
                       const struct offline_turn_settings *settings,
                       enum offline_format format)
{
    bool was_manual = t->settings.kind == TURN_MANUAL;
    struct voice_activity_config va;

    t->settings = *settings;
    if (t->input.format != format || t->written == 0)
        offline_audio_init(&t->input, format);
    if (settings->kind == TURN_MANUAL) {
        forget_speech(t);
        return;
    }
    voice_settings(t, &va);
    if (!was_manual) {
        voice_activity_configure(&t->vad, &va);
        return;
    }
    voice_activity_init(&t->vad, &va);
    t->vad_offset = t->written;
}

void
offline_turn_set_grammar(struct offline_turn *t,
                         const struct speech_grammar *grammar)
{
    t->cfg.ear.grammar = grammar;
}

/* --- the buffer */

static uint64_t
buffer_start(const struct offline_turn *t)
{
    return t->written - t->count;
}

static int
buffer_push(struct offline_turn *t, const int16_t *pcm, size_t n)
{
    size_t capacity = t->capacity > 0 ? t->capacity : PCM_RATE;
    int16_t *grown;

    while (capacity - t->count < n)
        capacity *= 2;
    if (capacity != t->capacity) {
        grown = realloc(t->pcm, capacity * sizeof(*grown));
        if (grown == NULL)
            return UV_ENOMEM;
        t->pcm = grown;
        t->capacity = capacity;
    }
    memcpy(t->pcm + t->count, pcm, n * sizeof(*pcm));
    t->count += n;
    t->written += n;
    return 0;
}

static void
buffer_keep_last(struct offline_turn *t, size_t keep)
{
    if (t->count <= keep)
        return;
    memmove(t->pcm, t->pcm + t->count - keep, keep * sizeof(*t->pcm));
    t->count = keep;
}

static void
buffer_drop(struct offline_turn *t)
{
    free(t->pcm);
    t->pcm = NULL;
    t->count = 0;
    t->capacity = 0;
}

/* While nobody speaks only what a start may reach back to is kept. Half a
 * second of slack, so that memory moves seldom. */
static void
buffer_trim(struct offline_turn *t)
{
    size_t keep = pcm_samples_of_ms(t->settings.prefix_ms + IDLE_MS);

    if (!t->speaking && t->count > keep + PCM_RATE / 2)
        buffer_keep_last(t, keep);
}

/* --- commit */

static void
begin_listening(struct offline_turn *t)
{
    if (t->ear == NULL && t->count > 0
        && offline_ear_start(&t->ear, &t->cfg.ear, t->pcm, t->count) != 0)
        t->ear = NULL;
}

static void
turn_commit(struct offline_turn *t, struct offline_commit *commit)
{
    const char *previous = offline_conversation_last_id(t->cfg.conversation);
    size_t samples = t->count;
    int16_t *pcm;

    if (!commit->by_timeout)
        begin_listening(t);
    if (t->item_id[0] == '\0')
        offline_id_make(t->item_id, "item_", 21);
    /* The buffer was grown by doubling: what is kept is as long as it is. */
    pcm = realloc(t->pcm, samples * sizeof(*pcm) + 1);
    if (pcm == NULL) {
        pcm = t->pcm;
    }
    t->pcm = NULL;
    commit->item = offline_item_user_audio(t->item_id, &pcm, samples);
    free(pcm);
    buffer_drop(t);
    commit->ear = t->ear;
    t->ear = NULL;
    forget_speech(t);
    offline_emit(&t->cfg.sink, "input_audio_buffer.committed", "{s:s?, s:s}",
                 "previous_item_id", previous, "item_id", t->item_id);
    t->item_id[0] = '\0';
    if (commit->item != NULL)
        t->cfg.on_committed(t->cfg.arg, commit);
    else
        offline_ear_destroy(&commit->ear);
}

int
offline_turn_commit(struct offline_turn *t, struct offline_fault *fault)
{
    struct offline_commit commit = {0};

    if (t->count < pcm_samples_of_ms(COMMIT_MIN_MS))
        return offline_fault_set(fault, "input_audio_buffer_commit_empty", NULL,
                                 "Error committing input audio buffer: "
                                 "buffer too small. Expected at least 100ms "
                                 "of audio, but buffer only has %.2fms of "
                                 "audio.",
                                 (double) t->count * 1000 / PCM_RATE);
    turn_commit(t, &commit);
    return 0;
}

void
offline_turn_clear(struct offline_turn *t)
{
    forget_speech(t);
    buffer_drop(t);
    t->item_id[0] = '\0';
    offline_emit(&t->cfg.sink, "input_audio_buffer.cleared", "{}");
}

void
offline_turn_time_out(struct offline_turn *t)
{
    struct offline_commit commit = {.by_timeout = true};

    offline_id_make(t->item_id, "item_", 21);
    offline_emit(&t->cfg.sink, "input_audio_buffer.timeout_triggered",
                 "{s:I, s:I, s:s}", "audio_start_ms",
                 (json_int_t) pcm_ms_of_samples(buffer_start(t)),
                 "audio_end_ms", (json_int_t) pcm_ms_of_samples(t->written),
                 "item_id", t->item_id);
    turn_commit(t, &commit);
}

/* --- voice activity */

static void
speech_started(struct offline_turn *t, uint64_t at)
{
    uint64_t prefix = pcm_samples_of_ms(t->settings.prefix_ms);
    uint64_t start = at > prefix ? at - prefix : 0;

    if (start < buffer_start(t))
        start = buffer_start(t);
    buffer_keep_last(t, (size_t) (t->written - start));
    t->speaking = true;
    offline_id_make(t->item_id, "item_", 21);
    offline_emit(&t->cfg.sink, "input_audio_buffer.speech_started",
                 "{s:I, s:s}", "audio_start_ms",
                 (json_int_t) pcm_ms_of_samples(start), "item_id", t->item_id);
    t->cfg.on_speech_started(t->cfg.arg);
}

static void
speech_stopped(struct offline_turn *t)
{
    struct offline_commit commit = {.by_voice = true};

    offline_emit(&t->cfg.sink, "input_audio_buffer.speech_stopped",
                 "{s:I, s:s}", "audio_end_ms",
                 (json_int_t) pcm_ms_of_samples(t->written), "item_id",
                 t->item_id);
    turn_commit(t, &commit);
}

static void
on_voice(struct offline_turn *t, const struct voice_activity_news *news)
{
    switch (news->kind) {
    case VOICE_ACTIVITY_STARTED:
        speech_started(t, t->vad_offset + news->at_samples);
        break;
    case VOICE_ACTIVITY_PAUSED:
        t->speech_end = t->vad_offset + news->at_samples;
        begin_listening(t);
        break;
    case VOICE_ACTIVITY_RESUMED:
        offline_ear_destroy(&t->ear);
        break;
    case VOICE_ACTIVITY_STOPPED:
        speech_stopped(t);
        break;
    default:
        break;
    }
}

/* Semantic turns: a sentence that was understood is a finished one. */
static bool
sentence_is_finished(const struct offline_turn *t)
{
    return t->settings.kind == TURN_SEMANTIC_VAD && t->speaking
           && t->ear != NULL && offline_ear_is_done(t->ear)
           && offline_ear_text(t->ear)[0] != '\0'
           && t->written - t->speech_end
                  >= pcm_samples_of_ms(t->settings.finished_ms);
}

/* Some samples at most up to the first news; gives how many, 0: no memory. */
static size_t
hear_slice(struct offline_turn *t, const int16_t *pcm, size_t samples)
{
    struct voice_activity_news news;
    size_t slice = samples < SLICE_SAMPLES ? samples : SLICE_SAMPLES;
    size_t used = voice_activity_push(&t->vad, pcm, slice, &news);

    if (buffer_push(t, pcm, used) != 0)
        return 0;
    on_voice(t, &news);
    if (sentence_is_finished(t)
        || (t->speaking && t->count * sizeof(*pcm) >= t->cfg.max_bytes))
        speech_stopped(t);
    buffer_trim(t);
    return used;
}

static int
fault_full(struct offline_fault *fault)
{
    return offline_fault_set(fault, "input_audio_buffer_full", "audio",
                             "The input audio buffer is full: commit or "
                             "clear it first.");
}

static int
turn_take(struct offline_turn *t, const int16_t *pcm, size_t samples,
          struct offline_fault *fault)
{
    size_t used;

    if (t->settings.kind == TURN_MANUAL) {
        if (samples > t->cfg.max_bytes / sizeof(*pcm) - t->count)
            return fault_full(fault);
        if (buffer_push(t, pcm, samples) != 0)
            return offline_fault_server(fault, "server_error",
                                        "Out of memory.");
        return 0;
    }
    while (samples > 0) {
        used = hear_slice(t, pcm, samples);
        if (used == 0)
            return offline_fault_server(fault, "server_error",
                                        "Out of memory.");
        pcm += used;
        samples -= used;
    }
    return 0;
}

int
offline_turn_append(struct offline_turn *t, const json_t *audio,
                    struct offline_fault *fault)
{
    int16_t *pcm;
    size_t samples;
    int rc;

    rc = offline_audio_decode(&t->input, audio, t->cfg.max_append_bytes, &pcm,
                              &samples);
    if (rc == UV_E2BIG)
        return offline_fault_set(fault, "invalid_value", "audio",
                                 "Invalid 'audio': at most %zu bytes of audio "
                                 "in one append.",
                                 t->cfg.max_append_bytes);
    if (rc == UV_EINVAL)
        return offline_fault_set(fault, "invalid_value", "audio",
                                 "Invalid 'audio': expected valid base64.");
    if (rc != 0)
        return offline_fault_server(fault, "server_error", "Out of memory.");
    rc = turn_take(t, pcm, samples, fault);
    free(pcm);
    return rc;
}

bool
offline_turn_is_speaking(const struct offline_turn *t)
{
    return t->speaking;
}

size_t
offline_turn_buffered_samples(const struct offline_turn *t)
{
    return t->count;
}

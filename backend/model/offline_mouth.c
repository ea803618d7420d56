/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_mouth.h"

#include <stdlib.h>
#include <string.h>

#define SENTENCE_MAX    300u          /* bytes; longer ones are cut at words */
#define AHEAD_SAMPLES   24000u        /* the next sentence begins below this */
#define WAITING_SAMPLES (3u * 24000u) /* the job pauses above this */
#define WORDS_PER_DELTA 3u
#define BUSY_TRIES      400u /* takes; about 10 s at the response's pace */

struct offline_mouth {
    struct offline_mouth_config cfg;
    char *text;
    char *voice;
    size_t begun; /* bytes of the text whose audio has begun */
    size_t next;  /* where the sentence after the running one begins */
    size_t told;  /* bytes given as words */
    struct speech_say *job;
    bool paused;
    bool starved; /* a take gave nothing: on_ready is owed */
    int16_t *pcm;
    size_t head, count, capacity;
    unsigned busy; /* refusals in a row */
    int error;
};

static void mouth_speak(struct offline_mouth *m);

/* --- sentences and words */

static bool
is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static size_t
skip_spaces(const char *text, size_t at, size_t end)
{
    while (at < end && is_space(text[at]))
        at++;
    return at;
}

/* Where the sentence that begins at `from` ends, its spaces included. */
static size_t
sentence_end(const char *text, size_t from)
{
    size_t length = strlen(text), end = length, cut = 0;

    if (end - from > SENTENCE_MAX)
        end = from + SENTENCE_MAX;
    for (size_t i = from; i < end; i++) {
        if (!is_space(text[i]))
            continue;
        if (i > from && strchr(".!?", text[i - 1]) != NULL)
            return skip_spaces(text, i, length);
        cut = i;
    }
    if (end == length)
        return length;
    if (cut > from)
        return skip_spaces(text, cut, length);
    /* One endless word: never cut inside a UTF-8 character. */
    while (end > from + 1 && ((unsigned char) text[end] & 0xC0) == 0x80)
        end--;
    return end;
}

size_t
offline_words_length(const char *text, size_t bytes)
{
    size_t at = skip_spaces(text, 0, bytes);

    for (unsigned i = 0; i < WORDS_PER_DELTA && at < bytes; i++) {
        while (at < bytes && !is_space(text[at]))
            at++;
        at = skip_spaces(text, at, bytes);
    }
    return at;
}

const char *
offline_mouth_words(struct offline_mouth *m, bool all, size_t *bytes)
{
    const char *words = m->text + m->told;
    size_t left = m->begun - m->told;

    *bytes = all ? left : offline_words_length(words, left);
    m->told += *bytes;
    return *bytes > 0 ? words : NULL;
}

/* --- audio waiting */

static int
pcm_push(struct offline_mouth *m, const int16_t *pcm, size_t n)
{
    size_t capacity = m->capacity > 0 ? m->capacity : 2u * AHEAD_SAMPLES;
    int16_t *grown;

    if (m->head > 0) {
        memmove(m->pcm, m->pcm + m->head, m->count * sizeof(*pcm));
        m->head = 0;
    }
    while (capacity - m->count < n)
        capacity *= 2;
    if (capacity != m->capacity) {
        grown = realloc(m->pcm, capacity * sizeof(*grown));
        if (grown == NULL)
            return UV_ENOMEM;
        m->pcm = grown;
        m->capacity = capacity;
    }
    memcpy(m->pcm + m->count, pcm, n * sizeof(*pcm));
    m->count += n;
    return 0;
}

static void
mouth_pace(struct offline_mouth *m)
{
    bool full = m->count > WAITING_SAMPLES;

    if (m->job == NULL || full == m->paused)
        return;
    m->paused = full;
    speech_say_pause(m->job, full);
}

static void
tell_ready(struct offline_mouth *m)
{
    if (!m->starved)
        return;
    m->starved = false;
    m->cfg.on_ready(m->cfg.arg);
}

/* --- the job */

static void
on_say_audio(void *arg, const int16_t *pcm, size_t samples)
{
    struct offline_mouth *m = arg;

    m->begun = m->next;
    if (pcm_push(m, pcm, samples) != 0) {
        speech_say_cancel(m->job);
        m->job = NULL;
        m->error = UV_ENOMEM;
    }
    mouth_pace(m);
    tell_ready(m);
}

static void
on_say_done(void *arg, int error)
{
    struct offline_mouth *m = arg;

    m->job = NULL;
    /* A sentence without a sound ("…") is told all the same. */
    m->begun = m->next;
    if (error != 0)
        m->error = error;
    mouth_speak(m);
    if (m->count > 0 || m->error != 0 || offline_mouth_is_done(m))
        tell_ready(m);
}

static int
say_sentence(struct offline_mouth *m, size_t end)
{
    static const struct speech_say_handlers handlers = {
        .on_audio = on_say_audio, .on_done = on_say_done};
    struct speech_say_config say = {
        .loop = m->cfg.loop, .voice = m->voice, .speed = m->cfg.speed};
    char sentence[SENTENCE_MAX * 2];
    size_t bytes = end - m->next;

    if (bytes >= sizeof(sentence))
        bytes = sizeof(sentence) - 1;
    memcpy(sentence, m->text + m->next, bytes);
    sentence[bytes] = '\0';
    say.text = sentence;
    m->next = end;
    m->paused = false;
    return speech_say(m->cfg.speech, &say, &handlers, m, &m->job);
}

/* Begins the next sentence when it is time. Where the speech threads have too
 * much to do, the next take tries again. */
static void
mouth_speak(struct offline_mouth *m)
{
    size_t from = m->next;
    int rc;

    if (m->job != NULL || m->error != 0 || m->count > AHEAD_SAMPLES
        || m->text[m->next] == '\0')
        return;
    rc = say_sentence(m, sentence_end(m->text, m->next));
    if (rc == 0) {
        m->busy = 0;
        return;
    }
    m->job = NULL;
    m->next = from;
    if (rc != UV_EBUSY || ++m->busy > BUSY_TRIES)
        m->error = rc;
}

int
offline_mouth_start(struct offline_mouth **mp,
                    const struct offline_mouth_config *cfg)
{
    struct offline_mouth *m;
    int rc;

    if (cfg->speech == NULL)
        return UV_ENOSYS;
    m = calloc(1, sizeof(*m));
    if (m == NULL)
        return UV_ENOMEM;
    m->cfg = *cfg;
    m->text = strdup(cfg->text);
    m->voice = strdup(cfg->voice != NULL ? cfg->voice : "");
    m->starved = true;
    if (m->text != NULL && m->voice != NULL)
        mouth_speak(m);
    else
        m->error = UV_ENOMEM;
    rc = m->error;
    if (rc != 0) {
        offline_mouth_destroy(&m);
        return rc;
    }
    *mp = m;
    return 0;
}

void
offline_mouth_destroy(struct offline_mouth **mp)
{
    struct offline_mouth *m = *mp;

    *mp = NULL;
    if (m == NULL)
        return;
    if (m->job != NULL)
        speech_say_cancel(m->job);
    free(m->text);
    free(m->voice);
    free(m->pcm);
    free(m);
}

size_t
offline_mouth_take(struct offline_mouth *m, int16_t *pcm, size_t max)
{
    size_t n = m->count < max ? m->count : max;

    if (n > 0)
        memcpy(pcm, m->pcm + m->head, n * sizeof(*pcm));
    m->head += n;
    m->count -= n;
    mouth_pace(m);
    mouth_speak(m);
    m->starved = n == 0;
    return n;
}

bool
offline_mouth_is_done(const struct offline_mouth *m)
{
    return m->job == NULL && m->count == 0 && m->error == 0
           && m->text[m->next] == '\0';
}

int
offline_mouth_error(const struct offline_mouth *m)
{
    return m->error;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Ears and mouth of the offline model: loads the speech plugin (dlopen) and
 * runs it on threads of its own, never on a loop. Process-wide; owns the
 * threads, their ears and the job queue (capped). Jobs are asked for on a
 * loop, and complete on that loop. Refuses more jobs than its cap.
 *
 *   loop ─ job ─► queue ─► speech thread ─► plugin
 *   loop ◄── chunks, result (loop_post) ◄────┘
 */

#ifndef VOICE_SPEECH_H
#define VOICE_SPEECH_H

#include "base/loop.h"
#include "speech_plugin/speech_plugin.h"

#define SPEECH_WAITING_SAMPLES                                                 \
    24000u                         /* then an utterance speaks no further      \
                                    */
#define SPEECH_TEXT_BYTES   65536u /* longest text of one utterance */
#define SPEECH_HEAR_SAMPLES (24000u * 60u) /* only the last minute counts */

struct speech;

struct speech_config {
    const char *plugin_path; /* copied */
    unsigned threads;        /* 0: 2 */
    unsigned max_jobs;       /* jobs not yet done, beyond: UV_EBUSY; 0: 1024 */
};

/*
 * Loads the plugin and starts the threads. 0, UV_ENOENT (no such file),
 * UV_EINVAL (not our plugin, or of another version), UV_EIO (it can't start:
 * models missing), UV_ENOMEM. The plugin's own words go to the log.
 */
int speech_create(struct speech **sp, const struct speech_config *cfg);

/* Ends the threads. Every job must be done or cancelled before. */
void speech_destroy(struct speech **sp);

/* A recognition. The handle is the caller's until on_done or the cancel. */
struct speech_hear;
typedef void speech_heard_h(void *arg, int error,
                            const struct speech_heard *heard);

struct speech_hear_config {
    struct loop *loop;                    /* where on_done runs */
    const struct speech_grammar *grammar; /* copied */
    int16_t *pcm;   /* malloc'ed, taken when the call gives 0 */
    size_t samples; /* 24 kHz mono, with ~300 ms before the speech */
};

/*
 * On cfg->loop. on_done runs on the loop exactly once unless cancelled, never
 * inside this call; heard is borrowed, NULL with an error (UV_EIO). 0,
 * UV_EBUSY, UV_EINVAL (no audio or grammar), UV_ENOMEM.
 */
int speech_hear(struct speech *speech, const struct speech_hear_config *cfg,
                speech_heard_h *on_done, void *arg, struct speech_hear **job);

/* On the loop: on_done will not be called. job is gone. */
void speech_hear_cancel(struct speech_hear *job);

/*
 * An utterance, streamed: chunks of at most 100 ms, in order, as fast as they
 * are made; then on_done with 0 or UV_EIO. Both run on the loop, never inside
 * speech_say. It is spoken piece by piece (a sentence or part of one), and
 * the thread serves other jobs between pieces. While a second of audio waits
 * for the loop the next piece is not begun, so no thread is ever held up by
 * an asker that takes nothing.
 */
struct speech_say;
struct speech_say_handlers {
    void (*on_audio)(void *arg, const int16_t *pcm, size_t samples);
    void (*on_done)(void *arg, int error); /* the handle is gone */
};
struct speech_say_config {
    struct loop *loop;
    const char *text;  /* copied */
    const char *voice; /* copied; any name, NULL: the default voice */
    double speed;      /* 0.25…1.5, 1 is natural */
};

/* On cfg->loop. handlers are copied. 0, UV_EBUSY, UV_E2BIG (text), UV_ENOMEM,
 * UV_EINVAL. */
int speech_say(struct speech *speech, const struct speech_say_config *cfg,
               const struct speech_say_handlers *handlers, void *arg,
               struct speech_say **job);

/* On the loop, also from within on_audio: no handler is called any more and
 * synthesis stops soon. job is gone. */
void speech_say_cancel(struct speech_say *job);

/* On the loop, also from within on_audio: no handler is called until resumed
 * (on_done neither). Idempotent. */
void speech_say_pause(struct speech_say *job, bool paused);

/* Any thread. */
struct speech_counts {
    unsigned jobs;         /* not yet done or cancelled */
    unsigned waiting;      /* of these in the queue */
    unsigned running;      /* on a thread, cancelled ones too */
    unsigned long refused; /* UV_EBUSY so far */
};
void speech_count(struct speech *speech, struct speech_counts *counts);
const char *speech_version(const struct speech *speech);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One listening: a stretch of audio given to the recogniser, and what came of
 * it. May be started on speculation, thrown away, or handed on to whoever
 * needs the words. Owns the job. Runs on the session's loop; the work does
 * not.
 */

#ifndef VOICE_OFFLINE_EAR_H
#define VOICE_OFFLINE_EAR_H

#include "gate/speech.h"

#include <stdbool.h>

struct offline_ear;
typedef void offline_ear_h(void *arg, struct offline_ear *ear);

struct offline_ear_config {
    struct speech *speech; /* may be NULL: fails at once with UV_ENOSYS */
    struct loop *loop;
    const struct speech_grammar *grammar; /* copied by the job */
    offline_ear_h *on_done;               /* once, never inside start */
    void *arg;
};

/* pcm is copied. 0, or UV_E* when it could not begin. */
int offline_ear_start(struct offline_ear **ep,
                      const struct offline_ear_config *cfg, const int16_t *pcm,
                      size_t samples);

/* Who is told from now on. */
void offline_ear_redirect(struct offline_ear *ear, offline_ear_h *handler,
                          void *arg);

/* Cancels what still runs. */
void offline_ear_destroy(struct offline_ear **ep);

bool offline_ear_is_done(const struct offline_ear *ear);
int offline_ear_error(const struct offline_ear *ear);
/* Words; "" when nothing was understood. */
const char *offline_ear_text(const struct offline_ear *ear);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_ear.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EAR_SAMPLES_MAX (30u * 24000u) /* only the last half minute counts */

struct offline_ear {
    struct speech_hear *job; /* while it runs */
    offline_ear_h *handler;
    void *arg;
    int error;
    bool done;
    char text[512];
};

static void
on_heard(void *arg, int error, const struct speech_heard *heard)
{
    struct offline_ear *ear = arg;

    ear->job = NULL;
    ear->done = true;
    ear->error = error;
    if (error == 0 && heard->understood)
        snprintf(ear->text, sizeof(ear->text), "%s", heard->text);
    ear->handler(ear->arg, ear);
}

int
offline_ear_start(struct offline_ear **ep, const struct offline_ear_config *cfg,
                  const int16_t *pcm, size_t samples)
{
    struct speech_hear_config hear = {.loop = cfg->loop,
                                      .grammar = cfg->grammar};
    struct offline_ear *ear;
    int rc;

    if (cfg->speech == NULL)
        return UV_ENOSYS;
    if (samples > EAR_SAMPLES_MAX) {
        pcm += samples - EAR_SAMPLES_MAX;
        samples = EAR_SAMPLES_MAX;
    }
    ear = calloc(1, sizeof(*ear));
    hear.pcm = malloc(samples * sizeof(*pcm) + 1);
    hear.samples = samples;
    if (ear == NULL || hear.pcm == NULL) {
        free(ear);
        free(hear.pcm);
        return UV_ENOMEM;
    }
    memcpy(hear.pcm, pcm, samples * sizeof(*pcm));
    ear->handler = cfg->on_done;
    ear->arg = cfg->arg;
    rc = speech_hear(cfg->speech, &hear, on_heard, ear, &ear->job);
    if (rc != 0) {
        free(hear.pcm);
        free(ear);
        return rc;
    }
    *ep = ear;
    return 0;
}

void
offline_ear_redirect(struct offline_ear *ear, offline_ear_h *handler, void *arg)
{
    ear->handler = handler;
    ear->arg = arg;
}

void
offline_ear_destroy(struct offline_ear **ep)
{
    struct offline_ear *ear = *ep;

    *ep = NULL;
    if (ear == NULL)
        return;
    if (ear->job != NULL)
        speech_hear_cancel(ear->job);
    free(ear);
}

bool
offline_ear_is_done(const struct offline_ear *ear)
{
    return ear->done;
}

int
offline_ear_error(const struct offline_ear *ear)
{
    return ear->error;
}

const char *
offline_ear_text(const struct offline_ear *ear)
{
    return ear->text;
}

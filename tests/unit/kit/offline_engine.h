/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A speech engine whose every step the test decides. It defines the functions
 * of gate/speech.h, so that the library's own are not linked: hence a header,
 * for tests that want it and no other.
 */

#ifndef TEST_OFFLINE_ENGINE_H
#define TEST_OFFLINE_ENGINE_H

#include "gate/speech.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct speech {
    char heard[128];    /* what the next listening hears */
    bool misunderstood; /* it hears, but is not sure */
    int hear_error, say_error;
    bool hold; /* jobs wait for speech_release */
    unsigned hears, says, cancels, running;
    size_t last_samples;
    struct speech_job *jobs;
};

struct speech_job {
    struct speech_job *next;
    struct speech *speech;
    struct loop *loop;
    struct loop_task task;
    bool posted, cancelled, paused;
    speech_heard_h *on_heard;
    struct speech_say_handlers say;
    void *arg;
    size_t left; /* samples to say */
    unsigned phase;
};

static void
job_unlink(struct speech_job *job)
{
    struct speech_job **at = &job->speech->jobs;

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    job->speech->running--;
}

static void
job_post(struct speech_job *job)
{
    if (job->posted || (job->speech->hold && !job->cancelled))
        return;
    job->posted = true;
    loop_post(job->loop, &job->task);
}

static void
job_hear(struct speech_job *job)
{
    struct speech_heard heard = {.understood = !job->speech->misunderstood};
    int error = job->speech->hear_error;

    snprintf(heard.text, sizeof(heard.text), "%s", job->speech->heard);
    job_unlink(job);
    job->on_heard(job->arg, error, error != 0 ? NULL : &heard);
    free(job);
}

static void
job_say(struct speech_job *job)
{
    int16_t pcm[2400];
    size_t n = job->left < 2400 ? job->left : 2400;
    int error = job->speech->say_error;

    if (job->paused)
        return;
    if (n == 0 || error != 0) {
        job_unlink(job);
        job->say.on_done(job->arg, error);
        free(job);
        return;
    }
    for (size_t i = 0; i < n; i++)
        pcm[i] = (int16_t) (3000 * sin(job->phase++ * 0.1));
    job->left -= n;
    job_post(job);
    job->say.on_audio(job->arg, pcm, n);
}

static void
job_run(struct loop_task *task, void *arg)
{
    struct speech_job *job = arg;

    (void) task;
    job->posted = false;
    if (job->cancelled)
        free(job);
    else if (job->on_heard != NULL)
        job_hear(job);
    else
        job_say(job);
}

static struct speech_job *
job_make(struct speech *s, struct loop *loop, void *arg)
{
    struct speech_job *job = calloc(1, sizeof(*job));

    job->speech = s;
    job->loop = loop;
    job->arg = arg;
    job->task.run = job_run;
    job->task.arg = job;
    job->next = s->jobs;
    s->jobs = job;
    s->running++;
    return job;
}

static void
job_cancel(struct speech_job *job)
{
    job->speech->cancels++;
    job_unlink(job);
    job->cancelled = true;
    if (!job->posted)
        free(job);
}

static __attribute__((unused)) void
speech_release(struct speech *s)
{
    s->hold = false;
    for (struct speech_job *job = s->jobs; job != NULL; job = job->next)
        job_post(job);
}

int
speech_create(struct speech **sp, const struct speech_config *cfg)
{
    (void) cfg;
    *sp = calloc(1, sizeof(**sp));
    return 0;
}

void
speech_destroy(struct speech **sp)
{
    free(*sp);
    *sp = NULL;
}

int
speech_hear(struct speech *s, const struct speech_hear_config *cfg,
            speech_heard_h *on_done, void *arg, struct speech_hear **job)
{
    struct speech_job *made;

    if (cfg->grammar == NULL || cfg->grammar->jsgf == NULL)
        return UV_EINVAL;
    made = job_make(s, cfg->loop, arg);
    made->on_heard = on_done;
    s->hears++;
    s->last_samples = cfg->samples;
    free(cfg->pcm);
    job_post(made);
    *job = (struct speech_hear *) made;
    return 0;
}

void
speech_hear_cancel(struct speech_hear *job)
{
    job_cancel((struct speech_job *) job);
}

/* 60 ms a character: as slow as people speak. */
int
speech_say(struct speech *s, const struct speech_say_config *cfg,
           const struct speech_say_handlers *handlers, void *arg,
           struct speech_say **job)
{
    struct speech_job *made = job_make(s, cfg->loop, arg);

    made->say = *handlers;
    made->left = strlen(cfg->text) * 1440;
    s->says++;
    job_post(made);
    *job = (struct speech_say *) made;
    return 0;
}

void
speech_say_cancel(struct speech_say *job)
{
    job_cancel((struct speech_job *) job);
}

void
speech_say_pause(struct speech_say *say, bool paused)
{
    struct speech_job *job = (struct speech_job *) say;

    job->paused = paused;
    if (!paused)
        job_post(job);
}

void
speech_count(struct speech *s, struct speech_counts *counts)
{
    memset(counts, 0, sizeof(*counts));
    counts->running = s->running;
}

const char *
speech_version(const struct speech *s)
{
    (void) s;
    return "scripted";
}

static struct speech *
engine_open(void)
{
    struct speech *s;

    speech_create(&s, NULL);
    snprintf(s->heard, sizeof(s->heard), "what is two plus three");
    return s;
}

/* No job may outlive the link that asked for it. */
static void
engine_close(struct speech **sp)
{
    if (*sp != NULL)
        assert_int_equal((*sp)->running, 0);
    speech_destroy(sp);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/speech.h"

#include "base/log.h"
#include "codec/speech_text.h"
#include "gate/speech_pool.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_THREADS 2u
#define DEFAULT_JOBS    1024u
#define TURN_CHUNKS     10u /* handed over in one turn of a loop */
#define MAX_GRAMMAR     (1024u * 1024u)

struct chunk {
    struct chunk *next;
    size_t samples;
    int16_t pcm[];
};

struct speech_hear {
    struct speech_job job; /* first: a job is cast to its kind */
    struct speech_grammar grammar;
    int16_t *pcm;
    size_t samples;
    struct speech_heard heard;
    speech_heard_h *on_done;
    void *arg;
};

struct speech_say {
    struct speech_job job;
    char *text;
    char *voice;
    double speed;
    size_t bytes;  /* of the text */
    size_t offset; /* spoken so far; the speaking thread's */
    struct chunk *first;
    struct chunk *last;
    size_t waiting; /* samples in the chunks */
    bool paused;
    struct speech_say_handlers handlers;
    void *arg;
};

struct speech {
    void *library; /* stays loaded: its data may be in use anywhere */
    const struct speech_plugin_api *api;
    struct speech_pool *pool;
};

/* --- hearing */

static void
hear_release(struct speech_job *job)
{
    struct speech_hear *hear = (struct speech_hear *) job;

    free((char *) hear->grammar.jsgf);
    free((char *) hear->grammar.words);
    free(hear->pcm);
    free(hear);
}

static void
hear_work(struct speech_job *job, struct speech_ears **ears)
{
    struct speech_hear *hear = (struct speech_hear *) job;
    const struct speech_plugin_api *api = speech_pool_api(job->pool);
    struct speech_heard heard = {0};
    int error = 0;
    bool post;

    if ((*ears == NULL && api->ears_create(ears) != 0)
        || api->ears_hear(*ears, &hear->grammar, hear->pcm, hear->samples,
                          &heard)
               != 0)
        error = UV_EIO;
    speech_pool_lock(job->pool);
    hear->heard = heard;
    job->error = error;
    job->done = true;
    job->place = SPEECH_JOB_IDLE;
    post = speech_job_claim_post(job);
    speech_pool_unlock(job->pool);
    if (post)
        loop_post(job->loop, &job->task);
}

static void
on_hear_task(struct loop_task *task, void *arg)
{
    struct speech_hear *hear = arg;
    bool cancelled;

    (void) task;
    speech_pool_lock(hear->job.pool);
    cancelled = hear->job.cancelled;
    speech_pool_unlock(hear->job.pool);
    if (!cancelled) {
        speech_job_finish(&hear->job); /* our own reference still holds it */
        hear->on_done(hear->arg, hear->job.error,
                      hear->job.error == 0 ? &hear->heard : NULL);
    }
    speech_job_unref(&hear->job);
}

int
speech_hear(struct speech *speech, const struct speech_hear_config *cfg,
            speech_heard_h *on_done, void *arg, struct speech_hear **job)
{
    struct speech_hear *hear;
    size_t skip = 0;
    int error;

    if (cfg->pcm == NULL || cfg->samples == 0 || cfg->grammar == NULL
        || cfg->grammar->jsgf == NULL || cfg->grammar->words == NULL
        || strlen(cfg->grammar->jsgf) > MAX_GRAMMAR)
        return UV_EINVAL;
    hear = calloc(1, sizeof *hear);
    if (hear == NULL)
        return UV_ENOMEM;
    hear->job.loop = cfg->loop;
    hear->job.work = hear_work;
    hear->job.release = hear_release;
    hear->job.task.run = on_hear_task;
    hear->job.task.arg = hear;
    hear->grammar.id = cfg->grammar->id;
    hear->grammar.jsgf = strdup(cfg->grammar->jsgf);
    hear->grammar.words = strdup(cfg->grammar->words);
    hear->on_done = on_done;
    hear->arg = arg;
    if (cfg->samples > SPEECH_HEAR_SAMPLES)
        skip = cfg->samples - SPEECH_HEAR_SAMPLES;
    hear->samples = cfg->samples - skip;
    if (skip > 0)
        memmove(cfg->pcm, cfg->pcm + skip, hear->samples * sizeof *cfg->pcm);
    hear->pcm = cfg->pcm;
    error = hear->grammar.jsgf == NULL || hear->grammar.words == NULL
                ? UV_ENOMEM
                : speech_pool_start(speech->pool, &hear->job);
    if (error != 0) {
        hear->pcm = NULL; /* still the caller's */
        hear_release(&hear->job);
        return error;
    }
    *job = hear;
    return 0;
}

void
speech_hear_cancel(struct speech_hear *job)
{
    speech_job_finish(&job->job);
}

/* --- speaking */

static void
say_release(struct speech_job *job)
{
    struct speech_say *say = (struct speech_say *) job;

    while (say->first != NULL) {
        struct chunk *chunk = say->first;

        say->first = chunk->next;
        free(chunk);
    }
    free(say->text);
    free(say->voice);
    free(say);
}

/* On the speaking thread. */
static bool
on_plugin_audio(void *arg, const int16_t *pcm, size_t samples)
{
    struct speech_say *say = arg;
    struct speech_job *job = &say->job;
    struct chunk *chunk = malloc(sizeof *chunk + samples * sizeof *pcm);
    bool post, going;

    if (chunk == NULL)
        return false;
    chunk->next = NULL;
    chunk->samples = samples;
    memcpy(chunk->pcm, pcm, samples * sizeof *pcm);
    speech_pool_lock(job->pool);
    if (say->last != NULL)
        say->last->next = chunk;
    else
        say->first = chunk;
    say->last = chunk;
    say->waiting += samples;
    post = !say->paused && speech_job_claim_post(job);
    going = !job->cancelled && speech_pool_is_running(job->pool);
    speech_pool_unlock(job->pool);
    if (post)
        loop_post(job->loop, &job->task);
    return going;
}

/* Speaks the piece at the offset. True: that was the end, well or not. */
static bool
say_piece(struct speech_say *say, int *error)
{
    char piece[SPEECH_TEXT_PIECE + 1];
    const char *text = say->text + say->offset;
    size_t start;
    size_t end = speech_text_next(text, say->bytes - say->offset, &start);
    int result;

    memcpy(piece, text + start, end - start);
    piece[end - start] = '\0';
    say->offset += end;
    if (end == start)
        return true;
    result = speech_pool_api(say->job.pool)
                 ->say(piece, say->voice, say->speed, on_plugin_audio, say);
    *error = result < 0 ? UV_EIO : result > 0 ? UV_ECANCELED : 0;
    return result != 0 || say->offset == say->bytes;
}

static void
say_work(struct speech_job *job, struct speech_ears **ears)
{
    struct speech_say *say = (struct speech_say *) job;
    int error = 0;
    bool done = say_piece(say, &error);
    bool post = false;

    (void) ears;
    speech_pool_lock(job->pool);
    job->place = SPEECH_JOB_IDLE;
    if (done) {
        job->error = error;
        job->done = true;
        post = !say->paused && speech_job_claim_post(job);
    } else if (!job->cancelled) {
        if (say->paused || say->waiting >= SPEECH_WAITING_SAMPLES)
            job->place = SPEECH_JOB_PARKED;
        else
            speech_job_push(job);
    }
    speech_pool_unlock(job->pool);
    if (post)
        loop_post(job->loop, &job->task);
}

/* Under the lock. */
static void
say_unpark(struct speech_say *say)
{
    if (say->job.place == SPEECH_JOB_PARKED && !say->paused
        && say->waiting < SPEECH_WAITING_SAMPLES)
        speech_job_push(&say->job);
}

/* One chunk; NULL when none may be given now. over: on_done is due. */
static struct chunk *
chunk_take(struct speech_say *say, bool *over)
{
    struct chunk *chunk = NULL;

    speech_pool_lock(say->job.pool);
    *over = false;
    if (!say->job.cancelled && !say->paused) {
        chunk = say->first;
        *over = chunk == NULL && say->job.done;
    }
    if (chunk != NULL) {
        say->first = chunk->next;
        if (say->first == NULL)
            say->last = NULL;
        say->waiting -= chunk->samples;
        say_unpark(say);
    }
    speech_pool_unlock(say->job.pool);
    return chunk;
}

/* More to give, and nobody has posted the task for it. */
static bool
say_again(struct speech_say *say)
{
    bool post;

    speech_pool_lock(say->job.pool);
    post = !say->paused && (say->first != NULL || say->job.done)
           && speech_job_claim_post(&say->job);
    speech_pool_unlock(say->job.pool);
    return post;
}

static void
on_say_task(struct loop_task *task, void *arg)
{
    struct speech_say *say = arg;
    bool over = false;

    (void) task;
    speech_pool_lock(say->job.pool);
    say->job.posted = false;
    speech_pool_unlock(say->job.pool);
    for (unsigned i = 0; i < TURN_CHUNKS; i++) {
        struct chunk *chunk = chunk_take(say, &over);

        if (chunk == NULL)
            break;
        say->handlers.on_audio(say->arg, chunk->pcm, chunk->samples);
        free(chunk);
    }
    if (over) {
        speech_job_finish(&say->job);
        say->handlers.on_done(say->arg, say->job.error);
    } else if (say_again(say)) {
        loop_post(say->job.loop, &say->job.task);
    }
    speech_job_unref(&say->job);
}

int
speech_say(struct speech *speech, const struct speech_say_config *cfg,
           const struct speech_say_handlers *handlers, void *arg,
           struct speech_say **job)
{
    struct speech_say *say;
    int error;

    if (cfg->text == NULL)
        return UV_EINVAL;
    if (strnlen(cfg->text, SPEECH_TEXT_BYTES + 1) > SPEECH_TEXT_BYTES)
        return UV_E2BIG;
    say = calloc(1, sizeof *say);
    if (say == NULL)
        return UV_ENOMEM;
    say->job.loop = cfg->loop;
    say->job.work = say_work;
    say->job.release = say_release;
    say->job.task.run = on_say_task;
    say->job.task.arg = say;
    say->text = strdup(cfg->text);
    say->voice = strdup(cfg->voice != NULL ? cfg->voice : "");
    say->bytes = strlen(cfg->text);
    say->speed = cfg->speed;
    say->handlers = *handlers;
    say->arg = arg;
    error = say->text == NULL || say->voice == NULL
                ? UV_ENOMEM
                : speech_pool_start(speech->pool, &say->job);
    if (error != 0) {
        say_release(&say->job);
        return error;
    }
    *job = say;
    return 0;
}

void
speech_say_cancel(struct speech_say *job)
{
    speech_job_finish(&job->job);
}

void
speech_say_pause(struct speech_say *job, bool paused)
{
    bool post = false;

    speech_pool_lock(job->job.pool);
    job->paused = paused;
    if (!paused) {
        say_unpark(job);
        post = (job->first != NULL || job->job.done)
               && speech_job_claim_post(&job->job);
    }
    speech_pool_unlock(job->job.pool);
    if (post)
        loop_post(job->job.loop, &job->job.task);
}

/* --- life */

static int
plugin_open(struct speech *speech, const char *path)
{
    char reason[512] = "";

    if (path == NULL || access(path, R_OK) != 0) {
        LOG(WARN, "speech", "plugin=\"%s\" error=\"no such file\"",
            path != NULL ? path : "");
        return UV_ENOENT;
    }
    speech->library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (speech->library == NULL) {
        const char *text = dlerror();

        LOG(ERROR, "speech", "plugin=\"%s\" error=\"%s\"", path,
            text != NULL ? text : "not loaded");
        return UV_EINVAL;
    }
    speech->api = dlsym(speech->library, SPEECH_PLUGIN_SYMBOL);
    if (speech->api == NULL || speech->api->abi != SPEECH_PLUGIN_ABI) {
        LOG(ERROR, "speech", "plugin=\"%s\" error=\"another version\"", path);
        return UV_EINVAL;
    }
    if (speech->api->init(reason, sizeof reason) != 0) {
        LOG(ERROR, "speech", "plugin=\"%s\" error=\"%s\"", path, reason);
        return UV_EIO;
    }
    return 0;
}

int
speech_create(struct speech **sp, const struct speech_config *cfg)
{
    struct speech *speech = calloc(1, sizeof *speech);
    unsigned threads = cfg->threads > 0 ? cfg->threads : DEFAULT_THREADS;
    unsigned jobs = cfg->max_jobs > 0 ? cfg->max_jobs : DEFAULT_JOBS;
    int error;

    if (speech == NULL)
        return UV_ENOMEM;
    error = plugin_open(speech, cfg->plugin_path);
    if (error == 0)
        error = speech_pool_create(&speech->pool, speech->api, threads, jobs);
    if (error != 0) {
        free(speech);
        return error;
    }
    *sp = speech;
    return 0;
}

void
speech_destroy(struct speech **sp)
{
    struct speech *speech = *sp;

    *sp = NULL;
    if (speech == NULL)
        return;
    speech_pool_destroy(&speech->pool);
    free(speech);
}

void
speech_count(struct speech *speech, struct speech_counts *counts)
{
    speech_pool_count(speech->pool, counts);
}

const char *
speech_version(const struct speech *speech)
{
    return speech->api->version();
}

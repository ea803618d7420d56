/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/voice_load.h"

#include "base/clock.h"
#include "base/histogram.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "base/metrics.h"
#include "codec/load_cut.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* One session loop as it is looked at. */
struct place {
    struct loop_task task; /* measures the lag */
    struct loop *loop;
    struct histogram *lag;
    uint64_t busy_us;
    uint64_t posted_us;
    atomic_bool is_posted;
};

struct voice_load {
    struct voice_load_config cfg;
    struct loop_timer *timer; /* home's */
    struct load_cut cut;
    struct metric *busy_percent, *cut_steps;
    uint64_t looked_us;
    int result; /* of the start, on home */
    struct place places[];
};

static atomic_uint steps_now;

unsigned
voice_load_complexity(unsigned wanted)
{
    return load_cut_apply(
        wanted, atomic_load_explicit(&steps_now, memory_order_relaxed));
}

/* --- what another thread is asked to do, and waited for */

struct errand {
    struct loop_task task;
    uv_sem_t done;
    void (*run)(struct voice_load *load);
    struct voice_load *load;
};

static void
on_errand(struct loop_task *task, void *arg)
{
    struct errand *errand = arg;

    (void) task;
    errand->run(errand->load);
    uv_sem_post(&errand->done);
}

static void
errand_run(struct voice_load *load, struct loop *loop,
           void (*run)(struct voice_load *load))
{
    struct errand errand = {.run = run, .load = load};

    uv_sem_init(&errand.done, 0);
    errand.task = (struct loop_task){.run = on_errand, .arg = &errand};
    loop_post(loop, &errand.task);
    uv_sem_wait(&errand.done);
    uv_sem_destroy(&errand.done);
}

/* --- looking */

/* On the loop that is looked at. */
static void
on_posted(struct loop_task *task, void *arg)
{
    struct place *place = arg;

    (void) task;
    histogram_observe(place->lag,
                      (double) (clock_now_us() - place->posted_us) / 1e6);
    atomic_store_explicit(&place->is_posted, false, memory_order_release);
}

/* Permille of the time since the last look. A loop that has not got to the
 * last task yet is not given another. */
static unsigned
place_look(struct place *place, uint64_t elapsed_us)
{
    uint64_t busy_us = loop_busy_us(place->loop);
    uint64_t share = (busy_us - place->busy_us) * 1000 / elapsed_us;

    place->busy_us = busy_us;
    if (!atomic_load_explicit(&place->is_posted, memory_order_acquire)) {
        atomic_store_explicit(&place->is_posted, true, memory_order_relaxed);
        place->posted_us = clock_now_us();
        loop_post(place->loop, &place->task);
    }
    return share < 1000 ? (unsigned) share : 1000;
}

static void
cut_tell(struct voice_load *load, unsigned busy)
{
    unsigned steps = load_cut_steps(&load->cut);

    if (steps > load->cfg.most_steps)
        steps = load->cfg.most_steps;
    if (steps == (unsigned) metric_get(load->cut_steps))
        return;
    atomic_store_explicit(&steps_now, steps, memory_order_relaxed);
    metric_set(load->cut_steps, steps);
    LOG(NOTICE, "voice_load",
        "event=complexity_cut steps=%u busiest_loop_percent=%u", steps,
        busy / 10);
}

static void
on_look(void *arg)
{
    struct voice_load *load = arg;
    uint64_t now_us = clock_now_us();
    uint64_t elapsed_us = now_us - load->looked_us;
    unsigned busiest = 0;

    if (!elapsed_us)
        return;
    load->looked_us = now_us;
    for (unsigned i = 0; i < load->cfg.loop_count; i++) {
        unsigned busy = place_look(&load->places[i], elapsed_us);

        busiest = busy > busiest ? busy : busiest;
    }
    metric_set(load->busy_percent, busiest / 10);
    if (load_cut_note(&load->cut, busiest, now_us / 1000))
        cut_tell(load, busiest);
}

/* --- start and end */

static void
places_init(struct voice_load *load)
{
    static const double bounds[] = {0.001, 0.002, 0.005, 0.01,
                                    0.02,  0.05,  0.1,   0.5};
    struct histogram *lag = histogram_register(
        "voice_loop_lag_seconds",
        "From a task's post to its run, once a second on each session loop.",
        bounds, sizeof(bounds) / sizeof(bounds[0]));

    for (unsigned i = 0; i < load->cfg.loop_count; i++) {
        struct place *place = &load->places[i];

        place->loop = load->cfg.loops[i];
        place->lag = lag;
        place->task = (struct loop_task){.run = on_posted, .arg = place};
        place->busy_us = loop_busy_us(place->loop);
    }
}

static void
load_start(struct voice_load *load)
{
    unsigned ms = load->cfg.look_ms ? load->cfg.look_ms : VOICE_LOAD_LOOK_MS;

    load->looked_us = clock_now_us();
    load->result =
        loop_timer_create(&load->timer, load->cfg.home, on_look, load);
    if (!load->result)
        loop_timer_start(load->timer, ms, ms);
}

static void
load_stop(struct voice_load *load)
{
    loop_timer_destroy(&load->timer);
}

/* A loop that runs this has run what was posted before. */
static void
load_pass(struct voice_load *load)
{
    (void) load;
}

int
voice_load_create(struct voice_load **lp, const struct voice_load_config *cfg)
{
    struct voice_load *load =
        calloc(1, sizeof(*load) + cfg->loop_count * sizeof(struct place));

    if (!load)
        return UV_ENOMEM;
    load->cfg = *cfg;
    load_cut_init(&load->cut);
    load->busy_percent = metric_register(
        METRIC_GAUGE, "voiced_loop_busy_percent",
        "Share of the last second in which the busiest session loop ran, or "
        "waited for a processor.");
    load->cut_steps = metric_register(
        METRIC_GAUGE, "voiced_opus_complexity_cut",
        "Steps by which Opus runs below its configured complexity, 0 to 5.");
    places_init(load);
    errand_run(load, cfg->home, load_start);
    int result = load->result;
    if (result) {
        free(load);
        return result;
    }
    *lp = load;
    return 0;
}

void
voice_load_destroy(struct voice_load **lp)
{
    struct voice_load *load = *lp;

    *lp = NULL;
    if (!load)
        return;
    errand_run(load, load->cfg.home, load_stop);
    for (unsigned i = 0; i < load->cfg.loop_count; i++)
        errand_run(load, load->cfg.loops[i], load_pass);
    atomic_store(&steps_now, 0);
    metric_set(load->cut_steps, 0);
    free(load);
}

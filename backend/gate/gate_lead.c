/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   RESTING ─► WATCHING ─► LEADING: wait, begin, serve, end ─► ...
 *      ▲        held up: 1 ms without an event begun     │
 *      └─────────────── others wait for events ──────────┘
 *
 * A watcher sleeps while nothing is served, so an idle gate makes no noise;
 * the first event wakes it (`asleep`), and for as long as there is work it
 * looks once a millisecond.
 */

#include "gate/gate_lead.h"

#include <time.h>

void
gate_lead_init(struct gate_lead *lead, unsigned fewest)
{
    pthread_condattr_t attributes;

    *lead = (struct gate_lead){.fewest = fewest};
    pthread_mutex_init(&lead->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&lead->watcher, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_cond_init(&lead->resting, NULL);
}

void
gate_lead_deinit(struct gate_lead *lead)
{
    pthread_cond_destroy(&lead->resting);
    pthread_cond_destroy(&lead->watcher);
    pthread_mutex_destroy(&lead->lock);
}

/* `ended` first: read so, the difference is never too small. */
static uint64_t
lead_serving(struct gate_lead *lead)
{
    uint64_t ended = atomic_load(&lead->ended);

    return atomic_load(&lead->begun) - ended;
}

/* --- with the lock */

static void
watcher_pause(struct gate_lead *lead)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LEAD_PATIENCE_MS * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&lead->watcher, &lead->lock, &until);
}

/* Until something is served, or it is to stop. Who begins looks at `asleep`
 * after it has counted; this looks at the counts after it has set it. */
static void
watcher_sleep(struct gate_lead *lead)
{
    atomic_store(&lead->asleep, true);
    while (lead_serving(lead) == 0 && !lead->stopped) {
        pthread_cond_wait(&lead->watcher, &lead->lock);
        atomic_store(&lead->asleep, true);
    }
    atomic_store(&lead->asleep, false);
}

/* Until every leader is held up. */
static void
lead_watch(struct gate_lead *lead)
{
    uint64_t begun;

    lead->watched = true;
    do {
        watcher_sleep(lead);
        begun = atomic_load(&lead->begun);
        if (!lead->stopped) {
            watcher_pause(lead);
        }
    } while (!lead->stopped
             && (atomic_load(&lead->begun) != begun
                 || lead_serving(lead) < atomic_load(&lead->leaders)));
    lead->watched = false;
    pthread_cond_signal(&lead->resting);
}

bool
gate_lead_enter(struct gate_lead *lead)
{
    bool stopped;

    pthread_mutex_lock(&lead->lock);
    while (lead->watched && !lead->stopped) {
        pthread_cond_wait(&lead->resting, &lead->lock);
    }
    if (!lead->stopped && atomic_load(&lead->leaders) >= lead->fewest) {
        lead_watch(lead);
    }
    stopped = lead->stopped;
    if (!stopped) {
        atomic_fetch_add(&lead->leaders, 1);
    }
    pthread_mutex_unlock(&lead->lock);
    return !stopped;
}

/* --- leaders */

void
gate_lead_begin(struct gate_lead *lead)
{
    atomic_fetch_add(&lead->begun, 1);
    if (atomic_load(&lead->asleep)) {
        pthread_mutex_lock(&lead->lock);
        atomic_store(&lead->asleep, false);
        pthread_cond_signal(&lead->watcher);
        pthread_mutex_unlock(&lead->lock);
    }
}

/* More than enough lead, and one of the others is waiting for events. */
static bool
lead_is_spare(struct gate_lead *lead)
{
    unsigned leaders = atomic_load(&lead->leaders);

    return leaders > lead->fewest && lead_serving(lead) + 1 < leaders;
}

bool
gate_lead_end(struct gate_lead *lead)
{
    bool spare;

    atomic_fetch_add(&lead->ended, 1);
    if (!lead_is_spare(lead)) {
        return true;
    }
    pthread_mutex_lock(&lead->lock);
    spare = lead_is_spare(lead);
    if (spare) {
        atomic_fetch_sub(&lead->leaders, 1);
    }
    pthread_mutex_unlock(&lead->lock);
    return !spare;
}

void
gate_lead_stop(struct gate_lead *lead)
{
    pthread_mutex_lock(&lead->lock);
    lead->stopped = true;
    pthread_cond_broadcast(&lead->watcher);
    pthread_cond_broadcast(&lead->resting);
    pthread_mutex_unlock(&lead->lock);
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Which of several threads take events from one epoll set.
 *
 * Were all to wait there, each event that comes while one serves would wake
 * another, and short requests would cost more in switches than in work. So
 * few lead and the others rest: a leader serves one event after the other,
 * and when all leaders are held up by what they serve (LEAD_PATIENCE_MS), one
 * more thread leads. Who comes back from such a thing rests again when others
 * lead.
 *
 * Private to the gate. Any thread; owns no thread.
 */

#ifndef VOICE_GATE_LEAD_H
#define VOICE_GATE_LEAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LEAD_PATIENCE_MS 1

struct gate_lead {
    _Atomic uint64_t begun; /* events */
    _Atomic uint64_t ended;
    _Atomic unsigned leaders; /* written with the lock */
    _Atomic bool asleep;      /* the watcher waits for an event to begin */
    unsigned fewest;          /* leaders, while there are threads */
    bool watched;             /* one of the resting looks after the leaders */
    bool stopped;
    pthread_mutex_t lock;
    pthread_cond_t watcher, resting;
};

/* At least `fewest` threads lead, 1 or more. */
void gate_lead_init(struct gate_lead *lead, unsigned fewest);
void gate_lead_deinit(struct gate_lead *lead);

/* Rests until the calling thread is to lead; false: stopped. */
bool gate_lead_enter(struct gate_lead *lead);

/* Around the serving of an event, not around the wait for it. */
void gate_lead_begin(struct gate_lead *lead);

/* False: the calling thread leads no more, and may enter again. */
bool gate_lead_end(struct gate_lead *lead);

/* Nobody rests any more, or will. */
void gate_lead_stop(struct gate_lead *lead);

#endif

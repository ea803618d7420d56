/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A timer whose owner may be freed at any moment: the libuv handle lives on
 * by itself until the loop has closed it. One thread, the loop's. Owns the
 * handle. The handler may destroy the timer.
 */

#ifndef VOICE_OFFLINE_TIMER_H
#define VOICE_OFFLINE_TIMER_H

#include "base/loop.h"

#include <stdint.h>

struct offline_timer;
typedef void offline_timer_h(void *arg);

int offline_timer_create(struct offline_timer **tp, struct loop *loop,
                         offline_timer_h *handler, void *arg);
void offline_timer_destroy(struct offline_timer **tp);

/* Once, after delay_ms; a running one is moved. repeat_ms 0: only once. */
void offline_timer_start(struct offline_timer *timer, uint64_t delay_ms,
                         uint64_t repeat_ms);
void offline_timer_stop(struct offline_timer *timer);

#endif

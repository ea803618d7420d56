/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A timer whose owner may be freed at any moment: the libuv handle lives on
 * by itself until the loop has closed it. One thread, the loop's. Owns the
 * handle. The handler may destroy the timer.
 */

#ifndef VOICE_LOOP_TIMER_H
#define VOICE_LOOP_TIMER_H

#include "base/loop.h"

#include <stdint.h>

struct loop_timer;
typedef void loop_timer_h(void *arg);

int loop_timer_create(struct loop_timer **tp, struct loop *loop,
                      loop_timer_h *handler, void *arg);
void loop_timer_destroy(struct loop_timer **tp);

/* Once, after delay_ms; a running one is moved. repeat_ms 0: only once. */
void loop_timer_start(struct loop_timer *timer, uint64_t delay_ms,
                      uint64_t repeat_ms);
void loop_timer_stop(struct loop_timer *timer);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How hard the session loops are pressed, and what sessions save for it: the
 * share of a second in which a loop ran or waited for a processor, and how
 * late it takes what is posted to it. Under pressure the complexity of the
 * voice codec is cut, step by step (codec/load_cut). One a process; looks on
 * the control loop, costs the session loops one task a look. Owns its timer.
 *
 *   timer ─► loop_busy_us of each loop ─► load_cut ─► voice_load_complexity
 *         └► task to each loop ─► lag ─► histogram
 */

#ifndef VOICE_VOICE_LOAD_H
#define VOICE_VOICE_LOAD_H

#include "base/loop.h"

#define VOICE_LOAD_LOOK_MS 1000

struct voice_load;

struct voice_load_config {
    struct loop *home;   /* where it looks from; not one of loops */
    struct loop **loops; /* borrowed for life; started */
    unsigned loop_count;
    unsigned look_ms;    /* 0: VOICE_LOAD_LOOK_MS */
    unsigned most_steps; /* that are cut; 0: none ever */
};

/* Not on a loop: waits for home. 0 or UV_E*. One at a time. */
int voice_load_create(struct voice_load **lp,
                      const struct voice_load_config *cfg);
/* While all loops still run; waits for its tasks. NULL is harmless. */
void voice_load_destroy(struct voice_load **lp);

/* What an encoder that was told `wanted` (0-10) is to use now: no more than
 * that. Any thread, with or without a voice_load; one atomic read. Changes at
 * most once in VOICE_LOAD_LOOK_MS: encoders ask now and then, say once in as
 * long. */
unsigned voice_load_complexity(unsigned wanted);

#endif

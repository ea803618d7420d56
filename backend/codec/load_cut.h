/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * By how much the complexity of codecs is cut under CPU pressure. Pure state:
 * told once a window how busy the busiest loop was, it cuts one step above
 * LOAD_CUT_HIGH, two when there is next to no air left, and gives one back
 * after a calm while below LOAD_CUT_LOW. A step given back that had to be
 * taken again makes the next while twice as long, up to a bound: a machine at
 * its limit does not swing.
 */

#ifndef VOICE_LOAD_CUT_H
#define VOICE_LOAD_CUT_H

#include <stdbool.h>
#include <stdint.h>

#define LOAD_CUT_MAX 5 /* steps: the least that 5 is cut to is 0 */

/* Busy shares in permille. */
#define LOAD_CUT_LOW  600
#define LOAD_CUT_HIGH 800
#define LOAD_CUT_FULL 950

#define LOAD_CUT_CALM_MS     5000
#define LOAD_CUT_CALM_MAX_MS 80000

struct load_cut {
    uint64_t calm_since_ms; /* 0: not calm */
    uint64_t eased_ms;      /* when a step was given back; 0: never */
    uint32_t calm_ms;       /* the while before the next one is */
    unsigned steps;
};

void load_cut_init(struct load_cut *cut);

/* True: the steps have changed. now_ms > 0, rising. */
bool load_cut_note(struct load_cut *cut, unsigned busy_permille,
                   uint64_t now_ms);

unsigned load_cut_steps(const struct load_cut *cut);
/* `wanted` less the steps, at least 0. */
unsigned load_cut_apply(unsigned wanted, unsigned steps);

#endif

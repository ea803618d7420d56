/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/load_cut.h"

void
load_cut_init(struct load_cut *cut)
{
    *cut = (struct load_cut){.calm_ms = LOAD_CUT_CALM_MS};
}

/* One that was given back too early is waited for longer next time; one that
 * was long enough ago has nothing to do with this. */
static void
cut_more(struct load_cut *cut, unsigned steps, uint64_t now_ms)
{
    if (cut->eased_ms && now_ms - cut->eased_ms < cut->calm_ms)
        cut->calm_ms = cut->calm_ms * 2 < LOAD_CUT_CALM_MAX_MS
                           ? cut->calm_ms * 2
                           : LOAD_CUT_CALM_MAX_MS;
    cut->eased_ms = 0;
    cut->steps += steps;
    if (cut->steps > LOAD_CUT_MAX)
        cut->steps = LOAD_CUT_MAX;
}

/* After a calm while. */
static bool
cut_ease(struct load_cut *cut, uint64_t now_ms)
{
    if (!cut->calm_since_ms)
        cut->calm_since_ms = now_ms;
    if (now_ms - cut->calm_since_ms < cut->calm_ms)
        return false;
    cut->calm_since_ms = now_ms;
    if (!cut->steps) {
        cut->calm_ms = LOAD_CUT_CALM_MS;
        return false;
    }
    cut->steps--;
    cut->eased_ms = now_ms;
    return true;
}

bool
load_cut_note(struct load_cut *cut, unsigned busy_permille, uint64_t now_ms)
{
    unsigned before = cut->steps;

    if (busy_permille < LOAD_CUT_LOW)
        return cut_ease(cut, now_ms);
    cut->calm_since_ms = 0;
    if (busy_permille > LOAD_CUT_HIGH)
        cut_more(cut, busy_permille > LOAD_CUT_FULL ? 2 : 1, now_ms);
    return cut->steps != before;
}

unsigned
load_cut_steps(const struct load_cut *cut)
{
    return cut->steps;
}

unsigned
load_cut_apply(unsigned wanted, unsigned steps)
{
    return wanted > steps ? wanted - steps : 0;
}

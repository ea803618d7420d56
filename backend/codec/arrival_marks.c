/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/arrival_marks.h"

/* The one that is so many back from the last; 0 the last. */
static uint32_t
mark_at(const struct arrival_marks *m, uint32_t back)
{
    return (m->count - 1 - back) % ARRIVAL_MARKS;
}

void
arrival_marks_note(struct arrival_marks *m, uint32_t position_ms,
                   uint64_t now_us)
{
    if (m->count > 0 && position_ms == m->last_ms)
        return;
    m->last_ms = position_ms;
    m->last_us = now_us;
    if (m->count > 0
        && position_ms - m->position_ms[mark_at(m, 0)] < ARRIVAL_GAP_MS)
        return;
    uint32_t at = m->count++ % ARRIVAL_MARKS;
    m->came_us[at] = now_us;
    m->position_ms[at] = position_ms;
}

uint64_t
arrival_marks_when(const struct arrival_marks *m, uint32_t position_ms)
{
    uint32_t kept = m->count < ARRIVAL_MARKS ? m->count : ARRIVAL_MARKS;
    uint32_t after_ms = m->last_ms;
    uint64_t after_us = m->last_us;

    if (kept == 0 || position_ms > after_ms)
        return 0;
    for (uint32_t back = 0; back < kept && position_ms < after_ms; back++) {
        uint32_t at = mark_at(m, back);
        uint32_t before_ms = m->position_ms[at];
        uint64_t before_us = m->came_us[at];

        if (position_ms > before_ms)
            return before_us
                   + (after_us - before_us) * (position_ms - before_ms)
                         / (after_ms - before_ms);
        after_ms = before_ms;
        after_us = before_us;
    }
    return position_ms == after_ms ? after_us : 0;
}

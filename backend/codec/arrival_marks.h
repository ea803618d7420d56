/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * When which millisecond of a stream of audio came: marks (so much audio had
 * come by then), the last ARRIVAL_MARKS of them, no closer than ARRIVAL_GAP_MS
 * of audio. Between two marks audio came evenly. Pure, embedded, owns nothing.
 */

#ifndef VOICE_ARRIVAL_MARKS_H
#define VOICE_ARRIVAL_MARKS_H

#include <stdint.h>

#define ARRIVAL_MARKS  64
#define ARRIVAL_GAP_MS 40 /* the marks span 2.5 s of audio at least */

struct arrival_marks {
    uint64_t came_us[ARRIVAL_MARKS];
    uint32_t position_ms[ARRIVAL_MARKS]; /* audio that had come by then */
    uint32_t count;                      /* ever made */
    uint32_t last_ms;                    /* all that has come, since: */
    uint64_t last_us;
};

/* All audio before position_ms has come by now_us; neither falls. */
void arrival_marks_note(struct arrival_marks *m, uint32_t position_ms,
                        uint64_t now_us);

/* When the audio before position_ms had come; 0: it has not, or nobody
 * remembers. */
uint64_t arrival_marks_when(const struct arrival_marks *m,
                            uint32_t position_ms);

#endif

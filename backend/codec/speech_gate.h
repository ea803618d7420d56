/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How much speech there was a moment ago, in 24 kHz mono PCM pushed in pieces
 * of any size: what a least length of speech (min_speech) is measured with
 * before an answer is interrupted. The ear is voice_activity's; what counts
 * are stretches of at least 60 ms, each rounded down by the 10 ms that its
 * edges may lack, so that key strokes, clicks and a short cough add up to
 * nothing. Pure: time is counted in samples, no allocation, no I/O. Embedded
 * by its user (about 300 bytes), on one thread at a time; owns nothing and
 * keeps no audio.
 *
 *   pcm ─► 10 ms frames ─► voice_activity ─► a bit each ─► stretches ─► ms
 */

#ifndef VOICE_SPEECH_GATE_H
#define VOICE_SPEECH_GATE_H

#include "codec/voice_activity.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPEECH_GATE_WINDOW_MS 1000u /* looked back on; more for a long need */
#define SPEECH_GATE_NEED_MAX  5000u /* ms; more is brought down to it */

struct speech_gate_config {
    double threshold; /* as voice_activity's: 0.3 hears more than 0.7 */
    unsigned need_ms; /* speech that opens the gate, 0: it is always open */
};

struct speech_gate {
    struct voice_activity activity;
    uint64_t heard[16]; /* a bit a frame, a ring */
    uint16_t next;      /* the frame to be written */
    uint16_t window;    /* frames looked back on, a second's at least */
    uint16_t need_ms;
    uint16_t fill; /* samples in the frame being filled */
};

void speech_gate_init(struct speech_gate *g,
                      const struct speech_gate_config *cfg);

/* New values for what comes and for what was heard; the noise floor stays. */
void speech_gate_configure(struct speech_gate *g,
                           const struct speech_gate_config *cfg);

void speech_gate_push(struct speech_gate *g, const int16_t *pcm,
                      size_t samples);

/* What was heard so far counts no more; the noise floor stays. */
void speech_gate_forget(struct speech_gate *g);

/* Speech in the window: the last second, or twice need_ms where that is
 * longer (of speech with its pauses no second is full). */
unsigned speech_gate_heard_ms(const struct speech_gate *g);

/* Whether that is need_ms at least. */
bool speech_gate_is_open(const struct speech_gate *g);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/speech_gate.h"

#include "codec/pcm.h"

#include <string.h>

#define FRAME_MS      10u
#define FRAME_SAMPLES VOICE_ACTIVITY_FRAME_SAMPLES
#define RING_FRAMES                                                            \
    1024u /* a power of two, over twice SPEECH_GATE_NEED_MAX                   \
           */

/* A stretch: this many voiced frames, with no more than so many others in a
 * row between them. */
#define STRETCH_FRAMES 7u
#define GAP_FRAMES     2u

void
speech_gate_configure(struct speech_gate *g,
                      const struct speech_gate_config *cfg)
{
    struct voice_activity_config activity = {.threshold = cfg->threshold,
                                             .silence_ms = 500};
    unsigned need_ms = cfg->need_ms < SPEECH_GATE_NEED_MAX
                           ? cfg->need_ms
                           : SPEECH_GATE_NEED_MAX;
    unsigned window_ms = 2 * need_ms > SPEECH_GATE_WINDOW_MS
                             ? 2 * need_ms
                             : SPEECH_GATE_WINDOW_MS;

    voice_activity_configure(&g->activity, &activity);
    g->need_ms = (uint16_t) need_ms;
    g->window = (uint16_t) (window_ms / FRAME_MS);
}

void
speech_gate_init(struct speech_gate *g, const struct speech_gate_config *cfg)
{
    struct voice_activity_config activity = {.threshold = cfg->threshold,
                                             .silence_ms = 500};

    memset(g, 0, sizeof *g);
    voice_activity_init(&g->activity, &activity);
    speech_gate_configure(g, cfg);
}

void
speech_gate_forget(struct speech_gate *g)
{
    memset(g->heard, 0, sizeof g->heard);
}

static void
frame_note(struct speech_gate *g, bool voiced)
{
    uint64_t bit = UINT64_C(1) << g->next % 64;

    if (voiced)
        g->heard[g->next / 64] |= bit;
    else
        g->heard[g->next / 64] &= ~bit;
    g->next = (uint16_t) ((g->next + 1) % RING_FRAMES);
}

/* Never over the end of a frame, so that each is looked at; news of starts
 * and stops, which fall on that end too, is not needed. */
void
speech_gate_push(struct speech_gate *g, const int16_t *pcm, size_t samples)
{
    struct voice_activity_news news;

    while (samples > 0) {
        size_t want = (size_t) FRAME_SAMPLES - g->fill;
        size_t part = samples < want ? samples : want;

        voice_activity_push(&g->activity, pcm, part, &news);
        g->fill = (uint16_t) (g->fill + part);
        pcm += part;
        samples -= part;
        if (g->fill == FRAME_SAMPLES) {
            g->fill = 0;
            frame_note(g, voice_activity_is_voiced(&g->activity));
        }
    }
}

static unsigned
stretch_ms(unsigned voiced)
{
    return voiced < STRETCH_FRAMES ? 0 : (voiced - 1) * FRAME_MS;
}

unsigned
speech_gate_heard_ms(const struct speech_gate *g)
{
    unsigned ms = 0, voiced = 0, gap = 0;

    for (unsigned back = g->window; back > 0; back--) {
        unsigned at = (g->next + RING_FRAMES - back) % RING_FRAMES;

        if (g->heard[at / 64] >> at % 64 & 1) {
            voiced++;
            gap = 0;
        } else if (++gap > GAP_FRAMES) {
            ms += stretch_ms(voiced);
            voiced = 0;
        }
    }
    return ms + stretch_ms(voiced);
}

bool
speech_gate_is_open(const struct speech_gate *g)
{
    return speech_gate_heard_ms(g) >= g->need_ms;
}

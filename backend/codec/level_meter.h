/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How loud the turns in one stream of base64 audio were (R5.1), though a model
 * tells late where a turn began and ended: the last part of the stream is kept
 * as one small figure for every 40 ms, and what leaves it goes into the turn
 * under way. Times are milliseconds of audio since the stream began, as in
 * speech_started's audio_start_ms. Pure, no clock, one thread at a time. Owns
 * its figures and keeps no audio.
 *
 *   text ─► samples ─► 40 ms ─► slots kept ──(oldest)──► past of the turn
 *                                  └── from … to ──► the turn's level ◄┘
 */

#ifndef VOICE_LEVEL_METER_H
#define VOICE_LEVEL_METER_H

#include "codec/audio_level.h"

#include <stdbool.h>

#define LEVEL_METER_SLOT_MS 40
#define LEVEL_METER_MARKS   4
#define LEVEL_METER_LATE_MS 500 /* before now: a begin nobody can place */

enum level_format { LEVEL_PCM, LEVEL_ULAW, LEVEL_ALAW };

struct level_meter;

struct level_turn {
    struct audio_level level; /* of what was measured; 8 kHz for G.711 */
    uint64_t ms;              /* from its begin to its end */
};

/* Slots to keep: how far behind the stream a begin and an end may come. 0 or
 * UV_ENOMEM. */
int level_meter_create(struct level_meter **mp, unsigned slots);
void level_meter_destroy(struct level_meter **mp);

/* Whole base64 text of one event. Gives the characters that count: fewer than
 * there are when it is none from there on. */
size_t level_meter_push(struct level_meter *m, enum level_format format,
                        const char *text, size_t chars);

/* Audio of so many characters that nobody could measure: time passes. */
void level_meter_skip(struct level_meter *m, enum level_format format,
                      size_t chars);

/* The turn begins there. A time that can't be (of a model that counts from
 * somewhere else) counts as LEVEL_METER_LATE_MS before now. */
void level_meter_begin(struct level_meter *m, uint64_t at_ms);

/* The turn ends there, and the next one begins unless it is told otherwise.
 * A time that can't be counts as now. */
void level_meter_end(struct level_meter *m, uint64_t at_ms,
                     struct level_turn *out);

/* Now may turn out to be the turn's end (a commit that the model may refuse);
 * of more than LEVEL_METER_MARKS the oldest is forgotten. level_meter_end_mark
 * ends the turn at the oldest mark, which is over then; without one, now. */
void level_meter_mark(struct level_meter *m);
void level_meter_mark_drop(struct level_meter *m);
void level_meter_end_mark(struct level_meter *m, struct level_turn *out);

/* A stream begins anew, at 0 ms. */
void level_meter_restart(struct level_meter *m);

uint64_t level_meter_now_ms(const struct level_meter *m);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What an event of a client of voice.opus.v1 is to the gateway: some are its
 * own, some may not be, the rest is the model's (docs/audio.md). Pure, any
 * thread, owns nothing.
 */

#ifndef VOICE_VOICE_RULES_H
#define VOICE_VOICE_RULES_H

#include "codec/realtime_event.h"

enum voice_rule {
    VOICE_RULE_PASS,     /* on to the model */
    VOICE_RULE_TRUNCATE, /* the same; the client truncates an item itself */
    VOICE_RULE_CLEAR,    /* output_audio_buffer.clear */
    VOICE_RULE_STATS,    /* voice.stats */
    VOICE_RULE_REFUSE    /* *error says why */
};

/* *error borrows from the peek, and is written on VOICE_RULE_REFUSE alone. */
enum voice_rule voice_rules_look(const struct realtime_peek *peek,
                                 struct realtime_error *error);

#endif

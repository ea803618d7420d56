/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/voice_rules.h"

#include "codec/audio_format.h"

#include <jansson.h>
#include <string.h>

/* An update or a response may not leave PCM: that is the model's side. */
static enum voice_rule
format_look(const struct realtime_peek *peek, struct realtime_error *error)
{
    static const char *const params[][2] = {
        {"session.audio.input.format", "session.audio.output.format"},
        {"response.audio.input.format", "response.audio.output.format"},
    };
    bool update = peek->type == REALTIME_SESSION_UPDATE;
    const struct realtime_span *told =
        &peek->value[update ? REALTIME_KEY_SESSION : REALTIME_KEY_RESPONSE];
    json_t *tree =
        told->text ? json_loadb(told->text, told->bytes, 0, NULL) : NULL;
    const char *foreign = audio_format_foreign(tree);

    if (foreign)
        *error = (struct realtime_error){
            .code = "invalid_value",
            .message = "The audio of voice.opus.v1 is Opus; the format of the "
                       "model's side is 24 kHz audio/pcm.",
            .param = params[!update][strcmp(foreign, "input") != 0],
            .event_id = peek->value[REALTIME_KEY_EVENT_ID],
        };
    json_decref(tree);
    return foreign ? VOICE_RULE_REFUSE : VOICE_RULE_PASS;
}

static bool
begins(struct realtime_span name, const char *with)
{
    size_t bytes = strlen(with);

    return name.bytes >= bytes && memcmp(name.text, with, bytes) == 0;
}

/* Types that the API does not have. */
static enum voice_rule
other_look(const struct realtime_peek *peek, struct realtime_error *error)
{
    if (!begins(peek->name, "voice."))
        return VOICE_RULE_PASS;
    if (begins(peek->name, "voice.stats")
        && peek->name.bytes == strlen("voice.stats"))
        return VOICE_RULE_STATS;
    *error = (struct realtime_error){
        .code = "invalid_event",
        .message = "Of the voice.* events a client sends voice.stats alone.",
        .event_id = peek->value[REALTIME_KEY_EVENT_ID],
    };
    return VOICE_RULE_REFUSE;
}

enum voice_rule
voice_rules_look(const struct realtime_peek *peek, struct realtime_error *error)
{
    switch (peek->type) {
    case REALTIME_OUTPUT_CLEAR:
        return VOICE_RULE_CLEAR;
    case REALTIME_ITEM_TRUNCATE:
        return VOICE_RULE_TRUNCATE;
    case REALTIME_SESSION_UPDATE:
    case REALTIME_RESPONSE_CREATE:
        return format_look(peek, error);
    case REALTIME_OTHER:
        return other_look(peek, error);
    default:
        return VOICE_RULE_PASS;
    }
}

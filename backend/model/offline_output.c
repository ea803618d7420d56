/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_output.h"

#include "model/offline_usage.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct offline_output {
    struct offline_output_config cfg;
    struct offline_item *item;
    char *text; /* all deltas so far */
    size_t bytes, capacity;
    size_t samples; /* sent, whatever the item keeps */
};

/* The fields that every event of a part begins with. */
#define PART_FORMAT "s:s, s:s, s:i, s:i"
#define PART_VALUES(o)                                                         \
    "response_id", (o)->cfg.response_id, "item_id", (o)->item->id,             \
        "output_index", (int) (o)->cfg.index, "content_index", 0
#define CALL_FORMAT "s:s, s:s, s:i, s:s"
#define CALL_VALUES(o)                                                         \
    "response_id", (o)->cfg.response_id, "item_id", (o)->item->id,             \
        "output_index", (int) (o)->cfg.index, "call_id",                       \
        offline_item_field((o)->item, "call_id")

static void
emit_output_item(struct offline_output *o, const char *type)
{
    offline_emit(&o->cfg.sink, type, "{s:s, s:i, s:O}", "response_id",
                 o->cfg.response_id, "output_index", (int) o->cfg.index, "item",
                 o->item->json);
}

static json_t *
part_json(const struct offline_output *o)
{
    if (o->cfg.kind == OUTPUT_AUDIO)
        return json_pack("{s:s, s:s%}", "type", "audio", "transcript", o->text,
                         o->bytes);
    return json_pack("{s:s, s:s%}", "type", "text", "text", o->text, o->bytes);
}

static void
emit_part(struct offline_output *o, const char *type)
{
    offline_emit(&o->cfg.sink, type, "{" PART_FORMAT ", s:o}", PART_VALUES(o),
                 "part", part_json(o));
}

int
offline_output_open(struct offline_output **op,
                    const struct offline_output_config *cfg)
{
    struct offline_output *o = calloc(1, sizeof(*o));

    if (o == NULL)
        return UV_ENOMEM;
    o->cfg = *cfg;
    o->text = strdup("");
    o->item = cfg->kind == OUTPUT_CALL ? offline_item_call(cfg->tool)
                                       : offline_item_assistant();
    if (o->text == NULL || o->item == NULL) {
        offline_output_destroy(&o);
        return UV_ENOMEM;
    }
    emit_output_item(o, "response.output_item.added");
    if (cfg->conversation != NULL)
        offline_conversation_append(cfg->conversation, o->item);
    if (cfg->kind != OUTPUT_CALL)
        emit_part(o, "response.content_part.added");
    *op = o;
    return 0;
}

void
offline_output_destroy(struct offline_output **op)
{
    struct offline_output *o = *op;

    *op = NULL;
    if (o == NULL)
        return;
    offline_item_unref(&o->item);
    free(o->text);
    free(o);
}

/* --- deltas */

static int
text_keep(struct offline_output *o, const char *text, size_t bytes)
{
    size_t capacity = o->capacity > 0 ? o->capacity : 256;
    char *grown;

    while (capacity - o->bytes < bytes + 1)
        capacity *= 2;
    if (capacity != o->capacity) {
        grown = realloc(o->text, capacity);
        if (grown == NULL)
            return UV_ENOMEM;
        o->text = grown;
        o->capacity = capacity;
    }
    memcpy(o->text + o->bytes, text, bytes);
    o->bytes += bytes;
    o->text[o->bytes] = '\0';
    return 0;
}

int
offline_output_text(struct offline_output *o, const char *text, size_t bytes)
{
    if (text_keep(o, text, bytes) != 0)
        return UV_ENOMEM;
    if (o->cfg.kind == OUTPUT_CALL)
        offline_emit(&o->cfg.sink, "response.function_call_arguments.delta",
                     "{" CALL_FORMAT ", s:s%}", CALL_VALUES(o), "delta", text,
                     bytes);
    else
        offline_emit(&o->cfg.sink,
                     o->cfg.kind == OUTPUT_AUDIO
                         ? "response.output_audio_transcript.delta"
                         : "response.output_text.delta",
                     "{" PART_FORMAT ", s:s%}", PART_VALUES(o), "delta", text,
                     bytes);
    return 0;
}

int
offline_output_audio(struct offline_output *o, json_t *delta,
                     const int16_t *pcm, size_t samples)
{
    if (delta == NULL)
        return UV_ENOMEM;
    o->samples += samples;
    offline_emit(&o->cfg.sink, "response.output_audio.delta",
                 "{" PART_FORMAT ", s:o}", PART_VALUES(o), "delta", delta);
    return offline_item_keep_audio(o->item, pcm, samples);
}

/* --- the end */

static void
close_call(struct offline_output *o, bool whole)
{
    json_object_set_new(o->item->json, "arguments",
                        json_stringn(o->text, o->bytes));
    offline_item_touch(o->item);
    /* Half the arguments are no call: clients act on this event. */
    if (!whole)
        return;
    offline_emit(&o->cfg.sink, "response.function_call_arguments.done",
                 "{" CALL_FORMAT ", s:s, s:s%}", CALL_VALUES(o), "name",
                 offline_item_field(o->item, "name"), "arguments", o->text,
                 o->bytes);
}

static void
close_message(struct offline_output *o)
{
    bool audio = o->cfg.kind == OUTPUT_AUDIO;
    json_t *part = part_json(o);

    if (audio) {
        offline_emit(&o->cfg.sink, "response.output_audio.done",
                     "{" PART_FORMAT "}", PART_VALUES(o));
        offline_emit(&o->cfg.sink, "response.output_audio_transcript.done",
                     "{" PART_FORMAT ", s:s%}", PART_VALUES(o), "transcript",
                     o->text, o->bytes);
    } else {
        offline_emit(&o->cfg.sink, "response.output_text.done",
                     "{" PART_FORMAT ", s:s%}", PART_VALUES(o), "text", o->text,
                     o->bytes);
    }
    emit_part(o, "response.content_part.done");
    json_object_set_new(part, "type",
                        json_string(audio ? "output_audio" : "output_text"));
    if (o->item->truncated)
        json_object_del(part, "transcript");
    offline_item_set_content(o->item, json_pack("[o]", part));
}

void
offline_output_close(struct offline_output *o, const char *status)
{
    bool whole = strcmp(status, "completed") == 0;

    if (o->cfg.kind == OUTPUT_CALL)
        close_call(o, whole);
    else
        close_message(o);
    offline_item_set_status(o->item, status);
    if (o->cfg.conversation != NULL)
        offline_conversation_finish(o->cfg.conversation, o->item);
    emit_output_item(o, "response.output_item.done");
}

json_t *
offline_output_item(const struct offline_output *o)
{
    return o->item->json;
}

void
offline_output_tokens(const struct offline_output *o,
                      struct offline_tokens *tokens)
{
    size_t bytes = o->bytes;

    if (o->cfg.kind == OUTPUT_CALL)
        bytes += strlen(offline_item_field(o->item, "name"));
    memset(tokens, 0, sizeof(*tokens));
    tokens->text = offline_usage_text_tokens(bytes);
    tokens->audio = offline_usage_speech_tokens(o->samples);
}

size_t
offline_output_samples(const struct offline_output *o)
{
    return o->samples;
}

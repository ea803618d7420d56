/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_item.h"

#include "codec/base64.h"
#include "codec/heard_text.h"
#include "codec/pcm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define USER_TOKEN_SAMPLES      2400u /* one token per 100 ms */
#define ASSISTANT_TOKEN_SAMPLES 1200u /* one per 50 ms */
#define CHARS_PER_TOKEN         4u
#define IMAGE_TOKENS            85u

static uint64_t
fresh_version(void)
{
    static uint64_t last; /* sessions on all loops share it: only differs */

    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

struct offline_item *
offline_item_make(enum offline_item_kind kind, const char *id, json_t *json)
{
    struct offline_item *item = calloc(1, sizeof(*item));

    if (item == NULL || json == NULL) {
        free(item);
        json_decref(json);
        return NULL;
    }
    item->kind = kind;
    item->refs = 1;
    item->version = fresh_version();
    if (id != NULL)
        snprintf(item->id, sizeof(item->id), "%s", id);
    else
        offline_id_make(item->id, "item_", 21);
    item->json = json_pack("{s:s}", "id", item->id);
    if (item->json == NULL || json_object_update(item->json, json) != 0)
        offline_item_unref(&item);
    json_decref(json);
    return item;
}

struct offline_item *
offline_item_user_audio(const char *id, int16_t **pcm, size_t samples)
{
    struct offline_item *item = offline_item_make(
        ITEM_USER, id,
        json_pack("{s:s, s:s, s:s, s:[{s:s, s:n}]}", "type", "message",
                  "status", "completed", "role", "user", "content", "type",
                  "input_audio", "transcript"));

    if (item == NULL)
        return NULL;
    item->has_audio = true;
    item->pcm = *pcm;
    *pcm = NULL;
    item->samples = samples;
    item->capacity = samples;
    return item;
}

struct offline_item *
offline_item_assistant(void)
{
    return offline_item_make(ITEM_ASSISTANT, NULL,
                             json_pack("{s:s, s:s, s:s, s:[]}", "type",
                                       "message", "status", "in_progress",
                                       "role", "assistant", "content"));
}

struct offline_item *
offline_item_call(const char *tool)
{
    char call_id[OFFLINE_ID_BYTES];

    offline_id_make(call_id, "call_", 16);
    return offline_item_make(ITEM_CALL, NULL,
                             json_pack("{s:s, s:s, s:s, s:s, s:s}", "type",
                                       "function_call", "status", "in_progress",
                                       "name", tool, "call_id", call_id,
                                       "arguments", ""));
}

struct offline_item *
offline_item_ref(struct offline_item *item)
{
    item->refs++;
    return item;
}

void
offline_item_unref(struct offline_item **ip)
{
    struct offline_item *item = *ip;

    *ip = NULL;
    if (item == NULL || --item->refs > 0)
        return;
    json_decref(item->json);
    free(item->pcm);
    free(item->heard);
    free(item);
}

void
offline_item_touch(struct offline_item *item)
{
    item->version = fresh_version();
}

void
offline_item_set_status(struct offline_item *item, const char *status)
{
    json_object_set_new(item->json, "status", json_string(status));
}

void
offline_item_set_content(struct offline_item *item, json_t *content)
{
    json_object_set_new(item->json, "content", content);
    offline_item_touch(item);
}

int
offline_item_keep_audio(struct offline_item *item, const int16_t *pcm,
                        size_t samples)
{
    size_t capacity = item->capacity > 0 ? item->capacity : PCM_RATE;
    int16_t *grown;

    if (item->truncated)
        return 0;
    item->has_audio = true;
    /* Once dropped for room it stays dropped: a hole would be a lie. */
    if (item->pcm == NULL && item->samples > 0) {
        item->samples += samples;
        return 0;
    }
    while (capacity - item->samples < samples)
        capacity *= 2;
    if (capacity > item->capacity) {
        grown = realloc(item->pcm, capacity * sizeof(*grown));
        if (grown == NULL)
            return UV_ENOMEM;
        item->pcm = grown;
        item->capacity = capacity;
    }
    memcpy(item->pcm + item->samples, pcm, samples * sizeof(*pcm));
    item->samples += samples;
    return 0;
}

/* The item shows no words any more, as a model does whose ears are its own;
 * what was heard is still known to it. No memory: nothing is. */
static void
heard_keep(struct offline_item *item, const json_t *part, uint64_t audio_ms)
{
    const json_t *said = json_object_get(part, "transcript");
    const char *text = item->truncated ? item->heard : json_string_value(said);
    const char *status = offline_item_field(item, "status");
    bool whole =
        item->truncated || (status != NULL && strcmp(status, "completed") == 0);

    if (text == NULL)
        return;
    size_t bytes = heard_text_bytes(text, strlen(text), audio_ms,
                                    pcm_ms_of_samples(item->samples), whole);
    char *heard = strndup(text, bytes);
    free(item->heard);
    item->heard = heard;
}

void
offline_item_cut(struct offline_item *item, uint64_t audio_ms)
{
    json_t *part = json_array_get(json_object_get(item->json, "content"),
                                  item->audio_index);
    size_t samples = pcm_samples_of_ms(audio_ms);

    heard_keep(item, part, audio_ms);

    if (samples < item->samples)
        item->samples = samples;
    item->truncated = true;
    json_object_del(part, "transcript");
    offline_item_touch(item);
}

size_t
offline_item_drop_audio(struct offline_item *item)
{
    size_t bytes = item->capacity * sizeof(*item->pcm);

    free(item->pcm);
    item->pcm = NULL;
    item->capacity = 0;
    return bytes;
}

json_t *
offline_item_with_audio(const struct offline_item *item, size_t max_bytes)
{
    json_t *json = json_deep_copy(item->json);
    json_t *part =
        json_array_get(json_object_get(json, "content"), item->audio_index);
    struct offline_audio audio;

    if (item->pcm == NULL || part == NULL
        || base64_encoded_bytes(item->samples * 2) > max_bytes)
        return json;
    offline_audio_init(&audio, OFFLINE_PCM);
    json_object_set_new(part, "audio",
                        offline_audio_encode(&audio, item->pcm, item->samples));
    return json;
}

/* --- words, tokens, bytes */

static const char *
part_words(const json_t *part)
{
    const char *text = json_string_value(json_object_get(part, "text"));

    if (text == NULL)
        text = json_string_value(json_object_get(part, "transcript"));
    return text;
}

static void
words_add(char *to, size_t bytes, const char *words)
{
    size_t used = strlen(to);

    if (used < bytes)
        snprintf(to + used, bytes - used, "%s%s", used > 0 ? " " : "", words);
}

bool
offline_item_words(const struct offline_item *item, char *to, size_t bytes)
{
    const json_t *content = json_object_get(item->json, "content");
    bool any = item->heard != NULL;
    const char *words;

    to[0] = '\0';
    for (size_t i = 0; i < json_array_size(content); i++) {
        words = part_words(json_array_get(content, i));
        if (item->heard != NULL && i == item->audio_index)
            continue;
        if (words != NULL)
            words_add(to, bytes, words);
        any = any || words != NULL;
    }
    if (item->heard != NULL && item->heard[0] != '\0')
        words_add(to, bytes, item->heard);
    return any;
}

static unsigned
text_tokens(const char *text)
{
    return text == NULL ? 0
                        : (unsigned) ((strlen(text) + CHARS_PER_TOKEN - 1)
                                      / CHARS_PER_TOKEN);
}

const char *
offline_item_field(const struct offline_item *item, const char *key)
{
    return json_string_value(json_object_get(item->json, key));
}

void
offline_item_tokens(const struct offline_item *item,
                    struct offline_tokens *tokens)
{
    const json_t *content = json_object_get(item->json, "content");
    size_t step = item->kind == ITEM_ASSISTANT ? ASSISTANT_TOKEN_SAMPLES
                                               : USER_TOKEN_SAMPLES;

    memset(tokens, 0, sizeof(*tokens));
    tokens->audio = (unsigned) ((item->samples + step - 1) / step);
    tokens->text = text_tokens(offline_item_field(item, "name"))
                   + text_tokens(offline_item_field(item, "arguments"))
                   + text_tokens(offline_item_field(item, "output"));
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);

        if (json_object_get(part, "image_url") != NULL)
            tokens->image += IMAGE_TOKENS;
        /* Words heard in a user's audio are no input: the audio is. */
        if (item->kind == ITEM_USER && item->has_audio
            && i == item->audio_index)
            continue;
        tokens->text += text_tokens(part_words(part));
    }
}

size_t
offline_item_bytes(const struct offline_item *item)
{
    size_t heard = item->heard != NULL ? strlen(item->heard) : 0;

    return sizeof(*item) + item->capacity * sizeof(*item->pcm) + heard
           + json_dumpb(item->json, NULL, 0, JSON_COMPACT);
}

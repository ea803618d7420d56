/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_usage.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct offline_usage {
    uint64_t head;      /* hash of instructions and tools */
    uint64_t *versions; /* of the items, in order */
    size_t count;
    size_t capacity;
    bool any; /* there was a response before */
};

int
offline_usage_create(struct offline_usage **up)
{
    *up = calloc(1, sizeof(**up));
    return *up != NULL ? 0 : UV_ENOMEM;
}

void
offline_usage_destroy(struct offline_usage **up)
{
    if (*up == NULL)
        return;
    free((*up)->versions);
    free(*up);
    *up = NULL;
}

unsigned
offline_usage_text_tokens(size_t bytes)
{
    return (unsigned) ((bytes + 3) / 4);
}

unsigned
offline_usage_speech_tokens(size_t samples)
{
    return (unsigned) ((samples + 1199) / 1200);
}

static uint64_t
hash_text(uint64_t hash, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char) text[i]) * 1099511628211u;
    return hash;
}

/* Instructions and tools: their tokens and what tells them from others. */
static unsigned
head_tokens(const struct offline_context *context, uint64_t *hash)
{
    const char *words = context->instructions;
    size_t bytes = words != NULL ? strlen(words) : 0;
    unsigned tokens = offline_usage_text_tokens(bytes);
    char *tools;

    *hash = hash_text(14695981039346656037u, words, bytes);
    if (json_array_size(context->tools) == 0)
        return tokens;
    tools = json_dumps(context->tools, JSON_COMPACT);
    if (tools == NULL)
        return tokens;
    bytes = strlen(tools);
    *hash = hash_text(*hash, tools, bytes);
    free(tools);
    return tokens + offline_usage_text_tokens(bytes);
}

static void
tokens_add(struct offline_tokens *sum, const struct offline_tokens *more)
{
    sum->text += more->text;
    sum->audio += more->audio;
    sum->image += more->image;
}

static unsigned
tokens_sum(const struct offline_tokens *tokens)
{
    return tokens->text + tokens->audio + tokens->image;
}

static void
remember_items(struct offline_usage *u, const struct offline_context *context)
{
    uint64_t *grown;

    u->any = false;
    if (context->count > u->capacity) {
        grown = realloc(u->versions, context->count * sizeof(*grown));
        if (grown == NULL)
            return;
        u->versions = grown;
        u->capacity = context->count;
    }
    for (size_t i = 0; i < context->count; i++)
        u->versions[i] = context->items[i]->version;
    u->count = context->count;
    u->any = true;
}

void
offline_usage_count(struct offline_usage *u,
                    const struct offline_context *context, bool remember,
                    struct offline_input_tokens *tokens)
{
    struct offline_tokens item;
    uint64_t head;
    bool same;

    memset(tokens, 0, sizeof(*tokens));
    tokens->all.text = head_tokens(context, &head);
    same = u->any && head == u->head;
    if (same)
        tokens->cached.text = tokens->all.text;
    for (size_t i = 0; i < context->count; i++) {
        offline_item_tokens(context->items[i], &item);
        tokens_add(&tokens->all, &item);
        same = same && i < u->count
               && u->versions[i] == context->items[i]->version;
        if (same)
            tokens_add(&tokens->cached, &item);
    }
    if (!remember)
        return;
    remember_items(u, context);
    u->head = head;
}

size_t
offline_usage_excess(const struct offline_context *context, unsigned max,
                     double ratio)
{
    struct offline_tokens item;
    uint64_t head;
    unsigned sum = head_tokens(context, &head);
    unsigned goal = max;
    size_t first = 0;

    for (size_t i = 0; i < context->count; i++) {
        offline_item_tokens(context->items[i], &item);
        sum += tokens_sum(&item);
    }
    if (sum > max)
        goal = (unsigned) (max * ratio);
    while (sum > goal && first + 1 < context->count) {
        offline_item_tokens(context->items[first++], &item);
        sum -= tokens_sum(&item);
    }
    return first;
}

json_t *
offline_usage_json(const struct offline_input_tokens *input,
                   const struct offline_tokens *output)
{
    unsigned in = tokens_sum(&input->all);
    unsigned cached = tokens_sum(&input->cached);
    unsigned out = output->text + output->audio;

    return json_pack(
        "{s:i, s:i, s:i, s:{s:i, s:i, s:i, s:i, s:{s:i, s:i, s:i}},"
        " s:{s:i, s:i}}",
        "total_tokens", (int) (in + out), "input_tokens", (int) in,
        "output_tokens", (int) out, "input_token_details", "text_tokens",
        (int) input->all.text, "audio_tokens", (int) input->all.audio,
        "image_tokens", (int) input->all.image, "cached_tokens", (int) cached,
        "cached_tokens_details", "text_tokens", (int) input->cached.text,
        "audio_tokens", (int) input->cached.audio, "image_tokens",
        (int) input->cached.image, "output_token_details", "text_tokens",
        (int) output->text, "audio_tokens", (int) output->audio);
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Counts tokens as the cloud's bill does: each response pays for its whole
 * context again, the part that did not change since the response before counts
 * as cached. Owns the memory of that earlier context. Runs on the session's
 * loop.
 */

#ifndef VOICE_OFFLINE_USAGE_H
#define VOICE_OFFLINE_USAGE_H

#include "model/offline_item.h"

struct offline_usage;

/* What a response is given to read. */
struct offline_context {
    const char *instructions;
    const json_t *tools;         /* may be NULL */
    struct offline_item **items; /* borrowed */
    size_t count;
};

struct offline_input_tokens {
    struct offline_tokens all;
    struct offline_tokens cached; /* part of `all` */
};

int offline_usage_create(struct offline_usage **up);
void offline_usage_destroy(struct offline_usage **up);

/* remember: this is the conversation's own context, the next one is compared
 * with it. */
void offline_usage_count(struct offline_usage *u,
                         const struct offline_context *context, bool remember,
                         struct offline_input_tokens *tokens);

/* How many of the oldest items must go for the rest to be at most max tokens;
 * if any must, then down to ratio * max. */
size_t offline_usage_excess(const struct offline_context *context, unsigned max,
                            double ratio);

unsigned offline_usage_text_tokens(size_t bytes);
unsigned offline_usage_speech_tokens(size_t samples);

/* The `usage` of response.done. */
json_t *offline_usage_json(const struct offline_input_tokens *input,
                           const struct offline_tokens *output);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/usage_tokens.h"

#include <string.h>
#include <uv.h>

#define CHARS_A_TOKEN  4
#define IN_MS_A_TOKEN  100
#define OUT_MS_A_TOKEN 50
#define COUNT_MAX      1000000000000ll /* nobody has used more at once */

/* A count, or 0 for what is none. */
static uint64_t
count_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    json_int_t n = json_is_integer(value) ? json_integer_value(value) : 0;

    return n < 0 ? 0 : n > COUNT_MAX ? COUNT_MAX : (uint64_t) n;
}

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

int
usage_tokens_read(struct usage_tokens *t, const json_t *usage)
{
    const json_t *in, *cached, *out;

    memset(t, 0, sizeof(*t));
    if (!json_is_object(usage))
        return UV_ENOENT;
    in = json_object_get(usage, "input_token_details");
    cached = json_object_get(in, "cached_tokens_details");
    out = json_object_get(usage, "output_token_details");
    t->input = count_of(usage, "input_tokens");
    t->input_text = count_of(in, "text_tokens");
    t->input_audio = count_of(in, "audio_tokens");
    t->input_image = count_of(in, "image_tokens");
    /* Part of the input, whatever a server says. */
    t->cached = least(count_of(in, "cached_tokens"), t->input);
    t->cached_text = least(count_of(cached, "text_tokens"), t->cached);
    t->cached_audio = least(count_of(cached, "audio_tokens"), t->cached);
    t->cached_image = least(count_of(cached, "image_tokens"), t->cached);
    t->output = count_of(usage, "output_tokens");
    t->output_text = count_of(out, "text_tokens");
    t->output_audio = count_of(out, "audio_tokens");
    return 0;
}

int
usage_tokens_read_transcription(struct usage_tokens *t, const json_t *usage)
{
    memset(t, 0, sizeof(*t));
    if (!json_is_object(usage))
        return UV_ENOENT;
    const json_t *seconds = json_object_get(usage, "seconds");
    t->transcribed = count_of(usage, "total_tokens");
    if (json_is_number(seconds) && json_number_value(seconds) > 0
        && json_number_value(seconds) < 1e6)
        t->transcribed_ms = (uint64_t) (json_number_value(seconds) * 1000);
    return 0;
}

/* Rounded up: what there is costs something. */
static uint64_t
share(uint64_t amount, uint64_t each)
{
    return amount / each + (amount % each != 0);
}

void
usage_tokens_estimate(struct usage_tokens *t, const struct usage_seen *seen)
{
    memset(t, 0, sizeof(*t));
    t->input_text = share(seen->input_chars, CHARS_A_TOKEN);
    t->input_audio = share(seen->input_audio_ms, IN_MS_A_TOKEN);
    t->input = t->input_text + t->input_audio;
    t->output_text = share(seen->output_chars, CHARS_A_TOKEN);
    t->output_audio = share(seen->output_audio_ms, OUT_MS_A_TOKEN);
    t->output = t->output_text + t->output_audio;
    t->estimated = true;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_audio.h"

#include "codec/base64.h"
#include "codec/pcm.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

void
offline_audio_init(struct offline_audio *audio, enum offline_format format)
{
    memset(audio, 0, sizeof(*audio));
    audio->format = format;
}

static enum g711_law
law_of(const struct offline_audio *audio)
{
    return audio->format == OFFLINE_PCMU ? G711_ULAW : G711_ALAW;
}

/* bytes holds one free byte in front for the odd one of the chunk before. */
static int
decode_pcm(struct offline_audio *audio, uint8_t *bytes, size_t count,
           int16_t **pcm, size_t *samples)
{
    uint8_t *from = bytes + 1;

    if (audio->has_odd) {
        *--from = audio->odd;
        count++;
    }
    audio->has_odd = count % 2 != 0;
    if (audio->has_odd)
        audio->odd = from[count - 1];
    *samples = count / 2;
    *pcm = malloc(*samples * sizeof(**pcm) + 1);
    if (*pcm == NULL)
        return UV_ENOMEM;
    pcm_from_le(*pcm, from, *samples);
    return 0;
}

static int
decode_g711(struct offline_audio *audio, const uint8_t *bytes, size_t count,
            int16_t **pcm, size_t *samples)
{
    int16_t *narrow = malloc(count * sizeof(*narrow) + 1);

    *samples = count * G711_RATIO;
    *pcm = malloc(*samples * sizeof(**pcm) + 1);
    if (narrow == NULL || *pcm == NULL) {
        free(narrow);
        free(*pcm);
        return UV_ENOMEM;
    }
    g711_decode(law_of(audio), narrow, bytes, count);
    g711_resample_up(&audio->resampler, *pcm, narrow, count);
    free(narrow);
    return 0;
}

int
offline_audio_decode(struct offline_audio *audio, const json_t *text,
                     size_t max_bytes, int16_t **pcm, size_t *samples)
{
    const char *chars = json_string_value(text);
    size_t n = json_string_length(text);
    uint8_t *bytes;
    ssize_t count;
    int rc;

    *pcm = NULL;
    *samples = 0;
    if (base64_decoded_max(n) > max_bytes + 2)
        return UV_E2BIG;
    bytes = malloc(base64_decoded_max(n) + 1);
    if (bytes == NULL)
        return UV_ENOMEM;
    count = base64_decode(bytes + 1, chars, n);
    if (count <= 0) {
        free(bytes);
        return count < 0 ? UV_EINVAL : 0;
    }
    if (audio->format == OFFLINE_PCM)
        rc = decode_pcm(audio, bytes, (size_t) count, pcm, samples);
    else
        rc = decode_g711(audio, bytes + 1, (size_t) count, pcm, samples);
    free(bytes);
    if (rc != 0 || *samples == 0) {
        if (rc == 0)
            free(*pcm);
        *pcm = NULL;
        *samples = 0;
    }
    return rc;
}

static json_t *
text_of(const uint8_t *bytes, size_t count)
{
    size_t chars = base64_encoded_bytes(count);
    char *text = malloc(chars + 1);
    json_t *json;

    if (text == NULL)
        return NULL;
    base64_encode(text, bytes, count);
    json = json_stringn_nocheck(text, chars);
    free(text);
    return json;
}

json_t *
offline_audio_encode(struct offline_audio *audio, const int16_t *pcm,
                     size_t samples)
{
    uint8_t *bytes = malloc(samples * 2 + 4);
    int16_t *narrow;
    json_t *json;
    size_t count;

    if (bytes == NULL)
        return NULL;
    if (audio->format == OFFLINE_PCM) {
        pcm_to_le(bytes, pcm, samples);
        count = samples * 2;
    } else {
        narrow = malloc((samples / G711_RATIO + 1) * sizeof(*narrow));
        if (narrow == NULL) {
            free(bytes);
            return NULL;
        }
        count = g711_resample_down(&audio->resampler, narrow, pcm, samples);
        g711_encode(law_of(audio), bytes, narrow, count);
        free(narrow);
    }
    json = text_of(bytes, count);
    free(bytes);
    return json;
}

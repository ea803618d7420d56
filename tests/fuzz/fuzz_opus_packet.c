/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A decoder that is shown anything: packets, gaps before packets, silence,
 * resets, in any order; and an encoder that is given any sound and settings.
 *
 *   input: steps of  what (1)  length (2, big-endian)  bytes
 */

#include "codec/opus_voice.h"

#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
must(bool fact)
{
    if (!fact)
        abort();
}

/* Memory that is exactly as large as what may be read or written. */
static void *
exactly(const void *from, size_t bytes)
{
    void *copy = malloc(bytes + (bytes == 0));

    must(copy != NULL);
    if (bytes > 0)
        memcpy(copy, from, bytes);
    return copy;
}

static void
step_decode(struct opus_voice_decoder *d, const uint8_t *at, size_t n)
{
    int16_t *pcm = malloc(OPUS_VOICE_DECODED_MAX * sizeof *pcm);
    uint8_t *packet = exactly(at, n);
    ssize_t said = opus_voice_packet_samples(packet, n);
    uint64_t refused = opus_voice_decoder_counts(d)->refused;
    ssize_t samples = opus_voice_decode(d, pcm, packet, n);

    must(samples < 0 || samples == said);
    must((samples < 0) == (opus_voice_decoder_counts(d)->refused > refused));
    free(pcm);
    free(packet);
}

static void
step_conceal(struct opus_voice_decoder *d, const uint8_t *at, size_t n)
{
    size_t samples = n > 0 ? at[0] * 41u : 0;
    int16_t *pcm = malloc((samples + 1) * sizeof *pcm);
    uint8_t *packet = n > 1 ? exactly(at + 1, n - 1) : NULL;
    struct opus_voice_counts before = *opus_voice_decoder_counts(d);
    const struct opus_voice_counts *now = opus_voice_decoder_counts(d);

    pcm = realloc(pcm, samples * sizeof *pcm + (samples == 0));
    opus_voice_conceal(d, pcm, samples, packet, n > 1 ? n - 1 : 0);
    must(now->fec_samples + now->plc_samples + now->silent_samples
         == before.fec_samples + before.plc_samples + before.silent_samples
                + samples);
    free(pcm);
    free(packet);
}

static void
step_rest(struct opus_voice_decoder *d, const uint8_t *at, size_t n)
{
    size_t samples = n > 0 ? at[0] * 41u : 0;
    int16_t *pcm = malloc(samples * sizeof *pcm + (samples == 0));

    opus_voice_rest(d, pcm, samples);
    free(pcm);
}

static void
step_encode(struct opus_voice_encoder *e, const uint8_t *at, size_t n)
{
    struct opus_voice_settings s;
    int16_t pcm[OPUS_VOICE_FRAME_MAX] = {0};
    uint8_t *to = malloc(OPUS_VOICE_ENCODED_MAX);
    ssize_t bytes;

    if (n >= 4) {
        s = (struct opus_voice_settings){.frame_ms = at[0] & 1 ? 10 : 20,
                                         .bitrate_bps = at[1] * 200u,
                                         .complexity = at[2] % 12u,
                                         .loss_percent = at[3],
                                         .fec = at[0] & 2,
                                         .dtx = at[0] & 4};
        (void) opus_voice_encoder_configure(e, &s);
        at += 4;
        n -= 4;
    }
    memcpy(pcm, at, n < sizeof pcm ? n : sizeof pcm);
    bytes = opus_voice_encode(e, to, OPUS_VOICE_ENCODED_MAX, pcm);
    must(bytes >= 0);
    must(bytes == 0
         || opus_voice_packet_samples(to, (size_t) bytes)
                == (ssize_t) opus_voice_encoder_frame(e));
    free(to);
}

static void
step_run(struct opus_voice_decoder *d, struct opus_voice_encoder *e,
         const uint8_t *at, size_t n)
{
    switch (at[0] % 6) {
    case 0:
    case 1:
        step_decode(d, at + 3, n);
        break;
    case 2:
        step_conceal(d, at + 3, n);
        break;
    case 3:
        step_rest(d, at + 3, n);
        break;
    case 4:
        step_encode(e, at + 3, n);
        break;
    default:
        opus_voice_decoder_reset(d);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const struct opus_voice_settings settings = {
        .frame_ms = 20, .bitrate_bps = 24000, .complexity = 1};
    struct opus_voice_decoder *d = NULL;
    struct opus_voice_encoder *e = NULL;
    size_t at = 0;

    must(opus_voice_decoder_create(&d) == 0);
    must(opus_voice_encoder_create(&e, &settings) == 0);
    for (unsigned i = 0; i < STEPS_MAX && bytes - at >= 3; i++) {
        size_t n = (size_t) data[at + 1] << 8 | data[at + 2];

        if (n > bytes - at - 3)
            n = bytes - at - 3;
        step_run(d, e, data + at, n);
        at += 3 + n;
    }
    opus_voice_decoder_destroy(&d);
    opus_voice_encoder_destroy(&e);
    return 0;
}

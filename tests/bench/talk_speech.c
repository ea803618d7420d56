/* SPDX-License-Identifier: BSD-2-Clause */

#include "talk_speech.h"

#include <errno.h>
#include <openssl/evp.h>
#include <opus/opus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RATE       24000
#define WAV_HEADER 44

static int
pcm_read(const char *path, int16_t **pcm, unsigned *frames)
{
    FILE *file = fopen(path, "rb");
    long bytes = -1;

    if (!file)
        return -errno;
    if (fseek(file, 0, SEEK_END) == 0)
        bytes = ftell(file) - WAV_HEADER;
    *frames = bytes > 0 ? (unsigned) (bytes / 2 / TALK_FRAME_SAMPLES) : 0;
    *pcm = *frames > TALK_FRAMES_MOST ? malloc((size_t) bytes) : NULL;
    size_t want = (size_t) *frames * TALK_FRAME_SAMPLES;
    int error = !*pcm ? -EINVAL : 0;
    if (!error
        && (fseek(file, WAV_HEADER, SEEK_SET) != 0
            || fread(*pcm, 2, want, file) != want))
        error = -EIO;
    fclose(file);
    return error;
}

static int
text_make(struct talk_speech *speech, const int16_t *pcm)
{
    size_t all = (size_t) speech->frames * TALK_FRAME_CHARS;
    size_t again = (size_t) TALK_FRAMES_MOST * TALK_FRAME_CHARS;

    speech->text = malloc(all + again + 1);
    if (!speech->text)
        return -ENOMEM;
    EVP_EncodeBlock((unsigned char *) speech->text, (const void *) pcm,
                    (int) speech->frames * TALK_FRAME_SAMPLES * 2);
    memcpy(speech->text + all, speech->text, again);
    return 0;
}

static OpusEncoder *
encoder_make(void)
{
    int code;
    OpusEncoder *encoder =
        opus_encoder_create(RATE, 1, OPUS_APPLICATION_VOIP, &code);

    if (!encoder)
        return NULL;
    opus_encoder_ctl(encoder, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE));
    opus_encoder_ctl(encoder,
                     OPUS_SET_MAX_BANDWIDTH(OPUS_BANDWIDTH_SUPERWIDEBAND));
    opus_encoder_ctl(encoder, OPUS_SET_BITRATE(24000));
    opus_encoder_ctl(encoder, OPUS_SET_COMPLEXITY(5));
    opus_encoder_ctl(encoder, OPUS_SET_INBAND_FEC(1));
    opus_encoder_ctl(encoder, OPUS_SET_PACKET_LOSS_PERC(5));
    opus_encoder_ctl(encoder, OPUS_SET_DTX(0));
    return encoder;
}

/* Twice round: the second time follows on the end of the first. */
static int
packets_make(struct talk_speech *speech, const int16_t *pcm)
{
    OpusEncoder *encoder = encoder_make();
    int error = 0;

    speech->packets = calloc(speech->frames, sizeof(*speech->packets));
    if (!encoder || !speech->packets)
        error = -ENOMEM;
    for (unsigned i = 0; i < 2 * speech->frames && !error; i++) {
        unsigned at = i % speech->frames;
        struct talk_packet *packet = &speech->packets[at];
        int bytes =
            opus_encode(encoder, pcm + (size_t) at * TALK_FRAME_SAMPLES,
                        TALK_FRAME_SAMPLES, packet->data, sizeof(packet->data));
        packet->bytes = (uint16_t) bytes;
        error = bytes > 0 ? 0 : -EIO;
    }
    if (encoder)
        opus_encoder_destroy(encoder);
    return error;
}

int
talk_speech_read(struct talk_speech *speech, const char *path)
{
    int16_t *pcm = NULL;
    int error = pcm_read(path, &pcm, &speech->frames);

    if (!error)
        error = text_make(speech, pcm);
    if (!error)
        error = packets_make(speech, pcm);
    free(pcm);
    if (error)
        fprintf(stderr, "bench-talk: %s: %s\n", path, strerror(-error));
    return error;
}

const char *
talk_speech_text(const struct talk_speech *speech, unsigned at)
{
    return speech->text + (size_t) (at % speech->frames) * TALK_FRAME_CHARS;
}

const struct talk_packet *
talk_speech_packet(const struct talk_speech *speech, unsigned at)
{
    return &speech->packets[at % speech->frames];
}

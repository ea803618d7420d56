/* SPDX-License-Identifier: BSD-2-Clause */

#include "voicectl/wav.h"

#include "codec/pcm.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define HEAD_BYTES  44
#define FILE_MAX    (256u * 1024 * 1024)
#define FRAME       (PCM_RATE / 100)
#define SPEECH_PART 0.08 /* of the loudest frame */
#define SPEECH_RMS  100.0

static uint32_t
le32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return le32toh(value);
}

static uint16_t
le16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, 2);
    return le16toh(value);
}

static int
complain(const char *path, const char *what)
{
    fprintf(stderr, "voicectl: %s: %s\n", path, what);
    return UV_EINVAL;
}

static uint8_t *
file_read(const char *path, size_t *bytes, int *error)
{
    FILE *file = fopen(path, "re");
    uint8_t *data = NULL;
    long size = -1;

    if (file && fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    if (size >= 0 && size <= FILE_MAX && fseek(file, 0, SEEK_SET) == 0)
        data = malloc((size_t) size + 1);
    if (data)
        *bytes = fread(data, 1, (size_t) size, file);
    *error = data ? 0 : errno ? uv_translate_sys_error(errno) : UV_EFBIG;
    if (file)
        fclose(file);
    return data;
}

/* The chunk's body, or NULL; *bytes is what of it is there. */
static const uint8_t *
chunk_find(const uint8_t *data, size_t bytes, const char *name, size_t *found)
{
    size_t at = 12;
    while (bytes >= 8 && at <= bytes - 8) {
        size_t size = le32(data + at + 4), left = bytes - at - 8;
        if (memcmp(data + at, name, 4) == 0) {
            *found = size < left ? size : left;
            return data + at + 8;
        }
        if (size >= left)
            break;
        at += 8 + size + (size & 1);
    }
    return NULL;
}

static int
wav_parse(const char *path, const uint8_t *data, size_t bytes, int16_t **pcm,
          size_t *samples)
{
    size_t format_bytes = 0, body_bytes = 0;

    if (bytes < HEAD_BYTES || memcmp(data, "RIFF", 4) != 0
        || memcmp(data + 8, "WAVE", 4) != 0)
        return complain(path, "is not a WAV file");
    const uint8_t *format = chunk_find(data, bytes, "fmt ", &format_bytes);
    const uint8_t *body = chunk_find(data, bytes, "data", &body_bytes);
    if (!format || format_bytes < 16 || !body || body_bytes < 2)
        return complain(path, "holds no audio");
    if (le16(format + 2) != 1 || le32(format + 4) != PCM_RATE
        || le16(format + 14) != 16)
        return complain(path, "is not 16-bit 24 kHz mono; "
                              "sox IN -r 24000 -c 1 -b 16 OUT makes it so");
    *samples = body_bytes / 2;
    *pcm = malloc(*samples * 2);
    if (!*pcm)
        return UV_ENOMEM;
    pcm_from_le(*pcm, body, *samples);
    return 0;
}

int
wav_read(const char *path, int16_t **pcm, size_t *samples)
{
    size_t bytes = 0;
    int error = 0;
    errno = 0;
    uint8_t *data = file_read(path, &bytes, &error);
    if (!data) {
        complain(path, uv_strerror(error));
        return error;
    }
    error = wav_parse(path, data, bytes, pcm, samples);
    free(data);
    return error;
}

static void
put32(uint8_t *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, 4);
}

int
wav_write(const char *path, const int16_t *pcm, size_t samples)
{
    uint8_t head[HEAD_BYTES] = "RIFF....WAVEfmt ";
    size_t bytes = samples * 2;

    put32(head + 4, (uint32_t) bytes + HEAD_BYTES - 8);
    put32(head + 16, 16);
    put32(head + 20, 1 | 1u << 16); /* PCM, one channel */
    put32(head + 24, PCM_RATE);
    put32(head + 28, PCM_RATE * 2);
    put32(head + 32, 2 | 16u << 16);
    memcpy(head + 36, "data", 4);
    put32(head + 40, (uint32_t) bytes);
    uint8_t *body = malloc(bytes + 1);
    FILE *file = body ? fopen(path, "we") : NULL;
    int result = body ? 0 : UV_ENOMEM;
    if (file) {
        pcm_to_le(body, pcm, samples);
        if (fwrite(head, HEAD_BYTES, 1, file) != 1
            || fwrite(body, 1, bytes, file) != bytes)
            result = UV_EIO;
        if (fclose(file) != 0)
            result = UV_EIO;
    } else if (!result) {
        result = uv_translate_sys_error(errno);
    }
    free(body);
    return result;
}

size_t
wav_speech_end(const int16_t *pcm, size_t samples)
{
    double loudest = 0;
    size_t end = 0;

    for (size_t at = 0; at + FRAME <= samples; at += FRAME) {
        double rms = pcm_rms(pcm + at, FRAME);
        loudest = rms > loudest ? rms : loudest;
    }
    double least = loudest * SPEECH_PART;
    if (least < SPEECH_RMS)
        least = SPEECH_RMS;
    for (size_t at = 0; at + FRAME <= samples; at += FRAME) {
        if (pcm_rms(pcm + at, FRAME) >= least)
            end = at + FRAME;
    }
    return end;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/opus_voice.h"

#include "codec/pcm.h"

#include <opus/opus.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define FRAMES_MAX 48 /* in a packet: 120 ms of 2.5 ms (RFC 6716, 3.2.5) */
#define CHUNK      480u
#define DTX_BYTES  2 /* a packet of so few says "nothing" */

/* The codec's state lies in the same block, behind ours. */
#define HEAD_BYTES(type) ((sizeof(type) + 15) & ~(size_t) 15)

struct opus_voice_encoder {
    OpusEncoder *codec;
    struct opus_voice_settings settings;
    bool is_resting;
};

struct opus_voice_decoder {
    OpusDecoder *codec;
    struct opus_voice_counts counts;
    size_t made_up;     /* samples of PLC since the last packet */
    bool last_was_celt; /* then the next packet's FEC doesn't fit */
};

static int
code_translate(int code)
{
    switch (code) {
    case OPUS_BAD_ARG:
    case OPUS_INVALID_PACKET:
        return UV_EINVAL;
    case OPUS_BUFFER_TOO_SMALL:
        return UV_ENOBUFS;
    case OPUS_ALLOC_FAIL:
        return UV_ENOMEM;
    default:
        return UV_EIO;
    }
}

static bool
settings_are_good(const struct opus_voice_settings *s)
{
    return (s->frame_ms == 10 || s->frame_ms == 20)
           && s->bitrate_bps >= OPUS_VOICE_BITRATE_MIN
           && s->bitrate_bps <= OPUS_VOICE_BITRATE_MAX && s->complexity <= 10
           && s->loss_percent <= 100;
}

/* What never changes: speech, 12 kHz of band, the mean rate kept to. */
static void
encoder_begin(struct opus_voice_encoder *e)
{
    opus_encoder_ctl(e->codec, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE));
    opus_encoder_ctl(e->codec,
                     OPUS_SET_MAX_BANDWIDTH(OPUS_BANDWIDTH_SUPERWIDEBAND));
    opus_encoder_ctl(e->codec, OPUS_SET_VBR(1));
    opus_encoder_ctl(e->codec, OPUS_SET_VBR_CONSTRAINT(1));
    opus_encoder_ctl(e->codec, OPUS_SET_LSB_DEPTH(16));
}

static void
settings_apply(struct opus_voice_encoder *e,
               const struct opus_voice_settings *s)
{
    opus_encoder_ctl(e->codec, OPUS_SET_BITRATE((opus_int32) s->bitrate_bps));
    opus_encoder_ctl(e->codec, OPUS_SET_COMPLEXITY((opus_int32) s->complexity));
    opus_encoder_ctl(e->codec,
                     OPUS_SET_PACKET_LOSS_PERC((opus_int32) s->loss_percent));
    opus_encoder_ctl(e->codec, OPUS_SET_INBAND_FEC(s->fec ? 1 : 0));
    opus_encoder_ctl(e->codec, OPUS_SET_DTX(s->dtx ? 1 : 0));
    e->settings = *s;
}

static bool
settings_are_equal(const struct opus_voice_settings *a,
                   const struct opus_voice_settings *b)
{
    return a->frame_ms == b->frame_ms && a->bitrate_bps == b->bitrate_bps
           && a->complexity == b->complexity
           && a->loss_percent == b->loss_percent && a->fec == b->fec
           && a->dtx == b->dtx;
}

int
opus_voice_encoder_create(struct opus_voice_encoder **ep,
                          const struct opus_voice_settings *settings)
{
    struct opus_voice_encoder *e;
    int code;

    if (!settings_are_good(settings))
        return UV_EINVAL;
    e = calloc(1, opus_voice_encoder_bytes());
    if (e == NULL)
        return UV_ENOMEM;
    e->codec = (void *) ((char *) e + HEAD_BYTES(struct opus_voice_encoder));
    code =
        opus_encoder_init(e->codec, OPUS_VOICE_RATE, 1, OPUS_APPLICATION_VOIP);
    if (code != OPUS_OK) {
        free(e);
        return code_translate(code);
    }
    encoder_begin(e);
    settings_apply(e, settings);
    *ep = e;
    return 0;
}

void
opus_voice_encoder_destroy(struct opus_voice_encoder **ep)
{
    free(*ep);
    *ep = NULL;
}

int
opus_voice_encoder_configure(struct opus_voice_encoder *e,
                             const struct opus_voice_settings *settings)
{
    if (!settings_are_good(settings))
        return UV_EINVAL;
    if (!settings_are_equal(&e->settings, settings))
        settings_apply(e, settings);
    return 0;
}

void
opus_voice_encoder_reset(struct opus_voice_encoder *e)
{
    opus_encoder_ctl(e->codec, OPUS_RESET_STATE);
    e->is_resting = false;
}

ssize_t
opus_voice_encode(struct opus_voice_encoder *e, uint8_t *to, size_t room,
                  const int16_t *pcm)
{
    bool was_resting = e->is_resting;
    opus_int32 bytes;

    if (room < OPUS_VOICE_ENCODED_MAX) /* less would cost quality unseen */
        return UV_ENOBUFS;
    bytes = opus_encode(e->codec, pcm, (int) opus_voice_encoder_frame(e), to,
                        OPUS_VOICE_ENCODED_MAX);
    if (bytes <= 0)
        return bytes == 0 ? UV_EIO : code_translate(bytes);
    e->is_resting = e->settings.dtx && bytes <= DTX_BYTES;
    return e->is_resting && was_resting ? 0 : bytes;
}

bool
opus_voice_encoder_is_resting(const struct opus_voice_encoder *e)
{
    return e->is_resting;
}

size_t
opus_voice_encoder_frame(const struct opus_voice_encoder *e)
{
    return (size_t) e->settings.frame_ms * OPUS_VOICE_RATE / 1000;
}

unsigned
opus_voice_encoder_delay(const struct opus_voice_encoder *e)
{
    opus_int32 samples = 0;

    opus_encoder_ctl(e->codec, OPUS_GET_LOOKAHEAD(&samples));
    return (unsigned) samples;
}

size_t
opus_voice_encoder_bytes(void)
{
    return HEAD_BYTES(struct opus_voice_encoder)
           + (size_t) opus_encoder_get_size(1);
}

size_t
opus_voice_decoder_bytes(void)
{
    return HEAD_BYTES(struct opus_voice_decoder)
           + (size_t) opus_decoder_get_size(1);
}

int
opus_voice_decoder_create(struct opus_voice_decoder **dp)
{
    struct opus_voice_decoder *d = calloc(1, opus_voice_decoder_bytes());
    int code;

    if (d == NULL)
        return UV_ENOMEM;
    d->codec = (void *) ((char *) d + HEAD_BYTES(struct opus_voice_decoder));
    code = opus_decoder_init(d->codec, OPUS_VOICE_RATE, 1);
    if (code != OPUS_OK) {
        free(d);
        return code_translate(code);
    }
    *dp = d;
    return 0;
}

void
opus_voice_decoder_destroy(struct opus_voice_decoder **dp)
{
    free(*dp);
    *dp = NULL;
}

void
opus_voice_decoder_reset(struct opus_voice_decoder *d)
{
    opus_decoder_ctl(d->codec, OPUS_RESET_STATE);
    d->made_up = 0;
    d->last_was_celt = false;
}

ssize_t
opus_voice_packet_samples(const uint8_t *packet, size_t bytes)
{
    const unsigned char *frames[FRAMES_MAX];
    opus_int16 sizes[FRAMES_MAX];
    int samples;

    if (bytes == 0 || bytes > OPUS_VOICE_PACKET_MAX
        || opus_packet_get_nb_channels(packet) != 1)
        return UV_EINVAL;
    samples = opus_packet_get_nb_samples(packet, (opus_int32) bytes,
                                         (opus_int32) OPUS_VOICE_RATE);
    if (samples <= 0 || samples > (int) OPUS_VOICE_DECODED_MAX)
        return UV_EINVAL;
    /* the lengths inside: none over 1275, none beyond the end */
    if (opus_packet_parse(packet, (opus_int32) bytes, NULL, frames, sizes, NULL)
        <= 0)
        return UV_EINVAL;
    return samples;
}

/* The configurations of the first byte (RFC 6716, 3.1): SILK, both, CELT. */
static bool
packet_is_celt(const uint8_t *packet)
{
    return packet[0] & 0x80;
}

static size_t
packet_frame_samples(const uint8_t *packet)
{
    return (size_t) opus_packet_get_samples_per_frame(
        packet, (opus_int32) OPUS_VOICE_RATE);
}

/*
 * SILK's part begins with a bit for each of its frames (of 20 ms, or one of
 * 10) that tells speech, and then the one that tells of a second, coarser copy
 * of the time before (RFC 6716, 4.2.3).
 */
bool
opus_voice_packet_has_fec(const uint8_t *packet, size_t bytes)
{
    const unsigned char *frames[FRAMES_MAX];
    opus_int16 sizes[FRAMES_MAX];
    size_t silk_frames;

    if (packet_is_celt(packet)
        || opus_packet_parse(packet, (opus_int32) bytes, NULL, frames, sizes,
                             NULL)
               <= 0
        || sizes[0] <= 1)
        return false;
    silk_frames = (packet_frame_samples(packet) + CHUNK - 1) / CHUNK;
    return frames[0][0] & (0x80 >> silk_frames);
}

ssize_t
opus_voice_decode(struct opus_voice_decoder *d, int16_t *to,
                  const uint8_t *packet, size_t bytes)
{
    ssize_t samples = opus_voice_packet_samples(packet, bytes);

    if (samples > 0)
        samples = opus_decode(d->codec, packet, (opus_int32) bytes, to,
                              (int) OPUS_VOICE_DECODED_MAX, 0);
    if (samples <= 0) {
        d->counts.refused++;
        return UV_EINVAL;
    }
    d->counts.packets++;
    d->made_up = 0;
    d->last_was_celt = packet_is_celt(packet);
    return samples;
}

static void
silence_write(int16_t *to, size_t samples)
{
    memset(to, 0, samples * sizeof *to);
}

/* What libopus takes a lost packet for; whole steps only. It keeps no promise
 * to write all of them, we do. */
static void
frames_make_up(struct opus_voice_decoder *d, int16_t *to, size_t samples)
{
    while (samples > 0) {
        size_t chunk = samples < CHUNK ? samples : CHUNK;
        int made = opus_decode(d->codec, NULL, 0, to, (int) chunk, 0);

        if (made < (int) chunk)
            silence_write(to, chunk);
        to += chunk;
        samples -= chunk;
    }
}

static size_t
steps_within(size_t samples)
{
    return samples - samples % OPUS_VOICE_STEP_SAMPLES;
}

/* Writes what may still be made up of so many samples and gives its count. */
static size_t
plc_write(struct opus_voice_decoder *d, int16_t *to, size_t samples)
{
    size_t left = OPUS_VOICE_PLC_MAX - d->made_up;
    size_t n = steps_within(samples < left ? samples : left);
    size_t tail = n < CHUNK ? n : CHUNK;

    frames_make_up(d, to, n);
    d->made_up += n;
    d->counts.plc_samples += n;
    if (n > 0 && d->made_up == OPUS_VOICE_PLC_MAX)
        pcm_fade(to + n - tail, tail, 1.0, 0.0);
    return n;
}

/* How much of the end of a gap the packet after it holds. */
static size_t
fec_samples(const struct opus_voice_decoder *d, size_t samples,
            const uint8_t *packet, size_t bytes)
{
    size_t frame;

    if (packet == NULL || d->last_was_celt
        || opus_voice_packet_samples(packet, bytes) < 0
        || !opus_voice_packet_has_fec(packet, bytes))
        return 0;
    frame = packet_frame_samples(packet);
    return frame <= samples ? frame : 0;
}

void
opus_voice_conceal(struct opus_voice_decoder *d, int16_t *to, size_t samples,
                   const uint8_t *packet, size_t bytes)
{
    size_t fec = fec_samples(d, samples, packet, bytes);
    size_t head = samples - fec;
    size_t made_up = plc_write(d, to, head);

    silence_write(to + made_up, head - made_up);
    d->counts.silent_samples += head - made_up;
    if (fec == 0)
        return;
    if (opus_decode(d->codec, packet, (opus_int32) bytes, to + head, (int) fec,
                    1)
        < (int) fec)
        silence_write(to + head, fec);
    d->counts.fec_samples += fec;
}

void
opus_voice_rest(struct opus_voice_decoder *d, int16_t *to, size_t samples)
{
    size_t whole = steps_within(samples);

    frames_make_up(d, to, whole);
    silence_write(to + whole, samples - whole);
    d->counts.rest_samples += samples;
}

const struct opus_voice_counts *
opus_voice_decoder_counts(const struct opus_voice_decoder *d)
{
    return &d->counts;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Speech as Opus packets and back: mono, 24 kHz samples, at most 32 kbit/s
 * (R2.3). Pure: no I/O, no clock; an encoder or decoder is one block of
 * memory, owned by its maker and used on one thread at a time. Nothing is
 * allocated after it was made. Refuses what is no Opus packet, stereo, more
 * than 120 ms, more than 1275 bytes a frame (RFC 6716, 3.4), and is then as
 * usable as before. This is the one module that knows libopus.
 *
 *   PCM ─► encode ─► packet, or nothing (DTX)
 *   packet ─► decode ─► PCM     lost before it ─► conceal: FEC, PLC, silence
 *                               left out before it (DTX) ─► rest: soft noise
 */

#ifndef VOICE_OPUS_VOICE_H
#define VOICE_OPUS_VOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define OPUS_VOICE_RATE         24000u
#define OPUS_VOICE_BITRATE_MIN  6000u
#define OPUS_VOICE_BITRATE_MAX  32000u
#define OPUS_VOICE_FRAME_MAX    480u  /* samples encode takes: 20 ms */
#define OPUS_VOICE_ENCODED_MAX  512u  /* bytes it may write */
#define OPUS_VOICE_PACKET_MAX   7657u /* bytes decode takes: 120 ms, all full */
#define OPUS_VOICE_DECODED_MAX  2880u /* samples a packet can hold: 120 ms */
#define OPUS_VOICE_PLC_MAX      2400u /* samples made up in a row: 100 ms */
#define OPUS_VOICE_STEP_SAMPLES 60u   /* what is made up comes in 2.5 ms */

struct opus_voice_settings {
    unsigned frame_ms;     /* 20 or 10 */
    unsigned bitrate_bps;  /* mean while somebody speaks; under 24,000
                              libopus hardly finds room for FEC */
    unsigned complexity;   /* 0…10 */
    unsigned loss_percent; /* expected, 0…100; FEC needs more than 0 */
    bool fec;              /* a packet also has the frame before it */
    bool dtx;              /* silence is not sent */
};

struct opus_voice_encoder;
struct opus_voice_decoder;

/* What a decoder has done since it was made. */
struct opus_voice_counts {
    uint64_t packets;
    uint64_t refused;        /* no packet of ours */
    uint64_t fec_samples;    /* lost, and found in the next packet */
    uint64_t plc_samples;    /* lost, and made up */
    uint64_t silent_samples; /* lost, too many to make up */
    uint64_t rest_samples;   /* not sent, as silence */
};

/* Gives *ep. 0, UV_EINVAL (a value out of its bounds), UV_ENOMEM. */
int opus_voice_encoder_create(struct opus_voice_encoder **ep,
                              const struct opus_voice_settings *settings);
void opus_voice_encoder_destroy(struct opus_voice_encoder **ep);

/* From the next frame on. 0, or UV_EINVAL and nothing has changed. Costs
 * nothing where nothing differs. */
int opus_voice_encoder_configure(struct opus_voice_encoder *e,
                                 const struct opus_voice_settings *settings);

/* Forgets what was said; settings stay. For a new voice or after a jump. */
void opus_voice_encoder_reset(struct opus_voice_encoder *e);

/*
 * One frame of opus_voice_encoder_frame() samples to `to`, which has `room`
 * bytes, OPUS_VOICE_ENCODED_MAX at least. Gives the packet's bytes; 0: a
 * frame of silence that is not to be sent (its time passes all the same);
 * UV_ENOBUFS; UV_EIO. The first frame of a silence is sent, so that the other
 * end knows that nothing is lost: opus_voice_encoder_is_resting tells.
 */
ssize_t opus_voice_encode(struct opus_voice_encoder *e, uint8_t *to,
                          size_t room, const int16_t *pcm);

/* Whether the last frame was DTX, sent or not. */
bool opus_voice_encoder_is_resting(const struct opus_voice_encoder *e);

/* Samples of a frame now: 480 or 240. */
size_t opus_voice_encoder_frame(const struct opus_voice_encoder *e);

/* Samples between what goes in and what the other end hears of it. */
unsigned opus_voice_encoder_delay(const struct opus_voice_encoder *e);

/* Bytes of memory of one. */
size_t opus_voice_encoder_bytes(void);
size_t opus_voice_decoder_bytes(void);

/* Gives *dp. 0 or UV_ENOMEM. */
int opus_voice_decoder_create(struct opus_voice_decoder **dp);
void opus_voice_decoder_destroy(struct opus_voice_decoder **dp);

/* As if nothing had been heard; counts stay. */
void opus_voice_decoder_reset(struct opus_voice_decoder *d);

/* Samples in a packet, by its head alone, or UV_EINVAL: not one that decode
 * would take. Touches no decoder. */
ssize_t opus_voice_packet_samples(const uint8_t *packet, size_t bytes);

/* Whether a (good) packet also has the frame before it. */
bool opus_voice_packet_has_fec(const uint8_t *packet, size_t bytes);

/* Gives the samples written to `to` (room for OPUS_VOICE_DECODED_MAX; what is
 * beyond them is undefined), or UV_EINVAL: refused, go on with the next. */
ssize_t opus_voice_decode(struct opus_voice_decoder *d, int16_t *to,
                          const uint8_t *packet, size_t bytes);

/*
 * Fills in `samples` that were lost before `packet`, which is decoded after
 * this (NULL: none is there). The last frame comes out of its FEC, when it has
 * one; what is before that is made up for at most OPUS_VOICE_PLC_MAX samples
 * since the last packet, fading out, the rest is silence. Always writes all
 * the samples.
 */
void opus_voice_conceal(struct opus_voice_decoder *d, int16_t *to,
                        size_t samples, const uint8_t *packet, size_t bytes);

/* Fills in `samples` that the other end did not send as they were silence:
 * the noise that was behind its voice. Always writes all the samples. */
void opus_voice_rest(struct opus_voice_decoder *d, int16_t *to, size_t samples);

/* Borrowed, for as long as the decoder lives. */
const struct opus_voice_counts *
opus_voice_decoder_counts(const struct opus_voice_decoder *d);

#endif

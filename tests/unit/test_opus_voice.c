/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/opus_voice.h"

#include "codec/audio_level.h"
#include "codec/voice_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <opus/opus.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "kit/wave.h"

#define FRAME 480u
#define BYTES (VOICE_PACKET_HEAD_BYTES + OPUS_VOICE_ENCODED_MAX)

static const struct opus_voice_settings usual = {.frame_ms = 20,
                                                 .bitrate_bps = 24000,
                                                 .complexity = 5,
                                                 .loss_percent = 10,
                                                 .fec = true,
                                                 .dtx = false};

/* Speech on its way: encoded, put on the wire, some of it skipped, decoded. */
struct trip {
    struct opus_voice_settings settings;
    unsigned skip_percent;
    int16_t *heard; /* as long as what was said, given */
    size_t samples;
    size_t sent_bytes;
    unsigned sent, rested, skipped;
    struct opus_voice_counts counts;
    struct voice_track track;

    struct opus_voice_decoder *decoder;
};

static void
message_receive(struct trip *t, const uint8_t *message, size_t bytes)
{
    struct voice_packet packet;
    struct voice_track_news news;
    ssize_t samples, n;

    assert_int_equal(voice_packet_read(&packet, message, bytes), 0);
    samples = opus_voice_packet_samples(packet.body, packet.body_bytes);
    assert_true(samples > 0);
    voice_track_take(&t->track, &packet, (uint32_t) samples * 2, &news);
    assert_int_equal(news.kind == VOICE_TRACK_RESTART,
                     packet.flags == VOICE_PACKET_START);
    assert_int_not_equal(news.kind, VOICE_TRACK_OLD);
    opus_voice_rest(t->decoder, t->heard + t->samples, news.rest_48k / 2);
    t->samples += news.rest_48k / 2;
    opus_voice_conceal(t->decoder, t->heard + t->samples, news.lost_48k / 2,
                       packet.body, packet.body_bytes);
    t->samples += news.lost_48k / 2;
    n = opus_voice_decode(t->decoder, t->heard + t->samples, packet.body,
                          packet.body_bytes);
    assert_int_equal(n, samples);
    t->samples += (size_t) n;
}

static bool
skip_choose(const struct trip *t, uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % 100 < t->skip_percent;
}

/* The first and the last packet always come. */
static void
trip_make(struct trip *t, const int16_t *pcm, size_t samples)
{
    struct opus_voice_encoder *e = NULL;
    struct voice_packet_stamp stamp = {65530, 0xffffff00u};
    uint8_t *message = malloc(BYTES);
    uint32_t seed = 1;
    size_t frame;

    assert_int_equal(opus_voice_encoder_create(&e, &t->settings), 0);
    assert_int_equal(opus_voice_decoder_create(&t->decoder), 0);
    frame = opus_voice_encoder_frame(e);
    t->heard = calloc(samples + OPUS_VOICE_DECODED_MAX, sizeof *t->heard);
    for (size_t at = 0; at + frame <= samples; at += frame) {
        struct voice_packet packet = {.kind = VOICE_PACKET_AUDIO};
        ssize_t n = opus_voice_encode(e, message + VOICE_PACKET_HEAD_BYTES,
                                      OPUS_VOICE_ENCODED_MAX, pcm + at);

        assert_true(n >= 0 && (n > 0 || t->settings.dtx));
        if (n == 0) {
            assert_true(opus_voice_encoder_is_resting(e));
            voice_packet_pass(&stamp, (uint32_t) frame * 2);
            t->rested++;
            continue;
        }
        packet.flags = at == 0 ? VOICE_PACKET_START : 0;
        voice_packet_stamp(&stamp, &packet, (uint32_t) frame * 2);
        voice_packet_write_head(message, &packet);
        if (at > 0 && at + 2 * frame <= samples && skip_choose(t, &seed)) {
            t->skipped++;
            continue;
        }
        t->sent++;
        t->sent_bytes += (size_t) n;
        message_receive(t, message, VOICE_PACKET_HEAD_BYTES + (size_t) n);
    }
    t->counts = *opus_voice_decoder_counts(t->decoder);
    opus_voice_decoder_destroy(&t->decoder);
    opus_voice_encoder_destroy(&e);
    assert_null(e);
    free(message);
}

/*
 * Mean over the frames that hold speech of how far the noise is below them,
 * each counted as -10…35 dB. `delay`: how much later `heard` is.
 */
static double
segmental_snr(const int16_t *said, const int16_t *heard, size_t samples,
              size_t delay)
{
    double sum = 0;
    unsigned frames = 0;

    for (size_t at = 0; at + FRAME + delay <= samples; at += FRAME) {
        double signal = 0, noise = 0;

        for (size_t i = at; i < at + FRAME; i++) {
            double off = said[i] - heard[i + delay];

            signal += (double) said[i] * said[i];
            noise += off * off;
        }
        if (signal / FRAME < 300.0 * 300.0)
            continue;
        sum += fmin(fmax(10 * log10(signal / (noise + 1)), -10), 35);
        frames++;
    }
    assert_true(frames > 20);
    return sum / frames;
}

static double
level_dbfs(const int16_t *pcm, size_t samples)
{
    struct audio_level level = {0};

    audio_level_push(&level, pcm, samples);
    return audio_level_rms_dbfs(&level);
}

static unsigned
delay_of_encoder(void)
{
    struct opus_voice_encoder *e;
    unsigned delay;

    assert_int_equal(opus_voice_encoder_create(&e, &usual), 0);
    delay = opus_voice_encoder_delay(e);
    opus_voice_encoder_destroy(&e);
    assert_in_range(delay, 1, 240);
    return delay;
}

/* What must hold of any trip; gives how near it is to one without loss. */
static double
trip_check(const struct opus_voice_settings *settings, unsigned skip_percent,
           const int16_t *pcm, size_t samples)
{
    struct trip t = {.settings = *settings, .skip_percent = skip_percent};
    struct trip whole = {.settings = *settings};
    size_t frame = settings->frame_ms * 24u;
    double near;

    trip_make(&t, pcm, samples);
    trip_make(&whole, pcm, samples);
    assert_int_equal(t.samples, samples - samples % frame);
    assert_int_equal(t.counts.packets, t.sent);
    assert_int_equal(t.counts.refused, 0);
    assert_int_equal(t.track.lost, t.skipped);
    assert_int_equal(t.skipped > 0, skip_percent > 0);
    assert_int_equal(t.counts.fec_samples + t.counts.plc_samples
                         + t.counts.silent_samples,
                     t.skipped * frame);
    if (!settings->fec)
        assert_int_equal(t.counts.fec_samples, 0);
    assert_true((double) whole.sent_bytes * 8 * OPUS_VOICE_RATE
                < 1.1 * settings->bitrate_bps * (double) samples);
    assert_true(segmental_snr(pcm, whole.heard, samples, delay_of_encoder())
                > 3);
    assert_true(fabs(level_dbfs(t.heard, samples) - level_dbfs(pcm, samples))
                < 4);
    near = segmental_snr(whole.heard, t.heard, samples, 0);
    free(t.heard);
    free(whole.heard);
    return near;
}

static void
round_trips(unsigned frame_ms, const char *name)
{
    size_t samples;
    int16_t *pcm = wave_load(name, &samples);

    for (unsigned rate = 16000; rate <= 32000; rate += 8000) {
        struct opus_voice_settings s = usual;
        double with, without;

        s.frame_ms = frame_ms;
        s.bitrate_bps = rate;
        assert_true(trip_check(&s, 0, pcm, samples) > 34.9);
        assert_true(trip_check(&s, 5, pcm, samples) > 20);
        with = trip_check(&s, 10, pcm, samples);
        s.fec = false;
        without = trip_check(&s, 10, pcm, samples);
        assert_true(with > 15 && without > 15);
        if (frame_ms == 20 && rate > 16000)
            assert_true(with > without + 3);
    }
    free(pcm);
}

/* R2.3: 16, 24 and 32 kbit/s with 0, 5 and 10 % of the packets skipped. */
static void
test_round_trip(void **state)
{
    (void) state;
    round_trips(20, "story.wav");
    round_trips(20, "question.wav");
    round_trips(10, "hello.wav");
}

static void
test_settings(void **state)
{
    static const struct opus_voice_settings bad[] = {
        {.frame_ms = 40, .bitrate_bps = 24000},
        {.frame_ms = 0, .bitrate_bps = 24000},
        {.frame_ms = 20, .bitrate_bps = 32001},
        {.frame_ms = 20, .bitrate_bps = 5999},
        {.frame_ms = 20, .bitrate_bps = 24000, .complexity = 11},
        {.frame_ms = 20, .bitrate_bps = 24000, .loss_percent = 101},
    };
    struct opus_voice_encoder *e = NULL;
    uint8_t packet[OPUS_VOICE_ENCODED_MAX];
    int16_t pcm[OPUS_VOICE_FRAME_MAX] = {0};

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(opus_voice_encoder_create(&e, &bad[i]), UV_EINVAL);
        assert_null(e);
    }
    assert_int_equal(opus_voice_encoder_create(&e, &usual), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(opus_voice_encoder_configure(e, &bad[i]), UV_EINVAL);
    assert_int_equal(opus_voice_encoder_frame(e), 480);
    assert_int_equal(
        opus_voice_encode(e, packet, OPUS_VOICE_ENCODED_MAX - 1, pcm),
        UV_ENOBUFS);
    assert_true(opus_voice_encode(e, packet, sizeof packet, pcm) > 0);
    opus_voice_encoder_destroy(&e);
    /* what a message can carry is what a decoder takes */
    assert_int_equal(VOICE_PACKET_BODY_MAX, OPUS_VOICE_PACKET_MAX);
    /* the budget of a session's memory counts on this */
    assert_in_range(opus_voice_encoder_bytes(), 20000, 48 * 1024);
    assert_in_range(opus_voice_decoder_bytes(), 10000, 24 * 1024);
}

/* Bytes that two seconds take. */
static size_t
bytes_of(struct opus_voice_encoder *e, const int16_t *pcm, size_t samples)
{
    uint8_t packet[OPUS_VOICE_ENCODED_MAX];
    size_t frame = opus_voice_encoder_frame(e), sum = 0;

    for (size_t at = 0; at + frame <= samples; at += frame) {
        ssize_t n = opus_voice_encode(e, packet, sizeof packet, pcm + at);

        assert_true(n > 0);
        assert_int_equal(opus_voice_packet_samples(packet, (size_t) n), frame);
        sum += (size_t) n;
    }
    return sum;
}

static void
test_live_changes(void **state)
{
    struct opus_voice_settings s = usual;
    struct opus_voice_encoder *e = NULL;
    size_t samples, low, high;
    int16_t *pcm = wave_load("story.wav", &samples);

    (void) state;
    s.fec = false;
    s.bitrate_bps = 12000;
    assert_int_equal(opus_voice_encoder_create(&e, &s), 0);
    low = bytes_of(e, pcm, samples);
    s.bitrate_bps = 32000;
    s.complexity = 0;
    assert_int_equal(opus_voice_encoder_configure(e, &s), 0);
    assert_int_equal(opus_voice_encoder_configure(e, &s), 0);
    high = bytes_of(e, pcm, samples);
    assert_true(high > 2 * low);
    s.frame_ms = 10;
    s.complexity = 8;
    s.bitrate_bps = 12000;
    assert_int_equal(opus_voice_encoder_configure(e, &s), 0);
    assert_int_equal(opus_voice_encoder_frame(e), 240);
    assert_true(bytes_of(e, pcm, samples) < high);
    opus_voice_encoder_destroy(&e);
    opus_voice_encoder_destroy(&e); /* nothing left: nothing happens */
    free(pcm);
}

/* After a reset the same sound gives the same bytes as at the start. */
static void
test_encoder_reset(void **state)
{
    struct opus_voice_encoder *e = NULL;
    uint8_t first[OPUS_VOICE_ENCODED_MAX], again[OPUS_VOICE_ENCODED_MAX];
    size_t samples;
    int16_t *pcm = wave_load("hello.wav", &samples);
    const int16_t *speech = pcm + samples / 3;
    ssize_t n;

    (void) state;
    assert_int_equal(opus_voice_encoder_create(&e, &usual), 0);
    n = opus_voice_encode(e, first, sizeof first, speech);
    bytes_of(e, pcm, samples);
    opus_voice_encoder_reset(e);
    assert_int_equal(opus_voice_encode(e, again, sizeof again, speech), n);
    assert_memory_equal(first, again, (size_t) n);
    opus_voice_encoder_destroy(&e);
    free(pcm);
}

static void
test_dtx(void **state)
{
    struct trip t = {.settings = usual};
    size_t samples, pause = 3 * OPUS_VOICE_RATE;
    int16_t *pcm = wave_load("hello.wav", &samples);
    int16_t *talk = calloc(2 * samples + pause, sizeof *talk);
    size_t all = 2 * samples + pause, after = samples + pause, unheard;

    (void) state;
    memcpy(talk, pcm, samples * sizeof *talk);
    memcpy(talk + after, pcm, samples * sizeof *talk);
    wave_add_noise(talk, all, 4, 5);
    t.settings.dtx = true;
    trip_make(&t, talk, all);
    /* the silence at the end has nothing after it that tells of it */
    unheard = t.rested * FRAME - t.counts.rest_samples;
    assert_in_range(unheard, 0, 20 * FRAME);
    assert_int_equal(t.samples + unheard, all - all % FRAME);
    assert_in_range(t.rested, 100, 400); /* of 150 in the pause */
    assert_int_equal(t.track.lost, 0);
    assert_int_equal(t.counts.plc_samples, 0);
    /* soft in the pause, as loud as before after it */
    assert_true(level_dbfs(t.heard + samples + 24000, pause - 24000) < -55);
    assert_true(fabs(level_dbfs(t.heard + after, samples)
                     - level_dbfs(talk + after, samples))
                < 3);
    free(t.heard);
    free(talk);
    free(pcm);
}

static void
test_dtx_off_sends_all(void **state)
{
    struct trip t = {.settings = usual};
    int16_t *silence = calloc(OPUS_VOICE_RATE, sizeof *silence);

    (void) state;
    trip_make(&t, silence, OPUS_VOICE_RATE);
    assert_int_equal(t.sent, 50);
    assert_int_equal(t.rested, 0);
    free(t.heard);
    free(silence);
}

/* Packets of speech, one after the other, for the tests below. */
struct packets {
    uint8_t bytes[100][OPUS_VOICE_ENCODED_MAX];
    size_t count;
    size_t size[100];
};

static struct packets *
packets_make(const struct opus_voice_settings *settings)
{
    struct packets *p = calloc(1, sizeof *p);
    struct opus_voice_encoder *e = NULL;
    size_t samples;
    int16_t *pcm = wave_load("story.wav", &samples);

    assert_int_equal(opus_voice_encoder_create(&e, settings), 0);
    for (; p->count < 100 && (p->count + 1) * FRAME <= samples; p->count++)
        p->size[p->count] = (size_t) opus_voice_encode(e, p->bytes[p->count],
                                                       OPUS_VOICE_ENCODED_MAX,
                                                       pcm + p->count * FRAME);
    assert_int_equal(p->count, 100);
    opus_voice_encoder_destroy(&e);
    free(pcm);
    return p;
}

static size_t
first_with_fec(const struct packets *p, size_t from)
{
    while (!opus_voice_packet_has_fec(p->bytes[from], p->size[from]))
        assert_true(++from < p->count);
    return from;
}

static bool
is_silent(const int16_t *pcm, size_t samples)
{
    for (size_t i = 0; i < samples; i++)
        if (pcm[i] != 0)
            return false;
    return true;
}

static void
test_gaps(void **state)
{
    static const size_t gaps[] = {480, 960, 2400, 2880, 4800, 24000, 48000};
    struct packets *p = packets_make(&usual);
    int16_t pcm[OPUS_VOICE_DECODED_MAX];
    size_t at = first_with_fec(p, 30);

    (void) state;
    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++) {
        size_t gap = gaps[i], made_up = gap - FRAME;
        int16_t *to = malloc(gap * sizeof *to);
        struct opus_voice_decoder *d = NULL;
        const struct opus_voice_counts *counts;

        made_up = made_up > OPUS_VOICE_PLC_MAX ? OPUS_VOICE_PLC_MAX : made_up;
        assert_int_equal(opus_voice_decoder_create(&d), 0);
        counts = opus_voice_decoder_counts(d);
        for (size_t k = 0; k < at - 1; k++)
            opus_voice_decode(d, pcm, p->bytes[k], p->size[k]);
        opus_voice_conceal(d, to, gap, p->bytes[at], p->size[at]);
        assert_int_equal(counts->fec_samples, FRAME);
        assert_int_equal(counts->plc_samples, made_up);
        assert_int_equal(counts->silent_samples, gap - FRAME - made_up);
        assert_true(is_silent(to + made_up, gap - FRAME - made_up));
        assert_false(is_silent(to + gap - FRAME, FRAME));
        if (gap > OPUS_VOICE_PLC_MAX + FRAME) /* it faded out, no click */
            assert_in_range(abs(to[made_up - 1]), 0, 60);
        assert_int_equal(opus_voice_decode(d, pcm, p->bytes[at], p->size[at]),
                         FRAME);
        opus_voice_decoder_destroy(&d);
        free(to);
    }
    free(p);
}

/* What runs on is made up for 100 ms in all, however it is asked for. */
static void
test_gap_without_end(void **state)
{
    struct packets *p = packets_make(&usual);
    struct opus_voice_decoder *d = NULL;
    const struct opus_voice_counts *counts;
    int16_t pcm[OPUS_VOICE_DECODED_MAX];

    (void) state;
    assert_int_equal(opus_voice_decoder_create(&d), 0);
    counts = opus_voice_decoder_counts(d);
    opus_voice_conceal(d, pcm, 0, NULL, 0);
    opus_voice_conceal(d, pcm, 480, NULL, 0); /* before anything came */
    opus_voice_decoder_reset(d);
    for (size_t k = 0; k < 40; k++)
        opus_voice_decode(d, pcm, p->bytes[k], p->size[k]);
    for (size_t k = 0; k < 20; k++) {
        memset(pcm, 0x11, sizeof pcm);
        opus_voice_conceal(d, pcm, 480, NULL, 0);
        assert_int_equal(is_silent(pcm, 480), k >= 5);
        assert_int_equal(pcm[480], 0x1111); /* not one too many */
    }
    assert_int_equal(counts->plc_samples, 480 + 2400);
    /* a packet begins the count anew; odd counts are filled up */
    opus_voice_decode(d, pcm, p->bytes[60], p->size[60]);
    memset(pcm, 0x11, sizeof pcm);
    opus_voice_conceal(d, pcm, 101, NULL, 0);
    assert_int_equal(counts->plc_samples, 480 + 2400 + 60);
    assert_true(is_silent(pcm + 60, 41));
    assert_int_equal(pcm[101], 0x1111);
    opus_voice_rest(d, pcm, 130);
    assert_true(is_silent(pcm + 120, 10));
    opus_voice_rest(d, pcm, 0);
    assert_int_equal(counts->rest_samples, 130);
    /* garbage after a gap is no reason to fail, nor a gap under a frame */
    opus_voice_conceal(d, pcm, 480, (const uint8_t *) "\xff\xff\xff", 3);
    opus_voice_conceal(d, pcm, 240, p->bytes[61], p->size[61]);
    assert_int_equal(counts->fec_samples, 0);
    opus_voice_decoder_destroy(&d);
    free(p);
}

static void
test_fec_flag(void **state)
{
    struct opus_voice_settings s = usual;
    struct packets *with = packets_make(&usual), *without;
    size_t count = 0;

    (void) state;
    for (size_t i = 0; i < with->count; i++)
        count += opus_voice_packet_has_fec(with->bytes[i], with->size[i]);
    assert_in_range(count, 30, 100);
    s.fec = false;
    without = packets_make(&s);
    for (size_t i = 0; i < without->count; i++)
        assert_false(
            opus_voice_packet_has_fec(without->bytes[i], without->size[i]));
    free(with);
    free(without);
}

/* Up to six packets in one, as a client may send them. */
static void
test_long_packets(void **state)
{
    struct packets *p = packets_make(&usual);
    int16_t pcm[OPUS_VOICE_DECODED_MAX];
    uint8_t whole[4000];

    (void) state;
    for (size_t n = 1; n <= 6; n++) {
        OpusRepacketizer *r = opus_repacketizer_create();
        struct opus_voice_decoder *d = NULL;
        opus_int32 bytes;

        for (size_t i = 0; i < n; i++) {
            p->bytes[i][0] = p->bytes[0][0]; /* one configuration for all */
            assert_int_equal(
                opus_repacketizer_cat(r, p->bytes[i], (opus_int32) p->size[i]),
                OPUS_OK);
        }
        bytes = opus_repacketizer_out(r, whole, sizeof whole);
        assert_true(bytes > 0);
        assert_int_equal(opus_voice_decoder_create(&d), 0);
        assert_int_equal(opus_voice_packet_samples(whole, (size_t) bytes),
                         n * FRAME);
        assert_int_equal(opus_voice_decode(d, pcm, whole, (size_t) bytes),
                         n * FRAME);
        opus_voice_decoder_destroy(&d);
        opus_repacketizer_destroy(r);
    }
    free(p);
}

/* None of these may be decoded, and none may change what comes after it. */
static void
test_hostile(void **state)
{
    static uint8_t huge[OPUS_VOICE_PACKET_MAX + 1] = {0x4b, 0x41};
    static const struct {
        const char *what;
        const char *bytes;
        size_t count;
    } rows[] = {
        {"nothing", "", 0},
        {"stereo", "\x4c\x00\x00", 3},
        {"two frames that are not equal", "\x49\x01", 2},
        {"a length beyond the end", "\x4a\x05\x00", 3},
        {"a long length cut short", "\x4a\xff", 2},
        {"any number of frames, which is not there", "\x4b", 1},
        {"no frames", "\x4b\x00", 2},
        {"140 ms", "\x4b\x07", 2},
        {"49 frames of 2.5 ms", "\x83\x31", 2},
        {"three times 60 ms", "\x5b\x03", 2},
        {"padding beyond the end", "\x4b\x41\x09", 3},
        {"padding without end", "\x4b\x41\xff\xff\xff", 5},
        {"lengths beyond the end", "\x4b\x83\x20\x20\x00", 5},
    };
    struct packets *p = packets_make(&usual);
    struct opus_voice_decoder *d = NULL, *calm = NULL;
    int16_t one[OPUS_VOICE_DECODED_MAX], two[OPUS_VOICE_DECODED_MAX];
    size_t count = sizeof rows / sizeof *rows;

    (void) state;
    assert_int_equal(opus_voice_decoder_create(&d), 0);
    assert_int_equal(opus_voice_decoder_create(&calm), 0);
    for (size_t i = 0; i < p->count; i++) {
        size_t n = rows[i % count].count;
        uint8_t *copy = malloc(n + (n == 0));

        memcpy(copy, rows[i % count].bytes, n);
        if (opus_voice_decode(d, one, copy, n) != UV_EINVAL)
            fail_msg("%s", rows[i % count].what);
        assert_int_equal(opus_voice_packet_samples(copy, n), UV_EINVAL);
        assert_int_equal(opus_voice_decode(d, one, huge, sizeof huge),
                         UV_EINVAL);
        huge[0] = 0x48; /* one frame of more than 1275 */
        assert_int_equal(opus_voice_decode(d, one, huge, 1277), UV_EINVAL);
        huge[0] = 0x4b;
        free(copy);
        assert_int_equal(opus_voice_decode(d, one, p->bytes[i], p->size[i]),
                         FRAME);
        opus_voice_decode(calm, two, p->bytes[i], p->size[i]);
        assert_memory_equal(one, two, FRAME * sizeof *one);
    }
    assert_int_equal(opus_voice_decoder_counts(d)->refused, 3 * p->count);
    opus_voice_decoder_destroy(&d);
    opus_voice_decoder_destroy(&calm);
    free(p);
}

/* Good heads and any bytes behind them: sound or refused, and after a reset
 * good packets sound as ever. */
static void
test_garbage(void **state)
{
    struct packets *p = packets_make(&usual);
    struct opus_voice_decoder *d = NULL, *calm = NULL;
    int16_t one[OPUS_VOICE_DECODED_MAX], two[OPUS_VOICE_DECODED_MAX];
    uint32_t seed = 99;

    (void) state;
    assert_int_equal(opus_voice_decoder_create(&d), 0);
    assert_int_equal(opus_voice_decoder_create(&calm), 0);
    for (unsigned i = 0; i < 3000; i++) {
        size_t n = 1 + i % 200;
        uint8_t *packet = malloc(n);
        ssize_t samples, said;

        for (size_t k = 0; k < n; k++) {
            seed = seed * 1664525u + 1013904223u;
            packet[k] = (uint8_t) (seed >> 24);
        }
        said = opus_voice_packet_samples(packet, n);
        samples = opus_voice_decode(d, one, packet, n);
        assert_true(samples == said || samples == UV_EINVAL);
        free(packet);
    }
    opus_voice_decoder_reset(d);
    for (size_t i = 0; i < p->count; i++) {
        assert_int_equal(opus_voice_decode(d, one, p->bytes[i], p->size[i]),
                         FRAME);
        opus_voice_decode(calm, two, p->bytes[i], p->size[i]);
        assert_memory_equal(one, two, FRAME * sizeof *one);
    }
    opus_voice_decoder_destroy(&d);
    opus_voice_decoder_destroy(&calm);
    free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_live_changes),
        cmocka_unit_test(test_encoder_reset),
        cmocka_unit_test(test_dtx),
        cmocka_unit_test(test_dtx_off_sends_all),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_gap_without_end),
        cmocka_unit_test(test_fec_flag),
        cmocka_unit_test(test_long_packets),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_garbage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

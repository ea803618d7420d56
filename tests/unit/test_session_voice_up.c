/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_voice_up.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "session/session_voice_silence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <opus/opus.h>
#include <stdlib.h>
#include <string.h>

#include "kit/voice_up_rig.h"
#include "kit/wave.h"

#define FRAME 480u

/* Six frames of 20 ms with nothing in them: 120 ms in two bytes. */
static const uint8_t hollow[] = {0x0b, 0x06};
#define HOLLOW_SAMPLES 2880u

static struct session_voice_up_stats
stats_of(const struct voice_up_rig *rig)
{
    struct session_voice_up_stats stats;

    session_voice_up_get_stats(rig->up, &stats);
    return stats;
}

/* Says a fixture's beginning, every `skip`th packet lost (0: none); gives the
 * samples that were said. */
static size_t
story_say(struct voice_up_rig *rig, size_t frames, size_t skip)
{
    size_t samples, frame = opus_voice_encoder_frame(rig->encoder);
    int16_t *pcm = wave_load("story.wav", &samples);

    for (size_t i = 0; i < frames; i++) {
        assert_true((i + 1) * frame <= samples);
        voice_up_say(rig, pcm + i * frame,
                     skip > 0 && i % skip == skip - 1 && i + 1 < frames);
    }
    free(pcm);
    return frames * frame;
}

/* R2.3: what the model hears is what a decoder makes of the packets, and
 * 20 ms are one append of 1280 characters without padding. */
static void
test_is_the_decoders_pcm(void **state)
{
    struct voice_up_rig rig;
    struct opus_voice_decoder *d = NULL;
    int16_t pcm[OPUS_VOICE_DECODED_MAX];
    size_t samples;
    int16_t *story = wave_load("story.wav", &samples);

    (void) state;
    voice_up_begin(&rig, NULL);
    assert_int_equal(opus_voice_decoder_create(&d), 0);
    for (size_t i = 0; i < 100; i++) {
        size_t n = voice_up_say(&rig, story + i * FRAME, false);

        assert_int_equal(
            opus_voice_decode(d, pcm,
                              rig.message_bytes + VOICE_PACKET_HEAD_BYTES, n),
            FRAME);
        assert_int_equal(rig.samples, (i + 1) * FRAME);
        assert_memory_equal(rig.heard + i * FRAME, pcm, FRAME * sizeof *pcm);
        assert_int_equal(rig.bytes[i], 45 + 1280 + 2);
    }
    opus_voice_decoder_destroy(&d);
    free(story);
    voice_up_end(&rig);
}

/* R2.3: the usual 20 ms, 10 ms, and frames put together as a client may, up to
 * 120 ms: each packet is one append that can be read by itself. */
static void
test_packet_lengths(void **state)
{
    static const unsigned together[] = {1, 2, 3, 6};
    struct opus_voice_settings ten = {
        .frame_ms = 10, .bitrate_bps = 24000, .complexity = 1};
    struct voice_up_rig rig;
    uint8_t frames[6][OPUS_VOICE_ENCODED_MAX], body[OPUS_VOICE_PACKET_MAX];
    OpusRepacketizer *packer = opus_repacketizer_create();
    size_t samples, at = 0, packets = 0;
    int16_t *story = wave_load("story.wav", &samples);

    (void) state;
    for (unsigned ms = 10; ms <= 20; ms += 10) {
        voice_up_begin(&rig, ms == 10 ? &ten : NULL);
        at = packets = 0;
        for (size_t i = 0; i < 40; i++) {
            unsigned count = together[i % 4];
            size_t frame = opus_voice_encoder_frame(rig.encoder);
            opus_int32 bytes;

            opus_repacketizer_init(packer);
            for (unsigned k = 0; k < count; k++, at += frame) {
                ssize_t n = opus_voice_encode(
                    rig.encoder, frames[k], OPUS_VOICE_ENCODED_MAX, story + at);

                assert_int_equal(
                    opus_repacketizer_cat(packer, frames[k], (opus_int32) n),
                    OPUS_OK);
            }
            bytes = opus_repacketizer_out(packer, body, sizeof body);
            assert_true(bytes > 0);
            rig.now_us += count * ms * 1000;
            voice_up_send(&rig, 0, body, (size_t) bytes, count * frame);
            assert_int_equal(rig.appends, ++packets);
            assert_int_equal(rig.samples, at);
        }
        assert_int_equal(stats_of(&rig).heard_samples, at);
        voice_up_end(&rig);
    }
    opus_repacketizer_destroy(packer);
    free(story);
}

/* R2.3: lost packets are made up for, from FEC where there is some; the time
 * is whole, over the wrap-around of both counters. */
static void
test_losses(void **state)
{
    struct voice_up_rig rig;
    struct session_voice_up_stats stats;
    unsigned lost, total;
    size_t said;

    (void) state;
    voice_up_begin(&rig, NULL);
    said = story_say(&rig, 100, 10);
    assert_int_equal(rig.samples, said);
    stats = stats_of(&rig);
    assert_int_equal(stats.packets, 91);
    assert_int_equal(stats.lost, 9);
    assert_int_equal(stats.refused, 0);
    assert_int_equal(stats.cut_samples, 0);
    assert_int_equal(stats.fec_samples + stats.plc_samples, 9 * FRAME);
    assert_true(stats.fec_samples >= 3 * FRAME);
    assert_int_equal(stats.heard_samples, 91 * FRAME);
    session_voice_up_take_loss(rig.up, &lost, &total);
    assert_int_equal(lost, 9);
    assert_int_equal(total, 100);
    session_voice_up_take_loss(rig.up, &lost, &total);
    assert_int_equal(lost + total, 0);
    assert_true(session_voice_up_jitter_ms(rig.up) <= 2);
    voice_up_end(&rig);
}

/* A long gap comes in pieces; the frame before the packet is of its FEC, when
 * it has some. Gives that. */
static size_t
long_loss(const int16_t *story, size_t until)
{
    struct voice_up_rig rig;
    struct session_voice_up_stats stats;
    size_t fec = 0, bytes;

    voice_up_begin(&rig, NULL);
    for (size_t i = 0; i < 100; i++) {
        bytes = voice_up_say(&rig, story + i * FRAME, i >= 20 && i < until);
        if (i == until
            && opus_voice_packet_has_fec(
                rig.message_bytes + VOICE_PACKET_HEAD_BYTES, bytes))
            fec = FRAME;
    }
    assert_int_equal(rig.samples, 100 * FRAME);
    stats = stats_of(&rig);
    assert_int_equal(stats.fec_samples, fec);
    assert_int_equal(stats.plc_samples, OPUS_VOICE_PLC_MAX);
    assert_int_equal(stats.silent_samples,
                     (until - 20) * FRAME - OPUS_VOICE_PLC_MAX - fec);
    assert_int_equal(rig.appends, 100 - (until - 20) + (until - 20 + 5) / 6);
    voice_up_end(&rig);
    return fec;
}

static void
test_long_loss(void **state)
{
    size_t samples, with_fec = 0;
    int16_t *story = wave_load("story.wav", &samples);

    (void) state;
    for (size_t until = 75; until < 90; until++)
        with_fec += long_loss(story, until) > 0;
    assert_in_range(with_fec, 3, 15);
    free(story);
}

/* R2.3: silence that is not sent is heard all the same, as long as it was. */
static void
test_rests(void **state)
{
    struct opus_voice_settings dtx = {.frame_ms = 20,
                                      .bitrate_bps = 24000,
                                      .complexity = 5,
                                      .loss_percent = 10,
                                      .fec = true,
                                      .dtx = true};
    struct voice_up_rig rig;
    size_t samples, all, silent = 3 * OPUS_VOICE_RATE, rested = 0, at;
    int16_t *hello = wave_load("hello.wav", &samples);
    int16_t *talk;

    (void) state;
    all = 2 * samples + silent;
    talk = calloc(all, sizeof *talk);
    memcpy(talk, hello, samples * sizeof *talk);
    memcpy(talk + samples + silent, hello, samples * sizeof *talk);
    wave_add_noise(talk, all, 4, 5);
    voice_up_begin(&rig, &dtx);
    for (at = 0; at + FRAME <= all; at += FRAME)
        rested += voice_up_say(&rig, talk + at, false) == 0;
    assert_in_range(rested, 100, 400);
    /* the last one is followed by nothing that could tell */
    assert_in_range(at - rig.samples, 0, 20 * FRAME);
    assert_int_equal(stats_of(&rig).lost, 0);
    assert_int_equal(stats_of(&rig).plc_samples, 0);
    assert_int_equal(stats_of(&rig).cut_samples, 0);
    assert_int_equal(stats_of(&rig).rest_samples + (at - rig.samples),
                     rested * FRAME);
    free(hello);
    free(talk);
    voice_up_end(&rig);
}

/* Nothing is there before the first good packet, a decoder after it. */
static void
test_memory(void **state)
{
    struct voice_up_rig rig;

    (void) state;
    voice_up_begin(&rig, NULL);
    voice_up_give(&rig, "x", 1);
    assert_in_range(session_voice_up_bytes(rig.up), 1, 1024);
    voice_up_send(&rig, 0, hollow, sizeof hollow, HOLLOW_SAMPLES);
    assert_in_range(session_voice_up_bytes(rig.up), opus_voice_decoder_bytes(),
                    25 * 1024);
    voice_up_end(&rig);
}

/* --- bad packets */

struct bad {
    const char *within; /* of the message */
    const char *bytes;
    size_t count;
};

#define BAD(within, bytes)                                                     \
    {                                                                          \
        within, bytes, sizeof bytes - 1                                        \
    }
#define HEAD "\x11\0\x40\0\x40\0\0\0"

static const struct bad bads[] = {
    BAD("shorter", ""),
    BAD("shorter", "\x11"),
    BAD("shorter", HEAD),
    BAD("version", "\x01\0\x40\0\x40\0\0\0\x0b\x06"),
    BAD("version", "\x21\0\x40\0\x40\0\0\0\x0b\x06"),
    BAD("version", "\x10\0\x40\0\x40\0\0\0\x0b\x06"),
    BAD("version", "\x12\0\x40\0\x40\0\0\0\x0b\x06"),
    BAD("version", "{\"type\":\"input_audio_buffer.append\"}"),
    BAD("flag", "\x11\x04\x40\0\x40\0\0\0\x0b\x06"),
    BAD("flag", "\x11\xff\x40\0\x40\0\0\0\x0b\x06"),
    BAD("stereo", HEAD "\x0f\x06"),
    BAD("stereo", HEAD "\xfc\xff\xfe"),
    BAD("no Opus", HEAD "\x0b"),         /* no count of frames */
    BAD("no Opus", HEAD "\x0b\0"),       /* of none */
    BAD("no Opus", HEAD "\x0b\x07"),     /* 140 ms */
    BAD("no Opus", HEAD "\x1b\x03"),     /* 180 ms */
    BAD("no Opus", HEAD "\x0b\x3f"),     /* 63 frames */
    BAD("no Opus", HEAD "\x0a\xff\xff"), /* a length beyond the end */
    BAD("no Opus", HEAD "\x09\0"),       /* halves that are none */
    BAD("no Opus", HEAD "\x0b\x46\xff"), /* padding beyond the end */
};

/* Each has an answer that says why, and changes nothing for the next. */
static void
test_bad_packets(void **state)
{
    struct voice_up_rig rig;

    (void) state;
    voice_up_begin(&rig, NULL);
    story_say(&rig, 5, 0);
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        rig.now_us += SESSION_VOICE_ERROR_MS * 1000;
        voice_up_give(&rig, bads[i].bytes, bads[i].count);
        assert_int_equal(rig.errors, i + 1);
        assert_string_equal(rig.code[i], "invalid_audio_packet");
        if (strstr(rig.message[i], bads[i].within) == NULL)
            fail_msg("%zu: %s", i, rig.message[i]);
        assert_int_equal(rig.samples, 5 * FRAME);
    }
    assert_int_equal(stats_of(&rig).refused, rig.errors);
    assert_int_equal(stats_of(&rig).errors, rig.errors);
    rig.stamp.timestamp = 0xffffff00u + 5 * 2 * FRAME;
    story_say(&rig, 5, 0);
    assert_int_equal(rig.samples, 10 * FRAME);
    assert_int_equal(stats_of(&rig).lost, 0);
    voice_up_end(&rig);
}

/* A body too long for a message, and the longest that one may be. */
static void
test_sizes(void **state)
{
    struct voice_up_rig rig;
    uint8_t *message = calloc(1, VOICE_PACKET_MAX + 1);

    (void) state;
    voice_up_begin(&rig, NULL);
    memcpy(message, HEAD, 8);
    message[8] = 0x0b; /* six frames, padding to the end */
    message[9] = 0x46;
    memset(message + 10, 0xff, 30);
    message[40] = VOICE_PACKET_MAX - 41 - 30 * 254;
    voice_up_give(&rig, message, VOICE_PACKET_MAX);
    assert_int_equal(rig.errors, 0);
    assert_int_equal(rig.samples, HOLLOW_SAMPLES);
    voice_up_give(&rig, message, VOICE_PACKET_MAX + 1);
    assert_int_equal(rig.errors, 1);
    assert_non_null(strstr(rig.message[0], "longer"));
    free(message);
    voice_up_end(&rig);
}

/* A good message cut at each of its bytes: refused, or taken for another,
 * shorter Opus packet; what comes after it sounds. */
static void
test_cuts(void **state)
{
    struct voice_up_rig rig;
    size_t samples;
    int16_t *story = wave_load("story.wav", &samples);

    (void) state;
    voice_up_begin(&rig, NULL);
    for (size_t i = 0; i < 40; i++) {
        size_t bytes = VOICE_PACKET_HEAD_BYTES
                       + voice_up_say(&rig, story + i * FRAME, true);

        for (size_t n = 0; n < bytes; n++) {
            voice_up_give(&rig, rig.message_bytes, n);
            rig.now_us += 1000;
        }
        rig.message_bytes[1] = VOICE_PACKET_START;
        rig.message_bytes[2] ^= 0x40; /* the sequence is not the cut one's */
        voice_up_give(&rig, rig.message_bytes, bytes);
    }
    assert_true(stats_of(&rig).heard_samples >= 40 * FRAME);
    assert_true(stats_of(&rig).refused >= 40 * 8);
    assert_int_equal(stats_of(&rig).heard_samples, rig.samples);
    free(story);
    voice_up_end(&rig);
}

/* A flood of bad ones: one error a second, which counts the others. */
static void
test_one_error_a_second(void **state)
{
    struct voice_up_rig rig;
    int64_t before;
    struct metric *refused;

    (void) state;
    voice_up_begin(&rig, NULL);
    refused = metric_register(METRIC_COUNTER, "voiced_opus_refused_total", "");
    before = metric_get(refused);
    for (unsigned i = 0; i < 1000; i++) {
        voice_up_give(&rig, "bad", 3);
        rig.now_us += 999;
    }
    assert_int_equal(rig.errors, 1);
    assert_null(strstr(rig.message[0], "more"));
    rig.now_us += 1000;
    voice_up_give(&rig, "bad", 3);
    assert_int_equal(rig.errors, 2);
    assert_non_null(strstr(rig.message[1], "999 more"));
    assert_int_equal(metric_get(refused) - before, 1001);
    assert_int_equal(stats_of(&rig).refused, 1001);
    assert_int_equal(stats_of(&rig).errors, 2);
    voice_up_end(&rig);
}

/* Twice, and older: refused; far older is a new stream. */
static void
test_old_packets(void **state)
{
    struct voice_up_rig rig;
    size_t bytes;

    (void) state;
    voice_up_begin(&rig, NULL);
    rig.stamp = (struct voice_packet_stamp){1000, 5000000};
    story_say(&rig, 3, 0);
    memcpy(rig.message_bytes + VOICE_PACKET_HEAD_BYTES, hollow, sizeof hollow);
    for (unsigned back = 1; back <= 3; back++) {
        rig.stamp.sequence = (uint16_t) (1003 - back);
        bytes = voice_up_stamp(&rig, 0, sizeof hollow, FRAME);
        voice_up_give(&rig, rig.message_bytes, bytes);
    }
    assert_int_equal(stats_of(&rig).old, 3);
    assert_int_equal(stats_of(&rig).refused, 3);
    assert_int_equal(rig.errors, 1);
    assert_non_null(strstr(rig.message[0], "before"));
    assert_int_equal(rig.samples, 3 * FRAME);
    rig.stamp.sequence = 500;
    bytes = voice_up_stamp(&rig, 0, sizeof hollow, FRAME);
    voice_up_give(&rig, rig.message_bytes, bytes);
    assert_int_equal(rig.samples, 3 * FRAME + HOLLOW_SAMPLES);
    voice_up_end(&rig);
}

/* Any bytes behind a good head: refused or heard; then good ones sound. */
static void
test_garbage(void **state)
{
    struct voice_up_rig rig;
    uint8_t body[300];
    uint32_t seed = 7;

    (void) state;
    voice_up_begin(&rig, NULL);
    for (unsigned i = 0; i < 5000; i++) {
        size_t n = 1 + i % sizeof body, before = rig.samples;
        uint64_t refused = stats_of(&rig).refused;

        for (size_t k = 0; k < n; k++) {
            seed = seed * 1664525u + 1013904223u;
            body[k] = (uint8_t) (seed >> 24);
        }
        rig.now_us += 20000;
        voice_up_send(&rig, i % 3 == 0 ? VOICE_PACKET_START : 0, body, n,
                      FRAME);
        assert_true(stats_of(&rig).refused > refused || rig.samples > before);
    }
    rig.samples = rig.pcm_samples = 0;
    rig.stamp.sequence += 1000;
    story_say(&rig, 50, 0);
    assert_int_equal(rig.samples, 50 * FRAME);
    voice_up_end(&rig);
}

/* --- time is not for sale */

/* Packets that claim two seconds before each of them, as rest or as lost, as
 * fast as they come: what is filled in is no more than the time that passed,
 * and the slack. */
static void
amplify(bool as_lost)
{
    struct voice_up_rig rig;
    struct session_voice_up_stats stats;
    uint64_t begun_us, filled, passed;

    voice_up_begin(&rig, NULL);
    begun_us = rig.now_us;
    for (unsigned i = 0; i < 2000; i++) {
        if (as_lost) /* 16 lost of 120 ms */
            rig.stamp.sequence = (uint16_t) (rig.stamp.sequence + 16);
        rig.stamp.timestamp += 16 * 2 * HOLLOW_SAMPLES;
        voice_up_send(&rig, VOICE_PACKET_REST, hollow, sizeof hollow,
                      HOLLOW_SAMPLES);
        filled = rig.samples - (i + 1) * HOLLOW_SAMPLES;
        passed = (rig.now_us - begun_us) * 24 / 1000;
        assert_true(filled <= passed + 24u * SESSION_SILENCE_SLACK_MS);
        rig.now_us += 1000;
    }
    /* and after a while no more than the longest gap at once */
    filled = rig.samples;
    rig.now_us += 60000000;
    for (unsigned i = 0; i < 10; i++) {
        if (as_lost)
            rig.stamp.sequence = (uint16_t) (rig.stamp.sequence + 16);
        rig.stamp.timestamp += 16 * 2 * HOLLOW_SAMPLES;
        voice_up_send(&rig, 0, hollow, sizeof hollow, HOLLOW_SAMPLES);
    }
    filled = rig.samples - filled - 10 * HOLLOW_SAMPLES;
    assert_in_range(filled, 16 * HOLLOW_SAMPLES, 24u * SESSION_SILENCE_FILL_MS);
    stats = stats_of(&rig);
    assert_int_equal(stats.cut_samples + rig.samples,
                     2010 * HOLLOW_SAMPLES + 2009 * 16 * HOLLOW_SAMPLES);
    assert_int_equal(stats.refused, 0);
    voice_up_end(&rig);
}

static void
test_amplification(void **state)
{
    (void) state;
    amplify(false);
    amplify(true);
}

/* Odd bits of time, each smaller than a step, don't add up either. */
static void
test_amplification_of_crumbs(void **state)
{
    static const uint8_t short_one[] = {0x80}; /* 2.5 ms of nothing */
    struct voice_up_rig rig;
    uint64_t begun_us;

    (void) state;
    voice_up_begin(&rig, NULL);
    begun_us = rig.now_us;
    for (unsigned i = 0; i < 10000; i++) {
        rig.stamp.timestamp += 2 * 59;
        voice_up_send(&rig, 0, short_one, sizeof short_one, 60);
        assert_true(rig.samples - (i + 1) * 60
                    <= (rig.now_us - begun_us) * 24 / 1000
                           + 24u * SESSION_SILENCE_SLACK_MS);
        rig.now_us += 100;
    }
    voice_up_end(&rig);
}

/* A file at once: five minutes are taken, then four times as fast as real
 * time; what is too much is refused, and later ones are taken again. */
static void
test_faster_than_time(void **state)
{
    struct voice_up_rig rig;
    unsigned most = SESSION_VOICE_BURST_MS / 120;
    size_t taken;

    (void) state;
    voice_up_begin(&rig, NULL);
    for (unsigned i = 0; i < most + 10; i++)
        voice_up_send(&rig, 0, hollow, sizeof hollow, HOLLOW_SAMPLES);
    assert_int_equal(rig.appends, most);
    assert_int_equal(rig.samples, most * HOLLOW_SAMPLES);
    assert_int_equal(stats_of(&rig).refused, 10);
    assert_int_equal(rig.errors, 1);
    assert_string_equal(rig.code[0], "audio_too_fast");
    taken = rig.appends;
    for (unsigned i = 0; i < 600; i++) { /* at eight times */
        rig.now_us += 15000;
        rig.stamp.sequence += 100; /* a new stream: nothing is filled in */
        voice_up_send(&rig, VOICE_PACKET_START, hollow, sizeof hollow,
                      HOLLOW_SAMPLES);
    }
    assert_in_range(rig.appends - taken, 299, 301);
    voice_up_end(&rig);
}

/* --- its owner */

/* The client comes back with a stream of its own; counts go on. */
/* What has been read already when the model is full waits as text. */
static void
test_paused(void **state)
{
    struct voice_up_rig rig;
    const uint8_t body[] = {0x19}; /* two frames of 60 ms, nothing in them */
    size_t most = SESSION_VOICE_PAUSED_MS * 24;

    (void) state;
    voice_up_begin(&rig, NULL);
    for (int again = 0; again < 2; again++) {
        size_t before = rig.samples;

        session_voice_up_pause(rig.up, true);
        session_voice_up_pause(rig.up, true);
        for (int i = 0; i < 1000; i++)
            voice_up_send(&rig, 0, body, sizeof body, 2880);
        assert_in_range(rig.samples - before, most - 2880, most);
        session_voice_up_pause(rig.up, false);
    }
    assert_string_equal(rig.code[0], "audio_too_fast");
    size_t before = rig.samples;
    for (int i = 0; i < 100; i++)
        voice_up_send(&rig, VOICE_PACKET_START, body, sizeof body, 2880);
    assert_int_equal(rig.samples - before, 100 * 2880);
    voice_up_end(&rig);
}

static void
test_restart(void **state)
{
    struct voice_up_rig rig;
    unsigned lost, total;

    (void) state;
    voice_up_begin(&rig, NULL);
    story_say(&rig, 20, 10);
    session_voice_up_restart(rig.up);
    rig.stamp = (struct voice_packet_stamp){0, 0};
    story_say(&rig, 20, 10);
    assert_int_equal(rig.samples, 40 * FRAME);
    session_voice_up_take_loss(rig.up, &lost, &total);
    assert_int_equal(lost, 2);
    assert_int_equal(total, 40);
    assert_int_equal(stats_of(&rig).packets, 38);
    assert_int_equal(stats_of(&rig).lost, 2);
    voice_up_end(&rig);
}

/* A handler may end it all. */
static void
test_destroy_inside(void **state)
{
    struct voice_up_rig rig;

    (void) state;
    for (size_t at = 1; at <= 12; at++) {
        voice_up_begin(&rig, NULL);
        rig.destroy_at = at;
        story_say(&rig, 1, 0);
        for (unsigned i = 0; i < 6 && rig.up != NULL; i++) {
            rig.now_us += 1000000;
            rig.stamp.sequence += 3;
            rig.stamp.timestamp += 2 * 20000;
            voice_up_send(&rig, 0, hollow, sizeof hollow, HOLLOW_SAMPLES);
        }
        assert_null(rig.up);
        assert_int_equal(rig.appends, at);
        voice_up_end(&rig);
    }
    voice_up_begin(&rig, NULL);
    rig.destroy_on_error = true;
    voice_up_give(&rig, "", 0);
    assert_null(rig.up);
    voice_up_end(&rig);
    voice_up_begin(&rig, NULL);
    rig.destroy_on_pcm = true;
    voice_up_send(&rig, 0, hollow, sizeof hollow, HOLLOW_SAMPLES);
    assert_null(rig.up);
    assert_int_equal(rig.appends, 0);
    voice_up_end(&rig);
}

/* How unevenly they come is a mean over some. */
static void
test_jitter(void **state)
{
    struct voice_up_rig rig;

    (void) state;
    voice_up_begin(&rig, NULL);
    assert_int_equal(session_voice_up_jitter_ms(rig.up), 0);
    for (unsigned i = 0; i < 400; i++) {
        uint64_t late_us = i % 2 == 0 ? 0 : 40000;

        rig.now_us += late_us;
        voice_up_send(&rig, 0, hollow, sizeof hollow, HOLLOW_SAMPLES);
        rig.now_us += 120000 - late_us;
    }
    assert_in_range(session_voice_up_jitter_ms(rig.up), 17, 23);
    session_voice_up_restart(rig.up);
    assert_int_equal(session_voice_up_jitter_ms(rig.up), 0);
    voice_up_end(&rig);
}

#define TEST(name, function)                                                   \
    {                                                                          \
        name, function, NULL, NULL, NULL                                       \
    }

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("R2.3 what a decoder makes of it", test_is_the_decoders_pcm),
        TEST("R2.3 packets of 10 to 120 ms", test_packet_lengths),
        TEST("R2.3 losses are made up for", test_losses),
        TEST("R2.3 a long loss", test_long_loss),
        TEST("R2.3 silence that is not sent", test_rests),
        TEST("memory", test_memory),
        TEST("R2.3 bad packets are told and refused", test_bad_packets),
        TEST("R2.3 packets too long", test_sizes),
        TEST("R2.3 packets cut at each byte", test_cuts),
        TEST("one error a second", test_one_error_a_second),
        TEST("old packets", test_old_packets),
        TEST("R2.3 garbage", test_garbage),
        TEST("no more is filled in than time passes", test_amplification),
        TEST("nor in crumbs", test_amplification_of_crumbs),
        TEST("faster than time", test_faster_than_time),
        TEST("packets while the model takes none", test_paused),
        TEST("another connection", test_restart),
        TEST("destroyed by a handler", test_destroy_inside),
        TEST("jitter of arrival", test_jitter),
    };

    return cmocka_run_group_tests_name("session_voice_up", tests, NULL, NULL);
}

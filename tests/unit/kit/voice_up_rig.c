/* SPDX-License-Identifier: BSD-2-Clause */

#include "kit/voice_up_rig.h"

#include "base/clock.h"
#include "codec/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD "{\"type\":\"input_audio_buffer.append\",\"audio\":\""

static const struct opus_voice_settings usual = {.frame_ms = 20,
                                                 .bitrate_bps = 24000,
                                                 .complexity = 5,
                                                 .loss_percent = 10,
                                                 .fec = true,
                                                 .dtx = false};

static void
room_make(struct voice_up_rig *rig, size_t samples)
{
    if (rig->samples + samples <= rig->room)
        return;
    rig->room = 2 * (rig->samples + samples);
    rig->heard = realloc(rig->heard, rig->room * sizeof *rig->heard);
    assert_non_null(rig->heard);
}

static void
on_append(void *arg, const char *json, size_t bytes)
{
    struct voice_up_rig *rig = arg;
    size_t head = sizeof HEAD - 1;
    struct realtime_peek peek;
    ssize_t n;

    assert_non_null(rig->up);
    assert_true(bytes > head + 2);
    assert_memory_equal(json, HEAD, head);
    assert_memory_equal(json + bytes - 2, "\"}", 2);
    assert_int_equal(realtime_peek(json, bytes, &peek), REALTIME_SOUND);
    assert_true(peek.known_keys);
    room_make(rig, SESSION_VOICE_APPEND_SAMPLES + 2);
    n = base64_decode(rig->heard + rig->samples, json + head, bytes - head - 2);
    assert_in_range(n, 2, SESSION_VOICE_APPEND_SAMPLES * 2);
    assert_int_equal(n % 2, 0);
    rig->samples += (size_t) n / 2;
    assert_int_equal(rig->samples, rig->pcm_samples);
    assert_in_range(rig->appends, 0, RIG_APPENDS_MAX - 1);
    rig->bytes[rig->appends++] = bytes;
    if (rig->appends == rig->destroy_at)
        session_voice_up_destroy(&rig->up);
}

static void
on_pcm(void *arg, const int16_t *pcm, size_t samples)
{
    struct voice_up_rig *rig = arg;

    assert_non_null(rig->up);
    assert_non_null(pcm);
    assert_in_range(samples, 1, SESSION_VOICE_APPEND_SAMPLES);
    rig->pcm_samples += samples;
    if (rig->destroy_on_pcm)
        session_voice_up_destroy(&rig->up);
}

static void
on_error(void *arg, const struct realtime_error *error)
{
    struct voice_up_rig *rig = arg;
    char event[REALTIME_ERROR_BYTES];

    assert_non_null(rig->up);
    snprintf(rig->code[rig->errors % RIG_ERRORS_MAX], sizeof rig->code[0], "%s",
             error->code);
    snprintf(rig->message[rig->errors % RIG_ERRORS_MAX], sizeof rig->message[0],
             "%s", error->message);
    rig->errors++;
    assert_true(realtime_error_write(event, "event_1", error) > 0);
    if (rig->destroy_on_error)
        session_voice_up_destroy(&rig->up);
}

static const struct session_voice_up_handlers handlers = {
    .on_append = on_append, .on_pcm = on_pcm, .on_error = on_error};

void
voice_up_begin(struct voice_up_rig *rig,
               const struct opus_voice_settings *settings)
{
    struct session_voice_up_config cfg = {.id = "sess_rig"};

    *rig = (struct voice_up_rig){.now_us = clock_now_us()};
    assert_int_equal(loop_create(&rig->loop, 0), 0);
    cfg.loop = rig->loop;
    assert_int_equal(session_voice_up_create(&rig->up, &cfg, &handlers, rig),
                     0);
    assert_int_equal(opus_voice_encoder_create(
                         &rig->encoder, settings != NULL ? settings : &usual),
                     0);
    rig->stamp = (struct voice_packet_stamp){65530, 0xffffff00u};
}

void
voice_up_end(struct voice_up_rig *rig)
{
    session_voice_up_destroy(&rig->up);
    session_voice_up_destroy(&rig->up); /* nothing left: nothing happens */
    opus_voice_encoder_destroy(&rig->encoder);
    uv_run(loop_uv(rig->loop), UV_RUN_NOWAIT);
    loop_stop(rig->loop);
    loop_destroy(&rig->loop);
    free(rig->heard);
}

size_t
voice_up_stamp(struct voice_up_rig *rig, uint8_t flags, size_t body_bytes,
               size_t samples)
{
    struct voice_packet packet = {.kind = VOICE_PACKET_AUDIO, .flags = flags};

    voice_packet_stamp(&rig->stamp, &packet, (uint32_t) samples * 2);
    voice_packet_write_head(rig->message_bytes, &packet);
    return VOICE_PACKET_HEAD_BYTES + body_bytes;
}

void
voice_up_give(struct voice_up_rig *rig, const void *message, size_t bytes)
{
    uint8_t *copy = malloc(bytes + (bytes == 0));

    assert_non_null(copy);
    if (bytes > 0)
        memcpy(copy, message, bytes);
    session_voice_up_packet(rig->up, copy, bytes, rig->now_us);
    free(copy);
}

size_t
voice_up_say(struct voice_up_rig *rig, const int16_t *pcm, bool lose)
{
    size_t frame = opus_voice_encoder_frame(rig->encoder);
    ssize_t n = opus_voice_encode(rig->encoder,
                                  rig->message_bytes + VOICE_PACKET_HEAD_BYTES,
                                  OPUS_VOICE_ENCODED_MAX, pcm);
    uint8_t flags = 0;
    size_t bytes;

    assert_true(n >= 0);
    rig->now_us += frame * 1000 / 24;
    if (n == 0) {
        voice_packet_pass(&rig->stamp, (uint32_t) frame * 2);
        return 0;
    }
    if (opus_voice_encoder_is_resting(rig->encoder))
        flags = VOICE_PACKET_REST;
    bytes = voice_up_stamp(rig, flags, (size_t) n, frame);
    if (!lose)
        voice_up_give(rig, rig->message_bytes, bytes);
    return (size_t) n;
}

void
voice_up_send(struct voice_up_rig *rig, uint8_t flags, const uint8_t *body,
              size_t bytes, size_t samples)
{
    memcpy(rig->message_bytes + VOICE_PACKET_HEAD_BYTES, body, bytes);
    voice_up_give(rig, rig->message_bytes,
                  voice_up_stamp(rig, flags, bytes, samples));
}

void
voice_up_turn(struct voice_up_rig *rig, uint64_t ms)
{
    uint64_t end = clock_now_ms() + ms;

    do {
        uv_run(loop_uv(rig->loop), UV_RUN_NOWAIT);
        usleep(1000);
    } while (clock_now_ms() < end);
    rig->now_us = clock_now_us();
}

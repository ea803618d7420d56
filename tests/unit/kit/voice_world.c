/* SPDX-License-Identifier: BSD-2-Clause */

#include "kit/voice_world.h"

#include "codec/pcm_text.h"
#include "codec/voice_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct voice_world *voice_world;

static void
packet_hear(const struct voice_packet *packet)
{
    struct voice_world *w = voice_world;

    if (!w->decoder) {
        w->heard = calloc(VOICE_WORLD_SAMPLES, sizeof(*w->heard));
        assert_int_equal(opus_voice_decoder_create(&w->decoder), 0);
    }
    assert_true(w->heard_samples + OPUS_VOICE_DECODED_MAX
                < VOICE_WORLD_SAMPLES);
    w->heard_samples +=
        (size_t) opus_voice_decode(w->decoder, w->heard + w->heard_samples,
                                   packet->body, packet->body_bytes);
}

double
voice_world_match(size_t delay)
{
    const struct voice_world *w = voice_world;
    double both = 0, fed = 0, heard = 0;

    for (size_t i = 0; i < w->fed_samples && i + delay < w->heard_samples;
         i++) {
        both += (double) w->fed[i] * w->heard[i + delay];
        fed += (double) w->fed[i] * w->fed[i];
        heard += (double) w->heard[i + delay] * w->heard[i + delay];
    }
    return both / sqrt(fed * heard + 1);
}

static int
on_send(void *arg, const uint8_t *message, size_t bytes)
{
    struct voice_packet packet;
    struct voice_seen *seen;

    assert_ptr_equal(arg, voice_world);
    if (voice_world->refuse != 0)
        return voice_world->refuse;
    assert_int_equal(voice_packet_read(&packet, message, bytes), 0);
    assert_true(voice_world->count < VOICE_WORLD_PACKETS);
    if (voice_world->decoder_on)
        packet_hear(&packet);
    seen = &voice_world->packets[voice_world->count++];
    *seen = (struct voice_seen){
        .now_ms = voice_world->now,
        .timestamp = packet.timestamp,
        .sequence = packet.sequence,
        .flags = packet.flags,
        .bytes = (uint16_t) packet.body_bytes,
        .ms =
            (unsigned) opus_voice_packet_samples(packet.body, packet.body_bytes)
            / 24,
    };
    return 0;
}

static void
event_note(const char *what, const char *id)
{
    assert_true(voice_world->event_count < VOICE_WORLD_EVENTS);
    voice_world->event_ms[voice_world->event_count] = voice_world->now;
    snprintf(voice_world->events[voice_world->event_count++],
             sizeof voice_world->events[0], "%s %s", what, id);
}

static void
on_started(void *arg, const char *id)
{
    (void) arg;
    event_note("started", id);
}

static void
on_stopped(void *arg, const char *id)
{
    (void) arg;
    event_note("stopped", id);
}

static const struct session_voice_down_handlers handlers = {on_send, on_started,
                                                            on_stopped};

struct session_voice_down_config
voice_world_config(void)
{
    return (struct session_voice_down_config){.opus = {.frame_ms = 20,
                                                       .bitrate_bps = 24000,
                                                       .complexity = 0,
                                                       .loss_percent = 5,
                                                       .fec = true}};
}

void
voice_world_make(const struct session_voice_down_config *cfg)
{
    voice_world = calloc(1, sizeof *voice_world);
    voice_world->packets =
        calloc(VOICE_WORLD_PACKETS, sizeof *voice_world->packets);
    voice_world->now = 1000000;
    assert_int_equal(session_voice_down_create(&voice_world->down, cfg,
                                               &handlers, voice_world),
                     0);
}

int
voice_world_setup(void **state)
{
    struct session_voice_down_config cfg = voice_world_config();

    (void) state;
    voice_world_make(&cfg);
    return 0;
}

int
voice_world_teardown(void **state)
{
    (void) state;
    session_voice_down_destroy(&voice_world->down);
    opus_voice_decoder_destroy(&voice_world->decoder);
    free(voice_world->fed);
    free(voice_world->heard);
    free(voice_world->packets);
    free(voice_world);
    return 0;
}

/* One millisecond of the player. */
static void
player_step(void)
{
    while (voice_world->delivered < voice_world->count
           && voice_world->packets[voice_world->delivered].now_ms
                      + voice_world->way_ms
                  <= voice_world->now) {
        struct voice_seen *s = &voice_world->packets[voice_world->delivered++];
        uint64_t at = s->timestamp / 48;

        if (voice_world->is_cleared && !(s->flags & VOICE_PACKET_START))
            continue; /* was under way when it was cleared */
        if (voice_world->is_cleared || voice_world->place == voice_world->end) {
            voice_world->place = at;
        } else if (at > voice_world->end && !voice_world->fills) {
            voice_world->jump_at = voice_world->end;
            voice_world->jump_to = at;
        }
        voice_world->is_cleared = false;
        voice_world->end = at + s->ms;
    }
    if (voice_world->cleared_ms > 0
        && voice_world->now >= voice_world->cleared_ms) {
        voice_world->is_cleared = true;
        voice_world->cleared_ms = 0;
        voice_world->end = voice_world->place;
    }
    if (voice_world->place < voice_world->end && !voice_world->frozen)
        voice_world->place++;
    if (voice_world->place == voice_world->jump_at)
        voice_world->place = voice_world->jump_to;
}

void
voice_world_run(uint64_t ms)
{
    for (uint64_t end = voice_world->now + ms; voice_world->now < end;) {
        voice_world->now++;
        player_step();
        if (session_voice_down_due(voice_world->down) <= voice_world->now) {
            voice_world->runs++;
            session_voice_down_run(voice_world->down, voice_world->now);
        }
        assert_true(session_voice_down_due(voice_world->down)
                    > voice_world->now);
    }
}

struct realtime_span
voice_span(const char *text)
{
    return (struct realtime_span){text, strlen(text)};
}

struct session_voice_part
voice_part_of(const char *response, const char *item)
{
    return (struct session_voice_part){.response_id = voice_span(response),
                                       .item_id = voice_span(item)};
}

/* A buzz that a speech encoder likes. */
static void
samples_make(int16_t *pcm, size_t samples)
{
    for (size_t i = 0; i < samples; i++, voice_world->phase++) {
        int tooth = (int) (voice_world->phase % 200) - 100;
        int loud = 20 + (int) (voice_world->phase / 2400 % 3) * 20;

        pcm[i] = (int16_t) (voice_world->quiet ? 0 : tooth * loud);
    }
}

int
voice_world_push_samples(const struct session_voice_part *part, size_t samples)
{
    int16_t *pcm = malloc(samples * 2 + 2);
    char *text = malloc(pcm_text_chars_max(samples) + 8);
    struct pcm_text_writer writer = {0};
    size_t chars = 1;
    int err;

    samples_make(pcm, samples);
    if (voice_world->decoder_on) {
        if (!voice_world->fed)
            voice_world->fed =
                calloc(VOICE_WORLD_SAMPLES, sizeof(*voice_world->fed));
        assert_true(voice_world->fed_samples + samples < VOICE_WORLD_SAMPLES);
        memcpy(voice_world->fed + voice_world->fed_samples, pcm, samples * 2);
        voice_world->fed_samples += samples;
    }
    text[0] = '"';
    chars += pcm_text_push(&writer, text + chars, pcm, samples);
    chars += pcm_text_end(&writer, text + chars);
    text[chars++] = '"';
    err = session_voice_down_push(voice_world->down, part,
                                  (struct realtime_span){text, chars},
                                  voice_world->now);
    free(text);
    free(pcm);
    return err;
}

int
voice_world_push(const char *response, const char *item, unsigned ms)
{
    struct session_voice_part part = voice_part_of(response, item);

    return voice_world_push_samples(&part, (size_t) ms * 24);
}

void
voice_world_done(const char *response)
{
    session_voice_down_response_done(voice_world->down, voice_span(response),
                                     voice_world->now);
}

struct session_voice_down_counts
voice_world_counts(void)
{
    struct session_voice_down_counts c;

    session_voice_down_get_counts(voice_world->down, &c);
    return c;
}

/* All in order, nothing missing, START on the first alone. */
void
voice_world_packets_check(size_t from, unsigned ms)
{
    for (size_t i = from; i < voice_world->count; i++) {
        const struct voice_seen *s = &voice_world->packets[i];

        assert_int_equal(s->flags & VOICE_PACKET_START,
                         i == from ? VOICE_PACKET_START : 0);
        assert_int_equal(s->ms, ms);
        if (i == from)
            continue;
        assert_int_equal((uint16_t) (s[-1].sequence + 1), s->sequence);
        assert_int_equal(s[-1].timestamp + ms * 48, s->timestamp);
    }
}

/* By nobody's report: never more than the target ahead of real time. */
void
voice_world_pace_check(size_t from, unsigned target)
{
    uint64_t clock = 0, at = 0;

    for (size_t i = from; i < voice_world->count; i++) {
        const struct voice_seen *s = &voice_world->packets[i];
        uint64_t place = s->timestamp / 48;

        clock = i == from ? place : clock + s->now_ms - at;
        at = s->now_ms;
        if (clock > place)
            clock = place;
        assert_true(place + s->ms <= clock + target);
    }
}

/* The client's word on what it is at, as it arrives here. */
uint64_t
voice_world_report(uint64_t ms)
{
    uint64_t place = voice_world->place;

    voice_world_run(ms);
    return place;
}

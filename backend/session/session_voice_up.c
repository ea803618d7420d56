/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_voice_up.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "base/metrics.h"
#include "codec/opus_voice.h"
#include "codec/pcm_text.h"
#include "codec/playout.h"
#include "codec/voice_packet.h"
#include "session/session_voice_silence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(SESSION_VOICE_APPEND_SAMPLES == OPUS_VOICE_DECODED_MAX,
               "a packet is one append");

#define EVENT_HEAD "{\"type\":\"input_audio_buffer.append\",\"audio\":\""
#define EVENT_TAIL "\"}"
#define HEAD_BYTES (sizeof EVENT_HEAD - 1)
#define TAIL_BYTES (sizeof EVENT_TAIL - 1)
#define TEXT_CHARS (SESSION_VOICE_APPEND_SAMPLES * 2 / 3 * 4 + 4)

/* X(enum, code, message): why a packet is no good. */
#define FAULTS(X)                                                              \
    X(FAULT_NONE, "", "")                                                      \
    X(FAULT_SHORT, "invalid_audio_packet",                                     \
      "The audio packet is shorter than its head and one byte.")               \
    X(FAULT_LONG, "invalid_audio_packet",                                      \
      "The audio packet is longer than any can be.")                           \
    X(FAULT_VERSION, "invalid_audio_packet",                                   \
      "The audio packet is not of version 1 and kind 1.")                      \
    X(FAULT_FLAGS, "invalid_audio_packet",                                     \
      "The audio packet has a flag that nobody knows.")                        \
    X(FAULT_STEREO, "invalid_audio_packet",                                    \
      "The audio packet is stereo; it must be mono.")                          \
    X(FAULT_OPUS, "invalid_audio_packet",                                      \
      "The audio packet is no Opus packet of at most 120 ms.")                 \
    X(FAULT_OLD, "invalid_audio_packet",                                       \
      "The audio packet came before, or later than one after it.")             \
    X(FAULT_FAST, "audio_too_fast",                                            \
      "The audio is longer than the time it came in allows.")                  \
    X(FAULT_MEMORY, "internal_error", "There is no memory for audio.")

enum fault {
#define X(id, code, message) id,
    FAULTS(X)
#undef X
};

static const struct {
    const char *code;
    const char *message;
} faults[] = {
#define X(id, code, message) {code, message},
    FAULTS(X)
#undef X
};

struct session_voice_up {
    struct session_voice_up_config cfg;
    const struct session_voice_up_handlers *handlers;
    void *arg;
    struct opus_voice_decoder *decoder; /* NULL: no good packet yet */
    struct loop_timer *timer;           /* as the decoder */
    uint64_t due_us;                    /* of the timer; 0: it rests */
    struct session_voice_silence silence;
    struct voice_track track;
    struct playout_arrival arrival;
    uint64_t jitter_us;   /* mean, sixteenfold */
    uint64_t spare_us;    /* of audio that may come now */
    uint64_t spared_us;   /* when that was counted; 0: never */
    uint64_t paused_us;   /* of audio that has come in this pause */
    uint64_t told_us;     /* the last error; 0: none */
    uint64_t untold;      /* packets refused since */
    uint64_t past_lost;   /* of connections before this one */
    uint64_t past_taken;  /* the same: packets */
    uint64_t asked_lost;  /* session_voice_up_take_loss has told these */
    uint64_t asked_taken; /* the same: packets */
    struct session_voice_up_stats stats; /* what nobody else counts */
    unsigned calls;                      /* handlers that run */
    bool destroyed;                      /* inside of one */
};

/* One event in the making, on the stack. */
struct piece {
    char text[HEAD_BYTES + TEXT_CHARS + TAIL_BYTES];
    int16_t pcm[SESSION_VOICE_APPEND_SAMPLES];
};

static struct metric *packets_total, *lost_total, *refused_total;

static void
metrics_register(void)
{
    packets_total = metric_register(METRIC_COUNTER, "voiced_opus_packets_total",
                                    "Opus packets of clients, decoded.");
    lost_total = metric_register(METRIC_COUNTER, "voiced_opus_lost_total",
                                 "Opus packets of clients that never came.");
    refused_total = metric_register(METRIC_COUNTER, "voiced_opus_refused_total",
                                    "Opus packets of clients that were no "
                                    "good, old, or too many.");
}

int
session_voice_up_create(struct session_voice_up **upp,
                        const struct session_voice_up_config *cfg,
                        const struct session_voice_up_handlers *handlers,
                        void *arg)
{
    static uv_once_t once = UV_ONCE_INIT;
    struct session_voice_up *up = calloc(1, sizeof *up);

    if (up == NULL)
        return UV_ENOMEM;
    uv_once(&once, metrics_register);
    up->cfg = *cfg;
    up->handlers = handlers;
    up->arg = arg;
    *upp = up;
    return 0;
}

static uint64_t
packets_lost(const struct session_voice_up *up)
{
    return up->past_lost + up->track.lost;
}

static uint64_t
packets_taken(const struct session_voice_up *up)
{
    return up->past_taken + up->track.packets;
}

void
session_voice_up_take_loss(struct session_voice_up *up, unsigned *lost,
                           unsigned *total)
{
    uint64_t missing = packets_lost(up) - up->asked_lost;
    uint64_t here = packets_taken(up) - up->asked_taken;

    up->asked_lost += missing;
    up->asked_taken += here;
    metric_add(packets_total, (int64_t) here);
    metric_add(lost_total, (int64_t) missing);
    *lost = (unsigned) missing;
    *total = (unsigned) (missing + here);
}

static void
voice_free(struct session_voice_up *up)
{
    opus_voice_decoder_destroy(&up->decoder);
    free(up);
}

void
session_voice_up_destroy(struct session_voice_up **upp)
{
    struct session_voice_up *up = *upp;
    unsigned lost, total;

    *upp = NULL;
    if (up == NULL)
        return;
    session_voice_up_take_loss(up, &lost, &total);
    loop_timer_destroy(&up->timer);
    up->destroyed = true;
    if (up->calls == 0)
        voice_free(up);
}

/* Between these nothing is freed. leave: false, there is no `up` any more. */
static void
calls_enter(struct session_voice_up *up)
{
    up->calls++;
}

static bool
calls_leave(struct session_voice_up *up)
{
    if (--up->calls == 0 && up->destroyed) {
        voice_free(up);
        return false;
    }
    return true;
}

/* The samples of p->pcm become an event. */
static void
piece_append(struct session_voice_up *up, struct piece *p, size_t samples)
{
    struct pcm_text_writer writer = {0};
    char *at = p->text + HEAD_BYTES;

    if (up->handlers->on_pcm != NULL)
        up->handlers->on_pcm(up->arg, p->pcm, samples);
    if (up->destroyed)
        return;
    memcpy(p->text, EVENT_HEAD, HEAD_BYTES);
    at += pcm_text_push(&writer, at, p->pcm, samples);
    at += pcm_text_end(&writer, at);
    memcpy(at, EVENT_TAIL, TAIL_BYTES);
    at += TAIL_BYTES;
    up->handlers->on_append(up->arg, p->text, (size_t) (at - p->text));
}

/* `soft`: the noise of a voice that rests; else nothing is known of it. */
static void
silence_append(struct session_voice_up *up, struct piece *p, size_t samples,
               bool soft)
{
    while (samples > 0 && !up->destroyed) {
        size_t n = samples < SESSION_VOICE_APPEND_SAMPLES
                       ? samples
                       : SESSION_VOICE_APPEND_SAMPLES;

        if (soft)
            opus_voice_rest(up->decoder, p->pcm, n);
        else
            memset(p->pcm, 0, n * sizeof *p->pcm);
        piece_append(up, p, n);
        samples -= n;
    }
}

/* The packet's own copy of the frame before it goes into the last piece. */
static void
lost_append(struct session_voice_up *up, struct piece *p, size_t samples,
            const struct voice_packet *packet)
{
    while (samples > SESSION_VOICE_APPEND_SAMPLES && !up->destroyed) {
        size_t n = (samples - 1) % SESSION_VOICE_APPEND_SAMPLES + 1;

        opus_voice_conceal(up->decoder, p->pcm, n, NULL, 0);
        piece_append(up, p, n);
        samples -= n;
    }
    if (samples == 0 || up->destroyed)
        return;
    opus_voice_conceal(up->decoder, p->pcm, samples, packet->body,
                       packet->body_bytes);
    piece_append(up, p, samples);
}

static void on_timer(void *arg);

/* A timer that runs already and ends earlier is left alone: it looks again. */
static void
timer_arm(struct session_voice_up *up, uint64_t now_us)
{
    uint64_t due_us = session_voice_silence_due_us(&up->silence);
    uint64_t delay_us;

    if (due_us == 0 || up->timer == NULL
        || (up->due_us != 0 && up->due_us <= due_us))
        return;
    delay_us = due_us > now_us ? due_us - now_us : 0;
    loop_timer_start(up->timer, (delay_us + 999) / 1000, 0);
    up->due_us = due_us;
}

static void
on_timer(void *arg)
{
    struct session_voice_up *up = arg;
    uint64_t now_us = clock_now_us();
    size_t samples = session_voice_silence_take(&up->silence, now_us);
    struct piece piece;

    up->due_us = 0;
    up->stats.fed_samples += samples;
    timer_arm(up, now_us);
    calls_enter(up);
    silence_append(up, &piece, samples, up->silence.rests);
    calls_leave(up);
}

/* At most one a second; may destroy. */
static void
error_tell(struct session_voice_up *up, enum fault fault, uint64_t now_us)
{
    struct realtime_error error = {.code = faults[fault].code};
    char message[160];
    uint64_t others = up->untold;

    if (up->told_us != 0
        && now_us - up->told_us < SESSION_VOICE_ERROR_MS * 1000ull) {
        up->untold++;
        return;
    }
    if (others == 0)
        snprintf(message, sizeof message, "%s", faults[fault].message);
    else
        snprintf(message, sizeof message,
                 "%s %llu more were refused since the last such error.",
                 faults[fault].message, (unsigned long long) others);
    if (fault == FAULT_MEMORY)
        error.type = "server_error";
    error.message = message;
    up->untold = 0;
    up->told_us = now_us;
    up->stats.errors++;
    up->handlers->on_error(up->arg, &error);
}

static void
packet_refuse(struct session_voice_up *up, enum fault fault, uint64_t now_us)
{
    up->stats.refused++;
    up->stats.old += fault == FAULT_OLD;
    metric_add(refused_total, 1);
    LOG_LIMITED(NOTICE, up->cfg.id, "audio packet refused: %s",
                faults[fault].message);
    error_tell(up, fault, now_us);
}

static enum fault
message_read(struct voice_packet *packet, const void *data, size_t bytes)
{
    switch (voice_packet_read(packet, data, bytes)) {
    case 0:
        return FAULT_NONE;
    case UV_ENOTSUP:
        return FAULT_VERSION;
    default:
        if (bytes <= VOICE_PACKET_HEAD_BYTES)
            return FAULT_SHORT;
        return bytes > VOICE_PACKET_MAX ? FAULT_LONG : FAULT_FLAGS;
    }
}

/* Of the first byte of an Opus packet (RFC 6716, 3.1). */
#define TOC_STEREO 0x04

static enum fault
body_check(const struct voice_packet *packet, size_t *samples)
{
    ssize_t n = opus_voice_packet_samples(packet->body, packet->body_bytes);

    if (n > 0) {
        *samples = (size_t) n;
        return FAULT_NONE;
    }
    return packet->body[0] & TOC_STEREO ? FAULT_STEREO : FAULT_OPUS;
}

static int
decoder_make(struct session_voice_up *up)
{
    int rc;

    if (up->timer == NULL
        && (rc = loop_timer_create(&up->timer, up->cfg.loop, on_timer, up))
               != 0)
        return rc;
    return up->decoder == NULL ? opus_voice_decoder_create(&up->decoder) : 0;
}

/* Whether so much audio may come by now. */
static bool
spare_take(struct session_voice_up *up, size_t samples, uint64_t now_us)
{
    uint64_t audio_us = (uint64_t) samples * 1000000 / OPUS_VOICE_RATE;
    uint64_t most_us = SESSION_VOICE_BURST_MS * 1000ull;
    uint64_t passed_us = now_us > up->spared_us ? now_us - up->spared_us : 0;

    if (up->spared_us == 0 || passed_us >= most_us)
        up->spare_us = most_us;
    else
        up->spare_us += SESSION_VOICE_SPEED * passed_us;
    if (up->spare_us > most_us)
        up->spare_us = most_us;
    if (now_us > up->spared_us)
        up->spared_us = now_us;
    if (up->spare_us < audio_us
        || (up->silence.paused
            && up->paused_us + audio_us > SESSION_VOICE_PAUSED_MS * 1000ull))
        return false;
    up->spare_us -= audio_us;
    up->paused_us += audio_us;
    return true;
}

/* A packet in its place. */
struct placed {
    struct voice_packet packet;
    struct voice_track_news news;
    struct session_voice_gap gap; /* to be filled in before it */
    size_t samples;
    bool follows; /* the one before it is known */
};

static void
jitter_take(struct session_voice_up *up, const struct placed *p,
            uint64_t now_us)
{
    int64_t late_us = playout_arrival_take(&up->arrival, p->packet.timestamp,
                                           !p->follows, now_us);

    if (late_us >= 0)
        up->jitter_us += (uint64_t) late_us - up->jitter_us / 16;
}

/* Looks what is to be filled in, after what was fed since the last one. */
static void
gap_find(struct session_voice_up *up, struct placed *p, uint64_t now_us)
{
    struct session_voice_arrival arrival = {
        .samples = p->samples,
        .follows = p->follows,
        .jitter_us = (uint32_t) (up->jitter_us / 16),
        .rests = p->packet.flags & VOICE_PACKET_REST,
    };

    p->gap = (struct session_voice_gap){.rest = p->news.rest_48k / 2,
                                        .lost = p->news.lost_48k / 2};
    session_voice_silence_packet(&up->silence, &arrival, &p->gap, now_us);
    up->stats.cut_samples += p->gap.cut;
}

/* A packet whose head is good and whose body is not, as libopus finds, is
 * made up for. */
static void
packet_append(struct session_voice_up *up, const struct placed *p)
{
    struct piece piece;

    silence_append(up, &piece, p->gap.rest, true);
    lost_append(up, &piece, p->gap.lost, &p->packet);
    if (up->destroyed)
        return;
    if (opus_voice_decode(up->decoder, piece.pcm, p->packet.body,
                          p->packet.body_bytes)
        < 0)
        opus_voice_conceal(up->decoder, piece.pcm, p->samples, NULL, 0);
    up->stats.heard_samples += p->samples;
    piece_append(up, &piece, p->samples);
}

static enum fault
packet_place(struct session_voice_up *up, struct placed *p, uint64_t now_us)
{
    if (!spare_take(up, p->samples, now_us))
        return FAULT_FAST;
    if (up->decoder == NULL && decoder_make(up) != 0)
        return FAULT_MEMORY;
    voice_track_take(&up->track, &p->packet, (uint32_t) p->samples * 2,
                     &p->news);
    if (p->news.kind == VOICE_TRACK_OLD)
        return FAULT_OLD;
    p->follows = p->news.kind != VOICE_TRACK_RESTART;
    if (!p->follows)
        opus_voice_decoder_reset(up->decoder);
    jitter_take(up, p, now_us);
    gap_find(up, p, now_us);
    return FAULT_NONE;
}

static enum fault
packet_take(struct session_voice_up *up, const void *data, size_t bytes,
            uint64_t now_us)
{
    struct placed p;
    enum fault fault = message_read(&p.packet, data, bytes);

    if (fault == FAULT_NONE)
        fault = body_check(&p.packet, &p.samples);
    if (fault == FAULT_NONE)
        fault = packet_place(up, &p, now_us);
    if (fault != FAULT_NONE)
        return fault;
    timer_arm(up, now_us);
    packet_append(up, &p);
    return FAULT_NONE;
}

void
session_voice_up_packet(struct session_voice_up *up, const void *data,
                        size_t bytes, uint64_t now_us)
{
    enum fault fault;

    calls_enter(up);
    fault = packet_take(up, data, bytes, now_us);
    if (fault != FAULT_NONE)
        packet_refuse(up, fault, now_us);
    calls_leave(up);
}

void
session_voice_up_restart(struct session_voice_up *up)
{
    up->past_lost += up->track.lost;
    up->past_taken += up->track.packets;
    up->track = (struct voice_track){0};
    up->arrival = (struct playout_arrival){0};
    up->jitter_us = 0;
    session_voice_silence_restart(&up->silence);
}

void
session_voice_up_speech(struct session_voice_up *up, bool speaking)
{
    uint64_t now_us = clock_now_us();

    session_voice_silence_speech(&up->silence, speaking, now_us);
    timer_arm(up, now_us);
}

void
session_voice_up_set_manual(struct session_voice_up *up, bool manual)
{
    session_voice_silence_set_manual(&up->silence, manual);
}

void
session_voice_up_pause(struct session_voice_up *up, bool paused)
{
    uint64_t now_us = clock_now_us();

    if (!up->silence.paused)
        up->paused_us = 0;
    session_voice_silence_pause(&up->silence, paused, now_us);
    timer_arm(up, now_us);
}

unsigned
session_voice_up_jitter_ms(const struct session_voice_up *up)
{
    return (unsigned) ((up->jitter_us + 8000) / 16000);
}

void
session_voice_up_get_stats(const struct session_voice_up *up,
                           struct session_voice_up_stats *out)
{
    *out = up->stats;
    out->packets = packets_taken(up);
    out->lost = packets_lost(up);
    if (up->decoder != NULL) {
        const struct opus_voice_counts *counts =
            opus_voice_decoder_counts(up->decoder);

        out->fec_samples = counts->fec_samples;
        out->plc_samples = counts->plc_samples;
        out->silent_samples = counts->silent_samples;
        out->rest_samples = counts->rest_samples;
    }
}

size_t
session_voice_up_bytes(const struct session_voice_up *up)
{
    return sizeof *up + (up->decoder != NULL ? opus_voice_decoder_bytes() : 0);
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Answers of any model to a client that takes, reports and interrupts as it
 * likes: each packet is whole and in its place on one timeline, who is paused
 * or interrupted is sent nothing, a response stops only after it has started,
 * and what is said to be heard is at most what was sent.
 *
 *   input: steps of  what (1)  who (1)  how much (1)
 */

#include "codec/base64.h"
#include "codec/opus_voice.h"
#include "codec/voice_packet.h"
#include "session/session_voice_down.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct course {
    struct session_voice_down *down;
    uint64_t now_ms;
    uint64_t packets;
    uint32_t timestamp;
    uint16_t sequence;
    bool stalled;
    bool paused;
    unsigned started, stopped;
};

static void
must(bool fact)
{
    if (!fact)
        abort();
}

static int
on_send(void *arg, const uint8_t *message, size_t bytes)
{
    struct course *c = arg;
    struct voice_packet packet;
    ssize_t samples;

    must(voice_packet_read(&packet, message, bytes) == 0);
    must(!c->paused);
    if (c->stalled)
        return UV_EAGAIN;
    samples = opus_voice_packet_samples(packet.body, packet.body_bytes);
    must(samples == 240 || samples == 480);
    must(c->packets > 0 || (packet.flags & VOICE_PACKET_START));
    if (c->packets > 0) {
        must((int16_t) (uint16_t) (packet.sequence - c->sequence) > 0);
        must((int32_t) (packet.timestamp - c->timestamp) >= 0);
    }
    c->sequence = packet.sequence;
    c->timestamp = packet.timestamp + (uint32_t) samples * 2;
    c->packets++;
    return 0;
}

static void
on_started(void *arg, const char *response_id)
{
    struct course *c = arg;

    must(strlen(response_id) < 48);
    c->started++;
}

static void
on_stopped(void *arg, const char *response_id)
{
    struct course *c = arg;

    must(strlen(response_id) < 48);
    must(++c->stopped <= c->started);
}

static const struct session_voice_down_handlers handlers = {on_send, on_started,
                                                            on_stopped};

/* The name of one of eight, some of them odd. */
static struct realtime_span
name_of(char out[80], const char *kind, unsigned which)
{
    int n = which == 7 ? snprintf(out, 80, "\"%s_%060u\"", kind, which)
                       : snprintf(out, 80, "\"%s_%u\"", kind, which);

    if (which == 6)
        return (struct realtime_span){NULL, 0};
    return (struct realtime_span){out, (size_t) n};
}

struct names {
    char response[80], item[80];
    struct session_voice_part part;
};

static void
names_make(struct names *names, unsigned who)
{
    names->part = (struct session_voice_part){
        .response_id = name_of(names->response, "resp", who & 7),
        .item_id = name_of(names->item, "item", who >> 3 & 7),
        .content_index = who >> 6,
    };
}

/* A delta of so many bytes of sound, in memory exactly as large; some are no
 * base64, have escapes or half a sample. */
static void
delta_push(struct course *c, const struct names *names, unsigned what,
           unsigned much)
{
    size_t sound = (size_t) much << (what >> 4 & 7), chars, n;
    uint8_t *pcm = malloc(sound + 1);
    char *text = malloc(base64_encoded_bytes(sound) + 8), *exact;
    int err;

    must(pcm != NULL && text != NULL);
    for (size_t i = 0; i < sound; i++)
        pcm[i] = (uint8_t) (what & 0x80 ? 0 : i * 37 + much);
    chars = base64_encode(text + 1, pcm, sound);
    text[0] = '"';
    if (much == 255 && chars > 6)
        text[5] = what & 0x10 ? '\\' : '*';
    text[1 + chars] = '"';
    n = chars + 2;
    exact = malloc(n);
    must(exact != NULL);
    memcpy(exact, text, n);
    err = session_voice_down_push(c->down, &names->part,
                                  (struct realtime_span){exact, n}, c->now_ms);
    must(err == 0 || err == UV_EINVAL || err == UV_ENOBUFS
         || err == UV_ECANCELED);
    free(exact);
    free(text);
    free(pcm);
}

static void
cuts_look(struct course *c, size_t count)
{
    struct session_voice_cut cut;

    for (size_t i = 0; i < count; i++) {
        must(session_voice_down_cut(c->down, i, &cut));
        must(strlen(cut.response_id) < 48 && strlen(cut.item_id) < 48);
        must(cut.heard_ms <= cut.sent_ms && cut.sent_ms <= cut.total_ms);
    }
    must(!session_voice_down_cut(c->down, count, &cut));
}

static void
interrupt(struct course *c, unsigned much)
{
    uint64_t packets = c->packets;
    size_t count = session_voice_down_clear(c->down, c->now_ms);

    must(c->packets == packets);
    must(!session_voice_down_is_playing(c->down, c->now_ms));
    cuts_look(c, count);
    if (session_voice_down_heard(c->down, much * 40u) == 0)
        cuts_look(c, count);
}

/* Wakes it whenever it wants to. */
static void
time_pass(struct course *c, unsigned ms)
{
    uint64_t end_ms = c->now_ms + ms, due_ms, before;

    while ((due_ms = session_voice_down_due(c->down)) <= end_ms) {
        before = c->now_ms;
        if (due_ms > c->now_ms)
            c->now_ms = due_ms;
        session_voice_down_run(c->down, c->now_ms);
        must(session_voice_down_due(c->down) > before);
    }
    c->now_ms = end_ms;
}

static void
settings_change(struct course *c, unsigned who, unsigned much)
{
    struct opus_voice_settings s = {.frame_ms = who & 1 ? 10 : 20,
                                    .bitrate_bps = 6000 + much * 100u,
                                    .complexity = who & 2 ? 1 : 0,
                                    .loss_percent = who & 4 ? 20 : 0,
                                    .fec = who & 8,
                                    .dtx = who & 16};

    (void) session_voice_down_configure(c->down, &s);
    session_voice_down_set_target(c->down, who * 8u, c->now_ms);
}

static void
connection_change(struct course *c, unsigned who)
{
    switch (who & 3) {
    case 0:
        c->stalled = true;
        break;
    case 1:
        c->stalled = false;
        session_voice_down_resume(c->down, c->now_ms);
        break;
    default:
        c->paused = who & 1;
        c->stalled = false;
        session_voice_down_pause(c->down, c->paused, c->now_ms);
    }
}

static void
step_run(struct course *c, unsigned what, unsigned who, unsigned much)
{
    struct names names;

    names_make(&names, who);
    switch (what & 15) {
    case 0:
    case 1:
    case 2:
    case 3:
        delta_push(c, &names, what, much);
        break;
    case 4:
        session_voice_down_part_done(c->down, &names.part, c->now_ms);
        break;
    case 5:
        session_voice_down_response_done(c->down, names.part.response_id,
                                         c->now_ms);
        break;
    case 6:
        interrupt(c, much);
        break;
    case 7:
        session_voice_down_discard(c->down, names.part.response_id, much & 1);
        break;
    case 8:
        session_voice_down_rtt(c->down, much * 4);
        session_voice_down_played(c->down, who * 50u, c->now_ms);
        break;
    case 9:
        connection_change(c, who);
        break;
    case 10:
        settings_change(c, who, much);
        break;
    default:
        time_pass(c, much << (what >> 4 & 3));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct session_voice_down_config cfg = {
        .opus = {.frame_ms = 20, .bitrate_bps = 16000}};
    struct course c = {.now_ms = 1000000};
    struct session_voice_down_counts counts;

    must(session_voice_down_create(&c.down, &cfg, &handlers, &c) == 0);
    for (unsigned i = 0; i < STEPS_MAX && bytes >= 3; i++) {
        step_run(&c, data[0], data[1], data[2]);
        data += 3;
        bytes -= 3;
    }
    session_voice_down_get_counts(c.down, &counts);
    must(counts.packets == c.packets);
    session_voice_down_destroy(&c.down);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A client that sends anything, at any time: each append is a whole event,
 * what is filled in stays within the time that passed, what comes too fast is
 * refused, and errors are at most one a second.
 *
 *   input: steps of  what (1)  length (2, big-endian)  bytes
 */

#include "codec/base64.h"
#include "codec/voice_packet.h"
#include "session/session_voice_silence.h"
#include "session/session_voice_up.h"

#include <stdlib.h>
#include <string.h>

#define STEPS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct course {
    struct session_voice_up *up;
    struct session_voice_silence silence; /* one of its own */
    struct voice_packet_stamp stamp;
    uint64_t now_us;
    uint64_t begun_us;
    uint64_t heard; /* samples */
    uint64_t errors;
    uint64_t made_up; /* by silence */
    size_t pcm;
};

static void
must(bool fact)
{
    if (!fact)
        abort();
}

static void
on_append(void *arg, const char *json, size_t bytes)
{
    struct course *c = arg;
    struct realtime_peek peek;
    struct realtime_span audio;
    uint8_t pcm[SESSION_VOICE_APPEND_SAMPLES * 2 + 3];
    ssize_t n;

    must(realtime_peek(json, bytes, &peek) == REALTIME_SOUND);
    audio = peek.value[REALTIME_KEY_AUDIO];
    must(audio.text != NULL && audio.bytes > 2);
    must(base64_decoded_max(audio.bytes - 2) <= sizeof pcm);
    n = base64_decode(pcm, audio.text + 1, audio.bytes - 2);
    must(n > 0 && (size_t) n == 2 * c->pcm);
    c->heard += c->pcm;
}

static void
on_pcm(void *arg, const int16_t *pcm, size_t samples)
{
    struct course *c = arg;

    must(pcm != NULL && samples > 0 && samples <= SESSION_VOICE_APPEND_SAMPLES);
    c->pcm = samples;
}

static void
on_error(void *arg, const struct realtime_error *error)
{
    struct course *c = arg;
    char text[REALTIME_ERROR_BYTES];

    must(error->code != NULL && error->message != NULL);
    must(realtime_error_write(text, "event_1", error) > 0);
    c->errors++;
}

static const struct session_voice_up_handlers handlers = {
    .on_append = on_append, .on_pcm = on_pcm, .on_error = on_error};

static void
message_give(struct course *c, const uint8_t *at, size_t n)
{
    uint8_t *copy = malloc(n + (n == 0));

    must(copy != NULL);
    if (n > 0)
        memcpy(copy, at, n);
    session_voice_up_packet(c->up, copy, n, c->now_us);
    free(copy);
}

/* A head that follows the last one, or nearly; then any body. */
static void
packet_give(struct course *c, const uint8_t *at, size_t n)
{
    static uint8_t message[VOICE_PACKET_MAX + 16];
    struct voice_packet packet = {.kind = VOICE_PACKET_AUDIO};

    if (n < 3)
        return;
    packet.flags = at[0] & 3;
    c->stamp.sequence = (uint16_t) (c->stamp.sequence + (at[1] & 0x1f) - 1);
    c->stamp.timestamp += (uint32_t) at[2] << (at[0] >> 4);
    at += 3;
    n -= 3;
    if (n > VOICE_PACKET_BODY_MAX + 8)
        n = VOICE_PACKET_BODY_MAX + 8;
    voice_packet_stamp(&c->stamp, &packet, 960);
    voice_packet_write_head(message, &packet);
    memcpy(message + VOICE_PACKET_HEAD_BYTES, at, n);
    message_give(c, message, VOICE_PACKET_HEAD_BYTES + n);
}

static void
time_pass(struct course *c, const uint8_t *at, size_t n)
{
    size_t fed;

    if (n >= 2)
        c->now_us += (uint64_t) at[0] << (at[1] & 15);
    fed = session_voice_silence_take(&c->silence, c->now_us);
    must(fed == 0 || !c->silence.manual);
    c->made_up += fed;
}

static void
silence_give(struct course *c, const uint8_t *at, size_t n)
{
    struct session_voice_arrival arrival = {.samples = 480};
    struct session_voice_gap gap = {0};
    size_t claimed;

    if (n < 4)
        return;
    arrival.follows = at[0] & 1;
    arrival.rests = at[0] & 2;
    arrival.jitter_us = at[1] * 4096u;
    arrival.samples = 60u * (1 + at[1] % 48);
    gap.rest = (size_t) at[2] << (at[0] >> 6) * 2;
    gap.lost = (size_t) at[3] << (at[0] >> 4 & 3) * 2;
    claimed = gap.rest + gap.lost;
    session_voice_silence_packet(&c->silence, &arrival, &gap, c->now_us);
    must(gap.rest + gap.lost + gap.cut <= claimed);
    c->made_up += gap.rest + gap.lost;
}

static void
setting_change(struct course *c, unsigned what)
{
    bool on = what & 1;

    switch (what >> 1 & 3) {
    case 0:
        session_voice_up_speech(c->up, on);
        session_voice_silence_speech(&c->silence, on, c->now_us);
        break;
    case 1:
        session_voice_up_pause(c->up, on);
        session_voice_silence_pause(&c->silence, on, c->now_us);
        break;
    case 2:
        session_voice_up_set_manual(c->up, on);
        session_voice_silence_set_manual(&c->silence, on);
        break;
    default:
        session_voice_up_restart(c->up);
        session_voice_silence_restart(&c->silence);
    }
}

static void
step_run(struct course *c, const uint8_t *at, size_t n)
{
    switch (at[0] & 7) {
    case 0:
        message_give(c, at + 3, n);
        break;
    case 1:
    case 2:
    case 3:
        packet_give(c, at + 3, n);
        break;
    case 4:
    case 5:
        time_pass(c, at + 3, n);
        break;
    case 6:
        silence_give(c, at + 3, n);
        break;
    default:
        setting_change(c, at[0] >> 3);
    }
}

static void
course_check(const struct course *c)
{
    struct session_voice_up_stats s;
    uint64_t passed_us = c->now_us - c->begun_us, filled, bound;

    session_voice_up_get_stats(c->up, &s);
    filled = s.fec_samples + s.plc_samples + s.silent_samples + s.rest_samples;
    must(c->heard <= s.heard_samples + filled);
    bound = (passed_us + SESSION_SILENCE_SLACK_MS * 1000u) * 24 / 1000;
    must(c->heard - s.heard_samples <= bound);
    must(c->made_up <= bound);
    must(s.heard_samples <= 24u * SESSION_VOICE_BURST_MS
                                + SESSION_VOICE_SPEED * passed_us * 24 / 1000);
    must(s.errors == c->errors && s.old <= s.refused);
    must(c->errors <= 1 + passed_us / (SESSION_VOICE_ERROR_MS * 1000u));
    must(session_voice_up_jitter_ms(c->up) <= 2000);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct loop *loop;
    struct session_voice_up_config cfg = {.id = "sess_fuzz"};
    struct course c = {.now_us = 5000000, .begun_us = 5000000};
    unsigned lost, total;
    size_t at = 0;

    if (loop == NULL)
        must(loop_create(&loop, 0) == 0);
    cfg.loop = loop;
    must(session_voice_up_create(&c.up, &cfg, &handlers, &c) == 0);
    for (unsigned i = 0; i < STEPS_MAX && bytes - at >= 3; i++) {
        size_t n = (size_t) data[at + 1] << 8 | data[at + 2];

        if (n > bytes - at - 3)
            n = bytes - at - 3;
        step_run(&c, data + at, n);
        course_check(&c);
        at += 3 + n;
    }
    session_voice_up_take_loss(c.up, &lost, &total);
    must(lost <= total);
    session_voice_up_destroy(&c.up);
    uv_run(loop_uv(loop), UV_RUN_NOWAIT); /* the timer's memory */
    return 0;
}

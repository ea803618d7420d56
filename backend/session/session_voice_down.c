/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   push ─► text, base64 ─► session_voice_pump ─► send
 *              timer ──────► run ▲   │ due ─► timer
 */

#include "session/session_voice_down.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "base/metrics.h"
#include "session/session_voice_pump.h"
#include "session/session_voice_text.h"

#include <stdlib.h>

#define TARGET_MS        150u
#define TARGET_MIN_MS    20u
#define TARGET_MAX_MS    1000u
#define FRAME_TEXT_CHARS 1280u /* of 20 ms */

struct session_voice_down {
    struct session_voice_pump pump;
    const struct session_voice_down_handlers *handlers;
    void *arg;
    struct loop *loop;
    struct loop_timer *timer; /* NULL: never needed yet */
    const char *id;
    struct metric *dropped;
    uint64_t dropped_packets, refused;
    struct pcm_text_reader reader;
    bool full_logged;
    bool cut_reported; /* cut_ms is what the client said */
    bool cut_rests;    /* silence was the last that left before */
    unsigned rtt_ms;
    unsigned delay;  /* samples from what is encoded to what is heard */
    uint64_t cut_ms; /* the place that was heard at the last clear */
    uint64_t due_ms, armed_ms;
};

static int
on_pump_send(void *arg, const uint8_t *message, size_t bytes)
{
    struct session_voice_down *d = arg;

    return d->handlers->send(d->arg, message, bytes);
}

static void
on_pump_started(void *arg, const char *response_id)
{
    struct session_voice_down *d = arg;

    if (d->handlers->on_started != NULL)
        d->handlers->on_started(d->arg, response_id);
}

static void
on_pump_stopped(void *arg, const char *response_id)
{
    struct session_voice_down *d = arg;

    if (d->handlers->on_stopped != NULL)
        d->handlers->on_stopped(d->arg, response_id);
}

static void
on_pump_dropped(void *arg, uint64_t packets)
{
    struct session_voice_down *d = arg;

    d->dropped_packets += packets;
    metric_add(d->dropped, (int64_t) packets);
}

static const struct session_voice_pump_handlers pump_handlers = {
    on_pump_send, on_pump_started, on_pump_stopped, on_pump_dropped};

static bool
settings_are_good(const struct opus_voice_settings *s)
{
    return (s->frame_ms == 10 || s->frame_ms == 20)
           && s->bitrate_bps >= OPUS_VOICE_BITRATE_MIN
           && s->bitrate_bps <= OPUS_VOICE_BITRATE_MAX && s->complexity <= 10
           && s->loss_percent <= 100;
}

static unsigned
target_bounded(unsigned target_ms)
{
    if (target_ms < TARGET_MIN_MS)
        return TARGET_MIN_MS;
    return target_ms > TARGET_MAX_MS ? TARGET_MAX_MS : target_ms;
}

int
session_voice_down_create(struct session_voice_down **dp,
                          const struct session_voice_down_config *cfg,
                          const struct session_voice_down_handlers *handlers,
                          void *arg)
{
    struct session_voice_down *d;

    if (!settings_are_good(&cfg->opus))
        return UV_EINVAL;
    d = calloc(1, sizeof *d);
    if (d == NULL)
        return UV_ENOMEM;
    session_voice_pump_init(&d->pump, &pump_handlers, d);
    d->pump.settings = cfg->opus;
    d->pump.target_ms =
        cfg->target_ms == 0 ? TARGET_MS : target_bounded(cfg->target_ms);
    d->handlers = handlers;
    d->arg = arg;
    d->loop = cfg->loop;
    d->id = cfg->id;
    d->due_ms = d->armed_ms = SESSION_VOICE_NEVER;
    d->dropped = metric_register(
        METRIC_COUNTER, "voiced_opus_dropped_total",
        "Packets to clients that were never sent: late, or too many waited.");
    *dp = d;
    return 0;
}

void
session_voice_down_destroy(struct session_voice_down **dp)
{
    struct session_voice_down *d = *dp;

    *dp = NULL;
    if (d == NULL)
        return;
    loop_timer_destroy(&d->timer);
    session_voice_pump_deinit(&d->pump);
    free(d);
}

static void
on_timer(void *arg)
{
    struct session_voice_down *d = arg;

    d->armed_ms = SESSION_VOICE_NEVER;
    session_voice_down_run(d, clock_now_ms());
}

/* Without memory for a timer whatever comes next makes it run. */
static void
timer_arm(struct session_voice_down *d, uint64_t now_ms)
{
    if (d->loop == NULL || d->due_ms == d->armed_ms)
        return;
    if (d->timer == NULL
        && loop_timer_create(&d->timer, d->loop, on_timer, d) != 0)
        return;
    d->armed_ms = d->due_ms;
    if (d->due_ms == SESSION_VOICE_NEVER)
        loop_timer_stop(d->timer);
    else
        loop_timer_start(d->timer, d->due_ms > now_ms ? d->due_ms - now_ms : 0,
                         0);
}

void
session_voice_down_run(struct session_voice_down *d, uint64_t now_ms)
{
    d->due_ms = session_voice_pump_run(&d->pump, now_ms);
    timer_arm(d, now_ms);
}

/* --- what comes ------------------------------------------------------------
 */

static void
part_read(struct voice_part *to, const struct session_voice_part *part)
{
    *to = (struct voice_part){.content_index = part->content_index};
    session_voice_id_read(&to->response, part->response_id);
    session_voice_id_read(&to->item, part->item_id);
}

static int
text_refuse(struct session_voice_down *d, size_t chars)
{
    on_pump_dropped(d, (chars + FRAME_TEXT_CHARS - 1) / FRAME_TEXT_CHARS);
    if (!d->full_logged)
        LOG(WARN, d->id, "event=opus_queue_full");
    d->full_logged = true;
    return UV_ENOBUFS;
}

/* Room for the text, an encoder, and somebody whose it is. */
static int
text_place(struct session_voice_down *d, const struct voice_part *part,
           size_t chars, struct voice_answer **answer)
{
    struct session_voice_pump *p = &d->pump;
    bool other;
    int err;

    if (!session_voice_queue_fits(&p->queue, chars))
        return UV_ENOBUFS;
    err = session_voice_pump_begin(p);
    if (err)
        return err;
    d->delay = opus_voice_encoder_delay(p->encoder);
    *answer = session_voice_answers_open(&p->answers, &part->response);
    if (*answer == NULL)
        return UV_ENOBUFS;
    err = session_voice_timeline_open(
        &p->timeline, part,
        voice_pacer_heard(&p->pacer) * SESSION_VOICE_SAMPLES_PER_MS, &other);
    if (err == 0 && other)
        d->reader = (struct pcm_text_reader){0};
    return err;
}

static int
text_push(struct session_voice_down *d, const struct voice_part *part,
          const struct session_voice_text *text)
{
    struct session_voice_pump *p = &d->pump;
    struct voice_answer *answer;
    ssize_t samples;
    int err = text_place(d, part, text->chars, &answer);

    if (err == UV_ENOBUFS)
        return text_refuse(d, text->chars);
    if (err)
        return err;
    samples = session_voice_queue_write(&p->queue, &d->reader, text->text,
                                        text->chars);
    if (samples < 0)
        return (int) samples;
    session_voice_timeline_extend(&p->timeline, (size_t) samples);
    answer->waiting += (uint64_t) samples;
    return 0;
}

int
session_voice_down_push(struct session_voice_down *d,
                        const struct session_voice_part *part,
                        struct realtime_span base64, uint64_t now_ms)
{
    struct session_voice_text text;
    struct voice_part whose;
    int err;

    part_read(&whose, part);
    if (session_voice_answers_is_discarded(&d->pump.answers, &whose.response))
        return UV_ECANCELED;
    err = session_voice_text_open(&text, base64);
    if (err == 0 && text.chars > 0) {
        session_voice_pump_clock(&d->pump, now_ms);
        err = text_push(d, &whose, &text);
        session_voice_text_close(&text);
        d->pump.push_ms = now_ms;
        session_voice_down_run(d, now_ms);
    }
    d->refused += err == UV_EINVAL;
    return err;
}

void
session_voice_down_part_done(struct session_voice_down *d,
                             const struct session_voice_part *part,
                             uint64_t now_ms)
{
    struct voice_part whose;

    part_read(&whose, part);
    session_voice_timeline_part_done(&d->pump.timeline, &whose);
    session_voice_down_run(d, now_ms);
}

void
session_voice_down_response_done(struct session_voice_down *d,
                                 struct realtime_span response_id,
                                 uint64_t now_ms)
{
    struct session_voice_pump *p = &d->pump;
    struct session_voice_id id;
    struct voice_answer *answer;

    session_voice_id_read(&id, response_id);
    session_voice_answers_discard(&p->answers, &id, false);
    session_voice_timeline_response_done(&p->timeline, &id);
    answer = session_voice_answers_find(&p->answers, &id);
    if (answer != NULL)
        answer->done = true;
    session_voice_down_run(d, now_ms);
}

void
session_voice_down_discard(struct session_voice_down *d,
                           struct realtime_span response_id, bool on)
{
    struct session_voice_id id;

    session_voice_id_read(&id, response_id);
    session_voice_answers_discard(&d->pump.answers, &id, on);
}

/* --- the client and its connection -----------------------------------------
 */

void
session_voice_down_resume(struct session_voice_down *d, uint64_t now_ms)
{
    session_voice_pump_resume(&d->pump, now_ms);
    session_voice_down_run(d, now_ms);
}

void
session_voice_down_pause(struct session_voice_down *d, bool paused,
                         uint64_t now_ms)
{
    session_voice_pump_pause(&d->pump, paused, now_ms);
    session_voice_down_run(d, now_ms);
}

void
session_voice_down_played(struct session_voice_down *d, uint64_t place_ms,
                          uint64_t now_ms)
{
    if (d->pump.state == PUMP_PAUSED)
        return;
    session_voice_pump_clock(&d->pump, now_ms);
    if (d->pump.rests && place_ms > session_voice_pump_sent(&d->pump))
        place_ms = session_voice_pump_sent(&d->pump);
    if (voice_pacer_report(&d->pump.pacer, place_ms, d->rtt_ms, now_ms))
        session_voice_down_run(d, now_ms);
}

void
session_voice_down_rtt(struct session_voice_down *d, unsigned rtt_ms)
{
    d->rtt_ms = rtt_ms;
}

int
session_voice_down_configure(struct session_voice_down *d,
                             const struct opus_voice_settings *settings)
{
    struct session_voice_pump *p = &d->pump;
    int err = settings_are_good(settings) ? 0 : UV_EINVAL;

    if (err == 0 && p->encoder != NULL)
        err = opus_voice_encoder_configure(p->encoder, settings);
    if (err == 0)
        p->settings = *settings;
    return err;
}

void
session_voice_down_set_target(struct session_voice_down *d, unsigned target_ms,
                              uint64_t now_ms)
{
    target_ms = target_bounded(target_ms);
    if (target_ms == d->pump.target_ms)
        return;
    d->pump.target_ms = target_ms;
    session_voice_down_run(d, now_ms);
}

/* --- interruption ----------------------------------------------------------
 */

size_t
session_voice_down_clear(struct session_voice_down *d, uint64_t now_ms)
{
    size_t count;

    session_voice_pump_clock(&d->pump, now_ms);
    d->cut_ms = voice_pacer_heard(&d->pump.pacer);
    d->cut_reported = false;
    d->cut_rests = d->pump.rests;
    count = session_voice_pump_cut(&d->pump, now_ms);
    d->reader = (struct pcm_text_reader){0};
    session_voice_down_run(d, now_ms);
    return count;
}

bool
session_voice_down_cut(const struct session_voice_down *d, size_t index,
                       struct session_voice_cut *cut)
{
    const struct session_voice_timeline *t = &d->pump.timeline;
    const struct voice_part *part = session_voice_timeline_cut_part(t, index);
    uint64_t place = d->cut_ms * SESSION_VOICE_SAMPLES_PER_MS, sent, heard;

    if (part == NULL)
        return false;
    sent = session_voice_timeline_part_sent(t, part);
    heard = session_voice_timeline_heard(
        t, part, place > d->delay ? place - d->delay : 0);
    if (heard > sent)
        heard = sent;
    *cut = (struct session_voice_cut){
        .response_id = part->response.text,
        .item_id = part->item.text,
        .content_index = part->content_index,
        .whole = part->done && heard + d->delay >= part->received,
        .total_ms = part->received / SESSION_VOICE_SAMPLES_PER_MS,
        .sent_ms = sent / SESSION_VOICE_SAMPLES_PER_MS,
        .heard_ms = heard / SESSION_VOICE_SAMPLES_PER_MS,
    };
    return true;
}

int
session_voice_down_heard(struct session_voice_down *d, uint64_t place_ms)
{
    const struct session_voice_timeline *t = &d->pump.timeline;
    uint64_t most_ms = t->cut_to / SESSION_VOICE_SAMPLES_PER_MS;

    if (d->cut_rests && place_ms > most_ms)
        place_ms = most_ms;
    if (place_ms < t->cut_from / SESSION_VOICE_SAMPLES_PER_MS
        || place_ms > most_ms)
        return UV_EINVAL;
    if (!d->cut_reported || place_ms > d->cut_ms)
        d->cut_ms = place_ms;
    d->cut_reported = true;
    return 0;
}

bool
session_voice_down_is_heard(const struct session_voice_down *d, uint64_t now_ms)
{
    const struct session_voice_pump *p = &d->pump;
    struct voice_pacer pacer = p->pacer;

    if (p->queue.packets.bytes > 0
        || session_voice_queue_samples(&p->queue) > 0)
        return true;
    if (p->state != PUMP_PAUSED)
        voice_pacer_advance(&pacer, now_ms);
    for (unsigned i = 0; i < p->answers.count; i++)
        if (p->answers.list[i].end_ms > voice_pacer_heard(&pacer))
            return true;
    return false;
}

uint64_t
session_voice_down_begun_ms(const struct session_voice_down *d)
{
    return d->pump.begun_ms;
}

bool
session_voice_down_is_playing(const struct session_voice_down *d,
                              uint64_t now_ms)
{
    const struct session_voice_answers *answers = &d->pump.answers;

    for (unsigned i = 0; i < answers->count; i++)
        if (!answers->list[i].done)
            return true;
    return session_voice_down_is_heard(d, now_ms);
}

void
session_voice_down_get_counts(const struct session_voice_down *d,
                              struct session_voice_down_counts *out)
{
    *out = (struct session_voice_down_counts){
        .packets = d->pump.packets,
        .bytes = d->pump.bytes,
        .dropped_packets = d->dropped_packets,
        .refused = d->refused,
    };
}

uint64_t
session_voice_down_due(const struct session_voice_down *d)
{
    return d->due_ms;
}

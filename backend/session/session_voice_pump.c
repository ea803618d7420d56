/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   PCM ─► frame_encode ─► packets ─► packet_send ─► handler
 *    │        timeline: framed ▲  │       sent ▲   pacer: may it?
 *    └─ over 600 ms: encode ahead  └─► late_drop, after a stall
 */

#include "session/session_voice_pump.h"

#include "codec/pcm.h"

#include <string.h>

#define PCM_SAMPLES_MAX 4800u /* 200 ms; more is encoded ahead */
#define FRAMES_PER_RUN  8u    /* encoded in one turn of the loop */
#define ENCODE_AGAIN_MS 5u    /* ... and when there are more ahead */
#define BATCH_MS        40u   /* sent together, where that much is ahead */
#define BATCH_TARGET_MS 120u
#define BATCH_LEAST_MS  20u
#define GRID_MS         10u   /* sessions of a loop wake together */
#define LATE_MAX_MS     2000u /* what waits because of a stall */
#define PARTIAL_MS      60u   /* then what fills no frame is played */
#define REPORT_FRESH_MS 3000u
#define IDLE_MS         10000u
#define CUT_DOUBT_MS    1000u /* the client may be so far behind */

_Static_assert(SESSION_VOICE_SAMPLES_PER_MS * 1000 == PCM_RATE,
               "places are whole milliseconds");

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void
session_voice_pump_init(struct session_voice_pump *p,
                        const struct session_voice_pump_handlers *handlers,
                        void *arg)
{
    memset(p, 0, sizeof *p);
    p->handlers = handlers;
    p->arg = arg;
    p->start_next = true;
}

void
session_voice_pump_deinit(struct session_voice_pump *p)
{
    opus_voice_encoder_destroy(&p->encoder);
    session_voice_queue_deinit(&p->queue);
    session_voice_timeline_deinit(&p->timeline);
}

int
session_voice_pump_begin(struct session_voice_pump *p)
{
    if (p->encoder != NULL)
        return 0;
    return opus_voice_encoder_create(&p->encoder, &p->settings);
}

/* --- PCM to packets --------------------------------------------------------
 */

/* A response's first frame, where nothing of before is played, is a new
 * voice. */
static uint8_t
answer_begin(struct session_voice_pump *p, struct voice_answer *answer)
{
    answer->framed = true;
    answer->begin_ms = p->timeline.framed / SESSION_VOICE_SAMPLES_PER_MS;
    if (p->queue.packets.bytes > 0 || voice_pacer_ahead(&p->pacer) > 0)
        return 0;
    opus_voice_encoder_reset(p->encoder);
    return VOICE_PACKET_START;
}

/* One frame becomes a packet, or a silence, that waits. False: there is none
 * (yet), or no memory. */
static bool
frame_encode(struct session_voice_pump *p)
{
    int16_t scratch[OPUS_VOICE_FRAME_MAX];
    const struct voice_part *part;
    struct voice_answer *answer;
    uint8_t flags = 0, *room;
    size_t frame, have;
    ssize_t bytes;

    if (p->encoder == NULL)
        return false;
    frame = opus_voice_encoder_frame(p->encoder);
    have = session_voice_timeline_next(&p->timeline, frame, &part);
    room = have > 0 ? session_voice_queue_room(&p->queue) : NULL;
    if (room == NULL)
        return false;
    answer = session_voice_answers_find(&p->answers, &part->response);
    if (answer != NULL && !answer->framed)
        flags = answer_begin(p, answer);
    bytes = opus_voice_encode(
        p->encoder, room, OPUS_VOICE_ENCODED_MAX,
        session_voice_queue_frame(&p->queue, have, frame, scratch));
    if (bytes > 0 && opus_voice_encoder_is_resting(p->encoder))
        flags |= VOICE_PACKET_REST;
    session_voice_queue_take(&p->queue, have);
    session_voice_queue_add(&p->queue, bytes > 0 ? (size_t) bytes : 0,
                            (unsigned) (frame / SESSION_VOICE_SAMPLES_PER_MS),
                            flags);
    session_voice_timeline_framed(&p->timeline, have, frame);
    if (answer != NULL) {
        answer->waiting -= have;
        answer->end_ms = p->timeline.framed / SESSION_VOICE_SAMPLES_PER_MS;
    }
    return true;
}

static bool
frame_waits(struct session_voice_pump *p)
{
    const struct voice_part *part;

    return p->encoder != NULL
           && session_voice_timeline_next(
                  &p->timeline, opus_voice_encoder_frame(p->encoder), &part)
                  > 0;
}

/* --- packets to the client -------------------------------------------------
 */

static void
answers_start(struct session_voice_pump *p)
{
    struct voice_answer *answer;

    while ((answer = session_voice_answers_unstarted(&p->answers)) != NULL
           && answer->begin_ms < session_voice_pump_sent(p)) {
        answer->started = true;
        p->begun_ms = answer->begin_ms;
        p->handlers->on_started(p->arg, answer->id.text);
    }
}

/* The first packet has left, or is given up; its time and number pass. */
static void
packet_pass(struct session_voice_pump *p,
            const struct session_voice_packet *packet, bool dropped)
{
    struct voice_packet number;
    uint32_t samples_48k = packet->ms * (VOICE_PACKET_RATE / 1000);

    if (packet->bytes > 0)
        voice_packet_stamp(&p->stamp, &number, samples_48k);
    else
        voice_packet_pass(&p->stamp, samples_48k);
    p->rests = packet->bytes == 0 || (packet->flags & VOICE_PACKET_REST);
    session_voice_timeline_sent(
        &p->timeline, packet->ms * SESSION_VOICE_SAMPLES_PER_MS, dropped);
    session_voice_queue_pop(&p->queue);
}

/* False: the connection did not take it. */
static bool
packet_send(struct session_voice_pump *p,
            const struct session_voice_packet *packet, uint64_t now_ms)
{
    struct voice_packet_stamp stamp = p->stamp;
    struct voice_packet head = {.kind = VOICE_PACKET_AUDIO,
                                .flags = packet->flags};

    if (packet->bytes > 0) {
        if (p->start_next)
            head.flags |= VOICE_PACKET_START;
        voice_packet_stamp(&stamp, &head, 0);
        voice_packet_write_head(packet->message, &head);
        if (p->handlers->send(p->arg, packet->message, packet->bytes) != 0) {
            p->state = PUMP_HELD;
            return false;
        }
        p->start_next = false;
        p->packets++;
        p->bytes += packet->bytes;
    }
    voice_pacer_sent(&p->pacer, packet->ms, now_ms);
    packet_pass(p, packet, false);
    answers_start(p);
    return true;
}

static void
late_drop(struct session_voice_pump *p, unsigned *budget, uint64_t now_ms)
{
    struct session_voice_packet packet;

    while (session_voice_pump_sent(p) < p->drop_place) {
        if (!session_voice_queue_first(&p->queue, &packet)) {
            if (*budget == 0 || !frame_encode(p))
                return;
            (*budget)--;
            continue;
        }
        if (packet.flags & VOICE_PACKET_START)
            p->start_next = true;
        if (packet.bytes > 0)
            p->handlers->on_dropped(p->arg, 1);
        voice_pacer_skipped(&p->pacer, packet.ms, now_ms);
        packet_pass(p, &packet, true);
    }
}

static void
packets_send(struct session_voice_pump *p, unsigned *budget, uint64_t now_ms)
{
    struct session_voice_packet packet;

    while (p->state == PUMP_FLOWING) {
        bool waits = session_voice_queue_first(&p->queue, &packet);

        if (!voice_pacer_may(&p->pacer,
                             waits ? packet.ms : p->settings.frame_ms,
                             p->target_ms))
            return;
        if (waits) {
            if (!packet_send(p, &packet, now_ms))
                return;
            continue;
        }
        if (*budget == 0 || !frame_encode(p))
            return;
        (*budget)--;
    }
}

/* --- time ------------------------------------------------------------------
 */

static uint64_t
waiting_end(const struct session_voice_pump *p)
{
    return (p->timeline.framed + session_voice_queue_samples(&p->queue))
           / SESSION_VOICE_SAMPLES_PER_MS;
}

/* Behind that, by a stall or by what the client says, nothing is later than
 * the bound: the rest is never sent. A player that fills the gap instead of
 * jumping over it stays as late as it was: that is not held against it, or
 * the same lateness would be dropped again and again. */
static void
late_find(struct session_voice_pump *p, uint64_t passed_ms)
{
    uint64_t end = waiting_end(p), due;

    p->time_place = least(p->time_place + passed_ms, end);
    p->time_place -= least(p->time_place, voice_pacer_take_filled(&p->pacer));
    if (p->time_place < voice_pacer_heard(&p->pacer))
        p->time_place = voice_pacer_heard(&p->pacer);
    due = least(p->time_place + p->target_ms, end);
    if (due > LATE_MAX_MS && due - LATE_MAX_MS > p->drop_place)
        p->drop_place = due - LATE_MAX_MS;
}

void
session_voice_pump_clock(struct session_voice_pump *p, uint64_t now_ms)
{
    uint64_t before_ms = p->pacer.at_ms;

    if (p->state == PUMP_PAUSED)
        return;
    voice_pacer_advance(&p->pacer, now_ms);
    late_find(p, p->pacer.at_ms - before_ms);
}

/* Samples that fill no frame, and the client has nothing else to play. */
static bool
partial_is_due(const struct session_voice_pump *p, uint64_t now_ms)
{
    return p->state == PUMP_FLOWING && p->queue.packets.bytes == 0
           && session_voice_queue_samples(&p->queue) > 0
           && now_ms >= p->push_ms + PARTIAL_MS
           && voice_pacer_ahead(&p->pacer) == 0;
}

static uint64_t
stop_margin(const struct session_voice_pump *p)
{
    return p->pacer.report_ms > 0
                   && p->pacer.at_ms - p->pacer.report_ms < REPORT_FRESH_MS
               ? 0
               : p->target_ms;
}

static bool
answer_is_sent(const struct session_voice_pump *p,
               const struct voice_answer *answer)
{
    return answer->done && answer->waiting == 0
           && session_voice_pump_sent(p) >= answer->end_ms;
}

static bool
answer_is_over(const struct session_voice_pump *p, struct voice_answer *answer,
               uint64_t now_ms)
{
    if (!answer_is_sent(p, answer)
        || voice_pacer_heard(&p->pacer) < answer->end_ms) {
        answer->over_ms = 0;
        return false;
    }
    if (answer->over_ms == 0)
        answer->over_ms = now_ms;
    return !answer->framed || now_ms >= answer->over_ms + stop_margin(p);
}

static void
answers_stop(struct session_voice_pump *p, uint64_t now_ms)
{
    for (unsigned i = 0; i < p->answers.count;) {
        struct voice_answer over = p->answers.list[i];

        if (!answer_is_over(p, &p->answers.list[i], now_ms)) {
            i++;
            continue;
        }
        session_voice_answers_remove(&p->answers, i);
        if (over.end_ms > p->over_place)
            p->over_place = over.end_ms;
        if (over.started)
            p->handlers->on_stopped(p->arg, over.id.text);
    }
}

static bool
pump_is_idle(const struct session_voice_pump *p)
{
    return p->answers.count == 0 && p->queue.packets.bytes == 0
           && session_voice_queue_samples(&p->queue) == 0;
}

/* What is large goes when nothing was said for a while. */
static void
idle_watch(struct session_voice_pump *p, uint64_t now_ms)
{
    if (!pump_is_idle(p)) {
        p->idle_ms = 0;
        return;
    }
    if (p->idle_ms == 0)
        p->idle_ms = now_ms;
    if (p->encoder != NULL && now_ms >= p->idle_ms + IDLE_MS) {
        opus_voice_encoder_destroy(&p->encoder);
        session_voice_queue_deinit(&p->queue);
    }
}

static uint64_t
grid_ceil(uint64_t ms)
{
    return (ms + GRID_MS - 1) / GRID_MS * GRID_MS;
}

/* When the next packets are to leave. */
static uint64_t
due_packets(struct session_voice_pump *p, uint64_t now_ms)
{
    unsigned batch =
        p->target_ms >= BATCH_TARGET_MS ? BATCH_MS : BATCH_LEAST_MS;
    uint64_t dry_ms = p->pacer.at_ms + voice_pacer_ahead(&p->pacer), due_ms;

    if (p->state != PUMP_FLOWING)
        return SESSION_VOICE_NEVER;
    if (p->queue.packets.bytes > 0 || frame_waits(p)) {
        due_ms = grid_ceil(voice_pacer_when(&p->pacer, batch, p->target_ms));
        return due_ms > now_ms ? due_ms : now_ms + ENCODE_AGAIN_MS;
    }
    if (session_voice_queue_samples(&p->queue) == 0)
        return SESSION_VOICE_NEVER;
    return grid_ceil(p->push_ms + PARTIAL_MS > dry_ms ? p->push_ms + PARTIAL_MS
                                                      : dry_ms);
}

static uint64_t
due_answers(const struct session_voice_pump *p)
{
    uint64_t heard = voice_pacer_heard(&p->pacer), due_ms = SESSION_VOICE_NEVER;

    for (unsigned i = 0; i < p->answers.count; i++) {
        const struct voice_answer *a = &p->answers.list[i];

        if (p->state == PUMP_PAUSED || !answer_is_sent(p, a))
            continue;
        due_ms =
            least(due_ms, a->over_ms > 0 ? a->over_ms + stop_margin(p)
                                         : p->pacer.at_ms + a->end_ms - heard);
    }
    return due_ms == SESSION_VOICE_NEVER ? SESSION_VOICE_NEVER
                                         : grid_ceil(due_ms);
}

static uint64_t
due_find(struct session_voice_pump *p, unsigned budget, uint64_t now_ms)
{
    uint64_t due_ms = least(due_packets(p, now_ms), due_answers(p));

    if (budget == 0 && p->state == PUMP_FLOWING && frame_waits(p)
        && voice_pacer_may(&p->pacer, p->settings.frame_ms, p->target_ms))
        return now_ms + 1;
    if (session_voice_queue_samples(&p->queue) > PCM_SAMPLES_MAX
        || session_voice_pump_sent(p) < p->drop_place)
        return least(due_ms, now_ms + ENCODE_AGAIN_MS);
    if (p->idle_ms > 0 && p->encoder != NULL)
        return least(due_ms, p->idle_ms + IDLE_MS);
    return due_ms;
}

uint64_t
session_voice_pump_run(struct session_voice_pump *p, uint64_t now_ms)
{
    unsigned budget = FRAMES_PER_RUN;

    session_voice_pump_clock(p, now_ms);
    late_drop(p, &budget, now_ms);
    if (partial_is_due(p, now_ms))
        session_voice_timeline_close(&p->timeline);
    packets_send(p, &budget, now_ms);
    for (;
         budget > 0 && session_voice_queue_samples(&p->queue) > PCM_SAMPLES_MAX
         && frame_encode(p);
         budget--)
        ;
    if (p->state != PUMP_PAUSED)
        answers_stop(p, now_ms);
    idle_watch(p, now_ms);
    return due_find(p, budget, now_ms);
}

void
session_voice_pump_resume(struct session_voice_pump *p, uint64_t now_ms)
{
    session_voice_pump_clock(p, now_ms);
    if (p->state == PUMP_HELD)
        p->state = PUMP_FLOWING;
}

void
session_voice_pump_pause(struct session_voice_pump *p, bool paused,
                         uint64_t now_ms)
{
    if (paused == (p->state == PUMP_PAUSED))
        return;
    if (paused) {
        session_voice_pump_clock(p, now_ms);
        p->state = PUMP_PAUSED;
        p->drop_place = 0;
        return;
    }
    p->state = PUMP_FLOWING;
    p->start_next = true;
    p->time_place = session_voice_pump_sent(p);
    voice_pacer_cut(&p->pacer, now_ms);
}

size_t
session_voice_pump_cut(struct session_voice_pump *p, uint64_t now_ms)
{
    uint64_t doubt = CUT_DOUBT_MS + p->target_ms, safe;
    size_t count;

    session_voice_pump_clock(p, now_ms);
    safe = voice_pacer_heard(&p->pacer);
    safe = safe > doubt ? safe - doubt : 0;
    if (safe < p->over_place)
        safe = p->over_place;
    count = session_voice_timeline_cut(&p->timeline,
                                       safe * SESSION_VOICE_SAMPLES_PER_MS);
    session_voice_answers_cut(&p->answers);
    session_voice_queue_clear(&p->queue);
    voice_pacer_cut(&p->pacer, now_ms);
    if (p->encoder != NULL)
        opus_voice_encoder_reset(p->encoder);
    p->start_next = true;
    p->drop_place = 0;
    p->time_place = session_voice_pump_sent(p);
    return count;
}

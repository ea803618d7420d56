/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_health.h"

#include "base/clock.h"
#include "base/log.h"
#include "gate/crypto.h"
#include "service/quality_counts.h"
#include "service/voice_load.h"
#include "session/session_registry.h"

/* --- to the client */

static void
quality_send(struct session_health *h, struct realtime_span reply_to)
{
    const struct quality_plan *plan = quality_plan(&h->quality);
    const struct voice_quality_told told = {
        .level = quality_level_name(plan->level),
        .bitrate_bps = plan->bitrate_bps,
        .loss_percent = plan->loss_percent,
        .buffer_profile = playout_profile_name(plan->profile),
        .buffer_target_ms = h->target_ms,
        .reply_to = reply_to,
    };
    char text[VOICE_EVENT_BYTES], id[CRYPTO_ID_BYTES];

    crypto_id("event_", id);
    h->handlers->send(h->arg, text, voice_quality_write(text, id, &told));
}

static void
session_send(struct session_health *h, const struct voice_session_told *who)
{
    const struct quality_plan *plan = quality_plan(&h->quality);
    struct voice_session_told told = *who;
    char text[VOICE_EVENT_BYTES], id[CRYPTO_ID_BYTES];

    told.bitrate_bps = plan->bitrate_bps;
    told.ptime_ms = h->policy->opus.ptime_ms;
    told.fec = h->policy->opus.fec;
    told.dtx = h->policy->opus.dtx;
    told.buffer_profile = playout_profile_name(plan->profile);
    told.buffer_target_ms = h->target_ms;
    crypto_id("event_", id);
    h->handlers->send(h->arg, text, voice_session_write(text, id, &told));
}

/* --- what follows */

static void
level_show(struct session_health *h)
{
    if (h->figures)
        atomic_store_explicit(&h->figures->quality, session_health_level(h),
                              memory_order_relaxed);
}

struct opus_voice_settings
session_health_settings(const struct session_health *h)
{
    const struct quality_plan *plan = quality_plan(&h->quality);

    return (struct opus_voice_settings){
        .frame_ms = h->policy->opus.ptime_ms == 10 ? 10 : 20,
        .bitrate_bps = plan->bitrate_bps,
        .complexity = voice_load_complexity(plan->complexity),
        .loss_percent = plan->loss_percent,
        .fec = plan->fec,
        .dtx = h->policy->opus.dtx,
    };
}

static void
plan_apply(struct session_health *h)
{
    const struct opus_voice_settings settings = session_health_settings(h);

    if (session_voice_down_configure(h->down, &settings))
        LOG_LIMITED(WARN, h->id, "event=opus_settings bitrate=%u",
                    settings.bitrate_bps);
    h->complexity = settings.complexity;
}

/* The buffer follows slowly, and the client with it. */
static bool
target_apply(struct session_health *h, uint64_t now_ms)
{
    unsigned target_ms = playout_target_ms(&h->playout, now_ms);

    if (target_ms == h->target_ms)
        return false;
    h->target_ms = target_ms;
    session_voice_down_set_target(h->down, target_ms, now_ms);
    return true;
}

/* True: the client is to be told. */
static bool
judge(struct session_health *h, uint64_t now_ms)
{
    enum quality_level before = quality_plan(&h->quality)->level;
    bool changed = quality_update(&h->quality, now_ms);
    const struct quality_plan *plan = quality_plan(&h->quality);

    if (changed)
        playout_set_profile(&h->playout, plan->profile, now_ms);
    if (changed || voice_load_complexity(plan->complexity) != h->complexity)
        plan_apply(h);
    if (plan->level == before)
        return target_apply(h, now_ms) || changed;
    quality_count_change(plan->level);
    level_show(h);
    LOG(INFO, h->id, "event=quality level=%s before=%s",
        quality_level_name(plan->level), quality_level_name(before));
    (void) target_apply(h, now_ms);
    return true;
}

/* --- what is measured */

static void
on_tick(void *arg)
{
    struct session_health *h = arg;
    uint64_t now_ms = clock_now_ms();
    unsigned jitter_ms = session_voice_up_jitter_ms(h->up);
    unsigned lost, total;

    session_voice_up_take_loss(h->up, &lost, &total);
    if (total) {
        quality_loss(&h->quality, QUALITY_UP, lost, total, now_ms);
        quality_jitter(&h->quality, QUALITY_UP, jitter_ms, now_ms);
        if (!h->reports_jitter)
            playout_jitter(&h->playout, jitter_ms * 1000, now_ms);
    }
    if (judge(h, now_ms))
        quality_send(h, (struct realtime_span){0});
}

static void
rtt_take(struct session_health *h, double rtt_ms, uint64_t now_ms)
{
    quality_rtt(&h->quality, rtt_ms, now_ms);
    h->rtt_ms = quality_rtt_ms(&h->quality, now_ms);
    session_voice_down_rtt(h->down, h->rtt_ms);
}

void
session_health_rtt(struct session_health *h, double rtt_ms)
{
    rtt_take(h, rtt_ms, clock_now_ms());
}

static bool
reports_are_too_many(struct session_health *h, uint64_t now_ms)
{
    if (now_ms - h->reports_since_ms >= 1000) {
        h->reports_since_ms = now_ms;
        h->reports = 0;
    }
    return ++h->reports > SESSION_HEALTH_REPORTS;
}

/* Of what was sent since: one of three packets is no third of a line. */
static void
loss_take(struct session_health *h, double loss, uint64_t now_ms)
{
    struct session_voice_down_counts counts;

    session_voice_down_get_counts(h->down, &counts);
    uint64_t sent = counts.packets - h->sent;
    h->sent = counts.packets;
    if (sent > 0 && sent < UINT32_MAX)
        quality_loss(&h->quality, QUALITY_DOWN,
                     (uint32_t) (loss * (double) sent + 0.5), (uint32_t) sent,
                     now_ms);
}

static void
stats_take(struct session_health *h, const struct voice_stats *stats,
           uint64_t now_ms)
{
    if (stats->rtt_ms >= 0)
        rtt_take(h, stats->rtt_ms, now_ms);
    if (stats->jitter_ms >= 0) {
        h->reports_jitter = true;
        quality_jitter(&h->quality, QUALITY_DOWN, stats->jitter_ms, now_ms);
        playout_jitter(&h->playout, (uint32_t) (stats->jitter_ms * 1000),
                       now_ms);
    }
    if (stats->loss >= 0)
        loss_take(h, stats->loss, now_ms);
    if (stats->underruns >= 0) {
        quality_underruns(&h->quality, stats->underruns, now_ms);
        playout_underrun(&h->playout, (unsigned) stats->underruns, now_ms);
    }
}

void
session_health_report(struct session_health *h,
                      const struct realtime_peek *peek, const char *json,
                      size_t bytes)
{
    uint64_t now_ms = clock_now_ms();
    struct realtime_error error = {
        .code = "invalid_value",
        .message =
            "A member of voice.stats is of another type or out of range.",
        .event_id = peek->value[REALTIME_KEY_EVENT_ID],
    };
    struct voice_stats stats;

    if (reports_are_too_many(h, now_ms))
        return;
    if (voice_stats_read(&stats, json, bytes, &error.param)) {
        h->handlers->on_error(h->arg, &error);
        return;
    }
    stats_take(h, &stats, now_ms);
    judge(h, now_ms);
    quality_send(h, peek->value[REALTIME_KEY_EVENT_ID]);
    if (stats.played_ms >= 0)
        h->handlers->on_played(h->arg, (uint64_t) stats.played_ms,
                               stats.reply_to, now_ms);
}

unsigned
session_health_rtt_ms(const struct session_health *h)
{
    return h->rtt_ms;
}

const char *
session_health_level(const struct session_health *h)
{
    return quality_level_name(quality_plan(&h->quality)->level);
}

/* --- life */

int
session_health_init(struct session_health *h, struct loop *loop)
{
    const struct policy *policy = h->policy;
    const struct quality_config config = {
        .bitrate_bps = policy->opus.bitrate < OPUS_VOICE_BITRATE_MAX
                           ? policy->opus.bitrate
                           : OPUS_VOICE_BITRATE_MAX,
        .complexity = policy->opus.complexity,
        .fec = policy->opus.fec,
        .profile = (enum playout_profile) policy->buffer,
    };
    uint64_t now_ms = clock_now_ms();

    quality_init(&h->quality, &config);
    playout_init(&h->playout, config.profile, now_ms);
    h->target_ms = playout_target_ms(&h->playout, now_ms);
    h->complexity = voice_load_complexity(config.complexity);
    level_show(h);
    return loop_timer_create(&h->tick, loop, on_tick, h);
}

void
session_health_deinit(struct session_health *h)
{
    if (h->tick)
        loop_timer_destroy(&h->tick);
}

void
session_health_start(struct session_health *h,
                     const struct voice_session_told *told)
{
    if (!h->tick)
        return;
    if (h->started) /* it may be another network */
        playout_forget(&h->playout, clock_now_ms());
    h->started = true;
    session_send(h, told);
    loop_timer_start(h->tick, SESSION_HEALTH_TICK_MS, SESSION_HEALTH_TICK_MS);
}

void
session_health_stop(struct session_health *h)
{
    if (h->tick)
        loop_timer_stop(h->tick);
}

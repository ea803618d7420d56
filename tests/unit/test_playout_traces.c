/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The adaptive buffer against fixed ones, on twenty networks, with one and the
 * same player:
 *
 *   packets as they came ─► queue ─► played, 20 ms each; nothing there: an
 *                                    underrun, and it fills up again
 *
 * It begins a spurt, and goes on after an underrun, when as much is there as
 * its buffer holds or that time has passed since the first came. Inside of a
 * spurt the adaptive one plays up to 5 % slower or faster towards its target.
 */

#include "codec/playout.h"
#include "kit/jitter_trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

#define STRETCH_US 1000  /* a packet: 5 % */
#define ABOVE_US   20000 /* its target, a packet: it plays faster */

enum buffer_kind {
    BUFFER_80,
    BUFFER_ADAPTIVE, /* a sample a packet */
    BUFFER_REPORTED, /* a sample a second, as a client's voice.stats tell */
    BUFFER_300,
    BUFFER_KINDS
};

struct result {
    unsigned underruns;
    double mean_ms;
};

struct player {
    const struct jitter_trace *trace;
    enum buffer_kind kind;
    struct playout playout;
    struct playout_arrival arrival;
    size_t heard; /* packets that have come */
    size_t next;  /* the packet to be played next */
    uint64_t now_us;
    int64_t late_us; /* of the last one that came */
    uint64_t came_us;
    uint64_t report_us; /* the last report */
    uint32_t worst_us;  /* jitter since then */
    unsigned underruns;
    unsigned untold; /* underruns since then */
    double delay_us;
};

static bool
is_adaptive(const struct player *p)
{
    return p->kind == BUFFER_ADAPTIVE || p->kind == BUFFER_REPORTED;
}

static void
player_report(struct player *p, uint64_t now_us)
{
    if (p->kind != BUFFER_REPORTED || now_us < p->report_us + 1000000)
        return;
    p->report_us = now_us;
    playout_jitter(&p->playout, p->worst_us, now_us / 1000);
    playout_underrun(&p->playout, p->untold, now_us / 1000);
    p->worst_us = 0;
    p->untold = 0;
}

/* What has come until now. */
static void
player_hear(struct player *p)
{
    while (p->heard < p->trace->count
           && p->trace->packets[p->heard].came_us <= p->now_us) {
        const struct jitter_packet *packet = &p->trace->packets[p->heard++];
        uint32_t stamp = (uint32_t) (packet->sent_us * 6 / 125);
        int64_t late_us = playout_arrival_take(&p->arrival, stamp,
                                               p->heard == 1, packet->came_us);

        if (late_us < 0)
            continue;
        p->late_us = late_us;
        p->came_us = packet->came_us;
        if (p->worst_us < late_us)
            p->worst_us = (uint32_t) late_us;
        if (p->kind == BUFFER_ADAPTIVE)
            playout_jitter(&p->playout, (uint32_t) late_us,
                           packet->came_us / 1000);
        player_report(p, packet->came_us);
    }
}

static uint64_t
player_target_us(struct player *p)
{
    if (p->kind == BUFFER_80)
        return 80000;
    if (p->kind == BUFFER_300)
        return 300000;
    return 1000 * (uint64_t) playout_target_ms(&p->playout, p->now_us / 1000);
}

/* The next packet is not there: waits until there is enough. */
static void
player_fill(struct player *p)
{
    const struct jitter_packet *packets = p->trace->packets;
    size_t last = p->next;
    uint64_t target_us, wait_us;

    if (p->now_us < packets[p->next].came_us)
        p->now_us = packets[p->next].came_us;
    player_hear(p);
    target_us = player_target_us(p);
    while (!packets[last].is_last
           && (last + 1 - p->next) * JITTER_PACKET_US < target_us)
        last++;
    wait_us = packets[p->next].came_us + target_us;
    if (wait_us > packets[last].came_us)
        wait_us = packets[last].came_us;
    if (p->now_us < wait_us)
        p->now_us = wait_us;
    player_hear(p);
}

/* How long the next packet lasts. */
static uint64_t
player_packet_us(struct player *p)
{
    int64_t away_us;

    if (!is_adaptive(p) || p->heard <= p->next)
        return JITTER_PACKET_US;
    /* How long the newest one will have waited, and how late it came. */
    away_us = (int64_t) (p->heard - p->next) * JITTER_PACKET_US
              + (int64_t) (p->now_us - p->came_us) + p->late_us
              - (int64_t) player_target_us(p);
    if (away_us > ABOVE_US)
        return JITTER_PACKET_US - STRETCH_US;
    return JITTER_PACKET_US + (away_us < 0 ? STRETCH_US : 0);
}

static void
player_play(struct player *p)
{
    const struct jitter_packet *packet = &p->trace->packets[p->next];

    player_hear(p);
    if (packet->is_first) {
        player_fill(p);
    } else if (packet->came_us > p->now_us) {
        p->underruns++;
        p->untold++;
        if (p->kind == BUFFER_ADAPTIVE)
            playout_underrun(&p->playout, 1, p->now_us / 1000);
        player_fill(p);
    }
    p->delay_us += (double) (p->now_us - packet->sent_us - p->trace->least_us);
    p->now_us += player_packet_us(p);
    p->next++;
}

static struct result
trace_play(const struct jitter_trace *trace, enum buffer_kind kind)
{
    struct player p = {.trace = trace, .kind = kind};

    playout_init(&p.playout, PLAYOUT_BALANCED, 0);
    while (p.next < trace->count)
        player_play(&p);
    return (struct result){.underruns = p.underruns,
                           .mean_ms =
                               p.delay_us / 1000 / (double) trace->count};
}

static void
row_print(const char *name, const unsigned underruns[BUFFER_KINDS],
          const double mean_ms[BUFFER_KINDS])
{
    printf("%-24s", name);
    for (unsigned k = 0; k < BUFFER_KINDS; k++)
        printf("%6u", underruns[k]);
    for (unsigned k = 0; k < BUFFER_KINDS; k++)
        printf("%*.0f", k == 0 ? 9 : 6, mean_ms[k]);
    printf("\n");
}

static void
head_print(void)
{
    printf("%-24s%24s%27s\n%-24s", "", "underruns", "mean delay, ms",
           "network");
    for (unsigned part = 0; part < 2; part++)
        printf("%*s%6s%6s%6s", part == 0 ? 6 : 9, "80", "R2.2", "1/s", "300");
    printf("\n");
}

static void
row_judge(const unsigned underruns[BUFFER_KINDS],
          const double mean_ms[BUFFER_KINDS])
{
    assert_true(underruns[BUFFER_ADAPTIVE] <= underruns[BUFFER_80]);
    /* The first late packet of a network that was calm, nobody foresees. */
    if (underruns[BUFFER_80] > 2)
        assert_true(underruns[BUFFER_ADAPTIVE] < underruns[BUFFER_80]);
    assert_true(mean_ms[BUFFER_ADAPTIVE] < mean_ms[BUFFER_300]);
    assert_true(mean_ms[BUFFER_REPORTED] < mean_ms[BUFFER_300]);
}

static void
test_r2_2_traces(void **state)
{
    unsigned sum[BUFFER_KINDS] = {0};
    double mean[BUFFER_KINDS] = {0};

    (void) state;
    head_print();
    for (unsigned i = 0; i < JITTER_TRACES; i++) {
        struct jitter_trace trace;
        unsigned underruns[BUFFER_KINDS];
        double mean_ms[BUFFER_KINDS];

        jitter_trace_make(&trace, i);
        for (unsigned k = 0; k < BUFFER_KINDS; k++) {
            struct result result = trace_play(&trace, k);

            sum[k] += underruns[k] = result.underruns;
            mean_ms[k] = result.mean_ms;
            mean[k] += result.mean_ms / JITTER_TRACES;
        }
        row_print(trace.name, underruns, mean_ms);
        row_judge(underruns, mean_ms);
        jitter_trace_free(&trace);
    }
    row_print("all", sum, mean);
    assert_true(sum[BUFFER_ADAPTIVE] * 4 < sum[BUFFER_80]);
    assert_true(sum[BUFFER_REPORTED] * 4 < sum[BUFFER_80]);
    assert_true(mean[BUFFER_ADAPTIVE] * 3 < mean[BUFFER_300] * 2);
}

/* The traces are what they are called: always the same, in order. */
static void
test_traces_are_sound(void **state)
{
    (void) state;
    for (unsigned i = 0; i < JITTER_TRACES; i++) {
        struct jitter_trace trace, again;
        uint64_t came_us = 0;

        jitter_trace_make(&trace, i);
        jitter_trace_make(&again, i);
        assert_int_equal(trace.count, again.count);
        assert_true(trace.count > 3000);
        for (size_t n = 0; n < trace.count; n++) {
            const struct jitter_packet *packet = &trace.packets[n];

            assert_true(packet->came_us >= packet->sent_us);
            assert_true(packet->came_us >= came_us);
            assert_true(packet->came_us == again.packets[n].came_us);
            assert_int_equal(packet->is_first,
                             n == 0 || trace.packets[n - 1].is_last);
            came_us = packet->came_us;
        }
        jitter_trace_free(&trace);
        jitter_trace_free(&again);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traces_are_sound),
        cmocka_unit_test(test_r2_2_traces),
    };

    return cmocka_run_group_tests_name("R2.2 playout against 20 networks",
                                       tests, NULL, NULL);
}

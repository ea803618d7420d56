/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   opening ──► open, the driver looks ──► opening the rest ──► open ──┐
 *                                                                      │
 *      done ◄── closing ◄── talked, the driver looks ◄── talking ◄─────┘
 *
 * A session talks from its session.created to the end; what is counted is
 * what happens while `talking`.
 *
 * Nobody wakes this program: it sleeps until something is due and then reads
 * what came meanwhile. To wake a peer costs its sender several microseconds,
 * which no server pays for a peer that is on another machine; times of arrival
 * are the kernel's, so that none is late for it.
 */

#include "talk.h"
#include "talk_upstream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define EVENTS  256
#define TICK_NS 1000000ull

enum phase { OPENING, OPEN, TALKING, TALKED, CLOSING, DONE };

struct talk talk;

static struct {
    enum phase phase;
    uint64_t began_ns; /* of the phase */
    unsigned wanted;   /* sessions to be opened */
    double talked_s;
} run;

double
talk_random(void)
{
    return drand48();
}

void
talk_failed(const char *why)
{
    if (talk.why[0] == '\0')
        snprintf(talk.why, sizeof(talk.why), "%s", why);
}

void
talk_way_sent(struct talk_way *way, uint64_t stamp_ns)
{
    way->stamp_ns[way->sent++ % TALK_RING] = stamp_ns;
}

/* A frame so late that its place was used again is counted without a time. */
void
talk_way_taken(struct talk_way *way, uint64_t number, uint64_t arrived_ns,
               struct bench_histogram *histogram)
{
    uint64_t stamp = way->stamp_ns[number % TALK_RING];

    way->taken = number + 1;
    if (histogram && way->sent - number <= TALK_RING)
        bench_histogram_add(histogram,
                            arrived_ns > stamp ? arrived_ns - stamp : 0);
}

static void
phase_enter(enum phase phase)
{
    run.phase = phase;
    run.began_ns = bench_now_ns();
}

static double
phase_seconds(void)
{
    return (double) (bench_now_ns() - run.began_ns) / 1e9;
}

/* --- lines for the driver */

static void
open_print(void)
{
    printf("{\"phase\":\"open\",\"sessions\":%u,\"ready\":%u,\"failed\":%u,"
           "\"why\":\"%s\",\"seconds\":%.3f}\n",
           run.wanted, talk.ready, talk.failed, talk.why, phase_seconds());
    fflush(stdout);
}

static void
histogram_print(const char *name, const struct bench_histogram *histogram)
{
    printf(",\"%s\":", name);
    bench_histogram_print(histogram, stdout);
}

/* Sessions of which more than a few frames are under way. */
static unsigned
lagging_count(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < talk.begun; i++) {
        const struct talk_session *session = &talk.all[i];
        if (session->ready && session->up.sent - session->up.taken > 10)
            count++;
    }
    return count;
}

static void
talked_print(void)
{
    const struct talk_counts *c = &talk.counts;
    const struct {
        const char *name;
        uint64_t count;
    } all[] = {{"up_sent", c->up_sent},
               {"up_taken", c->up_taken},
               {"up_extra", c->up_extra},
               {"up_silent", c->up_silent},
               {"down_sent", c->down_sent},
               {"down_taken", c->down_taken},
               {"down_missing", c->down_missing},
               {"down_odd", c->down_odd},
               {"skipped", c->skipped},
               {"overruns", c->overruns},
               {"errors", c->errors},
               {"interrupted", c->interrupted},
               {"uncleared", c->uncleared},
               {"truncated", c->truncated},
               {"lagging", lagging_count()},
               {"dropped", talk.dropped}};

    printf("{\"phase\":\"talked\",\"seconds\":%.4f,\"why\":\"%s\"",
           run.talked_s, talk.why);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        printf(",\"%s\":%llu", all[i].name, (unsigned long long) all[i].count);
    histogram_print("up", &c->up);
    histogram_print("down", &c->down);
    histogram_print("late", &c->late);
    histogram_print("old", &c->old);
    histogram_print("truncate", &c->truncate);
    printf("}\n");
    fflush(stdout);
}

/* --- phases */

/* One after the other, as fast as they get ready. */
static void
sessions_open(void)
{
    while (talk.begun < run.wanted
           && talk.begun - talk.ready - talk.failed < 16)
        talk_client_open(&talk.all[talk.begun++]);
}

static void
phase_opening(void)
{
    sessions_open();
    bool late = phase_seconds() > talk.options->patience;

    if (talk.ready + talk.failed < run.wanted && !late)
        return;
    if (late)
        talk_failed("too slow");
    open_print();
    phase_enter(OPEN);
}

static void
phase_open(void)
{
    if (!bench_loop_pass(&talk.loop))
        return;
    if (run.wanted < talk.options->sessions) {
        run.wanted = talk.options->sessions;
        phase_enter(OPENING);
        return;
    }
    memset(&talk.counts, 0, sizeof(talk.counts));
    phase_enter(TALKING);
}

static void
phase_talking(void)
{
    unsigned interrupts = talk.options->interrupts;

    if (phase_seconds() < talk.options->seconds
        && !(interrupts > 0 && talk.counts.interrupted >= interrupts))
        return;
    run.talked_s = phase_seconds();
    talked_print();
    phase_enter(TALKED);
}

static void
all_close(void)
{
    talk.closing = true;
    for (unsigned i = 0; i < talk.begun; i++)
        if (talk.all[i].ws.state != BENCH_WS_CLOSED)
            bench_ws_close(&talk.all[i].ws);
}

static bool
all_are_closed(void)
{
    for (unsigned i = 0; i < talk.begun; i++)
        if (talk.all[i].ws.state != BENCH_WS_CLOSED || talk.all[i].peer)
            return false;
    return true;
}

static void
phase_step(void)
{
    switch (run.phase) {
    case OPENING:
        phase_opening();
        break;
    case OPEN:
        phase_open();
        break;
    case TALKING:
        phase_talking();
        break;
    case TALKED:
        if (!bench_loop_pass(&talk.loop))
            break;
        all_close();
        phase_enter(CLOSING);
        break;
    case CLOSING:
        if (all_are_closed() || phase_seconds() > 2)
            phase_enter(DONE);
        break;
    case DONE:
        break;
    }
}

static uint64_t
all_speak(void)
{
    uint64_t now = bench_now_ns();
    uint64_t next = now + TICK_NS;

    if (run.phase == CLOSING)
        return next;
    for (unsigned i = 0; i < talk.begun; i++) {
        uint64_t due = talk_client_turn(&talk.all[i], now);
        next = due < next ? due : next;
    }
    uint64_t due = talk_upstream_turn(now);
    return due < next ? due : next;
}

static void
sleep_until(uint64_t due_ns)
{
    struct timespec due = {.tv_sec = (time_t) (due_ns / BENCH_NS_PER_S),
                           .tv_nsec = (long) (due_ns % BENCH_NS_PER_S)};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static bool
is_client(const void *tag)
{
    return (const char *) tag >= (const char *) talk.all
           && (const char *) tag
                  < (const char *) (talk.all + talk.options->sessions);
}

static int
prepare(const struct talk_options *options)
{
    talk.options = options;
    talk.all = calloc(options->sessions, sizeof(*talk.all));
    if (!talk.all)
        return -ENOMEM;
    for (unsigned i = 0; i < options->sessions; i++) {
        talk.all[i].ws.fd = -1;
        talk.all[i].ws.index = i;
    }
    srand48((long) options->seed);
    prctl(PR_SET_TIMERSLACK, 1);
    int error = talk_speech_read(&talk.speech, options->wav);
    return error ? error : bench_loop_init(&talk.loop, options->steps);
}

/* The first line is the upstream's port; the driver's first word, with
 * --steps, is that somebody listens at the target. */
static int
begin(struct talk_options *options)
{
    char target[32];
    int error = talk_upstream_listen(&options->port);

    if (error)
        return error;
    printf("{\"phase\":\"listening\",\"port\":%u,\"frames\":%u}\n",
           options->port, talk.speech.frames);
    fflush(stdout);
    snprintf(target, sizeof(target), "127.0.0.1:%u", options->port);
    return options->direct ? bench_target_parse(&options->target, target) : 0;
}

int
talk_run(struct talk_options *options)
{
    struct epoll_event events[EVENTS];
    int error = prepare(options);

    if (!error)
        error = begin(options);
    if (error) {
        fprintf(stderr, "bench-talk: %s\n", strerror(-error));
        return 1;
    }
    run.wanted = options->first ? options->first : options->sessions;
    phase_enter(OPENING);
    while (run.phase != DONE) {
        sleep_until(all_speak());
        int count = bench_loop_wait(&talk.loop, events, EVENTS, 0);
        for (int i = 0; i < count; i++) {
            if (is_client(events[i].data.ptr))
                bench_ws_event(events[i].data.ptr, events[i].events);
            else
                talk_upstream_event(events[i].data.ptr, events[i].events);
        }
        phase_step();
    }
    for (unsigned i = 0; i < talk.begun; i++) {
        if (talk.all[i].ws.state != BENCH_WS_CLOSED)
            bench_ws_drop(&talk.all[i].ws, "at the end");
        free(talk.all[i].request);
    }
    talk_upstream_close();
    free(talk.all);
    return 0;
}

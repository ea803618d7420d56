/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   due (Poisson) ──► connect ──► (TLS) ──► GET ──► 101 ──► session.created ──►
 * stays └────────────────── set-up ────────────────┘
 *
 * Starts leave when they are due, whatever became of those before (open loop);
 * the gaps are exponential, from a seed. Times are kept one by one: a
 * histogram's cells would be too coarse for the difference of two.
 */

#include "bench_client.h"
#include "bench_ws.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS  64
#define TICK_NS 10000000ull
#define WHY     64

struct start {
    struct bench_ws ws;
    uint64_t due_ns;
};

static struct {
    struct bench_loop loop;
    const struct bench_options *options;
    struct start *all;
    char *request;
    unsigned begun, created, failed, dropped;
    uint64_t *setup_ns, *late_ns; /* of those created, of all */
    char why[WHY];                /* of the first failure */
    bool closing;
} run;

static void
failed(const char *why)
{
    if (!run.failed++)
        snprintf(run.why, sizeof(run.why), "%s", why);
}

static void
on_open(struct bench_ws *ws)
{
    (void) ws;
}

static void
on_piece(struct bench_ws *ws, const uint8_t *data, size_t bytes, bool first,
         bool last)
{
    static const char type[] = "\"session.created\"";

    if (ws->set_up)
        return;
    if (first)
        ws->wrong = ws->message != BENCH_WS_TEXT
                    || !memmem(data, bytes, type, sizeof(type) - 1);
    if (!last)
        return;
    if (ws->wrong) {
        bench_ws_drop(ws, "its first message is no session.created");
        return;
    }
    ws->set_up = true;
    run.setup_ns[run.created++] = bench_now_ns() - ws->began_ns;
}

static void
on_closed(struct bench_ws *ws, const char *why, bool expected)
{
    if (expected || run.closing)
        return;
    if (ws->set_up)
        run.dropped++;
    else
        failed(why);
}

static const struct bench_ws_handler handler = {on_open, on_piece, on_closed};

static void
schedule_make(uint64_t from_ns)
{
    double at = 0;

    srand48((long) run.options->seed);
    for (unsigned i = 0; i < run.options->connections; i++) {
        at += -log(1 - drand48()) / run.options->rate;
        run.all[i].due_ns = from_ns + (uint64_t) (at * 1e9);
    }
}

static void
starts_begin(void)
{
    uint64_t now = bench_now_ns();

    while (run.begun < run.options->connections
           && run.all[run.begun].due_ns <= now) {
        struct start *start = &run.all[run.begun];

        start->ws.handler = &handler;
        start->ws.loop = &run.loop;
        start->ws.request = run.request;
        start->ws.index = run.begun;
        start->ws.secure = run.options->ca != NULL;
        run.late_ns[run.begun++] = now - start->due_ns;
        int error = bench_ws_open(&start->ws, &run.options->target);
        if (error)
            failed(strerror(-error));
    }
}

static void
run_all(void)
{
    struct epoll_event events[EVENTS];
    const struct bench_options *options = run.options;
    uint64_t end_ns = run.all[options->connections - 1].due_ns
                      + (uint64_t) (options->patience * 1e9);

    while (run.created + run.failed < options->connections) {
        uint64_t now = bench_now_ns();
        uint64_t until = now + TICK_NS;

        if (now >= end_ns)
            return;
        if (run.begun < options->connections
            && run.all[run.begun].due_ns < until)
            until = run.all[run.begun].due_ns;
        int count = bench_loop_wait(&run.loop, events, EVENTS, until);
        for (int i = 0; i < count; i++)
            bench_ws_event(events[i].data.ptr, events[i].events);
        starts_begin();
    }
}

static int
by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;
    return x < y ? -1 : x > y;
}

static void
times_print(const char *name, uint64_t *ns, unsigned count)
{
    static const struct {
        const char *name;
        double part;
    } points[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"max", 1}};

    qsort(ns, count, sizeof(*ns), by_value);
    printf(",\"%s\":{\"count\":%u", name, count);
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]) && count; i++) {
        unsigned at = (unsigned) ceil(points[i].part * count);
        printf(",\"%s_us\":%.1f", points[i].name,
               (double) ns[at > 0 ? at - 1 : 0] / 1000);
    }
    printf("}");
}

static void
report(void)
{
    printf("{\"phase\":\"started\",\"starts\":%u,\"created\":%u,"
           "\"failed\":%u,\"dropped\":%u,\"why\":\"%s\"",
           run.options->connections, run.created, run.failed, run.dropped,
           run.why);
    times_print("setup", run.setup_ns, run.created);
    times_print("late", run.late_ns, run.begun);
    printf("}\n");
    fflush(stdout);
}

/* They close politely: a server busy with lost ones would be measured too. */
static void
close_all(void)
{
    struct epoll_event events[EVENTS];
    uint64_t end_ns = bench_now_ns() + BENCH_NS_PER_S / 2;

    run.closing = true;
    for (unsigned i = 0; i < run.begun; i++)
        if (run.all[i].ws.state != BENCH_WS_CLOSED)
            bench_ws_close(&run.all[i].ws);
    while (bench_now_ns() < end_ns) {
        int count = bench_loop_wait(&run.loop, events, EVENTS, end_ns);
        for (int i = 0; i < count; i++)
            bench_ws_event(events[i].data.ptr, events[i].events);
    }
    for (unsigned i = 0; i < run.begun; i++)
        if (run.all[i].ws.state != BENCH_WS_CLOSED)
            bench_ws_drop(&run.all[i].ws, "the end");
}

static int
request_make(const struct bench_options *options)
{
    return asprintf(&run.request,
                    "GET %s HTTP/1.1\r\nHost: localhost\r\n"
                    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: %s\r\n%s\r\n",
                    options->path, bench_ws_key, options->headers);
}

int
bench_start_run(const struct bench_options *options)
{
    unsigned count = options->connections;

    run.options = options;
    run.all = calloc(count, sizeof(*run.all));
    run.setup_ns = calloc(count, sizeof(*run.setup_ns));
    run.late_ns = calloc(count, sizeof(*run.late_ns));
    if (!run.all || !run.setup_ns || !run.late_ns || request_make(options) < 0
        || (options->ca && bench_tls_init(options->ca)) || options->rate <= 0
        || bench_loop_init(&run.loop, options->steps)) {
        fprintf(stderr, "bench-client: can't start\n");
        return 1;
    }
    schedule_make(bench_now_ns());
    run_all();
    report();
    close_all();
    free(run.all);
    free(run.setup_ns);
    free(run.late_ns);
    free(run.request);
    return 0;
}

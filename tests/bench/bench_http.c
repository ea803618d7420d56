/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   connect ──► GET ──► answer ──► GET ──► … until the time is over
 *                  └── time from here to the answer's last byte ──┘
 *
 * A connection that the server closes after an answer is made anew, and
 * counted; one that fails is made anew after the next tick.
 */

#include "bench_answer.h"
#include "bench_client.h"
#include "bench_histogram.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS  256
#define TICK_NS 20000000ull
#define WARM_UP 0.2 /* part of the time that is not counted */

struct asker {
    int fd; /* -1: to be connected */
    bool asked;
    uint64_t asked_ns;
    struct bench_answer answer;
};

static struct {
    struct bench_loop loop;
    const struct bench_options *options;
    struct asker *all;
    char *request;
    size_t request_bytes;
    char *number; /* in it, to be varied; NULL: none */
    int number_bytes;
    unsigned turn;
    bool counting;
    uint64_t answered;
    uint64_t refused; /* a status that is not 200 */
    uint64_t broken;  /* no answer */
    uint64_t reconnects;
    struct bench_histogram time;
} run;

static void
asker_close(struct asker *asker)
{
    if (asker->fd >= 0)
        close(asker->fd);
    asker->fd = -1;
    asker->asked = false;
}

static void
asker_fail(struct asker *asker)
{
    asker_close(asker);
    run.broken++;
}

/* Another number in each request, so that no two in a row are alike. */
static void
number_turn(void)
{
    char text[16];

    if (!run.number)
        return;
    run.turn = (run.turn + 1) % run.options->vary;
    snprintf(text, sizeof(text), "%0*u", run.number_bytes, run.turn);
    memcpy(run.number, text, (size_t) run.number_bytes);
}

static void
asker_ask(struct asker *asker)
{
    size_t bytes = run.request_bytes;

    number_turn();

    bench_answer_init(&asker->answer);
    asker->asked_ns = bench_now_ns();
    asker->asked = true;
    if (send(asker->fd, run.request, bytes, MSG_NOSIGNAL) != (ssize_t) bytes)
        asker_fail(asker);
}

static void
asker_connect(struct asker *asker)
{
    asker->fd = bench_target_connect(&run.options->target);
    if (asker->fd < 0
        || bench_loop_watch(&run.loop, asker->fd, EPOLLIN | EPOLLOUT, asker))
        asker_fail(asker);
}

static void
answer_count(struct asker *asker)
{
    asker->asked = false;
    if (asker->answer.status != 200)
        run.refused++;
    if (run.counting) {
        run.answered++;
        bench_histogram_add(&run.time, bench_now_ns() - asker->asked_ns);
    }
    if (asker->answer.closes) {
        run.reconnects++;
        asker_close(asker);
        asker_connect(asker);
        return;
    }
    asker_ask(asker);
}

static void
asker_read(struct asker *asker)
{
    static char scratch[65536];
    ssize_t got = recv(asker->fd, scratch, sizeof(scratch), 0);

    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0 || !asker->asked) {
        asker_fail(asker);
        return;
    }
    ptrdiff_t took = bench_answer_push(&asker->answer, scratch, (size_t) got);
    /* Nothing may follow the answer to the only question. */
    if (took != got
        || (asker->answer.status != 0 && !asker->answer.has_length)) {
        asker_fail(asker);
        return;
    }
    if (bench_answer_is_whole(&asker->answer))
        answer_count(asker);
}

static void
asker_event(struct asker *asker, uint32_t mask)
{
    if (asker->fd < 0)
        return;
    if (!asker->asked && mask & EPOLLOUT && !(mask & (EPOLLERR | EPOLLHUP))) {
        if (bench_loop_change(&run.loop, asker->fd, EPOLLIN, asker))
            asker_fail(asker);
        else
            asker_ask(asker);
        return;
    }
    if (mask & (EPOLLIN | EPOLLERR | EPOLLHUP))
        asker_read(asker);
}

static void
report(double seconds)
{
    printf("{\"phase\":\"asked\",\"answered\":%llu,\"per_second\":%.1f,"
           "\"refused\":%llu,\"broken\":%llu,\"reconnects\":%llu,"
           "\"seconds\":%.3f,\"time\":",
           (unsigned long long) run.answered, (double) run.answered / seconds,
           (unsigned long long) run.refused, (unsigned long long) run.broken,
           (unsigned long long) run.reconnects, seconds);
    bench_histogram_print(&run.time, stdout);
    printf("}\n");
    fflush(stdout);
}

static void
run_until(uint64_t end_ns)
{
    struct epoll_event events[EVENTS];
    uint64_t tick_ns = 0;

    for (;;) {
        uint64_t now = bench_now_ns();
        if (now >= end_ns)
            return;
        if (now >= tick_ns) {
            for (unsigned i = 0; i < run.options->connections; i++)
                if (run.all[i].fd < 0)
                    asker_connect(&run.all[i]);
            tick_ns = now + TICK_NS;
        }
        int count = bench_loop_wait(&run.loop, events, EVENTS,
                                    tick_ns < end_ns ? tick_ns : end_ns);
        for (int i = 0; i < count; i++)
            asker_event(events[i].data.ptr, events[i].events);
    }
}

/* 0 or -1. */
static int
request_make(const struct bench_options *options)
{
    char length[48] = "";
    const char *body = options->body ? options->body : "";

    if (options->body)
        snprintf(length, sizeof(length), "Content-Length: %zu\r\n",
                 strlen(body));
    if (asprintf(&run.request,
                 "%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s\r\n%s",
                 options->body ? "POST" : "GET", options->path,
                 options->headers, length, body)
        < 0)
        return -1;
    run.request_bytes = strlen(run.request);
    if (options->vary && options->body) {
        run.number =
            strchr(run.request + run.request_bytes - strlen(body), '%');
        run.number_bytes = run.number ? (int) strspn(run.number, "%") : 0;
    }
    return run.number_bytes < 16 ? 0 : -1;
}

int
bench_http_run(const struct bench_options *options)
{
    run.options = options;
    run.all = calloc(options->connections, sizeof(*run.all));
    if (!run.all || bench_loop_init(&run.loop, false)
        || request_make(options)) {
        fprintf(stderr, "bench-client: can't start\n");
        return 1;
    }
    for (unsigned i = 0; i < options->connections; i++)
        run.all[i].fd = -1;

    uint64_t length = (uint64_t) (options->seconds * 1e9);
    uint64_t start = bench_now_ns();
    run_until(start + (uint64_t) ((double) length * WARM_UP));
    run.counting = true;
    uint64_t counted = bench_now_ns();
    run_until(start + length);
    report((double) (bench_now_ns() - counted) / 1e9);

    for (unsigned i = 0; i < options->connections; i++)
        asker_close(&run.all[i]);
    free(run.all);
    free(run.request);
    return 0;
}

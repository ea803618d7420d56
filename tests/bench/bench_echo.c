/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   opening ──► open, the driver looks ──► loading ──► draining
 *                                                         │
 *        done ◄── closing ◄── loaded, the driver looks ◄──┘
 *
 * Message k of the whole run leaves at k / (connections x rate), on
 * connection k mod connections. It carries the connection's index, its
 * sequence number there, the time it left, and a pattern; or, compressed, the
 * text of bench_deflate.h with the same stamp.
 */

#include "bench_client.h"
#include "bench_deflate.h"
#include "bench_histogram.h"
#include "bench_ws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STAMP_BYTES BENCH_DEFLATE_STAMP
#define EVENTS      512
#define REASONS     8
#define TICK_NS     1000000ull /* while nothing else sets a time */

enum phase { OPENING, OPEN, LOADING, DRAINING, LOADED, CLOSING, DONE };

struct reason {
    char text[64];
    unsigned count;
};

static struct {
    struct bench_loop loop;
    const struct bench_options *options;
    struct bench_ws *all;
    uint8_t *frame;   /* 14 bytes of room, then the payload */
    uint8_t *pattern; /* what a payload holds after its stamp */
    char *request;
    enum phase phase;
    unsigned begun; /* handshakes started */
    unsigned ended; /* of those: set up or failed */
    unsigned failed;
    unsigned live;
    unsigned dropped;  /* set up, then closed before we asked */
    uint64_t began_ns; /* of the phase */
    uint64_t load_ns;  /* first message was due */
    uint64_t next;     /* message due next */
    uint64_t skipped;  /* the connection's last one was still unsent */
    uint64_t sent;
    uint64_t received;
    uint64_t wrong;    /* damaged, or another connection's */
    uint64_t repeated; /* came twice, or after a later one */
    uint64_t packed;   /* came back compressed */
    uint64_t unasked;  /* text messages: events of a session */
    double load_s;     /* the load took */
    struct bench_histogram setup;
    struct bench_histogram rtt;
    struct bench_histogram late; /* left after it was due */
    struct reason reasons[REASONS];
} run;

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

/* --- one connection */

static void
setup_end(struct bench_ws *ws)
{
    bench_histogram_add(&run.setup, bench_now_ns() - ws->began_ns);
    ws->set_up = true;
    run.ended++;
    if (run.options->one_by_one)
        bench_ws_close(ws);
}

static void
on_open(struct bench_ws *ws)
{
    run.live++;
    if (!run.options->first)
        setup_end(ws);
}

static void
reason_count(const char *why)
{
    for (unsigned i = 0; i < REASONS; i++) {
        struct reason *reason = &run.reasons[i];
        if (reason->count == 0)
            snprintf(reason->text, sizeof(reason->text), "%s", why);
        if (strncmp(reason->text, why, sizeof(reason->text) - 1) == 0) {
            reason->count++;
            return;
        }
    }
}

static void
on_closed(struct bench_ws *ws, const char *why, bool expected)
{
    run.live -= ws->opened;
    free(ws->whole);
    ws->whole = NULL;
    if (expected)
        return;
    reason_count(why);
    if (ws->set_up) {
        run.dropped++;
        return;
    }
    run.failed++;
    run.ended++;
}

static void
message_end(struct bench_ws *ws)
{
    uint32_t index;
    uint32_t sequence;
    uint64_t left_ns;

    memcpy(&index, ws->stamp, 4);
    memcpy(&sequence, ws->stamp + 4, 4);
    memcpy(&left_ns, ws->stamp + 8, 8);
    if (ws->wrong || ws->have != run.options->bytes || index != ws->index
        || sequence >= ws->sent) {
        run.wrong++;
        return;
    }
    if (sequence < ws->next) {
        run.repeated++;
        return;
    }
    ws->next = sequence + 1;
    run.received++;
    bench_histogram_add(&run.rtt, bench_now_ns() - left_ns);
}

static void
echo_take(struct bench_ws *ws, const uint8_t *data, size_t bytes)
{
    size_t stamp = 0;

    if (ws->have < STAMP_BYTES) {
        stamp = STAMP_BYTES - (size_t) ws->have;
        if (stamp > bytes)
            stamp = bytes;
        memcpy(ws->stamp + ws->have, data, stamp);
    }
    size_t rest = bytes - stamp;
    uint64_t at = ws->have + stamp;
    ws->have += bytes;
    if (ws->have > run.options->bytes
        || (rest > 0 && memcmp(data + stamp, run.pattern + at, rest) != 0))
        ws->wrong = true;
}

/* Compressed or not, a message is kept until its end is there. */
static void
whole_take(struct bench_ws *ws, const uint8_t *data, size_t bytes, bool last)
{
    size_t room = bench_deflate_room();

    if (!ws->whole)
        ws->whole = malloc(room);
    if (!ws->whole || bytes > room - ws->have) {
        ws->wrong = true;
        return;
    }
    memcpy(ws->whole + ws->have, data, bytes);
    ws->have += bytes;
    if (!last)
        return;
    ws->wrong = !bench_deflate_read(ws->whole, (size_t) ws->have, ws->packed,
                                    ws->stamp);
    ws->have = run.options->bytes;
    run.packed += ws->packed;
}

static void
on_piece(struct bench_ws *ws, const uint8_t *data, size_t bytes, bool first,
         bool last)
{
    if (!run.options->deflate && ws->message == BENCH_WS_TEXT) {
        run.unasked += last;
        if (last && !ws->set_up)
            setup_end(ws);
        return;
    }
    if (first) {
        ws->have = 0;
        ws->wrong = false;
    }
    if (run.options->deflate)
        whole_take(ws, data, bytes, last);
    else
        echo_take(ws, data, bytes);
    if (last)
        message_end(ws);
}

static const struct bench_ws_handler handler = {on_open, on_piece, on_closed};

/* --- phases */

static void
handshakes_begin(void)
{
    const struct bench_options *options = run.options;

    while (run.begun < options->connections
           && run.begun - run.ended < options->parallel) {
        struct bench_ws *ws = &run.all[run.begun];
        ws->handler = &handler;
        ws->loop = &run.loop;
        ws->request = run.request;
        ws->deflate = options->deflate;
        ws->index = run.begun++;
        int error = bench_ws_open(ws, &options->target);
        if (error) {
            reason_count(strerror(-error));
            run.failed++;
            run.ended++;
        }
    }
}

static void
report_open(void)
{
    printf("{\"phase\":\"open\",\"connections\":%u,\"failed\":%u,"
           "\"live\":%u,\"seconds\":%.3f,\"setup\":",
           run.options->connections, run.failed, run.live, phase_seconds());
    bench_histogram_print(&run.setup, stdout);
    printf(",\"reasons\":{");
    for (unsigned i = 0; i < REASONS && run.reasons[i].count; i++)
        printf("%s\"%s\":%u", i ? "," : "", run.reasons[i].text,
               run.reasons[i].count);
    printf("}}\n");
    fflush(stdout);
}

static void
report_loaded(void)
{
    printf("{\"phase\":\"loaded\",\"sent\":%llu,\"received\":%llu,"
           "\"lost\":%lld,\"wrong\":%llu,\"repeated\":%llu,"
           "\"skipped\":%llu,\"unasked\":%llu,\"packed\":%llu,\"live\":%u,"
           "\"dropped\":%u,\"seconds\":%.3f,\"rtt\":",
           (unsigned long long) run.sent, (unsigned long long) run.received,
           (long long) (run.sent - run.received - run.wrong),
           (unsigned long long) run.wrong, (unsigned long long) run.repeated,
           (unsigned long long) run.skipped, (unsigned long long) run.unasked,
           (unsigned long long) run.packed, run.live, run.dropped, run.load_s);
    bench_histogram_print(&run.rtt, stdout);
    printf(",\"late\":");
    bench_histogram_print(&run.late, stdout);
    printf("}\n");
    fflush(stdout);
}

/* Writes the message behind the room for its header; returns its length. */
static size_t
message_make(const struct bench_ws *ws, uint8_t *payload)
{
    uint8_t stamp[STAMP_BYTES];
    uint64_t now = bench_now_ns();

    memcpy(stamp, &ws->index, 4);
    memcpy(stamp + 4, &ws->sent, 4);
    memcpy(stamp + 8, &now, 8);
    if (run.options->deflate)
        return bench_deflate_pack(payload, stamp);
    memcpy(payload, stamp, STAMP_BYTES);
    memcpy(payload + STAMP_BYTES, run.pattern + STAMP_BYTES,
           run.options->bytes - STAMP_BYTES);
    return run.options->bytes;
}

static void
message_send(struct bench_ws *ws)
{
    uint8_t *payload = run.frame + 14;
    uint8_t opcode = run.options->deflate ? BENCH_WS_TEXT | BENCH_WS_PACKED
                                          : BENCH_WS_BINARY;

    if (ws->state != BENCH_WS_OPEN) {
        run.skipped++;
        return;
    }
    if (bench_ws_send(ws, opcode, payload, message_make(ws, payload))) {
        run.skipped++;
        return;
    }
    ws->sent++;
    run.sent++;
}

static uint64_t
message_due_ns(uint64_t message)
{
    double rate = run.options->rate * run.options->connections;

    if (rate <= 0)
        return run.load_ns + (uint64_t) (run.options->seconds * 1e9);
    return run.load_ns + (uint64_t) ((double) message * 1e9 / rate);
}

/* Sends what is due, a bounded number so that echoes are read between. */
static void
messages_send(void)
{
    uint64_t total = (uint64_t) (run.options->rate * run.options->seconds
                                 * run.options->connections);

    for (int i = 0; i < 64 && run.next < total; i++) {
        uint64_t due = message_due_ns(run.next);
        uint64_t now = bench_now_ns();
        if (due > now)
            return;
        bench_histogram_add(&run.late, now - due);
        message_send(&run.all[run.next++ % run.options->connections]);
    }
    if (run.next < total || phase_seconds() < run.options->seconds)
        return;
    run.load_s = phase_seconds();
    phase_enter(DRAINING);
}

static void
all_close(void)
{
    for (unsigned i = 0; i < run.begun; i++)
        if (run.all[i].state != BENCH_WS_CLOSED)
            bench_ws_close(&run.all[i]);
}

static void
all_drop(void)
{
    for (unsigned i = 0; i < run.begun; i++)
        bench_ws_drop(&run.all[i], "too slow");
}

static void
phase_opening(void)
{
    bool late = phase_seconds() > run.options->patience;

    handshakes_begin();
    if (late)
        all_drop();
    if (run.ended < run.options->connections)
        return;
    if (run.options->one_by_one && run.live > 0)
        return;
    report_open();
    phase_enter(run.options->one_by_one ? DONE : OPEN);
}

static void
phase_step(void)
{
    switch (run.phase) {
    case OPENING:
        phase_opening();
        break;
    case OPEN:
        if (!bench_loop_pass(&run.loop))
            break;
        phase_enter(LOADING);
        run.load_ns = run.began_ns;
        break;
    case LOADING:
        messages_send();
        break;
    case DRAINING:
        if (run.received + run.wrong < run.sent
            && phase_seconds() < run.options->patience)
            break;
        report_loaded();
        phase_enter(LOADED);
        break;
    case LOADED:
        if (!bench_loop_pass(&run.loop))
            break;
        phase_enter(CLOSING);
        all_close();
        break;
    case CLOSING:
        if (phase_seconds() > run.options->patience)
            all_drop();
        if (run.live == 0)
            phase_enter(DONE);
        break;
    case DONE:
        break;
    }
}

static int
run_prepare(const struct bench_options *options)
{
    run.options = options;
    run.all = calloc(options->connections, sizeof(*run.all));
    int error = options->deflate ? bench_deflate_init(options->bytes) : 0;
    if (error)
        return error;
    run.frame = malloc(14 + options->bytes + bench_deflate_room());
    run.pattern = malloc(options->bytes);
    if (!run.all || !run.frame || !run.pattern)
        return -ENOMEM;
    for (size_t i = 0; i < options->bytes; i++)
        run.pattern[i] = (uint8_t) (i * 131 + (i >> 8));
    if (asprintf(&run.request,
                 "GET %s HTTP/1.1\r\nHost: localhost\r\n"
                 "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: %s\r\n%s%s\r\n",
                 options->path, bench_ws_key,
                 options->deflate ? bench_deflate_offer : "", options->headers)
        < 0)
        return -ENOMEM;
    return bench_loop_init(&run.loop, options->steps);
}

int
bench_echo_run(const struct bench_options *options)
{
    struct epoll_event events[EVENTS];
    int error = run_prepare(options);

    if (error) {
        fprintf(stderr, "bench-client: %s\n", strerror(-error));
        return 1;
    }
    phase_enter(OPENING);
    while (run.phase != DONE) {
        uint64_t until = bench_now_ns() + TICK_NS;
        if (run.phase == LOADING && message_due_ns(run.next) < until)
            until = message_due_ns(run.next);
        int count = bench_loop_wait(&run.loop, events, EVENTS, until);
        for (int i = 0; i < count; i++)
            bench_ws_event(events[i].data.ptr, events[i].events);
        phase_step();
    }
    for (unsigned i = 0; i < options->connections; i++)
        if (run.all[i].state != BENCH_WS_CLOSED)
            bench_ws_drop(&run.all[i], "at the end");
    if (options->deflate)
        bench_deflate_end();
    free(run.request);
    free(run.frame);
    free(run.pattern);
    free(run.all);
    return 0;
}

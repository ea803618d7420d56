/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   connect ──► ask ──► settled: the request is sent (long polls), or the
 *                  │             head came (event streams), or the whole
 *                  │             answer did (idle keep-alive connections)
 *                  └──► stays until the driver has measured the others
 *
 * The FastCGI kind speaks to voiced itself: a kept connection that has been
 * served once, as NGINX keeps them.
 */

#include "bench_answer.h"
#include "bench_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS  512
#define TICK_NS 10000000ull

#define FCGI_BEGIN_REQUEST 1
#define FCGI_END_REQUEST   3
#define FCGI_PARAMS        4
#define FCGI_STDIN         5

struct holder {
    int fd; /* -1: not begun, or over */
    bool asked;
    bool settled;
    struct bench_answer answer; /* HTTP */
    uint8_t record[8];          /* FastCGI: a record's head so far */
    size_t record_bytes;
    size_t record_left; /* of its content and padding */
};

static struct {
    struct bench_loop loop;
    const struct bench_options *options;
    struct holder *all;
    char *request;
    size_t request_bytes;
    unsigned begun;
    unsigned settled;
    unsigned failed;   /* before it settled */
    unsigned dropped;  /* after it had */
    unsigned refused;  /* a status that is not 200 */
    uint64_t answered; /* whole answers */
    uint64_t bytes;    /* received after settling */
} run;

static bool
is_until(const char *what)
{
    return strcmp(run.options->until, what) == 0;
}

static void
holder_end(struct holder *holder)
{
    if (holder->fd < 0)
        return;
    close(holder->fd);
    holder->fd = -1;
    if (holder->settled)
        run.dropped++;
    else
        run.failed++;
}

static void
holder_settle(struct holder *holder)
{
    run.settled += !holder->settled;
    holder->settled = true;
}

static void
holder_ask(struct holder *holder)
{
    bench_answer_init(&holder->answer);
    holder->asked = true;
    if (send(holder->fd, run.request, run.request_bytes, MSG_NOSIGNAL)
        != (ssize_t) run.request_bytes) {
        holder_end(holder);
        return;
    }
    if (is_until("request"))
        holder_settle(holder);
}

static void
answer_end(struct holder *holder)
{
    run.answered++;
    if (is_until("answer"))
        holder_settle(holder);
    if (run.options->again)
        holder_ask(holder);
}

static void
http_take(struct holder *holder, const char *data, size_t bytes)
{
    ptrdiff_t took = bench_answer_push(&holder->answer, data, bytes);

    if (took < 0) {
        holder_end(holder);
        return;
    }
    if (holder->answer.status == 0)
        return;
    if (holder->answer.status != 200) {
        run.refused++;
        holder_end(holder);
        return;
    }
    if (is_until("header"))
        holder_settle(holder);
    if (bench_answer_is_whole(&holder->answer))
        answer_end(holder);
    else if (holder->answer.closes && !is_until("header"))
        holder_end(holder);
}

static void
fastcgi_take(struct holder *holder, const char *data, size_t bytes)
{
    while (bytes > 0) {
        if (holder->record_left > 0) {
            size_t skip =
                bytes < holder->record_left ? bytes : holder->record_left;
            holder->record_left -= skip;
            data += skip;
            bytes -= skip;
            continue;
        }
        holder->record[holder->record_bytes++] = (uint8_t) *data++;
        bytes--;
        if (holder->record_bytes < sizeof(holder->record))
            continue;
        holder->record_bytes = 0;
        holder->record_left = (size_t) holder->record[4] << 8;
        holder->record_left += holder->record[5];
        holder->record_left += holder->record[6];
        if (holder->record[1] == FCGI_END_REQUEST)
            answer_end(holder);
    }
}

static void
holder_read(struct holder *holder)
{
    static char scratch[65536];
    ssize_t got = recv(holder->fd, scratch, sizeof(scratch), 0);

    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        holder_end(holder);
        return;
    }
    if (holder->settled)
        run.bytes += (uint64_t) got;
    if (run.options->fastcgi)
        fastcgi_take(holder, scratch, (size_t) got);
    else
        http_take(holder, scratch, (size_t) got);
}

static void
holder_event(struct holder *holder, uint32_t mask)
{
    if (holder->fd < 0)
        return;
    if (!holder->asked && mask & EPOLLOUT && !(mask & (EPOLLERR | EPOLLHUP))) {
        if (bench_loop_change(&run.loop, holder->fd, EPOLLIN, holder))
            holder_end(holder);
        else
            holder_ask(holder);
        return;
    }
    if (mask & (EPOLLIN | EPOLLERR | EPOLLHUP))
        holder_read(holder);
}

static void
holders_begin(void)
{
    while (run.begun < run.options->connections
           && run.begun - run.settled - run.failed < run.options->parallel) {
        struct holder *holder = &run.all[run.begun++];
        holder->fd = bench_target_connect(&run.options->target);
        if (holder->fd < 0)
            run.failed++;
        else if (bench_loop_watch(&run.loop, holder->fd, EPOLLIN | EPOLLOUT,
                                  holder))
            holder_end(holder);
    }
}

static void
report(const char *phase)
{
    printf("{\"phase\":\"%s\",\"connections\":%u,\"settled\":%u,"
           "\"failed\":%u,\"dropped\":%u,\"refused\":%u,\"answered\":%llu,"
           "\"bytes\":%llu}\n",
           phase, run.options->connections, run.settled, run.failed,
           run.dropped, run.refused, (unsigned long long) run.answered,
           (unsigned long long) run.bytes);
    fflush(stdout);
}

/* --- a FastCGI request, as NGINX would send it */

static size_t
record_head(char *out, unsigned type, size_t bytes)
{
    out[0] = 1;
    out[1] = (char) type;
    out[2] = 0;
    out[3] = 1;
    out[4] = (char) (bytes >> 8);
    out[5] = (char) bytes;
    out[6] = 0;
    out[7] = 0;
    return 8;
}

static size_t
param_put(char *out, const char *name, const char *value)
{
    size_t name_bytes = strlen(name);
    size_t value_bytes = strlen(value);

    out[0] = (char) name_bytes;
    out[1] = (char) value_bytes;
    memcpy(out + 2, name, name_bytes);
    memcpy(out + 2 + name_bytes, value, value_bytes);
    return 2 + name_bytes + value_bytes;
}

static int
fastcgi_request(const char *path)
{
    static const char begin[8] = {0, 1, 1}; /* responder, keep the connection */
    char params[1024];
    size_t bytes = 0;

    if (strlen(path) > 127)
        return -EINVAL;
    bytes += param_put(params + bytes, "REQUEST_METHOD", "GET");
    bytes += param_put(params + bytes, "SCRIPT_NAME", path);
    bytes += param_put(params + bytes, "DOCUMENT_URI", path);
    bytes += param_put(params + bytes, "REQUEST_URI", path);
    bytes += param_put(params + bytes, "QUERY_STRING", "");
    bytes += param_put(params + bytes, "SERVER_PROTOCOL", "HTTP/1.1");
    bytes += param_put(params + bytes, "HTTP_HOST", "localhost");
    run.request = malloc(4 * 8 + sizeof(begin) + bytes);
    if (!run.request)
        return -ENOMEM;
    char *at = run.request;
    at += record_head(at, FCGI_BEGIN_REQUEST, sizeof(begin));
    memcpy(at, begin, sizeof(begin));
    at += sizeof(begin);
    at += record_head(at, FCGI_PARAMS, bytes);
    memcpy(at, params, bytes);
    at += bytes;
    at += record_head(at, FCGI_PARAMS, 0);
    at += record_head(at, FCGI_STDIN, 0);
    run.request_bytes = (size_t) (at - run.request);
    return 0;
}

static int
http_request(const struct bench_options *options)
{
    int bytes =
        asprintf(&run.request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
                 options->path, options->headers);

    if (bytes < 0)
        return -ENOMEM;
    run.request_bytes = (size_t) bytes;
    return 0;
}

static int
run_prepare(const struct bench_options *options)
{
    run.options = options;
    run.all = calloc(options->connections, sizeof(*run.all));
    if (!run.all)
        return -ENOMEM;
    for (unsigned i = 0; i < options->connections; i++)
        run.all[i].fd = -1;
    int error = options->fastcgi ? fastcgi_request(options->path)
                                 : http_request(options);
    return error ? error : bench_loop_init(&run.loop, options->steps);
}

/* Serves events until all have settled or failed, or (settled already) until
 * the driver goes on. */
static void
run_phase(bool settling, double seconds)
{
    struct epoll_event events[EVENTS];
    uint64_t end = bench_now_ns() + (uint64_t) (seconds * 1e9);

    for (;;) {
        uint64_t now = bench_now_ns();
        if (settling) {
            holders_begin();
            if (run.settled + run.failed >= run.options->connections
                || now > end)
                return;
        } else if (bench_loop_pass(&run.loop)
                   && (run.options->steps || now > end)) {
            return;
        }
        int count = bench_loop_wait(&run.loop, events, EVENTS, now + TICK_NS);
        for (int i = 0; i < count; i++)
            holder_event(events[i].data.ptr, events[i].events);
    }
}

int
bench_hold_run(const struct bench_options *options)
{
    int error = run_prepare(options);

    if (error) {
        fprintf(stderr, "bench-client: %s\n", strerror(-error));
        return 1;
    }
    run_phase(true, options->patience);
    report("settled");
    run_phase(false, options->seconds);
    report("held");
    for (unsigned i = 0; i < options->connections; i++)
        if (run.all[i].fd >= 0)
            close(run.all[i].fd);
    free(run.all);
    free(run.request);
    return 0;
}

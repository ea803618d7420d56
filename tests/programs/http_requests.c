/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Drives http_client for the integration test. argv[1]: `http` limits as JSON,
 * or a voiced.conf whose own are used. A line of stdin is a command, a line of
 * stdout a JSON answer:
 *
 *   {"send": N, "url": …, "method": …, "headers": {…}, "body_bytes": …,
 *    "max_answer_bytes": …, "ca_file": …, "proxy": …, "cancel_ms": …,
 *    "header": NAME, "total_ms": …, "read_ms": … (-1: never),
 *    "inflates": true, "refuse": [ADDRESS…] (a guard that refuses these),
 *    "stream": true, "stop_at": BYTES, "stop_head": true,
 *    "cancel_at": BYTES, "pause_at": BYTES (and each so many), "pause_ms": …}
 *                              N answers follow, as they come
 *   {"metrics": true}          one answer: voiced's metrics
 *   {"close": true}            the client's end; what waits is answered
 */

#include "base/clock.h"
#include "base/config.h"
#include "base/metrics.h"
#include "gate/curl_stream.h"
#include "gate/http_client.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES  65536
#define HEADERS_MAX 16

static struct loop *loop;
static struct http_client *client;
static int sequence;

struct sent {
    int number;
    uint64_t at_ms;
    char header[64];        /* the one that is told */
    json_t *command;        /* incref'ed: what a stream and a guard are to do */
    struct http_call *call; /* of a stream */
    uv_timer_t pause;
    bool paused, timing;
    int open;                  /* the answer, the timer */
    int judged;                /* addresses */
    int pieces, heads, leaked; /* of a stream; while it was paused */
    unsigned head_status;
    size_t bytes;
    uint64_t head_ms, first_ms, sum;
};

static void
sent_free(struct sent *sent)
{
    if (--sent->open > 0)
        return;
    http_call_put(&sent->call);
    json_decref(sent->command);
    free(sent);
}

static void
print_line(json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT);

    printf("%s\n", text);
    fflush(stdout);
    free(text);
    json_decref(answer);
}

static void
on_timer_closed(uv_handle_t *handle)
{
    sent_free(handle->data);
}

static void
on_done(void *arg, const struct http_response *rs)
{
    struct sent *sent = arg;
    const char *header =
        *sent->header ? http_response_header(rs, sent->header) : NULL;
    json_t *text =
        json_stringn(rs->body, rs->body_bytes < 200 ? rs->body_bytes : 200);
    json_t *answer;

    answer = json_pack(
        "{s:i, s:s, s:s, s:i, s:i, s:o, s:s*, s:I, s:b}", "number",
        sent->number, "error", rs->error ? uv_err_name(rs->error) : "", "why",
        rs->why, "status", (int) rs->status, "bytes", (int) rs->body_bytes,
        "body", text ? text : json_string("no text"), "header", header, "ms",
        (json_int_t) (clock_now_ms() - sent->at_ms), "on_loop",
        loop_is_current(loop));
    if (sent->heads || sent->pieces || sent->judged)
        json_object_update_new(
            answer,
            json_pack("{s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:i, s:i, s:I}",
                      "heads", sent->heads, "head_status",
                      (int) sent->head_status, "pieces", sent->pieces, "leaked",
                      sent->leaked, "streamed", (json_int_t) sent->bytes,
                      "head_ms", (json_int_t) sent->head_ms, "first_ms",
                      (json_int_t) sent->first_ms, "judged", sent->judged,
                      "paused", sent->paused, "sum", (json_int_t) sent->sum));
    print_line(answer);
    if (sent->timing)
        uv_close((uv_handle_t *) &sent->pause, on_timer_closed);
    sent->timing = false;
    sent_free(sent);
}

static const char *
text_of(const json_t *command, const char *key)
{
    return json_string_value(json_object_get(command, key));
}

static size_t
number_of(const json_t *command, const char *key)
{
    return (size_t) json_integer_value(json_object_get(command, key));
}

/* --- a stream's reader */

static void
on_pause_over(uv_timer_t *timer)
{
    struct sent *sent = timer->data;

    sent->paused = false;
    sent->timing = false;
    if (sent->call)
        http_call_resume(sent->call);
    uv_close((uv_handle_t *) timer, on_timer_closed);
}

static void
stream_pause(struct sent *sent)
{
    sent->paused = sent->timing = true;
    http_call_pause(sent->call);
    uv_timer_init(loop_uv(loop), &sent->pause);
    sent->pause.data = sent;
    sent->open++;
    uv_timer_start(&sent->pause, on_pause_over,
                   number_of(sent->command, "pause_ms"), 0);
}

static int
on_head(void *arg, const struct http_response *rs)
{
    struct sent *sent = arg;

    sent->heads++;
    sent->head_status = rs->status;
    sent->head_ms = clock_now_ms() - sent->at_ms;
    if (*sent->header && !http_response_header(rs, sent->header))
        return UV_ENOENT;
    return json_is_true(json_object_get(sent->command, "stop_head"))
               ? UV_ENOTSUP
               : 0;
}

static int
on_bytes(void *arg, const char *data, size_t bytes)
{
    struct sent *sent = arg;
    size_t stop = number_of(sent->command, "stop_at");
    size_t pause = number_of(sent->command, "pause_at");
    size_t cancel = number_of(sent->command, "cancel_at");
    size_t before = sent->bytes;

    if (sent->pieces++ == 0)
        sent->first_ms = clock_now_ms() - sent->at_ms;
    for (size_t i = 0; i < bytes; i++)
        sent->sum = (sent->sum * 31 + (unsigned char) data[i]) % 1000000007;
    sent->bytes += bytes;
    sent->leaked += sent->paused;
    if (stop && sent->bytes >= stop)
        return UV_ENOSPC;
    if (cancel && sent->bytes >= cancel)
        http_call_cancel(&sent->call);
    /* Each so many bytes. */
    if (sent->call && pause && !sent->paused
        && before / pause != sent->bytes / pause && sent->open == 1)
        stream_pause(sent);
    return 0;
}

static int
on_address(void *arg, const struct sockaddr *address)
{
    struct sent *sent = arg;
    char text[INET6_ADDRSTRLEN] = "";
    const json_t *item;
    size_t i;

    sent->judged++;
    if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *) address)->sin_addr,
                  text, sizeof(text));
    else
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *) address)->sin6_addr,
                  text, sizeof(text));
    json_array_foreach(json_object_get(sent->command, "refuse"), i, item)
    {
        if (strcmp(json_string_value(item), text) == 0)
            return UV_EADDRNOTAVAIL;
    }
    return 0;
}

static void
send_one(json_t *command, struct http_request *rq)
{
    struct sent *sent = calloc(1, sizeof(*sent));
    static const struct http_stream stream = {on_head, on_bytes};
    struct http_call *call = NULL;
    size_t cancel_ms = number_of(command, "cancel_ms");
    const char *header = text_of(command, "header");
    int err;

    sent->number = ++sequence;
    sent->at_ms = clock_now_ms();
    snprintf(sent->header, sizeof(sent->header), "%s", header ? header : "");
    sent->command = json_incref(command);
    sent->open = 1;
    rq->stream = json_object_get(command, "stream") ? &stream : NULL;
    if (json_object_get(command, "refuse")) {
        rq->guard = on_address;
        rq->guard_arg = sent;
    }
    if (rq->stream)
        err = http_client_send(client, rq, on_done, sent, &sent->call);
    else
        err = http_client_send(client, rq, on_done, sent,
                               cancel_ms ? &call : NULL);
    if (err != 0) {
        print_line(json_pack("{s:i, s:s, s:b}", "number", sent->number,
                             "refused", uv_err_name(err), "on_loop", 0));
        sent_free(sent);
        return;
    }
    if (cancel_ms) {
        usleep((useconds_t) cancel_ms * 1000);
        http_call_cancel(&call);
    }
}

static void
send_all(json_t *command)
{
    struct http_header headers[HEADERS_MAX];
    size_t bytes = number_of(command, "body_bytes");
    char *body = bytes ? malloc(bytes) : NULL;
    struct http_request rq = {.method = text_of(command, "method"),
                              .url = text_of(command, "url"),
                              .headers = headers,
                              .body = body,
                              .body_bytes = bytes,
                              .ca_file = text_of(command, "ca_file"),
                              .proxy = text_of(command, "proxy")};
    const char *name;
    json_t *value;

    rq.max_answer_bytes = number_of(command, "max_answer_bytes");
    rq.total_ms = number_of(command, "total_ms");
    rq.read_ms = number_of(command, "read_ms");
    rq.inflates = json_is_true(json_object_get(command, "inflates"));
    if (!rq.method)
        rq.method = body ? "POST" : "GET";
    if (body)
        memset(body, 'b', bytes);
    json_object_foreach(json_object_get(command, "headers"), name, value)
    {
        if (rq.header_count < HEADERS_MAX)
            headers[rq.header_count++] =
                (struct http_header){name, json_string_value(value)};
    }
    for (size_t i = number_of(command, "send"); i > 0; i--)
        send_one(command, &rq);
    free(body);
}

static void
metrics_print(void)
{
    struct buffer out;

    buffer_init(&out, 1048576);
    if (metrics_dump_json(&out) == 0)
        printf("%s\n", buffer_text(&out));
    fflush(stdout);
    buffer_deinit(&out);
}

static void
command_run(const char *line)
{
    json_t *command = json_loads(line, 0, NULL);

    if (json_object_get(command, "send"))
        send_all(command);
    else if (json_object_get(command, "metrics"))
        metrics_print();
    else if (json_object_get(command, "close"))
        http_client_close(&client);
    else
        fprintf(stderr, "no command: %s\n", line);
    json_decref(command);
}

static void
limits_from_file(struct http_client_config *cfg, const char *path)
{
    char error[CONFIG_ERROR_BYTES];
    struct server_config *server = NULL;

    if (config_read(&server, path, error) != 0) {
        fprintf(stderr, "%s\n", error);
        exit(2);
    }
    cfg->keepalive = server->http.keepalive;
    cfg->max = server->http.max;
    cfg->idle_ms = server->http.idle_ms;
    cfg->connect_ms = server->http.connect_ms;
    cfg->read_ms = server->http.read_ms;
    cfg->write_ms = server->http.write_ms;
    cfg->pool_wait_ms = server->http.pool_wait_ms;
    config_free(&server);
}

static void
limits_from_json(struct http_client_config *cfg, const char *text)
{
    json_t *limits = json_loads(text, 0, NULL);

    cfg->keepalive = number_of(limits, "keepalive");
    cfg->max = number_of(limits, "max");
    cfg->idle_ms = number_of(limits, "idle_ms");
    cfg->connect_ms = number_of(limits, "connect_ms");
    cfg->read_ms = number_of(limits, "read_ms");
    cfg->write_ms = number_of(limits, "write_ms");
    cfg->pool_wait_ms = number_of(limits, "pool_wait_ms");
    json_decref(limits);
}

int
main(int argc, char **argv)
{
    static char line[LINE_BYTES];
    struct http_client_config cfg = {0};

    if (argc != 2)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    if (*argv[1] == '{')
        limits_from_json(&cfg, argv[1]);
    else
        limits_from_file(&cfg, argv[1]);
    if (curl_stream_library_open() != 0 || loop_create(&loop, 0) != 0)
        return 2;
    cfg.loop = loop;
    if (http_client_create(&client, &cfg) != 0 || loop_start(loop) != 0)
        return 2;
    while (fgets(line, sizeof(line), stdin))
        command_run(line);
    http_client_close(&client);
    loop_stop(loop);
    loop_destroy(&loop);
    curl_stream_library_close();
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_tools_stream.h"

#include "api/api_tool_answer.h"
#include "gate/answer_stream.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES (64u << 20) /* a tool's own limit is far below */
#define IDLE_MS        15000
#define STALL_MS       30000

/*
 * From the order on the loop's alone. Lives until the order is through and
 * the stream has closed, or could not be opened.
 */
struct page_stream {
    struct loop_task task;
    struct loop *loop;
    enum api_tools_format format;
    struct gate *gate; /* where the connection goes when it was good; NULL:
                          NGINX has no more use for it */
    int fd;            /* < 0: the reader was gone before the hand-off */
    struct tool_job *job;
    struct answer_stream *stream;
    struct buffer early; /* lines of before the stream was open */
    bool page_waits;     /* for room, to be followed by the next */
    bool opened;         /* or it was found that it can't be */
    bool done;
};

static _Atomic unsigned stream_count;

unsigned
api_tools_stream_count(void)
{
    return atomic_load(&stream_count);
}

enum api_tools_format
api_tools_format(struct gate_request *rq)
{
    return api_accepts(rq, "text/event-stream")      ? API_TOOLS_SSE
           : api_accepts(rq, "application/x-ndjson") ? API_TOOLS_NDJSON
                                                     : API_TOOLS_ONE;
}

static const char *
content_type(enum api_tools_format format)
{
    return format == API_TOOLS_SSE ? "text/event-stream"
                                   : "application/x-ndjson";
}

/* --- lines */

/* What stands before and behind the members of a line's object. */
static int
line_head(char *out, size_t bytes, enum api_tools_format format,
          const char *type)
{
    return format == API_TOOLS_SSE
               ? snprintf(out, bytes, "event: %s\ndata: {\"type\":\"%s\",",
                          type, type)
               : snprintf(out, bytes, "{\"type\":\"%s\",", type);
}

static const char *
line_tail(enum api_tools_format format)
{
    return format == API_TOOLS_SSE ? "}\n\n" : "}\n";
}

static struct iovec
part(const char *text, size_t bytes)
{
    return (struct iovec){(void *) (uintptr_t) text, bytes};
}

static int
put_line(struct page_stream *ps, const char *type, const char *members,
         size_t bytes)
{
    char head[96];
    int head_bytes = line_head(head, sizeof(head), ps->format, type);
    const char *tail = line_tail(ps->format);
    const struct iovec parts[] = {
        part(head, (size_t) head_bytes),
        part(members, bytes),
        part(tail, strlen(tail)),
    };
    int err = 0;

    if (ps->stream != NULL) {
        return answer_stream_send(ps->stream, parts, 3);
    }
    for (int i = 0; i < 3 && !ps->opened && err == 0; i++) {
        err = buffer_append(&ps->early, parts[i].iov_base, parts[i].iov_len);
    }
    return err;
}

static int
put_page(struct page_stream *ps, const char *json, size_t bytes)
{
    struct buffer members;
    int err;

    buffer_init(&members, LINE_MAX_BYTES);
    err = buffer_append(&members, "\"page\":", 7);
    if (err == 0) {
        err = buffer_append(&members, json, bytes);
    }
    if (err == 0) {
        err = put_line(ps, "page", (char *) members.data, members.bytes);
    }
    buffer_deinit(&members);
    return err;
}

static int
put_result(struct page_stream *ps, const struct tool_answer *answer)
{
    struct buffer members;
    int err;

    buffer_init(&members, LINE_MAX_BYTES);
    err = api_tool_answer_write(&members, answer);
    if (err == 0) {
        err = put_line(ps, "result", (char *) members.data, members.bytes);
    }
    buffer_deinit(&members);
    return err;
}

/* --- the end */

static void
stream_settle(struct page_stream *ps)
{
    if (!ps->done || !ps->opened || ps->stream != NULL) {
        return;
    }
    if (ps->job != NULL) {
        tool_job_put(&ps->job);
    }
    buffer_deinit(&ps->early);
    free(ps);
    atomic_fetch_sub(&stream_count, 1);
}

static void
stream_cancel(struct page_stream *ps)
{
    if (ps->job != NULL) {
        tool_job_cancel(&ps->job);
    }
}

/* --- the reader's side */

static void
stream_go_on(struct page_stream *ps)
{
    ps->page_waits = false;
    if (ps->job != NULL) {
        tool_job_continue(ps->job);
    }
}

static void
on_room(void *arg)
{
    struct page_stream *ps = arg;

    if (ps->page_waits) {
        stream_go_on(ps);
    }
}

static void
on_gone(void *arg)
{
    stream_cancel(arg);
}

static void
on_closed(void *arg, int fd)
{
    struct page_stream *ps = arg;

    if (fd >= 0) {
        gate_give_back(ps->gate, fd);
    }
    ps->stream = NULL;
    stream_settle(ps);
}

static const struct answer_stream_handlers stream_handlers = {
    .on_room = on_room,
    .on_gone = on_gone,
    .on_closed = on_closed,
};

/* --- the order's side, on the loop */

static void
on_page(void *arg, const char *json, size_t bytes)
{
    struct page_stream *ps = arg;

    ps->page_waits = true;
    if (put_page(ps, json, bytes) != 0) {
        stream_cancel(ps);
    } else if (ps->stream != NULL && answer_stream_has_room(ps->stream)) {
        stream_go_on(ps);
    }
}

/* For a look: who is behind with what came before misses it. */
static void
on_progress(void *arg, double progress, double total, const char *message)
{
    struct page_stream *ps = arg;
    json_t *tree = NULL;
    char *text = NULL;

    if (ps->stream == NULL || !answer_stream_has_room(ps->stream)
        || !isfinite(progress) || !isfinite(total)) {
        return;
    }
    tree = json_pack("{s:f, s:o, s:s?}", "progress", progress, "total",
                     total > 0 ? json_real(total) : json_null(), "message",
                     message);
    text = tree != NULL ? json_dumps(tree, API_JSON) : NULL;
    json_decref(tree);
    if (text != NULL) {
        /* Its members alone. */
        put_line(ps, "progress", text + 1, strlen(text) - 2);
    }
    free(text);
}

static void
on_done(void *arg, const struct tool_answer *answer)
{
    struct page_stream *ps = arg;

    ps->done = true;
    ps->page_waits = false;
    put_result(ps, answer); /* fails where nobody reads any more */
    if (ps->stream != NULL) {
        answer_stream_finish(ps->stream);
    }
    stream_settle(ps);
}

static const struct tool_order_handlers order_handlers = {
    .on_page = on_page,
    .on_progress = on_progress,
    .on_done = on_done,
};

/* --- the hand-off */

static int
stream_open(struct page_stream *ps)
{
    const struct answer_stream_config cfg = {
        .loop = ps->loop,
        .fd = ps->fd,
        .keep = ps->gate != NULL,
        .idle_text = ps->format == API_TOOLS_SSE ? ": keep-alive\n\n"
                                                 : "{\"type\":\"alive\"}\n",
        .idle_ms = IDLE_MS,
        .stall_ms = STALL_MS,
    };
    int err = ps->fd < 0 ? ps->fd
                         : answer_stream_create(&ps->stream, &cfg,
                                                &stream_handlers, ps);

    ps->opened = true;
    return err;
}

/* What came before goes first. */
static void
on_taken(struct loop_task *task, void *arg)
{
    struct page_stream *ps = arg;
    struct iovec early;

    (void) task;
    if (stream_open(ps) != 0) {
        stream_cancel(ps);
        stream_settle(ps);
        return;
    }
    early = part((char *) ps->early.data, ps->early.bytes);
    if (early.iov_len > 0 && answer_stream_send(ps->stream, &early, 1) != 0) {
        stream_cancel(ps);
    }
    buffer_deinit(&ps->early);
    if (ps->done) {
        answer_stream_finish(ps->stream);
    } else if (ps->page_waits && answer_stream_has_room(ps->stream)) {
        stream_go_on(ps);
    }
}

static void
stream_take(struct page_stream *ps, struct gate_request *rq)
{
    char head[256];

    /* The comment is there for NGINX, which keeps a head back until the first
     * byte of a body comes. */
    snprintf(head, sizeof(head),
             "Status: 200 OK\r\n"
             "Content-Type: %s\r\n"
             "Cache-Control: no-cache\r\n"
             "X-Accel-Buffering: no\r\n"
             "x-request-id: %s\r\n\r\n%s",
             content_type(ps->format), gate_request_id(rq),
             ps->format == API_TOOLS_SSE ? ": ready\n\n" : "");
    ps->gate = gate_keeps_connection(rq) ? gate_of(rq) : NULL;
    ps->fd = gate_take(rq, head);
    ps->task.run = on_taken;
    ps->task.arg = ps;
    loop_post(ps->loop, &ps->task);
}

/* All of it is there: no stream is needed. */
static void
answer_at_once(struct gate_request *rq, enum api_tools_format format,
               const struct tool_answer *answer)
{
    static const struct gate_header header = {"Cache-Control", "no-cache"};
    struct page_stream ps = {.format = format};

    if (answer->ending == TOOL_UNKNOWN || answer->ending == TOOL_BUSY) {
        api_tool_answer_send(rq, API_TOOL_FULL, answer);
        return;
    }
    buffer_init(&ps.early, LINE_MAX_BYTES);
    if (put_result(&ps, answer) == 0) {
        gate_answer(rq, &(struct gate_answer){
                            .status = 200,
                            .content_type = content_type(format),
                            .headers = &header,
                            .header_count = 1,
                            .body = ps.early.data,
                            .body_bytes = ps.early.bytes,
                        });
    } else {
        gate_answer_busy(rq);
    }
    buffer_deinit(&ps.early);
}

static struct page_stream *
stream_create(struct api_context *api, enum api_tools_format format)
{
    static _Atomic unsigned turn;
    struct page_stream *ps = calloc(1, sizeof(*ps));

    if (ps != NULL) {
        ps->format = format;
        ps->loop = api->loops[atomic_fetch_add(&turn, 1) % api->loop_count];
        buffer_init(&ps->early, LINE_MAX_BYTES);
    }
    return ps;
}

void
api_tools_stream(struct gate_request *rq, struct api_context *api,
                 struct tool_order *order, enum api_tools_format format)
{
    struct page_stream *ps = stream_create(api, format);
    struct tool_answer answer;
    int result = UV_ENOMEM;

    if (ps != NULL) {
        order->loop = ps->loop;
        order->wants_pages = true;
        atomic_fetch_add(&stream_count, 1);
        result =
            tool_runner_order(api->tool_runner, order,
                              &(struct tool_order_caller){&order_handlers, ps},
                              &ps->job, &answer);
    }
    if (result == 0) {
        stream_take(ps, rq);
        return;
    }
    if (ps != NULL) {
        atomic_fetch_sub(&stream_count, 1);
    }
    free(ps);
    if (result == 1) {
        answer_at_once(rq, format, &answer);
        tool_answer_deinit(&answer);
    } else {
        gate_answer_busy(rq);
    }
}

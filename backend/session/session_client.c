/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   attached ──loss──► detached ──back──► attached
 *                          └──grace over──► closed
 */

#include "session/session_client.h"

#include "base/clock.h"
#include "base/log.h"
#include "session/session_tail.h"
#include "session/session_turns.h"
#include "session/session_voice.h"

#include <stdlib.h>
#include <unistd.h>

/* A loss is seen by then: two pings of NGINX, and some. */
#define LOSS_SEEN_MS 60000u

/* One connection. It outlives its time as the present one until its last
 * call. */
struct session_client_stream {
    struct stream_link link;
    struct session_client *client;
};

/* What it takes to come back. */
struct session_client_back {
    struct session_tail tail;
    struct session_resume_entry entry;
    struct session_resume *resumes;
    uv_timer_t timer;
    unsigned grace_ms;
    uint64_t until_ms; /* it is awaited; clock_now_ms */
    bool is_expecting; /* on its way */
};

/* --- coming back */

static int
back_open(struct session_client *c, const struct session_client_config *cfg)
{
    if (!cfg->token)
        return 0;
    struct session_client_back *back = calloc(1, sizeof(*back));
    if (!back)
        return UV_ENOMEM;
    session_tail_init(&back->tail, cfg->grace_ms + LOSS_SEEN_MS);
    back->resumes = cfg->resumes;
    back->grace_ms = cfg->grace_ms;
    back->entry.tenant = cfg->tenant;
    back->entry.loop = cfg->loop;
    back->entry.session = cfg->session;
    uv_timer_init(loop_uv(cfg->loop), &back->timer);
    back->timer.data = c;
    c->back = back;
    session_resume_set(back->resumes, &back->entry, cfg->token);
    return 0;
}

static void
on_back_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void
back_close(struct session_client *c)
{
    struct session_client_back *back = c->back;

    if (!back)
        return;
    c->back = NULL;
    session_resume_set(back->resumes, &back->entry, "");
    session_tail_deinit(&back->tail);
    back->timer.data = back;
    uv_close((uv_handle_t *) &back->timer, on_back_timer_closed);
}

static void
on_grace_over(uv_timer_t *timer)
{
    struct session_client *c = timer->data;

    if (c->back->is_expecting)
        return; /* attach comes, and looks */
    back_close(c);
    c->handlers->on_closed(c->arg, WS_CLOSE_LOST,
                           "the client did not come back");
}

static void
detach(struct session_client *c)
{
    struct session_client_back *back = c->back;

    session_tail_set_mark(&back->tail);
    if (c->voice)
        session_voice_detached(c->voice);
    back->until_ms = clock_now_ms() + back->grace_ms;
    uv_timer_start(&back->timer, on_grace_over, back->grace_ms, 0);
}

/* Who said he would come has not: the time that was left goes on, however
 * often he says so. */
static void
detach_on(struct session_client_back *back)
{
    uint64_t now_ms = clock_now_ms();

    uv_timer_start(&back->timer, on_grace_over,
                   back->until_ms > now_ms ? back->until_ms - now_ms : 0, 0);
}

/* --- what a connection reports; one that is no longer the present one has
 * nothing to say but that it is gone */

static bool
is_present(const struct session_client_stream *stream)
{
    return stream->client->stream == stream;
}

static void
on_edge_up(void *arg, const char *json, size_t bytes)
{
    struct session_client *c = arg;

    if (c->voice && session_voice_up_event(c->voice, json, bytes))
        return;
    c->handlers->on_message(c->arg, STREAM_TEXT, (const uint8_t *) json, bytes);
}

static void
on_stream_message(void *arg, enum stream_opcode opcode, const uint8_t *data,
                  size_t bytes)
{
    struct session_client_stream *stream = arg;
    struct session_client *c = stream->client;

    if (!is_present(stream))
        return;
    if (opcode != STREAM_TEXT && c->voice)
        session_voice_packet(c->voice, data, bytes);
    else if (opcode != STREAM_TEXT)
        c->handlers->on_message(c->arg, opcode, data, bytes);
    else if (session_edge_up(&c->edge, (const char *) data, bytes, on_edge_up,
                             c))
        stream_link_close(&stream->link, WS_CLOSE_TRY_LATER, "no memory");
}

static void
on_stream_rtt(void *arg, uint32_t rtt_us)
{
    struct session_client_stream *stream = arg;
    struct session_client *c = stream->client;

    if (!is_present(stream))
        return;
    if (c->voice)
        session_voice_rtt(c->voice, rtt_us);
    session_turns_path(c->cfg.turns, rtt_us,
                       c->voice ? session_voice_buffer_ms(c->voice) * 1000 : 0);
}

static void
on_stream_drain(void *arg, uint32_t ms)
{
    struct session_client_stream *stream = arg;
    struct session_client *c = stream->client;

    if (is_present(stream))
        c->handlers->on_drain(c->arg, ms);
}

static void
on_stream_writable(void *arg)
{
    struct session_client_stream *stream = arg;
    struct session_client *c = stream->client;

    if (is_present(stream))
        c->handlers->on_writable(c->arg);
}

static void
on_stream_drained(void *arg)
{
    struct session_client_stream *stream = arg;
    struct session_client *c = stream->client;

    if (is_present(stream) && c->voice)
        session_voice_writable(c->voice);
}

static void
stats_add(struct stream_link_stats *sum, const struct stream_link *link)
{
    struct stream_link_stats one;

    stream_link_get_stats(link, &one);
    sum->up_messages += one.up_messages;
    sum->down_messages += one.down_messages;
    sum->up_bytes += one.up_bytes;
    sum->down_bytes += one.down_bytes;
    sum->stall_us += one.stall_us;
}

static void
on_stream_closed(void *arg, uint16_t code, const char *reason)
{
    struct session_client_stream *stream = arg;
    struct session_client *c = stream->client;

    stats_add(&c->past, &stream->link);
    if (is_present(stream)) {
        c->stream = NULL;
        if (c->back && c->handlers->on_lost(c->arg, code)) {
            detach(c);
        } else {
            back_close(c);
            c->handlers->on_closed(c->arg, code, reason);
        }
    }
    free(stream);
    c->handlers->on_gone(c->arg);
}

static const struct stream_link_handlers stream_handlers = {
    .on_message = on_stream_message,
    .on_rtt = on_stream_rtt,
    .on_drain = on_stream_drain,
    .on_writable = on_stream_writable,
    .on_drained = on_stream_drained,
    .on_closed = on_stream_closed,
};

/* --- connections */

/* Becomes the present one. */
static int
stream_open(struct session_client *c, int fd)
{
    struct session_client_stream *stream = calloc(1, sizeof(*stream));
    const struct stream_link_config cfg = {
        .loop = c->cfg.loop,
        .fd = fd,
        .id = c->cfg.id,
        .max_message_bytes = c->cfg.max_message_bytes,
        .down_high_bytes = c->cfg.down_high_bytes,
        .down_max_bytes = c->cfg.down_max_bytes,
    };

    if (!stream) {
        close(fd);
        return UV_ENOMEM;
    }
    stream->client = c;
    int result =
        stream_link_open(&stream->link, &cfg, &stream_handlers, stream);
    if (result)
        free(stream);
    else
        c->stream = stream;
    return result;
}

/* --- Opus */

static void
on_voice_event(void *arg, const char *json, size_t bytes)
{
    struct session_client *c = arg;

    c->handlers->on_message(c->arg, STREAM_TEXT, (const uint8_t *) json, bytes);
}

static int message_send(struct session_client *c, enum stream_opcode opcode,
                        const void *data, size_t bytes);
static void tail_push(struct session_client *c, const char *json, size_t bytes,
                      bool passing);

/* A queue that is full closes the session with the next event of the model. */
static void
on_voice_send_event(void *arg, const char *json, size_t bytes, bool passing)
{
    struct session_client *c = arg;

    tail_push(c, json, bytes, passing);
    if (c->stream)
        (void) message_send(c, STREAM_TEXT, json, bytes);
}

/* Audio waits in the gateway, where it can be dropped, and not in a queue. */
static int
on_voice_send_packet(void *arg, const void *message, size_t bytes)
{
    struct session_client *c = arg;

    if (!c->stream)
        return UV_ENOTCONN;
    if (stream_link_is_stalled(&c->stream->link))
        return UV_EAGAIN;
    return stream_link_send(&c->stream->link, STREAM_BINARY, message, bytes);
}

static const struct session_voice_handlers voice_handlers = {
    on_voice_event, on_voice_send_event, on_voice_send_packet};

static int
voice_open(struct session_client *c)
{
    const struct session_voice_config voice = {
        .loop = c->cfg.loop,
        .id = c->cfg.id,
        .policy = c->cfg.opus,
        .resume_grace_ms = c->cfg.grace_ms,
        .turns = c->cfg.turns,
        .figures = c->cfg.figures,
    };

    return c->cfg.opus
               ? session_voice_create(&c->voice, &voice, &voice_handlers, c)
               : 0;
}

int
session_client_open(struct session_client *c,
                    const struct session_client_config *cfg, int fd,
                    const struct session_client_handlers *handlers, void *arg)
{
    c->cfg = *cfg;
    c->handlers = handlers;
    c->arg = arg;
    int result = session_edge_init(&c->edge, cfg->dialect);
    if (!result)
        result = voice_open(c);
    if (result)
        close(fd);
    else
        result = stream_open(c, fd);
    if (result) {
        session_client_deinit(c);
        return result;
    }
    result = back_open(c, cfg);
    if (result)
        LOG(WARN, c->cfg.id, "event=no_resume error=\"%s\"",
            uv_strerror(result));
    if (c->voice) {
        session_voice_attached(c->voice, c->back ? cfg->token : NULL);
        session_voice_begin(c->voice);
    }
    return 0;
}

void
session_client_deinit(struct session_client *c)
{
    session_voice_destroy(&c->voice);
    session_edge_deinit(&c->edge);
}

void
session_client_drop(struct session_client *c, uint16_t code, const char *reason)
{
    if (c->stream)
        stream_link_close(&c->stream->link, code, reason);
}

void
session_client_close(struct session_client *c, uint16_t code,
                     const char *reason)
{
    back_close(c);
    if (c->voice)
        session_voice_close(c->voice);
    session_client_drop(c, code, reason);
}

int
session_client_expect(struct session_client *c, const char *after,
                      struct session_return *coming)
{
    struct session_client_back *back = c->back;

    if (!back)
        return UV_ENOENT;
    if (back->is_expecting)
        return UV_EBUSY;
    if (!after[0] && c->stream)
        coming->from = back->tail.count;
    else if (session_tail_find(&back->tail, after, &coming->from))
        return UV_ENOENT;
    back->is_expecting = true;
    coming->session = back->entry.session;
    coming->opus = c->voice != NULL;
    session_resume_token(coming->token);
    return 0;
}

/* One text for the client becomes several, or none. */
struct edge_down {
    struct stream_link *stream;
    int result;
};

static void
on_edge_down(void *arg, const char *json, size_t bytes)
{
    struct edge_down *down = arg;

    if (!down->result)
        down->result = stream_link_send(down->stream, STREAM_TEXT, json, bytes);
}

/* To the present connection, in the client's dialect. */
static int
message_send(struct session_client *c, enum stream_opcode opcode,
             const void *data, size_t bytes)
{
    struct edge_down down = {.stream = &c->stream->link};

    if (opcode != STREAM_TEXT)
        return stream_link_send(down.stream, opcode, data, bytes);
    int result = session_edge_down(&c->edge, data, bytes, on_edge_down, &down);
    return result ? result : down.result;
}

static void
on_missed(void *arg, const struct session_tail_message *message)
{
    struct session_client *c = arg;

    /* The tail is smaller than the queue; a stream that fails says so. */
    (void) message_send(c, (enum stream_opcode) message->opcode, message->data,
                        message->bytes);
}

static void
attached(struct session_client *c, const struct session_return *coming)
{
    struct session_client_back *back = c->back;

    uv_timer_stop(&back->timer);
    session_resume_set(back->resumes, &back->entry, coming->token);
    if (c->voice)
        session_voice_attached(c->voice, coming->token);
    session_tail_replay(&back->tail, coming->from, on_missed, c);
    if (c->voice)
        session_voice_begin(c->voice);
    if (c->paused)
        stream_link_pause(&c->stream->link, true);
    c->handlers->on_attached(c->arg);
}

bool
session_client_attach(struct session_client *c,
                      const struct session_return *coming, int fd)
{
    struct session_client_stream *old = c->stream;

    if (!c->back) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    c->back->is_expecting = false;
    if (fd >= 0 && coming->from < c->back->tail.gap) {
        close(fd); /* too much has come since it was let in */
        fd = -1;
    }
    if (fd < 0 || stream_open(c, fd)) {
        if (!c->stream)
            detach_on(c->back);
        return false;
    }
    if (old)
        stream_link_close(&old->link, WS_CLOSE_GOING_AWAY,
                          "resumed over another connection");
    attached(c, coming);
    return true;
}

/* --- verbs */

/* Without memory the tail has a gap, and nobody resumes over it. */
static void
tail_push(struct session_client *c, const char *json, size_t bytes,
          bool passing)
{
    const struct session_tail_message message = {
        .opcode = STREAM_TEXT,
        .passing = passing,
        .data = json,
        .bytes = bytes,
        .at_ms = c->back ? clock_now_ms() : 0,
    };

    if (c->back)
        (void) session_tail_push(&c->back->tail, &message);
}

int
session_client_send(struct session_client *c, const char *json, size_t bytes,
                    const struct realtime_peek *peek)
{
    if (c->voice && session_voice_down_event(c->voice, json, bytes, peek))
        return 0;
    tail_push(c, json, bytes, false);
    return c->stream ? message_send(c, STREAM_TEXT, json, bytes) : 0;
}

void
session_client_pause(struct session_client *c, bool paused)
{
    c->paused = paused;
    if (c->voice)
        session_voice_pause(c->voice, paused);
    if (c->stream)
        stream_link_pause(&c->stream->link, paused);
}

bool
session_client_may_return(const struct session_client *c)
{
    return c->back != NULL;
}

bool
session_client_speaks_opus(const struct session_client *c)
{
    return c->voice != NULL;
}

bool
session_client_is_attached(const struct session_client *c)
{
    return c->stream != NULL;
}

bool
session_client_is_full(const struct session_client *c)
{
    return c->stream && stream_link_is_full(&c->stream->link);
}

size_t
session_client_queued_bytes(const struct session_client *c)
{
    return c->stream ? stream_link_queued_bytes(&c->stream->link) : 0;
}

void
session_client_get_stats(const struct session_client *c,
                         struct stream_link_stats *out)
{
    *out = c->past;
    if (c->stream)
        stats_add(out, &c->stream->link);
}

void
session_client_get_voice(const struct session_client *c,
                         struct session_voice_figures *out)
{
    if (c->voice)
        session_voice_get_figures(c->voice, out);
    else
        *out = (struct session_voice_figures){0};
}

uint64_t
session_client_heard_ms(const struct session_client *c)
{
    return c->voice ? session_voice_heard_ms(c->voice) : 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   client ─► stream_link ─► on_message ─► stream_link ─► client
 *   full down ─► paused up
 */

#include "session/session_echo.h"

#include "base/clock.h"
#include "base/log.h"
#include "session/session_drain.h"
#include "session/session_registry.h"
#include "session/session_summary.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUIET_LOOKS 10

/* While it drains. */
struct echo_drain {
    struct session_drain *drain;
    uint32_t looked_at; /* up_messages at the last look */
    unsigned quiet_looks;
};

/* One piece of memory, of which there are many while nothing happens. */
struct session_echo {
    struct session_entry entry;
    struct session_registry *registry;
    struct stream_link stream;
    struct echo_drain *drain; /* NULL unless draining */
    uint32_t rtt_us;
    bool server_end : 1;
    bool drained : 1;
    char id[];
};

static void
on_message(void *arg, enum stream_opcode opcode, const uint8_t *data,
           size_t bytes)
{
    struct session_echo *e = arg;
    int result = stream_link_send(&e->stream, opcode, data, bytes);

    if (result == UV_ENOBUFS || result == UV_ENOMEM)
        stream_link_close(&e->stream, 1013, "too much to echo");
    else if (stream_link_is_full(&e->stream))
        stream_link_pause(&e->stream, true);
}

static void
on_rtt(void *arg, uint32_t rtt_us)
{
    struct session_echo *e = arg;

    e->rtt_us = rtt_us;
}

/* Whoever talks sends again within a second. Looks, not time: a loop that was
 * held up has read nothing. */
static bool
on_drain_look(void *arg)
{
    struct session_echo *e = arg;
    uint32_t messages = e->stream.up_messages;
    struct echo_drain *d = e->drain;

    if (messages != d->looked_at || stream_link_queued_bytes(&e->stream) > 0)
        d->quiet_looks = 0;
    else
        d->quiet_looks++;
    d->looked_at = messages;
    return d->quiet_looks >= QUIET_LOOKS;
}

static void
on_drain_over(void *arg)
{
    struct session_echo *e = arg;

    e->drained = true;
    stream_link_close(&e->stream, 1001, "the gateway is shutting down");
}

static const struct session_drain_handlers drain_handlers = {on_drain_look,
                                                             on_drain_over};

static void
on_drain(void *arg, uint32_t ms)
{
    struct session_echo *e = arg;
    const struct session_drain_config cfg = {
        .loop = e->entry.loop,
        .ms = ms,
        .patience_ms = session_drain_patience_ms(ms),
    };

    if (e->drain)
        return;
    LOG(INFO, e->id, "event=drain ms=%" PRIu32, ms);
    e->drain = calloc(1, sizeof(*e->drain));
    if (e->drain)
        e->drain->looked_at = e->stream.up_messages;
    if (!e->drain
        || session_drain_start(&e->drain->drain, &cfg, &drain_handlers, e))
        LOG(WARN, e->id, "event=drain_unwatched error=\"no memory\"");
}

static void
on_writable(void *arg)
{
    struct session_echo *e = arg;

    stream_link_pause(&e->stream, false);
}

static void
on_closed(void *arg, uint16_t code, const char *reason)
{
    struct session_echo *e = arg;
    bool drained = e->drained || (e->drain && code == WS_CLOSE_GOING_AWAY);
    struct session_summary summary = {
        .entry = &e->entry,
        .reason = e->server_end ? "shutdown"
                  : drained     ? "drained"
                                : "client_closed",
        .code = e->server_end ? 1001 : code,
        .duration_ms = clock_now_ms() - e->entry.since_ms,
        .turns.rtt_us = e->rtt_us,
    };

    (void) reason;
    stream_link_get_stats(&e->stream, &summary.stream);
    session_summary_log(&summary);
    if (e->drain)
        session_drain_stop(&e->drain->drain);
    free(e->drain);
    session_registry_remove(e->registry, &e->entry);
    free(e);
}

static void
on_end(struct session_entry *entry)
{
    /* Its first member. */
    struct session_echo *e = (struct session_echo *) entry;

    e->server_end = true;
    stream_link_close(&e->stream, 1001, "the server is going away");
}

static const struct stream_link_handlers handlers = {
    .on_message = on_message,
    .on_rtt = on_rtt,
    .on_drain = on_drain,
    .on_writable = on_writable,
    .on_closed = on_closed,
};

int
session_echo_start(const struct session_config *cfg)
{
    size_t id_bytes = strlen(cfg->id) + 1;
    struct session_echo *e =
        calloc(1, offsetof(struct session_echo, id) + id_bytes);
    struct stream_link_config stream = {
        .loop = cfg->loop,
        .fd = cfg->fd,
        .max_message_bytes = cfg->max_message_bytes,
        .down_high_bytes = SESSION_DOWN_HIGH,
        /* One message of any size fits behind a queue that is not full. */
        .down_max_bytes = SESSION_DOWN_HIGH + cfg->max_message_bytes + 1024,
    };

    if (!e) {
        close(cfg->fd);
        return UV_ENOMEM;
    }
    memcpy(e->id, cfg->id, id_bytes);
    stream.id = e->id;
    int result = stream_link_open(&e->stream, &stream, &handlers, e);
    if (result) {
        free(e);
        return result;
    }
    e->registry = cfg->registry;
    e->entry.id = e->id;
    e->entry.tenant = "";
    e->entry.model = "echo";
    e->entry.loop = cfg->loop;
    e->entry.since_ms = clock_now_ms();
    e->entry.on_end = on_end;
    session_registry_add(e->registry, &e->entry);
    return 0;
}

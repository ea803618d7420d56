/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A link to a Realtime model, whichever it is: one interface for the built-in
 * offline model and for remote ones. Events are whole JSON texts of the GA
 * Realtime API, both ways. A link lives on one loop and is used on it alone.
 * Implementations embed struct model_link as their first member.
 */

#ifndef VOICE_MODEL_LINK_H
#define VOICE_MODEL_LINK_H

#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model_link;

struct model_link_handlers {
    /* One event of the model, NUL-terminated, borrowed for the call. The first
     * is session.created. The handler may send, pause or close. Never called
     * from inside model_link_send or open: the link posts to itself. */
    void (*on_event)(void *arg, const char *json, size_t bytes);
    /* Room again after a send returned UV_EAGAIN. */
    void (*on_writable)(void *arg);
    /* Last call, always made, never inside open or close. code is a WebSocket
     * close code; reason is borrowed. */
    void (*on_closed)(void *arg, uint16_t code, const char *reason);
};

struct model_link_config {
    struct loop *loop;
    const char *session_id; /* "sess_…"; the model's own sessions use it too */
    const char *model;      /* name asked for; copied */
    /* The rest is for remote models; NULL or 0: not given. */
    const char *const *upstreams; /* names in order of failover; borrowed for
                                     the call; NULL: the configuration's */
    size_t upstream_count;
    const char *call_id;   /* attach to this call: no session.created comes,
                              the link is ready when on_event has got
                              MODEL_LINK_ATTACHED */
    const char *intent;    /* "transcription" */
    const char *safety_id; /* OpenAI-Safety-Identifier of the end user */
    uint64_t warm_ticket;  /* an open link reserved for this one (warm_pool);
                              the server knows what it stands for */
};

/* What a link to a call says first, in the place of session.created. */
#define MODEL_LINK_ATTACHED "{\"type\":\"voice.attached\"}"

struct model_link_ops {
    int (*send)(struct model_link *link, const char *json, size_t bytes);
    void (*pause)(struct model_link *link, bool paused);
    void (*close)(struct model_link *link);
    const char *(*name)(const struct model_link *link);
    void (*adopt)(struct model_link *link,
                  const struct model_link_handlers *handlers, void *arg);
};

struct model_link {
    const struct model_link_ops *ops;
};

/* Borrows the text. 0, UV_EAGAIN (stop sending; it was taken), UV_EPIPE. */
static inline int
model_link_send(struct model_link *link, const char *json, size_t bytes)
{
    return link->ops->send(link, json, bytes);
}

/* The reader can't take more: make no events until resumed (bounded few may
 * still come). Idempotent. */
static inline void
model_link_pause(struct model_link *link, bool paused)
{
    link->ops->pause(link, paused);
}

/* Asynchronous; ends in on_closed, after which the link is gone. */
static inline void
model_link_close(struct model_link *link)
{
    link->ops->close(link);
}

/* "offline", or the upstream's name. */
static inline const char *
model_link_name(const struct model_link *link)
{
    return link->ops->name(link);
}

/*
 * Gives the link to other handlers, on the same loop, from its present
 * handler's side (never from inside on_closed). From now on they get what
 * comes; nothing that came before is told again, but for a link whose
 * session.created nobody has been given: that one is posted. NULL in ops:
 * it can't be given away (offline).
 */
static inline void
model_link_adopt(struct model_link *link,
                 const struct model_link_handlers *handlers, void *arg)
{
    link->ops->adopt(link, handlers, arg);
}

/* Takes a link that can be given away (NULL is fine): it closes, and nobody
 * hears of it any more. */
void model_link_discard(struct model_link **link);

#endif

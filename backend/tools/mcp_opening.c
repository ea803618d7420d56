/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/mcp_opening.h"

#include "base/loop_timer.h"

#include <stdlib.h>
#include <uv.h>

struct mcp_opening {
    const struct mcp_opening_handlers *handlers;
    void *arg;
    uint64_t probe_ms;
    struct loop_timer *timer;    /* the question's */
    uint64_t probe, handshake;   /* numbers of what is not answered yet */
    struct mcp_greeting offered; /* by a late answer; version NULL: none */
    bool probing, under_way;
};

/* --- both ways to its end */

static void
opening_fail(struct mcp_opening *o, const char *why)
{
    mcp_opening_stop(o);
    o->handlers->on_failed(o->arg, why);
}

static void
opening_finish(struct mcp_opening *o, const struct mcp_greeting *greeting)
{
    const struct mcp_greeting found = *greeting;

    mcp_opening_stop(o);
    o->handlers->on_open(o->arg, &found);
}

/* --- the handshake */

static void
handshake_send(struct mcp_opening *o)
{
    o->probing = false;
    loop_timer_stop(o->timer);
    o->handshake = o->handlers->on_send(
        o->arg, "initialize", mcp_initialize_params(), MCP_ERA_UNKNOWN);
    if (!o->handshake)
        opening_fail(o, "the handshake can't be sent");
}

static void
handshake_fail(struct mcp_opening *o, const char *why)
{
    if (o->offered.version)
        opening_finish(o, &o->offered);
    else
        opening_fail(o, why);
}

static void
handshake_answered(struct mcp_opening *o, const struct json_rpc *answer)
{
    struct mcp_greeting greeting;
    int error = UV_EPROTO;

    if (answer->kind == JSON_RPC_RESULT)
        error = mcp_initialized_read(&greeting, answer->result);
    if (!error)
        opening_finish(o, &greeting);
    else if (error == UV_ENOTSUP)
        handshake_fail(o, "it speaks another version of the protocol");
    else
        handshake_fail(o, "it refuses the handshake");
}

/* --- the question */

static void
probe_send(struct mcp_opening *o)
{
    o->probing = true;
    loop_timer_start(o->timer, o->probe_ms, 0);
    o->probe = o->handlers->on_send(o->arg, "server/discover", json_object(),
                                    MCP_ERA_MODERN);
    if (!o->probe)
        opening_fail(o, "it can't be asked");
}

/* It may be starting still; it may be old and silent. */
static void
on_timer(void *arg)
{
    handshake_send(arg);
}

static void
probe_answered(struct mcp_opening *o, const struct json_rpc *answer)
{
    struct mcp_greeting greeting;
    bool modern = answer->kind == JSON_RPC_RESULT
                  && mcp_discovered_read(&greeting, answer->result) == 0;

    if (o->probing && modern)
        opening_finish(o, &greeting);
    else if (o->probing)
        handshake_send(o);
    else if (modern)
        o->offered = greeting;
}

/* A refusal by HTTP is an answer too: an old server's. */
static void
probe_failed(struct mcp_opening *o, int error, unsigned status, const char *why)
{
    if (!o->probing)
        return;
    if (status && error != UV_EACCES)
        handshake_send(o);
    else
        opening_fail(o, error == UV_EACCES ? "it refuses our key" : why);
}

/* --- what comes */

bool
mcp_opening_answer(struct mcp_opening *o, const struct json_rpc *answer)
{
    if (!o->under_way || !answer->number)
        return false;
    if (answer->number == o->probe) {
        o->probe = 0;
        probe_answered(o, answer);
        return true;
    }
    if (answer->number != o->handshake)
        return false;
    o->handshake = 0;
    handshake_answered(o, answer);
    return true;
}

bool
mcp_opening_failed(struct mcp_opening *o, uint64_t number, int error,
                   unsigned status, const char *why)
{
    if (!o->under_way || !number)
        return false;
    if (number == o->probe) {
        o->probe = 0;
        probe_failed(o, error, status, why);
        return true;
    }
    if (number != o->handshake)
        return false;
    o->handshake = 0;
    handshake_fail(o, error == UV_EACCES ? "it refuses our key" : why);
    return true;
}

bool
mcp_opening_is_probing(const struct mcp_opening *o)
{
    return o->under_way && o->probing;
}

/* --- life */

void
mcp_opening_start(struct mcp_opening *o, enum mcp_era era)
{
    o->under_way = true;
    o->offered.version = NULL;
    if (era == MCP_ERA_LEGACY)
        handshake_send(o);
    else
        probe_send(o);
}

void
mcp_opening_stop(struct mcp_opening *o)
{
    o->under_way = o->probing = false;
    o->probe = o->handshake = 0;
    loop_timer_stop(o->timer);
}

int
mcp_opening_create(struct mcp_opening **op, struct loop *loop,
                   uint64_t probe_ms,
                   const struct mcp_opening_handlers *handlers, void *arg)
{
    struct mcp_opening *o = calloc(1, sizeof(*o));

    if (!o)
        return UV_ENOMEM;
    o->handlers = handlers;
    o->arg = arg;
    o->probe_ms = probe_ms;
    int result = loop_timer_create(&o->timer, loop, on_timer, o);
    if (result)
        free(o);
    else
        *op = o;
    return result;
}

void
mcp_opening_destroy(struct mcp_opening **op)
{
    struct mcp_opening *o = *op;

    *op = NULL;
    if (!o)
        return;
    loop_timer_destroy(&o->timer);
    free(o);
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "main/server_calls.h"

#include "model/upstream.h"
#include "model/upstream_request.h"
#include "service/tenant_limits.h"
#include "service/warm_mint.h"
#include "session/session_registry.h"

#include <stdlib.h>

struct server_calls {
    struct http_client *http; /* the server's */
    struct calls *calls;
    struct upstream_set *upstreams;
    struct warm_mint mint;
    struct warm_secrets *secrets; /* NULL: none are kept */
    struct session_call_config sessions;
};

/* A claimed call (calls_keep_h). One whose upstream is not configured here is
 * nothing this instance can have. */
static int
on_keep(void *arg, const struct call_info *call)
{
    struct server_calls *s = arg;
    struct tenant_limits *limits = s->sessions.limits;
    unsigned wait_s;
    struct loop *loop;

    if (!upstream_find(s->upstreams, call->upstream))
        return UV_EINVAL;
    int result = session_registry_reserve(s->sessions.registry, &loop);
    if (result)
        return result;
    /* Beyond its limit a call is kept all the same: it is there. */
    bool counted =
        limits
        && tenant_limits_enter(limits, call->tenant, &wait_s) == TENANT_MAY;
    result = session_call_start(&s->sessions, loop, call,
                                counted ? SESSION_CALL_COUNTED : 0);
    if (!result)
        return 0;
    if (counted)
        tenant_limits_leave(limits, call->tenant);
    session_registry_release(s->sessions.registry, loop);
    return result;
}

/* A session_call_config's; the client is closed after the last session. */
static void
on_hang_up(void *arg, const struct call_info *call)
{
    struct server_calls *s = arg;
    const struct upstream *to = upstream_find(s->upstreams, call->upstream);

    if (to)
        upstream_request_hangup(s->http, to, call->id);
}

/* Warm ones, for upstreams whose calls go out under a secret. */
static int
secrets_start(struct server_calls *s, const struct server_calls_config *cfg)
{
    const struct server_config *config = cfg->config;
    const struct warm_secrets_config warm = {
        .loop = cfg->loop,
        .secrets = (unsigned) config->warm.secrets,
        .max = (unsigned) config->warm.max,
        .ttl_ms = config->warm.ttl_ms,
        .refill_ms = config->warm.refill_ms,
        .mint = warm_mint_send,
        .mint_arg = &s->mint,
    };

    s->mint = (struct warm_mint){s->http, s->upstreams};
    return warm.secrets && warm.max ? warm_secrets_create(&s->secrets, &warm)
                                    : 0;
}

int
server_calls_create(struct server_calls **sp,
                    const struct server_calls_config *cfg)
{
    struct server_calls *s = calloc(1, sizeof(*s));
    const struct calls_config calls = {
        .loop = cfg->loop, .store = cfg->store, .keep = on_keep, .arg = s};

    if (!s)
        return UV_ENOMEM;
    s->http = cfg->http;
    s->upstreams = cfg->upstreams;
    s->sessions = cfg->sessions;
    s->sessions.hang_up = on_hang_up;
    s->sessions.hang_up_arg = s;
    s->sessions.max_session_ms = cfg->config->limits.session_ms;
    s->sessions.max_idle_ms = cfg->config->limits.idle_ms;
    *sp = s; /* a start that fails is taken down like a server */
    int result = secrets_start(s, cfg);
    if (!result)
        result = calls_create(&s->calls, &calls);
    if (result)
        return result;
    s->sessions.calls = s->calls;
    calls_start(s->calls);
    return 0;
}

void
server_calls_drain(struct server_calls *s)
{
    if (s && s->calls)
        calls_drain(s->calls);
    if (s && s->secrets)
        warm_secrets_stop(s->secrets);
}

void
server_calls_stop(struct server_calls *s)
{
    if (!s)
        return;
    if (s->calls)
        calls_close(s->calls);
    if (s->secrets)
        warm_secrets_stop(s->secrets);
}

void
server_calls_destroy(struct server_calls **sp)
{
    struct server_calls *s = *sp;

    *sp = NULL;
    if (!s)
        return;
    calls_destroy(&s->calls);
    warm_secrets_destroy(&s->secrets);
    free(s);
}

struct calls *
server_calls_calls(struct server_calls *s)
{
    return s ? s->calls : NULL;
}

const struct session_call_config *
server_calls_sessions(struct server_calls *s)
{
    return s ? &s->sessions : NULL;
}

struct warm_secrets *
server_calls_secrets(struct server_calls *s)
{
    return s ? s->secrets : NULL;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   request ─► protocol ─► policy ─► query ─► model ─► slot ─► 101
 *                 └───────────┴─────────┴────────┴───────┴─► JSON error
 *   101 ─► descriptor ─► task ─► the slot's loop ─► session
 */

#include "api/api_realtime.h"

#include "api/api_limits.h"
#include "api/api_resume.h"
#include "api/api_sideband.h"
#include "api/api_upgrade.h"
#include "base/clock.h"
#include "base/log.h"
#include "codec/policy.h"
#include "codec/turn_detection.h"
#include "gate/crypto.h"
#include "service/tenant_limits.h"
#include "model/upstream.h"
#include "service/warm_pool.h"
#include "session/session_echo.h"
#include "session/session_registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL_BYTES     128
#define QUERY_BYTES     8192 /* NGINX takes no longer request line by default */
#define SAFETY_ID_BYTES (UPSTREAM_SAFETY_ID_MAX + 1)
#define BESIDE_MAX      4 /* sessions beside calls, for each that is allowed */

/* What a request has been found to want; everything in it is of the request
 * thread but the job. */
struct connect {
    struct gate_request *rq;
    struct api_context *api;
    const struct policy *policy;
    char asked[QUERY_BYTES];
    const char *model;
    bool may_return;                 /* ?resume=new */
    const char *intent;              /* a literal; NULL: a conversation */
    const char *vad;                 /* a literal; NULL: no ?vad= */
    char safety_id[SAFETY_ID_BYTES]; /* "" not known */
    uint64_t ticket;                 /* of the warm pool, 0 none */
    uint64_t accepted_us;
    const struct call_info *call; /* to be attached to; NULL: a session */
    enum api_protocol protocol;
};

/* A session on its way to its loop. */
struct job {
    struct loop_task task;
    struct session_config session;
    struct warm_pool *warm;
    const char *upstream; /* a call's */
    bool echo;
    char texts[]; /* that the session borrows until it has begun */
};

enum job_text {
    TEXT_ID,
    TEXT_TENANT,
    TEXT_MODEL,
    TEXT_TOKEN,
    TEXT_SAFETY_ID,
    TEXT_BOUND,
    TEXT_CALL_ID,
    TEXT_UPSTREAM,
    TEXT_COUNT
};

/* A name that is safe in a log line and in a URL, where it may be a part of the
 * path: it leads to no other. */
static bool
model_name_is_sound(const char *name)
{
    static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz"
                                "0123456789._-:/@+";

    return name[strspn(name, chars)] == 0 && strcmp(name, ".") != 0
           && !strstr(name, "..");
}

/* Every function of this row: true, or the request is answered and gone. */

static bool
protocol_check(struct connect *c)
{
    const char *version = gate_param(c->rq, "VOICE_PROTOCOL");

    if (version && strcmp(version, "1") == 0)
        return true;
    LOG(ALERT, "realtime",
        "event=protocol_mismatch: the NGINX module is of another version");
    api_error(c->rq, 500, "stream_protocol_mismatch",
              "The NGINX module and the voice server do not match.", NULL);
    return false;
}

static bool
policy_check(struct connect *c)
{
    const char *text = gate_param(c->rq, "VOICE_POLICY");
    char error[POLICY_ERROR_BYTES];

    if (!text || !*text) {
        api_error(c->rq, 403, "policy_missing",
                  "This location has no voice policy.", NULL);
        return false;
    }
    int result = policy_get(&c->policy, text, error);
    if (!result)
        return true;
    LOG(ALERT, "realtime", "event=bad_policy error=\"%s\"", error);
    api_error(c->rq, 500, "policy_invalid",
              "The voice policy of this location can't be read.", NULL);
    return false;
}

/* A minted secret opens the kind of session it was minted for. */
static bool
bound_intent_check(struct connect *c, const char *intent)
{
    const char *bound = api_secret_model(c->rq); /* "": a transcription */

    if (!bound || !*bound == (strcmp(intent, "transcription") == 0))
        return true;
    api_error(c->rq, 403, "intent_not_allowed",
              "The client secret is bound to another kind of session.",
              "intent");
    return false;
}

/* Opus is for conversations, where the policy has it; beside a call there is
 * no audio. */
static bool
subprotocol_check(struct connect *c)
{
    bool served = c->policy->opus.on && !c->call && !c->api->config->bench.echo;

    c->protocol = api_protocol(c->rq, served);
    return c->protocol != API_PROTOCOL_REFUSED;
}

/* Transcription is for the servers that have it. */
static bool
intent_check(struct connect *c)
{
    const char *bound = api_secret_model(c->rq);
    char value[QUERY_BYTES];

    if (!api_query(c->rq, "intent", value, sizeof(value)))
        snprintf(value, sizeof(value), "%s",
                 bound && !*bound ? "transcription" : "realtime");
    if (!bound_intent_check(c, value))
        return false;
    if (strcmp(value, "realtime") == 0)
        return true;
    if (c->api->upstreams && strcmp(value, "transcription") == 0) {
        c->intent = "transcription";
        return true;
    }
    api_error(c->rq, 400, "unsupported_intent",
              c->api->upstreams ? "intent is realtime or transcription."
                                : "Only intent=realtime is served here.",
              "intent");
    return false;
}

/* The policy names upstreams of voiced.conf: two files that must agree. */
static bool
upstream_check(struct connect *c)
{
    const struct policy_names *names = &c->policy->upstream;

    if (!c->api->upstreams
        || upstream_knows(c->api->upstreams, (const char *const *) names->items,
                          names->count))
        return true;
    LOG_LIMITED(ALERT, "realtime",
                "event=upstream_unknown: voice_upstream names one that "
                "voiced.conf does not have");
    api_error(c->rq, 500, "upstream_unknown",
              "This location names an upstream that the server does not have.",
              NULL);
    return false;
}

/* One that can't stand in a header is not passed on. */
static void
safety_id_take(struct connect *c)
{
    const char *id = gate_param(c->rq, "HTTP_OPENAI_SAFETY_IDENTIFIER");

    if (c->api->upstreams && id && upstream_safety_id_is_sound(id))
        snprintf(c->safety_id, sizeof(c->safety_id), "%s", id);
}

/* For clients that can send no session.update of their own. */
static bool
vad_check(struct connect *c)
{
    char value[QUERY_BYTES];

    if (!api_query(c->rq, "vad", value, sizeof(value)))
        return true;
    c->vad = turn_detection_name(value);
    if (c->vad)
        return true;
    api_error(c->rq, 400, "invalid_value",
              "vad is quiet, normal, noisy, semantic or off.", "vad");
    return false;
}

static void on_call(struct gate_request *rq, struct api_context *api,
                    const struct call_info *call);

static bool
query_check(struct connect *c)
{
    char value[QUERY_BYTES];

    c->may_return = api_query(c->rq, "resume", value, sizeof(value));
    if (c->may_return && strcmp(value, "new") != 0) {
        api_resume(c->rq, c->api, value);
        return false;
    }
    if (api_query(c->rq, "call_id", value, sizeof(value))) {
        api_sideband_find(c->rq, c->api, value, on_call);
        return false;
    }
    return vad_check(c) && intent_check(c);
}

static bool
model_refuse(struct connect *c, int result)
{
    if (result == UV_EINVAL)
        api_error(c->rq, 400, "missing_required_parameter",
                  "Name a model: ?model=", "model");
    else
        api_error(c->rq, 404, "model_not_found",
                  "The model does not exist or is not served here.", "model");
    return false;
}

/* A minted secret has its model; a client may name it, and no other. */
static bool
bound_model_check(struct connect *c)
{
    const char *bound = api_secret_model(c->rq);

    if (!bound || !*bound)
        return true;
    if (c->asked[0] && strcmp(c->asked, bound) != 0) {
        api_error(c->rq, 403, "model_not_allowed",
                  "The client secret is bound to another model.", "model");
        return false;
    }
    snprintf(c->asked, sizeof(c->asked), "%s", bound);
    return true;
}

static bool
model_check(struct connect *c)
{
    bool named = api_query(c->rq, "model", c->asked, sizeof(c->asked));
    int result;

    if (!named)
        c->asked[0] = 0;
    if (!bound_model_check(c))
        return false;
    if (strlen(c->asked) >= MODEL_BYTES || !model_name_is_sound(c->asked))
        return model_refuse(c, UV_ENOENT);
    result = policy_model(c->policy, c->asked, &c->model);
    if (result == UV_EINVAL && c->intent) {
        c->model = c->intent; /* a session of that kind has none */
        result = 0;
    } else if (result == UV_EINVAL && c->api->model_name
               && !c->api->upstreams) {
        c->model = c->api->model_name;
        result = 0;
    }
    if (!result && strlen(c->model) >= MODEL_BYTES)
        result = UV_ENOENT;
    return result ? model_refuse(c, result) : true;
}

static void
warm_give_back(struct connect *c)
{
    if (c->ticket)
        warm_pool_give_back(c->api->warm, c->ticket);
    c->ticket = 0;
}

/* A link that is open already, where a session of this kind may have one: on
 * its loop the session will live. */
static bool
warm_take(struct connect *c, struct loop **loop)
{
    const struct policy_names *names = &c->policy->upstream;
    struct warm_pool *warm = c->api->warm;

    if (!warm || c->call || c->intent || c->safety_id[0]
        || (names->count
            && strcmp(names->items[0], warm_pool_upstream(warm)) != 0)
        || warm_pool_take(warm, c->model, loop, &c->ticket))
        return false;
    if (session_registry_reserve_on(c->api->sessions, *loop) == 0)
        return true;
    warm_give_back(c);
    return false;
}

static bool
slot_check(struct connect *c, struct loop **loop)
{
    if (c->api->draining) {
        api_busy(c->rq, "server_draining", "The server is going away.");
        return false;
    }
    if (warm_take(c, loop))
        return true;
    if (session_registry_reserve(c->api->sessions, loop)) {
        api_busy(c->rq, "server_busy", "All sessions are taken.");
        return false;
    }
    return true;
}

static void
job_free(struct job *job)
{
    policy_put(&job->session.policy);
    free(job);
}

/* It becomes no session that could do so itself. */
static void
job_give_back(struct job *job)
{
    if (job->session.warm_ticket)
        warm_pool_give_back(job->warm, job->session.warm_ticket);
    if (job->session.limits)
        tenant_limits_leave(job->session.limits, job->session.tenant);
    session_registry_release(job->session.registry, job->session.loop);
}

/* On the loop. */
static void
on_job(struct loop_task *task, void *arg)
{
    struct job *job = arg;
    int result = job->echo ? session_echo_start(&job->session)
                           : session_start(&job->session);

    (void) task;
    if (result) {
        LOG(ERROR, job->session.id, "event=session_start error=\"%s\"",
            uv_strerror(result));
        job_give_back(job);
    } else if (job->echo && job->session.limits) {
        tenant_limits_leave(job->session.limits, job->session.tenant);
    }
    job_free(job);
}

/* The shortest time after which one of the upstreams ends a session; a link
 * that was kept warm has lived some of it. */
static uint64_t
upstream_cap_ms(const struct connect *c)
{
    const struct server_config *config = c->api->config;
    uint64_t warm_ms = c->ticket ? config->warm.ttl_ms : 0;
    uint64_t cap_ms = 0;

    for (size_t i = 0; i < config->upstream_count; i++) {
        uint64_t ms = config->upstreams[i].max_session_ms;

        if (ms && (!cap_ms || ms < cap_ms))
            cap_ms = ms;
    }
    return cap_ms > 2 * warm_ms ? cap_ms - warm_ms : cap_ms;
}

/* All of them may be tried, one after the other. */
static uint64_t
upstream_start_ms(const struct server_config *config)
{
    uint64_t start_ms = SESSION_START_MS;

    for (size_t i = 0; i < config->upstream_count; i++)
        start_ms += config->upstreams[i].connect_timeout_ms;
    return start_ms;
}

/* Many may wait for their loop at a time: no larger than it has to be. The
 * texts become the job's; NULL: there is none. */
static struct job *
job_alloc(const char *texts[TEXT_COUNT])
{
    size_t bytes = 0;

    for (size_t i = 0; i < TEXT_COUNT; i++)
        bytes += texts[i] ? strlen(texts[i]) + 1 : 0;
    struct job *job = calloc(1, sizeof(*job) + bytes);
    char *at = job ? job->texts : NULL;
    for (size_t i = 0; job && i < TEXT_COUNT; i++) {
        bytes = texts[i] ? strlen(texts[i]) + 1 : 0;
        if (bytes)
            texts[i] = memcpy(at, texts[i], bytes);
        at += bytes;
    }
    return job;
}

static struct session_config
session_of(const struct connect *c, struct loop *loop)
{
    const struct api_context *api = c->api;
    const struct server_config *config = api->config;

    return (struct session_config){
        .loop = loop,
        .fd = -1,
        .accepted_us = c->accepted_us,
        .policy = policy_ref(c->policy),
        .registry = api->sessions,
        .events = api->events,
        .usage = api->usage,
        .limits = api->limits,
        .tool_registry = api->tools,
        .tool_runner = api->tool_runner,
        .open_model = api->open_model,
        .open_model_arg = api->open_model_arg,
        .upstreams = (const char *const *) c->policy->upstream.items,
        .upstream_count = c->policy->upstream.count,
        .intent = c->intent,
        .vad = c->vad,
        .warm_ticket = c->ticket,
        .max_message_bytes = config->max_message_bytes,
        .client_dialect = api_client_dialect(c->rq),
        .client_opus = c->protocol == API_PROTOCOL_OPUS,
        .model_can_be_lost = config->upstream_count > 0,
        .upstream_cap_ms = upstream_cap_ms(c),
        .start_ms = upstream_start_ms(config),
        .resumes = api->resumes,
        .resume_grace_ms = (unsigned) config->resume_grace_ms,
        .max_session_ms = config->limits.session_ms,
        .max_idle_ms = config->limits.idle_ms,
    };
}

/* The call is the session that counts, and is counted. */
static void
job_attach(struct job *job, const char *const texts[TEXT_COUNT])
{
    job->upstream = texts[TEXT_UPSTREAM];
    job->session.call_id = texts[TEXT_CALL_ID];
    job->session.upstreams = &job->upstream;
    job->session.upstream_count = 1;
    job->session.model_can_be_lost = false;
    job->session.usage = NULL;
    job->session.limits = NULL;
}

static struct job *
job_create(struct connect *c, struct loop *loop)
{
    const struct server_config *config = c->api->config;
    char id[CRYPTO_ID_BYTES], token[SESSION_TOKEN_BYTES];
    const char *texts[TEXT_COUNT] = {
        [TEXT_ID] = id,
        [TEXT_TENANT] = api_tenant(c->rq),
        [TEXT_MODEL] = c->model,
        [TEXT_SAFETY_ID] = c->safety_id[0] ? c->safety_id : NULL,
        [TEXT_BOUND] = api_secret_session(c->rq),
        [TEXT_CALL_ID] = c->call ? c->call->id : NULL,
        [TEXT_UPSTREAM] = c->call ? c->call->upstream : NULL,
    };

    crypto_id("sess_", id);
    if (c->may_return && !config->bench.echo && config->resume_grace_ms) {
        session_resume_token(token);
        texts[TEXT_TOKEN] = token;
    }
    struct job *job = job_alloc(texts);
    if (!job)
        return NULL;
    job->task.run = on_job;
    job->task.arg = job;
    job->warm = c->api->warm;
    job->echo = config->bench.echo;
    job->session = session_of(c, loop);
    job->session.id = texts[TEXT_ID];
    job->session.tenant = texts[TEXT_TENANT];
    job->session.model = texts[TEXT_MODEL];
    job->session.resume_token = texts[TEXT_TOKEN];
    job->session.safety_id = texts[TEXT_SAFETY_ID];
    job->session.bound_session = texts[TEXT_BOUND];
    if (c->call)
        job_attach(job, texts);
    return job;
}

static void
accept_session(struct connect *c, struct job *job)
{
    job->session.fd = api_upgrade(c->rq, c->protocol, job->session.id,
                                  job->session.resume_token);
    if (job->session.fd < 0) {
        job_give_back(job);
        job_free(job);
        return;
    }
    loop_post(job->session.loop, &job->task);
}

/* What was taken for it is given back when it does not come about. */
static void
session_open(struct connect *c)
{
    char tenant[API_TENANT_BYTES];
    struct loop *loop;

    snprintf(tenant, sizeof(tenant), "%s", api_tenant(c->rq));
    if (!slot_check(c, &loop)) {
        if (!c->call)
            api_limits_leave(c->api, tenant);
        return;
    }
    struct job *job = job_create(c, loop);
    if (job) {
        accept_session(c, job);
        return;
    }
    warm_give_back(c);
    if (!c->call)
        api_limits_leave(c->api, tenant);
    session_registry_release(c->api->sessions, loop);
    api_busy(c->rq, "server_busy", "There is no memory left.");
}

/* A session beside a call is none of those that the tenant may have, but takes
 * the same room: it may have a few for each. */
static bool
beside_check(struct connect *c)
{
    uint64_t sessions = c->api->config->limits.sessions;

    if (!sessions
        || session_registry_count_of(c->api->sessions, api_tenant(c->rq))
               < sessions * (1 + BESIDE_MAX))
        return true;
    gate_add_header(c->rq, "Retry-After", API_RETRY_AFTER);
    api_error(c->rq, 429, "realtime_session_limit",
              tenant_refusal_text(TENANT_SESSIONS), NULL);
    return false;
}

/* A session beside a call: what it is was settled when the call was made. */
static void
on_call(struct gate_request *rq, struct api_context *api,
        const struct call_info *call)
{
    struct connect c = {
        .rq = rq,
        .api = api,
        .accepted_us = clock_now_us(),
        .call = call,
        .model = call->model,
    };

    if (!policy_check(&c))
        return;
    if (subprotocol_check(&c) && beside_check(&c))
        session_open(&c);
    policy_put(&c.policy);
}

void
api_realtime_connect(struct gate_request *rq, struct api_context *api)
{
    struct connect c = {.rq = rq, .api = api, .accepted_us = clock_now_us()};

    if (!protocol_check(&c) || !policy_check(&c))
        return;
    safety_id_take(&c);
    if (query_check(&c) && subprotocol_check(&c) && upstream_check(&c)
        && model_check(&c) && api_limits_enter(rq, api))
        session_open(&c);
    policy_put(&c.policy);
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   request ─► body ─► parked ─► whose call? ─► its upstream ─► answer
 *                                  └► nobody's: accept, reject ─► upstreams
 */

#include "api/api_call_control.h"

#include "api/api_call_maker.h"
#include "api/api_calls.h"
#include "api/api_fault.h"
#include "api/api_reply.h"
#include "api/api_secret_session.h"
#include "api/api_wait.h"
#include "base/clock.h"
#include "base/log.h"
#include "model/upstream_request.h"
#include "service/call_find.h"
#include "service/call_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum verb { VERB_HANGUP, VERB_ACCEPT, VERB_REJECT, VERB_REFER };

static const struct {
    const char *name;
    bool body;    /* is demanded */
    bool strange; /* of a call that was not made here */
} verbs[] = {
    [VERB_HANGUP] = {"hangup", false, false},
    [VERB_ACCEPT] = {"accept", true, true},
    [VERB_REJECT] = {"reject", false, true},
    [VERB_REFER] = {"refer", true, false},
};

struct control {
    struct api_context *api;
    struct api_wait *wait;
    enum verb verb;
    struct upstream_order upstreams; /* that may know the call */
    size_t at;
    bool strange;
    char *policy;
    char *body;                      /* JSON, NULL: none */
    struct api_call_session session; /* accept */
    struct loop *loop;               /* accept: a slot, until it is used */
    struct api_reply reply;
    char tenant[API_TENANT_BYTES];
    char id[CALLS_ID_BYTES];
};

static void
control_free(void *arg)
{
    struct control *c = arg;

    api_call_slot_put(c->api, c->tenant, &c->loop);
    api_call_session_deinit(&c->session);
    api_reply_deinit(&c->reply);
    free(c->policy);
    free(c->body);
    free(c);
}

static void
on_answer_time(struct gate_request *rq, struct api_context *api, int result,
               void *arg)
{
    struct control *c = arg;

    (void) api;
    if (result == UV_ETIMEDOUT)
        api_error(rq, 504, "upstream_timeout",
                  "The model's server did not answer in time.", NULL);
    else
        api_reply_send(&c->reply, rq);
}

/* The reply stands. Last: c may be gone. */
static void
done(struct control *c)
{
    struct api_wait *wait = c->wait;

    api_wait_done(&wait, 0);
}

static const struct upstream *
upstream_now(const struct control *c)
{
    return c->upstreams.items[c->at];
}

/* --- asking */

static void ask(struct control *c);

/* A SIP call that was taken is a call of ours like any other. */
static void
accepted(struct control *c)
{
    const struct call_info call = {
        .id = c->id,
        .tenant = c->tenant,
        .upstream = upstream_name(upstream_now(c)),
        .model = c->session.model,
        .policy = c->policy,
        .session = c->session.asked,
        .created_ms = clock_wall_ms(),
    };

    LOG(NOTICE, "calls", "event=call_accepted call=%s upstream=%s model=%s",
        c->id, call.upstream, call.model);
    api_call_keep(c->api, c->loop, &call);
    c->loop = NULL;
}

static void
on_answer(void *arg, const struct http_response *rs)
{
    struct control *c = arg;
    bool well = !rs->error && rs->status >= 200 && rs->status <= 299;

    if (!well && rs->status == 404 && c->at + 1 < c->upstreams.count) {
        c->at++;
        ask(c);
        return;
    }
    if (well && c->verb == VERB_ACCEPT && c->strange)
        accepted(c);
    if (well)
        c->reply.status = 200;
    else
        api_fault_reply(&c->reply, upstream_now(c), rs);
    done(c);
}

static void
ask(struct control *c)
{
    char tail[CALLS_ID_BYTES + 16];

    snprintf(tail, sizeof(tail), "/%s/%s", c->id, verbs[c->verb].name);
    char *url = upstream_calls_url(upstream_now(c), tail);
    const char *body = c->body ? c->body : "";
    const struct upstream_request request = {
        .to = upstream_now(c),
        .url = url,
        .type = c->body ? "application/json" : NULL,
        .body = body,
        .bytes = strlen(body),
    };
    int result =
        url ? upstream_request_send(c->api->http, &request, on_answer, c)
            : UV_ENOMEM;

    free(url);
    if (!result)
        return;
    const struct http_response rs = {.error = result, .why = "send"};
    api_fault_reply(&c->reply, upstream_now(c), &rs);
    done(c);
}

/* --- whose it is */

static void
not_found(struct control *c, int error)
{
    if (error == UV_ENOENT || error == UV_EACCES) {
        api_reply_error(&c->reply, 404, "call_id_not_found",
                        "No call with this id was made here.", "call_id");
    } else {
        api_reply_error(&c->reply, 503, "server_busy",
                        "The calls can't be looked up now.", NULL);
        api_reply_add_header(&c->reply, "Retry-After", "5");
    }
    done(c);
}

/*
 * A call of another tenant's is as good as none, and none may be taken from
 * it: what the store or this instance has (UV_EACCES) is not for the taking.
 */
static void
on_found(void *arg, int error, const struct call_info *call)
{
    struct control *c = arg;

    if (call) {
        c->upstreams.items[0] =
            upstream_find(c->api->upstreams, call->upstream);
        c->upstreams.count = 1;
        c->strange = false;
    }
    if (!c->upstreams.items[0])
        not_found(c, UV_ENOENT); /* its upstream is configured no more */
    else if (call || (error == UV_ENOENT && c->strange))
        ask(c);
    else
        not_found(c, error);
}

/* --- the request; 0, or rq is answered */

/* Read as a tree and written anew. */
static int
body_take(struct control *c, struct gate_request *rq, json_t **tree)
{
    const char *body;
    size_t bytes;
    int result = api_calls_body(rq, &body, &bytes);

    *tree = NULL;
    if (result || (!bytes && !verbs[c->verb].body))
        return result;
    result = api_body_json(rq, tree);
    if (result)
        return result;
    if (json_is_object(*tree) && (c->body = json_dumps(*tree, JSON_COMPACT)))
        return 0;
    api_error(rq, 400, "invalid_type", "The body is not a JSON object.", NULL);
    return UV_EINVAL;
}

/* A phone can change no session, but who accepts its call says what it is. */
static int
session_check(const struct control *c, struct gate_request *rq,
              const struct policy *policy, const json_t *tree)
{
    struct secret_session asked = {.status = 0};
    int result = policy->client_update == POLICY_UPDATE_ALLOW
                     ? 0
                     : secret_session_init(&asked, c->api, policy, tree);

    if (result == UV_EINVAL)
        api_error(rq, asked.status, asked.code, asked.message,
                  asked.param[0] ? asked.param : NULL);
    else if (result)
        gate_answer_busy(rq);
    secret_session_deinit(&asked);
    return result;
}

static int
session_take(struct control *c, struct gate_request *rq,
             const struct policy *policy, const json_t *tree)
{
    int result = session_check(c, rq, policy, tree);

    if (!result)
        result = api_call_session_init(&c->session, rq, policy, tree, "");
    if (result)
        return result;
    free(c->body);
    c->body = strdup(c->session.settings);
    if (c->body)
        return 0;
    gate_answer_busy(rq);
    return UV_ENOMEM;
}

static int
request_take(struct control *c, struct gate_request *rq)
{
    const struct policy *policy;
    json_t *tree = NULL;
    int result = api_calls_policy(rq, &policy);

    if (result)
        return result;
    result = api_call_upstreams(rq, c->api, policy, &c->upstreams);
    if (!result && !call_id_is_sound(api_path_id(rq))) {
        api_error(rq, 404, "call_id_not_found",
                  "No call with this id was made here.", "call_id");
        result = UV_ENOENT;
    }
    if (!result)
        result = body_take(c, rq, &tree);
    if (!result && c->verb == VERB_ACCEPT)
        result = session_take(c, rq, policy, tree);
    if (!result && c->verb == VERB_ACCEPT)
        result = api_call_slot(rq, c->api, &c->loop);
    json_decref(tree);
    policy_put(&policy);
    return result;
}

static void
control(struct gate_request *rq, struct api_context *api, enum verb verb)
{
    struct control *c = calloc(1, sizeof(*c));
    const struct api_wait_config wait = {
        .deadline_ms = API_CALL_DEADLINE_MS,
        .answer = on_answer_time,
        .release = control_free,
        .arg = c,
    };

    if (!c) {
        gate_answer_busy(rq);
        return;
    }
    c->api = api;
    c->verb = verb;
    c->strange = verbs[verb].strange;
    snprintf(c->tenant, sizeof(c->tenant), "%s", api_tenant(rq));
    if (request_take(c, rq)) {
        control_free(c);
        return;
    }
    snprintf(c->id, sizeof(c->id), "%s", api_path_id(rq));
    c->policy = strdup(gate_param(rq, "VOICE_POLICY"));
    if (c->policy && !api_wait_start(&c->wait, rq, api, &wait)) {
        call_find(api->calls, c->tenant, c->id, on_found, c);
        return;
    }
    control_free(c);
    gate_answer_busy(rq);
}

void
api_calls_hangup(struct gate_request *rq, struct api_context *api)
{
    control(rq, api, VERB_HANGUP);
}

void
api_calls_accept(struct gate_request *rq, struct api_context *api)
{
    control(rq, api, VERB_ACCEPT);
}

void
api_calls_reject(struct gate_request *rq, struct api_context *api)
{
    control(rq, api, VERB_REJECT);
}

void
api_calls_refer(struct gate_request *rq, struct api_context *api)
{
    control(rq, api, VERB_REFER);
}

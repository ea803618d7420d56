/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_call_maker.h"

#include "api/api_fault.h"
#include "api/api_limits.h"
#include "api/api_reply.h"
#include "api/api_wait.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "codec/dialect.h"
#include "codec/multipart.h"
#include "gate/crypto.h"
#include "model/upstream_request.h"
#include "service/call_table.h"
#include "service/warm_secrets.h"
#include "session/session_call.h"
#include "session/session_registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET_BYTES    WARM_SECRET_BYTES
#define FORM_MAX        (SDP_ROOM + API_CALL_SESSION_BYTES * 2)
#define SDP_ROOM        262144
#define LOCATION_PREFIX "/v1/realtime/calls/"

struct making {
    struct api_context *api;
    struct api_wait *wait;
    struct api_call_order order;
    size_t at; /* of order.upstreams */
    char *policy;
    char *safety_id;
    struct api_reply reply;
    atomic_bool delivered;
    char tenant[API_TENANT_BYTES];
    char call_id[CALLS_ID_BYTES]; /* "" until it is made */
    char boundary[40];
    char secret[SECRET_BYTES]; /* Azure's, for one offer */
};

static struct upstream *
upstream_now(const struct making *m)
{
    return m->order.upstreams.items[m->at];
}

/* --- life */

int
api_call_slot(struct gate_request *rq, struct api_context *api,
              struct loop **loop)
{
    bool draining = atomic_load(&api->draining);

    *loop = NULL;
    if (!draining && !api_limits_enter(rq, api))
        return UV_EBUSY;
    if (!draining && !session_registry_reserve(api->sessions, loop))
        return 0;
    if (!draining)
        api_limits_leave(api, api_tenant(rq));
    gate_add_header(rq, "Retry-After", "5");
    api_error(rq, 503, draining ? "server_draining" : "server_busy",
              draining ? "The server is going away."
                       : "All sessions are taken.",
              NULL);
    return UV_EBUSY;
}

void
api_call_slot_put(struct api_context *api, const char *tenant,
                  struct loop **loop)
{
    if (!*loop)
        return;
    api_limits_leave(api, tenant);
    session_registry_release(api->sessions, *loop);
    *loop = NULL;
}

static void
order_deinit(struct api_call_order *order)
{
    api_call_session_deinit(&order->session);
    buffer_deinit(&order->offer);
}

static void
making_free(void *arg)
{
    struct making *m = arg;

    if (m->call_id[0] && !atomic_load(&m->delivered)) {
        LOG(NOTICE, "calls", "event=call_unwanted call=%s", m->call_id);
        upstream_request_hangup(m->api->http, upstream_now(m), m->call_id);
    }
    api_call_slot_put(m->api, m->tenant, &m->order.loop);
    order_deinit(&m->order);
    api_reply_deinit(&m->reply);
    explicit_bzero(m->secret, sizeof(m->secret));
    free(m->policy);
    free(m->safety_id);
    free(m);
}

static void
on_answer_time(struct gate_request *rq, struct api_context *api, int result,
               void *arg)
{
    struct making *m = arg;

    (void) api;
    if (result == UV_ETIMEDOUT) {
        api_error(rq, 504, "upstream_timeout",
                  "The model's server did not answer in time.", NULL);
        return;
    }
    atomic_store(&m->delivered, true);
    api_reply_send(&m->reply, rq);
}

static void
count(const char *result)
{
    char name[80];

    snprintf(name, sizeof(name), "voiced_calls_total{result=\"%s\"}", result);
    metric_add(metric_register(METRIC_COUNTER, name, "Calls asked for."), 1);
}

/* The reply stands. Last: m may be gone. */
static void
done(struct making *m)
{
    struct api_wait *wait = m->wait;

    api_wait_done(&wait, 0);
}

static void
fail(struct making *m, int error)
{
    const struct http_response rs = {.error = error, .why = "send"};

    count("failed");
    api_fault_reply(&m->reply, upstream_now(m), &rs);
    done(m);
}

/* --- a call that is there */

void
api_call_keep(struct api_context *api, struct loop *loop,
              const struct call_info *call)
{
    int result = calls_put(api->calls, call);

    if (!result) {
        result = session_call_start(api->call_sessions, loop, call,
                                    SESSION_CALL_MADE | SESSION_CALL_COUNTED);
        if (result)
            calls_release(api->calls, call->id);
    }
    if (!result)
        return;
    api_call_slot_put(api, call->tenant, &loop);
    LOG(ERROR, "calls", "event=call_not_kept call=%s error=\"%s\"", call->id,
        uv_strerror(result));
}

/* The last part of the path; its name at the provider. */
static bool
call_id_take(struct making *m, const struct http_response *rs)
{
    const char *location = http_response_header(rs, "Location");
    const char *slash = location ? strrchr(location, '/') : NULL;

    if (!slash || !call_id_is_sound(slash + 1))
        return false;
    snprintf(m->call_id, sizeof(m->call_id), "%s", slash + 1);
    return true;
}

static void
call_keep(struct making *m)
{
    struct loop *loop = m->order.loop;
    const struct call_info call = {
        .id = m->call_id,
        .tenant = m->tenant,
        .upstream = upstream_name(upstream_now(m)),
        .model = m->order.session.model,
        .policy = m->policy,
        .session = m->order.session.asked,
        .created_ms = clock_wall_ms(),
    };

    m->order.loop = NULL;
    api_call_keep(m->api, loop, &call);
}

static void
answer_take(struct making *m, const struct http_response *rs)
{
    char location[sizeof(LOCATION_PREFIX) + CALLS_ID_BYTES];

    if (!call_id_take(m, rs) || strncmp(rs->body, "v=0", 3) != 0
        || upstream_key_is_in(upstream_now(m), rs->body)) {
        count("failed");
        api_reply_error(&m->reply, 502, "upstream_error",
                        "The model's server answered with no call.", NULL);
        return;
    }
    if (!api_reply_body(&m->reply, 201, "application/sdp", rs->body,
                        rs->body_bytes))
        return;
    snprintf(location, sizeof(location), LOCATION_PREFIX "%s", m->call_id);
    api_reply_add_header(&m->reply, "Location", location);
    api_reply_add_header(&m->reply, "X-Call-Id", m->call_id);
    count("made");
    LOG(NOTICE, "calls", "event=call_made call=%s upstream=%s model=%s",
        m->call_id, upstream_name(upstream_now(m)), m->order.session.model);
    call_keep(m);
}

/* --- asking */

static void ask(struct making *m);

/* Another upstream, or the end. */
static void
refused(struct making *m, const struct http_response *rs)
{
    struct upstream *u = upstream_now(m);

    if (rs->error || rs->status >= 500)
        upstream_failed(u, clock_now_ms());
    LOG(WARN, "calls", "event=call_refused upstream=%s status=%u why=%s",
        upstream_name(u), rs->status, api_fault_text(rs));
    if (api_fault_is_elsewhere_fine(rs)
        && m->at + 1 < m->order.upstreams.count) {
        m->at++;
        ask(m);
        return;
    }
    count("failed");
    api_fault_reply(&m->reply, u, rs);
    done(m);
}

static void
on_call_answer(void *arg, const struct http_response *rs)
{
    struct making *m = arg;

    explicit_bzero(m->secret, sizeof(m->secret));
    if (rs->error || rs->status < 200 || rs->status > 299) {
        refused(m, rs);
        return;
    }
    answer_take(m, rs);
    done(m);
}

/* The offer as the whole body, under a token that knows the session. */
static int
offer_send(struct making *m)
{
    char *url = upstream_calls_url(upstream_now(m), "");
    size_t room = url ? strlen(url) + sizeof("?webrtcfilter=on") : 0;
    char *filtered = url ? malloc(room) : NULL;
    int result = UV_ENOMEM;

    if (filtered) {
        snprintf(filtered, room, "%s%cwebrtcfilter=on", url,
                 strchr(url, '?') ? '&' : '?');
        const struct upstream_request request = {
            .to = upstream_now(m),
            .url = filtered,
            .type = "application/sdp",
            .accept = "application/sdp",
            .bearer = m->secret,
            .body = m->order.offer.data,
            .bytes = m->order.offer.bytes,
        };
        result =
            upstream_request_send(m->api->http, &request, on_call_answer, m);
    }
    free(filtered);
    free(url);
    return result;
}

static void
on_secret_answer(void *arg, const struct http_response *rs)
{
    struct making *m = arg;

    if (rs->error || rs->status < 200 || rs->status > 299) {
        refused(m, rs);
        return;
    }
    json_t *tree = json_loadb(rs->body, rs->body_bytes, 0, NULL);
    const char *value = json_string_value(json_object_get(tree, "value"));
    int result = value && strlen(value) < SECRET_BYTES ? 0 : UV_EPROTO;

    if (!result) {
        snprintf(m->secret, sizeof(m->secret), "%s", value);
        result = offer_send(m);
    }
    json_decref(tree);
    if (result)
        fail(m, result);
}

/* One that was minted for this before anybody asked; it names no end user. */
static bool
secret_is_warm(struct making *m)
{
    struct warm_secrets *warm = m->api->warm_secrets;

    return warm && !(m->safety_id && *m->safety_id)
           && warm_secrets_take(warm, upstream_name(upstream_now(m)),
                                m->order.session.settings, m->secret)
                  == 0;
}

static int
secret_ask(struct making *m)
{
    char *url = upstream_secrets_url(upstream_now(m));
    size_t room = strlen(m->order.session.settings) + 16;
    char *body = malloc(room);
    int result = UV_ENOMEM;

    if (url && body) {
        int bytes =
            snprintf(body, room, "{\"session\":%s}", m->order.session.settings);
        const struct upstream_request request = {
            .to = upstream_now(m),
            .url = url,
            .type = "application/json",
            .accept = "application/json",
            .safety_id = m->safety_id,
            .body = body,
            .bytes = (size_t) bytes,
        };
        result =
            upstream_request_send(m->api->http, &request, on_secret_answer, m);
    }
    free(body);
    free(url);
    return result;
}

/* Given; 0 or UV_E*. */
static int
form_make(struct making *m, struct buffer *form)
{
    const struct multipart_part sdp = {
        .name = "sdp",
        .type = "application/sdp",
        .body = (const char *) m->order.offer.data,
        .bytes = m->order.offer.bytes,
    };
    const struct multipart_part session = {
        .name = "session",
        .type = "application/json",
        .body = m->order.session.settings,
        .bytes = strlen(m->order.session.settings),
    };

    crypto_alphanumerics(m->boundary, sizeof(m->boundary) - 1);
    int result = multipart_append(form, m->boundary, &sdp);
    if (!result)
        result = multipart_append(form, m->boundary, &session);
    return result ? result : multipart_end(form, m->boundary);
}

static int
form_send(struct making *m)
{
    char *url = upstream_calls_url(upstream_now(m), "");
    struct buffer form;
    char type[96];

    buffer_init(&form, FORM_MAX);
    int result = url ? form_make(m, &form) : UV_ENOMEM;
    if (!result) {
        snprintf(type, sizeof(type), "multipart/form-data; boundary=%s",
                 m->boundary);
        const struct upstream_request request = {
            .to = upstream_now(m),
            .url = url,
            .type = type,
            .accept = "application/sdp",
            .safety_id = m->safety_id,
            .body = form.data,
            .bytes = form.bytes,
        };
        result =
            upstream_request_send(m->api->http, &request, on_call_answer, m);
    }
    buffer_deinit(&form);
    free(url);
    return result;
}

static void
ask(struct making *m)
{
    bool token =
        upstream_config(upstream_now(m))->dialect == (uint64_t) DIALECT_AZURE;
    int result = !token              ? form_send(m)
                 : secret_is_warm(m) ? offer_send(m)
                                     : secret_ask(m);

    if (result)
        fail(m, result);
}

/* --- the start */

static struct making *
making_create(struct gate_request *rq, struct api_context *api,
              struct api_call_order *order)
{
    const char *safety = gate_param(rq, "HTTP_OPENAI_SAFETY_IDENTIFIER");
    struct making *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->api = api;
    snprintf(m->tenant, sizeof(m->tenant), "%s", api_tenant(rq));
    m->policy = strdup(order->policy);
    if (safety && upstream_safety_id_is_sound(safety))
        m->safety_id = strdup(safety);
    m->order = *order;
    order->loop = NULL;
    order->session.asked = order->session.settings = NULL;
    buffer_init(&order->offer, 0);
    if (m->policy)
        return m;
    making_free(m);
    return NULL;
}

void
api_call_make(struct gate_request *rq, struct api_context *api,
              struct api_call_order *order)
{
    struct making *m = making_create(rq, api, order);
    const struct api_wait_config wait = {
        .deadline_ms = API_CALL_DEADLINE_MS,
        .answer = on_answer_time,
        .release = making_free,
        .arg = m,
    };
    int result = m ? api_wait_start(&m->wait, rq, api, &wait) : UV_ENOMEM;

    if (!result) {
        ask(m);
        return;
    }
    if (m)
        making_free(m);
    else
        order_deinit(order);
    api_call_slot_put(api, api_tenant(rq), &order->loop);
    gate_answer_busy(rq);
}

/* The others have no calls, or none that we know how to make. */
static bool
has_calls(const struct upstream *u)
{
    uint64_t dialect = upstream_config(u)->dialect;

    return dialect == (uint64_t) DIALECT_OPENAI
           || dialect == (uint64_t) DIALECT_AZURE;
}

int
api_call_upstreams(struct gate_request *rq, struct api_context *api,
                   const struct policy *policy, struct upstream_order *order)
{
    struct upstream_order all = {.count = 0};
    int result =
        api->upstreams && api->http && api->calls
            ? upstream_order(api->upstreams,
                             (const char *const *) policy->upstream.items,
                             policy->upstream.count, clock_now_ms(), &all)
            : UV_ENOSYS;

    order->count = 0;
    for (size_t i = 0; !result && i < all.count; i++)
        if (has_calls(all.items[i]))
            order->items[order->count++] = all.items[i];
    if (!result && !order->count)
        result = UV_ENOSYS;
    if (result == UV_ENOENT)
        api_error(rq, 500, "upstream_unknown",
                  "This location names an upstream that the server does not "
                  "have.",
                  NULL);
    else if (result)
        api_error(rq, 501, "webrtc_unavailable",
                  "The model of this gateway has no WebRTC.", NULL);
    return result;
}

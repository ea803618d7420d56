/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   request ─► stream? ─► route ─► CORS ─► Origin, Host ─► key ─► limits ─►
 *   policy ─► handler;   each step may answer instead
 *                          key: a minted secret ─► parked ─► store ─► on
 */

#include "api/router.h"

#include "api/api_call_control.h"
#include "api/api_calls.h"
#include "api/api_cancel.h"
#include "api/api_events.h"
#include "api/api_execute.h"
#include "api/api_health.h"
#include "api/api_limits.h"
#include "api/api_metrics.h"
#include "api/api_realtime.h"
#include "api/api_secrets.h"
#include "api/api_tools.h"
#include "api/api_usage.h"
#include "api/api_wait.h"
#include "codec/ws_frame.h"
#include "service/credentials.h"
#include "service/secrets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ALLOW_BYTES     64
#define KEY_BYTES       256
#define PREFLIGHT_BYTES 1024
#define SECRET_MS       6000 /* for the store to say whether a secret is good */
#define CALL_FLAGS      (ROUTE_POLICY | ROUTE_SECRET)
#define CONNECT_FLAGS   (ROUTE_STREAM | ROUTE_POLICY | ROUTE_SECRET)

static const struct route routes[] = {
    {"GET", "/v1/realtime", api_realtime_connect, CONNECT_FLAGS},
    {"GET", "/v1/realtime/", api_realtime_connect, CONNECT_FLAGS},
    {"GET", "/realtime", api_realtime_connect, CONNECT_FLAGS},
    {"GET", "/realtime/", api_realtime_connect, CONNECT_FLAGS},
    {"GET", "/metrics", api_metrics, ROUTE_OPEN},
    {"GET", "/health", api_health, ROUTE_OPEN},
    {"GET", "/health/live", api_health_live, ROUTE_OPEN},
    {"GET", "/health/ready", api_health_ready, ROUTE_OPEN},
    {"GET", "/v1/events", api_events, 0},
    {"GET", "/v1/tools", api_tools_list, ROUTE_POLICY},
    {"POST", "/v1/tools", api_tools_run_batch, ROUTE_POLICY},
    {"POST", "/v1/tools/{id}", api_tools_run, ROUTE_POLICY},
    {"POST", "/v1/cancel", api_cancel, 0},
    {"GET", "/v1/cancel/status", api_cancel_status, 0},
    {"GET", "/tools", api_execute_list, ROUTE_POLICY},
    {"POST", "/execute/{id}", api_execute_run, ROUTE_POLICY},
    {"POST", "/cancel", api_cancel_web_app, ROUTE_POLICY},
    {"GET", "/cancel/status", api_cancel_status_web_app, ROUTE_POLICY},
    {"GET", "/events", api_events_web_app, ROUTE_POLICY},
    {"GET", "/v1/sessions/live", api_sessions_live, 0},
    {"GET", "/v1/usage", api_usage, 0},
    {"POST", "/v1/realtime/client_secrets", api_secrets_create, ROUTE_POLICY},
    {"DELETE", "/v1/realtime/client_secrets/{id}", api_secrets_revoke, 0},
    {"POST", "/v1/realtime/sessions", api_secrets_create_session, ROUTE_POLICY},
    {"POST", "/v1/realtime/transcription_sessions",
     api_secrets_create_transcription, ROUTE_POLICY},
    {"POST", "/v1/realtime/calls", api_calls_create, CALL_FLAGS},
    {"POST", "/v1/realtime/calls/", api_calls_create, CALL_FLAGS},
    {"POST", "/v1/realtime", api_calls_create, CALL_FLAGS}, /* beta */
    {"POST", "/v1/realtime/", api_calls_create, CALL_FLAGS},
    {"POST", "/realtime", api_calls_create, CALL_FLAGS},
    {"POST", "/realtime/", api_calls_create, CALL_FLAGS},
    {"POST", "/v1/realtime/calls/{id}/hangup", api_calls_hangup, ROUTE_POLICY},
    {"POST", "/v1/realtime/calls/{id}/accept", api_calls_accept, ROUTE_POLICY},
    {"POST", "/v1/realtime/calls/{id}/reject", api_calls_reject, ROUTE_POLICY},
    {"POST", "/v1/realtime/calls/{id}/refer", api_calls_refer, ROUTE_POLICY},
};

/* --- which route */

/* A HEAD is a GET whose body NGINX drops. */
static bool
method_fits(const struct route *route, const char *method)
{
    return strcmp(route->method, method) == 0
           || (strcmp(method, "HEAD") == 0
               && strcmp(route->method, "GET") == 0);
}

/* Finds what stands for {id}: `id` is NULL when the pattern has none. */
static bool
path_fits(const char *pattern, const char *path, const char **id,
          size_t *id_bytes)
{
    size_t fixed = strcspn(pattern, "{");

    *id = NULL;
    if (pattern[fixed] == '\0') {
        return strcmp(pattern, path) == 0;
    }
    if (strncmp(pattern, path, fixed) != 0) {
        return false;
    }
    *id = path + fixed;
    *id_bytes = strcspn(*id, "/");
    return *id_bytes > 0
           && strcmp(strchr(pattern, '}') + 1, *id + *id_bytes) == 0;
}

/* Writes the methods of the path, comma-separated; "" when there is none. */
static void
path_methods(const struct route *table, size_t count, const char *path,
             char allow[ALLOW_BYTES])
{
    size_t used = 0;
    const char *id;
    size_t id_bytes;

    allow[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        if ((table[i].flags & ROUTE_STREAM) == 0
            && path_fits(table[i].pattern, path, &id, &id_bytes)
            && strstr(allow, table[i].method) == NULL) {
            used += (size_t) snprintf(allow + used, ALLOW_BYTES - used, "%s%s",
                                      used > 0 ? ", " : "", table[i].method);
        }
    }
    if (used > 0) {
        snprintf(allow + used, ALLOW_BYTES - used, ", OPTIONS");
    }
}

static const struct route *
find_route(struct gate_request *rq, const struct route *table, size_t count)
{
    const char *path = gate_path(rq), *method = gate_method(rq);
    bool stream = gate_is_stream(rq);
    const char *id;
    size_t id_bytes;

    for (size_t i = 0; i < count; i++) {
        if (stream == ((table[i].flags & ROUTE_STREAM) != 0)
            && method_fits(&table[i], method)
            && path_fits(table[i].pattern, path, &id, &id_bytes)
            && (id == NULL || api_set_path_id(rq, id, id_bytes) == 0)) {
            return &table[i];
        }
    }
    return NULL;
}

/* --- who may; each: true, or rq is answered (or parked) and gone */

static void
add_cors_headers(struct gate_request *rq, struct api_context *api)
{
    const char *origin = gate_param(rq, "HTTP_ORIGIN");

    if (origin == NULL || !api_origin_is_listed(api, origin)) {
        return;
    }
    gate_add_header(rq, "Access-Control-Allow-Origin", origin);
    gate_add_header(rq, "Vary", "Origin");
    gate_add_header(rq, "Access-Control-Expose-Headers",
                    "Location, X-Call-Id, x-request-id");
}

static bool
host_is_local(const char *host)
{
    size_t bytes = strcspn(host, ":");

    return host[0] == '[' || strspn(host, "0123456789.") == bytes
           || (bytes == 9 && strncasecmp(host, "localhost", 9) == 0);
}

static bool
host_is_origin(const char *host, const char *origin)
{
    const char *at = strstr(origin, "://");

    return at != NULL && strcasecmp(at + 3, host) == 0;
}

/* A name of somebody else's that was made to point at this machine. */
static bool
host_is_rebound(struct gate_request *rq, struct api_context *api,
                const char *host)
{
    const char *address = gate_param(rq, "SERVER_ADDR");
    const char *name = gate_param(rq, "SERVER_NAME");
    const struct config_list *list = &api->config->auth.cors_origins;
    size_t bytes = strcspn(host, ":");

    if (address == NULL
        || (strncmp(address, "127.", 4) != 0 && strcmp(address, "::1") != 0)
        || host_is_local(host)) {
        return false;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (host_is_origin(host, list->items[i])) {
            return false;
        }
    }
    return name == NULL || strlen(name) != bytes
           || strncasecmp(name, host, bytes) != 0;
}

/* A page of another site can POST without asking first. */
static bool
check_origin(struct gate_request *rq, struct api_context *api)
{
    const char *method = gate_method(rq);
    const char *origin = gate_param(rq, "HTTP_ORIGIN");
    const char *host = gate_param(rq, "HTTP_HOST");
    const char *code = NULL;

    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) {
        return true;
    }
    host = host != NULL ? host : "";
    if (host_is_rebound(rq, api, host)) {
        code = "host_not_allowed";
    } else if (origin != NULL && !host_is_origin(host, origin)
               && !api_origin_is_listed(api, origin)) {
        code = "origin_not_allowed";
    }
    if (code != NULL) {
        api_error(rq, 403, code, "This page may not change anything here.",
                  NULL);
    }
    return code == NULL;
}

/* The key among the offered subprotocols, where a browser has to put it. */
static bool
key_of_subprotocol(struct gate_request *rq, char key[KEY_BYTES])
{
    static const char prefix[] = "openai-insecure-api-key.";
    const char *at = gate_param(rq, "HTTP_SEC_WEBSOCKET_PROTOCOL");

    while (at != NULL && *at != '\0') {
        size_t bytes = strcspn(at, ", \t");

        if (bytes >= sizeof(prefix) && bytes - sizeof(prefix) < KEY_BYTES - 1
            && memcmp(at, prefix, sizeof(prefix) - 1) == 0) {
            snprintf(key, KEY_BYTES, "%.*s",
                     (int) (bytes - (sizeof(prefix) - 1)),
                     at + sizeof(prefix) - 1);
            return true;
        }
        at += bytes;
        at += strspn(at, ", \t");
    }
    return false;
}

/* The first place that holds a key decides, right or wrong. */
static bool
find_key(struct gate_request *rq, char key[KEY_BYTES])
{
    const char *header = gate_param(rq, "HTTP_AUTHORIZATION");
    const char *plain = gate_param(rq, "HTTP_API_KEY");

    if (header != NULL && strncasecmp(header, "Bearer ", 7) == 0) {
        return (size_t) snprintf(key, KEY_BYTES, "%s",
                                 header + 7 + strspn(header + 7, " "))
               < KEY_BYTES;
    }
    if (plain != NULL && plain[0] != '\0') {
        return (size_t) snprintf(key, KEY_BYTES, "%s", plain) < KEY_BYTES;
    }
    return key_of_subprotocol(rq, key);
}

static void
refuse_key(struct gate_request *rq)
{
    gate_add_header(rq, "WWW-Authenticate", "Bearer error=\"invalid_token\"");
    api_error(rq, 401, "invalid_api_key", "The API key is not valid.", NULL);
}

static bool
check_key(struct gate_request *rq, struct api_context *api, const char *key)
{
    char tenant[CREDENTIALS_TENANT_BYTES];

    if (key[0] == '\0') {
        gate_add_header(rq, "WWW-Authenticate", "Bearer");
        api_error(rq, 401, "missing_api_key", "No API key was sent.", NULL);
        return false;
    }
    if (api->credentials == NULL
        || credentials_check(api->credentials, key, tenant) != 0) {
        refuse_key(rq);
        return false;
    }
    api_set_tenant(rq, tenant);
    return true;
}

/* A name goes into lists, events and logs: UTF-8 without control characters. */
static bool
tenant_is_sound(const char *tenant)
{
    struct ws_utf8 utf8;
    size_t bytes = strlen(tenant);

    for (size_t i = 0; i < bytes; i++) {
        if ((unsigned char) tenant[i] < ' ' || tenant[i] == 0x7f) {
            return false;
        }
    }
    ws_utf8_init(&utf8);
    return bytes < API_TENANT_BYTES
           && ws_utf8_push(&utf8, (const uint8_t *) tenant, bytes)
           && ws_utf8_is_complete(&utf8);
}

/* VOICE_TENANT is NGINX's word in every mode but keys, where the key says. */
static bool
check_caller(struct gate_request *rq, struct api_context *api, const char *key)
{
    const char *tenant = gate_param(rq, "VOICE_TENANT");

    if (api->config->auth.mode == AUTH_KEYS) {
        return check_key(rq, api, key);
    }
    if (tenant != NULL && !tenant_is_sound(tenant)) {
        api_error(rq, 403, "tenant_invalid",
                  "The tenant's name is too long or not plain text.", NULL);
        return false;
    }
    if (api->config->auth.mode == AUTH_NGINX
        && (tenant == NULL || tenant[0] == '\0')) {
        api_error(rq, 401, "missing_tenant", "NGINX named no tenant.", NULL);
        return false;
    }
    if (tenant != NULL) {
        api_set_tenant(rq, tenant);
    }
    return true;
}

static bool
check_policy(struct gate_request *rq)
{
    const char *policy = gate_param(rq, "VOICE_POLICY");

    if (policy != NULL && policy[0] != '\0') {
        return true;
    }
    api_error(rq, 403, "policy_missing", "This location has no voice policy.",
              NULL);
    return false;
}

/* --- the rest */

/* Clients send headers of their own (x-stainless-…, x-openai-agents-sdk): a
 * page that may call us may send what it asks for. */
static const char *
preflight_headers(struct gate_request *rq)
{
    static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789-_, ";
    const char *asked = gate_param(rq, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS");

    if (asked != NULL && asked[0] != '\0' && strlen(asked) <= PREFLIGHT_BYTES
        && asked[strspn(asked, chars)] == '\0') {
        return asked;
    }
    return "Authorization, Content-Type, api-key, OpenAI-Beta, Last-Event-ID";
}

static void
answer_preflight(struct gate_request *rq, struct api_context *api,
                 const char *allow)
{
    const char *origin = gate_param(rq, "HTTP_ORIGIN");
    const struct gate_header headers[] = {
        {"Allow", allow},
        {"Access-Control-Allow-Methods", allow},
        {"Access-Control-Allow-Headers", preflight_headers(rq)},
        {"Access-Control-Max-Age", "600"},
    };
    bool listed = origin != NULL && api_origin_is_listed(api, origin);

    gate_answer(rq, &(struct gate_answer){
                        .status = 204,
                        .headers = headers,
                        .header_count = listed ? 4 : 1,
                    });
}

static void
answer_no_route(struct gate_request *rq, struct api_context *api,
                const struct route *table, size_t count)
{
    char allow[ALLOW_BYTES];

    path_methods(table, count, gate_path(rq), allow);
    if (gate_is_stream(rq) || allow[0] == '\0') {
        api_error(rq, 404, "not_found", "There is nothing at this path.", NULL);
    } else if (strcmp(gate_method(rq), "OPTIONS") == 0) {
        answer_preflight(rq, api, allow);
    } else {
        gate_add_header(rq, "Allow", allow);
        api_error(rq, 405, "method_not_allowed",
                  "The path does not take this method.", NULL);
    }
}

/* Who is asking is known. */
static void
run_route(struct gate_request *rq, struct api_context *api,
          const struct route *route)
{
    if (((route->flags & ROUTE_OPEN) || api_limits_request(rq, api))
        && ((route->flags & ROUTE_POLICY) == 0 || check_policy(rq))) {
        route->handler(rq, api);
    }
}

/* --- a minted secret, which is its own proof in every auth mode */

struct secret_wait {
    struct api_context *api;
    const struct route *route;
    const struct secret_grant *grant;
    struct api_wait *wait; /* the asker's, until the store has told */
};

static void
release_secret(void *arg)
{
    struct secret_wait *w = arg;

    atomic_fetch_sub(&w->api->secret_checks, 1);
    secret_grant_put(&w->grant);
    free(w);
}

/* Anybody can make up keys: who has none takes a quarter of the places where
 * requests wait at most. NULL: it is taken. */
static struct secret_wait *
wait_create(struct api_context *api, const struct route *route)
{
    struct secret_wait *w = calloc(1, sizeof(*w));

    if (w == NULL) {
        return NULL;
    }
    w->api = api;
    w->route = route;
    if (atomic_fetch_add(&api->secret_checks, 1)
        <= api->config->max_parked / 4) {
        return w;
    }
    release_secret(w);
    return NULL;
}

static void
run_granted(struct gate_request *rq, struct api_context *api,
            const struct route *route, const struct secret_grant *grant)
{
    const char *named = gate_param(rq, "VOICE_TENANT");

    if (api->config->auth.mode != AUTH_KEYS && named != NULL && named[0] != '\0'
        && strcmp(named, grant->tenant) != 0) {
        api_error(rq, 403, "tenant_mismatch",
                  "The key is of another tenant than NGINX says.", NULL);
        return;
    }
    api_set_tenant(rq, grant->tenant);
    api_set_grant(rq, grant);
    run_route(rq, api, route);
}

static void
answer_checked(struct gate_request *rq, struct api_context *api, int result,
               void *arg)
{
    struct secret_wait *w = arg;

    if (result == 0) {
        run_granted(rq, api, w->route, w->grant);
    } else if (result == UV_EACCES) {
        refuse_key(rq);
    } else {
        api_error(rq, 503, "store_unavailable", "The key can't be checked now.",
                  NULL);
    }
}

/* On the store's thread. */
static void
on_secret_checked(void *arg, int result, const struct secret_grant **grant)
{
    struct secret_wait *w = arg;

    w->grant = *grant;
    *grant = NULL;
    api_wait_done(&w->wait, result);
}

/* The request is parked first: the store may be quick. */
static void
park_secret(struct gate_request *rq, struct api_context *api,
            const struct route *route, const char *key)
{
    struct secret_wait *w = wait_create(api, route);
    const struct secret_grant *grant = NULL;
    const struct api_wait_config cfg = {
        .deadline_ms = SECRET_MS,
        .answer = answer_checked,
        .release = release_secret,
        .arg = w,
    };

    if (w == NULL) {
        gate_answer_busy(rq);
        return;
    }
    if (api_wait_start(&w->wait, rq, api, &cfg) != 0) {
        release_secret(w);
        gate_answer_busy(rq);
        return;
    }
    int result = secrets_check(api->secrets, key, &grant, on_secret_checked, w);
    if (result != 1) {
        on_secret_checked(w, result, &grant);
    }
}

static void
run_secret(struct gate_request *rq, struct api_context *api,
           const struct route *route, const char *key)
{
    const struct secret_grant *grant = NULL;
    int result = api->secrets != NULL ? secrets_peek(api->secrets, key, &grant)
                                      : UV_EACCES;

    if ((route->flags & ROUTE_SECRET) == 0) {
        api_error(rq, 403, "secret_not_allowed",
                  "A client secret opens sessions and calls, nothing else.",
                  NULL);
    } else if (result == 0) {
        run_granted(rq, api, route, grant);
    } else if (result == UV_EAGAIN) {
        park_secret(rq, api, route, key);
    } else {
        refuse_key(rq);
    }
    secret_grant_put(&grant);
}

void
router_dispatch(struct gate_request *rq, struct api_context *api,
                const struct route *table, size_t count)
{
    const struct route *route = find_route(rq, table, count);
    char key[KEY_BYTES];

    if ((route == NULL || (route->flags & ROUTE_STREAM) == 0)) {
        add_cors_headers(rq, api);
    }
    if (route == NULL) {
        answer_no_route(rq, api, table, count);
        return;
    }
    if (!check_origin(rq, api)) {
        return;
    }
    if (!find_key(rq, key)) {
        key[0] = '\0';
    }
    if ((route->flags & ROUTE_OPEN) == 0
        && strncmp(key, SECRETS_PREFIX, sizeof(SECRETS_PREFIX) - 1) == 0) {
        run_secret(rq, api, route, key);
    } else if ((route->flags & ROUTE_OPEN) || check_caller(rq, api, key)) {
        run_route(rq, api, route);
    }
}

void
router_handle(struct gate_request *rq, void *arg)
{
    router_dispatch(rq, arg, routes, sizeof(routes) / sizeof(routes[0]));
}

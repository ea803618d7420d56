/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What every resource of the HTTP API needs: the context that the server wires
 * together once, who is asking, and the shapes of answers. Runs on request
 * threads. Owns nothing; the context is borrowed from the server and outlives
 * the gate.
 */

#ifndef VOICE_API_ANSWER_H
#define VOICE_API_ANSWER_H

#include "base/config.h"
#include "gate/fastcgi_gate.h"
#include "session/session.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>

struct credentials;
struct calls;
struct event_bus;
struct http_client;
struct loop;
struct secret_grant;
struct secrets;
struct session_call_config;
struct session_registry;
struct session_resume;
struct store;
struct tenant_limits;
struct tool_registry;
struct tool_runner;
struct upstream_set;
struct usage;
struct warm_pool;
struct warm_secrets;

struct api_context {
    struct gate *gate; /* written before gate_start */
    struct loop **loops;
    unsigned loop_count;
    struct session_registry *sessions;
    struct session_resume *resumes;
    struct credentials *credentials; /* auth mode keys */
    struct event_bus *events;
    struct store *store;     /* NULL: nothing outlives the process */
    struct secrets *secrets; /* these three NULL in tests alone */
    struct usage *usage;
    struct tenant_limits *limits;
    session_open_model_h *open_model;
    void *open_model_arg;
    struct upstream_set *upstreams;    /* NULL: the model is not remote */
    struct warm_pool *warm;            /* NULL: nothing is kept warm */
    struct warm_secrets *warm_secrets; /* NULL: none is kept */
    struct http_client *http;          /* NULL as upstreams; and the next two */
    struct calls *calls;
    const struct session_call_config *call_sessions;
    struct tool_registry *tools; /* these two NULL in tests alone */
    struct tool_runner *tool_runner;
    const struct server_config *config;
    const char *model_name; /* what /health says; NULL: none */
    _Atomic bool ready;
    atomic_uint secret_checks; /* requests that wait for one */
    _Atomic bool draining;
};

/* Must end rq with one of gate_answer, gate_park, gate_take. */
typedef void api_handler_h(struct gate_request *rq, struct api_context *api);

/* The caller's tenant ("" = default), once the router let the request in. */
/* How trees are written: 0.8 as 0.8, not with all that a double holds. */
#define API_JSON (JSON_COMPACT | JSON_REAL_PRECISION(15))

#define API_TENANT_BYTES 64
#define API_ID_BYTES     128
const char *api_tenant(struct gate_request *rq);
/* What stood in the place of {id} in the route; "" when it has none. */
const char *api_path_id(struct gate_request *rq);
/* The session (JSON) and the model that the caller's minted secret is bound
 * to, until the handler returns; NULL: it came with no such secret. */
const char *api_secret_session(struct gate_request *rq);
const char *api_secret_model(struct gate_request *rq);
/* For the router. */
void api_set_grant(struct gate_request *rq, const struct secret_grant *grant);
void api_set_tenant(struct gate_request *rq, const char *tenant);
int api_set_path_id(struct gate_request *rq, const char *id, size_t bytes);

/*
 * {"error":{message,type,param,code}}; param may be NULL (null). `type` goes
 * by the status: authentication_error (401), permission_error (403), otherwise
 * invalid_request_error below 500 and server_error from there. rq is gone.
 */
void api_error(struct gate_request *rq, unsigned status, const char *code,
               const char *message, const char *param);

/* 503 of a session that can't begin now; plain words. rq is gone. */
#define API_RETRY_AFTER "5"
void api_busy(struct gate_request *rq, const char *code, const char *message);

/* A JSON text, or a tree (taken). rq is gone. */
void api_json_text(struct gate_request *rq, unsigned status, const char *text,
                   size_t bytes);
void api_json(struct gate_request *rq, unsigned status, json_t **tree);

/*
 * The body as a JSON tree, given. 0; or rq has been answered and is gone: 415
 * (not application/json), 413, 400 with line and column.
 */
int api_body_json(struct gate_request *rq, json_t **tree);

/* The same with a limit of its own, and what is wrong with it told to the
 * caller, whose rq it still is. */
struct api_body_fault {
    unsigned status;
    const char *code; /* a literal */
    char message[256];
};
int api_body_read(struct gate_request *rq, size_t max_bytes, json_t **tree,
                  struct api_body_fault *fault);

/*
 * A decoded value of the query string into `out`. true when the key is there
 * and its value fits; a key that is there twice counts once, the first.
 */
bool api_query(struct gate_request *rq, const char *key, char *out,
               size_t out_bytes);

/* Whether the header's list (Accept) names that media type by itself. */
bool api_accepts(struct gate_request *rq, const char *media_type);

/* Whether Origin is of the allow-list of the configuration. */
bool api_origin_is_listed(const struct api_context *api, const char *origin);

#endif

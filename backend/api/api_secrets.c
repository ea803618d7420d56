/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   body ─► expires_after ─► session ─► policy ─► minted ─► answer
 *                                         store? ─► parked ─┘
 */

#include "api/api_secrets.h"

#include "api/api_secret_session.h"
#include "api/api_wait.h"
#include "base/log.h"
#include "codec/dialect_session.h"
#include "service/secrets.h"

#include <stdlib.h>
#include <string.h>

#define WAIT_MS      6000
#define BETA_SECONDS 60

/* The shapes of body and answer. */
enum mint_kind { MINT_GA, MINT_BETA, MINT_BETA_TRANSCRIPTION };

/* A secret on its way to its client; whoever holds the wait holds this. */
struct minting {
    char *answer; /* JSON text: a tree must not go between threads */
    struct api_wait *wait;
};

/* --- what was asked */

/* The whole body, {} when there is none. 0, or rq is answered and gone. */
static int
body_read(struct gate_request *rq, json_t **body)
{
    const char *text;
    size_t bytes;
    int result;

    if (gate_body(rq, &text, &bytes) == 0 && bytes == 0) {
        *body = json_object();
        return 0;
    }
    result = api_body_json(rq, body);
    if (result == 0 && !json_is_object(*body)) {
        json_decref(*body);
        api_error(rq, 400, "invalid_type", "The body must be an object.", NULL);
        return UV_EINVAL;
    }
    return result;
}

static int
expiry_refuse(struct gate_request *rq, const char *param, const char *message)
{
    api_error(rq, 400, "invalid_value", message, param);
    return UV_EINVAL;
}

/* 0, or rq is answered and gone. */
static int
expiry_read(struct gate_request *rq, const json_t *after, unsigned *seconds)
{
    const json_t *anchor = json_object_get(after, "anchor");
    const json_t *value = json_object_get(after, "seconds");

    if (after == NULL || json_is_null(after)) {
        return 0;
    }
    if (!json_is_object(after)) {
        return expiry_refuse(rq, "expires_after",
                             "expires_after must be an object.");
    }
    if (anchor != NULL
        && (!json_is_string(anchor)
            || strcmp(json_string_value(anchor), "created_at") != 0)) {
        return expiry_refuse(rq, "expires_after.anchor",
                             "The anchor is 'created_at'.");
    }
    if (value == NULL) {
        return 0;
    }
    if (!json_is_integer(value)
        || json_integer_value(value) < SECRETS_SECONDS_MIN
        || json_integer_value(value) > SECRETS_SECONDS_MAX) {
        return expiry_refuse(rq, "expires_after.seconds",
                             "Seconds are an integer of 10 to 7200.");
    }
    *seconds = (unsigned) json_integer_value(value);
    return 0;
}

/* The GA session of the body, given; NULL when there is none. */
static int
session_read(enum mint_kind kind, const json_t *body, json_t **session)
{
    const json_t *given = json_object_get(body, "session");

    *session = NULL;
    if (kind == MINT_BETA) {
        return dialect_session_from_beta(body, session);
    }
    if (kind == MINT_BETA_TRANSCRIPTION) {
        return dialect_session_from_beta_transcription(body, session);
    }
    if (given != NULL && !json_is_null(given)) {
        *session = json_incref((json_t *) given);
    }
    return 0;
}

/* --- what is answered */

/* GA: value, expires_at, session. */
static json_t *
answer_make(const struct secret_minted *minted,
            const struct secret_session *session)
{
    return json_pack("{s:s, s:I, s:s, s:O}", "value", minted->key, "expires_at",
                     (json_int_t) (minted->expires_ms / 1000), "id", minted->id,
                     "session", session->effective);
}

/* The beta: a flat session that holds the secret. */
static json_t *
answer_make_beta(const struct secret_minted *minted,
                 const struct secret_session *session)
{
    json_t *flat = NULL;
    json_t *secret =
        json_pack("{s:s, s:I, s:s}", "value", minted->key, "expires_at",
                  (json_int_t) (minted->expires_ms / 1000), "id", minted->id);

    if (dialect_session_to_beta(session->effective, &flat) != 0
        || json_object_set(flat, "client_secret", secret) != 0) {
        json_decref(flat);
        flat = NULL;
    }
    json_decref(secret);
    return flat;
}

static void
answer_failure(struct gate_request *rq, int result)
{
    if (result == UV_EBUSY) {
        api_error(rq, 503, "too_many_secrets",
                  "No more client secrets can be minted now.", NULL);
    } else {
        api_error(rq, 503, "store_unavailable",
                  "The client secret can't be kept now.", NULL);
    }
}

/* The text, given; NULL: no memory. */
static char *
answer_write(enum mint_kind kind, const struct secret_minted *minted,
             const struct secret_session *session)
{
    json_t *tree = kind == MINT_GA ? answer_make(minted, session)
                                   : answer_make_beta(minted, session);
    char *text = tree != NULL ? json_dumps(tree, API_JSON) : NULL;

    json_decref(tree);
    return text;
}

/* --- minting */

static void
release_minting(void *arg)
{
    struct minting *m = arg;

    if (m->answer != NULL) {
        explicit_bzero(m->answer, strlen(m->answer));
    }
    free(m->answer);
    free(m);
}

static void
answer_minted(struct gate_request *rq, struct api_context *api, int result,
              void *arg)
{
    struct minting *m = arg;

    (void) api;
    if (result != 0) {
        answer_failure(rq, result);
    } else { /* nobody may keep an answer that holds a key */
        gate_add_header(rq, "Cache-Control", "no-store");
        api_json_text(rq, 200, m->answer, strlen(m->answer));
    }
}

/* On the store's thread. */
static void
on_kept(void *arg, int result)
{
    struct minting *m = arg;

    api_wait_done(&m->wait, result);
}

/* Parked before anything is kept: the store may be quicker than the park. */
static void
mint_parked(struct gate_request *rq, struct api_context *api,
            enum mint_kind kind, const struct secret_request *request,
            const struct secret_session *session)
{
    struct minting *m = calloc(1, sizeof(*m));
    struct secret_minted minted;
    const struct api_wait_config cfg = {
        .deadline_ms = WAIT_MS,
        .answer = answer_minted,
        .release = release_minting,
        .arg = m,
    };

    if (m == NULL || api_wait_start(&m->wait, rq, api, &cfg) != 0) {
        free(m);
        gate_answer_busy(rq);
        return;
    }
    int result = secrets_prepare(api->secrets, request, &minted);
    if (result == 0) {
        m->answer = answer_write(kind, &minted, session);
        result = m->answer != NULL
                     ? secrets_keep(api->secrets, request, &minted, on_kept, m)
                     : UV_ENOMEM;
    }
    explicit_bzero(&minted, sizeof(minted));
    if (result != 1) {
        on_kept(m, result);
    }
}

static void
mint_session(struct gate_request *rq, struct api_context *api,
             enum mint_kind kind, unsigned seconds, const json_t *session)
{
    const char *text = gate_param(rq, "VOICE_POLICY");
    char error[POLICY_ERROR_BYTES];
    const struct policy *policy;
    struct secret_session s;
    char tenant[API_TENANT_BYTES];

    if (policy_get(&policy, text, error) != 0) {
        LOG_LIMITED(ALERT, "secrets", "event=bad_policy error=\"%s\"", error);
        api_error(rq, 500, "policy_invalid",
                  "The voice policy of this location can't be read.", NULL);
        return;
    }
    int result = secret_session_init(&s, api, policy, session);
    memcpy(tenant, api_tenant(rq), sizeof(tenant)); /* rq may be gone below */
    const struct secret_request request = {
        .tenant = tenant,
        .model = s.model,
        .session = s.bound,
        .seconds = seconds,
    };
    if (result == 0) {
        mint_parked(rq, api, kind, &request, &s);
    } else if (result == UV_EINVAL) {
        api_error(rq, s.status, s.code, s.message,
                  s.param[0] != '\0' ? s.param : NULL);
    } else {
        gate_answer_busy(rq);
    }
    secret_session_deinit(&s);
    policy_put(&policy);
}

static void
mint(struct gate_request *rq, struct api_context *api, enum mint_kind kind)
{
    unsigned seconds = kind == MINT_GA ? SECRETS_SECONDS : BETA_SECONDS;
    json_t *body, *session = NULL;
    const json_t *holder;

    if (api->secrets == NULL) {
        gate_answer_busy(rq);
        return;
    }
    if (body_read(rq, &body) != 0) {
        return;
    }
    holder = kind == MINT_GA ? body : json_object_get(body, "client_secret");
    if (expiry_read(rq, json_object_get(holder, "expires_after"), &seconds)
        == 0) {
        if (session_read(kind, body, &session) != 0) {
            gate_answer_busy(rq);
        } else {
            mint_session(rq, api, kind, seconds, session);
        }
    }
    json_decref(session);
    json_decref(body);
}

void
api_secrets_create(struct gate_request *rq, struct api_context *api)
{
    mint(rq, api, MINT_GA);
}

void
api_secrets_create_session(struct gate_request *rq, struct api_context *api)
{
    mint(rq, api, MINT_BETA);
}

void
api_secrets_create_transcription(struct gate_request *rq,
                                 struct api_context *api)
{
    mint(rq, api, MINT_BETA_TRANSCRIPTION);
}

/* --- revoking */

/* The id, for the answer. */
struct revoking {
    struct api_wait *wait;
    char id[API_ID_BYTES];
};

static void
answer_revoked(struct gate_request *rq, struct api_context *api, int result,
               void *arg)
{
    const struct revoking *r = arg;
    json_t *answer;

    (void) api;
    if (result == UV_ENOENT) {
        api_error(rq, 404, "secret_not_found",
                  "There is no such client secret.", "id");
        return;
    }
    if (result != 0) {
        answer_failure(rq, result);
        return;
    }
    answer = json_pack("{s:s, s:s, s:b}", "id", r->id, "object",
                       "realtime.client_secret", "deleted", 1);
    api_json(rq, 200, &answer);
}

/* On the store's thread. */
static void
on_revoked(void *arg, int result)
{
    struct revoking *r = arg;

    api_wait_done(&r->wait, result);
}

void
api_secrets_revoke(struct gate_request *rq, struct api_context *api)
{
    struct revoking *r = calloc(1, sizeof(*r));
    char tenant[API_TENANT_BYTES];
    const struct api_wait_config cfg = {
        .deadline_ms = WAIT_MS,
        .answer = answer_revoked,
        .release = free,
        .arg = r,
    };

    if (r != NULL) {
        memcpy(r->id, api_path_id(rq), sizeof(r->id));
        memcpy(tenant, api_tenant(rq), sizeof(tenant));
    }
    if (r == NULL || api->secrets == NULL
        || api_wait_start(&r->wait, rq, api, &cfg) != 0) {
        free(r);
        gate_answer_busy(rq);
        return;
    }
    int result = secrets_revoke(api->secrets, tenant, r->id, on_revoked, r);
    if (result != 1) {
        on_revoked(r, result);
    }
}

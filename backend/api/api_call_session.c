/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_call_session.h"

#include "codec/client_filter.h"
#include "codec/session_merge.h"
#include "codec/session_opening.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* A kind of session that names its model elsewhere. */
#define TRANSCRIPTION "transcription"

static const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* A name that is safe in a log line and in a URL. */
static bool
model_is_sound(const char *name)
{
    static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz"
                                "0123456789._-:/@+";

    return strlen(name) < API_CALL_MODEL_BYTES && name[strspn(name, chars)] == 0
           && strcmp(name, ".") != 0 && !strstr(name, "..");
}

static int
model_refuse(struct gate_request *rq, int result)
{
    if (result == UV_EINVAL)
        api_error(rq, 400, "missing_required_parameter",
                  "Name a model: session.model, or ?model=", "model");
    else
        api_error(rq, 404, "model_not_found",
                  "The model does not exist or is not served here.", "model");
    return result;
}

static bool
is_other(const json_t *session)
{
    return strcmp(text_of(session, "type"), TRANSCRIPTION) == 0;
}

/* A minted secret has its kind of session ("": a transcription) and its model;
 * a client may name them, and no others. */
static bool
bound_check(struct gate_request *rq, const json_t *client, const char *query)
{
    const char *bound = api_secret_model(rq);
    const char *named = text_of(client, "model");

    if (!bound)
        return true;
    if (json_object_get(client, "type") && is_other(client) != !*bound) {
        api_error(rq, 403, "session_type_not_allowed",
                  "The client secret is bound to another kind of session.",
                  "session.type");
        return false;
    }
    if (!*bound
        || ((!*named || strcmp(named, bound) == 0)
            && (!*query || strcmp(query, bound) == 0)))
        return true;
    api_error(rq, 403, "model_not_allowed",
              "The client secret is bound to another model.", "model");
    return false;
}

/* The session says more than the query, and a secret more than both. */
static int
model_choose(struct api_call_session *s, struct gate_request *rq,
             const struct policy *policy, const json_t *asked,
             const char *query)
{
    const char *name = text_of(asked, "model"), *chosen;
    const char *bound = api_secret_model(rq);

    if (bound && *bound)
        name = bound; /* nobody has named another */
    else if (!*name)
        name = query;
    int result =
        model_is_sound(name) ? policy_model(policy, name, &chosen) : UV_ENOENT;
    if (result == UV_EINVAL && is_other(asked)) {
        chosen = TRANSCRIPTION;
        result = 0;
    }
    if (!result && !model_is_sound(chosen))
        result = UV_ENOENT;
    if (result)
        return model_refuse(rq, result);
    snprintf(s->model, sizeof(s->model), "%s", chosen);
    return 0;
}

/* The whole session: type and model stand in front. */
static json_t *
settings_tree(const struct api_call_session *s, const struct policy *policy)
{
    json_t *settings = NULL, *whole = json_object();

    if (!whole || session_opening_settings(&settings, policy, s->asked)) {
        json_decref(whole);
        return NULL;
    }
    const char *type = text_of(settings, "type");
    bool other = strcmp(type, TRANSCRIPTION) == 0;
    json_object_set_new(whole, "type", json_string(*type ? type : "realtime"));
    if (!other)
        json_object_set_new(whole, "model", json_string(s->model));
    if (settings)
        json_object_update(whole, settings);
    json_decref(settings);
    return whole;
}

/* What a policy that allows all else does not: another model, by whatever name
 * it is named. A stricter one has been applied by who asks, or refuses calls.
 * 0, or rq is answered. */
static int
policy_check(const struct api_call_session *s, struct gate_request *rq,
             const struct policy *policy)
{
    struct client_filter filter = {.policy = policy, .model = s->model};
    struct realtime_peek peek;
    char *event = NULL;
    int result;

    if (policy->client_update != POLICY_UPDATE_ALLOW)
        return 0;
    if (asprintf(&event, "{\"type\":\"session.update\",\"session\":%s}",
                 s->asked)
        < 0) {
        gate_answer_busy(rq);
        return UV_ENOMEM;
    }
    result = realtime_peek(event, strlen(event), &peek) == REALTIME_SOUND
                 ? client_filter_apply(&filter, &peek, event, strlen(event))
                 : UV_EINVAL;
    if (result == UV_ENOMEM)
        gate_answer_busy(rq);
    else if (result)
        api_error(rq, result == UV_EACCES ? 403 : 400,
                  filter.error.code ? filter.error.code : "invalid_value",
                  filter.error.message ? filter.error.message
                                       : "The session can't be read.",
                  filter.error.param);
    free(filter.text);
    free(event);
    return result;
}

static int
texts_make(struct api_call_session *s, struct gate_request *rq,
           const struct policy *policy, const json_t *asked)
{
    json_t *whole = NULL;
    int result;

    s->asked = json_dumps(asked, JSON_COMPACT);
    if (s->asked && (result = policy_check(s, rq, policy)) != 0)
        return result;
    if (s->asked)
        whole = settings_tree(s, policy);
    if (whole)
        s->settings = json_dumps(whole, JSON_COMPACT);
    json_decref(whole);
    if (s->settings)
        return 0;
    api_error(rq, 400, "invalid_value", "The session can't be used.",
              "session");
    return UV_EINVAL;
}

/* Given; NULL: no memory. */
static json_t *
asked_tree(struct gate_request *rq, const json_t *client)
{
    const char *bound = api_secret_session(rq);
    json_t *asked = bound ? json_loads(bound, 0, NULL) : json_object();

    if (asked && client && session_merge(asked, client)) {
        json_decref(asked);
        return NULL;
    }
    return asked;
}

int
api_call_session_init(struct api_call_session *s, struct gate_request *rq,
                      const struct policy *policy, const json_t *client,
                      const char *model)
{
    *s = (struct api_call_session){.asked = NULL};
    if (!bound_check(rq, client, model))
        return UV_EACCES;
    json_t *asked = asked_tree(rq, client);
    if (!asked) {
        api_error(rq, 503, "server_busy", "There is no memory left.", NULL);
        return UV_ENOMEM;
    }
    int result = model_choose(s, rq, policy, asked, model);
    if (!result)
        result = texts_make(s, rq, policy, asked);
    json_decref(asked);
    if (result)
        api_call_session_deinit(s);
    return result;
}

void
api_call_session_deinit(struct api_call_session *s)
{
    free(s->asked);
    free(s->settings);
    s->asked = s->settings = NULL;
}

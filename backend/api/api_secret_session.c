/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   session ─► type, shapes ─► model ─► policy ─► text to keep
 *                                          └────► laid over defaults ─► answer
 */

#include "api/api_secret_session.h"

#include "codec/client_filter.h"
#include "codec/session_merge.h"
#include "codec/session_opening.h"
#include "gate/crypto.h"
#include "model/offline_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOOLS_MAX 128

static int
fault(struct secret_session *s, unsigned status, const char *code,
      const char *param, const char *message)
{
    s->status = status;
    snprintf(s->code, sizeof(s->code), "%s", code);
    snprintf(s->param, sizeof(s->param), "%s", param ? param : "");
    snprintf(s->message, sizeof(s->message), "%s", message);
    return UV_EINVAL;
}

/* --- what it looks like */

static bool
is_transcription(const json_t *session)
{
    const char *type = json_string_value(json_object_get(session, "type"));

    return type && strcmp(type, "transcription") == 0;
}

static int
type_check(struct secret_session *s, const json_t *session)
{
    const json_t *type = json_object_get(session, "type");

    if (!type)
        return fault(s, 400, "missing_required_parameter", "session.type",
                     "Missing required parameter: 'session.type'.");
    if (!json_is_string(type)
        || (strcmp(json_string_value(type), "realtime") != 0
            && !is_transcription(session)))
        return fault(s, 400, "invalid_value", "session.type",
                     "session.type is 'realtime' or 'transcription'.");
    return 0;
}

static bool
is_null_or(const json_t *value, json_type type)
{
    return !value || json_is_null(value) || json_typeof(value) == type;
}

/* What every server would refuse; the rest is the model's to say. */
static int
shape_check(struct secret_session *s, const json_t *session)
{
    const json_t *tools = json_object_get(session, "tools");

    if (!is_null_or(json_object_get(session, "instructions"), JSON_STRING))
        return fault(s, 400, "invalid_type", "session.instructions",
                     "session.instructions must be a text.");
    if (!is_null_or(json_object_get(session, "audio"), JSON_OBJECT))
        return fault(s, 400, "invalid_type", "session.audio",
                     "session.audio must be an object.");
    if (!is_null_or(json_object_get(session, "output_modalities"), JSON_ARRAY))
        return fault(s, 400, "invalid_type", "session.output_modalities",
                     "session.output_modalities must be an array.");
    if (!is_null_or(tools, JSON_ARRAY) || json_array_size(tools) > TOOLS_MAX)
        return fault(s, 400, "invalid_value", "session.tools",
                     "session.tools must be an array of at most 128 tools.");
    return 0;
}

/* --- the model */

static int
model_check(struct secret_session *s, const struct api_context *api,
            const struct policy *policy, const json_t *session)
{
    const json_t *value = json_object_get(session, "model");
    const char *asked = json_string_value(value), *name;
    int result;

    if (value && !asked)
        return fault(s, 400, "invalid_type", "session.model",
                     "session.model must be a text.");
    if (is_transcription(session)) /* such a session has none */
        return 0;
    result = policy_model(policy, asked, &name);
    if (result == UV_EINVAL && api->model_name && !api->upstreams) {
        name = api->model_name;
        result = 0;
    }
    if (result == UV_EINVAL)
        return fault(s, 400, "missing_required_parameter", "session.model",
                     "Name a model: session.model.");
    if (result || strlen(name) >= sizeof(s->model))
        return fault(s, 404, "model_not_found", "session.model",
                     "The model does not exist or is not served here.");
    snprintf(s->model, sizeof(s->model), "%s", name);
    return 0;
}

/* --- the policy, as for a session.update */

static int
policy_check(struct secret_session *s, const struct policy *policy,
             const char *text)
{
    struct client_filter filter = {.policy = policy, .model = s->model};
    struct realtime_peek peek;
    char *event;
    int result;

    if (asprintf(&event, "{\"type\":\"session.update\",\"session\":%s}", text)
        < 0)
        return UV_ENOMEM;
    result = realtime_peek(event, strlen(event), &peek) == REALTIME_SOUND
                 ? client_filter_apply(&filter, &peek, event, strlen(event))
                 : UV_EINVAL;
    if (result == UV_EACCES || result == UV_EINVAL)
        result = fault(s, result == UV_EACCES ? 403 : 400,
                       filter.error.code ? filter.error.code : "invalid_value",
                       filter.error.param,
                       filter.error.message ? filter.error.message
                                            : "The session can't be read.");
    free(filter.text);
    free(event);
    return result;
}

/* --- what the answer shows */

/* The offline model's own check, which names the field. */
static int
offline_check(struct secret_session *s, struct offline_settings *settings,
              const json_t *bound)
{
    struct offline_fault why = {.type = NULL};
    int result = offline_settings_update(settings, bound, false, &why);

    if (result == UV_EINVAL)
        return fault(s, 400, why.code, why.param, why.message);
    return result;
}

/* The policy's instructions are not for clients. */
static int
instructions_hide(json_t *told, const json_t *bound)
{
    const json_t *own = json_object_get(bound, "instructions");

    json_object_del(told, "instructions");
    return !own || json_object_set(told, "instructions", (json_t *) own) == 0
               ? 0
               : UV_ENOMEM;
}

static int
effective_lay(struct secret_session *s, const struct policy *policy,
              const json_t *bound)
{
    char id[CRYPTO_ID_BYTES];
    json_t *told = NULL;
    int result = session_opening_settings(&told, policy, s->bound);

    crypto_id("sess_", id);
    if (!result && told)
        result = instructions_hide(told, bound);
    if (!result)
        result = session_opening_apply(s->effective, told, id);
    json_decref(told);
    if (!result
        && json_object_set_new(s->effective, "object",
                               json_string(is_transcription(bound)
                                               ? "realtime.transcription_"
                                                 "session"
                                               : "realtime.session"))
               != 0)
        result = UV_ENOMEM;
    return result;
}

/* What a remote model is told by default is not known here: the offline one's
 * own words would be a lie. */
static int
foreign_blank(struct secret_session *s, const struct api_context *api)
{
    if (!api->upstreams || !json_object_get(s->effective, "instructions"))
        return 0;
    return json_object_set_new(s->effective, "instructions", json_string(""))
               ? UV_ENOMEM
               : 0;
}

static int
effective_make(struct secret_session *s, const struct api_context *api,
               const struct policy *policy, const json_t *bound)
{
    const struct offline_settings_config cfg = {
        .session_id = "sess_",
        .model = s->model,
        .expires_at_s = 0,
        .transcription = is_transcription(bound),
    };
    struct offline_settings *settings;
    int result = offline_settings_create(&settings, &cfg);

    if (result)
        return result == UV_EINVAL
                   ? fault(s, 404, "model_not_found", "session.model",
                           "The model's name is no plain text.")
                   : result;
    s->effective = json_deep_copy(offline_settings_session(settings));
    result = s->effective ? foreign_blank(s, api) : UV_ENOMEM;
    if (!result && !api->upstreams && !cfg.transcription)
        result = offline_check(s, settings, bound);
    if (!result)
        result = effective_lay(s, policy, bound);
    offline_settings_destroy(&settings);
    return result;
}

/* --- all of it */

static int
session_check(struct secret_session *s, const struct api_context *api,
              const struct policy *policy, json_t *session)
{
    int result = type_check(s, session);

    if (!result)
        result = shape_check(s, session);
    if (!result)
        result = model_check(s, api, policy, session);
    if (result)
        return result;
    json_object_del(session, "model"); /* kept apart, it can't be updated */
    s->bound = json_dumps(session, JSON_COMPACT);
    if (!s->bound)
        return UV_ENOMEM;
    if (strlen(s->bound) > SESSION_OPENING_BOUND_MAX)
        return fault(s, 400, "session_too_large", "session",
                     "The session is too large.");
    result = policy_check(s, policy, s->bound);
    return result ? result : effective_make(s, api, policy, session);
}

int
secret_session_init(struct secret_session *s, const struct api_context *api,
                    const struct policy *policy, const json_t *session)
{
    json_t *copy;
    int result;

    memset(s, 0, sizeof(*s));
    if (session && !json_is_object(session))
        return fault(s, 400, "invalid_type", "session",
                     "session must be an object.");
    copy = session ? json_deep_copy(session)
                   : json_pack("{s:s}", "type", "realtime");
    if (!copy)
        return UV_ENOMEM;
    result = session_check(s, api, policy, copy);
    json_decref(copy);
    return result;
}

void
secret_session_deinit(struct secret_session *s)
{
    free(s->bound);
    json_decref(s->effective);
    s->bound = NULL;
    s->effective = NULL;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   policy ─┐
 *           ├─► settings ─► session.update ─► model
 *   bound ──┘       │
 *   session.created of the model ─► laid over ─► session.created ─► client
 */

#include "codec/session_opening.h"

#include "codec/session_merge.h"
#include "codec/turn_detection.h"

#include <string.h>
#include <uv.h>

/* What a session.update may not set: the model is fixed when the session is
 * opened, the rest is a server's. */
static const char *const fixed[] = {"model", "id", "object", "expires_at",
                                    "client_secret"};

/* First in every update, in this order. */
static const char *const prefix[] = {"type", "instructions", "tools",
                                     "tool_choice"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int
bound_read(json_t **out, const char *text)
{
    size_t bytes = strnlen(text, SESSION_OPENING_BOUND_MAX + 1);
    json_t *bound;

    if (bytes > SESSION_OPENING_BOUND_MAX)
        return UV_EINVAL;
    bound = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(bound)) {
        json_decref(bound);
        return UV_EINVAL;
    }
    for (size_t i = 0; i < COUNT(fixed); i++)
        json_object_del(bound, fixed[i]);
    *out = bound;
    return 0;
}

/* Under merge the policy's instructions stay in front. */
static int
instructions_join(json_t *bound, const struct policy *policy)
{
    const char *own = json_string_value(json_object_get(bound, "instructions"));
    json_t *joined;

    if (policy->client_update != POLICY_UPDATE_MERGE || !policy->instructions)
        return 0;
    if (!own || !*own) {
        json_object_del(bound, "instructions");
        return 0;
    }
    joined = json_sprintf("%s\n\n%s", policy->instructions, own);
    return joined && json_object_set_new(bound, "instructions", joined) == 0
               ? 0
               : UV_ENOMEM;
}

/* Takes both; either may be NULL. */
static int
join(json_t **out, json_t *own, json_t *bound, const struct policy *policy)
{
    bool policy_wins = policy->client_update == POLICY_UPDATE_DENY;

    if (!own || !bound) {
        *out = own ? own : bound;
        return 0;
    }
    json_t *over = policy_wins ? own : bound;
    *out = policy_wins ? bound : own;
    int result = policy_wins ? 0 : instructions_join(bound, policy);
    if (!result)
        result = session_merge(*out, over);
    json_decref(over);
    return result;
}

/* The same members, the prefix first. Takes *settings. */
int
session_opening_order(json_t **settings)
{
    json_t *ordered = json_object();
    int failed = ordered == NULL;

    if (!json_object_get(*settings, "type"))
        failed |=
            json_object_set_new(*settings, "type", json_string("realtime"));
    for (size_t i = 0; i < COUNT(prefix); i++) {
        json_t *value = json_object_get(*settings, prefix[i]);
        if (value)
            failed |= json_object_set(ordered, prefix[i], value);
    }
    failed |= json_object_update_missing(ordered, *settings);
    json_decref(*settings);
    *settings = ordered;
    return failed ? UV_ENOMEM : 0;
}

int
session_opening_settings(json_t **out, const struct policy *policy,
                         const char *bound)
{
    json_t *said = NULL, *own = NULL, *settings = NULL;
    int result = bound ? bound_read(&said, bound) : 0;

    if (result)
        return result;
    if (policy_sets_session(policy)) {
        own = policy_session(policy);
        if (!own) {
            json_decref(said);
            return UV_ENOMEM;
        }
    }
    result = join(&settings, own, said, policy);
    if (!result && settings)
        result = turn_detection_complete(NULL, policy, settings);
    if (!result && settings)
        result = session_opening_order(&settings);
    if (result)
        json_decref(settings);
    else
        *out = settings;
    return result;
}

int
session_opening_vad(json_t **settings, const char *name)
{
    json_t *turn = name ? turn_detection_named(name) : NULL;
    int result;

    if (!name)
        return 0;
    json_t *patch =
        json_pack("{s:{s:{s:o*}}}", "audio", "input", "turn_detection", turn);
    if (!turn || !patch) {
        json_decref(patch);
        return turn ? UV_ENOMEM : UV_EINVAL;
    }
    if (!*settings)
        *settings = json_pack("{s:s}", "type", "realtime");
    result = *settings ? session_merge(*settings, patch) : UV_ENOMEM;
    json_decref(patch);
    return result;
}

static bool
transcribes(const json_t *session)
{
    const char *type = json_string_value(json_object_get(session, "type"));

    return type && strcmp(type, "transcription") == 0;
}

int
session_opening_fit(json_t **settings, const json_t *session)
{
    if (!*settings || !transcribes(session))
        return 0;
    json_t *audio = json_object_get(*settings, "audio");
    json_t *input = json_object_get(audio, "input");
    json_t *include = json_object_get(*settings, "include");
    json_t *fit = json_pack("{s:s}", "type", "transcription");
    int failed = fit == NULL;
    if (input) {
        turn_detection_only_hears(input);
        failed |= json_object_set_new(fit, "audio",
                                      json_pack("{s:O}", "input", input));
    }
    if (include)
        failed |= json_object_set(fit, "include", include);
    if (failed || (!input && !include)) {
        json_decref(fit);
        fit = NULL;
    }
    json_decref(*settings);
    *settings = fit;
    return failed ? UV_ENOMEM : 0;
}

char *
session_opening_update(const json_t *settings, const char *event_id)
{
    json_t *update = json_pack("{s:s s:s s:O}", "type", "session.update",
                               "event_id", event_id, "session", settings);
    char *text =
        update ? json_dumps(update, JSON_COMPACT | JSON_REAL_PRECISION(15))
               : NULL;

    json_decref(update);
    return text;
}

int
session_opening_apply(json_t *session, const json_t *settings, const char *id)
{
    int result = settings ? session_merge(session, settings) : 0;

    if (result)
        return result;
    return json_object_set_new(session, "id", json_string(id)) ? UV_ENOMEM : 0;
}

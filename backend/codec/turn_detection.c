/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/turn_detection.h"

#include <stdint.h>
#include <string.h>
#include <uv.h>

#define SERVER_VAD   "server_vad"
#define SEMANTIC_VAD "semantic_vad"

static const struct preset {
    const char *name;
    enum policy_vad_mode mode;
    double threshold;
    unsigned silence_ms;
} presets[] = {
    {"quiet", POLICY_VAD_SERVER, 0.3, 400},
    {"normal", POLICY_VAD_SERVER, 0.5, 500},
    {"noisy", POLICY_VAD_SERVER, 0.7, 800},
    {"semantic", POLICY_VAD_SEMANTIC, 0, 0},
    {"off", POLICY_VAD_OFF, 0, 0},
};

/* Of responses: a session that only transcribes makes none. */
static const char *const answering[] = {"create_response", "interrupt_response",
                                        "idle_timeout_ms"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void
turn_detection_deinit(struct turn_detection *t)
{
    json_decref(t->told);
    json_decref(t->wanted);
    memset(t, 0, sizeof(*t));
}

static const struct preset *
preset_find(const char *name)
{
    for (size_t i = 0; i < COUNT(presets); i++)
        if (strcmp(presets[i].name, name) == 0)
            return &presets[i];
    return NULL;
}

const char *
turn_detection_name(const char *name)
{
    const struct preset *p = preset_find(name);

    return p ? p->name : NULL;
}

json_t *
turn_detection_named(const char *name)
{
    const struct preset *p = preset_find(name);

    if (!p)
        return NULL;
    const struct policy policy = {.vad = {.mode = p->mode,
                                          .threshold = p->threshold,
                                          .silence_ms = p->silence_ms}};
    return policy_turn_detection(&policy);
}

static json_t *
turn_of(const json_t *session)
{
    json_t *input = json_object_get(json_object_get(session, "audio"), "input");

    return json_object_get(input, "turn_detection");
}

static const char *
type_of(const json_t *object)
{
    return json_string_value(json_object_get(object, "type"));
}

static bool
types_match(const json_t *object, const char *type)
{
    const char *own = type_of(object);

    return own && strcmp(own, type) == 0;
}

/* Gives what fills up a turn detection of this type; NULL and 0: nothing. */
static int
preset_for(const struct policy *policy, const char *type, json_t **out)
{
    bool semantic = strcmp(type, SEMANTIC_VAD) == 0;

    *out = NULL;
    if (!semantic && strcmp(type, SERVER_VAD) != 0)
        return 0;
    *out = !semantic && policy->vad.mode == POLICY_VAD_SERVER
               ? policy_turn_detection(policy)
               : turn_detection_named(semantic ? "semantic" : "normal");
    return *out ? 0 : UV_ENOMEM;
}

static int
base_for(const struct turn_detection *t, const struct policy *policy,
         const json_t *turn, json_t **out)
{
    const json_t *own = t ? (t->wanted ? t->wanted : t->told) : NULL;
    const json_t *named = json_object_get(turn, "type");

    *out = NULL;
    if (own && (!named || (type_of(turn) && types_match(own, type_of(turn))))) {
        *out = json_deep_copy(own);
        return *out ? 0 : UV_ENOMEM;
    }
    return type_of(turn) ? preset_for(policy, type_of(turn), out) : 0;
}

/* What is on its way, to be built upon; both may be NULL. */
static int
wanted_set(struct turn_detection *t, const json_t *turn)
{
    if (!t)
        return 0;
    t->pending++;
    if (!turn)
        return 0;
    json_decref(t->wanted);
    t->wanted = json_deep_copy(turn);
    return t->wanted ? 0 : UV_ENOMEM;
}

/* Takes `base`: the client's members over it, in their place. */
static int
fill(json_t *turn, json_t *base, bool transcribes)
{
    int result = 0;

    for (size_t i = 0; transcribes && i < COUNT(answering); i++)
        json_object_del(base, answering[i]);
    if (json_object_update(base, turn) || json_object_clear(turn)
        || json_object_update(turn, base))
        result = UV_ENOMEM;
    json_decref(base);
    return result;
}

int
turn_detection_complete(struct turn_detection *t, const struct policy *policy,
                        json_t *session)
{
    json_t *turn = turn_of(session);
    json_t *base;

    if (!json_is_object(turn))
        return wanted_set(t, turn);
    int result = base_for(t, policy, turn, &base);
    if (!result && base)
        result = fill(turn, base, types_match(session, "transcription"));
    return result ? result : wanted_set(t, turn);
}

void
turn_detection_only_hears(json_t *input)
{
    json_t *turn = json_object_get(input, "turn_detection");

    for (size_t i = 0; i < COUNT(answering); i++)
        json_object_del(turn, answering[i]);
}

int
turn_detection_told(struct turn_detection *t, const json_t *session)
{
    const json_t *turn = turn_of(session);

    if (!json_is_object(turn))
        return 0;
    json_decref(t->told);
    t->told = json_deep_copy(turn);
    return t->told ? 0 : UV_ENOMEM;
}

/* A model's own choice is nothing to build upon. No memory: the next one is
 * filled from a preset. */
void
turn_detection_shown(struct turn_detection *t, const json_t *session)
{
    const json_t *turn = turn_of(session);

    if (turn && (t->told || t->wanted)) {
        json_decref(t->told);
        t->told = json_is_object(turn) ? json_deep_copy(turn) : NULL;
    }
    if (t->pending > 0 && --t->pending == 0) {
        json_decref(t->wanted);
        t->wanted = NULL;
    }
}

void
turn_detection_failed(struct turn_detection *t)
{
    json_decref(t->wanted);
    t->wanted = NULL;
    t->pending = 0;
}

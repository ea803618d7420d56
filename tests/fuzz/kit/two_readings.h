/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A text as two kinds of servers read it: the first of equal keys wins, or the
 * last; and as one that does not mind the case of keys. For texts that the
 * peek has called sound.
 */

#ifndef VOICE_FUZZ_TWO_READINGS_H
#define VOICE_FUZZ_TWO_READINGS_H

#include "codec/client_filter.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define READING_FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)

struct first_reader {
    const char *at;
    const char *end;
};

static json_t *first_value(struct first_reader *r);

static inline void
first_space(struct first_reader *r)
{
    while (r->at < r->end && strchr(" \t\r\n", *r->at) && *r->at)
        r->at++;
}

static inline json_t *
first_string(struct first_reader *r)
{
    const char *from = r->at++;

    while (*r->at != '"')
        r->at += *r->at == '\\' ? 2 : 1;
    r->at++;
    return json_loadb(from, (size_t) (r->at - from), READING_FLAGS, NULL);
}

static inline json_t *
first_object(struct first_reader *r)
{
    json_t *object = json_object();

    for (r->at++, first_space(r); *r->at != '}'; first_space(r)) {
        if (*r->at == ',') {
            r->at++;
            continue;
        }
        json_t *key = first_string(r);
        first_space(r);
        r->at++; /* the colon */
        json_t *value = first_value(r);
        const char *name = json_string_value(key);
        if (name && value && !json_object_get(object, name))
            json_object_set(object, name, value);
        json_decref(value);
        json_decref(key);
    }
    r->at++;
    return object;
}

static inline json_t *
first_array(struct first_reader *r)
{
    json_t *array = json_array();

    for (r->at++, first_space(r); *r->at != ']'; first_space(r)) {
        if (*r->at == ',')
            r->at++;
        else
            json_array_append_new(array, first_value(r));
    }
    r->at++;
    return array;
}

static inline json_t *
first_value(struct first_reader *r)
{
    first_space(r);
    if (*r->at == '{')
        return first_object(r);
    if (*r->at == '[')
        return first_array(r);
    if (*r->at == '"')
        return first_string(r);
    const char *from = r->at;
    while (r->at < r->end && !strchr(",]} \t\r\n", *r->at))
        r->at++;
    return json_loadb(from, (size_t) (r->at - from), READING_FLAGS, NULL);
}

/* The text must be sound, with a NUL behind it. */
static inline json_t *
reading_first(const char *text, size_t bytes)
{
    struct first_reader r = {text, text + bytes};

    return first_value(&r);
}

static inline json_t *
reading_last(const char *text, size_t bytes)
{
    return json_loadb(text, bytes, READING_FLAGS, NULL);
}

static inline int
reading_same(const json_t *a, const json_t *b, const char *key)
{
    json_t *one = json_object_get(a, key);
    json_t *other = json_object_get(b, key);

    return one == other || (one && other && json_equal(one, other));
}

static inline int
readings_agree(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"type",  "session",      "response",
                                       "model", "instructions", "tools"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (!reading_same(a, b, keys[i]))
            return 0;
    return 1;
}

/* No key that a server without an eye for case takes for another one. */
static inline int
reading_has_disguise(json_t *object, const char *const *plain)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        for (size_t i = 0; plain[i]; i++)
            if (strcasecmp(key, plain[i]) == 0 && strcmp(key, plain[i]) != 0)
                return 1;
    }
    return 0;
}

static inline int
reading_model_is(const json_t *from, const char *const *models)
{
    const json_t *value = json_object_get(from, "model");

    if (!value || json_is_null(value))
        return 1;
    for (size_t i = 0; models[i]; i++)
        if (json_is_string(value)
            && strcmp(json_string_value(value), models[i]) == 0)
            return 1;
    return 0;
}

/* Whether instructions are none, the policy's, or begin with it. */
static inline int
reading_instructions_are(const json_t *from, const struct policy *policy)
{
    const json_t *value = json_object_get(from, "instructions");
    const char *text = json_string_value(value);

    if (!value || policy->client_update == POLICY_UPDATE_ALLOW
        || !policy->instructions)
        return 1;
    if (!text)
        return 0;
    if (policy->client_update == POLICY_UPDATE_DENY)
        return strcmp(text, policy->instructions) == 0;
    return strncmp(text, policy->instructions, strlen(policy->instructions))
           == 0;
}

static inline int
reading_group_obeys(json_t *from, const struct policy *policy,
                    const char *const *models)
{
    static const char *const plain[] = {"instructions", "tools", "model",
                                        "prompt",       "input", NULL};
    const json_t *prompt = json_object_get(from, "prompt");
    int allow = policy->client_update == POLICY_UPDATE_ALLOW;

    if (!from || !json_is_object(from))
        return 1;
    if (!allow && prompt && !json_is_null(prompt))
        return 0;
    if (policy->client_update == POLICY_UPDATE_DENY
        && json_object_get(from, "tools"))
        return 0;
    return (allow && !policy->model)
           || (!reading_has_disguise(from, plain)
               && reading_model_is(from, models)
               && reading_model_is(prompt, models)
               && reading_instructions_are(from, policy));
}

/* Whether an event that goes to the model stays within the policy. */
static inline int
reading_obeys(json_t *event, const struct policy *policy,
              const char *const *models)
{
    static const char *const plain[] = {"type", "session", "response",
                                        "item", "model",   NULL};
    const json_t *item = json_object_get(event, "item");
    const char *role = json_string_value(json_object_get(item, "role"));

    if (policy->client_update == POLICY_UPDATE_ALLOW && !policy->model)
        return 1;
    if (policy->client_update == POLICY_UPDATE_DENY && role
        && strcmp(role, "user") != 0 && strcmp(role, "assistant") != 0)
        return 0;
    return !reading_has_disguise(event, plain)
           && reading_group_obeys(json_object_get(event, "session"), policy,
                                  models)
           && reading_group_obeys(json_object_get(event, "response"), policy,
                                  models);
}

/*
 * The way a client's text takes: peek, filter. The text that the model would
 * get, malloc'ed with a NUL; NULL: refused.
 */
static inline char *
reading_pass(const struct policy *policy, const char *model, const char *text,
             size_t bytes, size_t *out)
{
    struct client_filter f = {.policy = policy, .model = model};
    struct realtime_peek peek;

    if (realtime_peek(text, bytes, &peek))
        return NULL;
    if (!client_filter_is_needed(policy, &peek)) {
        char *copy = malloc(bytes + 1);
        memcpy(copy, text, bytes);
        copy[bytes] = 0;
        *out = bytes;
        return copy;
    }
    if (client_filter_apply(&f, &peek, text, bytes))
        return NULL;
    *out = f.bytes;
    return f.text;
}

/* 1: what passed reads the same for everybody and is within the policy. */
static inline int
reading_is_safe(const struct policy *policy, const char *const *models,
                const char *text, size_t bytes)
{
    json_t *first = reading_first(text, bytes);
    json_t *last = reading_last(text, bytes);
    /* What jansson can't hold has no session and no response: it passed as it
     * was. */
    int safe =
        !last
        || (readings_agree(first, last) && reading_obeys(first, policy, models)
            && reading_obeys(last, policy, models));

    json_decref(first);
    json_decref(last);
    return safe;
}

#endif

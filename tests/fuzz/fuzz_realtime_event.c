/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The peek against Jansson (the last of equal keys wins) and against a walk
 * that keeps the first: whatever the peek calls sound must read the same with
 * both. Then the filter, whose output must be sound and stay within a policy
 * that denies.
 */

#include "codec/client_filter.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL)
#define CHECK(ok)                                                              \
    do {                                                                       \
        if (!(ok))                                                             \
            abort();                                                           \
    } while (0)

static const char *const keys[] = {
#define X(id, text) text,
    REALTIME_KEYS(X)
#undef X
};

static const char policy_text[] =
    "{\"v\":1,\"model\":null,\"models\":[],\"upstream\":[],\"voice\":null,"
    "\"instructions\":\"P\",\"vad\":null,\"opus\":null,\"buffer\":"
    "\"balanced\",\"context\":null,\"tools\":[],\"http_tools\":[],"
    "\"transcript\":true,\"transcription\":null,\"client_update\":\"deny\","
    "\"web_app\":false,\"auth_seen\":false}";

/* From a quote to behind the closing one; the text is known to be JSON. */
static const char *
string_end(const char *p)
{
    for (p++; *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p + 1;
}

/* Behind the value at p. */
static const char *
value_end(const char *p, const char *end)
{
    int depth = 0;

    for (; p < end; p++) {
        if (*p == '"')
            p = string_end(p) - 1;
        else if (*p == '{' || *p == '[')
            depth++;
        else if ((*p == '}' || *p == ']' || *p == ',') && depth == 0)
            break;
        else if (*p == '}' || *p == ']')
            depth--;
    }
    return p;
}

static json_t *
load(const char *from, const char *to)
{
    return json_loadb(from, (size_t) (to - from), FLAGS, NULL);
}

/* The value of the first member of that key, or NULL. */
static json_t *
first_of(const char *text, size_t bytes, const char *key)
{
    const char *end = text + bytes;
    const char *p = memchr(text, '{', bytes);

    for (p++; p < end;) {
        p += strspn(p, " \t\r\n,");
        if (*p == '}')
            return NULL;
        const char *key_from = p;
        p = string_end(p);
        json_t *name = load(key_from, p);
        p = memchr(p, ':', (size_t) (end - p));
        const char *value = ++p;
        p = value_end(p, end);
        int same = name && json_string_length(name) == strlen(key)
                   && strcmp(json_string_value(name), key) == 0;
        json_decref(name);
        if (same)
            return load(value, p);
    }
    return NULL;
}

static void
sound_check(const char *text, size_t bytes, json_t *tree,
            const struct realtime_peek *peek)
{
    for (int k = 0; k < REALTIME_KEY_COUNT; k++) {
        struct realtime_span span = peek->value[k];
        json_t *last = json_object_get(tree, keys[k]);
        json_t *first = first_of(text, bytes, keys[k]);
        CHECK(!span.text == !last && !span.text == !first);
        if (span.text) {
            json_t *seen = load(span.text, span.text + span.bytes);
            CHECK(seen && json_equal(seen, last) && json_equal(seen, first));
            json_decref(seen);
        }
        json_decref(first);
    }
    const json_t *type = json_object_get(tree, "type");
    CHECK(json_string_length(type) == peek->name.bytes);
    CHECK(memcmp(json_string_value(type), peek->name.text, peek->name.bytes)
          == 0);
    CHECK(realtime_type_of(text, bytes) == peek->type);
}

static void
filtered_check(const char *text, size_t bytes)
{
    struct realtime_peek peek;

    CHECK(realtime_peek(text, bytes, &peek) == REALTIME_SOUND);
    json_t *tree = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    CHECK(tree);
    static const char *const groups[] = {"session", "response"};
    int group = peek.type == REALTIME_SESSION_UPDATE    ? 0
                : peek.type == REALTIME_RESPONSE_CREATE ? 1
                                                        : -1;
    if (group >= 0) {
        json_t *from = json_object_get(tree, groups[group]);
        json_t *said = json_object_get(from, "instructions");
        CHECK(!said || strcmp(json_string_value(said), "P") == 0);
        CHECK(!json_object_get(from, "tools"));
        CHECK(!json_object_get(from, "model"));
    }
    json_decref(tree);
}

static void
filter_check(const char *text, size_t bytes, const struct realtime_peek *peek)
{
    static const struct policy *policy;
    char error[POLICY_ERROR_BYTES];

    if (!policy)
        CHECK(policy_get(&policy, policy_text, error) == 0);
    struct client_filter f = {.policy = policy, .model = "m"};
    if (client_filter_apply(&f, peek, text, bytes) == 0) {
        filtered_check(f.text, f.bytes);
        free(f.text);
    } else {
        char out[REALTIME_ERROR_BYTES];
        size_t length = realtime_error_write(out, "e", &f.error);
        json_t *tree = json_loadb(out, length, JSON_ALLOW_NUL, NULL);
        CHECK(tree);
        json_decref(tree);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct realtime_peek peek;
    json_error_t error;
    /* A copy of its own with a NUL, for the walk; the peek must not see it. */
    char *text = malloc(bytes + 1);

    memcpy(text, data, bytes);
    text[bytes] = 0;
    enum realtime_defect defect =
        realtime_peek((const char *) data, bytes, &peek);
    realtime_type_of((const char *) data, bytes);
    json_t *tree = json_loadb(text, bytes, FLAGS, &error);
    int limits = !tree
                 && (json_error_code(&error) == json_error_numeric_overflow
                     || json_error_code(&error) == json_error_null_byte_in_key);
    /* Jansson passes over NUL bytes between tokens; the peek does not. */
    CHECK(defect != REALTIME_NOT_JSON || !tree || memchr(data, 0, bytes));
    CHECK(defect == REALTIME_NOT_JSON || defect == REALTIME_TOO_DEEP || tree
          || limits);
    if (defect == REALTIME_SOUND) {
        CHECK(realtime_peek(text, bytes, &peek) == REALTIME_SOUND);
        if (tree)
            sound_check(text, bytes, tree, &peek);
        filter_check(text, bytes, &peek);
    }
    json_decref(tree);
    free(text);
    return 0;
}

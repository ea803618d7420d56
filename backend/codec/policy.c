/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   VOICE_POLICY ─► kept? ─► share
 *                     │ no
 *                     └► parse ─► keep (least recently used leaves) ─► share
 *
 * The kept ones are the process's only state on this floor; a mutex guards
 * them. A policy that left the cache lives on while somebody holds it.
 */

#include "codec/policy.h"

#include <jansson.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define NAMES_MAX 256

struct holder {
    struct policy policy; /* first: a policy's address is its holder's */
    unsigned refs;        /* atomic */
    uint64_t hash;
    uint64_t used; /* the cache's clock when last asked for */
    char *text;
};

static struct {
    pthread_mutex_t mutex;
    struct holder *kept[POLICY_CACHE_MAX];
    unsigned count;
    uint64_t clock;
} cache = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* What is being read: the first fault names its key and stays. */
struct reader {
    json_t *root;
    char *error;
    size_t seen;
    int result;
};

static void
fault(struct reader *r, int result, const char *key, const char *what)
{
    if (r->result)
        return;
    r->result = result;
    snprintf(r->error, POLICY_ERROR_BYTES, "%s: %s", key, what);
}

/* Every key is always there; a fault gives NULL. */
static json_t *
member(struct reader *r, json_t *from, const char *key)
{
    json_t *value = json_object_get(from, key);

    if (!value)
        fault(r, UV_EINVAL, key, "missing");
    else if (from == r->root)
        r->seen++;
    return value;
}

static char *
text_copy(struct reader *r, const json_t *value, const char *key)
{
    char *copy = strdup(json_string_value(value));

    if (!copy)
        fault(r, UV_ENOMEM, key, "no memory");
    return copy;
}

/* A string that is not empty, or null. */
static char *
read_text(struct reader *r, const char *key)
{
    json_t *value = member(r, r->root, key);

    if (!value || json_is_null(value))
        return NULL;
    if (!json_is_string(value) || !json_string_length(value)) {
        fault(r, UV_EINVAL, key, "neither a text nor null");
        return NULL;
    }
    return text_copy(r, value, key);
}

static bool
read_bool(struct reader *r, json_t *from, const char *key)
{
    json_t *value = member(r, from, key);

    if (value && !json_is_boolean(value))
        fault(r, UV_EINVAL, key, "not true or false");
    return json_is_true(value);
}

static unsigned
read_count(struct reader *r, json_t *from, const char *key)
{
    json_t *value = member(r, from, key);

    if (!value)
        return 0;
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 0 || n > INT_MAX) {
        fault(r, UV_EINVAL, key, "not a number of 0 to 2147483647");
        return 0;
    }
    return (unsigned) n;
}

/* Index in a NULL-terminated list of choices. */
static unsigned
read_choice(struct reader *r, json_t *from, const char *key,
            const char *const *choices)
{
    json_t *value = member(r, from, key);
    const char *text = json_string_value(value);

    for (unsigned i = 0; text && choices[i]; i++)
        if (strcmp(choices[i], text) == 0)
            return i;
    if (value)
        fault(r, UV_EINVAL, key, "not one of its words");
    return 0;
}

static void
read_names(struct reader *r, const char *key, struct policy_names *names)
{
    json_t *value = member(r, r->root, key);
    size_t count = json_array_size(value);
    size_t index;
    json_t *item;

    if (!value)
        return;
    if (!json_is_array(value) || count > NAMES_MAX) {
        fault(r, UV_EINVAL, key, "not a list of names");
        return;
    }
    names->items = calloc(count ? count : 1, sizeof(*names->items));
    if (!names->items) {
        fault(r, UV_ENOMEM, key, "no memory");
        return;
    }
    json_array_foreach(value, index, item)
    {
        if (!json_is_string(item) || !json_string_length(item)) {
            fault(r, UV_EINVAL, key, "not a list of names");
            return;
        }
        names->items[names->count] = text_copy(r, item, key);
        if (!names->items[names->count])
            return;
        names->count++;
    }
}

/* A list of names, or the word for all of them. */
static void
read_tools(struct reader *r, struct policy_names *names)
{
    const char *text = json_string_value(json_object_get(r->root, "tools"));

    if (!text) {
        read_names(r, "tools", names);
        return;
    }
    r->seen++;
    if (strcmp(text, "all") == 0)
        names->all = true;
    else
        fault(r, UV_EINVAL, "tools", "neither \"all\" nor a list of names");
}

/* The object, or NULL when it is null or a fault. */
static json_t *
read_group(struct reader *r, const char *key, size_t size)
{
    json_t *value = member(r, r->root, key);

    if (!value || json_is_null(value))
        return NULL;
    if (json_is_object(value) && json_object_size(value) == size)
        return value;
    fault(r, UV_EINVAL, key, "not an object of its keys");
    return NULL;
}

static void
read_vad(struct reader *r, struct policy *policy)
{
    static const char *const modes[] = {"off", "server", "semantic", NULL};
    json_t *from = read_group(r, "vad", 4);

    if (!from)
        return;
    policy->vad.mode = POLICY_VAD_OFF + read_choice(r, from, "mode", modes);
    policy->vad.silence_ms = read_count(r, from, "silence_ms");
    policy->vad.min_speech_ms = read_count(r, from, "min_speech_ms");
    json_t *threshold = member(r, from, "threshold");
    policy->vad.threshold = json_number_value(threshold);
    if (threshold
        && (!json_is_number(threshold) || !(policy->vad.threshold >= 0)
            || !(policy->vad.threshold <= 1)))
        fault(r, UV_EINVAL, "threshold", "not a number of 0 to 1");
}

static void
read_opus(struct reader *r, struct policy *policy)
{
    json_t *from = read_group(r, "opus", 5);

    if (!from)
        return;
    policy->opus.on = true;
    policy->opus.bitrate = read_count(r, from, "bitrate");
    policy->opus.ptime_ms = read_count(r, from, "ptime");
    policy->opus.fec = read_bool(r, from, "fec");
    policy->opus.dtx = read_bool(r, from, "dtx");
    policy->opus.complexity = read_count(r, from, "complexity");
}

static void
read_context(struct reader *r, struct policy *policy)
{
    json_t *from = read_group(r, "context", 4);

    if (!from)
        return;
    policy->context.on = true;
    policy->context.turns = read_count(r, from, "turns");
    policy->context.tokens = read_count(r, from, "tokens");
    policy->context.summarize_to = read_count(r, from, "summarize_to");
    policy->context.tool_results = read_count(r, from, "tool_results");
}

static void
read_all(struct reader *r, struct policy *policy)
{
    static const char *const buffers[] = {"aggressive", "balanced",
                                          "conservative", NULL};
    static const char *const updates[] = {"allow", "merge", "deny", NULL};

    if (read_count(r, r->root, "v") != 1)
        fault(r, UV_EINVAL, "v", "not version 1");
    policy->model = read_text(r, "model");
    read_names(r, "models", &policy->models);
    read_names(r, "upstream", &policy->upstream);
    policy->voice = read_text(r, "voice");
    policy->instructions = read_text(r, "instructions");
    read_vad(r, policy);
    read_opus(r, policy);
    policy->buffer = read_choice(r, r->root, "buffer", buffers);
    read_context(r, policy);
    read_tools(r, &policy->tools);
    read_names(r, "http_tools", &policy->http_tools);
    policy->transcript = read_bool(r, r->root, "transcript");
    policy->transcription = read_text(r, "transcription");
    policy->client_update = read_choice(r, r->root, "client_update", updates);
    policy->web_app = read_bool(r, r->root, "web_app");
    policy->auth_seen = read_bool(r, r->root, "auth_seen");
    if (!r->result && json_object_size(r->root) != r->seen)
        fault(r, UV_EINVAL, "policy", "has a key of no meaning");
}

static void
names_free(struct policy_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

static void
holder_free(struct holder *holder)
{
    struct policy *policy = &holder->policy;

    free(policy->model);
    free(policy->voice);
    free(policy->instructions);
    free(policy->transcription);
    names_free(&policy->models);
    names_free(&policy->upstream);
    names_free(&policy->tools);
    names_free(&policy->http_tools);
    free(holder->text);
    free(holder);
}

static void
holder_unref(struct holder *holder)
{
    if (__atomic_sub_fetch(&holder->refs, 1, __ATOMIC_ACQ_REL) == 0)
        holder_free(holder);
}

static int
policy_parse(struct holder **holderp, const char *text, size_t bytes,
             char *error)
{
    struct reader r = {.error = error};
    json_error_t json_error;
    struct holder *holder;

    if (bytes > POLICY_TEXT_MAX) {
        fault(&r, UV_EINVAL, "policy", "too long");
        return r.result;
    }
    r.root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &json_error);
    if (!json_is_object(r.root)) {
        fault(&r, UV_EINVAL, "policy", "not a JSON object");
        json_decref(r.root);
        return r.result;
    }
    holder = calloc(1, sizeof(*holder));
    if (holder)
        holder->text = strdup(text);
    if (!holder || !holder->text)
        fault(&r, UV_ENOMEM, "policy", "no memory");
    else
        read_all(&r, &holder->policy);
    json_decref(r.root);
    if (r.result && holder)
        holder_free(holder);
    if (!r.result)
        *holderp = holder;
    return r.result;
}

/* FNV-1a; the text decides in the end. */
static uint64_t
text_hash(const char *text, size_t *bytes)
{
    uint64_t hash = 0xCBF29CE484222325u;
    const char *p;

    for (p = text; *p; p++)
        hash = (hash ^ (uint8_t) *p) * 0x100000001B3u;
    *bytes = (size_t) (p - text);
    return hash;
}

/* With the mutex held: the kept one, shared once more, or NULL. */
static struct holder *
cache_find(uint64_t hash, const char *text)
{
    for (unsigned i = 0; i < cache.count; i++) {
        struct holder *holder = cache.kept[i];
        if (holder->hash != hash || strcmp(holder->text, text) != 0)
            continue;
        holder->used = ++cache.clock;
        __atomic_add_fetch(&holder->refs, 1, __ATOMIC_RELAXED);
        return holder;
    }
    return NULL;
}

/* With the mutex held: shares the holder with the cache. */
static void
cache_keep(struct holder *holder)
{
    unsigned place = cache.count;

    if (place == POLICY_CACHE_MAX) {
        place = 0;
        for (unsigned i = 1; i < cache.count; i++)
            if (cache.kept[i]->used < cache.kept[place]->used)
                place = i;
        holder_unref(cache.kept[place]);
    } else {
        cache.count++;
    }
    holder->used = ++cache.clock;
    __atomic_add_fetch(&holder->refs, 1, __ATOMIC_RELAXED);
    cache.kept[place] = holder;
}

int
policy_get(const struct policy **policy, const char *text,
           char error[POLICY_ERROR_BYTES])
{
    size_t bytes;
    uint64_t hash = text_hash(text, &bytes);
    struct holder *made = NULL;

    error[0] = 0;
    pthread_mutex_lock(&cache.mutex);
    struct holder *holder = cache_find(hash, text);
    pthread_mutex_unlock(&cache.mutex);
    if (holder) {
        *policy = &holder->policy;
        return 0;
    }
    int result = policy_parse(&made, text, bytes, error);
    if (result)
        return result;
    made->hash = hash;
    made->refs = 1;
    pthread_mutex_lock(&cache.mutex);
    holder = cache_find(hash, text); /* another thread may have been first */
    if (!holder) {
        holder = made;
        made = NULL;
        cache_keep(holder);
    }
    pthread_mutex_unlock(&cache.mutex);
    if (made)
        holder_unref(made);
    *policy = &holder->policy;
    return 0;
}

/* The const is the holders'; the count is ours. */
static struct holder *
holder_of(const struct policy *policy)
{
    return (struct holder *) (uintptr_t) policy;
}

const struct policy *
policy_ref(const struct policy *policy)
{
    __atomic_add_fetch(&holder_of(policy)->refs, 1, __ATOMIC_RELAXED);
    return policy;
}

void
policy_put(const struct policy **policy)
{
    if (!*policy)
        return;
    holder_unref(holder_of(*policy));
    *policy = NULL;
}

void
policy_cache_clear(void)
{
    pthread_mutex_lock(&cache.mutex);
    while (cache.count)
        holder_unref(cache.kept[--cache.count]);
    pthread_mutex_unlock(&cache.mutex);
}

bool
policy_names_have(const struct policy_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return names->all;
}

int
policy_model(const struct policy *policy, const char *asked, const char **name)
{
    if (!asked || !*asked) {
        if (!policy->model)
            return UV_EINVAL;
        *name = policy->model;
        return 0;
    }
    if (policy->model && strcmp(policy->model, asked) != 0
        && !policy_names_have(&policy->models, asked))
        return UV_ENOENT;
    *name = asked;
    return 0;
}

bool
policy_sets_session(const struct policy *policy)
{
    return policy->voice || policy->instructions || policy->transcription
           || policy->vad.mode != POLICY_VAD_UNSET;
}

/* Every field of the two kinds, so that nothing is left to a server's own
 * defaults. Realtime servers know no least length of speech: min_speech_ms is
 * for those who detect speech here. */
json_t *
policy_turn_detection(const struct policy *policy)
{
    switch (policy->vad.mode) {
    case POLICY_VAD_SERVER:
        return json_pack("{s:s s:f s:i s:i s:n s:b s:b}", "type", "server_vad",
                         "threshold", policy->vad.threshold,
                         "prefix_padding_ms", 300, "silence_duration_ms",
                         (int) policy->vad.silence_ms, "idle_timeout_ms",
                         "create_response", 1, "interrupt_response", 1);
    case POLICY_VAD_SEMANTIC:
        return json_pack("{s:s s:s s:b s:b}", "type", "semantic_vad",
                         "eagerness", "auto", "create_response", 1,
                         "interrupt_response", 1);
    default:
        return json_null();
    }
}

/* The "audio" of the session, or NULL when the policy sets none of it. */
static json_t *
session_audio(const struct policy *policy)
{
    json_t *audio = json_object();
    json_t *input = json_object();

    if (policy->transcription)
        json_object_set_new(input, "transcription",
                            json_pack("{s:s}", "model", policy->transcription));
    if (policy->vad.mode != POLICY_VAD_UNSET)
        json_object_set_new(input, "turn_detection",
                            policy_turn_detection(policy));
    if (json_object_size(input))
        json_object_set(audio, "input", input);
    json_decref(input);
    if (policy->voice)
        json_object_set_new(audio, "output",
                            json_pack("{s:s}", "voice", policy->voice));
    if (json_object_size(audio))
        return audio;
    json_decref(audio);
    return NULL;
}

json_t *
policy_session(const struct policy *policy)
{
    return json_pack("{s:s s:s* s:o*}", "type", "realtime", "instructions",
                     policy->instructions, "audio", session_audio(policy));
}

char *
policy_session_update(const struct policy *policy, const char *event_id)
{
    json_t *update =
        json_pack("{s:s s:s s:o*}", "type", "session.update", "event_id",
                  event_id, "session", policy_session(policy));
    char *text = update ? json_dumps(update, JSON_COMPACT) : NULL;

    json_decref(update);
    return text;
}

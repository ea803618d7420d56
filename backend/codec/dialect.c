/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   text ─► type ─► rule ─┬─ none ──────────────────────────► same text
 *                         ├─ renamed ─► the type's bytes ───► text
 *                         ├─ rewritten ─► tree ─► rewriter ─► 0..n texts
 *                         └─ swallowed
 * Audio is nearly all there is, and is at most renamed: no tree.
 */

#include "codec/dialect.h"

#include "codec/dialect_azure.h"
#include "codec/dialect_beta_client.h"
#include "codec/dialect_beta_server.h"
#include "codec/dialect_event.h"
#include "codec/dialect_memory.h"
#include "codec/dialect_xai.h"
#include "codec/json_scan.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct dialect {
    const struct dialect_table *table;
    struct dialect_memory memory;
};

/* Of a client no more is known than that it may speak beta. */
static const struct dialect_table
    *const tables[DIALECT_COUNT][DIALECT_SIDE_COUNT] = {
        [DIALECT_AZURE] = {[DIALECT_SIDE_SERVER] = &dialect_azure},
        [DIALECT_XAI] = {[DIALECT_SIDE_SERVER] = &dialect_xai},
        [DIALECT_BETA] = {[DIALECT_SIDE_SERVER] = &dialect_beta_server,
                          [DIALECT_SIDE_CLIENT] = &dialect_beta_client},
};

static const char *const names[DIALECT_COUNT] = {
    [DIALECT_OPENAI] = "openai",
    [DIALECT_AZURE] = "azure",
    [DIALECT_XAI] = "xai",
    [DIALECT_BETA] = "beta",
};

const char *
dialect_name(enum dialect_kind kind)
{
    return (unsigned) kind < DIALECT_COUNT ? names[kind] : "";
}

int
dialect_create(struct dialect **dp, enum dialect_kind kind,
               enum dialect_side side)
{
    const struct dialect_table *table = NULL;

    if ((unsigned) kind < DIALECT_COUNT && (unsigned) side < DIALECT_SIDE_COUNT)
        table = tables[kind][side];
    struct dialect *d = NULL;
    if (table) {
        d = malloc(sizeof(*d));
        if (!d)
            return UV_ENOMEM;
        d->table = table;
        dialect_memory_init(&d->memory);
    }
    *dp = d;
    return 0;
}

void
dialect_destroy(struct dialect **dp)
{
    struct dialect *d = *dp;

    *dp = NULL;
    if (!d)
        return;
    dialect_memory_deinit(&d->memory);
    free(d);
}

/* --- the type */

struct span {
    const char *text;
    size_t bytes;
};

/* The first `type` at the top, without quotes; false: there is none that is a
 * plain string. Reads no further. */
static bool
type_find(const char *json, size_t bytes, struct span *type)
{
    struct json_scan s = {(const uint8_t *) json,
                          (const uint8_t *) json + bytes};
    bool escaped;

    if (!json_scan_take(&s, '{'))
        return false;
    do {
        if (json_scan_next(&s) != '"')
            return false;
        const uint8_t *key = s.at;
        if (!json_scan_string(&s, &escaped))
            return false;
        bool found = s.at - key == 6 && memcmp(key, "\"type\"", 6) == 0;
        if (!json_scan_take(&s, ':'))
            return false;
        json_scan_space(&s);
        const uint8_t *value = s.at;
        if (json_scan_value(&s, &escaped) != JSON_SCAN_SOUND)
            return false;
        if (found) {
            type->text = (const char *) value + 1;
            type->bytes = (size_t) (s.at - value) - 2;
            return *value == '"' && !escaped;
        }
    } while (json_scan_take(&s, ','));
    return false;
}

static const struct dialect_rule *
rule_find(const struct dialect_rule *rules, struct span type)
{
    for (; rules->type; rules++)
        if (strlen(rules->type) == type.bytes
            && memcmp(rules->type, type.text, type.bytes) == 0)
            return rules;
    return NULL;
}

/* --- the ways through */

/* One event while it is translated. */
struct passage {
    struct dialect *d;
    const char *json;
    size_t bytes;
    dialect_emit_h *emit;
    void *arg;
};

static int
text_rename(const struct passage *p, struct span type, const char *to)
{
    size_t to_bytes = strlen(to);
    size_t before = (size_t) (type.text - p->json);
    size_t behind = p->bytes - before - type.bytes;
    char *text = malloc(before + to_bytes + behind + 1);

    if (!text)
        return UV_ENOMEM;
    memcpy(text, p->json, before);
    memcpy(text + before, to, to_bytes);
    memcpy(text + before + to_bytes, type.text + type.bytes, behind);
    text[before + to_bytes + behind] = 0;
    p->emit(p->arg, text, before + to_bytes + behind);
    free(text);
    return 0;
}

/* Which of two equal keys wins is not for us to say: refused. */
static int
tree_load(const struct passage *p, json_t **tree)
{
    json_error_t error;

    *tree = json_loadb(p->json, p->bytes,
                       JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (*tree)
        return 0;
    return json_error_code(&error) == json_error_out_of_memory ? UV_ENOMEM
                                                               : UV_EINVAL;
}

static int
tree_rewrite(const struct passage *p, const struct dialect_rule *rule)
{
    struct dialect_event e = {.bytes = p->bytes,
                              .memory = &p->d->memory,
                              .emit = p->emit,
                              .arg = p->arg};
    int result = tree_load(p, &e.tree);

    if (result)
        return result;
    if (rule->to && json_object_set_new(e.tree, "type", json_string(rule->to)))
        result = UV_ENOMEM;
    if (!result)
        result = rule->rewrite(&e);
    if (result == DIALECT_PASS)
        result = dialect_event_emit(&e, e.tree);
    json_decref(e.tree);
    return result < 0 ? result : 0;
}

static int
translate(const struct passage *p, const struct dialect_rule *rules)
{
    const struct dialect_rule *rule = NULL;
    struct span type;

    if (type_find(p->json, p->bytes, &type))
        rule = rule_find(rules, type);
    if (rule && !rule->to && !rule->rewrite)
        return 0;
    if (rule && rule->rewrite && p->bytes <= DIALECT_TREE_MAX
        && !(rule->idle && rule->idle(&p->d->memory)))
        return tree_rewrite(p, rule);
    if (rule && rule->to)
        return text_rename(p, type, rule->to);
    p->emit(p->arg, p->json, p->bytes);
    return 0;
}

int
dialect_to_peer(struct dialect *d, const char *json, size_t bytes,
                dialect_emit_h *emit, void *arg)
{
    const struct passage p = {d, json, bytes, emit, arg};

    return translate(&p, d->table->to_peer);
}

int
dialect_from_peer(struct dialect *d, const char *json, size_t bytes,
                  dialect_emit_h *emit, void *arg)
{
    const struct passage p = {d, json, bytes, emit, arg};

    dialect_answer(d, emit, arg);
    return translate(&p, d->table->from_peer);
}

/* One at a time: who gets it may say something that is answered too. */
size_t
dialect_answer(struct dialect *d, dialect_emit_h *emit, void *arg)
{
    size_t count = 0;
    char *text;

    while (d && count < DIALECT_ANSWERS
           && (text = dialect_memory_take_answer(&d->memory)) != NULL) {
        emit(arg, text, strlen(text));
        free(text);
        count++;
    }
    return count;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/ignore_rules.h"

#include "codec/glob_pattern.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define ASK_EVERY 64 /* rules */

struct rule {
    struct glob_pattern *pattern;
    bool is_negated, is_of_directories;
    bool is_anchored; /* to the file's directory; else a name anywhere */
};

struct ignore_rules {
    size_t count, capacity;
    struct rule *rules;
};

/* --- reading */

/* Spaces at the end mean nothing but behind a backslash. */
static size_t
line_trim(const char *line, size_t bytes)
{
    size_t end = 0;

    for (size_t i = 0; i < bytes; i++) {
        if (line[i] == '\\' && i + 1 < bytes)
            end = ++i + 1;
        else if (line[i] != ' ')
            end = i + 1;
    }
    return end;
}

static bool
has_slash(const char *text, size_t bytes)
{
    return memchr(text, '/', bytes) != NULL;
}

static int
rule_add(struct ignore_rules *r, const struct rule *rule)
{
    if (r->count == r->capacity) {
        size_t more = r->capacity ? r->capacity * 2 : 16;
        struct rule *rules = reallocarray(r->rules, more, sizeof(*rules));

        if (!rules)
            return UV_ENOMEM;
        r->rules = rules;
        r->capacity = more;
    }
    r->rules[r->count++] = *rule;
    return 0;
}

/* UV_ENOMEM, or 0: also of a line that says nothing. */
static int
line_read(struct ignore_rules *r, const char *line, size_t bytes)
{
    struct rule rule = {0};

    bytes = line_trim(line, bytes);
    if (bytes == 0 || *line == '#')
        return 0;
    if (*line == '!') {
        rule.is_negated = true;
        line++;
        bytes--;
    }
    if (bytes > 0 && line[bytes - 1] == '/') {
        rule.is_of_directories = true;
        bytes--;
    }
    rule.is_anchored = has_slash(line, bytes);
    int result = glob_pattern_create(&rule.pattern, line, bytes, 0);
    if (result)
        return result == UV_ENOMEM ? result : 0;
    result = rule_add(r, &rule);
    if (result)
        glob_pattern_destroy(&rule.pattern);
    return result;
}

static int
text_read(struct ignore_rules *r, const char *text, size_t bytes)
{
    int result = 0;

    if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        bytes -= 3;
    }
    while (bytes > 0 && !result && r->count < IGNORE_RULES_MAX) {
        const char *end = memchr(text, '\n', bytes);
        size_t line = end ? (size_t) (end - text) : bytes;
        size_t part = line + (end != NULL);

        if (end && line > 0 && text[line - 1] == '\r')
            line--;
        result = line_read(r, text, line);
        text += part;
        bytes -= part;
    }
    return result;
}

int
ignore_rules_create(struct ignore_rules **rp, const char *text, size_t bytes)
{
    struct ignore_rules *r = calloc(1, sizeof(*r));

    if (!r)
        return UV_ENOMEM;
    if (bytes > IGNORE_RULES_BYTES)
        bytes = IGNORE_RULES_BYTES;
    int result = text_read(r, text, bytes);
    if (result || r->count == 0)
        ignore_rules_destroy(&r);
    if (!result)
        *rp = r;
    return result;
}

void
ignore_rules_destroy(struct ignore_rules **rp)
{
    struct ignore_rules *r = *rp;

    *rp = NULL;
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        glob_pattern_destroy(&r->rules[i].pattern);
    free(r->rules);
    free(r);
}

/* --- judging */

static bool
rule_fits(const struct rule *rule, const struct ignore_question *q)
{
    const char *slash =
        rule->is_anchored ? NULL : memrchr(q->path, '/', q->bytes);
    const char *from = slash ? slash + 1 : q->path;

    return (!rule->is_of_directories || q->is_directory)
           && glob_pattern_matches(rule->pattern, from,
                                   q->bytes - (size_t) (from - q->path));
}

enum ignore_verdict
ignore_rules_judge(const struct ignore_rules *rules,
                   const struct ignore_question *q)
{
    for (size_t i = rules ? rules->count : 0; i > 0; i--) {
        const struct rule *rule = &rules->rules[i - 1];

        if (i % ASK_EVERY == 0 && q->is_over && q->is_over(q->over_arg))
            return IGNORE_OUT;
        if (rule_fits(rule, q))
            return rule->is_negated ? IGNORE_IN : IGNORE_OUT;
    }
    return IGNORE_UNSAID;
}

size_t
ignore_rules_count(const struct ignore_rules *rules)
{
    return rules ? rules->count : 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A regular expression of a model (PCRE2, the only module that knows it),
 * matched against UTF-8. Steps, depth and memory of a match are limited, and a
 * search asks again and again whether it is to stop: no pattern holds a thread.
 * One user at a time; owns its working memory.
 */

#ifndef VOICE_TOOL_PATTERN_H
#define VOICE_TOOL_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#define TOOL_PATTERN_MAX         8192 /* bytes */
#define TOOL_PATTERN_ERROR_BYTES 256

enum tool_pattern_flags {
    TOOL_PATTERN_CASELESS = 1,
    TOOL_PATTERN_MULTILINE = 2 /* . is any character, ^ $ are at each line */
};

struct tool_pattern;

/* Asked now and then; true: stop. */
typedef bool tool_pattern_over_h(const void *arg);

struct tool_pattern_config {
    const char *text;
    size_t bytes;
    unsigned flags;
    tool_pattern_over_h *is_over;
    const void *over_arg;
};

/* 0; UV_EINVAL: no expression, `error` says why and where; UV_ENOMEM. */
int tool_pattern_create(struct tool_pattern **pp,
                        const struct tool_pattern_config *cfg,
                        char error[TOOL_PATTERN_ERROR_BYTES]);
void tool_pattern_destroy(struct tool_pattern **pp);

struct tool_pattern_span {
    size_t begin, end;
};

/* The first match at `from` or later, which is where a character begins. The
 * text is sound UTF-8: tool_limits_clean has seen it. 1: found; 0: none;
 * UV_E2BIG: it takes more than a search may; UV_ECANCELED: is_over said so;
 * UV_ENOMEM. */
int tool_pattern_find(struct tool_pattern *p, const char *text, size_t bytes,
                      size_t from, struct tool_pattern_span *span);

/* The text itself when it has no special character: to be looked for as bytes.
 * NULL: it is an expression. */
const char *tool_pattern_literal(const struct tool_pattern *p, size_t *bytes);

#endif

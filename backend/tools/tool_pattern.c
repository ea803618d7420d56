/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_pattern.h"

#include "base/clock.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* From one place of the text: some milliseconds. */
#define STEPS_MAX 200000
#define DEPTH_MAX 50000
#define HEAP_KB   8192
#define NEST_MAX  200

/* Places of the text that one call of the library may begin at: while it runs
 * it can't be stopped. It begins with few in each text and takes more while
 * that is quick. */
#define WINDOW_MIN   4
#define WINDOW_BEGIN 64
#define WINDOW_MAX   256
#define WINDOW_US    2000
#define ASK_EVERY    64 /* quick calls */

struct tool_pattern {
    struct tool_pattern_config cfg;
    pcre2_code *code;
    pcre2_match_context *context;
    pcre2_match_data *data;
    char *literal;
    size_t literal_bytes;
    size_t window;
    unsigned calls;
};

/* --- making */

static bool
is_special(char byte)
{
    return byte == '\n' || strchr("\\^$.[]|()?*+{}", byte) != NULL;
}

static int
literal_read(struct tool_pattern *p)
{
    if (p->cfg.flags & TOOL_PATTERN_CASELESS)
        return 0;
    for (size_t i = 0; i < p->cfg.bytes; i++)
        if (is_special(p->cfg.text[i]))
            return 0;
    p->literal = malloc(p->cfg.bytes + 1);
    if (!p->literal)
        return UV_ENOMEM;
    memcpy(p->literal, p->cfg.text, p->cfg.bytes);
    p->literal_bytes = p->cfg.bytes;
    return 0;
}

static uint32_t
options_of(unsigned flags)
{
    uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C
                       | PCRE2_USE_OFFSET_LIMIT;

    if (flags & TOOL_PATTERN_CASELESS)
        options |= PCRE2_CASELESS;
    if (flags & TOOL_PATTERN_MULTILINE)
        options |= PCRE2_MULTILINE | PCRE2_DOTALL;
    return options;
}

static int
error_say(int code, size_t at, char error[TOOL_PATTERN_ERROR_BYTES])
{
    PCRE2_UCHAR text[160];

    if (pcre2_get_error_message(code, text, sizeof(text)) < 0)
        text[0] = 0;
    snprintf(error, TOOL_PATTERN_ERROR_BYTES,
             "The pattern is no regular expression: %s, at its byte %zu.",
             (const char *) text, at);
    return UV_EINVAL;
}

static int
code_make(struct tool_pattern *p, char error[TOOL_PATTERN_ERROR_BYTES])
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    PCRE2_SIZE at = 0;
    int code = 0;

    if (!context)
        return UV_ENOMEM;
    pcre2_set_newline(context, p->cfg.flags & TOOL_PATTERN_MULTILINE
                                   ? PCRE2_NEWLINE_ANYCRLF
                                   : PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context, NEST_MAX);
    p->code = pcre2_compile((PCRE2_SPTR) p->cfg.text, p->cfg.bytes,
                            options_of(p->cfg.flags), &code, &at, context);
    pcre2_compile_context_free(context);
    return p->code ? 0 : error_say(code, at, error);
}

static int
working_make(struct tool_pattern *p)
{
    p->context = pcre2_match_context_create(NULL);
    p->data = pcre2_match_data_create(1, NULL);
    if (!p->context || !p->data)
        return UV_ENOMEM;
    pcre2_set_match_limit(p->context, STEPS_MAX);
    pcre2_set_depth_limit(p->context, DEPTH_MAX);
    pcre2_set_heap_limit(p->context, HEAP_KB);
    return 0;
}

int
tool_pattern_create(struct tool_pattern **pp,
                    const struct tool_pattern_config *cfg,
                    char error[TOOL_PATTERN_ERROR_BYTES])
{
    if (cfg->bytes == 0 || cfg->bytes > TOOL_PATTERN_MAX) {
        snprintf(error, TOOL_PATTERN_ERROR_BYTES,
                 "The pattern has to have 1 to %d bytes.", TOOL_PATTERN_MAX);
        return UV_EINVAL;
    }
    struct tool_pattern *p = calloc(1, sizeof(*p));
    if (!p)
        return UV_ENOMEM;
    p->cfg = *cfg;
    int result = code_make(p, error);
    if (!result)
        result = working_make(p);
    if (!result)
        result = literal_read(p);
    p->cfg.text = NULL;
    if (result)
        tool_pattern_destroy(&p);
    else
        *pp = p;
    return result;
}

void
tool_pattern_destroy(struct tool_pattern **pp)
{
    struct tool_pattern *p = *pp;

    *pp = NULL;
    if (!p)
        return;
    pcre2_match_data_free(p->data);
    pcre2_match_context_free(p->context);
    pcre2_code_free(p->code);
    free(p->literal);
    free(p);
}

const char *
tool_pattern_literal(const struct tool_pattern *p, size_t *bytes)
{
    *bytes = p->literal_bytes;
    return p->literal;
}

/* --- searching */

static int
result_of(int code)
{
    if (code == PCRE2_ERROR_NOMATCH)
        return 0;
    if (code == PCRE2_ERROR_NOMEMORY)
        return UV_ENOMEM;
    return code >= 0 ? 1 : UV_E2BIG;
}

/* By how long the last call took. */
static void
window_adapt(struct tool_pattern *p, uint64_t took_us)
{
    if (took_us > WINDOW_US && p->window > WINDOW_MIN)
        p->window /= 4;
    else if (took_us < WINDOW_US / 4 && p->window < WINDOW_MAX)
        p->window *= 2;
}

/* Where a character begins, after `from`. */
static size_t
window_end(const char *text, size_t bytes, size_t from, size_t window)
{
    size_t end = bytes - from > window ? from + window : bytes;

    while (end < bytes && ((unsigned char) text[end] & 0xc0) == 0x80)
        end++;
    return end;
}

static int
window_find(struct tool_pattern *p, const char *text, size_t bytes, size_t from,
            size_t end)
{
    uint64_t begun_us = clock_now_us();

    pcre2_set_offset_limit(p->context, end);
    int code = pcre2_match(p->code, (PCRE2_SPTR) text, bytes, from,
                           PCRE2_NO_UTF_CHECK, p->data, p->context);
    uint64_t took_us = clock_now_us() - begun_us;
    window_adapt(p, took_us);
    if (took_us > WINDOW_US)
        p->calls = 0; /* ask at once */
    return result_of(code);
}

static bool
is_over(struct tool_pattern *p)
{
    return p->calls++ % ASK_EVERY == 0 && p->cfg.is_over
           && p->cfg.is_over(p->cfg.over_arg);
}

int
tool_pattern_find(struct tool_pattern *p, const char *text, size_t bytes,
                  size_t from, struct tool_pattern_span *span)
{
    int result = 0;

    p->window = WINDOW_BEGIN;
    while (from <= bytes && result == 0) {
        size_t end = window_end(text, bytes, from, p->window);

        if (is_over(p))
            return UV_ECANCELED;
        result = window_find(p, text, bytes, from, end);
        from = end + (end == bytes);
    }
    if (result == 1) {
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(p->data);

        /* \K in a look-ahead can turn it round. */
        span->begin = at[0] < at[1] ? at[0] : at[1];
        span->end = at[1];
    }
    return result;
}

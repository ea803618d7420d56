/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   block:  [ context ][ searched … at ─► … end ][ context of later lines ]
 *   file ─► block ─► NUL? ─► made sound UTF-8 ─► line by line ─► match
 */

#include "tools/tool_scan.h"

#include "codec/tool_limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define HARD_MAX 64 /* lines */

struct tool_scan {
    struct tool_scan_config cfg;
    struct tool_scan_counts counts;
    int fd; /* -1: none */
    char *block;
    size_t capacity;
    size_t bytes;     /* in the block */
    size_t sound;     /* of them made sound */
    size_t at, end;   /* to be searched: whole lines */
    uint64_t line;    /* the number of that at `at` */
    bool is_first;    /* nothing was read yet */
    bool is_last;     /* nothing more comes */
    bool is_skipping; /* the rest of a line longer than the block */
};

/* --- lines in the block */

/* Where the line that begins at `from` ends: at its \n or the block's end. */
static size_t
line_end(const struct tool_scan *s, size_t from)
{
    const char *end = memchr(s->block + from, '\n', s->bytes - from);

    return end ? (size_t) (end - s->block) : s->bytes;
}

/* Where the line begins that `at` is on. */
static size_t
line_begin(const struct tool_scan *s, size_t at)
{
    const char *end = memrchr(s->block, '\n', at);

    return end ? (size_t) (end + 1 - s->block) : 0;
}

/* Back over `lines` whole lines from where one begins; how many there were. */
static size_t
lines_back(const struct tool_scan *s, size_t from, unsigned lines,
           unsigned *count)
{
    *count = 0;
    while (*count < lines && from > 0) {
        from = line_begin(s, from - 1);
        (*count)++;
    }
    return from;
}

/* As many of them as are all there. */
static size_t
lines_on(const struct tool_scan *s, size_t from, unsigned lines,
         unsigned *count)
{
    for (*count = 0; *count < lines && from < s->bytes; (*count)++) {
        size_t end = line_end(s, from);

        if (end == s->bytes && !s->is_last)
            break;
        from = end + (end < s->bytes);
    }
    return from;
}

static uint64_t
newlines_count(const char *text, size_t bytes)
{
    uint64_t count = 0;

    for (const char *end; (end = memchr(text, '\n', bytes)) != NULL; count++) {
        bytes -= (size_t) (end + 1 - text);
        text = end + 1;
    }
    return count;
}

/* --- reading */

static bool
scan_is_over(const struct tool_scan *s)
{
    return s->cfg.is_over && s->cfg.is_over(s->cfg.over_arg);
}

static int
block_grow(struct tool_scan *s)
{
    char *block = realloc(s->block, s->capacity * 2);

    if (!block)
        return UV_ENOMEM;
    s->block = block;
    s->capacity *= 2;
    return 0;
}

/* Until the block is full or the file at its end. */
static int
bytes_read(struct tool_scan *s)
{
    while (!s->is_last && s->bytes < s->capacity) {
        ssize_t got = read(s->fd, s->block + s->bytes, s->capacity - s->bytes);

        if (got < 0 && errno == EINTR)
            continue;
        if (scan_is_over(s))
            return UV_ECANCELED;
        if (got > 0)
            s->bytes += (size_t) got;
        s->is_last = got <= 0;
        if (s->cfg.is_multiline && s->bytes == s->capacity
            && s->capacity < TOOL_SCAN_MULTILINE && block_grow(s))
            return UV_ENOMEM;
    }
    return 0;
}

/* From a NUL on nothing is searched; a file that begins with one, not at all.
 */
static void
binary_check(struct tool_scan *s, size_t from)
{
    const char *nul = memchr(s->block + from, 0, s->bytes - from);

    if (!nul)
        return;
    s->counts.binary++;
    s->is_last = true;
    s->bytes = s->is_first ? s->at : line_begin(s, (size_t) (nul - s->block));
    if (s->bytes < s->at)
        s->bytes = s->at;
}

static bool
is_ascii(const char *text, size_t bytes)
{
    uint64_t word;

    for (; bytes >= sizeof(word); bytes -= sizeof(word), text += sizeof(word)) {
        memcpy(&word, text, sizeof(word));
        if (word & UINT64_C(0x8080808080808080))
            return false;
    }
    for (; bytes > 0; bytes--)
        if (text[bytes - 1] & 0x80)
            return false;
    return true;
}

/* As far as whole lines go: a character may be half there at the end. */
static void
block_clean(struct tool_scan *s, size_t end)
{
    size_t unused;

    if (end <= s->sound)
        return;
    if (!tool_pattern_literal(s->cfg.pattern, &unused)
        && !is_ascii(s->block + s->sound, end - s->sound))
        tool_limits_clean(s->block + s->sound, end - s->sound);
    s->sound = end;
}

/* Context stays; what is behind the last line to be searched moves along. */
static void
block_shift(struct tool_scan *s)
{
    unsigned count;
    size_t keep = lines_back(s, s->at, s->cfg.before, &count);

    if (s->at - keep > s->capacity / 4)
        keep = s->at; /* of long lines none */
    memmove(s->block, s->block + keep, s->bytes - keep);
    s->bytes -= keep;
    s->sound -= s->sound < keep ? s->sound : keep;
    s->at -= keep;
    s->end = s->at;
}

/* Of a line that was longer than the block what is left is dropped. */
static void
rest_skip(struct tool_scan *s)
{
    size_t end = line_end(s, s->at);
    size_t drop = end + (end < s->bytes) - s->at;

    s->is_skipping = end == s->bytes;
    s->line += !s->is_skipping;
    memmove(s->block + s->at, s->block + s->at + drop, s->bytes - s->at - drop);
    s->bytes -= drop;
    s->sound = s->at;
}

/* Whole lines that have their context behind them; when those before the end
 * are so long that nothing would be left, without. */
static void
end_find(struct tool_scan *s)
{
    unsigned count;
    size_t whole = s->is_last ? s->bytes : line_begin(s, s->bytes);

    s->end = whole;
    if (!s->is_last)
        s->end = lines_back(s, whole, s->cfg.after, &count);
    if (s->end <= s->at)
        s->end = whole > s->at ? whole : s->at;
    if (s->end == s->at && s->bytes == s->capacity) {
        s->end = s->bytes; /* no end of line in all of the block */
        s->is_skipping = true;
        s->counts.cut++;
    }
    block_clean(s, s->is_last || s->is_skipping ? s->bytes : whole);
}

/* 1: there are lines to search; 0: no more; or UV_E*. */
static int
block_fill(struct tool_scan *s)
{
    do {
        if (s->is_last)
            return 0;
        block_shift(s);
        size_t from = s->bytes;
        int result = bytes_read(s);
        if (result)
            return result;
        binary_check(s, from);
        if (s->is_skipping)
            rest_skip(s);
        s->is_first = false;
        if (!s->is_skipping)
            end_find(s);
        if (s->cfg.is_multiline && !s->is_last) {
            s->counts.cut++;
            s->is_last = true;
        }
    } while (s->end == s->at);
    return 1;
}

/* --- searching */

/* From `at` on; what is before it, from `base`, is there to be looked back at.
 */
static int
text_find(struct tool_scan *s, size_t base, size_t stop,
          struct tool_pattern_span *span)
{
    int result = tool_pattern_find(s->cfg.pattern, s->block + base, stop - base,
                                   s->at - base, span);

    if (result == UV_E2BIG)
        return ++s->counts.hard > HARD_MAX ? result : 0;
    if (result > 0) {
        span->begin += base;
        span->end += base;
    }
    return result;
}

/* The next line that has the literal: as bytes, over all lines at once. */
static int
literal_find(struct tool_scan *s, struct tool_pattern_span *span)
{
    size_t bytes;
    const char *literal = tool_pattern_literal(s->cfg.pattern, &bytes);
    const char *found =
        memmem(s->block + s->at, s->end - s->at, literal, bytes);

    if (!found) {
        s->line += newlines_count(s->block + s->at, s->end - s->at);
        s->at = s->end;
        return 0;
    }
    span->begin = (size_t) (found - s->block);
    span->end = span->begin + bytes;
    return 1;
}

/* In each line by itself: no expression reaches beyond it. */
static int
lines_find(struct tool_scan *s, struct tool_pattern_span *span)
{
    while (s->at < s->end) {
        size_t stop = line_end(s, s->at);
        size_t bytes = stop;

        if (bytes > s->at && s->block[bytes - 1] == '\r')
            bytes--;
        int result = text_find(s, s->at, bytes, span);
        if (result)
            return result;
        s->at = stop + (stop < s->bytes);
        s->line += stop < s->bytes;
    }
    return 0;
}

static int
block_find(struct tool_scan *s, struct tool_pattern_span *span)
{
    size_t unused;

    if (tool_pattern_literal(s->cfg.pattern, &unused))
        return literal_find(s, span);
    if (!s->cfg.is_multiline)
        return lines_find(s, span);
    int result = text_find(s, 0, s->end, span);
    /* One behind the last end of line is on no line. */
    if (result > 0 && span->begin == s->end && s->block[s->end - 1] == '\n')
        result = 0;
    if (result == 0)
        s->at = s->end;
    return result;
}

/* Of the lines that have it; then the search goes on behind them. */
static void
match_make(struct tool_scan *s, struct tool_scan_match *m,
           const struct tool_pattern_span *span)
{
    size_t from = line_begin(s, span->begin);
    bool has_end = span->end > span->begin && s->block[span->end - 1] == '\n';
    size_t stop = line_end(s, span->end - has_end);
    size_t next = stop + (stop < s->bytes);
    size_t text_end = stop;

    if (text_end > from && s->block[text_end - 1] == '\r')
        text_end--;
    s->line += newlines_count(s->block + s->at, from - s->at);
    *m = (struct tool_scan_match){
        .line = s->line,
        .text = s->block + from,
        .bytes = text_end - from,
        .begin = span->begin - from,
        .after = s->block + next,
    };
    size_t before = lines_back(s, from, s->cfg.before, &m->before_lines);
    m->before = s->block + before;
    m->before_bytes = from - before;
    m->after_bytes = lines_on(s, next, s->cfg.after, &m->after_lines) - next;
    s->line += newlines_count(s->block + from, next - from);
    s->at = next;
    if (s->end < next)
        s->end = next;
}

int
tool_scan_next(struct tool_scan *s, struct tool_scan_match *match)
{
    struct tool_pattern_span span;
    int result = 1;

    while (result > 0) {
        result = s->at < s->end ? 1 : block_fill(s);
        if (result <= 0)
            break;
        if (scan_is_over(s))
            return UV_ECANCELED;
        int found = block_find(s, &span);
        if (found > 0)
            match_make(s, match, &span);
        if (found)
            return found;
    }
    if (result == 0)
        tool_scan_close(s);
    return result;
}

/* --- life */

int
tool_scan_create(struct tool_scan **sp, const struct tool_scan_config *cfg)
{
    struct tool_scan *s = calloc(1, sizeof(*s));

    if (!s)
        return UV_ENOMEM;
    s->cfg = *cfg;
    s->fd = -1;
    s->capacity = cfg->block_bytes ? cfg->block_bytes : TOOL_SCAN_BLOCK;
    s->block = malloc(s->capacity);
    if (!s->block) {
        free(s);
        return UV_ENOMEM;
    }
    *sp = s;
    return 0;
}

void
tool_scan_destroy(struct tool_scan **sp)
{
    struct tool_scan *s = *sp;

    *sp = NULL;
    if (!s)
        return;
    tool_scan_close(s);
    free(s->block);
    free(s);
}

void
tool_scan_open(struct tool_scan *s, int fd)
{
    tool_scan_close(s);
    s->fd = fd;
    s->bytes = s->sound = s->at = s->end = 0;
    s->line = 1;
    s->is_first = true;
    s->is_last = s->is_skipping = false;
}

void
tool_scan_close(struct tool_scan *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

bool
tool_scan_is_open(const struct tool_scan *s)
{
    return s->fd >= 0;
}

const struct tool_scan_counts *
tool_scan_get_counts(const struct tool_scan *s)
{
    return &s->counts;
}

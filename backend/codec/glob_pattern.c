/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   text ─► {a,b}: variants ─► parts, each a set's member ─► path, part by
 * part: which parts of the pattern may come next?
 */

#include "codec/glob_pattern.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define BIT(part)  ((uint64_t) 1 << (part))
#define ODD_BYTE   0x110000u /* and the byte: part of no character */
#define NAME_BYTES 8         /* "[:xdigit:]" */

struct part {
    uint16_t begin, bytes; /* in the variant's text */
    bool is_any;           /* ** or more */
};

struct variant {
    char *text;
    size_t bytes;
    unsigned count;
    struct part *parts;
};

struct glob_pattern {
    unsigned count;
    struct variant *variants;
};

/* --- characters */

/* Of the text's first character, and its length; the text is not empty. */
static uint32_t
character_read(const char *text, size_t bytes, size_t *length)
{
    const unsigned char *byte = (const unsigned char *) text;
    size_t need = byte[0] < 0x80                       ? 1
                  : byte[0] >= 0xc2 && byte[0] <= 0xdf ? 2
                  : byte[0] >= 0xe0 && byte[0] <= 0xef ? 3
                  : byte[0] >= 0xf0 && byte[0] <= 0xf4 ? 4
                                                       : 0;
    uint32_t code = need > 1 ? byte[0] & (0x7fu >> need) : byte[0];

    *length = 1;
    if (need == 0 || need > bytes)
        return ODD_BYTE + byte[0];
    for (size_t i = 1; i < need; i++) {
        if ((byte[i] & 0xc0) != 0x80)
            return ODD_BYTE + byte[0];
        code = code << 6 | (byte[i] & 0x3f);
    }
    *length = need;
    return code;
}

/* --- classes: [a-z], [!a-z], [[:alpha:]] */

/* Bytes of the class that begins here; 0: it has no end. */
static size_t
class_bytes(const char *text, size_t bytes)
{
    size_t at = 1;

    if (at < bytes && (text[at] == '!' || text[at] == '^'))
        at++;
    if (at < bytes && text[at] == ']')
        at++;
    while (at < bytes && text[at] != ']') {
        const char *end = NULL;

        if (text[at] == '[' && at + 1 < bytes && text[at + 1] == ':')
            end = memmem(text + at + 2, bytes - at - 2, ":]", 2);
        if (end)
            at = (size_t) (end - text) + 2;
        else
            at += text[at] == '\\' ? 2 : 1;
    }
    return at < bytes ? at + 1 : 0;
}

static bool
class_is_named(const char *name, size_t bytes, uint32_t code)
{
    static const struct {
        const char *name;
        int (*is)(int);
    } names[] = {
        {"alnum", isalnum}, {"alpha", isalpha},   {"blank", isblank},
        {"cntrl", iscntrl}, {"digit", isdigit},   {"graph", isgraph},
        {"lower", islower}, {"print", isprint},   {"punct", ispunct},
        {"space", isspace}, {"xdigit", isxdigit}, {"upper", isupper},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strlen(names[i].name) == bytes
            && memcmp(names[i].name, name, bytes) == 0)
            return code < 0x80 && names[i].is((int) code);
    return false;
}

/* One character of a class, its backslash gone. */
static uint32_t
class_character(const char *text, size_t bytes, size_t *at)
{
    size_t length;

    if (text[*at] == '\\' && *at + 1 < bytes)
        (*at)++;
    uint32_t code = character_read(text + *at, bytes - *at, &length);
    *at += length;
    return code;
}

/* `text` is the class without its brackets; a member, or a range. */
static bool
class_member_has(const char *text, size_t bytes, size_t *at, uint32_t code)
{
    if (bytes - *at > 4 && memcmp(text + *at, "[:", 2) == 0) {
        const char *name = text + *at + 2;
        const char *end = memmem(name, bytes - *at - 2, ":]", 2);

        if (end) {
            *at = (size_t) (end - text) + 2;
            return class_is_named(name, (size_t) (end - name), code);
        }
    }
    uint32_t first = class_character(text, bytes, at);
    if (*at + 1 >= bytes || text[*at] != '-')
        return code == first;
    (*at)++;
    return code >= first && code <= class_character(text, bytes, at);
}

static bool
class_has(const char *text, size_t bytes, uint32_t code)
{
    bool is_negated = bytes > 0 && (text[0] == '!' || text[0] == '^');
    bool has = false;

    for (size_t at = is_negated; at < bytes;)
        has |= class_member_has(text, bytes, &at, code);
    return has != is_negated;
}

/* --- one part */

/* The pattern's next element and the text's next character: how much of both
 * they take; false: they differ. Neither is at its end; no star. */
static bool
element_matches(const char *pattern, size_t pattern_bytes, const char *text,
                size_t bytes, size_t took[2])
{
    uint32_t code = character_read(text, bytes, &took[1]);
    size_t length;

    if (pattern[0] == '?') {
        took[0] = 1;
        return true;
    }
    if (pattern[0] == '[') {
        took[0] = class_bytes(pattern, pattern_bytes);
        return class_has(pattern + 1, took[0] - 2, code);
    }
    size_t skip = pattern[0] == '\\';
    uint32_t wanted =
        character_read(pattern + skip, pattern_bytes - skip, &length);
    took[0] = skip + length;
    return code == wanted;
}

/* The last star takes one character more whenever what follows doesn't fit:
 * an earlier one need never be asked again. */
static bool
part_matches(const char *pattern, size_t pattern_bytes, const char *text,
             size_t bytes)
{
    size_t p = 0, t = 0, star = SIZE_MAX, star_text = 0, took[2];

    for (;;) {
        if (p < pattern_bytes && pattern[p] == '*') {
            star = ++p;
            star_text = t;
            continue;
        }
        if (p == pattern_bytes && t == bytes)
            return true;
        if (p < pattern_bytes && t < bytes
            && element_matches(pattern + p, pattern_bytes - p, text + t,
                               bytes - t, took)) {
            p += took[0];
            t += took[1];
            continue;
        }
        if (star == SIZE_MAX || star_text >= bytes)
            return false;
        character_read(text + star_text, bytes - star_text, &took[1]);
        star_text += took[1];
        t = star_text;
        p = star;
    }
}

/* --- all parts: a set of those that may come next */

static uint64_t
set_complete(const struct variant *v, uint64_t set)
{
    for (unsigned i = 0; i < v->count; i++)
        if ((set & BIT(i)) && v->parts[i].is_any)
            set |= BIT(i + 1);
    return set;
}

static uint64_t
set_step(const struct variant *v, uint64_t set, const char *name, size_t bytes)
{
    uint64_t next = 0;

    for (unsigned i = 0; i < v->count; i++) {
        const struct part *part = &v->parts[i];

        if (!(set & BIT(i)))
            continue;
        if (part->is_any)
            next |= BIT(i);
        else if (part_matches(v->text + part->begin, part->bytes, name, bytes))
            next |= BIT(i + 1);
    }
    return set_complete(v, next);
}

static uint64_t
set_after(const struct variant *v, const char *path, size_t bytes)
{
    uint64_t set = set_complete(v, BIT(0));

    while (bytes > 0 && set) {
        const char *slash = memchr(path, '/', bytes);
        size_t part = slash ? (size_t) (slash - path) : bytes;

        set = set_step(v, set, path, part);
        part += slash != NULL;
        path += part;
        bytes -= part;
    }
    return set;
}

bool
glob_pattern_matches(const struct glob_pattern *g, const char *path,
                     size_t bytes)
{
    for (unsigned i = 0; i < g->count; i++) {
        const struct variant *v = &g->variants[i];

        if (bytes > 0 && (set_after(v, path, bytes) & BIT(v->count)))
            return true;
    }
    return false;
}

bool
glob_pattern_leads_below(const struct glob_pattern *g, const char *directory,
                         size_t bytes)
{
    for (unsigned i = 0; i < g->count; i++) {
        const struct variant *v = &g->variants[i];

        if (set_after(v, directory, bytes) & (BIT(v->count) - 1))
            return true;
    }
    return false;
}

bool
glob_pattern_is_of_hidden(const struct glob_pattern *g)
{
    for (unsigned i = 0; i < g->count; i++)
        for (unsigned k = 0; k < g->variants[i].count; k++)
            if (g->variants[i].text[g->variants[i].parts[k].begin] == '.')
                return true;
    return false;
}

/* --- making */

/* Bytes of the element at `at`; 0: it has no end. */
static size_t
element_bytes(const char *text, size_t bytes, size_t at)
{
    if (text[at] == '\\')
        return at + 1 < bytes ? 2 : 0;
    return text[at] == '[' ? class_bytes(text + at, bytes - at) : 1;
}

static size_t
stars_count(const char *text, size_t bytes)
{
    size_t count = 0;

    while (count < bytes && text[count] == '*')
        count++;
    return count;
}

static int
part_add(struct variant *v, size_t begin, size_t end, unsigned flags)
{
    const char *text = v->text + begin;
    size_t bytes = end - begin;
    bool is_any = bytes >= 2 && stars_count(text, bytes) == bytes;
    bool is_path = flags & GLOB_PATH;

    if (bytes == 0 && (is_path || begin == 0))
        return 0;
    if (is_path && bytes == 1 && text[0] == '.')
        return 0;
    if (is_path && bytes == 2 && memcmp(text, "..", 2) == 0)
        return UV_EINVAL;
    if (is_any && v->count > 0 && v->parts[v->count - 1].is_any)
        return 0;
    if (v->count == GLOB_PATTERN_PARTS)
        return UV_E2BIG;
    v->parts[v->count++] =
        (struct part){(uint16_t) begin, (uint16_t) bytes, is_any};
    return 0;
}

/* A ** at the end is for one part at least: then comes a star, which is a half
 * of it. */
static int
variant_split(struct variant *v, unsigned flags)
{
    size_t begin = 0, at = 0, most = 2;
    int result = 0;

    for (size_t i = 0; i < v->bytes; i++)
        most += v->text[i] == '/';
    v->parts = calloc(most, sizeof(*v->parts));
    if (!v->parts)
        return UV_ENOMEM;
    while (at < v->bytes && !result) {
        if (v->text[at] == '/') {
            result = part_add(v, begin, at, flags);
            begin = at + 1;
        }
        at += element_bytes(v->text, v->bytes, at);
    }
    if (!result)
        result = part_add(v, begin, v->bytes, flags);
    if (result || v->count == 0)
        return result ? result : UV_EINVAL;
    if (v->parts[v->count - 1].is_any) {
        v->parts[v->count] = v->parts[v->count - 1];
        v->parts[v->count].bytes = 1;
        v->parts[v->count++].is_any = false;
    }
    return 0;
}

/* Where what is within the brace at `at` ends: a comma or the closing brace at
 * its own depth; 0: nowhere. */
static size_t
choice_end(const char *text, size_t bytes, size_t at)
{
    unsigned depth = 0;

    for (size_t step; at < bytes; at += step) {
        step = element_bytes(text, bytes, at);
        if (step == 0 || (depth == 0 && (text[at] == ',' || text[at] == '}')))
            return step ? at : 0;
        depth += text[at] == '{';
        depth -= text[at] == '}';
    }
    return 0;
}

/* Where the first brace is; bytes: there is none. */
static size_t
brace_find(const char *text, size_t bytes)
{
    size_t at = 0;

    while (at < bytes && text[at] != '{')
        at += element_bytes(text, bytes, at);
    return at;
}

/* Before, one choice, behind: takes its place among the variants. */
static int
choice_add(struct glob_pattern *g, const struct variant *from,
           const size_t cut[4])
{
    if (g->count == GLOB_PATTERN_VARIANTS)
        return UV_E2BIG;
    size_t choice = cut[2] - cut[1];
    size_t behind = from->bytes - cut[3];
    struct variant *v =
        reallocarray(g->variants, g->count + 1, sizeof(*g->variants));

    if (!v)
        return UV_ENOMEM;
    g->variants = v;
    v += g->count;
    *v = (struct variant){.bytes = cut[0] + choice + behind};
    v->text = malloc(v->bytes + 1);
    if (!v->text)
        return UV_ENOMEM;
    g->count++;
    memcpy(v->text, from->text, cut[0]);
    memcpy(v->text + cut[0], from->text + cut[1], choice);
    memcpy(v->text + cut[0] + choice, from->text + cut[3], behind);
    v->text[v->bytes] = 0;
    return 0;
}

/* The first brace of variant `index` makes more variants; the first of them
 * takes its place. 1: it has none any more. */
static int
variant_expand(struct glob_pattern *g, unsigned index)
{
    const struct variant from = g->variants[index];
    size_t open = brace_find(from.text, from.bytes);
    size_t close = open, begin = open + 1;
    int result = 0;

    if (open == from.bytes)
        return 1;
    do {
        close = choice_end(from.text, from.bytes, close + 1);
        if (close == 0)
            return UV_EINVAL;
    } while (from.text[close] == ',');
    for (size_t end = open; end != close && !result; begin = end + 1) {
        end = choice_end(from.text, from.bytes, begin);
        result = choice_add(g, &from, (size_t[]){open, begin, end, close + 1});
    }
    if (!result) {
        free(from.text);
        g->variants[index] = g->variants[--g->count];
    }
    return result;
}

static int
pattern_fill(struct glob_pattern *g, const char *text, size_t bytes,
             unsigned flags)
{
    struct variant whole = {.text = (char *) text, .bytes = bytes};
    int result = choice_add(g, &whole, (size_t[]){0, 0, bytes, bytes});

    for (size_t at = 0, step; at < bytes; at += step) {
        step = element_bytes(text, bytes, at);
        if (step == 0)
            return UV_EINVAL;
    }
    for (unsigned i = 0; i < g->count && !result; i++) {
        while ((flags & GLOB_PATH) && !result)
            result = variant_expand(g, i);
        if (result >= 0)
            result = variant_split(&g->variants[i], flags);
    }
    return result;
}

int
glob_pattern_create(struct glob_pattern **gp, const char *text, size_t bytes,
                    unsigned flags)
{
    if (bytes == 0 || memchr(text, 0, bytes))
        return UV_EINVAL;
    if (bytes > GLOB_PATTERN_MAX)
        return UV_E2BIG;
    struct glob_pattern *g = calloc(1, sizeof(*g));
    if (!g)
        return UV_ENOMEM;
    int result = pattern_fill(g, text, bytes, flags);
    if (result) {
        glob_pattern_destroy(&g);
        return result;
    }
    *gp = g;
    return 0;
}

void
glob_pattern_destroy(struct glob_pattern **gp)
{
    struct glob_pattern *g = *gp;

    *gp = NULL;
    if (!g)
        return;
    for (unsigned i = 0; i < g->count; i++) {
        free(g->variants[i].text);
        free(g->variants[i].parts);
    }
    free(g->variants);
    free(g);
}

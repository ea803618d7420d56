/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   html ─► tags ───► breaks and marks that are due
 *       └─► letters ─► (what is due) ─► out
 *
 * Spaces and breaks are written when something follows them, so that there are
 * none at the ends and never three breaks in a row.
 */

#include "codec/html_text.h"

#include "codec/html_entity.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define CHARSET_WITHIN 1024
#define NAME_MAX_BYTES 15

/* What a tag does to the text around it. */
enum tag_does {
    TAG_BREAKS,  /* a line ends */
    TAG_BLOCK,   /* an empty line */
    TAG_ITEM,    /* a line that begins with "- " */
    TAG_HEADING, /* an empty line, "# " */
    TAG_CELL,    /* a space */
    TAG_PRE,     /* a block whose spaces count */
    TAG_TITLE,
    TAG_RAW,    /* neither text nor tags in it */
    TAG_UNSEEN, /* nothing in it is seen */
    TAG_NOTHING
};

static const struct {
    char name[NAME_MAX_BYTES + 1];
    enum tag_does does;
} tags[] = {
    {"address", TAG_BLOCK},   {"article", TAG_BLOCK},
    {"aside", TAG_BLOCK},     {"blockquote", TAG_BLOCK},
    {"br", TAG_BREAKS},       {"canvas", TAG_UNSEEN},
    {"caption", TAG_BREAKS},  {"dd", TAG_BREAKS},
    {"details", TAG_BLOCK},   {"div", TAG_BREAKS},
    {"dl", TAG_BLOCK},        {"dt", TAG_BREAKS},
    {"fieldset", TAG_BLOCK},  {"figcaption", TAG_BLOCK},
    {"figure", TAG_BLOCK},    {"footer", TAG_BLOCK},
    {"form", TAG_BLOCK},      {"h1", TAG_HEADING},
    {"h2", TAG_HEADING},      {"h3", TAG_HEADING},
    {"h4", TAG_HEADING},      {"h5", TAG_HEADING},
    {"h6", TAG_HEADING},      {"header", TAG_BLOCK},
    {"hr", TAG_BLOCK},        {"iframe", TAG_RAW},
    {"legend", TAG_BREAKS},   {"li", TAG_ITEM},
    {"main", TAG_BLOCK},      {"math", TAG_NOTHING},
    {"nav", TAG_BLOCK},       {"noembed", TAG_RAW},
    {"noframes", TAG_RAW},    {"noscript", TAG_RAW},
    {"object", TAG_UNSEEN},   {"ol", TAG_BLOCK},
    {"option", TAG_BREAKS},   {"p", TAG_BLOCK},
    {"pre", TAG_PRE},         {"script", TAG_RAW},
    {"section", TAG_BLOCK},   {"select", TAG_BREAKS},
    {"style", TAG_RAW},       {"summary", TAG_BREAKS},
    {"svg", TAG_UNSEEN},      {"table", TAG_BLOCK},
    {"tbody", TAG_BREAKS},    {"td", TAG_CELL},
    {"template", TAG_UNSEEN}, {"textarea", TAG_RAW},
    {"tfoot", TAG_BREAKS},    {"th", TAG_CELL},
    {"thead", TAG_BREAKS},    {"title", TAG_TITLE},
    {"tr", TAG_BREAKS},       {"ul", TAG_BLOCK},
    {"xmp", TAG_RAW},
};

struct reader {
    const char *at, *end;
    struct buffer *out;
    int err;
    bool begun;       /* a letter has been written */
    bool space;       /* due before the next letter */
    unsigned breaks;  /* due before it: 0 … 2 */
    const char *mark; /* due behind them: "# ", "- ", NULL */
    unsigned pre;     /* how deep in <pre> */
    bool titled;      /* the title is known: later ones are drawings' */
};

struct tag {
    char name[NAME_MAX_BYTES + 1]; /* lower case; "" too long for one of ours */
    enum tag_does does;
    bool closes;
};

/* --- writing */

static void
bytes_write(struct reader *r, const char *data, size_t bytes)
{
    if (r->err == 0 && bytes > 0)
        r->err = buffer_append(r->out, data, bytes);
}

static void
due_write(struct reader *r)
{
    if (r->begun && r->breaks)
        bytes_write(r, "\n\n", r->breaks);
    else if (r->begun && r->space)
        bytes_write(r, " ", 1);
    if (r->mark)
        bytes_write(r, r->mark, 2);
    r->breaks = 0;
    r->space = false;
    r->mark = NULL;
    r->begun = true;
}

static void
letters_write(struct reader *r, const char *data, size_t bytes)
{
    due_write(r);
    bytes_write(r, data, bytes);
}

static void
break_due(struct reader *r, unsigned breaks)
{
    if (r->breaks < breaks)
        r->breaks = breaks;
}

/* --- tags */

static size_t
left(const struct reader *r)
{
    return (size_t) (r->end - r->at);
}

/* Past the ">" of a tag; attributes' may be quoted. */
static void
tag_skip(struct reader *r)
{
    char quote = 0;

    for (; r->at < r->end; r->at++) {
        char c = *r->at;

        if (quote) {
            quote = c == quote ? 0 : quote;
        } else if (c == '>') {
            r->at++;
            return;
        } else if ((c == '"' || c == '\'') && r->at[-1] == '=') {
            quote = c;
        }
    }
}

static enum tag_does
tag_does(const char *name)
{
    for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++)
        if (strcmp(tags[i].name, name) == 0)
            return tags[i].does;
    return TAG_NOTHING;
}

/* At "<" and a letter, or "</" and one: past the whole tag. */
static struct tag
tag_read(struct reader *r)
{
    struct tag tag = {.closes = r->at[1] == '/'};
    size_t n = 0;

    r->at += tag.closes ? 2 : 1;
    for (; r->at < r->end && isalnum((unsigned char) *r->at); r->at++, n++)
        if (n < NAME_MAX_BYTES)
            tag.name[n] = (char) tolower((unsigned char) *r->at);
    if (n > NAME_MAX_BYTES)
        tag.name[0] = '\0';
    tag.does = tag_does(tag.name);
    tag_skip(r);
    return tag;
}

static bool
is_tag(const struct reader *r, const char *at)
{
    if (at + 1 < r->end && at[1] == '/')
        at++;
    return at + 1 < r->end && isalpha((unsigned char) at[1]);
}

/* The "</name" that ends what has begun, or the end. */
static const char *
raw_end(const struct reader *r, const char *name)
{
    size_t bytes = strlen(name);
    const char *at = r->at;

    while ((at = memchr(at, '<', (size_t) (r->end - at))) != NULL) {
        if ((size_t) (r->end - at) > bytes + 1 && at[1] == '/'
            && strncasecmp(at + 2, name, bytes) == 0
            && !((size_t) (r->end - at) > bytes + 2
                 && isalnum((unsigned char) at[2 + bytes])))
            return at;
        at++;
    }
    return r->end;
}

/* Up to the tag that closes this one; such ones may be nested. */
static void
unseen_skip(struct reader *r, const char *name)
{
    unsigned deep = 1;

    while (deep > 0 && r->at < r->end) {
        const char *next = memchr(r->at, '<', left(r));

        r->at = next ? next : r->end;
        if (next && !is_tag(r, next)) {
            r->at++;
        } else if (next) {
            struct tag tag = tag_read(r);
            if (strcmp(tag.name, name) == 0 && r->at[-1] == '>'
                && (tag.closes || r->at[-2] != '/'))
                deep = tag.closes ? deep - 1 : deep + 1;
        }
    }
}

static void text_read(struct reader *r);

static void
title_read(struct reader *r, struct buffer *title)
{
    struct reader inner = {.at = r->at, .end = raw_end(r, "title")};

    inner.out = title;
    r->at = inner.end;
    if (!title || r->titled || title->bytes > 0)
        return;
    r->titled = true;
    text_read(&inner);
}

static void
tag_apply(struct reader *r, const struct tag *tag)
{
    switch (tag->does) {
    case TAG_BREAKS:
        break_due(r, 1);
        break;
    case TAG_ITEM:
        break_due(r, 1);
        r->mark = tag->closes ? NULL : "- ";
        break;
    case TAG_HEADING:
        break_due(r, 2);
        r->mark = tag->closes ? NULL : "# ";
        break;
    case TAG_PRE:
        break_due(r, 2);
        if (!tag->closes)
            r->pre++;
        else if (r->pre > 0)
            r->pre--;
        break;
    case TAG_BLOCK:
        break_due(r, 2);
        break;
    case TAG_CELL:
        r->space = true;
        break;
    default:
        break;
    }
}

static void
comment_skip(struct reader *r)
{
    const char *end;

    if (left(r) >= 4 && memcmp(r->at, "<!--", 4) == 0)
        end = memmem(r->at + 4, left(r) - 4, "-->", 3);
    else
        end = memchr(r->at, '>', left(r));
    if (!end)
        r->at = r->end;
    else
        r->at = *end == '-' ? end + 3 : end + 1;
}

/* At "<". */
static void
markup_read(struct reader *r, struct buffer *title)
{
    struct tag tag;

    if (left(r) > 1 && (r->at[1] == '!' || r->at[1] == '?')) {
        comment_skip(r);
        return;
    }
    if (!is_tag(r, r->at)) {
        letters_write(r, r->at++, 1);
        return;
    }
    tag = tag_read(r);
    if (tag.does == TAG_TITLE && !tag.closes)
        title_read(r, title);
    else if (tag.does == TAG_RAW && !tag.closes)
        r->at = raw_end(r, tag.name);
    else if (tag.does == TAG_UNSEEN && !tag.closes && r->at[-2] != '/')
        unseen_skip(r, tag.name);
    else
        tag_apply(r, &tag);
}

/* --- text */

static void
space_read(struct reader *r)
{
    char c = *r->at++;

    if (r->pre == 0) {
        r->space = true;
    } else if (c == '\n' && (r->breaks || !r->begun)) {
        break_due(r, 1);
    } else if (c != '\r') {
        letters_write(r, &c, 1);
    }
}

static void
reference_read(struct reader *r)
{
    char utf8[HTML_ENTITY_BYTES];
    size_t made, bytes = html_entity_read(r->at, left(r), utf8, &made);

    if (bytes == 0) {
        letters_write(r, r->at++, 1);
        return;
    }
    r->at += bytes;
    if (made == 1 && utf8[0] == ' ')
        r->space = true;
    else if (made > 0)
        letters_write(r, utf8, made);
}

static bool
is_plain(char c)
{
    return c != '<' && c != '&' && !isspace((unsigned char) c);
}

/* Letters, spaces or a reference, up to the next tag. */
static void
text_step(struct reader *r)
{
    const char *begin = r->at;

    if (*begin == '&') {
        reference_read(r);
    } else if (isspace((unsigned char) *begin)) {
        space_read(r);
    } else {
        while (r->at < r->end && is_plain(*r->at))
            r->at++;
        letters_write(r, begin, (size_t) (r->at - begin));
    }
}

/* A title: no tags in it. */
static void
text_read(struct reader *r)
{
    while (r->at < r->end && r->err == 0) {
        if (*r->at == '<')
            letters_write(r, r->at++, 1);
        else
            text_step(r);
    }
}

int
html_text_write(const char *html, size_t bytes, struct buffer *out,
                struct buffer *title)
{
    struct reader r = {.at = html, .end = html + bytes, .out = out};

    while (r.at < r.end && r.err == 0) {
        if (*r.at == '<')
            markup_read(&r, title);
        else
            text_step(&r);
    }
    return r.err;
}

/* --- what the page says of itself */

const char *
html_text_charset(const char *html, size_t bytes, size_t *label_bytes)
{
    static const char word[] = "charset";
    size_t within = bytes < CHARSET_WITHIN ? bytes : CHARSET_WITHIN;
    size_t at, begin;

    for (at = 0; at + sizeof(word) <= within; at++) {
        if (strncasecmp(html + at, word, sizeof(word) - 1) != 0)
            continue;
        begin = at + sizeof(word) - 1;
        while (begin < within && strchr(" \t\r\n=\"'", html[begin]))
            begin++;
        at = begin;
        while (at < within
               && (isalnum((unsigned char) html[at])
                   || (html[at] && strchr("-_:.", html[at]))))
            at++;
        *label_bytes = at - begin;
        return at > begin ? html + begin : NULL;
    }
    return NULL;
}

bool
html_text_is_html(const char *text, size_t bytes)
{
    static const char *const begins[] = {"<!doctype html", "<html", "<head",
                                         "<body"};
    size_t at = 0;

    while (at < bytes && isspace((unsigned char) text[at]))
        at++;
    for (size_t i = 0; i < sizeof(begins) / sizeof(*begins); i++) {
        size_t n = strlen(begins[i]);
        if (bytes - at >= n && strncasecmp(text + at, begins[i], n) == 0)
            return true;
    }
    return false;
}

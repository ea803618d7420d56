/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   preamble ─► --boundary ─► headers ─► blank ─► body ─► --boundary ─► … ─►
 *   --boundary-- ─► epilogue
 */

#include "codec/multipart.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

/* What stands between here and the end. */
struct cursor {
    const char *at;
    const char *end;
};

struct span {
    const char *text;
    size_t bytes;
};

/* RFC 9110, 5.6.2, and so of names in headers. */
static bool
is_token(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z')
           || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t
token_bytes(struct cursor c)
{
    const char *at = c.at;

    while (at < c.end && is_token(*at))
        at++;
    return (size_t) (at - c.at);
}

static void
skip_space(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t'))
        c->at++;
}

static bool
take(struct cursor *c, char wanted)
{
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool
span_is(struct span span, const char *word)
{
    return span.bytes == strlen(word)
           && strncasecmp(span.text, word, span.bytes) == 0;
}

/* --- parameters of a header: ; name=token, ; name="quoted" */

/* From behind the opening quote to behind the closing one. A backslash means
 * the next character, as RFC 9110 has it; browsers write %22 instead. */
static int
quoted_take(struct cursor *c, char *out, size_t room)
{
    size_t used = 0;

    while (c->at < c->end && *c->at != '"') {
        if (*c->at == '\\' && c->end - c->at > 1)
            c->at++;
        if ((unsigned char) *c->at < ' ' || *c->at == 0x7f)
            return UV_EINVAL;
        if (used + 1 >= room)
            return UV_E2BIG;
        out[used++] = *c->at++;
    }
    out[used] = 0;
    return take(c, '"') ? 0 : UV_EINVAL;
}

/* Some write a boundary's characters that are no token without quotes. */
static int
plain_take(struct cursor *c, char *out, size_t room)
{
    const char *from = c->at;

    while (c->at < c->end && *c->at != ';' && *c->at != ' ' && *c->at != '\t') {
        if ((unsigned char) *c->at < ' ' || *c->at == 0x7f || *c->at == '"')
            return UV_EINVAL;
        c->at++;
    }
    size_t bytes = (size_t) (c->at - from);
    if (!bytes)
        return UV_EINVAL;
    if (bytes >= room)
        return UV_E2BIG;
    memcpy(out, from, bytes);
    out[bytes] = 0;
    return 0;
}

/* One value over, whatever it is and however long. */
static int
value_skip(struct cursor *c)
{
    if (!take(c, '"')) {
        while (c->at < c->end && *c->at != ';')
            c->at++;
        return 0;
    }
    while (c->at < c->end && *c->at != '"')
        c->at += *c->at == '\\' && c->end - c->at > 1 ? 2 : 1;
    return take(c, '"') ? 0 : UV_EINVAL;
}

/*
 * Looks through "; a=b; c=d" for `name`. 0; UV_ENOENT; UV_EINVAL: malformed,
 * or there twice; UV_E2BIG.
 */
static int
parameter_find(struct cursor c, const char *name, char *out, size_t room)
{
    int result = UV_ENOENT;

    for (skip_space(&c); c.at < c.end; skip_space(&c)) {
        if (!take(&c, ';'))
            return UV_EINVAL;
        skip_space(&c);
        struct span key = {c.at, token_bytes(c)};
        if (!key.bytes && (c.at == c.end || *c.at == ';'))
            continue;
        c.at += key.bytes;
        if (!key.bytes || !take(&c, '='))
            return UV_EINVAL;
        int error;
        if (!span_is(key, name)) {
            error = value_skip(&c);
        } else if (!result) {
            error = UV_EINVAL;
        } else {
            error = take(&c, '"') ? quoted_take(&c, out, room)
                                  : plain_take(&c, out, room);
            result = 0;
        }
        if (error)
            return error;
    }
    return result;
}

/* "type/subtype" in lower case, taken off. */
static int
type_take(struct cursor *c, char out[MULTIPART_TYPE_BYTES])
{
    const char *from = c->at;

    c->at += token_bytes(*c);
    bool first = c->at > from;
    if (!first || !take(c, '/') || !token_bytes(*c))
        return UV_EINVAL;
    c->at += token_bytes(*c);
    size_t bytes = (size_t) (c->at - from);
    if (bytes >= MULTIPART_TYPE_BYTES)
        return UV_E2BIG;
    for (size_t i = 0; i < bytes; i++)
        out[i] =
            (char) (from[i] >= 'A' && from[i] <= 'Z' ? from[i] | 32 : from[i]);
    out[bytes] = 0;
    return 0;
}

/* RFC 2046, 5.1.1; the last one is no space. */
static bool
boundary_is_sound(const char *boundary)
{
    size_t bytes = strlen(boundary);

    if (bytes == 0 || bytes > 70 || boundary[bytes - 1] == ' ')
        return false;
    for (size_t i = 0; i < bytes; i++)
        if (!((boundary[i] >= '0' && boundary[i] <= '9')
              || ((boundary[i] | 32) >= 'a' && (boundary[i] | 32) <= 'z')
              || strchr("'()+_,-./:=? ", boundary[i])))
            return false;
    return true;
}

int
multipart_boundary(const char *content_type,
                   char boundary[MULTIPART_BOUNDARY_BYTES])
{
    char type[MULTIPART_TYPE_BYTES];

    if (!content_type)
        return UV_ENOENT;
    struct cursor c = {content_type, content_type + strlen(content_type)};
    skip_space(&c);
    if (type_take(&c, type) || strcmp(type, "multipart/form-data") != 0)
        return UV_ENOENT;
    int result =
        parameter_find(c, "boundary", boundary, MULTIPART_BOUNDARY_BYTES);
    return result || !boundary_is_sound(boundary) ? UV_EINVAL : 0;
}

/* --- a part */

/* The line up to CRLF, taken off with it. */
static bool
line_take(struct cursor *c, struct cursor *line)
{
    const char *feed = memchr(c->at, '\n', (size_t) (c->end - c->at));

    if (!feed || feed == c->at || feed[-1] != '\r')
        return false;
    *line = (struct cursor){c->at, feed - 1};
    c->at = feed + 1;
    return true;
}

static int
disposition_read(struct cursor c, struct multipart_part *part)
{
    struct span type = {c.at, token_bytes(c)};

    if (part->name[0] || !span_is(type, "form-data"))
        return UV_EINVAL;
    c.at += type.bytes;
    int result = parameter_find(c, "name", part->name, sizeof(part->name));
    if (result == UV_ENOENT || (!result && !part->name[0]))
        return UV_EINVAL;
    return result;
}

/* RFC 7578, 4.7: not to be used any more; what is encoded isn't read. */
static int
encoding_read(struct cursor c)
{
    struct span name = {c.at, token_bytes(c)};

    return span_is(name, "binary") || span_is(name, "8bit")
                   || span_is(name, "7bit")
               ? 0
               : UV_EINVAL;
}

static int
header_read(struct cursor line, struct multipart_part *part)
{
    struct span name = {line.at, token_bytes(line)};

    line.at += name.bytes;
    if (!name.bytes || !take(&line, ':'))
        return UV_EINVAL;
    skip_space(&line);
    if (span_is(name, "content-disposition"))
        return disposition_read(line, part);
    if (span_is(name, "content-type"))
        return part->type[0] ? UV_EINVAL : type_take(&line, part->type);
    if (span_is(name, "content-transfer-encoding"))
        return encoding_read(line);
    return 0;
}

static int
headers_read(struct cursor *c, struct multipart_part *part)
{
    const char *from = c->at;
    struct cursor line;

    for (;;) {
        if (!line_take(c, &line))
            return UV_EINVAL;
        if (c->at - from > MULTIPART_HEADER_BYTES)
            return UV_E2BIG;
        if (line.at == line.end)
            return part->name[0] ? 0 : UV_EINVAL;
        int result = header_read(line, part);
        if (result)
            return result;
    }
}

/* --- delimiters */

enum delimiter { DELIMITER_NONE, DELIMITER_NEXT, DELIMITER_LAST };

/* What "--boundary" at `c` is; taken off with the rest of its line. */
static enum delimiter
delimiter_take(struct cursor *c, const char *boundary)
{
    size_t bytes = strlen(boundary);
    struct cursor at = *c;

    if ((size_t) (at.end - at.at) < bytes + 2 || memcmp(at.at, "--", 2) != 0
        || memcmp(at.at + 2, boundary, bytes) != 0)
        return DELIMITER_NONE;
    at.at += bytes + 2;
    bool last = at.end - at.at >= 2 && memcmp(at.at, "--", 2) == 0;
    if (last)
        at.at += 2;
    skip_space(&at);
    bool ended = at.end - at.at >= 2 && memcmp(at.at, "\r\n", 2) == 0;
    if (ended)
        at.at += 2;
    if (!ended && !(last && at.at == at.end))
        return DELIMITER_NONE;
    *c = at;
    return last ? DELIMITER_LAST : DELIMITER_NEXT;
}

/* To behind the next delimiter at the start of a line; `body` is what comes
 * before its line break. */
static enum delimiter
delimiter_find(struct cursor *c, const char *boundary, struct span *body)
{
    const char *from = c->at;

    for (;;) {
        size_t left = (size_t) (c->end - c->at);
        const char *at = left >= 4 ? memmem(c->at, left, "\r\n--", 4) : NULL;
        if (!at)
            return DELIMITER_NONE;
        c->at = at + 2;
        enum delimiter found = delimiter_take(c, boundary);
        if (found != DELIMITER_NONE) {
            *body = (struct span){from, (size_t) (at - from)};
            return found;
        }
    }
}

static int
part_read(struct cursor *c, const char *boundary, struct multipart *m,
          enum delimiter *next)
{
    struct multipart_part *part = &m->parts[m->count];
    struct span body;

    if (m->count == MULTIPART_PARTS_MAX)
        return UV_E2BIG;
    *part = (struct multipart_part){.body = ""};
    int result = headers_read(c, part);
    if (result)
        return result;
    /* The line break of an empty body is the one that ends the headers. */
    c->at -= 2;
    *next = delimiter_find(c, boundary, &body);
    if (*next == DELIMITER_NONE || multipart_find(m, part->name))
        return UV_EINVAL;
    if (body.bytes >= 2) {
        part->body = body.text + 2;
        part->bytes = body.bytes - 2;
    }
    m->count++;
    return 0;
}

int
multipart_parse(const char *body, size_t bytes, const char *boundary,
                struct multipart *out)
{
    struct cursor c = {body, body + bytes};
    struct span preamble;

    out->count = 0;
    enum delimiter next = delimiter_take(&c, boundary);
    if (next == DELIMITER_NONE)
        next = delimiter_find(&c, boundary, &preamble);
    if (next == DELIMITER_NONE)
        return UV_EINVAL;
    while (next == DELIMITER_NEXT) {
        int result = part_read(&c, boundary, out, &next);
        if (result)
            return result;
    }
    return 0;
}

const struct multipart_part *
multipart_find(const struct multipart *m, const char *name)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->parts[i].name, name) == 0)
            return &m->parts[i];
    return NULL;
}

/* --- writing */

int
multipart_append(struct buffer *out, const char *boundary,
                 const struct multipart_part *part)
{
    size_t before = out->bytes;
    int result = buffer_printf(
        out, "--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n",
        boundary, part->name);

    if (!result && part->type[0])
        result = buffer_printf(out, "Content-Type: %s\r\n", part->type);
    if (!result)
        result = buffer_append(out, "\r\n", 2);
    if (!result && part->bytes)
        result = buffer_append(out, part->body, part->bytes);
    if (!result)
        result = buffer_append(out, "\r\n", 2);
    if (result)
        out->bytes = before;
    return result;
}

int
multipart_end(struct buffer *out, const char *boundary)
{
    return buffer_printf(out, "--%s--\r\n", boundary);
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_excerpt.h"

#include "base/buffer.h"
#include "codec/tool_limits.h"
#include "tools/tool_file.h"

#include <string.h>
#include <uv.h>

#define LEAD 200 /* bytes shown before a match that is far behind */

static bool
is_continued(char byte)
{
    return ((unsigned char) byte & 0xc0) == 0x80;
}

/* Bytes of the first `most` characters. */
static size_t
characters_bytes(const char *text, size_t bytes, unsigned most)
{
    size_t at = 0;

    while (at < bytes && most > 0) {
        at++;
        for (int i = 0; i < 3 && at < bytes && is_continued(text[at]); i++)
            at++;
        most--;
    }
    return at;
}

/* Where what is shown begins: a match must not be cut off. */
static size_t
text_begin(const char *text, size_t match, unsigned most)
{
    size_t begin = match > LEAD && match > most / 2 ? match - LEAD : 0;

    while (begin > 0 && begin < match && is_continued(text[begin]))
        begin++;
    return begin;
}

static json_t *
text_make(const char *text, size_t bytes, size_t match, unsigned most,
          bool *cut)
{
    size_t begin = characters_bytes(text, bytes, most) < bytes
                       ? text_begin(text, match, most)
                       : 0;
    size_t shown = characters_bytes(text + begin, bytes - begin, most);
    bool is_cut = begin + shown < bytes;
    struct buffer all;
    json_t *value = NULL;

    if (begin == 0 && !is_cut)
        return tool_file_text(text, bytes);
    *cut = true;
    buffer_init(&all, shown + 16);
    if (!buffer_printf(&all, "%s", begin > 0 ? "… " : "")
        && !buffer_append(&all, text + begin, shown)
        && !buffer_printf(&all, "%s", is_cut ? " …" : ""))
        value = tool_file_text((char *) all.data, all.bytes);
    buffer_deinit(&all);
    return value;
}

/* --- context */

static int
line_add(json_t *lines, uint64_t number, json_t *content, bool is_match)
{
    json_t *line = json_object();
    int result =
        tool_file_set(line, "line_number", json_integer((json_int_t) number));

    if (!result)
        result = tool_file_set(line, "content", content);
    else
        json_decref(content);
    if (!result)
        result = tool_file_set(line, "is_match", json_boolean(is_match));
    if (result || json_array_append_new(lines, line)) {
        if (result)
            json_decref(line);
        return UV_ENOMEM;
    }
    return 0;
}

static int
lines_add(json_t *lines, uint64_t number, const char *text, size_t bytes,
          bool *cut)
{
    int result = 0;

    for (; bytes > 0 && !result; number++) {
        const char *end = memchr(text, '\n', bytes);
        size_t line = end ? (size_t) (end - text) : bytes;
        size_t part = line + (end != NULL);

        if (line > 0 && text[line - 1] == '\r')
            line--;
        result = line_add(lines, number,
                          text_make(text, line, 0, TOOL_LIMIT_LINE_CHARS, cut),
                          false);
        text += part;
        bytes -= part;
    }
    return result;
}

static uint64_t
lines_count(const char *text, size_t bytes)
{
    uint64_t count = 1;

    for (size_t i = 0; i < bytes; i++)
        count += text[i] == '\n';
    return count;
}

static json_t *
context_make(const struct tool_excerpt *e, json_t *content, bool *cut)
{
    const struct tool_scan_match *m = e->match;
    json_t *lines = json_array();
    uint64_t next = m->line + lines_count(m->text, m->bytes);
    int result = lines ? lines_add(lines, m->line - m->before_lines, m->before,
                                   m->before_bytes, cut)
                       : UV_ENOMEM;

    if (!result)
        result = line_add(lines, m->line, json_incref(content), true);
    if (!result)
        result = lines_add(lines, next, m->after, m->after_bytes, cut);
    if (!result)
        return lines;
    json_decref(lines);
    return NULL;
}

json_t *
tool_excerpt_make(const struct tool_excerpt *e, bool *cut)
{
    const struct tool_scan_match *m = e->match;
    unsigned most =
        e->is_multiline ? TOOL_EXCERPT_MULTILINE : TOOL_LIMIT_LINE_CHARS;
    json_t *entry = json_object();
    json_t *content = text_make(m->text, m->bytes, m->begin, most, cut);
    int result = content ? tool_file_set(
                     entry, "file", tool_file_text(e->file, strlen(e->file)))
                         : UV_ENOMEM;

    if (!result && e->is_numbered)
        result = tool_file_set(entry, "line_number",
                               json_integer((json_int_t) m->line));
    if (!result)
        result = tool_file_set(entry, "content", json_incref(content));
    if (!result && e->with_context)
        result = tool_file_set(entry, "context", context_make(e, content, cut));
    json_decref(content);
    if (!result)
        return entry;
    json_decref(entry);
    return NULL;
}

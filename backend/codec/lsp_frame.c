/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   Content-Length: 17 CR LF  [Content-Type: … CR LF]  CR LF  17 bytes of JSON
 *   └──────────────── head ────────────────────────────────┘ └─── body ─────┘
 */

#include "codec/lsp_frame.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

struct head {
    size_t body_bytes;
    bool has_length;
};

/* 0 or UV_EPROTO; digits alone, as many as can't overflow. */
static int
length_read(size_t *value, const char *text, size_t bytes)
{
    *value = 0;
    if (bytes == 0 || bytes > 15)
        return UV_EPROTO;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return UV_EPROTO;
        *value = *value * 10 + (size_t) (text[i] - '0');
    }
    return 0;
}

/* Older servers write utf8. Without a charset it is UTF-8. */
static bool
charset_is_utf8(const char *text, size_t bytes)
{
    static const char name[] = "charset=";
    size_t length = sizeof(name) - 1;

    for (size_t at = 0; at + length <= bytes; at++) {
        if (strncasecmp(text + at, name, length) != 0)
            continue;
        text += at + length;
        bytes -= at + length;
        if (bytes > 0 && *text == '"') {
            text++;
            bytes--;
        }
        return (bytes >= 5 && strncasecmp(text, "utf-8", 5) == 0)
               || (bytes >= 4 && strncasecmp(text, "utf8", 4) == 0);
    }
    return true;
}

/* What servers print besides is no header. */
static bool
is_name(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i] | 0x20;

        if ((c < 'a' || c > 'z') && text[i] != '-')
            return false;
    }
    return true;
}

static int
header_read(struct head *head, const char *line, size_t bytes)
{
    const char *colon = memchr(line, ':', bytes);
    const char *value;
    size_t name_bytes, value_bytes;

    if (colon == NULL || colon == line)
        return UV_EPROTO;
    name_bytes = (size_t) (colon - line);
    if (!is_name(line, name_bytes))
        return UV_EPROTO;
    value = colon + 1;
    value_bytes = bytes - name_bytes - 1;
    while (value_bytes > 0 && (*value == ' ' || *value == '\t')) {
        value++;
        value_bytes--;
    }
    while (value_bytes > 0
           && (value[value_bytes - 1] == ' ' || value[value_bytes - 1] == '\t'))
        value_bytes--;
    if (name_bytes == 14 && strncasecmp(line, "Content-Length", 14) == 0) {
        if (head->has_length)
            return UV_EPROTO;
        head->has_length = true;
        return length_read(&head->body_bytes, value, value_bytes);
    }
    if (name_bytes == 12 && strncasecmp(line, "Content-Type", 12) == 0)
        return charset_is_utf8(value, value_bytes) ? 0 : UV_EPROTO;
    return 0;
}

/* >0: bytes of the headers with their empty line; 0: not all are there. */
static long
head_read(struct head *head, const char *data, size_t bytes)
{
    size_t most = bytes < LSP_FRAME_HEAD_MAX ? bytes : LSP_FRAME_HEAD_MAX;
    size_t at = 0;

    for (;;) {
        const char *end = memchr(data + at, '\n', most - at);
        size_t line_bytes;
        int error;

        if (end == NULL)
            return bytes < LSP_FRAME_HEAD_MAX ? 0 : UV_EPROTO;
        line_bytes = (size_t) (end - data) - at;
        if (line_bytes == 0 || end[-1] != '\r')
            return UV_EPROTO;
        if (line_bytes == 1)
            return end + 1 - data;
        error = header_read(head, data + at, line_bytes - 1);
        if (error != 0)
            return error;
        at = (size_t) (end - data) + 1;
    }
}

long
lsp_frame_read(struct lsp_frame *frame, const char *data, size_t bytes,
               size_t max_body_bytes)
{
    struct head head = {0};
    long head_bytes;

    if (bytes == 0)
        return 0;
    head_bytes = head_read(&head, data, bytes);
    if (head_bytes <= 0)
        return head_bytes;
    if (!head.has_length)
        return UV_EPROTO;
    if (head.body_bytes > max_body_bytes)
        return UV_EMSGSIZE;
    if (bytes - (size_t) head_bytes < head.body_bytes)
        return 0;
    frame->body = data + head_bytes;
    frame->body_bytes = head.body_bytes;
    return head_bytes + (long) head.body_bytes;
}

size_t
lsp_frame_write_head(char head[LSP_FRAME_HEAD_ROOM], size_t body_bytes)
{
    return (size_t) snprintf(head, LSP_FRAME_HEAD_ROOM,
                             "Content-Length: %zu\r\n\r\n", body_bytes);
}

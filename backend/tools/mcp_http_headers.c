/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/mcp_http_headers.h"

#include "base/buffer.h"
#include "codec/mcp_header.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* Ours, the configuration's (32), the marks' (MCP_HEADERS_MAX). */
#define LIST_MAX 80

struct mcp_http_headers {
    const struct config_tool_server *server;
    struct buffer text; /* never grows beyond what is reserved: texts stay */
    struct http_header list[LIST_MAX];
    size_t count;
};

int
mcp_http_headers_create(struct mcp_http_headers **hp,
                        const struct config_tool_server *server)
{
    struct mcp_http_headers *h = calloc(1, sizeof(*h));

    if (!h)
        return UV_ENOMEM;
    h->server = server;
    buffer_init(&h->text, MCP_LINK_HEADERS_BYTES);
    *hp = h;
    if (buffer_reserve(&h->text, MCP_LINK_HEADERS_BYTES))
        return 0;
    mcp_http_headers_destroy(hp);
    return UV_ENOMEM;
}

void
mcp_http_headers_destroy(struct mcp_http_headers **hp)
{
    struct mcp_http_headers *h = *hp;

    *hp = NULL;
    if (!h)
        return;
    if (h->text.data)
        explicit_bzero(h->text.data, h->text.bytes);
    buffer_deinit(&h->text);
    free(h);
}

/* --- one header */

/* A text of the block, which what was appended since `at` has become. */
static const char *
text_end(struct mcp_http_headers *h, size_t at)
{
    return buffer_append(&h->text, "", 1) == 0 ? (char *) h->text.data + at
                                               : NULL;
}

static int
header_note(struct mcp_http_headers *h, const char *name, const char *value)
{
    if (!name || !value || h->count == LIST_MAX)
        return UV_ENOBUFS;
    h->list[h->count++] = (struct http_header){name, value};
    return 0;
}

/* The name is a literal. */
static int
header_add(struct mcp_http_headers *h, const char *name, const char *value)
{
    size_t at = h->text.bytes;

    if (!value || !value[0])
        return 0;
    int result = buffer_append(&h->text, value, strlen(value));
    return result ? result : header_note(h, name, text_end(h, at));
}

static int
configured_add(struct mcp_http_headers *h, const char *text)
{
    size_t at = h->text.bytes, n = strcspn(text, ":");
    int result = buffer_append(&h->text, text, n);
    const char *name = result ? NULL : text_end(h, at);

    text += n + 1;
    text += strspn(text, " \t");
    at = h->text.bytes;
    if (!result)
        result = buffer_append(&h->text, text, strlen(text));
    return result ? result : header_note(h, name, text_end(h, at));
}

static int
key_add(struct mcp_http_headers *h)
{
    size_t at = h->text.bytes;

    if (!h->server->key)
        return 0;
    int result = buffer_printf(&h->text, "Bearer %s", h->server->key);
    return result ? result : header_note(h, "Authorization", text_end(h, at));
}

/* --- those of the modern era */

static int
on_mark(void *arg, const char *name, const json_t *value)
{
    struct mcp_http_headers *h = arg;
    size_t at = h->text.bytes;
    int result = buffer_printf(&h->text, "Mcp-Param-%s", name);
    const char *full = result ? NULL : text_end(h, at);

    at = h->text.bytes;
    if (!result)
        result = mcp_header_argument(&h->text, value);
    return result ? result : header_note(h, full, text_end(h, at));
}

static int
modern_add(struct mcp_http_headers *h, const struct mcp_send *message)
{
    int result = header_add(h, "Mcp-Method", message->method);
    size_t at = h->text.bytes;

    if (!result && message->name) {
        result =
            mcp_header_value(&h->text, message->name, strlen(message->name));
        if (!result)
            result = header_note(h, "Mcp-Name", text_end(h, at));
    }
    if (!result && message->schema)
        result =
            mcp_header_each(message->schema, message->arguments, on_mark, h);
    return result;
}

/* --- all of them */

int
mcp_http_headers_make(struct mcp_http_headers *h,
                      const struct mcp_http_sent *sent,
                      const struct mcp_send *message,
                      const struct http_header **list, size_t *count)
{
    int result = 0;

    buffer_clear(&h->text);
    h->count = 0;
    if (sent->posts)
        result = header_add(h, "Content-Type", "application/json");
    if (!result)
        result = header_add(h, "Accept",
                            sent->posts ? "application/json, text/event-stream"
                                        : "text/event-stream");
    if (!result)
        result = header_add(h, "MCP-Protocol-Version", sent->version);
    if (!result)
        result = header_add(h, "Mcp-Session-Id", sent->session);
    if (!result)
        result = header_add(h, "Last-Event-ID", sent->event);
    if (!result && message && message->era == MCP_ERA_MODERN)
        result = modern_add(h, message);
    if (!result)
        result = key_add(h);
    for (size_t i = 0; i < h->server->headers.count && !result; i++)
        result = configured_add(h, h->server->headers.items[i]);
    *list = h->list;
    *count = h->count;
    return result;
}

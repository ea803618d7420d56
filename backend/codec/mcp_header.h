/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What of a modern MCP request is repeated in HTTP headers, so that whoever
 * stands between can route it (revision 2026-07-28, Streamable HTTP): the
 * name, and arguments that a tool's schema marks with `x-mcp-header`. Pure,
 * any thread; owns nothing.
 */

#ifndef VOICE_MCP_HEADER_H
#define VOICE_MCP_HEADER_H

#include "base/buffer.h"

#include <jansson.h>

#define MCP_HEADERS_MAX 32 /* marked arguments of one tool */
#define MCP_HEADER_MARK "x-mcp-header"

/* Appends a text as a header's value: as it is, or "=?base64?…?=" when no
 * header could hold it so. 0 or as buffer_append. */
int mcp_header_value(struct buffer *out, const char *text, size_t bytes);

/* Are the marks of a schema as the protocol has them? 0; or UV_EINVAL: such a
 * tool must not be used. */
int mcp_header_check(const json_t *schema);

/* A marked argument that is given: the header's name without "Mcp-Param-", and
 * the argument, a text, an integer or a boolean. Not 0: no more. */
typedef int mcp_header_h(void *arg, const char *name, const json_t *value);

/* Of a schema that was checked. 0 or what the handler gave. */
int mcp_header_each(const json_t *schema, const json_t *arguments,
                    mcp_header_h *handler, void *arg);

/* Appends such an argument's value. 0; UV_EINVAL: none that a header has; or
 * as buffer_append. */
int mcp_header_argument(struct buffer *out, const json_t *value);

#endif

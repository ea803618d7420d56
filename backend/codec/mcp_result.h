/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a tool of an MCP server answered, as a model is given it: its texts as
 * one, what it says in structure, and of images, sound and other files what
 * they are, not their bytes. What is said both ways is told once. Bounded
 * whatever the server sends. Pure, any thread.
 *
 *   {content[], structuredContent, isError} ─►
 *   {content?, structured_content?, attachments?, truncated, total_bytes}
 */

#ifndef VOICE_MCP_RESULT_H
#define VOICE_MCP_RESULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define MCP_RESULT_ERROR_BYTES 512
#define MCP_ATTACHMENTS_MAX    32 /* told of; more are only counted */

struct mcp_result {
    json_t *output; /* the caller's; NULL: it failed */
    bool truncated;
    char error[MCP_RESULT_ERROR_BYTES]; /* its own words, cut */
};

/*
 * 0: output is set. UV_ECANCELED: the tool said that it failed. UV_ENOTSUP: it
 * wants to ask somebody something first. UV_EPROTO: that is no result.
 * UV_ENOMEM. Texts take max_bytes at most, and so does structure, which comes
 * as text, cut, when it is larger.
 */
int mcp_result_read(struct mcp_result *r, const json_t *result,
                    size_t max_bytes);

/* A text of a server's, cut and cleaned to be told. */
void mcp_result_error(char error[MCP_RESULT_ERROR_BYTES], const char *text);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/* What an MCP server sends, read as everything that it could be; an output is
 * within its limit, and a schema's marks lead to headers that can be sent. */

#include "codec/json_rpc.h"
#include "codec/mcp_header.h"
#include "codec/mcp_message.h"
#include "codec/mcp_result.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
result_read(const json_t *result)
{
    struct mcp_result r;

    if (mcp_result_read(&r, result, MAX_BYTES) != 0) {
        if (r.output || strlen(r.error) >= sizeof(r.error))
            abort();
        return;
    }
    if (json_string_length(json_object_get(r.output, "content")) > MAX_BYTES
        || json_array_size(json_object_get(r.output, "attachments"))
               > MCP_ATTACHMENTS_MAX)
        abort();
    json_decref(r.output);
}

static int
on_mark(void *arg, const char *name, const json_t *value)
{
    struct buffer out;

    (void) arg;
    if (!name[0])
        abort();
    buffer_init(&out, 65536);
    if (mcp_header_argument(&out, value) == 0) {
        for (size_t i = 0; i < out.bytes; i++)
            if (out.data[i] != '\t' && (out.data[i] < ' ' || out.data[i] > '~'))
                abort();
    }
    buffer_deinit(&out);
    return 0;
}

static void
result_of_any_kind(const json_t *result)
{
    struct mcp_greeting greeting;
    struct mcp_page page;

    result_read(result);
    (void) mcp_initialized_read(&greeting, result);
    (void) mcp_discovered_read(&greeting, result);
    if (mcp_page_read(&page, result) == 0
        && mcp_header_check(json_array_get(page.tools, 0)) == 0)
        mcp_header_each(json_array_get(page.tools, 0), result, on_mark, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct json_rpc message;
    struct mcp_progress progress;
    json_t *tree = json_rpc_load((const char *) data, bytes);

    if (!tree)
        return 0;
    result_of_any_kind(tree);
    if (json_rpc_read(&message, tree) == 0) {
        result_of_any_kind(message.result);
        (void) mcp_progress_read(&progress, message.params);
        (void) mcp_error_offers_modern(message.data);
    }
    if (mcp_header_check(tree) == 0)
        mcp_header_each(tree, json_object_get(tree, "default"), on_mark, NULL);
    json_decref(tree);
    return 0;
}

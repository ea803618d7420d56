/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/mcp_message.h"

#include "config.h"

#include <string.h>
#include <uv.h>

#define CLIENT_NAME "ngx-voice"
#define META(name)  "io.modelcontextprotocol/" name

static const char *const legacy_versions[] = {MCP_LEGACY, "2025-06-18",
                                              "2025-03-26", "2024-11-05"};

/* --- made */

static json_t *
client_make(void)
{
    return json_pack("{s:s,s:s}", "name", CLIENT_NAME, "version",
                     VOICE_VERSION);
}

json_t *
mcp_initialize_params(void)
{
    return json_pack("{s:s,s:{},s:o}", "protocolVersion", MCP_LEGACY,
                     "capabilities", "clientInfo", client_make());
}

json_t *
mcp_call_params(const char *tool, const json_t *arguments, uint64_t token,
                const char *traceparent)
{
    json_t *params =
        json_pack("{s:s,s:O,s:{s:I}}", "name", tool, "arguments", arguments,
                  "_meta", "progressToken", (json_int_t) token);

    if (params && traceparent && traceparent[0]
        && json_object_set_new(json_object_get(params, "_meta"), "traceparent",
                               json_string(traceparent))
               != 0) {
        json_decref(params);
        return NULL;
    }
    return params;
}

json_t *
mcp_list_params(const char *cursor)
{
    return json_pack("{s:s*}", "cursor", cursor);
}

json_t *
mcp_cancelled_params(uint64_t number)
{
    return json_pack("{s:I,s:s}", "requestId", (json_int_t) number, "reason",
                     "nobody waits for it any more");
}

json_t *
mcp_listen_params(void)
{
    return json_pack("{s:{s:b}}", "notifications", "toolsListChanged", 1);
}

json_t *
mcp_params_stamp(json_t *params)
{
    json_t *stamp = json_pack("{s:s,s:o,s:{}}", META("protocolVersion"),
                              MCP_MODERN, META("clientInfo"), client_make(),
                              META("clientCapabilities"));

    if (!params)
        params = json_object();
    json_t *meta = json_object_get(params, "_meta");
    int failed = !stamp || !params;
    if (!failed && meta)
        failed = json_object_update(meta, stamp);
    else if (!failed)
        failed = json_object_set(params, "_meta", stamp);
    json_decref(stamp);
    if (!failed)
        return params;
    json_decref(params);
    return NULL;
}

/* --- read */

/* Letters, digits and a few signs: it goes to the log. */
static void
server_read(struct mcp_greeting *g, const json_t *info)
{
    const char *name = json_string_value(json_object_get(info, "name"));
    size_t n = 0;

    for (; name && name[n] && n < MCP_SERVER_BYTES - 1; n++) {
        unsigned char c = (unsigned char) name[n];
        g->server[n] =
            c > ' ' && c <= '~' && c != '"' && c != '\\' ? name[n] : '_';
    }
    g->server[n] = '\0';
}

static void
capabilities_read(struct mcp_greeting *g, const json_t *result)
{
    const json_t *tools =
        json_object_get(json_object_get(result, "capabilities"), "tools");

    g->has_tools = json_is_object(tools);
    g->tells_changes = json_is_true(json_object_get(tools, "listChanged"));
}

int
mcp_initialized_read(struct mcp_greeting *g, const json_t *result)
{
    const char *version =
        json_string_value(json_object_get(result, "protocolVersion"));

    *g = (struct mcp_greeting){.era = MCP_ERA_LEGACY};
    if (!version)
        return UV_EPROTO;
    for (size_t i = 0; i < sizeof(legacy_versions) / sizeof(char *); i++) {
        if (strcmp(version, legacy_versions[i]) == 0)
            g->version = legacy_versions[i];
    }
    if (!g->version)
        return UV_ENOTSUP;
    capabilities_read(g, result);
    server_read(g, json_object_get(result, "serverInfo"));
    return 0;
}

static bool
list_offers_modern(const json_t *versions)
{
    size_t i;
    json_t *version;

    json_array_foreach(versions, i, version)
    {
        const char *text = json_string_value(version);
        if (text && strcmp(text, MCP_MODERN) == 0)
            return true;
    }
    return false;
}

int
mcp_discovered_read(struct mcp_greeting *g, const json_t *result)
{
    const json_t *versions = json_object_get(result, "supportedVersions");
    const json_t *meta = json_object_get(result, "_meta");
    const json_t *info = json_object_get(result, "serverInfo");

    *g = (struct mcp_greeting){.era = MCP_ERA_MODERN, .version = MCP_MODERN};
    if (!json_is_array(versions))
        return UV_EPROTO;
    if (!list_offers_modern(versions))
        return UV_ENOTSUP;
    capabilities_read(g, result);
    server_read(g, info ? info : json_object_get(meta, META("serverInfo")));
    return 0;
}

bool
mcp_error_offers_modern(const json_t *data)
{
    return list_offers_modern(json_object_get(data, "supported"));
}

int
mcp_page_read(struct mcp_page *page, const json_t *result)
{
    json_int_t ttl = json_integer_value(json_object_get(result, "ttlMs"));

    page->tools = json_object_get(result, "tools");
    page->cursor = json_string_value(json_object_get(result, "nextCursor"));
    page->ttl_ms = ttl > 0 ? (uint64_t) ttl : 0;
    return json_is_array(page->tools) ? 0 : UV_EPROTO;
}

int
mcp_progress_read(struct mcp_progress *p, const json_t *params)
{
    const json_t *token = json_object_get(params, "progressToken");
    const json_t *progress = json_object_get(params, "progress");

    if (!json_is_integer(token) || json_integer_value(token) <= 0
        || !json_is_number(progress))
        return UV_EINVAL;
    p->token = (uint64_t) json_integer_value(token);
    p->progress = json_number_value(progress);
    p->total = json_number_value(json_object_get(params, "total"));
    p->message = json_string_value(json_object_get(params, "message"));
    return 0;
}

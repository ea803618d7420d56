/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/mcp_tool.h"

#include "base/clock.h"
#include "codec/mcp_header.h"
#include "codec/mcp_result.h"
#include "codec/tool_limits.h"
#include "tools/tool_run.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define NAME_HASH 9 /* "_" and eight digits in the place of a long end */
/* Text that is cut at TOOL_LIMIT_BYTES, escaped, and structure beside it. */
#define OUTPUT_BYTES (7 * TOOL_LIMIT_BYTES + 65536)

struct mcp_owner {
    atomic_uint shares;
    const struct config_tool_server *server;
    unsigned domain;
    struct mcp_client *client; /* the loop's; NULL: none */
};

struct mcp_tool {
    struct tool tool;
    struct mcp_owner *owner; /* shared */
    char *remote_name;
};

/* A run under way. */
struct mcp_run {
    struct tool_run *run;
    int64_t id; /* over 0: of the call */
};

/* --- owners */

int
mcp_owner_create(struct mcp_owner **op, const struct config_tool_server *server,
                 unsigned domain)
{
    struct mcp_owner *owner = calloc(1, sizeof(*owner));

    if (!owner)
        return UV_ENOMEM;
    atomic_init(&owner->shares, 1);
    owner->server = server;
    owner->domain = domain;
    *op = owner;
    return 0;
}

void
mcp_owner_set(struct mcp_owner *owner, struct mcp_client *client)
{
    owner->client = client;
}

void
mcp_owner_put(struct mcp_owner **op)
{
    struct mcp_owner *owner = *op;

    *op = NULL;
    if (owner && atomic_fetch_sub(&owner->shares, 1) == 1)
        free(owner);
}

/* --- runs */

static void
run_succeed(struct tool_run *run, const json_t *result)
{
    struct mcp_result r;
    int error = mcp_result_read(&r, result, TOOL_LIMIT_BYTES);

    if (!error) {
        struct tool_result told = {.output = r.output,
                                   .truncated = r.truncated};
        tool_run_finish(run, &told);
    } else if (error == UV_ECANCELED) {
        tool_run_fail(run, "failed", "%s", r.error);
    } else if (error == UV_ENOTSUP) {
        tool_run_fail(run, "failed",
                      "The tool asks for something that can't be given here.");
    } else if (error == UV_EPROTO) {
        tool_run_fail(run, "failed",
                      "The tool server answered with what is no result.");
    } else {
        tool_run_fail(run, "failed", "There is no memory for the result.");
    }
}

static void
run_refused(struct tool_run *run, const struct mcp_call_end *end)
{
    char text[MCP_RESULT_ERROR_BYTES];

    mcp_result_error(text, end->message[0] ? end->message
                                           : "The tool server refused.");
    tool_run_fail(run,
                  end->code == JSON_RPC_INVALID_PARAMS ? "invalid_arguments"
                                                       : "failed",
                  "%s", text);
}

static void
run_fail(struct tool_run *run, int error)
{
    switch (error) {
    case UV_ECANCELED:
        tool_run_fail(run, "cancelled", "The tool was cancelled.");
        break;
    case UV_ETIMEDOUT:
        tool_run_fail(run, "timeout", "The tool took too long.");
        break;
    case UV_EMSGSIZE:
        tool_run_fail(run, "too_large", "The tool's answer was too large.");
        break;
    case UV_EINVAL:
        tool_run_fail(run, "invalid_arguments",
                      "An argument can't be sent to the tool server.");
        break;
    case UV_ENOBUFS:
        tool_run_fail(run, "unavailable",
                      "The tool server has too much to do; try again.");
        break;
    default:
        tool_run_fail(run, "unavailable",
                      "The tool server can't be reached at the moment.");
    }
}

static void
on_call_progress(void *arg, const struct mcp_progress *progress)
{
    struct mcp_run *mr = arg;

    tool_run_progress(mr->run, progress->progress, progress->total,
                      progress->message);
}

static void
on_call_done(void *arg, const struct mcp_call_end *end)
{
    struct mcp_run *mr = arg;
    struct tool_run *run = mr->run;

    if (end->error)
        run_fail(run, end->error);
    else if (end->result)
        run_succeed(run, end->result);
    else
        run_refused(run, end);
}

static const struct mcp_call_handlers call_handlers = {
    .on_progress = on_call_progress,
    .on_done = on_call_done,
};

static void
mcp_tool_start(struct tool *tool, struct tool_run *run)
{
    struct mcp_tool *mt = (struct mcp_tool *) tool;
    struct mcp_run *mr = calloc(1, sizeof(*mr));
    uint64_t now = clock_now_ms(), deadline = run->cfg.deadline_ms;
    const struct mcp_call_request rq = {
        .tool = mt->remote_name,
        .arguments = run->cfg.arguments,
        .schema = tool->schema,
        .traceparent = run->cfg.traceparent,
        .timeout_ms = deadline > now ? deadline - now : 1,
    };
    int error = mr ? UV_ENOTCONN : UV_ENOMEM;

    if (mr) {
        mr->run = run;
        tool_run_keep(run, mr, free);
    }
    if (mr && mt->owner->client) {
        mr->id = mcp_client_call(mt->owner->client, &rq, &call_handlers, mr);
        error = mr->id < 0 ? (int) mr->id : 0;
    }
    if (error)
        run_fail(run, error);
}

static void
mcp_tool_cancel(struct tool *tool, struct tool_run *run)
{
    struct mcp_tool *mt = (struct mcp_tool *) tool;
    struct mcp_run *mr = run->kept;

    if (mr && mr->id > 0 && mt->owner->client)
        mcp_client_cancel(mt->owner->client, mr->id);
}

static void
mcp_tool_destroy(struct tool *tool)
{
    struct mcp_tool *mt = (struct mcp_tool *) tool;

    tool_deinit(tool);
    mcp_owner_put(&mt->owner);
    free(mt->remote_name);
    free(mt);
}

static const struct tool_ops ops = {
    .start = mcp_tool_start,
    .cancel = mcp_tool_cancel,
    .destroy = mcp_tool_destroy,
};

/* --- definitions */

const char *
mcp_tool_remote_name(const json_t *definition)
{
    const json_t *name = json_object_get(definition, "name");
    const char *text = json_string_value(name);

    return text && text[0] && strlen(text) == json_string_length(name) ? text
                                                                       : NULL;
}

/* As models take it; what is cut off or changed is told apart by a hash. */
static void
name_make(char out[TOOL_NAME_MAX + 1], const char *server, const char *name)
{
    char text[TOOL_NAME_MAX + 1];
    uint32_t hash = 2166136261u;
    bool changed = strlen(name) + strlen(server) + 5 > TOOL_NAME_MAX;

    snprintf(text, sizeof(text), "mcp_%s_%s", server, name);
    for (char *p = text; *p; p++) {
        if (!isalnum((unsigned char) *p) && *p != '_' && *p != '-') {
            *p = '_';
            changed = true;
        }
    }
    for (const char *p = name; *p; p++)
        hash = (hash ^ (unsigned char) *p) * 16777619u;
    if (changed)
        snprintf(out, TOOL_NAME_MAX + 1, "%.*s_%08x", TOOL_NAME_MAX - NAME_HASH,
                 text, hash);
    else
        memcpy(out, text, sizeof(text));
}

/* Its own words, or its title, or nothing. */
static char *
description_make(const json_t *definition)
{
    const json_t *text = json_object_get(definition, "description");
    char *out;
    size_t n;

    if (!json_string_length(text))
        text = json_object_get(definition, "title");
    n = json_string_length(text);
    if (n > TOOL_DESCRIPTION_MAX - 1)
        n = tool_limits_cut(json_string_value(text), n,
                            TOOL_DESCRIPTION_MAX - 1);
    out = malloc(n + 1);
    if (!out)
        return NULL;
    if (n)
        memcpy(out, json_string_value(text), n);
    out[n] = '\0';
    tool_limits_clean(out, n);
    return out;
}

/* What it is called with: an object, whatever else it says. */
static char *
schema_make(const json_t *definition, const char **why)
{
    json_t *given = json_object_get(definition, "inputSchema");
    const char *type = json_string_value(json_object_get(given, "type"));
    json_t *schema = NULL;
    char *text = NULL;

    *why = "its schema is no object's";
    if (!json_is_object(given) || (type && strcmp(type, "object") != 0))
        return NULL;
    *why = "its schema marks what no header may hold";
    if (mcp_header_check(given) != 0)
        return NULL;
    *why = "its schema is too large";
    schema = json_copy(given);
    if (schema) {
        json_object_del(schema, "$schema");
        if (!type)
            json_object_set_new(schema, "type", json_string("object"));
        text = json_dumps(schema, JSON_COMPACT);
    }
    json_decref(schema);
    if (text && strlen(text) >= TOOL_SCHEMA_MAX) {
        free(text);
        text = NULL;
    }
    return text;
}

static void
hints_read(struct tool_spec *spec, const struct config_tool_server *server,
           const json_t *definition)
{
    const json_t *hints = json_object_get(definition, "annotations");

    if (!server->trusted
        || !json_is_true(json_object_get(hints, "readOnlyHint")))
        return;
    spec->flags |= TOOL_READ_ONLY;
    spec->ttl_ms = server->ttl_ms;
}

/* A tool that only runs as a task of its own is nothing for a call. */
static bool
needs_task(const json_t *definition)
{
    const char *support = json_string_value(json_object_get(
        json_object_get(definition, "execution"), "taskSupport"));

    return support && strcmp(support, "required") == 0;
}

static int
tool_make(struct tool **tp, struct mcp_owner *owner,
          const struct tool_spec *spec, const char *remote_name)
{
    struct mcp_tool *mt = calloc(1, sizeof(*mt));
    int result = UV_ENOMEM;

    if (mt && (mt->remote_name = strdup(remote_name)) != NULL)
        result = tool_init(&mt->tool, &ops, spec);
    if (result) {
        free(mt ? mt->remote_name : NULL);
        free(mt);
        return result;
    }
    mt->owner = owner;
    atomic_fetch_add(&owner->shares, 1);
    *tp = &mt->tool;
    return 0;
}

int
mcp_tool_create(struct tool **tp, struct mcp_owner *owner,
                const json_t *definition, const char **why)
{
    const char *remote_name = mcp_tool_remote_name(definition);
    char name[TOOL_NAME_MAX + 1];
    struct tool_spec spec = {
        .name = name,
        .domain = owner->domain,
        .timeout_ms = owner->server->timeout_ms,
        .max_bytes = OUTPUT_BYTES,
    };
    char *schema, *description;
    int result = UV_EINVAL;

    *why = "it has no name";
    if (!remote_name)
        return UV_EINVAL;
    *why = "it runs as a task only";
    if (needs_task(definition))
        return UV_EINVAL;
    schema = schema_make(definition, why);
    if (!schema)
        return UV_EINVAL;
    description = description_make(definition);
    name_make(name, owner->server->name, remote_name);
    hints_read(&spec, owner->server, definition);
    spec.parameters = schema;
    spec.description = description;
    *why = "it is no tool";
    if (description)
        result = tool_make(tp, owner, &spec, remote_name);
    free(schema);
    free(description);
    return result;
}

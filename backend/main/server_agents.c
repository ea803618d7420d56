/* SPDX-License-Identifier: BSD-2-Clause */

#include "main/server_agents.h"

#include "base/log.h"
#include "service/tool_registry.h"
#include "service/tool_runner.h"
#include "tools/agent.h"
#include "tools/lsp_box.h"
#include "tools/lsp_command.h"
#include "tools/tool_cancel.h"
#include "tools/tool_lsp.h"
#include "tools/tool_root.h"
#include "tools/tool_task.h"

#include <uv.h>

/* Takes what its _create gave. */
static int
tool_add(const struct server_agents_config *cfg, int result, struct tool *tool,
         const char *what)
{
    if (result == 0)
        result = tool_registry_add(cfg->registry, &tool);
    if (result != 0)
        LOG(ALERT, "server", "start=failed at=tools tool=%s error=\"%s\"", what,
            uv_strerror(result));
    return result;
}

/* --- LSP */

static int
commands_check(const struct config_list *commands)
{
    for (size_t i = 0; i < commands->count; i++) {
        const char *fault = lsp_command_fault(commands->items[i]);

        if (fault == NULL)
            continue;
        LOG(ALERT, "server",
            "start=failed at=tools lsp_command=\"%.80s\" error=\"%s\"",
            commands->items[i], fault);
        return UV_EINVAL;
    }
    return 0;
}

static int
lsp_add(const struct server_agents_config *cfg, const struct lsp_box *box)
{
    const struct config_list *commands = &cfg->config->agents.lsp_command;
    const struct tool_lsp_config lsp = {
        .loop = cfg->loop,
        .root = cfg->root,
        .commands = (const char *const *) commands->items,
        .command_count = commands->count,
        .wrapper = box != NULL ? (const char *const *) box->words : NULL,
        .timeout_ms = cfg->config->agents.lsp_timeout_ms,
    };
    struct tool *tool = NULL;
    int result = tool_lsp_create(&tool, &lsp);

    return tool_add(cfg, result, tool, "LSP");
}

static int
lsp_make(const struct server_agents_config *cfg)
{
    struct lsp_box box;
    int result;

    if (cfg->root == NULL || cfg->config->agents.lsp_command.count == 0)
        return 0;
    result = commands_check(&cfg->config->agents.lsp_command);
    if (result != 0)
        return result;
    if (!cfg->config->agents.lsp_sandbox)
        return lsp_add(cfg, NULL);
    result = lsp_box_init(&box, tool_root_path(cfg->root));
    if (result != 0) {
        LOG(ALERT, "server",
            "start=failed at=tools lsp_sandbox=yes error=\"bwrap: %s\"",
            uv_strerror(result));
        return result;
    }
    result = lsp_add(cfg, &box);
    lsp_box_deinit(&box);
    return result;
}

/* --- agents */

static int
tasks_add(const struct server_agents_config *cfg, struct agent *agent)
{
    static const char *const names[] = {"task", "delegate", "dispatch"};
    const struct config_agents *d = &cfg->config->agents;
    int result = 0;

    for (int kind = TOOL_TASK_TASK; kind <= TOOL_TASK_DISPATCH && result == 0;
         kind++) {
        const struct tool_task_config task = {
            .kind = (enum tool_task_kind) kind,
            .agent = agent,
            .timeout_ms =
                kind == TOOL_TASK_DISPATCH ? d->dispatch_ms : d->timeout_ms,
        };
        struct tool *tool = NULL;

        result = tool_task_create(&tool, &task);
        result = tool_add(cfg, result, tool, names[kind]);
    }
    return result;
}

static int
tasks_make(const struct server_agents_config *cfg)
{
    const struct config_agents *d = &cfg->config->agents;
    const struct agent_config agent = {
        .loop = cfg->loop,
        .http = cfg->http,
        .kind = (enum agent_kind) d->kind,
        .url = d->url,
        .key = d->key,
        .ca_file = d->ca_file,
        .model = d->model,
        .bundle = d->bundle,
        .working_dir = d->working_dir,
        .lanes = d->lanes,
        .idle_ms = d->idle_ms,
    };
    struct agent *shared;
    int result;

    if (d->url[0] == '\0')
        return 0;
    result = agent_create(&shared, &agent);
    if (result != 0)
        return tool_add(cfg, result, NULL, "delegate");
    result = tasks_add(cfg, shared);
    agent_unref(&shared);
    return result;
}

/* --- cancel_current_task */

static unsigned
on_cancel(void *arg, const char *tenant, const char *session_id, bool immediate,
          struct buffer *names)
{
    return tool_runner_cancel(arg, tenant, session_id, immediate, names);
}

static int
cancel_make(const struct server_agents_config *cfg)
{
    const struct tool_cancel_config cancel = {.cancel = on_cancel,
                                              .arg = cfg->runner};
    struct tool *tool = NULL;
    int result;

    /* Without others there is nothing to cancel. */
    if (tool_registry_count(cfg->registry) == 0
        && cfg->config->tool_server_count == 0)
        return 0;
    result = tool_cancel_create(&tool, &cancel);
    return tool_add(cfg, result, tool, "cancel_current_task");
}

int
server_agents_make(const struct server_agents_config *cfg)
{
    int result = lsp_make(cfg);

    if (result == 0)
        result = tasks_make(cfg);
    return result == 0 ? cancel_make(cfg) : result;
}

unsigned
server_agents_closing(void)
{
    return tool_lsp_closing() + agent_closing();
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "main/server_tools.h"

#include "base/address_range.h"
#include "base/clock.h"
#include "base/config_key.h"
#include "base/log.h"
#include "gate/child.h"
#include "main/server_agents.h"
#include "service/tool_cache.h"
#include "service/tool_registry.h"
#include "service/tool_runner.h"
#include "tools/tool_bash.h"
#include "tools/tool_edit.h"
#include "tools/tool_file.h"
#include "tools/tool_glob.h"
#include "tools/tool_grep.h"
#include "tools/tool_read.h"
#include "tools/tool_root.h"
#include "tools/tool_servers.h"
#include "tools/tool_web.h"
#include "tools/tool_write.h"

#include <stdlib.h>
#include <unistd.h>

#define END_MS      10000
#define END_LOOK_US 2000

#define BASH_FILE_BYTES (256ull << 20) /* the largest file of a command */

#define SETTLE_MS 3000 /* that a start waits for servers of tools */

struct server_tools {
    const struct server_config *config;
    struct tool_servers *servers; /* NULL: none is configured */
    struct tool_root *root;       /* NULL: none is configured */
    struct tool_registry *registry;
    struct tool_cache *cache; /* NULL: nothing is kept */
    struct tool_runner *runner;
};

/* --- the tools that are built in */

static int
tool_failed(const char *what, int error)
{
    LOG(ALERT, "server", "start=failed at=tools tool=%s error=\"%s\"", what,
        uv_strerror(error));
    return error;
}

/* What its _create gave: the registry has it from now on. */
static int
tool_add(struct server_tools *s, int result, struct tool *tool,
         const char *what)
{
    if (!result)
        result = tool_registry_add(s->registry, &tool);
    return result ? tool_failed(what, result) : 0;
}

typedef int file_create(struct tool **tp, const struct tool_file_config *cfg);

/* Their results are kept as long as the configuration has it. */
static int
file_add(struct server_tools *s, file_create *create, const char *what)
{
    const struct tool_file_config cfg = {.root = s->root};
    struct tool *tool = NULL;
    int result = create(&tool, &cfg);

    if (!result && tool->spec.ttl_ms)
        tool->spec.ttl_ms = s->config->tools.file_ttl_ms;
    return tool_add(s, result, tool, what);
}

static int
files_make(struct server_tools *s)
{
    static const struct {
        file_create *create;
        const char *name;
    } files[] = {
        {tool_read_create, "read_file"}, {tool_write_create, "write_file"},
        {tool_edit_create, "edit_file"}, {tool_glob_create, "glob"},
        {tool_grep_create, "grep"},
    };
    int result = 0;

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && !result; i++)
        result = file_add(s, files[i].create, files[i].name);
    return result;
}

/* Without a sandbox that works there is no start: whoever switches it on is
 * told, and not left without it unawares. */
static int
bash_make(struct server_tools *s)
{
    const struct server_config *config = s->config;
    const struct tool_bash_config cfg = {
        .sandbox =
            {
                .root = tool_root_path(s->root),
                .memory_bytes = config->tools.bash_memory_bytes,
                .file_bytes = BASH_FILE_BYTES,
                .cpu_s = config->tools.bash_timeout_ms / 1000 + 1,
                .processes = (unsigned) config->tools.bash_processes,
            },
        .max_timeout_ms = config->tools.bash_timeout_ms,
    };
    struct tool *tool = NULL;
    int result = tool_bash_create(&tool, &cfg);

    return tool_add(s, result, tool, "bash");
}

static int
agents_make(struct server_tools *s, const struct server_tools_config *cfg)
{
    const struct server_agents_config agents = {
        .config = cfg->config,
        .loop = cfg->loop,
        .http = cfg->http,
        .root = s->root,
        .registry = s->registry,
        .runner = s->runner,
    };

    return server_agents_make(&agents);
}

static int
web_make(struct server_tools *s, const struct server_tools_config *cfg)
{
    const struct config_list *allow = &s->config->tools.web_allow;
    struct address_range ranges[CONFIG_LIST_MAX];
    const struct tool_web_config web = {
        .http = cfg->http,
        .allow = ranges,
        .allow_count = allow->count,
        .ttl_ms = s->config->tools.web_ttl_ms,
        .timeout_ms = s->config->tools.web_timeout_ms,
    };
    struct tool *tool = NULL;

    for (size_t i = 0; i < allow->count; i++) {
        if (address_range_parse(&ranges[i], allow->items[i]) != 0) {
            LOG(ALERT, "server", "web_allow: \"%s\" is no range of addresses",
                allow->items[i]);
            return UV_EINVAL;
        }
    }
    int result = tool_web_create(&tool, &web);

    return tool_add(s, result, tool, "web_fetch");
}

/* --- servers of tools elsewhere */

/* On the services' loop. What was kept of others may be another's now. */
static void
on_tools(void *arg, const char *name, struct tool **tools, size_t count)
{
    struct server_tools *s = arg;
    unsigned refused = 0;

    if (s->cache && count)
        tool_cache_bump(s->cache, tools[0]->spec.domain);
    int result =
        tool_registry_replace(s->registry, name, tools, count, &refused);
    if (result)
        LOG(ERROR, "tools", "server=%s event=tools_lost error=%s", name,
            uv_err_name(result));
    else
        LOG(NOTICE, "tools", "server=%s tools=%zu refused=%u", name, count,
            refused);
}

/* One that is up has its tools there before the first request; one that is
 * down is waited for a moment, and mounted when it comes. */
static int
servers_start(struct server_tools *s, const struct server_tools_config *cfg)
{
    static const struct tool_servers_handlers handlers = {.on_tools = on_tools};
    const struct tool_servers_config servers = {
        .loop = cfg->loop,
        .http = cfg->http,
        .servers = s->config->tool_servers,
        .count = s->config->tool_server_count,
    };
    uint64_t end = clock_now_ms() + SETTLE_MS;

    if (!servers.count)
        return 0;
    int result = tool_servers_create(&s->servers, &servers, &handlers, s);
    if (result)
        return tool_failed("tool_server", result);
    while (!tool_servers_is_settled(s->servers) && clock_now_ms() < end)
        usleep(END_LOOK_US);
    if (!tool_servers_is_settled(s->servers))
        LOG(WARN, "tools", "event=servers_late waited_ms=%u", SETTLE_MS);
    return 0;
}

static int
builtin_make(struct server_tools *s, const struct server_tools_config *cfg)
{
    int result = s->root ? files_make(s) : 0;

    if (!result && s->root && s->config->tools.bash)
        result = bash_make(s);
    if (!result && s->config->tools.web)
        result = web_make(s, cfg);
    /* The last: whether there is anything to cancel is seen then. */
    return result ? result : agents_make(s, cfg);
}

/* --- what they need */

static int
root_open(struct server_tools *s)
{
    const char *path = s->config->tools.root;

    if (!path[0])
        return 0;
    int result = tool_root_open(&s->root, path);
    if (result)
        LOG(ALERT, "server", "start=failed at=tools root=\"%s\" error=\"%s\"",
            path, uv_strerror(result));
    return result;
}

static int
cache_make(struct server_tools *s)
{
    const struct tool_cache_config cfg = {
        .max_entries = s->config->tools.cache_entries,
        .max_bytes = s->config->tools.cache_bytes,
    };

    return cfg.max_entries ? tool_cache_create(&s->cache, &cfg) : 0;
}

static int
runner_make(struct server_tools *s, const struct server_tools_config *cfg)
{
    const struct server_config *config = cfg->config;
    const struct tool_runner_config runner = {
        .registry = s->registry,
        .cache = s->cache,
        .events = cfg->events,
        .usage = cfg->usage,
        .loop = cfg->loop,
        .root = s->root ? tool_root_path(s->root) : "",
        .threads = (unsigned) config->tools.threads,
        .max_running = (unsigned) config->tools.max_running,
        .max_waiting = (unsigned) config->tools.max_waiting,
    };

    return tool_runner_create(&s->runner, &runner);
}

int
server_tools_create(struct server_tools **sp,
                    const struct server_tools_config *cfg)
{
    struct server_tools *s = calloc(1, sizeof(*s));
    int result;

    if (!s)
        return UV_ENOMEM;
    s->config = cfg->config;
    *sp = s; /* a start that fails is taken down like a server */
    result = root_open(s);
    if (!result)
        result = tool_registry_create(&s->registry);
    if (!result)
        result = cache_make(s);
    if (!result)
        result = runner_make(s, cfg);
    if (!result)
        result = builtin_make(s, cfg);
    if (!result)
        result = servers_start(s, cfg);
    if (!result)
        LOG(NOTICE, "server", "tools=%zu root=\"%s\"",
            tool_registry_count(s->registry), s->config->tools.root);
    return result;
}

/* --- the end */

/* Whether all of it has ended. */
static bool
runner_end(struct server_tools *s)
{
    uint64_t end = clock_now_ms() + END_MS;

    if (s->runner)
        tool_runner_close(s->runner);
    if (s->servers)
        tool_servers_close(&s->servers);
    if (!s->runner)
        return true;
    while (tool_runner_count(s->runner) && clock_now_ms() < end)
        usleep(END_LOOK_US);
    if (tool_runner_count(s->runner)) {
        LOG(ALERT, "server", "tools=%u did not end in %u ms",
            tool_runner_count(s->runner), END_MS);
        return false;
    }
    tool_runner_destroy(&s->runner);
    return true;
}

/* What tools that are gone leave on the loop for a moment: language servers,
 * conversations with agents, children that were killed. */
static bool
rest_end(const char *what, unsigned (*count)(void))
{
    uint64_t end = clock_now_ms() + END_MS;

    while (count() && clock_now_ms() < end)
        usleep(END_LOOK_US);
    if (count())
        LOG(ALERT, "server", "%s=%u did not end in %u ms", what, count(),
            END_MS);
    return !count();
}

void
server_tools_destroy(struct server_tools **sp)
{
    struct server_tools *s = *sp;

    *sp = NULL;
    if (!s || !runner_end(s))
        return;
    tool_registry_destroy(&s->registry);
    if (!rest_end("agents", server_agents_closing)
        || !rest_end("children", child_count))
        return;
    tool_cache_destroy(&s->cache);
    tool_root_close(&s->root);
    free(s);
}

struct tool_registry *
server_tools_registry(struct server_tools *s)
{
    return s ? s->registry : NULL;
}

struct tool_runner *
server_tools_runner(struct server_tools *s)
{
    return s ? s->runner : NULL;
}

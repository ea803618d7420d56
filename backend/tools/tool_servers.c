/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_servers.h"

#include "base/log.h"
#include "tools/tool_http.h"
#include "tools/tool_mcp.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define CLOSE_MS 5000 /* children have less to end, and requests too */

struct entry {
    struct tool_servers *all;
    const struct config_tool_server *config;
    struct tool_server *server; /* NULL: none was made, or it is closed */
    unsigned domain;
    bool told; /* mounted, or failed once; the loop's */
    /* Under the lock. */
    enum tool_server_state state;
    size_t tools;
};

struct tool_servers {
    struct tool_servers_config cfg;
    const struct tool_servers_handlers *handlers;
    void *arg;
    struct entry *entries;
    struct loop_task start_task, close_task;
    unsigned awaited; /* first words; the loop's */
    unsigned open;    /* the loop's */
    bool closing;     /* the loop's */
    atomic_bool settled;
    uv_mutex_t lock;
    uv_cond_t gone;
    bool is_gone; /* under the lock */
};

/* --- what they tell */

static void
settled_tell(struct tool_servers *s)
{
    atomic_store(&s->settled, true);
    if (s->handlers->on_settled)
        s->handlers->on_settled(s->arg);
}

/* Each is awaited once. */
static void
entry_heard(struct entry *e)
{
    struct tool_servers *s = e->all;

    if (e->told)
        return;
    e->told = true;
    if (--s->awaited == 0)
        settled_tell(s);
}

static void
on_server_tools(void *arg, struct tool **tools, size_t count)
{
    struct entry *e = arg;
    struct tool_servers *s = e->all;

    if (s->closing) {
        for (size_t i = 0; i < count; i++)
            tool_unref(&tools[i]);
        return;
    }
    uv_mutex_lock(&s->lock);
    e->tools = count;
    uv_mutex_unlock(&s->lock);
    s->handlers->on_tools(s->arg, e->config->name, tools, count);
}

static void
on_server_state(void *arg, enum tool_server_state state, const char *why)
{
    struct entry *e = arg;
    struct tool_servers *s = e->all;
    enum tool_server_state before;

    uv_mutex_lock(&s->lock);
    before = e->state;
    e->state = state;
    uv_mutex_unlock(&s->lock);
    if (state == TOOL_SERVER_MOUNTED)
        LOG(NOTICE, e->config->name, "tool_server=mounted tools=%zu", e->tools);
    else if (state == TOOL_SERVER_DOWN && before != TOOL_SERVER_DOWN)
        LOG(WARN, e->config->name, "tool_server=down why=\"%s\"", why);
    if (state != TOOL_SERVER_REACHING && !s->closing)
        entry_heard(e);
}

static void
all_gone(struct tool_servers *s)
{
    uv_mutex_lock(&s->lock);
    s->is_gone = true;
    uv_cond_signal(&s->gone);
    uv_mutex_unlock(&s->lock);
}

static void
on_server_closed(void *arg)
{
    struct entry *e = arg;

    e->server = NULL;
    if (--e->all->open == 0 && e->all->closing)
        all_gone(e->all);
}

static const struct tool_server_handlers handlers_of_server = {
    .on_tools = on_server_tools,
    .on_state = on_server_state,
    .on_closed = on_server_closed,
};

/* --- on the loop */

static void
entry_start(struct entry *e)
{
    struct tool_servers *s = e->all;
    const struct tool_server_config cfg = {
        .loop = s->cfg.loop,
        .http = s->cfg.http,
        .server = e->config,
        .domain = e->domain,
    };
    int result =
        e->config->http[0]
            ? tool_http_create(&e->server, &cfg, &handlers_of_server, e)
            : tool_mcp_create(&e->server, &cfg, &handlers_of_server, e);

    if (!result) {
        s->open++;
        return;
    }
    LOG(ERROR, e->config->name, "tool_server=failed error=\"%s\"",
        uv_strerror(result));
    entry_heard(e);
}

static void
on_start(struct loop_task *task, void *arg)
{
    struct tool_servers *s = arg;

    (void) task;
    for (size_t i = 0; i < s->cfg.count; i++)
        entry_start(&s->entries[i]);
    if (!s->cfg.count)
        settled_tell(s);
}

static void
on_close(struct loop_task *task, void *arg)
{
    struct tool_servers *s = arg;

    (void) task;
    s->closing = true;
    if (!s->open) {
        all_gone(s);
        return;
    }
    for (size_t i = 0; i < s->cfg.count; i++) {
        if (s->entries[i].server)
            s->entries[i].server->ops->close(s->entries[i].server);
    }
}

/* --- life */

/* The last domain is shared by all that come too late for one of their own. */
static void
entries_init(struct tool_servers *s)
{
    for (size_t i = 0; i < s->cfg.count; i++) {
        unsigned domain = TOOL_DOMAIN_REMOTE + (unsigned) i;

        s->entries[i] = (struct entry){
            .all = s,
            .config = &s->cfg.servers[i],
            .domain = domain < TOOL_DOMAIN_END ? domain : TOOL_DOMAIN_END - 1,
        };
    }
}

static void
servers_free(struct tool_servers *s)
{
    uv_cond_destroy(&s->gone);
    uv_mutex_destroy(&s->lock);
    free(s->entries);
    free(s);
}

int
tool_servers_create(struct tool_servers **sp,
                    const struct tool_servers_config *cfg,
                    const struct tool_servers_handlers *handlers, void *arg)
{
    struct tool_servers *s = calloc(1, sizeof(*s));

    if (s)
        s->entries = calloc(cfg->count ? cfg->count : 1, sizeof(*s->entries));
    if (!s || !s->entries || uv_mutex_init(&s->lock) != 0) {
        free(s ? s->entries : NULL);
        free(s);
        return UV_ENOMEM;
    }
    if (uv_cond_init(&s->gone) != 0) {
        uv_mutex_destroy(&s->lock);
        free(s->entries);
        free(s);
        return UV_ENOMEM;
    }
    s->cfg = *cfg;
    s->handlers = handlers;
    s->arg = arg;
    s->awaited = (unsigned) cfg->count;
    s->start_task = (struct loop_task){.run = on_start, .arg = s};
    s->close_task = (struct loop_task){.run = on_close, .arg = s};
    entries_init(s);
    loop_post(cfg->loop, &s->start_task);
    *sp = s;
    return 0;
}

void
tool_servers_close(struct tool_servers **sp)
{
    struct tool_servers *s = *sp;
    int late = 0;

    *sp = NULL;
    if (!s)
        return;
    loop_post(s->cfg.loop, &s->close_task);
    uv_mutex_lock(&s->lock);
    while (!s->is_gone && !late)
        late = uv_cond_timedwait(&s->gone, &s->lock,
                                 (uint64_t) CLOSE_MS * 1000000);
    late = !s->is_gone;
    uv_mutex_unlock(&s->lock);
    if (late) /* it may still be touched */
        LOG(ALERT, "tools", "tool_servers=\"not closed in time\"");
    else
        servers_free(s);
}

/* --- questions */

bool
tool_servers_is_settled(struct tool_servers *s)
{
    return atomic_load(&s->settled);
}

static int
entry_report(struct entry *e, const char *before, struct buffer *out)
{
    static const char *const states[] = {"reaching", "mounted", "down"};
    const char *kind = e->config->http[0]  ? "http"
                       : e->config->mcp[0] ? "mcp"
                                           : "mcp_command";

    return buffer_printf(
        out,
        "%s{\"name\":\"%s\",\"kind\":\"%s\",\"state\":\"%s\",\"tools\":%zu}",
        before, e->config->name, kind, states[e->state], e->tools);
}

int
tool_servers_report(struct tool_servers *s, struct buffer *out)
{
    int result = buffer_append(out, "[", 1);

    uv_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->cfg.count && !result; i++)
        result = entry_report(&s->entries[i], i ? "," : "", out);
    uv_mutex_unlock(&s->lock);
    return result ? result : buffer_append(out, "]", 1);
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   mcp_stdio_send ─► child_write                 closing: finish_input,
 *   on_child_output ─► line ─► json ─► handler    SIGTERM, SIGKILL; on_closed
 */

#include "tools/mcp_stdio.h"

#include "base/buffer.h"
#include "base/config_tool_server.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "codec/json_rpc.h"
#include "codec/tool_limits.h"
#include "gate/child.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define ERROR_LINE_BYTES 200 /* of a line of its errors, in the log */

struct mcp_stdio {
    struct mcp_link link;
    const struct config_tool_server *server;
    const struct mcp_link_handlers *handlers;
    void *arg;
    struct loop *loop;
    struct child *child; /* NULL: it has ended */
    struct loop_timer *timer;
    struct loop_task tell_task; /* what can't be told inside a verb */
    struct buffer line;
    bool lost, closing;
};

static struct mcp_stdio *
stdio_of(struct mcp_link *link)
{
    return (struct mcp_stdio *) link;
}

/* --- its end */

static void
stdio_free(struct mcp_stdio *s)
{
    const struct mcp_link_handlers *handlers = s->handlers;
    void *arg = s->arg;

    loop_timer_destroy(&s->timer);
    child_close(&s->child);
    buffer_deinit(&s->line);
    free(s);
    handlers->on_closed(arg);
}

static void
stdio_lose(struct mcp_stdio *s, int error, const char *why)
{
    if (s->lost || s->closing)
        return;
    s->lost = true;
    s->handlers->on_lost(s->arg, error, why);
}

static void
on_child_exit(void *arg, const struct child_exit *end)
{
    struct mcp_stdio *s = arg;
    char why[64];

    child_close(&s->child);
    if (s->closing) {
        stdio_free(s);
        return;
    }
    if (end->signal)
        snprintf(why, sizeof(why), "ended by signal %d", end->signal);
    else
        snprintf(why, sizeof(why), "ended with status %d", end->status);
    stdio_lose(s, UV_ECONNRESET, why);
}

/* It had time to end by itself. */
static void
on_grace_over(void *arg)
{
    struct mcp_stdio *s = arg;

    if (s->child)
        child_end(s->child, MCP_STDIO_GRACE_MS);
}

static void
on_tell(struct loop_task *task, void *arg)
{
    (void) task;
    stdio_free(arg);
}

static void
mcp_stdio_close(struct mcp_link *link)
{
    struct mcp_stdio *s = stdio_of(link);

    if (s->closing)
        return;
    s->closing = true;
    if (!s->child) {
        loop_post(s->loop, &s->tell_task);
        return;
    }
    child_finish_input(s->child);
    /* What it still says is read and dropped: it must not wait for us. */
    loop_timer_start(s->timer, MCP_STDIO_GRACE_MS / 4, 0);
}

/* --- what it says */

static void
message_tell(struct mcp_stdio *s, const char *text, size_t bytes)
{
    json_t *tree = json_rpc_load(text, bytes);
    json_t *one;
    size_t i;

    if (json_is_object(tree))
        s->handlers->on_message(s->arg, tree);
    json_array_foreach(tree, i, one)
    {
        if (!s->lost && !s->closing)
            s->handlers->on_message(s->arg, one);
    }
    if (!tree)
        LOG_LIMITED(WARN, s->server->name, "mcp_line=\"no message\" bytes=%zu",
                    bytes);
    json_decref(tree);
}

static void
line_take(struct mcp_stdio *s, const char *text, size_t bytes)
{
    if (bytes && text[bytes - 1] == '\r')
        bytes--;
    if (bytes)
        message_tell(s, text, bytes);
}

static int
line_keep(struct mcp_stdio *s, const char *data, size_t bytes)
{
    int error = buffer_append(&s->line, data, bytes);

    if (error)
        stdio_lose(s, error == UV_ENOBUFS ? UV_EMSGSIZE : error,
                   "a message over max_answer");
    return error;
}

static void
output_take(struct mcp_stdio *s, const char *data, size_t bytes)
{
    const char *end;

    while (!s->lost && !s->closing
           && (end = memchr(data, '\n', bytes)) != NULL) {
        size_t n = (size_t) (end - data);

        if (s->line.bytes) {
            if (line_keep(s, data, n) != 0)
                return;
            line_take(s, (const char *) s->line.data, s->line.bytes);
            buffer_clear(&s->line);
        } else if (n <= s->line.max_bytes) {
            line_take(s, data, n);
        } else {
            stdio_lose(s, UV_EMSGSIZE, "a message over max_answer");
        }
        data += n + 1;
        bytes -= n + 1;
    }
    if (!s->lost && !s->closing)
        line_keep(s, data, bytes);
}

/* Its first line of a piece, at most: this is for people who look for a fault.
 */
static void
errors_log(const struct mcp_stdio *s, const char *data, size_t bytes)
{
    char line[ERROR_LINE_BYTES];
    size_t n = 0;

    while (n < bytes && n < sizeof(line) - 1 && data[n] != '\n') {
        line[n] = data[n] < ' ' || data[n] == '"' ? ' ' : data[n];
        n++;
    }
    line[n] = '\0';
    tool_limits_clean(line, n);
    LOG(DEBUG, s->server->name, "mcp_stderr=\"%s\"", line);
}

static void
on_child_output(void *arg, enum child_stream stream, const char *data,
                size_t bytes)
{
    struct mcp_stdio *s = arg;

    if (stream == CHILD_OUTPUT)
        output_take(s, data, bytes);
    else if (log_enabled(LOG_LEVEL_DEBUG))
        errors_log(s, data, bytes);
}

/* --- what it is told */

static int
mcp_stdio_send(struct mcp_link *link, const struct mcp_send *message)
{
    struct mcp_stdio *s = stdio_of(link);
    size_t bytes = strlen(message->text);

    if (!s->child || s->lost || s->closing)
        return UV_EPIPE;
    char *line = malloc(bytes + 1);
    if (!line)
        return UV_ENOMEM;
    memcpy(line, message->text, bytes);
    line[bytes] = '\n';
    int result = child_write(s->child, line, bytes + 1);
    free(line);
    return result;
}

/* The client has told the server, or an answer comes that nobody knows. */
static void
mcp_stdio_forget(struct mcp_link *link, uint64_t number)
{
    (void) link;
    (void) number;
}

/* It always is. */
static void
mcp_stdio_listen(struct mcp_link *link, const char *version)
{
    (void) link;
    (void) version;
}

/* --- its beginning */

static const struct mcp_link_ops ops = {
    .send = mcp_stdio_send,
    .forget = mcp_stdio_forget,
    .listen = mcp_stdio_listen,
    .close = mcp_stdio_close,
};

static const struct child_handlers child_handlers = {
    .on_output = on_child_output,
    .on_exit = on_child_exit,
};

static int
child_start(struct mcp_stdio *s)
{
    const struct config_tool_server *server = s->server;
    const char *argv[CHILD_ARGS_MAX] = {NULL}, *env[CHILD_ENV_MAX + 1] = {NULL};
    const struct child_config cfg = {
        .loop = s->loop,
        .name = server->name,
        .argv = argv,
        .env = env,
        .directory = server->directory[0] ? server->directory : NULL,
        .max_input_bytes = 0,
        .expendable = true,
        .nice = 5, /* audio goes first */
    };

    if (server->command.count >= CHILD_ARGS_MAX
        || server->environment.count > CHILD_ENV_MAX)
        return UV_E2BIG;
    for (size_t i = 0; i < server->command.count; i++)
        argv[i] = server->command.items[i];
    for (size_t i = 0; i < server->environment.count; i++)
        env[i] = server->environment.items[i];
    return child_open(&s->child, &cfg, &child_handlers, s);
}

int
mcp_stdio_create(struct mcp_link **lp, const struct mcp_link_config *cfg,
                 const struct mcp_link_handlers *handlers, void *arg)
{
    struct mcp_stdio *s = calloc(1, sizeof(*s));

    if (!s)
        return UV_ENOMEM;
    *s = (struct mcp_stdio){.link = {&ops},
                            .server = cfg->server,
                            .handlers = handlers,
                            .arg = arg,
                            .loop = cfg->loop};
    s->tell_task = (struct loop_task){.run = on_tell, .arg = s};
    buffer_init(&s->line, cfg->server->max_answer_bytes);
    int result = loop_timer_create(&s->timer, cfg->loop, on_grace_over, s);
    if (!result)
        result = child_start(s);
    if (result) {
        if (s->timer)
            loop_timer_destroy(&s->timer);
        free(s);
        return result;
    }
    *lp = &s->link;
    return 0;
}

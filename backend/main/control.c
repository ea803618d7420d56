/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   client ─► line (capped) ─► command ─► answer ─► client
 */

#include "main/control.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "config.h"
#include "gate/fastcgi_gate.h"
#include "session/session_registry.h"

#include <errno.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS_MAX 32
#define LINE_BYTES  4096
#define DUMP_BYTES  (1024 * 1024)

struct client {
    struct control *control;
    struct client *next;
    uv_pipe_t pipe;
    uv_write_t write;
    char *answer; /* on its way */
    size_t have;
    char line[LINE_BYTES];
};

struct control {
    struct control_config cfg;
    char path[sizeof(((struct sockaddr_un *) 0)->sun_path)];
    ino_t inode;
    int fd;
    uint64_t started_ms;
    uv_pipe_t listener;
    struct client *clients;
    unsigned client_count;
    bool listener_closed;
    struct loop_task task;
    uv_sem_t done;
    int result;
};

/* --- answers */

static json_t *
answer_error(const char *text)
{
    return json_pack("{s:b,s:s}", "ok", 0, "error", text);
}

static json_t *
metrics_tree(void)
{
    struct buffer text;
    json_t *tree = NULL;

    buffer_init(&text, DUMP_BYTES);
    if (metrics_dump_json(&text) == 0)
        tree = json_loadb((const char *) text.data, text.bytes, 0, NULL);
    buffer_deinit(&text);
    return tree ? tree : json_object();
}

static json_t *
command_status(struct control *c)
{
    json_int_t parked = 0, connections = 0;
    for (unsigned i = 0; i < c->cfg.gate_count; i++) {
        parked += gate_parked_count(c->cfg.gates[i]);
        connections += gate_connection_count(c->cfg.gates[i]);
    }
    return json_pack("{s:b,s:s,s:i,s:i,s:I,s:b,s:I,s:I,s:I,s:I,s:s,s:o}", "ok",
                     1, "version", VOICE_VERSION, "pid", (int) getpid(),
                     "generation", (int) c->cfg.generation, "uptime_ms",
                     (json_int_t) (clock_now_ms() - c->started_ms), "draining",
                     (int) atomic_load(c->cfg.draining), "sessions",
                     (json_int_t) session_registry_count(c->cfg.sessions),
                     "max_sessions", (json_int_t) c->cfg.config->max_sessions,
                     "parked", parked, "connections", connections, "model",
                     c->cfg.model_name, "metrics", metrics_tree());
}

static json_t *
command_sessions(struct control *c)
{
    char *text = session_registry_list(c->cfg.sessions);
    json_t *list = text ? json_loads(text, 0, NULL) : NULL;
    free(text);
    return list ? json_pack("{s:b,s:o}", "ok", 1, "sessions", list)
                : answer_error("no memory");
}

static json_t *
command_log(struct control *c, const char *level)
{
    static const char *const names[] = {"debug", "info",  "notice",
                                        "warn",  "error", "alert"};
    struct log_config log = config_log(c->cfg.config);

    for (size_t i = 0; level && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(level, names[i]) != 0)
            continue;
        log.level = (enum log_level) i;
        int result = log_open(&log);
        if (result)
            return answer_error(uv_strerror(result));
        log_write(LOG_LEVEL_NOTICE, "control", "log_level=%s", level);
        return json_pack("{s:b,s:s}", "ok", 1, "level", level);
    }
    return answer_error("level is debug, info, notice, warn, error or alert");
}

static json_t *
command_run(struct control *c, const char *line, size_t bytes)
{
    const char *command = NULL, *level = NULL;
    json_t *request = json_loadb(line, bytes, 0, NULL), *answer;

    json_unpack(request, "{s:s,s?s}", "command", &command, "level", &level);
    if (!command)
        answer = answer_error("a line is {\"command\":…}");
    else if (strcmp(command, "status") == 0)
        answer = command_status(c);
    else if (strcmp(command, "sessions") == 0)
        answer = command_sessions(c);
    else if (strcmp(command, "log") == 0)
        answer = command_log(c, level);
    else
        answer = answer_error("unknown command");
    json_decref(request);
    return answer;
}

/* --- clients */

static void client_read(struct client *client);

/* The last handle frees the one who waits; after that c is gone. */
static void
closed_check(struct control *c)
{
    if (c->listener_closed && !c->client_count)
        uv_sem_post(&c->done);
}

static void
on_client_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;
    struct control *c = client->control;
    struct client **at = &c->clients;

    while (*at != client)
        at = &(*at)->next;
    *at = client->next;
    c->client_count--;
    free(client->answer);
    free(client);
    closed_check(c);
}

static void
client_close(struct client *client)
{
    if (!uv_is_closing((uv_handle_t *) &client->pipe))
        uv_close((uv_handle_t *) &client->pipe, on_client_closed);
}

static void
on_client_written(uv_write_t *write, int status)
{
    struct client *client = write->data;
    free(client->answer);
    client->answer = NULL;
    if (status)
        client_close(client);
    else
        client_read(client);
}

static void
client_answer(struct client *client, size_t line_bytes)
{
    json_t *tree = command_run(client->control, client->line, line_bytes);
    char *text = tree ? json_dumps(tree, JSON_COMPACT) : NULL;
    size_t bytes = text ? strlen(text) : 0;

    json_decref(tree);
    client->have -= line_bytes + 1;
    memmove(client->line, client->line + line_bytes + 1, client->have);
    if (!text) {
        client_close(client);
        return;
    }
    text[bytes] = '\n'; /* in place of its NUL */
    client->answer = text;
    uv_buf_t buf = uv_buf_init(text, (unsigned) bytes + 1);
    client->write.data = client;
    uv_read_stop((uv_stream_t *) &client->pipe);
    if (uv_write(&client->write, (uv_stream_t *) &client->pipe, &buf, 1,
                 on_client_written)
        != 0)
        client_close(client);
}

static void
on_client_room(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    struct client *client = handle->data;
    (void) wanted;
    *buf = uv_buf_init(client->line + client->have,
                       (unsigned) (LINE_BYTES - client->have));
}

static void
on_client_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *client = stream->data;
    (void) buf;
    if (n < 0) { /* also UV_ENOBUFS: a line over LINE_BYTES */
        client_close(client);
        return;
    }
    client->have += (size_t) n;
    client_read(client);
}

/* The next line that is here already, or else reads on. */
static void
client_read(struct client *client)
{
    if (uv_is_closing((uv_handle_t *) &client->pipe))
        return;
    char *end = memchr(client->line, '\n', client->have);
    if (end)
        client_answer(client, (size_t) (end - client->line));
    else
        uv_read_start((uv_stream_t *) &client->pipe, on_client_room,
                      on_client_bytes);
}

static void
on_connection(uv_stream_t *stream, int status)
{
    struct control *c = stream->data;
    struct client *client = status ? NULL : calloc(1, sizeof(*client));

    if (!client)
        return;
    client->control = c;
    client->next = c->clients;
    c->clients = client;
    c->client_count++;
    uv_pipe_init(loop_uv(c->cfg.loop), &client->pipe, 0);
    client->pipe.data = client;
    if (uv_accept(stream, (uv_stream_t *) &client->pipe) != 0
        || c->client_count > CLIENTS_MAX)
        client_close(client);
    else
        client_read(client);
}

/* --- the socket */

/* Under another name first: an older generation serves the path until the
 * rename, and nobody ever meets a socket with a wider mode. */
static int
socket_bind(struct control *c)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s.%d",
                     c->path, (int) getpid());

    if (n < 0 || (size_t) n >= sizeof(address.sun_path))
        return UV_ENAMETOOLONG;
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        return uv_translate_sys_error(errno);
    unlink(address.sun_path);
    mode_t before = umask(0177);
    int result = bind(c->fd, (struct sockaddr *) &address, sizeof(address));
    umask(before);
    if (result == 0 && stat(address.sun_path, &st) == 0) {
        c->inode = st.st_ino;
        result = listen(c->fd, 16);
    }
    if (result == 0)
        result = rename(address.sun_path, c->path);
    if (result == 0)
        return 0;
    result = uv_translate_sys_error(errno);
    unlink(address.sun_path);
    close(c->fd);
    return result;
}

static void
on_listener_closed(uv_handle_t *handle)
{
    struct control *c = handle->data;
    c->listener_closed = true;
    closed_check(c);
}

static void
listen_on_loop(struct loop_task *task, void *arg)
{
    struct control *c = arg;
    (void) task;
    uv_pipe_init(loop_uv(c->cfg.loop), &c->listener, 0);
    c->listener.data = c;
    c->result = uv_pipe_open(&c->listener, c->fd);
    if (c->result)
        close(c->fd);
    else
        c->result = uv_listen((uv_stream_t *) &c->listener, 16, on_connection);
    uv_sem_post(&c->done);
}

static void
close_on_loop(struct loop_task *task, void *arg)
{
    struct control *c = arg;
    (void) task;
    for (struct client *client = c->clients; client; client = client->next)
        client_close(client);
    uv_close((uv_handle_t *) &c->listener, on_listener_closed);
}

static void
run_on_loop(struct control *c, loop_task_h *run)
{
    c->task = (struct loop_task){.run = run, .arg = c};
    loop_post(c->cfg.loop, &c->task);
    uv_sem_wait(&c->done);
}

int
control_create(struct control **cp, const struct control_config *cfg)
{
    struct control *c = calloc(1, sizeof(*c));
    if (!c)
        return UV_ENOMEM;
    c->cfg = *cfg;
    c->started_ms = clock_now_ms();
    snprintf(c->path, sizeof(c->path), "%s", cfg->config->control);
    int result = socket_bind(c);
    if (result) {
        free(c);
        return result;
    }
    uv_sem_init(&c->done, 0);
    run_on_loop(c, listen_on_loop);
    result = c->result;
    if (result)
        control_destroy(&c);
    else
        *cp = c;
    return result;
}

void
control_destroy(struct control **cp)
{
    struct control *c = *cp;
    struct stat st;

    *cp = NULL;
    if (!c)
        return;
    run_on_loop(c, close_on_loop);
    if (lstat(c->path, &st) == 0 && st.st_ino == c->inode)
        unlink(c->path);
    uv_sem_destroy(&c->done);
    free(c);
}

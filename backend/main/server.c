/* SPDX-License-Identifier: BSD-2-Clause */

#include "main/server.h"

#include "api/api_answer.h"
#include "api/api_tools_stream.h"
#include "api/router.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "codec/policy.h"
#include "gate/curl_stream.h"
#include "gate/fastcgi_gate.h"
#include "gate/http_client.h"
#include "gate/stream_link.h"
#include "main/control.h"
#include "main/server_calls.h"
#include "main/server_model.h"
#include "main/server_services.h"
#include "main/server_tools.h"
#include "service/credentials.h"
#include "service/event_bus.h"
#include "service/voice_load.h"
#include "session/session_registry.h"
#include "session/session_resume.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READERS_LIMIT_MS                                                       \
    5500 /* a reader that does not read lingers for 5 s                        \
          */
#define END_LOOK_US      20000
#define LATE_SESSIONS_MS 3000

struct server {
    const struct server_config *config;
    int listen_fds[SERVER_LISTEN_MAX];
    unsigned listen_count;
    unsigned generation;

    struct loop **loops; /* config->loops of them, made so far */
    unsigned loop_count;
    struct loop *control_loop;
    struct voice_load *load;
    struct session_registry *sessions;
    struct session_resume *resumes;
    struct credentials *credentials;
    struct event_bus *events;
    struct server_services *services;
    struct server_model *model;
    bool curl;
    struct http_client *http; /* on the control loop */
    struct server_tools *tools;
    struct server_calls *calls; /* NULL: the model is not remote */
    struct gate *gates[SERVER_LISTEN_MAX];
    struct api_context api[SERVER_LISTEN_MAX]; /* one a gate */
    unsigned gate_count;
    struct control *control;
    bool draining;
};

/* --- start */

static int
loops_start(struct server *server)
{
    unsigned want = (unsigned) server->config->loops;
    int result;

    server->loops = calloc(want, sizeof(*server->loops));
    if (!server->loops)
        return UV_ENOMEM;
    for (unsigned i = 0; i < want; i++) {
        result = loop_create(&server->loops[i], i);
        if (result)
            return result;
        loop_set_rest(server->loops[i],
                      (unsigned) server->config->loop_rest_us);
        result = loop_start(server->loops[i]);
        if (result) {
            loop_destroy(&server->loops[i]);
            return result;
        }
        server->loop_count++;
    }
    result = loop_create(&server->control_loop, want);
    if (!result)
        result = loop_start(server->control_loop);
    if (result && server->control_loop)
        loop_destroy(&server->control_loop);
    return result;
}

static int
load_start(struct server *server)
{
    const struct voice_load_config cfg = {
        .home = server->control_loop,
        .loops = server->loops,
        .loop_count = server->loop_count,
        .most_steps = (unsigned) server->config->complexity_cut,
    };

    return voice_load_create(&server->load, &cfg);
}

static int
services_start(struct server *server)
{
    const struct server_config *config = server->config;
    int result = session_registry_create(&server->sessions, server->loops,
                                         server->loop_count,
                                         (unsigned) config->max_sessions);
    if (!result)
        result = session_resume_create(&server->resumes);
    if (!result && config->auth.mode == AUTH_KEYS)
        result =
            credentials_create(&server->credentials, config->auth.keys_file);
    if (result)
        return result;
    if (server->credentials && !credentials_count(server->credentials))
        LOG(WARN, "server",
            "keys_file=%s holds no key: every request is refused; "
            "voicectl keys add makes one",
            config->auth.keys_file);
    if (config->auth.mode == AUTH_NONE)
        LOG(WARN, "server", "auth=none: whoever reaches NGINX is let in");
    result = server_services_create(&server->services, config);
    return result ? result : event_bus_create(&server->events);
}

static int
model_start(struct server *server)
{
    const struct server_model_config cfg = {
        .config = server->config,
        .loops = server->loops,
        .loop_count = server->loop_count,
    };

    return server_model_create(&server->model, &cfg);
}

/* Its requests run beside the control socket, and so do tools that wait for
 * somebody else. */
static int
http_start(struct server *server)
{
    const struct server_config *config = server->config;
    const struct http_client_config cfg = {
        .loop = server->control_loop,
        .keepalive = config->http.keepalive,
        .max = config->http.max,
        .idle_ms = config->http.idle_ms,
        .connect_ms = config->http.connect_ms,
        .read_ms = config->http.read_ms,
        .write_ms = config->http.write_ms,
        .pool_wait_ms = config->http.pool_wait_ms,
    };
    int result = curl_stream_library_open();

    server->curl = result == 0;
    return result ? result : http_client_create(&server->http, &cfg);
}

static int
tools_start(struct server *server)
{
    struct api_context shared = {.config = server->config};

    server_services_fill(server->services, &shared);
    const struct server_tools_config cfg = {
        .config = server->config,
        .loop = server->control_loop,
        .http = server->http,
        .events = server->events,
        .usage = shared.usage,
    };

    return server_tools_create(&server->tools, &cfg);
}

static int
calls_make(struct server *server)
{
    struct api_context shared = {.config = server->config};

    server_services_fill(server->services, &shared);
    const struct server_calls_config cfg = {
        .config = server->config,
        .loop = server->control_loop,
        .http = server->http,
        .store = shared.store,
        .upstreams = server_model_upstreams(server->model),
        .sessions =
            {
                .registry = server->sessions,
                .events = server->events,
                .usage = shared.usage,
                .limits = shared.limits,
                .tool_registry = server_tools_registry(server->tools),
                .tool_runner = server_tools_runner(server->tools),
                .open_model = server_model_open,
                .open_model_arg = server->model,
            },
    };

    return cfg.upstreams ? server_calls_create(&server->calls, &cfg) : 0;
}

/* Only NGINX may speak to us; over TCP it proves itself with the secret. The
 * configuration demands one for its own address; a socket of systemd's may be
 * of any family. */
static int
secret_of(const struct server *server, int fd, const char **secret)
{
    struct sockaddr_storage address;
    socklen_t bytes = sizeof(address);

    *secret = NULL;
    if (getsockname(fd, (struct sockaddr *) &address, &bytes) == 0
        && address.ss_family == AF_UNIX)
        return 0;
    *secret = server->config->listen.secret;
    if (*secret)
        return 0;
    LOG(ALERT, "server", "listen: a TCP socket demands a secret_file");
    return UV_EACCES;
}

static int
gate_open(struct server *server, int fd)
{
    const struct server_config *config = server->config;
    struct api_context *api = &server->api[server->gate_count];
    struct gate_config cfg = {
        .listen_fd = fd,
        .threads = (unsigned) config->request_threads,
        .max_parked = (unsigned) config->max_parked,
        .max_body_bytes = config->max_body_bytes,
        .read_timeout_ms = (unsigned) config->read_timeout_ms,
    };

    int result = secret_of(server, fd, &cfg.secret);
    if (result)
        return result;
    *api = (struct api_context){
        .loops = server->loops,
        .loop_count = server->loop_count,
        .sessions = server->sessions,
        .resumes = server->resumes,
        .credentials = server->credentials,
        .events = server->events,
        .open_model = server_model_open,
        .open_model_arg = server->model,
        .upstreams = server_model_upstreams(server->model),
        .warm = server_model_warm(server->model),
        .http = server->http,
        .warm_secrets = server_calls_secrets(server->calls),
        .calls = server_calls_calls(server->calls),
        .call_sessions = server_calls_sessions(server->calls),
        .tools = server_tools_registry(server->tools),
        .tool_runner = server_tools_runner(server->tools),
        .config = config,
        .model_name = server_model_name(server->model),
    };
    server_services_fill(server->services, api);
    result = gate_create(&server->gates[server->gate_count], &cfg,
                         router_handle, api);
    if (result)
        return result;
    api->gate = server->gates[server->gate_count++];
    return 0;
}

static int
gates_start(struct server *server)
{
    int result = 0;
    for (unsigned i = 0; i < server->listen_count && !result; i++) {
        if (server->listen_fds[i] >= 0)
            result = gate_open(server, server->listen_fds[i]);
    }
    for (unsigned i = 0; i < server->gate_count && !result; i++) {
        atomic_store(&server->api[i].ready, true);
        result = gate_start(server->gates[i]);
    }
    return result;
}

static int
control_start(struct server *server)
{
    const struct control_config cfg = {
        .loop = server->control_loop,
        .config = server->config,
        .sessions = server->sessions,
        .gates = server->gates,
        .gate_count = server->gate_count,
        .generation = server->generation,
        .model_name = server->api[0].model_name,
        .draining = &server->api[0].draining,
    };
    return server->config->control[0] ? control_create(&server->control, &cfg)
                                      : 0;
}

static int
start_failed(struct server **sp, const char *what, int error)
{
    LOG(ALERT, "server", "start=failed at=%s error=\"%s\"", what,
        uv_strerror(error));
    server_destroy(sp);
    return error;
}

int
server_create(struct server **sp, const struct server_start *start)
{
    struct server *server = calloc(1, sizeof(*server));
    int result;

    if (!server)
        return UV_ENOMEM;
    server->config = start->config;
    server->generation = start->generation;
    server->listen_count = start->listen_count;
    memcpy(server->listen_fds, start->listen_fds, sizeof(start->listen_fds));
    stream_link_set_budget(start->config->memory_bytes);
    if ((result = loops_start(server)) != 0)
        return start_failed(&server, "loops", result);
    if ((result = load_start(server)) != 0)
        return start_failed(&server, "load", result);
    if ((result = services_start(server)) != 0)
        return start_failed(&server, "services", result);
    if ((result = model_start(server)) != 0)
        return start_failed(&server, "model", result);
    if ((result = http_start(server)) != 0)
        return start_failed(&server, "http", result);
    if ((result = tools_start(server)) != 0)
        return start_failed(&server, "tools", result);
    if ((result = calls_make(server)) != 0)
        return start_failed(&server, "calls", result);
    if ((result = gates_start(server)) != 0)
        return start_failed(&server, "gates", result);
    if ((result = control_start(server)) != 0)
        return start_failed(&server, "control", result);
    LOG(NOTICE, "server",
        "state=ready generation=%u loops=%u request_threads=%llu "
        "max_sessions=%llu",
        server->generation, server->loop_count,
        (unsigned long long) start->config->request_threads,
        (unsigned long long) start->config->max_sessions);
    *sp = server;
    return 0;
}

/* --- end */

void
server_drain(struct server *server)
{
    if (server->draining)
        return;
    server->draining = true;
    LOG(NOTICE, "server", "state=draining generation=%u sessions=%u",
        server->generation, session_registry_count(server->sessions));
    for (unsigned i = 0; i < server->gate_count; i++) {
        atomic_store(&server->api[i].draining, true);
        gate_drain(server->gates[i]);
    }
    server_model_drain(server->model);
    server_calls_drain(server->calls);
}

bool
server_is_idle(struct server *server)
{
    for (unsigned i = 0; i < server->gate_count; i++) {
        if (gate_connection_count(server->gates[i])
            || gate_parked_count(server->gates[i]))
            return false;
    }
    return session_registry_count(server->sessions) == 0
           && api_tools_stream_count() == 0;
}

/* Asked again and again: one that was let in before the drain may still be on
 * its way to its loop. */
void
server_end_sessions(struct server *server, unsigned limit_ms)
{
    uint64_t end = clock_now_ms() + limit_ms;

    server_drain(server);
    while (session_registry_count(server->sessions) && clock_now_ms() < end) {
        session_registry_end_all(server->sessions);
        usleep(END_LOOK_US);
    }
    unsigned left = session_registry_count(server->sessions);
    if (left)
        LOG(ERROR, "server", "sessions=%u did not end in %u ms", left,
            limit_ms);
}

/* Event streams have no end of their own. */
static void
readers_end(struct server *server)
{
    uint64_t end = clock_now_ms() + READERS_LIMIT_MS;

    if (!server->events)
        return;
    event_bus_close(server->events);
    while (event_bus_reader_count(server->events) && clock_now_ms() < end)
        usleep(2000);
}

/* Their tools have ended, what those said last is on its way. */
static void
pages_end(void)
{
    uint64_t end = clock_now_ms() + READERS_LIMIT_MS;

    while (api_tools_stream_count() && clock_now_ms() < end)
        usleep(2000);
}

struct barrier {
    struct loop_task task;
    uv_sem_t passed;
};

static void
on_barrier(struct loop_task *task, void *arg)
{
    struct barrier *barrier = arg;
    (void) task;
    uv_sem_post(&barrier->passed);
}

static void
barrier_pass(struct barrier *barrier, struct loop *loop)
{
    loop_post(loop, &barrier->task);
    uv_sem_wait(&barrier->passed);
}

/* Until every loop has run what was posted to it: objects close in steps. */
static void
loops_settle(struct server *server)
{
    struct barrier barrier = {.task = {.run = on_barrier, .arg = &barrier}};

    uv_sem_init(&barrier.passed, 0);
    for (unsigned turn = 0; turn < 4; turn++) {
        for (unsigned i = 0; i < server->loop_count; i++)
            barrier_pass(&barrier, server->loops[i]);
        if (server->control_loop)
            barrier_pass(&barrier, server->control_loop);
    }
    uv_sem_destroy(&barrier.passed);
}

/* A request or a call that was under way became a session when the last one
 * had ended; no more can follow. */
static void
sessions_end_late(struct server *server)
{
    if (server->sessions && session_registry_count(server->sessions))
        server_end_sessions(server, LATE_SESSIONS_MS);
}

static void
gates_stop(struct server *server)
{
    for (unsigned i = 0; i < server->gate_count; i++)
        gate_stop(server->gates[i]);
}

static void
gates_destroy(struct server *server)
{
    while (server->gate_count)
        gate_destroy(&server->gates[--server->gate_count]);
    for (unsigned i = 0; i < server->listen_count; i++) {
        if (server->listen_fds[i] >= 0)
            close(server->listen_fds[i]);
    }
}

static void
loops_stop(struct server *server)
{
    for (unsigned i = 0; i < server->loop_count; i++)
        loop_stop(server->loops[i]);
    if (server->control_loop)
        loop_stop(server->control_loop);
}

static void
loops_destroy(struct server *server)
{
    while (server->loop_count)
        loop_destroy(&server->loops[--server->loop_count]);
    if (server->control_loop)
        loop_destroy(&server->control_loop);
    free(server->loops);
}

/* What could call another part is down before that part is. */
void
server_destroy(struct server **sp)
{
    struct server *server = *sp;

    *sp = NULL;
    control_destroy(&server->control);
    gates_stop(server);
    readers_end(server);
    server_calls_stop(server->calls); /* no call comes about any more */
    loops_settle(server);
    sessions_end_late(server);
    server_tools_destroy(&server->tools);
    pages_end();
    if (server->http)
        http_client_close(&server->http);
    server_model_stop(server->model);
    loops_settle(server);
    server_services_stop(server->services);
    server_model_unload(server->model);
    voice_load_destroy(&server->load);
    loops_stop(server);
    /* Runs the last callbacks, which tell those below. */
    loops_destroy(server);
    gates_destroy(server);
    if (server->events)
        event_bus_destroy(&server->events);
    if (server->sessions)
        session_registry_destroy(&server->sessions);
    if (server->resumes)
        session_resume_destroy(&server->resumes);
    server_calls_destroy(&server->calls);
    server_model_destroy(&server->model);
    if (server->curl)
        curl_stream_library_close();
    server_services_destroy(&server->services);
    credentials_destroy(&server->credentials);
    policy_cache_clear();
    free(server);
}

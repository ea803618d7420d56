/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Runs web_fetch and tools of HTTP tool servers for the integration tests.
 * argv[1] is {"allow": [RANGE…], "timeout_ms": …, "servers": [{"name", "http",
 * "key", "trusted", "tools": […], "headers": […], "timeout_ms",
 * "connect_timeout_ms", "max_answer_bytes"}]}. A line of stdin is a command, a
 * line of stdout a JSON answer:
 *
 *   {"call": NAME, "arguments": {…}, "cancel_ms": …, "traceparent": …}
 *   {"close": NAME}    that server's end
 *   {"tools": true}    the definitions
 *
 * Names that end with ".test" are resolved here: "A-B-C-D.test" is A.B.C.D, and
 * "rebind.test" is 127.0.0.1 when it is first looked up, then 127.0.0.2.
 * Servers tell what happens to them: {"server": NAME, "tools": […]} and
 * {"server": NAME, "state": …, "why": …}.
 */

#include "base/clock.h"
#include "base/config_tool_server.h"
#include "gate/curl_stream.h"
#include "service/tool_registry.h"
#include "service/tool_runner.h"
#include "tools/tool_http.h"
#include "tools/tool_web.h"

#include <dlfcn.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES  65536
#define SERVERS_MAX 4
#define ALLOW_MAX   8

static struct loop *loop;
static struct http_client *client;
static struct tool_registry *registry;
static struct tool_runner *runner;

static struct mounted {
    struct tool_server *server;
    struct config_tool_server cfg;
    struct loop_task create, close;
} servers[SERVERS_MAX];
static size_t server_count;
static atomic_uint open_servers;

static void
print_line(json_t *answer)
{
    char *text = json_dumps(answer, JSON_COMPACT);

    printf("%s\n", text ? text : "{\"error\":\"no text\"}");
    fflush(stdout);
    free(text);
    json_decref(answer);
}

static uint64_t
number_of(const json_t *object, const char *key, uint64_t otherwise)
{
    const json_t *value = json_object_get(object, key);

    return value ? (uint64_t) json_integer_value(value) : otherwise;
}

static const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* --- names, in the place of libc's */

typedef int resolve_h(const char *name, const char *service,
                      const struct addrinfo *hints, struct addrinfo **list);

int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
            struct addrinfo **list)
{
    static atomic_uint lookups;
    resolve_h *resolve = (resolve_h *) dlsym(RTLD_NEXT, "getaddrinfo");
    const char *end = name ? strstr(name, ".test") : NULL;
    char address[64];

    if (!end || end[5] || strlen(name) >= sizeof(address))
        return resolve(name, service, hints, list);
    snprintf(address, sizeof(address), "%.*s", (int) (end - name), name);
    for (char *c = address; *c; c++)
        *c = *c == '-' ? '.' : *c;
    if (strcmp(name, "rebind.test") == 0)
        snprintf(address, sizeof(address), "127.0.0.%d",
                 atomic_fetch_add(&lookups, 1) ? 2 : 1);
    return resolve(address, service, hints, list);
}

/* --- servers */

static void
on_tools(void *arg, struct tool **tools, size_t count)
{
    struct mounted *m = arg;
    json_t *names = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            names,
            json_pack("{s:s, s:b, s:I}", "name", tools[i]->spec.name,
                      "read_only", (tools[i]->spec.flags & TOOL_READ_ONLY) != 0,
                      "ttl_ms", (json_int_t) tools[i]->spec.ttl_ms));
    tool_registry_replace(registry, m->cfg.name, tools, count, NULL);
    print_line(json_pack("{s:s, s:o}", "server", m->cfg.name, "tools", names));
}

static void
on_state(void *arg, enum tool_server_state state, const char *why)
{
    static const char *const words[] = {"reaching", "mounted", "down"};
    struct mounted *m = arg;

    print_line(json_pack("{s:s, s:s, s:s}", "server", m->cfg.name, "state",
                         words[state], "why", why));
}

static void
on_closed(void *arg)
{
    struct mounted *m = arg;

    print_line(json_pack("{s:s, s:b}", "server", m->cfg.name, "closed", 1));
    atomic_fetch_sub(&open_servers, 1);
}

static void
on_create(struct loop_task *task, void *arg)
{
    static const struct tool_server_handlers handlers = {on_tools, on_state,
                                                         on_closed};
    struct mounted *m = arg;
    const struct tool_server_config cfg = {.loop = loop,
                                           .http = client,
                                           .server = &m->cfg,
                                           .domain = TOOL_DOMAIN_REMOTE};

    (void) task;
    if (tool_http_create(&m->server, &cfg, &handlers, m) != 0)
        abort();
}

static void
on_close(struct loop_task *task, void *arg)
{
    struct mounted *m = arg;

    (void) task;
    if (m->server)
        m->server->ops->close(m->server);
    m->server = NULL;
}

static void
list_fill(struct config_list *list, const json_t *items)
{
    const json_t *item;
    size_t i;

    list->items = calloc(json_array_size(items) + 1, sizeof(*list->items));
    json_array_foreach(items, i, item) list->items[list->count++] =
        strdup(json_string_value(item));
}

static void
text_replace(char **field, const json_t *what, const char *key)
{
    if (*text_of(what, key)) {
        free(*field);
        *field = strdup(text_of(what, key));
    }
}

static void
server_add(const json_t *what)
{
    struct mounted *m = &servers[server_count++];
    struct config_tool_server *cfg = &m->cfg;

    if (config_tool_server_init(cfg, text_of(what, "name")) != 0)
        exit(2);
    text_replace(&cfg->http, what, "http");
    text_replace(&cfg->key, what, "key");
    cfg->trusted = json_is_true(json_object_get(what, "trusted"));
    cfg->timeout_ms = number_of(what, "timeout_ms", 5000);
    cfg->connect_timeout_ms = number_of(what, "connect_timeout_ms", 2000);
    cfg->max_answer_bytes = number_of(what, "max_answer_bytes", 1000000);
    list_fill(&cfg->tools, json_object_get(what, "tools"));
    list_fill(&cfg->headers, json_object_get(what, "headers"));
    m->create = (struct loop_task){NULL, on_create, m};
    m->close = (struct loop_task){NULL, on_close, m};
    atomic_fetch_add(&open_servers, 1);
    loop_post(loop, &m->create);
}

/* --- calls */

struct sent {
    int number;
    uint64_t at_ms;
};

static void
answer_print(int number, const struct tool_answer *answer, uint64_t at_ms)
{
    json_t *line = json_pack("{s:i, s:I, s:b}", "number", number, "ms",
                             (json_int_t) (clock_now_ms() - at_ms), "truncated",
                             answer->truncated);

    if (answer->ending == TOOL_DONE) {
        const char *text = answer->output->text;
        json_object_set_new(line, "output",
                            json_loads(text, JSON_DECODE_ANY, NULL));
    } else {
        json_object_set_new(line, "error", json_string(answer->error));
        json_object_set_new(line, "type", json_string(answer->type));
    }
    print_line(line);
}

static void
on_done(void *arg, const struct tool_answer *answer)
{
    struct sent *sent = arg;

    answer_print(sent->number, answer, sent->at_ms);
    free(sent);
}

static void
call_send(json_t *command)
{
    static const struct tool_order_handlers handlers = {.on_done = on_done};
    static int sequence;
    struct sent *sent = calloc(1, sizeof(*sent));
    struct tool_order order = {.name = text_of(command, "call"),
                               .arguments =
                                   json_object_get(command, "arguments"),
                               .tenant = "",
                               .session_id = "",
                               .call_id = "",
                               .traceparent = text_of(command, "traceparent"),
                               .loop = loop};
    useconds_t cancel_us =
        (useconds_t) number_of(command, "cancel_ms", 0) * 1000;
    struct tool_job *job = NULL;
    struct tool_answer answer;

    const struct tool_order_caller caller = {&handlers, sent};

    sent->number = ++sequence;
    sent->at_ms = clock_now_ms();
    if (tool_runner_order(runner, &order, &caller, cancel_us ? &job : NULL,
                          &answer)
        == 1) {
        answer_print(sent->number, &answer, sent->at_ms);
        tool_answer_deinit(&answer);
        free(sent);
    } else if (cancel_us) {
        usleep(cancel_us);
        tool_job_cancel(&job);
    }
}

static void
definitions_print(void)
{
    struct tool_value *value = tool_registry_definitions(registry, NULL, NULL);

    print_line(
        json_pack("{s:o}", "definitions", json_loads(value->text, 0, NULL)));
    tool_value_unref(value);
}

static void
command_run(const char *line)
{
    json_t *command = json_loads(line, JSON_ALLOW_NUL, NULL);

    if (json_object_get(command, "call"))
        call_send(command);
    else if (json_object_get(command, "tools"))
        definitions_print();
    for (size_t i = 0; i < server_count; i++)
        if (strcmp(text_of(command, "close"), servers[i].cfg.name) == 0)
            loop_post(loop, &servers[i].close);
    json_decref(command);
}

/* --- life */

static void
web_add(const json_t *setup)
{
    struct address_range allow[ALLOW_MAX];
    struct tool_web_config cfg = {.http = client, .allow = allow};
    const json_t *item;
    struct tool *tool;
    size_t i;

    cfg.timeout_ms = number_of(setup, "timeout_ms", 10000);
    json_array_foreach(json_object_get(setup, "allow"), i, item)
    {
        if (address_range_parse(&allow[cfg.allow_count++],
                                json_string_value(item))
            != 0)
            exit(2);
    }
    if (tool_web_create(&tool, &cfg) != 0
        || tool_registry_add(registry, &tool) != 0)
        exit(2);
}

static void
setup_run(const char *text)
{
    json_t *setup = json_loads(text, 0, NULL);
    const struct http_client_config http = {.loop = loop,
                                            .keepalive = 20,
                                            .max = 100,
                                            .idle_ms = 30000,
                                            .connect_ms = 3000,
                                            .read_ms = 10000,
                                            .write_ms = 10000,
                                            .pool_wait_ms = 5000};
    struct tool_runner_config cfg = {.loop = loop,
                                     .root = "",
                                     .max_running = 64,
                                     .max_waiting = 64,
                                     .threads = 4};
    const json_t *item;
    size_t i;

    if (!setup || http_client_create(&client, &http) != 0
        || tool_registry_create(&registry) != 0)
        exit(2);
    cfg.registry = registry;
    if (tool_runner_create(&runner, &cfg) != 0)
        exit(2);
    web_add(setup);
    json_array_foreach(json_object_get(setup, "servers"), i, item)
        server_add(item);
    json_decref(setup);
}

static void
all_close(void)
{
    tool_runner_close(runner);
    for (size_t i = 0; i < server_count; i++)
        loop_post(loop, &servers[i].close);
    while (atomic_load(&open_servers) > 0 || tool_runner_count(runner) > 0)
        usleep(1000);
    tool_runner_destroy(&runner);
    tool_registry_destroy(&registry);
    http_client_close(&client);
    loop_stop(loop);
    loop_destroy(&loop);
    for (size_t i = 0; i < server_count; i++)
        config_tool_server_deinit(&servers[i].cfg);
}

int
main(int argc, char **argv)
{
    static char line[LINE_BYTES];

    if (argc != 2)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    if (curl_stream_library_open() != 0 || loop_create(&loop, 0) != 0
        || loop_start(loop) != 0)
        return 2;
    setup_run(argv[1]);
    while (fgets(line, sizeof(line), stdin))
        command_run(line);
    all_close();
    curl_stream_library_close();
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Drives servers of tools without the rest of voiced.
 *
 *   mcp_probe URL             mounts the MCP server there and calls each of
 *                             its tools once, with arguments made from its
 *                             schema; status 0: it was mounted and all were
 *                             answered. For the conformance suite.
 *   mcp_probe -c voiced.conf  its tool_server sections; a line of stdin is a
 *                             command, a line of stdout what happened:
 *
 *   {"call": NAME, "id": ID, "arguments": {…}, "timeout_ms": N}
 *   {"cancel": ID}  {"report": true}
 */

#include "base/clock.h"
#include "base/config.h"
#include "base/config_table.h"
#include "base/log.h"
#include "gate/child.h"
#include "gate/curl_stream.h"
#include "gate/http_client.h"
#include "tools/tool_run.h"
#include "tools/tool_servers.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES  1048576
#define TOOLS_MAX   1024
#define RUNS_MAX    1024
#define URL_MODE_MS 30000

struct entry {
    char server[64];
    struct tool *tool;
};

struct probe_run {
    struct tool_run run;
    struct tool *tool;
    json_t *arguments;
    char id[64];
    bool used, over;
};

static struct loop *loop;
static struct http_client *http;
static struct tool_servers *servers;
static struct entry tools[TOOLS_MAX]; /* the loop's, as what follows */
static size_t tool_count;
static struct probe_run runs[RUNS_MAX];
static bool mounted, calls_all;
static unsigned under_way, failures;
static uv_sem_t finished;

static void
print_line(json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);

    printf("%s\n", text ? text : "{\"event\":\"no json\"}");
    fflush(stdout);
    free(text);
    json_decref(line);
}

/* --- runs */

static void
run_told(void)
{
    if (calls_all && !under_way)
        uv_sem_post(&finished);
}

static void
on_progress(void *arg, double progress, double total, const char *message)
{
    struct probe_run *pr = arg;

    print_line(json_pack("{s:s,s:s,s:f,s:f,s:s*}", "event", "progress", "id",
                         pr->id, "progress", progress, "total", total,
                         "message", message));
}

static void
on_run_free(struct loop_task *task, void *arg)
{
    struct probe_run *pr = arg;

    free(task);
    tool_run_deinit(&pr->run);
    tool_unref(&pr->tool);
    json_decref(pr->arguments);
    memset(pr, 0, sizeof(*pr));
    under_way--;
    run_told();
}

static void
on_finished(void *arg, struct tool_result *result)
{
    struct probe_run *pr = arg;
    struct loop_task *task = calloc(1, sizeof(*task));

    print_line(json_pack("{s:s,s:s,s:b,s:o*,s:s*,s:s*}", "event", "done", "id",
                         pr->id, "truncated", result->truncated, "output",
                         result->output, "error", result->error, "type",
                         result->type));
    if (result->error && strcmp(result->type, "failed") != 0
        && strcmp(result->type, "invalid_arguments") != 0)
        failures++;
    pr->over = true;
    *task = (struct loop_task){.run = on_run_free, .arg = pr};
    loop_post(loop, task);
}

static const struct tool_run_handlers run_handlers = {
    .on_progress = on_progress,
    .on_finished = on_finished,
};

static struct probe_run *
run_find(const char *id)
{
    for (size_t i = 0; i < RUNS_MAX; i++) {
        if (id ? runs[i].used && !runs[i].over && strcmp(runs[i].id, id) == 0
               : !runs[i].used)
            return &runs[i];
    }
    return NULL;
}

/* Takes arguments. */
static void
run_start(struct tool *tool, const char *id, json_t *arguments,
          uint64_t timeout_ms)
{
    struct probe_run *pr = run_find(NULL);

    if (!pr) {
        json_decref(arguments);
        return;
    }
    pr->used = true;
    pr->tool = tool_ref(tool);
    pr->arguments = arguments;
    snprintf(pr->id, sizeof(pr->id), "%s", id);
    const struct tool_run_config cfg = {
        .loop = loop,
        .id = pr->id,
        .tenant = "",
        .session_id = "",
        .arguments = pr->arguments,
        .deadline_ms = clock_now_ms() + timeout_ms,
        .traceparent = "",
    };
    tool_run_init(&pr->run, &cfg, &run_handlers, pr);
    under_way++;
    tool->ops->start(tool, &pr->run);
}

/* --- tools */

static void
tools_drop(const char *name)
{
    size_t left = 0;

    for (size_t i = 0; i < tool_count; i++) {
        if (name && strcmp(tools[i].server, name) != 0)
            tools[left++] = tools[i];
        else
            tool_unref(&tools[i].tool);
    }
    tool_count = left;
}

static json_t *
tool_told(const struct tool *tool)
{
    return json_pack(
        "{s:s,s:s,s:O,s:b,s:I,s:I,s:i}", "name", tool->spec.name, "description",
        tool->spec.description, "parameters", tool->schema, "read_only",
        (tool->spec.flags & TOOL_READ_ONLY) != 0, "ttl_ms",
        (json_int_t) tool->spec.ttl_ms, "timeout_ms",
        (json_int_t) tool->spec.timeout_ms, "domain", (int) tool->spec.domain);
}

static void
on_tools(void *arg, const char *name, struct tool **given, size_t count)
{
    json_t *list = json_array();

    (void) arg;
    mounted = true;
    tools_drop(name);
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, tool_told(given[i]));
        if (tool_count == TOOLS_MAX) {
            tool_unref(&given[i]);
            continue;
        }
        snprintf(tools[tool_count].server, sizeof(tools->server), "%s", name);
        tools[tool_count++].tool = given[i];
    }
    print_line(json_pack("{s:s,s:s,s:o}", "event", "tools", "server", name,
                         "tools", list));
}

/* What a schema asks for, made up. */
static json_t *
value_make(json_t *schema, int depth)
{
    const char *type = json_string_value(json_object_get(schema, "type"));
    json_t *given = json_object_get(schema, "default");
    json_t *choice = json_array_get(json_object_get(schema, "enum"), 0);
    json_t *made, *child;
    const char *key;

    if (given || choice)
        return json_incref(given ? given : choice);
    if (type && (!strcmp(type, "number") || !strcmp(type, "integer")))
        return json_integer(5);
    if (type && !strcmp(type, "boolean"))
        return json_true();
    if (type && !strcmp(type, "array"))
        return json_array();
    if (!type || strcmp(type, "object") != 0 || depth > 4)
        return json_string("text");
    made = json_object();
    json_object_foreach(json_object_get(schema, "properties"), key, child)
        json_object_set_new(made, key, value_make(child, depth + 1));
    return made;
}

static void
on_settled(void *arg)
{
    (void) arg;
    if (!mounted)
        failures++;
    print_line(
        json_pack("{s:s,s:i}", "event", "settled", "tools", (int) tool_count));
    if (!calls_all)
        return;
    under_way++; /* ours, so that the first answer is not the last */
    for (size_t i = 0; i < tool_count; i++)
        run_start(tools[i].tool, tools[i].tool->spec.name,
                  value_make(tools[i].tool->schema, 0), URL_MODE_MS);
    under_way--;
    run_told();
}

static const struct tool_servers_handlers servers_handlers = {
    .on_tools = on_tools,
    .on_settled = on_settled,
};

/* --- commands */

static void
call_command(json_t *command)
{
    const char *name = json_string_value(json_object_get(command, "call"));
    const char *id = json_string_value(json_object_get(command, "id"));
    json_t *arguments = json_object_get(command, "arguments");
    json_t *limit = json_object_get(command, "timeout_ms");

    for (size_t i = 0; i < tool_count; i++) {
        if (strcmp(tools[i].tool->spec.name, name) != 0)
            continue;
        run_start(tools[i].tool, id ? id : "",
                  arguments ? json_incref(arguments) : json_object(),
                  limit ? (uint64_t) json_integer_value(limit)
                        : tools[i].tool->spec.timeout_ms);
        return;
    }
    print_line(json_pack("{s:s,s:s*,s:s}", "event", "done", "id", id, "type",
                         "unknown_tool"));
}

static void
report_command(void)
{
    struct buffer text;

    buffer_init(&text, 65536);
    tool_servers_report(servers, &text);
    print_line(json_pack("{s:s,s:o,s:i,s:i}", "event", "report", "servers",
                         json_loads(buffer_text(&text), 0, NULL), "children",
                         (int) child_count(), "under_way", (int) under_way));
    buffer_deinit(&text);
}

static void
on_command(struct loop_task *task, void *arg)
{
    json_t *command = arg;
    const char *id = json_string_value(json_object_get(command, "cancel"));

    free(task);
    if (json_object_get(command, "call"))
        call_command(command);
    else if (json_object_get(command, "report"))
        report_command();
    else if (id) {
        struct probe_run *pr = run_find(id);
        if (pr) {
            tool_run_cancel(&pr->run);
            pr->tool->ops->cancel(pr->tool, &pr->run);
        }
    }
    json_decref(command);
}

static void
commands_read(void)
{
    static char line[LINE_BYTES];

    while (fgets(line, sizeof(line), stdin)) {
        struct loop_task *task = calloc(1, sizeof(*task));
        json_t *command = json_loads(line, 0, NULL);

        if (!command || !task) {
            free(task);
            continue;
        }
        *task = (struct loop_task){.run = on_command, .arg = command};
        loop_post(loop, task);
    }
}

/* --- life */

static void
on_fence(struct loop_task *task, void *arg)
{
    (void) task;
    if (arg)
        tools_drop(NULL);
    uv_sem_post(&finished);
}

/* Until what was posted before has run. */
static void
fence_wait(void *drops)
{
    struct loop_task task = {.run = on_fence, .arg = drops};

    loop_post(loop, &task);
    uv_sem_wait(&finished);
}

static int
client_start(const struct server_config *config)
{
    const struct http_client_config cfg = {
        .loop = loop,
        .keepalive = config->http.keepalive,
        .max = config->http.max,
        .idle_ms = config->http.idle_ms,
        .connect_ms = config->http.connect_ms,
        .read_ms = config->http.read_ms,
        .write_ms = config->http.write_ms,
        .pool_wait_ms = config->http.pool_wait_ms,
    };

    return http_client_create(&http, &cfg);
}

static int
servers_run(const struct config_tool_server *list, size_t count)
{
    const struct tool_servers_config cfg = {
        .loop = loop, .http = http, .servers = list, .count = count};
    if (tool_servers_create(&servers, &cfg, &servers_handlers, NULL) != 0)
        return 2;
    if (calls_all)
        uv_sem_wait(&finished);
    else
        commands_read();
    fence_wait(NULL);
    tool_servers_close(&servers);
    fence_wait(&servers);
    while (child_count())
        usleep(10000);
    print_line(json_pack("{s:s,s:i}", "event", "closed", "under_way",
                         (int) under_way));
    return calls_all && failures ? 1 : 0;
}

static int
url_set(struct config_tool_server *server, const char *url)
{
    const char *row, *key = "mcp";
    char why[CONFIG_WHY_BYTES] = "";

    if (config_tool_server_init(server, "probe") != 0)
        return 2;
    config_key_set(server, config_key_at(config_key_find("tool_server", key)),
                   url);
    if (config_tool_server_check(server, &row, why) == 0)
        return 0;
    fprintf(stderr, "%s: %s\n", url, why);
    return 2;
}

int
main(int argc, char **argv)
{
    struct config_tool_server one = {.name = NULL};
    struct server_config *config = NULL;
    char error[CONFIG_ERROR_BYTES] = "";
    bool from_file = argc == 3 && strcmp(argv[1], "-c") == 0;
    const struct log_config log = {
        .level = getenv("PROBE_DEBUG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO};

    if (!from_file && argc != 2)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    calls_all = !from_file;
    if (config_read(&config, from_file ? argv[2] : NULL, error) != 0) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    if (log_open(&log) != 0 || (calls_all && url_set(&one, argv[1]) != 0)
        || uv_sem_init(&finished, 0) != 0 || curl_stream_library_open() != 0
        || loop_create(&loop, 0) != 0 || client_start(config) != 0
        || loop_start(loop) != 0)
        return 2;
    int result = calls_all ? servers_run(&one, 1)
                           : servers_run(config->tool_servers,
                                         config->tool_server_count);
    http_client_close(&http);
    loop_stop(loop);
    loop_destroy(&loop);
    curl_stream_library_close();
    if (calls_all)
        config_tool_server_deinit(&one);
    config_free(&config);
    return result;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_lsp.h"

#include "codec/lsp_answer.h"
#include "codec/tool_limits.h"
#include "tools/lsp_command.h"
#include "tools/lsp_server.h"
#include "tools/tool_run.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define TTL_MS     10000 /* R3.2 */
#define TIMEOUT_MS 30000

struct tool_lsp {
    struct tool tool; /* first */
    struct loop *loop;
    const struct tool_root *root;
    struct lsp_command commands[TOOL_LSP_SERVERS_MAX];
    struct lsp_server *servers[TOOL_LSP_SERVERS_MAX];
    size_t count;
    struct loop_task ending;
};

/* What a run keeps. */
struct question {
    struct tool_lsp *tool;
    struct tool_run *run;
    struct lsp_request *request; /* NULL: it was answered */
    const struct operation *operation;
};

struct operation {
    const char *name;
    enum lsp_question question;
    bool needs_file, needs_position;
};

static const struct operation operations[] = {
    {"goToDefinition", LSP_DEFINITION, true, true},
    {"findReferences", LSP_REFERENCES, true, true},
    {"hover", LSP_HOVER, true, true},
    {"documentSymbol", LSP_DOCUMENT_SYMBOL, true, false},
    {"workspaceSymbol", LSP_WORKSPACE_SYMBOL, false, false},
    {"diagnostics", LSP_DIAGNOSTICS, true, false},
};

static const char description[] =
    "Asks a language server about code: where a symbol is defined, who uses "
    "it, its type, the symbols of a file or of the project, and what is wrong "
    "with a file. Precise where grep finds text. Lines and characters count "
    "from 1, as read_file shows them; each result has file_path, line and "
    "character for the next question.";

static const char parameters[] =
    "{\"type\":\"object\",\"properties\":{"
    "\"operation\":{\"type\":\"string\",\"enum\":[\"goToDefinition\","
    "\"findReferences\",\"hover\",\"documentSymbol\",\"workspaceSymbol\","
    "\"diagnostics\"],\"description\":\"What to ask.\"},"
    "\"file_path\":{\"type\":\"string\",\"description\":\"The file, absolute "
    "or relative to the root. Not needed by workspaceSymbol.\"},"
    "\"line\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":2147483647,"
    "\"description\":\"Line of the symbol, from 1. goToDefinition, "
    "findReferences and hover need it.\"},"
    "\"character\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":2147483647,"
    "\"description\":\"Character of the symbol in its line, from 1.\"},"
    "\"query\":{\"type\":\"string\",\"maxLength\":1000,\"description\":\"What "
    "workspaceSymbol looks for.\"}},"
    "\"required\":[\"operation\"]}";

static atomic_uint tools_ending;

unsigned
tool_lsp_closing(void)
{
    return atomic_load(&tools_ending) + lsp_server_closing();
}

/* --- answers */

static int
answer_make(struct lsp_answer *answer, const struct question *q,
            const struct lsp_reply *reply)
{
    const char *root = tool_root_path(q->tool->root);
    const char *name = q->operation->name;

    if (strcmp(root, "/") == 0)
        root = "";
    switch (q->operation->question) {
    case LSP_DEFINITION:
        return lsp_answer_places(answer, name, root, reply->result,
                                 LSP_ANSWER_DEFINITIONS);
    case LSP_REFERENCES:
        return lsp_answer_places(answer, name, root, reply->result,
                                 LSP_ANSWER_RESULTS);
    case LSP_HOVER:
        return lsp_answer_hover(answer, reply->result);
    case LSP_DIAGNOSTICS:
        return lsp_answer_diagnostics(answer, root, reply->uri, reply->result);
    case LSP_DOCUMENT_SYMBOL:
    case LSP_WORKSPACE_SYMBOL:
        break;
    }
    return lsp_answer_symbols(answer, name, root, reply->uri, reply->result);
}

static void
on_reply(void *arg, const struct lsp_reply *reply)
{
    struct question *q = arg;
    struct lsp_answer answer;
    struct tool_result result = {0};

    q->request = NULL;
    if (reply->type != NULL) {
        tool_run_fail(q->run, reply->type, "%s", reply->why);
        return;
    }
    if (answer_make(&answer, q, reply) != 0) {
        tool_run_fail(q->run, "failed", "There is no memory left.");
        return;
    }
    result.output = answer.output;
    result.truncated = answer.truncated;
    tool_run_finish(q->run, &result);
}

/* --- questions */

static struct lsp_server *
server_for(struct tool_lsp *t, const char *path)
{
    if (path == NULL)
        return t->servers[0];
    for (size_t i = 0; i < t->count; i++)
        if (lsp_command_takes(&t->commands[i], path))
            return t->servers[i];
    return NULL;
}

static const struct operation *
operation_of(const struct tool_run *run)
{
    const char *name = tool_run_text(run, "operation", NULL);

    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        if (name != NULL && strcmp(operations[i].name, name) == 0)
            return &operations[i];
    return NULL;
}

/* NULL: it may be asked; else what is missing. */
static const char *
question_fault(const struct operation *o, const struct tool_run *run)
{
    if (o == NULL)
        return "There is no such operation.";
    if (o->needs_file && tool_run_text(run, "file_path", NULL) == NULL)
        return "This operation needs a file_path.";
    if (o->needs_position
        && (tool_run_integer(run, "line", 0) < 1
            || tool_run_integer(run, "character", 0) < 1))
        return "This operation needs a line and a character, from 1.";
    return NULL;
}

static int
question_ask(struct question *q, struct lsp_server *server)
{
    struct lsp_ask ask = {.question = q->operation->question};
    int64_t line = tool_run_integer(q->run, "line", 1);
    int64_t character = tool_run_integer(q->run, "character", 1);

    ask.path = tool_run_text(q->run, "file_path", &ask.path_bytes);
    ask.query = tool_run_text(q->run, "query", NULL);
    ask.line = (unsigned) (line - 1);
    ask.character = (unsigned) (character - 1);
    return lsp_server_ask(server, &ask, on_reply, q, &q->request);
}

static void
lsp_start(struct tool *tool, struct tool_run *run)
{
    struct tool_lsp *t = (struct tool_lsp *) tool;
    const struct operation *operation = operation_of(run);
    const char *fault = question_fault(operation, run);
    struct lsp_server *server;
    struct question *q;
    int error;

    if (fault != NULL) {
        tool_run_fail(run, "invalid_arguments", "%s", fault);
        return;
    }
    server = server_for(t, tool_run_text(run, "file_path", NULL));
    if (server == NULL) {
        tool_run_fail(run, "unavailable",
                      "No language server is configured for this kind of "
                      "file.");
        return;
    }
    q = calloc(1, sizeof(*q));
    if (q == NULL) {
        tool_run_fail(run, "failed", "There is no memory left.");
        return;
    }
    q->tool = t;
    q->run = run;
    q->operation = operation;
    tool_run_keep(run, q, free);
    error = question_ask(q, server);
    if (error != 0)
        tool_run_fail(run, "unavailable", "%s",
                      error == UV_EBUSY
                          ? "The language server has too much to do. Ask again "
                            "later."
                          : "There is no memory left.");
}

static void
lsp_cancel(struct tool *tool, struct tool_run *run)
{
    struct question *q = run->kept;

    (void) tool;
    if (q != NULL && q->request != NULL)
        lsp_request_cancel(q->request);
}

/* --- life */

static void
tool_free(struct tool_lsp *t)
{
    for (size_t i = 0; i < t->count; i++)
        lsp_command_deinit(&t->commands[i]);
    free(t);
}

static void
on_ending(struct loop_task *task, void *arg)
{
    struct tool_lsp *t = arg;

    (void) task;
    for (size_t i = 0; i < t->count; i++)
        lsp_server_close(&t->servers[i]);
    tool_free(t);
    atomic_fetch_sub(&tools_ending, 1);
}

static void
lsp_destroy(struct tool *tool)
{
    struct tool_lsp *t = (struct tool_lsp *) tool;

    tool_deinit(tool);
    atomic_fetch_add(&tools_ending, 1);
    t->ending.run = on_ending;
    t->ending.arg = t;
    loop_post(t->loop, &t->ending);
}

static int
server_add(struct tool_lsp *t, const struct tool_lsp_config *cfg,
           const char *text)
{
    struct lsp_command *command = &t->commands[t->count];
    struct lsp_server_config server = {.loop = cfg->loop, .root = cfg->root};
    int error;

    if (t->count == TOOL_LSP_SERVERS_MAX)
        return UV_EINVAL;
    error = lsp_command_read(command, text, cfg->wrapper);
    if (error != 0)
        return error;
    server.argv = (const char *const *) command->argv;
    error = lsp_server_create(&t->servers[t->count], &server);
    if (error != 0)
        lsp_command_deinit(command);
    else
        t->count++;
    return error;
}

int
tool_lsp_create(struct tool **tp, const struct tool_lsp_config *cfg)
{
    static const struct tool_ops ops = {
        .start = lsp_start, .cancel = lsp_cancel, .destroy = lsp_destroy};
    struct tool_spec spec = {
        .name = "LSP",
        .description = description,
        .parameters = parameters,
        .flags = TOOL_READ_ONLY,
        .domain = TOOL_DOMAIN_FILES,
        .ttl_ms = TTL_MS,
        .timeout_ms = cfg->timeout_ms != 0 ? cfg->timeout_ms : TIMEOUT_MS,
        .max_bytes = TOOL_LIMIT_BYTES,
    };
    struct tool_lsp *t = calloc(1, sizeof(*t));
    int error = t != NULL ? 0 : UV_ENOMEM;

    if (error == 0 && cfg->command_count == 0)
        error = UV_EINVAL;
    for (size_t i = 0; error == 0 && i < cfg->command_count; i++)
        error = server_add(t, cfg, cfg->commands[i]);
    if (error == 0)
        error = tool_init(&t->tool, &ops, &spec);
    if (error == 0) {
        t->loop = cfg->loop;
        t->root = cfg->root;
        *tp = &t->tool;
        return 0;
    }
    for (size_t i = 0; t != NULL && i < t->count; i++)
        lsp_server_close(&t->servers[i]);
    if (t != NULL)
        tool_free(t);
    return error;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_task.h"

#include "codec/tool_limits.h"
#include "tools/tool_run.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define MINUTE_MS    60000
#define ANSWER_BYTES TOOL_LIMIT_BYTES /* as JSON text */
#define OUTPUT_BYTES (ANSWER_BYTES + 2048)

struct tool_task {
    struct tool tool; /* first */
    struct agent *agent;
};

/* What a run keeps. */
struct task_run {
    struct tool_run *run;
    struct agent_turn *turn; /* NULL: it was answered */
};

static const char task_description[] =
    "Hands a task to an agent that has tools of its own and works on it by "
    "itself, and waits for its answer. Say everything it needs to know: it "
    "has not heard this conversation. The answer's session_id goes on with "
    "the same agent later.";

static const char dispatch_description[] =
    "Hands a long task to an agent in the background. Returns at once; the "
    "result follows by itself when it is ready, so go on talking meanwhile. "
    "Say everything the agent needs to know: it has not heard this "
    "conversation.";

static const char parameters[] =
    "{\"type\":\"object\",\"properties\":{"
    "\"agent\":{\"type\":\"string\",\"maxLength\":128,\"description\":\"Name "
    "of the agent; without it the general one.\"},"
    "\"instruction\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":65536,"
    "\"description\":\"What it is to do, in full.\"},"
    "\"session_id\":{\"type\":\"string\",\"maxLength\":64,\"description\":\"Of "
    "an earlier answer: goes on in that conversation.\"},"
    "\"context_depth\":{\"type\":\"string\",\"enum\":[\"none\",\"recent\","
    "\"all\"],\"description\":\"How much of what this agent was told before "
    "counts; none begins anew. Default recent.\"},"
    "\"context_turns\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":50,"
    "\"description\":\"Turns of context_depth recent; default 5.\"}},"
    "\"required\":[\"instruction\"]}";

/* --- answers */

/* As much of it as fits as JSON text, where a byte may become six. */
static json_t *
text_fit(const struct agent_reply *reply, bool *truncated)
{
    size_t bytes =
        tool_limits_cut(reply->text, reply->text_bytes, ANSWER_BYTES);
    json_t *text = json_stringn(reply->text, bytes);

    while (text != NULL
           && json_dumpb(text, NULL, 0, JSON_ENCODE_ANY) > ANSWER_BYTES) {
        json_decref(text);
        bytes =
            tool_limits_cut(reply->text, reply->text_bytes, bytes - bytes / 8);
        text = json_stringn(reply->text, bytes);
    }
    *truncated = bytes < reply->text_bytes;
    return text;
}

static void
run_answer(struct tool_run *run, const struct agent_reply *reply)
{
    const char *name = tool_run_text(run, "agent", NULL);
    struct tool_result result = {0};
    json_t *text = text_fit(reply, &result.truncated);

    result.output = json_pack(
        "{s:o, s:s, s:s, s:i, s:s, s:b, s:I}", "response", text, "session_id",
        reply->conversation, "agent", name != NULL ? name : "self",
        "turn_count", (int) reply->turns, "status", "success", "truncated",
        result.truncated, "total_bytes", (json_int_t) reply->text_bytes);
    if (result.output == NULL)
        tool_run_fail(run, "failed", "There is no memory left.");
    else
        tool_run_finish(run, &result);
}

static void
on_reply(void *arg, const struct agent_reply *reply)
{
    struct task_run *t = arg;

    t->turn = NULL;
    if (reply->type != NULL)
        tool_run_fail(t->run, reply->type, "%s", reply->error);
    else
        run_answer(t->run, reply);
}

/* --- orders */

static const char *
text_or_none(const struct tool_run *run, const char *name)
{
    const char *text = tool_run_text(run, name, NULL);

    return text != NULL ? text : "";
}

static enum agent_context
context_of(const struct tool_run *run)
{
    const char *depth = text_or_none(run, "context_depth");

    if (strcmp(depth, "none") == 0)
        return AGENT_CONTEXT_NONE;
    return strcmp(depth, "all") == 0 ? AGENT_CONTEXT_ALL : AGENT_CONTEXT_RECENT;
}

static void
run_acknowledge(struct tool_run *run)
{
    const char *name = tool_run_text(run, "agent", NULL);

    tool_run_acknowledge(
        run, json_pack("{s:s, s:s, s:s}", "status", "dispatched", "agent",
                       name != NULL ? name : "self", "message",
                       "The agent has begun. Its result follows by itself; "
                       "until then it is not known."));
}

static void
task_start(struct tool *tool, struct tool_run *run)
{
    struct agent *agent = ((struct tool_task *) tool)->agent;
    struct agent_order order = {
        .tenant = run->cfg.tenant,
        .caller = run->cfg.session_id,
        .name = text_or_none(run, "agent"),
        .instruction = text_or_none(run, "instruction"),
        .conversation = text_or_none(run, "session_id"),
        .context = context_of(run),
        .context_turns = (unsigned) tool_run_integer(run, "context_turns",
                                                     AGENT_TURNS_RECENT),
        .traceparent = run->cfg.traceparent != NULL ? run->cfg.traceparent : "",
        .deadline_ms = run->cfg.deadline_ms,
    };
    struct task_run *t = calloc(1, sizeof(*t));

    if (t != NULL) {
        t->run = run;
        tool_run_keep(run, t, free);
    }
    if (t == NULL || agent_ask(agent, &order, on_reply, t, &t->turn) != 0) {
        tool_run_fail(run, "failed", "There is no memory left.");
        return;
    }
    if (tool->spec.flags & TOOL_LONG)
        run_acknowledge(run);
}

static void
task_cancel(struct tool *tool, struct tool_run *run)
{
    struct task_run *t = run->kept;

    (void) tool;
    if (t != NULL && t->turn != NULL)
        agent_cancel(t->turn);
}

/* --- life */

static void
task_destroy(struct tool *tool)
{
    struct tool_task *t = (struct tool_task *) tool;

    tool_deinit(tool);
    agent_unref(&t->agent);
    free(t);
}

int
tool_task_create(struct tool **tp, const struct tool_task_config *cfg)
{
    static const struct tool_ops ops = {
        .start = task_start, .cancel = task_cancel, .destroy = task_destroy};
    static const char *const names[] = {"task", "delegate", "dispatch"};
    bool is_long = cfg->kind == TOOL_TASK_DISPATCH;
    struct tool_spec spec = {
        .name = names[cfg->kind],
        .description = is_long ? dispatch_description : task_description,
        .parameters = parameters,
        .flags = is_long ? TOOL_LONG : 0,
        .domain = TOOL_DOMAIN_FILES,
        .timeout_ms = cfg->timeout_ms,
        .max_bytes = OUTPUT_BYTES,
    };
    struct tool_task *t = calloc(1, sizeof(*t));
    int error;

    if (t == NULL)
        return UV_ENOMEM;
    if (spec.timeout_ms == 0)
        spec.timeout_ms = is_long ? 30 * MINUTE_MS : 5 * MINUTE_MS;
    error = tool_init(&t->tool, &ops, &spec);
    if (error != 0) {
        free(t);
        return error;
    }
    t->agent = agent_ref(cfg->agent);
    *tp = &t->tool;
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   arguments ─► sandbox ─► stdout ─► ends ┐
 *                   └─────► stderr ─► ends ┴─► result
 */

#include "tools/tool_bash.h"

#include "base/log.h"
#include "base/loop_timer.h"
#include "codec/tool_limits.h"
#include "tools/tool_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_BYTES 1024
#define GRACE_MS     5000 /* of the runner's limit beyond ours */
/* A byte is six in JSON at most. */
#define OUTPUT_MAX (TOOL_LIMIT_BASH_BYTES * 6 + 1024)

struct tool_bash {
    struct tool tool;
    struct sandbox *sandbox;
    uint64_t memory_bytes;
    uint64_t usual_ms; /* a command's time, if its call doesn't say */
    unsigned running;  /* on the loop */
};

struct bash_run {
    struct tool_bash *bash;
    struct tool_run *run; /* borrowed until it is finished */
    struct sandbox_command *command;
    struct loop_timer *timer;
    uint64_t timeout_ms;
    struct tool_ends ends[2]; /* by enum child_stream */
};

static const char description[] =
    "Run a shell command (bash) in the project's directory and give its "
    "stdout, stderr and return code. It runs in a sandbox: no network, only "
    "the project's directory and /tmp can be written, /tmp is empty each "
    "time, and everything it has started ends with it. Of long output the "
    "beginning and the end are given.";

static const char schema[] =
    "{\"type\":\"object\",\"properties\":{"
    "\"command\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":%d,"
    "\"description\":\"The command.\"},"
    "\"timeout\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":%" PRIu64
    ",\"description\":\"Seconds after which it is ended; %" PRIu64
    " if not given.\"},"
    "\"run_in_background\":{\"type\":\"boolean\",\"description\":"
    "\"Not supported: must be false.\"}},\"required\":[\"command\"]}";

/* --- the end of a run */

static void
run_free(struct bash_run *r)
{
    r->bash->running--;
    sandbox_close(&r->command);
    loop_timer_destroy(&r->timer);
    tool_ends_deinit(&r->ends[0]);
    tool_ends_deinit(&r->ends[1]);
    free(r);
}

/* The last of it. */
__attribute__((format(printf, 3, 4))) static void
run_fail(struct bash_run *r, const char *type, const char *fmt, ...)
{
    struct tool_run *run = r->run;
    char text[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    run_free(r);
    tool_run_fail(run, type, "%s", text);
}

static int
ends_fit(struct tool_ends *ends, size_t room)
{
    return ends->total_bytes <= room ? 0 : tool_ends_shrink(ends, room);
}

/* The limit is that of both: errors get a fifth, and what is left. */
static int
run_fit(struct bash_run *r)
{
    struct tool_ends *out = &r->ends[CHILD_OUTPUT];
    struct tool_ends *errors = &r->ends[CHILD_ERRORS];
    const size_t most = TOOL_LIMIT_BASH_BYTES;
    size_t has = out->total_bytes < most ? (size_t) out->total_bytes : most;
    size_t room = most - has > most / 5 ? most - has : most / 5;

    int err = ends_fit(errors, room);
    if (errors->total_bytes < room)
        room = (size_t) errors->total_bytes;
    return err != 0 ? err : ends_fit(out, most - room);
}

static json_t *
ends_text(const struct tool_ends *ends)
{
    struct buffer text;
    json_t *value = NULL;

    buffer_init(&text, TOOL_LIMIT_BASH_BYTES + 1);
    if (tool_ends_write(ends, &text) == 0)
        value = text.bytes == 0
                    ? json_string("")
                    : json_stringn((const char *) text.data, text.bytes);
    buffer_deinit(&text);
    return value;
}

static json_t *
run_output(struct bash_run *r, int status, bool *truncated)
{
    const struct tool_ends *out = &r->ends[CHILD_OUTPUT];
    const struct tool_ends *errors = &r->ends[CHILD_ERRORS];

    if (run_fit(r) != 0)
        return NULL;
    *truncated = tool_ends_is_truncated(out) || tool_ends_is_truncated(errors);
    return json_pack("{s:o, s:o, s:i, s:b, s:I, s:I}", "stdout", ends_text(out),
                     "stderr", ends_text(errors), "returncode", status,
                     "truncated", *truncated, "stdout_total_bytes",
                     (json_int_t) out->total_bytes, "stderr_total_bytes",
                     (json_int_t) errors->total_bytes);
}

static void
run_succeed(struct bash_run *r, int status)
{
    struct tool_run *run = r->run;
    struct tool_result result = {.output = NULL};

    result.output = run_output(r, status, &result.truncated);
    run_free(r);
    if (result.output == NULL) {
        tool_run_fail(run, "failed", "Out of memory.");
        return;
    }
    tool_run_finish(run, &result);
}

/* --- while it runs */

static void
on_output(void *arg, enum child_stream stream, const char *data, size_t bytes)
{
    struct bash_run *r = arg;

    tool_ends_push(&r->ends[stream], data, bytes);
}

static void
on_exit_told(void *arg, const struct child_exit *end, enum sandbox_over over)
{
    struct bash_run *r = arg;

    if (over == SANDBOX_MEMORY) {
        run_fail(r, "failed",
                 "The command was ended: it used more memory than the %" PRIu64
                 " MB it may.",
                 r->bash->memory_bytes >> 20);
    } else if (over == SANDBOX_BROKEN) {
        LOG_LIMITED(ERROR, "bash", "event=sandbox_broken");
        run_fail(r, "unavailable", "Commands cannot be run at the moment.");
    } else if (end->signal != 0) {
        run_fail(r, "failed", "The command was killed by signal %d.",
                 end->signal);
    } else {
        run_succeed(r, end->status);
    }
}

static void
on_timeout(void *arg)
{
    struct bash_run *r = arg;

    run_fail(r, "timeout",
             "The command was ended: it took longer than %" PRIu64 " s.",
             r->timeout_ms / 1000);
}

static void
bash_cancel(struct tool *tool, struct tool_run *run)
{
    struct bash_run *r = run->kept;

    (void) tool;
    run_fail(r, "cancelled", "The command was cancelled.");
}

/* --- its beginning */

static struct bash_run *
run_make(struct tool_bash *bash, struct tool_run *run)
{
    struct bash_run *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    bash->running++;
    r->bash = bash;
    r->run = run;
    r->timeout_ms = 1000
                    * (uint64_t) tool_run_integer(
                        run, "timeout", (int64_t) (bash->usual_ms / 1000));
    if (tool_ends_init(&r->ends[0], TOOL_LIMIT_BASH_BYTES) != 0
        || tool_ends_init(&r->ends[1], TOOL_LIMIT_BASH_BYTES) != 0
        || loop_timer_create(&r->timer, run->cfg.loop, on_timeout, r) != 0) {
        run_free(r);
        return NULL;
    }
    return r;
}

/* Why it isn't even tried; NULL: it is. */
static const char *
run_refusal(const struct tool_bash *bash, const struct tool_run *run,
            const char **type)
{
    size_t bytes = 0;
    const char *command = tool_run_text(run, "command", &bytes);

    *type = "invalid_arguments";
    if (command == NULL || bytes == 0)
        return "There is no command.";
    if (strlen(command) != bytes)
        return "The command contains a NUL character.";
    if (tool_run_boolean(run, "run_in_background", false))
        return "Commands do not run in the background: run it without "
               "run_in_background.";
    *type = "unavailable";
    if (bash->running >= TOOL_BASH_RUNNING)
        return "Too many commands run at this moment; try again later.";
    return NULL;
}

static void
bash_start(struct tool *tool, struct tool_run *run)
{
    static const struct sandbox_handlers handlers = {on_output, on_exit_told};
    struct tool_bash *bash = (struct tool_bash *) tool;
    const char *type, *why = run_refusal(bash, run, &type);

    if (why != NULL) {
        tool_run_fail(run, type, "%s", why);
        return;
    }
    struct bash_run *r = run_make(bash, run);
    if (r == NULL) {
        tool_run_fail(run, "failed", "Out of memory.");
        return;
    }
    tool_run_keep(run, r, NULL);
    struct sandbox_order order = {
        .loop = run->cfg.loop, .command = tool_run_text(run, "command", NULL)};
    int err = sandbox_start(&r->command, bash->sandbox, &order, &handlers, r);
    if (err == UV_E2BIG) {
        run_fail(r, "too_large", "The command is longer than %d bytes.",
                 SANDBOX_COMMAND_MAX);
    } else if (err != 0) {
        LOG_LIMITED(ERROR, "bash", "event=not_started error=\"%s\"",
                    uv_strerror(err));
        run_fail(r, "unavailable", "Commands cannot be run at the moment.");
    } else {
        loop_timer_start(r->timer, r->timeout_ms, 0);
    }
}

static void
bash_destroy(struct tool *tool)
{
    struct tool_bash *bash = (struct tool_bash *) tool;

    tool_deinit(tool);
    sandbox_destroy(&bash->sandbox);
    free(bash);
}

static const struct tool_ops bash_ops = {
    .start = bash_start, .cancel = bash_cancel, .destroy = bash_destroy};

static int
bash_init(struct tool_bash *bash, const struct tool_bash_config *cfg)
{
    char parameters[SCHEMA_BYTES];
    struct tool_spec spec = {.name = "bash",
                             .description = description,
                             .parameters = parameters,
                             .domain = TOOL_DOMAIN_FILES,
                             .timeout_ms = cfg->max_timeout_ms + GRACE_MS,
                             .max_bytes = OUTPUT_MAX};

    bash->usual_ms = cfg->max_timeout_ms < TOOL_BASH_TIMEOUT_MS
                         ? cfg->max_timeout_ms
                         : TOOL_BASH_TIMEOUT_MS;
    snprintf(parameters, sizeof(parameters), schema, SANDBOX_COMMAND_MAX,
             cfg->max_timeout_ms / 1000, bash->usual_ms / 1000);
    bash->memory_bytes = cfg->sandbox.memory_bytes;
    return tool_init(&bash->tool, &bash_ops, &spec);
}

int
tool_bash_create(struct tool **tp, const struct tool_bash_config *cfg)
{
    char error[SANDBOX_ERROR_BYTES] = "";
    struct tool_bash *bash = calloc(1, sizeof(*bash));

    if (bash == NULL)
        return UV_ENOMEM;
    int err = sandbox_create(&bash->sandbox, &cfg->sandbox, error);
    if (err != 0)
        LOG(ERROR, "bash", "event=no_sandbox error=\"%s\"", error);
    else
        err = bash_init(bash, cfg);
    if (err != 0) {
        sandbox_destroy(&bash->sandbox);
        free(bash);
        return err;
    }
    *tp = &bash->tool;
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_run.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <uv.h>

/* --- for who makes it */

void
tool_run_init(struct tool_run *run, const struct tool_run_config *cfg,
              const struct tool_run_handlers *handlers, void *arg)
{
    *run = (struct tool_run){.cfg = *cfg, .handlers = handlers, .arg = arg};
    atomic_init(&run->cancelled, false);
}

static void
kept_release(struct tool_run *run)
{
    void *kept = run->kept;

    run->kept = NULL;
    if (kept && run->release)
        run->release(kept);
}

void
tool_run_deinit(struct tool_run *run)
{
    kept_release(run);
}

void
tool_run_cancel(struct tool_run *run)
{
    atomic_store_explicit(&run->cancelled, true, memory_order_release);
}

/* --- for the tool */

void
tool_run_keep(struct tool_run *run, void *kept, void (*release)(void *kept))
{
    if (kept != run->kept)
        kept_release(run);
    run->kept = kept;
    run->release = release;
}

int
tool_run_page(struct tool_run *run, json_t *page)
{
    if (!page)
        return UV_ENOMEM;
    if (!run->finished && !tool_run_is_cancelled(run) && run->handlers->on_page)
        return run->handlers->on_page(run->arg, page);
    json_decref(page);
    return UV_ECANCELED;
}

void
tool_run_progress(struct tool_run *run, double progress, double total,
                  const char *message)
{
    if (!run->finished && run->handlers->on_progress)
        run->handlers->on_progress(run->arg, progress, total, message);
}

void
tool_run_acknowledge(struct tool_run *run, json_t *output)
{
    if (output && !run->finished && run->handlers->on_acknowledged)
        run->handlers->on_acknowledged(run->arg, output);
    else
        json_decref(output);
}

/* Nothing of the run may be touched once the handler was called. */
void
tool_run_finish(struct tool_run *run, struct tool_result *result)
{
    if (run->finished) {
        LOG(ALERT, run->cfg.id, "event=tool_finished_twice");
        json_decref(result->output);
        result->output = NULL;
        return;
    }
    run->finished = true;
    run->handlers->on_finished(run->arg, result);
}

void
tool_run_succeed(struct tool_run *run, json_t *output)
{
    struct tool_result result = {.output = output};

    if (!output) {
        result.type = "failed";
        result.error = "The server has no memory left for the result.";
    }
    tool_run_finish(run, &result);
}

void
tool_run_fail(struct tool_run *run, const char *type, const char *fmt, ...)
{
    char text[TOOL_RUN_ERROR_BYTES];
    struct tool_result result = {.error = text, .type = type};
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    tool_run_finish(run, &result);
}

/* --- questions */

bool
tool_run_is_cancelled(const struct tool_run *run)
{
    return atomic_load_explicit(&run->cancelled, memory_order_acquire);
}

static const json_t *
argument_of(const struct tool_run *run, const char *name)
{
    return json_object_get(run->cfg.arguments, name);
}

const char *
tool_run_text(const struct tool_run *run, const char *name, size_t *bytes)
{
    const json_t *value = argument_of(run, name);

    if (bytes)
        *bytes = json_is_string(value) ? json_string_length(value) : 0;
    return json_string_value(value);
}

/* JSON knows no integers: 3.0 is one for a schema. */
static int64_t
integer_of(double value, int64_t otherwise)
{
    if (value != value)
        return otherwise;
    if (value >= 9223372036854775807.0)
        return INT64_MAX;
    return value <= -9223372036854775808.0 ? INT64_MIN : (int64_t) value;
}

int64_t
tool_run_integer(const struct tool_run *run, const char *name,
                 int64_t otherwise)
{
    const json_t *value = argument_of(run, name);

    if (json_is_integer(value))
        return json_integer_value(value);
    return json_is_real(value) ? integer_of(json_real_value(value), otherwise)
                               : otherwise;
}

bool
tool_run_boolean(const struct tool_run *run, const char *name, bool otherwise)
{
    const json_t *value = argument_of(run, name);

    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

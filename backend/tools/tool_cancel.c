/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_cancel.h"

#include "tools/tool_run.h"

#include <stdlib.h>
#include <uv.h>

#define NAMES_MAX  65536 /* bytes */
#define TIMEOUT_MS 5000

struct tool_cancel {
    struct tool tool; /* first */
    struct tool_cancel_config cfg;
};

static const char description[] =
    "Stops what is being done for the user right now: tools and agents that "
    "have not answered yet. With immediate, at once, which is what \"stop\" "
    "means; without, what runs may end and what has not begun is dropped.";

static const char parameters[] =
    "{\"type\":\"object\",\"properties\":{"
    "\"reason\":{\"type\":\"string\",\"maxLength\":1000,\"description\":\"Why, "
    "in a few words.\"},"
    "\"immediate\":{\"type\":\"boolean\",\"description\":\"Stop at once. "
    "Default false.\"}}}";

static json_t *
output_make(unsigned count, bool immediate, struct buffer *names)
{
    json_t *running = names->bytes > 0 ? json_loadb((const char *) names->data,
                                                    names->bytes, 0, NULL)
                                       : json_array();

    return json_pack("{s:b, s:i, s:s, s:o, s:s}", "cancelled", count > 0,
                     "count", (int) count, "level",
                     immediate ? "immediate" : "graceful", "running_tools",
                     running != NULL ? running : json_array(), "message",
                     count > 0 ? "What was being done is cancelled."
                               : "There was nothing to cancel.");
}

static enum tool_step
cancel_work(struct tool *tool, struct tool_run *run)
{
    const struct tool_cancel_config *cfg = &((struct tool_cancel *) tool)->cfg;
    const char *session_id = run->cfg.session_id;
    bool immediate = tool_run_boolean(run, "immediate", false);
    struct buffer names;
    unsigned count;

    buffer_init(&names, NAMES_MAX);
    count = cfg->cancel(cfg->arg, run->cfg.tenant,
                        session_id[0] != '\0' ? session_id : NULL, immediate,
                        &names);
    tool_run_succeed(run, output_make(count, immediate, &names));
    buffer_deinit(&names);
    return TOOL_STEP_DONE;
}

static void
cancel_destroy(struct tool *tool)
{
    tool_deinit(tool);
    free(tool);
}

int
tool_cancel_create(struct tool **tp, const struct tool_cancel_config *cfg)
{
    static const struct tool_ops ops = {.work = cancel_work,
                                        .destroy = cancel_destroy};
    static const struct tool_spec spec = {.name = "cancel_current_task",
                                          .description = description,
                                          .parameters = parameters,
                                          .flags = TOOL_AT_ONCE,
                                          .domain = TOOL_DOMAIN_OTHER,
                                          .timeout_ms = TIMEOUT_MS,
                                          .max_bytes = 2 * NAMES_MAX};
    struct tool_cancel *t = calloc(1, sizeof(*t));
    int error;

    if (t == NULL)
        return UV_ENOMEM;
    error = tool_init(&t->tool, &ops, &spec);
    if (error != 0) {
        free(t);
        return error;
    }
    t->cfg = *cfg;
    *tp = &t->tool;
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_tools.h"

#include "api/api_tool_wait.h"
#include "api/api_tools_batch.h"
#include "api/api_tools_stream.h"
#include "api/api_web_app.h"
#include "codec/policy.h"
#include "service/tool_registry.h"

#include <string.h>

/* A batch of calls with their names around the arguments. */
#define BATCH_MAX_BYTES                                                        \
    (API_TOOLS_BATCH_MAX * (TOOL_RUNNER_ARGUMENTS_BYTES + 1024u))

/* --- the list */

static void
answer_list(struct gate_request *rq, const struct tool_value *list,
            size_t count)
{
    struct buffer body;

    buffer_init(&body, list->bytes + 64);
    if (buffer_append(&body, "{\"tools\":", 9) == 0
        && buffer_append(&body, list->text, list->bytes) == 0
        && buffer_printf(&body, ",\"count\":%zu}", count) == 0) {
        api_json_text(rq, 200, (const char *) body.data, body.bytes);
    } else {
        gate_answer_busy(rq);
    }
    buffer_deinit(&body);
}

void
api_tools_answer_list(struct gate_request *rq, struct api_context *api,
                      const struct policy *policy)
{
    struct tool_value *list;
    size_t count;

    list = tool_registry_definitions(api->tools, &policy->http_tools, &count);
    if (list != NULL) {
        answer_list(rq, list, count);
    } else {
        gate_answer_busy(rq);
    }
    tool_value_unref(list);
}

void
api_tools_list(struct gate_request *rq, struct api_context *api)
{
    const struct policy *policy;

    if (api_policy(rq, &policy) == 0) {
        api_tools_answer_list(rq, api, policy);
        policy_put(&policy);
    }
}

/* --- one tool */

static void
run(struct gate_request *rq, struct api_context *api, const json_t *arguments)
{
    enum api_tools_format format = api_tools_format(rq);
    struct tool_order order;

    api_tool_order_init(&order, rq, arguments);
    if (!json_is_object(arguments)) {
        const struct tool_answer wrong = api_tool_failure(
            TOOL_INVALID, "invalid_arguments", API_TOOL_NO_OBJECT);
        api_tool_answer_send(rq, API_TOOL_FULL, &wrong);
    } else if (format != API_TOOLS_ONE) {
        api_tools_stream(rq, api, &order, format);
    } else {
        api_tool_wait(rq, api, &order, API_TOOL_FULL);
    }
}

void
api_tools_run(struct gate_request *rq, struct api_context *api)
{
    const struct policy *policy;
    struct api_body_fault fault;
    json_t *arguments;
    bool may;

    if (api_policy(rq, &policy) != 0) {
        return;
    }
    may = policy_names_have(&policy->http_tools, api_path_id(rq));
    policy_put(&policy);
    if (!may) {
        const struct tool_answer unknown =
            api_tool_failure(TOOL_UNKNOWN, NULL, NULL);
        api_tool_answer_send(rq, API_TOOL_FULL, &unknown);
    } else if (api_body_read(rq, TOOL_RUNNER_ARGUMENTS_BYTES, &arguments,
                             &fault)
               != 0) {
        api_error(rq, fault.status, fault.code, fault.message, NULL);
    } else {
        run(rq, api, arguments);
        json_decref(arguments);
    }
}

/* --- several */

void
api_tools_run_batch(struct gate_request *rq, struct api_context *api)
{
    const struct policy *policy;
    struct api_body_fault fault;
    json_t *tree;

    if (api_policy(rq, &policy) != 0) {
        return;
    }
    if (api_body_read(rq, BATCH_MAX_BYTES, &tree, &fault) != 0) {
        api_error(rq, fault.status, fault.code, fault.message, NULL);
    } else {
        api_tools_batch(rq, api, policy, &tree);
    }
    policy_put(&policy);
}

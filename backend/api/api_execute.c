/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_execute.h"

#include "api/api_tool_wait.h"
#include "api/api_tools.h"
#include "api/api_web_app.h"
#include "codec/policy.h"

void
api_execute_list(struct gate_request *rq, struct api_context *api)
{
    const struct policy *policy;

    if (api_web_app_policy(rq, &policy) == 0) {
        api_tools_answer_list(rq, api, policy);
        policy_put(&policy);
    }
}

static void
refuse(struct gate_request *rq, enum tool_ending ending, const char *error)
{
    const struct tool_answer answer = api_tool_failure(ending, NULL, error);

    api_tool_answer_send(rq, API_TOOL_WEB_APP, &answer);
}

static void
run(struct gate_request *rq, struct api_context *api, const json_t *arguments)
{
    struct tool_order order;

    if (!json_is_object(arguments)) {
        refuse(rq, TOOL_INVALID, API_TOOL_NO_OBJECT);
        return;
    }
    api_tool_order_init(&order, rq, arguments);
    api_tool_wait(rq, api, &order, API_TOOL_WEB_APP);
}

void
api_execute_run(struct gate_request *rq, struct api_context *api)
{
    const struct policy *policy;
    struct api_body_fault fault;
    json_t *arguments;
    bool may;

    if (api_web_app_policy(rq, &policy) != 0) {
        return;
    }
    may = policy_names_have(&policy->http_tools, api_path_id(rq));
    policy_put(&policy);
    if (api_body_read(rq, TOOL_RUNNER_ARGUMENTS_BYTES, &arguments, &fault)
        != 0) {
        api_web_app_error(rq, fault.status, fault.message);
        return;
    }
    if (may) {
        run(rq, api, arguments);
    } else {
        refuse(rq, TOOL_UNKNOWN, "There is no such tool here.");
    }
    json_decref(arguments);
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_limits.h"

#include "service/tenant_limits.h"

#include <stdio.h>

static void
answer_refusal(struct gate_request *rq, enum tenant_refusal why,
               unsigned retry_s)
{
    char body[512], seconds[16];
    const struct gate_header later = {"Retry-After", seconds};
    bool room = why != TENANT_NO_ROOM;

    snprintf(seconds, sizeof(seconds), "%u", retry_s);
    int bytes = snprintf(body, sizeof(body),
                         "{\"error\":{\"message\":\"%s\",\"type\":\"%s\","
                         "\"param\":null,\"code\":\"%s\"}}",
                         tenant_refusal_text(why),
                         !room                  ? "server_error"
                         : why == TENANT_TOKENS ? "insufficient_quota"
                                                : "rate_limit_error",
                         tenant_refusal_code(why));
    gate_answer(rq, &(struct gate_answer){
                        .status = room ? 429 : 503,
                        .content_type = "application/json",
                        .headers = &later,
                        .header_count = 1,
                        .body = body,
                        .body_bytes = (size_t) bytes,
                    });
}

bool
api_limits_request(struct gate_request *rq, struct api_context *api)
{
    unsigned retry_s = 1;
    enum tenant_refusal why =
        api->limits != NULL
            ? tenant_limits_request(api->limits, api_tenant(rq), &retry_s)
            : TENANT_MAY;

    if (why != TENANT_MAY) {
        answer_refusal(rq, why, retry_s);
    }
    return why == TENANT_MAY;
}

bool
api_limits_enter(struct gate_request *rq, struct api_context *api)
{
    unsigned retry_s = 1;
    enum tenant_refusal why =
        api->limits != NULL
            ? tenant_limits_enter(api->limits, api_tenant(rq), &retry_s)
            : TENANT_MAY;

    if (why != TENANT_MAY) {
        answer_refusal(rq, why, retry_s);
    }
    return why == TENANT_MAY;
}

void
api_limits_leave(struct api_context *api, const char *tenant)
{
    if (api->limits != NULL) {
        tenant_limits_leave(api->limits, tenant);
    }
}

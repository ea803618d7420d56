/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_web_app.h"

#include "base/log.h"
#include "codec/policy.h"

int
api_policy(struct gate_request *rq, const struct policy **policy)
{
    char error[POLICY_ERROR_BYTES];
    int err = policy_get(policy, gate_param(rq, "VOICE_POLICY"), error);

    if (err == UV_EINVAL) {
        LOG_LIMITED(ALERT, "tools", "event=bad_policy error=\"%s\"", error);
    }
    if (err != 0) {
        api_error(rq, 500, "policy_invalid",
                  "The voice policy of this location can't be read.", NULL);
    }
    return err;
}

int
api_web_app_policy(struct gate_request *rq, const struct policy **policy)
{
    int err = api_policy(rq, policy);

    if (err != 0 || (*policy)->web_app) {
        return err;
    }
    policy_put(policy);
    api_web_app_error(rq, 404, "Not Found");
    return UV_ENOENT;
}

void
api_web_app_error(struct gate_request *rq, unsigned status, const char *detail)
{
    json_t *tree = json_pack("{s:s}", "detail", detail);

    api_json(rq, status, &tree);
}

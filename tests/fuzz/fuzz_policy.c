/* SPDX-License-Identifier: BSD-2-Clause */

/* Any text as VOICE_POLICY: refused with a word, or a policy whose update of
 * the session is JSON. */

#include "codec/policy.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const struct policy *policy = NULL;
    char error[POLICY_ERROR_BYTES];
    char *text = malloc(bytes + 1);
    const char *name;

    memcpy(text, data, bytes);
    text[bytes] = 0;
    if (policy_get(&policy, text, error)) {
        if (policy || !error[0])
            abort();
    } else {
        char *update = policy_session_update(policy, "e");
        json_t *tree = json_loads(update, JSON_REJECT_DUPLICATES, NULL);
        if (!tree || policy_model(policy, policy->model, &name) == UV_ENOENT)
            abort();
        json_decref(tree);
        free(update);
    }
    policy_put(&policy);
    free(text);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A client's text on its way to the model, under one of four policies (chosen
 * by the first byte): whatever passes, a server whose first of equal keys
 * wins and one whose last wins read the same type, session, response,
 * instructions, tools and model, and that is within the policy.
 */

#include "kit/two_readings.h"

#include <stdint.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define POLICIES 4

static const char policy_format[] =
    "{\"v\":1,\"model\":%s,\"models\":[\"m2\"],\"upstream\":[],\"voice\":null,"
    "\"instructions\":\"P\",\"vad\":null,\"opus\":null,\"buffer\":"
    "\"balanced\",\"context\":null,\"tools\":[],\"http_tools\":[],"
    "\"transcript\":true,\"transcription\":null,\"client_update\":\"%s\","
    "\"web_app\":false,\"auth_seen\":false}";

static const struct {
    const char *model;
    const char *update;
} kinds[POLICIES] = {{"\"m\"", "deny"},
                     {"\"m\"", "merge"},
                     {"\"m\"", "allow"},
                     {"null", "allow"}};

static const char *const models[] = {"m", "m2", NULL};

static const struct policy *
policy_at(unsigned kind)
{
    static const struct policy *policies[POLICIES];
    char text[1024], error[POLICY_ERROR_BYTES];

    if (policies[kind])
        return policies[kind];
    snprintf(text, sizeof(text), policy_format, kinds[kind].model,
             kinds[kind].update);
    if (policy_get(&policies[kind], text, error))
        abort();
    return policies[kind];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    size_t out;

    if (bytes < 1)
        return 0;
    const struct policy *policy = policy_at(data[0] % POLICIES);
    char *text =
        reading_pass(policy, "m", (const char *) data + 1, bytes - 1, &out);
    if (text && !reading_is_safe(policy, models, text, out))
        abort();
    free(text);
    return 0;
}

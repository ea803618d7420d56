/* SPDX-License-Identifier: BSD-2-Clause */

#include "kit/policy_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char defaults[] =
    "{\"v\":1,\"model\":\"gpt-realtime\",\"models\":[\"gpt-realtime\"],"
    "\"upstream\":[],\"voice\":null,\"instructions\":null,\"vad\":null,"
    "\"opus\":null,\"buffer\":\"balanced\",\"context\":null,\"tools\":[],"
    "\"http_tools\":[],\"transcript\":true,\"transcription\":null,"
    "\"client_update\":\"allow\",\"web_app\":false,\"auth_seen\":false}";

char *
policy_text(const char *changes)
{
    json_t *tree = json_loads(defaults, 0, NULL);
    json_t *over = json_loads(*changes ? changes : "{}", 0, NULL);
    const char *key;
    json_t *value;

    assert_non_null(tree);
    assert_non_null(over);
    json_object_foreach(over, key, value)
    {
        const char *text = json_string_value(value);
        if (text && strcmp(text, "-") == 0)
            json_object_del(tree, key);
        else
            json_object_set(tree, key, value);
    }
    char *text = json_dumps(tree, JSON_COMPACT);
    json_decref(tree);
    json_decref(over);
    return text;
}

const struct policy *
policy_of(const char *changes)
{
    const struct policy *policy = NULL;
    char error[POLICY_ERROR_BYTES];
    char *text = policy_text(changes);

    if (policy_get(&policy, text, error))
        fail_msg("policy %s: %s", text, error);
    free(text);
    return policy;
}

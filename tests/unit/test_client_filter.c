/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/client_filter.h"

#include "kit/policy_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define DENY  "{\"client_update\":\"deny\",\"instructions\":\"P\"}"
#define MERGE "{\"client_update\":\"merge\",\"instructions\":\"P\"}"
#define BARE  "{\"client_update\":\"merge\"}"

/* Either `out` or `param` with an error's code. */
static const struct filtering {
    const char *policy;
    const char *in;
    const char *out;
    const char *code;
    const char *param;
} filterings[] = {
    /* deny */
    {DENY, "{\"type\":\"session.update\",\"session\":{\"instructions\":\"C\"}}",
     NULL, "forbidden", "session.instructions"},
    {DENY, "{\"type\":\"session.update\",\"session\":{\"instructions\":null}}",
     NULL, "forbidden", "session.instructions"},
    {DENY,
     "{\"type\":\"session.update\",\"session\":{\"instructions\":\"P\","
     "\"tools\":[],\"model\":\"m\",\"type\":\"realtime\"}}",
     "{\"type\":\"session.update\",\"session\":{\"instructions\":\"P\","
     "\"type\":\"realtime\"}}",
     NULL, NULL},
    {DENY, "{\"type\":\"session.update\",\"session\":{\"tools\":[{}]}}", NULL,
     "forbidden", "session.tools"},
    {DENY, "{\"type\":\"session.update\",\"session\":{\"tools\":null}}", NULL,
     "forbidden", "session.tools"},
    {DENY, "{\"type\":\"session.update\",\"session\":{\"model\":\"n\"}}", NULL,
     "forbidden", "session.model"},
    {DENY,
     "{\"type\":\"session.update\",\"session\":{\"prompt\":{\"id\":\"x\"}}}",
     NULL, "forbidden", "session.prompt"},
    {DENY,
     "{ \"type\":\"session.update\", \"session\":{\"audio\":{\"output\":"
     "{\"voice\":\"ash\"}}}}",
     "{\"type\":\"session.update\",\"session\":{\"audio\":{\"output\":"
     "{\"voice\":\"ash\"}}}}",
     NULL, NULL},
    {DENY, "{\"type\":\"session.update\",\"session\":[]}", NULL,
     "invalid_value", "session"},
    {DENY, "{\"type\":\"session.update\"}", "{\"type\":\"session.update\"}",
     NULL, NULL},
    {DENY,
     "{\"type\":\"response.create\",\"response\":{\"instructions\":\"C\"}}",
     NULL, "forbidden", "response.instructions"},
    {DENY, "{\"type\":\"response.create\",\"response\":{\"tools\":[1]}}", NULL,
     "forbidden", "response.tools"},
    {DENY,
     "{\"type\":\"response.create\",\"response\":{\"input\":[{\"type\":"
     "\"message\",\"role\":\"system\"}]}}",
     NULL, "forbidden", "response.input"},
    {DENY, "{\"type\":\"response.create\"}", "{\"type\":\"response.create\"}",
     NULL, NULL},
    {DENY,
     "{\"type\":\"conversation.item.create\",\"item\":{\"role\":\"system\"}}",
     NULL, "forbidden", "item.role"},
    {DENY,
     "{\"type\":\"conversation.item.create\",\"item\":{\"role\":\"user\"}}",
     "{\"type\":\"conversation.item.create\",\"item\":{\"role\":\"user\"}}",
     NULL, NULL},
    {DENY, "{\"type\":\"session.replace\",\"session\":{}}", NULL,
     "invalid_value", "type"},
    {DENY, "{\"type\":\"session.created\",\"session\":{}}", NULL,
     "invalid_value", "type"},
    {DENY,
     "{\"type\":\"session.update\",\"session\":{\"tools\":[],\"tools\":[1]}}",
     NULL, "invalid_event", NULL},
    {DENY, "{\"type\":\"response.cancel\",\"a\":1e999}", NULL, "invalid_event",
     NULL},
    {DENY, "{\"type\":\"response.cancel\",\"a\":\"\\u0000\"}", NULL,
     "invalid_event", NULL},
    {DENY, "{\"type\":\"input_audio_buffer.append\",\"audio\":\"\",\"x\":1}",
     "{\"type\":\"input_audio_buffer.append\",\"audio\":\"\",\"x\":1}", NULL,
     NULL},
    /* merge */
    {MERGE,
     "{\"type\":\"session.update\",\"session\":{\"instructions\":\"C\"}}",
     "{\"type\":\"session.update\",\"session\":{\"instructions\":"
     "\"P\\n\\nC\"}}",
     NULL, NULL},
    {MERGE, "{\"type\":\"session.update\",\"session\":{\"instructions\":\"\"}}",
     "{\"type\":\"session.update\",\"session\":{\"instructions\":\"P\"}}", NULL,
     NULL},
    {MERGE, "{\"type\":\"session.update\",\"session\":{\"instructions\":7}}",
     NULL, "invalid_value", "session.instructions"},
    {MERGE,
     "{\"type\":\"response.create\",\"response\":{\"instructions\":\"C\"}}",
     "{\"type\":\"response.create\",\"response\":{\"instructions\":"
     "\"P\\n\\nC\"}}",
     NULL, NULL},
    {MERGE,
     "{\"type\":\"session.update\",\"session\":{\"tools\":[{\"name\":\"f\"}]}}",
     "{\"type\":\"session.update\",\"session\":{\"tools\":[{\"name\":\"f\"}]}}",
     NULL, NULL},
    {MERGE, "{\"type\":\"session.update\",\"session\":{\"model\":\"n\"}}", NULL,
     "forbidden", "session.model"},
    {MERGE,
     "{\"type\":\"conversation.item.create\",\"item\":{\"role\":\"system\"}}",
     "{\"type\":\"conversation.item.create\",\"item\":{\"role\":\"system\"}}",
     NULL, NULL},
    {BARE, "{\"type\":\"session.update\",\"session\":{\"instructions\":\"C\"}}",
     "{\"type\":\"session.update\",\"session\":{\"instructions\":\"C\"}}", NULL,
     NULL},
};

static void
filtering_check(const struct filtering *t)
{
    const struct policy *policy = policy_of(t->policy);
    struct client_filter f = {.policy = policy, .model = "m"};
    struct realtime_peek peek;
    size_t bytes = strlen(t->in);

    assert_int_equal(realtime_peek(t->in, bytes, &peek), REALTIME_SOUND);
    assert_true(client_filter_is_needed(policy, &peek));
    int result = client_filter_apply(&f, &peek, t->in, bytes);
    if (t->out) {
        if (result)
            fail_msg("%s: %d", t->in, result);
        assert_string_equal(f.text, t->out);
        assert_int_equal(f.bytes, strlen(t->out));
        free(f.text);
    } else {
        if (!result)
            fail_msg("%s passed", t->in);
        assert_string_equal(f.error.code, t->code);
        if (t->param)
            assert_string_equal(f.error.param, t->param);
        else
            assert_null(f.error.param);
    }
    policy_put(&policy);
}

static void
test_filterings(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(filterings) / sizeof(filterings[0]); i++)
        filtering_check(&filterings[i]);
    policy_cache_clear();
}

static void
test_need(void **state)
{
    static const char append[] =
        "{\"type\":\"input_audio_buffer.append\",\"audio\":\"\"}";
    const struct policy *allow = policy_of("");
    const struct policy *deny = policy_of(DENY);
    struct realtime_peek peek;

    (void) state;
    realtime_peek(append, sizeof(append) - 1, &peek);
    assert_false(client_filter_is_needed(allow, &peek));
    assert_false(client_filter_is_needed(deny, &peek));
    peek.known_keys = false;
    assert_true(client_filter_is_needed(deny, &peek));
    assert_true(client_filter_is_needed(allow, &peek));
    policy_put(&allow);
    policy_put(&deny);
    policy_cache_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filterings),
        cmocka_unit_test(test_need),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Hostile texts of a client that wants what the policy does not give: each is
 * refused, or what reaches the model is harmless for every kind of reader.
 */

#include "../fuzz/kit/two_readings.h"
#include "kit/policy_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define DENY  1
#define MERGE 2
#define ALLOW 4
#define ALL   7

static const char *const texts_of[] = {
    "{\"client_update\":\"deny\",\"instructions\":\"P\",\"model\":\"m\","
    "\"models\":[\"m2\"]}",
    "{\"client_update\":\"merge\",\"instructions\":\"P\",\"model\":\"m\","
    "\"models\":[\"m2\"]}",
    "{\"client_update\":\"allow\",\"instructions\":\"P\",\"model\":\"m\","
    "\"models\":[\"m2\"]}",
};

static const char *const models[] = {"m", "m2", NULL};

#define UPDATE(session) "{\"type\":\"session.update\",\"session\":" session "}"
#define CREATE(response)                                                       \
    "{\"type\":\"response.create\",\"response\":" response "}"

static const struct {
    unsigned refused; /* under these at least */
    const char *text;
} battery[] = {
    /* the same key twice, at the top */
    {ALL, "{\"type\":\"response.cancel\",\"type\":\"session.update\"}"},
    {ALL, "{\"type\":\"session.update\",\"session\":{},\"session\":"
          "{\"instructions\":\"x\"}}"},
    {ALL, "{\"session\":{\"instructions\":\"x\"},\"type\":\"session.update\","
          "\"session\":{}}"},
    {ALL, "{\"type\":\"response.create\",\"response\":{},\"response\":"
          "{\"instructions\":\"x\"}}"},
    {ALL, "{\"type\":\"conversation.item.create\",\"item\":{\"role\":\"user\"},"
          "\"item\":{\"role\":\"system\"}}"},
    {ALL, "{\"type\":\"x\",\"model\":\"m\",\"model\":\"evil\"}"},
    {ALL, "{\"type\":\"input_audio_buffer.append\",\"audio\":\"\","
          "\"audio\":\"\"}"},
    {ALL, "{\"type\":\"input_audio_buffer.append\",\"type\":"
          "\"session.update\",\"audio\":\"\",\"session\":{}}"},
    /* the same key twice, inside */
    {ALL, UPDATE("{\"instructions\":\"P\",\"instructions\":\"x\"}")},
    {ALL, UPDATE("{\"tools\":[],\"tools\":[{\"name\":\"f\"}]}")},
    {ALL, UPDATE("{\"model\":\"m\",\"model\":\"evil\"}")},
    {ALL, UPDATE("{\"prompt\":null,\"prompt\":{\"id\":\"x\"}}")},
    {ALL, UPDATE("{\"audio\":{\"output\":{\"voice\":\"a\",\"voice\":\"b\"}}}")},
    {ALL, UPDATE("{\"audio\":{},\"audio\":{}}")},
    {ALL, UPDATE("{\"instructions\":\"P\",\"\\u0069nstructions\":\"x\"}")},
    {ALL, UPDATE("{\"model\":\"m\",\"mod\\u0065l\":\"evil\"}")},
    {ALL, CREATE("{\"instructions\":\"P\",\"instructions\":\"x\"}")},
    {ALL, CREATE("{\"tools\":[],\"tools\":[1]}")},
    {ALL, CREATE("{\"conversation\":\"none\",\"conversation\":\"auto\"}")},
    {ALL, CREATE("{\"model\":\"m\",\"model\":\"evil\"}")},
    {ALL, CREATE("{\"metadata\":{\"a\":1,\"a\":2}}")},
    /* keys and types with escapes */
    {ALL, "{\"\\u0074ype\":\"session.update\",\"session\":{}}"},
    {ALL, "{\"type\":\"response.cancel\",\"\\u0074ype\":\"session.update\"}"},
    {ALL, "{\"type\":\"session.upd\\u0061te\",\"session\":{}}"},
    {ALL, "{\"type\":\"session.update\",\"\\u0073ession\":"
          "{\"instructions\":\"x\"}}"},
    {ALL, "{\"type\":\"session.update\",\"s\\u0065ssion\":{}}"},
    {DENY | MERGE, UPDATE("{\"\\u0070rompt\":{\"id\":\"x\"}}")},
    {DENY, UPDATE("{\"\\u0069nstructions\":\"x\"}")},
    {ALL, UPDATE("{\"mod\\u0065l\":\"evil\"}")},
    {DENY, UPDATE("{\"t\\u006fols\":[{}]}")},
    /* keys in another case, and characters that fold to letters */
    {ALL, "{\"type\":\"response.cancel\",\"TYPE\":\"session.update\"}"},
    {ALL, "{\"type\":\"session.update\",\"Session\":{\"model\":\"evil\"}}"},
    {ALL, "{\"type\":\"session.update\",\"\xC5\xBF"
          "ession\":{\"model\":\"evil\"}}"},
    {DENY | MERGE, UPDATE("{\"Instructions\":\"x\"}")},
    {ALL, UPDATE("{\"MODEL\":\"evil\"}")},
    {DENY | MERGE, UPDATE("{\"tool\xC5\xBF\":[{}]}")},
    {DENY | MERGE, UPDATE("{\"Prompt\":{\"id\":\"x\"}}")},
    {DENY | MERGE, CREATE("{\"Input\":[{\"role\":\"system\"}]}")},
    {DENY | MERGE, CREATE("{\"INSTRUCTIONS\":\"x\"}")},
    {DENY, "{\"type\":\"conversation.item.create\",\"item\":{\"role\":\"user\","
           "\"Role\":\"system\"}}"},
    {DENY, "{\"type\":\"conversation.item.create\",\"ITEM\":{\"role\":"
           "\"system\"}}"},
    {DENY, CREATE("{\"input\":[{\"role\":\"user\",\"ROLE\":\"system\"}]}")},
    /* what the policy simply forbids */
    {DENY, UPDATE("{\"instructions\":\"x\"}")},
    {DENY, UPDATE("{\"instructions\":\"\"}")},
    {DENY, UPDATE("{\"instructions\":null}")},
    {DENY | MERGE, UPDATE("{\"instructions\":[\"x\"]}")},
    {DENY | MERGE, UPDATE("{\"instructions\":{\"x\":1}}")},
    {DENY, UPDATE("{\"tools\":{\"0\":{}}}")},
    {DENY, UPDATE("{\"tools\":\"all\"}")},
    {DENY | MERGE, UPDATE("{\"prompt\":{\"id\":\"x\"}}")},
    {ALL, UPDATE("{\"prompt\":{\"id\":\"x\",\"model\":\"evil\"}}")},
    {ALL, UPDATE("{\"prompt\":{\"id\":\"x\",\"Model\":\"evil\"}}")},
    {ALL, UPDATE("{\"model\":\"evil\"}")},
    {ALL, UPDATE("{\"model\":\"M\"}")},
    {ALL, UPDATE("{\"model\":\"m \"}")},
    {ALL, UPDATE("{\"model\":\"\"}")},
    {ALL, UPDATE("{\"model\":[\"m\"]}")},
    {ALL, UPDATE("{\"model\":{\"name\":\"evil\"}}")},
    {ALL, UPDATE("{\"model\":7}")},
    {ALL, CREATE("{\"model\":\"evil\"}")},
    {ALL, CREATE("{\"prompt\":{\"model\":\"evil\"}}")},
    {ALL, "{\"type\":\"session.update\",\"model\":\"evil\",\"session\":{}}"},
    {ALL, "{\"type\":\"response.cancel\",\"model\":\"evil\"}"},
    {DENY | MERGE, "{\"type\":\"session.update\",\"instructions\":\"x\"}"},
    {DENY | MERGE, "{\"type\":\"session.update\",\"tools\":[{}]}"},
    {ALL, "{\"type\":\"transcription_session.update\",\"session\":"
          "{\"model\":\"evil\"}}"},
    {DENY, CREATE("{\"instructions\":\"x\"}")},
    {DENY, CREATE("{\"tools\":[{}]}")},
    {DENY | MERGE, CREATE("[{\"instructions\":\"x\"}]")},
    {DENY | MERGE, UPDATE("[{\"instructions\":\"x\"}]")},
    {DENY | MERGE, UPDATE("\"instructions\"")},
    {DENY, CREATE("{\"input\":[{\"type\":\"message\",\"role\":\"system\"}]}")},
    {DENY,
     CREATE("{\"input\":[{\"role\":\"user\"},{\"role\":\"developer\"}]}")},
    {DENY, "{\"type\":\"conversation.item.create\",\"item\":{\"role\":"
           "\"system\"}}"},
    {DENY, "{\"type\":\"conversation.item.create\",\"item\":{\"role\":"
           "\"System\"}}"},
    {DENY, "{\"type\":\"conversation.item.create\",\"item\":{\"role\":"
           "[\"system\"]}}"},
    {DENY, "{\"type\":\"input_audio_buffer.commit\",\"item\":{\"role\":"
           "\"system\"}}"},
    {DENY, "{\"type\":\"response.cancel\",\"session\":{\"instructions\":"
           "\"x\"}}"},
    {DENY, "{\"type\":\"session.update\",\"response\":{\"tools\":[{}]}}"},
    {DENY | MERGE, "{\"type\":\"session.updated\",\"session\":{}}"},
    {DENY | MERGE, "{\"type\":\"Session.Update\",\"session\":{}}"},
    {DENY | MERGE, "{\"type\":\"session.update \",\"session\":{}}"},
    {DENY | MERGE, "{\"type\":\"\",\"session\":{}}"},
    {DENY | MERGE, "{\"type\":\"session.replace\"}"},
    /* what is no JSON to everybody */
    {ALL, "\xEF\xBB\xBF{\"type\":\"response.cancel\"}"},
    {ALL, "{\"type\":\"response.cancel\"}{\"type\":\"session.update\"}"},
    {ALL, "{\"type\":\"response.cancel\"},"},
    {ALL, "{\"type\":\"response.cancel\",}"},
    {ALL, "{'type':'response.cancel'}"},
    {ALL, "{type:\"response.cancel\"}"},
    {ALL, "{\"type\":\"response.cancel\"/**/}"},
    {ALL, "// x\n{\"type\":\"response.cancel\"}"},
    {ALL, "{\"type\":\"response.cancel\",\"x\":NaN}"},
    {ALL, "{\"type\":\"response.cancel\",\"x\":Infinity}"},
    {ALL, "{\"type\":\"response.cancel\",\"x\":01}"},
    {ALL, "{\"type\":\"response.cancel\",\"x\":+1}"},
    {ALL, "{\"type\":\"response.cancel\",\"x\":.5}"},
    {ALL, "{\"type\":\"response.cancel\",\"x\":0x10}"},
    {ALL, "{\"type\":\"response.cancel\",\"x\":\"\\x41\"}"},
    {ALL, "{\"type\":\"response.cancel\",\"x\":\"\n\"}"},
    {ALL, "{\"type\":\"response.cancel\",\"x\":\"\\ud800\"}"},
    {ALL, "{\"type\":\"response.cancel\",\"x\":\"\xC0\xAF\"}"},
    {ALL, "{\"type\":\"response.cancel\",\"x\":\"\xED\xA0\x80\"}"},
    {ALL, "{\"type\":\"response.cancel\",\"x\":\"\xF5\x80\x80\x80\"}"},
    {ALL, "{\"type\":\"response.cancel\",\"x\":\"\x80\"}"},
    {ALL, "{\"type\":\"response.cancel\",\"\xFF\":1}"},
    {ALL, "{\"type\":\"response.cancel\",\"x\":1e999}"},
    {ALL,
     "{\"type\":\"response.cancel\",\"x\":123456789012345678901234567890}"},
    {ALL, "{\"type\":\"session.update\",\"session\":{\"x\":-1e999}}"},
    {ALL, "{\"type\":\"response.cancel\",\"x\":\"\\u0000\"}"},
    {ALL, UPDATE("{\"instructions\":\"P\\u0000x\"}")},
    {ALL, UPDATE("{\"x\\u0000\":1}")},
    {ALL, "{\"type\":[\"session.update\"]}"},
    {ALL, "{\"type\":null}"},
    {ALL, "{\"type\":{\"type\":\"session.update\"}}"},
    {ALL, "[{\"type\":\"session.update\"}]"},
    {ALL, "\"session.update\""},
    {ALL, "{\"type\":\"response.cancel\""},
    {ALL, "{}"},
    {ALL, ""},
    {ALL, " "},
    {ALL, "{\"type\":\"response.cancel\"}\x01"},
    /* hostile in looks alone: they may pass, and are harmless */
    {0, " \t\r\n{\"type\" : \"response.cancel\" } "},
    {0, UPDATE("{\"audio\":{\"output\":{\"instructions\":\"x\"}}}")},
    {0, UPDATE("{\"tools\":[]}")},
    {0, UPDATE("{\"model\":\"m\"}")},
    {0, UPDATE("{\"prompt\":null}")},
    {0, CREATE("{\"metadata\":{\"instructions\":\"x\",\"model\":\"evil\"}}")},
    {0, "{\"type\":\"conversation.item.create\",\"item\":{\"role\":\"user\","
        "\"content\":[{\"type\":\"input_text\",\"text\":\"\\\"session\\\":{"
        "\\\"instructions\\\":\\\"x\\\"}\"}]}}"},
};

static void
text_check(const char *text, size_t bytes, unsigned refused)
{
    for (unsigned i = 0; i < sizeof(texts_of) / sizeof(texts_of[0]); i++) {
        const struct policy *policy = policy_of(texts_of[i]);
        size_t out = 0;
        char *passed = reading_pass(policy, "m", text, bytes, &out);
        if (passed && refused >> i & 1)
            fail_msg("policy %u: %s passed as %s", i, text, passed);
        if (passed && !reading_is_safe(policy, models, passed, out))
            fail_msg("policy %u: %s is read in two ways: %s", i, text, passed);
        free(passed);
        policy_put(&policy);
    }
}

static void
test_battery(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(battery) / sizeof(battery[0]); i++)
        text_check(battery[i].text, strlen(battery[i].text),
                   battery[i].refused);
    policy_cache_clear();
}

/* A NUL ends the text for some readers. */
static void
test_battery_nul(void **state)
{
    static const char text[] = "{\"type\":\"response.cancel\"}\0"
                               "{\"type\":\"session.update\"}";
    static const char inside[] = "{\"type\":\"response.cancel\0\",\"x\":1}";

    (void) state;
    text_check(text, sizeof(text) - 1, ALL);
    text_check(text, sizeof("{\"type\":\"response.cancel\"}"), ALL);
    text_check(inside, sizeof(inside) - 1, ALL);
    policy_cache_clear();
}

static void
test_battery_deep(void **state)
{
    static const char head[] = "{\"type\":\"session.update\",\"session\":";
    enum { DEPTH = 5000 };
    char *text = malloc(sizeof(head) + 6 * DEPTH + 16);

    (void) state;
    strcpy(text, head);
    for (int i = 0; i < DEPTH; i++)
        strcat(text + i * 5, "{\"a\":");
    strcat(text, "1");
    size_t bytes = strlen(text);
    memset(text + bytes, '}', DEPTH + 1);
    text[bytes + DEPTH + 1] = 0;
    text_check(text, bytes + DEPTH + 1, ALL);
    free(text);
    policy_cache_clear();
}

/* The names that a policy allows are allowed, and no other. */
static void
test_models(void **state)
{
    static const char *const passes[] = {UPDATE("{\"model\":\"m2\"}"),
                                         CREATE("{\"model\":\"m\"}"),
                                         UPDATE("{\"prompt\":{\"id\":\"x\"}}")};
    const struct policy *policy = policy_of(texts_of[2]);
    size_t out;

    (void) state;
    for (size_t i = 0; i < 3; i++) {
        char *text =
            reading_pass(policy, "m", passes[i], strlen(passes[i]), &out);
        assert_non_null(text);
        assert_string_equal(text, passes[i]);
        free(text);
    }
    policy_put(&policy);
    policy_cache_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_battery),
        cmocka_unit_test(test_battery_nul),
        cmocka_unit_test(test_battery_deep),
        cmocka_unit_test(test_models),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

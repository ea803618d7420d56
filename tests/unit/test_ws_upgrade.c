/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/ws_upgrade.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Memory of its size alone: a read beyond it is seen. */
static char *
copy_of(const char *text)
{
    size_t bytes = strlen(text);
    char *copy = malloc(bytes + (bytes == 0));

    assert_non_null(copy);
    memcpy(copy, text, bytes);
    return copy;
}

struct token_case {
    const char *list;
    const char *token;
    bool in;
};

static const struct token_case token_cases[] = {
    {"upgrade", "upgrade", true},
    {"Upgrade", "upgrade", true},
    {"UPGRADE", "upgrade", true},
    {"upgrade", "UPGRADE", true},
    {"keep-alive, Upgrade", "upgrade", true},
    {"Upgrade, keep-alive", "upgrade", true},
    {"a,upgrade,b", "upgrade", true},
    {" \t, ,upgrade\t,", "upgrade", true},
    {"foo, WebSocket", "websocket", true},
    {"keep-alive Upgrade", "upgrade", true},
    {"realtime, openai-insecure-api-key.sk-x", "openai-insecure-api-key.sk-x",
     true},
    {"[", "[", true},
    {"", "upgrade", false},
    {" ", "upgrade", false},
    {",,,", "upgrade", false},
    {"upgrad", "upgrade", false},
    {"upgrades", "upgrade", false},
    {"xupgrade", "upgrade", false},
    {"up grade", "upgrade", false},
    {"up,grade", "upgrade", false},
    {"\"upgrade\"", "upgrade", false},
    {"upgrade;q=1", "upgrade", false},
    {"websocket/13", "websocket", false},
    {"h2c", "websocket", false},
    {"upgrade-", "upgrade", false},
    {"\xe4upgrade", "upgrade", false},
    /* letters differ by a bit; so do these, which are none */
    {"[", "{", false},
    {"@", "`", false},
    {"\xc1", "\xe1", false},
    /* no token is in no list */
    {"", "", false},
    {"a, b", "", false},
    {"a, b,", "", false},
};

static void
test_tokens(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(token_cases) / sizeof(token_cases[0]); i++) {
        const struct token_case *c = &token_cases[i];
        char *list = copy_of(c->list), *token = copy_of(c->token);

        if (ws_upgrade_has_token(list, strlen(c->list), token, strlen(c->token))
            != c->in)
            fail_msg("\"%s\" in \"%s\"", c->token, c->list);
        free(list);
        free(token);
    }
}

struct value_case {
    const char *value;
    bool valid;
};

static const struct value_case version_cases[] = {
    {"13", true},      {"", false},      {"1", false},   {"3", false},
    {"8", false},      {"12", false},    {"14", false},  {"130", false},
    {"013", false},    {"13, 8", false}, {" 13", false}, {"13 ", false},
    {"\"13\"", false}, {"1 3", false},
};

static void
test_versions(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(version_cases) / sizeof(version_cases[0]);
         i++) {
        const struct value_case *c = &version_cases[i];
        char *copy = copy_of(c->value);

        if (ws_upgrade_version_is_valid(copy, strlen(c->value)) != c->valid)
            fail_msg("version \"%s\"", c->value);
        free(copy);
    }
}

static const struct value_case key_cases[] = {
    {"dGhlIHNhbXBsZSBub25jZQ==", true},
    {"AAAAAAAAAAAAAAAAAAAAAA==", true},
    {"//////////////////////==", true},
    {"++++++++++++++++++++++==", true},
    {"0123456789azAZ+/012345==", true},
    /* bits left over */
    {"dGhlIHNhbXBsZSBub25jZR==", true},
    {"", false},
    {"dGhlIHNhbXBsZQ==", false},
    {"dGhlIHNhbXBsZSBub25jZXM=", false},
    {"dGhlIHNhbXBsZSBub25jZXNz", false},
    {"dGhlIHNhbXBsZSBub25jZQ=", false},
    {"dGhlIHNhbXBsZSBub25jZQ", false},
    {"dGhlIHNhbXBsZSBub25jZQ===", false},
    {"dGhlIHNhbXBsZSBub25jZQ==A", false},
    {"dGhlIHNhbXBsZSBub25jZQ=A", false},
    {"dGhlIHNhbXBsZSBub25jZQ= ", false},
    {"dGhlIHNhbXBsZSBub25jZ===", false},
    {"=GhlIHNhbXBsZSBub25jZQ==", false},
    {"dGhlIHNhbXBs=SBub25jZQ==", false},
    {"!!hlIHNhbXBsZSBub25jZQ==", false},
    {"dGhlIHNhbXBsZSBub25j-Q==", false},
    {"dGhlIHNhbXBsZSBub25j_Q==", false},
    {"dGhl IHNhbXBsZSBub25jZ==", false},
    {"dGhlIHNhbXBsZSBub25j\xc3\xa9==", false},
    {"d@hlIHNhbXBsZSBub25jZQ==", false},
    {"d[hlIHNhbXBsZSBub25jZQ==", false},
    {"d`hlIHNhbXBsZSBub25jZQ==", false},
    {"d{hlIHNhbXBsZSBub25jZQ==", false},
    {"d:hlIHNhbXBsZSBub25jZQ==", false},
    {"d.hlIHNhbXBsZSBub25jZQ==", false},
};

static void
test_keys(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(key_cases) / sizeof(key_cases[0]); i++) {
        const struct value_case *c = &key_cases[i];
        char *copy = copy_of(c->value);

        if (ws_upgrade_key_is_valid(copy, strlen(c->value)) != c->valid)
            fail_msg("key \"%s\"", c->value);
        free(copy);
    }
    assert_false(ws_upgrade_key_is_valid("dGhlIHNhbXBs\0SBub25jZQ==",
                                         WS_UPGRADE_KEY_CHARS));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

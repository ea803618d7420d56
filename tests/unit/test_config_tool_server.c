/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/config.h"
#include "base/config_print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

static char path[] = "/tmp/test_config_tool_server_XXXXXX";

static int
file_make(void **state)
{
    int fd = mkstemp(path);
    (void) state;
    if (fd >= 0)
        close(fd);
    return fd < 0;
}

static int
file_remove(void **state)
{
    (void) state;
    return unlink(path);
}

static int
read_text(struct server_config **cfg, const char *text, char *error)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return config_read(cfg, path, error);
}

static struct server_config *
must_read(const char *text)
{
    char error[CONFIG_ERROR_BYTES];
    struct server_config *cfg = NULL;
    if (read_text(&cfg, text, error) != 0)
        fail_msg("%s", error);
    return cfg;
}

static void
three_kinds_are_read_in_order(void **state)
{
    (void) state;
    setenv("TEST_KEY", "sk-hidden", 1);
    setenv("TEST_TOKEN", "hidden=too", 1);
    struct server_config *cfg =
        must_read("tool_server files {\n"
                  "  command = { npx, \"a b\" } directory = \"/tmp\"\n"
                  "  environment = { \"A=hidden\", TEST_TOKEN }\n"
                  "  trusted = yes ttl = 5s timeout = 1m tools = { read }\n"
                  "}\n"
                  "tool_server far {\n"
                  "  mcp = \"https://h.example/mcp\" key_env = TEST_KEY\n"
                  "  headers = { \"X-Key: hidden\" } max_answer = 64k\n"
                  "  connect_timeout = 3s\n"
                  "}\n"
                  "tool_server near { http = \"http://127.0.0.1:1\" }\n");
    assert_int_equal(cfg->tool_server_count, 3);
    const struct config_tool_server *ts = &cfg->tool_servers[0];
    assert_string_equal(ts->name, "files");
    assert_int_equal(ts->command.count, 2);
    assert_string_equal(ts->command.items[1], "a b");
    assert_string_equal(ts->directory, "/tmp");
    assert_string_equal(ts->environment.items[0], "A=hidden");
    assert_string_equal(ts->environment.items[1], "TEST_TOKEN=hidden=too");
    assert_true(ts->trusted);
    assert_int_equal(ts->ttl_ms, 5000);
    assert_int_equal(ts->timeout_ms, 60000);
    assert_string_equal(ts->tools.items[0], "read");
    assert_null(ts->key);
    ts = &cfg->tool_servers[1];
    assert_string_equal(ts->mcp, "https://h.example/mcp");
    assert_string_equal(ts->key, "sk-hidden");
    assert_int_equal(ts->max_answer_bytes, 65536);
    assert_int_equal(ts->connect_timeout_ms, 3000);
    assert_false(ts->trusted);
    assert_int_equal(ts->ttl_ms, 30000);
    assert_int_equal(ts->timeout_ms, 30000);
    assert_string_equal(cfg->tool_servers[2].http, "http://127.0.0.1:1");
    config_forget_environment(cfg);
    assert_null(getenv("TEST_KEY"));
    config_free(&cfg);
}

static void
secrets_are_not_printed(void **state)
{
    char *text = NULL, error[CONFIG_ERROR_BYTES];
    size_t bytes = 0;

    (void) state;
    setenv("TEST_TOKEN", "hidden", 1);
    struct server_config *cfg = must_read(
        "tool_server a { command = { x } environment = { \"A=hidden\", "
        "TEST_TOKEN } }\n"
        "tool_server b { mcp = \"http://h\" headers = { \"X: hidden\" } "
        "proxy = \"http://u:hidden@h:1\" }\n");
    FILE *out = open_memstream(&text, &bytes);
    config_print(cfg, out);
    fclose(out);
    assert_null(strstr(text, "hidden"));
    assert_non_null(
        strstr(text, "environment = {\"A=***\", \"TEST_TOKEN=***\"}"));
    config_free(&cfg);
    /* It reads back, without the secrets. */
    assert_int_equal(read_text(&cfg, text, error), 0);
    config_free(&cfg);
    free(text);

    unsetenv("TEST_TOKEN");
    assert_int_equal(read_text(&cfg,
                               "tool_server a { command = { x } environment = "
                               "{ TEST_TOKEN } }\n",
                               error),
                     UV_EINVAL);
    /* A program that serves nobody need not have it. */
    assert_int_equal(config_read_keyless(&cfg, path, error), 0);
    assert_string_equal(cfg->tool_servers[0].environment.items[0],
                        "TEST_TOKEN");
    config_free(&cfg);
}

/* What is wrong, and where. */
static const struct {
    const char *text, *error;
} faults[] = {
    {"tool_server {\n}\n", ":1:"},
    {"tool_server a {\n}\n",
     ":2: tool_server a: has none of mcp, command and http"},
    {"tool_server \"a.b\" {\n}\n", "\"a.b\" is no name of a tool server"},
    {"tool_server abcdefghijklmnopqrstuvwxy {\n}\n", "is no name of a tool"},
    {"tool_server a {\n mcp = \"http://h\" http = \"http://h\"\n}\n",
     "has more than one of mcp, command, http"},
    {"tool_server a {\n mcp = \"ws://h\"\n}\n",
     ":2: tool_server a: 'mcp' must begin with https:// (or http://)"},
    {"tool_server a {\n http = \"http://u:hidden@h\"\n}\n",
     ":2: tool_server a: 'http' is no valid URL"},
    {"tool_server a {\n command = { \"\" }\n}\n", "'command' names no program"},
    {"tool_server a {\n command = { x } directory = tmp\n}\n",
     "'directory' is no absolute directory"},
    {"tool_server a {\n mcp = \"http://h\"\n directory = \"/tmp\"\n}\n",
     ":3: tool_server a: 'directory' is for a command"},
    {"tool_server a {\n mcp = \"http://h\" environment = { \"A=1\" }\n}\n",
     "'environment' is for a command"},
    {"tool_server a {\n command = { x } key_env = A\n}\n",
     "'key_env' is for an address"},
    {"tool_server a {\n command = { x } environment = { \"1=hidden\" }\n}\n",
     "'environment' entry 1 is neither"},
    {"tool_server a {\n command = { x } environment = { \"A-B\" }\n}\n",
     "'environment' entry 1 is neither"},
    {"tool_server a {\n command = { x }\n environment = { TEST_UNSET }\n}\n",
     ":3: tool_server a: 'environment' names TEST_UNSET, which is not set"},
    {"tool_server a {\n mcp = \"http://h\" headers = { \"Mcp-Name: x\" }\n}\n",
     "'headers' may not hold Mcp-Name"},
    {"tool_server a {\n mcp = \"http://h\" headers = { \"Host: hidden\" }\n}\n",
     "'headers' may not hold Host"},
    {"tool_server a {\n mcp = \"http://h\" proxy = \"ftp://x\"\n}\n",
     "'proxy' must begin with http://"},
    {"tool_server a {\n mcp = \"http://h\" ca_file = /nonexistent\n}\n",
     "'ca_file' can't be read"},
    {"tool_server a {\n mcp = \"http://h\" key_env = A key_file = b\n}\n",
     "'key_file' is given and so is key_env"},
    {"tool_server a {\n mcp = \"http://h\"\n key_file = /nonexistent\n}\n",
     ":3: tool_server a: 'key_file' can't be read"},
    {"tool_server a {\n mcp = \"http://h\" timeout = 1ms\n}\n", "'timeout'"},
    {"tool_server a {\n loops = 1\n}\n", ":2: no such option 'loops'"},
    {"tool_server a {\n mcp = \"http://h\"\n mcp = \"http://h\"\n}\n",
     ":3: 'mcp' was given in line 2"},
};

static void
faults_name_file_and_line(void **state)
{
    char error[CONFIG_ERROR_BYTES];

    (void) state;
    unsetenv("TEST_UNSET");
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct server_config *cfg = NULL;
        if (read_text(&cfg, faults[i].text, error) == 0)
            fail_msg("no error for: %s", faults[i].text);
        assert_null(cfg);
        assert_null(strstr(error, "hidden"));
        if (strncmp(error, path, strlen(path)) != 0
            || !strstr(error, faults[i].error))
            fail_msg("for: %s\ngot: %s\nnot: %s", faults[i].text, error,
                     faults[i].error);
    }
}

static void
seventeen_are_too_many(void **state)
{
    char text[4096] = "", error[CONFIG_ERROR_BYTES];
    struct server_config *cfg = NULL;
    size_t n = 0;

    (void) state;
    for (int i = 0; i < 16; i++)
        n += (size_t) snprintf(text + n, sizeof(text) - n,
                               "tool_server t%d { http = \"http://h\" }\n", i);
    cfg = must_read(text);
    assert_int_equal(cfg->tool_server_count, 16);
    config_free(&cfg);
    snprintf(text + n, sizeof(text) - n, "tool_server v { }\n");
    assert_int_equal(read_text(&cfg, text, error), UV_EINVAL);
    assert_non_null(strstr(error, ":17: more than 16 tool servers"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_kinds_are_read_in_order),
        cmocka_unit_test(secrets_are_not_printed),
        cmocka_unit_test(faults_name_file_and_line),
        cmocka_unit_test(seventeen_are_too_many),
    };
    return cmocka_run_group_tests(tests, file_make, file_remove);
}

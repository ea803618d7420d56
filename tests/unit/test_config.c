/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/config.h"
#include "base/config_print.h"
#include "base/config_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

static char dir[] = "/tmp/voice-config-XXXXXX";
static char path[64], secret_path[64];

static void
file_write(const char *where, const char *text)
{
    FILE *file = fopen(where, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static struct server_config *
must_read(const char *text)
{
    struct server_config *cfg = NULL;
    char error[CONFIG_ERROR_BYTES];
    file_write(path, text);
    if (config_read(&cfg, path, error) != 0)
        fail_msg("%s", error);
    return cfg;
}

static void
defaults_are_the_tables(void **state)
{
    struct server_config *cfg = NULL;
    char error[CONFIG_ERROR_BYTES];

    (void) state;
    assert_int_equal(config_read(&cfg, NULL, error), 0);
    assert_string_equal(cfg->listen.unix_path, "/run/voiced/voiced.sock");
    assert_int_equal(cfg->listen.mode, 0660);
    assert_int_equal(cfg->auth.mode, AUTH_KEYS);
    assert_int_equal(cfg->request_threads, 4);
    assert_int_equal(cfg->loop_rest_us, 200);
    assert_int_equal(cfg->max_message_bytes, 24 * 1024 * 1024);
    assert_int_equal(cfg->offline.max_session_ms, 3600 * 1000);
    assert_true(cfg->loops >= 1);
    assert_false(cfg->bench.echo);
    assert_null(cfg->listen.secret);
    assert_int_equal(cfg->upstream_count, 0);
    assert_int_equal(cfg->warm.links, 3);
    assert_int_equal(cfg->warm.ttl_ms, 45000);
    assert_int_equal(cfg->http.keepalive, 20);
    assert_int_equal(cfg->http.max, 100);
    assert_int_equal(cfg->http.pool_wait_ms, 5000);
    assert_int_equal(cfg->resume_grace_ms, 30000);
    assert_string_equal(cfg->store.sqlite, "");
    assert_int_equal(cfg->limits.sessions, 0);
    config_free(&cfg);
    assert_null(cfg);
}

static void
every_key_is_read(void **state)
{
    struct server_config *cfg = must_read(
        "# a comment\n"
        "pid_file = /run/x.pid\n"
        "control = \"\"\n"
        "loops = 3\nloop_rest = 0\nrequest_threads = 4\nmax_sessions = "
        "5\nmax_parked = 6\n"
        "max_message = 1m\nmax_body = 2k\nmemory = 1g\nread_timeout = 2500ms\n"
        "listen { unix = /tmp/s mode = 0600 backlog = 100 }\n"
        "log { level = warn format = json target = file path = /tmp/l }\n"
        "auth { mode = nginx keys_file = k\n"
        "       cors_origins = { \"https://a.example\", \"*\" } }\n"
        "offline { plugin = p threads = 1 max_jobs = 9 max_session = 2m }\n"
        "resume_grace = 2s\n"
        "warm { upstream = \"\" model = m links = 1 secrets = 2 ttl = 3s\n"
        "       refill = 4s max = 5 }\n"
        "http { keepalive = 1 max = 2 idle = 3s connect = 4s read = 5s\n"
        "       write = 6s pool_wait = 7s }\n"
        "store { sqlite = /tmp/v.db }\n"
        "limits { sessions = 1 session = 2s idle = 3s requests = 4\n"
        "         tokens = 5 }\n"
        "bench { echo = yes }\n");

    (void) state;
    assert_string_equal(cfg->pid_file, "/run/x.pid");
    assert_string_equal(cfg->control, "");
    assert_int_equal(cfg->loops, 3);
    assert_int_equal(cfg->loop_rest_us, 0);
    assert_int_equal(cfg->request_threads, 4);
    assert_int_equal(cfg->max_sessions, 5);
    assert_int_equal(cfg->max_parked, 6);
    assert_int_equal(cfg->max_message_bytes, 1024 * 1024);
    assert_int_equal(cfg->max_body_bytes, 2048);
    assert_int_equal(cfg->memory_bytes, 1024 * 1024 * 1024);
    assert_int_equal(cfg->read_timeout_ms, 2500);
    assert_int_equal(cfg->listen.mode, 0600);
    assert_int_equal(cfg->listen.backlog, 100);
    assert_int_equal(cfg->log.level, LOG_LEVEL_WARN);
    assert_int_equal(cfg->log.format, LOG_FORMAT_JSON);
    assert_int_equal(cfg->log.target, LOG_TARGET_FILE);
    assert_int_equal(cfg->auth.mode, AUTH_NGINX);
    assert_int_equal(cfg->auth.cors_origins.count, 2);
    assert_string_equal(cfg->auth.cors_origins.items[0], "https://a.example");
    assert_int_equal(cfg->offline.max_session_ms, 120000);
    assert_true(cfg->bench.echo);
    assert_int_equal(cfg->resume_grace_ms, 2000);
    assert_string_equal(cfg->warm.model, "m");
    assert_int_equal(cfg->warm.links, 1);
    assert_int_equal(cfg->warm.secrets, 2);
    assert_int_equal(cfg->warm.ttl_ms, 3000);
    assert_int_equal(cfg->warm.refill_ms, 4000);
    assert_int_equal(cfg->warm.max, 5);
    assert_int_equal(cfg->http.keepalive, 1);
    assert_int_equal(cfg->http.max, 2);
    assert_int_equal(cfg->http.idle_ms, 3000);
    assert_int_equal(cfg->http.connect_ms, 4000);
    assert_int_equal(cfg->http.read_ms, 5000);
    assert_int_equal(cfg->http.write_ms, 6000);
    assert_int_equal(cfg->http.pool_wait_ms, 7000);
    assert_string_equal(cfg->store.sqlite, "/tmp/v.db");
    assert_int_equal(cfg->limits.sessions, 1);
    assert_int_equal(cfg->limits.session_ms, 2000);
    assert_int_equal(cfg->limits.idle_ms, 3000);
    assert_int_equal(cfg->limits.requests, 4);
    assert_int_equal(cfg->limits.tokens, 5);
    config_free(&cfg);
}

static void
upstreams_are_read_in_order(void **state)
{
    char text[1024];

    (void) state;
    file_write(secret_path, "sk-of-a-file\nmore\n");
    setenv("TEST_KEY", "sk-of-the-environment", 1);
    snprintf(text, sizeof(text),
             "upstream b {\n"
             "  url = \"wss://127.0.0.1:9443/v1/realtime\"\n"
             "  key_env = TEST_KEY\n}\n"
             "loops = 1\n"
             "upstream \"a.x\" {\n"
             "  url = \"ws://[::1]:1/openai/{model}?x=y\" key_file = \"%s\"\n"
             "  calls_url = \"https://h/calls\" ca_file = \"%s\"\n"
             "  proxy = \"http://u:hidden@h:3128\" auth = api-key\n"
             "  dialect = azure headers = { \"A: hidden\", \"B:\" }\n"
             "  connect_timeout = 1s read_timeout = 2s ping_interval = 1s\n"
             "  max_connections = 7 max_session = 0s }\n"
             "warm { upstream = a.x }\n",
             secret_path, secret_path);
    struct server_config *cfg = must_read(text);
    assert_int_equal(cfg->upstream_count, 2);
    const struct config_upstream *up = &cfg->upstreams[0];
    assert_string_equal(up->name, "b");
    assert_string_equal(up->url, "wss://127.0.0.1:9443/v1/realtime");
    assert_string_equal(up->key, "sk-of-the-environment");
    assert_string_equal(up->proxy, "");
    assert_int_equal(up->auth, UPSTREAM_BEARER);
    assert_int_equal(up->dialect, 0);
    assert_int_equal(up->headers.count, 0);
    assert_int_equal(up->connect_timeout_ms, 10000);
    assert_int_equal(up->read_timeout_ms, 60000);
    assert_int_equal(up->ping_interval_ms, 20000);
    assert_int_equal(up->max_connections, 0);
    assert_int_equal(up->max_session_ms, 3600000);
    up = &cfg->upstreams[1];
    assert_string_equal(up->name, "a.x");
    assert_string_equal(up->key, "sk-of-a-file");
    assert_string_equal(up->calls_url, "https://h/calls");
    assert_string_equal(up->proxy, "http://u:hidden@h:3128");
    assert_int_equal(up->auth, UPSTREAM_API_KEY);
    assert_int_equal(up->dialect, 1);
    assert_int_equal(up->headers.count, 2);
    assert_string_equal(up->headers.items[0], "A: hidden");
    assert_int_equal(up->max_connections, 7);
    assert_int_equal(up->max_session_ms, 0);
    config_free(&cfg);
}

/* What is wrong, and where. */
static const struct {
    const char *text, *error;
} faults[] = {
    {"nonsense = 1\n", ":1: no such option 'nonsense'"},
    {"\n\nlog { colour = 1 }\n", ":3: no such option 'colour'"},
    {"loops = 1\n\nloops = 2\n", ":3: 'loops' was given in line 1 already"},
    {"loops = 257\n", ":1: 'loops': \"257\" is not valid (0 to 256)"},
    {"loops = -1\n", ":1: 'loops': \"-1\" is not valid"},
    {"loops = 1x\n", ":1: 'loops': \"1x\" is not valid"},
    {"loops = \"\"\n", ":1: 'loops': \"\" is not valid"},
    {"max_message = 1\n", ":1: 'max_message': \"1\" is not valid (64k to"},
    {"max_body = 99999999999999999999g\n", ":1: 'max_body'"},
    {"max_body = 18446744073709551615g\n", ":1: 'max_body'"},
    {"read_timeout = 5\n", ":1: 'read_timeout': \"5\" is not valid"},
    {"\nlisten {\n  mode = 888\n}\n", ":3: 'mode': \"888\" is not valid"},
    {"listen {\n mode = 01777\n}\n", ":2: 'mode'"},
    {"listen {\n unix = \"\"\n}\n", ":2: 'unix' is empty and so is tcp"},
    {"listen {\n tcp = \"h:9\"\n}\n", ":2: 'tcp' demands a secret_file"},
    {"listen {\n tcp = \"h\"\n}\n", ":2: 'tcp': \"h\" is not valid (host:port"},
    {"listen {\n tcp = \"h:0\"\n}\n", ":2: 'tcp'"},
    {"listen {\n tcp = \"::1:9\"\n}\n", ":2: 'tcp'"},
    {"listen {\n tcp = \"h:65536\"\n}\n", ":2: 'tcp'"},
    {"listen {\n secret_file = /nonexistent/x\n}\n", ":2: 'secret_file' can't"},
    {"log {\n level = loud\n}\n", ":2: 'level': \"loud\" is not valid (one of"},
    {"log {\n level = \"inf\"\n}\n", ":2: 'level'"},
    {"log {\n target = file\n}\n", ":2: 'target' file demands a path"},
    {"auth {\n mode = all\n}\n", ":2: 'mode'"},
    {"auth {\n keys_file = \"\"\n}\n", ":2: 'keys_file' is empty"},
    {"auth {\n cors_origins = {\"a.example\"}\n}\n", ":2: 'cors_origins'"},
    {"auth {\n cors_origins = {\"http://a/b\"}\n}\n", ":2: 'cors_origins'"},
    {"bench {\n echo = maybe\n}\n", ":2: 'echo': \"maybe\" is not valid (yes"},
    {"max_message = 100m\nmemory = 1m\n", ":2: 'memory' is less than"},
    {"log {\n level = info\n", "a section is not closed"},
    {"loops = \n", "the last value is missing"},
    {"loops\n", ": missing equal sign after option 'loops'"},
    {"= 3\n", ":1:"},
    {"}\n", ":1:"},
    {"control = \"unfinished\n", "premature end of file"},
    {"control = "
     "/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
     ":1: 'control': \"/xxx"},
    {"upstream {\n}\n", ":1:"},
    {"upstream a {\n}\n", ":2: upstream a: 'url' is missing"},
    {"upstream a {\n url = \"wss://h\"\n}\n",
     ":3: upstream a: has neither key_env"},
    {"upstream \"a b\" {\n}\n", ":2: \"a b\" is no name of an upstream"},
    {"upstream a {\n loops = 1\n}\n", ":2: no such option 'loops'"},
    {"upstream a {\n url = x\n url = y\n}\n", ":3: 'url' was given in line 2"},
    {"upstream a {\n url = \"wss://h\" key_env = TEST_KEY\n}\nupstream a "
     "{\n}\n",
     ":4: found duplicate title"},
    {"upstream a {\n dialect = latin\n}\n", ":2: 'dialect'"},
    {"upstream a {\n url = \"https://h/v1\"\n}\n",
     ":2: upstream a: 'url' must begin with wss:// (or ws://)"},
    {"upstream a {\n url = \"wss://u@h/v1\"\n}\n",
     ":2: upstream a: 'url' holds no valid host"},
    {"upstream a {\n url = \"wss:///v1\"\n}\n", "'url' holds no valid host"},
    {"upstream a {\n url = \"wss://h:0/v1\"\n}\n", "'url' holds no valid host"},
    {"upstream a {\n url = \"wss://h:70000/v1\"\n}\n",
     "'url' holds no valid host"},
    {"upstream a {\n url = \"wss://h:8x/v1\"\n}\n",
     "'url' holds no valid host"},
    {"upstream a {\n url = \"wss://[::1/v1\"\n}\n",
     "'url' holds no valid host"},
    {"upstream a {\n url = \"wss://h/a b\"\n}\n", "'url' holds a character"},
    {"upstream a {\n url = \"wss://h/{mode}\"\n}\n", "'url' holds a character"},
    {"upstream a {\n url = \"wss://h/?model=x\"\n}\n", "'url' holds a model"},
    {"upstream a {\n url = \"wss://h/?api-key=x\"\n}\n", "'url' holds a key"},
    {"upstream a {\n url = \"wss://h\"\n calls_url = \"wss://h\"\n}\n",
     ":3: upstream a: 'calls_url' must begin with https://"},
    {"upstream a {\n url = \"wss://h\" proxy = \"https://h:1\"\n}\n",
     "'proxy' must begin with http://"},
    {"upstream a {\n url = \"wss://h\" proxy = \"http://u:hidden@:1\"\n}\n",
     "'proxy' is not http://[user"},
    {"upstream a {\n url = \"wss://h\"\n headers = {\"nothing\"}\n}\n",
     ":3: upstream a: 'headers' entry 1 is not"},
    {"upstream a {\n url = \"wss://h\" headers = {\"A: b\", \"B C: d\"}\n}\n",
     "'headers' entry 2 is not"},
    {"upstream a {\n url = \"wss://h\" headers = {\"A: b\tc\"}\n}\n",
     "'headers' entry 1 holds a control"},
    {"upstream a {\n url = \"wss://h\" headers = {\"authorization: x\"}\n}\n",
     "'headers' may not hold authorization"},
    {"upstream a {\n url = \"wss://h\" headers = {\"Sec-WebSocket-Key: "
     "x\"}\n}\n",
     "'headers' may not hold Sec-WebSocket-Key"},
    {"upstream a {\n url = \"wss://h\"\n ca_file = /nonexistent\n}\n",
     ":3: upstream a: 'ca_file' can't be read"},
    {"upstream a {\n url = \"wss://h\" ping_interval = 60s\n}\n",
     "'ping_interval' is not less"},
    {"upstream a {\n url = \"wss://h\" key_env = A\n key_file = b\n}\n",
     ":3: upstream a: 'key_file' is given and so is key_env"},
    {"upstream a {\n url = \"wss://h\"\n key_env = TEST_NO_KEY\n}\n",
     ":3: upstream a: 'key_env' names TEST_NO_KEY, which is not set"},
    {"upstream a {\n url = \"wss://h\" key_env = \"A=B\"\n}\n",
     "'key_env' is no name"},
    {"upstream a {\n url = \"wss://h\" key_env = TEST_EMPTY_KEY\n}\n",
     "'key_env' names no key of 1"},
    {"upstream a {\n url = \"wss://h\" key_env = TEST_BAD_KEY\n}\n",
     "'key_env' names a key with a space"},
    {"upstream a {\n url = \"wss://h\"\n key_file = /nonexistent\n}\n",
     ":3: upstream a: 'key_file' can't be read"},
    {"warm {\n upstream = x\n}\n", ":2: 'upstream' names no upstream"},
    {"http {\n keepalive = 9 max = 8\n}\n", ":2: 'keepalive' is more than max"},
    {"tools {\n bash = yes\n}\n", ":2: 'bash' demands a root"},
    {"tools {\n lsp_command = {\"c: clangd\"}\n}\n",
     ":2: 'lsp_command' demands a root"},
    {"limits {\n session = 25h\n}\n", ":2: 'session'"},
    {"upstream a {\n", "a section is not closed"},
};

static void
faults_name_file_and_line(void **state)
{
    char error[CONFIG_ERROR_BYTES];

    (void) state;
    unsetenv("TEST_NO_KEY");
    setenv("TEST_KEY", "sk-x", 1);
    setenv("TEST_EMPTY_KEY", "", 1);
    setenv("TEST_BAD_KEY", "sk-x y", 1);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct server_config *cfg = NULL;
        file_write(path, faults[i].text);
        if (config_read(&cfg, path, error) == 0)
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
a_file_that_is_not_there_is_named(void **state)
{
    struct server_config *cfg = NULL;
    char error[CONFIG_ERROR_BYTES];

    (void) state;
    assert_int_equal(config_read(&cfg, "/nonexistent/c", error), UV_ENOENT);
    assert_non_null(strstr(error, "/nonexistent/c:0: no such file"));
    assert_int_equal(config_read(&cfg, "/", error), UV_EISDIR);
}

static char *
printed(const struct server_config *cfg,
        void (*print)(const struct server_config *, FILE *))
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    print(cfg, out);
    fclose(out);
    return text;
}

static void
what_is_printed_reads_back(void **state)
{
    struct server_config *cfg = must_read(
        "control = \"/tmp/a \\\"b\\\\\"\nread_timeout = 90s\nmax_body = 3m\n"
        "auth { cors_origins = { \"https://x\" } }\nbench { echo = on }\n");
    char *first = printed(cfg, config_print);

    (void) state;
    config_free(&cfg);
    cfg = must_read(first);
    char *second = printed(cfg, config_print);
    assert_string_equal(first, second);
    assert_non_null(strstr(first, "read_timeout = 90s"));
    assert_non_null(strstr(first, "max_body = 3m"));
    free(first);
    free(second);
    config_free(&cfg);
}

static void
a_secret_is_read_and_never_printed(void **state)
{
    char text[CONFIG_ERROR_BYTES];

    (void) state;
    file_write(secret_path, "0123456789abcdef-very-secret\nmore\n");
    snprintf(text, sizeof(text),
             "listen { tcp = \"127.0.0.1:9000\" secret_file = \"%s\" }\n",
             secret_path);
    struct server_config *cfg = must_read(text);
    assert_string_equal(cfg->listen.secret, "0123456789abcdef-very-secret");
    char *out = printed(cfg, config_print);
    assert_null(strstr(out, "very-secret"));
    free(out);
    out = printed(cfg, config_print_listen);
    assert_string_equal(out, "unix 0660 4096 /run/voiced/voiced.sock\n"
                             "tcp 4096 127.0.0.1:9000\n");
    free(out);
    config_free(&cfg);

    file_write(secret_path, "short\n");
    file_write(path, text);
    assert_int_equal(config_read(&cfg, path, text), UV_EINVAL);
    assert_non_null(strstr(text, "16 to 255 characters"));
}

static void
seventeen_upstreams_are_too_many(void **state)
{
    char text[4096] = "", error[CONFIG_ERROR_BYTES];
    struct server_config *cfg = NULL;
    size_t n = 0;

    (void) state;
    setenv("TEST_KEY", "sk-x", 1);
    for (int i = 0; i < 16; i++)
        n += (size_t) snprintf(
            text + n, sizeof(text) - n,
            "upstream u%d { url = \"wss://h\" key_env = TEST_KEY }\n", i);
    cfg = must_read(text);
    assert_int_equal(cfg->upstream_count, 16);
    config_free(&cfg);
    snprintf(text + n, sizeof(text) - n, "upstream v { }\n");
    file_write(path, text);
    assert_int_equal(config_read(&cfg, path, error), UV_EINVAL);
    assert_non_null(strstr(error, ":17: more than 16 upstreams"));
}

static void
count_warning(void *arg, const char *text)
{
    assert_null(strstr(text, "hidden"));
    ++*(int *) arg;
}

static void
an_upstreams_secrets_stay_inside(void **state)
{
    char text[1024];
    int warnings = 0;

    (void) state;
    setenv("TEST_KEY", "sk-hidden", 1);
    file_write(secret_path, "sk-hidden-too\n");
    chmod(secret_path, 0644);
    snprintf(text, sizeof(text),
             "upstream a { url = \"ws://far.example/\" key_file = \"%s\"\n"
             "  proxy = \"http://u:hidden@h:3128\" }\n"
             "upstream b { url = \"ws://127.0.0.1/\" key_env = TEST_KEY\n"
             "  headers = { \"X-Key: hidden\", \"X: y\" } }\n",
             secret_path);
    struct server_config *cfg = must_read(text);
    char *out = printed(cfg, config_print);
    assert_null(strstr(out, "hidden"));
    assert_non_null(strstr(out, "upstream b {\n"));
    assert_non_null(strstr(out, "proxy = \"http://***@h:3128\""));
    assert_non_null(strstr(out, "headers = {\"X-Key: ***\", \"X: ***\"}"));
    config_warn(cfg, count_warning, &warnings);
    assert_int_equal(warnings, 2);
    const char *inherited = getenv("TEST_KEY");
    config_forget_environment(cfg);
    assert_null(getenv("TEST_KEY"));
    assert_int_equal(inherited[0], '\0');
    assert_string_equal(cfg->upstreams[1].key, "sk-hidden");
    config_free(&cfg);

    /* Who serves nobody needs no key, and what was printed reads back. */
    char error[CONFIG_ERROR_BYTES];
    file_write(path, out);
    assert_int_equal(config_read_keyless(&cfg, path, error), 0);
    char *again = printed(cfg, config_print);
    assert_string_equal(out, again);
    assert_null(cfg->upstreams[1].key);
    config_free(&cfg);
    free(out);
    free(again);
}

static void
print_example(const struct server_config *cfg, FILE *out)
{
    (void) cfg;
    config_print_example(out);
}

static void
print_reference(const struct server_config *cfg, FILE *out)
{
    (void) cfg;
    config_print_reference(out);
}

static void
the_example_is_valid_and_whole(void **state)
{
    char *text = printed(NULL, print_example), *page;
    char line[64];

    (void) state;
    struct server_config *cfg = must_read(text), *defaults = NULL;
    char *a = printed(cfg, config_print), error[CONFIG_ERROR_BYTES];
    assert_int_equal(config_read(&defaults, NULL, error), 0);
    char *b = printed(defaults, config_print);
    assert_string_equal(a, b);
    page = printed(NULL, print_reference);
    for (size_t i = 0; i < config_key_count(); i++) {
        snprintf(line, sizeof(line), "#%s = ", config_key_at(i)->name);
        assert_non_null(strstr(text, line));
        snprintf(line, sizeof(line), "%s`", config_key_at(i)->name);
        assert_non_null(strstr(page, line));
    }
    free(a);
    free(b);
    free(text);
    free(page);
    config_free(&cfg);
    config_free(&defaults);
}

static int
dir_make(void **state)
{
    (void) state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/c", dir);
    snprintf(secret_path, sizeof(secret_path), "%s/secret", dir);
    return 0;
}

static int
dir_remove(void **state)
{
    (void) state;
    unlink(path);
    unlink(secret_path);
    return rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_the_tables),
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(upstreams_are_read_in_order),
        cmocka_unit_test(seventeen_upstreams_are_too_many),
        cmocka_unit_test(an_upstreams_secrets_stay_inside),
        cmocka_unit_test(faults_name_file_and_line),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(what_is_printed_reads_back),
        cmocka_unit_test(a_secret_is_read_and_never_printed),
        cmocka_unit_test(the_example_is_valid_and_whole),
    };
    return cmocka_run_group_tests(tests, dir_make, dir_remove);
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_lsp.h"

#include "gate/child.h"
#include "kit/tool_rig.h"
#include "tools/lsp_command.h"
#include "tools/lsp_documents.h"
#include "tools/lsp_server.h"

#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

static struct {
    struct tool_rig rig;
    char directory[64], journal[96];
    struct tool_root *root;
    struct tool *tool;
} world;

static void
file_write(const char *name, const char *text)
{
    char path[160];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", world.directory, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void
file_remove(const char *name)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/%s", world.directory, name);
    assert_int_equal(unlink(path), 0);
}

static int
world_open(void **state)
{
    (void) state;
    memset(&world, 0, sizeof(world));
    snprintf(world.directory, sizeof(world.directory), "/tmp/test_lsp.XXXXXX");
    assert_non_null(mkdtemp(world.directory));
    snprintf(world.journal, sizeof(world.journal), "%s.log", world.directory);
    assert_int_equal(tool_root_open(&world.root, world.directory), 0);
    tool_rig_open(&world.rig);
    return 0;
}

static unsigned
world_left(void)
{
    return tool_lsp_closing() + child_count();
}

static int
world_close(void **state)
{
    char command[256];

    (void) state;
    tool_unref(&world.tool);
    tool_rig_close(&world.rig, world_left);
    tool_root_close(&world.root);
    snprintf(command, sizeof(command), "rm -rf %s %s", world.directory,
             world.journal);
    return system(command);
}

static void
tool_make(const char *command)
{
    struct tool_lsp_config cfg = {.loop = world.rig.loop,
                                  .root = world.root,
                                  .commands = &command,
                                  .command_count = 1};

    assert_int_equal(tool_lsp_create(&world.tool, &cfg), 0);
}

/* The server of tests/tools that behaves like that. */
static void
fake_make(const char *manner)
{
    char command[PATH_MAX + 256], script[PATH_MAX];

    assert_non_null(realpath("tests/tools/lsp_fake.mjs", script));
    snprintf(command, sizeof(command), "c,h: node %s %s %s", script, manner,
             world.journal);
    tool_make(command);
}

static json_t *
ask(struct tool_order_rig *order, const char *arguments)
{
    tool_order_run(order, &world.rig, world.tool, arguments);
    return order->output;
}

static void
assert_fails(const char *arguments, const char *type, const char *error)
{
    struct tool_order_rig order = {0};

    assert_null(ask(&order, arguments));
    assert_string_equal(order.type, type);
    if (strstr(order.error, error) == NULL)
        print_message("%s\n", order.error);
    assert_non_null(strstr(order.error, error));
    tool_order_free(&order);
}

static size_t
journal_count(const char *line)
{
    FILE *file = fopen(world.journal, "r");
    char text[256];
    size_t count = 0;

    while (file != NULL && fgets(text, sizeof(text), file) != NULL) {
        text[strcspn(text, "\n")] = '\0';
        count += strcmp(text, line) == 0;
    }
    if (file != NULL)
        fclose(file);
    return count;
}

/* --- clangd */

static const char source[] = "#include \"b.h\"\n"
                             "\n"
                             "static int twice(int number)\n"
                             "{\n"
                             "    return number * TWO;\n"
                             "}\n"
                             "\n"
                             "int four(void)\n"
                             "{\n"
                             "    return twice(two());\n"
                             "}\n";

static void
clangd_make(void)
{
    file_write("a.c", source);
    file_write("b.h", "#define TWO 2\n\n/* Half of four. */\nint two(void);\n");
    tool_make("c,h: clangd --log=error");
}

static json_t *
result_at(const struct tool_order_rig *order, size_t i)
{
    return json_array_get(json_object_get(order->output, "results"), i);
}

static const char *
text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

static void
assert_place(const json_t *place, const char *path, int line, int character)
{
    assert_string_equal(text_of(place, "file_path"), path);
    assert_int_equal(json_integer_value(json_object_get(place, "line")), line);
    assert_int_equal(json_integer_value(json_object_get(place, "character")),
                     character);
}

static void
test_clangd_answers_every_operation(void **state)
{
    struct tool_order_rig order = {0};
    json_t *contents;

    (void) state;
    clangd_make();
    assert_non_null(ask(&order, "{\"operation\":\"goToDefinition\","
                                "\"file_path\":\"a.c\",\"line\":10,"
                                "\"character\":12}"));
    assert_place(result_at(&order, 0), "a.c", 3, 12);
    tool_order_free(&order);
    assert_non_null(ask(&order, "{\"operation\":\"goToDefinition\","
                                "\"file_path\":\"./a.c\",\"line\":5,"
                                "\"character\":21}"));
    assert_place(result_at(&order, 0), "b.h", 1, 9);
    tool_order_free(&order);
    assert_non_null(ask(&order, "{\"operation\":\"findReferences\","
                                "\"file_path\":\"a.c\",\"line\":3,"
                                "\"character\":12}"));
    assert_int_equal(
        json_integer_value(json_object_get(order.output, "total_count")), 2);
    assert_place(result_at(&order, 1), "a.c", 10, 12);
    tool_order_free(&order);
    assert_non_null(ask(&order, "{\"operation\":\"hover\",\"file_path\":"
                                "\"a.c\",\"line\":10,\"character\":18}"));
    contents = json_object_get(order.output, "contents");
    assert_non_null(strstr(text_of(contents, "value"), "Half of four"));
    tool_order_free(&order);
    assert_non_null(ask(&order, "{\"operation\":\"documentSymbol\","
                                "\"file_path\":\"a.c\"}"));
    assert_string_equal(text_of(result_at(&order, 0), "name"), "twice");
    assert_string_equal(text_of(result_at(&order, 1), "name"), "four");
    assert_string_equal(text_of(result_at(&order, 1), "kind_name"), "function");
    tool_order_free(&order);
    assert_non_null(
        ask(&order, "{\"operation\":\"workspaceSymbol\",\"query\":\"four\"}"));
    assert_place(result_at(&order, 0), "a.c", 8, 5);
    tool_order_free(&order);
    assert_non_null(ask(&order, "{\"operation\":\"diagnostics\","
                                "\"file_path\":\"a.c\"}"));
    assert_int_equal(
        json_integer_value(json_object_get(order.output, "total_count")), 0);
    tool_order_free(&order);
}

static void
test_clangd_sees_files_change(void **state)
{
    static const char question[] =
        "{\"operation\":\"diagnostics\",\"file_path\":\"a.c\"}";
    struct tool_order_rig order = {0};

    (void) state;
    clangd_make();
    assert_non_null(ask(&order, question));
    assert_null(result_at(&order, 0));
    tool_order_free(&order);
    file_write("a.c", "int main(void) { return missing; }\n");
    assert_non_null(ask(&order, question));
    assert_non_null(strstr(text_of(result_at(&order, 0), "message"),
                           "undeclared identifier 'missing'"));
    assert_string_equal(text_of(result_at(&order, 0), "severity_name"),
                        "error");
    assert_place(result_at(&order, 0), "a.c", 1, 25);
    tool_order_free(&order);
    file_write("a.c", source);
    assert_non_null(ask(&order, question));
    assert_null(result_at(&order, 0));
    tool_order_free(&order);
}

/* The file stays as it was; what it includes doesn't. */
static void
test_clangd_sees_a_header_change(void **state)
{
    static const char question[] =
        "{\"operation\":\"diagnostics\",\"file_path\":\"a.c\"}";
    struct tool_order_rig order = {0};

    (void) state;
    clangd_make();
    assert_non_null(ask(&order, question));
    assert_null(result_at(&order, 0));
    tool_order_free(&order);
    usleep(2100000);
    file_write("b.h", "int two(void);\nint other;\n");
    assert_non_null(ask(&order, question));
    assert_non_null(strstr(text_of(result_at(&order, 0), "message"), "'TWO'"));
    tool_order_free(&order);
}

static void
test_clangd_comes_back(void **state)
{
    static const char question[] =
        "{\"operation\":\"documentSymbol\",\"file_path\":\"a.c\"}";
    struct tool_order_rig order = {0};

    (void) state;
    clangd_make();
    for (int i = 0; i < 3; i++) {
        assert_non_null(ask(&order, question));
        assert_string_equal(text_of(result_at(&order, 0), "name"), "twice");
        tool_order_free(&order);
        assert_int_equal(system("kill -9 $(pgrep -P $PPID '^clangd')"), 0);
        usleep(50000);
    }
}

/* --- paths */

static void
test_paths_stay_in_the_root(void **state)
{
    char outside[128];

    (void) state;
    fake_make("plain");
    snprintf(outside, sizeof(outside), "%s/link.c", world.directory);
    assert_int_equal(symlink("/etc/passwd", outside), 0);
    snprintf(outside, sizeof(outside), "%s/fifo.c", world.directory);
    assert_int_equal(mkfifo(outside, 0600), 0);
    assert_fails("{\"operation\":\"hover\",\"file_path\":\"../x.c\",\"line\":1,"
                 "\"character\":1}",
                 "denied", "");
    assert_fails("{\"operation\":\"hover\",\"file_path\":\"link.c\",\"line\":1,"
                 "\"character\":1}",
                 "denied", "");
    assert_fails("{\"operation\":\"hover\",\"file_path\":\"/usr/include/"
                 "stdio.h\",\"line\":1,\"character\":1}",
                 "denied", "");
    assert_fails("{\"operation\":\"hover\",\"file_path\":\"fifo.c\",\"line\":1,"
                 "\"character\":1}",
                 "failed", "");
    assert_fails("{\"operation\":\"hover\",\"file_path\":\"none.c\",\"line\":1,"
                 "\"character\":1}",
                 "not_found", "");
    assert_fails("{\"operation\":\"documentSymbol\",\"file_path\":\"a.py\"}",
                 "unavailable", "No language server");
    assert_fails("{\"operation\":\"documentSymbol\"}", "invalid_arguments",
                 "file_path");
    assert_fails("{\"operation\":\"hover\",\"file_path\":\"a.c\"}",
                 "invalid_arguments", "line");
    assert_int_equal(journal_count("textDocument/didOpen"), 0);
}

static void
test_files_too_large_are_refused(void **state)
{
    char path[128];

    (void) state;
    fake_make("plain");
    file_write("big.c", "x");
    snprintf(path, sizeof(path), "%s/big.c", world.directory);
    assert_int_equal(truncate(path, LSP_DOCUMENT_BYTES_MAX + 1), 0);
    assert_fails("{\"operation\":\"documentSymbol\",\"file_path\":\"big.c\"}",
                 "too_large", "too large");
}

/* --- documents */

static void
assert_told(const char *text, bool is)
{
    struct tool_order_rig order = {0};
    const char *said;

    assert_non_null(ask(&order, "{\"operation\":\"hover\",\"file_path\":"
                                "\"a.c\",\"line\":1,\"character\":1}"));
    said = text_of(json_object_get(order.output, "contents"), "value");
    if ((strstr(said, text) != NULL) != is)
        print_message("%s\n", said);
    assert_int_equal(strstr(said, text) != NULL, is);
    tool_order_free(&order);
}

static void
test_documents_are_as_their_files(void **state)
{
    struct tool_order_rig order = {0};

    (void) state;
    fake_make("plain");
    file_write("a.c", "one\xff");
    file_write("b.c", "other");
    assert_told("a.c v1 c one?", true);
    assert_non_null(ask(&order, "{\"operation\":\"hover\",\"file_path\":"
                                "\"b.c\",\"line\":1,\"character\":1}"));
    tool_order_free(&order);
    assert_told("b.c v1 c other", true);
    assert_int_equal(journal_count("textDocument/didOpen"), 2);
    assert_int_equal(journal_count("textDocument/didChange"), 0);
    /* Both, whichever is asked about. */
    file_write("a.c", "two");
    file_write("b.c", "another");
    assert_told("a.c v2 c two", true);
    assert_told("b.c v2 c another", true);
    file_remove("b.c");
    assert_told("b.c", false);
    assert_int_equal(journal_count("textDocument/didClose"), 1);
    /* Written anew, as it was. */
    file_write("a.c", "two");
    assert_told("a.c v2 c two", true);
}

static void
test_documents_have_a_cap(void **state)
{
    struct tool_order_rig order = {0};
    char name[32], arguments[128];

    (void) state;
    fake_make("plain");
    for (int i = 0; i < LSP_DOCUMENTS_MAX + 5; i++) {
        snprintf(name, sizeof(name), "f%d.c", i);
        file_write(name, "x");
        snprintf(arguments, sizeof(arguments),
                 "{\"operation\":\"hover\",\"file_path\":\"%s\",\"line\":1,"
                 "\"character\":1}",
                 name);
        assert_non_null(ask(&order, arguments));
        tool_order_free(&order);
    }
    assert_int_equal(journal_count("textDocument/didOpen"),
                     LSP_DOCUMENTS_MAX + 5);
    assert_int_equal(journal_count("textDocument/didClose"), 5);
    file_write("a.c", "last");
    assert_told("f5.c ", false);
    assert_told("f6.c ", true);
}

static struct {
    struct lsp_documents *documents;
    struct loop_task begin;
    unsigned notices;
    int error;
    bool open;
    atomic_bool told;
} sync_rig;

static void
on_sync_notice(void *arg, const char *method, json_t *params)
{
    (void) arg;
    (void) method;
    sync_rig.notices++;
    json_decref(params);
}

static void
on_sync_told(void *arg, int error, struct lsp_document *document, bool changed)
{
    char path[128];

    (void) arg;
    (void) changed;
    snprintf(path, sizeof(path), "%s/a.c", world.directory);
    sync_rig.error = error;
    sync_rig.open =
        document || lsp_documents_find(sync_rig.documents, path) != NULL;
    lsp_documents_destroy(&sync_rig.documents);
    atomic_store(&sync_rig.told, true);
}

static void
on_sync_begin(struct loop_task *task, void *arg)
{
    const struct lsp_documents_config cfg = {
        .loop = world.rig.loop, .root = world.root, .notify = on_sync_notice};

    (void) task;
    (void) arg;
    assert_int_equal(lsp_documents_create(&sync_rig.documents, &cfg), 0);
    assert_int_equal(
        lsp_documents_sync(sync_rig.documents, "a.c", 3, on_sync_told, NULL),
        0);
    lsp_documents_forget(sync_rig.documents);
}

/* The server ends while a file is looked at: the next one is told of it anew,
 * and not taken to know it. */
static void
test_documents_of_a_server_that_ended(void **state)
{
    (void) state;
    memset(&sync_rig, 0, sizeof(sync_rig));
    file_write("a.c", "one");
    sync_rig.begin = (struct loop_task){.run = on_sync_begin};
    loop_post(world.rig.loop, &sync_rig.begin);
    for (int i = 0; !atomic_load(&sync_rig.told) && i < 1000; i++)
        usleep(10000);
    assert_true(atomic_load(&sync_rig.told));
    assert_int_equal(sync_rig.error, UV_ECANCELED);
    assert_int_equal(sync_rig.notices, 0);
    assert_false(sync_rig.open);
}

/* --- servers that misbehave */

static const char hover[] = "{\"operation\":\"hover\",\"file_path\":\"a.c\","
                            "\"line\":1,\"character\":1}";

static void
test_servers_that_end_are_started_again(void **state)
{
    static const char *const manners[] = {"crashes", "babbles", "floods"};

    for (size_t i = 0; i < 3; i++) {
        if (i > 0) {
            world_close(state);
            world_open(state);
        }
        fake_make(manners[i]);
        file_write("a.c", "x");
        assert_fails(hover, "unavailable", "Ask again");
        assert_int_equal(journal_count("initialize"), 2);
        assert_fails(hover, "unavailable", "Ask again");
        assert_int_equal(journal_count("initialize"), 4);
    }
}

static void
test_servers_that_refuse(void **state)
{
    (void) state;
    fake_make("refuses");
    file_write("a.c", "x");
    assert_fails(hover, "unavailable", "started again in");
}

static void
test_servers_that_are_not_there(void **state)
{
    (void) state;
    tool_make("c: /nowhere/at/all");
    file_write("a.c", "x");
    assert_fails(hover, "unavailable", "can't be started");
}

static void
test_servers_that_err(void **state)
{
    (void) state;
    fake_make("errs");
    file_write("a.c", "x");
    assert_fails(hover, "failed", "refused: bad");
    assert_fails("{\"operation\":\"documentSymbol\",\"file_path\":\"a.c\"}",
                 "unavailable", "no such operation");
}

static void
test_cancelled_questions_end_at_once(void **state)
{
    struct tool_order_rig orders[3] = {{0}};

    (void) state;
    fake_make("silent");
    file_write("a.c", "x");
    for (int i = 0; i < 3; i++)
        tool_order_begin(&orders[i], &world.rig, world.tool, hover);
    for (int i = 0; i < 200 && journal_count("textDocument/hover") < 3; i++)
        usleep(20000);
    for (int i = 0; i < 3; i++)
        tool_order_cancel(&orders[i]);
    for (int i = 0; i < 3; i++) {
        assert_true(tool_order_wait(&orders[i], 5000));
        assert_string_equal(orders[i].type, "cancelled");
        tool_order_free(&orders[i]);
    }
    for (int i = 0; i < 200 && journal_count("$/cancelRequest") < 3; i++)
        usleep(20000);
    assert_int_equal(journal_count("$/cancelRequest"), 3);
    /* Before it has started, and at whatever moment of it. */
    for (int i = 0; i < 40; i++) {
        tool_order_begin(&orders[0], &world.rig, world.tool, hover);
        usleep((useconds_t) (i * 100));
        tool_order_cancel(&orders[0]);
        assert_true(tool_order_wait(&orders[0], 5000));
        assert_string_equal(orders[0].type, "cancelled");
        tool_order_free(&orders[0]);
    }
}

static void
test_questions_have_a_cap(void **state)
{
    static struct tool_order_rig orders[LSP_SERVER_REQUESTS + 1];

    (void) state;
    fake_make("silent");
    file_write("a.c", "x");
    for (int i = 0; i <= LSP_SERVER_REQUESTS; i++)
        tool_order_begin(&orders[i], &world.rig, world.tool, hover);
    assert_true(tool_order_wait(&orders[LSP_SERVER_REQUESTS], 5000));
    assert_string_equal(orders[LSP_SERVER_REQUESTS].type, "unavailable");
    for (int i = 0; i < LSP_SERVER_REQUESTS; i++)
        tool_order_cancel(&orders[i]);
    for (int i = 0; i <= LSP_SERVER_REQUESTS; i++) {
        assert_true(tool_order_wait(&orders[i], 5000));
        tool_order_free(&orders[i]);
    }
}

static void
test_servers_are_answered(void **state)
{
    static const char *const answers[] = {"[null,null]", "[{\"uri\":\"file:///",
                                          "{\"applied\":false}", "null",
                                          "{\"code\":-32601,"};
    struct tool_order_rig order = {0};

    (void) state;
    fake_make("pulls");
    file_write("a.c", "x");
    assert_non_null(ask(&order, "{\"operation\":\"diagnostics\","
                                "\"file_path\":\"a.c\"}"));
    for (size_t i = 0; i < 5; i++) {
        const char *said = text_of(result_at(&order, i), "message");

        /* A null result is told as its error, which there is none of. */
        if (i != 3)
            assert_int_equal(strncmp(said, answers[i], strlen(answers[i])), 0);
    }
    tool_order_free(&order);
}

static void
test_places_outside_the_root_are_marked(void **state)
{
    struct tool_order_rig order = {0};

    (void) state;
    fake_make("plain");
    file_write("a.c", "x");
    assert_non_null(
        ask(&order, "{\"operation\":\"workspaceSymbol\",\"query\":\"Q\"}"));
    assert_string_equal(text_of(result_at(&order, 0), "name"), "Q");
    assert_string_equal(text_of(result_at(&order, 0), "file_path"),
                        "/usr/include/x.h");
    assert_true(
        json_is_true(json_object_get(result_at(&order, 0), "outside_root")));
    tool_order_free(&order);
}

/* --- the configuration's words */

static void
test_commands(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"c: clangd", true},
        {"c,h,c++ :clangd", false},
        {"c,h,c++:clangd", true},
        {"c, h: clangd", false},
        {": clangd", false},
        {"clangd", false},
        {"c:", false},
        {"c:   ", false},
        {"c,: clangd", false},
        {"", false},
        {".c: clangd", false},
        {"c:\ta\t b ", true},
    };
    static const char *const wrapper[] = {"box", "--", NULL};
    struct lsp_command command;

    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(lsp_command_fault(rows[i].text) == NULL, rows[i].good);
        assert_int_equal(lsp_command_read(&command, rows[i].text, NULL),
                         rows[i].good ? 0 : UV_EINVAL);
        if (rows[i].good)
            lsp_command_deinit(&command);
    }
    assert_int_equal(lsp_command_read(&command, "c,Hpp: a  b\tc ", wrapper), 0);
    assert_string_equal(command.argv[0], "box");
    assert_string_equal(command.argv[2], "a");
    assert_string_equal(command.argv[4], "c");
    assert_null(command.argv[5]);
    assert_true(lsp_command_takes(&command, "x/y.c"));
    assert_true(lsp_command_takes(&command, "y.HPP"));
    assert_false(lsp_command_takes(&command, "y.hp"));
    assert_false(lsp_command_takes(&command, "y.hppp"));
    assert_false(lsp_command_takes(&command, "a.c/y"));
    assert_false(lsp_command_takes(&command, "y."));
    assert_false(lsp_command_takes(&command, "y"));
    lsp_command_deinit(&command);
}

#define WORLD_TEST(f)                                                          \
    cmocka_unit_test_setup_teardown(f, world_open, world_close)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_clangd_answers_every_operation),
        WORLD_TEST(test_clangd_sees_files_change),
        WORLD_TEST(test_clangd_sees_a_header_change),
        WORLD_TEST(test_clangd_comes_back),
        WORLD_TEST(test_paths_stay_in_the_root),
        WORLD_TEST(test_files_too_large_are_refused),
        WORLD_TEST(test_documents_are_as_their_files),
        WORLD_TEST(test_documents_have_a_cap),
        WORLD_TEST(test_documents_of_a_server_that_ended),
        WORLD_TEST(test_servers_that_end_are_started_again),
        WORLD_TEST(test_servers_that_refuse),
        WORLD_TEST(test_servers_that_are_not_there),
        WORLD_TEST(test_servers_that_err),
        WORLD_TEST(test_cancelled_questions_end_at_once),
        WORLD_TEST(test_questions_have_a_cap),
        WORLD_TEST(test_servers_are_answered),
        WORLD_TEST(test_places_outside_the_root_are_marked),
        cmocka_unit_test(test_commands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

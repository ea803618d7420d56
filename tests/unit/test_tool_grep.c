/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_grep.h"

#include "base/clock.h"
#include "kit/file_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RACES 500

static struct file_rig rig;
static struct tool *tool;
static struct file_rig_result result;

static void
call(const char *arguments)
{
    const struct file_rig_call c = {.tool = tool, .arguments = arguments};

    file_rig_result_deinit(&result);
    file_rig_run(&c, &result);
}

static long long
number_of(const char *name)
{
    if (!result.output)
        fail_msg("%s: %s", result.type, result.error);
    return json_integer_value(json_object_get(result.output, name));
}

static void
found_append(char *text, size_t room, const json_t *object)
{
    size_t at, bytes = strlen(text);
    const char *name;
    json_t *value;

    json_array_foreach(json_object_get(object, "results"), at, value) bytes +=
        (size_t) snprintf(
            text + bytes, room - bytes, "%s:%lld:%s\n",
            json_string_value(json_object_get(value, "file")),
            json_integer_value(json_object_get(value, "line_number")),
            json_string_value(json_object_get(value, "content")));
    json_array_foreach(json_object_get(object, "files"), at, value) bytes +=
        (size_t) snprintf(text + bytes, room - bytes, "%s\n",
                          json_string_value(value));
    json_object_foreach(json_object_get(object, "counts"), name, value) bytes +=
        (size_t) snprintf(text + bytes, room - bytes, "%s:%lld\n", name,
                          json_integer_value(value));
}

/* As rg would print it. */
static const char *
found(const char *arguments)
{
    static char text[1 << 20];

    call(arguments);
    if (!result.output)
        fail_msg("%s: %s", result.type, result.error);
    text[0] = 0;
    found_append(text, sizeof(text), result.output);
    return text;
}

static void
assert_failed(const char *arguments, const char *type)
{
    call(arguments);
    if (result.output || strcmp(result.type, type) != 0)
        fail_msg("%s: %s %s", arguments, result.type, result.error);
}

static int
setup(void **state)
{
    (void) state;
    file_rig_init(&rig);
    file_rig_write(&rig, "a.c", "int main\nint two\nlast INT\n");
    file_rig_write(&rig, "sub/b.h", "no\nint x;\nmore\nint y;\nend");
    file_rig_write(&rig, "sub/c.py", "# int\n");
    file_rig_write(&rig, "sub/crlf", "one\r\nint\r\n");
    file_rig_write(&rig, "sub/.hidden", "int\n");
    file_rig_write(&rig, "ignored/d.c", "int\n");
    file_rig_write(&rig, ".ignore", "ignored\n");
    file_rig_write_bytes(&rig, "binary", "int\0int\n", 8);
    return tool_grep_create(&tool, &(struct tool_file_config){rig.root});
}

static int
teardown(void **state)
{
    (void) state;
    tool_unref(&tool);
    file_rig_deinit(&rig);
    return 0;
}

static void
test_r3_1_modes(void **state)
{
    (void) state;
    assert_string_equal(found("{'pattern':'int'}"),
                        "a.c\nsub/b.h\nsub/c.py\nsub/crlf\n");
    assert_int_equal(number_of("total_matches"), 4);
    assert_int_equal(number_of("matches_count"), 4);
    assert_true(json_is_false(json_object_get(result.output, "truncated")));
    assert_string_equal(found("{'pattern':'int','output_mode':'content'}"),
                        "a.c:1:int main\na.c:2:int two\nsub/b.h:2:int x;\n"
                        "sub/b.h:4:int y;\nsub/c.py:1:# int\n"
                        "sub/crlf:2:int\n");
    assert_int_equal(number_of("total_matches"), 6);
    assert_string_equal(
        found("{'pattern':'int','output_mode':'count','path':'sub'}"),
        "sub/b.h:2\nsub/c.py:1\nsub/crlf:1\n");
    assert_int_equal(number_of("total_matches"), 4);
    assert_string_equal(found("{'pattern':'nowhere','output_mode':'content'}"),
                        "");
    assert_int_equal(number_of("total_matches"), 0);
}

static void
test_r3_1_expressions(void **state)
{
    (void) state;
    assert_string_equal(
        found("{'pattern':'^int (main|two)$','output_mode':'content'}"),
        "a.c:1:int main\na.c:2:int two\n");
    assert_string_equal(
        found("{'pattern':'INT$','-i':true,'output_mode':'content'}"),
        "a.c:3:last INT\nsub/c.py:1:# int\nsub/crlf:2:int\n");
    assert_string_equal(
        found("{'pattern':'x;\\\\nmore','output_mode':'content'}"), "");
    assert_string_equal(found("{'pattern':'x;.more','output_mode':'content',"
                              "'multiline':true}"),
                        "sub/b.h:2:int x;\nmore\n");
    assert_string_equal(found("{'pattern':'^int','output_mode':'count',"
                              "'multiline':true,'path':'sub/b.h'}"),
                        "sub/b.h:2\n");
    assert_string_equal(found("{'pattern':'\\\\bd$','output_mode':'content'}"),
                        "");
    assert_string_equal(found("{'pattern':'d$','output_mode':'content'}"),
                        "sub/b.h:5:end\n");
    assert_string_equal(
        found("{'pattern':'^$','path':'a.c','output_mode':'count'}"), "");
    assert_string_equal(found("{'pattern':'(?<=int )\\\\w','path':'a.c',"
                              "'output_mode':'count'}"),
                        "a.c:2\n");
    call("{'pattern':'int','path':'a.c','output_mode':'content','-n':false}");
    assert_null(json_object_get(
        json_array_get(json_object_get(result.output, "results"), 0),
        "line_number"));
}

static void
test_r3_1_filters(void **state)
{
    (void) state;
    assert_string_equal(found("{'pattern':'int','glob':'*.{c,h}'}"),
                        "a.c\nsub/b.h\n");
    assert_string_equal(found("{'pattern':'int','glob':'sub/*.h'}"),
                        "sub/b.h\n");
    assert_string_equal(found("{'pattern':'int','glob':'!*.h'}"),
                        "a.c\nsub/c.py\nsub/crlf\n");
    assert_string_equal(found("{'pattern':'int','glob':'!sub'}"), "a.c\n");
    assert_string_equal(found("{'pattern':'int','type':'python'}"),
                        "sub/c.py\n");
    assert_string_equal(found("{'pattern':'int','type':'c'}"),
                        "a.c\nsub/b.h\n");
    assert_string_equal(found("{'pattern':'int','include_ignored':true}"),
                        "a.c\nignored/d.c\nsub/.hidden\nsub/b.h\nsub/c.py\n"
                        "sub/crlf\n");
    assert_string_equal(found("{'pattern':'int','path':'ignored'}"),
                        "ignored/d.c\n");
    assert_string_equal(found("{'pattern':'int','path':'sub/.hidden'}"),
                        "sub/.hidden\n");
    assert_string_equal(found("{'pattern':'int','path':'binary'}"), "");
    assert_non_null(json_object_get(result.output, "warning"));
}

static void
test_r3_1_context(void **state)
{
    static const char *const expected[] = {
        "2 int x; 1",
        "3 more 0",
        "4 int y; 0",
        "1 no 0",
    };
    json_t *context, *line;
    char text[64];
    size_t at;

    (void) state;
    call("{'pattern':'x;','output_mode':'content','-A':2,'-B':5}");
    context = json_object_get(
        json_array_get(json_object_get(result.output, "results"), 0),
        "context");
    assert_int_equal(json_array_size(context), 4);
    json_array_foreach(context, at, line)
    {
        snprintf(text, sizeof(text), "%lld %s %d",
                 json_integer_value(json_object_get(line, "line_number")),
                 json_string_value(json_object_get(line, "content")),
                 json_is_true(json_object_get(line, "is_match")));
        assert_string_equal(text, expected[at ? at - 1 : 3]);
    }
    call("{'pattern':'end','output_mode':'content','-C':1}");
    context = json_object_get(
        json_array_get(json_object_get(result.output, "results"), 0),
        "context");
    assert_int_equal(json_array_size(context), 2);
}

static void
many_write(const char *name, unsigned lines)
{
    char *text = malloc(lines * 16 + 1);
    size_t bytes = 0;

    for (unsigned i = 1; i <= lines; i++)
        bytes += (size_t) sprintf(text + bytes, "match %u\n", i);
    file_rig_write_bytes(&rig, name, text, bytes);
    free(text);
}

static void
test_r4_2_limits(void **state)
{
    char name[32];

    (void) state;
    many_write("many/lines", 1000);
    call("{'pattern':'match','path':'many','output_mode':'content'}");
    assert_int_equal(number_of("matches_count"), 100);
    assert_int_equal(number_of("total_matches"), 1000);
    assert_true(result.truncated);
    assert_true(json_is_true(json_object_get(result.output, "results_capped")));
    assert_string_equal(found("{'pattern':'match','path':'many',"
                              "'output_mode':'content','offset':998,"
                              "'head_limit':50}"),
                        "many/lines:999:match 999\n"
                        "many/lines:1000:match 1000\n");
    assert_int_equal(number_of("total_matches"), 1000);
    assert_false(result.truncated);
    call("{'pattern':'match','path':'many','output_mode':'content',"
         "'head_limit':3}");
    assert_int_equal(number_of("matches_count"), 3);
    assert_true(result.truncated);
    /* 200 lines of content: 6 to 10 for the first five, then 11 each. */
    call("{'pattern':'match','path':'many','output_mode':'content','-C':5}");
    assert_int_equal(number_of("matches_count"), 19);
    for (int i = 0; i < 150; i++) {
        snprintf(name, sizeof(name), "files/%03d", i);
        file_rig_write(&rig, name, "match\nmatch\n");
    }
    call("{'pattern':'match','path':'files'}");
    assert_int_equal(number_of("matches_count"), 100);
    assert_int_equal(number_of("total_matches"), 150);
    call("{'pattern':'match','path':'files','output_mode':'count'}");
    assert_int_equal(number_of("matches_count"), 200);
    assert_int_equal(number_of("total_matches"), 300);
    assert_true(result.truncated);
}

static void
test_r4_2_long_lines(void **state)
{
    char *text = malloc(3000001);
    json_t *content;

    (void) state;
    for (int i = 0; i < 1000000; i++)
        memcpy(text + 3 * i, "\xe2\x82\xac", 3);
    memcpy(text + 600000, "abc", 3);
    memcpy(text + 2999990, "\nabc\n\0\0\0\0\0", 10);
    file_rig_write_bytes(&rig, "long", text, 2999995);
    call("{'pattern':'abc','path':'long','output_mode':'content'}");
    assert_int_equal(number_of("total_matches"), 2);
    content = json_object_get(
        json_array_get(json_object_get(result.output, "results"), 0),
        "content");
    assert_non_null(strstr(json_string_value(content), "abc"));
    assert_true(json_string_length(content) < 3100);
    assert_true(result.truncated);
    assert_int_equal(
        json_integer_value(json_object_get(
            json_array_get(json_object_get(result.output, "results"), 1),
            "line_number")),
        2);
    call("{'pattern':'a[b]c','path':'long','output_mode':'content'}");
    assert_int_equal(number_of("total_matches"), 2);
    free(text);
}

static void
test_r3_4_pages(void **state)
{
    static char text[1 << 16];
    struct file_rig_call c = {
        .tool = tool,
        .arguments = "{'pattern':'match','path':'paged',"
                     "'output_mode':'content'}",
        .wants_pages = true,
    };
    json_t *page;
    size_t at;

    (void) state;
    many_write("paged", 137);
    file_rig_result_deinit(&result);
    file_rig_run(&c, &result);
    assert_int_equal(json_array_size(result.pages), 14);
    json_array_foreach(result.pages, at, page)
    {
        assert_int_equal(json_array_size(json_object_get(page, "results")),
                         at == 13 ? 7 : 10);
        assert_int_equal(json_integer_value(json_object_get(page, "page")),
                         at + 1);
        found_append(text, sizeof(text), page);
    }
    assert_non_null(strstr(text, "paged:137:match 137\n"));
    assert_int_equal(number_of("total_matches"), 137);
    assert_int_equal(number_of("pages"), 14);
    assert_null(json_object_get(result.output, "results"));
    c.cancel_after = 3;
    file_rig_result_deinit(&result);
    file_rig_run(&c, &result);
    assert_int_equal(json_array_size(result.pages), 3);
    assert_string_equal(result.type, "cancelled");
    c.cancel_after = 0;
    c.arguments = "{'pattern':'match','path':'paged','head_limit':15,"
                  "'output_mode':'content','offset':100}";
    file_rig_result_deinit(&result);
    file_rig_run(&c, &result);
    assert_int_equal(json_array_size(result.pages), 2);
    assert_int_equal(number_of("matches_count"), 15);
    assert_int_equal(number_of("total_matches"), 137);
    c.arguments = "{'pattern':'nothing','path':'paged'}";
    file_rig_result_deinit(&result);
    file_rig_run(&c, &result);
    assert_int_equal(json_array_size(result.pages), 0);
    assert_int_equal(number_of("total_matches"), 0);
}

/* --- as ripgrep, on this tree's own sources */

static int
compare(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Its lines, sorted. */
static char *
sorted(char *text)
{
    static char *lines[1 << 17];
    size_t count = 0, bytes = strlen(text);
    char *out = malloc(bytes + 2), *at = out;

    for (char *line = text; *line; line += strlen(line) + 1) {
        lines[count++] = line;
        *strchr(line, '\n') = 0;
    }
    qsort(lines, count, sizeof(*lines), compare);
    for (size_t i = 0; i < count; i++)
        at += sprintf(at, "%s\n", lines[i]);
    *at = 0;
    return out;
}

static char *
ripgrep(const char *options)
{
    char command[512], *text = calloc(1, 1 << 23);

    snprintf(command, sizeof(command),
             "rg --no-config --no-heading --no-require-git %s", options);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_true(fread(text, 1, (1 << 23) - 1, pipe) < (1 << 23) - 1);
    assert_int_equal(pclose(pipe), 0);
    return text;
}

static char *
ours(struct tool *of_tree, const char *arguments)
{
    const struct file_rig_call c = {
        .tool = of_tree, .arguments = arguments, .wants_pages = true};
    char *text = calloc(1, 1 << 23);
    json_t *page;
    size_t at;

    file_rig_result_deinit(&result);
    file_rig_run(&c, &result);
    if (!result.output)
        fail_msg("%s: %s", arguments, result.error);
    json_array_foreach(result.pages, at, page)
        found_append(text + strlen(text), (1 << 23) - strlen(text), page);
    return text;
}

static void
test_r3_1_as_ripgrep(void **state)
{
    static const struct {
        const char *options, *arguments;
    } cases[] = {
        {"-n json_t backend",
         "'pattern':'json_t','path':'backend','output_mode':'content'"},
        {"-n '^static int$' backend",
         "'pattern':'^static int$','path':'backend','output_mode':'content'"},
        {"-n -i 'ERROR[_ ](text|say)' backend",
         "'pattern':'ERROR[_ ](text|say)','-i':true,'path':'backend',"
         "'output_mode':'content'"},
        {"-n '\\bw[aeiou]\\w+k\\b' backend docs",
         "'pattern':'\\\\bw[aeiou]\\\\w+k\\\\b','glob':'{backend,docs}/**',"
         "'output_mode':'content'"},
        {"-n '─►' backend docs", "'pattern':'─►','glob':'{backend,docs}/**',"
                                 "'output_mode':'content'"},
        {"-n '[^\\x00-\\x7f]$' backend",
         "'pattern':'[^\\\\x00-\\\\x7f]$','path':'backend',"
         "'output_mode':'content'"},
        {"-n '^$' backend/codec",
         "'pattern':'^$','path':'backend/codec','output_mode':'content'"},
        {"-c struct backend",
         "'pattern':'struct','path':'backend','output_mode':'count'"},
        {"-l -t c memcpy backend",
         "'pattern':'memcpy','path':'backend','type':'c'"},
        {"-l -g '*.h' -g '!backend/gate' uint64_t backend",
         "'pattern':'uint64_t','path':'backend','glob':"
         "'{api,base,codec,main,model,service,session,speech_plugin,tools,"
         "voicectl}/*.h'"},
        {"-l -U --multiline-dotall 'static int\\n\\w+_read' backend",
         "'pattern':'static int\\\\n\\\\w+_read','path':'backend',"
         "'multiline':true"},
    };
    struct tool_root *root;
    struct tool *of_tree;
    char arguments[512];

    (void) state;
    assert_int_equal(tool_root_open(&root, "."), 0);
    assert_int_equal(
        tool_grep_create(&of_tree, &(struct tool_file_config){root}), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        snprintf(arguments, sizeof(arguments), "{%s}", cases[i].arguments);
        char *mine = ours(of_tree, arguments);
        char *theirs = ripgrep(cases[i].options);
        char *a = sorted(mine), *b = sorted(theirs);

        if (strcmp(a, b) != 0) {
            size_t at = 0;

            while (a[at] && a[at] == b[at])
                at++;
            fail_msg("rg %s\nours: %.200s\nrg: %.200s", cases[i].options,
                     a + (at > 80 ? at - 80 : 0), b + (at > 80 ? at - 80 : 0));
        }
        free(mine);
        free(theirs);
        free(a);
        free(b);
    }
    tool_unref(&of_tree);
    tool_root_close(&root);
}

/* Patterns whose work has no end: an answer, in bounded time. */
static void
test_catastrophes(void **state)
{
    static const char *const patterns[] = {
        "(a+)+$",
        "(a|aa)+$",
        "(a*)*b",
        "(.*)*x",
        "(a|a|a)*[bc]d",
        "(?:a?){30}a{30}c",
        "((a+)*)*[bd]",
        "^(([a-z])+.)+[A-Z]$",
        "(?R)*a|a(?R)",
        "(a(?1)?){1,}b",
        "\\\\w*\\\\w*\\\\w*\\\\w*[!]",
        "(x+x+)+y|(.+)*[^a]$",
    };
    char *text = malloc(400001), arguments[256];

    (void) state;
    memset(text, 'a', 400000);
    for (int i = 40; i < 200000; i += 41)
        text[i] = '\n';
    file_rig_write_bytes(&rig, "aaa", text, 400000);
    for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
        for (int multiline = 0; multiline < 2; multiline++) {
            uint64_t begun_ms = clock_now_ms();

            snprintf(arguments, sizeof(arguments),
                     "{'pattern':'%s','path':'aaa','output_mode':'content',"
                     "'multiline':%s}",
                     patterns[i], multiline ? "true" : "false");
            const struct file_rig_call c = {
                .tool = tool, .arguments = arguments, .timeout_ms = 2000};
            file_rig_result_deinit(&result);
            file_rig_run(&c, &result);
            if (result.output ? 0 : strcmp(result.type, "invalid_arguments"))
                fail_msg("%s: %s", arguments, result.error);
            /* Of a machine with much else to do. */
            assert_true(clock_now_ms() - begun_ms < 20000);
        }
    free(text);
}

static void
test_refused(void **state)
{
    (void) state;
    assert_failed("{'pattern':'(a'}", "invalid_arguments");
    assert_non_null(strstr(result.error, "parenthes"));
    assert_failed("{'pattern':'[z-a]'}", "invalid_arguments");
    assert_failed("{'pattern':'\\\\C'}", "invalid_arguments");
    assert_failed("{'pattern':'(((a{1000}){1000}){1000})'}",
                  "invalid_arguments");
    assert_failed("{'pattern':'a','type':'klingon'}", "invalid_arguments");
    assert_failed("{'pattern':'a','glob':'[a'}", "invalid_arguments");
    assert_failed("{'pattern':'a','path':'none'}", "not_found");
    assert_failed("{'pattern':'a','path':'../root'}", "denied");
    assert_failed("{'pattern':'a','path':'/etc/passwd'}", "denied");
    assert_failed("{'pattern':'a','path':'/proc'}", "denied");
    assert_int_equal(mkfifo(file_rig_at(&rig, "root/fifo"), 0600), 0);
    assert_failed("{'pattern':'a','path':'fifo'}", "invalid_arguments");
    assert_string_equal(found("{'pattern':'main'}"), "a.c\n");
    assert_int_equal(symlink("/etc", file_rig_at(&rig, "root/etc")), 0);
    assert_string_equal(found("{'pattern':'root:'}"), "");
    assert_failed("{'pattern':'root:','path':'etc/passwd'}", "denied");
    file_rig_write_bytes(&rig, "odd\xff", "odd\xff name\n", 10);
    assert_string_equal(found("{'pattern':'odd.','output_mode':'content'}"),
                        "odd?:1:odd? name\n");
}

static atomic_bool is_over;

/* A directory of the root's and a link out of it take turns at one name, and so
 * do a file and a link. */
static void *
on_swapper(void *arg)
{
    while (!atomic_load(&is_over))
        for (int i = 0; i < 2; i++) {
            char place[128], inside[128], outside[128];
            const char *name = i ? "race/file" : "race/dir";

            snprintf(place, sizeof(place), "%s/root/%s", rig.base, name);
            snprintf(inside, sizeof(inside), "%s/%s.in", rig.base, name + 5);
            snprintf(outside, sizeof(outside), "%s/%s.out", rig.base, name + 5);
            rename(place, inside);
            rename(outside, place);
            rename(place, outside);
            rename(inside, place);
        }
    return arg;
}

static void
test_swapped_names_lead_nowhere(void **state)
{
    char path[256];
    pthread_t thread;

    (void) state;
    file_rig_write(&rig, "race/dir/x", "inside\n");
    file_rig_write(&rig, "race/file", "inside\n");
    assert_int_equal(mkdir(file_rig_at(&rig, "secrets"), 0700), 0);
    file_rig_write(&rig, "../secrets/x", "secret\n");
    snprintf(path, sizeof(path), "%s/secrets", rig.base);
    assert_int_equal(symlink(path, file_rig_at(&rig, "dir.out")), 0);
    snprintf(path, sizeof(path), "%s/secrets/x", rig.base);
    assert_int_equal(symlink(path, file_rig_at(&rig, "file.out")), 0);
    pthread_create(&thread, NULL, on_swapper, NULL);
    for (int i = 0; i < RACES; i++) {
        assert_string_equal(found("{'pattern':'secret','path':'race'}"), "");
        call("{'pattern':'secret','path':'race/dir'}");
        assert_int_equal(
            json_array_size(json_object_get(result.output, "files")), 0);
        call("{'pattern':'secret','path':'race/file'}");
        assert_int_equal(
            json_array_size(json_object_get(result.output, "files")), 0);
    }
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
}

static void
test_huge(void **state)
{
    int fd = open(file_rig_at(&rig, "root/sparse"), O_CREAT | O_RDWR, 0600);
    struct file_rig_call c = {.tool = tool,
                              .arguments = "{'pattern':'x','path':'sparse'}",
                              .timeout_ms = 5000};

    (void) state;
    assert_int_equal(ftruncate(fd, (off_t) 1 << 40), 0);
    file_rig_result_deinit(&result);
    file_rig_run(&c, &result);
    assert_int_equal(number_of("total_matches"), 0);
    c.arguments = "{'pattern':'x'}";
    file_rig_result_deinit(&result);
    file_rig_run(&c, &result);
    assert_non_null(result.output);
    c.is_cancelled = true;
    file_rig_result_deinit(&result);
    file_rig_run(&c, &result);
    assert_string_equal(result.type, "cancelled");
    close(fd);
    assert_int_equal(unlink(file_rig_at(&rig, "root/sparse")), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_r3_1_modes),
        cmocka_unit_test(test_r3_1_expressions),
        cmocka_unit_test(test_r3_1_filters),
        cmocka_unit_test(test_r3_1_context),
        cmocka_unit_test(test_r4_2_limits),
        cmocka_unit_test(test_r4_2_long_lines),
        cmocka_unit_test(test_r3_4_pages),
        cmocka_unit_test(test_r3_1_as_ripgrep),
        cmocka_unit_test(test_catastrophes),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_swapped_names_lead_nowhere),
        cmocka_unit_test(test_huge),
    };
    int failed = cmocka_run_group_tests(tests, setup, teardown);

    file_rig_result_deinit(&result);
    return failed;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/tool_registry.h"

#include "service/tool_meter.h"
#include "tools/tool_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define OBJECT "{\"type\":\"object\",\"properties\":{}}"
#define SWAPS  300

static struct tool_registry *registry;
static atomic_int alive; /* tools */
static unsigned told;

/* --- tools that are only there */

static enum tool_step
on_work(struct tool *tool, struct tool_run *run)
{
    (void) tool;
    tool_run_succeed(run, json_object());
    return TOOL_STEP_DONE;
}

static void
on_start(struct tool *tool, struct tool_run *run)
{
    (void) on_work(tool, run);
}

static int
on_stamp(struct tool *tool, const json_t *arguments, struct tool_stamp *stamp)
{
    (void) tool;
    (void) arguments;
    *stamp = (struct tool_stamp){{1}};
    return 0;
}

static void
on_destroy(struct tool *tool)
{
    tool_deinit(tool);
    free(tool);
    atomic_fetch_sub(&alive, 1);
}

static const struct tool_ops ops = {.work = on_work, .destroy = on_destroy};

static const struct tool_spec spec = {.name = "x",
                                      .description = "Does.",
                                      .parameters = OBJECT,
                                      .timeout_ms = 1000};

static struct tool *
make(const char *name, const char *description)
{
    struct tool *tool = calloc(1, sizeof(*tool));
    struct tool_spec own = spec;

    own.name = name;
    own.description = description;
    assert_non_null(tool);
    assert_int_equal(tool_init(tool, &ops, &own), 0);
    atomic_fetch_add(&alive, 1);
    return tool;
}

static int
add(const char *name)
{
    struct tool *tool = make(name, "Built in.");
    int result = tool_registry_add(registry, &tool);

    assert_null(tool);
    return result;
}

static int
setup(void **state)
{
    (void) state;
    told = 0;
    return tool_registry_create(&registry);
}

static int
teardown(void **state)
{
    (void) state;
    tool_registry_destroy(&registry);
    assert_int_equal(atomic_load(&alive), 0);
    return 0;
}

static void
definitions_are(const struct policy_names *names, const char *expected)
{
    size_t count;
    struct tool_value *text =
        tool_registry_definitions(registry, names, &count);
    json_t *tree;

    assert_non_null(text);
    assert_string_equal(text->text, expected);
    tree = json_loads(text->text, 0, NULL);
    assert_int_equal(json_array_size(tree), count);
    json_decref(tree);
    tool_value_unref(text);
}

#define DEFINITION(name, description)                                          \
    "{\"type\":\"function\",\"name\":\"" name                                  \
    "\",\"description\":\"" description "\",\"parameters\":" OBJECT "}"

/* --- tools */

static int
init(const struct tool_ops *with, struct tool_spec own)
{
    struct tool tool = {0};
    int result = tool_init(&tool, with, &own);

    if (!result)
        tool_deinit(&tool);
    return result;
}

static void
test_what_is_no_tool(void **state)
{
    char name[TOOL_NAME_MAX + 2], text[TOOL_DESCRIPTION_MAX + 2];
    struct tool_ops some = ops;
    struct tool_spec bad;

    (void) state;
    memset(name, 'n', sizeof(name));
    memset(text, 't', sizeof(text));
    name[TOOL_NAME_MAX] = text[TOOL_DESCRIPTION_MAX] = '\0';
    bad = spec;
    bad.name = name;
    bad.description = text;
    bad.max_bytes = TOOL_BYTES_MAX;
    assert_int_equal(init(&ops, bad), 0);
    name[TOOL_NAME_MAX] = 'n';
    name[TOOL_NAME_MAX + 1] = '\0';
    assert_int_equal(init(&ops, bad), UV_EINVAL);
    static const char *const names[] = {NULL, "", "a b", "a.b", "a\"", "\xc3"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        bad = spec;
        bad.name = names[i];
        assert_int_equal(init(&ops, bad), UV_EINVAL);
    }
    static const char *const schemas[] = {
        NULL, "", "[]", "{", "{\"a\":1,}", "{\"a\":1,\"a\":2}"};
    for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++) {
        bad = spec;
        bad.parameters = schemas[i];
        assert_int_equal(init(&ops, bad), UV_EINVAL);
    }
    text[TOOL_DESCRIPTION_MAX] = 't';
    text[TOOL_DESCRIPTION_MAX + 1] = '\0';
    bad = spec;
    bad.description = text;
    assert_int_equal(init(&ops, bad), UV_EINVAL);
    bad = spec;
    bad.timeout_ms = 0;
    assert_int_equal(init(&ops, bad), UV_EINVAL);
    bad = spec;
    bad.domain = TOOL_DOMAIN_END;
    assert_int_equal(init(&ops, bad), UV_EINVAL);
    bad = spec;
    bad.max_bytes = TOOL_BYTES_MAX + 1;
    assert_int_equal(init(&ops, bad), UV_EINVAL);

    some.start = on_start; /* both */
    assert_int_equal(init(&some, spec), UV_EINVAL);
    some.work = NULL;
    assert_int_equal(init(&some, spec), 0);
    bad = spec;
    bad.flags = TOOL_PAGES;
    assert_int_equal(init(&some, bad), UV_EINVAL);
    bad.flags = TOOL_AT_ONCE;
    assert_int_equal(init(&some, bad), UV_EINVAL);
    bad.flags = TOOL_STAMPED;
    assert_int_equal(init(&some, bad), UV_EINVAL);
    some.stamp = on_stamp;
    assert_int_equal(init(&some, bad), 0);
    some.start = NULL; /* neither */
    assert_int_equal(init(&some, spec), UV_EINVAL);
}

/* --- runs */

struct end {
    unsigned count;
    char error[64], type[16];
    bool succeeded;
};

static void
on_finished(void *arg, struct tool_result *result)
{
    struct end *end = arg;

    end->count++;
    end->succeeded = result->output != NULL;
    snprintf(end->error, sizeof(end->error), "%s",
             result->error ? result->error : "");
    snprintf(end->type, sizeof(end->type), "%s",
             result->type ? result->type : "");
    json_decref(result->output);
}

static int
on_page(void *arg, json_t *page)
{
    (void) arg;
    json_decref(page);
    return 0;
}

static unsigned released;

static void
on_release(void *kept)
{
    assert_ptr_equal(kept, &released);
    released++;
}

static void
test_runs(void **state)
{
    static const struct tool_run_handlers handlers = {
        .on_page = on_page, .on_finished = on_finished};
    json_t *arguments = json_pack(
        "{s:s%, s:i, s:f, s:f, s:f, s:b, s:n}", "text", "a\0b", (size_t) 3, "n",
        7, "real", 2.9, "huge", 1e300, "low", -1e300, "yes", 1, "null");
    const struct tool_run_config cfg = {.id = "run_1", .arguments = arguments};
    struct tool_run run;
    struct end end = {0};
    size_t bytes;

    (void) state;
    tool_run_init(&run, &cfg, &handlers, &end);
    assert_memory_equal(tool_run_text(&run, "text", &bytes), "a\0b", 4);
    assert_int_equal(bytes, 3);
    assert_null(tool_run_text(&run, "n", &bytes));
    assert_null(tool_run_text(&run, "none", &bytes));
    assert_int_equal(bytes, 0);
    assert_int_equal(tool_run_integer(&run, "n", -1), 7);
    assert_int_equal(tool_run_integer(&run, "real", -1), 2);
    assert_true(tool_run_integer(&run, "huge", -1) == INT64_MAX);
    assert_true(tool_run_integer(&run, "low", -1) == INT64_MIN);
    assert_int_equal(tool_run_integer(&run, "null", -1), -1);
    assert_true(tool_run_boolean(&run, "yes", false));
    assert_true(tool_run_boolean(&run, "n", true));
    assert_int_equal(tool_run_page(&run, NULL), UV_ENOMEM);
    assert_int_equal(tool_run_page(&run, json_object()), 0);
    tool_run_keep(&run, &released, on_release);
    tool_run_keep(&run, &released, on_release);
    assert_int_equal(released, 0);
    tool_run_progress(&run, 1, 2, NULL); /* nobody listens */
    tool_run_acknowledge(&run, json_object());
    tool_run_cancel(&run);
    assert_true(tool_run_is_cancelled(&run));
    assert_int_equal(tool_run_page(&run, json_object()), UV_ECANCELED);
    tool_run_fail(&run, "denied", "%s is not for %d", "it", 5);
    assert_string_equal(end.error, "it is not for 5");
    assert_string_equal(end.type, "denied");
    tool_run_succeed(&run, json_object()); /* too late, logged */
    assert_int_equal(end.count, 1);
    tool_run_deinit(&run);
    assert_int_equal(released, 1);

    tool_run_init(&run, &cfg, &handlers, &end);
    tool_run_succeed(&run, NULL);
    assert_false(end.succeeded);
    assert_string_equal(end.type, "failed");
    tool_run_deinit(&run);
    json_decref(arguments);
}

/* --- the registry */

static void
on_changed(void *arg)
{
    assert_ptr_equal(arg, &told);
    told++;
}

static void
test_r6_4_definitions_are_the_same_bytes(void **state)
{
    char *items[] = {"b", "nothing", "a"};
    const struct policy_names two = {.items = items, .count = 3};
    const struct policy_names none = {0};

    (void) state;
    definitions_are(NULL, "[]");
    assert_int_equal(add("b"), 0);
    assert_int_equal(add("c"), 0);
    assert_int_equal(add("a"), 0);
    definitions_are(NULL,
                    "[" DEFINITION("a", "Built in.") "," DEFINITION(
                        "b", "Built in.") "," DEFINITION("c", "Built in.") "]");
    definitions_are(&two, "[" DEFINITION("a", "Built in.") "," DEFINITION(
                              "b", "Built in.") "]");
    definitions_are(&none, "[]");
    struct tool_value *first = tool_registry_definitions(registry, &two, NULL);
    struct tool_value *again = tool_registry_definitions(registry, &two, NULL);
    assert_ptr_equal(first, again); /* made once */
    assert_int_equal(add("d"), 0);
    tool_value_unref(again);
    again = tool_registry_definitions(registry, &two, NULL);
    assert_ptr_not_equal(first, again);
    assert_string_equal(first->text, again->text);
    tool_value_unref(first);
    tool_value_unref(again);
    for (unsigned i = 0; i < 100; i++) { /* more sets than are kept */
        char name[16];
        char *one[] = {name};
        const struct policy_names set = {.items = one, .count = 1};

        snprintf(name, sizeof(name), "n%u", i);
        definitions_are(&set, "[]");
    }
    definitions_are(&two, "[" DEFINITION("a", "Built in.") "," DEFINITION(
                              "b", "Built in.") "]");
}

static void
test_groups(void **state)
{
    struct tool *tools[TOOL_REGISTRY_MAX + 5];
    unsigned refused;
    char name[32];

    (void) state;
    tool_registry_watch(registry, on_changed, &told);
    assert_int_equal(add("a"), 0);
    assert_int_equal(add("a"), UV_EEXIST);
    assert_int_equal(told, 1);
    uint64_t version = tool_registry_version(registry);
    tools[0] = make("r_1", "Remote.");
    tools[1] = make("a", "Of that name there is one.");
    tools[2] = make("r_0", "Remote.");
    tools[3] = make("r_0", "Twice.");
    assert_int_equal(tool_registry_replace(registry, "r", tools, 4, &refused),
                     0);
    assert_int_equal(refused, 2);
    assert_null(tools[0]);
    assert_true(tool_registry_version(registry) > version);
    assert_int_equal(tool_registry_count(registry), 3);
    assert_int_equal(told, 2);
    definitions_are(NULL,
                    "[" DEFINITION("a", "Built in.") "," DEFINITION(
                        "r_0", "Remote.") "," DEFINITION("r_1", "Remote.") "]");
    struct tool *held = tool_registry_get(registry, "r_1");
    assert_non_null(held);
    assert_null(tool_registry_get(registry, "r_2"));
    assert_null(tool_registry_get(registry, ""));

    tools[0] = make("s_0", "Another's.");
    tools[1] = make("r_0", "Another's.");
    assert_int_equal(tool_registry_replace(registry, "s", tools, 2, &refused),
                     0);
    assert_int_equal(refused, 1);
    tools[0] = make("r_0", "Now so.");
    assert_int_equal(tool_registry_replace(registry, "r", tools, 1, NULL), 0);
    assert_int_equal(tool_registry_count(registry), 3);
    assert_string_equal(held->spec.name, "r_1"); /* while it is held */
    tool_unref(&held);
    assert_int_equal(tool_registry_replace(registry, "s", NULL, 0, NULL), 0);
    definitions_are(NULL, "[" DEFINITION("a", "Built in.") "," DEFINITION(
                              "r_0", "Now so.") "]");

    for (unsigned i = 0; i < TOOL_REGISTRY_MAX + 5; i++) {
        snprintf(name, sizeof(name), "many_%u", i);
        tools[i] = make(name, "One of many.");
    }
    assert_int_equal(tool_registry_replace(registry, "m", tools,
                                           TOOL_REGISTRY_MAX + 5, &refused),
                     0);
    assert_int_equal(refused, 7);
    assert_int_equal(tool_registry_count(registry), TOOL_REGISTRY_MAX);
    assert_int_equal(add("z"), UV_ENOSPC);
    tool_registry_watch(registry, NULL, NULL);
    unsigned before = told;
    assert_int_equal(tool_registry_replace(registry, "m", NULL, 0, NULL), 0);
    assert_int_equal(told, before);
}

/* --- from several threads */

static atomic_bool over;

static void *
swap_thread(void *arg)
{
    const char *group = arg;

    for (unsigned i = 0; i < SWAPS; i++) {
        struct tool *tools[2] = {make(group, "Comes and goes."), NULL};

        assert_int_equal(
            tool_registry_replace(registry, group, tools, i % 2, NULL), 0);
        if (tools[0])
            tool_unref(&tools[0]);
    }
    atomic_store(&over, true);
    return NULL;
}

static void *
look_thread(void *arg)
{
    (void) arg;
    while (!atomic_load(&over)) {
        struct tool *tool = tool_registry_get(registry, "left");
        struct tool_value *text =
            tool_registry_definitions(registry, NULL, NULL);

        assert_non_null(text);
        assert_int_equal(text->text[text->bytes - 1], ']');
        tool_value_unref(text);
        if (tool) {
            assert_string_equal(tool->spec.name, "left");
            tool_unref(&tool);
        }
    }
    return NULL;
}

static void
test_many_threads(void **state)
{
    pthread_t swaps[2], looks[2];

    (void) state;
    atomic_store(&over, false);
    for (int i = 0; i < 2; i++) {
        pthread_create(&swaps[i], NULL, swap_thread, i ? "left" : "right");
        pthread_create(&looks[i], NULL, look_thread, NULL);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(swaps[i], NULL);
        pthread_join(looks[i], NULL);
    }
}

/* --- meters */

static void
test_r7_1_meters(void **state)
{
    struct tool_meter *first = tool_meter_get("meter_0"), *last = NULL;
    char name[32];

    (void) state;
    assert_ptr_equal(first, tool_meter_get("meter_0"));
    for (unsigned i = 1; i < TOOL_METERS + 10; i++) {
        snprintf(name, sizeof(name), "meter_%u", i);
        last = tool_meter_get(name);
        assert_non_null(last);
    }
    assert_ptr_equal(last, tool_meter_get("yet another"));
    assert_ptr_not_equal(first, last);
    tool_meter_ran(last, 1000, false);
    tool_meter_hit(last);
    tool_meter_missed(last);
    tool_meter_ran(NULL, 1, true);
    tool_meter_hit(NULL);
    tool_meter_missed(NULL);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_r7_1_meters), /* before there are many */
        cmocka_unit_test(test_what_is_no_tool),
        cmocka_unit_test(test_runs),
        TEST(test_r6_4_definitions_are_the_same_bytes),
        TEST(test_groups),
        TEST(test_many_threads),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */

/* No tenant has all the places over HTTP, whatever its callers do. */

#include "kit/fake_tool.h"

#include "service/tool_share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HALF        (RUNNING / 2)
#define HALF_OF_ALL ((RUNNING + WAITING) / 2)

static struct fake *
plain_add(const char *name, const struct tool_ops *ops, unsigned flags)
{
    struct tool_spec plain = fake_spec_of_read;

    plain.ttl_ms = 0;
    plain.flags = flags;
    return fake_add(name, ops, plain);
}

static void
order_of(struct caller *c, const char *tenant, const char *name)
{
    caller_order_as(
        c,
        (struct tool_order){.name = name, .tenant = tenant, .session_id = ""},
        "{}");
}

static void
order_wait(struct caller *c, const char *tenant, const char *name)
{
    order_of(c, tenant, name);
    caller_wait(c);
    assert_int_equal(c->ending, TOOL_DONE);
}

static void
runs_await(struct fake *f, unsigned count)
{
    for (int i = 0; i < WAIT_MS && atomic_load(&f->runs) < count; i++)
        usleep(1000);
    assert_int_equal(atomic_load(&f->runs), count);
}

static void
test_shares(void **state)
{
    struct tool_shares shares = LIST_HEAD_INITIALIZER(shares);

    (void) state;
    struct tool_share *a = tool_share_get(&shares, "a");
    struct tool_share *b = tool_share_get(&shares, "");
    struct tool_share *again = tool_share_get(&shares, "a");
    assert_ptr_equal(a, again);
    assert_ptr_not_equal(a, b);
    tool_share_put(&a);
    assert_null(a);
    assert_string_equal(again->tenant, "a");
    tool_share_put(&again);
    assert_ptr_equal(LIST_FIRST(&shares), b);
    tool_share_put(&b);
    assert_true(LIST_EMPTY(&shares));
    tool_share_put(&b);
}

/* One that asks for all there is leaves places and room to wait. */
static void
test_a_tenant_leaves_places(void **state)
{
    static struct caller many[RUNNING + WAITING], other;
    unsigned waiting = 0;

    (void) state;
    struct fake *f = plain_add("start", &fake_start_ops, TOOL_READ_ONLY);
    plain_add("work", &fake_work_ops, TOOL_READ_ONLY);
    atomic_store(&f->gate, false);
    for (unsigned i = 0; i < RUNNING + WAITING; i++) {
        order_of(&many[i], "greedy", "start");
        waiting += many[i].result == 0;
    }
    assert_int_equal(waiting, HALF_OF_ALL);
    assert_int_equal(many[HALF_OF_ALL].ending, TOOL_BUSY);
    assert_string_equal(many[HALF_OF_ALL].type, "busy");
    runs_await(f, HALF);
    usleep(2000);
    assert_int_equal(atomic_load(&f->runs), HALF);
    order_wait(&other, "modest", "work");
    order_wait(&other, "", "work");
    caller_order_as(&other,
                    (struct tool_order){.name = "work",
                                        .tenant = "greedy",
                                        .session_id = "its session"},
                    "{}");
    caller_wait(&other);
    for (unsigned i = 0; i < HALF_OF_ALL; i++)
        tool_job_cancel(&many[i].job);
    fake_count_await(0);
    order_wait(&other, "greedy", "work");
}

/* A run that can't be stopped is its tenant's until it ends. */
static void
test_who_hangs_up_still_has_it(void **state)
{
    struct caller many[HALF + 1] = {0}, other = {0};

    (void) state;
    struct fake *f = plain_add("write", &fake_work_ops, 0);
    atomic_store(&f->gate, false);
    for (int i = 0; i < HALF; i++)
        order_of(&many[i], "greedy", "write");
    runs_await(f, HALF);
    for (int i = 0; i < HALF; i++) {
        tool_job_cancel(&many[i].job);
        caller_wait_cancelled(&many[i]);
    }
    order_of(&many[HALF], "greedy", "write");
    order_of(&other, "modest", "write");
    runs_await(f, HALF + 1);
    usleep(2000);
    assert_int_equal(atomic_load(&f->runs), HALF + 1);
    atomic_store(&f->gate, true);
    caller_wait(&other);
    caller_wait(&many[HALF]);
    fake_count_await(0);
}

/* Between two pages others have its place. */
static void
test_pages(void **state)
{
    struct caller readers[RUNNING] = {0}, other = {0};
    struct tool_spec paged = fake_spec_of_read;

    (void) state;
    paged.flags |= TOOL_PAGES;
    struct fake *f = fake_add("paged", &fake_work_ops, paged);
    f->pages = 5;
    for (int i = 0; i < RUNNING; i++)
        caller_order_as(&readers[i],
                        (struct tool_order){.name = "paged",
                                            .tenant = "reader",
                                            .session_id = "",
                                            .loop = session,
                                            .wants_pages = true},
                        "{}");
    order_wait(&other, "reader", "paged");
    for (int i = 0; i < RUNNING; i++) {
        caller_wait(&readers[i]);
        assert_int_equal(atomic_load(&readers[i].pages), 5);
    }
    fake_count_await(0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares),
        cmocka_unit_test_setup_teardown(test_a_tenant_leaves_places, fake_setup,
                                        fake_teardown),
        cmocka_unit_test_setup_teardown(test_who_hangs_up_still_has_it,
                                        fake_setup, fake_teardown),
        cmocka_unit_test_setup_teardown(test_pages, fake_setup, fake_teardown),
    };

    return cmocka_run_group_tests_name("tool_share", tests, NULL, NULL);
}

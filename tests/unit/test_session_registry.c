/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOPS    3
#define SESSIONS 300

struct fixture {
    struct loop *loops[LOOPS];
    struct session_registry *registry;
};

/* What stands for a session: an entry that comes and goes on its loop. */
struct sleeper {
    struct session_entry entry;
    struct session_registry *registry;
    struct loop_task task;
    char id[16];
};

static void
fixture_open(struct fixture *f, unsigned max)
{
    for (unsigned i = 0; i < LOOPS; i++) {
        assert_int_equal(loop_create(&f->loops[i], i), 0);
        assert_int_equal(loop_start(f->loops[i]), 0);
    }
    assert_int_equal(
        session_registry_create(&f->registry, f->loops, LOOPS, max), 0);
}

static void
fixture_close(struct fixture *f)
{
    for (unsigned i = 0; i < LOOPS; i++)
        loop_stop(f->loops[i]);
    session_registry_destroy(&f->registry);
    assert_null(f->registry);
    for (unsigned i = 0; i < LOOPS; i++)
        loop_destroy(&f->loops[i]);
}

static void
test_slots(void **state)
{
    struct fixture f;
    struct loop *loops[6];
    struct loop *more;
    unsigned on_first = 0;

    (void) state;
    fixture_open(&f, 6);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(session_registry_reserve(f.registry, &loops[i]), 0);
        on_first += loops[i] == f.loops[0];
    }
    assert_int_equal(on_first, 2);
    assert_int_equal(session_registry_reserve(f.registry, &more), UV_EBUSY);
    assert_int_equal(session_registry_count(f.registry), 6);
    session_registry_release(f.registry, f.loops[1]);
    assert_int_equal(session_registry_reserve(f.registry, &more), 0);
    assert_ptr_equal(more, f.loops[1]);
    for (unsigned i = 0; i < 6; i++)
        session_registry_release(f.registry, loops[i]);
    assert_int_equal(session_registry_count(f.registry), 0);
    fixture_close(&f);
    assert_int_equal(session_registry_create(&f.registry, f.loops, 0, 1),
                     UV_EINVAL);
}

/* Some end at once, some a turn later. */
static void
on_gone(struct loop_task *task, void *arg)
{
    struct sleeper *s = arg;

    (void) task;
    session_registry_remove(s->registry, &s->entry);
    free(s);
}

static void
on_end(struct session_entry *entry)
{
    struct sleeper *s = (struct sleeper *) entry;

    if (s->id[1] % 2) { /* by a digit of its number */
        on_gone(NULL, s);
        return;
    }
    s->task.run = on_gone;
    s->task.arg = s;
    loop_post(s->entry.loop, &s->task);
}

static void
on_add(struct loop_task *task, void *arg)
{
    struct sleeper *s = arg;

    (void) task;
    session_registry_add(s->registry, &s->entry);
}

static void
sleeper_start(struct fixture *f, unsigned n)
{
    struct sleeper *s = calloc(1, sizeof(*s));

    snprintf(s->id, sizeof(s->id), "s%u", n);
    s->registry = f->registry;
    assert_int_equal(session_registry_reserve(f->registry, &s->entry.loop), 0);
    s->entry.id = s->id;
    s->entry.tenant = "";
    s->entry.model = "m";
    s->entry.on_end = on_end;
    s->task.run = on_add;
    s->task.arg = s;
    loop_post(s->entry.loop, &s->task);
}

static size_t
listed(struct fixture *f)
{
    char *text = session_registry_list(f->registry);
    json_t *list = json_loads(text, 0, NULL);
    size_t count = json_array_size(list);

    json_decref(list);
    free(text);
    return count;
}

static void
test_end_all(void **state)
{
    struct fixture f;

    (void) state;
    fixture_open(&f, SESSIONS);
    for (unsigned i = 0; i < SESSIONS; i++)
        sleeper_start(&f, i);
    while (listed(&f) < SESSIONS)
        usleep(1000);
    assert_int_equal(session_registry_count(f.registry), SESSIONS);
    session_registry_end_all(f.registry);
    for (int i = 0; i < 3000 && session_registry_count(f.registry); i++) {
        listed(&f);
        usleep(1000);
    }
    assert_int_equal(session_registry_count(f.registry), 0);
    assert_int_equal(listed(&f), 0);
    session_registry_end_all(f.registry);
    fixture_close(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_end_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

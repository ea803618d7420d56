/* SPDX-License-Identifier: BSD-2-Clause */

/* Instances that share a store in a file: whose a call is, and who keeps it
 * when its owner goes. Leases and looks have their real lengths. */

#include "service/calls.h"

#include "base/clock.h"
#include "gate/store.h"
#include "gate/store_sqlite.h"
#include "service/call_find.h"
#include "service/call_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 40000

struct instance {
    struct loop *loop;
    struct store *store;
    struct calls *calls;
    atomic_int asked;
    atomic_int answer; /* of the keep handler */
    char last[CALLS_ID_BYTES];
};

static char dir[] = "/tmp/voice-calls-XXXXXX";

static int
on_keep(void *arg, const struct call_info *call)
{
    struct instance *in = arg;

    snprintf(in->last, sizeof(in->last), "%s", call->id);
    assert_string_equal(call->upstream, "main");
    assert_string_equal(call->session, "{\"a\":1}");
    atomic_fetch_add(&in->asked, 1);
    return atomic_load(&in->answer);
}

static void
instance_start(struct instance *in, const char *file)
{
    struct calls_config cfg = {.keep = on_keep, .arg = in};
    struct store_driver *driver;
    char path[128];

    memset(in, 0, sizeof(*in));
    assert_int_equal(loop_create(&in->loop, 0), 0);
    assert_int_equal(loop_start(in->loop), 0);
    if (file) {
        snprintf(path, sizeof(path), "%s/%s", dir, file);
        assert_int_equal(store_sqlite_open(&driver, path, 5000), 0);
        assert_int_equal(store_create(&in->store, &driver), 0);
    }
    cfg.loop = in->loop;
    cfg.store = in->store;
    assert_int_equal(calls_create(&in->calls, &cfg), 0);
    calls_start(in->calls);
}

static void
instance_stop(struct instance *in)
{
    calls_close(in->calls);
    loop_stop(in->loop);
    loop_destroy(&in->loop);
    if (in->store)
        store_destroy(&in->store);
    calls_destroy(&in->calls);
}

static int
put(struct instance *in, const char *id)
{
    const struct call_info info = {
        .id = id,
        .tenant = "alice",
        .upstream = "main",
        .model = "m",
        .policy = "{}",
        .session = "{\"a\":1}",
        .created_ms = clock_wall_ms(),
    };

    return calls_put(in->calls, &info);
}

static void
wait_asked(struct instance *in, int wanted)
{
    uint64_t end = clock_now_ms() + PATIENCE_MS;

    while (atomic_load(&in->asked) < wanted && clock_now_ms() < end)
        usleep(10000);
    assert_int_equal(atomic_load(&in->asked), wanted);
}

static void
wait_standing(struct instance *in, const char *id, enum call_standing wanted)
{
    uint64_t end = clock_now_ms() + PATIENCE_MS;

    while (calls_standing(in->calls, id) != wanted && clock_now_ms() < end)
        usleep(10000);
    assert_int_equal(calls_standing(in->calls, id), wanted);
}

struct found {
    atomic_bool told;
    int error;
    bool there;
};

static void
on_found(void *arg, int error, const struct call_info *call)
{
    struct found *found = arg;

    found->error = error;
    found->there = call != NULL;
    atomic_store(&found->told, true);
}

static int
find(struct instance *in, const char *tenant, const char *id)
{
    uint64_t end = clock_now_ms() + PATIENCE_MS;
    struct found found = {.error = 0};

    call_find(in->calls, tenant, id, on_found, &found);
    while (!atomic_load(&found.told) && clock_now_ms() < end)
        usleep(1000);
    assert_true(atomic_load(&found.told));
    assert_int_equal(found.there, found.error == 0);
    return found.error;
}

/* A row is there a moment after the put. */
static void
wait_found(struct instance *in, const char *id)
{
    uint64_t end = clock_now_ms() + PATIENCE_MS;

    while (find(in, "alice", id) && clock_now_ms() < end)
        usleep(10000);
    assert_int_equal(find(in, "alice", id), 0);
}

static void
test_ids(void **state)
{
    char longest[CALLS_ID_BYTES + 1];

    (void) state;
    memset(longest, 'a', sizeof(longest));
    longest[CALLS_ID_BYTES] = 0;
    assert_false(call_id_is_sound(longest));
    longest[CALLS_ID_BYTES - 1] = 0;
    assert_true(call_id_is_sound(longest));
    assert_true(call_id_is_sound("rtc_u0_A-z.9"));
    assert_false(call_id_is_sound(""));
    assert_false(call_id_is_sound(".."));
    assert_false(call_id_is_sound("a/b"));
    assert_false(call_id_is_sound("a b"));
    assert_false(call_id_is_sound("a\"b"));
}

static void
test_alone(void **state)
{
    struct instance in;

    (void) state;
    instance_start(&in, NULL);
    assert_int_equal(put(&in, "rtc_1"), 0);
    assert_int_equal(put(&in, "rtc_1"), UV_EEXIST);
    assert_int_equal(put(&in, "../1"), UV_EINVAL);
    assert_int_equal(find(&in, "alice", "rtc_1"), 0);
    assert_int_equal(find(&in, "bob", "rtc_1"), UV_EACCES);
    assert_int_equal(find(&in, "alice", "rtc_2"), UV_ENOENT);
    assert_int_equal(calls_standing(in.calls, "rtc_1"), CALL_OURS);
    assert_int_equal(calls_standing(in.calls, "rtc_2"), CALL_LOST);
    /* Released, it is ours to keep again; refused, later. */
    atomic_store(&in.answer, UV_EBUSY);
    calls_release(in.calls, "rtc_1");
    wait_asked(&in, 1);
    atomic_store(&in.answer, 0);
    wait_asked(&in, 2);
    /* Nobody else could have it. */
    calls_drain(in.calls);
    assert_int_equal(calls_standing(in.calls, "rtc_1"), CALL_OURS);
    calls_end(in.calls, "rtc_1", "hangup");
    assert_int_equal(calls_count(in.calls), 0);
    instance_stop(&in);
}

/* One that nobody here can keep stays without: others are not held up. */
static void
test_unfit(void **state)
{
    struct instance in;

    (void) state;
    instance_start(&in, NULL);
    assert_int_equal(put(&in, "rtc_1"), 0);
    assert_int_equal(put(&in, "rtc_2"), 0);
    atomic_store(&in.answer, UV_EINVAL);
    calls_release(in.calls, "rtc_1");
    calls_release(in.calls, "rtc_2");
    wait_asked(&in, 2);
    assert_int_equal(find(&in, "alice", "rtc_1"), 0);
    instance_stop(&in);
}

static void
test_full(void **state)
{
    struct call_table *table = calloc(1, sizeof(*table));
    struct call_info info = {
        .tenant = "", .upstream = "", .model = "", .policy = "", .session = ""};
    struct call *call;
    char id[16];

    (void) state;
    info.id = id;
    for (unsigned i = 0; i < CALLS_MAX; i++) {
        snprintf(id, sizeof(id), "c%u", i);
        assert_int_equal(call_table_add(table, &info, &call), 0);
    }
    assert_int_equal(call_table_add(table, &info, &call), UV_EEXIST);
    info.id = "one more";
    assert_int_equal(call_table_add(table, &info, &call), UV_ENOBUFS);
    call_table_remove(table, "c77");
    assert_null(call_table_find(table, "c77"));
    assert_int_equal(call_table_add(table, &info, &call), 0);
    call_table_deinit(table);
    free(table);
}

/* A drain: what is released goes over at once, once. */
static void
test_drain(void **state)
{
    struct instance one, two, three;

    (void) state;
    instance_start(&one, "drain.db");
    instance_start(&two, "drain.db");
    instance_start(&three, "drain.db");
    assert_int_equal(put(&one, "rtc_1"), 0);
    wait_found(&two, "rtc_1");
    assert_int_equal(find(&two, "bob", "rtc_1"), UV_EACCES);
    calls_drain(one.calls);
    wait_standing(&one, "rtc_1", CALL_WANTED);
    assert_int_equal(atomic_load(&two.asked), 0);
    calls_release(one.calls, "rtc_1");
    uint64_t end = clock_now_ms() + PATIENCE_MS;
    while (!atomic_load(&two.asked) && !atomic_load(&three.asked)
           && clock_now_ms() < end)
        usleep(10000);
    usleep((CALLS_LOOK_MS + 500) * 1000);
    assert_int_equal(atomic_load(&two.asked) + atomic_load(&three.asked), 1);
    struct instance *has = atomic_load(&two.asked) ? &two : &three;
    assert_string_equal(has->last, "rtc_1");
    calls_end(has->calls, "rtc_1", "hangup");
    assert_int_equal(find(has, "alice", "rtc_1"), UV_ENOENT);
    instance_stop(&one);
    instance_stop(&two);
    instance_stop(&three);
}

/* An owner that is gone without a word: its lease runs out. */
static void
test_gone(void **state)
{
    struct instance one, two;

    (void) state;
    instance_start(&one, "gone.db");
    assert_int_equal(put(&one, "rtc_1"), 0);
    assert_int_equal(put(&one, "rtc_2"), 0);
    calls_end(one.calls, "rtc_2", "hangup");
    instance_stop(&one);
    instance_start(&two, "gone.db");
    wait_asked(&two, 1);
    assert_string_equal(two.last, "rtc_1");
    instance_stop(&two);
}

static void
on_nap(struct loop_task *task, void *arg)
{
    (void) task;
    (void) arg;
    usleep((CALLS_LEASE_MS + CALLS_LOOK_MS) * 1000);
}

/* One that was held up for longer than its lease finds out. */
static void
test_lost(void **state)
{
    struct instance one, two;
    struct loop_task nap = {.run = on_nap};

    (void) state;
    instance_start(&one, "lost.db");
    instance_start(&two, "lost.db");
    assert_int_equal(put(&one, "rtc_1"), 0);
    wait_found(&two, "rtc_1");
    loop_post(one.loop, &nap);
    wait_asked(&two, 1);
    wait_standing(&one, "rtc_1", CALL_LOST);
    assert_int_equal(calls_standing(two.calls, "rtc_1"), CALL_OURS);
    calls_forget(one.calls, "rtc_1");
    assert_int_equal(find(&one, "alice", "rtc_1"), 0);
    instance_stop(&one);
    instance_stop(&two);
}

static int
make_dir(void **state)
{
    (void) state;
    return mkdtemp(dir) ? 0 : -1;
}

static int
remove_dir(void **state)
{
    char command[128];

    (void) state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),   cmocka_unit_test(test_alone),
        cmocka_unit_test(test_unfit), cmocka_unit_test(test_full),
        cmocka_unit_test(test_drain), cmocka_unit_test(test_gone),
        cmocka_unit_test(test_lost),
    };

    return cmocka_run_group_tests_name("calls", tests, make_dir, remove_dir);
}

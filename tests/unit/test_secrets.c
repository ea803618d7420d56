/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/secrets.h"

#include "gate/store_driver.h"
#include "gate/store_sqlite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

static char dir[] = "/tmp/voice-secrets-XXXXXX";
static char path[64];
/* After today: what is over is purged by the real clock. */
static _Atomic int64_t now_ms = 4102444800000;

static int64_t
fake_wall(void)
{
    return now_ms;
}

/* --- asking and waiting */

struct reply {
    uv_sem_t sem;
    int result;
    const struct secret_grant *grant;
};

static void
on_done(void *arg, int result)
{
    struct reply *r = arg;
    r->result = result;
    uv_sem_post(&r->sem);
}

static void
on_checked(void *arg, int result, const struct secret_grant **grant)
{
    struct reply *r = arg;
    r->grant = *grant;
    *grant = NULL;
    on_done(arg, result);
}

static int
settle(struct reply *r, int result)
{
    if (result == 1) {
        uv_sem_wait(&r->sem);
        result = r->result;
    }
    uv_sem_destroy(&r->sem);
    return result;
}

static int
mint(struct secrets *s, const char *tenant, unsigned seconds,
     struct secret_minted *out)
{
    const struct secret_request request = {
        .tenant = tenant,
        .model = "m",
        .session = "{\"type\":\"realtime\"}",
        .seconds = seconds,
    };
    struct reply r;
    int result = secrets_prepare(s, &request, out);
    if (result)
        return result;
    uv_sem_init(&r.sem, 0);
    return settle(&r, secrets_keep(s, &request, out, on_done, &r));
}

/* 0 and its tenant was `tenant`, or the error. */
static int
check(struct secrets *s, const char *key, const char *tenant)
{
    struct reply r = {.grant = NULL};
    uv_sem_init(&r.sem, 0);
    int result = settle(&r, secrets_check(s, key, &r.grant, on_checked, &r));
    if (!result) {
        assert_string_equal(r.grant->tenant, tenant);
        assert_string_equal(r.grant->model, "m");
        assert_string_equal(r.grant->session, "{\"type\":\"realtime\"}");
    }
    secret_grant_put(&r.grant);
    return result;
}

static int
secret_revoke(struct secrets *s, const char *tenant, const char *id)
{
    struct reply r;
    uv_sem_init(&r.sem, 0);
    return settle(&r, secrets_revoke(s, tenant, id, on_done, &r));
}

static struct store *
store_open(void)
{
    struct store_driver *driver = NULL;
    struct store *store = NULL;
    assert_int_equal(store_sqlite_open(&driver, path, 60000), 0);
    assert_int_equal(store_create(&store, &driver), 0);
    return store;
}

static struct secrets *
secrets_open(struct store *store)
{
    const struct secrets_config cfg = {.store = store, .wall_ms = fake_wall};
    struct secrets *s = NULL;
    assert_int_equal(secrets_create(&s, &cfg), 0);
    return s;
}

/* --- tests */

static void
what_is_good_and_until_when(struct secrets *s)
{
    struct secret_minted a, b;

    assert_int_equal(mint(s, "t", 9, &a), UV_EINVAL);
    assert_int_equal(mint(s, "t", 7201, &a), UV_EINVAL);
    assert_int_equal(mint(s, "t", 10, &a), 0);
    assert_int_equal(mint(s, "u", 7200, &b), 0);
    assert_int_equal(strncmp(a.key, "ek_", 3), 0);
    assert_int_equal(strlen(a.key), SECRETS_KEY_BYTES - 1);
    assert_string_not_equal(a.key, b.key);
    assert_string_not_equal(a.id, b.id);
    assert_null(strstr(a.key, a.id + 7));
    assert_int_equal(a.expires_ms, now_ms + 10000);
    assert_int_equal(check(s, a.key, "t"), 0);
    assert_int_equal(check(s, b.key, "u"), 0);
    a.key[10] ^= 1;
    assert_int_equal(check(s, a.key, "t"), UV_EACCES);
    a.key[10] ^= 1;
    assert_int_equal(check(s, "ek_", ""), UV_EACCES);
    assert_int_equal(check(s, "vk_aaaa", ""), UV_EACCES);
    now_ms += 9999;
    assert_int_equal(check(s, a.key, "t"), 0);
    now_ms += 1;
    assert_int_equal(check(s, a.key, "t"), UV_EACCES);
    assert_int_equal(check(s, b.key, "u"), 0);
    assert_int_equal(secret_revoke(s, "t", b.id),
                     UV_ENOENT); /* not its tenant */
    assert_int_equal(check(s, b.key, "u"), 0);
    assert_int_equal(secret_revoke(s, "u", b.id), 0);
    assert_int_equal(check(s, b.key, "u"), UV_EACCES);
    assert_int_equal(secret_revoke(s, "u", b.id), UV_ENOENT);
    assert_int_equal(secret_revoke(s, "u", "secret_x"), UV_ENOENT);
}

static void
in_memory(void **state)
{
    struct secrets *s = secrets_open(NULL);

    (void) state;
    what_is_good_and_until_when(s);
    secrets_destroy(&s);
    assert_null(s);
}

static void
in_a_store(void **state)
{
    struct store *store = store_open();
    struct secrets *s = secrets_open(store);

    (void) state;
    what_is_good_and_until_when(s);
    store_destroy(&store);
    secrets_destroy(&s);
    unlink(path);
}

static void
on_two_instances(void **state)
{
    struct store *stores[2] = {store_open(), store_open()};
    struct secrets *one = secrets_open(stores[0]);
    struct secrets *two = secrets_open(stores[1]);
    struct secret_minted a;
    int result = 0;

    (void) state;
    assert_int_equal(mint(one, "t", 600, &a), 0);
    assert_int_equal(secrets_count(two), 0);
    assert_int_equal(check(two, a.key, "t"), 0);
    assert_int_equal(secrets_count(two), 1);
    /* Memory's word, unless the machine took a second for this. */
    const struct secret_grant *grant = NULL;
    result = secrets_peek(two, a.key, &grant);
    assert_true(result == 0 || result == UV_EAGAIN);
    secret_grant_put(&grant);
    result = 0;
    assert_int_equal(secret_revoke(one, "t", a.id), 0);
    assert_int_equal(check(one, a.key, "t"), UV_EACCES);
    for (int i = 0; i < 200 && result == 0; i++) { /* SECRETS_FRESH_MS */
        usleep(20000);
        result = check(two, a.key, "t");
    }
    assert_int_equal(result, UV_EACCES);
    for (int i = 0; i < 2; i++)
        store_destroy(&stores[i]);
    secrets_destroy(&one);
    secrets_destroy(&two);
    unlink(path);
}

/* Holds the store's thread until it is let go. */
static void
on_held(void *arg, int result, const struct secret_grant **grant)
{
    uv_sem_t *sems = arg;

    (void) result;
    (void) grant;
    uv_sem_post(&sems[0]);
    uv_sem_wait(&sems[1]);
}

/* Its row is read, and then revoked, before either is told. */
static void
a_check_under_way_brings_no_revoked_one_back(void **state)
{
    struct store *store = store_open();
    struct secrets *one = secrets_open(store), *two = secrets_open(store);
    struct reply checked = {.grant = NULL}, revoked = {.grant = NULL};
    const struct secret_grant *grant = NULL;
    struct secret_minted a, b;
    uv_sem_t sems[2];

    (void) state;
    assert_int_equal(mint(one, "t", 600, &a), 0);
    assert_int_equal(mint(one, "t", 600, &b), 0);
    uv_sem_init(&sems[0], 0);
    uv_sem_init(&sems[1], 0);
    uv_sem_init(&checked.sem, 0);
    uv_sem_init(&revoked.sem, 0);
    assert_int_equal(secrets_check(two, b.key, &grant, on_held, sems), 1);
    uv_sem_wait(&sems[0]);
    assert_int_equal(secrets_check(two, a.key, &grant, on_checked, &checked),
                     1);
    assert_int_equal(secrets_revoke(two, "t", a.id, on_done, &revoked), 1);
    uv_sem_post(&sems[1]);
    settle(&checked, 1);
    assert_int_equal(settle(&revoked, 1), 0);
    secret_grant_put(&checked.grant);
    assert_int_equal(secrets_peek(two, a.key, &grant), UV_EAGAIN);
    assert_int_equal(check(two, a.key, "t"), UV_EACCES);
    uv_sem_destroy(&sems[0]);
    uv_sem_destroy(&sems[1]);
    store_destroy(&store);
    secrets_destroy(&one);
    secrets_destroy(&two);
    unlink(path);
}

static void
a_tenant_has_its_share_of_memory(void **state)
{
    struct secrets *s = secrets_open(NULL);
    struct secret_minted last;

    (void) state;
    for (int i = 0; i < SECRETS_TENANT_MAX; i++)
        assert_int_equal(mint(s, "greedy", 600, &last), 0);
    assert_int_equal(mint(s, "greedy", 600, &last), UV_EBUSY);
    assert_int_equal(mint(s, "modest", 600, &last), 0);
    now_ms += 600001; /* what is over makes room */
    assert_int_equal(mint(s, "greedy", 600, &last), 0);
    secrets_destroy(&s);
}

static void
memory_is_bounded_by_bytes(void **state)
{
    struct secrets *s = secrets_open(NULL);
    size_t bytes = 1024 * 1024;
    char *session = malloc(bytes + 1);
    struct secret_minted out;
    struct secret_request request = {
        .tenant = "t", .model = "m", .session = session, .seconds = 600};
    unsigned kept = 0;

    (void) state;
    memset(session, ' ', bytes);
    session[bytes] = '\0';
    /* Nobody can take the whole of it away from the others. */
    for (char tenant[] = "a"; tenant[0] < 'f'; tenant[0]++) {
        unsigned before = kept;
        request.tenant = tenant;
        while (secrets_prepare(s, &request, &out) == 0
               && secrets_keep(s, &request, &out, on_done, NULL) == 0)
            kept++;
        assert_in_range(kept - before, tenant[0] < 'e' ? 15 : 0, 16);
    }
    assert_in_range(kept, 60, 64);
    free(session);
    secrets_destroy(&s);
}

/* --- a store that can't */

static int
broken_begin(struct store_driver *driver)
{
    (void) driver;
    return UV_ENOSPC;
}

static int
broken_run(struct store_driver *driver, struct store_op *op)
{
    (void) driver;
    (void) op;
    return UV_EILSEQ;
}

static int
broken_purge(struct store_driver *driver, int64_t before_ms)
{
    (void) driver;
    (void) before_ms;
    return 0;
}

static void
broken_nothing(struct store_driver *driver)
{
    (void) driver;
}

static const struct store_driver_ops broken = {broken_begin,   broken_begin,
                                               broken_nothing, broken_run,
                                               broken_purge,   broken_nothing};

static void
what_the_store_did_not_take_is_good_nowhere(void **state)
{
    struct store_driver base = {.ops = &broken}, *driver = &base;
    struct store *store = NULL;
    struct secret_minted a;

    (void) state;
    assert_int_equal(store_create(&store, &driver), 0);
    struct secrets *s = secrets_open(store);
    assert_int_equal(mint(s, "t", 600, &a), UV_ENOSPC);
    assert_int_equal(secrets_count(s), 0);
    assert_int_equal(check(s, a.key, "t"), UV_EILSEQ); /* can't say */
    assert_int_equal(secret_revoke(s, "t", a.id), UV_ENOSPC);
    store_destroy(&store);
    secrets_destroy(&s);
}

/* --- many at once */

struct user {
    uv_thread_t thread;
    struct secrets *secrets;
};

static void
user_run(void *arg)
{
    struct user *u = arg;
    struct secret_minted a;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(mint(u->secrets, "t", 600, &a), 0);
        assert_int_equal(check(u->secrets, a.key, "t"), 0);
        if (i % 2)
            assert_int_equal(secret_revoke(u->secrets, "t", a.id), 0);
    }
}

static void
many_threads_at_once(void **state)
{
    struct store *store = store_open();
    struct secrets *s = secrets_open(store);
    struct user users[4];

    (void) state;
    for (int i = 0; i < 4; i++) {
        users[i].secrets = s;
        uv_thread_create(&users[i].thread, user_run, &users[i]);
    }
    for (int i = 0; i < 4; i++)
        uv_thread_join(&users[i].thread);
    assert_int_equal(secrets_count(s), 100);
    store_destroy(&store);
    secrets_destroy(&s);
    unlink(path);
}

static int
dir_make(void **state)
{
    (void) state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/voice.db", dir);
    return 0;
}

static int
dir_remove(void **state)
{
    (void) state;
    return rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_memory),
        cmocka_unit_test(in_a_store),
        cmocka_unit_test(on_two_instances),
        cmocka_unit_test(a_check_under_way_brings_no_revoked_one_back),
        cmocka_unit_test(a_tenant_has_its_share_of_memory),
        cmocka_unit_test(memory_is_bounded_by_bytes),
        cmocka_unit_test(what_the_store_did_not_take_is_good_nowhere),
        cmocka_unit_test(many_threads_at_once),
    };
    return cmocka_run_group_tests(tests, dir_make, dir_remove);
}

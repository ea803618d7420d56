/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/store.h"
#include "gate/store_driver.h"
#include "gate/store_schema.h"
#include "gate/store_sqlite.h"

#include "base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>
#include <sqlite3.h>

static char dir[] = "/tmp/voice-store-XXXXXX";
static char path[64];

/* --- asking and waiting */

struct reply {
    uv_sem_t sem;
    int result;
    size_t count;
    struct store_secret secret;
    struct store_call call;
    struct store_usage usage[8];
    char text[4][256];
};

static void
on_done(void *arg, int result)
{
    struct reply *r = arg;
    r->result = result;
    uv_sem_post(&r->sem);
}

static const char *
keep(struct reply *r, int slot, const char *text)
{
    snprintf(r->text[slot], sizeof(r->text[slot]), "%s", text);
    return r->text[slot];
}

static void
on_secret(void *arg, int result, const struct store_secret *secret)
{
    struct reply *r = arg;
    if (!result) {
        r->secret = *secret;
        r->secret.tenant = keep(r, 0, secret->tenant);
        r->secret.id = keep(r, 1, secret->id);
        r->secret.model = keep(r, 2, secret->model);
        r->secret.session = keep(r, 3, secret->session);
    }
    on_done(arg, result);
}

static void
on_calls(void *arg, int result, const struct store_call *rows, size_t count)
{
    struct reply *r = arg;
    r->count = count;
    if (count) {
        r->call = rows[0];
        r->call.id = keep(r, 0, rows[0].id);
        r->call.owner = keep(r, 1, rows[0].owner);
        r->call.session = keep(r, 2, rows[0].session);
        r->call.reason = keep(r, 3, rows[0].reason);
    }
    on_done(arg, result);
}

static void
on_usage(void *arg, int result, const struct store_usage *rows, size_t count)
{
    struct reply *r = arg;
    r->count = count;
    for (size_t i = 0; i < count && i < 8; i++) {
        r->usage[i] = rows[i];
        if (i < 4)
            r->usage[i].model = keep(r, (int) i, rows[i].model);
    }
    on_done(arg, result);
}

/* The verb was accepted; its result. */
#define ASK(r, call)                                                           \
    (uv_sem_init(&(r)->sem, 0), assert_int_equal(call, 0),                     \
     uv_sem_wait(&(r)->sem), uv_sem_destroy(&(r)->sem), (r)->result)

/* Waits so long for another one's transaction. */
static struct store *
must_open_for(unsigned wait_ms)
{
    struct store_driver *driver = NULL;
    struct store *store = NULL;
    assert_int_equal(store_sqlite_open(&driver, path, wait_ms), 0);
    assert_int_equal(store_create(&store, &driver), 0);
    assert_null(driver);
    return store;
}

static struct store *
must_open(void)
{
    return must_open_for(60000);
}

static struct store_secret
secret_of(const char *tenant, const char *id)
{
    struct store_secret secret = {.tenant = tenant,
                                  .id = id,
                                  .model = "m",
                                  .session = "{\"type\":\"realtime\"}",
                                  .created_ms = clock_wall_ms(),
                                  .expires_ms = clock_wall_ms() + 600000};
    snprintf((char *) secret.hash, sizeof(secret.hash), "%s/%s", tenant, id);
    return secret;
}

static int
secret_put(struct store *store, const char *tenant, const char *id)
{
    struct store_secret secret = secret_of(tenant, id);
    struct reply r;
    return ASK(&r, store_secret_put(store, &secret, on_done, &r));
}

static int
secret_get(struct store *store, const char *tenant, const char *id,
           struct reply *r)
{
    struct store_secret secret = secret_of(tenant, id);
    return ASK(r, store_secret_get(store, secret.hash, on_secret, r));
}

static void
file_remove(void)
{
    char name[80];
    static const char *const tails[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s%s", path, tails[i]);
        unlink(name);
    }
}

/* --- rows */

static void
secrets_are_kept_found_revoked(void **state)
{
    struct store *store = must_open();
    struct reply r;
    struct stat file;

    (void) state;
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
    assert_int_equal(secret_put(store, "a", "s1"), 0);
    assert_int_equal(secret_put(store, "b", "s1"), 0); /* another tenant's */
    assert_int_equal(secret_put(store, "a", "s1"), UV_EEXIST);
    assert_int_equal(secret_get(store, "a", "s1", &r), 0);
    assert_string_equal(r.secret.tenant, "a");
    assert_string_equal(r.secret.id, "s1");
    assert_string_equal(r.secret.model, "m");
    assert_string_equal(r.secret.session, "{\"type\":\"realtime\"}");
    assert_int_equal(r.secret.expires_ms - r.secret.created_ms, 600000);
    assert_int_equal(r.secret.revoked_ms, 0);
    assert_int_equal(secret_get(store, "a", "s2", &r), UV_ENOENT);

    assert_int_equal(
        ASK(&r, store_secret_revoke(store, "b", "s2", on_done, &r)), UV_ENOENT);
    assert_int_equal(
        ASK(&r, store_secret_revoke(store, "a", "s1", on_done, &r)), 0);
    assert_int_equal(
        ASK(&r, store_secret_revoke(store, "a", "s1", on_done, &r)), UV_ENOENT);
    assert_int_equal(secret_get(store, "a", "s1", &r), 0);
    assert_true(r.secret.revoked_ms > 0);
    assert_int_equal(secret_get(store, "b", "s1", &r), 0);
    assert_int_equal(r.secret.revoked_ms, 0);
    store_destroy(&store);
    assert_null(store);

    store = must_open(); /* it was written */
    assert_int_equal(secret_get(store, "a", "s1", &r), 0);
    store_destroy(&store);
    file_remove();
}

static int
call_put(struct store *store, const char *id, int64_t lease_ms)
{
    const struct store_call call = {.tenant = "t",
                                    .id = id,
                                    .upstream = "u",
                                    .model = "m",
                                    .policy = "{}",
                                    .session = "{\"s\":1}",
                                    .owner = "one",
                                    .lease_ms = lease_ms,
                                    .created_ms = clock_wall_ms()};
    struct reply r;
    return ASK(&r, store_call_put(store, &call, on_done, &r));
}

static int
calls_claim(struct store *store, const char *owner, int64_t lease_ms,
            struct reply *r)
{
    const struct store_lease lease = {owner, lease_ms, 10};
    return ASK(r, store_calls_claim(store, &lease, on_calls, r));
}

static int
calls_renew(struct store *store, const char *owner, int64_t lease_ms)
{
    const struct store_lease lease = {owner, lease_ms, 0};
    struct reply r;
    return ASK(&r, store_calls_renew(store, &lease, on_done, &r));
}

static int
call_end(struct store *store, const char *id, const char *reason)
{
    const struct store_call call = {.tenant = "t", .id = id, .reason = reason};
    struct reply r;
    return ASK(&r, store_call_end(store, &call, on_done, &r));
}

static void
calls_change_hands_when_a_lease_is_over(void **state)
{
    struct store *store = must_open();
    int64_t now = clock_wall_ms(), later = now + 60000;
    struct reply r;

    (void) state;
    assert_int_equal(call_put(store, "rtc_1", now - 1000), 0);
    assert_int_equal(call_put(store, "rtc_1", now), UV_EEXIST);
    assert_int_equal(call_put(store, "rtc_2", later), 0);
    assert_int_equal(ASK(&r, store_call_get(store, "t", "rtc_1", on_calls, &r)),
                     0);
    assert_int_equal(r.count, 1);
    assert_string_equal(r.call.session, "{\"s\":1}");
    assert_string_equal(r.call.reason, "");
    assert_int_equal(
        ASK(&r, store_call_get(store, "other", "rtc_1", on_calls, &r)),
        UV_ENOENT);
    assert_int_equal(
        ASK(&r, store_call_get(store, NULL, "rtc_1", on_calls, &r)), 0);
    assert_string_equal(r.call.tenant, "t");
    assert_int_equal(
        ASK(&r, store_call_get(store, NULL, "rtc_9", on_calls, &r)), UV_ENOENT);

    /* What is over goes, once. */
    assert_int_equal(calls_claim(store, "two", later, &r), 0);
    assert_int_equal(r.count, 1);
    assert_string_equal(r.call.id, "rtc_1");
    assert_string_equal(r.call.owner, "two");
    assert_int_equal(calls_claim(store, "three", later, &r), 0);
    assert_int_equal(r.count, 0);

    /* A drain gives all of its own away, the other one's stays. */
    assert_int_equal(calls_renew(store, "one", 0), 1);
    assert_int_equal(calls_claim(store, "two", later, &r), 0);
    assert_string_equal(r.call.id, "rtc_2");
    assert_int_equal(calls_renew(store, "two", later), 2);

    assert_int_equal(call_end(store, "rtc_2", "hangup"), 0);
    assert_int_equal(call_end(store, "rtc_2", "again"), UV_ENOENT);
    assert_int_equal(ASK(&r, store_call_get(store, "t", "rtc_2", on_calls, &r)),
                     0);
    assert_true(r.call.ended_ms > 0);
    assert_string_equal(r.call.reason, "hangup");
    assert_int_equal(calls_renew(store, "two", 0), 1);
    store_destroy(&store);
    file_remove();
}

static int
usage_add(struct store *store, const char *tenant, int64_t day,
          const char *model, uint64_t n)
{
    struct store_usage usage = {.tenant = tenant, .day = day, .model = model};
    struct reply r;
    for (size_t i = 0; i < STORE_USAGE_COUNT; i++)
        usage.counts[i] = n + i;
    return ASK(&r, store_usage_add(store, &usage, on_done, &r));
}

static int
usage_sum(struct store *store, const char *tenant, int64_t from, int64_t to,
          struct reply *r)
{
    const struct store_days days = {tenant, from, to};
    return ASK(r, store_usage_sum(store, &days, on_usage, r));
}

static void
usage_adds_up(void **state)
{
    struct store *store = must_open();
    struct reply r;

    (void) state;
    assert_int_equal(usage_add(store, "t", 10, "m", 1), 0);
    assert_int_equal(usage_add(store, "t", 10, "m", 2), 0);
    assert_int_equal(usage_add(store, "t", 10, "n", 5), 0);
    assert_int_equal(usage_add(store, "t", 12, "m", 7), 0);
    assert_int_equal(usage_add(store, "x", 10, "m", 1000), 0);
    assert_int_equal(usage_sum(store, "t", 9, 11, &r), 0);
    assert_int_equal(r.count, 2);
    for (size_t i = 0; i < STORE_USAGE_COUNT; i++)
        assert_int_equal(r.usage[0].counts[i], 3 + 2 * i);
    assert_string_equal(r.usage[1].model, "n");
    assert_int_equal(usage_sum(store, "t", 13, 20, &r), 0);
    assert_int_equal(r.count, 0);
    assert_int_equal(usage_sum(store, NULL, 10, 10, &r), 0);
    assert_int_equal(r.count, 2); /* t's models together, and x */
    assert_int_equal(r.usage[0].counts[0], 8);
    assert_int_equal(r.usage[1].counts[0], 1000);
    store_destroy(&store);
    file_remove();
}

static void
a_text_beyond_the_bound_is_refused(void **state)
{
    struct store *store = must_open();
    struct store_secret secret = secret_of("t", "big");
    char *text = malloc(STORE_ROW_MAX + 2);

    (void) state;
    memset(text, 'x', STORE_ROW_MAX + 1);
    text[STORE_ROW_MAX + 1] = '\0';
    secret.session = text;
    assert_int_equal(store_secret_put(store, &secret, on_done, NULL), UV_E2BIG);
    free(text);
    store_destroy(&store);
    file_remove();
}

/* --- several processes, versions, damage */

static void
two_instances_share_a_file(void **state)
{
    struct store *one = must_open(), *two = must_open();
    struct reply r;
    char id[16];

    (void) state;
    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof(id), "s%d", i);
        assert_int_equal(secret_put(i % 2 ? one : two, "t", id), 0);
        assert_int_equal(secret_get(i % 2 ? two : one, "t", id, &r), 0);
    }
    assert_int_equal(ASK(&r, store_secret_revoke(one, "t", "s7", on_done, &r)),
                     0);
    assert_int_equal(secret_get(two, "t", "s7", &r), 0);
    assert_true(r.secret.revoked_ms > 0);
    store_destroy(&one);
    assert_int_equal(secret_put(two, "t", "last"), 0);
    store_destroy(&two);
    file_remove();
}

static void
sql(const char *text)
{
    sqlite3 *db;
    char *error = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    if (sqlite3_exec(db, text, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s", error);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
an_older_file_is_brought_up_to_date(void **state)
{
    struct store *store = must_open();
    struct reply r;

    (void) state;
    assert_true(store_schema_version() >= 2);
    assert_int_equal(secret_put(store, "t", "old"), 0);
    store_destroy(&store);
    /* As version 1 left it. */
    sql("DROP TABLE calls; PRAGMA user_version = 1;");
    store = must_open();
    assert_int_equal(secret_get(store, "t", "old", &r), 0);
    assert_int_equal(call_put(store, "rtc_1", 0), 0);
    store_destroy(&store);
    file_remove();
}

static void
a_file_that_is_not_for_us_is_refused(void **state)
{
    struct store_driver *driver = NULL;
    struct store *store = must_open();
    FILE *file;

    (void) state;
    store_destroy(&store);
    sql("PRAGMA user_version = 1000;");
    assert_int_equal(store_sqlite_open(&driver, path, 200), UV_ENOTSUP);
    file_remove();
    sql("CREATE TABLE theirs (x);");
    assert_int_equal(store_sqlite_open(&driver, path, 200), UV_EINVAL);
    file_remove();
    file = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database ", file);
    fclose(file);
    assert_int_equal(store_sqlite_open(&driver, path, 200), UV_EILSEQ);
    file_remove();
    assert_int_equal(store_sqlite_open(&driver, "/nonexistent/x", 200),
                     UV_ENOENT);
    assert_int_equal(store_sqlite_open(&driver, dir, 200), UV_EISDIR);
    assert_null(driver);
}

static void
a_locked_file_is_busy_for_writers_alone(void **state)
{
    struct store *store = must_open_for(200);
    struct reply r;
    sqlite3 *db;

    (void) state;
    assert_int_equal(secret_put(store, "t", "before"), 0);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000); /* for the store's purge at its start */
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(secret_put(store, "t", "meanwhile"), UV_EBUSY);
    assert_int_equal(secret_get(store, "t", "before", &r), 0);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    sqlite3_close(db);
    assert_int_equal(secret_put(store, "t", "meanwhile"), 0);
    store_destroy(&store);
    file_remove();
}

static void
a_file_that_can_not_grow_fails_writes_until_it_can(void **state)
{
    struct store *store = must_open();
    struct rlimit before, tight;
    struct store_secret secret = secret_of("t", "big");
    struct reply r;
    static char text[200000];

    (void) state;
    memset(text, 'x', sizeof(text) - 1);
    secret.session = text;
    assert_int_equal(secret_put(store, "t", "before"), 0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    tight = before;
    tight.rlim_cur = 100000;
    setrlimit(RLIMIT_FSIZE, &tight);
    int result = ASK(&r, store_secret_put(store, &secret, on_done, &r));
    assert_true(result == UV_EIO || result == UV_ENOSPC);
    assert_int_equal(secret_get(store, "t", "before", &r), 0);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(secret_get(store, "t", "big", &r), UV_ENOENT);
    assert_int_equal(ASK(&r, store_secret_put(store, &secret, on_done, &r)), 0);
    store_destroy(&store);
    file_remove();
}

/* --- a process that dies */

static void
put_directly(struct store_driver *driver, const char *id)
{
    struct store_op *op = store_op_create(STORE_SECRET_PUT);
    op->in.secret = secret_of("t", id);
    if (driver->ops->run(driver, op) != 0)
        _exit(3);
    store_op_destroy(&op);
}

static void
a_death_in_mid_transaction_leaves_the_committed(void **state)
{
    struct store *store;
    struct reply r;
    int status;

    (void) state;
    pid_t pid = fork();
    if (pid == 0) {
        struct store_driver *driver;
        if (store_sqlite_open(&driver, path, 200) || driver->ops->begin(driver))
            _exit(2);
        put_directly(driver, "committed");
        if (driver->ops->commit(driver) || driver->ops->begin(driver))
            _exit(2);
        put_directly(driver, "lost");
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    store = must_open();
    assert_int_equal(secret_get(store, "t", "committed", &r), 0);
    assert_int_equal(secret_get(store, "t", "lost", &r), UV_ENOENT);
    assert_int_equal(secret_put(store, "t", "after"), 0);
    store_destroy(&store);
    file_remove();
}

static void
on_told(void *arg, int result)
{
    if (result == 0 && write(*(int *) arg, "k", 1) != 1)
        _exit(4);
}

/* Writes as fast as it can, tells each that is committed, in order. */
static void
child_writes(int fd)
{
    struct store *store = must_open();
    char id[16];
    for (int i = 0;; i++) {
        snprintf(id, sizeof(id), "s%d", i);
        struct store_secret secret = secret_of("t", id);
        while (store_secret_put(store, &secret, on_told, &fd) == UV_EBUSY)
            usleep(500);
    }
}

static void
what_was_told_survives_a_kill(void **state)
{
    struct store *store;
    struct reply r;
    char bytes[256], id[16];
    int fds[2], told = 0;

    (void) state;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0)
        child_writes(fds[1]);
    close(fds[1]);
    while (told < 500)
        told += (int) read(fds[0], bytes, sizeof(bytes));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ssize_t n;
    while ((n = read(fds[0], bytes, sizeof(bytes))) > 0)
        told += (int) n;
    close(fds[0]);
    store = must_open();
    for (int i = 0; i < told; i++) {
        snprintf(id, sizeof(id), "s%d", i);
        if (secret_get(store, "t", id, &r) != 0)
            fail_msg("%s of %d is gone", id, told);
    }
    store_destroy(&store);
    file_remove();
}

/* --- the queue, over a driver of the test's */

static struct fake {
    struct store_driver base;
    uv_sem_t gate; /* a run waits here */
    bool gated;
    int commit_result;
    int begun, committed, rolled_back, closed, ran;
} fake;

static int
fake_begin(struct store_driver *driver)
{
    (void) driver;
    fake.begun++;
    return 0;
}

static int
fake_commit(struct store_driver *driver)
{
    (void) driver;
    fake.committed++;
    return fake.commit_result;
}

static void
fake_rollback(struct store_driver *driver)
{
    (void) driver;
    fake.rolled_back++;
}

static int
fake_run(struct store_driver *driver, struct store_op *op)
{
    (void) driver;
    (void) op;
    if (fake.gated)
        uv_sem_wait(&fake.gate);
    fake.ran++;
    return 0;
}

static int
fake_purge(struct store_driver *driver, int64_t before_ms)
{
    (void) driver;
    (void) before_ms;
    return 0;
}

static void
fake_close(struct store_driver *driver)
{
    (void) driver;
    fake.closed++;
}

static const struct store_driver_ops fake_ops = {
    fake_begin, fake_commit, fake_rollback, fake_run, fake_purge, fake_close};

static struct store *
fake_open(bool gated, int commit_result)
{
    struct store_driver *driver = &fake.base;
    struct store *store = NULL;
    memset(&fake, 0, sizeof(fake));
    fake.base.ops = &fake_ops;
    fake.gated = gated;
    fake.commit_result = commit_result;
    uv_sem_init(&fake.gate, 0);
    assert_int_equal(store_create(&store, &driver), 0);
    return store;
}

struct count {
    int results[2]; /* good, bad */
};

static void
on_counted(void *arg, int result)
{
    ((struct count *) arg)->results[result != 0]++;
}

static void
a_full_queue_refuses_and_nothing_is_lost(void **state)
{
    struct store *store = fake_open(true, 0);
    struct store_secret secret = secret_of("t", "s");
    struct count count = {{0, 0}};
    int accepted = 0, result;

    (void) state;
    while ((result = store_secret_put(store, &secret, on_counted, &count)) == 0)
        accepted++;
    assert_int_equal(result, UV_EBUSY);
    assert_in_range(accepted, STORE_QUEUE_MAX,
                    STORE_QUEUE_MAX + STORE_BATCH_MAX);
    for (int i = 0; i < accepted; i++)
        uv_sem_post(&fake.gate);
    store_destroy(&store);
    assert_int_equal(count.results[0], accepted);
    assert_int_equal(fake.closed, 1);
    /* Many a transaction: the queue was full. */
    assert_true(fake.begun < accepted / 100);
    uv_sem_destroy(&fake.gate);
}

static void
a_commit_that_fails_fails_all_of_it(void **state)
{
    struct store *store = fake_open(false, UV_ENOSPC);
    struct store_secret secret = secret_of("t", "s");
    struct count count = {{0, 0}};

    (void) state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(store_secret_put(store, &secret, on_counted, &count),
                         0);
    store_destroy(&store);
    assert_int_equal(count.results[1], 10);
    assert_int_equal(fake.rolled_back, fake.begun);
    uv_sem_destroy(&fake.gate);
}

struct writer {
    uv_thread_t thread;
    struct store *store;
    int index;
};

static void
writer_run(void *arg)
{
    struct writer *w = arg;
    char id[24];
    struct reply r;
    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof(id), "w%d-%d", w->index, i);
        assert_int_equal(secret_put(w->store, "t", id), 0);
        assert_int_equal(secret_get(w->store, "t", id, &r), 0);
        assert_int_equal(usage_add(w->store, "t", 1, "m", 1), 0);
    }
}

static void
many_threads_at_once(void **state)
{
    struct store *stores[2] = {must_open(), must_open()};
    struct writer writers[4];
    struct reply r;

    (void) state;
    for (int i = 0; i < 4; i++) {
        writers[i].store = stores[i % 2];
        writers[i].index = i;
        uv_thread_create(&writers[i].thread, writer_run, &writers[i]);
    }
    for (int i = 0; i < 4; i++)
        uv_thread_join(&writers[i].thread);
    assert_int_equal(usage_sum(stores[0], "t", 1, 1, &r), 0);
    assert_int_equal(r.usage[0].counts[0], 200);
    store_destroy(&stores[0]);
    store_destroy(&stores[1]);
    file_remove();
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
        cmocka_unit_test(a_death_in_mid_transaction_leaves_the_committed),
        cmocka_unit_test(what_was_told_survives_a_kill),
        cmocka_unit_test(secrets_are_kept_found_revoked),
        cmocka_unit_test(calls_change_hands_when_a_lease_is_over),
        cmocka_unit_test(usage_adds_up),
        cmocka_unit_test(a_text_beyond_the_bound_is_refused),
        cmocka_unit_test(two_instances_share_a_file),
        cmocka_unit_test(an_older_file_is_brought_up_to_date),
        cmocka_unit_test(a_file_that_is_not_for_us_is_refused),
        cmocka_unit_test(a_locked_file_is_busy_for_writers_alone),
        cmocka_unit_test(a_file_that_can_not_grow_fails_writes_until_it_can),
        cmocka_unit_test(a_full_queue_refuses_and_nothing_is_lost),
        cmocka_unit_test(a_commit_that_fails_fails_all_of_it),
        cmocka_unit_test(many_threads_at_once),
    };
    return cmocka_run_group_tests(tests, dir_make, dir_remove);
}

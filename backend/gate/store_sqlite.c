/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/store_sqlite.h"

#include "base/clock.h"
#include "base/log.h"
#include "gate/store_driver.h"
#include "gate/store_schema.h"
#include "gate/store_statement.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

struct sqlite_driver {
    struct store_driver base;
    sqlite3 *db;
    struct store_statement statements[STORE_KIND_COUNT];
    struct store_statement of_all[STORE_KIND_COUNT];
    bool writing; /* inside begin … commit */
    int lost;     /* the transaction that SQLite gave up by itself */
};

/* --- secrets */

#define SECRET_COLUMNS                                                         \
    "tenant, id, hash, model, session, created_ms, expires_ms, revoked_ms"

static int
secret_put(struct store_statement *st, struct store_op *op)
{
    const struct store_secret *in = &op->in.secret;

    store_statement_text(st, in->tenant);
    store_statement_text(st, in->id);
    store_statement_bytes(st, in->hash, sizeof(in->hash));
    store_statement_text(st, in->model);
    store_statement_text(st, in->session);
    store_statement_int(st, in->created_ms);
    store_statement_int(st, in->expires_ms);
    store_statement_int(st, in->revoked_ms);
    store_statement_step(st);
    return 0;
}

static int
secret_get(struct store_statement *st, struct store_op *op)
{
    store_statement_bytes(st, op->in.secret.hash, STORE_HASH_BYTES);
    int result = store_statement_step(st);
    if (result != 1)
        return result ? result : UV_ENOENT;
    struct store_secret *row = store_op_row(op, sizeof(*row));
    if (!row)
        return UV_ENOMEM;
    row->tenant = store_op_text(op, store_statement_column(st, 0));
    row->id = store_op_text(op, store_statement_column(st, 1));
    store_statement_column_bytes(st, 2, row->hash, sizeof(row->hash));
    row->model = store_op_text(op, store_statement_column(st, 3));
    row->session = store_op_text(op, store_statement_column(st, 4));
    row->created_ms = store_statement_column_int(st, 5);
    row->expires_ms = store_statement_column_int(st, 6);
    row->revoked_ms = store_statement_column_int(st, 7);
    return row->tenant && row->id && row->model && row->session ? 0 : UV_ENOMEM;
}

static int
secret_revoke(struct store_statement *st, struct store_op *op)
{
    store_statement_int(st, op->now_ms);
    store_statement_text(st, op->in.secret.tenant);
    store_statement_text(st, op->in.secret.id);
    store_statement_step(st);
    return 0;
}

/* --- calls */

#define CALL_COLUMNS                                                           \
    "tenant, id, upstream, model, policy, session, owner, lease_ms,"           \
    " created_ms, ended_ms, reason"

static int
call_put(struct store_statement *st, struct store_op *op)
{
    const struct store_call *in = &op->in.call;

    store_statement_text(st, in->tenant);
    store_statement_text(st, in->id);
    store_statement_text(st, in->upstream);
    store_statement_text(st, in->model);
    store_statement_text(st, in->policy);
    store_statement_text(st, in->session);
    store_statement_text(st, in->owner);
    store_statement_int(st, in->lease_ms);
    store_statement_int(st, in->created_ms);
    store_statement_int(st, in->ended_ms);
    store_statement_text(st, in->reason);
    store_statement_step(st);
    return 0;
}

static int
call_read(struct store_statement *st, struct store_op *op)
{
    struct store_call *row = store_op_row(op, sizeof(*row));
    if (!row)
        return UV_ENOMEM;
    row->tenant = store_op_text(op, store_statement_column(st, 0));
    row->id = store_op_text(op, store_statement_column(st, 1));
    row->upstream = store_op_text(op, store_statement_column(st, 2));
    row->model = store_op_text(op, store_statement_column(st, 3));
    row->policy = store_op_text(op, store_statement_column(st, 4));
    row->session = store_op_text(op, store_statement_column(st, 5));
    row->owner = store_op_text(op, store_statement_column(st, 6));
    row->lease_ms = store_statement_column_int(st, 7);
    row->created_ms = store_statement_column_int(st, 8);
    row->ended_ms = store_statement_column_int(st, 9);
    row->reason = store_op_text(op, store_statement_column(st, 10));
    return row->tenant && row->id && row->upstream && row->model && row->policy
                   && row->session && row->owner && row->reason
               ? 0
               : UV_ENOMEM;
}

/* Every row of the statement. */
static int
calls_read(struct store_statement *st, struct store_op *op)
{
    int result;

    while ((result = store_statement_step(st)) == 1) {
        result = call_read(st, op);
        if (result)
            break;
    }
    return result;
}

static int
call_get(struct store_statement *st, struct store_op *op)
{
    if (!op->all)
        store_statement_text(st, op->in.call.tenant);
    store_statement_text(st, op->in.call.id);
    int result = calls_read(st, op);
    return result ? result : op->count ? 0 : UV_ENOENT;
}

static int
call_end(struct store_statement *st, struct store_op *op)
{
    store_statement_int(st, op->now_ms);
    store_statement_text(st, op->in.call.reason);
    store_statement_text(st, op->in.call.tenant);
    store_statement_text(st, op->in.call.id);
    store_statement_step(st);
    return 0;
}

static int
calls_renew(struct store_statement *st, struct store_op *op)
{
    store_statement_int(st, op->in.call.lease_ms);
    store_statement_text(st, op->in.call.owner);
    store_statement_step(st);
    return 0;
}

static int
calls_claim(struct store_statement *st, struct store_op *op)
{
    store_statement_text(st, op->in.call.owner);
    store_statement_int(st, op->in.call.lease_ms);
    store_statement_int(st, op->now_ms);
    store_statement_int(st, op->max);
    return calls_read(st, op);
}

/* --- usage */

#define X(name, column)     ", " #column
#define USAGE_COLUMNS       STORE_USAGE_COLUMNS(X)
#define X_MARK(name, c)     ", ?"
#define USAGE_MARKS         STORE_USAGE_COLUMNS(X_MARK)
#define X_SUM(name, column) ", sum(" #column ")"
#define USAGE_SUMS          STORE_USAGE_COLUMNS(X_SUM)
#define X_ADD(name, column) ", " #column " = " #column " + excluded." #column
#define USAGE_ADDS          STORE_USAGE_COLUMNS(X_ADD)

static int
usage_add(struct store_statement *st, struct store_op *op)
{
    const struct store_usage *in = &op->in.usage;

    store_statement_text(st, in->tenant);
    store_statement_int(st, in->day);
    store_statement_text(st, in->model);
    for (int i = 0; i < STORE_USAGE_COUNT; i++)
        store_statement_int(st, in->counts[i] < INT64_MAX
                                    ? (int64_t) in->counts[i]
                                    : INT64_MAX);
    store_statement_step(st);
    return 0;
}

static int
usage_sum(struct store_statement *st, struct store_op *op)
{
    int result;

    if (!op->all)
        store_statement_text(st, op->in.usage.tenant);
    store_statement_int(st, op->in.usage.day);
    store_statement_int(st, op->to_day);
    store_statement_int(st, STORE_ROWS_MAX);
    while ((result = store_statement_step(st)) == 1) {
        struct store_usage *row = store_op_row(op, sizeof(*row));
        if (!row)
            return UV_ENOMEM;
        row->tenant = store_op_text(op, store_statement_column(st, 0));
        row->day = store_statement_column_int(st, 1);
        row->model = store_op_text(op, store_statement_column(st, 2));
        for (int i = 0; i < STORE_USAGE_COUNT; i++)
            row->counts[i] = (uint64_t) store_statement_column_int(st, 3 + i);
        if (!row->tenant || !row->model)
            return UV_ENOMEM;
    }
    return result;
}

/* --- one operation */

typedef int run_h(struct store_statement *st, struct store_op *op);

/* The result of one without rows: 0 when it must have changed a row, and
 * UV_ENOENT when it did not; or how many it changed. */
enum answer { ANSWER_ROWS, ANSWER_ONE, ANSWER_COUNT };

static const struct {
    const char *sql;
    run_h *run;
    enum answer answer;
} kinds[STORE_KIND_COUNT] = {
    [STORE_SECRET_PUT] = {"INSERT INTO secrets (" SECRET_COLUMNS
                          ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                          secret_put, ANSWER_ONE},
    [STORE_SECRET_GET] = {"SELECT " SECRET_COLUMNS
                          " FROM secrets WHERE hash = ?",
                          secret_get, ANSWER_ROWS},
    [STORE_SECRET_REVOKE] = {"UPDATE secrets SET revoked_ms = ? WHERE tenant ="
                             " ? AND id = ? AND revoked_ms = 0",
                             secret_revoke, ANSWER_ONE},
    [STORE_CALL_PUT] = {"INSERT INTO calls (" CALL_COLUMNS
                        ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        call_put, ANSWER_ONE},
    [STORE_CALL_GET] = {"SELECT " CALL_COLUMNS
                        " FROM calls WHERE tenant = ? AND id = ?",
                        call_get, ANSWER_ROWS},
    [STORE_CALL_END] = {"UPDATE calls SET ended_ms = ?, reason = ? WHERE"
                        " tenant = ? AND id = ? AND ended_ms = 0",
                        call_end, ANSWER_ONE},
    [STORE_CALLS_RENEW] = {"UPDATE calls SET lease_ms = ? WHERE owner = ? AND"
                           " ended_ms = 0",
                           calls_renew, ANSWER_COUNT},
    [STORE_CALLS_CLAIM] = {"UPDATE calls SET owner = ?, lease_ms = ? WHERE"
                           " rowid IN (SELECT rowid FROM calls WHERE ended_ms"
                           " = 0 AND lease_ms < ? ORDER BY lease_ms LIMIT ?)"
                           " RETURNING " CALL_COLUMNS,
                           calls_claim, ANSWER_ROWS},
    [STORE_USAGE_ADD] = {"INSERT INTO usage (tenant, day, model" USAGE_COLUMNS
                         ") VALUES (?, ?, ?" USAGE_MARKS
                         ") ON CONFLICT (tenant, day, model) DO UPDATE SET"
                         " model = model" USAGE_ADDS,
                         usage_add, ANSWER_ONE},
    [STORE_USAGE_SUM] = {"SELECT tenant, day, model" USAGE_COLUMNS
                         " FROM usage WHERE tenant = ? AND day BETWEEN ? AND ?"
                         " ORDER BY day, model LIMIT ?",
                         usage_sum, ANSWER_ROWS},
};

/* Those that can be asked of every tenant. */
static const char *const sql_of_all[STORE_KIND_COUNT] = {
    [STORE_CALL_GET] = "SELECT " CALL_COLUMNS " FROM calls WHERE id = ?",
    [STORE_USAGE_SUM] =
        "SELECT tenant, day, ''" USAGE_SUMS
        " FROM usage WHERE day BETWEEN ? AND ? GROUP BY tenant, day"
        " ORDER BY day, tenant LIMIT ?",
};

static struct sqlite_driver *
driver_of(struct store_driver *base)
{
    return (struct sqlite_driver *) base;
}

static int
driver_run(struct store_driver *base, struct store_op *op)
{
    struct sqlite_driver *d = driver_of(base);
    struct store_statement *st =
        op->all ? &d->of_all[op->kind] : &d->statements[op->kind];

    if (d->lost)
        return d->lost;
    store_statement_begin(st, d->db,
                          op->all ? sql_of_all[op->kind] : kinds[op->kind].sql);
    int result = st->error ? st->error : kinds[op->kind].run(st, op);
    int ended = store_statement_end(st);
    if (ended < 0)
        result = ended;
    else if (!result && kinds[op->kind].answer == ANSWER_ONE)
        result = ended ? 0 : UV_ENOENT;
    else if (!result && kinds[op->kind].answer == ANSWER_COUNT)
        result = ended;
    /* A full disk and the like end the whole transaction; what comes next in
     * it must not run by itself. */
    if (d->writing && sqlite3_get_autocommit(d->db))
        d->lost = result < 0 ? result : UV_EIO;
    return result;
}

/* --- transactions */

static int
driver_begin(struct store_driver *base)
{
    struct sqlite_driver *d = driver_of(base);
    int result = store_statement_exec(d->db, "BEGIN IMMEDIATE");

    d->writing = result == 0;
    return result;
}

static int
driver_commit(struct store_driver *base)
{
    struct sqlite_driver *d = driver_of(base);
    int result = d->lost ? d->lost : store_statement_exec(d->db, "COMMIT");

    d->lost = 0;
    if (!result)
        d->writing = false;
    return result;
}

static void
driver_rollback(struct store_driver *base)
{
    struct sqlite_driver *d = driver_of(base);

    if (!sqlite3_get_autocommit(d->db))
        store_statement_exec(d->db, "ROLLBACK");
    d->lost = 0;
    d->writing = false;
}

static int
driver_purge(struct store_driver *base, int64_t before_ms)
{
    static const char *const sql[] = {
        "DELETE FROM secrets WHERE expires_ms < ?",
        "DELETE FROM calls WHERE ended_ms > 0 AND ended_ms < ?"};
    struct sqlite_driver *d = driver_of(base);
    int result = 0;

    for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]) && result >= 0; i++) {
        struct store_statement st = {.handle = NULL};
        store_statement_begin(&st, d->db, sql[i]);
        store_statement_int(&st, before_ms);
        store_statement_step(&st);
        result = store_statement_end(&st);
        store_statement_deinit(&st);
    }
    return result < 0 ? result : 0;
}

/* --- life */

static void
driver_close(struct store_driver *base)
{
    struct sqlite_driver *d = driver_of(base);

    for (size_t i = 0; i < STORE_KIND_COUNT; i++) {
        store_statement_deinit(&d->statements[i]);
        store_statement_deinit(&d->of_all[i]);
    }
    sqlite3_close(d->db);
    free(d);
}

static const struct store_driver_ops ops = {driver_begin,    driver_commit,
                                            driver_rollback, driver_run,
                                            driver_purge,    driver_close};

/* SQLite would make it as the umask says, and its log like it. */
static int
file_touch(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd >= 0) {
        close(fd);
        return 0;
    }
    int result = uv_translate_sys_error(errno);
    LOG(ALERT, "store", "sqlite=%s error=\"%s\"", path, uv_strerror(result));
    return result;
}

/* SQLite does not wait for a lock when it turns the log on. */
static int
log_open_wal(struct sqlite_driver *d, unsigned wait_ms)
{
    uint64_t end = clock_now_ms() + wait_ms;
    int result;

    for (;;) {
        result = store_statement_exec(d->db, "PRAGMA journal_mode = WAL");
        if (result != UV_EBUSY || clock_now_ms() >= end)
            return result;
        usleep(10000);
    }
}

static int
database_open(struct sqlite_driver *d, const char *path, unsigned wait_ms)
{
    int code = sqlite3_open_v2(path, &d->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX
                                   | SQLITE_OPEN_EXRESCODE,
                               NULL);
    int result = store_statement_result(d->db, code);

    if (result)
        return result;
    sqlite3_busy_timeout(d->db, (int) wait_ms);
    result = log_open_wal(d, wait_ms);
    if (!result)
        result = store_statement_exec(d->db, "PRAGMA synchronous = FULL;"
                                             "PRAGMA trusted_schema = OFF;");
    return result ? result : store_schema_migrate(d->db);
}

int
store_sqlite_open(struct store_driver **dp, const char *path, unsigned wait_ms)
{
    struct sqlite_driver *d;
    int result = file_touch(path);

    if (result)
        return result;
    d = calloc(1, sizeof(*d));
    if (!d)
        return UV_ENOMEM;
    d->base.ops = &ops;
    result = database_open(d, path, wait_ms);
    if (result) {
        LOG(ALERT, "store", "sqlite=%s error=\"%s\"", path,
            uv_strerror(result));
        driver_close(&d->base);
        return result;
    }
    *dp = &d->base;
    return 0;
}

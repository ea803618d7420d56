/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/store_schema.h"

#include "base/log.h"
#include "gate/store_statement.h"

#include <stdint.h>
#include <stdio.h>
#include <uv.h>

#define APPLICATION_ID 0x766f6963 /* "voic", in the file's header */

/* A step that was released never changes: a new one follows. */
static const char *const steps[] = {
    /* 1: minted secrets and usage */
    "CREATE TABLE secrets ("
    " tenant TEXT NOT NULL,"
    " id TEXT NOT NULL,"
    " hash BLOB NOT NULL UNIQUE,"
    " model TEXT NOT NULL,"
    " session TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " expires_ms INTEGER NOT NULL,"
    " revoked_ms INTEGER NOT NULL,"
    " PRIMARY KEY (tenant, id)) STRICT;"
    "CREATE INDEX secrets_expires ON secrets (expires_ms);"
    "CREATE TABLE usage ("
    " tenant TEXT NOT NULL,"
    " day INTEGER NOT NULL,"
    " model TEXT NOT NULL,"
    " sessions INTEGER NOT NULL,"
    " session_ms INTEGER NOT NULL,"
    " responses INTEGER NOT NULL,"
    " estimated INTEGER NOT NULL,"
    " input_tokens INTEGER NOT NULL,"
    " input_text_tokens INTEGER NOT NULL,"
    " input_audio_tokens INTEGER NOT NULL,"
    " input_image_tokens INTEGER NOT NULL,"
    " cached_tokens INTEGER NOT NULL,"
    " cached_text_tokens INTEGER NOT NULL,"
    " cached_audio_tokens INTEGER NOT NULL,"
    " cached_image_tokens INTEGER NOT NULL,"
    " output_tokens INTEGER NOT NULL,"
    " output_text_tokens INTEGER NOT NULL,"
    " output_audio_tokens INTEGER NOT NULL,"
    " transcribed_tokens INTEGER NOT NULL,"
    " transcribed_ms INTEGER NOT NULL,"
    " tool_runs INTEGER NOT NULL,"
    " PRIMARY KEY (tenant, day, model)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX usage_day ON usage (day);",

    /* 2: calls */
    "CREATE TABLE calls ("
    " tenant TEXT NOT NULL,"
    " id TEXT NOT NULL,"
    " upstream TEXT NOT NULL,"
    " model TEXT NOT NULL,"
    " policy TEXT NOT NULL,"
    " session TEXT NOT NULL,"
    " owner TEXT NOT NULL,"
    " lease_ms INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " ended_ms INTEGER NOT NULL,"
    " reason TEXT NOT NULL,"
    " PRIMARY KEY (tenant, id)) STRICT;"
    "CREATE INDEX calls_owner ON calls (owner) WHERE ended_ms = 0;"
    "CREATE INDEX calls_lease ON calls (lease_ms) WHERE ended_ms = 0;"
    "CREATE INDEX calls_ended ON calls (ended_ms) WHERE ended_ms > 0;",

    /* 3: whose call an id is */
    "CREATE INDEX calls_id ON calls (id);",
};

#define VERSION ((int) (sizeof(steps) / sizeof(steps[0])))

int
store_schema_version(void)
{
    return VERSION;
}

static int
number_read(struct sqlite3 *db, const char *sql, int64_t *out)
{
    struct store_statement st = {.handle = NULL};
    int result;

    store_statement_begin(&st, db, sql);
    result = store_statement_step(&st);
    if (result == 1)
        *out = store_statement_column_int(&st, 0);
    store_statement_end(&st);
    store_statement_deinit(&st);
    return result == 1 ? 0 : result ? result : UV_EIO;
}

/* An empty file is nobody's yet. */
static int
owner_check(struct sqlite3 *db, int64_t version)
{
    int64_t id = 0, tables = 0;
    int result = number_read(db, "PRAGMA application_id", &id);

    if (!result)
        result = number_read(db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (result || id == APPLICATION_ID || (!id && !tables && !version))
        return result;
    LOG(ALERT, "store",
        "event=refused the file is a database of something "
        "else");
    return UV_EINVAL;
}

/* Inside a transaction: one step, unless another process has done it. */
static int
step_run(struct sqlite3 *db, int64_t *version)
{
    char sql[96];
    int result = number_read(db, "PRAGMA user_version", version);

    if (!result)
        result = owner_check(db, *version);
    if (!result && *version > VERSION) {
        LOG(ALERT, "store",
            "event=refused schema=%lld, this program knows %d: a later "
            "version made the file",
            (long long) *version, VERSION);
        result = UV_ENOTSUP;
    }
    if (result || *version == VERSION)
        return result;
    result =
        *version < 0 ? UV_EINVAL : store_statement_exec(db, steps[*version]);
    if (result)
        return result;
    ++*version;
    snprintf(sql, sizeof(sql),
             "PRAGMA application_id = %d; PRAGMA user_version = %d;",
             APPLICATION_ID, (int) *version);
    return store_statement_exec(db, sql);
}

int
store_schema_migrate(struct sqlite3 *db)
{
    int64_t version = -1, before;
    int result;

    do {
        before = version;
        result = store_statement_exec(db, "BEGIN IMMEDIATE");
        if (result)
            return result;
        result = step_run(db, &version);
        if (!result)
            result = store_statement_exec(db, "COMMIT");
        if (result) {
            store_statement_exec(db, "ROLLBACK");
            return result;
        }
        if (before >= 0 && version != before)
            LOG(NOTICE, "store", "schema=%lld", (long long) version);
    } while (version < VERSION);
    return 0;
}

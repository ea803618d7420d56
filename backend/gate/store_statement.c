/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/store_statement.h"

#include "base/log.h"

#include <sqlite3.h>
#include <string.h>
#include <uv.h>

static int
translate(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return UV_EBUSY;
    case SQLITE_FULL:
        return UV_ENOSPC;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return UV_EILSEQ;
    case SQLITE_CONSTRAINT:
        return UV_EEXIST;
    case SQLITE_NOMEM:
        return UV_ENOMEM;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
        return UV_EACCES;
    case SQLITE_TOOBIG:
        return UV_E2BIG;
    default:
        return UV_EIO;
    }
}

int
store_statement_result(struct sqlite3 *db, int code)
{
    int result = translate(code);

    if (!result || result == UV_EEXIST)
        return result;
    if (result == UV_EILSEQ)
        LOG_LIMITED(ALERT, "store", "event=damaged sqlite=\"%s\"",
                    db ? sqlite3_errmsg(db) : sqlite3_errstr(code));
    else
        LOG_LIMITED(ERROR, "store", "event=failed error=%s sqlite=\"%s\"",
                    uv_err_name(result),
                    db ? sqlite3_errmsg(db) : sqlite3_errstr(code));
    return result;
}

static void
note(struct store_statement *st, int code)
{
    if (!st->error)
        st->error = store_statement_result(st->db, code);
}

void
store_statement_begin(struct store_statement *st, struct sqlite3 *db,
                      const char *sql)
{
    st->db = db;
    st->bound = 0;
    st->error = 0;
    if (!st->handle)
        note(st, sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                    &st->handle, NULL));
}

void
store_statement_deinit(struct store_statement *st)
{
    sqlite3_finalize(st->handle);
    memset(st, 0, sizeof(*st));
}

void
store_statement_text(struct store_statement *st, const char *text)
{
    if (!st->error)
        note(st, sqlite3_bind_text(st->handle, ++st->bound, text, -1,
                                   SQLITE_STATIC));
}

void
store_statement_int(struct store_statement *st, int64_t value)
{
    if (!st->error)
        note(st, sqlite3_bind_int64(st->handle, ++st->bound, value));
}

void
store_statement_bytes(struct store_statement *st, const void *data,
                      size_t bytes)
{
    if (!st->error)
        note(st, sqlite3_bind_blob64(st->handle, ++st->bound, data, bytes,
                                     SQLITE_STATIC));
}

int
store_statement_step(struct store_statement *st)
{
    int code;

    if (st->error)
        return st->error;
    code = sqlite3_step(st->handle);
    note(st, code);
    return st->error ? st->error : code == SQLITE_ROW;
}

const char *
store_statement_column(struct store_statement *st, int column)
{
    const unsigned char *text = sqlite3_column_text(st->handle, column);
    return text ? (const char *) text : "";
}

int64_t
store_statement_column_int(struct store_statement *st, int column)
{
    return sqlite3_column_int64(st->handle, column);
}

void
store_statement_column_bytes(struct store_statement *st, int column, void *out,
                             size_t bytes)
{
    const void *data = sqlite3_column_blob(st->handle, column);
    size_t have = (size_t) sqlite3_column_bytes(st->handle, column);

    memset(out, 0, bytes);
    if (data)
        memcpy(out, data, have < bytes ? have : bytes);
}

int
store_statement_end(struct store_statement *st)
{
    int changes = st->error ? 0 : sqlite3_changes(st->db);

    if (st->handle) {
        sqlite3_reset(st->handle); /* repeats the step's error */
        sqlite3_clear_bindings(st->handle);
    }
    return st->error ? st->error : changes;
}

int
store_statement_exec(struct sqlite3 *db, const char *sql)
{
    return store_statement_result(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

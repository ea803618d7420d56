/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One prepared SQLite statement: arguments by their order, rows, and SQLite's
 * codes as the store's results. Prepared at its first use and kept. Runs on
 * the store's thread. Owns the statement. Logs what is no answer with SQLite's
 * own text, which holds no values.
 */

#ifndef VOICE_STORE_STATEMENT_H
#define VOICE_STORE_STATEMENT_H

#include <stddef.h>
#include <stdint.h>

struct sqlite3;
struct sqlite3_stmt;

struct store_statement {
    struct sqlite3 *db; /* borrowed */
    struct sqlite3_stmt *handle;
    int bound; /* arguments so far */
    int error; /* the first; what follows does nothing */
};

/* Anew. sql is a constant. */
void store_statement_begin(struct store_statement *st, struct sqlite3 *db,
                           const char *sql);
void store_statement_deinit(struct store_statement *st);

/* The next argument; texts and bytes are borrowed until the end. */
void store_statement_text(struct store_statement *st, const char *text);
void store_statement_int(struct store_statement *st, int64_t value);
void store_statement_bytes(struct store_statement *st, const void *data,
                           size_t bytes);

/* 1: a row is there; 0: no more; or a result as in store.h. */
int store_statement_step(struct store_statement *st);
/* Of the row, borrowed until the next step. */
const char *store_statement_column(struct store_statement *st, int column);
int64_t store_statement_column_int(struct store_statement *st, int column);
/* Into out, zeros behind a shorter one. */
void store_statement_column_bytes(struct store_statement *st, int column,
                                  void *out, size_t bytes);

/* Lets go of rows and arguments. Rows that were changed, or the error. */
int store_statement_end(struct store_statement *st);

/* The same for a statement without arguments and rows. */
int store_statement_exec(struct sqlite3 *db, const char *sql);

/* Translates and logs; 0 for what is none. */
int store_statement_result(struct sqlite3 *db, int code);

#endif

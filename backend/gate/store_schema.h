/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The tables of the SQLite store and how older files get them: numbered steps,
 * each in a transaction of its own that also writes the file's number
 * (user_version). Two processes may do it at once. Runs wherever the database
 * is opened; owns nothing. Refuses a file of a later version, which only the
 * program that made it can read, and one that is not ours.
 */

#ifndef VOICE_STORE_SCHEMA_H
#define VOICE_STORE_SCHEMA_H

struct sqlite3;

/* 0; UV_ENOTSUP (a later version, logged), UV_EINVAL (a database of somebody
 * else, logged), or a result as in store.h. */
int store_schema_migrate(struct sqlite3 *db);

/* The version that this program makes. */
int store_schema_version(void);

#endif

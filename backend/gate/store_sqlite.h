/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The store's rows in one SQLite file, which several processes of one machine
 * may share: write-ahead log, one writer at a time, readers beside it. A
 * commit is on the disk (synchronous FULL): a revoked secret must not come
 * back with the power, and a whole batch pays for one fsync on a thread that
 * no session waits for. Opened anywhere, then used by the store's thread.
 */

#ifndef VOICE_STORE_SQLITE_H
#define VOICE_STORE_SQLITE_H

#define STORE_SQLITE_WAIT_MS 5000 /* a good wait_ms */

struct store_driver;

/*
 * Opens the file, made with mode 0600 when it is not there, and brings its
 * tables up to date. Waits wait_ms at most for another process's transaction,
 * now and later. 0 and *dp is given; UV_ENOTSUP and UV_EINVAL as
 * store_schema_migrate, or a result as in store.h; logged.
 */
int store_sqlite_open(struct store_driver **dp, const char *path,
                      unsigned wait_ms);

#endif

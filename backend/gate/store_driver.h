/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Between the store and a database. An operation is one allocation with its
 * arguments; a driver fills in what it read, in memory that store_op_text and
 * store_op_rows give and the store frees. A driver runs on the store's thread
 * alone once it is opened. Owns nothing here.
 */

#ifndef VOICE_STORE_DRIVER_H
#define VOICE_STORE_DRIVER_H

#include "gate/store.h"

#include <stdbool.h>

enum store_kind {
    STORE_SECRET_PUT,
    STORE_SECRET_GET,
    STORE_SECRET_REVOKE,
    STORE_CALL_PUT,
    STORE_CALL_GET,
    STORE_CALL_END,
    STORE_CALLS_RENEW,
    STORE_CALLS_CLAIM,
    STORE_USAGE_ADD,
    STORE_USAGE_SUM,
    STORE_KIND_COUNT
};

union store_rows {
    struct store_secret *secrets;
    struct store_call *calls;
    struct store_usage *usage;
    void *any;
};

struct store_op {
    struct store_op *next; /* the queue's */
    enum store_kind kind;
    int result;
    int64_t now_ms; /* when it was submitted */

    /* Arguments: a row to put, or the one that is meant. */
    union {
        struct store_secret secret;
        struct store_call call;
        struct store_usage usage;
    } in;
    int64_t to_day;
    bool all;     /* STORE_USAGE_SUM, STORE_CALL_GET: of every tenant */
    unsigned max; /* rows */

    /* What was read. */
    union store_rows rows;
    size_t count;
    size_t capacity;
    struct store_text *texts;

    union {
        store_done_h *done;
        store_secret_h *secret;
        store_calls_h *calls;
        store_usage_h *usage;
    } handler;
    void *arg;
};

struct store_driver;
struct store_driver_ops {
    /* A transaction that writes. 0 or a result as in store.h. */
    int (*begin)(struct store_driver *driver);
    int (*commit)(struct store_driver *driver);
    void (*rollback)(struct store_driver *driver);
    /* One operation, inside a transaction when it writes; its result. One that
     * fails leaves nothing of itself. */
    int (*run)(struct store_driver *driver, struct store_op *op);
    /* Secrets and calls that were over before are gone. */
    int (*purge)(struct store_driver *driver, int64_t before_ms);
    void (*close)(struct store_driver *driver);
};

struct store_driver {
    const struct store_driver_ops *ops;
};

/* For the store. NULL: no memory. */
struct store_op *store_op_create(enum store_kind kind);
void store_op_destroy(struct store_op **opp);

/* One more row, zeroed, and a copy of a text for it; they live until the
 * handler has run. NULL: no memory, or STORE_ROWS_MAX rows; "" for none. */
void *store_op_row(struct store_op *op, size_t row_bytes);
const char *store_op_text(struct store_op *op, const char *text);

#endif

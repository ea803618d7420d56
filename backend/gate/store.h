/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What outlives a process: minted secrets, calls, usage. One thread works
 * through a queue; waiting writes share a transaction; a driver (SQLite; a
 * PostgreSQL one may come) does the rows. Owns the thread, the queue and the
 * driver. Every row belongs to a tenant. Refuses to be waited for: a verb
 * copies its arguments and returns, its handler runs on the store's thread,
 * exactly once, after the commit; it must not block, and posts onward.
 *
 *   any thread ─► queue ─► store thread ─► one transaction ─► handlers
 *
 * Verbs: 0; UV_EBUSY (queue full, counted), UV_E2BIG (more than
 * STORE_ROW_MAX), UV_ENOMEM: the handler does not run.
 * Results: 0 or a count; UV_ENOENT no such row; UV_EEXIST; UV_EBUSY locked by
 * another process; UV_ENOSPC disk full; UV_EACCES not writable; UV_EILSEQ the
 * file is damaged; UV_EIO; UV_ENOMEM. All but the first two are logged.
 * What handlers are shown is borrowed for the call. Times are Unix ms.
 */

#ifndef VOICE_STORE_H
#define VOICE_STORE_H

#include <stddef.h>
#include <stdint.h>

#define STORE_QUEUE_MAX  4096         /* operations that wait */
#define STORE_ROW_MAX    (512 * 1024) /* bytes of texts of one operation */
#define STORE_BATCH_MAX  256          /* operations a transaction */
#define STORE_HASH_BYTES 32
#define STORE_ROWS_MAX   10000 /* of one answer */

struct store_secret {
    const char *tenant;
    const char *id;
    uint8_t hash[STORE_HASH_BYTES]; /* of the key; unique */
    const char *model;
    const char *session; /* JSON */
    int64_t created_ms;
    int64_t expires_ms;
    int64_t revoked_ms; /* 0: it is not */
};

struct store_call { /* what it takes to attach to it again */
    const char *tenant;
    const char *id; /* "rtc_…" */
    const char *upstream;
    const char *model;
    const char *policy;  /* VOICE_POLICY */
    const char *session; /* JSON */
    const char *owner;   /* the instance whose sideband it has */
    int64_t lease_ms;    /* until then it is the owner's alone */
    int64_t created_ms;
    int64_t ended_ms;   /* 0: live */
    const char *reason; /* of the end, "" */
};

struct store_lease {
    const char *owner;
    int64_t lease_ms;
    unsigned max; /* calls */
};

/* Of a tenant, day and model; X(enum, column). Cached is part of input;
 * estimated is responses whose tokens were estimated. clang-format never
 * agrees with itself here. */
/* clang-format off */
#define STORE_USAGE_COLUMNS(X) \
    X(SESSIONS, sessions) X(SESSION_MS, session_ms) \
    X(RESPONSES, responses) X(ESTIMATED, estimated) \
    X(INPUT, input_tokens) X(INPUT_TEXT, input_text_tokens) \
    X(INPUT_AUDIO, input_audio_tokens) X(INPUT_IMAGE, input_image_tokens) \
    X(CACHED, cached_tokens) X(CACHED_TEXT, cached_text_tokens) \
    X(CACHED_AUDIO, cached_audio_tokens) X(CACHED_IMAGE, cached_image_tokens) \
    X(OUTPUT, output_tokens) X(OUTPUT_TEXT, output_text_tokens) \
    X(OUTPUT_AUDIO, output_audio_tokens) X(TRANSCRIBED, transcribed_tokens) \
    X(TRANSCRIBED_MS, transcribed_ms) X(TOOL_RUNS, tool_runs)
/* clang-format on */

enum store_usage_column {
#define X(name, column) STORE_USAGE_##name,
    STORE_USAGE_COLUMNS(X)
#undef X
        STORE_USAGE_COUNT
};

struct store_usage {
    const char *tenant;
    int64_t day; /* since 1970-01-01, UTC */
    const char *model;
    uint64_t counts[STORE_USAGE_COUNT];
};

struct store_days {
    const char *tenant; /* NULL: all, their models summed up */
    int64_t from, to;   /* both included */
};

struct store;
struct store_driver;

typedef void store_done_h(void *arg, int result);
typedef void store_secret_h(void *arg, int result,
                            const struct store_secret *secret);
typedef void store_calls_h(void *arg, int result, const struct store_call *rows,
                           size_t count);
typedef void store_usage_h(void *arg, int result,
                           const struct store_usage *rows, size_t count);

/* Takes the driver on success and starts the thread. */
int store_create(struct store **sp, struct store_driver **driver);

/* Works through what is queued, then ends. Nobody may submit any more. */
void store_destroy(struct store **sp);

/* done: 0, UV_EEXIST. get: by the key's hash, dead ones too. revoke: UV_ENOENT
 * also when it was revoked before. */
int store_secret_put(struct store *store, const struct store_secret *secret,
                     store_done_h *done, void *arg);
int store_secret_get(struct store *store, const uint8_t hash[STORE_HASH_BYTES],
                     store_secret_h *done, void *arg);
int store_secret_revoke(struct store *store, const char *tenant, const char *id,
                        store_done_h *done, void *arg);

/* get: tenant NULL: of all. end: reads tenant, id, reason; UV_ENOENT: it had
 * ended. */
int store_call_put(struct store *store, const struct store_call *call,
                   store_done_h *done, void *arg);
int store_call_get(struct store *store, const char *tenant, const char *id,
                   store_calls_h *done, void *arg);
int store_call_end(struct store *store, const struct store_call *call,
                   store_done_h *done, void *arg);

/* renew: the owner's live calls are its own until lease_ms, 0: anybody's (a
 * drain); the result is their count. claim: up to `max` live calls whose lease
 * is over become the owner's. */
int store_calls_renew(struct store *store, const struct store_lease *lease,
                      store_done_h *done, void *arg);
int store_calls_claim(struct store *store, const struct store_lease *lease,
                      store_calls_h *done, void *arg);

/* add: onto the row of tenant, day and model. sum: rows by day and model. */
int store_usage_add(struct store *store, const struct store_usage *usage,
                    store_done_h *done, void *arg);
int store_usage_sum(struct store *store, const struct store_days *days,
                    store_usage_h *done, void *arg);

#endif

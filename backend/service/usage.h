/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Who has used how much: counters by tenant, UTC day and model, added to the
 * store once a second and at the end, and kept in memory without one. Knows
 * each tenant's tokens of today, those of other instances as the store had
 * them USAGE_LOOK_MS ago at most. Any thread may add. Owns its rows and one
 * thread that wakes when there is something to write.
 *
 *   usage_add ─► row of (tenant, day, model) ─► every second ─► store
 */

#ifndef VOICE_USAGE_H
#define VOICE_USAGE_H

#include "gate/store.h"
#include "service/usage_tokens.h"

#define USAGE_FLUSH_MS 1000
#define USAGE_LOOK_MS  30000
#define USAGE_ROWS_MAX 100000 /* in memory; one more is dropped and counted */

struct usage;

struct usage_config {
    struct store *store;      /* borrowed; NULL: memory alone */
    int64_t (*wall_ms)(void); /* NULL: clock_wall_ms */
};

int usage_create(struct usage **up, const struct usage_config *cfg);

/* Writes what there is and ends the thread. Nobody may add any more; the store
 * still runs. */
void usage_stop(struct usage *usage);
/* When the store has ended. */
void usage_destroy(struct usage **up);

/* A response or a transcription. */
void usage_add(struct usage *usage, const char *tenant, const char *model,
               const struct usage_tokens *tokens);
/* A session that has ended. */
void usage_add_session(struct usage *usage, const char *tenant,
                       const char *model, uint64_t duration_ms);

/* A run of a tool; model "": over HTTP. */
void usage_add_tool_run(struct usage *usage, const char *tenant,
                        const char *model);

/* Input, output and transcribed tokens of the tenant's present UTC day. */
uint64_t usage_today(struct usage *usage, const char *tenant);

/*
 * Rows of days->from … days->to, what has not been written yet included;
 * days->tenant is not NULL. 0: `told` has run inside the call. 1: it will, on
 * the store's thread. UV_EBUSY, UV_ENOMEM.
 */
int usage_ask(struct usage *usage, const struct store_days *days,
              store_usage_h *told, void *arg);

int64_t usage_day_of(int64_t wall_ms); /* since 1970-01-01 */

#endif

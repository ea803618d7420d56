/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Runs tools of the kind that starts on a loop, one order after the other or
 * several at once, and waits for their ends. The test's thread; owns the loop
 * and runs it on a thread of its own.
 */

#ifndef VOICE_TEST_TOOL_RIG_H
#define VOICE_TEST_TOOL_RIG_H

#include "tools/tool_run.h"

#include <pthread.h>

struct tool_rig {
    struct loop *loop;
    pthread_mutex_t lock;
    pthread_cond_t news;
};

struct tool_order_rig { /* one order */
    struct tool_rig *rig;
    struct tool *tool;
    struct tool_run run;
    struct loop_task start, cancel;
    json_t *arguments;
    const char *tenant, *session_id;
    bool done;
    json_t *output;       /* once it is done; NULL: it failed */
    json_t *acknowledged; /* NULL: not */
    bool truncated;
    char error[1024], type[32];
};

void tool_rig_open(struct tool_rig *rig);
/* Waits until `left` says 0 (NULL: at once). */
void tool_rig_close(struct tool_rig *rig, unsigned (*left)(void));

/* `arguments` is JSON text. `order` stays until tool_order_free. */
void tool_order_begin(struct tool_order_rig *order, struct tool_rig *rig,
                      struct tool *tool, const char *arguments);
void tool_order_cancel(struct tool_order_rig *order);
/* False: not within so long. */
bool tool_order_wait(struct tool_order_rig *order, unsigned limit_ms);
bool tool_order_wait_acknowledged(struct tool_order_rig *order,
                                  unsigned limit_ms);
void tool_order_free(struct tool_order_rig *order);

/* All of it; a minute at most. */
void tool_order_run(struct tool_order_rig *order, struct tool_rig *rig,
                    struct tool *tool, const char *arguments);

#endif

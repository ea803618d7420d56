/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Threads for tools that block: work comes from any thread, in order, and no
 * loop stands between. A thread is started when work waits and all others are
 * busy, up to the most there may be. Owns its threads; a task is its pusher's,
 * who keeps it until `run` is called. Signals are blocked in them.
 */

#ifndef VOICE_TOOL_POOL_H
#define VOICE_TOOL_POOL_H

#define TOOL_POOL_THREADS_MAX 256

struct tool_pool;

struct tool_pool_task {
    struct tool_pool_task *next; /* the pool's, while queued */
    void (*run)(struct tool_pool_task *task);
};

/* 0, UV_EINVAL, UV_ENOMEM. destroy runs what was pushed, and waits for it. */
int tool_pool_create(struct tool_pool **pp, unsigned max_threads);
void tool_pool_destroy(struct tool_pool **pp);

/* Any thread. 0; UV_EAGAIN: the system gives no thread, nothing is queued. */
int tool_pool_push(struct tool_pool *pool, struct tool_pool_task *task);

#endif

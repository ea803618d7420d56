/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An event loop on a thread of its own (libuv). Sessions, links and timers
 * live on one loop for life; other threads reach it by loop_post alone.
 * Owns the uv_loop_t and the thread, and one scratch buffer that whoever is
 * running on the loop may use. Refuses to block: a task that would wait
 * belongs to a pool.
 */

#ifndef VOICE_LOOP_H
#define VOICE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct loop;

/*
 * A unit of work for a loop. Embedded in the poster's object, so that posting
 * can't fail; the poster keeps it alive and untouched until `run` is called.
 * It may be posted again from within `run`.
 */
struct loop_task;
typedef void loop_task_h(struct loop_task *task, void *arg);
struct loop_task {
    struct loop_task *next; /* the loop's, while queued */
    loop_task_h *run;
    void *arg;
};

/* Makes the loop; its thread runs after loop_start. 0 or UV_E*. */
int loop_create(struct loop **lp, unsigned index);
int loop_start(struct loop *loop);

/*
 * Asks the loop to end, waits for its thread. Tasks already posted run first.
 * Handles still open are the caller's fault and are logged as an alert.
 */
void loop_stop(struct loop *loop);
void loop_destroy(struct loop **lp);

/* Any thread, any time before loop_stop returns. Runs in posting order. */
void loop_post(struct loop *loop, struct loop_task *task);

/*
 * On the loop: runs the task once, before the loop waits for events again.
 * A task must not defer itself from within `run`: the loop would not get on.
 * loop_undefer takes it back; harmless when it is not queued.
 */
void loop_defer(struct loop *loop, struct loop_task *task);
void loop_undefer(struct loop *loop, struct loop_task *task);

/*
 * A descriptor that a loop watches, level-triggered. Embedded in its user, who
 * keeps it until `run` was told LOOP_CLOSED. Never owns the descriptor. What a
 * uv_poll_t does, in a fifth of its size and without libuv's table of
 * descriptors: this is what a session has while it is idle.
 */
enum { LOOP_READABLE = 1, LOOP_WRITABLE = 2, LOOP_CLOSED = 4 };

struct loop_watch;
/* Some of what was asked for (an error or a hang-up counts as all of it), or
 * LOOP_CLOSED alone. Libuv callbacks' rules: may close, and free nothing
 * before LOOP_CLOSED. */
typedef void loop_watch_h(struct loop_watch *watch, unsigned events);
struct loop_watch {
    struct loop *loop;
    struct loop_watch *next; /* the loop's, while closing */
    loop_watch_h *run;
    int fd;
    uint8_t events; /* wanted */
    bool closing;
};

/* On the loop, no handler runs inside. 0 or UV_E*. close: once; LOOP_CLOSED,
 * the last call, comes before the next wait. */
int loop_watch_open(struct loop *loop, struct loop_watch *watch, int fd,
                    unsigned events, loop_watch_h *run);
void loop_watch_want(struct loop_watch *watch, unsigned events);
void loop_watch_close(struct loop_watch *watch);

/*
 * Before loop_start. A loop that turns over and over rests that long before
 * each wait, so that more comes at once; 0 never, as after loop_create. What
 * is posted meanwhile waits for the end of the rest: at most the rest and the
 * kernel's timer slack (50 us) later than it would have run.
 */
void loop_set_rest(struct loop *loop, unsigned rest_us);

uv_loop_t *loop_uv(struct loop *loop);
/* The loop that a uv_loop_t belongs to. */
struct loop *loop_of(const uv_loop_t *uv);
unsigned loop_index(const struct loop *loop);
bool loop_is_current(const struct loop *loop);

/* Counts the times that the loop has waited: equal numbers are one turn. */
uint32_t loop_turn(const struct loop *loop);

/* Between loop_start and loop_stop, any thread: how long its thread has run or
 * waited for a processor, that is, was late for events. A system call. */
uint64_t loop_busy_us(const struct loop *loop);

/*
 * LOOP_SCRATCH_BYTES bytes to read into, borrowed until the libuv callback
 * that asked returns. Nobody who is called from that callback may ask too.
 */
#define LOOP_SCRATCH_BYTES (128u * 1024u)
uint8_t *loop_scratch(struct loop *loop);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Tools that do as they are told, callers that note what they are answered, and
 * a runner with its loops, cache and registry around them. fake_setup and
 * fake_teardown are cmocka's; the latter checks that nothing is left.
 */

#ifndef KIT_FAKE_TOOL_H
#define KIT_FAKE_TOOL_H

#include "service/tool_cache.h"
#include "service/tool_registry.h"
#include "service/tool_runner.h"
#include "tools/tool_run.h"

#include <stdatomic.h>
#include <stdbool.h>

#define WAIT_MS 20000 /* for what must come */
#define RUNNING 6     /* runs at once */
#define WAITING 200   /* orders beyond */
#define SLOTS   64    /* runs of a fake that wait */

extern struct loop *services, *session;
extern struct tool_registry *registry;
extern struct tool_cache *cache;
extern struct tool_runner *runner;

struct fake {
    struct tool tool;
    atomic_uint runs, cancels, destroyed;
    atomic_bool gate; /* work and start wait for it */
    atomic_bool begun;
    atomic_int file; /* what it reads and writes */
    atomic_uint file_version;
    unsigned work_us;
    unsigned pages;
    const char *fails;               /* a type */
    const char *text;                /* NULL: {"n":…} */
    struct tool_run *started[SLOTS]; /* and not finished; the loop's */
    bool ignores_cancel;
    bool acknowledges;
};

extern const struct tool_ops fake_work_ops, fake_stamped_ops, fake_start_ops;
extern const struct tool_spec fake_spec_of_read;

void fake_await(atomic_bool *flag);
/* Made with its gate open. */
struct fake *fake_add(const char *name, const struct tool_ops *ops,
                      struct tool_spec spec);
/* For operations of a test's own. */
void fake_destroy(struct tool *tool);
/* Ends what was started, on its loop. */
void fake_finish(struct fake *f);
/* Until the runner has so many left. */
void fake_count_await(unsigned count);

struct caller {
    struct tool_job *job;
    struct tool_answer at_once;
    int result;
    atomic_uint done, pages, acknowledged, progressed;
    atomic_bool is_done;
    enum tool_ending ending;
    char text[256], type[32];
    bool is_patient; /* asks for no page by itself */
    bool on_session_loop;
};

/* Of a session, if the order says nothing else ("": over HTTP). */
void caller_order_as(struct caller *c, struct tool_order order,
                     const char *arguments);
void caller_order(struct caller *c, const char *name, const char *arguments);
/* Answered once. */
void caller_wait(struct caller *c);
void caller_order_wait(struct caller *c, const char *name,
                       const char *arguments);
void caller_wait_cancelled(struct caller *c);
/* Notes the answer; a handler. */
void caller_on_done(void *arg, const struct tool_answer *answer);

int fake_setup(void **state);
int fake_teardown(void **state);

#endif

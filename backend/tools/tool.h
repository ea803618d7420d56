/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a tool is to those who run it: a name, a JSON Schema, what it reads and
 * changes, its limits, and one operation. Counted: the registry shares it, and
 * so does every run; a remote server's tools may go while they run. A tool
 * knows no session, no cache and no HTTP: it is given a run (tools/tool_run.h)
 * and ends it once.
 *
 * Two kinds. `work` blocks: it runs on a thread of the pool, as often as it
 * has pages (file tools). `start` doesn't: everything with a socket or a child
 * runs on the services' loop, and ends whenever it ends.
 */

#ifndef VOICE_TOOL_H
#define VOICE_TOOL_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOOL_NAME_MAX        64    /* [A-Za-z0-9_-], as models take them */
#define TOOL_DESCRIPTION_MAX 4096  /* bytes */
#define TOOL_SCHEMA_MAX      65536 /* bytes of JSON text */
#define TOOL_BYTES_DEFAULT   262144
#define TOOL_BYTES_MAX       (16u * 1024u * 1024u)
#define TOOL_TIMEOUT_MAX_MS  (24u * 60u * 60u * 1000u)

enum tool_flags {
    TOOL_READ_ONLY = 1, /* changes nothing in its domain */
    TOOL_PAGES = 2,     /* can give its result in pages, as they come */
    TOOL_STAMPED = 4,   /* has `stamp`: a kept result is checked against it */
    TOOL_LONG = 8,      /* acknowledges first; its result comes much later */
    TOOL_AT_ONCE = 16   /* quick work, on the caller's thread: none of the
                           pool's; its results are not kept */
};

/* What tools read and change; who changes a domain makes what was kept of it
 * worthless. */
enum tool_domain {
    TOOL_DOMAIN_FILES, /* the root */
    TOOL_DOMAIN_WEB,
    TOOL_DOMAIN_OTHER,
    TOOL_DOMAIN_REMOTE, /* and on, one a server; the last is shared */
    TOOL_DOMAIN_END = 16
};

struct tool_spec {
    const char *name;
    const char *description;
    const char *parameters; /* JSON Schema text of an object */
    unsigned flags;
    unsigned domain;
    uint64_t ttl_ms;     /* a success is kept so long; 0: never */
    uint64_t timeout_ms; /* its hard limit, the wait for a place included */
    size_t max_bytes;    /* of its output as JSON text, 0 TOOL_BYTES_DEFAULT;
                            more is an error of the tool, which cuts by itself
                            (codec/tool_limits) */
};

struct tool;
struct tool_meter;
struct tool_run;

/* What a file was when its result was made; all 0: none. */
struct tool_stamp {
    uint64_t words[6];
};

enum tool_step {
    TOOL_STEP_DONE, /* tool_run_finish was called */
    TOOL_STEP_PAGE  /* tool_run_page was: call again when it has gone */
};

struct tool_ops {
    /* One of the two. `start`: on the loop; tool_run_finish follows, within it
     * or later, once, whatever happens. */
    enum tool_step (*work)(struct tool *tool, struct tool_run *run);
    void (*start)(struct tool *tool, struct tool_run *run);
    /* Of a run that was started and is not finished: nobody wants the result.
     * On the loop, once; tool_run_finish still follows, and soon. NULL with
     * `work`, which asks tool_run_is_cancelled. A tool that changes something
     * and has none is let end by itself, unless its time is over. */
    void (*cancel)(struct tool *tool, struct tool_run *run);
    /* What the arguments lead to at this moment; quick; any thread. 0 or UV_E*
     * (then nothing kept is given). With TOOL_STAMPED. */
    int (*stamp)(struct tool *tool, const json_t *arguments,
                 struct tool_stamp *stamp);
    /* The last share is gone; any thread. Frees what embeds it. */
    void (*destroy)(struct tool *tool);
};

/* Embedded as the first member of who implements it. */
struct tool {
    const struct tool_ops *ops;
    struct tool_spec spec;    /* texts owned here */
    json_t *schema;           /* spec.parameters */
    struct tool_meter *meter; /* the registry's, of those it has */
    atomic_uint shares;
};

/*
 * Copies the texts. 0; UV_EINVAL: a name that no model takes, a schema that is
 * no JSON object, over a limit, no time limit, or operations that don't fit the
 * flags; UV_ENOMEM. One
 * share, the caller's; on failure nothing is to be freed here.
 */
int tool_init(struct tool *tool, const struct tool_ops *ops,
              const struct tool_spec *spec);
/* What tool_init made: the first thing that ops->destroy does. */
void tool_deinit(struct tool *tool);

struct tool *tool_ref(struct tool *tool);
void tool_unref(struct tool **tool);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the tools that work with files have in common: the root that they are
 * confined to, sentences for what goes wrong, and how long they may go on.
 * Tools borrow the root, which outlives them. They run on threads of the pool.
 */

#ifndef VOICE_TOOL_FILE_H
#define VOICE_TOOL_FILE_H

#include "tools/tool.h"
#include "tools/tool_root.h"
#include "tools/tool_run.h"

/* Of each of them: tool_read_create, tool_write_create, … */
struct tool_file_config {
    const struct tool_root *root; /* borrowed */
};

struct tool_file {
    struct tool tool;
    const struct tool_root *root;
};

/* Memory for the tool, `ops` with `destroy` for it. As tool_init. */
int tool_file_create(struct tool **tp, const struct tool_file_config *cfg,
                     const struct tool_ops *ops, const struct tool_spec *spec);
/* For `ops`. */
void tool_file_destroy(struct tool *tool);

const struct tool_root *tool_file_root(const struct tool *tool);

/* Ends the run as failed: which path, and what is wrong with it. `path` may be
 * NULL. TOOL_STEP_DONE. */
enum tool_step tool_file_fail(struct tool_run *run, const char *path,
                              int error);

/* Ends the run as cancelled. TOOL_STEP_DONE. */
enum tool_step tool_file_cancelled(struct tool_run *run);

/* There is no time left but to say what was found until now, or nobody waits
 * for it any more. Cheap enough for every chunk and every few names. */
bool tool_file_is_over(const struct tool_run *run);

/* An argument that counts, from least to most; not given: otherwise. */
unsigned tool_file_number(const struct tool_run *run, const char *name,
                          unsigned otherwise, unsigned most);

/* Text of a file's name or contents as JSON: what is no UTF-8 becomes '?'.
 * `text` may be NULL when it is empty. NULL: no memory. */
json_t *tool_file_text(const char *text, size_t bytes);

/* Takes `value`. 0; UV_ENOMEM, also when it is NULL. */
int tool_file_set(json_t *object, const char *name, json_t *value);

struct tool_stamp tool_file_stamp(const struct tool_root_stat *st);

#endif

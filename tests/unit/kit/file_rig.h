/* SPDX-License-Identifier: BSD-2-Clause */

/* A tree of files in a directory of its own, a root beneath it, and runs of
 * tools on it: arguments as JSON in, output and pages out. */

#ifndef VOICE_FILE_RIG_H
#define VOICE_FILE_RIG_H

#include "tools/tool_file.h"
#include "tools/tool_run.h"

struct file_rig {
    char base[64]; /* holds "root", and beside it what is none of it */
    struct tool_root *root;
    unsigned descriptors; /* open before it was: the same are left after it */
};

void file_rig_init(struct file_rig *rig);
void file_rig_deinit(struct file_rig *rig);

/* A path beneath base; good for the next few calls. */
const char *file_rig_at(const struct file_rig *rig, const char *name);
/* Files beneath the root; directories on the way are made. */
void file_rig_write(const struct file_rig *rig, const char *name,
                    const char *text);
void file_rig_write_bytes(const struct file_rig *rig, const char *name,
                          const void *data, size_t bytes);
/* All of it, and a NUL; the caller frees it. */
char *file_rig_read(const struct file_rig *rig, const char *name);
/* Changed so many seconds before the first such call. */
void file_rig_age(const struct file_rig *rig, const char *name, int seconds);

struct file_rig_call {
    struct tool *tool;     /* the call's share goes */
    const char *arguments; /* JSON, with ' for " */
    bool wants_pages;
    unsigned cancel_after; /* pages; 0: never */
    bool is_cancelled;     /* from the beginning */
    uint64_t timeout_ms;   /* 0: a minute */
};

struct file_rig_result {
    json_t *output; /* NULL: it failed */
    json_t *pages;  /* an array */
    char error[1024], type[64];
    bool truncated, unsettled;
    struct tool_stamp stamp;
    unsigned finished;
};

/* Checks that it ends once and that the arguments fit its schema. */
void file_rig_run(const struct file_rig_call *call,
                  struct file_rig_result *result);
void file_rig_result_deinit(struct file_rig_result *result);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The ignore files of one directory: read once, when a walk comes to it, and
 * asked for every name below. Owns its rules. Links are not followed and
 * nothing but files is opened; a file over codec/ignore_rules' limit counts as
 * far as it goes.
 */

#ifndef VOICE_TOOL_IGNORED_H
#define VOICE_TOOL_IGNORED_H

#include "codec/ignore_rules.h"

/* By what goes first. */
enum tool_ignored_file {
    TOOL_IGNORED_RG,      /* .rgignore */
    TOOL_IGNORED_DOT,     /* .ignore */
    TOOL_IGNORED_GIT,     /* .gitignore */
    TOOL_IGNORED_EXCLUDE, /* .git/info/exclude */
    TOOL_IGNORED_FILES
};

struct tool_ignored {
    struct ignore_rules *rules[TOOL_IGNORED_FILES]; /* NULL: none */
    bool is_repository; /* git's rules from above end here */
    size_t path_bytes;  /* of the directory, from the root, slash included */
};

/* Of the directory. 0, UV_ENOMEM. */
int tool_ignored_read(struct tool_ignored *ignored, int directory,
                      size_t path_bytes);
void tool_ignored_deinit(struct tool_ignored *ignored);

/* Of all of them: how many. */
size_t tool_ignored_count(const struct tool_ignored *ignored);

/* What the files of the directories above a path say of it: `levels`, the
 * root's first; the question's path is from the root. */
enum ignore_verdict tool_ignored_judge(const struct tool_ignored *levels,
                                       unsigned count,
                                       const struct ignore_question *q);

#endif

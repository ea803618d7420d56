/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What one ignore file (.gitignore, .ignore) says, as gitignore(5) reads it:
 * the last rule that fits a path decides. Pure; does not change once made. A
 * line that is no pattern, or is over a limit of codec/glob_pattern, says
 * nothing. Which file goes before which is its user's matter.
 */

#ifndef VOICE_IGNORE_RULES_H
#define VOICE_IGNORE_RULES_H

#include <stdbool.h>
#include <stddef.h>

#define IGNORE_RULES_BYTES 262144 /* of one file; the rest says nothing */
#define IGNORE_RULES_MAX   4096

enum ignore_verdict { IGNORE_UNSAID, IGNORE_OUT, IGNORE_IN };

struct ignore_rules;

/* 0; UV_ENOMEM. *rp is NULL when the text has no rule. */
int ignore_rules_create(struct ignore_rules **rp, const char *text,
                        size_t bytes);
void ignore_rules_destroy(struct ignore_rules **rp);

struct ignore_question {
    const char *path; /* relative to the file's directory, without a slash at
                         either end */
    size_t bytes;
    bool is_directory;
    /* Asked every few rules, since a hostile file makes much work of a hostile
     * name; true: stop. May be NULL. */
    bool (*is_over)(const void *arg);
    const void *over_arg;
};

/* The path alone is looked at: who walks does not go into what is out. `rules`
 * may be NULL. Stopped: IGNORE_OUT. */
enum ignore_verdict ignore_rules_judge(const struct ignore_rules *rules,
                                       const struct ignore_question *q);

size_t ignore_rules_count(const struct ignore_rules *rules);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Patterns of file names: * and ? within one part of a path, [a-z] and
 * [[:alpha:]] classes, a backslash before what is meant as it is, ** as a whole
 * part for any number of parts (at least one at the end). Pure; a pattern does
 * not change once made, so any thread may match with it. Bounded: work grows
 * with the length of the path times that of the pattern, whatever both say. A
 * character is one of UTF-8; a byte that is part of none counts as one.
 */

#ifndef VOICE_GLOB_PATTERN_H
#define VOICE_GLOB_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#define GLOB_PATTERN_MAX      1024 /* bytes */
#define GLOB_PATTERN_PARTS    60   /* between slashes */
#define GLOB_PATTERN_VARIANTS 32   /* that {a,b} makes */

enum glob_pattern_flags {
    /* As people write paths: {a,b} are choices, slashes at either end, doubled
     * ones and "." mean nothing, and ".." is refused. */
    GLOB_PATH = 1
};

struct glob_pattern;

/* 0; UV_EINVAL: empty, a NUL, a bracket, brace or backslash without its end;
 * UV_E2BIG: over a limit; UV_ENOMEM. */
int glob_pattern_create(struct glob_pattern **gp, const char *text,
                        size_t bytes, unsigned flags);
void glob_pattern_destroy(struct glob_pattern **gp);

/* The whole path, relative, without a slash at either end. */
bool glob_pattern_matches(const struct glob_pattern *g, const char *path,
                          size_t bytes);

/* Whether a path below this directory can match: a walk need not go where
 * none does. "" is where the walk begins. */
bool glob_pattern_leads_below(const struct glob_pattern *g,
                              const char *directory, size_t bytes);

/* Whether a part of it begins with a dot: hidden names are meant. */
bool glob_pattern_is_of_hidden(const struct glob_pattern *g);

#endif

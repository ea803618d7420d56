/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Kinds of files by their names, as ripgrep's -t knows them, and the words that
 * models use for them ("python" is "py"). Pure; a table.
 */

#ifndef VOICE_FILE_TYPE_H
#define VOICE_FILE_TYPE_H

#include <stdbool.h>

struct file_type;

/* NULL: no such kind. Case does not matter. */
const struct file_type *file_type_find(const char *name);

/* `name` without directories. */
bool file_type_has(const struct file_type *type, const char *name);

/* The kinds' names, with commas, for a model. */
const char *file_type_list(void);

#endif

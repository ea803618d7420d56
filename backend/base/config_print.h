/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What people read of voiced.conf: the values in effect, the example file, the
 * reference page, and the lines for the supervisor. Owns nothing; any thread.
 * Refuses to print a secret: no key, no header's value, no proxy's user.
 */

#ifndef VOICE_CONFIG_PRINT_H
#define VOICE_CONFIG_PRINT_H

#include "base/config.h"

#include <stdio.h>

/* The effective values in the file's own syntax. */
void config_print(const struct server_config *cfg, FILE *out);

/* The example file: every key with its default, commented out. */
void config_print_example(FILE *out);

/* The reference page, Markdown. */
void config_print_reference(FILE *out);

/* What the supervisor asks for: "unix MODE BACKLOG PATH", "tcp BACKLOG
 * HOST:PORT", "pid PATH", a line each. */
void config_print_listen(const struct server_config *cfg, FILE *out);

#endif

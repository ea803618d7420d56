/* SPDX-License-Identifier: BSD-2-Clause */

/* The one table of voiced.conf's keys. Pure, any thread. */

#ifndef VOICE_CONFIG_TABLE_H
#define VOICE_CONFIG_TABLE_H

#include "base/config.h"
#include "base/config_key.h"

#define CONFIG_KEY_MAX 160 /* more keys than the table has */

size_t config_key_count(void);
const struct config_key *config_key_at(size_t i);

/* Index of a key, or config_key_count(). section "" is the top. */
size_t config_key_find(const char *section, const char *name);

#endif

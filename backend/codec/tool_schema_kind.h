/* SPDX-License-Identifier: BSD-2-Clause */

/* The types of JSON Schema: what fits them, and how a sentence calls them.
 * Pure, any thread. */

#ifndef VOICE_TOOL_SCHEMA_KIND_H
#define VOICE_TOOL_SCHEMA_KIND_H

#include <jansson.h>
#include <stdbool.h>

/* A type that is not known fits everything. */
bool tool_schema_kind_fits(const char *kind, const json_t *value);

/* "an integer"; of a type by its name, and of a value. Literals. */
const char *tool_schema_kind_named(const char *kind);
const char *tool_schema_kind_of(const json_t *value);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Whether a tool's arguments are what its JSON Schema asks for. Understood:
 * type, enum, const, properties, required, additionalProperties, items,
 * minItems, maxItems, uniqueItems, minLength, maxLength, minimum, maximum,
 * exclusiveMinimum, exclusiveMaximum, multipleOf, anyOf, oneOf, allOf, not,
 * true, false, and $ref into the same schema. Any other keyword, one that is
 * malformed and a reference that leads nowhere allow everything: a remote
 * server looks for itself. Pure, any thread; bounded in depth and in work
 * whatever the schema says.
 */

#ifndef VOICE_TOOL_SCHEMA_H
#define VOICE_TOOL_SCHEMA_H

#include <jansson.h>

#define TOOL_SCHEMA_ERROR_BYTES 512
#define TOOL_SCHEMA_DEPTH_MAX   64
#define TOOL_SCHEMA_STEPS_MAX   200000 /* schemas applied, values compared */

/*
 * 0; UV_EINVAL: `error` says what is wrong where, for a model to mend
 * ("arguments.lines[2] must be an integer, not a string."); UV_E2BIG: too deep
 * or too much work, `error` says so. No text of the arguments is repeated but
 * names of properties, cut short.
 */
int tool_schema_check(const json_t *schema, const json_t *arguments,
                      char error[TOOL_SCHEMA_ERROR_BYTES]);

#endif

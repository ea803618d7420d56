/* SPDX-License-Identifier: BSD-2-Clause */

/* Any JSON as a schema and any as arguments, one a line: an answer, in bounded
 * work, and an error that is a sentence of sound UTF-8 when there is one. */

#include "codec/tool_schema.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static json_t *
load(const char *text, size_t bytes)
{
    return json_loadb(text, bytes, JSON_DECODE_ANY, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *text = (const char *) data;
    const char *line = bytes ? memchr(text, '\n', bytes) : NULL;
    char error[TOOL_SCHEMA_ERROR_BYTES];

    if (!line)
        return 0;
    json_t *schema = load(text, (size_t) (line - text));
    json_t *value = load(line + 1, bytes - (size_t) (line + 1 - text));
    if (schema && value) {
        int result = tool_schema_check(schema, value, error);
        json_t *said = json_string(error);

        if (!said || (result != 0) != (error[0] != 0)
            || (result && result != UV_EINVAL && result != UV_E2BIG))
            abort();
        json_decref(said);
    }
    json_decref(schema);
    json_decref(value);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/* Any pattern and any path, one a line, the first byte the flags: bounded
 * work, and where a path matches a walk has been let in on the way to it. */

#include "codec/glob_pattern.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
demand(bool condition)
{
    if (!condition)
        abort();
}

/* A walk's paths have no empty part. */
static bool
is_path(const char *path, size_t bytes)
{
    return bytes > 0 && *path != '/' && path[bytes - 1] != '/'
           && !memmem(path, bytes, "//", 2);
}

static void
match(const struct glob_pattern *g, const char *path, size_t bytes)
{
    bool matches = glob_pattern_matches(g, path, bytes);

    (void) glob_pattern_is_of_hidden(g);
    if (!matches || !is_path(path, bytes))
        return;
    demand(glob_pattern_leads_below(g, "", 0));
    for (size_t i = 0; i < bytes; i++)
        if (path[i] == '/')
            demand(glob_pattern_leads_below(g, path, i));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *text = (const char *) data + 1;
    const char *line = bytes > 1 ? memchr(text, '\n', bytes - 1) : NULL;
    struct glob_pattern *g = NULL;

    if (!line)
        return 0;
    size_t path_bytes = bytes - 2 - (size_t) (line - text);
    int result = glob_pattern_create(&g, text, (size_t) (line - text),
                                     data[0] & GLOB_PATH);
    demand((result == 0) == (g != NULL));
    demand(result == 0 || result == UV_EINVAL || result == UV_E2BIG);
    if (result)
        return 0;
    match(g, line + 1, path_bytes > 4096 ? 4096 : path_bytes);
    glob_pattern_destroy(&g);
    return 0;
}

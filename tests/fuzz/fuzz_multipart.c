/* SPDX-License-Identifier: BSD-2-Clause */

/* A first line as the Content-Type, the rest as the body: refused, or parts
 * that lie in the body and come out the same when they are written anew. */

#include "codec/multipart.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BOUNDARY "fuzz-0bJ3k9-boundary"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
rewrite(const struct multipart *m)
{
    struct buffer out;
    struct multipart again;

    buffer_init(&out, 1u << 22);
    for (size_t i = 0; i < m->count; i++)
        if (multipart_append(&out, BOUNDARY, &m->parts[i]))
            abort();
    if (multipart_end(&out, BOUNDARY)
        || multipart_parse((char *) out.data, out.bytes, BOUNDARY, &again)
        || again.count != m->count)
        abort();
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(again.parts[i].name, m->parts[i].name) != 0
            || again.parts[i].bytes != m->parts[i].bytes
            || memcmp(again.parts[i].body, m->parts[i].body, m->parts[i].bytes)
                   != 0)
            abort();
    buffer_deinit(&out);
}

/* What has a quote, a backslash or our boundary in it would need care that
 * the writer's own names don't. */
static bool
is_plain(const struct multipart *m)
{
    for (size_t i = 0; i < m->count; i++)
        if (strpbrk(m->parts[i].name, "\"\\")
            || memmem(m->parts[i].body, m->parts[i].bytes, BOUNDARY,
                      strlen(BOUNDARY)))
            return false;
    return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const uint8_t *feed = memchr(data, '\n', bytes);
    char boundary[MULTIPART_BOUNDARY_BYTES];
    struct multipart m;

    if (!feed)
        return 0;
    size_t head = (size_t) (feed - data);
    char *type = malloc(head + 1);
    memcpy(type, data, head);
    type[head] = 0;
    const char *body = (const char *) feed + 1;
    size_t left = bytes - head - 1;
    if (!multipart_boundary(type, boundary)
        && !multipart_parse(body, left, boundary, &m)) {
        for (size_t i = 0; i < m.count; i++)
            if (m.parts[i].bytes
                && (m.parts[i].body < body
                    || m.parts[i].body + m.parts[i].bytes > body + left))
                abort();
        if (is_plain(&m))
            rewrite(&m);
    }
    free(type);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A connection in any dialect: the first byte says which, then lines, each a
 * text up ('>') or down ('<'). What comes out of JSON is JSON; a text that is
 * refused emits nothing; nothing is made of nothing.
 */

#include "codec/dialect.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define CHECK(ok)                                                              \
    do {                                                                       \
        if (!(ok))                                                             \
            abort();                                                           \
    } while (0)

/* An event becomes itself and what was left out before it. */
#define EMITTED_MAX (16 + 6)

struct seen {
    unsigned count;
    int is_json; /* what went in */
};

static void
on_text(void *arg, const char *json, size_t bytes)
{
    struct seen *seen = arg;

    CHECK(json[bytes] == 0);
    seen->count++;
    if (!seen->is_json)
        return;
    json_t *tree =
        json_loadb(json, bytes, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    CHECK(tree);
    json_decref(tree);
}

static void
line_feed(struct dialect *d, const uint8_t *line, size_t bytes)
{
    struct seen seen = {0};
    int up = line[0] == '>';
    char *text = malloc(bytes);

    CHECK(text);
    memcpy(text, line + 1, bytes - 1);
    text[--bytes] = 0;
    json_t *tree =
        json_loadb(text, bytes, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    seen.is_json = tree != NULL;
    json_decref(tree);
    int result = up ? dialect_to_peer(d, text, bytes, on_text, &seen)
                    : dialect_from_peer(d, text, bytes, on_text, &seen);
    CHECK(result == 0 || result == UV_EINVAL);
    CHECK(seen.count <= EMITTED_MAX);
    CHECK(result == 0 || seen.count <= (up ? 0 : 16));
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const uint8_t *end = data + bytes;
    struct dialect *d;

    if (bytes < 2)
        return 0;
    CHECK(dialect_create(&d, data[0] % DIALECT_COUNT,
                         data[0] / DIALECT_COUNT % DIALECT_SIDE_COUNT)
          == 0);
    for (const uint8_t *line = data + 1; d && line < end;) {
        const uint8_t *stop = memchr(line, '\n', (size_t) (end - line));
        if (!stop)
            stop = end;
        if (stop > line)
            line_feed(d, line, (size_t) (stop - line));
        line = stop + 1;
    }
    dialect_destroy(&d);
    return 0;
}

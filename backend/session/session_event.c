/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_event.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

int
session_event_open(struct session_event *e, const char *json, size_t bytes)
{
    memset(e, 0, sizeof(*e));
    e->json = json;
    e->bytes = bytes;
    if (realtime_peek(json, bytes, &e->peek))
        return UV_EINVAL;
    e->type = e->peek.type;
    return 0;
}

void
session_event_close(struct session_event *e)
{
    json_decref(e->tree);
    free(e->made);
}

json_t *
session_event_tree(struct session_event *e)
{
    if (!e->tree)
        e->tree = json_loadb(e->json, e->bytes,
                             JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    return e->tree;
}

void
session_event_touch(struct session_event *e)
{
    e->changed = true;
}

void
session_event_replace(struct session_event *e, char **text, size_t bytes)
{
    free(e->made);
    e->made = *text;
    e->json = *text;
    e->bytes = bytes;
    *text = NULL;
}

int
session_event_render(struct session_event *e)
{
    if (!e->changed)
        return 0;
    char *text = json_dumps(e->tree, JSON_COMPACT);
    if (!text)
        return UV_ENOMEM;
    session_event_replace(e, &text, strlen(text));
    e->changed = false;
    return 0;
}

const char *
session_event_text(const struct session_event *e, enum realtime_key key,
                   char *out, size_t room)
{
    struct realtime_span span = e->peek.value[key];

    out[0] = 0;
    if (!span.text || span.bytes < 2 || span.text[0] != '"'
        || span.bytes - 2 >= room
        || memchr(span.text, '\\', span.bytes) != NULL)
        return out;
    memcpy(out, span.text + 1, span.bytes - 2);
    out[span.bytes - 2] = 0;
    return out;
}

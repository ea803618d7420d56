/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_history_script.h"

#include "gate/crypto.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct history_line {
    struct history_line *next;
    char *id;
    char *json;
    size_t bytes;
};

void
history_script_init(struct history_script *script)
{
    script->first = NULL;
    script->last = &script->first;
    script->failed = false;
}

static void
line_free(struct history_line *line)
{
    free(line->id);
    free(line->json);
    free(line);
}

/* Takes the text. */
static void
line_add(struct history_script *script, const char *id, char *json,
         size_t bytes)
{
    struct history_line *line = json ? calloc(1, sizeof(*line)) : NULL;

    if (line && id)
        line->id = strdup(id);
    if (!line || (id && !line->id)) {
        script->failed = true;
        free(line);
        free(json);
        return;
    }
    line->json = json;
    line->bytes = bytes;
    *script->last = line;
    script->last = &line->next;
}

void
history_script_add(struct history_script *script, const char *id, json_t *event)
{
    char *text = event ? json_dumps(event, JSON_COMPACT) : NULL;

    json_decref(event);
    line_add(script, id, text, text ? strlen(text) : 0);
}

void
history_script_tell(struct history_script *script, json_t *event)
{
    char id[CRYPTO_ID_BYTES];

    crypto_id("event_", id);
    if (event && json_object_set_new(event, "event_id", json_string(id))) {
        json_decref(event);
        event = NULL;
    }
    history_script_add(script, NULL, event);
}

void
history_script_text(struct history_script *script, const char *json,
                    size_t bytes)
{
    char *copy = malloc(bytes + 1);

    if (copy) {
        memcpy(copy, json, bytes);
        copy[bytes] = 0;
    }
    line_add(script, NULL, copy, bytes);
}

/* --- telling */

static struct history_line *
line_pop(struct history_script *script)
{
    struct history_line *line = script->first;

    if (!line)
        return NULL;
    script->first = line->next;
    if (!script->first)
        script->last = &script->first;
    return line;
}

int
history_script_run(struct history_script *script, history_line_h *handler,
                   void *arg)
{
    struct history_line *line;

    while ((line = line_pop(script)) != NULL) {
        handler(arg, line->id, line->json, line->bytes);
        line_free(line);
    }
    return script->failed ? UV_ENOMEM : 0;
}

void
history_script_clear(struct history_script *script)
{
    struct history_line *line;

    while ((line = line_pop(script)) != NULL)
        line_free(line);
}

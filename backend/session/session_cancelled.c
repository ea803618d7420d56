/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_cancelled.h"

#include <stdio.h>
#include <string.h>

static void
note(struct session_cancelled *c, const char *id, uint64_t now_ms)
{
    size_t oldest = 0;

    if (!id || !*id || strlen(id) >= SESSION_CANCELLED_ID_BYTES)
        return;
    for (size_t i = 1; i < SESSION_CANCELLED_IDS; i++)
        if (c->ids[i].until_ms < c->ids[oldest].until_ms)
            oldest = i;
    snprintf(c->ids[oldest].id, sizeof(c->ids[oldest].id), "%s", id);
    c->ids[oldest].until_ms = c->until_ms = now_ms + SESSION_CANCELLED_MS;
}

static void
done_note(struct session_cancelled *c, struct session_event *e, uint64_t now_ms)
{
    const json_t *response = json_object_get(session_event_tree(e), "response");
    const char *status = json_string_value(json_object_get(response, "status"));

    if (status && strcmp(status, "cancelled") == 0)
        note(c, json_string_value(json_object_get(response, "id")), now_ms);
}

static bool
is_noted(const struct session_cancelled *c, const char *id, uint64_t now_ms)
{
    for (size_t i = 0; i < SESSION_CANCELLED_IDS; i++)
        if (now_ms < c->ids[i].until_ms && strcmp(c->ids[i].id, id) == 0)
            return true;
    return false;
}

bool
session_cancelled_look(struct session_cancelled *c, struct session_event *e,
                       uint64_t now_ms)
{
    char id[SESSION_CANCELLED_ID_BYTES];

    if (e->type == REALTIME_RESPONSE_DONE) {
        done_note(c, e, now_ms);
        return false;
    }
    if (now_ms >= c->until_ms || e->type == REALTIME_BUFFER_STARTED
        || e->type == REALTIME_BUFFER_STOPPED
        || e->type == REALTIME_BUFFER_CLEARED)
        return false;
    session_event_text(e, REALTIME_KEY_RESPONSE_ID, id, sizeof(id));
    return *id && is_noted(c, id, now_ms);
}

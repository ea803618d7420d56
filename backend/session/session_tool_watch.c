/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   model ─► down ─► turn, calls ─► shown, changed, hidden
 *   client ─► up ──► turn, calls, set ─► sent, changed, refused
 */

#include "session/session_tool_watch.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

void
session_tool_watch_init(struct session_tool_watch *w)
{
    session_tool_calls_init(&w->calls);
}

void
session_tool_watch_deinit(struct session_tool_watch *w)
{
    session_tool_calls_deinit(&w->calls);
    session_tool_set_deinit(&w->set);
    json_decref(w->restore);
    w->restore = NULL;
}

static const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static bool
text_is(const json_t *object, const char *key, const char *wanted)
{
    return strcmp(text_of(object, key), wanted) == 0;
}

static void
hidden_tell(struct session_tool_watch *w, const char *item_id)
{
    if (w->on_hidden && *item_id)
        w->on_hidden(w->arg, item_id);
}

/* --- calls */

/* Whether the item, a call of this response, is the server's. A call that is
 * incomplete has no arguments that anybody may act on. */
static bool
call_tell(struct session_tool_watch *w, const char *response_id,
          const json_t *item, bool complete)
{
    const struct session_tool_call *call;
    const struct session_tool_news news = {
        .response_id = response_id,
        .item_id = text_of(item, "id"),
        .call_id = text_of(item, "call_id"),
        .name = text_of(item, "name"),
        .arguments = complete && !text_is(item, "status", "incomplete")
                         ? text_of(item, "arguments")
                         : NULL,
        .server = session_tool_set_has(&w->set, text_of(item, "name")),
    };

    if (!*news.call_id || !*news.name)
        return false;
    if (session_tool_calls_tell(&w->calls, &news))
        LOG_LIMITED(WARN, w->log_id, "event=tool_call_lost");
    call = session_tool_table_find(&w->calls.table, news.call_id);
    return call ? !call->foreign : news.server;
}

/* response.output_item.added and .done */
static bool
on_output_item(struct session_tool_watch *w, struct session_event *e)
{
    const json_t *event = session_event_tree(e);
    const json_t *item = json_object_get(event, "item");
    const char *response_id = text_of(event, "response_id");

    if (!text_is(item, "type", "function_call")
        || session_tool_turn_is_beside(&w->turn, response_id))
        return true;
    if (!call_tell(w, response_id, item, e->type == REALTIME_OUTPUT_ITEM_DONE))
        return true;
    hidden_tell(w, text_of(item, "id"));
    return false;
}

/* What we put there, by its call: a server may give items ids of its own. */
static bool
is_ours(struct session_tool_watch *w, const json_t *item)
{
    const size_t bytes = sizeof(SESSION_TOOL_OWN_CALL) - 1;
    const char *call_id = text_of(item, "call_id");
    struct session_tool_call *call =
        session_tool_table_find(&w->calls.table, call_id);

    if (text_is(item, "type", "function_call_output")) {
        session_tool_calls_added(&w->calls, text_of(item, "id"));
        if (call && !call->foreign)
            call->added = true;
    }
    if (call)
        return !call->foreign;
    return strncmp(call_id, SESSION_TOOL_OWN_CALL, bytes) == 0;
}

/* conversation.item.added and .done; of a call it may come before the
 * response's own events. */
static bool
on_item(struct session_tool_watch *w, struct session_event *e)
{
    const json_t *item = json_object_get(session_event_tree(e), "item");
    bool ours = is_ours(w, item)
                || (text_is(item, "type", "function_call")
                    && text_is(item, "status", "in_progress")
                    && session_tool_set_has(&w->set, text_of(item, "name")));

    if (ours)
        hidden_tell(w, text_of(item, "id"));
    return !ours;
}

/* Whether the event is about an item that is a call of ours. */
static bool
is_about_ours(const struct session_tool_watch *w, const struct session_event *e)
{
    char id[SESSION_TOOL_ID_BYTES];
    const struct session_tool_call *call;

    if (!w->calls.table.first)
        return false;
    session_event_text(e, REALTIME_KEY_ITEM_ID, id, sizeof(id));
    call = *id ? session_tool_table_of_item(&w->calls.table, id) : NULL;
    return call && !call->foreign;
}

static bool
on_item_deleted(struct session_tool_watch *w, struct session_event *e)
{
    char id[SESSION_TOOL_ID_BYTES];
    bool ours = is_about_ours(w, e);

    session_event_text(e, REALTIME_KEY_ITEM_ID, id, sizeof(id));
    if (*id)
        session_tool_calls_deleted(&w->calls, id);
    return !ours;
}

/* --- responses */

static void
on_created(struct session_tool_watch *w, struct session_event *e)
{
    const json_t *response = json_object_get(session_event_tree(e), "response");

    if (!session_tool_turn_is_beside(&w->turn, text_of(response, "id")))
        session_tool_calls_began(&w->calls);
}

/* A call of which nothing was told before is in the output all the same. */
static bool
output_take(struct session_tool_watch *w, const char *response_id,
            json_t *output)
{
    bool changed = false;
    json_t *item;
    size_t index;

    json_array_foreach(output, index, item)
    {
        if (text_is(item, "type", "function_call"))
            call_tell(w, response_id, item, true);
    }
    for (index = json_array_size(output); index-- > 0;) {
        const char *call_id = text_of(json_array_get(output, index), "call_id");
        const struct session_tool_call *call =
            *call_id ? session_tool_table_find(&w->calls.table, call_id) : NULL;
        if (!call || call->foreign)
            continue;
        json_array_remove(output, index);
        changed = true;
    }
    return changed;
}

static void
on_done(struct session_tool_watch *w, struct session_event *e)
{
    json_t *response = json_object_get(session_event_tree(e), "response");
    const char *id = text_of(response, "id");

    if (session_tool_turn_is_beside(&w->turn, id))
        return;
    if (output_take(w, id, json_object_get(response, "output")))
        session_event_touch(e);
    session_tool_calls_ended(&w->calls, id,
                             text_is(response, "status", "cancelled"));
}

/* --- errors */

static bool
on_error(struct session_tool_watch *w, struct session_event *e)
{
    const json_t *error = json_object_get(session_event_tree(e), "error");
    const char *id = text_of(error, "event_id");
    const char *code = text_of(error, "code");

    if (strncmp(id, SESSION_TOOL_EVENT, sizeof(SESSION_TOOL_EVENT) - 1) != 0)
        return true;
    if (strncmp(id, SESSION_TOOL_CREATE, sizeof(SESSION_TOOL_CREATE) - 1)
        == 0) {
        session_tool_turn_refused(&w->turn);
        session_tool_calls_refused(
            &w->calls,
            strcmp(code, "conversation_already_has_active_response") == 0);
    }
    LOG_LIMITED(WARN, w->log_id, "event=tool_refused code=%.64s", code);
    return false;
}

static void
on_session(struct session_tool_watch *w, struct session_event *e)
{
    json_t *session = json_object_get(session_event_tree(e), "session");

    if (w->restores && json_is_array(json_object_get(session, "tools"))) {
        json_decref(w->restore);
        w->restore = session_tool_set_restore(&w->set, session);
    }
    if (session_tool_set_hide(&w->set, session))
        session_event_touch(e);
}

static bool
event_read(struct session_tool_watch *w, struct session_event *e)
{
    switch (e->type) {
    case REALTIME_SESSION_CREATED:
    case REALTIME_SESSION_UPDATED:
        on_session(w, e);
        return true;
    case REALTIME_OUTPUT_ITEM_ADDED:
    case REALTIME_OUTPUT_ITEM_DONE:
        return on_output_item(w, e);
    case REALTIME_ITEM_ADDED:
    case REALTIME_ITEM_DONE:
        return on_item(w, e);
    case REALTIME_ARGUMENTS_DELTA:
    case REALTIME_ARGUMENTS_DONE:
        return !is_about_ours(w, e);
    case REALTIME_ITEM_DELETED:
        return on_item_deleted(w, e);
    case REALTIME_RESPONSE_CREATED:
        on_created(w, e);
        return true;
    case REALTIME_RESPONSE_DONE:
        on_done(w, e);
        return true;
    case REALTIME_ERROR:
        return on_error(w, e);
    default:
        return true;
    }
}

bool
session_tool_watch_down(struct session_tool_watch *w, struct session_event *e,
                        uint64_t now_ms)
{
    bool shown;

    /* A response that has ended is known by its id until it was looked at. */
    if (e->type != REALTIME_RESPONSE_DONE)
        session_tool_turn_down(&w->turn, e, now_ms);
    shown = event_read(w, e);
    if (e->type == REALTIME_RESPONSE_DONE)
        session_tool_turn_down(&w->turn, e, now_ms);
    return shown;
}

void
session_tool_watch_missed(struct session_tool_watch *w)
{
    memset(&w->turn, 0, sizeof(w->turn));
    session_tool_calls_missed(&w->calls);
}

/* --- the client */

/* Of a session.update or a response.create. */
static enum session_tool_verdict
member_change(struct session_tool_watch *w, struct realtime_span text,
              const char *member, char **made)
{
    json_t *event = json_loadb(text.text, text.bytes,
                               JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    json_t *object = json_object_get(event, member);
    int result = 0;

    if (json_is_object(object) && strcmp(member, "session") == 0)
        result = session_tool_set_lay(&w->set, object, false);
    else if (json_is_object(object))
        result = session_tool_set_guard(&w->set, object);
    if (result > 0)
        *made = json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(event);
    if (result < 0 || (result > 0 && !*made))
        return SESSION_TOOL_FAILED;
    return result > 0 ? SESSION_TOOL_CHANGED : SESSION_TOOL_SEND;
}

static bool
is_mentioned(struct realtime_span span, const char *word)
{
    return span.text
           && memmem(span.text, span.bytes, word, strlen(word)) != NULL;
}

/* Only the client's own calls are for the client to answer. A text with
 * escapes says whatever it likes: it is read. */
static enum session_tool_verdict
item_check(struct session_tool_watch *w, struct realtime_span item)
{
    bool refused;
    json_t *tree;

    if (!is_mentioned(item, "function_call_output")
        && !is_mentioned(item, "\\u"))
        return SESSION_TOOL_SEND;
    tree = json_loadb(item.text, item.bytes, JSON_ALLOW_NUL, NULL);
    refused =
        text_is(tree, "type", "function_call_output")
        && !session_tool_calls_output(&w->calls, text_of(tree, "call_id"));
    json_decref(tree);
    return refused ? SESSION_TOOL_REFUSE : SESSION_TOOL_SEND;
}

enum session_tool_verdict
session_tool_watch_up(struct session_tool_watch *w,
                      const struct realtime_peek *peek,
                      struct realtime_span text, char **made, uint64_t now_ms)
{
    session_tool_turn_up(&w->turn, peek, now_ms);
    switch (peek->type) {
    case REALTIME_SESSION_UPDATE:
        return member_change(w, text, "session", made);
    case REALTIME_RESPONSE_CREATE:
        return is_mentioned(peek->value[REALTIME_KEY_RESPONSE], "tools")
                   ? member_change(w, text, "response", made)
                   : SESSION_TOOL_SEND;
    case REALTIME_ITEM_CREATE:
        return item_check(w, peek->value[REALTIME_KEY_ITEM]);
    case REALTIME_RESPONSE_CANCEL:
        if (!session_tool_turn_is_running(&w->turn))
            session_tool_calls_stop(&w->calls);
        return SESSION_TOOL_SEND;
    default:
        return SESSION_TOOL_SEND;
    }
}

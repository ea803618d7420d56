/* SPDX-License-Identifier: BSD-2-Clause */

#include "kit/tools_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFINITIONS                                                            \
    "[{\"type\":\"function\",\"name\":\"alpha\",\"parameters\":{}},"           \
    "{\"type\":\"function\",\"name\":\"beta\",\"parameters\":{}}]"

static void
on_hidden(void *arg, const char *item_id)
{
    struct tools_rig *k = arg;
    size_t used = strlen(k->hidden);

    snprintf(k->hidden + used, sizeof(k->hidden) - used, "%s ", item_id);
}

void
tools_rig_open(struct tools_rig *k)
{
    memset(k, 0, sizeof(*k));
    k->now_ms = 100000;
    k->idle = true;
    k->w.log_id = "test";
    k->w.on_hidden = on_hidden;
    k->w.arg = k;
    session_tool_watch_init(&k->w);
    assert_int_equal(
        session_tool_set_open(&k->w.set, DEFINITIONS, strlen(DEFINITIONS)), 0);
}

void
tools_rig_close(struct tools_rig *k)
{
    session_tool_watch_deinit(&k->w);
    assert_int_equal(session_tool_illegal_count(), 0);
}

/* --- what comes */

bool
tools_rig_down(struct tools_rig *k, const char *fmt, ...)
{
    char text[2048];
    struct session_event e;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    assert_int_equal(session_event_open(&e, text, strlen(text)), 0);
    bool shown = session_tool_watch_down(&k->w, &e, k->now_ms);
    session_event_close(&e);
    return shown;
}

enum session_tool_verdict
tools_rig_up(struct tools_rig *k, const char *text, char **made)
{
    const struct realtime_span span = {text, strlen(text)};
    struct realtime_peek peek;
    char *own = NULL;

    assert_int_equal(realtime_peek(text, span.bytes, &peek), REALTIME_SOUND);
    enum session_tool_verdict verdict = session_tool_watch_up(
        &k->w, &peek, span, made ? made : &own, k->now_ms);
    free(own);
    return verdict;
}

void
tools_rig_created(struct tools_rig *k, const char *id)
{
    assert_true(
        tools_rig_down(k,
                       "{\"type\":\"response.created\",\"response\":{\"id\":"
                       "\"%s\",\"conversation_id\":\"conv\"}}",
                       id));
}

void
tools_rig_ended(struct tools_rig *k, const char *id, const char *status)
{
    assert_true(tools_rig_down(
        k,
        "{\"type\":\"response.done\",\"response\":{\"id\":\"%s\","
        "\"status\":\"%s\",\"output\":[]}}",
        id, status));
}

bool
tools_rig_item(struct tools_rig *k, const char *response, const char *call,
               const char *name, const char *status)
{
    const char *type = strcmp(status, "in_progress") == 0 ? "added" : "done";

    return tools_rig_down(
        k,
        "{\"type\":\"response.output_item.%s\",\"response_id\":\"%s\","
        "\"output_index\":0,\"item\":{\"id\":\"item_%s\",\"type\":"
        "\"function_call\",\"status\":\"%s\",\"call_id\":\"%s\","
        "\"name\":\"%s\",\"arguments\":\"{}\"}}",
        type, response, call, status, call, name);
}

void
tools_rig_called(struct tools_rig *k, const char *response, const char *call,
                 const char *name)
{
    bool server = session_tool_set_has(&k->w.set, name);

    assert_int_equal(tools_rig_item(k, response, call, name, "in_progress"),
                     !server);
    assert_int_equal(tools_rig_item(k, response, call, name, "completed"),
                     !server);
}

void
tools_rig_speech(struct tools_rig *k, const char *what)
{
    assert_true(
        tools_rig_down(k, "{\"type\":\"input_audio_buffer.%s\"}", what));
}

void
tools_rig_confirm(struct tools_rig *k, const char *call)
{
    const struct session_tool_call *c =
        session_tool_table_find(&k->w.calls.table, call);

    assert_non_null(c);
    assert_true(c->output_id[0]);
    tools_rig_down(
        k,
        "{\"type\":\"conversation.item.added\",\"item\":{\"id\":\"%s\","
        "\"type\":\"function_call_output\",\"call_id\":\"%s\"}}",
        c->output_id, call);
}

/* --- what is done */

static void
note(char *to, size_t room, const char *a, const char *b)
{
    size_t used = strlen(to);

    snprintf(to + used, room - used, "%s%s%s ", a, b ? "=" : "", b ? b : "");
}

static void
told(struct tools_rig *k, struct session_tool_call *call)
{
    note(k->told, sizeof(k->told), call->call_id,
         call->text ? call->text : "none");
    snprintf(call->output_id, sizeof(call->output_id), "item_gw_%u",
             ++k->outputs);
    session_tool_calls_told(&k->w.calls, call);
}

static bool
act(struct tools_rig *k)
{
    struct session_tool_call *call;
    uint64_t wait_ms;
    bool free =
        k->idle && session_tool_turn_is_free(&k->w.turn, k->now_ms, &wait_ms);

    switch (session_tool_calls_next(&k->w.calls, free, k->now_ms, &call)) {
    case TOOL_ACT_RUN:
        k->runs++;
        note(k->ran, sizeof(k->ran), call->call_id, NULL);
        session_tool_calls_running(call, k->now_ms);
        return true;
    case TOOL_ACT_CANCEL:
        k->cancels++;
        session_tool_calls_cancelled(&k->w.calls, call);
        return true;
    case TOOL_ACT_OUTPUT:
        told(k, call);
        return true;
    case TOOL_ACT_LATE:
        k->lates++;
        note(k->told, sizeof(k->told), "late", call->text);
        session_tool_calls_told(&k->w.calls, call);
        return true;
    case TOOL_ACT_CREATE:
        assert_true(free);
        k->creates++;
        session_tool_turn_asked(&k->w.turn, true, k->now_ms);
        session_tool_calls_asked(&k->w.calls, k->now_ms);
        return true;
    case TOOL_ACT_PROGRESS:
        k->spoken++;
        session_tool_turn_asked(&k->w.turn, false, k->now_ms);
        session_tool_calls_spoken(call, k->now_ms);
        return true;
    default:
        return false;
    }
}

void
tools_rig_flush(struct tools_rig *k)
{
    while (act(k))
        ;
}

unsigned
tools_rig_serial(const struct tools_rig *k, const char *call)
{
    const struct session_tool_call *c =
        session_tool_table_find(&k->w.calls.table, call);

    assert_non_null(c);
    return c->serial;
}

void
tools_rig_done(struct tools_rig *k, const char *call, const char *text)
{
    char *copy = strdup(text);

    session_tool_calls_done(&k->w.calls, tools_rig_serial(k, call), &copy);
    assert_null(copy);
    tools_rig_flush(k);
}

bool
tools_rig_is_quiet(const struct tools_rig *k)
{
    return session_tool_calls_is_quiet(&k->w.calls);
}

/* A response that calls alpha once, up to the running job. */
void
tools_rig_calling(struct tools_rig *k, const char *response, const char *call)
{
    tools_rig_created(k, response);
    tools_rig_called(k, response, call, "alpha");
    tools_rig_flush(k);
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_tool_call.h"

#include "base/log.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMED   (1u << TOOL_CALL_NAMED)
#define READY   (1u << TOOL_CALL_READY)
#define RUNNING (1u << TOOL_CALL_RUNNING)
#define DONE    (1u << TOOL_CALL_DONE)
#define TOLD    (1u << TOOL_CALL_TOLD)
#define LATE    (1u << TOOL_CALL_LATE)

#define WAITING (1u << TOOL_ROUND_WAITING)
#define DUE     (1u << TOOL_ROUND_DUE)
#define ASKED   (1u << TOOL_ROUND_ASKED)
#define OVER    (1u << TOOL_ROUND_OVER)

struct place {
    const char *text;
    unsigned next;
};

static const struct place call_states[] = {
#define X(id, text, next) {text, next},
    SESSION_TOOL_CALL_STATES(X)
#undef X
};

static const struct place round_phases[] = {
#define X(id, text, next) {text, next},
    SESSION_TOOL_ROUND_PHASES(X)
#undef X
};

static atomic_uint illegal;

unsigned
session_tool_illegal_count(void)
{
    return atomic_load(&illegal);
}

static bool
may_enter(const char *machine, const struct place *places, unsigned from,
          unsigned to)
{
    if (places[from].next >> to & 1)
        return true;
    atomic_fetch_add(&illegal, 1);
    LOG(ALERT, NULL, "event=illegal_state machine=%s from=%s to=%s", machine,
        places[from].text, places[to].text);
    return false;
}

bool
session_tool_call_enter(struct session_tool_call *call,
                        enum session_tool_call_state to)
{
    if (!may_enter("tool_call", call_states, call->state, to))
        return false;
    call->state = to;
    return true;
}

bool
session_tool_round_enter(struct session_tool_round *round,
                         enum session_tool_round_phase to)
{
    if (!may_enter("tool_round", round_phases, round->phase, to))
        return false;
    round->phase = to;
    return true;
}

struct session_tool_call *
session_tool_call_create(const char *call_id, const char *item_id,
                         const char *name)
{
    struct session_tool_call *call;

    if (strlen(call_id) >= SESSION_TOOL_ID_BYTES
        || strlen(item_id) >= SESSION_TOOL_ID_BYTES)
        return NULL;
    call = calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    call->name = strndup(name, SESSION_TOOL_CALL_NAME_MAX);
    if (!call->name) {
        free(call);
        return NULL;
    }
    snprintf(call->call_id, sizeof(call->call_id), "%s", call_id);
    snprintf(call->item_id, sizeof(call->item_id), "%s", item_id);
    return call;
}

void
session_tool_call_destroy(struct session_tool_call **cp)
{
    struct session_tool_call *call = *cp;

    if (!call)
        return;
    *cp = NULL;
    free(call->name);
    free(call->arguments);
    free(call->text);
    free(call);
}

char *
session_tool_failure(const char *type, const char *message)
{
    json_t *tree =
        json_pack("{s:{s:s, s:s}}", "error", "message", message, "type", type);
    char *text = tree ? json_dumps(tree, JSON_COMPACT) : NULL;

    json_decref(tree);
    return text;
}

void
session_tool_call_finish(struct session_tool_call *call, char **text)
{
    if (call->state > TOOL_CALL_RUNNING
        || !session_tool_call_enter(call, TOOL_CALL_DONE)) {
        free(*text);
    } else {
        call->text = *text;
        free(call->arguments);
        call->arguments = NULL;
    }
    *text = NULL;
}

void
session_tool_call_fail(struct session_tool_call *call, const char *type,
                       const char *message)
{
    char *text = session_tool_failure(type, message);

    session_tool_call_finish(call, &text);
}

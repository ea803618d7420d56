/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   begin ─► has a session? ─ no ─► POST /sessions ─ 201 ─┐
 *                │ yes                └ 503: again later  ▼
 *                └─────────────────────────► POST …/execute ─ 200 ─► answer
 *                                             ├ 404: a new session, once
 *                                             └ 409: later, or a new session
 */

#include "tools/agent_amplifierd.h"

#include <stdio.h>
#include <string.h>

#define LOADING_MS 2000 /* between tries while its bundles load */
#define BUSY_MS    500  /* between tries of a session that is busy */
#define BUSY_TRIES 10
#define PATH_BYTES (AGENT_REMOTE_BYTES + 32)
#define ID_BYTES                                                               \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

static void session_create(struct agent_turn *turn);
static void session_execute(struct agent_turn *turn);

static void
path_make(char path[PATH_BYTES], const struct agent_lane *lane,
          const char *verb)
{
    snprintf(path, PATH_BYTES, "/sessions/%s%s", lane->remote, verb);
}

static void
server_cancel(const struct agent_turn *turn)
{
    char path[PATH_BYTES];

    path_make(path, turn->lane, "/cancel");
    agent_server_tell(turn->server, "POST", path,
                      json_pack("{s:b}", "immediate", 1));
}

void
agent_amplifierd_forget(const struct agent_server *server,
                        const struct agent_lane *lane)
{
    char path[PATH_BYTES];

    if (lane->remote[0] == '\0')
        return;
    path_make(path, lane, "");
    agent_server_tell(server, "DELETE", path, NULL);
}

/* --- a session */

/* It becomes a part of paths. */
static bool
id_take(struct agent_lane *lane, const char *id)
{
    if (id == NULL || id[0] == '\0' || id[0] == '.'
        || strlen(id) >= sizeof(lane->remote)
        || id[strspn(id, ID_BYTES)] != '\0')
        return false;
    snprintf(lane->remote, sizeof(lane->remote), "%s", id);
    return true;
}

static void
on_created(struct agent_turn *turn, const struct agent_answer *answer)
{
    const json_t *id = json_object_get(answer->body, "session_id");

    if (answer->status == 503) {
        agent_turn_later(turn,
                         answer->retry_ms != 0 ? answer->retry_ms : LOADING_MS,
                         session_create);
    } else if (answer->status != 200 && answer->status != 201) {
        agent_turn_refuse(turn, answer);
    } else if (!id_take(turn->lane, json_string_value(id))) {
        agent_turn_fail(turn, "failed",
                        "The agent's server said what isn't understood.");
    } else {
        session_execute(turn);
    }
}

static void
session_create(struct agent_turn *turn)
{
    const struct agent_server *server = turn->server;
    json_t *body = json_object();

    if (server->bundle[0] != '\0')
        json_object_set_new(body, "bundle_name", json_string(server->bundle));
    if (server->working_dir[0] != '\0')
        json_object_set_new(body, "working_dir",
                            json_string(server->working_dir));
    agent_turn_send(turn, "POST", "/sessions", body, on_created);
}

/* --- an order */

/* What was said in the old one is lost, and so is what it was called. */
static void
session_replace(struct agent_turn *turn)
{
    agent_amplifierd_forget(turn->server, turn->lane);
    turn->lane->remote[0] = '\0';
    turn->lane->turns = 0;
    agent_lane_rename(turn->lane);
    session_create(turn);
}

static void
session_gone(struct agent_turn *turn)
{
    if (turn->conversation[0] != '\0') {
        turn->lane->lost = true;
        turn->lane->remote[0] = '\0';
        agent_turn_fail(turn, "not_found",
                        "The agent has forgotten this conversation. Begin a "
                        "new one, without session_id.");
    } else if (turn->tries++ > 0) {
        agent_turn_fail(turn, "failed",
                        "The agent's server doesn't know its own session.");
    } else {
        turn->lane->remote[0] = '\0';
        session_replace(turn);
    }
}

static void
session_busy(struct agent_turn *turn)
{
    if (turn->tries++ >= BUSY_TRIES)
        agent_turn_fail(turn, "unavailable",
                        "The agent is still busy with an earlier order of "
                        "this conversation. Try again later.");
    else if (turn->conversation[0] != '\0')
        agent_turn_later(turn, BUSY_MS, session_execute);
    else
        session_replace(turn);
}

static void
on_executed(struct agent_turn *turn, const struct agent_answer *answer)
{
    const json_t *text = json_object_get(answer->body, "response");

    if (answer->status == 404) {
        session_gone(turn);
    } else if (answer->status == 409) {
        session_busy(turn);
    } else if (answer->status == 0) {
        /* It may not have noticed that nobody listens any more. */
        server_cancel(turn);
        agent_turn_refuse(turn, answer);
    } else if (answer->status != 200) {
        agent_turn_refuse(turn, answer);
    } else if (!json_is_string(text) && !json_is_null(text)) {
        agent_turn_fail(turn, "failed",
                        "The agent's server said what isn't understood.");
    } else {
        agent_turn_answer(turn,
                          json_is_string(text) ? json_string_value(text) : "",
                          json_string_length(text));
    }
}

/* The server hands work on to its agents by itself when it is told so. */
static json_t *
prompt_make(const struct agent_turn *turn)
{
    if (turn->name[0] == '\0' || strcmp(turn->name, "self") == 0)
        return json_string(turn->instruction);
    return json_sprintf("Delegate this to the agent \"%s\" and give me its "
                        "answer:\n\n%s",
                        turn->name, turn->instruction);
}

static void
session_execute(struct agent_turn *turn)
{
    char path[PATH_BYTES];

    path_make(path, turn->lane, "/execute");
    agent_turn_send(turn, "POST", path,
                    json_pack("{s:o}", "prompt", prompt_make(turn)),
                    on_executed);
}

/* --- for the agent */

void
agent_amplifierd_begin(struct agent_turn *turn)
{
    if (turn->lane->remote[0] == '\0')
        session_create(turn);
    else
        session_execute(turn);
}

void
agent_amplifierd_stop(struct agent_turn *turn)
{
    if (turn->calling && turn->on_answer == on_executed)
        server_cancel(turn);
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/agent.h"

#include "base/clock.h"
#include "base/loop_timer.h"
#include "tools/agent_amplifierd.h"
#include "tools/agent_chat.h"
#include "tools/agent_lanes.h"
#include "tools/agent_turn.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#define URL_MAX   2048
#define KEY_MAX   4096
#define EXPIRE_MS 5000 /* between looks for idle conversations */

struct agent {
    atomic_uint shares;
    enum agent_kind kind;
    struct agent_server server;
    struct agent_lanes lanes;
    uint64_t idle_ms;
    struct loop_timer *expiry; /* made on the loop, with the first turn */
    struct loop_task ending;
};

static atomic_uint agents_ending;

unsigned
agent_closing(void)
{
    return atomic_load(&agents_ending);
}

/* --- life */

static void
agent_free(struct agent *agent)
{
    struct agent_server *server = &agent->server;

    if (server->authorization != NULL)
        explicit_bzero(server->authorization, strlen(server->authorization));
    free(server->authorization);
    free(server->url);
    free(server->ca_file);
    free(server->model);
    free(server->bundle);
    free(server->working_dir);
    free(agent);
}

/* http(s)://, and nothing behind the path. */
static bool
url_is_base(const char *url)
{
    if (url == NULL || strlen(url) > URL_MAX
        || strpbrk(url, " ?#@\"\\\r\n\t") != NULL)
        return false;
    return (strncasecmp(url, "http://", 7) == 0 && url[7] != '\0')
           || (strncasecmp(url, "https://", 8) == 0 && url[8] != '\0');
}

static char *
text_copy(const char *text)
{
    return strdup(text != NULL ? text : "");
}

/* 0 or UV_ENOMEM. */
static int
server_fill(struct agent_server *server, const struct agent_config *cfg)
{
    size_t bytes;

    server->loop = cfg->loop;
    server->http = cfg->http;
    server->url = text_copy(cfg->url);
    server->ca_file = text_copy(cfg->ca_file);
    server->model = text_copy(cfg->model);
    server->bundle = text_copy(cfg->bundle);
    server->working_dir = text_copy(cfg->working_dir);
    if (server->url == NULL || server->ca_file == NULL || server->model == NULL
        || server->bundle == NULL || server->working_dir == NULL)
        return UV_ENOMEM;
    for (bytes = strlen(server->url); server->url[bytes - 1] == '/'; bytes--)
        server->url[bytes - 1] = '\0';
    if (cfg->key == NULL || cfg->key[0] == '\0')
        return 0;
    bytes = strlen(cfg->key) + sizeof("Bearer ");
    server->authorization = malloc(bytes);
    if (server->authorization == NULL)
        return UV_ENOMEM;
    snprintf(server->authorization, bytes, "Bearer %s", cfg->key);
    return 0;
}

static void
on_lane_gone(void *arg, struct agent_lane *lane)
{
    struct agent *agent = arg;

    if (agent->kind == AGENT_AMPLIFIERD)
        agent_amplifierd_forget(&agent->server, lane);
}

int
agent_create(struct agent **ap, const struct agent_config *cfg)
{
    struct agent *agent;

    if (!url_is_base(cfg->url) || cfg->lanes < 1 || cfg->lanes > AGENT_LANES_MAX
        || (cfg->key != NULL && strlen(cfg->key) > KEY_MAX)
        || (cfg->kind == AGENT_CHAT
            && (cfg->model == NULL || cfg->model[0] == '\0')))
        return UV_EINVAL;
    agent = calloc(1, sizeof(*agent));
    if (agent == NULL)
        return UV_ENOMEM;
    atomic_init(&agent->shares, 1);
    agent->kind = cfg->kind;
    agent->idle_ms = cfg->idle_ms;
    agent->lanes.max = (unsigned) cfg->lanes;
    agent->lanes.gone = on_lane_gone;
    agent->lanes.arg = agent;
    if (server_fill(&agent->server, cfg) != 0) {
        agent_free(agent);
        return UV_ENOMEM;
    }
    *ap = agent;
    return 0;
}

struct agent *
agent_ref(struct agent *agent)
{
    atomic_fetch_add(&agent->shares, 1);
    return agent;
}

static void
on_ending(struct loop_task *task, void *arg)
{
    struct agent *agent = arg;

    (void) task;
    agent_lanes_expire(&agent->lanes, clock_now_ms(), 0);
    loop_timer_destroy(&agent->expiry);
    agent_free(agent);
    atomic_fetch_sub(&agents_ending, 1);
}

void
agent_unref(struct agent **ap)
{
    struct agent *agent = *ap;

    *ap = NULL;
    if (agent == NULL || atomic_fetch_sub(&agent->shares, 1) != 1)
        return;
    atomic_fetch_add(&agents_ending, 1);
    agent->ending.run = on_ending;
    agent->ending.arg = agent;
    loop_post(agent->server.loop, &agent->ending);
}

/* --- turns */

static void
on_expiry(void *arg)
{
    struct agent *agent = arg;

    agent_lanes_expire(&agent->lanes, clock_now_ms(), agent->idle_ms);
}

static void
on_turn_ended(struct agent_turn *turn, const struct agent_reply *reply)
{
    struct agent *agent = turn->agent;

    /* Whoever is told may be the last to have waited for it. */
    atomic_fetch_add(&agents_ending, 1);
    turn->reply(turn->arg, reply);
    if (turn->lane != NULL)
        agent_lanes_give(&agent->lanes, turn->lane, clock_now_ms());
    agent_turn_destroy(turn);
    agent_unref(&agent);
    atomic_fetch_sub(&agents_ending, 1);
}

/* Without it conversations are only ever forgotten for new ones. */
static void
expiry_start(struct agent *agent)
{
    if (agent->expiry == NULL
        && loop_timer_create(&agent->expiry, agent->server.loop, on_expiry,
                             agent)
               == 0)
        loop_timer_start(agent->expiry, EXPIRE_MS, EXPIRE_MS);
}

/* False: the turn was ended. */
static bool
lane_take(struct agent *agent, struct agent_turn *turn)
{
    struct agent_order order = {.tenant = turn->tenant,
                                .caller = turn->caller,
                                .conversation = turn->conversation,
                                .context = turn->context};

    switch (
        agent_lanes_take(&agent->lanes, &order, clock_now_ms(), &turn->lane)) {
    case AGENT_LANE_TAKEN:
        return true;
    case AGENT_LANE_UNKNOWN:
        agent_turn_fail(turn, "not_found",
                        "There is no conversation of that session_id. Begin a "
                        "new one, without it.");
        return false;
    case AGENT_LANE_BUSY:
        agent_turn_fail(turn, "unavailable",
                        "This conversation is busy with its last order. Wait "
                        "for it, or begin another, without session_id.");
        return false;
    case AGENT_LANES_FULL:
        agent_turn_fail(turn, "unavailable",
                        "All agents are busy. Try again later.");
        return false;
    case AGENT_LANES_MEMORY:
        break;
    }
    agent_turn_fail(turn, "failed", "There is no memory left.");
    return false;
}

static void
on_begin(struct loop_task *task, void *arg)
{
    struct agent_turn *turn = arg;
    struct agent *agent = turn->agent;

    (void) task;
    expiry_start(agent);
    if (turn->cancelled)
        agent_turn_fail(turn, "cancelled", "");
    else if (strlen(turn->instruction) > AGENT_INSTRUCTION_MAX
             || strlen(turn->name) > AGENT_NAME_MAX)
        agent_turn_fail(turn, "too_large", "The order is too long.");
    else if (!lane_take(agent, turn))
        return;
    else if (agent->kind == AGENT_AMPLIFIERD)
        agent_amplifierd_begin(turn);
    else
        agent_chat_begin(turn);
}

int
agent_ask(struct agent *agent, const struct agent_order *order,
          agent_reply_h *reply, void *arg, struct agent_turn **tp)
{
    struct agent_turn *turn = agent_turn_create(&agent->server, order);

    if (turn == NULL)
        return UV_ENOMEM;
    turn->agent = agent_ref(agent);
    turn->reply = reply;
    turn->arg = arg;
    turn->ended = on_turn_ended;
    turn->task.run = on_begin;
    turn->task.arg = turn;
    *tp = turn;
    loop_post(agent->server.loop, &turn->task);
    return 0;
}

void
agent_cancel(struct agent_turn *turn)
{
    if (turn->cancelled)
        return;
    if (turn->lane != NULL && turn->agent->kind == AGENT_AMPLIFIERD)
        agent_amplifierd_stop(turn);
    /* One that has not begun finds out by itself. */
    agent_turn_stop(turn);
}

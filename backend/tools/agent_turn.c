/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/agent_turn.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "gate/http_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define TELL_MS     5000
#define RETRY_MAX_S 60
#define HEADERS_MAX 4
#define URL_BYTES   3072

/* --- life */

struct agent_turn *
agent_turn_create(const struct agent_server *server,
                  const struct agent_order *order)
{
    struct agent_turn *turn = calloc(1, sizeof(*turn));

    if (turn == NULL)
        return NULL;
    turn->server = server;
    turn->tenant = strdup(order->tenant);
    turn->caller = strdup(order->caller);
    turn->name = strdup(order->name);
    turn->instruction = strdup(order->instruction);
    turn->conversation = strdup(order->conversation);
    turn->traceparent = strdup(order->traceparent);
    turn->context = order->context;
    turn->context_turns = order->context_turns;
    turn->deadline_ms = order->deadline_ms;
    if (turn->tenant == NULL || turn->caller == NULL || turn->name == NULL
        || turn->instruction == NULL || turn->conversation == NULL
        || turn->traceparent == NULL) {
        agent_turn_destroy(turn);
        return NULL;
    }
    return turn;
}

void
agent_turn_destroy(struct agent_turn *turn)
{
    loop_timer_destroy(&turn->timer);
    free(turn->tenant);
    free(turn->caller);
    free(turn->name);
    free(turn->instruction);
    free(turn->conversation);
    free(turn->traceparent);
    free(turn);
}

/* --- ends */

void
agent_turn_answer(struct agent_turn *turn, const char *text, size_t text_bytes)
{
    struct agent_reply reply = {.text = text,
                                .text_bytes = text_bytes,
                                .conversation = turn->lane->id,
                                .turns = ++turn->lane->turns};

    turn->ended(turn, &reply);
}

void
agent_turn_fail(struct agent_turn *turn, const char *type, const char *error)
{
    struct agent_reply reply = {.type = type,
                                .error = error,
                                .text = "",
                                .conversation =
                                    turn->lane != NULL ? turn->lane->id : ""};

    if (turn->cancelled) {
        reply.type = "cancelled";
        reply.error = "The order was cancelled.";
    }
    turn->ended(turn, &reply);
}

/* None of the server's own words: keys are seen in them. */
void
agent_turn_refuse(struct agent_turn *turn, const struct agent_answer *answer)
{
    char error[128];

    if (answer->status == 0) {
        agent_turn_fail(turn, answer->type, answer->error);
    } else if (answer->status == 401 || answer->status == 403) {
        agent_turn_fail(turn, "unavailable",
                        "The agent's server doesn't take this gateway's key.");
    } else if (answer->status == 429 || answer->status == 503) {
        agent_turn_fail(turn, "unavailable",
                        "The agent's server has too much to do. Try again "
                        "later.");
    } else if (answer->status == 413) {
        agent_turn_fail(turn, "too_large",
                        "The conversation is too large for the agent. Begin "
                        "a new one.");
    } else {
        snprintf(error, sizeof(error), "The agent's server %s (HTTP %u).",
                 answer->status >= 500 ? "failed" : "refused the order",
                 answer->status);
        agent_turn_fail(turn, "failed", error);
    }
}

/* --- requests */

struct request_text {
    char url[URL_BYTES];
    struct http_header headers[HEADERS_MAX];
    char *body;
};

/* Takes the body. 0, UV_ENOMEM, UV_EMSGSIZE. Free text->body. */
static int
request_make(struct http_request *rq, struct request_text *text,
             const struct agent_server *server, const char *path, json_t *body)
{
    int bytes =
        snprintf(text->url, sizeof(text->url), "%s%s", server->url, path);

    memset(rq, 0, sizeof(*rq));
    text->body = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (body != NULL && text->body == NULL)
        return UV_ENOMEM;
    rq->url = text->url;
    rq->headers = text->headers;
    rq->body = text->body;
    rq->body_bytes = text->body != NULL ? strlen(text->body) : 0;
    rq->max_answer_bytes = AGENT_ANSWER_MAX;
    rq->ca_file = server->ca_file;
    text->headers[rq->header_count++] =
        (struct http_header){"Accept", "application/json"};
    if (text->body != NULL)
        text->headers[rq->header_count++] =
            (struct http_header){"Content-Type", "application/json"};
    if (server->authorization != NULL)
        text->headers[rq->header_count++] =
            (struct http_header){"Authorization", server->authorization};
    if (bytes < 0 || bytes >= (int) sizeof(text->url)) {
        free(text->body);
        return UV_EMSGSIZE;
    }
    return 0;
}

static unsigned
retry_after_ms(const struct http_response *rs)
{
    const char *text = http_response_header(rs, "Retry-After");
    unsigned long seconds = text != NULL ? strtoul(text, NULL, 10) : 0;

    if (seconds > RETRY_MAX_S)
        seconds = RETRY_MAX_S;
    return (unsigned) seconds * 1000;
}

static void
answer_unreached(struct agent_answer *answer, const struct http_response *rs)
{
    switch (rs->error) {
    case UV_ETIMEDOUT:
        answer->type = "timeout";
        answer->error = "The agent has not answered in time.";
        return;
    case UV_EMSGSIZE:
        answer->type = "too_large";
        answer->error = "The agent's answer is too large.";
        return;
    case UV_ECANCELED:
        answer->type = "cancelled";
        answer->error = "The order was cancelled.";
        return;
    case UV_ECONNRESET:
        answer->type = "unavailable";
        answer->error = "The agent's server broke off before it had answered.";
        return;
    default:
        answer->type = "unavailable";
        answer->error = "The agent's server can't be reached.";
    }
}

static void
on_http_done(void *arg, const struct http_response *rs)
{
    struct agent_turn *turn = arg;
    struct agent_answer answer = {.status = rs->status};
    json_t *body = NULL;

    turn->calling = false;
    if (turn->call != NULL)
        http_call_put(&turn->call);
    if (rs->error != 0) {
        LOG_LIMITED(WARN, "agent", "no answer why=\"%s\"", rs->why);
        answer.status = 0;
        answer_unreached(&answer, rs);
    } else {
        body = json_loadb(rs->body, rs->body_bytes, JSON_ALLOW_NUL, NULL);
        answer.body = json_is_object(body) ? body : NULL;
        answer.retry_ms = retry_after_ms(rs);
    }
    if (turn->cancelled)
        agent_turn_fail(turn, "cancelled", "");
    else
        turn->on_answer(turn, &answer);
    json_decref(body);
}

void
agent_turn_send(struct agent_turn *turn, const char *method, const char *path,
                json_t *body, agent_answer_h *done)
{
    uint64_t now = clock_now_ms();
    struct request_text text;
    struct http_request rq;
    int error = request_make(&rq, &text, turn->server, path, body);

    if (error == 0) {
        rq.method = method;
        /* An agent says nothing while it thinks. */
        rq.read_ms = HTTP_CLIENT_NEVER;
        rq.total_ms = turn->deadline_ms > now ? turn->deadline_ms - now : 1;
        if (turn->traceparent[0] != '\0')
            text.headers[rq.header_count++] =
                (struct http_header){"traceparent", turn->traceparent};
        turn->on_answer = done;
        error = http_client_send(turn->server->http, &rq, on_http_done, turn,
                                 &turn->call);
        free(text.body);
    }
    if (error == 0)
        turn->calling = true;
    else
        agent_turn_fail(turn, "unavailable",
                        error == UV_ENOBUFS
                            ? "There are too many requests. Try again later."
                            : "The agent's server can't be asked.");
}

static void
on_tell_done(void *arg, const struct http_response *rs)
{
    (void) arg;
    (void) rs;
}

void
agent_server_tell(const struct agent_server *server, const char *method,
                  const char *path, json_t *body)
{
    struct request_text text;
    struct http_request rq;

    if (request_make(&rq, &text, server, path, body) != 0)
        return;
    rq.method = method;
    rq.total_ms = TELL_MS;
    (void) http_client_send(server->http, &rq, on_tell_done, NULL, NULL);
    free(text.body);
}

/* --- pauses */

static void
on_timer(void *arg)
{
    struct agent_turn *turn = arg;
    agent_later_h *later = turn->on_later;

    turn->on_later = NULL;
    if (turn->cancelled || clock_now_ms() >= turn->deadline_ms)
        agent_turn_fail(turn, "timeout", "The agent was busy for too long.");
    else
        later(turn);
}

void
agent_turn_later(struct agent_turn *turn, unsigned ms, agent_later_h *later)
{
    uint64_t now = clock_now_ms();
    uint64_t left = turn->deadline_ms > now ? turn->deadline_ms - now : 0;

    if (turn->timer == NULL
        && loop_timer_create(&turn->timer, turn->server->loop, on_timer, turn)
               != 0) {
        agent_turn_fail(turn, "failed", "There is no memory left.");
        return;
    }
    turn->on_later = later;
    loop_timer_start(turn->timer, ms < left ? ms : left, 0);
}

void
agent_turn_stop(struct agent_turn *turn)
{
    struct http_call *call = turn->call;

    turn->cancelled = true;
    if (turn->calling) {
        turn->call = NULL;
        http_call_cancel(&call);
    } else if (turn->on_later != NULL) {
        loop_timer_start(turn->timer, 0, 0);
    }
}

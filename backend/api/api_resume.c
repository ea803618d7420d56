/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   request ─► parked ─► the session's loop: may it? ─► 101 ─► descriptor ─►
 *   the loop: attached. Whoever goes in between is made up for on the loop.
 */

#include "api/api_resume.h"

#include "api/api_upgrade.h"
#include "base/log.h"
#include "codec/realtime_event.h"
#include "session/session_resume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS 5000

enum stage {
    STAGE_ASKED,   /* the loop has not looked yet */
    STAGE_DECIDED, /* it has */
    STAGE_GONE     /* the request is gone */
};

/* Freed on the loop, or by the request when the loop has said no. */
struct comeback {
    struct loop_task task;
    struct loop *loop;
    struct session_resume *resumes;
    struct gate *gate;
    struct gate_ticket ticket;
    atomic_int stage;
    int result;
    int fd;
    struct session_return coming;
    char id[CRYPTO_ID_BYTES];
    char token[SESSION_TOKEN_BYTES];
    char tenant[API_TENANT_BYTES];
    char after[REALTIME_ID_MAX];
};

/* --- on the loop */

/* The descriptor, or -1: nobody comes after all. */
static void
on_arrival(struct loop_task *task, void *arg)
{
    struct comeback *c = arg;

    (void) task;
    session_attach(&c->coming, c->fd);
    free(c);
}

static void
on_question(struct loop_task *task, void *arg)
{
    struct comeback *c = arg;
    struct gate *gate = c->gate;
    struct gate_ticket ticket = c->ticket;
    struct session *s = session_resume_find(c->resumes, c->token, c->tenant);

    c->result = s ? session_expect(s, c->after, &c->coming) : UV_ESRCH;
    if (!c->result)
        snprintf(c->id, sizeof(c->id), "%s", session_id(s));
    if (atomic_exchange(&c->stage, STAGE_DECIDED) == STAGE_ASKED)
        gate_resume(gate, ticket);
    else if (!c->result)
        on_arrival(task, c);
    else
        free(c);
}

/* --- the request */

static void
answer_refusal(struct gate_request *rq, int result)
{
    if (result == UV_EBUSY)
        api_error(rq, 409, "resume_in_progress",
                  "Somebody is coming back to this session already.", "resume");
    else if (result == UV_ENOENT)
        api_error(rq, 410, "events_missed",
                  "What came after that event is not kept any more.", "after");
    else
        api_error(rq, 404, "session_not_found",
                  "There is no session to resume.", "resume");
}

/* A session keeps the kind of audio that it began with. */
static enum api_protocol
resumed_protocol(struct gate_request *rq, bool opus)
{
    if (!opus)
        return api_protocol(rq, false);
    if (api_offers_opus(rq))
        return API_PROTOCOL_OPUS;
    api_error(rq, 400, "unsupported_subprotocol",
              "This session speaks voice.opus.v1.", "Sec-WebSocket-Protocol");
    return API_PROTOCOL_REFUSED;
}

static void
on_decided(struct gate_request *rq, void *arg)
{
    struct comeback *c = arg;

    if (c->result) {
        answer_refusal(rq, c->result);
        free(c);
        return;
    }
    enum api_protocol protocol = resumed_protocol(rq, c->coming.opus);

    c->task.run = on_arrival;
    if (protocol != API_PROTOCOL_REFUSED)
        c->fd = api_upgrade(rq, protocol, c->id, c->coming.token);
    loop_post(c->loop, &c->task);
}

/* The loop may be at it: whoever is second makes up for the other. */
static void
on_cancelled(void *arg)
{
    struct comeback *c = arg;

    if (atomic_exchange(&c->stage, STAGE_GONE) != STAGE_DECIDED)
        return;
    if (c->result) {
        free(c);
        return;
    }
    c->task.run = on_arrival;
    loop_post(c->loop, &c->task);
}

static void
on_expired(struct gate_request *rq, void *arg)
{
    on_cancelled(arg);
    gate_answer_busy(rq);
}

static struct comeback *
comeback_create(struct gate_request *rq, struct api_context *api,
                const char *token)
{
    struct comeback *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->resumes = api->resumes;
    c->gate = gate_of(rq);
    c->fd = -1;
    c->task.run = on_question;
    c->task.arg = c;
    snprintf(c->token, sizeof(c->token), "%s", token);
    snprintf(c->tenant, sizeof(c->tenant), "%s", api_tenant(rq));
    api_query(rq, "after", c->after, sizeof(c->after));
    c->loop = session_resume_loop(c->resumes, c->token, c->tenant);
    return c;
}

void
api_resume(struct gate_request *rq, struct api_context *api, const char *token)
{
    struct comeback *c = strlen(token) == SESSION_TOKEN_BYTES - 1
                             ? comeback_create(rq, api, token)
                             : NULL;

    if (!c || !c->loop) {
        free(c);
        answer_refusal(rq, UV_ESRCH);
        return;
    }
    const struct gate_park park = {
        .deadline_ms = WAIT_MS,
        .resumed = on_decided,
        .expired = on_expired,
        .cancelled = on_cancelled,
        .arg = c,
    };
    if (gate_park(rq, &park, &c->ticket)) {
        free(c);
        gate_answer_busy(rq);
        return;
    }
    loop_post(c->loop, &c->task);
}

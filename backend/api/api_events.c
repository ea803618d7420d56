/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_events.h"

#include "api/api_web_app.h"
#include "base/log.h"
#include "codec/policy.h"
#include "service/event_bus.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MAX_S     60
#define LIST_MAX_BYTES (8u << 20) /* all that can be kept fits */

/* 0…2^63-1, all digits. */
static bool
parse_id(const char *text, uint64_t *id)
{
    char *end;

    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    *id = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *id <= INT64_MAX;
}

static void
answer_list(struct gate_request *rq, struct event_bus *bus, const char *tenant,
            uint64_t after)
{
    struct buffer body;
    uint64_t next;
    int err;

    buffer_init(&body, LIST_MAX_BYTES);
    err = buffer_printf(&body, "{\"events\":");
    if (err == 0) {
        err = event_bus_list(bus, tenant, after, &body, &next);
    }
    if (err >= 0) {
        err = buffer_printf(&body, ",\"next\":%" PRIu64 "}", next);
    }
    if (err < 0) {
        api_error(rq, 500, "internal_error", "The events can't be listed.",
                  NULL);
    } else {
        api_json_text(rq, 200, (const char *) body.data, body.bytes);
    }
    buffer_deinit(&body);
}

static void
events_poll(struct gate_request *rq, struct api_context *api, uint64_t after,
            unsigned wait_s)
{
    const struct event_bus_wait wait = {
        .tenant = api_tenant(rq),
        .after = after,
        .wait_ms = wait_s * 1000,
        .answer = answer_list,
    };
    int err = wait_s == 0 ? 1 : event_bus_wait(api->events, rq, &wait);

    if (err == 1) {
        answer_list(rq, api->events, api_tenant(rq), after);
    } else if (err != 0) {
        gate_answer_busy(rq);
    }
}

static void
events_stream(struct gate_request *rq, struct api_context *api, uint64_t after)
{
    static _Atomic unsigned turn;
    char head[256], tenant[API_TENANT_BYTES];
    unsigned at = atomic_fetch_add(&turn, 1) % api->loop_count;
    int fd, err;

    snprintf(tenant, sizeof(tenant), "%s", api_tenant(rq));
    /* The comment is there for NGINX, which keeps a head back until the first
     * byte of a body comes. */
    snprintf(head, sizeof(head),
             "Status: 200 OK\r\n"
             "Content-Type: text/event-stream\r\n"
             "Cache-Control: no-cache\r\n"
             "X-Accel-Buffering: no\r\n"
             "x-request-id: %s\r\n\r\n"
             ": ready\n\n",
             gate_request_id(rq));
    fd = gate_take(rq, head);
    err = fd < 0
              ? fd
              : event_bus_read(api->events, tenant, api->loops[at], fd, after);
    if (err != 0) {
        LOG_LIMITED(WARN, "events", "event=reader_refused error=%s",
                    uv_err_name(err));
    }
}

void
api_events(struct gate_request *rq, struct api_context *api)
{
    const char *last = gate_param(rq, "HTTP_LAST_EVENT_ID");
    bool stream = api_accepts(rq, "text/event-stream")
                  && strcmp(gate_method(rq), "GET") == 0;
    uint64_t after = 0, wait = 0;
    char text[24];

    if (stream) {
        after = event_bus_last_id(api->events, api_tenant(rq));
    }
    if (last != NULL && stream && !parse_id(last, &after)) {
        api_error(rq, 400, "invalid_value", "Not an event id.",
                  "Last-Event-ID");
    } else if (api_query(rq, "after", text, sizeof(text))
               && !parse_id(text, &after)) {
        api_error(rq, 400, "invalid_value", "Not an event id.", "after");
    } else if (api_query(rq, "wait", text, sizeof(text))
               && (!parse_id(text, &wait) || wait > WAIT_MAX_S)) {
        api_error(rq, 400, "invalid_value", "Seconds, 0 to 60.", "wait");
    } else if (stream) {
        events_stream(rq, api, after);
    } else {
        events_poll(rq, api, after, (unsigned) wait);
    }
}

void
api_events_web_app(struct gate_request *rq, struct api_context *api)
{
    const char *last = gate_param(rq, "HTTP_LAST_EVENT_ID");
    uint64_t after = event_bus_last_id(api->events, api_tenant(rq));
    const struct policy *policy;

    if (api_web_app_policy(rq, &policy) != 0) {
        return;
    }
    policy_put(&policy);
    if (last != NULL && !parse_id(last, &after)) {
        api_web_app_error(rq, 400, "Last-Event-ID is no event id.");
    } else if (strcmp(gate_method(rq), "GET") != 0) {
        api_web_app_error(rq, 405, "Method Not Allowed");
    } else {
        events_stream(rq, api, after);
    }
}

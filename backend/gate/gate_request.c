/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/gate_state.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

/* --- what came */

const char *
gate_param(struct gate_request *rq, const char *name)
{
    return fastcgi_request_param(rq->fcgi, name);
}

const char *
gate_method(struct gate_request *rq)
{
    const char *method = gate_param(rq, "REQUEST_METHOD");

    return method != NULL ? method : "";
}

const char *
gate_path(struct gate_request *rq)
{
    const char *path = gate_param(rq, "DOCUMENT_URI");

    if (path == NULL || path[0] == '\0') {
        path = gate_param(rq, "SCRIPT_NAME");
    }
    return path != NULL ? path : "";
}

const char *
gate_query(struct gate_request *rq)
{
    const char *query = gate_param(rq, "QUERY_STRING");

    return query != NULL ? query : "";
}

const char *
gate_request_id(struct gate_request *rq)
{
    return fastcgi_request_id(rq->fcgi);
}

int
gate_body(struct gate_request *rq, const char **body, size_t *bytes)
{
    return fastcgi_request_body(rq->fcgi, rq->gate->cfg.max_body_bytes, body,
                                bytes);
}

int
gate_add_header(struct gate_request *rq, const char *name, const char *value)
{
    return fastcgi_request_add_header(rq->fcgi, name, value);
}

void *
gate_local(struct gate_request *rq)
{
    return fastcgi_request_local(rq->fcgi);
}

bool
gate_is_stream(struct gate_request *rq)
{
    return fastcgi_request_is_stream(rq->fcgi);
}

bool
gate_keeps_connection(const struct gate_request *rq)
{
    return fastcgi_request_is_kept(rq->fcgi);
}

struct gate *
gate_of(struct gate_request *rq)
{
    return rq->gate;
}

/* --- how it ends */

void
gate_answer(struct gate_request *rq, const struct gate_answer *answer)
{
    if (!fastcgi_request_answer(rq->fcgi, answer)
        || gate_watch_idle(rq, EPOLL_CTL_MOD) != 0) {
        connection_free(rq);
    }
}

void
gate_answer_error(struct gate_request *rq, unsigned status, const char *code,
                  const char *message)
{
    const struct gate_header later = {"Retry-After", "1"};
    char body[256];
    int bytes;

    bytes = snprintf(body, sizeof(body),
                     "{\"error\":{\"message\":\"%s\",\"type\":\"%s\","
                     "\"param\":null,\"code\":\"%s\"}}",
                     message,
                     status >= 500 ? "server_error" : "invalid_request_error",
                     code);
    gate_answer(rq, &(struct gate_answer){
                        .status = status,
                        .content_type = "application/json",
                        .headers = &later,
                        .header_count = status == 503,
                        .body = body,
                        .body_bytes = (size_t) bytes,
                    });
}

void
gate_answer_busy(struct gate_request *rq)
{
    gate_answer_error(rq, 503, "overloaded", "Too many requests are waiting.");
}

/*
 * Everything under the lock: from the moment that the request is in the
 * parking it may expire and be answered by another thread, and its descriptor
 * be another connection's.
 */
int
gate_park(struct gate_request *rq, const struct gate_park *park,
          struct gate_ticket *ticket)
{
    struct gate *gate = rq->gate;
    struct epoll_event gone = {.events = EPOLLRDHUP | EPOLLONESHOT};
    int err = 0;

    pthread_mutex_lock(&gate->lock);
    rq->park = *park;
    ticket->id =
        parking_add(gate->parking, rq, clock_now_ms() + park->deadline_ms);
    if (ticket->id == 0) {
        err = UV_EBUSY;
    } else {
        gone.data.u64 = ticket->id << 3 | TAG_PARKED;
        err = gate_watch(gate, EPOLL_CTL_MOD, rq->fd, gone);
        if (err != 0) {
            parking_remove(gate->parking, ticket->id);
            ticket->id = 0;
        }
    }
    if (err == 0) {
        atomic_fetch_add(&gate->parked, 1);
        gate_set_timer(gate);
    }
    pthread_mutex_unlock(&gate->lock);
    metric_add(err == 0 ? gate->parked_total : gate->refused, 1);
    return err == 0 ? 0 : UV_EBUSY;
}

/* Out of the set first: a loop's own set must not find it in ours. */
int
gate_take(struct gate_request *rq, const char *head)
{
    int fd = rq->fd;
    int err = fastcgi_request_take(rq->fcgi, head);

    if (err == 0) {
        err = gate_watch(rq->gate, EPOLL_CTL_DEL, fd, (struct epoll_event){0});
    }
    if (err == 0 && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0) {
        err = uv_translate_sys_error(errno);
    }
    if (err == 0) {
        rq->fd = -1;
    }
    connection_free(rq);
    return err == 0 ? fd : err;
}

/* libfcgi reads and writes it blocking. */
void
gate_give_back(struct gate *gate, int fd)
{
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) != 0) {
        close(fd);
        return;
    }
    connection_create(gate, fd);
}

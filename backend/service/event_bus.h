/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What happens, told to those who listen: per tenant the last EVENT_RING_KEPT
 * events with their ids, readers (server-sent events, on loops) and waiters
 * (parked requests). The kept events are the readers' queue: each reader goes
 * through them at its own pace, one who falls behind by more misses some.
 * Any thread. Owns events, readers and waiters. Refuses events above
 * EVENT_RING_EVENT_BYTES and more than EVENT_BUS_TENANTS tenants with
 * listeners; both are counted. Ids grow over restarts.
 */

#ifndef VOICE_EVENT_BUS_H
#define VOICE_EVENT_BUS_H

#include "base/buffer.h"
#include "base/loop.h"
#include "gate/fastcgi_gate.h"

#include <stdint.h>

#define EVENT_BUS_TENANTS 1024
#define EVENT_BUS_READERS 8192

struct event_bus;

int event_bus_create(struct event_bus **bp);

/* Closes every reader and takes no new one. Before the loops stop: then wait
 * until event_bus_reader_count is 0. */
void event_bus_close(struct event_bus *bus);

/* After the gates and the loops are gone. */
void event_bus_destroy(struct event_bus **bp);

/*
 * {"type":type,"timestamp":now, …fields}: `fields` is the text of a JSON
 * object without line breaks, or NULL; `type` is one of ours, all letters.
 * Borrows everything. 0, UV_E2BIG, UV_EBUSY (tenants), UV_ENOMEM.
 */
int event_bus_publish(struct event_bus *bus, const char *tenant,
                      const char *type, const char *fields);

/* Id of the tenant's newest event, or what the next one will be above. */
uint64_t event_bus_last_id(struct event_bus *bus, const char *tenant);

/*
 * Takes fd (gate_take) to the loop as a reader of the events after `after`.
 * Loss of the reader is nobody's business. 0 or UV_E* (fd is closed).
 */
int event_bus_read(struct event_bus *bus, const char *tenant, struct loop *loop,
                   int fd, uint64_t after);

/* Appends a JSON array of the kept events after `after` (each with its id);
 * *next is what to ask for next. Gives their count or UV_E*. */
int event_bus_list(struct event_bus *bus, const char *tenant, uint64_t after,
                   struct buffer *out, uint64_t *next);

/*
 * Parks rq until there is an event after `after`, or the deadline: `answer`
 * (request thread, must answer rq) runs in both cases, and finds out by
 * event_bus_list. 0: rq is gone. 1: there is one already, UV_EBUSY, UV_ENOMEM:
 * rq is still the caller's.
 */
typedef void event_bus_answer_h(struct gate_request *rq, struct event_bus *bus,
                                const char *tenant, uint64_t after);
struct event_bus_wait {
    const char *tenant;
    uint64_t after;
    unsigned wait_ms;
    event_bus_answer_h *answer;
};
int event_bus_wait(struct event_bus *bus, struct gate_request *rq,
                   const struct event_bus_wait *wait);

unsigned event_bus_reader_count(struct event_bus *bus);

#endif

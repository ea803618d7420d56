/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   publish ─► tenant: [ last 256 events ] ─┬─► readers: task ─► loop ─► SSE
 *                                           └─► waiters: gate_resume
 */

#include "service/event_bus.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "gate/event_stream.h"
#include "service/event_ring.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TENANT_BYTES     64
#define KEEP_ALIVE_MS    30000
#define READER_MAX_BYTES (256u * 1024u)
#define READER_BATCH                                                           \
    32 /* events a task, so that one reader can't hold                         \
          the loop */

struct tenant;

struct reader {
    struct loop_task task;
    struct event_bus *bus;
    struct tenant *tenant;
    struct reader *next, *previous; /* of the tenant */
    struct event_stream *stream;    /* the loop's */
    struct loop *loop;
    int fd;         /* until the stream is made */
    uint64_t after; /* last id sent */
    bool posted;    /* the task is on its way */
    bool gone;      /* the stream has closed */
};

struct waiter {
    struct event_bus *bus;
    struct tenant *tenant;
    struct waiter *next, *previous;
    struct gate *gate;
    struct gate_ticket ticket;
    event_bus_answer_h *answer;
    uint64_t after;
    bool linked;
    char name[TENANT_BYTES]; /* outlives the link: the tenant may go then */
};

struct tenant {
    struct tenant *next;
    struct event_ring ring;
    uint64_t last_id;
    struct reader *readers;
    struct waiter *waiters;
    char name[TENANT_BYTES];
};

struct event_bus {
    pthread_mutex_t lock;
    struct tenant *tenants;
    unsigned tenant_count, reader_count;
    uint64_t last_id;
    bool closed;
    struct metric *published, *refused, *readers;
};

int
event_bus_create(struct event_bus **bp)
{
    struct event_bus *bus = calloc(1, sizeof(*bus));

    if (bus == NULL) {
        return UV_ENOMEM;
    }
    pthread_mutex_init(&bus->lock, NULL);
    /* Below 2^53, which JavaScript can hold, for some 200 years. */
    bus->last_id = (uint64_t) clock_wall_ms() * 1000;
    bus->published = metric_register(METRIC_COUNTER, "voiced_events_total",
                                     "Events published.");
    bus->refused =
        metric_register(METRIC_COUNTER, "voiced_events_refused_total",
                        "Events too big, or of a tenant too many.");
    bus->readers = metric_register(METRIC_GAUGE, "voiced_event_readers",
                                   "Readers of server-sent events.");
    *bp = bus;
    return 0;
}

/* --- tenants; with the lock */

static void
tenant_free(struct tenant *tenant)
{
    event_ring_deinit(&tenant->ring);
    free(tenant);
}

/* The one with nobody listening whose last event is the oldest. */
static bool
bus_evict(struct event_bus *bus)
{
    struct tenant **oldest = NULL;
    struct tenant *out;

    for (struct tenant **at = &bus->tenants; *at != NULL; at = &(*at)->next) {
        if ((*at)->readers == NULL && (*at)->waiters == NULL
            && (oldest == NULL || (*at)->last_id < (*oldest)->last_id)) {
            oldest = at;
        }
    }
    if (oldest == NULL) {
        return false;
    }
    out = *oldest;
    *oldest = out->next;
    bus->tenant_count--;
    tenant_free(out);
    return true;
}

static struct tenant *
bus_find(struct event_bus *bus, const char *name)
{
    struct tenant *tenant = bus->tenants;

    while (tenant != NULL && strcmp(tenant->name, name) != 0) {
        tenant = tenant->next;
    }
    return tenant;
}

/* 0, UV_EBUSY, UV_ENOMEM, UV_EINVAL. */
static int
bus_tenant(struct event_bus *bus, const char *name, struct tenant **tp)
{
    struct tenant *tenant = bus_find(bus, name);

    if (tenant == NULL) {
        if (strlen(name) >= TENANT_BYTES) {
            return UV_EINVAL;
        }
        if (bus->tenant_count == EVENT_BUS_TENANTS && !bus_evict(bus)) {
            return UV_EBUSY;
        }
        tenant = calloc(1, sizeof(*tenant));
        if (tenant == NULL) {
            return UV_ENOMEM;
        }
        memcpy(tenant->name, name, strlen(name) + 1);
        tenant->last_id = bus->last_id;
        tenant->next = bus->tenants;
        bus->tenants = tenant;
        bus->tenant_count++;
    }
    *tp = tenant;
    return 0;
}

/* --- readers */

static void
reader_post(struct reader *reader)
{
    if (!reader->posted) {
        reader->posted = true;
        loop_post(reader->loop, &reader->task);
    }
}

static void
reader_unlink(struct reader *reader)
{
    struct tenant *tenant = reader->tenant;

    if (reader->previous != NULL) {
        reader->previous->next = reader->next;
    } else {
        tenant->readers = reader->next;
    }
    if (reader->next != NULL) {
        reader->next->previous = reader->previous;
    }
    reader->bus->reader_count--;
    metric_add(reader->bus->readers, -1);
}

static void
on_stream_closed(void *arg)
{
    struct reader *reader = arg;
    struct event_bus *bus = reader->bus;
    bool posted;

    pthread_mutex_lock(&bus->lock);
    reader_unlink(reader);
    reader->gone = true;
    posted = reader->posted;
    pthread_mutex_unlock(&bus->lock);
    if (!posted) {
        free(reader);
    }
}

static bool
reader_open(struct reader *reader)
{
    const struct event_stream_config cfg = {
        .loop = reader->loop,
        .fd = reader->fd,
        .max_queued_bytes = READER_MAX_BYTES,
        .keep_alive_ms = KEEP_ALIVE_MS,
    };
    int err =
        event_stream_create(&reader->stream, &cfg, on_stream_closed, reader);

    if (err != 0) {
        LOG_LIMITED(ERROR, "events", "event=reader_failed error=%s",
                    uv_err_name(err));
    }
    return err == 0;
}

/* The next events for the reader; more than a batch: another task. */
static unsigned
reader_collect(struct reader *reader, struct event *batch[READER_BATCH])
{
    struct tenant *tenant = reader->tenant;
    unsigned count =
        event_ring_get(&tenant->ring, reader->after, batch, READER_BATCH);

    if (count > 0) {
        reader->after = batch[count - 1]->id;
    }
    if (count == READER_BATCH) {
        reader_post(reader);
    }
    return count;
}

static void
reader_send(struct reader *reader)
{
    struct event_bus *bus = reader->bus;
    struct event *batch[READER_BATCH];
    unsigned count;
    bool closed;

    pthread_mutex_lock(&bus->lock);
    count = reader_collect(reader, batch);
    closed = bus->closed;
    pthread_mutex_unlock(&bus->lock);
    for (unsigned i = 0; i < count; i++) {
        event_stream_send(reader->stream, batch[i]->id, batch[i]->json,
                          batch[i]->bytes);
    }
    if (closed) {
        event_stream_close(reader->stream);
    }
    pthread_mutex_lock(&bus->lock);
    for (unsigned i = 0; i < count; i++) {
        event_unref(batch[i]);
    }
    pthread_mutex_unlock(&bus->lock);
}

static void
on_reader_task(struct loop_task *task, void *arg)
{
    struct reader *reader = arg;
    bool gone;

    (void) task;
    pthread_mutex_lock(&reader->bus->lock);
    reader->posted = false;
    gone = reader->gone;
    pthread_mutex_unlock(&reader->bus->lock);
    if (gone) {
        free(reader);
    } else if (reader->stream == NULL && !reader_open(reader)) {
        on_stream_closed(reader);
    } else {
        reader_send(reader);
    }
}

int
event_bus_read(struct event_bus *bus, const char *tenant, struct loop *loop,
               int fd, uint64_t after)
{
    struct reader *reader = calloc(1, sizeof(*reader));
    int err = reader == NULL ? UV_ENOMEM : 0;

    pthread_mutex_lock(&bus->lock);
    if (bus->closed || bus->reader_count >= EVENT_BUS_READERS) {
        err = UV_EBUSY;
    }
    if (err == 0) {
        err = bus_tenant(bus, tenant, &reader->tenant);
    }
    if (err == 0) {
        reader->task.run = on_reader_task;
        reader->task.arg = reader;
        reader->bus = bus;
        reader->loop = loop;
        reader->fd = fd;
        reader->after = after;
        reader->next = reader->tenant->readers;
        if (reader->next != NULL) {
            reader->next->previous = reader;
        }
        reader->tenant->readers = reader;
        bus->reader_count++;
        metric_add(bus->readers, 1);
        reader_post(reader);
    }
    pthread_mutex_unlock(&bus->lock);
    if (err != 0) {
        free(reader);
        close(fd);
    }
    return err;
}

/* --- waiters */

static void
waiter_unlink(struct waiter *waiter)
{
    if (!waiter->linked) {
        return;
    }
    waiter->linked = false;
    if (waiter->previous != NULL) {
        waiter->previous->next = waiter->next;
    } else {
        waiter->tenant->waiters = waiter->next;
    }
    if (waiter->next != NULL) {
        waiter->next->previous = waiter->previous;
    }
}

static void
waiter_leave(struct waiter *waiter)
{
    pthread_mutex_lock(&waiter->bus->lock);
    waiter_unlink(waiter);
    pthread_mutex_unlock(&waiter->bus->lock);
}

static void
on_wait_over(struct gate_request *rq, void *arg)
{
    struct waiter *waiter = arg;

    waiter_leave(waiter);
    waiter->answer(rq, waiter->bus, waiter->name, waiter->after);
    free(waiter);
}

static void
on_wait_cancelled(void *arg)
{
    waiter_leave(arg);
    free(arg);
}

/* With the lock, so that nothing is published between look and park. */
static int
waiter_park(struct event_bus *bus, struct waiter *waiter,
            struct gate_request *rq, unsigned wait_ms)
{
    struct tenant *tenant = waiter->tenant;
    const struct gate_park park = {
        .deadline_ms = wait_ms,
        .resumed = on_wait_over,
        .expired = on_wait_over,
        .cancelled = on_wait_cancelled,
        .arg = waiter,
    };
    int err;

    if (event_ring_has(&tenant->ring, waiter->after)) {
        return 1;
    }
    waiter->bus = bus;
    err = gate_park(rq, &park, &waiter->ticket);
    if (err != 0) {
        return err;
    }
    waiter->linked = true;
    waiter->next = tenant->waiters;
    if (waiter->next != NULL) {
        waiter->next->previous = waiter;
    }
    tenant->waiters = waiter;
    return 0;
}

int
event_bus_wait(struct event_bus *bus, struct gate_request *rq,
               const struct event_bus_wait *wait)
{
    struct waiter *waiter = calloc(1, sizeof(*waiter));
    int err;

    if (waiter == NULL) {
        return UV_ENOMEM;
    }
    waiter->gate = gate_of(rq);
    waiter->answer = wait->answer;
    waiter->after = wait->after;
    pthread_mutex_lock(&bus->lock);
    err = bus_tenant(bus, wait->tenant, &waiter->tenant);
    if (err == 0) {
        memcpy(waiter->name, waiter->tenant->name, TENANT_BYTES);
        err = waiter_park(bus, waiter, rq, wait->wait_ms);
    }
    pthread_mutex_unlock(&bus->lock);
    if (err != 0) {
        free(waiter);
    }
    return err;
}

/* --- publishing */

static void
tenant_tell(struct tenant *tenant)
{
    for (struct reader *r = tenant->readers; r != NULL; r = r->next) {
        reader_post(r);
    }
    while (tenant->waiters != NULL) {
        struct waiter *waiter = tenant->waiters;

        waiter_unlink(waiter);
        gate_resume(waiter->gate, waiter->ticket);
    }
}

int
event_bus_publish(struct event_bus *bus, const char *tenant_name,
                  const char *type, const char *fields)
{
    struct tenant *tenant;
    struct event *event = NULL;
    int err = event_create(&event, type, fields);

    pthread_mutex_lock(&bus->lock);
    if (err == 0) {
        err = bus_tenant(bus, tenant_name, &tenant);
    }
    if (err == 0) {
        event->id = tenant->last_id = ++bus->last_id;
        event_ring_add(&tenant->ring, &event);
        tenant_tell(tenant);
    }
    pthread_mutex_unlock(&bus->lock);
    if (err != 0) {
        free(event);
    }
    metric_add(err == 0 ? bus->published : bus->refused, 1);
    return err;
}

/* --- questions */

uint64_t
event_bus_last_id(struct event_bus *bus, const char *name)
{
    struct tenant *tenant;
    uint64_t id;

    pthread_mutex_lock(&bus->lock);
    tenant = bus_find(bus, name);
    id = tenant != NULL ? tenant->last_id : bus->last_id;
    pthread_mutex_unlock(&bus->lock);
    return id;
}

int
event_bus_list(struct event_bus *bus, const char *name, uint64_t after,
               struct buffer *out, uint64_t *next)
{
    struct tenant *tenant;
    int count = buffer_append(out, "[", 1);

    pthread_mutex_lock(&bus->lock);
    tenant = bus_find(bus, name);
    *next = tenant != NULL ? tenant->last_id : bus->last_id;
    if (count == 0 && tenant != NULL) {
        count = event_ring_list(&tenant->ring, after, out, next);
    }
    pthread_mutex_unlock(&bus->lock);
    if (count >= 0 && buffer_append(out, "]", 1) != 0) {
        count = UV_ENOBUFS;
    }
    return count;
}

unsigned
event_bus_reader_count(struct event_bus *bus)
{
    unsigned count;

    pthread_mutex_lock(&bus->lock);
    count = bus->reader_count;
    pthread_mutex_unlock(&bus->lock);
    return count;
}

/* --- the end */

void
event_bus_close(struct event_bus *bus)
{
    pthread_mutex_lock(&bus->lock);
    bus->closed = true;
    for (struct tenant *t = bus->tenants; t != NULL; t = t->next) {
        for (struct reader *r = t->readers; r != NULL; r = r->next) {
            reader_post(r);
        }
    }
    pthread_mutex_unlock(&bus->lock);
}

void
event_bus_destroy(struct event_bus **bp)
{
    struct event_bus *bus = *bp;

    if (bus == NULL) {
        return;
    }
    *bp = NULL;
    while (bus->tenants != NULL) {
        struct tenant *tenant = bus->tenants;

        bus->tenants = tenant->next;
        tenant_free(tenant);
    }
    pthread_mutex_destroy(&bus->lock);
    free(bus);
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The counters as text: JSON, and the text exposition format 0.0.4 of
 * Prometheus.  One table says what there is; both formats are written from
 * it, so they can't differ.
 */


#include "ngx_http_voice.h"


#define NGX_HTTP_VOICE_FAMILY_SIZE  384     /* of text, at most */
#define NGX_HTTP_VOICE_SAMPLE_SIZE  128
#define NGX_HTTP_VOICE_WORKER_SIZE  320


typedef enum {
    ngx_http_voice_counter = 0,
    ngx_http_voice_gauge,
    ngx_http_voice_seconds,             /* a counter of milliseconds */
    ngx_http_voice_histogram            /* with a sum of microseconds */
} ngx_http_voice_kind_e;


typedef struct {
    ngx_str_t                      name;
    char                          *help;
    ngx_http_voice_kind_e          kind;
    ngx_uint_t                     first;
    ngx_uint_t                     n;
    char                          *label;      /* NULL: it is one number */
    ngx_http_voice_class_t        *classes;
} ngx_http_voice_family_t;


static u_char *ngx_http_voice_json_family(u_char *p, u_char *last,
    ngx_http_voice_snapshot_t *snapshot, ngx_http_voice_family_t *f);
static u_char *ngx_http_voice_json_histogram(u_char *p, u_char *last,
    ngx_http_voice_snapshot_t *snapshot, ngx_http_voice_family_t *f);
static u_char *ngx_http_voice_json_workers(u_char *p, u_char *last,
    ngx_http_voice_snapshot_t *snapshot);
static u_char *ngx_http_voice_prometheus_family(u_char *p, u_char *last,
    ngx_http_voice_snapshot_t *snapshot, ngx_http_voice_family_t *f);
static u_char *ngx_http_voice_prometheus_histogram(u_char *p, u_char *last,
    ngx_http_voice_snapshot_t *snapshot, ngx_http_voice_family_t *f);
static u_char *ngx_http_voice_prometheus_workers(u_char *p, u_char *last,
    ngx_http_voice_snapshot_t *snapshot);
static u_char *ngx_http_voice_write_value(u_char *p, u_char *last,
    ngx_http_voice_family_t *f, uint64_t value);


static ngx_http_voice_class_t  ngx_http_voice_ways[] = {
    { ngx_string("up"), 0, 0 },
    { ngx_string("down"), 0, 0 }
};


#define ngx_http_voice_one(name, n, kind, help)                               \
    { ngx_string(name), help, ngx_http_voice_ ## kind, ngx_http_voice_n_ ## n,\
      1, NULL, NULL }

#define ngx_http_voice_both(name, n, kind, help)                              \
    { ngx_string(name), help, ngx_http_voice_ ## kind,                        \
      ngx_http_voice_n_ ## n ## _up, 2, "direction", ngx_http_voice_ways }

#define ngx_http_voice_each(name, n, number, label, help)                     \
    { ngx_string(name), help, ngx_http_voice_counter,                         \
      ngx_http_voice_n_ ## n, number, label, ngx_http_voice_ ## n }


/* no text here needs an escape, in either format */

static ngx_http_voice_family_t  ngx_http_voice_families[] = {

    ngx_http_voice_one("sessions_live", live, gauge,
        "Sessions that are open."),

    ngx_http_voice_one("sessions_opened", opened, counter,
        "Sessions opened."),

    ngx_http_voice_each("sessions_closed", closed, NGX_HTTP_VOICE_CLOSED_N,
        "code",
        "Sessions ended, by close code; none: cut off with their worker."),

    ngx_http_voice_one("sessions_drained", drained, counter,
        "Sessions ended in a worker that was shutting down."),

    ngx_http_voice_each("handshakes_refused", refused,
        NGX_HTTP_VOICE_REFUSED_N, "status",
        "Handshakes answered with an HTTP status other than 101."),

    ngx_http_voice_one("handshakes_abandoned", abandoned, counter,
        "Handshakes whose client left before the answer."),

    ngx_http_voice_both("messages", messages, counter,
        "Whole messages passed on; up is client to model."),

    ngx_http_voice_both("bytes", bytes, counter,
        "Bytes of messages, without frames and before compression."),

    ngx_http_voice_one("pings", pings, counter,
        "Pings sent to clients."),

    { ngx_string("rtt_seconds"), "Round trips of answered pings.",
      ngx_http_voice_histogram, ngx_http_voice_n_rtt, NGX_HTTP_VOICE_RTT_N,
      "le", ngx_http_voice_rtts },

    ngx_http_voice_both("stalls", stalls, counter,
        "Times that a socket took nothing and its other side was not read."),

    ngx_http_voice_both("stall_seconds", stall, seconds,
        "How long those lasted, counted at their end."),

    ngx_http_voice_each("upstream_failures", failed, NGX_HTTP_VOICE_FAILED_N,
        "reason",
        "Upstream servers that did not take a session."),

    ngx_http_voice_one("upstream_retries", retries, counter,
        "Handshakes passed to a next upstream server."),

    ngx_http_voice_one("upstream_lost", lost, counter,
        "Open sessions whose upstream was lost, timed out or talked nonsense."),

    ngx_http_voice_each("protocol_errors", broken, NGX_HTTP_VOICE_BROKEN_N,
        "reason",
        "Sessions ended by bytes that break the protocol or a limit."),

    ngx_http_voice_one("deflate_sessions", deflate_sessions, counter,
        "Sessions that negotiated permessage-deflate."),

    ngx_http_voice_both("deflate_messages", deflate_messages, counter,
        "Messages that were compressed between client and NGINX."),

    ngx_http_voice_both("deflate_packed_bytes", deflate_packed, counter,
        "Their bytes as they are on the wire."),

    ngx_http_voice_both("deflate_plain_bytes", deflate_plain, counter,
        "Their bytes before compression."),
};

#define NGX_HTTP_VOICE_FAMILIES                                               \
    (sizeof(ngx_http_voice_families) / sizeof(ngx_http_voice_family_t))


/* an upper bound, for either format */

size_t
ngx_http_voice_text_size(ngx_http_voice_snapshot_t *snapshot)
{
    size_t      size;
    ngx_uint_t  i;

    size = 2 * NGX_HTTP_VOICE_FAMILY_SIZE
           + snapshot->nworkers * NGX_HTTP_VOICE_WORKER_SIZE;

    for (i = 0; i < NGX_HTTP_VOICE_FAMILIES; i++) {
        size += NGX_HTTP_VOICE_FAMILY_SIZE
                + ngx_http_voice_families[i].n * NGX_HTTP_VOICE_SAMPLE_SIZE;
    }

    return size;
}


u_char *
ngx_http_voice_write_json(u_char *p, u_char *last,
    ngx_http_voice_snapshot_t *snapshot)
{
    ngx_uint_t                i;
    ngx_http_voice_family_t  *f;

    p = ngx_slprintf(p, last, "{");

    for (i = 0; i < NGX_HTTP_VOICE_FAMILIES; i++) {
        f = &ngx_http_voice_families[i];

        p = ngx_slprintf(p, last, "\"%V\":", &f->name);

        if (f->kind == ngx_http_voice_histogram) {
            p = ngx_http_voice_json_histogram(p, last, snapshot, f);

        } else {
            p = ngx_http_voice_json_family(p, last, snapshot, f);
        }

        p = ngx_slprintf(p, last, ",\n");
    }

    return ngx_http_voice_json_workers(p, last, snapshot);
}


static u_char *
ngx_http_voice_json_family(u_char *p, u_char *last,
    ngx_http_voice_snapshot_t *snapshot, ngx_http_voice_family_t *f)
{
    ngx_uint_t  i;

    if (f->label == NULL) {
        return ngx_http_voice_write_value(p, last, f,
                                          snapshot->counts[f->first]);
    }

    for (i = 0; i < f->n; i++) {
        p = ngx_slprintf(p, last, "%c\"%V\":", i ? ',' : '{',
                         &f->classes[i].name);
        p = ngx_http_voice_write_value(p, last, f,
                                       snapshot->counts[f->first + i]);
    }

    return ngx_slprintf(p, last, "}");
}


static u_char *
ngx_http_voice_json_histogram(u_char *p, u_char *last,
    ngx_http_voice_snapshot_t *snapshot, ngx_http_voice_family_t *f)
{
    uint64_t    count, sum;
    ngx_uint_t  i;

    count = 0;
    sum = snapshot->counts[ngx_http_voice_n_rtt_sum];

    p = ngx_slprintf(p, last, "{\"buckets\":");

    for (i = 0; i < f->n; i++) {
        count += snapshot->counts[f->first + i];

        p = ngx_slprintf(p, last, "%c\"%V\":%uL", i ? ',' : '{',
                         &f->classes[i].name, count);
    }

    return ngx_slprintf(p, last, "},\"sum\":%uL.%06uL,\"count\":%uL}",
                        sum / 1000000, sum % 1000000, count);
}


static u_char *
ngx_http_voice_json_workers(u_char *p, u_char *last,
    ngx_http_voice_snapshot_t *snapshot)
{
    ngx_uint_t                i;
    ngx_http_voice_worker_t  *w;

    p = ngx_slprintf(p, last, "\"workers\":[");

    for (i = 0; i < snapshot->nworkers; i++) {
        w = &snapshot->workers[i];

        p = ngx_slprintf(p, last,
                         "%s\n{\"pid\":%P,\"worker\":%ui,\"draining\":%s,"
                         "\"sessions_live\":%uL,\"sessions_opened\":%uL,"
                         "\"messages\":{\"up\":%uL,\"down\":%uL},"
                         "\"bytes\":{\"up\":%uL,\"down\":%uL}}",
                         i ? "," : "", w->pid, w->worker,
                         w->draining ? "true" : "false",
                         w->counts[ngx_http_voice_n_live],
                         w->counts[ngx_http_voice_n_opened],
                         w->counts[ngx_http_voice_n_messages_up],
                         w->counts[ngx_http_voice_n_messages_down],
                         w->counts[ngx_http_voice_n_bytes_up],
                         w->counts[ngx_http_voice_n_bytes_down]);
    }

    return ngx_slprintf(p, last, "]}\n");
}


u_char *
ngx_http_voice_write_prometheus(u_char *p, u_char *last,
    ngx_http_voice_snapshot_t *snapshot)
{
    ngx_uint_t                i;
    ngx_http_voice_family_t  *f;

    for (i = 0; i < NGX_HTTP_VOICE_FAMILIES; i++) {
        f = &ngx_http_voice_families[i];

        if (f->kind == ngx_http_voice_histogram) {
            p = ngx_http_voice_prometheus_histogram(p, last, snapshot, f);

        } else {
            p = ngx_http_voice_prometheus_family(p, last, snapshot, f);
        }
    }

    return ngx_http_voice_prometheus_workers(p, last, snapshot);
}


static u_char *
ngx_http_voice_prometheus_family(u_char *p, u_char *last,
    ngx_http_voice_snapshot_t *snapshot, ngx_http_voice_family_t *f)
{
    char        *type, *suffix;
    ngx_uint_t   i;

    type = (f->kind == ngx_http_voice_gauge) ? "gauge" : "counter";
    suffix = (f->kind == ngx_http_voice_gauge) ? "" : "_total";

    p = ngx_slprintf(p, last, "# HELP voice_%V%s %s\n# TYPE voice_%V%s %s\n",
                     &f->name, suffix, f->help, &f->name, suffix, type);

    for (i = 0; i < f->n; i++) {
        p = ngx_slprintf(p, last, "voice_%V%s", &f->name, suffix);

        if (f->label) {
            p = ngx_slprintf(p, last, "{%s=\"%V\"}", f->label,
                             &f->classes[i].name);
        }

        p = ngx_slprintf(p, last, " ");
        p = ngx_http_voice_write_value(p, last, f,
                                       snapshot->counts[f->first + i]);
        p = ngx_slprintf(p, last, "\n");
    }

    return p;
}


static u_char *
ngx_http_voice_prometheus_histogram(u_char *p, u_char *last,
    ngx_http_voice_snapshot_t *snapshot, ngx_http_voice_family_t *f)
{
    uint64_t    count, sum;
    ngx_uint_t  i;

    count = 0;
    sum = snapshot->counts[ngx_http_voice_n_rtt_sum];

    p = ngx_slprintf(p, last,
                     "# HELP voice_%V %s\n# TYPE voice_%V histogram\n",
                     &f->name, f->help, &f->name);

    for (i = 0; i < f->n; i++) {
        count += snapshot->counts[f->first + i];

        p = ngx_slprintf(p, last, "voice_%V_bucket{%s=\"%V\"} %uL\n",
                         &f->name, f->label, &f->classes[i].name, count);
    }

    return ngx_slprintf(p, last, "voice_%V_sum %uL.%06uL\n"
                                 "voice_%V_count %uL\n",
                        &f->name, sum / 1000000, sum % 1000000,
                        &f->name, count);
}


static u_char *
ngx_http_voice_prometheus_workers(u_char *p, u_char *last,
    ngx_http_voice_snapshot_t *snapshot)
{
    ngx_uint_t  i, draining;

    draining = 0;

    for (i = 0; i < snapshot->nworkers; i++) {
        draining += snapshot->workers[i].draining;
    }

    return ngx_slprintf(p, last,
                        "# HELP voice_workers NGINX workers; draining: "
                        "with an older configuration.\n"
                        "# TYPE voice_workers gauge\n"
                        "voice_workers{state=\"running\"} %ui\n"
                        "voice_workers{state=\"draining\"} %ui\n",
                        snapshot->nworkers - draining, draining);
}


static u_char *
ngx_http_voice_write_value(u_char *p, u_char *last,
    ngx_http_voice_family_t *f, uint64_t value)
{
    if (f->kind == ngx_http_voice_seconds) {
        return ngx_slprintf(p, last, "%uL.%03uL", value / 1000, value % 1000);
    }

    return ngx_slprintf(p, last, "%uL", value);
}

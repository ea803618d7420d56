/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/histogram.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct histogram {
    char *name;   /* without its labels */
    char *labels; /* what stands between the braces, or "" */
    char *help;
    size_t count; /* of bounds */
    double bounds[HISTOGRAM_BOUNDS];
    _Atomic uint64_t buckets[HISTOGRAM_BOUNDS + 1];
    _Atomic uint64_t sum_us;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct histogram histograms[HISTOGRAMS_MAX];
static _Atomic size_t total; /* entries below it are complete */

static char *
copy_of(const char *text, size_t bytes)
{
    char *copy = strndup(text, bytes);

    if (!copy)
        abort();
    return copy;
}

/* "x{a="b"}" is "x" and "a="b"". */
static void
name_split(struct histogram *h, const char *name)
{
    size_t bytes = strcspn(name, "{");
    const char *labels = name[bytes] ? name + bytes + 1 : "";

    h->name = copy_of(name, bytes);
    h->labels = copy_of(labels, strcspn(labels, "}"));
}

static bool
is_named(const struct histogram *h, const char *name)
{
    size_t bytes = strlen(h->name);
    size_t labels = strlen(h->labels);

    if (strncmp(name, h->name, bytes) != 0)
        return false;
    name += bytes;
    if (*name != '{')
        return *name == '\0' && labels == 0;
    return strncmp(name + 1, h->labels, labels) == 0 && name[1 + labels] == '}';
}

/* With the lock. The last place is everybody's. */
static struct histogram *
histogram_new(const char *name, const char *help, const double *bounds,
              size_t count)
{
    size_t at = total;
    struct histogram *h = &histograms[at];

    if (at == HISTOGRAMS_MAX)
        return &histograms[at - 1];
    if (at == HISTOGRAMS_MAX - 1) {
        name = "voiced_histograms_overflow";
        help = "Observations of histograms without a place.";
    }
    name_split(h, name);
    h->help = copy_of(help, strlen(help));
    h->count = count < HISTOGRAM_BOUNDS ? count : HISTOGRAM_BOUNDS;
    memcpy(h->bounds, bounds, h->count * sizeof(*bounds));
    atomic_store_explicit(&total, at + 1, memory_order_release);
    return h;
}

struct histogram *
histogram_register(const char *name, const char *help, const double *bounds,
                   size_t count)
{
    struct histogram *found = NULL;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < total && !found; i++)
        if (is_named(&histograms[i], name))
            found = &histograms[i];
    if (!found)
        found = histogram_new(name, help, bounds, count);
    pthread_mutex_unlock(&lock);
    return found;
}

void
histogram_observe(struct histogram *h, double seconds)
{
    size_t at = 0;

    seconds = seconds > 0 ? seconds : 0;
    while (at < h->count && seconds > h->bounds[at])
        at++;
    atomic_fetch_add_explicit(&h->buckets[at], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_us, (uint64_t) (seconds * 1e6 + 0.5),
                              memory_order_relaxed);
}

/* --- writing them out */

static int
bucket_dump(struct buffer *out, const struct histogram *h, size_t at,
            uint64_t below)
{
    const char *comma = *h->labels ? "," : "";

    if (at == h->count)
        return buffer_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n",
                             h->name, h->labels, comma, below);
    return buffer_printf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", h->name,
                         h->labels, comma, h->bounds[at], below);
}

/* The count is the last bucket's: observations go on meanwhile. */
static int
histogram_dump(struct buffer *out, const struct histogram *h)
{
    const char *open = *h->labels ? "{" : "", *close = *h->labels ? "}" : "";
    uint64_t below = 0, sum_us;
    int err = 0;

    for (size_t i = 0; i <= h->count && err == 0; i++) {
        below += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        err = bucket_dump(out, h, i, below);
    }
    sum_us = atomic_load_explicit(&h->sum_us, memory_order_relaxed);
    if (err == 0)
        err = buffer_printf(out,
                            "%s_sum%s%s%s %" PRIu64 ".%06" PRIu64
                            "\n%s_count%s%s%s %" PRIu64 "\n",
                            h->name, open, h->labels, close, sum_us / 1000000,
                            sum_us % 1000000, h->name, open, h->labels, close,
                            below);
    return err;
}

static bool
family_is_first(size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (strcmp(histograms[i].name, histograms[at].name) == 0)
            return false;
    return true;
}

static int
family_dump(struct buffer *out, size_t first, size_t count)
{
    const struct histogram *head = &histograms[first];
    int err = buffer_printf(out, "# HELP %s %s\n# TYPE %s histogram\n",
                            head->name, head->help, head->name);

    for (size_t i = first; i < count && err == 0; i++)
        if (strcmp(histograms[i].name, head->name) == 0)
            err = histogram_dump(out, &histograms[i]);
    return err;
}

int
histograms_dump_prometheus(struct buffer *out)
{
    size_t count = atomic_load_explicit(&total, memory_order_acquire);
    int err = 0;

    for (size_t i = 0; i < count && err == 0; i++)
        if (family_is_first(i))
            err = family_dump(out, i, count);
    return err;
}

static int
labels_dump_json(struct buffer *out, const char *labels)
{
    int err = *labels ? buffer_append(out, "{", 1) : 0;

    for (const char *c = labels; *c && err == 0; c++)
        err = *c == '"' ? buffer_append(out, "\\\"", 2)
                        : buffer_append(out, c, 1);
    return err == 0 && *labels ? buffer_append(out, "}", 1) : err;
}

int
histograms_dump_json(struct buffer *out, const char *comma)
{
    size_t count = atomic_load_explicit(&total, memory_order_acquire);
    int err = 0;

    for (size_t i = 0; i < count && err == 0; i++) {
        const struct histogram *h = &histograms[i];
        uint64_t seen = 0;

        for (size_t j = 0; j <= h->count; j++)
            seen += atomic_load_explicit(&h->buckets[j], memory_order_relaxed);
        err = buffer_printf(out, "%s\"%s_count", comma, h->name);
        if (err == 0)
            err = labels_dump_json(out, h->labels);
        if (err == 0)
            err = buffer_printf(out, "\":%" PRIu64, seen);
        comma = ",";
    }
    return err;
}

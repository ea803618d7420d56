/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Process-wide distributions of durations, by name, in buckets of fixed
 * bounds. Registered once (start-up or first use), then fed from any thread by
 * atomics; never unregistered. Owns all histograms; `metrics` writes them out
 * with its own. Refuses more than HISTOGRAMS_MAX: later names share one.
 */

#ifndef VOICE_HISTOGRAM_H
#define VOICE_HISTOGRAM_H

#include "base/buffer.h"

#include <stddef.h>

#define HISTOGRAMS_MAX   128
#define HISTOGRAM_BOUNDS 16 /* at most, without the one beyond all */

struct histogram;

/*
 * The histogram of that name, made if it is new. `name` in Prometheus form,
 * with its labels if any: `voice_x_seconds{start="warm"}`; those of one family
 * share the part before the brace and have the same bounds. bounds: rising,
 * inclusive; texts and bounds are copied.
 */
struct histogram *histogram_register(const char *name, const char *help,
                                     const double *bounds, size_t count);

/* Negative counts as 0. */
void histogram_observe(struct histogram *h, double seconds);

/* How many were observed, and the family's text; as metrics_dump_*: an object
 * member of NAME_count each, `comma` first. 0 or as buffer_append. */
int histograms_dump_prometheus(struct buffer *out);
int histograms_dump_json(struct buffer *out, const char *comma);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A histogram of durations in nanoseconds: 64 steps to each power of two, so
 * a percentile is at most 1.6 % too high. Fixed size, any thread that owns it.
 */

#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define BENCH_HISTOGRAM_STEPS 64
#define BENCH_HISTOGRAM_CELLS (BENCH_HISTOGRAM_STEPS * 42)

struct bench_histogram {
    uint64_t count;
    uint64_t max;
    uint64_t cells[BENCH_HISTOGRAM_CELLS];
};

void bench_histogram_add(struct bench_histogram *histogram, uint64_t ns);

/* The upper edge of the cell that holds the given part (0 to 1) of the
 * values; 0 when there are none. */
uint64_t bench_histogram_at(const struct bench_histogram *histogram,
                            double part);

/* Writes {"count":…,"p50_us":…,"p90_us":…,"p99_us":…,"max_us":…}. */
void bench_histogram_print(const struct bench_histogram *histogram, FILE *to);

#endif

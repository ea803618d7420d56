/* SPDX-License-Identifier: BSD-2-Clause */

#include "bench_histogram.h"

/* Values below 64 have a cell each; from there on the six bits after the
 * leading one choose the step. */
static unsigned
cell_of(uint64_t ns)
{
    if (ns < BENCH_HISTOGRAM_STEPS)
        return (unsigned) ns;
    unsigned shift = 63u - (unsigned) __builtin_clzll(ns) - 6;
    unsigned cell = (shift + 1) * BENCH_HISTOGRAM_STEPS
                    + (unsigned) ((ns >> shift) & (BENCH_HISTOGRAM_STEPS - 1));
    return cell < BENCH_HISTOGRAM_CELLS ? cell : BENCH_HISTOGRAM_CELLS - 1;
}

static uint64_t
cell_edge(unsigned cell)
{
    unsigned row = cell / BENCH_HISTOGRAM_STEPS;
    uint64_t step = cell % BENCH_HISTOGRAM_STEPS;

    if (row == 0)
        return step;
    return ((BENCH_HISTOGRAM_STEPS + step + 1) << (row - 1)) - 1;
}

void
bench_histogram_add(struct bench_histogram *histogram, uint64_t ns)
{
    histogram->count++;
    histogram->cells[cell_of(ns)]++;
    if (ns > histogram->max)
        histogram->max = ns;
}

uint64_t
bench_histogram_at(const struct bench_histogram *histogram, double part)
{
    uint64_t want = (uint64_t) (part * (double) histogram->count);
    uint64_t seen = 0;

    for (unsigned i = 0; i < BENCH_HISTOGRAM_CELLS; i++) {
        seen += histogram->cells[i];
        if (seen > want)
            return cell_edge(i) < histogram->max ? cell_edge(i)
                                                 : histogram->max;
    }
    return histogram->max;
}

void
bench_histogram_print(const struct bench_histogram *histogram, FILE *to)
{
    fprintf(to,
            "{\"count\":%llu,\"p50_us\":%.1f,\"p90_us\":%.1f,"
            "\"p99_us\":%.1f,\"max_us\":%.1f}",
            (unsigned long long) histogram->count,
            (double) bench_histogram_at(histogram, 0.50) / 1e3,
            (double) bench_histogram_at(histogram, 0.90) / 1e3,
            (double) bench_histogram_at(histogram, 0.99) / 1e3,
            (double) histogram->max / 1e3);
}

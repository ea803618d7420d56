/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads HTTP/1.1 answers to GET off a byte stream, as far as the load client
 * needs: the status, and where an answer with a Content-Length ends. One
 * without has no end here. Fixed size, no I/O.
 */

#ifndef BENCH_ANSWER_H
#define BENCH_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_ANSWER_HEAD 2048

struct bench_answer {
    char head[BENCH_ANSWER_HEAD];
    size_t head_bytes;
    unsigned status; /* 0: the head is not whole */
    bool has_length;
    bool closes;   /* Connection: close */
    uint64_t left; /* body bytes still to come */
};

void bench_answer_init(struct bench_answer *answer);

/* Takes bytes up to the end of the answer, or all; how many, or -1: that is
 * no HTTP. */
ptrdiff_t bench_answer_push(struct bench_answer *answer, const char *data,
                            size_t bytes);

bool bench_answer_is_whole(const struct bench_answer *answer);

#endif

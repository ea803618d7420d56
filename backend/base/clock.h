/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Time. Pure questions to the kernel, callable from any thread; modules of
 * the codec floor never call it: they take `now` as an argument.
 */

#ifndef VOICE_CLOCK_H
#define VOICE_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in microseconds / milliseconds. */
uint64_t clock_now_us(void);
uint64_t clock_now_ms(void);

/* Unix time in milliseconds; for what people and protocols read. */
int64_t clock_wall_ms(void);

#endif

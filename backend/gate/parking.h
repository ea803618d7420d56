/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The parked requests of a gate: ticket → item, and who expires next. A plain
 * data structure without I/O or clock; the gate calls it under its own lock.
 * Owns its tables, never the items. A ticket is never given out twice, so an
 * old one finds nothing. Refuses more than `max` items.
 */

#ifndef VOICE_PARKING_H
#define VOICE_PARKING_H

#include <stdint.h>

#define PARKING_MAX 65535u

/* Tickets fit in this many bits, so that a tag can stand beside one. */
#define PARKING_TICKET_BITS 56

struct parking;

/* max is cut to PARKING_MAX. 0 or UV_ENOMEM. */
int parking_create(struct parking **pp, unsigned max);
void parking_destroy(struct parking **pp);

/* A ticket, never 0; or 0 when it is full. */
uint64_t parking_add(struct parking *parking, void *item, uint64_t deadline_ms);

/* The item, which is out from now on; NULL: no such ticket. */
void *parking_remove(struct parking *parking, uint64_t ticket);

/* The item whose deadline is the earliest, when that is not after now_ms; it
 * is out from now on. NULL: none. */
void *parking_pop_expired(struct parking *parking, uint64_t now_ms);

/* The earliest deadline, UINT64_MAX when nothing is parked. */
uint64_t parking_next_ms(const struct parking *parking);
unsigned parking_count(const struct parking *parking);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   ticket ─► slot (generation must match) ─► item
 *   heap: slots by deadline, earliest at the root; slot.place is its place
 */

#include "gate/parking.h"

#include <stdlib.h>
#include <uv.h>

#define SLOT_BITS       16
#define GENERATION_MASK ((UINT64_C(1) << (PARKING_TICKET_BITS - SLOT_BITS)) - 1)

struct slot {
    void *item; /* NULL: free */
    uint64_t generation;
    uint64_t deadline_ms;
    uint16_t place; /* in the heap; of a free slot: the next free one */
};

struct parking {
    unsigned max, count;
    uint16_t free_slot; /* meaningful while count < max */
    uint16_t *heap;
    struct slot slots[];
};

int
parking_create(struct parking **pp, unsigned max)
{
    struct parking *parking;

    if (max > PARKING_MAX) {
        max = PARKING_MAX;
    }
    parking = calloc(1, sizeof(*parking) + max * sizeof(struct slot));
    if (parking == NULL) {
        return UV_ENOMEM;
    }
    parking->heap = calloc(max + 1, sizeof(*parking->heap));
    if (parking->heap == NULL) {
        free(parking);
        return UV_ENOMEM;
    }
    parking->max = max;
    for (unsigned i = 0; i < max; i++) {
        parking->slots[i].place = (uint16_t) (i + 1);
    }
    *pp = parking;
    return 0;
}

void
parking_destroy(struct parking **pp)
{
    if (*pp != NULL) {
        free((*pp)->heap);
        free(*pp);
        *pp = NULL;
    }
}

static uint64_t
heap_deadline(const struct parking *parking, unsigned place)
{
    return parking->slots[parking->heap[place]].deadline_ms;
}

static void
heap_put(struct parking *parking, unsigned place, uint16_t slot)
{
    parking->heap[place] = slot;
    parking->slots[slot].place = (uint16_t) place;
}

static void
heap_up(struct parking *parking, unsigned place)
{
    uint16_t slot = parking->heap[place];
    uint64_t deadline = parking->slots[slot].deadline_ms;

    while (place > 0 && heap_deadline(parking, (place - 1) / 2) > deadline) {
        heap_put(parking, place, parking->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    heap_put(parking, place, slot);
}

static void
heap_down(struct parking *parking, unsigned place)
{
    uint16_t slot = parking->heap[place];
    uint64_t deadline = parking->slots[slot].deadline_ms;
    unsigned child;

    while ((child = place * 2 + 1) < parking->count) {
        if (child + 1 < parking->count
            && heap_deadline(parking, child + 1)
                   < heap_deadline(parking, child)) {
            child++;
        }
        if (heap_deadline(parking, child) >= deadline) {
            break;
        }
        heap_put(parking, place, parking->heap[child]);
        place = child;
    }
    heap_put(parking, place, slot);
}

uint64_t
parking_add(struct parking *parking, void *item, uint64_t deadline_ms)
{
    uint16_t at = parking->free_slot;
    struct slot *slot;

    if (parking->count == parking->max) {
        return 0;
    }
    slot = &parking->slots[at];
    parking->free_slot = slot->place;
    slot->item = item;
    slot->deadline_ms = deadline_ms;
    /* Generation 0 is left out, so that no ticket is 0. */
    slot->generation = (slot->generation + 1) & GENERATION_MASK;
    slot->generation += slot->generation == 0;
    heap_put(parking, parking->count++, at);
    heap_up(parking, parking->count - 1);
    return slot->generation << SLOT_BITS | at;
}

static void *
parking_remove_slot(struct parking *parking, uint16_t at)
{
    struct slot *slot = &parking->slots[at];
    void *item = slot->item;
    unsigned place = slot->place;

    parking->count--;
    if (place != parking->count) {
        heap_put(parking, place, parking->heap[parking->count]);
        heap_up(parking, place);
        heap_down(parking, place);
    }
    slot->item = NULL;
    slot->place = parking->free_slot;
    parking->free_slot = at;
    return item;
}

void *
parking_remove(struct parking *parking, uint64_t ticket)
{
    unsigned at = (unsigned) (ticket & ((1u << SLOT_BITS) - 1));

    if (at >= parking->max || parking->slots[at].item == NULL
        || parking->slots[at].generation != ticket >> SLOT_BITS) {
        return NULL;
    }
    return parking_remove_slot(parking, (uint16_t) at);
}

void *
parking_pop_expired(struct parking *parking, uint64_t now_ms)
{
    if (parking->count == 0 || heap_deadline(parking, 0) > now_ms) {
        return NULL;
    }
    return parking_remove_slot(parking, parking->heap[0]);
}

uint64_t
parking_next_ms(const struct parking *parking)
{
    return parking->count == 0 ? UINT64_MAX : heap_deadline(parking, 0);
}

unsigned
parking_count(const struct parking *parking)
{
    return parking->count;
}

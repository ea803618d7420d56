/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The links of a warm_pool as a list: in which state each is, and who fits a
 * question. Embedded in the pool, under its mutex; owns the entries, not the
 * links they stand for.
 */

#ifndef VOICE_WARM_LINKS_H
#define VOICE_WARM_LINKS_H

#include "base/metrics.h"
#include "model/model_link.h"
#include "service/warm_models.h"

#include <stdbool.h>
#include <stdint.h>

/* X(state, name) */
#define WARM_STATES(X)                                                         \
    X(WARM_WANTED, "wanted") /* to be opened by its place */                   \
    X(WARM_OPENING, "opening")                                                 \
    X(WARM_READY, "ready")                                                     \
    X(WARM_RESERVED, "reserved") /* for the holder of the ticket */            \
    X(WARM_CLOSING, "closing")

enum warm_state {
#define X(state, name) state,
    WARM_STATES(X)
#undef X
};

struct warm_place; /* the pool's: what one loop has of it */

struct warm_link {
    struct warm_link *next;
    struct warm_place *place;
    struct warm_model *model;
    struct model_link *link; /* of the loop; NULL while it is wanted */
    enum warm_state state;
    uint64_t ticket;
    uint64_t ready_ms;
    uint64_t until_ms;    /* not taken from then on */
    uint64_t reserved_ms; /* WARM_RESERVED: since */
};

struct warm_links {
    struct warm_link *first;
    unsigned ready;
    struct metric *gauge; /* of ready; set by the user */
};

/* A wanted one of that model at that place; NULL: no memory. */
struct warm_link *warm_links_add(struct warm_links *links,
                                 struct warm_place *place,
                                 struct warm_model *model);
/* Out of the list; the entry is the caller's to free. */
void warm_links_remove(struct warm_links *links, struct warm_link *l);
void warm_links_deinit(struct warm_links *links);

/* The only writer of the state. */
void warm_links_enter(struct warm_links *links, struct warm_link *l,
                      enum warm_state state);

/* How many of a model (NULL: of all) are there for whoever comes next. */
unsigned warm_links_coming(const struct warm_links *links,
                           const struct warm_model *model, uint64_t now_ms);
/* How many of a place are or will be ready; and whether it has any at all. */
unsigned warm_links_at(const struct warm_links *links,
                       const struct warm_place *place);
bool warm_links_has(const struct warm_links *links,
                    const struct warm_place *place);

/* NULL: none. The one ready that has waited longest; the reserved one of that
 * ticket; some one of a place in that state. */
struct warm_link *warm_links_ready(const struct warm_links *links,
                                   const struct warm_model *model,
                                   uint64_t now_ms);
struct warm_link *warm_links_ticket(const struct warm_links *links,
                                    uint64_t ticket);
struct warm_link *warm_links_in(const struct warm_links *links,
                                const struct warm_place *place,
                                enum warm_state state);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/warm_links.h"

#include "base/log.h"

#include <stdlib.h>

void
warm_links_enter(struct warm_links *links, struct warm_link *l,
                 enum warm_state state)
{
    static const char *const names[] = {
#define X(id, name) name,
        WARM_STATES(X)
#undef X
    };

    LOG(DEBUG, "warm", "model=%s state=%s->%s", l->model->name, names[l->state],
        names[state]);
    links->ready += (state == WARM_READY) - (l->state == WARM_READY);
    metric_set(links->gauge, links->ready);
    l->state = state;
}

struct warm_link *
warm_links_add(struct warm_links *links, struct warm_place *place,
               struct warm_model *model)
{
    struct warm_link *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    l->place = place;
    l->model = model;
    l->state = WARM_WANTED;
    l->next = links->first;
    links->first = l;
    model->links++;
    return l;
}

void
warm_links_remove(struct warm_links *links, struct warm_link *l)
{
    struct warm_link **at = &links->first;

    if (l->state != WARM_CLOSING)
        warm_links_enter(links, l, WARM_CLOSING);
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    l->model->links--;
}

void
warm_links_deinit(struct warm_links *links)
{
    struct warm_link *l;

    while ((l = links->first) != NULL) {
        links->first = l->next;
        free(l);
    }
}

static bool
is_coming(const struct warm_link *l, uint64_t now_ms)
{
    return l->state == WARM_WANTED || l->state == WARM_OPENING
           || (l->state == WARM_READY && now_ms < l->until_ms);
}

unsigned
warm_links_coming(const struct warm_links *links,
                  const struct warm_model *model, uint64_t now_ms)
{
    unsigned count = 0;

    for (const struct warm_link *l = links->first; l; l = l->next)
        count += (!model || l->model == model) && is_coming(l, now_ms);
    return count;
}

unsigned
warm_links_at(const struct warm_links *links, const struct warm_place *place)
{
    unsigned count = 0;

    for (const struct warm_link *l = links->first; l; l = l->next)
        count += l->place == place && l->state <= WARM_READY;
    return count;
}

bool
warm_links_has(const struct warm_links *links, const struct warm_place *place)
{
    for (const struct warm_link *l = links->first; l; l = l->next)
        if (l->place == place)
            return true;
    return false;
}

struct warm_link *
warm_links_ready(const struct warm_links *links, const struct warm_model *model,
                 uint64_t now_ms)
{
    struct warm_link *best = NULL;

    for (struct warm_link *l = links->first; l; l = l->next)
        if (l->state == WARM_READY && l->model == model && now_ms < l->until_ms
            && (!best || l->ready_ms < best->ready_ms))
            best = l;
    return best;
}

struct warm_link *
warm_links_ticket(const struct warm_links *links, uint64_t ticket)
{
    for (struct warm_link *l = links->first; l; l = l->next)
        if (l->state == WARM_RESERVED && l->ticket == ticket)
            return l;
    return NULL;
}

struct warm_link *
warm_links_in(const struct warm_links *links, const struct warm_place *place,
              enum warm_state state)
{
    for (struct warm_link *l = links->first; l; l = l->next)
        if (l->place == place && l->state == state)
            return l;
    return NULL;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_state.h"

#include "base/log.h"

#include <stdatomic.h>

/* Names, and for each state a bit for each that it may become. */
struct session_machine {
    const char *name;
    const char *const *names;
    const uint8_t *next;
};

#define LIVE                 (1u << SESSION_LIVE)
#define DRAINING             (1u << SESSION_DRAINING)
#define ENDED                (1u << SESSION_ENDED)
#define NONE                 (1u << CLIENT_NONE)
#define ATTACHED             (1u << CLIENT_ATTACHED)
#define DETACHED             (1u << CLIENT_DETACHED)
#define READY                (1u << UPSTREAM_READY)
#define SWAPPING             (1u << UPSTREAM_SWAPPING)
#define LOST                 (1u << UPSTREAM_LOST)
#define TEXT(id, text, next) text,
#define NEXT(id, text, next) next,

const struct session_machine session_machine = {
    "state", (const char *const[]){SESSION_STATES(TEXT)},
    (const uint8_t[]){SESSION_STATES(NEXT)}};
const struct session_machine session_client_machine = {
    "client", (const char *const[]){SESSION_CLIENT_LEGS(TEXT)},
    (const uint8_t[]){SESSION_CLIENT_LEGS(NEXT)}};
const struct session_machine session_upstream_machine = {
    "upstream", (const char *const[]){SESSION_UPSTREAM_LEGS(TEXT)},
    (const uint8_t[]){SESSION_UPSTREAM_LEGS(NEXT)}};

static atomic_uint illegal_count;

unsigned
session_illegal_count(void)
{
    return atomic_load(&illegal_count);
}

bool
session_state_enter(const struct session_machine *m, uint8_t *state,
                    unsigned to, const char *id)
{
    if (!(m->next[*state] >> to & 1)) {
        atomic_fetch_add(&illegal_count, 1);
        LOG(ALERT, id, "event=illegal_state machine=%s from=%s to=%s", m->name,
            m->names[*state], m->names[to]);
        return false;
    }
    LOG(DEBUG, id, "%s=%s was=%s", m->name, m->names[to], m->names[*state]);
    *state = (uint8_t) to;
    return true;
}

const char *
session_state_name(const struct session_machine *m, unsigned state)
{
    return m->names[state];
}

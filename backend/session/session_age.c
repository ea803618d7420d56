/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_age.h"

#define DUE_MAX_MS  300000
#define OVER_MAX_MS 30000
#define PUT_OFF_MS  30000
#define LOOK_MAX_MS 1000

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void
session_age_init(struct session_age *age, uint64_t cap_ms)
{
    *age = (struct session_age){.cap_ms = cap_ms};
}

void
session_age_start(struct session_age *age, uint64_t now_ms)
{
    age->since_ms = now_ms;
    age->due_ms = now_ms + age->cap_ms - least(age->cap_ms / 10, DUE_MAX_MS);
}

void
session_age_put_off(struct session_age *age, uint64_t now_ms)
{
    age->due_ms = now_ms + least(age->cap_ms / 20, PUT_OFF_MS);
}

bool
session_age_is_due(const struct session_age *age, uint64_t now_ms)
{
    return age->cap_ms && age->since_ms && now_ms >= age->due_ms;
}

bool
session_age_is_over(const struct session_age *age, uint64_t now_ms)
{
    uint64_t left_ms = least(age->cap_ms / 100, OVER_MAX_MS);

    return age->cap_ms && age->since_ms
           && now_ms >= age->since_ms + age->cap_ms - left_ms;
}

uint64_t
session_age_look_ms(const struct session_age *age)
{
    uint64_t ms = least(age->cap_ms / 200, LOOK_MAX_MS);

    return ms ? ms : 1;
}

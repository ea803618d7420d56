/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * When a session's upstream is to be replaced because the provider ends its
 * sessions after a time: from 9/10 of that time on (5 minutes before it at
 * most) the next pause will do, at 99/100 (30 seconds at most) no pause is
 * waited for. Pure: the time is an argument. Embedded; owns nothing.
 */

#ifndef VOICE_SESSION_AGE_H
#define VOICE_SESSION_AGE_H

#include <stdbool.h>
#include <stdint.h>

struct session_age {
    uint64_t cap_ms; /* 0: none */
    uint64_t since_ms;
    uint64_t due_ms; /* clock time; from then on a pause will do */
};

void session_age_init(struct session_age *age, uint64_t cap_ms);
/* A new upstream has begun. */
void session_age_start(struct session_age *age, uint64_t now_ms);
/* It could not be replaced: not before a while. */
void session_age_put_off(struct session_age *age, uint64_t now_ms);

bool session_age_is_due(const struct session_age *age, uint64_t now_ms);
bool session_age_is_over(const struct session_age *age, uint64_t now_ms);

/* How often to look. */
uint64_t session_age_look_ms(const struct session_age *age);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How often a session may change its upstream after losses: ten times in a
 * row, then once a second. Pure: the time is an argument. Embedded; owns
 * nothing.
 */

#ifndef VOICE_SESSION_CREDIT_H
#define VOICE_SESSION_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

struct session_credit {
    uint64_t left_ms;
    uint64_t since_ms;
};

void session_credit_init(struct session_credit *credit, uint64_t now_ms);
/* false: not now. */
bool session_credit_take(struct session_credit *credit, uint64_t now_ms);

#endif

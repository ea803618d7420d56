/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How often a session may change its upstream after losses: ten times in a
 * row, then once a second, until a response has ended well; and of losses amid
 * a response, which is asked for (and paid) anew each time, eight until one
 * response has ended well. Pure: the time is an argument. Embedded; owns
 * nothing.
 */

#ifndef VOICE_SESSION_CREDIT_H
#define VOICE_SESSION_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

struct session_credit {
    uint64_t left_ms;
    uint64_t since_ms;
    unsigned vain; /* responses that were lost, in a row */
    bool is_amid;  /* a response is open */
};

void session_credit_init(struct session_credit *credit, uint64_t now_ms);
/* The model has begun a response; has ended one. */
void session_credit_begin(struct session_credit *credit);
void session_credit_done(struct session_credit *credit);

/* Another loss. false: no more. */
bool session_credit_take(struct session_credit *credit, uint64_t now_ms);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_credit.h"

#define COST_MS  1000
#define MAX_MS   10000
#define VAIN_MAX 8

void
session_credit_init(struct session_credit *credit, uint64_t now_ms)
{
    *credit = (struct session_credit){.left_ms = MAX_MS, .since_ms = now_ms};
}

void
session_credit_begin(struct session_credit *credit)
{
    credit->is_amid = true;
}

void
session_credit_done(struct session_credit *credit)
{
    credit->is_amid = false;
    credit->vain = 0;
    credit->left_ms = MAX_MS;
}

bool
session_credit_take(struct session_credit *credit, uint64_t now_ms)
{
    uint64_t left_ms = credit->left_ms + (now_ms - credit->since_ms);

    credit->vain += credit->is_amid;
    credit->is_amid = false;
    credit->since_ms = now_ms;
    credit->left_ms = left_ms < MAX_MS ? left_ms : MAX_MS;
    if (credit->left_ms < COST_MS || credit->vain > VAIN_MAX)
        return false;
    credit->left_ms -= COST_MS;
    return true;
}

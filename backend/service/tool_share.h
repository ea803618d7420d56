/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What each tenant has of the places over HTTP, so that none has them all:
 * there is nothing else that bounds a caller who opens a connection for every
 * call. A plain list of those who have any, embedded in a tool_queue, under
 * its user's lock; owns the shares.
 */

#ifndef VOICE_TOOL_SHARE_H
#define VOICE_TOOL_SHARE_H

#include <sys/queue.h>

struct tool_share {
    LIST_ENTRY(tool_share) of_all;
    unsigned users; /* it goes with the last one */
    unsigned orders, running;
    char tenant[];
};

LIST_HEAD(tool_shares, tool_share);

/* The tenant's, made when it is its first: one more user. NULL: no memory. */
struct tool_share *tool_share_get(struct tool_shares *shares,
                                  const char *tenant);
struct tool_share *tool_share_ref(struct tool_share *share);
/* Of NULL nothing; leaves NULL. */
void tool_share_put(struct tool_share **sp);

#endif

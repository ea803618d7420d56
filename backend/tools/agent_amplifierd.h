/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Agents of an amplifierd: POST /sessions, then /sessions/{id}/execute with
 * each order, /sessions/{id}/cancel when nobody wants its answer any more, and
 * DELETE /sessions/{id} at the end. A session does one thing at a time (409):
 * a conversation is a session of its own. On the services' loop.
 */

#ifndef VOICE_AGENT_AMPLIFIERD_H
#define VOICE_AGENT_AMPLIFIERD_H

#include "tools/agent_turn.h"

/* Leads the turn, which has a lane, to its end. */
void agent_amplifierd_begin(struct agent_turn *turn);
/* It was cancelled: told to the server, if that works on it. */
void agent_amplifierd_stop(struct agent_turn *turn);
/* The lane goes. */
void agent_amplifierd_forget(const struct agent_server *server,
                             const struct agent_lane *lane);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Agents behind OpenAI's chat completions (POST {url}/chat/completions). Such
 * servers remember nothing: what was said is kept in the lane, up to
 * AGENT_CHAT_HISTORY_BYTES, oldest out first, and sent along. Closing the
 * connection is how they are told to stop. On the services' loop.
 */

#ifndef VOICE_AGENT_CHAT_H
#define VOICE_AGENT_CHAT_H

#include "tools/agent_turn.h"

#define AGENT_CHAT_HISTORY_BYTES 131072 /* of JSON text */

/* Leads the turn, which has a lane, to its end. */
void agent_chat_begin(struct agent_turn *turn);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Minting keys for clients that must not have a long-lived one: POST
 * /v1/realtime/client_secrets, its beta predecessors with flat sessions, and
 * DELETE by id. A secret is ours: it opens sessions and calls here, and the
 * provider's key never leaves the server. The session is checked against the
 * policy and bound to the secret. Request threads; waits parked for the store.
 */

#ifndef VOICE_API_SECRETS_H
#define VOICE_API_SECRETS_H

#include "api/api_answer.h"

api_handler_h api_secrets_create;
api_handler_h api_secrets_create_session;       /* beta */
api_handler_h api_secrets_create_transcription; /* beta */
api_handler_h api_secrets_revoke;

#endif

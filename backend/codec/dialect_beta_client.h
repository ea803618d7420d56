/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A client of ours that speaks the beta: `OpenAI-Beta: realtime=v1`. Up, its
 * flat sessions and responses become GA's; down, GA's events get the names
 * and shapes of the beta, and what the beta has not is swallowed.
 */

#ifndef VOICE_DIALECT_BETA_CLIENT_H
#define VOICE_DIALECT_BETA_CLIENT_H

#include "codec/dialect_event.h"

extern const struct dialect_table dialect_beta_client;

#endif

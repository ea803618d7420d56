/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A session that sends every message back: what the bench measures and what
 * one tries a set-up with, when the configuration says `bench { echo }`. It
 * has a client leg and no model. Counted in the registry, ended by it, and
 * leaves a summary line as any session. Lives on one loop for life.
 */

#ifndef VOICE_SESSION_ECHO_H
#define VOICE_SESSION_ECHO_H

#include "session/session.h"

/* As session_start; policy, model, tenant, events and open_model are not
 * looked at. */
int session_echo_start(const struct session_config *cfg);

#endif

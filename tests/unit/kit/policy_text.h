/* SPDX-License-Identifier: BSD-2-Clause */

/* A policy as the NGINX module renders it, with some members replaced. */

#ifndef VOICE_TEST_POLICY_TEXT_H
#define VOICE_TEST_POLICY_TEXT_H

#include "codec/policy.h"

/* `changes` is a JSON object laid over the defaults ("" for none); a member
 * that is the string "-" is left out. malloc'ed. */
char *policy_text(const char *changes);

/* The parsed policy, shared to the caller; fails the test otherwise. */
const struct policy *policy_of(const char *changes);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An upstream that speaks the beta, or most of it: its events get GA's names
 * and shapes, and those of GA's events that it never sends are made from what
 * it does send.
 */

#ifndef VOICE_DIALECT_BETA_SERVER_H
#define VOICE_DIALECT_BETA_SERVER_H

#include "codec/dialect_event.h"

extern const struct dialect_table dialect_beta_server;

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * xAI as an upstream: GA's names for the most part, with fields of its own,
 * and things left out that strict clients demand.
 */

#ifndef VOICE_DIALECT_XAI_H
#define VOICE_DIALECT_XAI_H

#include "codec/dialect_event.h"

extern const struct dialect_table dialect_xai;

#endif

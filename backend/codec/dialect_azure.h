/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Azure's GA: that of OpenAI, but for a copy of `part` under the name
 * `content` in content_part events.
 */

#ifndef VOICE_DIALECT_AZURE_H
#define VOICE_DIALECT_AZURE_H

#include "codec/dialect_event.h"

extern const struct dialect_table dialect_azure; /* an upstream */

#endif

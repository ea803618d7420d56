/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Tells what a tool gave back in a sentence short enough to be spoken: JSON of
 * any shape or plain text. Pure; owns nothing.
 */

#ifndef VOICE_OFFLINE_RESULT_H
#define VOICE_OFFLINE_RESULT_H

#include <stdio.h>

/* tool (spoken words, may be "") and output (may be NULL) are borrowed. Writes
 * at least one sentence. */
void result_tell(const char *tool, const char *output, FILE *to);

#endif

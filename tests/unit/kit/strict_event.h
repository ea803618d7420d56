/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A client that takes nothing on trust: it knows GA's events for servers and
 * what each must have, and dies of anything else, as some clients do. The
 * rules are those of clients in use: known types alone, an event_id, `usage`
 * whole, no null where a string may be left out, no roles but three.
 */

#ifndef VOICE_KIT_STRICT_EVENT_H
#define VOICE_KIT_STRICT_EVENT_H

#include <jansson.h>

/* What is wrong with the event, in one static text; NULL: nothing. */
const char *strict_event_fault(const json_t *event);

#endif

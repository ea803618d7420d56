/* SPDX-License-Identifier: BSD-2-Clause */

/* The last items of a conversation that are not for the client, by id, beyond
 * those that their id tells: calls of the server's tools. Pure; owned by
 * session_scrub. */

#ifndef VOICE_SESSION_HIDDEN_H
#define VOICE_SESSION_HIDDEN_H

#include <stdbool.h>

#define SESSION_HIDDEN_IDS      64 /* the oldest goes */
#define SESSION_HIDDEN_ID_BYTES 64 /* a longer one is not noted */

struct session_hidden;

/* Makes *hp with the first. 0 or UV_ENOMEM; UV_EINVAL: not noted. */
int session_hidden_add(struct session_hidden **hp, const char *id);
/* NULL is fine. */
bool session_hidden_has(const struct session_hidden *hidden, const char *id);
void session_hidden_destroy(struct session_hidden **hp);

#endif

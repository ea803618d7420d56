/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The grammar of the headers that ask for a WebSocket (RFC 6455, 4.1 and
 * 4.2.1): a token in a list, the version, the key. Compiled into the NGINX
 * module too, which knows which headers there are and what to answer. Pure: no
 * I/O, no allocation, any thread; owns nothing. Values are bytes and a length,
 * without a NUL, without the blanks around them.
 */

#ifndef VOICE_WS_UPGRADE_H
#define VOICE_WS_UPGRADE_H

#include <stdbool.h>
#include <stddef.h>

#define WS_UPGRADE_KEY_CHARS 24 /* of a valid Sec-WebSocket-Key */

/*
 * Whether the token is in a list; ASCII case does not matter. Commas and
 * blanks separate, so a list whose comma was lost is read as it was meant. An
 * empty token is in no list.
 */
bool ws_upgrade_has_token(const char *list, size_t bytes, const char *token,
                          size_t token_bytes);

/* Whether a client's Sec-WebSocket-Version is the one that there is: "13". */
bool ws_upgrade_version_is_valid(const char *version, size_t bytes);

/* Whether it is the base64 of sixteen bytes, padded. The four bits that its
 * last character has too many may be anything: clients make keys up. */
bool ws_upgrade_key_is_valid(const char *key, size_t bytes);

#endif

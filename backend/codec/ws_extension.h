/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The server's side of negotiating permessage-deflate: reads the header
 * Sec-WebSocket-Extensions by its grammar (RFC 6455, 9.1, whose "implied LWS"
 * allows blanks around every mark), takes the first offer that can be kept
 * (RFC 7692, 5 and 7.1), and writes the answer. Compiled into the NGINX module
 * too. Pure: no I/O, no allocation, any thread. Owns nothing, keeps no pointer
 * into a header, and reads every byte of one at most twice.
 *
 * Names are compared byte by byte. RFC 6455 says "case-insensitive" where it
 * means it (Upgrade, Connection) and not here, and an answer in a spelling
 * that was not offered would make a strict client fail the connection, while
 * an offer declined costs no more than the compression.
 */

#ifndef VOICE_WS_EXTENSION_H
#define VOICE_WS_EXTENSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WS_EXTENSION_ANSWER_MAX 128 /* bytes of the longest answer, no NUL */

#define WS_WINDOW_MIN 8 /* bits, RFC 7692, 7.1.2 */
#define WS_WINDOW_MAX 15

/* What the server wishes and what it can do. */
struct ws_extension_settings {
    bool server_no_context_takeover;  /* each of our messages stands alone */
    bool client_no_context_takeover;  /* each of the client's must */
    uint8_t server_window_least_bits; /* smallest window the deflater can keep
                                         to; an offer that wants a smaller one
                                         is declined. zlib: 9, it has no raw
                                         stream of 8 */
    uint8_t server_window_bits;       /* largest it is to use */
    uint8_t client_window_bits;       /* largest the inflater is to need, at
                                         least 9; below 15 only clients that
                                         can be told get the extension */
};

/* What was agreed. All zero: nothing yet. */
struct ws_extension {
    bool malformed; /* a header broke the grammar; nothing is agreed */
    bool deflate;   /* permessage-deflate is: WS_RSV1 may be set. The rest has
                       a meaning only then */
    bool server_no_context_takeover;
    bool client_no_context_takeover;
    uint8_t server_window_bits; /* the deflater uses no larger one */
    uint8_t client_window_bits; /* the inflater needs no larger one; at least
                                   9, which old zlibs use when told 8 */
    uint8_t answer_server_bits; /* in the answer; 0: not said */
    uint8_t answer_client_bits;
};

/*
 * Takes the value of one header; called for each in their order they count as
 * one list. Empty elements and an empty value are no offers. `agreed` is
 * zeroed before the first; `settings` stay the same.
 *
 * False: malformed, here or in an earlier header, and agreed->malformed says
 * so from then on. Nothing is agreed then, so a caller may refuse the
 * handshake (400) or go on without extensions.
 *
 * An offer of permessage-deflate is declined, and the next one considered,
 * for: an unknown parameter, one given twice, a value where none belongs, no
 * value for server_max_window_bits, a value that is not 8 to 15 in decimal
 * without leading zeros (token or quoted), a window that `settings` exclude.
 * Other extensions are passed over.
 */
bool ws_extension_offer(struct ws_extension *agreed,
                        const struct ws_extension_settings *settings,
                        const char *value, size_t bytes);

/*
 * Writes the value of the answer's header and returns its length; 0, nothing
 * agreed, no header. `out` has room for WS_EXTENSION_ANSWER_MAX. It says
 * *_no_context_takeover when either side wants it so, server_max_window_bits
 * only to a client that limited it, client_max_window_bits only when offered
 * and when the client would otherwise use a larger window than `settings`
 * allow.
 */
size_t ws_extension_answer(char *out, const struct ws_extension *agreed);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Looks at BEGIN_REQUEST and PARAMS while they are still in the socket, since
 * libfcgi believes every length that it reads there and ends the process when
 * it can't get as much memory. Owns nothing, takes no byte. Request threads.
 */

#ifndef VOICE_PARAMS_PEEK_H
#define VOICE_PARAMS_PEEK_H

#define PARAMS_PEEK_MAX (160u * 1024u) /* records up to the empty PARAMS */

/*
 * Waits until PARAMS are there as a whole, no longer than SO_RCVTIMEO without
 * a further byte. 0: sound, libfcgi may read them. UV_EPROTO: end of file,
 * time out, nonsense or too large.
 */
int params_peek(int fd);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The outermost edge of a session: what its client says is turned into GA
 * before anything looks at it, and what goes to the client into the client's
 * dialect after everything has. Embedded in session_client, on its loop; owns
 * the dialect. Keeps nothing back. A client that speaks GA costs nothing here.
 */

#ifndef VOICE_SESSION_EDGE_H
#define VOICE_SESSION_EDGE_H

#include "codec/dialect.h"

#include <stddef.h>

struct session_edge {
    struct dialect *dialect; /* NULL: GA */
};

/* 0 or UV_ENOMEM. Not to be undone within a call here. */
int session_edge_init(struct session_edge *edge, enum dialect_kind kind);
void session_edge_deinit(struct session_edge *edge);

/*
 * Texts of the client and for the client, given on as none or more within the
 * call. What the dialect can't read goes on as it is: what is wrong with it is
 * told behind the edge. 0 or UV_ENOMEM: the connection is no longer sound.
 */
int session_edge_up(const struct session_edge *edge, const char *json,
                    size_t bytes, dialect_emit_h *emit, void *arg);
int session_edge_down(const struct session_edge *edge, const char *json,
                      size_t bytes, dialect_emit_h *emit, void *arg);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The differences between Realtime servers, and between Realtime clients:
 * what a peer says is turned into GA at the edge, and GA into what the peer
 * understands, so that everything inside the gateway knows GA alone. A dialect
 * is a pair of tables (one a direction) of event types: passed on, renamed,
 * rewritten, split, or swallowed; docs/dialects.md lists them. One dialect
 * belongs to one connection, on one thread at a time, and owns the little it
 * remembers of it (DIALECT_MEMORY_BYTES at most). Pure: no I/O, no clock.
 * Refuses nothing a peer may say: what it doesn't know it passes on, and
 * leaves the judgement to those who check.
 */

#ifndef VOICE_DIALECT_H
#define VOICE_DIALECT_H

#include <stddef.h>

/* The order of `dialect` in config.h. */
enum dialect_kind {
    DIALECT_OPENAI, /* GA: nothing to translate */
    DIALECT_AZURE,  /* GA with copies of content in content_part events */
    DIALECT_XAI,    /* GA with names and fields of its own */
    DIALECT_BETA,   /* the flat shapes of 2024 */
    DIALECT_COUNT
};

enum dialect_side {
    DIALECT_SIDE_SERVER, /* the peer is an upstream */
    DIALECT_SIDE_CLIENT, /* the peer is a client of ours */
    DIALECT_SIDE_COUNT
};

/* A larger text is only renamed or passed on: it is not read as a tree. */
#define DIALECT_TREE_MAX (4 * 1024 * 1024)

/* What one connection remembers at most. */
#define DIALECT_MEMORY_BYTES (256 * 1024)

struct dialect;

/*
 * One text, NUL-terminated (the NUL is not among the bytes), borrowed for the
 * call. May use the dialect in the other direction, to answer; not in the same
 * one, and must not destroy it.
 */
typedef void dialect_emit_h(void *arg, const char *json, size_t bytes);

/*
 * Gives a connection's dialect; *dp is NULL when nothing ever has to be
 * translated: callers then pass texts on as they are. 0 or UV_ENOMEM.
 */
int dialect_create(struct dialect **dp, enum dialect_kind kind,
                   enum dialect_side side);

/* NULL is allowed, and left behind. */
void dialect_destroy(struct dialect **dp);

/*
 * A GA text as no, one or several texts of the peer, in order, emitted within
 * the call. The text is NUL-terminated and may be emitted itself. 0;
 * UV_EINVAL: no JSON the dialect can rewrite, nothing was emitted (towards a
 * client's gateway: pass it on, its error is told there); UV_ENOMEM: some may
 * be missing, the connection is no longer sound.
 */
int dialect_to_peer(struct dialect *d, const char *json, size_t bytes,
                    dialect_emit_h *emit, void *arg);

/* The same from the peer's text to GA. */
int dialect_from_peer(struct dialect *d, const char *json, size_t bytes,
                      dialect_emit_h *emit, void *arg);

/*
 * What the dialect itself answers, in GA, to texts that dialect_to_peer has
 * swallowed because the peer has nothing like them (xAI: truncate). To be
 * asked after dialect_to_peer; what is not fetched comes out in front of the
 * next dialect_from_peer. Returns how many were emitted. d may be NULL.
 */
size_t dialect_answer(struct dialect *d, dialect_emit_h *emit, void *arg);

/* "openai", "azure", "xai", "beta": as written in voiced.conf. */
const char *dialect_name(enum dialect_kind kind);

#endif

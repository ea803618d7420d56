/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Whose tools are in a session: the server's, as the registry wrote them, and
 * those that the client declares. A name that the client declares itself is
 * the client's for as long as it does; every other name of the registry's is
 * the server's. The model is told both, the server's first and always in the
 * same order; the client is shown its own. Pure; embedded in session_tools,
 * owns its trees.
 */

#ifndef VOICE_SESSION_TOOL_SET_H
#define VOICE_SESSION_TOOL_SET_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct session_tool_set {
    json_t *server; /* array of definitions */
    json_t *names;  /* object: name to its place in `server` */
    json_t *gone;   /* object: names that were the server's */
    json_t *own;    /* array of the client's definitions */
    json_t *client; /* object: their names */
};

/* The definitions as JSON text: an array. The caller has zeroed *set. 0;
 * UV_EINVAL: none of it can be read; UV_ENOMEM. */
int session_tool_set_open(struct session_tool_set *set, const char *definitions,
                          size_t bytes);
void session_tool_set_deinit(struct session_tool_set *set);

/* Other definitions in the place of the first ones. 1: they differ, 0: they
 * don't; UV_EINVAL, UV_ENOMEM: the old ones stay. */
int session_tool_set_renew(struct session_tool_set *set,
                           const char *definitions, size_t bytes);
/* All that the model is to be told, given; NULL: no memory. */
json_t *session_tool_set_told(const struct session_tool_set *set);

size_t session_tool_set_count(const struct session_tool_set *set);

/* Whether the name is the server's; one that was its own still is, since the
 * model may have called it before it was told. */
bool session_tool_set_has(const struct session_tool_set *set, const char *name);

/*
 * Of a session that the client sends (or is bound to), or the empty one that
 * the server begins with: its `tools` (none: it has said nothing, unless
 * `begins`) are what the client declares from now on, and become all that the
 * model is told. 1: changed, 0: not, UV_ENOMEM.
 */
int session_tool_set_lay(struct session_tool_set *set, json_t *session,
                         bool begins);

/* Of the response of a client's response.create: a name of the server's stays
 * the server's, with its definition. 1: changed, 0: not, UV_ENOMEM. */
int session_tool_set_guard(const struct session_tool_set *set,
                           json_t *response);

/* Leaves the client's alone in a session that it is shown: what it has not
 * declared is the server's, maybe of a moment ago. Whether it changed it. */
bool session_tool_set_hide(const struct session_tool_set *set, json_t *session);

/*
 * Somebody else than us tells the model its tools, and this is the session
 * that came of it: what is not the server's own word is declared by the client.
 * When tools of the server's are gone, what the model should be told instead,
 * given; else NULL.
 */
json_t *session_tool_set_restore(struct session_tool_set *set,
                                 const json_t *session);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The tools that there are, by name. Filled before the first request is
 * accepted; a remote server's group is put in its place when the server is
 * reached, changes or is lost. Definitions are serialised once a change, in
 * the order of the names, so that the same set is the same bytes (a model's
 * prompt cache lives on that). Any thread; shares its tools.
 */

#ifndef VOICE_TOOL_REGISTRY_H
#define VOICE_TOOL_REGISTRY_H

#include "codec/policy.h"
#include "service/tool_value.h"
#include "tools/tool.h"

#include <jansson.h>

#define TOOL_REGISTRY_MAX 512 /* tools */

struct tool_registry;

int tool_registry_create(struct tool_registry **rp);
void tool_registry_destroy(struct tool_registry **rp);

/* Takes a share of a built-in tool. 0; UV_EEXIST; UV_ENOSPC; UV_ENOMEM. */
int tool_registry_add(struct tool_registry *r, struct tool **tool);

/*
 * Puts these in the place of all tools of that group (a remote server's name);
 * none: the group is gone. Takes the shares, also of those it refuses: one
 * whose name another group or a built-in has, and what is too many (logged,
 * *refused their number; may be NULL). 0, UV_ENOMEM (the old group stays).
 */
int tool_registry_replace(struct tool_registry *r, const char *group,
                          struct tool **tools, size_t count, unsigned *refused);

/* A share; NULL: none of that name. */
struct tool *tool_registry_get(struct tool_registry *r, const char *name);

/* [{"type":"function","name","description","parameters"}, …] of those that
 * `names` lets through (NULL: all); shared: the caller unrefs it. NULL: no
 * memory. *count may be NULL. Made once for each set of names and kept until
 * the registry changes. */
struct tool_value *tool_registry_definitions(struct tool_registry *r,
                                             const struct policy_names *names,
                                             size_t *count);

/* Grows with each change. */
uint64_t tool_registry_version(struct tool_registry *r);
size_t tool_registry_count(struct tool_registry *r);

/* Called after each change, on the thread that made it; one at most. Told to
 * nobody any more after _watch(r, NULL, NULL). */
typedef void tool_registry_changed_h(void *arg);
void tool_registry_watch(struct tool_registry *r,
                         tool_registry_changed_h *changed, void *arg);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds a live call of a tenant: among the calls of this instance, then in the
 * store. Any thread; owns nothing but the question under way.
 */

#ifndef VOICE_CALL_FIND_H
#define VOICE_CALL_FIND_H

#include "service/calls.h"

/* Once, inside the call or on the store's thread: must not block. `call` is
 * borrowed; NULL with an error: UV_ENOENT, it is over or was never made;
 * UV_EACCES, it is another tenant's, whom nobody tells of it; UV_EBUSY and
 * others, the store could not tell. */
typedef void call_found_h(void *arg, int error, const struct call_info *call);

void call_find(struct calls *c, const char *tenant, const char *id,
               call_found_h *found, void *arg);

#endif

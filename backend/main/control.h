/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The control socket (unix, 0600) that voicectl speaks to: a line of JSON in,
 * a line of JSON out, as often as the client likes.
 *
 *   {"command":"status"}                 version, pid, counts, metrics
 *   {"command":"sessions"}               the live sessions
 *   {"command":"log","level":"debug"}    changes the level until the restart
 *
 * Owns the socket and its clients (32 at most, a line of 4 KB at most). Lives
 * on the loop it is given. Takes the path over from an older generation by a
 * rename, and removes it at its end only when it is still its own.
 */

#ifndef VOICE_CONTROL_H
#define VOICE_CONTROL_H

#include "base/config.h"
#include "base/loop.h"

struct control;
struct gate;
struct session_registry;

struct control_config {
    struct loop *loop;
    const struct server_config *config; /* borrowed for life */
    struct session_registry *sessions;
    struct gate **gates; /* borrowed array */
    unsigned gate_count;
    unsigned generation;
    const char *model_name;
    const _Atomic bool *draining;
};

/* Any thread, the loop running; binds before it returns. 0 or UV_E*. */
int control_create(struct control **cp, const struct control_config *cfg);

/* Any thread but the loop's; returns when everything is closed. */
void control_destroy(struct control **cp);

#endif

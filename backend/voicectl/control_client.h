/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Asks a running server over its control socket and prints the answer. Blocks,
 * 10 seconds at most. Owns nothing between calls.
 */

#ifndef VOICE_VOICECTL_CONTROL_CLIENT_H
#define VOICE_VOICECTL_CONTROL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

/* Sends the request (taken) and gives the answer. 0; or -1 and it is said on
 * stderr why, the server's own errors included. */
int control_ask(const char *path, json_t *request, json_t **answer);

int control_print_status(const char *path, bool json);
int control_print_sessions(const char *path, bool json);
int control_set_log(const char *path, const char *level);

#endif

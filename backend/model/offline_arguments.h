/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The arguments of a tool, read from what was said or typed: known values
 * wherever they stand, JSON as it is, free words for what takes any. Pure;
 * owns nothing. Refuses to invent: a natural question that lacks a needed
 * argument is reported, to be asked back.
 */

#ifndef VOICE_OFFLINE_ARGUMENTS_H
#define VOICE_OFFLINE_ARGUMENTS_H

#include "model/offline_tools.h"

/*
 * The arguments for a command: an object, given; NULL without memory. missing:
 * set to the spoken name of a required parameter that nothing was said about,
 * borrowed from the set, else NULL. With `fill` such ones are filled in and
 * none is missing.
 */
json_t *arguments_read(const struct tool_set *set, const struct utterance *u,
                       const struct tool_command *command, bool fill,
                       const char **missing);

#endif

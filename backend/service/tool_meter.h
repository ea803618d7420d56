/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What is counted of a tool, by its name: how long it ran, and whether its
 * result was kept. The first TOOL_METERS names have figures of their own, the
 * others share those of "other". Any thread; a meter is there for good.
 */

#ifndef VOICE_TOOL_METER_H
#define VOICE_TOOL_METER_H

#include <stdbool.h>
#include <stdint.h>

#define TOOL_METERS 48

struct tool_meter;

/* The meter of that name, made if it is new; never NULL. */
struct tool_meter *tool_meter_get(const char *name);

/* NULL is harmless in all. */
void tool_meter_ran(struct tool_meter *meter, uint64_t took_us, bool good);
void tool_meter_hit(struct tool_meter *meter);
void tool_meter_missed(struct tool_meter *meter);

#endif

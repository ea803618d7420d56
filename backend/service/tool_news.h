/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What is told of tools: events tool_call, tool_result and tool_error to the
 * tenant's listeners, and a line of the log a run. Names, ids, endings and
 * durations alone: never an argument, a result or an error's text. Any thread.
 */

#ifndef VOICE_TOOL_NEWS_H
#define VOICE_TOOL_NEWS_H

#include "service/tool_job.h"

/* bus NULL: no events. */
void tool_news_call(struct event_bus *bus, const struct tool_origin *origin);
void tool_news_answer(struct event_bus *bus, const struct tool_origin *origin,
                      const struct tool_outcome *outcome);
/* A kept result was given to a session: both. */
void tool_news_hit(struct event_bus *bus, const struct tool_order *order,
                   const struct tool_value *value);

void tool_news_ran(const char *id, const struct tool_origin *origin,
                   const struct tool_outcome *outcome, uint64_t took_us);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/* A session's tools without a session: what model, client and jobs do is told
 * to a session_tool_watch, and what is to be done next is done by hand and
 * written down. */

#ifndef VOICE_TEST_TOOLS_RIG_H
#define VOICE_TEST_TOOLS_RIG_H

#include "session/session_tool_watch.h"

/* An error about a response.create of ours. */
#define REFUSED(code)                                                          \
    "{\"type\":\"error\",\"error\":{\"event_id\":\"gw_toolr_1\",\"code\":"     \
    "\"" code "\"}}"
#define ACTIVE "conversation_already_has_active_response"

struct tools_rig {
    struct session_tool_watch w;
    uint64_t now_ms;
    char told[16384]; /* "call_1=text call_2=…" */
    char ran[256];    /* "call_1 call_2" */
    char hidden[256];
    unsigned creates, runs, cancels, lates, spoken;
    unsigned outputs; /* for ids */
    bool idle;
};

void tools_rig_open(struct tools_rig *k);
void tools_rig_close(struct tools_rig *k);
bool tools_rig_down(struct tools_rig *k, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
enum session_tool_verdict tools_rig_up(struct tools_rig *k, const char *text,
                                       char **made);
void tools_rig_created(struct tools_rig *k, const char *id);
void tools_rig_ended(struct tools_rig *k, const char *id, const char *status);
/* A call is announced ("in_progress"), or at its end; whether it is shown. */
bool tools_rig_item(struct tools_rig *k, const char *response, const char *call,
                    const char *name, const char *status);
void tools_rig_called(struct tools_rig *k, const char *response,
                      const char *call, const char *name);
void tools_rig_speech(struct tools_rig *k, const char *what);
void tools_rig_confirm(struct tools_rig *k, const char *call);
void tools_rig_flush(struct tools_rig *k);
unsigned tools_rig_serial(const struct tools_rig *k, const char *call);
void tools_rig_done(struct tools_rig *k, const char *call, const char *text);
bool tools_rig_is_quiet(const struct tools_rig *k);
void tools_rig_calling(struct tools_rig *k, const char *response,
                       const char *call);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What one response is asked to be: response.create laid over the session's
 * settings, with the items it may read. A plain record; owns references to
 * its JSON and items. Runs on the session's loop.
 */

#ifndef VOICE_OFFLINE_REQUEST_H
#define VOICE_OFFLINE_REQUEST_H

#include "model/offline_conversation.h"
#include "model/offline_item_parser.h"
#include "model/offline_settings.h"
#include "model/offline_usage.h"

struct offline_request {
    bool out_of_band; /* conversation "none" */
    bool audio;       /* spoken; else written */
    bool idle;        /* nobody spoke for long: it asks after them */
    bool own_instructions, own_tools, own_choice; /* not the session's */
    unsigned max_output_tokens;                   /* 0: no limit */
    double speed;
    /* Owned references, as response events show them. */
    json_t *instructions, *tools, *tool_choice, *modalities, *max_tokens,
        *format, *voice, *metadata;
    struct offline_item **items; /* a reference each */
    size_t count;
};

struct offline_request_sources {
    const struct offline_settings *settings;
    const struct offline_conversation *conversation;
    struct offline_item_parser parser;
};

/* json: `response` of response.create, NULL: none. 0, or UV_E* with the fault
 * filled and nothing to let go of. */
int offline_request_parse(struct offline_request *r,
                          const struct offline_request_sources *sources,
                          const json_t *json, struct offline_fault *fault);
void offline_request_deinit(struct offline_request *r);

/* What it answers: a function's output when that is last, else the user's last
 * item; NULL. */
struct offline_item *offline_request_subject(const struct offline_request *r);

void offline_request_context(const struct offline_request *r,
                             struct offline_context *context);

#endif

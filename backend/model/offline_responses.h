/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The responses that run: at most one of the conversation's own and a few out
 * of band beside it. Owns them; each leaves at its end. Runs on the session's
 * loop.
 */

#ifndef VOICE_OFFLINE_RESPONSES_H
#define VOICE_OFFLINE_RESPONSES_H

#include "model/offline_response.h"

struct offline_responses;

struct offline_responses_config {
    struct offline_response_config response; /* its on_done and arg are ours */
    /* The conversation's own response is over and gone; played_ms as in
     * offline_response_played_ms. May start another. */
    void (*on_done)(void *arg, uint64_t played_ms);
    void *arg;
};

int offline_responses_create(struct offline_responses **rp,
                             const struct offline_responses_config *cfg);
/* Silent. */
void offline_responses_destroy(struct offline_responses **rp);

/* Takes what request holds. Gives the new response (borrowed, to be driven by
 * proceed from the loop), or NULL with the fault filled. */
struct offline_response *
offline_responses_start(struct offline_responses *rs,
                        struct offline_request *request,
                        struct offline_fault *fault);

/* id NULL: the conversation's own. 0, or UV_EINVAL with the fault filled. */
int offline_responses_cancel(struct offline_responses *rs, const char *id,
                             const char *reason, struct offline_fault *fault);

void offline_responses_proceed(struct offline_responses *rs,
                               const struct wit *wit);
void offline_responses_pause(struct offline_responses *rs, bool paused);

/* The conversation's own runs. */
bool offline_responses_is_active(const struct offline_responses *rs);

#endif

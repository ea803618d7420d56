/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One response from response.created to response.done: waits for the ears,
 * asks the wit, speaks, writes or calls at the pace of a cloud model, can be
 * cancelled at any moment. Owns its request, output, mouth and timer. Runs on
 * the session's loop.
 *
 *   created ─► WAITING ─► SPEAKING | WRITING ─► DONE ─► on_done
 *
 *   mouth ─► PCM ─► format, base64 ─► output_audio.delta ─► sink
 */

#ifndef VOICE_OFFLINE_RESPONSE_H
#define VOICE_OFFLINE_RESPONSE_H

#include "model/offline_request.h"
#include "model/offline_usage.h"
#include "model/offline_wit.h"

#include "gate/speech.h"

struct offline_response;

struct offline_response_config {
    struct offline_sink sink;
    struct loop *loop;
    struct speech *speech; /* may be NULL */
    struct offline_conversation *conversation;
    struct offline_usage *usage;
    unsigned audio_pace; /* times real time */
    /* Borrows the response, which it may destroy: the last thing done. Runs
     * inside cancel, else from the loop; never inside start. */
    void (*on_done)(void *arg, struct offline_response *r);
    void *arg;
};

/* Takes what request holds (zeroes it), whatever the result. Emits
 * response.created. 0 or UV_ENOMEM. */
int offline_response_start(struct offline_response **rp,
                           const struct offline_response_config *cfg,
                           struct offline_request *request);
/* Silent: no event, no handler. */
void offline_response_destroy(struct offline_response **rp);

/* The words it may wait for have come, or never will. wit is borrowed for the
 * call. Also to be called once after start, from the loop. */
void offline_response_proceed(struct offline_response *r,
                              const struct wit *wit);

/* reason: "turn_detected" or "client_cancelled". */
void offline_response_cancel(struct offline_response *r, const char *reason);

void offline_response_pause(struct offline_response *r, bool paused);

const char *offline_response_id(const struct offline_response *r);
bool offline_response_is_out_of_band(const struct offline_response *r);
/* What it answers (borrowed; NULL): what proceed waits for. */
struct offline_item *offline_response_subject(const struct offline_response *r);
/* When its audio, played from its first delta on, has been heard out; 0: it
 * has none. CLOCK_MONOTONIC. */
uint64_t offline_response_played_ms(const struct offline_response *r);

#endif

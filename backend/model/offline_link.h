/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The offline model: a Realtime server in-process behind model_link. Speaks
 * the GA events both ways, hears and speaks through the speech plugin, thinks
 * with offline_wit. Owns the whole model side of one session. Runs on the
 * session's loop and never blocks it: what takes time is a job of `speech`.
 * Without a speech plugin text turns work and spoken ones say why not.
 *
 *   send ─► offline_server ─► turn / conversation / responses
 *   on_event ◄─ queue (paced by pause) ◄─ events made
 */

#ifndef VOICE_OFFLINE_LINK_H
#define VOICE_OFFLINE_LINK_H

#include "gate/speech.h"
#include "model/model_link.h"

/* What a client may make the model hold. A zero field means its default. */
struct offline_limits {
    size_t max_append_bytes;       /* audio in one append; 15 MiB */
    size_t max_input_bytes;        /* PCM of the input buffer; 30 MiB */
    size_t max_conversation_bytes; /* items and their audio; 32 MiB */
    size_t max_items;              /* 2000 */
    size_t max_queue_bytes;        /* events not yet taken; 8 MiB */
    uint64_t max_session_ms;       /* 60 min, then session_expired, 1001 */
};

struct offline_link_config {
    struct model_link_config link;
    struct speech *speech; /* shared by all links; NULL: none */
    struct offline_limits limits;
    bool transcription;  /* ?intent=transcription */
    unsigned audio_pace; /* times real time; 0: 8 */
};

/*
 * On the loop. *lp is written on success; handlers and the strings of cfg are
 * copied, `speech` must outlive the link. session.created follows by itself.
 * 0 or UV_ENOMEM, UV_EINVAL.
 */
int offline_link_open(struct model_link **lp,
                      const struct offline_link_config *cfg,
                      const struct model_link_handlers *handlers, void *arg);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A session description (RFC 8866) made fit for voice: every payload type of
 * an audio section that an rtpmap names opus/48000/2 gets the parameters of
 * RFC 7587 that the policy asks for, and its section a packet time. Everything
 * else goes through byte for byte, line endings too. Pure, any thread, owns
 * nothing. Refuses texts that are no session description.
 */

#ifndef VOICE_SDP_H
#define VOICE_SDP_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

#define SDP_MAX_BYTES  131072 /* of a description, before and after */
#define SDP_LINE_BYTES 8192
#define SDP_RATE       24000 /* Hz of the models' audio, both ways */

struct sdp_opus {
    unsigned bitrate;  /* bit/s at most */
    unsigned ptime_ms; /* 10, 20, 40, 60 */
    bool fec;
    bool dtx;
};

/* What voice wants when nobody says otherwise: 32 kbit/s, 20 ms, FEC, DTX. */
extern const struct sdp_opus sdp_opus_default;

/*
 * Appends the description to `out`. 0; UV_EINVAL: it is malformed; UV_E2BIG:
 * it is longer than SDP_MAX_BYTES, or would become so; UV_ENOMEM. After an
 * error `out` is as it was.
 */
int sdp_apply_opus(const char *text, size_t bytes, const struct sdp_opus *opus,
                   struct buffer *out);

#endif

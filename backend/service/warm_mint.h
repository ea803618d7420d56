/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How warm_secrets gets them: POST …/realtime/client_secrets at the upstream,
 * with the gateway's key. Owns nothing; any thread. Answers come on the HTTP
 * client's loop.
 */

#ifndef VOICE_WARM_MINT_H
#define VOICE_WARM_MINT_H

#include "gate/http_client.h"
#include "model/upstream.h"
#include "service/warm_secrets.h"

struct warm_mint {
    struct http_client *http; /* both outlive every answer */
    struct upstream_set *upstreams;
};

/* A warm_mint_h; arg is a struct warm_mint. */
int warm_mint_send(struct warm_secret *secret, const char *upstream,
                   const char *settings, void *arg);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Which model sessions meet: the upstreams of the configuration, with links
 * kept warm, or, without one, the built-in offline model; or none, for the
 * benchmark's echo. Owns speech, upstreams and the warm pool. Made and taken
 * down on the main thread; server_model_open runs on loops.
 */

#ifndef VOICE_SERVER_MODEL_H
#define VOICE_SERVER_MODEL_H

#include "base/config.h"
#include "base/loop.h"
#include "model/model_link.h"

struct server_model;
struct upstream_set;
struct warm_pool;

struct server_model_config {
    const struct server_config *config; /* borrowed for life */
    struct loop **loops;                /* running; borrowed for life */
    unsigned loop_count;
};

/* 0 or UV_E* (logged). Warm links begin to open. */
int server_model_create(struct server_model **mp,
                        const struct server_model_config *cfg);

/* Opens a session's link, a session_open_model_h; arg is the server_model.
 * On the session's loop. */
int server_model_open(struct model_link **lp,
                      const struct model_link_config *cfg,
                      const struct model_link_handlers *handlers,
                      void *link_arg, void *arg);

/* No link is kept warm any more. */
void server_model_drain(struct server_model *model);

/* In this order: every connection to an upstream is gone (or some seconds
 * are); what is posted to loops has run; speech ends; loops have stopped. NULL
 * is fine in all of them. */
void server_model_stop(struct server_model *model);
void server_model_unload(struct server_model *model);
void server_model_destroy(struct server_model **mp);

/* What /health says; NULL: none. */
const char *server_model_name(const struct server_model *model);
/* NULL: the model is not remote; NULL: nothing is kept warm. */
struct upstream_set *server_model_upstreams(struct server_model *model);
struct warm_pool *server_model_warm(struct server_model *model);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Store, minted secrets, usage and tenants' limits, made out of the
 * configuration and taken down in order. Owns them. Main thread.
 */

#ifndef VOICE_SERVER_SERVICES_H
#define VOICE_SERVER_SERVICES_H

#include "api/api_answer.h"

struct server_services;

/* 0 or UV_E* (logged). */
int server_services_create(struct server_services **sp,
                           const struct server_config *config);

/* Into the context of a gate. */
void server_services_fill(const struct server_services *services,
                          struct api_context *api);

struct store *server_services_store(const struct server_services *services);

/* When sessions and requests are over, loops and gates still there: what is
 * queued for the store is written, its handlers run. NULL is fine, here and
 * below. */
void server_services_stop(struct server_services *services);
/* When the gates are gone. */
void server_services_destroy(struct server_services **sp);

#endif

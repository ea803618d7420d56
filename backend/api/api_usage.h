/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * GET /v1/usage?from=YYYY-MM-DD&to=YYYY-MM-DD: what the caller's tenant has
 * used, by UTC day and model, cached and uncached input apart. Both days are
 * included; without them the last 30. Request threads; waits parked.
 */

#ifndef VOICE_API_USAGE_H
#define VOICE_API_USAGE_H

#include "api/api_answer.h"

api_handler_h api_usage;

#endif

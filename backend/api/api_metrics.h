/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * GET /metrics: the process's counters and gauges as Prometheus text (format
 * 0.0.4). Nobody is asked for a key: who may read it is NGINX's to say.
 * Request threads; owns nothing.
 */

#ifndef VOICE_API_METRICS_H
#define VOICE_API_METRICS_H

#include "api/api_answer.h"

void api_metrics(struct gate_request *rq, struct api_context *api);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_metrics.h"

#include "base/buffer.h"
#include "base/metrics.h"

#define METRICS_MAX_BYTES (1u << 20)

void
api_metrics(struct gate_request *rq, struct api_context *api)
{
    struct gate_answer answer = {
        .status = 200,
        .content_type = "text/plain; version=0.0.4; charset=utf-8",
    };
    struct buffer text;

    (void) api;
    buffer_init(&text, METRICS_MAX_BYTES);
    if (metrics_dump_prometheus(&text) != 0) {
        api_error(rq, 500, "internal_error", "The metrics can't be written.",
                  NULL);
    } else {
        answer.body = text.data;
        answer.body_bytes = text.bytes;
        gate_answer(rq, &answer);
    }
    buffer_deinit(&text);
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Tools as the web app asks for them, where voice_web_app is on:
 * GET /tools is /v1/tools; POST /execute/{name} with the arguments object is
 * answered {"success":true,"output"} or {"success":false,"error"}, 200 both,
 * also for a tool that is not there or not in voice_http_tools. Request
 * threads; owns nothing.
 */

#ifndef VOICE_API_EXECUTE_H
#define VOICE_API_EXECUTE_H

#include "api/api_answer.h"

void api_execute_list(struct gate_request *rq, struct api_context *api);
void api_execute_run(struct gate_request *rq, struct api_context *api);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What is done to a call that is there: hangup, accept, reject, refer, passed
 * on to the call's own upstream under our key. A call is its tenant's; others
 * hear that there is none. A SIP call that came in at the provider is nobody's
 * yet: whoever knows its id may reject it, or accept it, and has it then.
 * Runs on request threads; waits parked.
 */

#ifndef VOICE_API_CALL_CONTROL_H
#define VOICE_API_CALL_CONTROL_H

#include "api/api_answer.h"

api_handler_h api_calls_hangup;
api_handler_h api_calls_accept;
api_handler_h api_calls_reject;
api_handler_h api_calls_refer;

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the offline model understands and answers: a table of intents plus the
 * commands made from a session's tools. One table gives the grammar for the
 * ears and the matcher for what they heard or what was typed. Pure: no I/O, no
 * clock (the moment is an argument), no threads; a wit is used on one thread
 * at a time. Owns the grammar texts. Refuses to guess: what it does not know
 * it says so, with the words it heard.
 */

#ifndef VOICE_OFFLINE_WIT_H
#define VOICE_OFFLINE_WIT_H

#include "speech_plugin/speech_plugin.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct wit;

/* The circumstances of an answer. */
struct wit_moment {
    int64_t wall_ms;       /* Unix time */
    int utc_offset_s;      /* of the place whose clock is told */
    const char *last_said; /* what "repeat that" says again; may be NULL */
};

enum wit_action {
    WIT_SAY,  /* say `text` */
    WIT_CALL, /* call `tool` with `arguments` */
    WIT_HUSH  /* "stop": end what is being said; `text` is a short word that
                 may be said or not */
};

/* Filled by the functions below, then owned by the caller; let go of with
 * wit_answer_deinit. */
struct wit_answer {
    enum wit_action action;
    const char *intent; /* static name for logs: "time", "tool", "unknown" */
    char *text;         /* WIT_SAY, WIT_HUSH: sentences, never empty */
    char *tool;         /* WIT_CALL: its declared name */
    char *arguments;    /* WIT_CALL: a JSON object */
};

/*
 * tools: the session's `tools` array (GA shape; NULL or JSON null: none). Tools
 * of a type other than "function" and those without a name are left out; at
 * most WIT_MAX_TOOLS are speakable. Borrowed for the call. 0 or UV_ENOMEM.
 */
#define WIT_MAX_TOOLS 128
int wit_create(struct wit **wp, const json_t *tools);
void wit_destroy(struct wit **wp);

/* For speech_hear; borrowed, good until wit_destroy. The same tools give the
 * same id in every session. */
const struct speech_grammar *wit_grammar(const struct wit *wit);

/*
 * The answer to what was heard or typed (UTF-8, any case, any length; what is
 * beyond 4 KB is not read). NULL: the conversation holds no words yet, it
 * greets. "": something was said and not understood. may_call false
 * (tool_choice "none"): never WIT_CALL. 0 or UV_ENOMEM.
 */
int wit_answer(const struct wit *wit, const struct wit_moment *moment,
               const char *heard, bool may_call, struct wit_answer *answer);

/*
 * tool_choice "required" (tool NULL) or a named tool: a WIT_CALL whatever was
 * heard, with the arguments that can be read from it and the required ones
 * filled. heard may be NULL. UV_ENOENT: no such tool declared, or none at all.
 */
int wit_force_call(const struct wit *wit, const char *tool, const char *heard,
                   struct wit_answer *answer);

/*
 * After a function_call_output: a sentence that tells the result. tool (name
 * of the call, may be NULL) and output (JSON or plain text, may be NULL) are
 * borrowed. 0 or UV_ENOMEM.
 */
int wit_tell_result(const struct wit *wit, const char *tool, const char *output,
                    struct wit_answer *answer);

/*
 * A response's own instructions, when they order words ("Say exactly: hello"):
 * fills a WIT_SAY and gives 1. 0: they order none, ask wit_answer. UV_ENOMEM.
 */
int wit_follow(const char *instructions, struct wit_answer *answer);

void wit_answer_deinit(struct wit_answer *answer);

#endif

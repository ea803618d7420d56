/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * VOICE_POLICY: what nginx.conf decided for a session, as the module renders
 * it (compact JSON). A policy never changes once parsed and is shared: most
 * sessions of a process have the same one, so policy_get keeps the last few by
 * their text. Any thread. A text that is not exactly as the module writes it
 * is refused, naming the key: it is a fault of ours, not of a client.
 */

#ifndef VOICE_POLICY_H
#define VOICE_POLICY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define POLICY_TEXT_MAX    32768 /* bytes of VOICE_POLICY */
#define POLICY_ERROR_BYTES 128
#define POLICY_CACHE_MAX   64 /* texts kept; the least recently used leaves */

enum policy_vad_mode {
    POLICY_VAD_UNSET, /* the model's default, or what the client says */
    POLICY_VAD_OFF,
    POLICY_VAD_SERVER,
    POLICY_VAD_SEMANTIC
};

enum policy_buffer {
    POLICY_BUFFER_AGGRESSIVE,
    POLICY_BUFFER_BALANCED,
    POLICY_BUFFER_CONSERVATIVE
};

/* May a client change instructions, tools and model? */
enum policy_update {
    POLICY_UPDATE_ALLOW,
    POLICY_UPDATE_MERGE, /* it may add to them */
    POLICY_UPDATE_DENY
};

struct policy_names {
    char **items;
    size_t count;
    bool all; /* "all": any name is in */
};

struct policy {
    char *model;                  /* NULL: whatever the client names */
    struct policy_names models;   /* allowed besides */
    struct policy_names upstream; /* in order of failover */
    char *voice;                  /* NULL: not set */
    char *instructions;           /* NULL: not set */
    struct {
        enum policy_vad_mode mode;
        double threshold;
        unsigned silence_ms;
        unsigned min_speech_ms;
    } vad;
    struct {
        bool on; /* false: not set, the rest is 0 */
        unsigned bitrate;
        unsigned ptime_ms;
        bool fec;
        bool dtx;
        unsigned complexity;
    } opus;
    enum policy_buffer buffer;
    struct {
        bool on;
        unsigned turns;
        unsigned tokens;
        unsigned summarize_to;
        unsigned tool_results;
    } context;
    struct policy_names tools;
    struct policy_names http_tools;
    bool transcript;
    char *transcription; /* NULL: not set */
    enum policy_update client_update;
    bool web_app;
    bool auth_seen; /* NGINX itself authenticated the request */
};

/*
 * Parses a text, or finds it among the kept ones. 0 and *policy is shared to
 * the caller (policy_put gives it back); UV_EINVAL and `error` names the key;
 * UV_ENOMEM.
 */
int policy_get(const struct policy **policy, const char *text,
               char error[POLICY_ERROR_BYTES]);

/* One more holder. */
const struct policy *policy_ref(const struct policy *policy);

/* Gives a share back; *policy becomes NULL. NULL is fine. */
void policy_put(const struct policy **policy);

/* Forgets every kept text (at the end of the process). */
void policy_cache_clear(void);

/*
 * Which model a request gets that asks for `asked` (NULL or "": none named).
 * 0 and *name borrows from the policy or is `asked`; UV_ENOENT: not allowed;
 * UV_EINVAL: nobody names one.
 */
int policy_model(const struct policy *policy, const char *asked,
                 const char **name);

bool policy_names_have(const struct policy_names *names, const char *name);

/* Whether the policy sets anything that the model must be told. */
bool policy_sets_session(const struct policy *policy);

/* Its turn detection with every field there is, null for off or unset; given;
 * NULL: no memory. Of the policy only `vad` is read. */
json_t *policy_turn_detection(const struct policy *policy);

/* What it sets, as the session of a session.update; given; NULL: no memory. */
json_t *policy_session(const struct policy *policy);

/* The session.update that tells it, with this event_id; malloc'ed, given;
 * NULL: no memory. */
char *policy_session_update(const struct policy *policy, const char *event_id);

#endif

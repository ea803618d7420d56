/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the offline model's parts share to speak to the client: ids, event
 * objects, faults and the sink events go to. Owns nothing. Runs on the
 * session's loop. Refuses to send: the sink's owner does.
 */

#ifndef VOICE_OFFLINE_EVENT_H
#define VOICE_OFFLINE_EVENT_H

#include <jansson.h>
#include <stddef.h>

#define OFFLINE_ID_BYTES 40 /* a prefix and 21 letters; a client's id, 32 */

/* Where events go. The event is made text inside the call: what it refers to
 * may change afterwards. Takes the event; NULL (out of memory) is dropped. */
struct offline_sink {
    void (*emit)(void *arg, json_t *event);
    void *arg;
};

/* Why a request was refused; becomes an `error` event. */
struct offline_fault {
    const char *type; /* static; "invalid_request_error" */
    char code[48];
    char param[128]; /* "": null */
    char message[320];
};

/* id becomes prefix + `letters` random letters and digits. */
void offline_id_make(char id[OFFLINE_ID_BYTES], const char *prefix,
                     unsigned letters);

/* {"type", "event_id"}; gives NULL only when out of memory. */
json_t *offline_event_make(const char *type);

/* Makes the event, adds what json_pack(fmt) gives, emits. */
void offline_emit(const struct offline_sink *sink, const char *type,
                  const char *fmt, ...);

/* Emits `error`; client_event_id may be NULL. */
void offline_emit_fault(const struct offline_sink *sink,
                        const struct offline_fault *fault,
                        const char *client_event_id);

/* Fills an invalid_request_error; param NULL: none. Gives UV_EINVAL. */
int offline_fault_set(struct offline_fault *fault, const char *code,
                      const char *param, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same with type server_error. Gives UV_EIO. */
int offline_fault_server(struct offline_fault *fault, const char *code,
                         const char *message);

#endif

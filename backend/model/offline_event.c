/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_event.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <uv.h>

#define ID_LETTERS_MAX 24u

void
offline_id_make(char id[OFFLINE_ID_BYTES], const char *prefix, unsigned letters)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "abcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char bytes[ID_LETTERS_MAX] = {0};
    size_t used = strlen(prefix);

    if (letters > sizeof(bytes))
        letters = sizeof(bytes);
    if (used > OFFLINE_ID_BYTES - 1 - letters)
        used = OFFLINE_ID_BYTES - 1 - letters;
    /* A request this small is whole or fails for good; ids need only differ,
     * and the clock would not make them differ within one turn. */
    if (getrandom(bytes, letters, 0) != (ssize_t) letters)
        memset(bytes, 0, sizeof(bytes));
    memcpy(id, prefix, used);
    for (unsigned i = 0; i < letters; i++)
        id[used + i] = alphabet[bytes[i] % (sizeof(alphabet) - 1)];
    id[used + letters] = '\0';
}

json_t *
offline_event_make(const char *type)
{
    char id[OFFLINE_ID_BYTES];

    offline_id_make(id, "event_", 21);
    return json_pack("{s:s, s:s}", "type", type, "event_id", id);
}

void
offline_emit(const struct offline_sink *sink, const char *type, const char *fmt,
             ...)
{
    json_t *event = offline_event_make(type);
    json_error_t error;
    json_t *fields;
    va_list args;

    va_start(args, fmt);
    fields = json_vpack_ex(&error, 0, fmt, args);
    va_end(args);
    if (event == NULL || fields == NULL
        || json_object_update(event, fields) != 0) {
        json_decref(event);
        event = NULL;
    }
    json_decref(fields);
    sink->emit(sink->arg, event);
}

void
offline_emit_fault(const struct offline_sink *sink,
                   const struct offline_fault *fault,
                   const char *client_event_id)
{
    offline_emit(sink, "error", "{s:{s:s, s:s, s:s, s:s?, s:s?}}", "error",
                 "type", fault->type, "code", fault->code, "message",
                 fault->message, "param",
                 fault->param[0] != '\0' ? fault->param : NULL, "event_id",
                 client_event_id);
}

/* How many bytes the character at text has, 0: it is cut or none. */
static size_t
character_bytes(const char *text)
{
    unsigned char lead = (unsigned char) text[0];
    size_t bytes = 0;

    if (lead < 0x80) {
        bytes = 1;
    } else if (lead >= 0xC0) {
        bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    }
    for (size_t i = 1; i < bytes; i++) {
        if (((unsigned char) text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return bytes;
}

/* What a client wrote is quoted cut; half a character would make the whole
 * event unwritable. */
static void
drop_cut_characters(char *text)
{
    char *to = text;

    while (*text != '\0') {
        size_t bytes = character_bytes(text);

        memmove(to, text, bytes);
        to += bytes;
        text += bytes > 0 ? bytes : 1;
    }
    *to = '\0';
}

int
offline_fault_set(struct offline_fault *fault, const char *code,
                  const char *param, const char *fmt, ...)
{
    va_list args;

    fault->type = "invalid_request_error";
    snprintf(fault->code, sizeof(fault->code), "%s", code);
    snprintf(fault->param, sizeof(fault->param), "%s",
             param != NULL ? param : "");
    va_start(args, fmt);
    vsnprintf(fault->message, sizeof(fault->message), fmt, args);
    va_end(args);
    drop_cut_characters(fault->param);
    drop_cut_characters(fault->message);
    return UV_EINVAL;
}

int
offline_fault_server(struct offline_fault *fault, const char *code,
                     const char *message)
{
    offline_fault_set(fault, code, NULL, "%s", message);
    fault->type = "server_error";
    return UV_EIO;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Checks JSON from a client against tables of fields, and says what is wrong
 * in the words and codes of the Realtime API. Pure: no I/O, any thread. Owns
 * nothing. Refuses unknown fields: a misspelt setting must not pass silently.
 */

#ifndef VOICE_OFFLINE_SCHEMA_H
#define VOICE_OFFLINE_SCHEMA_H

#include "model/offline_event.h"

#include <stdbool.h>

enum {
    SCHEMA_NULL = 1,
    SCHEMA_STRING = 2,
    SCHEMA_INTEGER = 4,
    SCHEMA_NUMBER = 8, /* an integer or a real */
    SCHEMA_BOOL = 16,
    SCHEMA_OBJECT = 32,
    SCHEMA_ARRAY = 64
};

/* One field; a table ends with a row whose name is NULL. */
struct schema_field {
    const char *name;
    unsigned kinds;
    bool required;
    double min;          /* of a number's value, a string's bytes, an array's */
    double max;          /* count; max 0: no bounds. Not for `choices` */
    const char *choices; /* "a|b|c": what a string may be */
    const struct schema_field *fields;  /* of an object; NULL: any */
    const struct schema_field *element; /* one row: of an array; NULL: any */
};

/* path is the object's own name ("session"), "" for the event itself. 0, or
 * UV_EINVAL with the fault filled. */
int schema_check(const struct schema_field *fields, const json_t *object,
                 const char *path, struct offline_fault *fault);

/* Writes "path.name" (or "name" when path is ""). */
void schema_path(char *to, size_t bytes, const char *path, const char *name);

#endif

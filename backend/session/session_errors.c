/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_errors.h"

#include <stddef.h>
#include <string.h>

/* Both must be so where both are given. */
static const struct {
    const char *code;   /* NULL: any, or none */
    const char *within; /* of the message; NULL: whatever it says */
} harmless[] = {
    {"response_cancel_not_active", NULL},
    {NULL, "Cancellation failed"},
    {NULL, "is already shorter than"},
};

bool
session_errors_is_harmless(const json_t *error)
{
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));

    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
        const char *within = harmless[i].within;
        if (harmless[i].code && (!code || strcmp(code, harmless[i].code) != 0))
            continue;
        if (within && (!message || !strstr(message, within)))
            continue;
        return true;
    }
    return false;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_voice_id.h"

#include <string.h>

/* FNV-1a */
#define HASH_BEGIN 0xcbf29ce484222325u
#define HASH_PRIME 0x100000001b3u

void
session_voice_id_read(struct session_voice_id *id, struct realtime_span span)
{
    bool quoted = span.text != NULL && span.bytes >= 2 && span.text[0] == '"';
    size_t bytes = quoted ? span.bytes - 2 : 0;

    id->key = HASH_BEGIN;
    for (size_t i = 0; i < bytes; i++)
        id->key = (id->key ^ (uint8_t) span.text[1 + i]) * HASH_PRIME;
    if (bytes >= sizeof id->text)
        bytes = 0;
    if (bytes > 0)
        memcpy(id->text, span.text + 1, bytes);
    id->text[bytes] = 0;
}

bool
session_voice_id_is(const struct session_voice_id *a,
                    const struct session_voice_id *b)
{
    return a->key == b->key && strcmp(a->text, b->text) == 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_hidden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct session_hidden {
    unsigned next; /* the place of the next */
    char ids[SESSION_HIDDEN_IDS][SESSION_HIDDEN_ID_BYTES];
};

int
session_hidden_add(struct session_hidden **hp, const char *id)
{
    struct session_hidden *hidden = *hp;

    if (!*id || strlen(id) >= SESSION_HIDDEN_ID_BYTES)
        return UV_EINVAL;
    if (session_hidden_has(hidden, id))
        return 0;
    if (!hidden)
        hidden = *hp = calloc(1, sizeof(*hidden));
    if (!hidden)
        return UV_ENOMEM;
    snprintf(hidden->ids[hidden->next], SESSION_HIDDEN_ID_BYTES, "%s", id);
    hidden->next = (hidden->next + 1) % SESSION_HIDDEN_IDS;
    return 0;
}

bool
session_hidden_has(const struct session_hidden *hidden, const char *id)
{
    for (size_t i = 0; hidden && i < SESSION_HIDDEN_IDS; i++)
        if (hidden->ids[i][0] && strcmp(hidden->ids[i], id) == 0)
            return true;
    return false;
}

void
session_hidden_destroy(struct session_hidden **hp)
{
    free(*hp);
    *hp = NULL;
}

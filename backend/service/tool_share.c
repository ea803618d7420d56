/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/tool_share.h"

#include <stdlib.h>
#include <string.h>

static struct tool_share *
share_make(struct tool_shares *shares, const char *tenant)
{
    size_t bytes = strlen(tenant) + 1;
    struct tool_share *share = calloc(1, sizeof(*share) + bytes);

    if (!share)
        return NULL;
    memcpy(share->tenant, tenant, bytes);
    LIST_INSERT_HEAD(shares, share, of_all);
    return share;
}

struct tool_share *
tool_share_get(struct tool_shares *shares, const char *tenant)
{
    struct tool_share *share;

    LIST_FOREACH(share, shares, of_all)
    {
        if (strcmp(share->tenant, tenant) == 0)
            return tool_share_ref(share);
    }
    share = share_make(shares, tenant);
    return share ? tool_share_ref(share) : NULL;
}

struct tool_share *
tool_share_ref(struct tool_share *share)
{
    share->users++;
    return share;
}

void
tool_share_put(struct tool_share **sp)
{
    struct tool_share *share = *sp;

    *sp = NULL;
    if (!share || --share->users > 0)
        return;
    LIST_REMOVE(share, of_all);
    free(share);
}

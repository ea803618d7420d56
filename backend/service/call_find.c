/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/call_find.h"

#include "gate/store.h"
#include "service/call_table.h"

#include <stdlib.h>
#include <string.h>

struct find {
    call_found_h *found;
    void *arg;
    char *tenant;
};

static void
find_free(struct find *find)
{
    free(find->tenant);
    free(find);
}

static void
row_tell(const struct find *find, const struct store_call *row)
{
    const struct call_info info = {
        .id = row->id,
        .tenant = row->tenant,
        .upstream = row->upstream,
        .model = row->model,
        .policy = row->policy,
        .session = row->session,
        .created_ms = row->created_ms,
    };

    find->found(find->arg, 0, &info);
}

/* On the store's thread. The rows are of all that have a call by this id. */
static void
on_row(void *arg, int result, const struct store_call *rows, size_t count)
{
    struct find *find = arg;
    const struct store_call *own = NULL;

    for (size_t i = 0; result >= 0 && i < count; i++)
        if (strcmp(rows[i].tenant, find->tenant) == 0)
            own = &rows[i];
    if (own && !own->ended_ms)
        row_tell(find, own);
    else if (result >= 0)
        find->found(find->arg, count && !own ? UV_EACCES : UV_ENOENT, NULL);
    else
        find->found(find->arg, result, NULL);
    find_free(find);
}

/* 0: on_row will run. */
static int
store_ask(struct store *store, const char *tenant, const char *id,
          const struct find *question)
{
    struct find *find = malloc(sizeof(*find));

    if (!find)
        return UV_ENOMEM;
    *find = *question;
    find->tenant = strdup(tenant);
    int result = find->tenant ? store_call_get(store, NULL, id, on_row, find)
                              : UV_ENOMEM;
    if (result)
        find_free(find);
    return result;
}

void
call_find(struct calls *c, const char *tenant, const char *id,
          call_found_h *found, void *arg)
{
    const struct find question = {.found = found, .arg = arg};
    struct call *copy;
    int result = calls_copy(c, tenant, id, &copy);

    if (!result) {
        found(arg, 0, &copy->info);
        free(copy);
        return;
    }
    if (result == UV_ENOENT && calls_store(c) && call_id_is_sound(id)) {
        result = store_ask(calls_store(c), tenant, id, &question);
        if (!result)
            return;
    }
    found(arg, result, NULL);
}

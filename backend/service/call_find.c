/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/call_find.h"

#include "gate/store.h"
#include "service/call_table.h"

#include <stdlib.h>

struct find {
    call_found_h *found;
    void *arg;
};

/* On the store's thread. */
static void
on_row(void *arg, int result, const struct store_call *rows, size_t count)
{
    struct find find = *(struct find *) arg;

    free(arg);
    if (result < 0 || !count || rows[0].ended_ms) {
        find.found(find.arg, result < 0 ? result : UV_ENOENT, NULL);
        return;
    }
    const struct call_info info = {
        .id = rows[0].id,
        .tenant = rows[0].tenant,
        .upstream = rows[0].upstream,
        .model = rows[0].model,
        .policy = rows[0].policy,
        .session = rows[0].session,
        .created_ms = rows[0].created_ms,
    };
    find.found(find.arg, 0, &info);
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
    int result = store_call_get(store, tenant, id, on_row, find);
    if (result)
        free(find);
    return result;
}

void
call_find(struct calls *c, const char *tenant, const char *id,
          call_found_h *found, void *arg)
{
    const struct find question = {found, arg};
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
    found(arg, result == UV_EACCES ? UV_ENOENT : result, NULL);
}

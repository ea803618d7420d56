/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_sideband.h"

#include "api/api_wait.h"
#include "service/call_find.h"
#include "service/call_table.h"

#include <stdlib.h>

struct search {
    struct api_wait *wait;
    api_sideband_h *found;
    struct call *call; /* owns; NULL: none */
};

static void
answer_none(struct gate_request *rq, int error)
{
    if (error == UV_ENOENT || error == UV_EACCES) {
        api_error(rq, 404, "call_id_not_found",
                  "No call with this id was made here.", "call_id");
        return;
    }
    gate_add_header(rq, "Retry-After", "5");
    api_error(rq, 503, "server_busy", "The calls can't be looked up now.",
              NULL);
}

static void
search_free(void *arg)
{
    struct search *search = arg;

    free(search->call);
    free(search);
}

static void
on_answer_time(struct gate_request *rq, struct api_context *api, int result,
               void *arg)
{
    const struct search *search = arg;

    if (result)
        answer_none(rq, result);
    else
        search->found(rq, api, &search->call->info);
}

/* Last: the search may be gone. */
static void
on_found(void *arg, int error, const struct call_info *call)
{
    struct search *search = arg;
    struct api_wait *wait = search->wait;

    search->call = call ? call_copy(call) : NULL;
    if (!error && !search->call)
        error = UV_ENOMEM;
    api_wait_done(&wait, error);
}

/* The store is asked. */
static void
search_start(struct gate_request *rq, struct api_context *api, const char *id,
             api_sideband_h *found)
{
    struct search *search = calloc(1, sizeof(*search));
    const struct api_wait_config wait = {
        .deadline_ms = 5000,
        .answer = on_answer_time,
        .release = search_free,
        .arg = search,
    };
    char tenant[API_TENANT_BYTES], call_id[CALLS_ID_BYTES];

    if (search)
        search->found = found;
    /* Both may be gone with the request before the question is put. */
    snprintf(tenant, sizeof(tenant), "%s", api_tenant(rq));
    snprintf(call_id, sizeof(call_id), "%s", id);
    if (!search || api_wait_start(&search->wait, rq, api, &wait)) {
        free(search);
        gate_answer_busy(rq);
        return;
    }
    call_find(api->calls, tenant, call_id, on_found, search);
}

void
api_sideband_find(struct gate_request *rq, struct api_context *api,
                  const char *id, api_sideband_h *found)
{
    struct call *call;
    int result = UV_ENOENT;

    if (!api->calls || !call_id_is_sound(id) || api_secret_session(rq)) {
        answer_none(rq, UV_ENOENT);
        return;
    }
    result = calls_copy(api->calls, api_tenant(rq), id, &call);
    if (!result) {
        found(rq, api, &call->info);
        free(call);
    } else if (result == UV_ENOENT && calls_store(api->calls)) {
        search_start(rq, api, id, found);
    } else {
        answer_none(rq, result);
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_responses.h"

#include <stdlib.h>
#include <string.h>

#define BESIDE_MAX  8 /* out of band */
#define RUNNING_MAX (BESIDE_MAX + 1)

struct offline_responses {
    struct offline_responses_config cfg;
    struct offline_response *list[RUNNING_MAX];
    size_t count;
    bool paused;
};

static struct offline_response *
active(const struct offline_responses *rs)
{
    for (size_t i = 0; i < rs->count; i++)
        if (!offline_response_is_out_of_band(rs->list[i]))
            return rs->list[i];
    return NULL;
}

static void
on_response_done(void *arg, struct offline_response *r)
{
    struct offline_responses *rs = arg;
    bool own = !offline_response_is_out_of_band(r);
    uint64_t played_ms = offline_response_played_ms(r);
    size_t i = 0;

    while (rs->list[i] != r)
        i++;
    rs->list[i] = rs->list[--rs->count];
    offline_response_destroy(&r);
    if (own)
        rs->cfg.on_done(rs->cfg.arg, played_ms);
}

int
offline_responses_create(struct offline_responses **rp,
                         const struct offline_responses_config *cfg)
{
    struct offline_responses *rs = calloc(1, sizeof(*rs));

    if (rs == NULL)
        return UV_ENOMEM;
    rs->cfg = *cfg;
    rs->cfg.response.on_done = on_response_done;
    rs->cfg.response.arg = rs;
    *rp = rs;
    return 0;
}

void
offline_responses_destroy(struct offline_responses **rp)
{
    struct offline_responses *rs = *rp;

    *rp = NULL;
    if (rs == NULL)
        return;
    while (rs->count > 0)
        offline_response_destroy(&rs->list[--rs->count]);
    free(rs);
}

static int
check_room(const struct offline_responses *rs, bool out_of_band,
           struct offline_fault *fault)
{
    const struct offline_response *own = active(rs);

    if (!out_of_band && own != NULL)
        return offline_fault_set(
            fault, "conversation_already_has_active_response", NULL,
            "Conversation already has an active response in progress: %s. "
            "Wait until the response is finished before creating a new one.",
            offline_response_id(own));
    /* The last place is the conversation's own. */
    if (out_of_band && rs->count - (own != NULL) >= BESIDE_MAX)
        return offline_fault_set(fault, "too_many_responses", NULL,
                                 "At most %d responses may run beside the "
                                 "conversation's.",
                                 BESIDE_MAX);
    return 0;
}

struct offline_response *
offline_responses_start(struct offline_responses *rs,
                        struct offline_request *request,
                        struct offline_fault *fault)
{
    struct offline_response *r;

    if (check_room(rs, request->out_of_band, fault) != 0) {
        offline_request_deinit(request);
        return NULL;
    }
    if (offline_response_start(&r, &rs->cfg.response, request) != 0) {
        offline_fault_server(fault, "server_error", "Out of memory.");
        return NULL;
    }
    rs->list[rs->count++] = r;
    offline_response_pause(r, rs->paused);
    return r;
}

int
offline_responses_cancel(struct offline_responses *rs, const char *id,
                         const char *reason, struct offline_fault *fault)
{
    struct offline_response *r = id == NULL ? active(rs) : NULL;

    for (size_t i = 0; id != NULL && i < rs->count; i++)
        if (strcmp(offline_response_id(rs->list[i]), id) == 0)
            r = rs->list[i];
    if (r == NULL)
        return offline_fault_set(fault, "response_cancel_not_active", NULL,
                                 "Cancellation failed: no active response "
                                 "found");
    offline_response_cancel(r, reason);
    return 0;
}

/* One that goes on may end and leave the list, and a new one may join it:
 * each is looked for anew before its turn. */
void
offline_responses_proceed(struct offline_responses *rs, const struct wit *wit)
{
    struct offline_response *all[RUNNING_MAX];
    size_t count = rs->count;

    memcpy(all, rs->list, sizeof(all));
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < rs->count; j++)
            if (rs->list[j] == all[i]) {
                offline_response_proceed(all[i], wit);
                break;
            }
}

void
offline_responses_pause(struct offline_responses *rs, bool paused)
{
    rs->paused = paused;
    for (size_t i = 0; i < rs->count; i++)
        offline_response_pause(rs->list[i], paused);
}

bool
offline_responses_is_active(const struct offline_responses *rs)
{
    return active(rs) != NULL;
}

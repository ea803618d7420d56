/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/curl_hub.h"

#include "gate/curl_loop.h"

#include <stdlib.h>

struct curl_hub {
    struct curl_hub *next; /* on the thread */
    uv_loop_t *uv;
    unsigned refs;
    struct curl_loop curl;
};

static _Thread_local struct curl_hub *hubs;

static void
on_closed(void *arg)
{
    free(arg);
}

/* Users may go meanwhile, all of them too. */
static void
on_turn(void *arg)
{
    struct curl_hub *hub = arg;
    CURLMsg *message;
    int left;

    hub->refs++;
    while ((message = curl_multi_info_read(hub->curl.multi, &left)) != NULL) {
        struct curl_hub_user *user = NULL;

        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result; /* goes with the handle */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &user);
        user->on_done(user->arg, code);
    }
    curl_hub_unref(&hub);
}

static const struct curl_loop_handlers handlers = {on_turn, on_closed};

static struct curl_hub *
hub_make(uv_loop_t *uv)
{
    struct curl_hub *hub = calloc(1, sizeof(*hub));

    if (!hub || curl_loop_init(&hub->curl, &handlers, hub)) {
        free(hub);
        return NULL;
    }
    hub->uv = uv;
    curl_loop_start(&hub->curl, uv);
    hub->next = hubs;
    hubs = hub;
    return hub;
}

struct curl_hub *
curl_hub_ref(uv_loop_t *uv)
{
    struct curl_hub *hub = hubs;

    while (hub && hub->uv != uv)
        hub = hub->next;
    if (!hub)
        hub = hub_make(uv);
    if (hub)
        hub->refs++;
    return hub;
}

void
curl_hub_unref(struct curl_hub **hp)
{
    struct curl_hub *hub = *hp, **at = &hubs;

    *hp = NULL;
    if (!hub || --hub->refs > 0)
        return;
    while (*at != hub)
        at = &(*at)->next;
    *at = hub->next;
    curl_loop_close(&hub->curl);
}

int
curl_hub_add(struct curl_hub *hub, CURL *easy, struct curl_hub_user *user)
{
    curl_easy_setopt(easy, CURLOPT_PRIVATE, user);
    return curl_multi_add_handle(hub->curl.multi, easy) == CURLM_OK ? 0
                                                                    : UV_ENOMEM;
}

void
curl_hub_remove(struct curl_hub *hub, CURL *easy)
{
    curl_multi_remove_handle(hub->curl.multi, easy);
}

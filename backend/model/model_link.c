/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/model_link.h"

static void
on_no_event(void *arg, const char *json, size_t bytes)
{
    (void) arg;
    (void) json;
    (void) bytes;
}

static void
on_no_writable(void *arg)
{
    (void) arg;
}

static void
on_no_closed(void *arg, uint16_t code, const char *reason)
{
    (void) arg;
    (void) code;
    (void) reason;
}

void
model_link_discard(struct model_link **link)
{
    static const struct model_link_handlers handlers = {
        on_no_event, on_no_writable, on_no_closed};
    struct model_link *old = *link;

    *link = NULL;
    if (!old)
        return;
    model_link_adopt(old, &handlers, NULL);
    model_link_close(old);
}

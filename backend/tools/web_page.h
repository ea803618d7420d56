/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One page of the web being read: redirects followed, each of them judged, up
 * to its cap, its kind known before its body. Lives on the loop of its
 * http_client; owns what has come. Told once, never inside a verb.
 *
 *   _get ─► ask ─► head ─┬─ moved ─► ask again
 *                        ├─ no text, no page: done
 *                        └─ body ─► done
 */

#ifndef VOICE_WEB_PAGE_H
#define VOICE_WEB_PAGE_H

#include "base/address_range.h"
#include "base/buffer.h"
#include "gate/http_client.h"

#include <stdbool.h>

#define WEB_PAGE_BYTES     4194304 /* read of it, inflated */
#define WEB_PAGE_REDIRECTS 5
#define WEB_PAGE_URL_MAX   4096

struct web_page;

struct web_page_config {
    struct http_client *http;
    const char *url;
    const struct address_range *allow; /* although not public; outlives it */
    size_t allow_count;
    uint64_t deadline_ms; /* clock_now_ms() */
};

/* Borrowed for the call of the handler, but `body`, which may be taken. */
struct web_page_result {
    const char *type; /* NULL: it is here; else what failed, a literal */
    const char *why;  /* then a sentence; else "" */
    const char *url;  /* where it was in the end */
    const char *content_type;
    const char *charset; /* as the server says; "" */
    struct buffer *body;
    bool cut; /* there was more */
};

typedef void web_page_done_h(void *arg, const struct web_page_result *rs);

/* 0 and *pp, which is valid until `done` returns; UV_EINVAL: no such address
 * could be asked; UV_ENOBUFS, UV_ECANCELED, UV_ENOMEM. */
int web_page_get(struct web_page **pp, const struct web_page_config *cfg,
                 web_page_done_h *done, void *arg);

/* `done` follows. */
void web_page_cancel(struct web_page *page);

#endif

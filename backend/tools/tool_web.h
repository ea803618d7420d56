/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * web_fetch: the text of a page of the public web. Every address is judged in
 * the moment a socket is opened to it, whatever name or redirect led there:
 * what is not public is refused, unless the configuration lets it through; so
 * are ports below 1024 but 80 and 443. HTML becomes readable text, other text
 * UTF-8; anything else is refused before its body is read. Of a page no more
 * is read than WEB_PAGE_BYTES; of its text, a call gives `limit` bytes from
 * `offset`. Lives on the run's loop; the text is made on the pool.
 */

#ifndef VOICE_TOOL_WEB_H
#define VOICE_TOOL_WEB_H

#include "base/address_range.h"
#include "gate/http_client.h"
#include "tools/tool.h"

struct tool_web_config {
    struct http_client *http;          /* outlives the runs */
    const struct address_range *allow; /* although not public; copied */
    size_t allow_count;
    uint64_t ttl_ms;     /* 0: never kept */
    uint64_t timeout_ms; /* all of it, redirects too */
};

/* 0, UV_ENOMEM; UV_EINVAL: timeout_ms is none. */
int tool_web_create(struct tool **tp, const struct tool_web_config *cfg);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/web_page.h"

#include "base/clock.h"
#include "codec/html_text.h"
#include "gate/http_request.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TYPE_BYTES    128
#define CHARSET_BYTES 32
#define WHY_BYTES     256
#define HOST_SHOWN    100
#define SNIFFED       512 /* bytes looked at of what has no type */
#define PORT_FREE     1024

/* Why we ended what the server was telling. */
enum verdict { PAGE_WANTED, PAGE_MOVED, PAGE_NONE, PAGE_NO_TEXT, PAGE_FULL };

struct web_page {
    struct web_page_config cfg;
    web_page_done_h *done;
    void *arg;
    char *url; /* as it is asked for now */
    struct http_call *call;
    unsigned hops;
    bool cancelled;
    enum verdict verdict;
    unsigned status;
    char *location;
    char type[TYPE_BYTES], charset[CHARSET_BYTES];
    struct buffer body;
};

/* --- its kind */

static bool
text_ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), e = strlen(end);

    return n >= e && strcmp(text + n - e, end) == 0;
}

static bool
type_is_text(const char *type)
{
    static const char *const known[] = {
        "json",  "xml",        "javascript", "ecmascript", "x-javascript",
        "yaml",  "x-yaml",     "toml",       "x-ndjson",   "sql",
        "x-sh",  "graphql",    "rtf",        "x-tex",      "x-latex",
        "jsonl", "x-jsonlines"};

    if (!*type || strncmp(type, "text/", 5) == 0
        || text_ends_with(type, "+json") || text_ends_with(type, "+xml"))
        return strcmp(type, "image/svg+xml") != 0;
    if (strncmp(type, "application/", 12) != 0)
        return false;
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (strcmp(type + 12, known[i]) == 0)
            return true;
    return false;
}

/* "Text/HTML ; charset=…" */
static void
type_read(struct web_page *p, const char *value)
{
    size_t bytes = value ? strcspn(value, "; \t,") : 0, n = 0;
    const char *label;

    if (bytes >= sizeof(p->type))
        bytes = sizeof(p->type) - 1;
    for (size_t i = 0; i < bytes; i++)
        if (value[i] > ' ' && value[i] < 0x7f)
            p->type[n++] = (char) tolower((unsigned char) value[i]);
    p->type[n] = '\0';
    p->charset[0] = '\0';
    label = value ? html_text_charset(value, strlen(value), &n) : NULL;
    if (label && n < sizeof(p->charset)) {
        memcpy(p->charset, label, n);
        p->charset[n] = '\0';
    }
}

/* --- the end */

static void
page_end(struct web_page *p, const char *type, const char *why)
{
    const struct web_page_result rs = {.type = type,
                                       .why = why,
                                       .url = p->url,
                                       .content_type = p->type,
                                       .charset = p->charset,
                                       .body = &p->body,
                                       .cut = p->verdict == PAGE_FULL};

    p->done(p->arg, &rs);
    buffer_deinit(&p->body);
    free(p->location);
    free(p->url);
    free(p);
}

/* scheme://host:port of what is asked for, for people. */
static void
host_print(const struct web_page *p, char out[HOST_SHOWN + 1])
{
    const char *host = strstr(p->url, "://");
    size_t bytes;

    host = host ? host + 3 : p->url;
    bytes = strcspn(host, "/?#");
    snprintf(out, HOST_SHOWN + 1, "%.*s",
             (int) (bytes < HOST_SHOWN ? bytes : HOST_SHOWN), host);
}

static void
page_fail(struct web_page *p, int error)
{
    static const struct {
        int error;
        const char *type, *format; /* of the host */
    } words[] = {
        {UV_EADDRNOTAVAIL, "denied",
         "%s is not an address of the public web: it may not be fetched."},
        {UV_EAI_NONAME, "not_found", "There is no host %s."},
        {UV_ETIMEDOUT, "timeout", "%s did not answer in time."},
        {UV_ECONNREFUSED, "unavailable", "No connection to %s could be made."},
        {UV_ECONNRESET, "unavailable", "%s broke the connection off."},
        {UV_EACCES, "failed", "The certificate of %s is not trusted."},
        {UV_EMSGSIZE, "too_large", "The headers of %s are too large."},
        {UV_ENOBUFS, "unavailable", "Too many requests wait, that to %s too."},
        {UV_ECANCELED, "cancelled", "The request to %s was cancelled."},
        {UV_EPROTO, "failed", "The answer of %s can't be read."},
        {0, "failed", "The request to %s failed."}};
    char host[HOST_SHOWN + 1], why[WHY_BYTES];
    size_t i = 0;

    while (words[i].error && words[i].error != error)
        i++;
    host_print(p, host);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(why, sizeof(why), words[i].format, host);
#pragma GCC diagnostic pop
    page_end(p, words[i].type, why);
}

static void
status_fail(struct web_page *p)
{
    char host[HOST_SHOWN + 1], why[WHY_BYTES];
    const char *type = "failed";

    if (p->status == 404 || p->status == 410)
        type = "not_found";
    else if (p->status == 401 || p->status == 403)
        type = "denied";
    else if (p->status == 429 || p->status >= 500)
        type = "unavailable";
    host_print(p, host);
    snprintf(why, sizeof(why), "%s answered with status %u.", host, p->status);
    page_end(p, type, why);
}

static void
kind_fail(struct web_page *p)
{
    char why[WHY_BYTES];

    snprintf(why, sizeof(why), "What is there is no text but \"%.100s\".",
             *p->type ? p->type : "unknown");
    page_end(p, "failed", why);
}

/* No type was told, and these are no letters. */
static bool
body_is_data(const struct web_page *p)
{
    size_t bytes = p->body.bytes < SNIFFED ? p->body.bytes : SNIFFED;

    return !*p->type && bytes > 0 && memchr(p->body.data, '\0', bytes);
}

/* --- one request */

static int page_ask(struct web_page *p);

static int
verdict_give(struct web_page *p, enum verdict verdict)
{
    p->verdict = verdict;
    return UV_EOF;
}

static bool
status_is_redirect(unsigned status)
{
    return status == 301 || status == 302 || status == 303 || status == 307
           || status == 308;
}

static int
on_page_head(void *arg, const struct http_response *rs)
{
    struct web_page *p = arg;
    const char *location = http_response_header(rs, "Location");

    p->status = rs->status;
    if (status_is_redirect(rs->status) && location) {
        p->location = http_request_redirect(p->url, location);
        return verdict_give(p, PAGE_MOVED);
    }
    if (rs->status < 200 || rs->status > 299)
        return verdict_give(p, PAGE_NONE);
    type_read(p, http_response_header(rs, "Content-Type"));
    return type_is_text(p->type) ? 0 : verdict_give(p, PAGE_NO_TEXT);
}

static int
on_page_bytes(void *arg, const char *data, size_t bytes)
{
    struct web_page *p = arg;
    size_t room = p->body.max_bytes - p->body.bytes;
    int err = buffer_append(&p->body, data, bytes < room ? bytes : room);

    if (err != 0)
        return err;
    return bytes > room ? verdict_give(p, PAGE_FULL) : 0;
}

static void
page_move(struct web_page *p)
{
    free(p->url);
    p->url = p->location;
    p->location = NULL;
    p->verdict = PAGE_WANTED;
    int err = page_ask(p);
    if (err != 0)
        page_fail(p, err);
}

static void
on_page_done(void *arg, const struct http_response *rs)
{
    struct web_page *p = arg;

    http_call_put(&p->call);
    if (p->cancelled || rs->error == UV_ECANCELED)
        page_fail(p, UV_ECANCELED);
    else if (p->verdict == PAGE_MOVED && !p->location)
        page_end(p, "failed", "It leads to what is no page of the web.");
    else if (p->verdict == PAGE_MOVED && p->hops > WEB_PAGE_REDIRECTS)
        page_end(p, "failed", "It leads to other pages again and again.");
    else if (p->verdict == PAGE_MOVED)
        page_move(p);
    else if (p->verdict == PAGE_NONE)
        status_fail(p);
    else if (p->verdict == PAGE_NO_TEXT || (rs->error == 0 && body_is_data(p)))
        kind_fail(p);
    else if (rs->error == 0 || p->verdict == PAGE_FULL)
        page_end(p, NULL, "");
    else
        page_fail(p, rs->error);
}

static int
on_page_address(void *arg, const struct sockaddr *address)
{
    const struct web_page *p = arg;
    uint16_t port = address_port(address);

    for (size_t i = 0; i < p->cfg.allow_count; i++)
        if (address_range_has(&p->cfg.allow[i], address))
            return 0;
    /* Below: mail, files, terminals, whose servers take odd orders. */
    if (port != 80 && port != 443 && port < PORT_FREE)
        return UV_EADDRNOTAVAIL;
    return address_is_public(address) ? 0 : UV_EADDRNOTAVAIL;
}

static int
page_ask(struct web_page *p)
{
    static const struct http_stream stream = {on_page_head, on_page_bytes};
    static const struct http_header headers[] = {
        {"Accept", "text/html,application/xhtml+xml,text/plain;q=0.9,"
                   "application/json;q=0.9,*/*;q=0.5"},
        {"User-Agent", "Mozilla/5.0 (compatible; ngx-voice)"}};
    uint64_t now = clock_now_ms();
    const struct http_request rq = {
        .method = "GET",
        .url = p->url,
        .headers = headers,
        .header_count = sizeof(headers) / sizeof(*headers),
        .total_ms = p->cfg.deadline_ms > now ? p->cfg.deadline_ms - now : 1,
        .inflates = true,
        .stream = &stream,
        .guard = on_page_address,
        .guard_arg = p};

    p->hops++;
    if (strlen(p->url) > WEB_PAGE_URL_MAX)
        return UV_EINVAL;
    return http_client_send(p->cfg.http, &rq, on_page_done, p, &p->call);
}

/* --- its address */

/* Without blanks around it; what no URL holds is escaped behind the host. */
static char *
url_make(const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t blank = strspn(text, " \t\r\n"), bytes = strlen(text + blank), n = 0;
    const char *host = strstr(text + blank, "://"), *path, *end;
    char *url;

    text += blank;
    end = text + bytes;
    while (end > text && strchr(" \t\r\n", end[-1]))
        end--;
    path = host ? host + 3 + strcspn(host + 3, "/?#") : end;
    if (path > end)
        path = end;
    url = malloc(3 * bytes + 1);
    for (; url && text < end; text++) {
        unsigned char c = (unsigned char) *text;

        if (text < path || (c > ' ' && c < 0x7f)) {
            url[n++] = (char) c;
        } else {
            url[n++] = '%';
            url[n++] = digits[c >> 4];
            url[n++] = digits[c & 15];
        }
    }
    if (url)
        url[n] = '\0';
    return url;
}

int
web_page_get(struct web_page **pp, const struct web_page_config *cfg,
             web_page_done_h *done, void *arg)
{
    struct web_page *p = calloc(1, sizeof(*p));
    int err;

    if (!p)
        return UV_ENOMEM;
    p->cfg = *cfg;
    p->done = done;
    p->arg = arg;
    buffer_init(&p->body, WEB_PAGE_BYTES);
    p->url = url_make(cfg->url);
    err = p->url ? page_ask(p) : UV_ENOMEM;
    if (err != 0) {
        free(p->url);
        free(p);
        return err;
    }
    *pp = p;
    return 0;
}

void
web_page_cancel(struct web_page *p)
{
    p->cancelled = true; /* it may be done, and about to ask again */
    http_call_cancel(&p->call);
}

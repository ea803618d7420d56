/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/http_request.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define METHOD_MAX 16
#define HEADER_MAX 16384 /* one header of ours, "Name: value" */

static bool
method_is_valid(const char *method)
{
    size_t bytes = method ? strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") : 0;
    return bytes > 0 && bytes <= METHOD_MAX && method[bytes] == '\0';
}

/* RFC 9110 5.1, 5.5: a token, and a value without controls. */
static bool
header_is_valid(const struct http_header *header)
{
    const char *mark = "!#$%&'*+-.^_`|~";

    if (!header->name || !header->value || !*header->name
        || strlen(header->name) + strlen(header->value) > HEADER_MAX)
        return false;
    for (const char *c = header->name; *c; c++)
        if (!isalnum((unsigned char) *c) && !strchr(mark, *c))
            return false;
    for (const char *c = header->value; *c; c++)
        if (((unsigned char) *c < ' ' && *c != '\t') || *c == 0x7f)
            return false;
    return true;
}

static bool
url_is_valid(const char *url)
{
    CURLU *parts = curl_url();
    char *scheme = NULL, *user = NULL;
    bool valid =
        parts && url && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK
        && curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK
        && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0)
        && curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_NO_USER;

    curl_free(scheme);
    curl_free(user);
    curl_url_cleanup(parts);
    return valid;
}

bool
http_request_is_valid(const struct http_request *rq)
{
    if (!method_is_valid(rq->method) || !url_is_valid(rq->url)
        || (!rq->body && rq->body_bytes))
        return false;
    /* A proxy would open the socket. */
    if (rq->guard && rq->proxy && *rq->proxy)
        return false;
    for (size_t i = 0; i < rq->header_count; i++)
        if (!header_is_valid(&rq->headers[i]))
            return false;
    return true;
}

char *
http_request_origin(const struct http_request *rq)
{
    CURLU *parts = curl_url();
    char *host = NULL, *port = NULL, *name = NULL;

    if (parts && curl_url_set(parts, CURLUPART_URL, rq->url, 0) == CURLUE_OK
        && curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK
        && curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT)
               == CURLUE_OK
        && asprintf(&name, "%s:%s %d\n%s\n%s", host, port,
                    strncasecmp(rq->url, "https", 5) == 0,
                    rq->ca_file ? rq->ca_file : "", rq->proxy ? rq->proxy : "")
               < 0)
        name = NULL;
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
    return name;
}

char *
http_request_redirect(const char *url, const char *location)
{
    CURLU *parts = curl_url();
    char *text = NULL, *to = NULL;

    if (parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK
        && curl_url_set(parts, CURLUPART_URL, location, CURLU_URLENCODE)
               == CURLUE_OK
        && curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK
        && curl_url_get(parts, CURLUPART_URL, &text, 0) == CURLUE_OK
        && url_is_valid(text))
        to = strdup(text);
    curl_free(text);
    curl_url_cleanup(parts);
    return to;
}

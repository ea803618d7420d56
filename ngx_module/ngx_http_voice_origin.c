/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * May a page of this origin open a session?  Browsers let any page open a
 * WebSocket to any server, with the user's cookies, and name the page's
 * origin in the handshake (RFC 6455, section 10.2).  Clients that are no
 * browsers send no Origin and are not asked for one.
 */


#include "ngx_http_voice.h"


static ngx_uint_t ngx_http_voice_origin_is_same(ngx_http_request_t *r,
    ngx_str_t *origin);
static void ngx_http_voice_cut_port(ngx_str_t *host, ngx_str_t *port);


ngx_uint_t
ngx_http_voice_origin_is_allowed(ngx_http_request_t *r,
    ngx_http_voice_loc_conf_t *vlcf, ngx_str_t *origin)
{
    ngx_str_t   *allowed;
    ngx_uint_t   i;

    if (vlcf->origins == NULL) {
        return ngx_http_voice_origin_is_same(r, origin);
    }

    allowed = vlcf->origins->elts;

    for (i = 0; i < vlcf->origins->nelts; i++) {

        if (allowed[i].len == 1 && allowed[i].data[0] == '*') {
            return 1;
        }

        if (ngx_strcmp(allowed[i].data, "same") == 0) {
            if (ngx_http_voice_origin_is_same(r, origin)) {
                return 1;
            }

            continue;
        }

        if (allowed[i].len == origin->len
            && ngx_strncasecmp(allowed[i].data, origin->data, origin->len)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * Host and port must be equal, a missing port is the default one of the
 * origin's scheme.  A connection without TLS may come from a proxy that ended
 * it, so there both schemes are taken; with TLS the page must be https.
 */

static ngx_uint_t
ngx_http_voice_origin_is_same(ngx_http_request_t *r, ngx_str_t *origin)
{
    ngx_str_t  host, port, page, page_port, standard;

    if (r->headers_in.host == NULL) {
        return 0;
    }

    page = *origin;

    if (page.len > 8 && ngx_strncasecmp(page.data, (u_char *) "https://", 8)
                        == 0)
    {
        page.data += 8;
        page.len -= 8;
        ngx_str_set(&standard, "443");

    } else if (page.len > 7
               && ngx_strncasecmp(page.data, (u_char *) "http://", 7) == 0)
    {
#if (NGX_HTTP_SSL)
        if (r->connection->ssl) {
            return 0;
        }
#endif
        page.data += 7;
        page.len -= 7;
        ngx_str_set(&standard, "80");

    } else {
        return 0;
    }

    host = r->headers_in.host->value;

    ngx_http_voice_cut_port(&page, &page_port);
    ngx_http_voice_cut_port(&host, &port);

    if (page_port.len == 0) {
        page_port = standard;
    }

    if (port.len == 0) {
        port = standard;
    }

    return host.len == page.len && port.len == page_port.len
           && ngx_strncasecmp(host.data, page.data, host.len) == 0
           && ngx_strncmp(port.data, page_port.data, port.len) == 0;
}


/* "[::1]:8080" has its port behind the bracket */

static void
ngx_http_voice_cut_port(ngx_str_t *host, ngx_str_t *port)
{
    size_t  i;

    ngx_str_null(port);

    for (i = host->len; i > 0; i--) {

        if (host->data[i - 1] == ']') {
            return;
        }

        if (host->data[i - 1] == ':') {
            port->data = host->data + i;
            port->len = host->len - i;
            host->len = i - 1;
            return;
        }
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a request says of its body: read before inflating, made true after.
 * Handlers take the length from headers_in.content_length_n, from the header
 * "Content-Length" and from variables, and pass on every header of the list;
 * so all of them have to say the same.
 */


#include "ngx_http_voice_inflate.h"


#define ngx_http_voice_inflate_is_coding(h)                                   \
    ((h)->key.len == sizeof("Content-Encoding") - 1                           \
     && ngx_strncasecmp((h)->key.data, (u_char *) "Content-Encoding",         \
                        sizeof("Content-Encoding") - 1)                       \
        == 0)


static void ngx_http_voice_inflate_unlink(ngx_list_t *list,
    ngx_list_part_t *prev, ngx_list_part_t *part);
static ngx_int_t ngx_http_voice_inflate_cut(ngx_http_request_t *r,
    ngx_list_part_t *prev, ngx_list_part_t *part, ngx_uint_t i);
static ngx_int_t ngx_http_voice_inflate_remove_coding(ngx_http_request_t *r);
static void ngx_http_voice_inflate_flush_variables(ngx_http_request_t *r);


static ngx_str_t
    ngx_http_voice_inflate_names[NGX_HTTP_VOICE_INFLATE_VARIABLES] = {
    ngx_string("content_length"),
    ngx_string("http_content_length"),
    ngx_string("http_content_encoding")
};


ngx_int_t
ngx_http_voice_inflate_index_variables(ngx_conf_t *cf)
{
    ngx_int_t                            n;
    ngx_uint_t                           i;
    ngx_http_voice_inflate_main_conf_t  *imcf;

    imcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_voice_inflate_module);

    for (i = 0; i < NGX_HTTP_VOICE_INFLATE_VARIABLES; i++) {

        n = ngx_http_get_variable_index(cf, &ngx_http_voice_inflate_names[i]);
        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        imcf->indices[i] = n;
    }

    return NGX_OK;
}


enum body_coding
ngx_http_voice_inflate_coding(ngx_http_request_t *r)
{
    ngx_uint_t         i;
    ngx_list_part_t   *part;
    ngx_table_elt_t   *h;
    enum body_coding   coding;

    coding = BODY_IDENTITY;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (ngx_http_voice_inflate_is_coding(&h[i])) {
                coding = body_coding_add(coding, (char *) h[i].value.data,
                                         h[i].value.len);
            }
        }
    }

    return coding;
}


/* the body is inflated, and of that length */

ngx_int_t
ngx_http_voice_inflate_rewrite(ngx_http_request_t *r, off_t length)
{
    u_char           *p;
    ngx_table_elt_t  *h;

    h = r->headers_in.content_length;

    if (h) {
        p = ngx_pnalloc(r->pool, NGX_OFF_T_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        h->value.data = p;
        h->value.len = ngx_sprintf(p, "%O", length) - p;
    }

    if (ngx_http_voice_inflate_remove_coding(r) != NGX_OK) {
        return NGX_ERROR;
    }

    /*
     * a chunked body has a length now; over HTTP/2 core would still set the
     * one it counted if the flag stayed
     */

    r->headers_in.content_length_n = length;
    r->headers_in.chunked = 0;

    ngx_http_voice_inflate_flush_variables(r);

    return NGX_OK;
}


/* the body was bad: an error page that passes requests on passes on none */

void
ngx_http_voice_inflate_drop(ngx_http_request_t *r)
{
    if (r->request_body) {
        r->request_body->bufs = NULL;
    }

    if (r->headers_in.content_length) {
        ngx_str_set(&r->headers_in.content_length->value, "0");
    }

    r->headers_in.content_length_n = 0;
    r->headers_in.chunked = 0;

    /* without memory the header stays, on a body of no bytes */

    (void) ngx_http_voice_inflate_remove_coding(r);

    ngx_http_voice_inflate_flush_variables(r);
}


static ngx_int_t
ngx_http_voice_inflate_remove_coding(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part, *prev;
    ngx_table_elt_t  *h;

    prev = NULL;
    part = &r->headers_in.headers.part;

    while (part) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (ngx_http_voice_inflate_is_coding(&h[i])) {
                break;
            }
        }

        if (i == part->nelts) {
            prev = part;
            part = part->next;
            continue;
        }

        if (ngx_http_voice_inflate_cut(r, prev, part, i) != NGX_OK) {
            return NGX_ERROR;
        }

        /* few requests have it, and hardly one has it twice */

        prev = NULL;
        part = &r->headers_in.headers.part;
    }

    return NGX_OK;
}


/*
 * Takes element i out of the list.  No element may move, as headers_in points
 * to them; so the part ends before the element, and the rest becomes a part
 * of its own.  Nobody who walks a list expects an empty part in it, but for
 * the first.
 */

static ngx_int_t
ngx_http_voice_inflate_cut(ngx_http_request_t *r, ngx_list_part_t *prev,
    ngx_list_part_t *part, ngx_uint_t i)
{
    ngx_list_t       *list;
    ngx_list_part_t  *rest;

    list = &r->headers_in.headers;

    if (i + 1 < part->nelts) {

        rest = ngx_palloc(r->pool, sizeof(ngx_list_part_t));
        if (rest == NULL) {
            return NGX_ERROR;
        }

        rest->elts = (ngx_table_elt_t *) part->elts + i + 1;
        rest->nelts = part->nelts - i - 1;
        rest->next = part->next;

        part->next = rest;

        if (list->last == part) {

            /* nalloc is the room of the last part, and of new ones */

            list->last = rest;
            list->nalloc -= i + 1;
        }
    }

    part->nelts = i;

    if (i == 0 && prev) {
        ngx_http_voice_inflate_unlink(list, prev, part);
    }

    return NGX_OK;
}


static void
ngx_http_voice_inflate_unlink(ngx_list_t *list, ngx_list_part_t *prev,
    ngx_list_part_t *part)
{
    prev->next = part->next;

    if (list->last == part) {
        list->last = prev;

        /* what nalloc says of the other part is not true of this one: full */

        if (prev->nelts) {
            list->nalloc = prev->nelts;

        } else {
            /* the first part has had an element, so it has room for one */
            list->nalloc = 1;
        }
    }
}


static void
ngx_http_voice_inflate_flush_variables(ngx_http_request_t *r)
{
    ngx_uint_t                           i;
    ngx_http_variable_value_t           *v;
    ngx_http_voice_inflate_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_voice_inflate_module);

    for (i = 0; i < NGX_HTTP_VOICE_INFLATE_VARIABLES; i++) {
        v = &r->variables[imcf->indices[i]];

        v->valid = 0;
        v->not_found = 0;
    }
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Options of a directive that are written as name=value.
 */


#include "ngx_http_voice.h"


char *
ngx_http_voice_options(ngx_conf_t *cf, ngx_uint_t first,
    ngx_http_voice_option_t *options, void *data)
{
    u_char                   *p;
    ngx_int_t                 n;
    ngx_str_t                *value, s;
    ngx_uint_t                i;
    ngx_http_voice_option_t  *o;

    value = cf->args->elts;

    for (i = first; i < cf->args->nelts; i++) {

        p = ngx_strlchr(value[i].data, value[i].data + value[i].len, '=');
        n = NGX_ERROR;

        for (o = options; p && o->name.len; o++) {

            if ((size_t) (p - value[i].data) == o->name.len
                && ngx_strncmp(value[i].data, o->name.data, o->name.len) == 0)
            {
                s.data = p + 1;
                s.len = value[i].data + value[i].len - s.data;

                n = o->parse(&s);
                break;
            }
        }

        if (n == NGX_ERROR) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        if (n < o->min || n > o->max) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is out of range", &value[i]);
            return NGX_CONF_ERROR;
        }

        *(ngx_int_t *) ((u_char *) data + o->offset) = n;
    }

    return NGX_CONF_OK;
}


/* "500ms", "1s"; a bare number is milliseconds */

ngx_int_t
ngx_http_voice_parse_msec(ngx_str_t *s)
{
    ngx_int_t  n;

    n = ngx_atoi(s->data, s->len);

    return n != NGX_ERROR ? n : ngx_parse_time(s, 0);
}


ngx_int_t
ngx_http_voice_parse_thousandths(ngx_str_t *s)
{
    return ngx_atofp(s->data, s->len, 3);
}


/* "32k" is 32000 */

ngx_int_t
ngx_http_voice_parse_number(ngx_str_t *s)
{
    ngx_int_t  n;

    if (s->len > 1 && (s->data[s->len - 1] | 0x20) == 'k') {
        n = ngx_atoi(s->data, s->len - 1);
        return (n == NGX_ERROR || n > 1000000) ? NGX_ERROR : n * 1000;
    }

    return ngx_atoi(s->data, s->len);
}


ngx_int_t
ngx_http_voice_parse_flag(ngx_str_t *s)
{
    if (s->len == 2 && ngx_strncmp(s->data, "on", 2) == 0) {
        return 1;
    }

    if (s->len == 3 && ngx_strncmp(s->data, "off", 3) == 0) {
        return 0;
    }

    return NGX_ERROR;
}

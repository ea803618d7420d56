/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Directives of the link and of WebSocket that need more than a slot, and
 * their inheritance.
 */


#include "ngx_http_voice.h"


static ngx_uint_t ngx_http_voice_is_reserved(ngx_str_t *name);
static char *ngx_http_voice_check_link(ngx_conf_t *cf,
    ngx_http_voice_loc_conf_t *conf);


char *
ngx_http_voice_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_voice_loc_conf_t *vlcf = conf;

    ngx_url_t                  u;
    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    if (vlcf->upstream.upstream) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_script_variables_count(&value[1])) {
        return "does not take variables";
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = value[1];
    u.no_resolve = 1;

    vlcf->upstream.upstream = ngx_http_upstream_add(cf, &u, 0);
    if (vlcf->upstream.upstream == NULL) {
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    clcf->handler = ngx_http_voice_handler;

    return ngx_http_voice_add_zone(cf) == NGX_OK ? NGX_CONF_OK
                                                 : NGX_CONF_ERROR;
}


char *
ngx_http_voice_fallback(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_voice_loc_conf_t *vlcf = conf;

    ngx_str_t  *value;

    if (vlcf->fallback.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len < 2 || value[1].data[0] != '@') {
        return "needs a named location";
    }

    vlcf->fallback = value[1];

    return NGX_CONF_OK;
}


char *
ngx_http_voice_param(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_voice_loc_conf_t *vlcf = conf;

    ngx_str_t                         *value;
    ngx_http_voice_param_t            *param;
    ngx_http_compile_complex_value_t   ccv;

    value = cf->args->elts;

    if (value[1].len == 0 || ngx_http_voice_is_reserved(&value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "parameter name \"%V\" is not for use", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (vlcf->params == NGX_CONF_UNSET_PTR) {
        vlcf->params = ngx_array_create(cf->pool, 4,
                                        sizeof(ngx_http_voice_param_t));
        if (vlcf->params == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    param = ngx_array_push(vlcf->params);
    if (param == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(param, sizeof(ngx_http_voice_param_t));

    param->name = value[1];

    if (cf->args->nelts == 4) {

        if (ngx_strcmp(value[3].data, "if_not_empty") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[3]);
            return NGX_CONF_ERROR;
        }

        param->if_not_empty = 1;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[2];
    ccv.complex_value = &param->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* what the upstream must be able to trust comes from the module alone */

static ngx_uint_t
ngx_http_voice_is_reserved(ngx_str_t *name)
{
    ngx_uint_t  i;

    static ngx_str_t  reserved[] = {
        ngx_string("VOICE_STREAM"),
        ngx_string("VOICE_PROTOCOL"),
        ngx_string("VOICE_REQUEST_ID"),
        ngx_string("VOICE_POLICY"),
        ngx_null_string
    };

    for (i = 0; reserved[i].len; i++) {
        if (name->len == reserved[i].len
            && ngx_strncmp(name->data, reserved[i].data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* "same", "*", or scheme://host[:port] as a browser writes it */

char *
ngx_http_voice_origin(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_voice_loc_conf_t *vlcf = conf;

    size_t       len;
    ngx_str_t   *value, *origin;
    ngx_uint_t   i;

    if (vlcf->origins != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    vlcf->origins = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                     sizeof(ngx_str_t));
    if (vlcf->origins == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        origin = ngx_array_push(vlcf->origins);
        if (origin == NULL) {
            return NGX_CONF_ERROR;
        }

        *origin = value[i];

        if (ngx_strcmp(value[i].data, "same") == 0) {
            continue;
        }

        if (ngx_strcmp(value[i].data, "*") == 0) {

            if (cf->args->nelts > 2) {
                return "takes nothing beside \"*\"";
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "http://", 7) == 0) {
            len = 7;

        } else if (ngx_strncmp(value[i].data, "https://", 8) == 0) {
            len = 8;

        } else {
            len = value[i].len;
        }

        if (len == value[i].len
            || ngx_strchr(value[i].data + len, '/') != NULL)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid origin \"%V\", "
                               "\"scheme://host[:port]\" is expected",
                               &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
ngx_http_voice_time_or_off(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t   *value;
    ngx_msec_t  *field;

    field = (ngx_msec_t *) (p + cmd->offset);
    value = cf->args->elts;

    if (*field != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    if (ngx_strcmp(value[1].data, "off") == 0) {
        *field = 0;
        return NGX_CONF_OK;
    }

    return ngx_conf_set_msec_slot(cf, cmd, conf);
}


char *
ngx_http_voice_merge_link(ngx_conf_t *cf, ngx_http_voice_loc_conf_t *prev,
    ngx_http_voice_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    ngx_conf_merge_ptr_value(conf->upstream.local, prev->upstream.local, NULL);
    ngx_conf_merge_value(conf->upstream.socket_keepalive,
                         prev->upstream.socket_keepalive, 0);
    ngx_conf_merge_uint_value(conf->upstream.next_upstream_tries,
                              prev->upstream.next_upstream_tries, 0);
    ngx_conf_merge_msec_value(conf->upstream.connect_timeout,
                              prev->upstream.connect_timeout, 60000);
    ngx_conf_merge_msec_value(conf->upstream.send_timeout,
                              prev->upstream.send_timeout, 60000);
    ngx_conf_merge_msec_value(conf->upstream.read_timeout,
                              prev->upstream.read_timeout, 60000);
    ngx_conf_merge_msec_value(conf->upstream.next_upstream_timeout,
                              prev->upstream.next_upstream_timeout, 0);
    ngx_conf_merge_size_value(conf->upstream.buffer_size,
                              prev->upstream.buffer_size,
                              (size_t) ngx_pagesize);
    ngx_conf_merge_bitmask_value(conf->upstream.next_upstream,
                                 prev->upstream.next_upstream,
                                 (NGX_CONF_BITMASK_SET
                                  |NGX_HTTP_UPSTREAM_FT_ERROR
                                  |NGX_HTTP_UPSTREAM_FT_TIMEOUT));

    if (conf->upstream.next_upstream & NGX_HTTP_UPSTREAM_FT_OFF) {
        conf->upstream.next_upstream = NGX_CONF_BITMASK_SET
                                       |NGX_HTTP_UPSTREAM_FT_OFF;
    }

    ngx_conf_merge_str_value(conf->fallback, prev->fallback, "");
    ngx_conf_merge_ptr_value(conf->params, prev->params, NULL);
    ngx_conf_merge_ptr_value(conf->origins, prev->origins, NULL);

    ngx_conf_merge_size_value(conf->max_message_size, prev->max_message_size,
                              24 * 1024 * 1024);
    ngx_conf_merge_msec_value(conf->ping_interval, prev->ping_interval, 20000);
    ngx_conf_merge_msec_value(conf->ping_timeout, prev->ping_timeout, 20000);
    ngx_conf_merge_msec_value(conf->idle_timeout, prev->idle_timeout, 0);
    ngx_conf_merge_msec_value(conf->max_session, prev->max_session, 0);
    ngx_conf_merge_msec_value(conf->drain_timeout, prev->drain_timeout,
                              600000);

    ngx_conf_merge_value(conf->deflate, prev->deflate, 1);
    ngx_conf_merge_value(conf->deflate_level, prev->deflate_level, 1);
    ngx_conf_merge_size_value(conf->deflate_min_length,
                              prev->deflate_min_length, 1000);
    ngx_conf_merge_value(conf->deflate_takeover, prev->deflate_takeover, 0);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname && conf->upstream.upstream == NULL) {
        conf->upstream.upstream = prev->upstream.upstream;
    }

    if (clcf->lmt_excpt && clcf->handler == NULL && conf->upstream.upstream) {
        clcf->handler = ngx_http_voice_handler;
    }

    return ngx_http_voice_check_link(cf, conf);
}


static char *
ngx_http_voice_check_link(ngx_conf_t *cf, ngx_http_voice_loc_conf_t *conf)
{
    if (conf->upstream.buffer_size < 1024
        || conf->upstream.buffer_size > NGX_HTTP_VOICE_BLOCK_SIZE / 2)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"voice_buffer_size\" must be 1k to %dk",
                           NGX_HTTP_VOICE_BLOCK_SIZE / 2048);
        return NGX_CONF_ERROR;
    }

    if (conf->max_message_size < 1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"voice_max_message_size\" must not be zero");
        return NGX_CONF_ERROR;
    }

    if (conf->max_session && conf->idle_timeout > conf->max_session) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"voice_idle_timeout\" is longer than "
                           "\"voice_max_session\"");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * WebSocket sessions for a voiced upstream: this file is what nginx sees of
 * the module, its directives and their inheritance.
 */


#include "ngx_http_voice.h"


static ngx_int_t ngx_http_voice_preconfiguration(ngx_conf_t *cf);
static void *ngx_http_voice_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_voice_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


static ngx_conf_bitmask_t  ngx_http_voice_next_upstream_masks[] = {
    { ngx_string("error"), NGX_HTTP_UPSTREAM_FT_ERROR },
    { ngx_string("timeout"), NGX_HTTP_UPSTREAM_FT_TIMEOUT },
    { ngx_string("invalid_header"), NGX_HTTP_UPSTREAM_FT_INVALID_HEADER },
    { ngx_string("http_500"), NGX_HTTP_UPSTREAM_FT_HTTP_500 },
    { ngx_string("http_503"), NGX_HTTP_UPSTREAM_FT_HTTP_503 },
    { ngx_string("http_429"), NGX_HTTP_UPSTREAM_FT_HTTP_429 },
    { ngx_string("off"), NGX_HTTP_UPSTREAM_FT_OFF },
    { ngx_null_string, 0 }
};


static char *ngx_http_voice_bounds(ngx_conf_t *cf, void *post, void *data);

static ngx_conf_post_t  ngx_http_voice_time_post = { ngx_http_voice_bounds };

static ngx_conf_post_t  ngx_http_voice_drain_post = {
    ngx_http_voice_check_drain
};


static ngx_conf_num_bounds_t  ngx_http_voice_level_post = {
    ngx_conf_check_num_bounds, 1, 9
};


#define NGX_HTTP_VOICE_ALL  NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF              \
                            |NGX_HTTP_LOC_CONF

#define ngx_http_voice_field(name)                                            \
    offsetof(ngx_http_voice_loc_conf_t, name)


static ngx_command_t  ngx_http_voice_commands[] = {

    /* the link to the upstream */

    { ngx_string("voice_pass"),
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_CONF_TAKE1,
      ngx_http_voice_pass,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("voice_fallback"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_http_voice_fallback,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(fallback),
      NULL },

    { ngx_string("voice_param"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE23,
      ngx_http_voice_param,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(params),
      NULL },

    { ngx_string("voice_connect_timeout"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(upstream.connect_timeout),
      &ngx_http_voice_time_post },

    { ngx_string("voice_send_timeout"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(upstream.send_timeout),
      &ngx_http_voice_time_post },

    { ngx_string("voice_read_timeout"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(upstream.read_timeout),
      &ngx_http_voice_time_post },

    { ngx_string("voice_buffer_size"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(upstream.buffer_size),
      NULL },

    { ngx_string("voice_next_upstream"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_1MORE,
      ngx_conf_set_bitmask_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(upstream.next_upstream),
      &ngx_http_voice_next_upstream_masks },

    { ngx_string("voice_next_upstream_tries"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(upstream.next_upstream_tries),
      NULL },

    { ngx_string("voice_next_upstream_timeout"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(upstream.next_upstream_timeout),
      NULL },

    { ngx_string("voice_bind"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE12,
      ngx_http_upstream_bind_set_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(upstream.local),
      NULL },

    { ngx_string("voice_socket_keepalive"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(upstream.socket_keepalive),
      NULL },

    /* WebSocket */

    { ngx_string("voice_max_message_size"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(max_message_size),
      NULL },

    { ngx_string("voice_ping_interval"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(ping_interval),
      NULL },

    { ngx_string("voice_ping_timeout"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(ping_timeout),
      &ngx_http_voice_time_post },

    { ngx_string("voice_idle_timeout"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_http_voice_time_or_off,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(idle_timeout),
      NULL },

    { ngx_string("voice_max_session"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_http_voice_time_or_off,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(max_session),
      NULL },

    { ngx_string("voice_origin"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_1MORE,
      ngx_http_voice_origin,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(origins),
      NULL },

    { ngx_string("voice_drain_timeout"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(drain_timeout),
      &ngx_http_voice_drain_post },

    { ngx_string("voice_deflate"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(deflate),
      NULL },

    { ngx_string("voice_deflate_level"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(deflate_level),
      &ngx_http_voice_level_post },

    { ngx_string("voice_deflate_min_length"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(deflate_min_length),
      NULL },

    { ngx_string("voice_deflate_context_takeover"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(deflate_takeover),
      NULL },

    /* the policy of a session */

    { ngx_string("voice_model"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_1MORE,
      ngx_http_voice_list,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(policy.models),
      NULL },

    { ngx_string("voice_upstream"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_1MORE,
      ngx_http_voice_list,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(policy.upstreams),
      NULL },

    { ngx_string("voice_name"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_http_voice_word,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(policy.name),
      NULL },

    { ngx_string("voice_instructions"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_http_voice_instructions,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(policy.instructions),
      NULL },

    { ngx_string("voice_vad"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_1MORE,
      ngx_http_voice_vad,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(policy.vad),
      NULL },

    { ngx_string("voice_opus"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_1MORE,
      ngx_http_voice_opus,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(policy.opus),
      NULL },

    { ngx_string("voice_buffer"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(policy.buffer),
      &ngx_http_voice_buffers },

    { ngx_string("voice_context"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_1MORE,
      ngx_http_voice_context,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(policy.context),
      NULL },

    { ngx_string("voice_tools"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_1MORE,
      ngx_http_voice_tools,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(policy.tools),
      NULL },

    { ngx_string("voice_http_tools"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_1MORE,
      ngx_http_voice_tools,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(policy.http_tools),
      NULL },

    { ngx_string("voice_transcript"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(policy.transcript),
      NULL },

    { ngx_string("voice_transcription"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_http_voice_word,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(policy.transcription),
      NULL },

    { ngx_string("voice_client_update"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(policy.client_update),
      &ngx_http_voice_updates },

    { ngx_string("voice_web_app"),
      NGX_HTTP_VOICE_ALL|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      ngx_http_voice_field(policy.web_app),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_voice_module_ctx = {
    ngx_http_voice_preconfiguration,       /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_voice_create_loc_conf,        /* create location configuration */
    ngx_http_voice_merge_loc_conf          /* merge location configuration */
};


ngx_module_t  ngx_http_voice_module = {
    NGX_MODULE_V1,
    &ngx_http_voice_module_ctx,            /* module context */
    ngx_http_voice_commands,               /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_voice_init_process,           /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_voice_exit_process,           /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_voice_preconfiguration(ngx_conf_t *cf)
{
    if (ngx_http_voice_init_params(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_voice_add_variables(cf);
}


/* a timeout of zero would fire before the first byte */

static char *
ngx_http_voice_bounds(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t  *msec = data;

    return *msec ? NGX_CONF_OK : "must not be zero";
}


static void *
ngx_http_voice_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_voice_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_voice_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->upstream.next_upstream = 0;
     *     conf->upstream.upstream = NULL;
     *     conf->fallback = { 0, NULL };
     *     conf->policy_text = { 0, NULL };
     */

    conf->upstream.local = NGX_CONF_UNSET_PTR;
    conf->upstream.socket_keepalive = NGX_CONF_UNSET;
    conf->upstream.next_upstream_tries = NGX_CONF_UNSET_UINT;
    conf->upstream.connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.send_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.read_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.next_upstream_timeout = NGX_CONF_UNSET_MSEC;
    conf->upstream.buffer_size = NGX_CONF_UNSET_SIZE;

    conf->params = NGX_CONF_UNSET_PTR;
    conf->origins = NGX_CONF_UNSET_PTR;

    conf->max_message_size = NGX_CONF_UNSET_SIZE;
    conf->ping_interval = NGX_CONF_UNSET_MSEC;
    conf->ping_timeout = NGX_CONF_UNSET_MSEC;
    conf->idle_timeout = NGX_CONF_UNSET_MSEC;
    conf->max_session = NGX_CONF_UNSET_MSEC;
    conf->drain_timeout = NGX_CONF_UNSET_MSEC;

    conf->deflate = NGX_CONF_UNSET;
    conf->deflate_level = NGX_CONF_UNSET;
    conf->deflate_min_length = NGX_CONF_UNSET_SIZE;
    conf->deflate_takeover = NGX_CONF_UNSET;

    ngx_http_voice_init_policy(&conf->policy);

    return conf;
}


static char *
ngx_http_voice_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_voice_loc_conf_t *prev = parent;
    ngx_http_voice_loc_conf_t *conf = child;

    char  *rv;

    rv = ngx_http_voice_merge_link(cf, prev, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_voice_merge_policy(cf, prev, conf);
}

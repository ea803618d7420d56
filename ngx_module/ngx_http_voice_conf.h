/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the directives say, and who reads them.
 */


#ifndef _NGX_HTTP_VOICE_CONF_H_INCLUDED_
#define _NGX_HTTP_VOICE_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef struct {
    ngx_str_t                      name;
    ngx_http_complex_value_t       value;
    unsigned                       if_not_empty:1;
} ngx_http_voice_param_t;


typedef struct {
    ngx_uint_t                     mode;
    ngx_int_t                      threshold;       /* thousandths */
    ngx_int_t                      silence;         /* ms */
    ngx_int_t                      min_speech;      /* ms */
} ngx_http_voice_vad_t;


typedef struct {
    ngx_int_t                      bitrate;
    ngx_int_t                      ptime;
    ngx_int_t                      complexity;
    ngx_flag_t                     fec;
    ngx_flag_t                     dtx;
} ngx_http_voice_opus_t;


typedef struct {
    ngx_int_t                      turns;
    ngx_int_t                      tokens;
    ngx_int_t                      summarize_to;
    ngx_int_t                      tool_results;
} ngx_http_voice_context_t;


/* an option written as name=value */

typedef struct {
    ngx_str_t    name;
    ngx_int_t  (*parse)(ngx_str_t *value);
    ngx_int_t    min;
    ngx_int_t    max;
    size_t       offset;        /* of an ngx_int_t */
} ngx_http_voice_option_t;


/*
 * What $voice_policy is rendered from.  Pointers and numbers only: equal
 * bytes mean an equal policy, and the text of the level above is shared.
 */

typedef struct {
    ngx_array_t                   *models;          /* of ngx_str_t */
    ngx_array_t                   *upstreams;
    ngx_array_t                   *tools;           /* empty: off */
    ngx_array_t                   *http_tools;
    ngx_str_t                     *name;
    ngx_str_t                     *instructions;
    ngx_str_t                     *transcription;   /* empty: off */
    ngx_http_voice_vad_t          *vad;
    ngx_http_voice_opus_t         *opus;            /* NULL: off */
    ngx_http_voice_context_t      *context;         /* NULL: off */
    ngx_uint_t                     buffer;
    ngx_uint_t                     client_update;
    ngx_flag_t                     transcript;
    ngx_flag_t                     web_app;
} ngx_http_voice_policy_t;


typedef struct {
    ngx_http_upstream_conf_t       upstream;

    ngx_str_t                      fallback;
    ngx_array_t                   *params;   /* of ngx_http_voice_param_t */
    ngx_array_t                   *origins;  /* of ngx_str_t */

    size_t                         max_message_size;
    ngx_msec_t                     ping_interval;
    ngx_msec_t                     ping_timeout;
    ngx_msec_t                     idle_timeout;
    ngx_msec_t                     max_session;
    ngx_msec_t                     drain_timeout;

    ngx_flag_t                     deflate;
    ngx_int_t                      deflate_level;
    size_t                         deflate_min_length;
    ngx_flag_t                     deflate_takeover;

    ngx_http_voice_policy_t        policy;
    ngx_str_t                      policy_text;
} ngx_http_voice_loc_conf_t;


/* ngx_http_voice_conf.c: directives of the link and of WebSocket */

char *ngx_http_voice_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_voice_fallback(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_voice_param(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_voice_origin(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_voice_time_or_off(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_voice_merge_link(ngx_conf_t *cf,
    ngx_http_voice_loc_conf_t *prev, ngx_http_voice_loc_conf_t *conf);

/* ngx_http_voice_drain.c: of voice_drain_timeout */
char *ngx_http_voice_check_drain(ngx_conf_t *cf, void *post, void *data);

/* ngx_http_voice_policy.c: directives of the policy */

char *ngx_http_voice_list(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_voice_tools(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_voice_word(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_voice_instructions(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_voice_vad(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_voice_opus(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_voice_context(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void ngx_http_voice_init_policy(ngx_http_voice_policy_t *policy);
char *ngx_http_voice_merge_policy(ngx_conf_t *cf,
    ngx_http_voice_loc_conf_t *prev, ngx_http_voice_loc_conf_t *conf);

extern ngx_conf_enum_t  ngx_http_voice_buffers[];
extern ngx_conf_enum_t  ngx_http_voice_updates[];
extern ngx_str_t        ngx_http_voice_vad_modes[];

/* ngx_http_voice_option.c */

char *ngx_http_voice_options(ngx_conf_t *cf, ngx_uint_t first,
    ngx_http_voice_option_t *options, void *data);
ngx_int_t ngx_http_voice_parse_msec(ngx_str_t *s);
ngx_int_t ngx_http_voice_parse_thousandths(ngx_str_t *s);
ngx_int_t ngx_http_voice_parse_number(ngx_str_t *s);
ngx_int_t ngx_http_voice_parse_flag(ngx_str_t *s);

/* ngx_http_voice_render.c: the text of $voice_policy */

ngx_int_t ngx_http_voice_render_policy(ngx_conf_t *cf,
    ngx_http_voice_policy_t *policy, ngx_str_t *text);
size_t ngx_http_voice_json_length(ngx_str_t *s);
u_char *ngx_http_voice_json(u_char *p, ngx_str_t *s);


#endif /* _NGX_HTTP_VOICE_CONF_H_INCLUDED_ */

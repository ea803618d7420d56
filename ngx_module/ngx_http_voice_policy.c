/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Directives of the session policy: what an operator allows a session to be.
 */


#include "ngx_http_voice.h"


#define NGX_HTTP_VOICE_INSTRUCTIONS_MAX  16384
#define NGX_HTTP_VOICE_NAMES_MAX         64
#define NGX_HTTP_VOICE_NAME_LEN          128


enum {
    NGX_HTTP_VOICE_VAD_SERVER = 0,
    NGX_HTTP_VOICE_VAD_SEMANTIC,
    NGX_HTTP_VOICE_VAD_OFF
};


typedef struct {
    ngx_str_t              name;
    ngx_http_voice_vad_t   vad;
} ngx_http_voice_preset_t;


static ngx_uint_t ngx_http_voice_is_name(ngx_str_t *s);
static char *ngx_http_voice_bad_name(ngx_conf_t *cf, ngx_str_t *s);
static ngx_int_t ngx_http_voice_read_file(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *text);


ngx_conf_enum_t  ngx_http_voice_buffers[] = {
    { ngx_string("aggressive"), 0 },
    { ngx_string("balanced"), 1 },
    { ngx_string("conservative"), 2 },
    { ngx_null_string, 0 }
};


ngx_conf_enum_t  ngx_http_voice_updates[] = {
    { ngx_string("allow"), 0 },
    { ngx_string("merge"), 1 },
    { ngx_string("deny"), 2 },
    { ngx_null_string, 0 }
};


ngx_str_t  ngx_http_voice_vad_modes[] = {
    ngx_string("server"),
    ngx_string("semantic"),
    ngx_string("off")
};


static ngx_http_voice_preset_t  ngx_http_voice_presets[] = {
    { ngx_string("quiet"), { NGX_HTTP_VOICE_VAD_SERVER, 300, 400, 100 } },
    { ngx_string("normal"), { NGX_HTTP_VOICE_VAD_SERVER, 500, 500, 100 } },
    { ngx_string("noisy"), { NGX_HTTP_VOICE_VAD_SERVER, 700, 800, 100 } },
    { ngx_string("semantic"), { NGX_HTTP_VOICE_VAD_SEMANTIC, 500, 500, 100 } },
    { ngx_string("off"), { NGX_HTTP_VOICE_VAD_OFF, 500, 500, 100 } },
    { ngx_null_string, { 0, 0, 0, 0 } }
};


static ngx_http_voice_option_t  ngx_http_voice_vad_options[] = {
    { ngx_string("threshold"), ngx_http_voice_parse_thousandths, 0, 1000,
      offsetof(ngx_http_voice_vad_t, threshold) },
    { ngx_string("silence"), ngx_http_voice_parse_msec, 50, 10000,
      offsetof(ngx_http_voice_vad_t, silence) },
    { ngx_string("min_speech"), ngx_http_voice_parse_msec, 0, 5000,
      offsetof(ngx_http_voice_vad_t, min_speech) },
    { ngx_null_string, NULL, 0, 0, 0 }
};


static ngx_http_voice_option_t  ngx_http_voice_opus_options[] = {
    { ngx_string("bitrate"), ngx_http_voice_parse_number, 6000, 510000,
      offsetof(ngx_http_voice_opus_t, bitrate) },
    { ngx_string("ptime"), ngx_http_voice_parse_msec, 10, 60,
      offsetof(ngx_http_voice_opus_t, ptime) },
    { ngx_string("fec"), ngx_http_voice_parse_flag, 0, 1,
      offsetof(ngx_http_voice_opus_t, fec) },
    { ngx_string("dtx"), ngx_http_voice_parse_flag, 0, 1,
      offsetof(ngx_http_voice_opus_t, dtx) },
    { ngx_string("complexity"), ngx_http_voice_parse_number, 0, 10,
      offsetof(ngx_http_voice_opus_t, complexity) },
    { ngx_null_string, NULL, 0, 0, 0 }
};


static ngx_http_voice_option_t  ngx_http_voice_context_options[] = {
    { ngx_string("turns"), ngx_http_voice_parse_number, 1, 10000,
      offsetof(ngx_http_voice_context_t, turns) },
    { ngx_string("tokens"), ngx_http_voice_parse_number, 256, 10000000,
      offsetof(ngx_http_voice_context_t, tokens) },
    { ngx_string("summarize_to"), ngx_http_voice_parse_number, 1, 10000,
      offsetof(ngx_http_voice_context_t, summarize_to) },
    { ngx_string("tool_results"), ngx_http_voice_parse_number, 0, 10000,
      offsetof(ngx_http_voice_context_t, tool_results) },
    { ngx_null_string, NULL, 0, 0, 0 }
};


void
ngx_http_voice_init_policy(ngx_http_voice_policy_t *policy)
{
    policy->models = NGX_CONF_UNSET_PTR;
    policy->upstreams = NGX_CONF_UNSET_PTR;
    policy->tools = NGX_CONF_UNSET_PTR;
    policy->http_tools = NGX_CONF_UNSET_PTR;
    policy->name = NGX_CONF_UNSET_PTR;
    policy->instructions = NGX_CONF_UNSET_PTR;
    policy->transcription = NGX_CONF_UNSET_PTR;
    policy->vad = NGX_CONF_UNSET_PTR;
    policy->opus = NGX_CONF_UNSET_PTR;
    policy->context = NGX_CONF_UNSET_PTR;
    policy->buffer = NGX_CONF_UNSET_UINT;
    policy->client_update = NGX_CONF_UNSET_UINT;
    policy->transcript = NGX_CONF_UNSET;
    policy->web_app = NGX_CONF_UNSET;
}


char *
ngx_http_voice_merge_policy(ngx_conf_t *cf, ngx_http_voice_loc_conf_t *prev,
    ngx_http_voice_loc_conf_t *conf)
{
    ngx_http_voice_policy_t  *p, *q;

    p = &prev->policy;
    q = &conf->policy;

    if (q->transcript == 0
        && q->transcription != NGX_CONF_UNSET_PTR && q->transcription->len)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"voice_transcription %V\" contradicts "
                           "\"voice_transcript off\"", q->transcription);
        return NGX_CONF_ERROR;
    }

    ngx_conf_merge_ptr_value(q->models, p->models, NULL);
    ngx_conf_merge_ptr_value(q->upstreams, p->upstreams, NULL);
    ngx_conf_merge_ptr_value(q->tools, p->tools, NULL);
    ngx_conf_merge_ptr_value(q->http_tools, p->http_tools, NULL);
    ngx_conf_merge_ptr_value(q->name, p->name, NULL);
    ngx_conf_merge_ptr_value(q->instructions, p->instructions, NULL);
    ngx_conf_merge_ptr_value(q->transcription, p->transcription, NULL);
    ngx_conf_merge_ptr_value(q->vad, p->vad, NULL);
    ngx_conf_merge_ptr_value(q->opus, p->opus, NULL);
    ngx_conf_merge_ptr_value(q->context, p->context, NULL);
    ngx_conf_merge_uint_value(q->buffer, p->buffer, 1);
    ngx_conf_merge_uint_value(q->client_update, p->client_update, 0);
    ngx_conf_merge_value(q->transcript, p->transcript, 1);
    ngx_conf_merge_value(q->web_app, p->web_app, 0);

    if (prev->policy_text.data
        && ngx_memcmp(p, q, sizeof(ngx_http_voice_policy_t)) == 0)
    {
        conf->policy_text = prev->policy_text;
        return NGX_CONF_OK;
    }

    if (ngx_http_voice_render_policy(cf, q, &conf->policy_text) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (conf->policy_text.len >= NGX_HTTP_VOICE_POLICY_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the voice policy takes %uz bytes, "
                           "less than %d are possible",
                           conf->policy_text.len, NGX_HTTP_VOICE_POLICY_MAX);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* names of models, voices, tools and upstreams: printable and not too long */

static ngx_uint_t
ngx_http_voice_is_name(ngx_str_t *s)
{
    size_t  i;

    if (s->len == 0 || s->len > NGX_HTTP_VOICE_NAME_LEN) {
        return 0;
    }

    for (i = 0; i < s->len; i++) {
        if (s->data[i] <= ' ' || s->data[i] >= 0x7f || s->data[i] == '"'
            || s->data[i] == '\\')
        {
            return 0;
        }
    }

    return 1;
}


static char *
ngx_http_voice_bad_name(ngx_conf_t *cf, ngx_str_t *s)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid name \"%V\"", s);

    return NGX_CONF_ERROR;
}


char *
ngx_http_voice_list(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t    *value, *name, *names;
    ngx_uint_t    i, j;
    ngx_array_t  **field;

    field = (ngx_array_t **) (p + cmd->offset);

    if (*field != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    if (cf->args->nelts - 1 > NGX_HTTP_VOICE_NAMES_MAX) {
        return "has too many names";
    }

    *field = ngx_array_create(cf->pool, cf->args->nelts - 1,
                              sizeof(ngx_str_t));
    if (*field == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;
    names = (*field)->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (!ngx_http_voice_is_name(&value[i])) {
            return ngx_http_voice_bad_name(cf, &value[i]);
        }

        for (j = 0; j < (*field)->nelts; j++) {
            if (names[j].len == value[i].len
                && ngx_strncmp(names[j].data, value[i].data, value[i].len)
                   == 0)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "duplicate name \"%V\"", &value[i]);
                return NGX_CONF_ERROR;
            }
        }

        name = ngx_array_push(*field);
        if (name == NULL) {
            return NGX_CONF_ERROR;
        }

        *name = value[i];
    }

    return NGX_CONF_OK;
}


/* "off" alone is the empty list, "all" is one that stands alone */

char *
ngx_http_voice_tools(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    char         *rv;
    ngx_str_t    *value;
    ngx_uint_t    i, single;
    ngx_array_t  **field;

    field = (ngx_array_t **) (p + cmd->offset);
    value = cf->args->elts;

    rv = ngx_http_voice_list(cf, cmd, conf);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        single = ngx_strcmp(value[i].data, "off") == 0
                 || ngx_strcmp(value[i].data, "all") == 0;

        if (single && cf->args->nelts > 2) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" contradicts the other names",
                               &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_strcmp(value[1].data, "off") == 0) {
        (*field)->nelts = 0;
    }

    if (ngx_strcmp(value[1].data, "all") == 0
        && cmd->offset == offsetof(ngx_http_voice_loc_conf_t,
                                   policy.http_tools))
    {
        return "needs the tools by name";
    }

    return NGX_CONF_OK;
}


char *
ngx_http_voice_word(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t  *value, *word, **field;

    field = (ngx_str_t **) (p + cmd->offset);
    value = cf->args->elts;

    if (*field != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    if (!ngx_http_voice_is_name(&value[1])) {
        return ngx_http_voice_bad_name(cf, &value[1]);
    }

    /* cf->args is used again for the next directive. */
    word = ngx_palloc(cf->pool, sizeof(ngx_str_t));
    if (word == NULL) {
        return NGX_CONF_ERROR;
    }

    *word = value[1];

    if (ngx_strcmp(value[1].data, "off") == 0
        && cmd->offset == offsetof(ngx_http_voice_loc_conf_t,
                                   policy.transcription))
    {
        ngx_str_null(word);
    }

    *field = word;

    return NGX_CONF_OK;
}


char *
ngx_http_voice_instructions(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_voice_loc_conf_t *vlcf = conf;

    ngx_str_t       *value, *text;
    struct ws_utf8   utf8;

    if (vlcf->policy.instructions != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    text = ngx_pcalloc(cf->pool, sizeof(ngx_str_t));
    if (text == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    if (ngx_conf_full_name(cf->cycle, &value[1], 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_voice_read_file(cf, &value[1], text) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ws_utf8_init(&utf8);

    if (ngx_strlchr(text->data, text->data + text->len, '\0')
        || !ws_utf8_push(&utf8, text->data, text->len)
        || !ws_utf8_is_complete(&utf8))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is not UTF-8 text", &value[1]);
        return NGX_CONF_ERROR;
    }

    vlcf->policy.instructions = text;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_voice_read_file(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *text)
{
    ssize_t     n;
    ngx_fd_t    fd;
    ngx_err_t   err;

    fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);
    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", name);
        return NGX_ERROR;
    }

    text->data = ngx_pnalloc(cf->pool, NGX_HTTP_VOICE_INSTRUCTIONS_MAX + 1);
    if (text->data == NULL) {
        (void) ngx_close_file(fd);
        return NGX_ERROR;
    }

    n = ngx_read_fd(fd, text->data, NGX_HTTP_VOICE_INSTRUCTIONS_MAX + 1);
    err = ngx_errno;

    (void) ngx_close_file(fd);

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                           ngx_read_fd_n " \"%V\" failed", name);
        return NGX_ERROR;
    }

    if (n > NGX_HTTP_VOICE_INSTRUCTIONS_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is longer than %d bytes", name,
                           NGX_HTTP_VOICE_INSTRUCTIONS_MAX);
        return NGX_ERROR;
    }

    text->len = n;

    return NGX_OK;
}


char *
ngx_http_voice_vad(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_voice_loc_conf_t *vlcf = conf;

    ngx_str_t                *value;
    ngx_http_voice_vad_t     *vad;
    ngx_http_voice_preset_t  *preset;

    if (vlcf->policy.vad != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (preset = ngx_http_voice_presets; preset->name.len; preset++) {
        if (ngx_strcmp(value[1].data, preset->name.data) == 0) {
            break;
        }
    }

    if (preset->name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid mode \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    vad = ngx_palloc(cf->pool, sizeof(ngx_http_voice_vad_t));
    if (vad == NULL) {
        return NGX_CONF_ERROR;
    }

    *vad = preset->vad;

    if (vad->mode != NGX_HTTP_VOICE_VAD_SERVER && cf->args->nelts > 2) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" contradicts mode \"%V\"", &value[2],
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    vlcf->policy.vad = vad;

    return ngx_http_voice_options(cf, 2, ngx_http_voice_vad_options, vad);
}


char *
ngx_http_voice_opus(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_voice_loc_conf_t *vlcf = conf;

    char                   *rv;
    ngx_str_t              *value;
    ngx_http_voice_opus_t  *opus;

    if (vlcf->policy.opus != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        vlcf->policy.opus = NULL;
        return cf->args->nelts > 2 ? "takes nothing beside \"off\""
                                   : NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "on") != 0) {
        return "needs \"on\" or \"off\"";
    }

    opus = ngx_palloc(cf->pool, sizeof(ngx_http_voice_opus_t));
    if (opus == NULL) {
        return NGX_CONF_ERROR;
    }

    opus->bitrate = 32000;
    opus->ptime = 20;
    opus->complexity = 5;
    opus->fec = 1;
    opus->dtx = 1;

    vlcf->policy.opus = opus;

    rv = ngx_http_voice_options(cf, 2, ngx_http_voice_opus_options, opus);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (opus->ptime != 10 && opus->ptime != 20 && opus->ptime != 40
        && opus->ptime != 60)
    {
        return "has a \"ptime\" that is none of 10, 20, 40, 60";
    }

    return NGX_CONF_OK;
}


char *
ngx_http_voice_context(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_voice_loc_conf_t *vlcf = conf;

    char                      *rv;
    ngx_str_t                 *value;
    ngx_http_voice_context_t  *context;

    if (vlcf->policy.context != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        vlcf->policy.context = NULL;
        return cf->args->nelts > 2 ? "takes nothing beside \"off\""
                                   : NGX_CONF_OK;
    }

    context = ngx_palloc(cf->pool, sizeof(ngx_http_voice_context_t));
    if (context == NULL) {
        return NGX_CONF_ERROR;
    }

    context->turns = 20;
    context->tokens = 8000;
    context->summarize_to = 10;
    context->tool_results = 5;

    vlcf->policy.context = context;

    rv = ngx_http_voice_options(cf, 1, ngx_http_voice_context_options,
                                context);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (context->summarize_to >= context->turns) {
        return "needs \"summarize_to\" below \"turns\"";
    }

    return NGX_CONF_OK;
}

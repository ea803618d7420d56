/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The text of $voice_policy: compact JSON with every key, written once when
 * the configuration is read.
 */


#include "ngx_http_voice.h"


#define NGX_HTTP_VOICE_FIXED  1024    /* bytes of everything but the names */


static size_t ngx_http_voice_names_length(ngx_array_t *names);
static u_char *ngx_http_voice_names(u_char *p, ngx_array_t *names);
static u_char *ngx_http_voice_tool_names(u_char *p, ngx_array_t *names);
static u_char *ngx_http_voice_string(u_char *p, ngx_str_t *s);
static u_char *ngx_http_voice_render_media(u_char *p, u_char *last,
    ngx_http_voice_policy_t *policy);
static u_char *ngx_http_voice_render_rest(u_char *p, u_char *last,
    ngx_http_voice_policy_t *policy);


#define ngx_http_voice_bool(flag)  ((flag) ? "true" : "false")


ngx_int_t
ngx_http_voice_render_policy(ngx_conf_t *cf, ngx_http_voice_policy_t *policy,
    ngx_str_t *text)
{
    size_t      len;
    u_char     *p, *last;
    ngx_str_t  *model;

    model = policy->models ? policy->models->elts : NULL;

    len = NGX_HTTP_VOICE_FIXED
          + (model ? ngx_http_voice_json_length(model) : 0)
          + ngx_http_voice_names_length(policy->models)
          + ngx_http_voice_names_length(policy->upstreams)
          + ngx_http_voice_names_length(policy->tools)
          + ngx_http_voice_names_length(policy->http_tools);

    if (policy->name) {
        len += ngx_http_voice_json_length(policy->name);
    }

    if (policy->instructions) {
        len += ngx_http_voice_json_length(policy->instructions);
    }

    if (policy->transcription) {
        len += ngx_http_voice_json_length(policy->transcription);
    }

    p = ngx_pnalloc(cf->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;
    last = p + len;

    p = ngx_cpymem(p, "{\"v\":1,\"model\":", sizeof("{\"v\":1,\"model\":") - 1);
    p = ngx_http_voice_string(p, model);
    p = ngx_slprintf(p, last, ",\"models\":");
    p = ngx_http_voice_names(p, policy->models);
    p = ngx_slprintf(p, last, ",\"upstream\":");
    p = ngx_http_voice_names(p, policy->upstreams);
    p = ngx_slprintf(p, last, ",\"voice\":");
    p = ngx_http_voice_string(p, policy->name);
    p = ngx_slprintf(p, last, ",\"instructions\":");
    p = ngx_http_voice_string(p, policy->instructions);
    p = ngx_http_voice_render_media(p, last, policy);
    p = ngx_http_voice_render_rest(p, last, policy);

    text->len = p - text->data;

    return NGX_OK;
}


static u_char *
ngx_http_voice_render_media(u_char *p, u_char *last,
    ngx_http_voice_policy_t *policy)
{
    ngx_http_voice_vad_t   *vad;
    ngx_http_voice_opus_t  *opus;

    vad = policy->vad;

    if (vad) {
        p = ngx_slprintf(p, last, ",\"vad\":{\"mode\":\"%V\","
                         "\"threshold\":%i.%03i,\"silence_ms\":%i,"
                         "\"min_speech_ms\":%i}",
                         &ngx_http_voice_vad_modes[vad->mode],
                         vad->threshold / 1000, vad->threshold % 1000,
                         vad->silence, vad->min_speech);
    } else {
        p = ngx_slprintf(p, last, ",\"vad\":null");
    }

    opus = policy->opus;

    if (opus) {
        p = ngx_slprintf(p, last, ",\"opus\":{\"bitrate\":%i,\"ptime\":%i,"
                         "\"fec\":%s,\"dtx\":%s,\"complexity\":%i}",
                         opus->bitrate, opus->ptime,
                         ngx_http_voice_bool(opus->fec),
                         ngx_http_voice_bool(opus->dtx), opus->complexity);
    } else {
        p = ngx_slprintf(p, last, ",\"opus\":null");
    }

    return ngx_slprintf(p, last, ",\"buffer\":\"%V\"",
                        &ngx_http_voice_buffers[policy->buffer].name);
}


static u_char *
ngx_http_voice_render_rest(u_char *p, u_char *last,
    ngx_http_voice_policy_t *policy)
{
    ngx_http_voice_context_t  *context;

    context = policy->context;

    if (context) {
        p = ngx_slprintf(p, last, ",\"context\":{\"turns\":%i,\"tokens\":%i,"
                         "\"summarize_to\":%i,\"tool_results\":%i}",
                         context->turns, context->tokens,
                         context->summarize_to, context->tool_results);
    } else {
        p = ngx_slprintf(p, last, ",\"context\":null");
    }

    p = ngx_slprintf(p, last, ",\"tools\":");
    p = ngx_http_voice_tool_names(p, policy->tools);
    p = ngx_slprintf(p, last, ",\"http_tools\":");
    p = ngx_http_voice_names(p, policy->http_tools);
    p = ngx_slprintf(p, last, ",\"transcript\":%s,\"transcription\":",
                     ngx_http_voice_bool(policy->transcript));
    p = ngx_http_voice_string(p, policy->transcription);

    return ngx_slprintf(p, last, ",\"client_update\":\"%V\",\"web_app\":%s,"
                        "\"auth_seen\":false}",
                        &ngx_http_voice_updates[policy->client_update].name,
                        ngx_http_voice_bool(policy->web_app));
}


static size_t
ngx_http_voice_names_length(ngx_array_t *names)
{
    size_t       len;
    ngx_str_t   *name;
    ngx_uint_t   i;

    if (names == NULL) {
        return 0;
    }

    len = 0;
    name = names->elts;

    for (i = 0; i < names->nelts; i++) {
        len += ngx_http_voice_json_length(&name[i]) + 1;
    }

    return len;
}


static u_char *
ngx_http_voice_names(u_char *p, ngx_array_t *names)
{
    ngx_str_t   *name;
    ngx_uint_t   i;

    *p++ = '[';

    if (names) {
        name = names->elts;

        for (i = 0; i < names->nelts; i++) {
            if (i) {
                *p++ = ',';
            }

            p = ngx_http_voice_json(p, &name[i]);
        }
    }

    *p++ = ']';

    return p;
}


static u_char *
ngx_http_voice_tool_names(u_char *p, ngx_array_t *names)
{
    ngx_str_t  *name;

    if (names && names->nelts == 1) {
        name = names->elts;

        if (name->len == 3 && ngx_strncmp(name->data, "all", 3) == 0) {
            return ngx_http_voice_json(p, name);
        }
    }

    return ngx_http_voice_names(p, names);
}


/* a text that is not there, or empty, is null */

static u_char *
ngx_http_voice_string(u_char *p, ngx_str_t *s)
{
    if (s == NULL || s->len == 0) {
        return ngx_cpymem(p, "null", 4);
    }

    return ngx_http_voice_json(p, s);
}


size_t
ngx_http_voice_json_length(ngx_str_t *s)
{
    size_t  i, len;

    len = 2;

    for (i = 0; i < s->len; i++) {
        switch (s->data[i]) {

        case '"':
        case '\\':
        case '\n':
        case '\r':
        case '\t':
            len += 2;
            break;

        default:
            len += s->data[i] < ' ' ? 6 : 1;
        }
    }

    return len;
}


/* s is UTF-8 already */

u_char *
ngx_http_voice_json(u_char *p, ngx_str_t *s)
{
    u_char  ch;
    size_t  i;

    *p++ = '"';

    for (i = 0; i < s->len; i++) {
        ch = s->data[i];

        switch (ch) {

        case '"':
        case '\\':
            *p++ = '\\';
            *p++ = ch;
            break;

        case '\n':
            *p++ = '\\';
            *p++ = 'n';
            break;

        case '\r':
            *p++ = '\\';
            *p++ = 'r';
            break;

        case '\t':
            *p++ = '\\';
            *p++ = 't';
            break;

        default:
            if (ch < ' ') {
                p = ngx_sprintf(p, "\\u00%02xi", (ngx_int_t) ch);
            } else {
                *p++ = ch;
            }
        }
    }

    *p++ = '"';

    return p;
}

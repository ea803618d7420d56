/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * FastCGI records: their headers, and the text of STDERR.
 */


#include "ngx_http_voice.h"


u_char *
ngx_http_voice_put_record(u_char *p, ngx_uint_t type, size_t content,
    size_t padding)
{
    *p++ = 1;                          /* version */
    *p++ = (u_char) type;
    *p++ = 0;                          /* request id */
    *p++ = 1;
    *p++ = (u_char) (content >> 8);
    *p++ = (u_char) content;
    *p++ = (u_char) padding;
    *p++ = 0;

    return p;
}


/*
 * Takes bytes up to the end of a record's header or padding.  NGX_OK: content
 * of record->type follows, or an empty record was read (content is 0);
 * NGX_AGAIN: all was taken; NGX_ERROR: this is no FastCGI for request 1.
 */

ngx_int_t
ngx_http_voice_parse_record(ngx_http_voice_record_t *record, u_char **pos,
    u_char *last)
{
    size_t   n;
    u_char  *h;

    n = ngx_min(record->padding, (size_t) (last - *pos));
    record->padding -= n;
    *pos += n;

    n = ngx_min((size_t) (NGX_HTTP_VOICE_FCGI_HEADER - record->have),
                (size_t) (last - *pos));

    ngx_memcpy(record->header + record->have, *pos, n);
    record->have += n;
    *pos += n;

    if (record->have < NGX_HTTP_VOICE_FCGI_HEADER) {
        return NGX_AGAIN;
    }

    h = record->header;

    if (h[0] != 1 || h[2] != 0 || h[3] != 1
        || (h[1] != NGX_HTTP_VOICE_STDOUT && h[1] != NGX_HTTP_VOICE_STDERR
            && h[1] != NGX_HTTP_VOICE_END_REQUEST))
    {
        return NGX_ERROR;
    }

    record->have = 0;
    record->type = h[1];
    record->content = (size_t) h[4] << 8 | h[5];
    record->padding = h[6];

    return NGX_OK;
}


/* a talkative upstream fills no disk: the text of a session has a limit */

void
ngx_http_voice_log_stderr(ngx_http_voice_ctx_t *ctx, u_char *pos, size_t size)
{
    ngx_str_t  text;

    if (ctx->noise >= 4096) {
        return;
    }

    text.data = pos;
    text.len = ngx_min(size, 4096 - ctx->noise);

    ctx->noise += text.len;

    while (text.len && (text.data[text.len - 1] == LF
                        || text.data[text.len - 1] == CR))
    {
        text.len--;
    }

    ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                  "FastCGI sent in stderr: \"%V\"", &text);
}

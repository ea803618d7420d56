/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/http_ending.h"

#include <uv.h>

static int
curl_error(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_OPERATION_TIMEDOUT:
        return UV_ETIMEDOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return UV_EAI_NONAME;
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
        return UV_ECONNREFUSED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return UV_EACCES;
    case CURLE_FILESIZE_EXCEEDED:
        return UV_EMSGSIZE;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return UV_ECONNRESET;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
        return UV_EPROTO;
    case CURLE_OUT_OF_MEMORY:
        return UV_ENOMEM;
    default:
        return UV_EIO;
    }
}

static void
call_tell(struct http_call *call, const struct http_response *rs)
{
    call->finished = true;
    call->done(call->arg, rs);
    curl_easy_cleanup(call->easy);
    call->easy = NULL;
    curl_slist_free_all(call->headers);
    call->headers = NULL;
    http_body_deinit(&call->answer);
}

void
http_call_fail(struct http_call *call, int error, const char *why)
{
    const struct http_response rs = {
        .error = error, .why = why, .body = "", .call = call};
    call_tell(call, &rs);
}

static void
call_answer(struct http_call *call)
{
    struct http_response rs = {.why = "answered", .call = call};
    long status = 0;

    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    rs.status = (unsigned) status;
    rs.body_bytes = call->answer.kept.bytes;
    rs.body = call->answer.stream ? "" : buffer_text(&call->answer.kept);
    if (rs.body)
        call_tell(call, &rs);
    else
        http_call_fail(call, UV_ENOMEM, "no memory");
}

int
http_call_error(const struct http_call *call, CURLcode code)
{
    if (code == CURLE_OK)
        return http_body_finish(&call->answer);
    if (call->error)
        return call->error;
    if (code == CURLE_COULDNT_CONNECT && call->refused && !call->admitted)
        return call->refused;
    return curl_error(code);
}

void
http_call_finish(struct http_call *call, CURLcode code)
{
    int error = http_call_error(call, code);

    if (error == 0)
        call_answer(call);
    else if (code == CURLE_OK)
        http_call_fail(call, error, "its coding is broken");
    else if (call->error)
        http_call_fail(call, error, call->why);
    else if (call->refused && error == call->refused)
        http_call_fail(call, error, "its address is refused");
    else if (error == UV_ETIMEDOUT)
        http_call_fail(call, error, "connect");
    else if (error == UV_EMSGSIZE)
        http_call_fail(call, error, "the answer is too large");
    else
        http_call_fail(call, error, curl_easy_strerror(code));
}

const char *
http_response_header(const struct http_response *rs, const char *name)
{
    struct curl_header *header;

    if (!rs->call->easy
        || curl_easy_header(rs->call->easy, name, 0, CURLH_HEADER, -1, &header)
               != CURLHE_OK)
        return NULL;
    return header->value;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   http_request ─► easy handle ─► curl ─► a stream of a connection
 *   done ◄─ http_body (capped) ◄─ on_body, on_header ◄─ curl
 *
 * Curl tells by callbacks how far it is: a name is looked up or a socket
 * opened (a connection of its own), the request is about to go out (it has a
 * connection), bytes come.
 */

#include "gate/http_call.h"

#include "base/clock.h"
#include "gate/http_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* --- what curl tells */

static void
phase_enter(struct http_call *call, enum http_phase phase)
{
    call->phase = phase;
    call->stamp_ms = clock_now_ms();
}

void
http_call_connecting(struct http_call *call)
{
    phase_enter(call, HTTP_CONNECTING);
}

void
http_call_wait(struct http_call *call)
{
    call->phase = HTTP_WAITING;
    call->stamp_ms = call->sent_ms;
}

static int
on_resolve(void *resolver, void *reserved, void *arg)
{
    (void) resolver;
    (void) reserved;
    phase_enter(arg, HTTP_CONNECTING);
    return 0;
}

static int
on_request_begins(void *arg, char *peer_ip, char *own_ip, int peer_port,
                  int own_port)
{
    struct http_call *call = arg;

    (void) peer_ip;
    (void) own_ip;
    (void) peer_port;
    (void) own_port;
    phase_enter(call, HTTP_WRITING);
    if (call->origin && call->origin->opener == call)
        call->origin->opener = NULL;
    return CURL_PREREQFUNC_OK;
}

bool
http_call_admits(struct http_call *call, const struct sockaddr *address)
{
    int err = call->guard ? call->guard(call->guard_arg, address) : 0;

    if (err == 0)
        call->admitted = true;
    else
        call->refused = err;
    return err == 0;
}

static int
call_blame(struct http_call *call, int error, const char *why)
{
    call->error = error;
    call->why = why;
    return error;
}

/* All Content-Encoding lines are one list (RFC 9110 5.3). */
static enum body_coding
head_coding(CURL *easy)
{
    enum body_coding coding = BODY_IDENTITY;
    struct curl_header *line;
    size_t i = 0;

    while (
        curl_easy_header(easy, "Content-Encoding", i++, CURLH_HEADER, -1, &line)
        == CURLHE_OK)
        coding = body_coding_add(coding, line->value, strlen(line->value));
    return coding;
}

static int
head_tell(struct http_call *call, unsigned status)
{
    const struct http_response rs = {
        .why = "answering", .status = status, .body = "", .call = call};
    const struct http_stream *stream = call->answer.stream;
    int err = 0;

    call->head_seen = true;
    if (call->inflates)
        err = http_body_open(&call->answer, head_coding(call->easy));
    if (err != 0)
        return call_blame(call, err, "its coding is not known");
    if (stream && stream->on_head)
        err = stream->on_head(call->arg, &rs);
    return err == 0 ? 0 : call_blame(call, err, "its reader ended it");
}

/* The empty line behind the headers; not those of an interim answer, and not
 * trailers. */
static int
head_end(struct http_call *call)
{
    long status = 0;

    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || call->head_seen)
        return 0;
    return head_tell(call, (unsigned) status);
}

static bool
is_cancelled(struct http_call *call)
{
    if (atomic_load(&call->cancelled))
        call_blame(call, UV_ECANCELED, "cancelled");
    return call->error == UV_ECANCELED;
}

static size_t
on_header(char *line, size_t size, size_t count, void *arg)
{
    struct http_call *call = arg;
    size_t bytes = size * count;

    phase_enter(call, HTTP_READING);
    if (bytes > HTTP_CLIENT_HEADER_MAX - call->header_bytes) {
        call_blame(call, UV_EMSGSIZE, "the answer is too large");
        return 0;
    }
    call->header_bytes += bytes;
    if (is_cancelled(call))
        return 0;
    if (bytes <= 2 && (*line == '\r' || *line == '\n') && head_end(call) != 0)
        return 0;
    return bytes;
}

static const char *
body_why(int err)
{
    if (err == UV_EMSGSIZE)
        return "the answer is too large";
    if (err == UV_EPROTO)
        return "its coding is broken";
    return err == UV_ENOMEM ? "no memory" : "its reader ended it";
}

static void
resume_post(struct http_call *call)
{
    if (call->resuming)
        return;
    call->resuming = true;
    atomic_fetch_add(&call->shares, 1);
    loop_post(call->loop, &call->resume_task);
}

static size_t
on_body(char *data, size_t size, size_t count, void *arg)
{
    struct http_call *call = arg;
    size_t bytes = size * count;
    int err;

    phase_enter(call, HTTP_READING);
    if (is_cancelled(call))
        return bytes + 1; /* 0 would do for an empty piece */
    err = http_body_push(&call->answer, data, bytes);
    if (err == UV_EAGAIN) {
        if (!call->answer.paused)
            resume_post(call);
        return CURL_WRITEFUNC_PAUSE;
    }
    if (err != 0) {
        call_blame(call, err, body_why(err));
        return bytes + 1;
    }
    return bytes;
}

void
http_call_pause(struct http_call *call)
{
    call->answer.paused = true;
}

void
http_call_resume(struct http_call *call)
{
    if (!call->answer.paused)
        return;
    call->answer.paused = false;
    if (!call->finished)
        resume_post(call);
}

CURLcode
http_call_continue(struct http_call *call)
{
    phase_enter(call, HTTP_READING);
    http_body_rested(&call->answer);
    return curl_easy_pause(call->easy, CURLPAUSE_CONT);
}

/* --- setting up */

static int
header_add(struct http_call *call, const char *name, const char *value)
{
    size_t bytes = strlen(name) + strlen(value) + 3;
    char *line = malloc(bytes);
    struct curl_slist *list = NULL;

    if (line) {
        /* curl's way to say that a header is there and empty */
        snprintf(line, bytes, *value ? "%s: %s" : "%s;%s", name, value);
        list = curl_slist_append(call->headers, line);
    }
    free(line);
    if (list)
        call->headers = list;
    return list ? 0 : UV_ENOMEM;
}

/* A header that curl would add of itself; the request's own goes before. */
static int
header_suppress(struct http_call *call, const struct http_request *rq,
                const char *name, const char *without)
{
    struct curl_slist *list;

    for (size_t i = 0; i < rq->header_count; i++)
        if (strcasecmp(rq->headers[i].name, name) == 0)
            return 0;
    list = curl_slist_append(call->headers, without);
    if (list)
        call->headers = list;
    return list ? 0 : UV_ENOMEM;
}

static int
headers_set(struct http_call *call, const struct http_request *rq)
{
    int err = 0;

    for (size_t i = 0; i < rq->header_count && err == 0; i++)
        err = header_add(call, rq->headers[i].name, rq->headers[i].value);
    if (err == 0 && rq->inflates)
        err = header_add(call, "Accept-Encoding", "gzip, deflate");
    if (err == 0)
        err = header_suppress(call, rq, "Content-Type", "Content-Type:");
    if (err == 0)
        err = header_suppress(call, rq, "Expect", "Expect:");
    if (err == 0)
        curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
    return err;
}

static int
body_set(struct http_call *call, const struct http_request *rq)
{
    CURL *easy = call->easy;
    bool body = rq->body || strcmp(rq->method, "POST") == 0;
    CURLcode code = CURLE_OK;

    if (body) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t) rq->body_bytes);
        code = curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS,
                                rq->body_bytes ? rq->body : "");
    } else if (strcmp(rq->method, "HEAD") == 0) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, rq->method);
    return code == CURLE_OK ? 0 : UV_ENOMEM;
}

static int
peer_set(CURL *easy, const struct http_request *rq)
{
    bool proxy = rq->proxy && *rq->proxy;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, rq->url);
    bool is_tls = strncasecmp(rq->url, "https:", 6) == 0;

    /* Rather a stream of a connection that is being made than one more; but
     * without TLS it has no streams, and who waits for it learns that with its
     * first answer alone. */
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, is_tls ? 1L : 0L);

    if (code == CURLE_OK) /* "" keeps the environment's out */
        code = curl_easy_setopt(easy, CURLOPT_PROXY, proxy ? rq->proxy : "");
    if (code == CURLE_OK)
        code = curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    if (code == CURLE_OK && rq->ca_file && *rq->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
        code = curl_easy_setopt(easy, CURLOPT_CAINFO, rq->ca_file);
    }
    return code == CURLE_OK ? 0 : UV_ENOMEM;
}

static void
manners_set(struct http_call *call, uint64_t connect_ms)
{
    CURL *easy = call->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* Or the loop would wait for a name server when a request is given up. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) connect_ms);
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_RESOLVER_START_FUNCTION, on_resolve);
    curl_easy_setopt(easy, CURLOPT_RESOLVER_START_DATA, call);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request_begins);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
}

/* How the answer is to come. */
static void
answer_set(struct http_call *call, const struct http_request *rq)
{
    CURL *easy = call->easy;

    http_body_init(&call->answer, rq, call->arg);
    call->inflates = rq->inflates;
    call->total_ms = rq->total_ms;
    call->read_ms = rq->read_ms;
    call->guard = rq->guard;
    call->guard_arg = rq->guard_arg;
    if (!rq->stream && !rq->inflates)
        curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE,
                         (curl_off_t) call->answer.max_bytes);
    if (rq->stream)
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                         (long) CURL_HTTP_VERSION_1_1);
    if (rq->guard) {
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    }
}

static int
call_configure(struct http_call *call, const struct http_request *rq,
               uint64_t connect_ms)
{
    int err;

    call->easy = curl_easy_init();
    if (!call->easy)
        return UV_ENOMEM;
    manners_set(call, connect_ms);
    answer_set(call, rq);
    call->body_bytes = rq->body_bytes;
    /* The others share their connection with nobody. */
    if (!rq->stream && !rq->guard) {
        call->origin_name = http_request_origin(rq);
        if (!call->origin_name)
            return UV_ENOMEM;
    }
    err = peer_set(call->easy, rq);
    if (err == 0)
        err = body_set(call, rq);
    return err == 0 ? headers_set(call, rq) : err;
}

int
http_call_create(struct http_call **callp, const struct http_request *rq,
                 uint64_t connect_ms)
{
    struct http_call *call;
    int err;

    if (!http_request_is_valid(rq))
        return UV_EINVAL;
    if (rq->body_bytes > HTTP_CLIENT_BODY_MAX)
        return UV_EMSGSIZE;
    call = calloc(1, sizeof(*call));
    if (!call)
        return UV_ENOMEM;
    atomic_init(&call->shares, 1);
    call->sent_ms = clock_now_ms();
    http_call_wait(call);
    err = call_configure(call, rq, connect_ms);
    if (err != 0) {
        http_call_unref(call);
        return err;
    }
    *callp = call;
    return 0;
}

/* The last share may be dropped on any thread: by then, nothing of curl's that
 * others use is left in it. */
void
http_call_unref(struct http_call *call)
{
    if (atomic_fetch_sub(&call->shares, 1) > 1)
        return;
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    http_body_deinit(&call->answer);
    free(call->origin_name);
    free(call);
}

/* --- how long it takes */

/* A socket that takes nothing is the writer's trouble, until all is out. */
static void
call_note_sent(struct http_call *call)
{
    curl_off_t sent = 0;

    if (call->phase != HTTP_WRITING)
        return;
    curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    if ((uint64_t) sent >= call->body_bytes) {
        /* The stamp stays: it went out at once, or the last tick saw it. */
        call->phase = HTTP_READING;
    } else if ((uint64_t) sent != call->sent_bytes) {
        call->sent_bytes = (uint64_t) sent;
        call->stamp_ms = clock_now_ms();
    }
}

const char *
http_call_overdue(struct http_call *call, const struct http_limits *limits,
                  uint64_t now_ms)
{
    uint64_t for_ms;

    call_note_sent(call);
    if (call->total_ms && now_ms >= call->sent_ms
        && now_ms - call->sent_ms >= call->total_ms)
        return "total";
    for_ms = now_ms > call->stamp_ms ? now_ms - call->stamp_ms : 0;
    if (call->phase == HTTP_WAITING && for_ms >= limits->pool_wait_ms)
        return "pool";
    if (call->phase == HTTP_WRITING && for_ms >= limits->write_ms)
        return "write";
    if (call->phase == HTTP_READING && !call->answer.paused
        && for_ms >= (call->read_ms ? call->read_ms : limits->read_ms))
        return "read";
    return NULL;
}

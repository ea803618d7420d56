/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   socket ─► curl_easy_recv ─► on_bytes
 *   socket ◄─ curl_easy_send ◄─ chunks
 *
 * libcurl connects by its multi interface (CONNECT_ONLY); from then on the
 * socket is ours to poll and curl's to read and write. Three of its laws: the
 * easy handle stays in the multi for life (removing it closes the connection);
 * what waits inside TLS raises no event, so reads go on until CURLE_AGAIN;
 * and a send that got CURLE_AGAIN is repeated from the same address, so the
 * queue is made of chunks that never move.
 */

#include "gate/curl_stream.h"

#include "gate/curl_cache.h"
#include "gate/curl_hub.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES   16384
#define READS_A_TURN 64 /* then the loop's others have theirs */

enum stream_state {
    STREAM_CONNECTING, /* curl's */
    STREAM_CONNECTED,
    STREAM_LOST,  /* told; waits to be closed */
    STREAM_CLOSED /* handles are closing, on_closed follows */
};

struct chunk {
    struct chunk *next;
    size_t bytes, sent;
    uint8_t data[];
};

struct curl_stream {
    enum stream_state state;
    struct curl_stream_handlers handlers;
    void *arg;
    uv_loop_t *uv;
    CURL *easy;
    struct curl_hub *hub;        /* has its turns while it connects */
    struct curl_hub_user user;   /* of easy, at the hub */
    uv_timer_t again;            /* a turn's rest, or a fault to tell */
    uv_poll_t poll;              /* once connected */
    bool polling;                /* `poll` is a handle */
    unsigned parts;              /* to be closed: again, poll */
    int events;                  /* what poll waits for */
    bool broken;                 /* a send failed */
    bool paused;                 /* nothing is read */
    bool full;                   /* the socket left bytes in the queue */
    char error[CURL_ERROR_SIZE]; /* curl's words while it connects */
    struct chunk *first, **last;
    size_t queued_bytes;
};

int
curl_stream_library_open(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : UV_EIO;
}

void
curl_stream_library_close(void)
{
    curl_cache_close_all();
    curl_global_cleanup();
}

/* --- the end */

static void
part_gone(struct curl_stream *s)
{
    if (--s->parts)
        return;
    while (s->first) {
        struct chunk *chunk = s->first;
        s->first = chunk->next;
        free(chunk);
    }
    s->handlers.on_closed(s->arg);
    free(s);
}

static void
on_handle_closed(uv_handle_t *handle)
{
    part_gone(handle->data);
}

void
curl_stream_close(struct curl_stream *s)
{
    if (s->state == STREAM_CLOSED)
        return;
    s->state = STREAM_CLOSED;
    if (s->polling) /* before curl closes its descriptor */
        uv_close((uv_handle_t *) &s->poll, on_handle_closed);
    curl_hub_remove(s->hub, s->easy);
    curl_easy_cleanup(s->easy);
    curl_hub_unref(&s->hub);
    uv_close((uv_handle_t *) &s->again, on_handle_closed);
}

static void
lost(struct curl_stream *s, enum curl_stream_fault fault, const char *why)
{
    if (s->state >= STREAM_LOST)
        return;
    s->state = STREAM_LOST;
    if (s->polling)
        uv_poll_stop(&s->poll);
    uv_timer_stop(&s->again);
    s->handlers.on_lost(s->arg, fault, why);
}

/* --- sending and receiving */

static void on_socket(uv_poll_t *poll, int status, int events);
static void on_again(uv_timer_t *timer);

static void
poll_update(struct curl_stream *s)
{
    int events = (s->paused ? 0 : UV_READABLE) | (s->full ? UV_WRITABLE : 0);
    if (s->state != STREAM_CONNECTED || events == s->events)
        return;
    s->events = events;
    if (events)
        uv_poll_start(&s->poll, events, on_socket);
    else
        uv_poll_stop(&s->poll);
}

static void
queue_flush(struct curl_stream *s)
{
    while (s->first && !s->broken) {
        struct chunk *chunk = s->first;
        size_t sent = 0;
        CURLcode code = curl_easy_send(s->easy, chunk->data + chunk->sent,
                                       chunk->bytes - chunk->sent, &sent);
        if (code == CURLE_AGAIN)
            return;
        if (code != CURLE_OK) {
            s->broken = true;
            return;
        }
        chunk->sent += sent;
        s->queued_bytes -= sent;
        if (chunk->sent < chunk->bytes)
            continue;
        s->first = chunk->next;
        if (!s->first)
            s->last = &s->first;
        free(chunk);
    }
}

uint8_t *
curl_stream_push(struct curl_stream *s, size_t bytes)
{
    struct chunk *chunk = malloc(sizeof(*chunk) + bytes);
    if (!chunk)
        return NULL;
    *chunk = (struct chunk){.bytes = bytes};
    *s->last = chunk;
    s->last = &chunk->next;
    s->queued_bytes += bytes;
    return chunk->data;
}

void
curl_stream_flush(struct curl_stream *s)
{
    if (s->state != STREAM_CONNECTED)
        return;
    queue_flush(s);
    s->full |= s->first != NULL;
    if (s->broken)
        uv_timer_start(&s->again, on_again, 0, 0);
    poll_update(s);
}

size_t
curl_stream_queued_bytes(const struct curl_stream *s)
{
    return s->queued_bytes;
}

static void
socket_read(struct curl_stream *s)
{
    uint8_t data[READ_BYTES];

    for (unsigned i = 0; i < READS_A_TURN; i++) {
        size_t n = 0;
        CURLcode code = curl_easy_recv(s->easy, data, sizeof(data), &n);
        if (code == CURLE_AGAIN)
            return;
        if (code != CURLE_OK || n == 0) {
            lost(s, CURL_STREAM_BROKEN,
                 code == CURLE_OK ? "the server closed the connection"
                                  : curl_easy_strerror(code));
            return;
        }
        s->handlers.on_bytes(s->arg, data, n);
        if (s->state != STREAM_CONNECTED || s->paused)
            return;
    }
    uv_timer_start(&s->again, on_again, 0, 0);
}

/* What the server said before the connection broke is read first. */
static void
on_again(uv_timer_t *timer)
{
    struct curl_stream *s = timer->data;
    if (s->paused && !s->broken)
        return;
    socket_read(s);
    if (s->broken && !uv_is_active((uv_handle_t *) &s->again))
        lost(s, CURL_STREAM_BROKEN, "the connection broke");
}

void
curl_stream_pause(struct curl_stream *s, bool paused)
{
    if (s->paused == paused)
        return;
    s->paused = paused;
    if (s->state != STREAM_CONNECTED)
        return;
    poll_update(s);
    if (!paused) /* what waits inside TLS raises no event */
        uv_timer_start(&s->again, on_again, 0, 0);
}

static void
on_socket(uv_poll_t *poll, int status, int events)
{
    struct curl_stream *s = poll->data;

    (void) events; /* TLS may want to read in order to write: try both */
    if (status < 0) {
        lost(s, CURL_STREAM_BROKEN, uv_strerror(status));
        return;
    }
    curl_stream_flush(s);
    /* Also when what emptied it was a send from elsewhere. */
    if (s->full && !s->first) {
        s->full = false;
        poll_update(s);
        s->handlers.on_drained(s->arg);
    }
    if (s->state == STREAM_CONNECTED && !s->paused)
        socket_read(s);
}

/* --- connecting */

static void
connected(struct curl_stream *s)
{
    curl_socket_t fd = CURL_SOCKET_BAD;

    curl_easy_getinfo(s->easy, CURLINFO_ACTIVESOCKET, &fd);
    if (fd == CURL_SOCKET_BAD || uv_poll_init(s->uv, &s->poll, fd) != 0) {
        lost(s, CURL_STREAM_NO_CONNECT, "no socket");
        return;
    }
    s->poll.data = s;
    s->polling = true;
    s->parts++;
    s->state = STREAM_CONNECTED;
    poll_update(s);
    s->handlers.on_connected(s->arg);
}

static enum curl_stream_fault
fault_of(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return CURL_STREAM_NO_NAME;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
        return CURL_STREAM_NO_TLS;
    default:
        return CURL_STREAM_NO_CONNECT;
    }
}

static void
connect_failed(struct curl_stream *s, CURLcode code)
{
    const char *why = s->error[0] ? s->error : curl_easy_strerror(code);
    char text[64];
    long status = 0;

    curl_easy_getinfo(s->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    if (status == 0 || status / 100 == 2) {
        lost(s, fault_of(code), why);
        return;
    }
    snprintf(text, sizeof(text), "the proxy refused with status %ld", status);
    lost(s, CURL_STREAM_NO_PROXY, text);
}

static void
on_curl_done(void *arg, CURLcode code)
{
    struct curl_stream *s = arg;

    if (s->state != STREAM_CONNECTING)
        return;
    if (code == CURLE_OK)
        connected(s);
    else
        connect_failed(s, code);
}

/*
 * The name and the password are told apart from the URL: curl quotes an URL
 * that it can't use in its error texts.
 */
static int
proxy_configure(struct curl_stream *s, const char *proxy)
{
    char *user = NULL, *password = NULL, *scheme = NULL, *bare = NULL;
    CURLU *url = curl_url();
    int result = UV_EINVAL;

    if (!url)
        return UV_ENOMEM;
    if (curl_url_set(url, CURLUPART_URL, proxy, 0) == CURLUE_OK
        && curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK
        && strcmp(scheme, "http") == 0) {
        curl_url_get(url, CURLUPART_USER, &user, CURLU_URLDECODE);
        curl_url_get(url, CURLUPART_PASSWORD, &password, CURLU_URLDECODE);
        curl_url_set(url, CURLUPART_USER, NULL, 0);
        curl_url_set(url, CURLUPART_PASSWORD, NULL, 0);
        if (curl_url_get(url, CURLUPART_URL, &bare, 0) == CURLUE_OK)
            result = 0;
    }
    if (!result) {
        curl_easy_setopt(s->easy, CURLOPT_PROXY, bare);
        curl_easy_setopt(s->easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
        curl_easy_setopt(s->easy, CURLOPT_PROXYAUTH, (long) CURLAUTH_BASIC);
        curl_easy_setopt(s->easy, CURLOPT_PROXYUSERNAME, user);
        curl_easy_setopt(s->easy, CURLOPT_PROXYPASSWORD, password);
    }
    curl_free(user);
    curl_free(password);
    curl_free(scheme);
    curl_free(bare);
    curl_url_cleanup(url);
    return result;
}

static void
tls_configure(struct curl_stream *s, const char *ca_file)
{
    struct curl_cache *cache = curl_cache_get(ca_file);

    curl_easy_setopt(s->easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(s->easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(s->easy, CURLOPT_SSLVERSION,
                     (long) CURL_SSLVERSION_TLSv1_2);
    if (cache) {
        curl_cache_apply(cache, s->easy);
    } else if (ca_file) { /* it can't be read: curl says so */
        curl_easy_setopt(s->easy, CURLOPT_CAINFO, ca_file);
        curl_easy_setopt(s->easy, CURLOPT_CAPATH, NULL);
    }
}

static int
curl_configure(struct curl_stream *s, const struct curl_stream_config *cfg)
{
    curl_easy_setopt(s->easy, CURLOPT_URL, cfg->url);
    curl_easy_setopt(s->easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(s->easy, CURLOPT_NOSIGNAL, 1L);
    /* Its own buffer is for a proxy's answer: ours is read into ours. */
    curl_easy_setopt(s->easy, CURLOPT_BUFFERSIZE, 1024L);
    /* Or closing would wait, on the loop, for a resolver that has not answered;
     * its thread ends and frees by itself. */
    curl_easy_setopt(s->easy, CURLOPT_QUICK_EXIT, 1L);
    /* No h2 by ALPN: it would take the handshake for an HTTP/2 request. */
    curl_easy_setopt(s->easy, CURLOPT_HTTP_VERSION,
                     (long) CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(s->easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(s->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(s->easy, CURLOPT_ERRORBUFFER, s->error);
    curl_easy_setopt(s->easy, CURLOPT_PROXY, ""); /* not the environment's */
    tls_configure(s, cfg->ca_file);
    return cfg->proxy ? proxy_configure(s, cfg->proxy) : 0;
}

/* Before it is on the loop. */
static void
stream_free(struct curl_stream *s)
{
    curl_easy_cleanup(s->easy);
    curl_hub_unref(&s->hub);
    free(s);
}

int
curl_stream_open(struct curl_stream **sp, const struct curl_stream_config *cfg,
                 const struct curl_stream_handlers *handlers, void *arg)
{
    struct curl_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return UV_ENOMEM;
    s->easy = curl_easy_init();
    s->uv = cfg->uv;
    s->handlers = *handlers;
    s->arg = arg;
    s->last = &s->first;
    s->user = (struct curl_hub_user){on_curl_done, s};
    s->hub = curl_hub_ref(s->uv);
    int result = s->easy && s->hub ? curl_configure(s, cfg) : UV_ENOMEM;
    if (!result) /* wants its first turn */
        result = curl_hub_add(s->hub, s->easy, &s->user);
    if (result) {
        stream_free(s);
        return result;
    }
    s->parts = 1; /* again */
    uv_timer_init(s->uv, &s->again);
    s->again.data = s;
    *sp = s;
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/ws_client.h"

#include "codec/base64.h"
#include "codec/ws_frame.h"
#include "gate/crypto.h"
#include "gate/curl_stream.h"
#include "gate/ws_opening.h"

#include <dlfcn.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY "sk-marker-of-the-tests"

/*
 * A server on the loop of the client: takes one connection, answers its
 * handshake with `answer` (NULL: as RFC 6455 wants it), then sends `then`;
 * `drip_ms` sends the answer a byte at a time.
 */
static struct {
    uv_loop_t uv;
    uv_tcp_t listener, peer;
    uv_timer_t drip, later;
    bool connected, hang_up;
    char request[8192];
    size_t request_bytes, frames_at;
    unsigned pings, pongs;
    bool answered, deaf;
    const char *answer;
    const char *then;
    size_t then_bytes;
    unsigned drip_ms;
    char head[256];
    size_t head_sent;

    struct ws_client *client;
    char heard[1024];
    size_t message_bytes;
    unsigned drained;
    bool closed;
    uint16_t code;
    char reason[256], refusal[WS_REFUSAL_MAX + 1];
    enum ws_client_fault fault;
    unsigned status;
} rig;

/* libcurl's resolver, in a thread of libcurl's: one name takes its time. */
static atomic_bool resolving, resolver_let_go;

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
            struct addrinfo **out)
{
    typedef int resolve_h(const char *, const char *, const struct addrinfo *,
                          struct addrinfo **);
    static resolve_h *real;

    if (node && strcmp(node, "slow.invalid") == 0) {
        resolving = true;
        while (!resolver_let_go)
            usleep(1000);
        resolving = false;
        return EAI_AGAIN;
    }
    if (!real)
        *(void **) &real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(node, service, hints, out);
}

static void
on_written(uv_write_t *rq, int status)
{
    (void) status;
    free(rq);
}

static void
peer_write(const void *data, size_t bytes)
{
    uv_write_t *rq = malloc(sizeof(*rq) + bytes);
    char *copy = (char *) (rq + 1);
    uv_buf_t buf = uv_buf_init(copy, (unsigned) bytes);

    memcpy(copy, data, bytes);
    if (uv_write(rq, (uv_stream_t *) &rig.peer, &buf, 1, on_written) != 0)
        free(rq);
}

static void
on_drip(uv_timer_t *timer)
{
    if (uv_is_closing((uv_handle_t *) &rig.peer) || !rig.head[rig.head_sent])
        uv_timer_stop(timer);
    else
        peer_write(rig.head + rig.head_sent++, 1);
}

static void
peer_close(void)
{
    if (rig.connected && !uv_is_closing((uv_handle_t *) &rig.peer))
        uv_close((uv_handle_t *) &rig.peer, NULL);
}

static void
handshake_answer(void)
{
    const char *key = strstr(rig.request, "Sec-WebSocket-Key: ") + 19;
    uint8_t digest[CRYPTO_SHA1_BYTES];
    char text[80], accept[32] = "";

    snprintf(text, sizeof(text), "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
             key);
    crypto_sha1(text, strlen(text), digest);
    base64_encode(accept, digest, sizeof(digest));
    snprintf(rig.head, sizeof(rig.head),
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Accept: %.28s\r\n\r\n",
             accept);
    if (rig.drip_ms) {
        uv_timer_start(&rig.drip, on_drip, rig.drip_ms, rig.drip_ms);
    } else if (rig.answer) {
        peer_write(rig.answer, strlen(rig.answer));
        if (rig.hang_up)
            peer_close();
    } else {
        peer_write(rig.head, strlen(rig.head));
        if (rig.then)
            peer_write(rig.then, rig.then_bytes);
    }
}

/* Pings of the client are answered unless the server is deaf. */
static void
frames_look(void)
{
    while (rig.frames_at + 6 <= rig.request_bytes) {
        const char *at = rig.request + rig.frames_at;
        size_t bytes = (size_t) (at[1] & 0x7f);
        if (((uint8_t) at[0] & 15) == WS_PING) {
            rig.pings++;
            if (!rig.deaf)
                peer_write("\x8a\x00", 2);
        }
        rig.frames_at += 6 + bytes;
    }
}

static void
on_peer_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void) handle;
    (void) suggested;
    *buf =
        uv_buf_init(rig.request + rig.request_bytes,
                    (unsigned) (sizeof(rig.request) - 1 - rig.request_bytes));
}

static void
on_peer_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void) stream;
    (void) buf;
    if (n < 0) {
        peer_close();
        return;
    }
    rig.request_bytes += (size_t) n;
    rig.request[rig.request_bytes] = '\0';
    char *end = strstr(rig.request, "\r\n\r\n");
    if (end && !rig.answered) {
        rig.answered = true;
        rig.frames_at = (size_t) (end - rig.request) + 4;
        handshake_answer();
    }
    if (rig.answered && rig.request_bytes < sizeof(rig.request) - 100)
        frames_look();
}

static void
on_peer(uv_stream_t *listener, int status)
{
    assert_int_equal(status, 0);
    uv_tcp_init(&rig.uv, &rig.peer);
    assert_int_equal(uv_accept(listener, (uv_stream_t *) &rig.peer), 0);
    rig.connected = true;
    uv_read_start((uv_stream_t *) &rig.peer, on_peer_room, on_peer_bytes);
}

static void
on_open(void *arg, const char *subprotocol)
{
    (void) arg;
    snprintf(rig.heard, sizeof(rig.heard), "open|");
    assert_string_equal(subprotocol, "");
}

static void
on_message(void *arg, bool text, const uint8_t *data, size_t bytes)
{
    size_t used = strlen(rig.heard);
    (void) arg;
    rig.message_bytes += bytes;
    if (bytes < 100)
        snprintf(rig.heard + used, sizeof(rig.heard) - used, "%c:%s|",
                 text ? 'T' : 'B', (const char *) data);
}

static void
on_writable(void *arg)
{
    (void) arg;
    rig.drained++;
    ws_client_close(rig.client, 1000, "");
}

static void
on_closed(void *arg, uint16_t code, const char *reason)
{
    (void) arg;
    rig.closed = true;
    rig.code = code;
    snprintf(rig.reason, sizeof(rig.reason), "%s", reason);
    snprintf(rig.refusal, sizeof(rig.refusal), "%s",
             ws_client_refusal(rig.client));
    rig.fault = ws_client_fault(rig.client);
    rig.status = ws_client_status(rig.client);
    rig.client = NULL;
    if (!uv_is_closing((uv_handle_t *) &rig.listener))
        uv_close((uv_handle_t *) &rig.listener, NULL);
    if (!uv_is_closing((uv_handle_t *) &rig.drip))
        uv_close((uv_handle_t *) &rig.drip, NULL);
    if (!uv_is_closing((uv_handle_t *) &rig.later))
        uv_close((uv_handle_t *) &rig.later, NULL);
    if (rig.deaf)
        peer_close();
}

static int
setup(void **state)
{
    struct sockaddr_in where;

    (void) state;
    memset(&rig, 0, sizeof(rig));
    uv_loop_init(&rig.uv);
    uv_ip4_addr("127.0.0.1", 0, &where);
    uv_tcp_init(&rig.uv, &rig.listener);
    uv_timer_init(&rig.uv, &rig.drip);
    uv_timer_init(&rig.uv, &rig.later);
    uv_tcp_bind(&rig.listener, (const struct sockaddr *) &where, 0);
    return uv_listen((uv_stream_t *) &rig.listener, 1, on_peer);
}

static int
teardown(void **state)
{
    (void) state;
    return uv_loop_close(&rig.uv);
}

static int
client_open(const struct ws_client_config *more)
{
    static const struct ws_client_handlers handlers = {.on_open = on_open,
                                                       .on_message = on_message,
                                                       .on_writable =
                                                           on_writable,
                                                       .on_closed = on_closed};
    static const char *const headers[] = {"Authorization: Bearer " KEY, NULL};
    struct ws_client_config cfg = *more;
    struct sockaddr_in where;
    int bytes = sizeof(where);
    char url[64];

    uv_tcp_getsockname(&rig.listener, (struct sockaddr *) &where, &bytes);
    snprintf(url, sizeof(url), "ws://127.0.0.1:%d/v1", ntohs(where.sin_port));
    cfg.uv = &rig.uv;
    cfg.url = cfg.url ? cfg.url : url;
    cfg.headers = headers;
    return ws_client_open(&rig.client, &cfg, &handlers, NULL);
}

/* To the end of all. */
static void
run(const struct ws_client_config *cfg)
{
    assert_int_equal(client_open(cfg), 0);
    uv_run(&rig.uv, UV_RUN_DEFAULT);
    assert_true(rig.closed);
    assert_null(strstr(rig.reason, KEY));
}

#define ENDS(fault_, code_, reason_)                                           \
    do {                                                                       \
        assert_string_equal(rig.reason, reason_);                              \
        assert_int_equal(rig.fault, fault_);                                   \
        assert_int_equal(rig.code, code_);                                     \
    } while (0)

static void
the_peers_code_and_reason_come_up(void **state)
{
    (void) state;
    rig.then = "\x81\x02hi\x88\x06\x0f\xa0"
               "full";
    rig.then_bytes = 12;
    run(&(struct ws_client_config){0});
    assert_string_equal(rig.heard, "open|T:hi|");
    ENDS(WS_FAULT_NONE, 4000, "full");
    assert_non_null(strstr(rig.request, "Authorization: Bearer " KEY "\r\n"));
}

static void
a_refusal_is_read_to_its_end(void **state)
{
    static const struct {
        const char *answer, *body;
        unsigned status;
    } cases[] = {
        {"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nnope", "no", 401},
        {"HTTP/1.1 429 No\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\n{\"a\r\n4;x=1\r\n\":1}\r\n0\r\n\r\n",
         "{\"a\":1}", 429},
        {"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "",
         503},
        {"HTTP/1.1 404 " KEY "\r\nContent-Length: 0\r\n\r\n", "", 404},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (i)
            setup(state);
        rig.answer = cases[i].answer;
        run(&(struct ws_client_config){0});
        assert_string_equal(rig.refusal, cases[i].body);
        assert_int_equal(rig.status, cases[i].status);
        assert_int_equal(rig.fault, WS_FAULT_STATUS);
        assert_int_equal(rig.code, 1006);
        if (i + 1 < sizeof(cases) / sizeof(cases[0]))
            assert_int_equal(teardown(state), 0);
    }
}

static void
a_refusal_may_end_with_its_connection(void **state)
{
    (void) state;
    rig.answer = "HTTP/1.1 500 No\r\n\r\nno length";
    rig.hang_up = true;
    run(&(struct ws_client_config){0});
    ENDS(WS_FAULT_STATUS, 1006, "the upgrade was refused, status 500");
    assert_string_equal(rig.refusal, "no length");
}

static void
garbage_is_no_handshake(void **state)
{
    (void) state;
    rig.answer = "\xa5\xa5\xa5\xa5\r\n\r\n";
    run(&(struct ws_client_config){0});
    ENDS(WS_FAULT_ANSWER, 1006, "the answer is not HTTP/1.1");
}

static void
nothing_is_no_handshake(void **state)
{
    (void) state;
    rig.answer = "HTTP/1.1 101";
    rig.hang_up = true;
    run(&(struct ws_client_config){0});
    ENDS(WS_FAULT_ANSWER, 1006,
         "the server closed the connection instead of an answer");
}

static void
a_slow_loris_meets_the_opening_s_end(void **state)
{
    (void) state;
    rig.drip_ms = 5;
    run(&(struct ws_client_config){.open_timeout_ms = 100});
    ENDS(WS_FAULT_TIMEOUT, 1006, "timeout while opening");
    assert_true(rig.head_sent > 2);
}

static void
nobody_listens(void **state)
{
    (void) state;
    run(&(struct ws_client_config){.url = "ws://127.0.0.1:1/"});
    assert_int_equal(rig.fault, WS_FAULT_CONNECT);
    assert_int_equal(rig.code, 1006);
}

static void
a_gigabyte_is_refused_by_its_head(void **state)
{
    (void) state;
    rig.then = "\x81\x7f\0\0\0\0\x40\0\0\0{";
    rig.then_bytes = 11;
    run(&(struct ws_client_config){.max_message_bytes = 1000000});
    ENDS(WS_FAULT_FRAME, WS_CLOSE_TOO_BIG,
         "a message of the server is too big");
}

static void
pongs_are_no_silence(void **state)
{
    (void) state;
    assert_int_equal(client_open(&(struct ws_client_config){
                         .ping_interval_ms = 100, .read_timeout_ms = 300}),
                     0);
    /* The server sends pongs alone; four pings are longer than the time. */
    while (!rig.closed && rig.pings < 4)
        uv_run(&rig.uv, UV_RUN_ONCE);
    assert_false(rig.closed);
    peer_write("\x88\x02\x03\xe8", 4);
    uv_run(&rig.uv, UV_RUN_DEFAULT);
    assert_true(rig.closed);
    assert_int_equal(rig.fault, WS_FAULT_NONE);
    assert_int_equal(rig.code, 1000);
}

static void
silence_is_death(void **state)
{
    (void) state;
    rig.deaf = true;
    run(&(struct ws_client_config){.ping_interval_ms = 30,
                                   .read_timeout_ms = 100});
    ENDS(WS_FAULT_SILENT, 1006, "silent");
    assert_true(rig.pings >= 2);
}

/* While paused: no message, however long, and no death of silence. */
static void
on_resume(uv_timer_t *timer)
{
    (void) timer;
    assert_int_equal(rig.message_bytes, 0);
    assert_false(rig.closed);
    ws_client_pause(rig.client, false);
}

static void
on_open_pause(uv_timer_t *timer)
{
    (void) timer;
    ws_client_pause(rig.client, true);
    peer_write("\x81\x05hello\x88\x02\x03\xe8", 11);
    uv_timer_start(&rig.later, on_resume, 150, 0);
}

static void
a_paused_client_reads_nothing(void **state)
{
    (void) state;
    assert_int_equal(
        client_open(&(struct ws_client_config){.read_timeout_ms = 100}), 0);
    while (!rig.heard[0])
        uv_run(&rig.uv, UV_RUN_ONCE);
    uv_timer_start(&rig.later, on_open_pause, 0, 0);
    uv_run(&rig.uv, UV_RUN_DEFAULT);
    assert_string_equal(rig.heard, "open|T:hello|");
    ENDS(WS_FAULT_NONE, 1000, "");
}

/* The loop must not wait for a resolver that doesn't answer. */
/* The server's kernel gives us all that it has. */
static void
peer_empty(void)
{
    static char bytes[65536];
    uv_os_fd_t fd = -1;

    uv_fileno((uv_handle_t *) &rig.peer, &fd);
    while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
}

/* What is sent between two looks at the socket may be what empties the queue;
 * who waits for room is told all the same. */
static void
a_send_that_empties_the_queue_makes_room_too(void **state)
{
    static char text[65536];

    (void) state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(client_open(&(struct ws_client_config){0}), 0);
    while (!strstr(rig.heard, "open"))
        uv_run(&rig.uv, UV_RUN_ONCE);
    uv_read_stop((uv_stream_t *) &rig.peer);
    while (ws_client_queued_bytes(rig.client) == 0)
        assert_int_equal(ws_client_send(rig.client, true, text, sizeof(text)),
                         0);
    while (ws_client_queued_bytes(rig.client) > 0) {
        peer_empty();
        usleep(1000);
        assert_int_equal(ws_client_send(rig.client, true, "x", 1), 0);
    }
    peer_empty();
    for (int i = 0; i < 200 && !rig.drained; i++) {
        uv_run(&rig.uv, UV_RUN_NOWAIT);
        usleep(1000);
    }
    assert_int_equal(rig.drained, 1);
    peer_close();
    uv_run(&rig.uv, UV_RUN_DEFAULT);
    assert_true(rig.closed);
}

static void
a_slow_resolver_holds_nobody_up(void **state)
{
    (void) state;
    resolver_let_go = false;
    run(&(struct ws_client_config){.url = "ws://slow.invalid/",
                                   .open_timeout_ms = 100});
    ENDS(WS_FAULT_TIMEOUT, 1006, "timeout while opening");
    assert_true(resolving);
    resolver_let_go = true;
    while (resolving)
        usleep(1000);
    usleep(20000); /* the thread frees what is its own */
}

static void
bad_settings_are_told_at_once(void **state)
{
    static const struct ws_client_config bad[] = {
        {.url = "http://127.0.0.1/"},
        {.url = "ws://user:pw@127.0.0.1/"},
        {.url = "ws://127.0.0.1/a b"},
        {.url = "ws://127.0.0.1/", .subprotocols = "a\r\nX: y"},
        {.url = "ws://127.0.0.1/", .proxy = "socks5://127.0.0.1:1"},
        {.url = "ws://127.0.0.1/", .proxy = "http://a b"},
    };
    (void) state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(client_open(&bad[i]), UV_EINVAL);
    run(&(struct ws_client_config){.url = "ws://127.0.0.1:1/"});
}

static enum ws_opening_state
opening_feed(const char *answer, size_t step, struct ws_opening *o)
{
    const struct ws_opening_config cfg = {.url = "ws://h/"};
    enum ws_opening_state got = WS_OPENING_MORE;
    char *url = NULL;

    assert_int_equal(ws_opening_init(o, &cfg, &url), 0);
    free(url);
    for (size_t at = 0; answer[at] && got == WS_OPENING_MORE;) {
        size_t n = strnlen(answer + at, step);
        got = ws_opening_push(o, answer + at, n);
        at += n;
    }
    return got;
}

static void
an_answer_may_come_in_pieces(void **state)
{
    static const char chunked[] =
        "HTTP/1.1 429 No\r\ntransfer-encoding: Chunked\r\n\r\n"
        "A\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n";
    struct ws_opening o;

    (void) state;
    for (size_t step = 1; step < sizeof(chunked); step++) {
        assert_int_equal(opening_feed(chunked, step, &o), WS_OPENING_REFUSED);
        assert_string_equal(o.body, "0123456789x");
        ws_opening_deinit(&o);
    }
    assert_int_equal(opening_feed("HTTP/1.1 401 No\r\nContent-Length: 9\r\n"
                                  "\r\nshort",
                                  7, &o),
                     WS_OPENING_MORE);
    assert_int_equal(ws_opening_finish(&o), WS_OPENING_REFUSED);
    assert_string_equal(o.body, "short");
    ws_opening_deinit(&o);
}

static void
a_long_refusal_is_cut(void **state)
{
    struct ws_opening o;
    char *text = malloc(10000);

    (void) state;
    int head = snprintf(text, 100, "HTTP/1.1 500 No\r\n\r\n");
    memset(text + head, 'x', 9000);
    text[head + 9000] = '\0';
    assert_int_equal(opening_feed(text, 100, &o), WS_OPENING_REFUSED);
    assert_int_equal(strlen(o.body), WS_OPENING_BODY_MAX);
    ws_opening_deinit(&o);
    free(text);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_peers_code_and_reason_come_up),
        CASE(a_refusal_is_read_to_its_end),
        CASE(a_refusal_may_end_with_its_connection),
        CASE(garbage_is_no_handshake),
        CASE(nothing_is_no_handshake),
        CASE(a_slow_loris_meets_the_opening_s_end),
        CASE(nobody_listens),
        CASE(a_gigabyte_is_refused_by_its_head),
        CASE(pongs_are_no_silence),
        CASE(silence_is_death),
        CASE(a_paused_client_reads_nothing),
        CASE(a_send_that_empties_the_queue_makes_room_too),
        CASE(a_slow_resolver_holds_nobody_up),
        CASE(bad_settings_are_told_at_once),
        cmocka_unit_test(an_answer_may_come_in_pieces),
        cmocka_unit_test(a_long_refusal_is_cut),
    };
    curl_stream_library_open();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_stream_library_close();
    return failed;
}

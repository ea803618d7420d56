/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/fastcgi_gate.h"

#include "kit/fcgi_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#define STDIN_TYPE 5

static struct {
    struct gate *gate;
    int listen_fd;
    char path[108];
    struct gate_ticket ticket;
    _Atomic int resumed, expired, cancelled, parked;
    _Atomic int taken;
    _Atomic bool kept;
} rig;

static const char *const get[] = {"REQUEST_METHOD", "GET", "DOCUMENT_URI",
                                  "/hi", NULL};

static void
say(struct gate_request *rq, unsigned status, const char *text)
{
    gate_answer(rq, &(struct gate_answer){.status = status,
                                          .content_type = "text/plain",
                                          .body = text,
                                          .body_bytes = strlen(text)});
}

static void
on_resumed(struct gate_request *rq, void *arg)
{
    (void) arg;
    rig.resumed++;
    say(rq, 200, "resumed");
}

static void
on_expired(struct gate_request *rq, void *arg)
{
    (void) arg;
    rig.expired++;
    say(rq, 200, "expired");
}

static void
on_cancelled(void *arg)
{
    (void) arg;
    rig.cancelled++;
}

static void
serve_park(struct gate_request *rq, unsigned deadline_ms)
{
    const struct gate_park park = {deadline_ms, on_resumed, on_expired,
                                   on_cancelled, NULL};

    if (gate_park(rq, &park, &rig.ticket) != 0) {
        gate_answer_busy(rq);
    } else {
        rig.parked++;
    }
}

static void
serve_body(struct gate_request *rq)
{
    const char *body;
    size_t bytes;
    int err = gate_body(rq, &body, &bytes);
    char text[64];

    if (err != 0) {
        say(rq, err == UV_E2BIG ? 413 : 400, "no");
        return;
    }
    assert_int_equal(body[bytes], '\0');
    snprintf(text, sizeof(text), "%zu %.20s", bytes, body);
    say(rq, 200, text);
}

static void
serve_big(struct gate_request *rq)
{
    char *big = malloc(300001);

    memset(big, 'x', 300000);
    big[300000] = '\0';
    say(rq, 200, big);
    free(big);
}

static void
handle(struct gate_request *rq, void *arg)
{
    const char *path = gate_path(rq);

    assert_ptr_equal(arg, &rig);
    if (strcmp(path, "/park") == 0) {
        serve_park(rq, 60000);
    } else if (strcmp(path, "/soon") == 0) {
        serve_park(rq, 30);
    } else if (strcmp(path, "/body") == 0) {
        serve_body(rq);
    } else if (strcmp(path, "/big") == 0) {
        serve_big(rq);
    } else if (strcmp(path, "/take") == 0) {
        rig.kept = gate_keeps_connection(rq);
        rig.taken = gate_take(rq, "Status: 101\r\n\r\n") + 1;
    } else if (strcmp(path, "/param") == 0) {
        const char *value = gate_param(rq, "BIG");

        say(rq, value != NULL && strlen(value) == 20000 ? 200 : 500, "p");
    } else {
        say(rq, 200, "hi");
    }
}

static void
rig_start(unsigned max_parked, const char *secret)
{
    const struct gate_config cfg = {.listen_fd = fcgi_listen(rig.path),
                                    .secret = secret,
                                    .threads = 3,
                                    .max_parked = max_parked,
                                    .max_body_bytes = 1000,
                                    .read_timeout_ms = 300};

    rig.listen_fd = cfg.listen_fd;
    rig.resumed = rig.expired = rig.cancelled = rig.parked = rig.taken = 0;
    assert_int_equal(gate_create(&rig.gate, &cfg, handle, &rig), 0);
    assert_int_equal(gate_start(rig.gate), 0);
}

static void
rig_stop(void)
{
    gate_destroy(&rig.gate);
    assert_null(rig.gate);
    close(rig.listen_fd);
    fcgi_unlink(rig.path);
}

static void
send_request(int fd, bool keep, const char *const *params, const char *body,
             size_t step)
{
    struct fcgi_bytes b = {0};

    fcgi_put_request(&b, keep, params);
    if (body != NULL) {
        if (body[0] != '\0') {
            fcgi_put_record(&b, STDIN_TYPE, body, strlen(body));
        }
        fcgi_put_record(&b, STDIN_TYPE, "", 0);
    }
    fcgi_write(fd, &b, step);
    fcgi_free(&b);
}

/* The answer as a text: headers and body. */
static char *
read_answer(int fd)
{
    static char text[400000];
    struct fcgi_bytes out = {0};

    assert_true(fcgi_read(fd, &out, 0));
    assert_true(out.bytes < sizeof(text));
    memcpy(text, out.data, out.bytes);
    text[out.bytes] = '\0';
    fcgi_free(&out);
    return text;
}

static void
expect_body(int fd, const char *want)
{
    char *text = read_answer(fd), *body = strstr(text, "\r\n\r\n");

    assert_non_null(body);
    assert_string_equal(body + 4, want);
}

static void
test_answers_and_closes(void **state)
{
    int fd;
    char *text;

    (void) state;
    rig_start(8, NULL);
    fd = fcgi_connect(rig.path);
    send_request(fd, false, get, "", 0);
    text = read_answer(fd);
    assert_non_null(strstr(text, "Status: 200 OK\r\n"));
    assert_non_null(strstr(text, "Content-Length: 2\r\n"));
    assert_non_null(strstr(text, "x-request-id: "));
    assert_true(fcgi_is_closed(fd));
    close(fd);
    rig_stop();
}

static void
test_request_id_is_nginx_or_made(void **state)
{
    const char *const good[] = {"VOICE_REQUEST_ID", "abc-1.2_Z", NULL};
    const char *const second[] = {"VOICE_REQUEST_ID", "a b", "REQUEST_ID",
                                  "fine", NULL};
    const char *const bad[] = {"REQUEST_ID", "x\r\nEvil: 1", NULL};
    int fd;

    (void) state;
    rig_start(8, NULL);
    fd = fcgi_connect(rig.path);
    send_request(fd, true, good, "", 0);
    assert_non_null(strstr(read_answer(fd), "x-request-id: abc-1.2_Z\r\n"));
    send_request(fd, true, second, "", 0);
    assert_non_null(strstr(read_answer(fd), "x-request-id: fine\r\n"));
    send_request(fd, true, bad, "", 0);
    assert_null(strstr(read_answer(fd), "Evil"));
    close(fd);
    rig_stop();
}

static void
test_keepalive_serves_1000(void **state)
{
    int fd;

    (void) state;
    rig_start(8, NULL);
    fd = fcgi_connect(rig.path);
    for (int i = 0; i < 1000; i++) {
        send_request(fd, true, get, i % 2 ? "unread body" : "", 0);
        expect_body(fd, "hi");
    }
    assert_int_equal(gate_connection_count(rig.gate), 1);
    close(fd);
    rig_stop();
}

static void
test_dribble_and_big_params(void **state)
{
    char big[20001];
    const char *const params[] = {"DOCUMENT_URI", "/param", "BIG", big, NULL};
    int fd;

    (void) state;
    memset(big, 'b', 20000);
    big[20000] = '\0';
    rig_start(8, NULL);
    fd = fcgi_connect(rig.path);
    send_request(fd, true, get, "body", 1);
    expect_body(fd, "hi");
    send_request(fd, true, params, "", 1000);
    expect_body(fd, "p");
    send_request(fd, true, params, "", 100);
    expect_body(fd, "p");
    close(fd);
    rig_stop();
}

static void
test_bodies(void **state)
{
    const char *const none[] = {"DOCUMENT_URI", "/body", NULL};
    const char *const five[] = {"DOCUMENT_URI", "/body", "CONTENT_LENGTH", "5",
                                NULL};
    const char *const huge[] = {"DOCUMENT_URI", "/body", "CONTENT_LENGTH",
                                "99999999999999999999999", NULL};
    char big[1002];
    int fd;

    (void) state;
    rig_start(8, NULL);
    fd = fcgi_connect(rig.path);
    send_request(fd, true, five, "12345", 3);
    expect_body(fd, "5 12345");
    send_request(fd, true, none, "123", 0);
    expect_body(fd, "3 123");
    send_request(fd, true, none, "", 0);
    expect_body(fd, "0 ");
    send_request(fd, true, five, "1234", 0);
    assert_non_null(strstr(read_answer(fd), "Status: 400 "));
    send_request(fd, true, huge, "1234", 0);
    assert_non_null(strstr(read_answer(fd), "Status: 413 "));
    memset(big, 'b', 1001);
    big[1001] = '\0';
    send_request(fd, true, none, big, 0);
    assert_non_null(strstr(read_answer(fd), "Status: 413 "));
    big[1000] = '\0';
    send_request(fd, true, none, big, 100);
    expect_body(fd, "1000 bbbbbbbbbbbbbbbbbbbb");
    close(fd);
    rig_stop();
}

static void
test_big_answer(void **state)
{
    const char *const params[] = {"DOCUMENT_URI", "/big", NULL};
    int fd;

    (void) state;
    rig_start(8, NULL);
    fd = fcgi_connect(rig.path);
    send_request(fd, true, params, "", 0);
    assert_int_equal(strlen(strstr(read_answer(fd), "\r\n\r\n") + 4), 300000);
    close(fd);
    rig_stop();
}

static bool
no_connections(void *arg)
{
    (void) arg;
    return gate_connection_count(rig.gate) == 0;
}

static void
test_early_close_half_sent_and_garbage(void **state)
{
    struct fcgi_bytes b = {0};
    int fd;

    (void) state;
    rig_start(8, NULL);
    close(fcgi_connect(rig.path));
    fd = fcgi_connect(rig.path);
    fcgi_put_request(&b, false, get);
    b.bytes = 20;
    fcgi_write(fd, &b, 0);
    /* Half sent: the thread is free again after the timeout. */
    assert_true(fcgi_is_closed(fd));
    close(fd);
    fd = fcgi_connect(rig.path);
    fcgi_put(&b, "", 0);
    memset(b.data, 'G', b.bytes);
    fcgi_write(fd, &b, 0);
    assert_true(fcgi_is_closed(fd));
    close(fd);
    fcgi_free(&b);
    assert_true(fcgi_eventually(no_connections, NULL));
    rig_stop();
}

static void
test_secret(void **state)
{
    const char *const right[] = {"VOICE_SECRET", "s3cret", NULL};
    const char *const wrong[] = {"VOICE_SECRET", "s3creX", NULL};
    const char *const longer[] = {"VOICE_SECRET", "s3crets3cret", NULL};
    int fd;

    (void) state;
    rig_start(8, "s3cret");
    fd = fcgi_connect(rig.path);
    send_request(fd, true, right, "", 0);
    expect_body(fd, "hi");
    send_request(fd, true, wrong, "", 0);
    assert_non_null(strstr(read_answer(fd), "Status: 403 "));
    send_request(fd, true, longer, "", 0);
    assert_non_null(strstr(read_answer(fd), "Status: 403 "));
    send_request(fd, true, get, "", 0);
    assert_non_null(strstr(read_answer(fd), "wrong_secret"));
    close(fd);
    rig_stop();
}

static bool
one_parked(void *arg)
{
    return gate_parked_count(rig.gate) == *(unsigned *) arg
           && rig.parked >= (int) *(unsigned *) arg;
}

static void
wait_parked(unsigned count)
{
    assert_true(fcgi_eventually(one_parked, &count));
}

static const char *const park[] = {"DOCUMENT_URI", "/park", NULL};

static void
test_park_resume_and_reuse(void **state)
{
    struct gate_ticket old;
    int fd;

    (void) state;
    rig_start(8, NULL);
    fd = fcgi_connect(rig.path);
    for (int i = 0; i < 100; i++) {
        send_request(fd, true, park, "some body", 0);
        while (rig.parked <= i) {
            usleep(100);
        }
        old = rig.ticket;
        gate_resume(rig.gate, rig.ticket);
        expect_body(fd, "resumed");
        /* Late and repeated ones find nothing. */
        gate_resume(rig.gate, old);
        gate_resume(rig.gate, (struct gate_ticket){0});
    }
    assert_int_equal(rig.resumed, 100);
    assert_int_equal(gate_parked_count(rig.gate), 0);
    close(fd);
    rig_stop();
    assert_int_equal(rig.cancelled, 0);
}

static void
test_park_expires(void **state)
{
    const char *const soon[] = {"DOCUMENT_URI", "/soon", NULL};
    int fds[20];

    (void) state;
    rig_start(32, NULL);
    for (int i = 0; i < 20; i++) {
        fds[i] = fcgi_connect(rig.path);
        send_request(fds[i], false, soon, "", 0);
    }
    for (int i = 0; i < 20; i++) {
        expect_body(fds[i], "expired");
        close(fds[i]);
    }
    assert_int_equal(rig.expired, 20);
    rig_stop();
}

static bool
one_cancelled(void *arg)
{
    (void) arg;
    return rig.cancelled == 1 && gate_connection_count(rig.gate) == 0;
}

static void
test_park_peer_gone(void **state)
{
    int fd;

    (void) state;
    rig_start(8, NULL);
    fd = fcgi_connect(rig.path);
    send_request(fd, true, park, "", 0);
    wait_parked(1);
    close(fd);
    assert_true(fcgi_eventually(one_cancelled, NULL));
    gate_resume(rig.gate, rig.ticket);
    rig_stop();
    assert_int_equal(rig.resumed, 0);
    assert_int_equal(rig.cancelled, 1);
}

static void
test_park_full_and_stop(void **state)
{
    int fds[3];
    char *text;

    (void) state;
    rig_start(2, NULL);
    for (int i = 0; i < 3; i++) {
        fds[i] = fcgi_connect(rig.path);
        send_request(fds[i], true, park, "", 0);
        wait_parked(i < 2 ? (unsigned) i + 1 : 2);
    }
    text = read_answer(fds[2]);
    assert_non_null(strstr(text, "Status: 503 "));
    assert_non_null(strstr(text, "Retry-After: 1\r\n"));
    rig_stop();
    assert_int_equal(rig.cancelled, 2);
    for (int i = 0; i < 2; i++) {
        assert_non_null(strstr(read_answer(fds[i]), "Status: 503 "));
    }
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
}

/* Resume, loss and expiry at once: exactly one of them each time. */
static void
test_park_race(void **state)
{
    int fd, rounds = 200;

    (void) state;
    rig_start(8, NULL);
    for (int i = 0; i < rounds; i++) {
        fd = fcgi_connect(rig.path);
        send_request(fd, true, park, "", 0);
        while (rig.parked <= i) {
            usleep(50);
        }
        if (i % 2) {
            gate_resume(rig.gate, rig.ticket);
            close(fd);
        } else {
            close(fd);
            gate_resume(rig.gate, rig.ticket);
        }
    }
    assert_true(fcgi_eventually(no_connections, NULL));
    assert_int_equal(rig.resumed + rig.cancelled, rounds);
    rig_stop();
}

static int
descriptor_count(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count;
}

static void
take_one(const char *const *params, const char *body)
{
    struct fcgi_bytes out = {0};
    int fd = fcgi_connect(rig.path), theirs;
    char byte;

    rig.taken = 0;
    send_request(fd, false, params, body, 100);
    fcgi_read(fd, &out, 1);
    assert_memory_equal(out.data, "Status: 101\r\n\r\n", 15);
    while (rig.taken == 0) {
        usleep(100);
    }
    theirs = rig.taken - 1;
    assert_true(theirs >= 0);
    assert_true(fcntl(theirs, F_GETFL) & O_NONBLOCK);
    /* Nothing unread stayed behind, and it is the same connection. */
    assert_int_equal(read(theirs, &byte, 1), -1);
    assert_int_equal(write(fd, "a", 1), 1);
    assert_int_equal(read(theirs, &byte, 1), 1);
    assert_int_equal(byte, 'a');
    close(theirs);
    close(fd);
    fcgi_free(&out);
}

static void
test_take_leaves_nothing(void **state)
{
    char big[9001];
    const char *const stream[] = {
        "VOICE_STREAM", "1", "DOCUMENT_URI", "/take", "BIG", big, NULL};
    const char *const plain[] = {"DOCUMENT_URI", "/take", NULL};
    int before;

    (void) state;
    memset(big, 'b', 9000);
    big[9000] = '\0';
    rig_start(8, NULL);
    take_one(stream, NULL);
    before = descriptor_count();
    for (int i = 0; i < 200; i++) {
        take_one(stream, NULL);
        take_one(plain, "a body to read first");
    }
    assert_int_equal(descriptor_count(), before);
    assert_int_equal(gate_connection_count(rig.gate), 0);
    rig_stop();
}

/* The end of a taken request, as its loop would write it. */
static void
give_back(void)
{
    static const uint8_t end[] = {1, 3, 0, 1, 0, 8, 0, 0,
                                  0, 0, 0, 0, 0, 0, 0, 0};

    while (rig.taken == 0) {
        usleep(100);
    }
    assert_int_equal(write(rig.taken - 1, end, sizeof(end)), sizeof(end));
    gate_give_back(rig.gate, rig.taken - 1);
    rig.taken = 0;
}

/* NGINX keeps the connection from END_REQUEST on, and may have used it before
 * it is given back. */
static void
test_taken_comes_back(void **state)
{
    const char *const take[] = {"DOCUMENT_URI", "/take", NULL};
    const char *const hi[] = {"DOCUMENT_URI", "/hi", NULL};
    int fd;

    (void) state;
    rig_start(8, NULL);
    fd = fcgi_connect(rig.path);
    for (int i = 0; i < 100; i++) {
        send_request(fd, true, take, "a body", 100);
        if (i % 2) {
            struct fcgi_bytes out = {0};

            fcgi_read(fd, &out, 1);
            fcgi_free(&out);
            send_request(fd, true, hi, "", 0);
            give_back();
        } else {
            give_back();
            read_answer(fd);
            send_request(fd, true, hi, "", 0);
        }
        while (strstr(read_answer(fd), "200 OK") == NULL) {
        }
        assert_true(rig.kept);
        assert_int_equal(gate_connection_count(rig.gate), 1);
    }
    send_request(fd, true, take, "", 0);
    while (rig.taken == 0) {
        usleep(100);
    }
    gate_stop(rig.gate);
    gate_give_back(rig.gate, rig.taken - 1);
    assert_true(fcgi_is_closed(fd));
    close(fd);
    rig_stop();
}

static void
test_take_tells_what_is_kept(void **state)
{
    const char *const take[] = {"DOCUMENT_URI", "/take", NULL};
    const char *const stream[] = {"VOICE_STREAM", "1", "DOCUMENT_URI", "/take",
                                  NULL};

    (void) state;
    rig_start(8, NULL);
    rig.kept = true;
    take_one(take, "");
    assert_false(rig.kept);
    rig.kept = true;
    take_one(stream, NULL);
    assert_false(rig.kept);
    rig_stop();
}

/* A refused stream must not wait for STDIN, which will never come. */
static void
test_refused_stream(void **state)
{
    const char *const params[] = {"VOICE_STREAM", "1", "DOCUMENT_URI", "/body",
                                  NULL};
    int fd;

    (void) state;
    rig_start(8, NULL);
    fd = fcgi_connect(rig.path);
    send_request(fd, false, params, NULL, 0);
    expect_body(fd, "0 ");
    assert_true(fcgi_is_closed(fd));
    close(fd);
    rig_stop();
}

static void
test_idle_and_parked_hold_no_thread(void **state)
{
    int idle[200], parked[50], fd;

    (void) state;
    rig_start(64, NULL);
    for (int i = 0; i < 200; i++) {
        idle[i] = fcgi_connect(rig.path);
    }
    for (int i = 0; i < 50; i++) {
        parked[i] = fcgi_connect(rig.path);
        send_request(parked[i], true, park, "", 0);
    }
    wait_parked(50);
    fd = fcgi_connect(rig.path);
    send_request(fd, false, get, "", 0);
    expect_body(fd, "hi");
    close(fd);
    rig_stop();
    for (int i = 0; i < 200; i++) {
        close(idle[i]);
    }
    for (int i = 0; i < 50; i++) {
        close(parked[i]);
    }
}

static void
test_drain_serves_the_old_ones(void **state)
{
    struct fcgi_bytes out = {0};
    int fd;

    (void) state;
    rig_start(8, NULL);
    fd = fcgi_connect(rig.path);
    send_request(fd, true, get, "", 0);
    expect_body(fd, "hi");
    gate_drain(rig.gate);
    send_request(fd, true, get, "", 0);
    expect_body(fd, "hi");
    close(fd);
    assert_true(fcgi_eventually(no_connections, NULL));
    fd = fcgi_connect(rig.path);
    usleep(50000);
    assert_int_equal(gate_connection_count(rig.gate), 0);
    close(fd);
    fcgi_free(&out);
    rig_stop();
}

static void
test_signals_are_left_alone(void **state)
{
    struct sigaction now;

    (void) state;
    rig_start(8, NULL);
    sigaction(SIGTERM, NULL, &now);
    assert_ptr_equal(now.sa_handler, SIG_DFL);
    sigaction(SIGPIPE, NULL, &now);
    assert_ptr_equal(now.sa_handler, SIG_IGN);
    rig_stop();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_and_closes),
        cmocka_unit_test(test_request_id_is_nginx_or_made),
        cmocka_unit_test(test_keepalive_serves_1000),
        cmocka_unit_test(test_dribble_and_big_params),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_big_answer),
        cmocka_unit_test(test_early_close_half_sent_and_garbage),
        cmocka_unit_test(test_secret),
        cmocka_unit_test(test_park_resume_and_reuse),
        cmocka_unit_test(test_park_expires),
        cmocka_unit_test(test_park_peer_gone),
        cmocka_unit_test(test_park_full_and_stop),
        cmocka_unit_test(test_park_race),
        cmocka_unit_test(test_take_leaves_nothing),
        cmocka_unit_test(test_taken_comes_back),
        cmocka_unit_test(test_take_tells_what_is_kept),
        cmocka_unit_test(test_refused_stream),
        cmocka_unit_test(test_idle_and_parked_hold_no_thread),
        cmocka_unit_test(test_drain_serves_the_old_ones),
        cmocka_unit_test(test_signals_are_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/http_client.h"

#include "gate/curl_stream.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A server that takes connections and never says a word. */
static struct {
    struct http_client *client;
    char url[64];
    int told, error, again;
} rig;

static int
listener_open(void)
{
    struct sockaddr_in where = {.sin_family = AF_INET};
    socklen_t bytes = sizeof(where);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *) &where, bytes), 0);
    assert_int_equal(listen(fd, 16), 0);
    getsockname(fd, (struct sockaddr *) &where, &bytes);
    snprintf(rig.url, sizeof(rig.url), "http://127.0.0.1:%d/",
             ntohs(where.sin_port));
    return fd;
}

/* Asks once more, as one does who has another server to ask. */
static void
on_done(void *arg, const struct http_response *rs)
{
    const struct http_request rq = {.method = "GET", .url = rig.url};

    rig.told++;
    rig.error = rs->error;
    rig.again = http_client_send(arg, &rq, on_done, arg, NULL);
}

static void
nothing_is_asked_of_a_client_that_closes(void **state)
{
    const struct http_request rq = {.method = "GET", .url = rig.url};
    struct http_client_config cfg = {.keepalive = 2,
                                     .max = 4,
                                     .idle_ms = 5000,
                                     .connect_ms = 5000,
                                     .read_ms = 60000,
                                     .write_ms = 60000,
                                     .pool_wait_ms = 60000};
    int fd = listener_open();

    (void) state;
    assert_int_equal(loop_create(&cfg.loop, 0), 0);
    assert_int_equal(http_client_create(&rig.client, &cfg), 0);
    assert_int_equal(loop_start(cfg.loop), 0);
    assert_int_equal(
        http_client_send(rig.client, &rq, on_done, rig.client, NULL), 0);
    usleep(50000);
    http_client_close(&rig.client);
    loop_stop(cfg.loop);
    loop_destroy(&cfg.loop);
    close(fd);
    assert_int_equal(rig.told, 1);
    assert_int_equal(rig.error, UV_ECANCELED);
    assert_int_equal(rig.again, UV_ECANCELED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_asked_of_a_client_that_closes),
    };
    curl_stream_library_open();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_stream_library_close();
    return failed;
}

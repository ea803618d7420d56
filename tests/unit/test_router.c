/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/router.h"

#include "gate/crypto.h"
#include "kit/fcgi_peer.h"
#include "service/credentials.h"
#include "service/event_bus.h"
#include "session/session_registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char origin[] = "https://app.example";
static char *origins[] = {origin};

static struct {
    struct server_config config;
    struct api_context api;
    struct loop *loops[1];
    int listen_fd;
    char path[108];
} rig;

static void
rig_start(enum auth_mode mode)
{
    struct gate_config cfg = {.listen_fd = fcgi_listen(rig.path),
                              .threads = 2,
                              .max_parked = 64,
                              .max_body_bytes = 1000,
                              .read_timeout_ms = 1000};

    rig.listen_fd = cfg.listen_fd;
    memset(&rig.config, 0, sizeof(rig.config));
    rig.config.auth.mode = mode;
    rig.config.auth.cors_origins.items = origins;
    rig.config.auth.cors_origins.count = 1;
    rig.api = (struct api_context){.config = &rig.config,
                                   .loops = rig.loops,
                                   .loop_count = 1,
                                   .model_name = "offline"};
    rig.api.ready = true;
    assert_int_equal(loop_create(&rig.loops[0], 0), 0);
    assert_int_equal(loop_start(rig.loops[0]), 0);
    assert_int_equal(event_bus_create(&rig.api.events), 0);
    assert_int_equal(
        session_registry_create(&rig.api.sessions, rig.loops, 1, 10), 0);
    assert_int_equal(gate_create(&rig.api.gate, &cfg, router_handle, &rig.api),
                     0);
    assert_int_equal(gate_start(rig.api.gate), 0);
}

static bool
no_readers(void *arg)
{
    (void) arg;
    return event_bus_reader_count(rig.api.events) == 0;
}

static void
rig_stop(void)
{
    event_bus_close(rig.api.events);
    gate_destroy(&rig.api.gate);
    assert_true(fcgi_eventually(no_readers, NULL));
    loop_stop(rig.loops[0]);
    loop_destroy(&rig.loops[0]);
    event_bus_destroy(&rig.api.events);
    session_registry_destroy(&rig.api.sessions);
    credentials_destroy(&rig.api.credentials);
    close(rig.listen_fd);
    fcgi_unlink(rig.path);
}

/* Sends "METHOD /path?query" with further parameters; the descriptor. */
static int
ask(const char *method, const char *path, const char *const *more)
{
    const char *params[40] = {"REQUEST_METHOD", method,
                              "DOCUMENT_URI",   path,
                              "HTTP_HOST",      "voice.example"};
    struct fcgi_bytes b = {0};
    size_t count = 6;
    bool stream = false;
    int fd = fcgi_connect(rig.path);

    for (; more != NULL && more[0] != NULL; more++) {
        params[count++] = more[0];
        stream = stream || strcmp(more[0], "VOICE_STREAM") == 0;
    }
    params[count] = NULL;
    fcgi_put_request(&b, false, params);
    if (!stream) {
        fcgi_put_record(&b, 5, "", 0);
    }
    fcgi_write(fd, &b, 0);
    fcgi_free(&b);
    return fd;
}

static char *
answer(int fd)
{
    static char text[100000];
    struct fcgi_bytes out = {0};

    assert_true(fcgi_read(fd, &out, 0));
    memcpy(text, out.data, out.bytes);
    text[out.bytes] = '\0';
    fcgi_free(&out);
    close(fd);
    return text;
}

static void
expect(const char *method, const char *path, const char *const *more,
       const char *want)
{
    char *text = answer(ask(method, path, more));

    if (strstr(text, want) == NULL) {
        fail_msg("%s %s: no '%s' in\n%s", method, path, want, text);
    }
    assert_non_null(strstr(text, "x-request-id: "));
}

#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
test_routes(void **state)
{
    (void) state;
    rig_start(AUTH_NONE);
    expect("GET", "/health/live", NULL, "{\"status\":\"alive\"}");
    expect("HEAD", "/health/live", NULL, "Status: 200 ");
    expect("GET", "/health", NULL, "\"status\":\"healthy\"");
    expect("GET", "/health", NULL, "\"amplifier\":{\"enabled\":false,");
    expect("GET", "/nothing", NULL, "Status: 404 ");
    expect("POST", "/health", NULL, "Allow: GET, OPTIONS\r\n");
    expect("POST", "/health", NULL, "Status: 405 ");
    expect("GET", "/v1/realtime", NULL, "Allow: POST, OPTIONS\r\n");
    expect("GET", "/health", WITH("VOICE_STREAM", "1"), "Status: 404 ");
    expect("GET", "/v1/realtime", WITH("VOICE_STREAM", "1"), "policy_missing");
    expect("GET", "/v1/sessions/live", NULL, "{\"sessions\":[]}");
    expect("GET", "/v1/realtime/client_secrets", NULL,
           "Allow: POST, OPTIONS\r\n");
    expect("GET", "/v1/realtime/client_secrets/secret_x", NULL,
           "Allow: DELETE, OPTIONS\r\n");
    expect("POST", "/v1/realtime/client_secrets", NULL, "policy_missing");
    expect("GET", "/v1/realtime/client_secrets/a/b", NULL, "Status: 404 ");
    rig.api.draining = true;
    expect("GET", "/health", NULL, "Status: 503 ");
    expect("GET", "/health/ready", NULL, "Status: 503 ");
    expect("GET", "/health/live", NULL, "Status: 200 ");
    rig_stop();
}

static void
test_cors_and_origin(void **state)
{
    (void) state;
    rig_start(AUTH_NONE);
    expect("GET", "/health", WITH("HTTP_ORIGIN", origin),
           "Access-Control-Allow-Origin: https://app.example\r\n");
    assert_null(strstr(
        answer(ask("GET", "/health", WITH("HTTP_ORIGIN", "https://evil"))),
        "Access-Control"));
    expect("OPTIONS", "/health", WITH("HTTP_ORIGIN", origin), "Status: 204 ");
    expect("OPTIONS", "/health", WITH("HTTP_ORIGIN", origin),
           "Access-Control-Allow-Methods: GET, OPTIONS\r\n");
    expect("OPTIONS", "/health",
           WITH("HTTP_ORIGIN", origin, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS",
                "authorization, x-openai-agents-sdk"),
           "Access-Control-Allow-Headers: authorization, "
           "x-openai-agents-sdk\r\n");
    expect("OPTIONS", "/health",
           WITH("HTTP_ORIGIN", origin, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS",
                "a\"b"),
           "Access-Control-Allow-Headers: Authorization, Content-Type");
    rig_stop();
}

static void
handle_json(struct gate_request *rq, struct api_context *api)
{
    json_t *tree, *out;

    (void) api;
    if (api_body_json(rq, &tree) == 0) {
        out = json_pack("{s:s, s:o}", "id", api_path_id(rq), "got", tree);
        api_json(rq, 200, &out);
    }
}

static void
handle_table(struct gate_request *rq, void *arg)
{
    static const struct route table[] = {
        {"POST", "/v1/things/{id}/do", handle_json, 0},
        {"DELETE", "/v1/things/{id}/do", handle_json, 0},
    };

    router_dispatch(rq, arg, table, 2);
}

static char *
post(const char *path, const char *type, const char *body, const char *from)
{
    const char *params[] = {"REQUEST_METHOD",
                            "POST",
                            "DOCUMENT_URI",
                            path,
                            "CONTENT_TYPE",
                            type,
                            "HTTP_HOST",
                            "voice.example",
                            from != NULL ? "HTTP_ORIGIN" : NULL,
                            from,
                            NULL};
    struct fcgi_bytes b = {0};
    int fd = fcgi_connect(rig.path);

    fcgi_put_request(&b, false, params);
    fcgi_put_record(&b, 5, body, strlen(body));
    fcgi_put_record(&b, 5, "", 0);
    fcgi_write(fd, &b, 0);
    fcgi_free(&b);
    return answer(fd);
}

static void
test_bodies(void **state)
{
    struct gate_config cfg = {.threads = 1,
                              .max_parked = 1,
                              .max_body_bytes = 100,
                              .read_timeout_ms = 1000};
    static const char json[] = "application/json; charset=utf-8";
    static const char path[] = "/v1/things/a%20b/do";
    char big[200];

    (void) state;
    rig_start(AUTH_NONE);
    gate_destroy(&rig.api.gate);
    cfg.listen_fd = rig.listen_fd;
    assert_int_equal(gate_create(&rig.api.gate, &cfg, handle_table, &rig.api),
                     0);
    assert_int_equal(gate_start(rig.api.gate), 0);
    memset(big, ' ', 199);
    big[199] = '\0';
    assert_non_null(strstr(post(path, json, "{\"a\":1}", NULL),
                           "{\"id\":\"a%20b\",\"got\":{\"a\":1}}"));
    assert_non_null(
        strstr(post(path, json, "{\n\"a\":}", NULL), "line 2 column 5"));
    assert_non_null(
        strstr(post(path, "text/plain", "{}", NULL), "Status: 415 "));
    assert_non_null(strstr(post(path, json, big, NULL), "Status: 413 "));
    assert_non_null(
        strstr(post(path, json, "{}", "https://evil"), "origin_not_allowed"));
    assert_non_null(strstr(post(path, json, "{}", "https://voice.example"),
                           "Status: 200 "));
    assert_non_null(strstr(post(path, json, "{}", origin), "Status: 200 "));
    expect("GET", path, NULL, "Allow: POST, DELETE, OPTIONS\r\n");
    expect("POST", "/v1/things//do", NULL, "Status: 404 ");
    expect("DELETE", path, WITH("SERVER_ADDR", "127.0.0.1"),
           "host_not_allowed");
    rig_stop();
}

static void
test_keys(void **state)
{
    char file[120], key[CREDENTIALS_KEY_BYTES], bearer[80], offered[120];

    (void) state;
    rig_start(AUTH_KEYS);
    snprintf(file, sizeof(file), "%s.keys", rig.path);
    assert_int_equal(credentials_add(file, "me", "acme", key), 0);
    assert_int_equal(credentials_create(&rig.api.credentials, file), 0);
    snprintf(bearer, sizeof(bearer), "Bearer %s", key);
    snprintf(offered, sizeof(offered), "realtime, openai-insecure-api-key.%s",
             key);
    expect("GET", "/health", NULL, "Status: 200 ");
    expect("GET", "/v1/events", NULL, "missing_api_key");
    expect("GET", "/v1/events", WITH("HTTP_AUTHORIZATION", "Bearer vk_no"),
           "invalid_api_key");
    expect("GET", "/v1/events", WITH("HTTP_AUTHORIZATION", bearer),
           "Status: 200 ");
    expect("GET", "/v1/events", WITH("HTTP_API_KEY", key), "Status: 200 ");
    expect("GET", "/v1/events", WITH("HTTP_SEC_WEBSOCKET_PROTOCOL", offered),
           "Status: 200 ");
    expect("GET", "/v1/events",
           WITH("HTTP_AUTHORIZATION", "Bearer wrong", "HTTP_API_KEY", key),
           "Status: 401 ");
    event_bus_publish(rig.api.events, "other", "session_start", NULL);
    event_bus_publish(rig.api.events, "acme", "session_end", "{\"a\":1}");
    assert_null(
        strstr(answer(ask("GET", "/v1/events", WITH("HTTP_API_KEY", key))),
               "session_start"));
    expect("GET", "/v1/events", WITH("HTTP_API_KEY", key), ",\"a\":1}],");
    unlink(file);
    snprintf(file, sizeof(file), "%s.keys.lock", rig.path);
    unlink(file);
    rig_stop();
}

static void
test_tenant_of_nginx(void **state)
{
    (void) state;
    rig_start(AUTH_NGINX);
    expect("GET", "/v1/events", NULL, "missing_tenant");
    expect("GET", "/v1/events", WITH("VOICE_TENANT", "t1"), "Status: 200 ");
    expect("GET", "/v1/events", WITH("VOICE_TENANT", "\xc3\xa9t\xc3\xa9"),
           "Status: 200 ");
    expect("GET", "/v1/events", WITH("VOICE_TENANT", "a\nb"), "tenant_invalid");
    expect("GET", "/v1/events", WITH("VOICE_TENANT", "\xe9t\xe9"),
           "tenant_invalid");
    expect("GET", "/v1/events",
           WITH("VOICE_TENANT", "0123456789012345678901234567890123456789"
                                "012345678901234567890123"),
           "tenant_invalid");
    rig_stop();
}

static bool
one_waits(void *arg)
{
    (void) arg;
    return gate_parked_count(rig.api.gate) == 1;
}

static void
test_long_poll(void **state)
{
    int fd;

    (void) state;
    rig_start(AUTH_NONE);
    fd = ask("GET", "/v1/events", WITH("QUERY_STRING", "after=0&wait=60"));
    assert_true(fcgi_eventually(one_waits, NULL));
    event_bus_publish(rig.api.events, "", "session_start", "{\"n\":1}");
    assert_non_null(strstr(answer(fd), ",\"n\":1}],\"next\":"));
    expect("GET", "/v1/events", WITH("QUERY_STRING", "after=0&wait=60"),
           "\"type\":\"session_start\"");
    expect("GET", "/v1/events",
           WITH("QUERY_STRING", "after=9000000000000000&wait=1"),
           "{\"events\":[],\"next\":");
    expect("GET", "/v1/events", WITH("QUERY_STRING", "wait=61"),
           "Status: 400 ");
    expect("GET", "/v1/events", WITH("QUERY_STRING", "after=x"),
           "Status: 400 ");
    /* One that goes away while it waits. */
    fd = ask("GET", "/v1/events",
             WITH("QUERY_STRING", "after=9000000000000000&wait=60"));
    assert_true(fcgi_eventually(one_waits, NULL));
    close(fd);
    while (gate_parked_count(rig.api.gate) > 0) {
        usleep(1000);
    }
    event_bus_publish(rig.api.events, "", "session_end", NULL);
    rig_stop();
}

static bool
fifty_read(void *arg)
{
    (void) arg;
    return event_bus_reader_count(rig.api.events) == 50;
}

static void
test_event_stream(void **state)
{
    struct fcgi_bytes out = {0};
    int fds[50];
    char *text;

    (void) state;
    rig_start(AUTH_NONE);
    event_bus_publish(rig.api.events, "", "before", NULL);
    for (int i = 0; i < 50; i++) {
        fds[i] = ask("GET", "/v1/events",
                     WITH("HTTP_ACCEPT", "text/event-stream",
                          "HTTP_LAST_EVENT_ID", i == 49 ? "0" : "x" + 1));
        if (i < 49) {
            close(fds[i]);
            fds[i] = ask("GET", "/v1/events",
                         WITH("HTTP_ACCEPT", "text/event-stream"));
        }
    }
    assert_true(fcgi_eventually(fifty_read, NULL));
    for (int i = 0; i < 100; i++) {
        event_bus_publish(rig.api.events, "", "tool_call", "{\"k\":2}");
    }
    event_bus_publish(rig.api.events, "", "last", NULL);
    for (int i = 0; i < 50; i++) {
        do {
            fcgi_read(fds[i], &out, out.bytes + 1);
            fcgi_put(&out, "", 1);
            out.bytes--;
            text = (char *) out.data;
        } while (strstr(text, "\"type\":\"last\"") == NULL);
        assert_non_null(strstr(text, "Content-Type: text/event-stream\r\n"));
        assert_int_equal(strstr(text, "\"type\":\"before\"") != NULL, i == 49);
        fcgi_free(&out);
    }
    for (int i = 0; i < 25; i++) {
        close(fds[i]);
    }
    event_bus_close(rig.api.events);
    for (int i = 25; i < 50; i++) {
        assert_true(fcgi_is_closed(fds[i]));
        close(fds[i]);
    }
    rig_stop();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_cors_and_origin),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_tenant_of_nginx),
        cmocka_unit_test(test_long_poll),
        cmocka_unit_test(test_event_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

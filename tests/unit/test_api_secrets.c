/* SPDX-License-Identifier: BSD-2-Clause */

/* Client secrets at the router, over a store that the test lets answer. */

#include "api/router.h"

#include "gate/store_driver.h"
#include "kit/fcgi_peer.h"
#include "service/secrets.h"
#include "service/tenant_limits.h"
#include "service/usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

static struct {
    struct server_config config;
    struct api_context api;
    struct store *store;
    int listen_fd;
    char path[108];
} rig;

/* --- a store that says `result` when it is let */

static struct {
    struct store_driver base;
    uv_sem_t let;
    atomic_bool gated;
    atomic_int result;
} driver;

static int
fake_begin(struct store_driver *base)
{
    (void) base;
    return 0;
}

static int
fake_run(struct store_driver *base, struct store_op *op)
{
    (void) base;
    if (driver.gated)
        uv_sem_wait(&driver.let);
    if (driver.result || op->kind != STORE_SECRET_GET)
        return driver.result;
    struct store_secret *row = store_op_row(op, sizeof(*row));
    row->tenant = "acme";
    row->id = "secret_1";
    row->model = "m";
    row->session = "{\"type\":\"realtime\",\"x\":1}";
    row->expires_ms = INT64_MAX;
    return 0;
}

static int
fake_purge(struct store_driver *base, int64_t before_ms)
{
    (void) base;
    (void) before_ms;
    return 0;
}

static void
fake_nothing(struct store_driver *base)
{
    (void) base;
}

static const struct store_driver_ops fake_ops = {
    fake_begin, fake_begin, fake_nothing, fake_run, fake_purge, fake_nothing};

/* --- the rig */

static void
handle_bound(struct gate_request *rq, struct api_context *api)
{
    const char *session = api_secret_session(rq);
    const char *model = api_secret_model(rq);
    json_t *out =
        json_pack("{s:s, s:s, s:s}", "tenant", api_tenant(rq), "model",
                  model ? model : "none", "session", session ? session : "no");

    (void) api;
    api_json(rq, 200, &out);
}

static void
handle_table(struct gate_request *rq, void *arg)
{
    static const struct route table[] = {
        {"GET", "/open", handle_bound, ROUTE_OPEN},
        {"GET", "/bound", handle_bound, ROUTE_SECRET},
        {"GET", "/stream", handle_bound, ROUTE_SECRET | ROUTE_STREAM},
        {"GET", "/closed", handle_bound, 0},
    };

    router_dispatch(rq, arg, table, 4);
}

static void
rig_start(enum auth_mode mode, bool with_store, uint64_t requests)
{
    struct gate_config cfg = {.listen_fd = fcgi_listen(rig.path),
                              .threads = 2,
                              .max_parked = 4,
                              .max_body_bytes = 1000,
                              .read_timeout_ms = 1000};
    struct store_driver *base = &driver.base;

    memset(&rig.config, 0, sizeof(rig.config));
    rig.config.max_parked = 16;
    rig.listen_fd = cfg.listen_fd;
    rig.config.auth.mode = mode;
    rig.api = (struct api_context){.config = &rig.config};
    rig.store = NULL;
    driver.base.ops = &fake_ops;
    driver.result = 0;
    driver.gated = false;
    uv_sem_init(&driver.let, 0);
    if (with_store)
        assert_int_equal(store_create(&rig.store, &base), 0);
    assert_int_equal(
        secrets_create(&rig.api.secrets,
                       &(struct secrets_config){.store = rig.store}),
        0);
    assert_int_equal(tenant_limits_create(
                         &rig.api.limits,
                         &(struct tenant_limits_config){.requests = requests}),
                     0);
    assert_int_equal(gate_create(&rig.api.gate, &cfg, handle_table, &rig.api),
                     0);
    assert_int_equal(gate_start(rig.api.gate), 0);
}

static void
rig_stop(void)
{
    gate_stop(rig.api.gate);
    store_destroy(&rig.store);
    gate_destroy(&rig.api.gate);
    secrets_destroy(&rig.api.secrets);
    tenant_limits_destroy(&rig.api.limits);
    uv_sem_destroy(&driver.let);
    close(rig.listen_fd);
    fcgi_unlink(rig.path);
}

/* The descriptor of a request with this key. */
static int
ask(const char *path, const char *key, const char *tenant)
{
    char bearer[100];
    const char *params[] = {"REQUEST_METHOD",
                            "GET",
                            "DOCUMENT_URI",
                            path,
                            "HTTP_AUTHORIZATION",
                            bearer,
                            NULL,
                            NULL,
                            NULL,
                            NULL,
                            NULL};
    struct fcgi_bytes b = {0};
    size_t count = 6;
    bool stream = strcmp(path, "/stream") == 0;
    int fd = fcgi_connect(rig.path);

    snprintf(bearer, sizeof(bearer), "Bearer %s", key);
    if (stream) {
        params[count++] = "VOICE_STREAM";
        params[count++] = "1";
    }
    if (tenant) {
        params[count++] = "VOICE_TENANT";
        params[count++] = tenant;
    }
    fcgi_put_request(&b, false, params);
    if (!stream)
        fcgi_put_record(&b, 5, "", 0);
    fcgi_write(fd, &b, 0);
    fcgi_free(&b);
    return fd;
}

static void
expect_answer(int fd, const char *want)
{
    struct fcgi_bytes out = {0};

    assert_true(fcgi_read(fd, &out, 0));
    fcgi_put(&out, "", 1);
    if (strstr((char *) out.data, want) == NULL)
        fail_msg("no '%s' in\n%s", want, (char *) out.data);
    fcgi_free(&out);
    close(fd);
}

static void
expect(const char *path, const char *key, const char *tenant, const char *want)
{
    expect_answer(ask(path, key, tenant), want);
}

static void
mint(char key[SECRETS_KEY_BYTES])
{
    const struct secret_request request = {
        .tenant = "acme", .model = "m", .session = "{\"x\":1}", .seconds = 600};
    struct secret_minted minted;

    assert_int_equal(secrets_prepare(rig.api.secrets, &request, &minted), 0);
    assert_int_equal(
        secrets_keep(rig.api.secrets, &request, &minted, NULL, NULL), 0);
    memcpy(key, minted.key, SECRETS_KEY_BYTES);
}

static const char unknown[] = "ek_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ";

/* --- tests */

static void
in_memory(void **state)
{
    char key[SECRETS_KEY_BYTES];

    (void) state;
    rig_start(AUTH_KEYS, false, 0);
    mint(key);
    expect("/bound", key, NULL, "\"session\":\"{\\\"x\\\":1}\"");
    expect("/stream", key, NULL, "\"tenant\":\"acme\"");
    expect("/closed", key, NULL, "secret_not_allowed");
    expect("/open", key, NULL, "\"session\":\"no\"");
    expect("/bound", unknown, NULL, "invalid_api_key");
    expect("/bound", "ek_", NULL, "invalid_api_key");
    expect("/closed", unknown, NULL, "secret_not_allowed");
    rig_stop();
}

static void
in_other_modes_of_auth(void **state)
{
    char key[SECRETS_KEY_BYTES];

    (void) state;
    rig_start(AUTH_NGINX, false, 0);
    mint(key);
    expect("/bound", key, NULL, "\"tenant\":\"acme\"");
    expect("/bound", key, "acme", "\"tenant\":\"acme\"");
    expect("/bound", key, "other", "tenant_mismatch");
    expect("/bound", unknown, "acme", "invalid_api_key");
    expect("/bound", "vk_x", "acme", "\"model\":\"none\"");
    rig_stop();
    rig_start(AUTH_NONE, false, 0);
    expect("/bound", unknown, NULL, "invalid_api_key");
    expect("/bound", "sk_x", NULL, "\"session\":\"no\"");
    rig_stop();
}

static bool
one_waits(void *arg)
{
    return gate_parked_count(rig.api.gate) == *(unsigned *) arg;
}

static void
wait_for_parked(unsigned count)
{
    assert_true(fcgi_eventually(one_waits, &count));
}

/* For a request of either kind: parked until the store says so, and nobody
 * else waits. */
static void
the_store_is_waited_for(const char *path)
{
    int fd;

    rig_start(AUTH_KEYS, true, 0);
    driver.gated = true;
    fd = ask(path, unknown, NULL);
    wait_for_parked(1);
    expect("/open", "", NULL, "\"tenant\":\"\"");
    uv_sem_post(&driver.let);
    expect_answer(fd, "\"session\":\"{\\\"type\\\":\\\"realtime\\\"");
    /* Fresh in memory: the store is not asked. */
    expect(path, unknown, NULL, "\"tenant\":\"acme\"");
    rig_stop();

    rig_start(AUTH_KEYS, true, 0);
    driver.result = UV_ENOENT;
    expect(path, unknown, NULL, "invalid_api_key");
    driver.result = UV_EIO;
    expect(path, unknown, NULL, "store_unavailable");
    rig_stop();
}

static void
a_request_waits_for_the_store(void **state)
{
    (void) state;
    the_store_is_waited_for("/bound");
}

static void
a_stream_waits_for_the_store(void **state)
{
    (void) state;
    the_store_is_waited_for("/stream");
}

static void
one_that_goes_while_it_waits(void **state)
{
    static const char *const paths[] = {"/bound", "/stream"};

    (void) state;
    rig_start(AUTH_KEYS, true, 0);
    driver.gated = true;
    for (int i = 0; i < 2; i++) {
        int fd = ask(paths[i], unknown, NULL);
        wait_for_parked(1);
        close(fd);
        wait_for_parked(0);
    }
    driver.gated = false;
    uv_sem_post(&driver.let);
    expect("/bound", unknown, NULL, "\"tenant\":\"acme\"");
    rig_stop();
}

static void
more_than_may_wait(void **state)
{
    int fds[4];

    (void) state;
    rig_start(AUTH_KEYS, true, 0);
    driver.gated = true;
    for (int i = 0; i < 4; i++) {
        fds[i] = ask("/bound", unknown, NULL);
        wait_for_parked((unsigned) i + 1);
    }
    expect("/bound", unknown, NULL, "\"code\":\"overloaded\"");
    for (int i = 0; i < 4; i++)
        uv_sem_post(&driver.let);
    for (int i = 0; i < 4; i++)
        expect_answer(fds[i], "\"tenant\":\"acme\"");
    /* The gate ends while one waits. */
    usleep(1100 * 1000); /* SECRETS_FRESH_MS */
    fds[0] = ask("/bound", unknown, NULL);
    wait_for_parked(1);
    gate_stop(rig.api.gate);
    uv_sem_post(&driver.let);
    expect_answer(fds[0], "Status: 503 ");
    rig_stop();
}

/* Made up keys don't take all the places where requests wait. */
static void
keys_of_nobody(void **state)
{
    int fds[2];

    (void) state;
    rig_start(AUTH_KEYS, true, 0);
    rig.config.max_parked = 4; /* a quarter, and one more */
    driver.gated = true;
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < 2; i++) {
            fds[i] = ask("/bound", unknown, NULL);
            wait_for_parked((unsigned) i + 1);
        }
        expect("/bound", unknown, NULL, "\"code\":\"overloaded\"");
        driver.result = UV_ENOENT;
        for (int i = 0; i < 2; i++)
            uv_sem_post(&driver.let);
        for (int i = 0; i < 2; i++)
            expect_answer(fds[i], "invalid_api_key");
        while (atomic_load(&rig.api.secret_checks))
            usleep(1000);
    }
    rig_stop();
}

static void
requests_of_a_tenant(void **state)
{
    char key[SECRETS_KEY_BYTES];

    (void) state;
    rig_start(AUTH_KEYS, false, 3);
    mint(key);
    for (int i = 0; i < 3; i++)
        expect("/bound", key, NULL, "Status: 200 ");
    expect("/bound", key, NULL, "Retry-After: ");
    expect("/stream", key, NULL, "\"code\":\"rate_limit_exceeded\"");
    expect("/open", key, NULL, "Status: 200 ");
    rig_stop();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_memory),
        cmocka_unit_test(in_other_modes_of_auth),
        cmocka_unit_test(a_request_waits_for_the_store),
        cmocka_unit_test(a_stream_waits_for_the_store),
        cmocka_unit_test(one_that_goes_while_it_waits),
        cmocka_unit_test(more_than_may_wait),
        cmocka_unit_test(keys_of_nobody),
        cmocka_unit_test(requests_of_a_tenant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */

/* Warm secrets over a mint of our own: who gets which, and when not. */

#include "base/clock.h"
#include "service/warm_secrets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTINGS "{\"type\":\"realtime\",\"model\":\"m\"}"
#define OTHER    "{\"type\":\"realtime\",\"model\":\"n\"}"
#define WAIT_MS  5000

struct mint {
    struct loop *loop;
    struct warm_secrets *secrets;
    atomic_uint asked;
    atomic_bool fail;   /* every answer is a failure */
    atomic_bool refuse; /* it can't even be asked */
    atomic_llong life_s;
    atomic_uint wrong; /* asked for what was not meant */
};

struct order {
    struct loop_task task;
    struct mint *mint;
    struct warm_secret *secret;
    unsigned number;
};

static void
on_answer(struct loop_task *task, void *arg)
{
    struct order *order = arg;
    struct mint *mint = order->mint;
    char value[64];
    int64_t life_s = atomic_load(&mint->life_s);

    (void) task;
    snprintf(value, sizeof(value), "ek_%u", order->number);
    warm_secrets_minted(order->secret, atomic_load(&mint->fail) ? NULL : value,
                        life_s ? clock_wall_ms() / 1000 + life_s : 0);
    free(order);
}

static int
on_mint(struct warm_secret *secret, const char *upstream, const char *settings,
        void *arg)
{
    struct mint *mint = arg;

    if (strcmp(upstream, "main") != 0
        || (strcmp(settings, SETTINGS) != 0 && strcmp(settings, OTHER) != 0))
        atomic_fetch_add(&mint->wrong, 1);
    unsigned number = atomic_fetch_add(&mint->asked, 1);
    if (atomic_load(&mint->refuse))
        return UV_ENOBUFS;
    struct order *order = calloc(1, sizeof(*order));
    order->mint = mint;
    order->secret = secret;
    order->number = number;
    order->task.run = on_answer;
    order->task.arg = order;
    loop_post(mint->loop, &order->task);
    return 0;
}

static void
rig_open(struct mint *mint, uint64_t ttl_ms, unsigned max)
{
    memset(mint, 0, sizeof(*mint));
    assert_int_equal(loop_create(&mint->loop, 0), 0);
    assert_int_equal(loop_start(mint->loop), 0);
    const struct warm_secrets_config cfg = {
        .loop = mint->loop,
        .secrets = 3,
        .max = max,
        .ttl_ms = ttl_ms,
        .refill_ms = 20,
        .mint = on_mint,
        .mint_arg = mint,
    };
    assert_int_equal(warm_secrets_create(&mint->secrets, &cfg), 0);
}

static void
rig_close(struct mint *mint)
{
    uint64_t end = clock_now_ms() + WAIT_MS;

    warm_secrets_stop(mint->secrets);
    while (!warm_secrets_is_stopped(mint->secrets)) {
        assert_true(clock_now_ms() < end);
        usleep(1000);
    }
    assert_int_equal(warm_secrets_count(mint->secrets), 0);
    loop_stop(mint->loop);
    warm_secrets_destroy(&mint->secrets);
    assert_null(mint->secrets);
    loop_destroy(&mint->loop);
    assert_int_equal(atomic_load(&mint->wrong), 0);
}

static int
take(struct mint *mint, const char *settings, char out[WARM_SECRET_BYTES])
{
    return warm_secrets_take(mint->secrets, "main", settings, out);
}

static void
until_ready(struct mint *mint, unsigned count)
{
    uint64_t end = clock_now_ms() + WAIT_MS;

    while (warm_secrets_count(mint->secrets) != count) {
        assert_true(clock_now_ms() < end);
        usleep(1000);
    }
}

static void
test_learned_and_once(void **state)
{
    static char seen[64][WARM_SECRET_BYTES];
    struct mint mint;

    (void) state;
    rig_open(&mint, 60000, 32);
    usleep(50000);
    assert_int_equal(atomic_load(&mint.asked), 0);
    assert_int_equal(take(&mint, SETTINGS, seen[0]), UV_ENOENT);
    assert_string_equal(seen[0], "");
    for (unsigned i = 0; i < 20; i++) {
        until_ready(&mint, 3);
        assert_int_equal(take(&mint, SETTINGS, seen[i]), 0);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(seen[k], seen[i]);
    }
    until_ready(&mint, 3);
    assert_int_equal(atomic_load(&mint.asked), 23);
    /* Bound to their settings. */
    assert_int_equal(take(&mint, OTHER, seen[0]), UV_ENOENT);
    until_ready(&mint, 6);
    assert_int_equal(take(&mint, OTHER, seen[0]), 0);
    rig_close(&mint);
}

static void
test_expired(void **state)
{
    char out[WARM_SECRET_BYTES];
    struct mint mint;

    (void) state;
    rig_open(&mint, 100, 32);
    take(&mint, SETTINGS, out);
    until_ready(&mint, 3);
    usleep(300000);
    assert_true(atomic_load(&mint.asked) >= 6);
    rig_close(&mint);

    /* The upstream's own end is nearer than ours. */
    rig_open(&mint, 60000, 32);
    atomic_store(&mint.life_s, 3);
    take(&mint, SETTINGS, out);
    usleep(50000);
    assert_int_equal(take(&mint, SETTINGS, out), UV_ENOENT);
    rig_close(&mint);
}

static void
test_failures(void **state)
{
    char out[WARM_SECRET_BYTES];
    struct mint mint;
    unsigned asked;

    (void) state;
    rig_open(&mint, 60000, 32);
    atomic_store(&mint.fail, true);
    take(&mint, SETTINGS, out);
    usleep(200000);
    assert_int_equal(atomic_load(&mint.asked), 1); /* never worked: forgotten */
    atomic_store(&mint.refuse, true);
    take(&mint, SETTINGS, out);
    usleep(50000);
    assert_int_equal(atomic_load(&mint.asked), 2);
    atomic_store(&mint.fail, false);
    atomic_store(&mint.refuse, false);
    take(&mint, SETTINGS, out);
    until_ready(&mint, 3);
    /* It has worked: tried again, later and later. */
    atomic_store(&mint.fail, true);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(take(&mint, SETTINGS, out), 0);
    usleep(100000);
    asked = atomic_load(&mint.asked);
    usleep(400000);
    assert_true(atomic_load(&mint.asked) <= asked + 1);
    atomic_store(&mint.fail, false);
    until_ready(&mint, 3);
    rig_close(&mint);
}

static void
test_caps(void **state)
{
    static char large[WARM_SETTINGS_MAX + 2];
    char out[WARM_SECRET_BYTES];
    struct mint mint;

    (void) state;
    rig_open(&mint, 60000, 4);
    take(&mint, SETTINGS, out);
    until_ready(&mint, 3);
    take(&mint, OTHER, out);
    until_ready(&mint, 4);
    usleep(50000);
    assert_int_equal(warm_secrets_count(mint.secrets), 4);
    memset(large, ' ', sizeof(large) - 1);
    assert_int_equal(take(&mint, large, out), UV_ENOENT);
    rig_close(&mint);
}

static void *
crowd_run(void *arg)
{
    struct mint *mint = arg;
    char out[WARM_SECRET_BYTES];
    uint64_t end = clock_now_ms() + 400;

    for (unsigned i = 0; clock_now_ms() < end; i++) {
        take(mint, i % 2 ? SETTINGS : OTHER, out);
        usleep(200);
    }
    return NULL;
}

static void
test_crowd(void **state)
{
    pthread_t threads[4];
    struct mint mint;

    (void) state;
    rig_open(&mint, 30, 8);
    for (unsigned i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, crowd_run, &mint);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_true(atomic_load(&mint.asked) > 20);
    rig_close(&mint);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learned_and_once),
        cmocka_unit_test(test_expired),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_crowd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

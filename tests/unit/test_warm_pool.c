/* SPDX-License-Identifier: BSD-2-Clause */

/* The warm pool over links that are none: who gets which, and when not. */

#include "base/clock.h"
#include "service/warm_models.h"
#include "service/warm_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOPS   2
#define CREATED "{\"type\":\"session.created\",\"session\":{}}"
#define WAIT_MS 5000

struct fake;

/* How the model of this test behaves. */
struct maker {
    struct loop *loops[LOOPS];
    struct warm_pool *pool;
    uint64_t ttl_ms;
    atomic_uint opened, closed, adopted;
    atomic_uint faults; /* adopted twice, too late, or after its end */
    atomic_uint at[LOOPS];
    atomic_bool refuse;        /* open fails at once */
    atomic_bool hang_up;       /* closed before session.created */
    atomic_bool keep_mum;      /* nothing comes */
    struct fake *_Atomic last; /* opened */
    char last_model[64];       /* under last_mutex */
};

static pthread_mutex_t last_mutex = PTHREAD_MUTEX_INITIALIZER;

struct fake {
    struct model_link base;
    struct maker *maker;
    struct loop *loop;
    struct model_link_handlers handlers;
    void *arg;
    struct loop_task task;
    uint64_t created_ms;
    bool begun, given, closing, kill;
};

/* --- the links */

static void
fake_end(struct fake *f, uint16_t code)
{
    struct maker *maker = f->maker;

    f->handlers.on_closed(f->arg, code, "");
    free(f);
    atomic_fetch_add(&maker->closed, 1);
}

static void
on_fake_task(struct loop_task *task, void *arg)
{
    struct fake *f = arg;

    (void) task;
    if (f->closing || f->kill) {
        fake_end(f, f->kill ? 1006 : 1000);
        return;
    }
    if (!f->begun && atomic_load(&f->maker->hang_up)) {
        fake_end(f, 1006);
        return;
    }
    if (atomic_load(&f->maker->keep_mum))
        return;
    if (!f->begun)
        f->created_ms = clock_now_ms();
    f->begun = true;
    f->handlers.on_event(f->arg, CREATED, strlen(CREATED));
}

static void
fake_close(struct model_link *link)
{
    struct fake *f = (struct fake *) link;

    if (f->closing)
        return;
    f->closing = true;
    loop_post(f->loop, &f->task);
}

static void
fake_adopt(struct model_link *link, const struct model_link_handlers *handlers,
           void *arg)
{
    struct fake *f = (struct fake *) link;

    /* A busy machine may take its time between look and hand-over. */
    if (f->given || f->closing || !f->begun || !loop_is_current(f->loop)
        || clock_now_ms() > f->created_ms + f->maker->ttl_ms + 300)
        atomic_fetch_add(&f->maker->faults, 1);
    f->given = true;
    f->handlers = *handlers;
    f->arg = arg;
    atomic_fetch_add(&f->maker->adopted, 1);
}

static const char *
fake_name(const struct model_link *link)
{
    (void) link;
    return "fake";
}

static const struct model_link_ops fake_ops = {
    .close = fake_close, .name = fake_name, .adopt = fake_adopt};

static int
fake_open(struct model_link **lp, const struct model_link_config *cfg,
          const struct model_link_handlers *handlers, void *link_arg, void *arg)
{
    struct maker *maker = arg;

    atomic_fetch_add(&maker->opened, 1);
    pthread_mutex_lock(&last_mutex);
    snprintf(maker->last_model, sizeof(maker->last_model), "%s", cfg->model);
    pthread_mutex_unlock(&last_mutex);
    if (atomic_load(&maker->refuse) || strcmp(cfg->upstreams[0], "main") != 0)
        return UV_ENOENT;
    struct fake *f = calloc(1, sizeof(*f));
    f->base.ops = &fake_ops;
    f->maker = maker;
    f->loop = cfg->loop;
    f->handlers = *handlers;
    f->arg = link_arg;
    f->task.run = on_fake_task;
    f->task.arg = f;
    maker->last = f;
    atomic_fetch_add(&maker->at[loop_index(cfg->loop)], 1);
    loop_post(f->loop, &f->task);
    *lp = &f->base;
    return 0;
}

/* --- the rig */

static void
rig_open(struct maker *maker, const struct warm_pool_config *wishes)
{
    struct warm_pool_config cfg = *wishes;

    memset(maker, 0, sizeof(*maker));
    for (unsigned i = 0; i < LOOPS; i++) {
        assert_int_equal(loop_create(&maker->loops[i], i), 0);
        assert_int_equal(loop_start(maker->loops[i]), 0);
    }
    cfg.loops = maker->loops;
    cfg.loop_count = LOOPS;
    cfg.upstream = "main";
    cfg.links = cfg.links ? cfg.links : 3;
    cfg.max = cfg.max ? cfg.max : 32;
    cfg.ttl_ms = cfg.ttl_ms ? cfg.ttl_ms : 60000;
    cfg.refill_ms = cfg.refill_ms ? cfg.refill_ms : 10000;
    cfg.open = fake_open;
    cfg.open_arg = maker;
    maker->ttl_ms = cfg.ttl_ms;
    assert_int_equal(warm_pool_create(&maker->pool, &cfg), 0);
    assert_string_equal(warm_pool_upstream(maker->pool), "main");
}

static bool
comes_true(bool (*question)(struct maker *maker, unsigned n),
           struct maker *maker, unsigned n)
{
    uint64_t end = clock_now_ms() + WAIT_MS;

    while (!question(maker, n)) {
        if (clock_now_ms() > end)
            return false;
        usleep(1000);
    }
    return true;
}

static bool
has_ready(struct maker *maker, unsigned n)
{
    return warm_pool_count(maker->pool) == n;
}

static bool
has_opened(struct maker *maker, unsigned n)
{
    return atomic_load(&maker->opened) >= n;
}

static bool
is_stopped(struct maker *maker, unsigned n)
{
    (void) n;
    return warm_pool_is_stopped(maker->pool);
}

static void
rig_close(struct maker *maker)
{
    warm_pool_stop(maker->pool);
    assert_true(comes_true(is_stopped, maker, 0));
    assert_int_equal(warm_pool_count(maker->pool), 0);
    for (unsigned i = 0; i < LOOPS; i++)
        loop_stop(maker->loops[i]);
    warm_pool_destroy(&maker->pool);
    assert_null(maker->pool);
    for (unsigned i = 0; i < LOOPS; i++)
        loop_destroy(&maker->loops[i]);
    assert_int_equal(atomic_load(&maker->faults), 0);
}

/* --- a session: claims on its loop, keeps or ends the link */

struct session {
    struct loop_task task;
    uv_sem_t done;
    struct maker *maker;
    uint64_t ticket;
    struct model_link *link;
    int result;
};

static void
on_session_event(void *arg, const char *json, size_t bytes)
{
    (void) arg;
    (void) json;
    (void) bytes;
}

static void
on_session_writable(void *arg)
{
    (void) arg;
}

static void
on_session_closed(void *arg, uint16_t code, const char *reason)
{
    (void) arg;
    (void) code;
    (void) reason;
}

static const struct model_link_handlers session_handlers = {
    on_session_event, on_session_writable, on_session_closed};

static void
on_claim(struct loop_task *task, void *arg)
{
    struct session *s = arg;

    (void) task;
    s->result = warm_pool_claim(s->maker->pool, s->ticket, &s->link,
                                &session_handlers, s);
    if (!s->result)
        model_link_close(s->link);
    uv_sem_post(&s->done);
}

static int
claim(struct maker *maker, struct loop *loop, uint64_t ticket)
{
    struct session s = {
        .task = {.run = on_claim, .arg = &s}, .maker = maker, .ticket = ticket};

    uv_sem_init(&s.done, 0);
    loop_post(loop, &s.task);
    uv_sem_wait(&s.done);
    uv_sem_destroy(&s.done);
    return s.result;
}

static int
take(struct maker *maker, const char *model, struct loop **loop,
     uint64_t *ticket)
{
    return warm_pool_take(maker->pool, model, loop, ticket);
}

/* --- tests */

static void
test_filled_and_spread(void **state)
{
    struct maker maker;

    (void) state;
    rig_open(&maker, &(struct warm_pool_config){.model = "m", .links = 4});
    assert_true(comes_true(has_ready, &maker, 4));
    assert_int_equal(atomic_load(&maker.opened), 4);
    assert_int_equal(atomic_load(&maker.at[0]), 2);
    assert_int_equal(atomic_load(&maker.at[1]), 2);
    rig_close(&maker);
    assert_int_equal(atomic_load(&maker.closed), 4);
}

static void
test_take_and_claim(void **state)
{
    struct maker maker;
    struct loop *loop;
    uint64_t ticket;

    (void) state;
    rig_open(&maker, &(struct warm_pool_config){.model = "m"});
    assert_true(comes_true(has_ready, &maker, 3));
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(take(&maker, "m", &loop, &ticket), 0);
        assert_int_equal(claim(&maker, loop, ticket), 0);
        assert_int_equal(claim(&maker, loop, ticket), UV_ENOENT);
        assert_true(comes_true(has_ready, &maker, 3));
    }
    assert_int_equal(atomic_load(&maker.adopted), 20);
    assert_int_equal(atomic_load(&maker.opened), 23);
    assert_int_equal(claim(&maker, loop, 12345), UV_ENOENT);
    rig_close(&maker);
}

static void
test_reserved_once(void **state)
{
    struct maker maker;
    struct loop *loop;
    uint64_t tickets[3], ticket;

    (void) state;
    rig_open(&maker, &(struct warm_pool_config){.model = "m", .max = 3});
    assert_true(comes_true(has_ready, &maker, 3));
    atomic_store(&maker.keep_mum, true); /* no new one gets ready */
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(take(&maker, "m", &loop, &tickets[i]), 0);
    assert_true(tickets[0] != tickets[1] && tickets[1] != tickets[2]);
    assert_int_equal(take(&maker, "m", &loop, &ticket), UV_ENOENT);
    warm_pool_give_back(maker.pool, tickets[1]);
    assert_int_equal(take(&maker, "m", &loop, &ticket), 0);
    assert_true(ticket != tickets[1]);
    assert_int_equal(claim(&maker, loop, tickets[1]), UV_ENOENT);
    assert_int_equal(claim(&maker, loop, ticket), 0);
    warm_pool_give_back(maker.pool, ticket); /* too late: nothing */
    warm_pool_give_back(maker.pool, tickets[0]);
    warm_pool_give_back(maker.pool, tickets[2]);
    rig_close(&maker);
}

static void
test_expiry(void **state)
{
    struct maker maker;
    struct loop *loop;
    uint64_t ticket, end;

    (void) state;
    rig_open(&maker, &(struct warm_pool_config){
                         .model = "m", .ttl_ms = 100, .refill_ms = 1000});
    assert_true(comes_true(has_opened, &maker, 9)); /* three times over */
    assert_true(atomic_load(&maker.closed) >= 3);
    end = clock_now_ms() + 400;
    while (clock_now_ms() < end) {
        if (take(&maker, "m", &loop, &ticket) == 0)
            claim(&maker, loop, ticket);
        usleep(7000);
    }
    /* One that is claimed beyond its time is not given. */
    while (take(&maker, "m", &loop, &ticket))
        usleep(1000);
    usleep(120000);
    assert_int_equal(claim(&maker, loop, ticket), UV_ENOENT);
    rig_close(&maker);
}

static void
on_pass(struct loop_task *task, void *arg)
{
    struct session *s = arg;

    (void) task;
    if (s->maker) {
        struct fake *last = s->maker->last;
        last->kill = true;
        loop_post(last->loop, &last->task);
    }
    uv_sem_post(&s->done);
}

/* Waits until what was posted there has run; with a maker, its last link
 * dies. */
static void
loop_pass(struct loop *loop, struct maker *maker)
{
    struct session s = {.task = {.run = on_pass, .arg = &s}, .maker = maker};

    uv_sem_init(&s.done, 0);
    loop_post(loop, &s.task);
    uv_sem_wait(&s.done);
    uv_sem_destroy(&s.done);
}

static void
test_reserved_dies(void **state)
{
    struct maker maker;
    struct loop *loop;
    uint64_t ticket;

    (void) state;
    rig_open(&maker, &(struct warm_pool_config){.model = "m", .links = 1});
    assert_true(comes_true(has_ready, &maker, 1));
    struct fake *fake = maker.last;
    assert_int_equal(take(&maker, "m", &loop, &ticket), 0);
    assert_ptr_equal(loop, fake->loop);
    assert_true(comes_true(has_ready, &maker, 1)); /* another one */
    maker.last = fake;
    loop_pass(loop, &maker);
    loop_pass(loop, NULL);
    assert_int_equal(claim(&maker, loop, ticket), UV_ENOENT);
    assert_int_equal(take(&maker, "m", &loop, &ticket), 0);
    assert_int_equal(claim(&maker, loop, ticket), 0);
    rig_close(&maker);
}

static void
test_backoff(void **state)
{
    struct maker maker;
    unsigned opened;

    (void) state;
    rig_open(&maker, &(struct warm_pool_config){
                         .model = "m", .links = 5, .refill_ms = 50});
    assert_true(comes_true(has_ready, &maker, 5));
    rig_close(&maker);

    rig_open(&maker, &(struct warm_pool_config){.links = 5, .refill_ms = 50});
    atomic_store(&maker.hang_up, true);
    warm_pool_stop(maker.pool); /* nothing asked for: nothing opened */
    assert_true(comes_true(is_stopped, &maker, 0));
    assert_int_equal(atomic_load(&maker.opened), 0);
    rig_close(&maker);

    /* Refused from the start, then well. */
    memset(&maker, 0, sizeof(maker));
    rig_open(&maker, &(struct warm_pool_config){
                         .model = "m", .links = 5, .refill_ms = 20});
    atomic_store(&maker.hang_up, true);
    usleep(400000);
    opened = atomic_load(&maker.opened);
    assert_true(opened <= 10);
    usleep(400000);
    assert_true(atomic_load(&maker.opened) <= opened + 2);
    atomic_store(&maker.hang_up, false);
    assert_true(comes_true(has_ready, &maker, 5));
    rig_close(&maker);
}

static void
test_learned(void **state)
{
    struct maker maker;
    struct loop *loop;
    uint64_t ticket;

    (void) state;
    rig_open(&maker, &(struct warm_pool_config){.links = 2});
    assert_int_equal(take(&maker, "x", &loop, &ticket), UV_ENOENT);
    assert_true(comes_true(has_ready, &maker, 2));
    assert_string_equal(maker.last_model, "x");
    assert_int_equal(take(&maker, "y", &loop, &ticket), UV_ENOENT);
    assert_true(comes_true(has_ready, &maker, 4));
    assert_int_equal(take(&maker, "x", &loop, &ticket), 0);
    assert_int_equal(claim(&maker, loop, ticket), 0);
    rig_close(&maker);
}

/* A name that a client made up costs one attempt. */
static void
test_unproven(void **state)
{
    struct maker maker;
    struct loop *loop;
    uint64_t ticket;

    (void) state;
    rig_open(&maker, &(struct warm_pool_config){.links = 5, .refill_ms = 20});
    atomic_store(&maker.hang_up, true);
    assert_int_equal(take(&maker, "none", &loop, &ticket), UV_ENOENT);
    assert_true(comes_true(has_opened, &maker, 1));
    usleep(200000);
    assert_int_equal(atomic_load(&maker.opened), 1);
    atomic_store(&maker.refuse, true);
    assert_int_equal(take(&maker, "none", &loop, &ticket), UV_ENOENT);
    assert_true(comes_true(has_opened, &maker, 2));
    usleep(100000);
    assert_int_equal(atomic_load(&maker.opened), 2);
    rig_close(&maker);
}

static void
test_cap(void **state)
{
    struct maker maker;
    struct loop *loop;
    uint64_t ticket;
    char name[16];

    (void) state;
    rig_open(&maker,
             &(struct warm_pool_config){.model = "m", .links = 4, .max = 10});
    for (unsigned i = 0; i < 2 * WARM_MODELS_MAX; i++) {
        snprintf(name, sizeof(name), "m%u", i);
        take(&maker, name, &loop, &ticket);
    }
    assert_true(comes_true(has_ready, &maker, 10));
    usleep(50000);
    assert_int_equal(warm_pool_count(maker.pool), 10);
    assert_int_equal(atomic_load(&maker.opened), 10);
    rig_close(&maker);
}

/* --- everything at once */

struct crowd {
    struct maker *maker;
    pthread_t thread;
    unsigned claimed;
};

static void *
crowd_run(void *arg)
{
    struct crowd *crowd = arg;
    uint64_t end = clock_now_ms() + 700, ticket;
    struct loop *loop;

    for (unsigned i = 0; clock_now_ms() < end; i++) {
        if (take(crowd->maker, i % 3 ? "m" : "n", &loop, &ticket))
            usleep(500);
        else if (i % 7 == 0)
            warm_pool_give_back(crowd->maker->pool, ticket);
        else
            crowd->claimed += claim(crowd->maker, loop, ticket) == 0;
    }
    return NULL;
}

static void
test_crowd(void **state)
{
    struct maker maker;
    struct crowd crowd[4];
    unsigned claimed = 0;

    (void) state;
    rig_open(&maker,
             &(struct warm_pool_config){
                 .model = "m", .links = 8, .ttl_ms = 60, .refill_ms = 30});
    for (unsigned i = 0; i < 4; i++) {
        crowd[i] = (struct crowd){.maker = &maker};
        pthread_create(&crowd[i].thread, NULL, crowd_run, &crowd[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(crowd[i].thread, NULL);
        claimed += crowd[i].claimed;
    }
    assert_true(claimed > 50);
    assert_int_equal(atomic_load(&maker.adopted), claimed);
    rig_close(&maker);
    assert_int_equal(atomic_load(&maker.opened), atomic_load(&maker.closed));
}

static void
test_stop_with_reserved(void **state)
{
    struct maker maker;
    struct loop *loop;
    uint64_t ticket;

    (void) state;
    rig_open(&maker, &(struct warm_pool_config){.model = "m"});
    assert_true(comes_true(has_ready, &maker, 3));
    assert_int_equal(take(&maker, "m", &loop, &ticket), 0);
    warm_pool_stop(maker.pool);
    loop_pass(maker.loops[0], NULL);
    loop_pass(maker.loops[1], NULL);
    assert_false(warm_pool_is_stopped(maker.pool));
    assert_int_equal(claim(&maker, loop, ticket), 0);
    assert_int_equal(take(&maker, "m", &loop, &ticket), UV_ENOENT);
    rig_close(&maker);
}

/* --- models, by an hour of our own */

static void
test_models(void **state)
{
    static struct warm_models models;
    struct warm_model *a, *b;

    (void) state;
    memset(&models, 0, sizeof(models));
    assert_null(warm_models_next(&models, NULL, 1000));
    warm_models_keep(&models, "kept");
    a = warm_models_ask(&models, "a", 1000);
    b = warm_models_ask(&models, "b", 2000);
    assert_ptr_equal(warm_models_ask(&models, "a", 1500), a);
    struct warm_model *first = warm_models_next(&models, NULL, 3000);
    assert_string_equal(first->name, "kept");
    assert_ptr_equal(warm_models_next(&models, first, 3000), b);
    assert_ptr_equal(warm_models_next(&models, b, 3000), a);
    assert_null(warm_models_next(&models, a, 3000));

    assert_int_equal(warm_model_want(first, 3, 3000), 3);
    assert_int_equal(warm_model_want(a, 3, 3000), 1);
    warm_model_proven(a);
    assert_int_equal(warm_model_want(a, 3, 3000), 3);
    warm_model_failed(a, 3000);
    assert_int_equal(warm_model_want(a, 3, 3000), 0);
    assert_true(warm_models_due_ms(&models, 3000) <= 4000);
    assert_int_equal(warm_model_want(a, 3, 4001), 1);
    assert_true(warm_models_due_ms(&models, 4001) == UINT64_MAX);
    warm_model_succeeded(a);
    assert_int_equal(warm_model_want(a, 3, 4001), 3);

    /* b never opened: forgotten; a cools down; the kept one stays. */
    warm_model_failed(b, 5000);
    assert_ptr_equal(warm_models_next(&models, first, 5000), a);
    assert_null(warm_models_next(&models, a, 5000));
    a->links = 1;
    assert_null(warm_models_next(&models, first, 1500 + WARM_COOL_MS));
    assert_non_null(a->name);
    a->links = 0;
    assert_null(warm_models_next(&models, first, 1500 + WARM_COOL_MS));
    assert_null(a->name);
    assert_ptr_equal(warm_models_next(&models, NULL, 1u << 30), first);
    warm_models_deinit(&models);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_filled_and_spread),
        cmocka_unit_test(test_take_and_claim),
        cmocka_unit_test(test_reserved_once),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_reserved_dies),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_learned),
        cmocka_unit_test(test_unproven),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_stop_with_reserved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/tool_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define TTL     30000
#define THREADS 64
#define ROUNDS  200

static struct tool_cache *cache;
static uint64_t now_ms;

/* One that asks. */
struct asker {
    struct tool_cache_waiter waiter;
    struct tool_value *value;
    struct tool_flight *flight;
    enum tool_cache_found found;
    unsigned answers;
    const void *note;
    char answer[64]; /* "": given up */
};

static int
setup(void **state)
{
    const struct tool_cache_config cfg = {4, 20000};

    (void) state;
    now_ms = 1000;
    return tool_cache_create(&cache, &cfg);
}

static int
teardown(void **state)
{
    struct tool_cache_counts counts;

    (void) state;
    tool_cache_get_counts(cache, &counts);
    assert_int_equal(counts.flights, 0);
    tool_cache_destroy(&cache);
    return 0;
}

static struct tool_cache_question
question(unsigned n)
{
    struct tool_cache_question q = {.now_ms = now_ms};

    memcpy(q.key.hash, &n, sizeof(n));
    return q;
}

static void
on_answer(void *arg, struct tool_value *value, const void *note)
{
    struct asker *asker = arg;

    asker->note = note;
    asker->answers++;
    snprintf(asker->answer, sizeof(asker->answer), "%s",
             value ? value->text : "");
}

static void
ask_of(struct asker *asker, const struct tool_cache_question *q)
{
    *asker = (struct asker){.waiter = {.handler = on_answer, .arg = asker}};
    asker->found =
        tool_cache_ask(cache, q, &asker->waiter, &asker->value, &asker->flight);
}

static void
ask(struct asker *asker, unsigned n)
{
    const struct tool_cache_question q = question(n);

    ask_of(asker, &q);
}

/* Runs what the asker was told to run. */
static void
run_of(struct asker *asker, const char *text, const struct tool_cache_stamp *s)
{
    struct tool_value *value =
        text ? tool_value_make(text, strlen(text)) : NULL;
    struct tool_cache_result result = {
        .value = value, .ttl_ms = TTL, .now_ms = now_ms};

    if (s)
        result.stamp = *s;
    assert_non_null(asker->flight);
    tool_cache_done(cache, &asker->flight, &result);
    assert_null(asker->flight);
    tool_value_unref(value);
}

static void
run(struct asker *asker, const char *text)
{
    run_of(asker, text, NULL);
}

/* What is found alone is what asking gives; asking alone makes flights. */
static void
test_r3_2_find(void **state)
{
    const struct tool_cache_question q = question(1);
    struct tool_flight *flight;
    struct asker asker;

    (void) state;
    assert_null(tool_cache_find(cache, &q, &flight));
    assert_null(flight);
    ask(&asker, 1);
    assert_non_null(asker.flight);
    assert_null(tool_cache_find(cache, &q, &flight));
    run(&asker, "one");
    struct tool_value *value = tool_cache_find(cache, &q, &flight);
    assert_string_equal(value->text, "one");
    assert_null(flight);
    tool_value_unref(value);
}

static void
test_value_dump(void **state)
{
    json_t *tree = json_pack("{s:s, s:f}", "a", "bc\n", "d", 0.8);
    json_t *text = json_string("plain");
    struct tool_value *value = NULL;

    (void) state;
    assert_int_equal(tool_value_dump(&value, tree, 1000), 0);
    assert_string_equal(value->text, "{\"a\":\"bc\\n\",\"d\":0.8}");
    assert_int_equal(value->bytes, strlen(value->text));
    assert_false(value->truncated);
    assert_int_equal(tool_value_dump(&value, tree, value->bytes - 1), UV_E2BIG);
    tool_value_unref(value);
    assert_int_equal(tool_value_dump(&value, text, 7), 0);
    assert_string_equal(value->text, "\"plain\"");
    tool_value_unref(value);
    for (unsigned i = 0; i < 2000; i++)
        json_object_set_new(
            tree,
            (char[]){(char) ('a' + i % 26), (char) ('a' + i / 26 % 26), 0},
            json_integer(i));
    assert_int_equal(tool_value_dump(&value, tree, 1 << 20), 0);
    assert_true(value->bytes > 4096);
    tool_value_unref(value);
    json_decref(tree);
    json_decref(text);
}

static void
assert_hit(unsigned n, const char *text)
{
    struct asker asker;

    ask(&asker, n);
    assert_int_equal(asker.found, TOOL_CACHE_HIT);
    assert_string_equal(asker.value->text, text);
    assert_null(asker.flight);
    tool_value_unref(asker.value);
}

/* Asked anew, it has to be run; that gives `text`. */
static void
assert_miss(unsigned n, const char *text)
{
    struct asker asker;

    ask(&asker, n);
    assert_int_equal(asker.found, TOOL_CACHE_WAIT);
    run(&asker, text);
    assert_int_equal(asker.answers, 1);
    assert_string_equal(asker.answer, text);
}

static void
test_r3_2_a_result_lives_for_its_time(void **state)
{
    struct asker asker;

    (void) state;
    assert_miss(1, "one");
    assert_hit(1, "one");
    now_ms += TTL - TTL / 10 - 1;
    assert_hit(1, "one");
    now_ms += TTL / 10 + 1;
    ask(&asker, 1);
    assert_int_equal(asker.found, TOOL_CACHE_WAIT);
    run(&asker, "two");
    assert_hit(1, "two");
}

/* Shortly before its end one of those who ask makes it anew; all the others
 * and it are given what there is. */
static void
test_r3_2_early_refresh(void **state)
{
    struct asker first, second, late;

    (void) state;
    assert_miss(1, "old");
    now_ms += TTL - TTL / 10;
    ask(&first, 1);
    ask(&second, 1);
    assert_int_equal(first.found, TOOL_CACHE_HIT);
    assert_int_equal(second.found, TOOL_CACHE_HIT);
    assert_non_null(first.flight);
    assert_null(second.flight);
    assert_false(tool_cache_abandon(cache, first.flight));
    tool_value_unref(first.value);
    tool_value_unref(second.value);
    now_ms += TTL / 10;
    ask(&late, 1); /* it has ended: who asks waits for the refresh */
    assert_int_equal(late.found, TOOL_CACHE_WAIT);
    assert_null(late.flight);
    run(&first, "new");
    assert_string_equal(late.answer, "new");
    assert_int_equal(first.answers, 0);
    assert_hit(1, "new");
}

/* The least recently used goes, by count and by bytes; one that is too large
 * for the cache is given and not kept. */
static void
test_r3_2_least_recently_used(void **state)
{
    struct tool_cache_counts counts;
    char *large = malloc(6000);

    (void) state;
    for (unsigned n = 1; n <= 4; n++)
        assert_miss(n, "x");
    assert_hit(1, "x");
    assert_miss(5, "x");
    assert_hit(1, "x");
    assert_miss(2, "x"); /* was the oldest */
    tool_cache_get_counts(cache, &counts);
    assert_int_equal(counts.entries, 4);
    assert_true(counts.evicted >= 2);

    memset(large, 'y', 5999);
    large[4500] = 0;
    for (unsigned n = 10; n < 20; n++) {
        struct asker asker;

        ask(&asker, n);
        run(&asker, large);
        tool_cache_get_counts(cache, &counts);
        assert_true(counts.bytes <= 20000);
    }
    assert_int_equal(counts.entries, 4);
    large[4500] = 'y';
    large[5999] = 0;
    struct asker asker;
    ask(&asker, 30);
    run(&asker, large);
    assert_int_equal(asker.answers, 1);
    ask(&asker, 30);
    assert_int_equal(asker.found, TOOL_CACHE_WAIT);
    run(&asker, NULL);
    free(large);
}

static void
test_r3_2_only_successes(void **state)
{
    struct tool_cache_result result = {.ttl_ms = 0, .now_ms = now_ms};
    struct asker asker, other;

    (void) state;
    ask(&asker, 1);
    ask(&other, 1);
    result.value = tool_value_make("no such file", 12);
    tool_cache_done(cache, &asker.flight, &result);
    tool_value_unref(result.value);
    assert_string_equal(asker.answer, "no such file");
    assert_string_equal(other.answer, "no such file");
    ask(&asker, 1);
    assert_int_equal(asker.found, TOOL_CACHE_WAIT);
    run(&asker, NULL);
    assert_int_equal(asker.answers, 1);
    assert_string_equal(asker.answer, "");
    assert_miss(1, "now");
}

/* What was begun before a write is not given after it, whenever it ends. */
static void
test_r3_2_a_write_invalidates(void **state)
{
    struct asker before, during, after, joined;

    (void) state;
    assert_miss(1, "old");
    ask(&before, 2);
    tool_cache_bump(cache, 0); /* a write begins */
    ask(&during, 2);
    assert_int_equal(during.found, TOOL_CACHE_WAIT);
    assert_non_null(during.flight); /* not joined to what was begun before */
    run(&before, "before");
    assert_string_equal(before.answer, "before");
    assert_int_equal(during.answers, 0);
    run(&during, "half");
    tool_cache_bump(cache, 0); /* it has ended */
    ask(&after, 2);
    assert_int_equal(after.found, TOOL_CACHE_WAIT);
    ask(&joined, 2);
    assert_null(joined.flight);
    run(&after, "after");
    assert_string_equal(joined.answer, "after");
    assert_hit(2, "after");
    assert_miss(1, "new");
}

static void
test_r3_2_domains_are_apart(void **state)
{
    struct tool_cache_question web = question(7);
    struct asker asker;

    (void) state;
    web.domain = TOOL_CACHE_DOMAINS - 1;
    ask_of(&asker, &web);
    run(&asker, "page");
    tool_cache_bump(cache, 0);
    ask_of(&asker, &web);
    assert_int_equal(asker.found, TOOL_CACHE_HIT);
    tool_value_unref(asker.value);
    tool_cache_bump(cache, TOOL_CACHE_DOMAINS - 1);
    ask_of(&asker, &web);
    assert_int_equal(asker.found, TOOL_CACHE_WAIT);
    run(&asker, "page");
}

/* A file that somebody else changed is seen at once. */
static void
test_r3_2_stamps(void **state)
{
    const struct tool_cache_stamp old = {{1, 2, 3}}, new = {{1, 2, 4}};
    struct tool_cache_question q = question(1);
    struct asker asker, other;

    (void) state;
    q.stamp = old;
    ask_of(&asker, &q);
    run_of(&asker, "old", &old);
    ask_of(&asker, &q);
    assert_int_equal(asker.found, TOOL_CACHE_HIT);
    tool_value_unref(asker.value);
    q.stamp = new;
    ask_of(&asker, &q);
    assert_int_equal(asker.found, TOOL_CACHE_WAIT);
    q.stamp = old; /* looked before, asks later: joins nothing newer */
    ask_of(&other, &q);
    assert_non_null(other.flight);
    run_of(&asker, "new", &new);
    run_of(&other, "newer", &new); /* what was there when it was read */
    q.stamp = new;
    ask_of(&asker, &q);
    assert_int_equal(asker.found, TOOL_CACHE_HIT);
    assert_string_equal(asker.value->text, "newer");
    tool_value_unref(asker.value);
}

static void
test_r3_2_who_leaves_takes_nobody_along(void **state)
{
    struct asker first, second, third;

    (void) state;
    ask(&first, 1);
    ask(&second, 1);
    ask(&third, 1);
    assert_true(tool_cache_leave(cache, &first.waiter));
    assert_false(tool_cache_leave(cache, &first.waiter));
    assert_true(tool_cache_leave(cache, &second.waiter));
    assert_false(tool_cache_abandon(cache, first.flight));
    run(&first, "one");
    assert_int_equal(first.answers, 0);
    assert_int_equal(second.answers, 0);
    assert_string_equal(third.answer, "one");
    assert_false(tool_cache_leave(cache, &third.waiter));

    ask(&first, 2);
    assert_true(tool_cache_leave(cache, &first.waiter));
    ask(&second, 2); /* wanted again */
    assert_null(second.flight);
    assert_false(tool_cache_abandon(cache, first.flight));
    run(&first, "two");
    assert_string_equal(second.answer, "two");
    assert_int_equal(first.answers, 0);

    ask(&first, 3);
    assert_true(tool_cache_leave(cache, &first.waiter));
    assert_true(tool_cache_abandon(cache, first.flight));
    ask(&second, 3); /* one that was given up is not joined */
    assert_non_null(second.flight);
    run(&first, NULL);
    assert_int_equal(second.answers, 0);
    run(&second, "three");
    assert_string_equal(second.answer, "three");
}

static void
key_check(const char *a[3], const char *args_a, const char *b[3],
          const char *args_b, bool same)
{
    json_t *tree_a = json_loads(args_a, 0, NULL);
    json_t *tree_b = json_loads(args_b, 0, NULL);
    struct tool_cache_key key_a, key_b;

    assert_int_equal(tool_cache_key_make(&key_a, a[0], a[1], a[2], tree_a), 0);
    assert_int_equal(tool_cache_key_make(&key_b, b[0], b[1], b[2], tree_b), 0);
    assert_int_equal(memcmp(&key_a, &key_b, sizeof(key_a)) == 0, same);
    json_decref(tree_a);
    json_decref(tree_b);
}

static void
test_r3_2_keys(void **state)
{
    const char *plain[] = {"t", "/r", "read_file"};
    const char *tenant[] = {"u", "/r", "read_file"};
    const char *root[] = {"t", "/s", "read_file"};
    const char *tool[] = {"t", "/r", "grep"};
    const char *moved[] = {"t/", "r", "read_file"};
    const char *args = "{\"a\":1,\"b\":{\"c\":[1,2],\"d\":null}}";

    (void) state;
    key_check(plain, args, plain,
              "{ \"b\" : {\"d\":null, \"c\":[1, 2]}, \"a\":1 }", true);
    key_check(plain, args, plain, "{\"a\":2,\"b\":{\"c\":[1,2],\"d\":null}}",
              false);
    key_check(plain, args, plain, "{\"a\":1,\"b\":{\"c\":[2,1],\"d\":null}}",
              false);
    key_check(plain, args, tenant, args, false);
    key_check(plain, args, root, args, false);
    key_check(plain, args, tool, args, false);
    key_check(plain, args, moved, args, false);
}

/* --- threads */

static atomic_uint runs, answered;

static void
on_threads_answer(void *arg, struct tool_value *value, const void *note)
{
    (void) note;
    (void) arg;
    assert_non_null(value);
    assert_string_equal(value->text, "slow");
    atomic_fetch_add(&answered, 1);
}

struct ask_thread {
    pthread_t thread;
    pthread_barrier_t *barrier;
    struct tool_cache_waiter waiters[ROUNDS];
};

/* The slow tool of one key. */
static void
slow_run(struct tool_flight *flight)
{
    struct tool_cache_result result = {
        .value = tool_value_make("slow", 4), .ttl_ms = TTL, .now_ms = 1000};

    atomic_fetch_add(&runs, 1);
    usleep(500);
    tool_cache_done(cache, &flight, &result);
    tool_value_unref(result.value);
}

static void *
ask_in_thread(void *arg)
{
    struct ask_thread *t = arg;

    for (unsigned n = 0; n < ROUNDS; n++) {
        struct tool_cache_question q = question(n);
        struct tool_value *value;
        struct tool_flight *flight;

        t->waiters[n].handler = on_threads_answer;
        pthread_barrier_wait(t->barrier);
        if (tool_cache_ask(cache, &q, &t->waiters[n], &value, &flight)
            == TOOL_CACHE_HIT) {
            on_threads_answer(NULL, value, NULL);
            tool_value_unref(value);
        }
        if (flight)
            slow_run(flight);
    }
    return NULL;
}

/* 64 threads, one slow key at a time: one execution each, everybody is
 * answered. */
static void
test_r3_2_single_flight(void **state)
{
    struct ask_thread *threads = calloc(THREADS, sizeof(*threads));
    pthread_barrier_t barrier;

    (void) state;
    atomic_store(&runs, 0);
    atomic_store(&answered, 0);
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i].barrier = &barrier;
        assert_int_equal(pthread_create(&threads[i].thread, NULL, ask_in_thread,
                                        &threads[i]),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i].thread, NULL);
    assert_int_equal(atomic_load(&runs), ROUNDS);
    assert_int_equal(atomic_load(&answered), THREADS * ROUNDS);
    pthread_barrier_destroy(&barrier);
    free(threads);
}

/* Against a model without a cache: under random asks, writes and ends nobody
 * is given what was there before a write that had ended when it asked. */
static void
test_r3_2_never_old(void **state)
{
    enum { KEYS = 6, OPEN = 32 };
    struct asker askers[OPEN] = {0};
    unsigned read_at[OPEN] = {0}, world = 0, hits = 0;
    char text[16];

    (void) state;
    srand(4711);
    for (unsigned step = 0; step < 20000; step++) {
        unsigned i = (unsigned) rand() % OPEN;

        now_ms += (unsigned) rand() % 300;
        if (askers[i].flight) { /* read when it was begun, told now */
            snprintf(text, sizeof(text), "%u", read_at[i]);
            run(&askers[i], text);
        } else if (rand() % 20 == 0) {
            tool_cache_bump(cache, 0);
            world++;
            tool_cache_bump(cache, 0);
        } else if (!askers[i].waiter.flight) {
            ask(&askers[i], (unsigned) rand() % KEYS);
            read_at[i] = world;
            if (askers[i].value) {
                assert_int_equal(atoi(askers[i].value->text), world);
                tool_value_unref(askers[i].value);
                hits++;
            }
        }
        for (unsigned j = 0; j < OPEN; j++)
            if (askers[j].answers == 1) {
                assert_true(atoi(askers[j].answer) >= (int) read_at[j]);
                askers[j].answers = 2;
            }
    }
    assert_true(hits > 1000);
    for (unsigned i = 0; i < OPEN; i++)
        if (askers[i].flight)
            run(&askers[i], NULL);
}

static void
test_what_is_no_cache(void **state)
{
    struct tool_cache *none = NULL;

    (void) state;
    assert_int_equal(
        tool_cache_create(&none, &(const struct tool_cache_config){0, 1}),
        UV_EINVAL);
    assert_int_equal(
        tool_cache_create(&none, &(const struct tool_cache_config){1, 0}),
        UV_EINVAL);
    tool_cache_destroy(&none);
    tool_value_unref(NULL);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_r3_2_find),
        TEST(test_value_dump),
        TEST(test_r3_2_a_result_lives_for_its_time),
        TEST(test_r3_2_early_refresh),
        TEST(test_r3_2_least_recently_used),
        TEST(test_r3_2_only_successes),
        TEST(test_r3_2_a_write_invalidates),
        TEST(test_r3_2_domains_are_apart),
        TEST(test_r3_2_stamps),
        TEST(test_r3_2_who_leaves_takes_nobody_along),
        cmocka_unit_test(test_r3_2_keys),
        TEST(test_r3_2_single_flight),
        TEST(test_r3_2_never_old),
        cmocka_unit_test(test_what_is_no_cache),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}

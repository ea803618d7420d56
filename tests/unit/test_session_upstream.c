/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * session_upstream over links that are made of arrays, on a loop that the test
 * turns itself.
 */

#include "session/session_upstream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINKS 32
#define TEXTS 256

#define CREATED                                                                \
    "{\"type\":\"session.created\",\"event_id\":\"event_1\",\"session\":{"     \
    "\"type\":\"realtime\",\"id\":\"sess_up\"}}"
#define UPDATED                                                                \
    "{\"type\":\"session.updated\",\"event_id\":\"event_2\",\"session\":{"     \
    "\"type\":\"realtime\",\"id\":\"sess_up\"}}"
#define CANCEL "{\"type\":\"response.cancel\"}"

struct fake {
    struct model_link link; /* first */
    const struct model_link_handlers *handlers;
    void *arg;
    struct loop_task closed; /* on_closed after close */
    char *got[TEXTS];
    unsigned count;
    int send_result;
    bool is_paused, is_closing, is_gone;
};

static struct {
    struct loop *loop;
    struct fake links[LINKS];
    unsigned opened;
    struct model_link *lasting;
    char *told[TEXTS];
    unsigned told_count;
    unsigned writable, swaps, returns;
    unsigned code;
    bool closed;
} rig;

/* --- links */

static int
fake_send(struct model_link *link, const char *json, size_t bytes)
{
    struct fake *f = (struct fake *) link;

    assert_false(f->is_closing);
    f->got[f->count++] = strndup(json, bytes);
    return f->send_result;
}

static void
fake_pause(struct model_link *link, bool paused)
{
    ((struct fake *) link)->is_paused = paused;
}

static void
on_fake_closed(struct loop_task *task, void *arg)
{
    struct fake *f = arg;

    (void) task;
    f->is_gone = true;
    f->handlers->on_closed(f->arg, 1000, "");
}

static void
fake_close(struct model_link *link)
{
    struct fake *f = (struct fake *) link;

    if (f->is_closing || f->is_gone)
        return;
    f->is_closing = true;
    f->closed = (struct loop_task){.run = on_fake_closed, .arg = f};
    loop_post(rig.loop, &f->closed);
}

static const char *
fake_name(const struct model_link *link)
{
    (void) link;
    return "fake";
}

static void
fake_adopt(struct model_link *link, const struct model_link_handlers *handlers,
           void *arg)
{
    struct fake *f = (struct fake *) link;

    f->handlers = handlers;
    f->arg = arg;
}

static const struct model_link_ops fake_ops = {
    fake_send, fake_pause, fake_close, fake_name, fake_adopt};

static int
fake_open(struct model_link **lp, const struct model_link_config *cfg,
          const struct model_link_handlers *handlers, void *link_arg, void *arg)
{
    struct fake *f = &rig.links[rig.opened++];

    (void) arg;
    assert_true(rig.opened < LINKS);
    assert_string_equal(cfg->model, "m");
    f->link.ops = &fake_ops;
    f->handlers = handlers;
    f->arg = link_arg;
    *lp = &f->link;
    return 0;
}

/* --- its user */

static void
on_event(void *arg, const char *json, size_t bytes)
{
    (void) arg;
    assert_true(rig.told_count < TEXTS);
    rig.told[rig.told_count++] = strndup(json, bytes);
}

static void
on_writable(void *arg)
{
    (void) arg;
    rig.writable++;
}

static void
on_closed(void *arg, uint16_t code, const char *reason)
{
    (void) arg;
    (void) reason;
    assert_false(rig.closed);
    rig.closed = true;
    rig.code = code;
}

static void
on_swapping(void *arg, bool swapping)
{
    (void) arg;
    if (swapping)
        rig.swaps++;
    else
        rig.returns++;
}

static const struct session_upstream_handlers handlers = {
    {on_event, on_writable, on_closed}, on_swapping};

/* --- turns */

static void
turn_for(unsigned ms)
{
    for (unsigned i = 0; i <= ms; i++) {
        for (int j = 0; j < 8; j++)
            uv_run(loop_uv(rig.loop), UV_RUN_NOWAIT);
        if (ms)
            usleep(1000);
    }
}

static void
say(unsigned link, const char *json)
{
    struct fake *f = &rig.links[link];

    f->handlers->on_event(f->arg, json, strlen(json));
    turn_for(0);
}

static void
lose(unsigned link, uint16_t code)
{
    struct fake *f = &rig.links[link];

    f->is_gone = true;
    f->handlers->on_closed(f->arg, code, "");
    turn_for(0);
}

static int
ask(const char *json)
{
    return model_link_send(rig.lasting, json, strlen(json));
}

/* The link does what a model does with a replay. */
static void
settle(unsigned link)
{
    say(link, CREATED);
    turn_for(2);
    say(link, UPDATED);
    turn_for(2);
}

static void
assert_got(unsigned link, const char *part)
{
    for (unsigned i = 0; i < rig.links[link].count; i++)
        if (strstr(rig.links[link].got[i], part))
            return;
    fail_msg("link %u never got %s", link, part);
}

static void
start(uint64_t cap_ms)
{
    const struct session_upstream_config cfg = {
        .link = {.loop = rig.loop, .session_id = "sess_x", .model = "m"},
        .open_model = fake_open,
        .can_be_lost = true,
        .max_session_ms = cap_ms,
    };

    assert_int_equal(session_upstream_open(&rig.lasting, &cfg, &handlers, NULL),
                     0);
    assert_int_equal(rig.opened, 1);
}

static int
setup(void **state)
{
    (void) state;
    memset(&rig, 0, sizeof(rig));
    return loop_create(&rig.loop, 0);
}

static int
teardown(void **state)
{
    (void) state;
    if (!rig.closed)
        model_link_close(rig.lasting);
    turn_for(20);
    assert_true(rig.closed);
    for (unsigned i = 0; i < rig.opened; i++) {
        assert_true(rig.links[i].is_gone);
        while (rig.links[i].count)
            free(rig.links[i].got[--rig.links[i].count]);
    }
    while (rig.told_count)
        free(rig.told[--rig.told_count]);
    loop_stop(rig.loop);
    loop_destroy(&rig.loop);
    return 0;
}

/* --- tests */

static void
test_plain(void **state)
{
    (void) state;
    start(0);
    say(0, CREATED);
    assert_string_equal(rig.told[0], CREATED);
    assert_int_equal(ask(CANCEL), 0);
    assert_string_equal(rig.links[0].got[0], CANCEL);
    model_link_pause(rig.lasting, true);
    assert_true(rig.links[0].is_paused);
    assert_string_equal(model_link_name(rig.lasting), "fake");
    model_link_close(rig.lasting);
    assert_int_equal(ask(CANCEL), UV_EPIPE);
    turn_for(0);
    assert_true(rig.closed);
    assert_int_equal(rig.code, 1000);
}

static void
test_lost(void **state)
{
    (void) state;
    start(0);
    say(0, CREATED);
    model_link_pause(rig.lasting, true);
    lose(0, 1006);
    assert_int_equal(rig.swaps, 1);
    assert_int_equal(ask(CANCEL), UV_EAGAIN);
    turn_for(2);
    assert_int_equal(rig.opened, 2);
    settle(1);
    assert_int_equal(rig.returns, 1);
    assert_got(1, "session.update");
    assert_got(1, "response.cancel");
    assert_true(rig.links[1].is_paused);
    assert_int_equal(rig.writable, 1);
    assert_int_equal(rig.told_count, 1); /* nothing of all this */
    say(1, "{\"type\":\"rate_limits.updated\",\"event_id\":\"event_9\"}");
    assert_int_equal(rig.told_count, 2);
}

static void
test_purposeful_closes(void **state)
{
    static const uint16_t codes[] = {1000, 1002, 1008, 1009, 3000, 4000};

    (void) state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (i) {
            teardown(NULL);
            setup(NULL);
        }
        start(0);
        say(0, CREATED);
        lose(0, codes[i]);
        assert_true(rig.closed);
        assert_int_equal(rig.code, codes[i]);
        assert_int_equal(rig.swaps, 0);
    }
}

static void
test_lost_before_it_began(void **state)
{
    (void) state;
    start(0);
    lose(0, 1006);
    assert_true(rig.closed);
    assert_int_equal(rig.opened, 1);
}

static void
test_expiry_is_not_told(void **state)
{
    (void) state;
    start(0);
    say(0, CREATED);
    say(0, "{\"type\":\"error\",\"event_id\":\"event_3\",\"error\":{"
           "\"type\":\"invalid_request_error\",\"code\":\"session_expired\","
           "\"message\":\"over\"}}");
    assert_int_equal(rig.told_count, 1);
    lose(0, 1001);
    assert_false(rig.closed);
    turn_for(2);
    settle(1);
    assert_int_equal(rig.returns, 1);
}

/* One that dies over and over before it says anything is no upstream. */
static void
test_dies_over_and_over(void **state)
{
    (void) state;
    start(0);
    say(0, CREATED);
    for (unsigned i = 0; i < SESSION_UPSTREAM_TRIES; i++) {
        lose(i, 1006);
        assert_false(rig.closed);
        turn_for(2);
        settle(i + 1);
        assert_int_equal(rig.returns, i + 1);
    }
    lose(SESSION_UPSTREAM_TRIES, 1006);
    assert_true(rig.closed);
    assert_int_equal(rig.code, 1006);
}

static void
test_says_something_in_between(void **state)
{
    (void) state;
    start(0);
    say(0, CREATED);
    for (unsigned i = 0; i < 2 * SESSION_UPSTREAM_TRIES; i++) {
        lose(i, 1006);
        turn_for(2);
        settle(i + 1);
        say(i + 1, "{\"type\":\"rate_limits.updated\",\"event_id\":\"e\"}");
    }
    assert_false(rig.closed);
}

/* One that says a word each time, and dies, is not asked for ever. */
static void
test_comes_and_goes(void **state)
{
    unsigned i = 0;

    (void) state;
    start(0);
    say(0, CREATED);
    for (; i < 20 && !rig.closed; i++) {
        lose(i, 1006);
        if (rig.closed)
            break;
        turn_for(2);
        settle(i + 1);
        say(i + 1, "{\"type\":\"rate_limits.updated\",\"event_id\":\"e\"}");
    }
    assert_true(rig.closed);
    assert_true(i >= 10);
}

static void
test_closed_while_swapping(void **state)
{
    (void) state;
    start(0);
    say(0, CREATED);
    lose(0, 1006);
    turn_for(2);
    say(1, CREATED);
    model_link_close(rig.lasting);
    model_link_close(rig.lasting);
    turn_for(5);
    assert_true(rig.closed);
}

static void
test_full_model(void **state)
{
    (void) state;
    start(0);
    say(0, CREATED);
    rig.links[0].send_result = UV_EAGAIN;
    assert_int_equal(ask(CANCEL), UV_EAGAIN);
    assert_int_equal(rig.writable, 0);
    rig.links[0].send_result = 0;
    rig.links[0].handlers->on_writable(rig.links[0].arg);
    assert_int_equal(rig.writable, 1);
}

/* Near the cap, at a pause: the old link is kept until the new one is ready. */
static void
test_aged(void **state)
{
    (void) state;
    start(400);
    say(0, CREATED);
    for (int i = 0; i < 600 && rig.opened < 2; i++)
        turn_for(1);
    assert_int_equal(rig.opened, 2);
    assert_int_equal(rig.swaps, 1);
    assert_false(rig.links[0].is_closing);
    assert_int_equal(ask(CANCEL), UV_EAGAIN);
    settle(1);
    assert_int_equal(rig.returns, 1);
    assert_true(rig.links[0].is_closing);
    assert_got(1, "response.cancel");
    assert_int_equal(rig.told_count, 1);
}

/* Amid a response one waits, until no time is left. */
static void
test_aged_and_forced(void **state)
{
    (void) state;
    start(300);
    say(0, CREATED);
    say(0, "{\"type\":\"response.created\",\"event_id\":\"event_4\","
           "\"response\":{\"object\":\"realtime.response\",\"id\":\"resp_1\","
           "\"status\":\"in_progress\",\"output\":[],"
           "\"conversation_id\":\"conv_1\"}}");
    for (int i = 0; i < 600 && rig.opened < 2; i++)
        turn_for(1);
    assert_int_equal(rig.opened, 2);
    assert_true(rig.links[0].is_closing);
    assert_non_null(strstr(rig.told[rig.told_count - 1], "response.done"));
    settle(1);
    assert_got(1, "response.create");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_plain),
        TEST(test_lost),
        TEST(test_purposeful_closes),
        TEST(test_lost_before_it_began),
        TEST(test_expiry_is_not_told),
        TEST(test_dies_over_and_over),
        TEST(test_says_something_in_between),
        TEST(test_comes_and_goes),
        TEST(test_closed_while_swapping),
        TEST(test_full_model),
        TEST(test_aged),
        TEST(test_aged_and_forced),
    };

    return cmocka_run_group_tests_name("session_upstream", tests, NULL, NULL);
}

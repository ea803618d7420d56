/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_swap.h"

#include "kit/history_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINKS    16
#define MESSAGES 64

/* A model made of arrays: what it was sent, and what the test lets it say. */
struct fake {
    struct model_link link; /* first */
    const struct model_link_handlers *handlers;
    void *arg;
    char *got[MESSAGES];
    size_t count;
    bool is_closing, is_gone;
};

struct rig {
    struct loop *loop;
    struct session_history *history;
    struct session_swap *swap;
    struct fake links[LINKS];
    unsigned opened;
    unsigned refuse_opens; /* the next ones fail */
    int send_result;
    bool inside; /* a call of the swap's user is under way */
    struct model_link *ready;
    unsigned readies, failures;
    uint16_t code;
    char reason[128];
    char adopted[256]; /* the last event after the adoption */
};

/* --- the model */

static struct rig *the_rig;

static int
fake_send(struct model_link *link, const char *json, size_t bytes)
{
    struct fake *fake = (struct fake *) link;

    assert_false(fake->is_closing || fake->is_gone);
    assert_int_equal(strlen(json), bytes);
    assert_true(fake->count < MESSAGES);
    if (the_rig->send_result == 0 || the_rig->send_result == UV_EAGAIN)
        fake->got[fake->count++] = strdup(json);
    return the_rig->send_result;
}

static void
fake_pause(struct model_link *link, bool paused)
{
    (void) link;
    (void) paused;
}

static void
fake_close(struct model_link *link)
{
    struct fake *fake = (struct fake *) link;

    assert_false(fake->is_closing || fake->is_gone);
    fake->is_closing = true;
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
    struct fake *fake = (struct fake *) link;

    fake->handlers = handlers;
    fake->arg = arg;
}

static const struct model_link_ops fake_ops = {
    fake_send, fake_pause, fake_close, fake_name, fake_adopt};

static int
open_model(struct model_link **lp, const struct model_link_config *cfg,
           const struct model_link_handlers *handlers, void *link_arg,
           void *arg)
{
    struct rig *rig = arg;
    struct fake *fake = &rig->links[rig->opened];

    assert_false(rig->inside);
    assert_string_equal(cfg->model, "m");
    assert_true(rig->opened++ < LINKS);
    if (rig->refuse_opens) {
        rig->refuse_opens--;
        return UV_ECONNREFUSED;
    }
    fake->link.ops = &fake_ops;
    fake->handlers = handlers;
    fake->arg = link_arg;
    *lp = &fake->link;
    return 0;
}

static struct fake *
last(struct rig *rig)
{
    return &rig->links[rig->opened - 1];
}

static void
say(struct rig *rig, const char *text)
{
    struct fake *fake = last(rig);
    char *copy = strdup(text);

    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    fake->handlers->on_event(fake->arg, copy, strlen(copy));
    free(copy);
}

static void
end(struct rig *rig, struct fake *fake, uint16_t code, const char *reason)
{
    (void) rig;
    fake->is_gone = true;
    fake->handlers->on_closed(fake->arg, code, reason);
}

static void
acknowledge(struct rig *rig, const char *id)
{
    char text[256];

    snprintf(text, sizeof(text),
             "{'type':'conversation.item.added','previous_item_id':null,"
             "'item':{'id':'%s','type':'message'}}",
             id);
    say(rig, text);
}

/* --- who uses the swap */

static void
on_adopted_event(void *arg, const char *json, size_t bytes)
{
    struct rig *rig = arg;

    snprintf(rig->adopted, sizeof(rig->adopted), "%.*s", (int) bytes, json);
}

static void
on_adopted_writable(void *arg)
{
    (void) arg;
}

static void
on_adopted_closed(void *arg, uint16_t code, const char *reason)
{
    struct rig *rig = arg;

    (void) code;
    (void) reason;
    rig->ready = NULL;
}

static const struct model_link_handlers adopted = {
    on_adopted_event, on_adopted_writable, on_adopted_closed};

static void
on_ready(void *arg, struct model_link *link)
{
    struct rig *rig = arg;

    assert_false(rig->inside);
    rig->readies++;
    rig->swap = NULL;
    rig->ready = link;
    model_link_adopt(link, &adopted, rig);
}

static void
on_failed(void *arg, uint16_t code, const char *reason)
{
    struct rig *rig = arg;

    assert_false(rig->inside);
    rig->failures++;
    rig->swap = NULL;
    rig->code = code;
    snprintf(rig->reason, sizeof(rig->reason), "%s", reason);
}

static const struct session_swap_handlers handlers = {on_ready, on_failed};

static void
turn(struct rig *rig)
{
    for (int i = 0; i < 3; i++)
        uv_run(loop_uv(rig->loop), UV_RUN_NOWAIT);
}

/* Until that many links were opened, or it is over. */
static void
wait_opened(struct rig *rig, unsigned n)
{
    for (int i = 0; i < 2000 && rig->opened < n && rig->swap; i++) {
        turn(rig);
        uv_sleep(1);
    }
    assert_int_equal(rig->opened, n);
}

static void
wait_over(struct rig *rig)
{
    for (int i = 0; i < 2000 && rig->swap; i++) {
        turn(rig);
        uv_sleep(1);
    }
    assert_null(rig->swap);
}

static void
start(struct rig *rig, uint32_t limit_ms, uint32_t quiet_ms)
{
    const struct model_link_config link = {
        .loop = rig->loop, .session_id = "sess_1", .model = "m"};
    static struct model_link_config kept;
    kept = link;
    const struct session_swap_config cfg = {
        .link = &kept,
        .open_model = open_model,
        .open_model_arg = rig,
        .history = rig->history,
        .log_id = "sess_1",
        .attempts = 3,
        .limit_ms = limit_ms,
        .quiet_ms = quiet_ms,
        .backoff_ms = {1, 2, 3},
    };

    rig->inside = true;
    assert_int_equal(session_swap_start(&rig->swap, &cfg, &handlers, rig), 0);
    rig->inside = false;
    wait_opened(rig, 1);
}

static void
cancel(struct rig *rig)
{
    rig->inside = true;
    session_swap_cancel(&rig->swap);
    rig->inside = false;
    assert_null(rig->swap);
}

static int
setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    the_rig = rig;
    assert_int_equal(loop_create(&rig->loop, 0), 0);
    assert_int_equal(session_history_create(&rig->history), 0);
    history_say_session(rig->history);
    history_say_begin(rig->history, "resp_1", "item_a", "null");
    history_say_end(rig->history, "resp_1", "item_a", "One.");
    history_say_begin(rig->history, "resp_2", "item_b", "'item_a'");
    history_say_end(rig->history, "resp_2", "item_b", "Two.");
    *state = rig;
    return 0;
}

/* Whatever is left of links ends; nobody leaks, nobody is called again. */
static int
teardown(void **state)
{
    struct rig *rig = *state;
    unsigned calls = rig->readies + rig->failures;

    session_swap_cancel(&rig->swap);
    for (unsigned i = 0; i < rig->opened; i++) {
        struct fake *fake = &rig->links[i];
        if (fake->link.ops && !fake->is_gone) {
            assert_true(fake->is_closing || rig->ready == &fake->link);
            end(rig, fake, 1000, "");
        }
        for (size_t n = 0; n < fake->count; n++)
            free(fake->got[n]);
    }
    turn(rig);
    assert_int_equal(rig->readies + rig->failures, calls);
    session_history_destroy(&rig->history);
    loop_destroy(&rig->loop);
    free(rig);
    return 0;
}

static void
assert_got(struct rig *rig, size_t n, const char *text)
{
    assert_true(n < last(rig)->count);
    assert_non_null(strstr(last(rig)->got[n], text));
}

#define CREATED "{'type':'session.created','session':{}}"
#define UPDATED "{'type':'session.updated','session':{}}"

/* --- */

static void
test_ready(void **state)
{
    struct rig *rig = *state;

    start(rig, 5000, 5000);
    assert_int_equal(last(rig)->count, 0);
    say(rig, CREATED);
    assert_int_equal(last(rig)->count, 3);
    assert_got(rig, 0, "\"session.update\"");
    assert_got(rig, 1, "\"item_a\"");
    assert_got(rig, 2, "\"item_b\"");
    say(rig, UPDATED);
    say(rig, "{'type':'rate_limits.updated'}");
    acknowledge(rig, "item_a");
    acknowledge(rig, "nobody");
    assert_int_equal(rig->readies, 0);
    acknowledge(rig, "item_b");
    assert_int_equal(rig->readies, 1);
    /* The very next event is the user's. */
    say(rig, "{'type':'late'}");
    assert_string_equal(rig->adopted, "{\"type\":\"late\"}");
    turn(rig);
}

/* Items first, settings last: nothing is ready without them. */
static void
test_settings_last(void **state)
{
    struct rig *rig = *state;

    start(rig, 5000, 1);
    say(rig, CREATED);
    acknowledge(rig, "item_b");
    acknowledge(rig, "item_a");
    uv_sleep(5);
    turn(rig);
    assert_int_equal(rig->readies, 0);
    say(rig, UPDATED);
    assert_int_equal(rig->readies, 1);
}

static void
test_item_refused(void **state)
{
    struct rig *rig = *state;
    struct session_history_figures figures;

    start(rig, 5000, 5000);
    say(rig, CREATED);
    say(rig, UPDATED);
    say(rig, "{'type':'error','error':{'code':'bad','event_id':'item_a'}}");
    say(rig, "{'type':'error','error':{'code':'other','event_id':null}}");
    say(rig, "{'type':'error','error':{'code':'other','event_id':'x'}}");
    acknowledge(rig, "item_b");
    assert_int_equal(rig->readies, 1);
    json_decref(history_resume(rig->history));
    session_history_figures(rig->history, &figures);
    assert_int_equal(figures.refused, 1);
    assert_int_equal(figures.items, 1);
}

static void
test_settings_refused(void **state)
{
    struct rig *rig = *state;

    start(rig, 5000, 5000);
    for (unsigned n = 1; n <= 3; n++) {
        wait_opened(rig, n);
        say(rig, CREATED);
        say(rig, "{'type':'error','error':{'code':'bad','event_id':"
                 "'voice_settings'}}");
        assert_true(last(rig)->is_closing);
        say(rig, UPDATED);
        acknowledge(rig, "item_a");
        end(rig, last(rig), 1000, "");
    }
    assert_int_equal(rig->failures, 1);
    assert_int_equal(rig->code, 1011);
}

/* A model that answers only some: what it has taken is good enough. */
static void
test_silent_items(void **state)
{
    struct rig *rig = *state;

    start(rig, 5000, 5);
    say(rig, CREATED);
    say(rig, UPDATED);
    acknowledge(rig, "item_a");
    wait_over(rig);
    assert_int_equal(rig->readies, 1);
}

static void
test_late(void **state)
{
    struct rig *rig = *state;

    start(rig, 10, 5000);
    for (unsigned n = 1; n <= 3; n++) {
        wait_opened(rig, n);
        if (n == 2)
            say(rig, CREATED); /* and no session.updated */
        struct fake *fake = last(rig);
        for (int i = 0; i < 1000 && !fake->is_closing; i++) {
            turn(rig);
            uv_sleep(1);
        }
        assert_true(fake->is_closing);
        assert_int_equal(rig->failures, 0);
        end(rig, fake, 1000, "");
    }
    assert_int_equal(rig->failures, 1);
    assert_string_equal(rig->reason, "the new model did not start");
}

/* Dies at each step, then lives. */
static void
test_dies_and_recovers(void **state)
{
    struct rig *rig = *state;

    start(rig, 5000, 5000);
    end(rig, last(rig), 1006, "gone");
    wait_opened(rig, 2);
    say(rig, CREATED);
    say(rig, UPDATED);
    acknowledge(rig, "item_a");
    end(rig, last(rig), 1011, "fault");
    assert_int_equal(rig->failures + rig->readies, 0);
    wait_opened(rig, 3);
    say(rig, CREATED);
    assert_int_equal(last(rig)->count, 3); /* told all over */
    say(rig, UPDATED);
    acknowledge(rig, "item_a");
    acknowledge(rig, "item_b");
    assert_int_equal(rig->readies, 1);
}

static void
test_attempts_used_up(void **state)
{
    struct rig *rig = *state;

    rig->refuse_opens = 1;
    start(rig, 5000, 5000);
    wait_opened(rig, 2);
    end(rig, last(rig), 1006, "gone");
    wait_opened(rig, 3);
    say(rig, CREATED);
    end(rig, last(rig), 1013, "busy");
    assert_int_equal(rig->failures, 1);
    assert_int_equal(rig->code, 1013);
    assert_string_equal(rig->reason, "busy");
}

static void
test_final_code(void **state)
{
    struct rig *rig = *state;

    start(rig, 5000, 5000);
    end(rig, last(rig), 4000, "invalid_request_error.model_not_found");
    assert_int_equal(rig->failures, 1);
    assert_int_equal(rig->code, 4000);
    assert_int_equal(rig->opened, 1);
}

static void
test_backpressure(void **state)
{
    struct rig *rig = *state;

    rig->send_result = UV_EAGAIN;
    start(rig, 5000, 5000);
    say(rig, CREATED);
    for (size_t n = 1; n <= 3; n++) {
        assert_int_equal(last(rig)->count, n);
        last(rig)->handlers->on_writable(last(rig)->arg);
    }
    rig->send_result = 0;
    say(rig, UPDATED);
    acknowledge(rig, "item_a");
    acknowledge(rig, "item_b");
    assert_int_equal(rig->readies, 1);
}

static void
test_broken_sends(void **state)
{
    struct rig *rig = *state;

    rig->send_result = UV_EPIPE; /* its end is on the way */
    start(rig, 5000, 5000);
    say(rig, CREATED);
    assert_false(last(rig)->is_closing);
    end(rig, last(rig), 1006, "");
    wait_opened(rig, 2);
    rig->send_result = UV_ENOMEM; /* then we give up on it */
    say(rig, CREATED);
    assert_true(last(rig)->is_closing);
    end(rig, last(rig), 1000, "");
    wait_opened(rig, 3);
    rig->send_result = 0;
    say(rig, CREATED);
    say(rig, UPDATED);
    acknowledge(rig, "item_a");
    acknowledge(rig, "item_b");
    assert_int_equal(rig->readies, 1);
}

static void
test_nothing_to_tell(void **state)
{
    struct rig *rig = *state;

    session_history_destroy(&rig->history);
    assert_int_equal(session_history_create(&rig->history), 0);
    start(rig, 5000, 5000);
    say(rig, "{'type':'error','error':{'code':'x'}}");
    assert_int_equal(rig->readies, 0);
    say(rig, CREATED);
    assert_int_equal(rig->readies, 1);
}

/* --- cancelled, in every state */

static void
test_cancel_at_once(void **state)
{
    struct rig *rig = *state;

    start(rig, 5000, 5000);
    cancel(rig);
    assert_true(last(rig)->is_closing);
    say(rig, CREATED);
    assert_int_equal(last(rig)->count, 0);
}

static void
test_cancel_while_telling(void **state)
{
    struct rig *rig = *state;

    rig->send_result = UV_EAGAIN;
    start(rig, 5000, 5000);
    say(rig, CREATED);
    cancel(rig);
    last(rig)->handlers->on_writable(last(rig)->arg);
    say(rig, UPDATED);
    assert_int_equal(last(rig)->count, 1);
}

static void
test_cancel_while_closing(void **state)
{
    struct rig *rig = *state;

    rig->send_result = UV_ENOMEM;
    start(rig, 5000, 5000);
    say(rig, CREATED);
    assert_true(last(rig)->is_closing);
    cancel(rig);
}

static void
test_cancel_while_resting(void **state)
{
    struct rig *rig = *state;

    start(rig, 5000, 5000);
    end(rig, last(rig), 1006, "");
    cancel(rig);
    uv_sleep(5);
    turn(rig);
    assert_int_equal(rig->opened, 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_ready),
        TEST(test_settings_last),
        TEST(test_item_refused),
        TEST(test_settings_refused),
        TEST(test_silent_items),
        TEST(test_late),
        TEST(test_dies_and_recovers),
        TEST(test_attempts_used_up),
        TEST(test_final_code),
        TEST(test_backpressure),
        TEST(test_broken_sends),
        TEST(test_nothing_to_tell),
        TEST(test_cancel_at_once),
        TEST(test_cancel_while_telling),
        TEST(test_cancel_while_closing),
        TEST(test_cancel_while_resting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

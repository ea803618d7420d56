/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   OPENING ─created─► READY ─lost, or the time is forced─► LOST ─┐
 *                       ▲  └──near the cap, quiet──► MOVING ──┐    │
 *                       └────────── swap ready ──────────◄────┴────┘
 *   MOVING keeps the old link until the new one is ready; LOST has none.
 */

#include "session/session_upstream.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "base/metrics.h"
#include "codec/ws_frame.h"
#include "session/session_age.h"
#include "session/session_credit.h"
#include "session/session_history.h"
#include "session/session_swap.h"
#include "session/session_texts.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CLOSE_BAD_GATEWAY 1014 /* IANA's registry of close codes */

enum upstream_phase { PHASE_OPENING, PHASE_READY, PHASE_MOVING, PHASE_LOST };

struct session_upstream {
    struct model_link link; /* first */
    struct session_upstream_config cfg;
    const struct session_upstream_handlers *handlers;
    void *arg;
    struct model_link *inner; /* NULL: none */
    const char *name;         /* of the last one that was ready */
    struct session_history *history;
    struct session_swap *swap;
    struct session_age age;
    struct loop_timer *timer; /* looks at the age; NULL: no cap */
    struct loop_task end;     /* on_closed, when no link is left to say it */
    struct loop_task locals;  /* answers of our own, after the send */
    struct session_texts waiting; /* sent while nobody could take it */
    struct session_texts told;    /* by ourselves, not yet given to the user */
    enum upstream_phase phase;
    struct session_credit credit; /* for changes after losses */
    unsigned silent_losses;       /* since the upstream last said something */
    bool is_paused;
    bool is_full;    /* the user was told to wait */
    bool is_closing; /* the user wants no more */
    bool was_warm;   /* the link had been kept warm, and has said nothing */
    bool is_expired; /* the upstream has said that its time is over */
    char *texts[5];
};

static struct metric *swaps_lost, *swaps_age, *swaps_failed;

static void
metrics_make(void)
{
    static const char help[] = "Changes of a session's upstream, by cause.";

    swaps_lost = metric_register(
        METRIC_COUNTER, "voiced_upstream_swaps_total{cause=\"lost\"}", help);
    swaps_age = metric_register(
        METRIC_COUNTER, "voiced_upstream_swaps_total{cause=\"age\"}", help);
    swaps_failed =
        metric_register(METRIC_COUNTER, "voiced_upstream_swaps_failed_total",
                        "Changes of upstream that did not come about.");
}

static const char *
log_id(const struct session_upstream *u)
{
    return u->cfg.link.session_id;
}

/* --- the end */

static void
upstream_free(struct session_upstream *u)
{
    session_texts_deinit(&u->waiting);
    session_texts_deinit(&u->told);
    loop_undefer(u->cfg.link.loop, &u->locals);
    if (u->timer)
        loop_timer_destroy(&u->timer);
    session_history_destroy(&u->history);
    for (size_t i = 0; i < sizeof(u->texts) / sizeof(u->texts[0]); i++)
        free(u->texts[i]);
    free((char **) u->cfg.link.upstreams);
    free(u);
}

/* The user's last call. */
static void
finish(struct session_upstream *u, uint16_t code, const char *reason)
{
    const struct model_link_handlers *link = &u->handlers->link;
    void *arg = u->arg;

    session_swap_cancel(&u->swap);
    model_link_discard(&u->inner);
    link->on_closed(arg, code, reason);
    upstream_free(u);
}

static void
on_end(struct loop_task *task, void *arg)
{
    (void) task;
    finish(arg, WS_CLOSE_NORMAL, "");
}

/* --- towards the user */

static void
tell(void *arg, const char *json, size_t bytes)
{
    struct session_upstream *u = arg;

    if (!u->is_closing)
        u->handlers->link.on_event(u->arg, json, bytes);
}

static void
on_locals(struct loop_task *task, void *arg)
{
    struct session_upstream *u = arg;
    struct session_text *one;

    (void) task;
    while ((one = session_texts_pop(&u->told)) != NULL) {
        tell(u, one->text, one->bytes);
        free(one);
    }
}

/* An answer to what is being sent right now: not from inside the send. */
static void
tell_later(void *arg, const char *json, size_t bytes)
{
    struct session_upstream *u = arg;

    if (!u->told.first)
        loop_defer(u->cfg.link.loop, &u->locals);
    if (session_texts_push(&u->told, json, bytes))
        LOG(WARN, log_id(u), "event=answer_lost error=\"no memory\"");
}

/* --- towards the model */

static void
history_note(struct session_upstream *u, const struct realtime_peek *peek,
             const char *json, size_t bytes)
{
    if (peek->type == REALTIME_AUDIO_APPEND)
        session_history_audio(u->history, peek->value[REALTIME_KEY_AUDIO]);
    else
        session_history_up(u->history, peek->type, json, bytes);
}

/* What the model is told in the client's name, and remembers. */
static int
inner_send(struct session_upstream *u, const char *json, size_t bytes)
{
    struct realtime_peek peek;

    if (realtime_peek(json, bytes, &peek) != REALTIME_SOUND)
        return model_link_send(u->inner, json, bytes);
    if (session_history_answers(u->history, &peek, tell_later, u))
        return 0;
    history_note(u, &peek, json, bytes);
    return model_link_send(u->inner, json, bytes);
}

/* Who is told to wait sends no more; a single one may be of any size. */
static int
waiting_push(struct session_upstream *u, const char *json, size_t bytes)
{
    if (u->waiting.first
        && u->waiting.bytes + bytes > SESSION_UPSTREAM_WAIT_MAX)
        return UV_ENOBUFS;
    int result = session_texts_push(&u->waiting, json, bytes);
    if (result)
        return result;
    u->is_full = true;
    return UV_EAGAIN;
}

static int
upstream_send(struct model_link *link, const char *json, size_t bytes)
{
    struct session_upstream *u = (struct session_upstream *) link;

    if (u->is_closing)
        return UV_EPIPE;
    if (u->phase >= PHASE_MOVING || u->waiting.first)
        return waiting_push(u, json, bytes);
    int result = inner_send(u, json, bytes);
    if (result == UV_EAGAIN)
        u->is_full = true;
    /* The link is lost: what it was told is replayed. */
    return result == UV_EPIPE ? 0 : result;
}

/* As far as the model takes it. */
static void
waiting_flush(struct session_upstream *u)
{
    struct session_text *one;
    int result = 0;

    while (result == 0 && (one = session_texts_pop(&u->waiting)) != NULL) {
        result = inner_send(u, one->text, one->bytes);
        free(one);
    }
    if (u->waiting.first || !u->is_full || result == UV_EAGAIN)
        return;
    u->is_full = false;
    u->handlers->link.on_writable(u->arg);
}

static void
upstream_pause(struct model_link *link, bool paused)
{
    struct session_upstream *u = (struct session_upstream *) link;

    u->is_paused = paused;
    if (u->inner)
        model_link_pause(u->inner, paused);
}

static void
upstream_close(struct model_link *link)
{
    struct session_upstream *u = (struct session_upstream *) link;

    if (u->is_closing)
        return;
    u->is_closing = true;
    session_swap_cancel(&u->swap);
    if (u->timer)
        loop_timer_stop(u->timer);
    if (u->inner)
        model_link_close(u->inner);
    else
        loop_defer(u->cfg.link.loop, &u->end);
}

static const char *
upstream_name_of(const struct model_link *link)
{
    const struct session_upstream *u = (const struct session_upstream *) link;

    return u->name ? u->name : "none";
}

static const struct model_link_ops upstream_ops = {
    .send = upstream_send,
    .pause = upstream_pause,
    .close = upstream_close,
    .name = upstream_name_of,
};

/* --- a change of the upstream */

static const struct model_link_handlers inner_handlers;

static void
phase_enter(struct session_upstream *u, enum upstream_phase phase)
{
    bool was = u->phase >= PHASE_MOVING, is = phase >= PHASE_MOVING;

    u->phase = phase;
    if (was != is)
        u->handlers->on_swapping(u->arg, is);
}

static void
resume_send(void *arg, const char *json, size_t bytes)
{
    struct session_upstream *u = arg;

    if (model_link_send(u->inner, json, bytes) == UV_EAGAIN)
        u->is_full = true;
}

static void
on_swap_ready(void *arg, struct model_link *link)
{
    struct session_upstream *u = arg;

    u->swap = NULL;
    LOG(INFO, log_id(u), "event=upstream_swapped upstream=%s cause=%s",
        model_link_name(link), u->phase == PHASE_LOST ? "lost" : "age");
    metric_add(u->phase == PHASE_LOST ? swaps_lost : swaps_age, 1);
    model_link_discard(&u->inner);
    u->inner = link;
    u->name = model_link_name(link);
    u->is_expired = false;
    model_link_adopt(link, &inner_handlers, u);
    if (u->is_paused)
        model_link_pause(link, true);
    session_age_start(&u->age, clock_now_ms());
    phase_enter(u, PHASE_READY);
    if (!u->is_closing && session_history_resume(u->history, resume_send, u))
        LOG(WARN, log_id(u), "event=resume_poorer error=\"no memory\"");
    if (!u->is_closing)
        waiting_flush(u);
}

/* An old link that is still good is kept, for another try later. */
static void
on_swap_failed(void *arg, uint16_t code, const char *reason)
{
    struct session_upstream *u = arg;

    u->swap = NULL;
    metric_add(swaps_failed, 1);
    LOG(WARN, log_id(u), "event=upstream_swap_failed code=%u", code);
    if (!u->inner) {
        finish(u, code, reason);
        return;
    }
    session_age_put_off(&u->age, clock_now_ms());
    phase_enter(u, PHASE_READY);
    waiting_flush(u);
}

static void
swap_start(struct session_upstream *u)
{
    static const struct session_swap_handlers handlers = {on_swap_ready,
                                                          on_swap_failed};
    const struct session_swap_config cfg = {
        .link = &u->cfg.link,
        .open_model = u->cfg.open_model,
        .open_model_arg = u->cfg.open_model_arg,
        .history = u->history,
        .log_id = log_id(u),
    };

    if (session_swap_start(&u->swap, &cfg, &handlers, u))
        finish(u, WS_CLOSE_LOST, "no memory");
}

/* The old link is gone, whatever was under way on it: what is open is closed
 * towards the client, and the rest is taken over. */
static void
take_over(struct session_upstream *u)
{
    phase_enter(u, PHASE_LOST);
    if (session_history_close_response(u->history, tell, u))
        LOG(WARN, log_id(u), "event=close_poorer error=\"no memory\"");
    if (u->is_closing)
        return; /* its end is on the way */
    if (!u->swap)
        swap_start(u);
}

/* The old model has begun to say something after all. */
static void
move_call_off(struct session_upstream *u)
{
    session_swap_cancel(&u->swap);
    session_age_put_off(&u->age, clock_now_ms());
    phase_enter(u, PHASE_READY);
    waiting_flush(u);
}

/* --- what the link in use reports */

static bool
is_purposeful(uint16_t code)
{
    switch (code) {
    case WS_CLOSE_LOST:
    case WS_CLOSE_GOING_AWAY:
    case WS_CLOSE_INTERNAL:
    case WS_CLOSE_RESTART:
    case WS_CLOSE_TRY_LATER:
    case CLOSE_BAD_GATEWAY:
        return false;
    default:
        return true;
    }
}

/* A link that was kept warm and died as it was handed over says nothing of
 * the upstream: one is opened as if there had been none. */
static bool
reopens(struct session_upstream *u)
{
    if (u->is_closing || u->phase != PHASE_OPENING || !u->was_warm)
        return false;
    u->was_warm = false;
    if (u->cfg.open_model(&u->inner, &u->cfg.link, &inner_handlers, u,
                          u->cfg.open_model_arg)) {
        u->inner = NULL;
        return false;
    }
    LOG(INFO, log_id(u), "event=warm_link_lost");
    if (u->is_paused)
        model_link_pause(u->inner, true);
    return true;
}

static void
on_inner_closed(void *arg, uint16_t code, const char *reason)
{
    struct session_upstream *u = arg;

    u->inner = NULL;
    if (reopens(u))
        return;
    if (u->is_closing || u->phase == PHASE_OPENING
        || (is_purposeful(code) && !u->is_expired)
        || ++u->silent_losses > SESSION_UPSTREAM_TRIES
        || !session_credit_take(&u->credit, clock_now_ms())) {
        finish(u, code, reason);
        return;
    }
    LOG(INFO, log_id(u), "event=upstream_lost code=%u", code);
    take_over(u);
}

/* That a session's time is over is nothing that its client must know: the
 * close that follows is a loss like another. */
static bool
is_expiry(const struct session_upstream *u, enum realtime_type type,
          const char *json)
{
    return u->phase >= PHASE_READY && type == REALTIME_ERROR
           && strstr(json, "\"session_expired\"") != NULL;
}

static void
on_inner_event(void *arg, const char *json, size_t bytes)
{
    struct session_upstream *u = arg;
    enum realtime_type type = realtime_type_of(json, bytes);

    if (is_expiry(u, type, json)) {
        u->is_expired = true;
        return;
    }
    if (u->phase == PHASE_OPENING && type == REALTIME_SESSION_CREATED) {
        session_age_start(&u->age, clock_now_ms());
        u->phase = PHASE_READY;
    }
    if (!u->name && type != REALTIME_ERROR)
        u->name = model_link_name(u->inner);
    if (type != REALTIME_ERROR)
        u->silent_losses = 0;
    if (type == REALTIME_RESPONSE_CREATED)
        session_credit_begin(&u->credit);
    else if (type == REALTIME_RESPONSE_DONE)
        session_credit_done(&u->credit);
    if (session_history_down(u->history, type, json, bytes))
        tell(u, json, bytes);
    if (u->phase == PHASE_MOVING && !u->is_closing
        && !session_history_is_quiet(u->history))
        move_call_off(u);
}

static void
on_inner_writable(void *arg)
{
    waiting_flush(arg);
}

static const struct model_link_handlers inner_handlers = {
    on_inner_event, on_inner_writable, on_inner_closed};

/* --- the age of the link in use */

static void
on_look(void *arg)
{
    struct session_upstream *u = arg;
    uint64_t now_ms = clock_now_ms();

    if (u->is_closing || u->phase == PHASE_OPENING || u->phase == PHASE_LOST)
        return;
    if (session_age_is_over(&u->age, now_ms)) {
        LOG(INFO, log_id(u), "event=upstream_aged forced=yes");
        model_link_discard(&u->inner);
        take_over(u);
    } else if (u->phase == PHASE_READY && session_age_is_due(&u->age, now_ms)
               && session_history_is_quiet(u->history)) {
        LOG(INFO, log_id(u), "event=upstream_aged forced=no");
        phase_enter(u, PHASE_MOVING);
        swap_start(u);
    }
}

static int
age_watch(struct session_upstream *u)
{
    session_age_init(&u->age, u->cfg.max_session_ms);
    if (!u->cfg.max_session_ms)
        return 0;
    int result = loop_timer_create(&u->timer, u->cfg.link.loop, on_look, u);
    if (!result)
        loop_timer_start(u->timer, session_age_look_ms(&u->age),
                         session_age_look_ms(&u->age));
    return result;
}

/* --- opening */

static int
text_keep(struct session_upstream *u, size_t slot, const char **text)
{
    if (!*text)
        return 0;
    u->texts[slot] = strdup(*text);
    *text = u->texts[slot];
    return u->texts[slot] ? 0 : UV_ENOMEM;
}

/* The names are the policy's, which lives as long as the session. */
static int
names_keep(struct model_link_config *link)
{
    if (!link->upstreams)
        return 0;
    size_t bytes = link->upstream_count * sizeof(*link->upstreams);
    const char **names = malloc(bytes);
    if (names)
        memcpy(names, link->upstreams, bytes);
    link->upstreams = names;
    return names ? 0 : UV_ENOMEM;
}

static int
config_keep(struct session_upstream *u)
{
    struct model_link_config *link = &u->cfg.link;
    const char **texts[] = {&link->session_id, &link->model, &link->call_id,
                            &link->intent, &link->safety_id};
    int result = names_keep(link);

    for (size_t i = 0; !result && i < sizeof(texts) / sizeof(texts[0]); i++)
        result = text_keep(u, i, texts[i]);
    return result;
}

int
session_upstream_open(struct model_link **lp,
                      const struct session_upstream_config *cfg,
                      const struct session_upstream_handlers *handlers,
                      void *arg)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct session_upstream *u;

    if (!cfg->can_be_lost || cfg->link.call_id)
        return cfg->open_model(lp, &cfg->link, &handlers->link, arg,
                               cfg->open_model_arg);
    u = calloc(1, sizeof(*u));
    pthread_once(&once, metrics_make);
    if (!u)
        return UV_ENOMEM;
    u->link.ops = &upstream_ops;
    u->cfg = *cfg;
    u->handlers = handlers;
    u->arg = arg;
    session_credit_init(&u->credit, clock_now_ms());
    session_texts_init(&u->waiting);
    session_texts_init(&u->told);
    u->end = (struct loop_task){.run = on_end, .arg = u};
    u->locals = (struct loop_task){.run = on_locals, .arg = u};
    int result = config_keep(u);
    if (!result)
        result = session_history_create(&u->history);
    if (!result)
        result = age_watch(u);
    if (!result)
        result = cfg->open_model(&u->inner, &u->cfg.link, &inner_handlers, u,
                                 cfg->open_model_arg);
    if (result) {
        upstream_free(u);
        return result;
    }
    u->was_warm = cfg->link.warm_ticket != 0;
    u->cfg.link.warm_ticket = 0; /* it was for this one */
    *lp = &u->link;
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   history ─► lines ─► model_link ─► new model
 *                │                       │ session.updated, item.added, error
 *                └── answered ◄──────────┘ the rest is dropped
 *   all answered ─► on_ready
 */

#include "session/session_swap.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CODE_LOST     1006
#define CODE_POLICY   1008
#define CODE_INTERNAL 1011
#define CODE_PRIVATE  3000 /* from here on: the peer's own, and final */
#define REASON_BYTES  128

/* X(enum, text, the states it may be left for) */
#define SWAP_STATES(X)                                                         \
    X(SWAP_RESTING, "resting", OPENING | ENDED)                                \
    X(SWAP_OPENING, "opening", RESTING | TELLING | CLOSING | ENDED)            \
    X(SWAP_TELLING, "telling", RESTING | CLOSING | ENDED)                      \
    X(SWAP_CLOSING, "closing", RESTING | ENDED)                                \
    X(SWAP_ENDED, "ended", 0)

enum swap_state {
#define X(id, text, next) id,
    SWAP_STATES(X)
#undef X
};

#define RESTING (1u << SWAP_RESTING)
#define OPENING (1u << SWAP_OPENING)
#define TELLING (1u << SWAP_TELLING)
#define CLOSING (1u << SWAP_CLOSING)
#define ENDED   (1u << SWAP_ENDED)

static const struct {
    const char *text;
    unsigned next;
} states[] = {
#define X(id, text, next) {text, next},
    SWAP_STATES(X)
#undef X
};

/* One event of the replay. */
struct line {
    char *item_id; /* NULL: the settings */
    char *json;
    size_t bytes;
    bool answered;
};

struct session_swap {
    struct session_swap_config cfg;
    struct model_link_config link_cfg;
    const struct session_swap_handlers *handlers; /* NULL: cancelled */
    void *arg;
    struct model_link *link;
    uv_timer_t timer;
    struct line *lines;
    size_t count, room;
    size_t sent;     /* lines */
    size_t answered; /* lines in a row from the first that are */
    uint64_t started_ms, attempt_ms;
    unsigned attempt;
    unsigned refused;
    unsigned refs; /* the timer's and the link's */
    enum swap_state state;
    bool full;   /* the link takes no more for now */
    bool failed; /* a line is missing */
    uint16_t code;
    char reason[REASON_BYTES];
};

static void
enter(struct session_swap *s, enum swap_state to)
{
    const char *id = s->cfg.log_id;

    if (!(states[s->state].next >> to & 1))
        LOG(ALERT, id, "event=illegal_state machine=swap from=%s to=%s",
            states[s->state].text, states[to].text);
    LOG(DEBUG, id, "swap=%s was=%s", states[to].text, states[s->state].text);
    s->state = to;
}

/* --- the end */

static void
lines_free(struct session_swap *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->lines[i].item_id);
        free(s->lines[i].json);
    }
    free(s->lines);
    s->lines = NULL;
    s->count = s->room = s->sent = s->answered = 0;
    s->full = s->failed = false;
}

static void
swap_unref(struct session_swap *s)
{
    if (--s->refs > 0)
        return;
    lines_free(s);
    free(s);
}

static void
on_timer_closed(uv_handle_t *handle)
{
    swap_unref(handle->data);
}

static void
ended_enter(struct session_swap *s)
{
    enter(s, SWAP_ENDED);
    uv_close((uv_handle_t *) &s->timer, on_timer_closed);
}

static void
refused_count(unsigned n)
{
    metric_add(metric_register(METRIC_COUNTER, "voiced_swap_refused_total",
                               "Items that a new upstream did not take."),
               n);
}

/* The link is the receiver's when the handler is called. */
static void
ready_end(struct session_swap *s)
{
    struct model_link *link = s->link;
    const struct session_swap_handlers *handlers = s->handlers;
    void *arg = s->arg;

    LOG(INFO, s->cfg.log_id,
        "event=swap_ready attempts=%u lines=%zu refused=%u took_ms=%" PRIu64,
        s->attempt, s->count, s->refused, clock_now_ms() - s->started_ms);
    refused_count(s->refused);
    s->link = NULL;
    ended_enter(s);
    s->refs--; /* the link's; the timer still has one */
    handlers->on_ready(arg, link);
}

static void
failed_end(struct session_swap *s)
{
    LOG(WARN, s->cfg.log_id, "event=swap_failed attempts=%u code=%u",
        s->attempt, (unsigned) s->code);
    ended_enter(s);
    s->handlers->on_failed(s->arg, s->code, s->reason);
}

/* --- attempts */

static void on_timer(uv_timer_t *timer);

static void
wait(struct session_swap *s, uint64_t ms)
{
    uv_update_time(s->timer.loop);
    uv_timer_start(&s->timer, on_timer, ms, 0);
}

static uint32_t
backoff(const struct session_swap *s)
{
    unsigned last = SESSION_SWAP_ATTEMPTS - 2;
    unsigned n = s->attempt - 1 < last ? s->attempt - 1 : last;

    return s->cfg.backoff_ms[n];
}

static bool
is_final(uint16_t code)
{
    return code == CODE_POLICY || code >= CODE_PRIVATE;
}

/* There is no link. */
static void
attempt_end(struct session_swap *s)
{
    LOG(INFO, s->cfg.log_id, "event=swap_attempt_failed attempt=%u code=%u",
        s->attempt, (unsigned) s->code);
    lines_free(s);
    if (s->attempt >= s->cfg.attempts || is_final(s->code)) {
        failed_end(s);
        return;
    }
    enter(s, SWAP_RESTING);
    wait(s, backoff(s));
}

static void
fault_set(struct session_swap *s, uint16_t code, const char *reason)
{
    s->code = code;
    snprintf(s->reason, sizeof(s->reason), "%s", reason);
}

/* We give up on this link. */
static void
attempt_drop(struct session_swap *s, const char *reason)
{
    fault_set(s, CODE_INTERNAL, reason);
    uv_timer_stop(&s->timer);
    enter(s, SWAP_CLOSING);
    model_link_close(s->link);
}

/* --- telling */

static void
on_replay(void *arg, const char *item_id, const char *json, size_t bytes)
{
    struct session_swap *s = arg;
    struct line line = {.bytes = bytes};

    if (s->count == s->room) {
        size_t room = s->room ? 2 * s->room : 32;
        struct line *lines = realloc(s->lines, room * sizeof(*lines));
        if (!lines) {
            s->failed = true;
            return;
        }
        s->lines = lines;
        s->room = room;
    }
    line.json = malloc(bytes + 1);
    line.item_id = item_id ? strdup(item_id) : NULL;
    if (!line.json || (item_id && !line.item_id)) {
        free(line.json);
        free(line.item_id);
        s->failed = true;
        return;
    }
    memcpy(line.json, json, bytes + 1);
    s->lines[s->count++] = line;
}

static void
lines_send(struct session_swap *s)
{
    while (!s->full && s->sent < s->count) {
        struct line *line = &s->lines[s->sent];
        int result = model_link_send(s->link, line->json, line->bytes);
        if (result && result != UV_EAGAIN) {
            if (result != UV_EPIPE) /* else on_closed is on its way */
                attempt_drop(s, "the new model took no event");
            return;
        }
        s->full = result == UV_EAGAIN;
        s->sent++;
        free(line->json);
        line->json = NULL;
    }
}

static uint64_t
left_ms(const struct session_swap *s)
{
    uint64_t over_ms = s->attempt_ms + s->cfg.limit_ms, now = clock_now_ms();

    return over_ms > now ? over_ms - now : 0;
}

/* Settings come first; without them there is no going on. */
static bool
may_go_on(const struct session_swap *s)
{
    return s->sent == s->count
           && (s->answered > 0 || s->count == 0 || s->lines[0].item_id);
}

/* Ends with the handler, when it is ready. */
static void
settle(struct session_swap *s)
{
    uint64_t ms = left_ms(s);

    if (s->state != SWAP_TELLING)
        return;
    while (s->answered < s->count && s->lines[s->answered].answered)
        s->answered++;
    if (s->sent == s->count && s->answered == s->count) {
        ready_end(s);
        return;
    }
    wait(s, may_go_on(s) && s->cfg.quiet_ms < ms ? s->cfg.quiet_ms : ms);
}

static void
telling_start(struct session_swap *s)
{
    int result = session_history_replay(s->cfg.history, on_replay, s);

    if (result || s->failed) {
        attempt_drop(s, "no memory");
        return;
    }
    enter(s, SWAP_TELLING);
    lines_send(s);
    settle(s);
}

/* --- answers */

/* NULL: it is none of ours. item_id NULL: the settings. */
static struct line *
line_find(const struct session_swap *s, const char *item_id)
{
    for (size_t i = s->answered; i < s->count; i++) {
        struct line *line = &s->lines[i];
        if (!item_id ? !line->item_id
                     : line->item_id && strcmp(line->item_id, item_id) == 0)
            return line;
    }
    return NULL;
}

static void
answer_note(struct session_swap *s, const char *item_id)
{
    struct line *line = line_find(s, item_id);

    if (!line || line->answered)
        return;
    line->answered = true;
    settle(s);
}

static void
on_item_added(struct session_swap *s, const char *json, size_t bytes)
{
    json_t *event = json_loadb(json, bytes, JSON_ALLOW_NUL, NULL);
    const char *id = json_string_value(
        json_object_get(json_object_get(event, "item"), "id"));

    if (id)
        answer_note(s, id);
    json_decref(event);
}

static void
item_refused(struct session_swap *s, const char *id, const char *code)
{
    struct line *line = line_find(s, id);

    if (!line || line->answered)
        return;
    LOG(WARN, s->cfg.log_id, "event=swap_item_refused code=%.64s",
        code ? code : "none");
    s->refused++;
    line->answered = true;
    session_history_refused(s->cfg.history, id);
    settle(s);
}

/* An error that names no event of ours is no answer. */
static void
on_error(struct session_swap *s, const char *json, size_t bytes)
{
    json_t *event = json_loadb(json, bytes, JSON_ALLOW_NUL, NULL);
    const json_t *error = json_object_get(event, "error");
    const char *id = json_string_value(json_object_get(error, "event_id"));
    const char *code = json_string_value(json_object_get(error, "code"));

    if (id && strcmp(id, SESSION_HISTORY_SETTINGS) == 0)
        attempt_drop(s, "the new model refuses the session's settings");
    else if (id && line_find(s, id))
        item_refused(s, id, code);
    else
        LOG(WARN, s->cfg.log_id, "event=swap_error code=%.64s",
            code ? code : "none");
    json_decref(event);
}

static void
on_telling_event(struct session_swap *s, const char *json, size_t bytes)
{
    switch (realtime_type_of(json, bytes)) {
    case REALTIME_SESSION_UPDATED:
        answer_note(s, NULL);
        break;
    case REALTIME_ERROR:
        on_error(s, json, bytes);
        break;
    case REALTIME_ITEM_ADDED:
        on_item_added(s, json, bytes);
        break;
    default:
        break;
    }
}

static void
on_link_event(void *arg, const char *json, size_t bytes)
{
    struct session_swap *s = arg;

    if (s->state == SWAP_TELLING)
        on_telling_event(s, json, bytes);
    else if (s->state == SWAP_OPENING
             && realtime_type_of(json, bytes) == REALTIME_SESSION_CREATED)
        telling_start(s);
}

static void
on_link_writable(void *arg)
{
    struct session_swap *s = arg;

    s->full = false;
    if (s->state != SWAP_TELLING)
        return;
    lines_send(s);
    settle(s);
}

static void
on_link_closed(void *arg, uint16_t code, const char *reason)
{
    struct session_swap *s = arg;

    s->link = NULL;
    if (s->state == SWAP_ENDED) {
        swap_unref(s);
        return;
    }
    s->refs--; /* the timer still has one */
    uv_timer_stop(&s->timer);
    if (s->state != SWAP_CLOSING)
        fault_set(s, code, reason ? reason : "");
    attempt_end(s);
}

static const struct model_link_handlers link_handlers = {
    on_link_event, on_link_writable, on_link_closed};

/* --- the start */

static void
attempt_start(struct session_swap *s)
{
    s->attempt++;
    s->attempt_ms = clock_now_ms();
    enter(s, SWAP_OPENING);
    int result = s->cfg.open_model(&s->link, &s->link_cfg, &link_handlers, s,
                                   s->cfg.open_model_arg);
    if (result) {
        s->link = NULL;
        fault_set(s, CODE_LOST, "the model can't be opened");
        attempt_end(s);
        return;
    }
    s->refs++;
    wait(s, s->cfg.limit_ms);
}

static void
telling_late(struct session_swap *s)
{
    if (may_go_on(s)) {
        LOG(WARN, s->cfg.log_id, "event=swap_unanswered lines=%zu",
            s->count - s->answered);
        ready_end(s);
    } else {
        attempt_drop(s, "the new model did not answer");
    }
}

static void
on_timer(uv_timer_t *timer)
{
    struct session_swap *s = timer->data;

    switch (s->state) {
    case SWAP_RESTING:
        attempt_start(s);
        break;
    case SWAP_OPENING:
        attempt_drop(s, "the new model did not start");
        break;
    case SWAP_TELLING:
        telling_late(s);
        break;
    default:
        break;
    }
}

static void
config_complete(struct session_swap_config *cfg)
{
    static const uint32_t rests[SESSION_SWAP_ATTEMPTS - 1] = {200, 1000, 3000};

    if (!cfg->attempts)
        cfg->attempts = SESSION_SWAP_ATTEMPTS;
    if (!cfg->limit_ms)
        cfg->limit_ms = SESSION_SWAP_LIMIT_MS;
    if (!cfg->quiet_ms)
        cfg->quiet_ms = SESSION_SWAP_QUIET_MS;
    for (unsigned i = 0; i < SESSION_SWAP_ATTEMPTS - 1; i++)
        if (!cfg->backoff_ms[i])
            cfg->backoff_ms[i] = rests[i];
}

int
session_swap_start(struct session_swap **sp,
                   const struct session_swap_config *cfg,
                   const struct session_swap_handlers *handlers, void *arg)
{
    struct session_swap *s = calloc(1, sizeof(*s));

    if (!s)
        return UV_ENOMEM;
    s->cfg = *cfg;
    config_complete(&s->cfg);
    s->link_cfg = *cfg->link;
    s->handlers = handlers;
    s->arg = arg;
    s->started_ms = clock_now_ms();
    s->refs = 1;
    uv_timer_init(loop_uv(s->link_cfg.loop), &s->timer);
    s->timer.data = s;
    wait(s, 0);
    *sp = s;
    return 0;
}

void
session_swap_cancel(struct session_swap **sp)
{
    struct session_swap *s = *sp;
    enum swap_state was;

    if (!s)
        return;
    *sp = NULL;
    was = s->state;
    s->handlers = NULL;
    ended_enter(s);
    if (s->link && was != SWAP_CLOSING)
        model_link_close(s->link);
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   sockets ─► uv_poll ─┐
 *   uv_timer ───────────┴─► curl_multi_socket_action ─► on_turn
 */

#include "gate/curl_loop.h"

#include <stdlib.h>

/* A socket that curl waits for. */
struct watch {
    struct curl_loop *loop;
    uv_poll_t poll;
};

/* --- the end */

static void
handle_gone(struct curl_loop *l)
{
    if (--l->handles == 0)
        l->handlers->on_closed(l->arg);
}

static void
on_timer_closed(uv_handle_t *handle)
{
    handle_gone(handle->data);
}

static void
on_watch_closed(uv_handle_t *handle)
{
    struct watch *watch = handle->data;
    struct curl_loop *l = watch->loop;

    free(watch);
    handle_gone(l);
}

void
curl_loop_stop(struct curl_loop *l)
{
    l->stopped = true;
    uv_timer_stop(&l->timer);
}

void
curl_loop_close(struct curl_loop *l)
{
    curl_loop_stop(l);
    curl_multi_cleanup(l->multi); /* takes the watches away */
    l->multi = NULL;
    uv_close((uv_handle_t *) &l->timer, on_timer_closed);
}

/* --- curl's turns */

static void
turn(struct curl_loop *l, curl_socket_t fd, int events)
{
    int running;

    if (l->stopped)
        return;
    curl_multi_socket_action(l->multi, fd, events, &running);
    l->handlers->on_turn(l->arg);
}

void
curl_loop_turn(struct curl_loop *l)
{
    turn(l, CURL_SOCKET_TIMEOUT, 0);
}

static void
on_timer(uv_timer_t *timer)
{
    curl_loop_turn(timer->data);
}

static int
on_wants_timer(CURLM *multi, long ms, void *arg)
{
    struct curl_loop *l = arg;

    (void) multi;
    if (l->stopped)
        return 0;
    if (ms < 0)
        uv_timer_stop(&l->timer);
    else /* never at once: not from inside a call of curl's */
        uv_timer_start(&l->timer, on_timer, (uint64_t) ms, 0);
    return 0;
}

static void
on_watch_event(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    uv_os_fd_t fd = -1;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;

    uv_fileno((uv_handle_t *) poll, &fd);
    flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    turn(watch->loop, fd, flags);
}

static struct watch *
watch_make(struct curl_loop *l, curl_socket_t fd)
{
    struct watch *watch = calloc(1, sizeof(*watch));

    if (!watch || uv_poll_init(l->uv, &watch->poll, fd) != 0) {
        free(watch);
        return NULL;
    }
    watch->loop = l;
    watch->poll.data = watch;
    l->handles++;
    curl_multi_assign(l->multi, fd, watch);
    return watch;
}

static int
on_wants_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
                void *socket_arg)
{
    struct curl_loop *l = arg;
    struct watch *watch = socket_arg;
    int events = 0;

    (void) easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch) {
            curl_multi_assign(l->multi, fd, NULL);
            uv_close((uv_handle_t *) &watch->poll, on_watch_closed);
        }
        return 0;
    }
    if (l->stopped)
        return 0;
    if (!watch)
        watch = watch_make(l, fd);
    if (!watch)
        return -1;
    events |= what & CURL_POLL_IN ? UV_READABLE : 0;
    events |= what & CURL_POLL_OUT ? UV_WRITABLE : 0;
    return uv_poll_start(&watch->poll, events, on_watch_event) ? -1 : 0;
}

/* --- set-up */

int
curl_loop_init(struct curl_loop *l, const struct curl_loop_handlers *handlers,
               void *arg)
{
    *l = (struct curl_loop){.handlers = handlers, .arg = arg};
    l->multi = curl_multi_init();
    if (!l->multi)
        return UV_ENOMEM;
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_wants_socket);
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_wants_timer);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    return 0;
}

void
curl_loop_deinit(struct curl_loop *l)
{
    curl_multi_cleanup(l->multi);
    l->multi = NULL;
}

void
curl_loop_start(struct curl_loop *l, uv_loop_t *uv)
{
    l->uv = uv;
    uv_timer_init(uv, &l->timer);
    l->timer.data = l;
    l->handles = 1;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A bench for the offline model: a link on a real loop that the test itself
 * turns, and a recorder that checks the shape of every event against a table.
 * The test brings the speech engine: engine_open and engine_close (of one that
 * may be NULL), defined before this header is included.
 */

#ifndef TEST_OFFLINE_RIG_H
#define TEST_OFFLINE_RIG_H

#include "base/clock.h"
#include "codec/base64.h"
#include "model/offline_link.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* --- the shape of events */

#include "kit/offline_shape.h"

/* Not every test uses every helper. */
#define RIG_HELPER static __attribute__((unused))

/* --- the rig */

struct rig {
    struct loop *loop;
    struct speech *speech;
    struct model_link *link;
    json_t *events; /* all so far */
    size_t seen;    /* events that rig_next has given */
    size_t biggest; /* bytes of an event */
    bool closed, writable;
    unsigned code;
    char reason[128];
};

static void
rig_on_event(void *arg, const char *json, size_t bytes)
{
    struct rig *rig = arg;
    json_error_t error;
    json_t *event = json_loadb(json, bytes, JSON_REJECT_DUPLICATES, &error);

    if (bytes > rig->biggest)
        rig->biggest = bytes;
    assert_int_equal(json[bytes], '\0');
    shape_check(event, json);
    json_array_append_new(rig->events, event);
}

static void
rig_on_writable(void *arg)
{
    ((struct rig *) arg)->writable = true;
}

static void
rig_on_closed(void *arg, uint16_t code, const char *reason)
{
    struct rig *rig = arg;

    assert_false(rig->closed);
    rig->closed = true;
    rig->link = NULL;
    rig->code = code;
    snprintf(rig->reason, sizeof(rig->reason), "%s", reason);
}

static const struct model_link_handlers rig_handlers = {
    .on_event = rig_on_event,
    .on_writable = rig_on_writable,
    .on_closed = rig_on_closed,
};

static void
rig_turn(struct rig *rig)
{
    uv_run(loop_uv(rig->loop), UV_RUN_NOWAIT);
    usleep(300);
}

RIG_HELPER void
rig_run_ms(struct rig *rig, uint64_t ms)
{
    uint64_t end = clock_now_ms() + ms;

    do
        rig_turn(rig);
    while (clock_now_ms() < end);
}

static void
rig_open(struct rig *rig, const struct offline_link_config *given)
{
    struct offline_link_config cfg = {0};

    memset(rig, 0, sizeof(*rig));
    if (given != NULL)
        cfg = *given;
    rig->events = json_array();
    assert_int_equal(loop_create(&rig->loop, 0), 0);
    cfg.speech = rig->speech = engine_open();
    cfg.link.loop = rig->loop;
    cfg.link.session_id = "sess_ABCDEFGHIJKLMNOPQRSTU";
    cfg.link.model = "gpt-realtime";
    assert_int_equal(offline_link_open(&rig->link, &cfg, &rig_handlers, rig),
                     0);
    assert_int_equal(json_array_size(rig->events), 0);
}

static void
rig_close(struct rig *rig)
{
    if (rig->link != NULL)
        model_link_close(rig->link);
    for (unsigned i = 0; i < 2000 && !rig->closed; i++)
        rig_turn(rig);
    assert_true(rig->closed);
    rig_run_ms(rig, 5); /* the timers' last callbacks */
    json_decref(rig->events);
    loop_stop(rig->loop);
    loop_destroy(&rig->loop);
    engine_close(&rig->speech);
}

RIG_HELPER int
rig_send(struct rig *rig, const char *json)
{
    return model_link_send(rig->link, json, strlen(json));
}

static const char *
event_type(const json_t *event)
{
    return json_string_value(json_object_get(event, "type"));
}

/* The next event not yet given, of whatever type; NULL after `ms`. */
static json_t *
rig_next(struct rig *rig, uint64_t ms)
{
    uint64_t end = clock_now_ms() + ms;

    while (rig->seen >= json_array_size(rig->events)) {
        if (clock_now_ms() > end)
            return NULL;
        rig_turn(rig);
    }
    return json_array_get(rig->events, rig->seen++);
}

/* Skips to the next event of that type. */
RIG_HELPER json_t *
rig_until(struct rig *rig, const char *type)
{
    json_t *event;

    while ((event = rig_next(rig, 5000)) != NULL)
        if (strcmp(event_type(event), type) == 0)
            return event;
    fail_msg("no %s came", type);
    return NULL;
}

/*
 * The types that come up to and with `last`, repeated ones folded ("a*"), in
 * one line: what golden orders are compared with.
 */
RIG_HELPER void
rig_order(struct rig *rig, const char *last, char *to, size_t bytes)
{
    const char *before = "", *type;
    size_t used = 0;
    bool folded = false;

    to[0] = '\0';
    for (;;) {
        json_t *event = rig_next(rig, 5000);

        if (event == NULL)
            fail_msg("after \"%s\" no %s came", to, last);
        type = event_type(event);
        if (strcmp(type, before) == 0 && !folded) {
            used += (size_t) snprintf(to + used, bytes - used, "*");
            folded = true;
        } else if (strcmp(type, before) != 0) {
            used += (size_t) snprintf(to + used, bytes - used, "%s%s",
                                      used > 0 ? " " : "", type);
            folded = false;
        }
        before = type;
        if (strcmp(type, last) == 0)
            return;
    }
}

/* A value by a path such as "response.output.0.status"; NULL. */
RIG_HELPER json_t *
path_get(const json_t *json, const char *path)
{
    char name[64];

    while (json != NULL && *path != '\0') {
        size_t n = strcspn(path, ".");

        memcpy(name, path, n);
        name[n] = '\0';
        json = json_is_array(json) ? json_array_get(json, (size_t) atoi(name))
                                   : json_object_get(json, name);
        path += n + (path[n] == '.');
    }
    return (json_t *) json;
}

RIG_HELPER const char *
path_text(const json_t *json, const char *path)
{
    const char *text = json_string_value(path_get(json, path));

    return text != NULL ? text : "(none)";
}

RIG_HELPER long
path_number(const json_t *json, const char *path)
{
    const json_t *value = path_get(json, path);

    if (!json_is_number(value))
        fail_msg("no number at %s", path);
    return (long) json_number_value(value);
}

/* --- audio */

/* ms of something like speech (loud 0: silence), appended in 20 ms pieces. */
RIG_HELPER void
rig_append(struct rig *rig, unsigned ms, int loud)
{
    static unsigned phase;
    int16_t pcm[480];
    char text[2048];

    for (unsigned at = 0; at < ms; at += 20) {
        char *to = text
                   + sprintf(text, "{\"type\":\"input_audio_buffer."
                                   "append\",\"audio\":\"");

        for (unsigned i = 0; i < 480; i++, phase++)
            pcm[i] = (int16_t) (loud
                                    * (0.6 * sin(phase * 0.13)
                                       + 0.4 * sin(phase * 0.31))
                                + (double) (phase % 7) - 3);
        to += base64_encode(to, pcm, sizeof(pcm));
        memcpy(to, "\"}", 3);
        rig_send(rig, text);
    }
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_voice_timeline.h"

#include "codec/pcm.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* A part so long behind what is heard is not asked for any more. */
#define FORGET_SAMPLES (30u * PCM_RATE)

void
session_voice_timeline_deinit(struct session_voice_timeline *t)
{
    free(t->parts);
    free(t->stretches);
    memset(t, 0, sizeof *t);
}

static struct voice_stretch *
stretch_last(const struct session_voice_timeline *t)
{
    return t->stretches_count > 0 ? &t->stretches[t->stretches_count - 1]
                                  : NULL;
}

static struct voice_part *
part_of(const struct session_voice_timeline *t,
        const struct voice_stretch *stretch)
{
    for (size_t i = t->parts_count; i-- > 0;)
        if (t->parts[i].serial == stretch->part)
            return &t->parts[i];
    return NULL;
}

static bool
part_is(const struct voice_part *a, const struct voice_part *b)
{
    return a->content_index == b->content_index
           && session_voice_id_is(&a->item, &b->item)
           && session_voice_id_is(&a->response, &b->response);
}

/* The newest such part that is not cut. */
static struct voice_part *
part_find(const struct session_voice_timeline *t, const struct voice_part *part)
{
    for (size_t i = t->parts_count; i-- > 0;)
        if (!t->parts[i].cut && part_is(&t->parts[i], part))
            return &t->parts[i];
    return NULL;
}

static bool
stretch_is_sent(const struct session_voice_timeline *t, size_t index)
{
    const struct voice_stretch *s = &t->stretches[index];

    return index < t->next && s->closed && s->place + s->framed <= t->sent;
}

static void
stretch_remove(struct session_voice_timeline *t, size_t index)
{
    memmove(t->stretches + index, t->stretches + index + 1,
            (t->stretches_count - index - 1) * sizeof *t->stretches);
    t->stretches_count--;
    if (index < t->next)
        t->next--;
}

static void
part_remove(struct session_voice_timeline *t, size_t index)
{
    uint32_t serial = t->parts[index].serial;

    for (size_t i = t->stretches_count; i-- > 0;)
        if (t->stretches[i].part == serial)
            stretch_remove(t, i);
    memmove(t->parts + index, t->parts + index + 1,
            (t->parts_count - index - 1) * sizeof *t->parts);
    t->parts_count--;
}

/* Whether it may be forgotten: done (or cut) and sent before that place. */
static bool
part_is_over(const struct session_voice_timeline *t,
             const struct voice_part *part, uint64_t place)
{
    if (!part->done && !part->cut)
        return false;
    for (size_t i = 0; i < t->stretches_count; i++) {
        const struct voice_stretch *s = &t->stretches[i];

        if (s->part == part->serial
            && (!stretch_is_sent(t, i) || s->place + s->framed > place))
            return false;
    }
    return true;
}

static void
parts_forget(struct session_voice_timeline *t, uint64_t heard_place)
{
    uint64_t place =
        heard_place > FORGET_SAMPLES ? heard_place - FORGET_SAMPLES : 0;

    for (size_t i = t->parts_count; i-- > 0;)
        if (!t->parts[i].cut && part_is_over(t, &t->parts[i], place))
            part_remove(t, i);
    if (t->parts_count < SESSION_VOICE_PARTS)
        return;
    for (size_t i = 0; i < t->parts_count; i++)
        if (part_is_over(t, &t->parts[i], t->sent)) {
            part_remove(t, i);
            return;
        }
}

/* The list with room for one more, doubled up to a cap; NULL: *err says why,
 * it is as before. */
static void *
list_grow(void *list, size_t *room, size_t most, size_t size, int *err)
{
    size_t more = *room == 0 ? 4 : *room * 2;
    void *grown = *room < most ? realloc(list, more * size) : NULL;

    *err = grown != NULL ? 0 : *room < most ? UV_ENOMEM : UV_ENOBUFS;
    if (grown != NULL)
        *room = more;
    return grown;
}

static int
parts_reserve(struct session_voice_timeline *t)
{
    struct voice_part *grown;
    int err;

    if (t->parts_count < t->parts_room)
        return 0;
    grown = list_grow(t->parts, &t->parts_room, SESSION_VOICE_PARTS,
                      sizeof *grown, &err);
    if (grown != NULL)
        t->parts = grown;
    return err;
}

static int
stretches_reserve(struct session_voice_timeline *t)
{
    struct voice_stretch *grown;
    int err;

    if (t->stretches_count < t->stretches_room)
        return 0;
    grown = list_grow(t->stretches, &t->stretches_room, SESSION_VOICE_STRETCHES,
                      sizeof *grown, &err);
    if (grown != NULL)
        t->stretches = grown;
    return err;
}

static int
part_add(struct session_voice_timeline *t, const struct voice_part *part,
         uint64_t heard_place)
{
    struct voice_part *to;
    int err;

    parts_forget(t, heard_place);
    err = parts_reserve(t);
    if (err)
        return err;
    to = &t->parts[t->parts_count++];
    *to = *part;
    to->serial = ++t->serials;
    to->received = 0;
    to->done = to->cut = false;
    return 0;
}

static int
stretch_add(struct session_voice_timeline *t, const struct voice_part *part)
{
    int err;

    /* of very many the oldest is not known any more, when it has left */
    if (t->stretches_count == SESSION_VOICE_STRETCHES && stretch_is_sent(t, 0))
        stretch_remove(t, 0);
    err = stretches_reserve(t);
    if (err)
        return err;
    t->stretches[t->stretches_count++] =
        (struct voice_stretch){.part = part->serial, .offset = part->received};
    return 0;
}

int
session_voice_timeline_open(struct session_voice_timeline *t,
                            const struct voice_part *part, uint64_t heard_place,
                            bool *other)
{
    struct voice_stretch *last = stretch_last(t);
    struct voice_part *open = part_find(t, part);
    int err;

    *other = open == NULL || last == NULL || last->part != open->serial;
    if (open != NULL && last != NULL && !last->closed
        && last->part == open->serial)
        return 0;
    session_voice_timeline_close(t);
    if (open == NULL) {
        err = part_add(t, part, heard_place);
        if (err)
            return err;
        open = &t->parts[t->parts_count - 1];
    }
    open->done = false;
    return stretch_add(t, open);
}

void
session_voice_timeline_extend(struct session_voice_timeline *t, size_t samples)
{
    struct voice_stretch *last = stretch_last(t);

    last->samples += samples;
    part_of(t, last)->received += samples;
}

void
session_voice_timeline_close(struct session_voice_timeline *t)
{
    struct voice_stretch *last = stretch_last(t);

    if (last != NULL)
        last->closed = true;
}

static void
part_close(struct session_voice_timeline *t, struct voice_part *part)
{
    struct voice_stretch *last = stretch_last(t);

    part->done = true;
    if (last != NULL && last->part == part->serial)
        last->closed = true;
}

void
session_voice_timeline_part_done(struct session_voice_timeline *t,
                                 const struct voice_part *part)
{
    struct voice_part *found = part_find(t, part);

    if (found != NULL)
        part_close(t, found);
}

void
session_voice_timeline_response_done(struct session_voice_timeline *t,
                                     const struct session_voice_id *response)
{
    for (size_t i = 0; i < t->parts_count; i++)
        if (session_voice_id_is(&t->parts[i].response, response))
            part_close(t, &t->parts[i]);
}

size_t
session_voice_timeline_next(struct session_voice_timeline *t, size_t frame,
                            const struct voice_part **part)
{
    for (; t->next < t->stretches_count; t->next++) {
        const struct voice_stretch *s = &t->stretches[t->next];
        uint64_t left = s->samples - s->framed;

        if (left == 0 && s->closed)
            continue;
        *part = part_of(t, s);
        if (left >= frame)
            return frame;
        return s->closed ? (size_t) left : 0;
    }
    return 0;
}

void
session_voice_timeline_framed(struct session_voice_timeline *t, size_t have,
                              size_t frame)
{
    struct voice_stretch *s = &t->stretches[t->next];

    if (s->framed == 0)
        s->place = t->framed;
    s->framed += have;
    t->framed += frame;
}

void
session_voice_timeline_sent(struct session_voice_timeline *t, size_t frame,
                            bool dropped)
{
    t->sent += frame;
    if (!dropped)
        t->played = t->sent;
}

/* So much of the stretch lies before the place. */
static uint64_t
stretch_before(const struct voice_stretch *s, uint64_t place)
{
    if (s->framed == 0 || place <= s->place)
        return 0;
    return place - s->place < s->framed ? place - s->place : s->framed;
}

uint64_t
session_voice_timeline_heard(const struct session_voice_timeline *t,
                             const struct voice_part *part, uint64_t place)
{
    uint64_t heard = 0;

    for (size_t i = 0; i < t->stretches_count; i++) {
        const struct voice_stretch *s = &t->stretches[i];
        uint64_t before =
            s->part == part->serial ? stretch_before(s, place) : 0;

        if (before > 0)
            heard = s->offset + before;
    }
    return heard;
}

uint64_t
session_voice_timeline_part_sent(const struct session_voice_timeline *t,
                                 const struct voice_part *part)
{
    return session_voice_timeline_heard(t, part,
                                        part->cut ? t->cut_to : t->played);
}

static void
parts_forget_cut(struct session_voice_timeline *t)
{
    for (size_t i = t->parts_count; i-- > 0;)
        if (t->parts[i].cut)
            part_remove(t, i);
}

/* Stretches end where it was sent; those that were not are gone. */
static void
stretches_cut(struct session_voice_timeline *t)
{
    for (size_t i = t->stretches_count; i-- > 0;) {
        struct voice_stretch *s = &t->stretches[i];
        uint64_t sent = i <= t->next ? stretch_before(s, t->played) : 0;

        s->framed = s->samples = sent;
        s->closed = true;
        if (sent == 0)
            stretch_remove(t, i);
    }
    t->next = t->stretches_count;
    t->framed = t->sent;
}

size_t
session_voice_timeline_cut(struct session_voice_timeline *t,
                           uint64_t safe_place)
{
    size_t count = 0;

    parts_forget_cut(t);
    for (size_t i = t->parts_count; i-- > 0;)
        if (part_is_over(t, &t->parts[i], safe_place))
            part_remove(t, i);
    t->cut_from = t->cut_to;
    t->cut_to = t->played;
    for (size_t i = 0; i < t->parts_count; i++, count++)
        t->parts[i].cut = true;
    stretches_cut(t);
    return count;
}

const struct voice_part *
session_voice_timeline_cut_part(const struct session_voice_timeline *t,
                                size_t index)
{
    for (size_t i = 0; i < t->parts_count; i++)
        if (t->parts[i].cut && index-- == 0)
            return &t->parts[i];
    return NULL;
}

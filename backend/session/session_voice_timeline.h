/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Which place of a session's down timeline is which moment of which item.
 * Audio comes in stretches: samples of one part of an answer, one after the
 * other, that are cut into frames together; where a stretch ends its last
 * frame is filled up with silence. Embedded, pure but for its two lists, which
 * it owns and which have caps; one thread. Places and lengths are samples of
 * 24 kHz. Parts that were heard long ago are forgotten.
 *
 *   stretches  [ item A ....... ][ item A .. ][ item B ............. ]
 *   place      ├──────── sent ─────────┤── framed ──┤── received ────┤
 */

#ifndef VOICE_SESSION_VOICE_TIMELINE_H
#define VOICE_SESSION_VOICE_TIMELINE_H

#include "session/session_voice_id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_VOICE_PARTS     64
#define SESSION_VOICE_STRETCHES 512

struct voice_part {
    struct session_voice_id response, item;
    unsigned content_index;
    uint32_t serial;
    uint64_t received;
    bool done; /* no more comes */
    bool cut;
};

struct voice_stretch {
    uint32_t part;   /* its serial */
    bool closed;     /* no more comes */
    uint64_t place;  /* of its first frame, once it has one */
    uint64_t offset; /* of its first sample in the part */
    uint64_t samples;
    uint64_t framed; /* of them */
};

struct session_voice_timeline {
    struct voice_part *parts;
    struct voice_stretch *stretches;
    size_t parts_count, parts_room;
    size_t stretches_count, stretches_room;
    size_t next;       /* the stretch that frames are made of */
    uint32_t serials;  /* given to parts */
    uint64_t framed;   /* where the next frame goes */
    uint64_t sent;     /* of it: has left, or passed */
    uint64_t played;   /* of it: the end of what has really left */
    uint64_t cut_from; /* what was sent when it was cut lies */
    uint64_t cut_to;   /* between these */
};

/* Zeroed memory is an empty one, at place 0. Frees the lists. */
void session_voice_timeline_deinit(struct session_voice_timeline *t);

/* Opens the part, or a stretch of it, for samples to come. *other: the last
 * ones were of another. 0, UV_ENOBUFS: too much at once, UV_ENOMEM. */
int session_voice_timeline_open(struct session_voice_timeline *t,
                                const struct voice_part *part,
                                uint64_t heard_place, bool *other);
/* So many samples came, of the part that was opened last. */
void session_voice_timeline_extend(struct session_voice_timeline *t,
                                   size_t samples);
/* Nothing more comes: of the part (its ids and index alone are read), of all
 * of the response, for now. */
void session_voice_timeline_part_done(struct session_voice_timeline *t,
                                      const struct voice_part *part);
void
session_voice_timeline_response_done(struct session_voice_timeline *t,
                                     const struct session_voice_id *response);
void session_voice_timeline_close(struct session_voice_timeline *t);

/*
 * Samples that the next frame takes, `frame` or fewer at the end of a stretch;
 * 0: not yet. *part: borrowed, whose. They are taken by _framed.
 */
size_t session_voice_timeline_next(struct session_voice_timeline *t,
                                   size_t frame,
                                   const struct voice_part **part);
void session_voice_timeline_framed(struct session_voice_timeline *t,
                                   size_t have, size_t frame);
/* The next frame of those has left; or was dropped. */
void session_voice_timeline_sent(struct session_voice_timeline *t, size_t frame,
                                 bool dropped);

/*
 * What was not sent is gone and never was, the rest is closed. Parts that were
 * not heard to their end by `safe_place` become the cut ones, and those cut
 * before are forgotten. Gives their number.
 */
size_t session_voice_timeline_cut(struct session_voice_timeline *t,
                                  uint64_t safe_place);
/* The index-th of them, or NULL. Borrowed until the next cut. */
const struct voice_part *
session_voice_timeline_cut_part(const struct session_voice_timeline *t,
                                size_t index);

/* How far into the part somebody is who has played all before `place`, and how
 * far it was sent. */
uint64_t session_voice_timeline_heard(const struct session_voice_timeline *t,
                                      const struct voice_part *part,
                                      uint64_t place);
uint64_t
session_voice_timeline_part_sent(const struct session_voice_timeline *t,
                                 const struct voice_part *part);

#endif

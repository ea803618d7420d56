/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The user's items that are being listened to: joins an ear to its item, tells
 * the transcription when the session wants one. Owns the ears, shares the
 * items. Runs on the session's loop. Refuses to listen to more than a few
 * items at a time.
 */

#ifndef VOICE_OFFLINE_HEARING_H
#define VOICE_OFFLINE_HEARING_H

#include "model/offline_ear.h"
#include "model/offline_item.h"

struct offline_hearings;

struct offline_hearings_config {
    struct offline_sink sink;
    struct offline_ear_config ear;
    /* The item's words are known, or it is known that they never will be.
     * From the loop or inside settle; never inside add or ensure. */
    void (*on_heard)(void *arg, struct offline_item *item);
    void *arg;
};

int offline_hearings_create(struct offline_hearings **hp,
                            const struct offline_hearings_config *cfg);
void offline_hearings_destroy(struct offline_hearings **hp);

/* Borrowed until the next call. */
void offline_hearings_set_grammar(struct offline_hearings *h,
                                  const struct speech_grammar *grammar);

/* A committed turn. Takes *ear (running or done; NULL: it could not listen);
 * transcription: the session's settings for it, null: none is told. What is
 * known already is told by settle. */
void offline_hearings_add(struct offline_hearings *h, struct offline_item *item,
                          struct offline_ear **ear,
                          const json_t *transcription);

/* An item that is to be answered: listens to it, unless that was done. */
void offline_hearings_ensure(struct offline_hearings *h,
                             struct offline_item *item);

/* Tells what was known when it was added. */
void offline_hearings_settle(struct offline_hearings *h);

#endif

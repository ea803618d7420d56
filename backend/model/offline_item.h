/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One item of a conversation: its JSON as clients see it, the audio behind it
 * and what was heard in that audio. Counted references; a plain record that
 * conversation, turn and responses read. Runs on the session's loop. Owns its
 * JSON and audio. Refuses kinds that this model can't hold (MCP items).
 */

#ifndef VOICE_OFFLINE_ITEM_H
#define VOICE_OFFLINE_ITEM_H

#include "model/offline_audio.h"
#include "model/offline_event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum offline_item_kind {
    ITEM_SYSTEM,
    ITEM_USER,
    ITEM_ASSISTANT,
    ITEM_CALL,
    ITEM_OUTPUT
};

/* Not asked for; being listened to; heard (maybe nothing); ears failed. */
enum offline_hearing { HEARD_NONE, HEARD_PENDING, HEARD_DONE, HEARD_FAILED };

struct offline_tokens {
    unsigned text;
    unsigned audio;
    unsigned image;
};

struct offline_item {
    char id[OFFLINE_ID_BYTES];
    enum offline_item_kind kind;
    unsigned refs;
    json_t *json;         /* owned; never holds audio */
    uint64_t version;     /* unlike any other item's or earlier state's */
    size_t counted_bytes; /* the conversation's, for its sum */
    bool has_audio;       /* it has an audio part */
    bool truncated;       /* no more audio is kept */
    size_t audio_index;   /* which part that is */
    int16_t *pcm;         /* owned; NULL once dropped for room */
    size_t samples;       /* of the audio, kept or not */
    size_t capacity;      /* samples pcm has room for */
    enum offline_hearing hearing;
    char *heard; /* owned; the user's words, "" nothing understood; of a
                    truncated answer what was heard of it */
};

/* id NULL: a fresh one. Takes json (an object without its "id", or NULL: then
 * the answer is NULL); the id is put in front. NULL: out of memory. */
struct offline_item *offline_item_make(enum offline_item_kind kind,
                                       const char *id, json_t *json);

/* Of the turn (id NULL: a fresh one; takes *pcm) and of the model. */
struct offline_item *offline_item_user_audio(const char *id, int16_t **pcm,
                                             size_t samples);
struct offline_item *offline_item_assistant(void);
struct offline_item *offline_item_call(const char *tool);

struct offline_item *offline_item_ref(struct offline_item *item);
void offline_item_unref(struct offline_item **ip);

/* After its JSON or audio changed. */
void offline_item_touch(struct offline_item *item);

/* "in_progress", "completed", "incomplete". Not for function_call_output. */
void offline_item_set_status(struct offline_item *item, const char *status);

/* Takes the array of content parts. */
void offline_item_set_content(struct offline_item *item, json_t *content);

/* Appends audio, unless truncated. 0 or UV_ENOMEM. */
int offline_item_keep_audio(struct offline_item *item, const int16_t *pcm,
                            size_t samples);

/* Keeps the first audio_ms of the audio, none of the transcript; the words that
 * were heard by then are the item's (offline_item_words). */
void offline_item_cut(struct offline_item *item, uint64_t audio_ms);

/* Frees the audio, keeps its length. Gives the bytes freed. */
size_t offline_item_drop_audio(struct offline_item *item);

/* A copy with the audio in it (PCM16, 24 kHz, base64), when it is at most
 * max_bytes of base64; else without. NULL: out of memory. */
json_t *offline_item_with_audio(const struct offline_item *item,
                                size_t max_bytes);

/* Writes the words of the item (typed, said or heard), cut to fit. Gives
 * false when it has none, not even an empty hearing. */
bool offline_item_words(const struct offline_item *item, char *to,
                        size_t bytes);

void offline_item_tokens(const struct offline_item *item,
                         struct offline_tokens *tokens);

/* Memory held, in bytes. */
size_t offline_item_bytes(const struct offline_item *item);

const char *offline_item_field(const struct offline_item *item,
                               const char *key);

#endif

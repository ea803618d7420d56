/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One item of a conversation as session_history keeps it: what it takes to
 * make it again in another model session, and to tell a client how it ended.
 * Reads the API's items, old and new names of content alike; writes GA ones.
 * On its session's loop; owns its texts, never audio. Private to the history.
 */

#ifndef VOICE_SESSION_HISTORY_ITEM_H
#define VOICE_SESSION_HISTORY_ITEM_H

#include "base/buffer.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define HISTORY_TEXT_MAX  262144 /* bytes of one text; what is more is cut */
#define HISTORY_RAW_MAX   65536 /* of an image, or of an item of its own kind */
#define HISTORY_PARTS_MAX 32
#define HISTORY_WIRE_MAX  32 /* characters of an id that every model takes */

enum history_kind {
    HISTORY_MESSAGE,
    HISTORY_CALL,
    HISTORY_OUTPUT,
    HISTORY_RAW,   /* mcp_call and what else there may be: made again as is */
    HISTORY_LISTED /* mcp_list_tools: each session makes its own */
};

enum history_role { HISTORY_SYSTEM, HISTORY_USER, HISTORY_ASSISTANT };

enum history_part_kind { HISTORY_TEXT, HISTORY_AUDIO, HISTORY_IMAGE };

struct history_part {
    struct buffer text;   /* of an image: the part's JSON */
    uint64_t audio_bytes; /* told to the client, decoded */
    uint8_t kind;
    bool open;       /* content_part.added, not .done */
    bool text_done;  /* its text is whole */
    bool audio_done; /* output_audio.done went to the client */
    bool cut;        /* truncated: takes no more */
};

/* What became of it in the last replay; it counts when that is resumed. */
enum history_sent { HISTORY_UNSENT, HISTORY_SENT, HISTORY_REFUSED };

struct history_response;

struct history_item {
    struct history_item *next, *prev;
    struct history_response *response; /* while that is open, else NULL */
    char *id;
    char *call_id;      /* NULL none */
    char *name;         /* of a call; NULL none */
    struct buffer text; /* arguments, output, or the item's JSON */
    struct history_part *parts;
    size_t counted; /* bytes that the list has counted for it */
    uint32_t output_index;
    uint8_t part_count;
    uint8_t kind, role, sent;
    bool listed;     /* is part of the conversation */
    bool told_added; /* conversation.item.added went to the client */
    bool told_done;
    bool output_done;    /* response.output_item.done did */
    bool arguments_done; /* a call has all its arguments */
    bool answered;       /* a call whose output is in the list */
    bool cut_short;      /* its response ended before it was whole */
    bool completed;      /* so the model said: nothing of it is to come */
    bool commentary;     /* more is to come after it in its response */
    bool replayed;       /* the model has it from a replay */
    bool marked;         /* scratch of a walk over the list */
};

/* NULL: no memory, or no fit id. */
struct history_item *history_item_create(const char *id);
/* NULL is fine. It is in no list any more. */
void history_item_destroy(struct history_item *item);

/* Takes in what a JSON item says; what it leaves out (or has as null) stays.
 * Used for .added, .done and the client's own text. */
void history_item_read(struct history_item *item, const json_t *json);

/* The part of that index, made if it is the next one; NULL: out of order, or
 * no memory. */
struct history_part *history_item_part(struct history_item *item,
                                       uint64_t index,
                                       enum history_part_kind kind);

/* A text grows, or is known whole; what is beyond a cap is cut. */
void history_text_grow(struct buffer *text, const json_t *more);
void history_text_set(struct buffer *text, const json_t *whole);

/* What was heard of that part within that time; the rest goes. */
void history_item_truncate(struct history_item *item, uint64_t index,
                           uint64_t end_ms, uint32_t bytes_per_ms);

/* Bytes that it costs. */
size_t history_item_bytes(const struct history_item *item);

/* Whether an assistant's message has any words. */
bool history_item_is_empty(const struct history_item *item);

/* A text as JSON; never NULL unless there is no memory. */
json_t *history_text_json(const struct buffer *text);

/* As a client is shown it. NULL: no memory. Given. */
json_t *history_item_shown(const struct history_item *item, const char *status);

/* As content_part.done shows it. */
json_t *history_part_shown(const struct history_part *part);

/* As a model makes it again; audio is base64 of the user's part, NULL none.
 * NULL: no memory. Given. */
json_t *history_item_replay(const struct history_item *item, const char *audio);

/* Its id towards a model of any make. */
void history_wire_id(const char *id, char out[HISTORY_WIRE_MAX + 1]);

#endif

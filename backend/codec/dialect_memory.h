/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a dialect remembers of its connection: the latest items, the texts that
 * servers tell but once, what the client attached to a response. Owned by the
 * dialect, of its thread; every part has a fixed size or a cap, and the oldest
 * goes first: what has been forgotten is left out of events, nothing fails.
 * Decides nothing.
 */

#ifndef VOICE_DIALECT_MEMORY_H
#define VOICE_DIALECT_MEMORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define DIALECT_ITEMS        16   /* notes on items */
#define DIALECT_ID_BYTES     96   /* a longer id is not remembered */
#define DIALECT_TEXT_MAX     8192 /* bytes of a transcript */
#define DIALECT_METADATA     4    /* of responses that were asked for */
#define DIALECT_METADATA_MAX 16384
#define DIALECT_PAIRS        16 /* of metadata: GA allows no more */
#define DIALECT_ANSWERS      16

struct dialect_note {
    char id[DIALECT_ID_BYTES];
    char previous[DIALECT_ID_BYTES]; /* "" none */
    char name[DIALECT_ID_BYTES];     /* of a function, "" unknown */
    char *text;                      /* transcript so far, or NULL */
    size_t told_bytes;               /* of it, in deltas */
    json_int_t start_ms, end_ms;     /* of speech; -1 unknown */
    unsigned index;                  /* output_index in its response */
    bool held;                       /* its item waits for the commit */
    bool committed;
    bool added; /* told as an item of the conversation */
    bool done;
    bool heard; /* its transcript is final */
    bool told;  /* and the client has been told */
};

struct dialect_memory {
    struct dialect_note notes[DIALECT_ITEMS]; /* a ring */
    unsigned next;
    char last_item[DIALECT_ID_BYTES]; /* of the conversation, "" none */
    char session_id[DIALECT_ID_BYTES];
    char conversation_id[DIALECT_ID_BYTES];
    char voice[DIALECT_ID_BYTES];
    char model[DIALECT_ID_BYTES];
    unsigned outputs;                   /* items of the response that runs */
    bool interrupted;                   /* speech began since it was created */
    json_t *metadata[DIALECT_METADATA]; /* asked for, not yet created */
    unsigned metadata_count;
    json_t *current; /* metadata of the response that runs, or NULL */
    char *answers[DIALECT_ANSWERS];
    unsigned answer_count;
    unsigned made; /* events without an id so far */
};

void dialect_memory_init(struct dialect_memory *m);
void dialect_memory_deinit(struct dialect_memory *m);

/* The note on an item, or NULL; `make`: a new one in place of the oldest.
 * NULL for an id that is none or too long. Borrowed until the next make. */
struct dialect_note *dialect_memory_note(struct dialect_memory *m,
                                         const json_t *id, bool make);

/* Sets a field of DIALECT_ID_BYTES: "" when it is no string or too long. */
void dialect_memory_set(char field[DIALECT_ID_BYTES], const json_t *value);

/* Keeps a text; nothing is kept when it is too long or memory is short. */
void dialect_note_text(struct dialect_note *note, const char *text);

/* A response was asked for with this metadata (NULL none), in so many bytes;
 * and: one is created. The next is taken into `current`. */
void dialect_memory_ask(struct dialect_memory *m, json_t *metadata,
                        size_t bytes);
void dialect_memory_create(struct dialect_memory *m);

/* Takes a text; false: there are too many, it is gone. */
bool dialect_memory_answer(struct dialect_memory *m, char *text);

/* Gives the oldest of them, or NULL. */
char *dialect_memory_take_answer(struct dialect_memory *m);

#endif

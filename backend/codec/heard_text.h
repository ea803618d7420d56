/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How much of what an assistant said was heard, when it was cut short: the one
 * rule for it, and a memory of the last few items' transcripts to apply it to.
 * Pure; embedded by its user, on one thread at a time; owns its texts (at most
 * HEARD_TEXT_ITEMS of HEARD_TEXT_MAX bytes; none before the first delta).
 *
 *   transcript deltas ─► text ─┐
 *   audio deltas ──────► ms ───┴─► cut at ms ─► the words heard
 *
 * The rule: text in proportion to time, back to the end of a word, and never
 * into a character. Models write faster than they speak: while an item's audio
 * is not whole, its text counts as long as speech mostly takes for it.
 */

#ifndef VOICE_HEARD_TEXT_H
#define VOICE_HEARD_TEXT_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEARD_TEXT_ITEMS    4
#define HEARD_TEXT_MAX      16384 /* bytes of one text; what is more is cut */
#define HEARD_TEXT_ID_BYTES 65    /* with NUL; longer ids are not kept */

struct heard_text {
    struct heard_text_item {
        struct buffer text;
        uint64_t samples; /* of audio at 24 kHz */
        unsigned content_index;
        bool whole;                   /* no more audio comes */
        bool cut;                     /* takes no more text nor audio */
        char id[HEARD_TEXT_ID_BYTES]; /* "" free */
    } items[HEARD_TEXT_ITEMS];
    unsigned next; /* to be written over */
};

/*
 * The rule: how many of these bytes of UTF-8 were heard by end_ms, when
 * sent_ms of their audio are known (0: none) and `whole` says that this is all
 * of it. Bytes from 0 to `bytes`; any thread.
 */
size_t heard_text_bytes(const char *text, size_t bytes, uint64_t end_ms,
                        uint64_t sent_ms, bool whole);

void heard_text_init(struct heard_text *h);
void heard_text_deinit(struct heard_text *h); /* may be used again */

/* A transcript's delta; plain UTF-8. The oldest item leaves for a new one. No
 * memory: the text is poorer. */
void heard_text_grow(struct heard_text *h, const char *item_id,
                     unsigned content_index, const char *text, size_t bytes);

/* So many more samples of its audio came (24 kHz). */
void heard_text_audio(struct heard_text *h, const char *item_id,
                      unsigned content_index, uint64_t samples);

/* All of its audio came: its response was completed. Of one that was cancelled
 * the text may be ahead for good. */
void heard_text_whole(struct heard_text *h, const char *item_id,
                      unsigned content_index);

/*
 * What of it was heard by end_ms; the rest of its text is forgotten and it
 * takes no more. NULL: no such item is known, or no text of it; else *bytes of
 * it (it may be 0, and has no NUL), borrowed until the next call.
 */
const char *heard_text_cut(struct heard_text *h, const char *item_id,
                           unsigned content_index, uint64_t end_ms,
                           size_t *bytes);

#endif

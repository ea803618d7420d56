/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/heard_text.h"

#include "codec/pcm.h"

#include <string.h>

/* Speech in most languages, in letters a second. A character that is a
 * syllable or a word (from U+3000 on: kana, Han, Hangul) counts as three. */
#define LETTERS_A_SECOND 15u
#define SYLLABLE_LETTERS 3u
#define SYLLABLE_LEAD    0xe3u

static bool
is_inside(char byte)
{
    return ((unsigned char) byte & 0xc0) == 0x80;
}

static bool
is_syllable(char lead)
{
    return (unsigned char) lead >= SYLLABLE_LEAD;
}

static bool
is_space(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static uint64_t
letters_of(const char *text, size_t bytes)
{
    uint64_t letters = 0;

    for (size_t i = 0; i < bytes; i++)
        if (!is_inside(text[i]))
            letters += is_syllable(text[i]) ? SYLLABLE_LETTERS : 1;
    return letters;
}

/* Bytes of the characters that make no more than so many letters. */
static size_t
bytes_of(const char *text, size_t bytes, uint64_t letters)
{
    size_t at = 0;

    while (at < bytes) {
        uint64_t cost = is_syllable(text[at]) ? SYLLABLE_LETTERS : 1;

        if (cost > letters)
            break;
        letters -= cost;
        do
            at++;
        while (at < bytes && is_inside(text[at]));
    }
    return at;
}

/* Where the last character before `at` begins. */
static size_t
character_before(const char *text, size_t at)
{
    do
        at--;
    while (at > 0 && is_inside(text[at]));
    return at;
}

/* The end of the last word that is whole before `at`, `at` included. A text
 * without any such place is cut where the time says. */
static size_t
word_end(const char *text, size_t bytes, size_t at)
{
    for (size_t end = at; end > 0; end = character_before(text, end))
        if (is_space(text[end])
            || is_syllable(text[character_before(text, end)]))
            return end;
    for (size_t i = at; i < bytes; i++)
        if (is_space(text[i]))
            return 0;
    return at;
}

size_t
heard_text_bytes(const char *text, size_t bytes, uint64_t end_ms,
                 uint64_t sent_ms, bool whole)
{
    uint64_t letters = letters_of(text, bytes);
    uint64_t total_ms = letters * 1000 / LETTERS_A_SECOND;
    size_t at;

    if (sent_ms > 0 && (whole || sent_ms > total_ms))
        total_ms = sent_ms;
    if (end_ms >= total_ms)
        return bytes;
    at = bytes_of(text, bytes, letters * end_ms / total_ms);
    at = word_end(text, bytes, at);
    while (at > 0 && is_space(text[at - 1]))
        at--;
    return at;
}

/* --- the last few items */

void
heard_text_init(struct heard_text *h)
{
    memset(h, 0, sizeof *h);
    for (unsigned i = 0; i < HEARD_TEXT_ITEMS; i++)
        buffer_init(&h->items[i].text, HEARD_TEXT_MAX);
}

void
heard_text_deinit(struct heard_text *h)
{
    for (unsigned i = 0; i < HEARD_TEXT_ITEMS; i++)
        buffer_deinit(&h->items[i].text);
    heard_text_init(h);
}

static struct heard_text_item *
item_find(struct heard_text *h, const char *id, unsigned content_index)
{
    for (unsigned i = 0; i < HEARD_TEXT_ITEMS; i++) {
        struct heard_text_item *item = &h->items[i];

        if (item->id[0] && item->content_index == content_index
            && strcmp(item->id, id) == 0)
            return item;
    }
    return NULL;
}

/* NULL: no id that can be kept. */
static struct heard_text_item *
item_get(struct heard_text *h, const char *id, unsigned content_index)
{
    struct heard_text_item *item = item_find(h, id, content_index);
    size_t bytes = strnlen(id, HEARD_TEXT_ID_BYTES);

    if (item != NULL || bytes == 0 || bytes == HEARD_TEXT_ID_BYTES)
        return item;
    item = &h->items[h->next];
    h->next = (h->next + 1) % HEARD_TEXT_ITEMS;
    buffer_deinit(&item->text);
    item->samples = 0;
    item->content_index = content_index;
    item->whole = item->cut = false;
    memcpy(item->id, id, bytes + 1);
    return item;
}

void
heard_text_grow(struct heard_text *h, const char *item_id,
                unsigned content_index, const char *text, size_t bytes)
{
    struct heard_text_item *item = item_get(h, item_id, content_index);
    size_t room;

    if (item == NULL || item->cut)
        return;
    room = item->text.max_bytes - item->text.bytes;
    if (bytes > room) {
        bytes = room;
        while (bytes > 0 && is_inside(text[bytes]))
            bytes--;
    }
    if (bytes > 0 && buffer_append(&item->text, text, bytes) != 0)
        return; /* no memory: a poorer text */
}

void
heard_text_audio(struct heard_text *h, const char *item_id,
                 unsigned content_index, uint64_t samples)
{
    struct heard_text_item *item = item_get(h, item_id, content_index);

    if (item != NULL && !item->cut)
        item->samples += samples;
}

void
heard_text_whole(struct heard_text *h, const char *item_id,
                 unsigned content_index)
{
    struct heard_text_item *item = item_find(h, item_id, content_index);

    if (item != NULL)
        item->whole = true;
}

const char *
heard_text_cut(struct heard_text *h, const char *item_id,
               unsigned content_index, uint64_t end_ms, size_t *bytes)
{
    struct heard_text_item *item = item_find(h, item_id, content_index);
    uint64_t sent_ms;

    *bytes = 0;
    if (item == NULL || item->text.data == NULL)
        return NULL;
    sent_ms = pcm_ms_of_samples(item->samples);
    if (!item->cut || end_ms < sent_ms)
        item->text.bytes =
            heard_text_bytes((const char *) item->text.data, item->text.bytes,
                             end_ms, sent_ms, item->whole || item->cut);
    if (end_ms < sent_ms)
        item->samples = pcm_samples_of_ms(end_ms);
    item->cut = true;
    *bytes = item->text.bytes;
    return (const char *) item->text.data;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/speech_text.h"

#include <stdbool.h>
#include <string.h>

#define LEAST_CLAUSE 40 /* a comma before this makes too short a piece */

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* "e.g.", "Dr.", "J." and the like end no sentence: a full stop does when the
 * word before it has more than two letters or holds a digit. */
static bool
is_full_stop(const char *text, size_t start, size_t at)
{
    size_t letters = 0;

    while (at - letters > start && is_letter(text[at - letters - 1]))
        letters++;
    return letters == 0 || letters > 2;
}

/* A sentence is over after text[at]. */
static bool
is_end(const char *text, size_t bytes, size_t start, size_t at)
{
    char c = text[at];
    bool last = at + 1 == bytes || is_blank(text[at + 1]);

    if (c == '\n')
        return true;
    if (c == '.')
        return last && is_full_stop(text, start, at);
    return last && (c == '!' || c == '?' || c == ':' || c == ';');
}

/* Where to cut text[start..limit) when no sentence ends in it. */
static size_t
cut_find(const char *text, size_t start, size_t limit)
{
    for (size_t at = limit; at > start + LEAST_CLAUSE; at--) {
        if (is_blank(text[at]) && text[at - 1] == ',')
            return at;
    }
    for (size_t at = limit; at > start; at--) {
        if (is_blank(text[at]))
            return at;
    }
    while (limit > start + 1 && ((unsigned char) text[limit] & 0xc0) == 0x80)
        limit--;
    return limit;
}

size_t
speech_text_next(const char *text, size_t bytes, size_t *start)
{
    size_t from = 0, limit;

    while (from < bytes && is_blank(text[from]))
        from++;
    *start = from;
    limit = bytes - from > SPEECH_TEXT_PIECE ? from + SPEECH_TEXT_PIECE : bytes;
    for (size_t at = from; at < limit; at++) {
        if (is_end(text, bytes, from, at))
            return at + 1;
    }
    return limit == bytes ? bytes : cut_find(text, from, limit);
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   lines:  output ─► skip to `first` ─► page ─ full ─► counted
 *   ends:   output ─► [ head ][ ring of the last ] ─► head … tail
 */

#include "codec/tool_limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define NOTE_BYTES 64

static bool
is_continued(char byte)
{
    return ((unsigned char) byte & 0xc0) == 0x80;
}

/* Bytes of the character that begins so; 0: none does. */
static size_t
character_bytes(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef)
        return 3;
    return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

size_t
tool_limits_cut(const char *text, size_t bytes, size_t max_bytes)
{
    if (bytes <= max_bytes)
        return bytes;
    for (size_t back = 1; back <= 3 && back <= max_bytes; back++) {
        unsigned char byte = (unsigned char) text[max_bytes - back];

        if (!is_continued((char) byte))
            return character_bytes(byte) > back ? max_bytes - back : max_bytes;
    }
    return max_bytes;
}

/* Of the character at the text's begin, all of it sound; 0: it is not. */
static size_t
sound_bytes(const char *text, size_t bytes)
{
    unsigned char lead = (unsigned char) text[0];
    unsigned char second = bytes > 1 ? (unsigned char) text[1] : 0;
    size_t need = character_bytes(lead);

    if (need == 0 || need > bytes || lead == 0)
        return 0;
    for (size_t i = 1; i < need; i++)
        if (!is_continued(text[i]))
            return 0;
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f)
        || (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
        return 0;
    return need;
}

/* How many bytes of the text's begin are plain ASCII but NUL, at least: eight
 * are looked at together, since nearly all there is is so. */
static size_t
ascii_bytes(const char *text, size_t bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    size_t at = 0;
    uint64_t eight;

    while (bytes - at >= sizeof(eight)) {
        memcpy(&eight, text + at, sizeof(eight));
        if (((eight - ones) | eight) & tops)
            break;
        at += sizeof(eight);
    }
    return at;
}

bool
tool_limits_is_clean(const char *text, size_t bytes)
{
    size_t at = ascii_bytes(text, bytes);

    while (at < bytes) {
        size_t sound = sound_bytes(text + at, bytes - at);

        if (sound == 0)
            return false;
        at += sound;
        at += ascii_bytes(text + at, bytes - at);
    }
    return true;
}

void
tool_limits_clean(char *text, size_t bytes)
{
    for (size_t at = 0;;) {
        at += ascii_bytes(text + at, bytes - at);
        if (at == bytes)
            return;
        size_t sound = sound_bytes(text + at, bytes - at);

        if (sound == 0)
            text[at++] = '?';
        at += sound;
    }
}

/* --- lines */

void
tool_lines_init(struct tool_lines *l, const struct tool_lines_config *cfg)
{
    *l = (struct tool_lines){.cfg = *cfg, .line = 1};
    if (l->cfg.first == 0)
        l->cfg.first = 1;
    /* A character has four bytes at most; a number, a note and an end. */
    buffer_init(&l->text, (size_t) cfg->max_lines
                              * ((size_t) cfg->max_chars * 4 + 2 * NOTE_BYTES));
}

void
tool_lines_deinit(struct tool_lines *l)
{
    buffer_deinit(&l->text);
}

bool
tool_lines_is_full(const struct tool_lines *l)
{
    return l->lines == l->cfg.max_lines;
}

bool
tool_lines_is_truncated(const struct tool_lines *l)
{
    return l->cut_lines > 0 || l->total_lines > l->lines;
}

static bool
line_is_shown(const struct tool_lines *l)
{
    return l->line >= l->cfg.first && !tool_lines_is_full(l);
}

/* "%6u\t" by hand: there is one a line. */
static int
number_write(struct buffer *out, uint64_t number)
{
    char text[24] = "                       \t";
    size_t at = sizeof(text) - 1;

    do {
        text[--at] = (char) ('0' + number % 10);
        number /= 10;
    } while (number > 0);
    if (at > sizeof(text) - 7)
        at = sizeof(text) - 7;
    return buffer_append(out, text + at, sizeof(text) - at);
}

static int
line_begin(struct tool_lines *l)
{
    l->has_byte = true;
    l->line_begin = l->text.bytes;
    return l->cfg.numbered && line_is_shown(l) ? number_write(&l->text, l->line)
                                               : 0;
}

static int
line_end(struct tool_lines *l)
{
    int result = l->has_byte ? 0 : line_begin(l);

    if (!result && line_is_shown(l)) {
        if (l->text.bytes > l->line_begin)
            tool_limits_clean((char *) l->text.data + l->line_begin,
                              l->text.bytes - l->line_begin);
        if (l->chars > l->cfg.max_chars) {
            l->cut_lines++;
            result = buffer_printf(&l->text, "… [%" PRIu64 " more characters]",
                                   l->chars - l->cfg.max_chars);
        }
        if (!result)
            result = buffer_append(&l->text, "\n", 1);
        l->lines++;
    }
    l->total_lines++;
    l->line++;
    l->chars = 0;
    l->has_byte = false;
    return result;
}

/* What is no UTF-8 counts too: no character has more than four bytes. */
static bool
character_begins(struct tool_lines *l, char byte)
{
    if (is_continued(byte) && l->chars > 0 && l->rest < 3) {
        l->rest++;
        return false;
    }
    l->rest = 0;
    return true;
}

/* Part of a line. */
static int
line_add(struct tool_lines *l, const char *data, size_t bytes)
{
    size_t shown = 0;
    int result = l->has_byte ? 0 : line_begin(l);

    shown = ascii_bytes(data, bytes);
    if (shown > 0 && l->chars + shown <= l->cfg.max_chars) {
        l->chars += shown;
        l->rest = 0;
    } else {
        shown = 0;
    }
    for (size_t i = shown; i < bytes; i++) {
        l->chars += character_begins(l, data[i]);
        shown += l->chars <= l->cfg.max_chars;
    }
    return !result && line_is_shown(l) && shown > 0
               ? buffer_append(&l->text, data, shown)
               : result;
}

int
tool_lines_push(struct tool_lines *l, const char *data, size_t bytes)
{
    int result = 0;

    l->total_bytes += bytes;
    while (bytes > 0 && !result) {
        const char *end = memchr(data, '\n', bytes);
        size_t part = end ? (size_t) (end - data) : bytes;

        if (part > 0)
            result = line_add(l, data, part);
        if (end && !result)
            result = line_end(l);
        part += end != NULL;
        data += part;
        bytes -= part;
    }
    return result;
}

int
tool_lines_finish(struct tool_lines *l)
{
    return l->has_byte ? line_end(l) : 0;
}

/* --- ends */

int
tool_ends_init(struct tool_ends *e, size_t max_bytes)
{
    if (max_bytes < TOOL_ENDS_MIN)
        return UV_EINVAL;
    *e = (struct tool_ends){.max_bytes = max_bytes,
                            .head_max = max_bytes / 5 * 2};
    e->kept = malloc(max_bytes);
    return e->kept ? 0 : UV_ENOMEM;
}

void
tool_ends_deinit(struct tool_ends *e)
{
    free(e->kept);
    e->kept = NULL;
}

bool
tool_ends_is_truncated(const struct tool_ends *e)
{
    return e->total_bytes > e->max_bytes;
}

void
tool_ends_push(struct tool_ends *e, const char *data, size_t bytes)
{
    size_t ring = e->max_bytes - e->head_max;

    if (e->total_bytes < e->head_max) {
        size_t room = e->head_max - (size_t) e->total_bytes;
        size_t part = bytes < room ? bytes : room;

        memcpy(e->kept + e->total_bytes, data, part);
        e->total_bytes += part;
        data += part;
        bytes -= part;
    }
    if (bytes > ring) { /* what would be written over at once */
        e->total_bytes += bytes - ring;
        data += bytes - ring;
        bytes = ring;
    }
    while (bytes > 0) {
        size_t at = (size_t) ((e->total_bytes - e->head_max) % ring);
        size_t part = bytes < ring - at ? bytes : ring - at;

        memcpy(e->kept + e->head_max + at, data, part);
        e->total_bytes += part;
        data += part;
        bytes -= part;
    }
}

/* The last `bytes` of the ring, in order. */
static void
tail_copy(const struct tool_ends *e, char *out, size_t bytes)
{
    size_t ring = e->max_bytes - e->head_max;
    size_t at = (size_t) ((e->total_bytes - e->head_max - bytes) % ring);
    size_t part = bytes < ring - at ? bytes : ring - at;

    memcpy(out, e->kept + e->head_max + at, part);
    memcpy(out + part, e->kept + e->head_max, bytes - part);
}

int
tool_ends_shrink(struct tool_ends *e, size_t max_bytes)
{
    struct tool_ends less;
    bool whole = !tool_ends_is_truncated(e);
    size_t kept = whole ? (size_t) e->total_bytes : e->max_bytes;

    if (max_bytes >= e->max_bytes)
        return 0;
    int result = tool_ends_init(&less, max_bytes);
    if (result)
        return result;
    size_t head = kept < less.head_max ? kept : less.head_max;
    size_t tail = kept < max_bytes ? kept - head : max_bytes - head;
    char *last = malloc(max_bytes);
    if (!last) {
        tool_ends_deinit(&less);
        return UV_ENOMEM;
    }
    if (whole)
        memcpy(last, e->kept + kept - tail, tail);
    else
        tail_copy(e, last, tail);
    tool_ends_push(&less, e->kept, head);
    less.total_bytes = e->total_bytes - tail; /* as if all had gone by */
    tool_ends_push(&less, last, tail);
    free(last);
    tool_ends_deinit(e);
    *e = less;
    return 0;
}

/* Head, what is missing, tail from the first whole character on. */
static size_t
ends_make(const struct tool_ends *e, char *text)
{
    char tail[4];
    size_t tail_bytes = e->head_max;
    size_t head = tool_limits_cut(e->kept, e->max_bytes, e->head_max);

    tail_copy(e, text + e->max_bytes - tail_bytes, tail_bytes);
    memcpy(tail, text + e->max_bytes - tail_bytes, sizeof(tail));
    for (size_t i = 0; i < 3 && is_continued(tail[i]); i++)
        tail_bytes--;
    memcpy(text, e->kept, head);
    tool_limits_clean(text, head);
    int note = snprintf(text + head, NOTE_BYTES,
                        "\n[… %" PRIu64 " bytes left out …]\n",
                        e->total_bytes - head - tail_bytes);
    char *at = text + head + note;
    memmove(at, text + e->max_bytes - tail_bytes, tail_bytes);
    tool_limits_clean(at, tail_bytes);
    return (size_t) (at - text) + tail_bytes;
}

int
tool_ends_write(const struct tool_ends *e, struct buffer *out)
{
    bool truncated = tool_ends_is_truncated(e);
    size_t bytes = (size_t) e->total_bytes;
    char *text = malloc(e->max_bytes);

    if (!text)
        return UV_ENOMEM;
    if (truncated) {
        bytes = ends_make(e, text);
    } else {
        memcpy(text, e->kept, bytes);
        tool_limits_clean(text, bytes);
    }
    int result = buffer_append(out, text, bytes);
    free(text);
    return result;
}

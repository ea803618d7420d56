/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_voice_text.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define UNICODE_CHARS 6 /* \u002b */

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The characters of the escape at `at`, and what it means; 0: no base64. */
static size_t
escape_read(const char *at, size_t left, char *out)
{
    int high, low;

    if (left >= 2 && at[1] == '/') {
        *out = '/';
        return 2;
    }
    if (left < UNICODE_CHARS || at[1] != 'u' || at[2] != '0' || at[3] != '0')
        return 0;
    high = hex_digit(at[4]);
    low = hex_digit(at[5]);
    if (high < 0 || high > 7 || low < 0)
        return 0;
    *out = (char) (high << 4 | low);
    return UNICODE_CHARS;
}

static int
text_unescape(struct session_voice_text *t)
{
    char *out = malloc(t->chars);
    size_t chars = 0;

    if (out == NULL)
        return UV_ENOMEM;
    for (size_t i = 0, step; i < t->chars; i += step) {
        out[chars] = t->text[i];
        step = t->text[i] != '\\'
                   ? 1
                   : escape_read(t->text + i, t->chars - i, out + chars);
        if (step == 0) {
            free(out);
            return UV_EINVAL;
        }
        chars++;
    }
    t->text = t->copy = out;
    t->chars = chars;
    return 0;
}

int
session_voice_text_open(struct session_voice_text *t, struct realtime_span span)
{
    if (span.text == NULL || span.bytes < 2 || span.text[0] != '"'
        || span.text[span.bytes - 1] != '"')
        return UV_EINVAL;
    *t = (struct session_voice_text){.text = span.text + 1,
                                     .chars = span.bytes - 2};
    if (memchr(t->text, '\\', t->chars) == NULL)
        return 0;
    return text_unescape(t);
}

void
session_voice_text_close(struct session_voice_text *t)
{
    free(t->copy);
    t->copy = NULL;
}

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Nearly all that is scanned is audio: one long string. plain_skip runs over
 * it sixteen bytes at a time.
 */

#include "codec/json_scan.h"

#include <stddef.h>
#include <string.h>

#ifdef __SSE2__
#include <immintrin.h>
#endif

void
json_scan_space(struct json_scan *s)
{
    while (s->at < s->end
           && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r'
               || *s->at == '\t'))
        s->at++;
}

/* The next byte after white space, 0 at the end; not taken. */
uint8_t
json_scan_next(struct json_scan *s)
{
    json_scan_space(s);
    return s->at < s->end ? *s->at : 0;
}

bool
json_scan_take(struct json_scan *s, uint8_t wanted)
{
    if (json_scan_next(s) != wanted || s->at == s->end)
        return false;
    s->at++;
    return true;
}

/* Runs over ASCII that means itself inside a string: up to a quote, a
 * backslash, a control character, a byte above 127, or the end. */
static void
plain_skip(struct json_scan *s)
{
    const uint8_t *p = s->at;
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i slash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(0x20);
    while (s->end - p >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *) (const void *) p);
        /* Signed: bytes above 127 are below 0x20 too. */
        __m128i stop = _mm_or_si128(
            _mm_cmplt_epi8(v, space),
            _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)));
        unsigned mask = (unsigned) _mm_movemask_epi8(stop);
        if (mask) {
            s->at = p + __builtin_ctz(mask);
            return;
        }
        p += 16;
    }
#endif
    while (p < s->end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
        p++;
    s->at = p;
}

/* One character above 127 (RFC 3629). */
bool
json_scan_utf8(struct json_scan *s)
{
    uint8_t lead = s->at[0];
    uint8_t low = 0x80, high = 0xBF;
    ptrdiff_t more;

    if (lead >= 0xC2 && lead <= 0xDF)
        more = 1;
    else if (lead >= 0xE0 && lead <= 0xEF)
        more = 2;
    else if (lead >= 0xF0 && lead <= 0xF4)
        more = 3;
    else
        return false;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    if (s->end - s->at <= more || s->at[1] < low || s->at[1] > high)
        return false;
    for (ptrdiff_t i = 2; i <= more; i++)
        if ((s->at[i] & 0xC0) != 0x80)
            return false;
    s->at += more + 1;
    return true;
}

/* The value of the four digits at p, or -1. */
static int
hex4(const uint8_t *p)
{
    int value = 0;

    for (int i = 0; i < 4; i++) {
        int digit;
        if (p[i] >= '0' && p[i] <= '9')
            digit = p[i] - '0';
        else if ((p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'f')
            digit = (p[i] | 0x20) - 'a' + 10;
        else
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* At the 'u' of an escape. Half of a surrogate pair is no text: refused. */
static bool
unicode_skip(struct json_scan *s)
{
    if (s->end - s->at < 5)
        return false;
    int high = hex4(s->at + 1);
    s->at += 5;
    if (high < 0 || (high >= 0xDC00 && high <= 0xDFFF))
        return false;
    if (high < 0xD800 || high > 0xDBFF)
        return true;
    if (s->end - s->at < 6 || s->at[0] != '\\' || s->at[1] != 'u')
        return false;
    int low = hex4(s->at + 2);
    s->at += 6;
    return low >= 0xDC00 && low <= 0xDFFF;
}

/* At the backslash. */
static bool
escape_skip(struct json_scan *s)
{
    s->at++;
    if (s->at == s->end)
        return false;
    if (*s->at == 'u')
        return unicode_skip(s);
    if (!*s->at || !strchr("\"\\/bfnrt", *s->at))
        return false;
    s->at++;
    return true;
}

/* At the opening quote. */
bool
json_scan_string(struct json_scan *s, bool *escaped)
{
    *escaped = false;
    s->at++;
    for (;;) {
        plain_skip(s);
        if (s->at == s->end)
            return false;
        if (*s->at == '"')
            break;
        if (*s->at == '\\') {
            *escaped = true;
            if (!escape_skip(s))
                return false;
        } else if (*s->at < 0x80 || !json_scan_utf8(s)) {
            return false;
        }
    }
    s->at++;
    return true;
}

/* At least one digit. */
static bool
digits_skip(struct json_scan *s)
{
    const uint8_t *from = s->at;

    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > from;
}

static bool
number_skip(struct json_scan *s)
{
    if (*s->at == '-')
        s->at++;
    const uint8_t *from = s->at;
    if (!digits_skip(s) || (*from == '0' && s->at - from > 1))
        return false;
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!digits_skip(s))
            return false;
    }
    if (s->at < s->end && (*s->at | 0x20) == 'e') {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
            s->at++;
        return digits_skip(s);
    }
    return true;
}

static bool
literal_skip(struct json_scan *s, const char *text, size_t bytes)
{
    if ((size_t) (s->end - s->at) < bytes || memcmp(s->at, text, bytes) != 0)
        return false;
    s->at += bytes;
    return true;
}

/* At the first byte of a value that is neither array nor object. */
static bool
scalar_skip(struct json_scan *s, bool *escaped)
{
    *escaped = false;
    switch (json_scan_next(s)) {
    case '"':
        return json_scan_string(s, escaped);
    case 't':
        return literal_skip(s, "true", 4);
    case 'f':
        return literal_skip(s, "false", 5);
    case 'n':
        return literal_skip(s, "null", 4);
    default:
        return s->at < s->end && number_skip(s);
    }
}

/* The open arrays and objects: one bit each, set for an object. */
struct nest {
    uint64_t objects[JSON_SCAN_DEPTH / 64];
    unsigned depth;
};

static bool
nest_is_object(const struct nest *n)
{
    unsigned top = n->depth - 1;
    return n->objects[top / 64] >> top % 64 & 1;
}

static void
nest_push(struct nest *n, bool object)
{
    uint64_t bit = (uint64_t) 1 << n->depth % 64;
    uint64_t *word = &n->objects[n->depth++ / 64];
    *word = object ? *word | bit : *word & ~bit;
}

static bool
key_skip(struct json_scan *s)
{
    bool escaped;
    return json_scan_next(s) == '"' && json_scan_string(s, &escaped)
           && json_scan_take(s, ':');
}

/* After a value: leaves what ends here, up to the next value or the end of
 * the outermost one. */
static bool
nest_leave(struct json_scan *s, struct nest *n)
{
    while (n->depth) {
        bool object = nest_is_object(n);
        if (json_scan_take(s, ','))
            return !object || key_skip(s);
        if (!json_scan_take(s, object ? '}' : ']'))
            return false;
        n->depth--;
    }
    return true;
}

/* One whole value. *escaped is of a string at its top. */
enum json_scan_result
json_scan_value(struct json_scan *s, bool *escaped)
{
    struct nest n = {.depth = 0};
    bool inner;

    *escaped = false;
    do {
        uint8_t c = json_scan_next(s);
        bool sound;
        if (c != '{' && c != '[') {
            sound = scalar_skip(s, n.depth ? &inner : escaped);
        } else {
            if (n.depth == JSON_SCAN_DEPTH)
                return JSON_SCAN_TOO_DEEP;
            s->at++;
            nest_push(&n, c == '{');
            if (json_scan_next(s) != (c == '{' ? '}' : ']')) {
                if (c == '{' && !key_skip(s))
                    return JSON_SCAN_BAD;
                continue;
            }
            s->at++;
            n.depth--;
            sound = true;
        }
        if (!sound || !nest_leave(s, &n))
            return JSON_SCAN_BAD;
    } while (n.depth);
    return JSON_SCAN_SOUND;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/html_entity.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 8
#define UNKNOWN        0xfffd
#define LAST           0x10ffff

struct entity {
    char name[NAME_MAX_BYTES + 1];
    uint16_t code;
};

/* By name, for bsearch. */
/* clang-format off */
static const struct entity entities[] = {
    {"AElig", 0xc6}, {"Aacute", 0xc1}, {"Acirc", 0xc2}, {"Agrave", 0xc0},
    {"Aring", 0xc5}, {"Atilde", 0xc3}, {"Auml", 0xc4}, {"Ccedil", 0xc7},
    {"Eacute", 0xc9}, {"Ecirc", 0xca}, {"Egrave", 0xc8}, {"Euml", 0xcb},
    {"Iacute", 0xcd}, {"Icirc", 0xce}, {"Ntilde", 0xd1}, {"OElig", 0x152},
    {"Oacute", 0xd3}, {"Ocirc", 0xd4}, {"Oslash", 0xd8}, {"Otilde", 0xd5},
    {"Ouml", 0xd6}, {"Scaron", 0x160}, {"THORN", 0xde}, {"Uacute", 0xda},
    {"Ucirc", 0xdb}, {"Ugrave", 0xd9}, {"Uuml", 0xdc}, {"Yacute", 0xdd},
    {"aacute", 0xe1}, {"acirc", 0xe2}, {"acute", 0xb4}, {"aelig", 0xe6},
    {"agrave", 0xe0}, {"alpha", 0x3b1}, {"amp", '&'}, {"apos", '\''},
    {"aring", 0xe5}, {"asymp", 0x2248}, {"atilde", 0xe3}, {"auml", 0xe4},
    {"bdquo", 0x201e}, {"beta", 0x3b2}, {"brvbar", 0xa6}, {"bull", 0x2022},
    {"ccedil", 0xe7}, {"cedil", 0xb8}, {"cent", 0xa2}, {"check", 0x2713},
    {"circ", 0x2c6}, {"colon", ':'}, {"comma", ','}, {"copy", 0xa9},
    {"darr", 0x2193}, {"deg", 0xb0}, {"delta", 0x3b4}, {"divide", 0xf7},
    {"dollar", '$'}, {"eacute", 0xe9}, {"ecirc", 0xea}, {"egrave", 0xe8},
    {"emsp", ' '}, {"ensp", ' '}, {"equals", '='}, {"eth", 0xf0},
    {"euml", 0xeb}, {"euro", 0x20ac}, {"excl", '!'}, {"fnof", 0x192},
    {"frac12", 0xbd}, {"frac14", 0xbc}, {"frac34", 0xbe}, {"gamma", 0x3b3},
    {"ge", 0x2265}, {"gt", '>'}, {"harr", 0x2194}, {"hearts", 0x2665},
    {"hellip", 0x2026}, {"iacute", 0xed}, {"icirc", 0xee}, {"iexcl", 0xa1},
    {"igrave", 0xec}, {"infin", 0x221e}, {"iquest", 0xbf}, {"iuml", 0xef},
    {"lambda", 0x3bb}, {"laquo", 0xab}, {"larr", 0x2190}, {"lbrace", '{'},
    {"lbrack", '['}, {"ldquo", 0x201c}, {"le", 0x2264}, {"lpar", '('},
    {"lsaquo", 0x2039}, {"lsquo", 0x2018}, {"lt", '<'}, {"macr", 0xaf},
    {"mdash", 0x2014}, {"micro", 0xb5}, {"middot", 0xb7}, {"minus", 0x2212},
    {"mu", 0x3bc}, {"nbsp", ' '}, {"ndash", 0x2013}, {"ne", 0x2260},
    {"not", 0xac}, {"ntilde", 0xf1}, {"num", '#'}, {"oacute", 0xf3},
    {"ocirc", 0xf4}, {"oelig", 0x153}, {"ograve", 0xf2}, {"omega", 0x3c9},
    {"ordf", 0xaa}, {"ordm", 0xba}, {"oslash", 0xf8}, {"otilde", 0xf5},
    {"ouml", 0xf6}, {"para", 0xb6}, {"percnt", '%'}, {"period", '.'},
    {"permil", 0x2030}, {"pi", 0x3c0}, {"plus", '+'}, {"plusmn", 0xb1},
    {"pound", 0xa3}, {"prime", 0x2032}, {"quest", '?'}, {"quot", '"'},
    {"raquo", 0xbb}, {"rarr", 0x2192}, {"rbrace", '}'}, {"rbrack", ']'},
    {"rdquo", 0x201d}, {"reg", 0xae}, {"rpar", ')'}, {"rsaquo", 0x203a},
    {"rsquo", 0x2019}, {"sbquo", 0x201a}, {"scaron", 0x161}, {"sect", 0xa7},
    {"semi", ';'}, {"shy", 0}, {"sigma", 0x3c3}, {"sol", '/'}, {"sum", 0x2211},
    {"sup1", 0xb9}, {"sup2", 0xb2}, {"sup3", 0xb3}, {"szlig", 0xdf},
    {"theta", 0x3b8}, {"thinsp", ' '}, {"thorn", 0xfe}, {"tilde", 0x2dc},
    {"times", 0xd7}, {"trade", 0x2122}, {"uacute", 0xfa}, {"uarr", 0x2191},
    {"ucirc", 0xfb}, {"ugrave", 0xf9}, {"uml", 0xa8}, {"uuml", 0xfc},
    {"yacute", 0xfd}, {"yen", 0xa5}, {"yuml", 0xff}, {"zwj", 0}, {"zwnj", 0},
};
/* Numbers 0x80 … 0x9f are meant as windows-1252 has them; 0: nothing. */
static const uint16_t meant[32] = {
    0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021,
    0x2c6,  0x2030, 0x160,  0x2039, 0x152,  0x8d,   0x17d,  0x8f,
    0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
    0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178};
/* clang-format on */

static size_t
utf8_write(uint32_t code, char out[HTML_ENTITY_BYTES])
{
    unsigned rest = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};

    out[0] = (char) (lead[rest] | code >> 6 * rest);
    for (unsigned i = 1; i <= rest; i++)
        out[i] = (char) (0x80 | (code >> 6 * (rest - i) & 0x3f));
    return rest + 1;
}

static int
digit_of(char c, uint32_t base)
{
    if (isdigit((unsigned char) c))
        return c - '0';
    if (base == 16 && isxdigit((unsigned char) c))
        return tolower((unsigned char) c) - 'a' + 10;
    return -1;
}

static uint32_t
code_meant(uint32_t code)
{
    if (code >= 0x80 && code < 0xa0)
        return meant[code - 0x80];
    if (code == 0xa0)
        return ' ';
    if (code == 0 || code > LAST || (code >= 0xd800 && code < 0xe000))
        return UNKNOWN;
    return code;
}

/* Behind "&#". */
static size_t
number_read(const char *text, size_t bytes, char utf8[HTML_ENTITY_BYTES],
            size_t *made)
{
    uint32_t base = 10, code = 0;
    size_t at = 2, begin;

    if (at < bytes && (text[at] | 0x20) == 'x') {
        base = 16;
        at++;
    }
    for (begin = at; at < bytes && digit_of(text[at], base) >= 0; at++)
        if (code <= LAST)
            code = code * base + (uint32_t) digit_of(text[at], base);
    if (at == begin)
        return 0;
    code = code_meant(code);
    /* As few bytes as it takes to write a reference to it. */
    *made = utf8_write(code, utf8);
    return at < bytes && text[at] == ';' ? at + 1 : at;
}

static int
entity_compare(const void *name, const void *entity)
{
    return strcmp(name, ((const struct entity *) entity)->name);
}

size_t
html_entity_read(const char *text, size_t bytes, char utf8[HTML_ENTITY_BYTES],
                 size_t *made)
{
    char name[NAME_MAX_BYTES + 1];
    const struct entity *found;
    size_t n = 0;

    if (bytes > 1 && text[1] == '#')
        return number_read(text, bytes, utf8, made);
    while (n < NAME_MAX_BYTES && n + 1 < bytes
           && isalnum((unsigned char) text[n + 1])) {
        name[n] = text[n + 1];
        n++;
    }
    name[n] = '\0';
    /* Without its ';' a name may be the beginning of another word. */
    if (n == 0 || n + 1 >= bytes || text[n + 1] != ';')
        return 0;
    found = bsearch(name, entities, sizeof(entities) / sizeof(*entities),
                    sizeof(*entities), entity_compare);
    if (!found)
        return 0;
    *made = found->code ? utf8_write(found->code, utf8) : 0;
    return n + 2;
}

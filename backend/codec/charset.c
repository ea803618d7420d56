/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/charset.h"

#include "codec/tool_limits.h"

#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#define PIECE_BYTES 16384

/* A label and what iconv calls it: the Standard's reading of old names. */
static const struct {
    const char *label, *name;
} charsets[] = {
    {"ascii", "CP1252"},
    {"us-ascii", "CP1252"},
    {"iso-8859-1", "CP1252"},
    {"iso8859-1", "CP1252"},
    {"latin1", "CP1252"},
    {"l1", "CP1252"},
    {"windows-1252", "CP1252"},
    {"cp1252", "CP1252"},
    {"iso-8859-2", "ISO-8859-2"},
    {"latin2", "ISO-8859-2"},
    {"iso-8859-3", "ISO-8859-3"},
    {"iso-8859-4", "ISO-8859-4"},
    {"iso-8859-5", "ISO-8859-5"},
    {"iso-8859-6", "ISO-8859-6"},
    {"iso-8859-7", "ISO-8859-7"},
    {"iso-8859-8", "ISO-8859-8"},
    {"iso-8859-9", "CP1254"},
    {"latin5", "CP1254"},
    {"iso-8859-10", "ISO-8859-10"},
    {"iso-8859-13", "ISO-8859-13"},
    {"iso-8859-14", "ISO-8859-14"},
    {"iso-8859-15", "ISO-8859-15"},
    {"iso-8859-16", "ISO-8859-16"},
    {"windows-1250", "CP1250"},
    {"windows-1251", "CP1251"},
    {"cp1251", "CP1251"},
    {"windows-1253", "CP1253"},
    {"windows-1254", "CP1254"},
    {"windows-1255", "CP1255"},
    {"windows-1256", "CP1256"},
    {"windows-1257", "CP1257"},
    {"windows-1258", "CP1258"},
    {"windows-874", "CP874"},
    {"tis-620", "CP874"},
    {"koi8-r", "KOI8-R"},
    {"koi8-u", "KOI8-U"},
    {"macintosh", "MACINTOSH"},
    {"ibm866", "IBM866"},
    {"gbk", "GB18030"},
    {"gb2312", "GB18030"},
    {"gb18030", "GB18030"},
    {"big5", "BIG5-HKSCS"},
    {"big5-hkscs", "BIG5-HKSCS"},
    {"euc-jp", "EUC-JP"},
    {"iso-2022-jp", "ISO-2022-JP"},
    {"shift_jis", "CP932"},
    {"shift-jis", "CP932"},
    {"sjis", "CP932"},
    {"windows-31j", "CP932"},
    {"euc-kr", "CP949"},
    {"ks_c_5601-1987", "CP949"},
    {"utf-16", "UTF-16LE"},
    {"utf-16le", "UTF-16LE"},
    {"utf-16be", "UTF-16BE"},
};

/* NULL: UTF-8. */
static const char *
name_find(const char *label, size_t bytes)
{
    for (size_t i = 0; label && i < sizeof(charsets) / sizeof(*charsets); i++)
        if (strlen(charsets[i].label) == bytes
            && strncasecmp(charsets[i].label, label, bytes) == 0)
            return charsets[i].name;
    return NULL;
}

/* The mark's length; *name is what it says. */
static size_t
mark_read(const char *data, size_t bytes, const char **name)
{
    if (bytes >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
        *name = NULL;
        return 3;
    }
    if (bytes >= 2 && memcmp(data, "\xff\xfe", 2) == 0) {
        *name = "UTF-16LE";
        return 2;
    }
    if (bytes >= 2 && memcmp(data, "\xfe\xff", 2) == 0) {
        *name = "UTF-16BE";
        return 2;
    }
    return 0;
}

/* As much of whole characters as there is room for, cleaned. */
static int
utf8_append(struct buffer *out, const char *data, size_t bytes)
{
    size_t room = out->max_bytes - out->bytes;
    size_t fits = bytes > room ? tool_limits_cut(data, bytes, room) : bytes;
    int err = fits ? buffer_append(out, data, fits) : 0;

    if (err != 0)
        return err;
    return fits < bytes ? UV_ENOBUFS : 0;
}

static int
utf8_decode(const char *data, size_t bytes, struct buffer *out)
{
    size_t before = out->bytes;
    int err = utf8_append(out, data, bytes);

    if (out->bytes > before)
        tool_limits_clean((char *) out->data + before, out->bytes - before);
    return err;
}

/* Cleaned piece by piece: iconv ends them with whole characters. */
static int
iconv_decode(iconv_t cd, char *data, size_t bytes, struct buffer *out)
{
    char piece[PIECE_BYTES];
    int err = 0;

    while (bytes > 0 && err == 0) {
        char *to = piece;
        size_t room = sizeof(piece) - 1;
        bool stuck = iconv(cd, &data, &bytes, &to, &room) == (size_t) -1
                     && errno != E2BIG;

        if (stuck) { /* malformed, or cut off */
            *to++ = '?';
            data++;
            bytes--;
        }
        tool_limits_clean(piece, (size_t) (to - piece));
        err = utf8_append(out, piece, (size_t) (to - piece));
    }
    return err;
}

int
charset_decode(const char *label, size_t label_bytes, const char *data,
               size_t bytes, struct buffer *out)
{
    const char *name = name_find(label, label_bytes);
    size_t mark = mark_read(data, bytes, &name);
    iconv_t cd = (iconv_t) -1;
    int err;

    if (name)
        cd = iconv_open("UTF-8", name);
    if (cd == (iconv_t) -1) /* UTF-8, or a system without its tables */
        return utf8_decode(data + mark, bytes - mark, out);
    err = iconv_decode(cd, (char *) data + mark, bytes - mark, out);
    iconv_close(cd);
    return err;
}

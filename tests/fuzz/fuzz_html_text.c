/* SPDX-License-Identifier: BSD-2-Clause */

/* Any page of any charset: its first byte says which, then the page. Text that
 * is valid UTF-8, no longer than the page, and whole whatever it was cut at. */

#include "codec/charset.h"
#include "codec/html_text.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const char *const labels[] = {
    "utf-8",        "iso-8859-1",  "windows-1251", "shift_jis",
    "euc-jp",       "iso-2022-jp", "gb18030",      "big5",
    "euc-kr",       "utf-16le",    "utf-16be",     "koi8-r",
    "windows-1255", "tis-620",     "none",         "iso-8859-7"};

static void
demand(bool condition)
{
    if (!condition)
        abort();
}

static void
utf8_demand(const struct buffer *text)
{
    json_t *whole = json_stringn((char *) text->data, text->bytes);

    demand(text->bytes == 0 || whole);
    json_decref(whole);
}

static void
page_read(const char *page, size_t bytes)
{
    struct buffer text, title;

    buffer_init(&text, bytes + HTML_TEXT_SLACK);
    buffer_init(&title, 50);
    demand(html_text_write(page, bytes, &text, &title) == 0);
    utf8_demand(&text);
    utf8_demand(&title);
    buffer_deinit(&text);
    buffer_deinit(&title);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *label, *page = (const char *) data + 1;
    struct buffer utf8, part;
    size_t label_bytes;

    if (bytes < 1 || bytes > 100000)
        return 0;
    label = labels[*data % (sizeof(labels) / sizeof(*labels))];
    bytes--;
    (void) html_text_charset(page, bytes, &label_bytes);
    (void) html_text_is_html(page, bytes);
    buffer_init(&utf8, 3 * bytes);
    demand(charset_decode(label, strlen(label), page, bytes, &utf8) == 0);
    utf8_demand(&utf8);
    buffer_init(&part, utf8.bytes / 2);
    if (charset_decode(label, strlen(label), page, bytes, &part) != 0)
        demand(part.bytes + 4 > part.max_bytes);
    utf8_demand(&part);
    if (utf8.bytes)
        page_read((char *) utf8.data, utf8.bytes);
    buffer_deinit(&part);
    buffer_deinit(&utf8);
    return 0;
}

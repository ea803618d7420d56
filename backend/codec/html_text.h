/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a reader sees of an HTML page: its text, with breaks where blocks end,
 * "# " before headings and "- " before items of lists; no scripts, styles,
 * drawings or attributes. A scanner, no browser: one pass, no tree, whatever
 * is malformed becomes text or nothing. Never more bytes than the page has
 * (and a few). Pure. The page is UTF-8, or else what isn't goes through.
 */

#ifndef VOICE_HTML_TEXT_H
#define VOICE_HTML_TEXT_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

#define HTML_TEXT_SLACK 64 /* text beyond the bytes of its page, at most */

/* Appends the text to `out`, the page's title to `title` (may be NULL; what is
 * beyond its cap is left out). 0, or as buffer_append for `out`. */
int html_text_write(const char *html, size_t bytes, struct buffer *out,
                    struct buffer *title);

/* What the page says its charset is, within its first KB; NULL: nothing. Of
 * the page, *label_bytes long. */
const char *html_text_charset(const char *html, size_t bytes,
                              size_t *label_bytes);

/* It begins as pages do, whatever type it was given. */
bool html_text_is_html(const char *text, size_t bytes);

#endif

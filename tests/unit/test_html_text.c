/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/charset.h"
#include "codec/html_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

/* Page and what a reader sees of it. */
static const char *const pages[][2] = {
    {"", ""},
    {"plain", "plain"},
    {"  a \n\t b  ", "a b"},
    {"<p>one</p><p>two</p>", "one\n\ntwo"},
    {"<div>one</div><div>two</div>", "one\ntwo"},
    {"a<br>b<BR/>c<br />d", "a\nb\nc\nd"},
    {"<h1>Head</h1>text<h2 class=x>Sub</h2>more",
     "# Head\n\ntext\n\n# Sub\n\nmore"},
    {"<ul><li>one<li>two</li></ul>end", "- one\n- two\n\nend"},
    {"<ul><li></li></ul>end", "end"},
    {"<table><tr><td>a</td><td>b</td></tr><tr><td>c</table>", "a b\nc"},
    {"a<b>bold</b>c <i>it</i> d", "aboldc it d"},
    {"<script>if (a < b) { x(\"</p>\"); }</script>seen", "seen"},
    {"<SCRIPT type='a>b'>hidden</script >seen", "seen"},
    {"<style>p { }</style><noscript>no</noscript>seen", "seen"},
    {"<script>never ends", ""},
    {"<script>a</scripty>b</script>c", "c"},
    {"x<svg><title>t</title><svg><g/></svg>in</svg>y", "xy"},
    {"x<template><div>in</div></template>y<svg/>z", "xyz"},
    {"<!-- a > b --><!doctype html><?xml x?>t", "t"},
    {"<!-- never ends", ""},
    {"a<!-->b", "a"},
    {"<title>Ti<b>tle</title>body", "body"},
    {"<a href=\"x>y\">link</a>", "link"},
    {"<a title='\">' href=x>link</a>", "link"},
    {"<a href=\"never ends", ""},
    {"1 < 2 && 3 > 2", "1 < 2 && 3 > 2"},
    {"a<", "a<"},
    {"a</", "a</"},
    {"a<>b", "a<>b"},
    {"a</3", "a</3"},
    {"&lt;b&gt; &amp;amp; &quot;&apos;&#39;&#x41;", "<b> &amp; \"''A"},
    {"caf&eacute; &euro;5 &hellip;&mdash;", "caf\xc3\xa9 \xe2\x82\xac"
                                            "5 \xe2\x80\xa6\xe2\x80\x94"},
    {"a&nbsp;b&#160;&#xa0;c", "a b c"},
    {"soft&shy;hyphen", "softhyphen"},
    {"&copy=1&amp", "&copy=1&amp"},
    {"&nosuch; &; &# &#x; &#xg;", "&nosuch; &; &# &#x; &#xg;"},
    {"&#0;&#xd800;&#1114112;&#99999999999999999999;",
     "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"&#128512;&#147;q&#148;", "\xf0\x9f\x98\x80\xe2\x80\x9cq\xe2\x80\x9d"},
    {"&#65", "A"},
    {"<pre>a\n  b\n\nc</pre> d  e", "a\n  b\n\nc\n\nd e"},
    {"<pre>\n first</pre>", " first"},
    {"</pre></p></li></h1>x", "x"},
    {"<p><p><div><section>x", "x"},
    {"<averyveryverylongtagname>x", "x"},
    {"<x-own-tag attr>x</x-own-tag>", "x"},
    {"<textarea><b>typed</b></textarea>seen", "seen"},
    {"<option>a<option>b", "a\nb"},
};

static char *
text_of(const char *html, size_t bytes, struct buffer *title)
{
    struct buffer out;
    char *text;

    buffer_init(&out, bytes + HTML_TEXT_SLACK);
    assert_int_equal(html_text_write(html, bytes, &out, title), 0);
    text = strdup(buffer_text(&out) ? (char *) out.data : "");
    buffer_deinit(&out);
    return text;
}

/* The page in memory that ends where it does. */
static void
what_is_seen(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
        size_t bytes = strlen(pages[i][0]);
        char *page = malloc(bytes + 1);
        memcpy(page, pages[i][0], bytes);
        char *text = text_of(page, bytes, NULL);
        if (strcmp(text, pages[i][1]) != 0)
            fail_msg("\"%s\" is \"%s\"", pages[i][0], text);
        free(text);
        free(page);
    }
}

/* Cut anywhere: nothing is read behind the end, and no more made than read. */
static void
any_beginning_will_do(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
        for (size_t n = 0; n <= strlen(pages[i][0]); n++) {
            char *page = malloc(n ? n : 1);
            memcpy(page, pages[i][0], n);
            free(text_of(page, n, NULL));
            free(page);
        }
    }
}

static void
the_title(void **state)
{
    static const char page[] =
        "<head><title> A &amp; <b>\n B</title></head><svg><title>no</title>"
        "</svg><title>second</title>x";
    struct buffer title;
    (void) state;

    buffer_init(&title, 100);
    free(text_of(page, strlen(page), &title));
    assert_string_equal(buffer_text(&title), "A & <b> B");
    buffer_deinit(&title);
    buffer_init(&title, 3);
    free(text_of(page, strlen(page), &title));
    assert_int_equal(title.bytes, 3);
    buffer_deinit(&title);
}

/* What looks like the worst of pages takes no more than a look at each byte:
 * these would take hours otherwise. */
static void
long_pages(void **state)
{
    static const char *const pieces[] = {
        "<",       "</",       "<!--",       "<a b=\"", "&",
        "<svg>",   "<pre>",    "<script>",   "<p>",     "&#1",
        "<title>", "</script", "<svg></svg", "<li>",    "<h1>"};
    (void) state;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
        size_t n = strlen(pieces[i]), bytes = 2000000 / n * n;
        char *page = malloc(bytes);
        for (size_t at = 0; at < bytes; at += n)
            memcpy(page + at, pieces[i], n);
        free(text_of(page, bytes, NULL));
        free(page);
    }
}

static void
a_page_says_its_charset(void **state)
{
    static const struct {
        const char *page, *label;
    } cases[] = {
        {"<meta charset=utf-8>", "utf-8"},
        {"<META Charset = \"Shift_JIS\">", "Shift_JIS"},
        {"<meta http-equiv=x content='text/html; charset=koi8-r'>", "koi8-r"},
        {"<?xml version='1.0'?>", NULL},
        {"charset=", NULL},
        {"charset=\"\">", NULL},
        {"", NULL},
    };
    char far[2000];
    size_t n = 0;

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *label =
            html_text_charset(cases[i].page, strlen(cases[i].page), &n);
        if (!cases[i].label)
            assert_null(label);
        else
            assert_memory_equal(label, cases[i].label, strlen(cases[i].label));
        if (label)
            assert_int_equal(n, strlen(cases[i].label));
    }
    memset(far, ' ', sizeof(far));
    memcpy(far + 1500, "charset=utf-8", 13);
    assert_null(html_text_charset(far, sizeof(far), &n));
    assert_true(html_text_is_html(" \n<!DOCTYPE html>", 17));
    assert_true(html_text_is_html("<HTML>", 6));
    assert_false(html_text_is_html("<htm", 4));
    assert_false(html_text_is_html("", 0));
    assert_false(html_text_is_html("{\"a\":1}", 7));
}

static void
charsets(void **state)
{
    static const struct {
        const char *label, *data;
        size_t bytes;
        const char *utf8;
    } cases[] = {
        {"utf-8", "caf\xc3\xa9", 5, "caf\xc3\xa9"},
        {"UTF-8", "caf\xe9!", 5, "caf?!"},
        {"utf-8", "\xef\xbb\xbfx", 4, "x"},
        {"iso-8859-1", "caf\xe9 \x80", 6, "caf\xc3\xa9 \xe2\x82\xac"},
        {"Windows-1252", "\x93q\x94", 3, "\xe2\x80\x9cq\xe2\x80\x9d"},
        {"windows-1251", "\xcf\xf0\xe8", 3, "\xd0\x9f\xd1\x80\xd0\xb8"},
        {"shift_jis", "\x93\xfa\x96\x7b", 4, "\xe6\x97\xa5\xe6\x9c\xac"},
        {"euc-jp", "\xc6\xfc\xcb\xdc", 4, "\xe6\x97\xa5\xe6\x9c\xac"},
        {"gb2312", "\xd6\xd0\xce\xc4", 4, "\xe4\xb8\xad\xe6\x96\x87"},
        {"big5", "\xa4\xa4\xa4\xe5", 4, "\xe4\xb8\xad\xe6\x96\x87"},
        {"utf-16le", "a\0\xe9\0", 4, "a\xc3\xa9"},
        {"iso-8859-1",
         "\xff\xfe"
         "a\0",
         4, "a"}, /* the mark has it */
        {"utf-8", "\xfe\xff\0a", 4, "a"},
        {"utf-16le", "a\0b", 3, "a?"},
        {"shift_jis", "a\x93", 2, "a?"},
        {"shift_jis",
         "\xff"
         "a",
         2, "?a"},
        {"/../../tmp/evil", "x\xe9", 2, "x?"},
        {"UTF-7", "+AGE-", 5, "+AGE-"},
        {"no-such", "x", 1, "x"},
        {NULL, "x\0y", 3, "x?y"},
        {"utf-16le", "a\0\0\0", 4, "a?"},
        {"utf-8", "", 0, ""},
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *label = cases[i].label;
        struct buffer out;
        buffer_init(&out, 100);
        assert_int_equal(charset_decode(label, label ? strlen(label) : 0,
                                        cases[i].data, cases[i].bytes, &out),
                         0);
        if (strcmp(buffer_text(&out), cases[i].utf8) != 0)
            fail_msg("%s, case %zu: \"%s\"", label, i, (char *) out.data);
        buffer_deinit(&out);
    }
}

static void
a_cap_cuts_no_character(void **state)
{
    struct buffer out;

    (void) state;
    for (size_t cap = 1; cap < 9; cap++) {
        buffer_init(&out, cap);
        assert_int_equal(charset_decode("utf-8", 5,
                                        "\xe2\x82\xac\xe2\x82\xac"
                                        "\xe2\x82\xac",
                                        9, &out),
                         UV_ENOBUFS);
        assert_int_equal(out.bytes, cap / 3 * 3);
        buffer_deinit(&out);
        buffer_init(&out, cap);
        assert_int_equal(charset_decode("cp1252", 6, "\x80\x80\x80", 3, &out),
                         UV_ENOBUFS);
        assert_int_equal(out.bytes, cap / 3 * 3);
        buffer_deinit(&out);
    }
}

/* Bytes in, more than a piece of it, and back. */
static void
long_texts(void **state)
{
    size_t bytes = 3000000;
    char *data = malloc(bytes);
    struct buffer out;

    (void) state;
    memset(data, 0xe9, bytes);
    buffer_init(&out, bytes * 3);
    assert_int_equal(charset_decode("latin1", 6, data, bytes, &out), 0);
    assert_int_equal(out.bytes, bytes * 2);
    buffer_clear(&out);
#ifdef __SANITIZE_THREAD__
    bytes /= 10; /* its iconv looks at all that is left, for each of these */
#endif
    memset(data, 0xff, bytes);
    assert_int_equal(charset_decode("euc-kr", 6, data, bytes, &out), 0);
    assert_int_equal(out.bytes, bytes);
    buffer_deinit(&out);
    free(data);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_seen),
        cmocka_unit_test(any_beginning_will_do),
        cmocka_unit_test(the_title),
        cmocka_unit_test(long_pages),
        cmocka_unit_test(a_page_says_its_charset),
        cmocka_unit_test(charsets),
        cmocka_unit_test(a_cap_cuts_no_character),
        cmocka_unit_test(long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

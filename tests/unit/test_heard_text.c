/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/heard_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS 24u /* samples */

struct row {
    const char *text;
    uint64_t end_ms, sent_ms;
    bool whole;
    const char *heard;
};

static void
test_rule(void **state)
{
    static const char says[] = "one two three four five";
    static const struct row rows[] = {
        /* in proportion, back to the end of a word */
        {says, 500, 1000, true, "one two"},
        {says, 350, 1000, true, "one two"},
        {says, 250, 1000, true, "one"},
        {says, 130, 1000, true, ""},
        {says, 1, 1000, true, ""},
        {says, 0, 1000, true, ""},
        /* all of it */
        {says, 1000, 1000, true, says},
        {says, UINT64_MAX, 1000, true, says},
        {says, 999, 1000, true, "one two three four"},
        /* no audio is known of: by the pace of speech, 23 letters in 1533 */
        {says, 800, 0, true, "one two"},
        {says, 800, 0, false, "one two"},
        {says, 1533, 0, false, says},
        /* the text is ahead of its audio: what was played is not all of it */
        {says, 500, 500, false, "one two"},
        {says, 500, 500, true, says},
        {says, 800, 3000, false, "one"},
        /* white space of every kind ends words, and none is left over */
        {"one\ntwo\tthree", 700, 1000, true, "one\ntwo"},
        {"one  two", 600, 1000, true, "one"},
        {" one two", 500, 1000, true, " one"},
        /* one word, cut where the time says, in no character */
        {"abcdefgh", 500, 1000, true, "abcd"},
        {"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f", 500, 1000, true,
         "\xc3\xa4\xc3\xb6"},
        {"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f", 490, 1000, true, "\xc3\xa4"},
        {"\xf0\x9f\x98\x80\xf0\x9f\x98\x81", 700, 1000, true,
         "\xf0\x9f\x98\x80"},
        /* syllables are words, and take three letters' time */
        {"\xe4\xbd\xa0\xe5\xa5\xbd ok", 500, 1000, true, "\xe4\xbd\xa0"},
        {"\xe4\xbd\xa0\xe5\xa5\xbd ok", 700, 1000, true,
         "\xe4\xbd\xa0\xe5\xa5\xbd"},
        {"\xe4\xbd\xa0\xe5\xa5\xbd", 200, 0, false, "\xe4\xbd\xa0"},
        {"", 10, 1000, true, ""},
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *r = &rows[i];
        size_t bytes = strlen(r->text);
        char *text = malloc(bytes + 1); /* exact, for a sanitizer */
        size_t n;

        memcpy(text, r->text, bytes);
        text = realloc(text, bytes ? bytes : 1);
        n = heard_text_bytes(text, bytes, r->end_ms, r->sent_ms, r->whole);
        if (n != strlen(r->heard) || memcmp(text, r->heard, n) != 0)
            fail_msg("row %zu: \"%.*s\"", i, (int) n, text);
        free(text);
    }
}

/* Broken text: any place is fine, none beyond the end. */
static void
test_rule_on_noise(void **state)
{
    uint32_t seed = 7;

    (void) state;
    for (unsigned run = 0; run < 20000; run++) {
        size_t bytes = run % 23;
        char *text = malloc(bytes ? bytes : 1);
        size_t before = 0;

        for (size_t i = 0; i < bytes; i++) {
            seed = seed * 1664525u + 1013904223u;
            text[i] = (char) (seed >> 24);
        }
        for (uint64_t ms = 0; ms < 1200; ms += 37) {
            size_t n = heard_text_bytes(text, bytes, ms, 1000, run % 2);

            assert_true(n <= bytes && n >= before);
            before = n;
        }
        free(text);
    }
}

static const char *
cut(struct heard_text *h, const char *id, unsigned index, uint64_t ms)
{
    static char text[HEARD_TEXT_MAX + 1];
    size_t bytes;
    const char *heard = heard_text_cut(h, id, index, ms, &bytes);

    if (heard == NULL) {
        assert_int_equal(bytes, 0);
        return NULL;
    }
    snprintf(text, sizeof text, "%.*s", (int) bytes, heard);
    return text;
}

static void
grow(struct heard_text *h, const char *id, unsigned index, const char *text)
{
    heard_text_grow(h, id, index, text, strlen(text));
}

static void
test_items(void **state)
{
    struct heard_text h;

    (void) state;
    heard_text_init(&h);
    assert_null(cut(&h, "a", 0, 10));
    grow(&h, "a", 0, "one two");
    heard_text_audio(&h, "a", 0, 1000 * MS);
    grow(&h, "b", 0, "uno dos");
    grow(&h, "a", 0, " three four");
    heard_text_audio(&h, "a", 0, 1000 * MS);
    heard_text_audio(&h, "b", 0, 700 * MS);
    grow(&h, "a", 1, "another part");
    heard_text_audio(&h, "silent", 0, 500 * MS);
    heard_text_whole(&h, "nobody", 0);
    heard_text_whole(&h, "a", 0);
    assert_null(cut(&h, "c", 0, 10));
    assert_null(cut(&h, "silent", 0, 10)); /* no text of it */
    assert_string_equal(cut(&h, "a", 0, 1600), "one two three");
    assert_string_equal(cut(&h, "b", 0, 400), "uno");
    assert_string_equal(cut(&h, "a", 1, 100000), "another part");
    /* cut for good: no text is added, none comes back */
    grow(&h, "a", 0, " five");
    assert_string_equal(cut(&h, "a", 0, 2000), "one two three");
    assert_string_equal(cut(&h, "a", 0, 900), "one two");
    assert_string_equal(cut(&h, "a", 0, 0), "");
    /* the oldest goes */
    grow(&h, "d", 0, "new");
    assert_null(cut(&h, "a", 0, 2000));
    assert_string_equal(cut(&h, "d", 0, 2000), "new");
    assert_non_null(cut(&h, "b", 0, 2000));
    heard_text_deinit(&h);
    assert_null(cut(&h, "d", 0, 2000));
    heard_text_deinit(&h);
}

static void
test_bounds(void **state)
{
    struct heard_text h;
    char id[HEARD_TEXT_ID_BYTES + 1];
    size_t bytes;

    (void) state;
    heard_text_init(&h);
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = 0;
    grow(&h, id, 0, "text");
    assert_null(cut(&h, id, 0, 1000));
    id[sizeof id - 2] = 0;
    grow(&h, id, 0, "text");
    assert_string_equal(cut(&h, id, 0, 1000), "text");
    grow(&h, "", 0, "text");
    assert_null(cut(&h, "", 0, 1000));
    /* a text that never ends, of two-byte characters behind an odd one */
    grow(&h, "long", 0, "x");
    for (unsigned i = 0; i < HEARD_TEXT_MAX; i++)
        grow(&h, "long", 0, "\xc3\xa4");
    assert_non_null(heard_text_cut(&h, "long", 0, UINT64_MAX, &bytes));
    assert_int_equal(bytes, HEARD_TEXT_MAX - 1);
    heard_text_deinit(&h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rule),
        cmocka_unit_test(test_rule_on_noise),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

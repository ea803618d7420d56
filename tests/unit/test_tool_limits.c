/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/tool_limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define EURO  "\xe2\x82\xac"
#define SMILE "\xf0\x9f\x98\x80"

static void
test_r4_2_cut_between_characters(void **state)
{
    static const struct {
        const char *text;
        size_t max, cut;
    } rows[] = {
        {"abc", 5, 3},
        {"abc", 3, 3},
        {"abc", 2, 2},
        {"abc", 0, 0},
        {"a" EURO, 3, 1},
        {"a" EURO, 2, 1},
        {"a" EURO, 1, 1},
        {"a" EURO "b", 4, 4},
        {SMILE SMILE, 7, 4},
        {SMILE SMILE, 5, 4},
        {SMILE SMILE, 4, 4},
        {SMILE, 3, 0},
        {"\x80\x80\x80\x80\x80", 4, 4}, /* no UTF-8: where it is to be cut */
        {"ab\xc3\xa4", 3, 2},
        {"\xff\xff\xff", 2, 2},
        {"a\xcc\x88x", 3, 3},
        {"a\xcc\x88x", 2, 1},
    };

    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(
            tool_limits_cut(rows[i].text, strlen(rows[i].text), rows[i].max),
            rows[i].cut);
}

static void
test_r4_2_what_is_no_utf8(void **state)
{
    static const char *const rows[][2] = {
        {"plain " EURO SMILE "\xc3\xa4\n\t",
         "plain " EURO SMILE "\xc3\xa4\n\t"},
        {"\x80", "?"},
        {"a\xff"
         "b",
         "a?b"},
        {"\xc0\xae", "??"},
        {"\xe2\x82", "??"},
        {"\xe2\x82x", "??x"},
        {"\xed\xa0\x80", "???"},      /* half a pair */
        {"\xe0\x80\x80", "???"},      /* too long a way to say it */
        {"\xf4\x90\x80\x80", "????"}, /* beyond the last */
        {"\xf0\x80\x80\x80", "????"},
        {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
    };
    char text[64];
    char nul[3] = {'a', 0, 'b'};

    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(text, sizeof(text), "%s", rows[i][0]);
        tool_limits_clean(text, strlen(text));
        assert_string_equal(text, rows[i][1]);
    }
    tool_limits_clean(nul, 3);
    assert_memory_equal(nul, "a?b", 3);
}

/* --- lines */

struct lines_row {
    struct tool_lines_config cfg;
    const char *text, *page;
    unsigned total, cut;
    bool truncated;
};

static const struct lines_row lines_rows[] = {
    {{1, 10, 10, false}, "", "", 0, 0, false},
    {{1, 10, 10, false}, "a\nb\n", "a\nb\n", 2, 0, false},
    {{1, 10, 10, false}, "a\nb", "a\nb\n", 2, 0, false},
    {{1, 10, 10, false}, "\n\n", "\n\n", 2, 0, false},
    {{0, 10, 10, false}, "a\n", "a\n", 1, 0, false},
    {{1, 2, 10, false}, "a\nb\nc\nd", "a\nb\n", 4, 0, true},
    {{3, 2, 10, false}, "a\nb\nc\nd", "c\nd\n", 4, 0, true},
    {{9, 2, 10, false}, "a\nb\nc\nd", "", 4, 0, true},
    {{2, 2, 10, true}, "a\n\nc\n", "     2\t\n     3\tc\n", 3, 0, true},
    {{1, 2, 3, false}, "abc\n", "abc\n", 1, 0, false},
    {{1, 2, 3, false}, "abcd\n", "abc… [1 more characters]\n", 1, 1, true},
    {{1, 2, 2, false},
     EURO SMILE EURO EURO "\nx",
     EURO SMILE "… [2 more characters]\nx\n",
     2,
     1,
     true},
    {{1, 2, 9, false}, "a\xff\xfe\n", "a??\n", 1, 0, false},
    {{1, 1, 2, false}, "x\r\n", "x\r\n", 1, 0, false},
};

static void
lines_check(const struct lines_row *row, size_t piece)
{
    size_t bytes = strlen(row->text);
    struct tool_lines l;

    tool_lines_init(&l, &row->cfg);
    for (size_t at = 0; at < bytes; at += piece)
        assert_int_equal(
            tool_lines_push(&l, row->text + at,
                            bytes - at < piece ? bytes - at : piece),
            0);
    assert_int_equal(tool_lines_finish(&l), 0);
    assert_string_equal(buffer_text(&l.text), row->page);
    assert_int_equal(l.total_lines, row->total);
    assert_int_equal(l.total_bytes, bytes);
    assert_int_equal(l.cut_lines, row->cut);
    assert_int_equal(tool_lines_is_truncated(&l), row->truncated);
    tool_lines_deinit(&l);
}

static void
test_r4_2_lines(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(lines_rows) / sizeof(lines_rows[0]); i++)
        for (size_t piece = 1; piece < 20; piece++)
            lines_check(&lines_rows[i], piece);
}

/* A gigabyte without an end of line, or of nothing but ends, takes no more
 * room than a page. */
static void
test_r4_2_lines_are_bounded(void **state)
{
    static const char fills[] = {'x', '\n', '\x80', '\xe2', 0};
    const struct tool_lines_config cfg = {1, TOOL_LIMIT_FILE_LINES,
                                          TOOL_LIMIT_LINE_CHARS, true};
    char *chunk = malloc(1u << 20);

    (void) state;
    for (size_t f = 0; f < sizeof(fills); f++) {
        struct tool_lines l;

        memset(chunk, fills[f], 1u << 20);
        tool_lines_init(&l, &cfg);
        for (unsigned i = 0; i < 64; i++)
            assert_int_equal(tool_lines_push(&l, chunk, 1u << 20), 0);
        assert_int_equal(tool_lines_finish(&l), 0);
        assert_int_equal(l.total_bytes, 64u << 20);
        assert_true(l.text.capacity < 64u << 10);
        assert_true(tool_lines_is_truncated(&l));
        assert_int_equal(tool_lines_is_full(&l), fills[f] == '\n');
        tool_lines_deinit(&l);
    }
    free(chunk);
}

/* --- ends */

static void
ends_check(const char *text, size_t bytes, size_t piece, struct buffer *out)
{
    struct tool_ends e;

    assert_int_equal(tool_ends_init(&e, TOOL_ENDS_MIN), 0);
    for (size_t at = 0; at < bytes; at += piece)
        tool_ends_push(&e, text + at, bytes - at < piece ? bytes - at : piece);
    assert_int_equal(e.total_bytes, bytes);
    buffer_clear(out);
    assert_int_equal(tool_ends_write(&e, out), 0);
    assert_true(out->bytes <= TOOL_ENDS_MIN);
    assert_int_equal(tool_ends_is_truncated(&e), bytes > TOOL_ENDS_MIN);
    tool_ends_deinit(&e);
}

static void
test_r4_2_ends(void **state)
{
    const size_t end = TOOL_ENDS_MIN / 5 * 2;
    char text[2000], note[80];
    struct buffer out;

    (void) state;
    buffer_init(&out, TOOL_ENDS_MIN);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char) ('a' + i % 26);
    for (size_t bytes = 0; bytes < sizeof(text); bytes += 7)
        for (size_t piece = 1; piece < 600; piece += 61) {
            ends_check(text, bytes, piece, &out);
            if (bytes <= TOOL_ENDS_MIN) {
                assert_int_equal(out.bytes, bytes);
                if (bytes > 0)
                    assert_memory_equal(out.data, text, bytes);
                continue;
            }
            int noted =
                snprintf(note, sizeof(note), "\n[… %zu bytes left out …]\n",
                         bytes - 2 * end);
            assert_int_equal(out.bytes, 2 * end + (size_t) noted);
            assert_memory_equal(out.data, text, end);
            assert_memory_equal(out.data + end, note, (size_t) noted);
            assert_memory_equal(out.data + out.bytes - end, text + bytes - end,
                                end);
        }
    buffer_deinit(&out);
}

/* Characters of three bytes: both cuts fall between two of them, wherever the
 * pieces were cut. */
static void
test_r4_2_ends_of_characters(void **state)
{
    char text[3 * 500 + 3];
    struct buffer out;

    (void) state;
    buffer_init(&out, TOOL_ENDS_MIN);
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'x', shift);
        for (size_t i = 0; i < 500; i++)
            memcpy(text + shift + 3 * i, EURO, 3);
        ends_check(text, shift + 1500, 1 + shift * 50, &out);
        for (size_t i = 0; i < out.bytes; i++)
            assert_int_not_equal(out.data[i], '?');
        size_t left = 0;
        assert_int_equal(
            sscanf(strstr(buffer_text(&out), "[…") + 4, " %zu bytes", &left),
            1);
        size_t noted = strlen("\n[… 1234 bytes left out …]\n");
        assert_int_equal(out.bytes - noted + left, shift + 1500);
    }
    buffer_deinit(&out);
}

/* Whatever there was, and however much of it was kept. */
static void
test_r4_2_ends_shrunk(void **state)
{
    static char text[5000];

    (void) state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char) ('a' + i * i % 23);
    for (size_t bytes = 0; bytes <= sizeof(text); bytes += 61) {
        struct tool_ends wide, narrow;
        struct buffer a, b;

        buffer_init(&a, 10000);
        buffer_init(&b, 10000);
        assert_int_equal(tool_ends_init(&wide, 1000), 0);
        assert_int_equal(tool_ends_init(&narrow, 301), 0);
        tool_ends_push(&wide, text, bytes);
        tool_ends_push(&narrow, text, bytes);
        assert_int_equal(tool_ends_shrink(&wide, 301), 0);
        assert_int_equal(tool_ends_shrink(&wide, 400), 0);
        tool_ends_push(&wide, "more", 4);
        tool_ends_push(&narrow, "more", 4);
        assert_int_equal(wide.total_bytes, bytes + 4);
        assert_int_equal(tool_ends_write(&wide, &a), 0);
        assert_int_equal(tool_ends_write(&narrow, &b), 0);
        assert_string_equal(buffer_text(&a), buffer_text(&b));
        assert_int_equal(tool_ends_shrink(&wide, 10), UV_EINVAL);
        tool_ends_deinit(&wide);
        tool_ends_deinit(&narrow);
        buffer_deinit(&a);
        buffer_deinit(&b);
    }
}

static void
test_ends_take_no_nonsense(void **state)
{
    struct tool_ends e;

    (void) state;
    assert_int_equal(tool_ends_init(&e, TOOL_ENDS_MIN - 1), UV_EINVAL);
    assert_int_equal(tool_ends_init(&e, 0), UV_EINVAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_r4_2_cut_between_characters),
        cmocka_unit_test(test_r4_2_what_is_no_utf8),
        cmocka_unit_test(test_r4_2_lines),
        cmocka_unit_test(test_r4_2_lines_are_bounded),
        cmocka_unit_test(test_r4_2_ends),
        cmocka_unit_test(test_r4_2_ends_of_characters),
        cmocka_unit_test(test_r4_2_ends_shrunk),
        cmocka_unit_test(test_ends_take_no_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */

/* Blocks of a few bytes over random texts, against all of the text at once. */

#include "tools/tool_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROUNDS 4000
#define TEXT   600

static uint32_t seed;

static unsigned
pick(unsigned below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 16) % below;
}

static int
file_make(const char *text, size_t bytes)
{
    int fd = memfd_create("scan", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, bytes), bytes);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* Lines of few letters, some long, some with \r, some of two-byte letters. */
static size_t
text_make(char *text, unsigned longest)
{
    static const char *const letters[] = {"a", "b", "x", " ", "\xc3\xa9"};
    size_t bytes = 0, most = pick(TEXT);

    while (bytes < most) {
        for (unsigned i = pick(longest); i > 0; i--) {
            const char *letter = letters[pick(5)];

            memcpy(text + bytes, letter, strlen(letter));
            bytes += strlen(letter);
        }
        if (pick(8) == 0)
            text[bytes++] = '\r';
        if (bytes < most || pick(2))
            text[bytes++] = '\n';
    }
    return bytes;
}

struct line {
    const char *text;
    size_t bytes; /* without its end */
    size_t whole; /* with it */
};

static size_t
lines_read(const char *text, size_t bytes, struct line *lines)
{
    size_t count = 0;

    while (bytes > 0) {
        const char *end = memchr(text, '\n', bytes);
        size_t whole = end ? (size_t) (end - text) + 1 : bytes;
        size_t line = whole - (end != NULL);

        line -= line > 0 && text[line - 1] == '\r';
        lines[count++] = (struct line){text, line, whole};
        text += whole;
        bytes -= whole;
    }
    return count;
}

static struct tool_scan *
scan_make(struct tool_pattern **pattern, const char *text, unsigned context,
          size_t block)
{
    const struct tool_pattern_config cfg = {.text = text,
                                            .bytes = strlen(text)};
    char error[TOOL_PATTERN_ERROR_BYTES];
    struct tool_scan *scan;

    assert_int_equal(tool_pattern_create(pattern, &cfg, error), 0);
    const struct tool_scan_config with = {
        .pattern = *pattern,
        .before = context,
        .after = context,
        .block_bytes = block,
    };
    assert_int_equal(tool_scan_create(&scan, &with), 0);
    return scan;
}

static void
context_check(const struct tool_scan_match *m, const struct line *lines,
              size_t count, size_t index)
{
    size_t before = index < m->before_lines ? 0 : index - m->before_lines;
    size_t bytes = 0;

    assert_true(index >= m->before_lines);
    for (size_t i = before; i < index; i++)
        bytes += lines[i].whole;
    assert_int_equal(m->before_bytes, bytes);
    assert_memory_equal(m->before, lines[before].text, bytes);
    bytes = 0;
    assert_true(index + m->after_lines < count);
    for (size_t i = 1; i <= m->after_lines; i++)
        bytes += lines[index + i].whole;
    assert_int_equal(m->after_bytes, bytes);
    if (bytes > 0)
        assert_memory_equal(m->after, lines[index + 1].text, bytes);
}

/* Lines shorter than a quarter of the block: all matches, their numbers, and
 * all context. Of longer ones context may be missing. */
static void
round_run(const char *text, size_t bytes, const char *pattern, size_t block)
{
    static struct line lines[TEXT + 2];
    size_t count = lines_read(text, bytes, lines), index = 0;
    unsigned context = pick(4);
    struct tool_pattern *p;
    struct tool_scan *scan = scan_make(&p, pattern, context, block);
    struct tool_scan_match m;
    int result;

    tool_scan_open(scan, file_make(text, bytes));
    while ((result = tool_scan_next(scan, &m)) > 0) {
        while (index + 1 < m.line)
            assert_null(memmem(lines[index].text, lines[index].bytes, "ax", 2)),
                index++;
        assert_true(index < count);
        assert_int_equal(m.line, index + 1);
        assert_int_equal(m.bytes, lines[index].bytes);
        assert_memory_equal(m.text, lines[index].text, m.bytes);
        assert_memory_equal(m.text + m.begin, "ax", 2);
        context_check(&m, lines, count, index);
        if (block > TEXT) {
            assert_int_equal(m.before_lines, index < context ? index : context);
            assert_int_equal(m.after_lines, count - 1 - index < context
                                                ? count - 1 - index
                                                : context);
        }
        index++;
    }
    assert_int_equal(result, 0);
    assert_false(tool_scan_is_open(scan));
    for (; index < count; index++)
        assert_null(memmem(lines[index].text, lines[index].bytes, "ax", 2));
    assert_int_equal(tool_scan_get_counts(scan)->cut, 0);
    tool_scan_destroy(&scan);
    tool_pattern_destroy(&p);
}

static void
test_blocks(void **state)
{
    static char text[TEXT * 4];

    (void) state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        seed = i;
        size_t bytes = text_make(text, 12);
        size_t block = pick(3) ? 40 + pick(300) : TEXT * 4;

        round_run(text, bytes, "ax", block);
        round_run(text, bytes, "a[x]", block);
    }
}

/* Lines longer than a block: matched as far as that goes, and numbers hold. */
static void
test_long_lines(void **state)
{
    static char text[TEXT * 4];
    static struct line lines[TEXT + 2];

    (void) state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct tool_pattern *p;
        struct tool_scan_match m;

        seed = i;
        size_t bytes = text_make(text, 100);
        size_t count = lines_read(text, bytes, lines);
        struct tool_scan *scan =
            scan_make(&p, pick(2) ? "ax" : "a[x]", pick(3), 32 + pick(64));
        int result;

        tool_scan_open(scan, file_make(text, bytes));
        while ((result = tool_scan_next(scan, &m)) > 0) {
            assert_in_range(m.line, 1, count);
            const struct line *line = &lines[m.line - 1];
            assert_true(m.bytes <= line->bytes + 1);
            assert_memory_equal(m.text, line->text, m.bytes - 1);
            assert_memory_equal(m.text + m.begin, "ax", 2);
        }
        assert_int_equal(result, 0);
        tool_scan_destroy(&scan);
        tool_pattern_destroy(&p);
    }
}

static void
test_binary(void **state)
{
    struct tool_pattern *p;
    struct tool_scan *scan = scan_make(&p, "ax", 1, 16);
    struct tool_scan_match m;

    (void) state;
    tool_scan_open(scan, file_make("ax\nb\0ax\nax\n", 11));
    assert_int_equal(tool_scan_next(scan, &m), 0);
    assert_int_equal(tool_scan_get_counts(scan)->binary, 1);
    tool_scan_open(scan, file_make("ax\n12345678901234567890\nax\n\0ax\n", 30));
    assert_int_equal(tool_scan_next(scan, &m), 1);
    assert_int_equal(tool_scan_next(scan, &m), 1);
    assert_int_equal(m.line, 3);
    assert_int_equal(tool_scan_next(scan, &m), 0);
    assert_int_equal(tool_scan_get_counts(scan)->binary, 2);
    tool_scan_destroy(&scan);
    tool_pattern_destroy(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_binary),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "speech_plugin/dictionary.h"

#include "speech_plugin/mouth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_VARIANTS 9

static struct {
    const char *text;
    const char *end;
    uint32_t *lines; /* offsets of lines, sorted by their word */
    size_t count;
} book;

/* Order of words that end at a blank. */
static int
word_compare(const char *a, const char *b)
{
    while (*a == *b && *a != ' ')
        a++, b++;
    if (*a == ' ' || *b == ' ')
        return (*a != ' ') - (*b != ' ');
    return (unsigned char) *a - (unsigned char) *b;
}

static int
line_compare(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return word_compare(book.text + *x, book.text + *y);
}

/* A line counts if it has a blank inside: word_compare stops there. */
static size_t
lines_find(const char *text, const char *end, uint32_t *lines)
{
    size_t count = 0;

    for (const char *line = text; line < end;) {
        const char *stop = memchr(line, '\n', (size_t) (end - line));

        if (stop == NULL)
            break; /* an unfinished last line can't be compared safely */
        if (memchr(line, ' ', (size_t) (stop - line)) != NULL) {
            if (lines != NULL)
                lines[count] = (uint32_t) (line - text);
            count++;
        }
        line = stop + 1;
    }
    return count;
}

static int
index_make(const char *text, size_t bytes)
{
    bool sorted = true;

    book.count = lines_find(text, text + bytes, NULL);
    book.lines = malloc((book.count + 1) * sizeof *book.lines);
    if (book.lines == NULL)
        return -1;
    book.text = text;
    book.end = text + bytes;
    lines_find(text, book.end, book.lines);
    for (size_t i = 1; i < book.count && sorted; i++)
        sorted = line_compare(&book.lines[i - 1], &book.lines[i]) <= 0;
    if (!sorted)
        qsort(book.lines, book.count, sizeof *book.lines, line_compare);
    return 0;
}

int
dictionary_open(const char *path, char *error, size_t error_bytes)
{
    struct stat st;
    void *map;
    int fd;

    if (book.text != NULL)
        return 0;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size <= 0
        || st.st_size > INT32_MAX) {
        snprintf(error, error_bytes, "%s: %s", path,
                 fd < 0 ? strerror(errno) : "not a dictionary");
        if (fd >= 0)
            close(fd);
        return -1;
    }
    map = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED || index_make(map, (size_t) st.st_size) != 0) {
        snprintf(error, error_bytes, "%s: out of memory", path);
        return -1;
    }
    return 0;
}

/* key ends with a blank. Gives its line or NULL. */
static const char *
line_find(const char *key)
{
    size_t low = 0, high = book.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = word_compare(key, book.text + book.lines[middle]);

        if (order == 0)
            return book.text + book.lines[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static int
line_give(const char *line, const char *word, dictionary_h *handler, void *arg)
{
    char phones[DICTIONARY_PHONES_BYTES];
    const char *stop = memchr(line, '\n', (size_t) (book.end - line));
    const char *from = memchr(line, ' ', (size_t) (stop - line));
    size_t bytes;

    while (from < stop && *from == ' ')
        from++;
    bytes = (size_t) (stop - from);
    if (bytes == 0 || bytes >= sizeof phones)
        return 0;
    memcpy(phones, from, bytes);
    phones[bytes] = '\0';
    handler(arg, word, phones);
    return 1;
}

int
dictionary_look_up(const char *word, dictionary_h *handler, void *arg)
{
    char key[DICTIONARY_WORD_BYTES + 8];
    char phones[DICTIONARY_PHONES_BYTES];
    int given = 0;

    if (word[0] == '\0' || strlen(word) >= DICTIONARY_WORD_BYTES
        || strpbrk(word, " \n()") != NULL)
        return 0;
    for (int variant = 1; variant <= MAX_VARIANTS; variant++) {
        const char *line;
        size_t end;

        snprintf(key, sizeof key, variant == 1 ? "%s" : "%s(%d)", word,
                 variant);
        end = strlen(key);
        key[end] = ' ';
        key[end + 1] = '\0';
        line = line_find(key);
        key[end] = '\0';
        if (line == NULL)
            break;
        given += line_give(line, key, handler, arg);
    }
    if (given == 0 && mouth_phones(word, phones, sizeof phones) == 0) {
        handler(arg, word, phones);
        given = 1;
    }
    return given;
}

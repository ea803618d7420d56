/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_result.h"

#include "model/offline_words.h"

#include <ctype.h>
#include <jansson.h>
#include <string.h>

#define MOST_TEXT  400 /* bytes of one text that are told */
#define MOST_ITEMS 6   /* of a list or an object */
#define MOST_DEPTH 4

static void value_tell(const json_t *value, int depth, FILE *to);

/* Text on one line, cut at a word. True: all of it. */
static bool
text_tell(const char *text, size_t most, FILE *to)
{
    size_t bytes = strnlen(text, most + 1);
    bool whole = bytes <= most;
    bool blank = false;

    if (!whole) {
        bytes = most;
        while (bytes > most / 2 && text[bytes] != ' ' && text[bytes] != '\n')
            bytes--;
        while (bytes > 0 && ((unsigned char) text[bytes] & 0xc0) == 0x80)
            bytes--;
    }
    while (bytes > 0 && isspace((unsigned char) text[bytes - 1]))
        bytes--;
    for (size_t i = 0; i < bytes; i++) {
        if (isspace((unsigned char) text[i])) {
            blank = true;
            continue;
        }
        if (blank)
            fputc(' ', to);
        blank = false;
        fputc(text[i], to);
    }
    return whole;
}

static void
list_tell(const json_t *list, int depth, FILE *to)
{
    size_t count = json_array_size(list);
    const json_t *item;
    size_t i;

    if (count == 0) {
        fputs("nothing", to);
        return;
    }
    json_array_foreach(list, i, item)
    {
        if (i == MOST_ITEMS)
            break;
        fputs(i == 0 ? "" : i + 1 == count ? " and " : ", ", to);
        value_tell(item, depth + 1, to);
    }
    if (count > MOST_ITEMS)
        fprintf(to, " and %zu more", count - MOST_ITEMS);
}

static bool
worth_telling(const json_t *value)
{
    return !json_is_null(value)
           && !(json_is_string(value) && json_string_length(value) == 0);
}

static void
object_tell(json_t *object, int depth, FILE *to)
{
    const char *name;
    json_t *value;
    size_t told = 0;
    char words[64];

    json_object_foreach(object, name, value)
    {
        if (!worth_telling(value))
            continue;
        if (told == MOST_ITEMS)
            break;
        if (!words_of_name(name, words, sizeof words))
            snprintf(words, sizeof words, "value");
        fprintf(to, "%s%s ", told > 0 ? ", " : "", words);
        value_tell(value, depth + 1, to);
        told++;
    }
    if (told == 0)
        fputs("nothing", to);
}

static void
value_tell(const json_t *value, int depth, FILE *to)
{
    if (depth > MOST_DEPTH) {
        fputs("more", to);
        return;
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        object_tell((json_t *) value, depth, to);
        break;
    case JSON_ARRAY:
        list_tell(value, depth, to);
        break;
    case JSON_STRING:
        text_tell(json_string_value(value), MOST_TEXT, to);
        break;
    case JSON_INTEGER:
        fprintf(to, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        fprintf(to, "%.6g", json_real_value(value));
        break;
    case JSON_TRUE:
        fputs("yes", to);
        break;
    case JSON_FALSE:
        fputs("no", to);
        break;
    default:
        fputs("nothing", to);
    }
}

/* What is wrong, when the object says that something is. */
static const json_t *
failure_of(const json_t *result)
{
    const json_t *error = json_object_get(result, "error");
    const json_t *message = json_object_get(error, "message");

    if (json_is_string(message))
        return message;
    return worth_telling(error) && !json_is_false(error) ? error : NULL;
}

/* The one text an object is about: its "text", "result", … or the first text
 * of MCP content. NULL: it has none, or more than that. */
static const json_t *
essence_of(const json_t *result)
{
    static const char *const names[] = {
        "text", "result", "answer", "output", "message", "summary", "content"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *value = json_object_get(result, names[i]);
        const json_t *first = json_array_get(value, 0);

        if (json_is_string(json_object_get(first, "text")))
            return json_object_get(first, "text");
        if (json_is_string(value) && json_string_length(value) > 0)
            return value;
    }
    return NULL;
}

static void
text_sentence(const char *text, FILE *to)
{
    size_t bytes = strlen(text);
    char last;

    if (!text_tell(text, MOST_TEXT, to)) {
        fputs(", and so on.", to);
        return;
    }
    while (bytes > 0 && isspace((unsigned char) text[bytes - 1]))
        bytes--;
    last = bytes > 0 ? text[bytes - 1] : ' ';
    if (strchr(".!?", last) == NULL)
        fputs(".", to);
}

static void
json_sentence(const char *tool, const json_t *result, FILE *to)
{
    const json_t *failure = failure_of(result);
    const json_t *essence = essence_of(result);

    if (failure != NULL) {
        fputs("That did not work: ", to);
        value_tell(failure, 0, to);
    } else if (essence != NULL) {
        text_sentence(json_string_value(essence), to);
        return;
    } else if (json_is_array(result) && json_array_size(result) > 0) {
        fprintf(to, "I found %zu: ", json_array_size(result));
        value_tell(result, 0, to);
    } else if (json_is_array(result)) {
        fputs("I found nothing", to);
    } else {
        fprintf(to, "%s%s", *tool != '\0' ? tool : "The tool",
                json_is_object(result) ? " says: " : " says ");
        value_tell(result, 0, to);
    }
    fputs(".", to);
}

static bool
is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

void
result_tell(const char *tool, const char *output, FILE *to)
{
    json_t *result;

    if (output == NULL || is_blank(output)) {
        fputs("Done. The tool gave back nothing.", to);
        return;
    }
    result = json_loads(output, JSON_DECODE_ANY, NULL);
    if (json_is_string(result)) {
        if (is_blank(json_string_value(result)))
            fputs("Done. The tool gave back nothing.", to);
        else
            text_sentence(json_string_value(result), to);
    } else if (result != NULL) {
        json_sentence(tool, result, to);
    } else {
        text_sentence(output, to);
    }
    json_decref(result);
}

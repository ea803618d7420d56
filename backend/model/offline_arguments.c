/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_arguments.h"

#include <string.h>

static const char *const link_words[] = {
    "for",   "with", "in",       "on",   "of",    "at",     "to", "from",
    "about", "the",  "a",        "an",   "named", "called", "is", "and",
    "set",   "tool", "function", "like", "equal", "equals", NULL,
};

static bool
listed(const char *const *list, const char *word)
{
    for (; *list != NULL; list++) {
        if (strcmp(*list, word) == 0)
            return true;
    }
    return false;
}

/* word is one of the blank-separated words of text. */
static bool
has_word(const char *text, const char *word)
{
    size_t bytes = strlen(word);

    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        if ((at == text || at[-1] == ' ')
            && (at[bytes] == ' ' || at[bytes] == '\0'))
            return true;
    }
    return false;
}

struct filler {
    const struct utterance *u;
    size_t tail;
    uint64_t used; /* bit n: word n is taken */
    json_t *arguments;
};

static bool
words_free(const struct filler *f, size_t at, size_t count)
{
    uint64_t bits = ((UINT64_C(1) << count) - 1) << at;

    return (f->used & bits) == 0;
}

/* The text of words [at, end) as it was typed, without what closes it. */
static json_t *
text_of(const struct utterance *u, size_t at, size_t end)
{
    const char *from = u->text + u->from[at];
    const char *to =
        u->text
        + (end == u->count ? strnlen(u->text, WORDS_TEXT_BYTES) : u->from[end]);

    /* A path may begin with marks that are no words: ./src, /etc. */
    while (from > u->text && strchr("./~_*-", from[-1]) != NULL)
        from--;
    while (to > from && strchr(" \t\r\n.,;:!?\"'`)", to[-1]) != NULL)
        to--;
    return json_stringn(from, (size_t) (to - from));
}

/* A path was typed, which is more than the names of files we know. */
static bool
is_path(const struct filler *f)
{
    bool path = false;

    if (f->tail < f->u->count) {
        json_t *text = text_of(f->u, f->tail, f->u->count);

        path = text != NULL && strpbrk(json_string_value(text), "/._~") != NULL;
        json_decref(text);
    }
    return path;
}

/* Known values, wherever they stand after the command. Topics are any words,
 * of which the known ones may be a part only. */
static void
known_fill(struct filler *f, const struct tool_parameter *parameter)
{
    if (parameter->kind == SLOT_TOPIC
        || (parameter->kind == SLOT_FILE && is_path(f)))
        return;
    for (size_t at = f->tail; at < f->u->count; at++) {
        json_t *value = NULL;
        size_t taken =
            slot_read(parameter->kind, parameter->schema, f->u, at, &value);

        if (taken > 0 && value != NULL && words_free(f, at, taken)) {
            json_object_set_new(f->arguments, parameter->name, value);
            f->used |= ((UINT64_C(1) << taken) - 1) << at;
            return;
        }
        json_decref(value);
    }
}

/* "in" begins the next value, or it is "in the project", which is no part of
 * what is looked for. */
static bool
ends_value(const struct utterance *u, size_t at, bool another)
{
    static const char *const all[] = {"project", "code",       "files",
                                      "sources", "repository", NULL};

    if (strcmp(u->words[at], "in") != 0 && strcmp(u->words[at], "from") != 0)
        return false;
    return another || (at + 2 < u->count && listed(all, u->words[at + 2]));
}

/* Free words go to the first parameter that can take any; with two such, those
 * after the next "in" go to the second. */
static void
free_fill(struct filler *f, const struct tool_parameter *list, size_t count)
{
    const struct utterance *u = f->u;
    size_t at = f->tail;

    for (size_t i = 0; i < count; i++) {
        const struct tool_parameter *parameter = &list[i];
        size_t end = u->count;

        if (!slot_is_free(parameter->kind)
            || json_object_get(f->arguments, parameter->name) != NULL)
            continue;
        while (at < u->count
               && ((f->used >> at & 1) != 0 || listed(link_words, u->words[at])
                   || has_word(parameter->spoken, u->words[at])))
            at++;
        if (at == u->count)
            return;
        for (size_t k = at + 1; k < end; k++) {
            if ((f->used >> k & 1) != 0 || ends_value(u, k, count > i + 1))
                end = k;
        }
        json_object_set_new(f->arguments, parameter->name, text_of(u, at, end));
        at = end;
    }
}

/* Typed arguments: the first JSON object in the text. */
static json_t *
json_in_text(const char *text)
{
    const char *open = strchr(text, '{');
    json_t *object;

    if (open == NULL)
        return NULL;
    object =
        json_loads(open, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(object))
        return object;
    json_decref(object);
    return NULL;
}

json_t *
arguments_read(const struct tool_set *set, const struct utterance *u,
               const struct tool_command *command, bool fill,
               const char **missing)
{
    size_t count;
    const struct tool_parameter *list =
        tool_set_parameters(set, (size_t) command->tool, &count);
    struct filler f = {.u = u, .tail = command->tail};

    *missing = NULL;
    f.arguments = json_in_text(u->text);
    if (f.arguments != NULL)
        return f.arguments;
    f.arguments = json_object();
    for (size_t i = 0; f.arguments != NULL && i < count; i++)
        known_fill(&f, &list[i]);
    if (f.arguments != NULL)
        free_fill(&f, list, count);
    for (size_t i = 0; f.arguments != NULL && i < count; i++) {
        const struct tool_parameter *parameter = &list[i];

        if (!parameter->required
            || json_object_get(f.arguments, parameter->name) != NULL)
            continue;
        if (!fill && *missing == NULL && slot_is_free(parameter->kind)
            && json_object_get(parameter->schema, "default") == NULL)
            *missing = parameter->spoken;
        json_object_set_new(
            f.arguments, parameter->name,
            slot_default(parameter->kind, parameter->name, parameter->schema));
    }
    return f.arguments;
}

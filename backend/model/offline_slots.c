/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_slots.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct entry {
    const char *words;
    const char *value;
};

static const struct entry cities[] = {
    {"amsterdam", "Amsterdam"},
    {"athens", "Athens"},
    {"atlanta", "Atlanta"},
    {"auckland", "Auckland"},
    {"bangkok", "Bangkok"},
    {"barcelona", "Barcelona"},
    {"beijing", "Beijing"},
    {"berlin", "Berlin"},
    {"bombay", "Bombay"},
    {"boston", "Boston"},
    {"brussels", "Brussels"},
    {"budapest", "Budapest"},
    {"cairo", "Cairo"},
    {"chicago", "Chicago"},
    {"copenhagen", "Copenhagen"},
    {"dallas", "Dallas"},
    {"delhi", "Delhi"},
    {"denver", "Denver"},
    {"dublin", "Dublin"},
    {"edinburgh", "Edinburgh"},
    {"frankfurt", "Frankfurt"},
    {"geneva", "Geneva"},
    {"hamburg", "Hamburg"},
    {"helsinki", "Helsinki"},
    {"hong kong", "Hong Kong"},
    {"houston", "Houston"},
    {"istanbul", "Istanbul"},
    {"jakarta", "Jakarta"},
    {"johannesburg", "Johannesburg"},
    {"lisbon", "Lisbon"},
    {"london", "London"},
    {"los angeles", "Los Angeles"},
    {"madrid", "Madrid"},
    {"melbourne", "Melbourne"},
    {"mexico city", "Mexico City"},
    {"miami", "Miami"},
    {"milan", "Milan"},
    {"montreal", "Montreal"},
    {"moscow", "Moscow"},
    {"munich", "Munich"},
    {"nairobi", "Nairobi"},
    {"new york", "New York"},
    {"oslo", "Oslo"},
    {"oakland", "Oakland"},
    {"paris", "Paris"},
    {"philadelphia", "Philadelphia"},
    {"prague", "Prague"},
    {"rome", "Rome"},
    {"san francisco", "San Francisco"},
    {"santiago", "Santiago"},
    {"seattle", "Seattle"},
    {"seoul", "Seoul"},
    {"shanghai", "Shanghai"},
    {"singapore", "Singapore"},
    {"stockholm", "Stockholm"},
    {"sydney", "Sydney"},
    {"tokyo", "Tokyo"},
    {"toronto", "Toronto"},
    {"vancouver", "Vancouver"},
    {"vienna", "Vienna"},
    {"warsaw", "Warsaw"},
    {"washington", "Washington"},
    {"zurich", "Zurich"},
};

static const struct entry files[] = {
    {"readme", "README.md"},
    {"read me", "README.md"},
    {"make file", "Makefile"},
    {"license", "LICENSE"},
    {"notes", "notes"},
    {"package file", "package.json"},
    {"the package", "package.json"},
    {"main file", "main.c"},
    {"index file", "index.html"},
    {"source directory", "src"},
    {"tests directory", "tests"},
    {"docs directory", "docs"},
    {"documentation", "docs"},
    {"current directory", "."},
    {"this directory", "."},
    {"this folder", "."},
    {"project", "."},
};

static const struct entry topics[] = {
    {"error", "error"},       {"errors", "errors"},
    {"main", "main"},         {"function", "function"},
    {"test", "test"},         {"tests", "tests"},
    {"hello", "hello"},       {"hello world", "hello world"},
    {"session", "session"},   {"timeout", "timeout"},
    {"buffer", "buffer"},     {"server", "server"},
    {"client", "client"},     {"voice", "voice"},
    {"audio", "audio"},       {"music", "music"},
    {"news", "news"},         {"sports", "sports"},
    {"history", "history"},   {"science", "science"},
    {"password", "password"}, {"version", "version"},
    {"license", "license"},   {"copyright", "copyright"},
    {"include", "include"},   {"warning", "warning"},
};

static const struct entry switches[] = {
    {"true", "1"}, {"yes", "1"}, {"on", "1"},
    {"false", ""}, {"no", ""},   {"off", ""},
};

static const struct {
    const char *rule;
    const struct entry *entries;
    size_t count;
} vocabularies[] = {
    [SLOT_CITY] = {"city", cities, sizeof cities / sizeof *cities},
    [SLOT_FILE] = {"file", files, sizeof files / sizeof *files},
    [SLOT_TOPIC] = {"topic", topics, sizeof topics / sizeof *topics},
    [SLOT_NUMBER] = {"number", NULL, 0},
    [SLOT_SWITCH] = {"switch", switches, sizeof switches / sizeof *switches},
    [SLOT_CHOICE] = {NULL, NULL, 0},
};

static bool
name_has(const char *name, const char *const *parts)
{
    char words[128], padded[160], part[40];

    if (!words_of_name(name, words, sizeof words))
        return false;
    snprintf(padded, sizeof padded, " %s ", words);
    for (; *parts != NULL; parts++) {
        snprintf(part, sizeof part, " %s ", *parts);
        if (strstr(padded, part) != NULL)
            return true;
    }
    return false;
}

/* "type" may be a list: ["string", "null"]. */
static bool
type_is(const json_t *schema, const char *type)
{
    const json_t *given = json_object_get(schema, "type");
    const json_t *item;
    size_t i;

    if (json_is_string(given))
        return strcmp(json_string_value(given), type) == 0;
    json_array_foreach(given, i, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), type) == 0)
            return true;
    }
    return false;
}

enum slot_kind
slot_kind_of(const char *name, const json_t *schema)
{
    static const char *const places[] = {
        "city",   "location",    "place", "town",    "region", "address",
        "origin", "destination", "where", "country", NULL};
    static const char *const paths[] = {"path",  "file",      "filename",
                                        "dir",   "directory", "folder",
                                        "paths", "cwd",       NULL};

    if (json_array_size(json_object_get(schema, "enum")) > 0)
        return SLOT_CHOICE;
    if (type_is(schema, "boolean"))
        return SLOT_SWITCH;
    if (type_is(schema, "integer") || type_is(schema, "number"))
        return SLOT_NUMBER;
    if (!type_is(schema, "string"))
        return SLOT_NONE;
    if (name_has(name, places))
        return SLOT_CITY;
    return name_has(name, paths) ? SLOT_FILE : SLOT_TOPIC;
}

int
slots_define(struct grammar *grammar)
{
    char text[2048];

    for (int kind = SLOT_CITY; kind <= SLOT_SWITCH; kind++) {
        size_t fill = 0;
        int rule;

        if (vocabularies[kind].entries == NULL)
            continue;
        for (size_t i = 0; i < vocabularies[kind].count; i++)
            fill += (size_t) snprintf(text + fill, sizeof text - fill, "%s%s",
                                      i > 0 ? " | " : "",
                                      vocabularies[kind].entries[i].words);
        rule = grammar_rule(grammar, vocabularies[kind].rule, text);
        if (rule < 0)
            return rule;
    }
    return 0;
}

const char *
slot_rule(enum slot_kind kind)
{
    return kind == SLOT_NONE ? NULL : vocabularies[kind].rule;
}

/* Words of `phrase` at `at`: how many, 0 when they are not there. */
static size_t
phrase_read(const struct utterance *u, size_t at, const char *phrase)
{
    size_t taken = 0;

    while (*phrase != '\0') {
        size_t bytes = strcspn(phrase, " ");

        if (at + taken >= u->count || strlen(u->words[at + taken]) != bytes
            || memcmp(u->words[at + taken], phrase, bytes) != 0)
            return 0;
        taken++;
        phrase += bytes + (phrase[bytes] == ' ');
    }
    return taken;
}

/* The longest entry at `at`. */
static size_t
entry_read(enum slot_kind kind, const struct utterance *u, size_t at,
           const char **value)
{
    size_t best = 0;

    for (size_t i = 0; i < vocabularies[kind].count; i++) {
        const struct entry *entry = &vocabularies[kind].entries[i];
        size_t taken = phrase_read(u, at, entry->words);

        if (taken > best) {
            best = taken;
            *value = entry->value;
        }
    }
    return best;
}

static size_t
choice_read(const json_t *schema, const struct utterance *u, size_t at,
            json_t **value)
{
    const json_t *item;
    size_t i, best = 0;
    char words[128];

    json_array_foreach(json_object_get(schema, "enum"), i, item)
    {
        size_t taken;

        if (!json_is_string(item)
            || !words_of_name(json_string_value(item), words, sizeof words))
            continue;
        taken = phrase_read(u, at, words);
        if (taken > best) {
            best = taken;
            json_decref(*value);
            *value = json_deep_copy(item);
        }
    }
    return best;
}

size_t
slot_read(enum slot_kind kind, const json_t *schema, const struct utterance *u,
          size_t at, json_t **value)
{
    const char *text = NULL;
    double number = 0;
    size_t taken = 0;

    *value = NULL;
    switch (kind) {
    case SLOT_NONE:
        return 0;
    case SLOT_CHOICE:
        return choice_read(schema, u, at, value);
    case SLOT_NUMBER:
        taken = utterance_number(u, at, &number);
        if (taken > 0)
            *value = fabs(number) < 1e15
                             && (type_is(schema, "integer")
                                 || number == floor(number))
                         ? json_integer((json_int_t) number)
                         : json_real(number);
        return taken;
    case SLOT_SWITCH:
        taken = entry_read(kind, u, at, &text);
        if (taken > 0)
            *value = json_boolean(*text != '\0');
        return taken;
    default:
        taken = entry_read(kind, u, at, &text);
        if (taken > 0)
            *value = json_string(text);
        return taken;
    }
}

bool
slot_is_free(enum slot_kind kind)
{
    return kind == SLOT_CITY || kind == SLOT_FILE || kind == SLOT_TOPIC;
}

json_t *
slot_default(enum slot_kind kind, const char *name, const json_t *schema)
{
    const json_t *given = json_object_get(schema, "default");
    const json_t *least = json_object_get(schema, "minimum");

    if (given != NULL)
        return json_deep_copy(given);
    switch (kind) {
    case SLOT_CHOICE:
        return json_deep_copy(
            json_array_get(json_object_get(schema, "enum"), 0));
    case SLOT_NUMBER:
        return json_is_number(least) ? json_deep_copy(least) : json_integer(0);
    case SLOT_SWITCH:
        return json_false();
    case SLOT_FILE:
        return json_string(".");
    case SLOT_NONE:
        return type_is(schema, "array") ? json_array() : json_object();
    default:
        return json_string(strcmp(name, "pattern") == 0 ? "*" : "");
    }
}

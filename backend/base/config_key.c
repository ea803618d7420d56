/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/config_key.h"

#include "base/config_check.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define MINUTE_MS (60 * 1000ull)
#define MIB       (1024 * 1024ull)

static void *
field_of(void *owner, const struct config_key *key)
{
    return (char *) owner + key->offset;
}

static const void *
value_of(const void *owner, const struct config_key *key)
{
    return (const char *) owner + key->offset;
}

bool
config_key_is_text(const struct config_key *key)
{
    return key->type == KEY_TEXT || key->type == KEY_ADDRESS
           || key->type == KEY_PROXY;
}

bool
config_key_is_list(const struct config_key *key)
{
    return key->type == KEY_TEXTS || key->type == KEY_HEADERS
           || key->type == KEY_VARIABLES;
}

bool
config_key_is_upstream(const struct config_key *key)
{
    return strcmp(key->section, CONFIG_UPSTREAM) == 0;
}

bool
config_key_is_tool_server(const struct config_key *key)
{
    return strcmp(key->section, CONFIG_TOOL_SERVER) == 0;
}

bool
config_key_is_repeated(const struct config_key *key)
{
    return config_key_is_upstream(key) || config_key_is_tool_server(key);
}

/* --- texts to values */

struct unit {
    const char *name;
    uint64_t factor;
};
static const struct unit sizes[] = {
    {"g", 1024 * MIB}, {"m", MIB}, {"k", 1024}, {"", 1}, {NULL, 0}};
static const struct unit durations[] = {
    {"h", 60 * MINUTE_MS}, {"m", MINUTE_MS}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit plain[] = {{"", 1}, {NULL, 0}};

static const struct unit *
units_of(enum config_key_type type)
{
    return type == KEY_SIZE ? sizes : type == KEY_DURATION ? durations : plain;
}

static int
number_parse(const char *text, int base, const struct unit *units,
             uint64_t *out)
{
    char *end;
    if (!isdigit((unsigned char) text[0]))
        return UV_EINVAL;
    errno = 0;
    unsigned long long n = strtoull(text, &end, base);
    if (errno)
        return UV_EINVAL;
    for (; units->name; units++) {
        if (strcasecmp(end, units->name) != 0)
            continue;
        if (n > UINT64_MAX / units->factor)
            return UV_EINVAL;
        *out = n * units->factor;
        return 0;
    }
    return UV_EINVAL;
}

static int
choice_parse(const char *words, const char *text, uint64_t *out)
{
    size_t want = strlen(text);
    for (uint64_t n = 0; want; n++) {
        size_t len = strcspn(words, "|");
        if (len == want && memcmp(words, text, len) == 0) {
            *out = n;
            return 0;
        }
        if (!words[len])
            break;
        words += len + 1;
    }
    return UV_EINVAL;
}

static int
address_check(const char *text)
{
    uint64_t port;
    const char *colon = strrchr(text, ':');
    if (!text[0])
        return 0;
    if (!colon || colon == text || (strchr(text, ':') != colon && *text != '['))
        return UV_EINVAL;
    if (number_parse(colon + 1, 10, plain, &port) != 0 || !port || port > 65535)
        return UV_EINVAL;
    return 0;
}

static int
list_add(struct config_list *list, const char *text)
{
    char **items = realloc(list->items, (list->count + 1) * sizeof(*items));
    if (!items)
        return UV_ENOMEM;
    list->items = items;
    items[list->count] = strdup(text);
    return items[list->count++] ? 0 : UV_ENOMEM;
}

static int
text_set(char **field, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        return UV_ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

static int
switch_parse(const char *text, bool *out)
{
    static const char *const words[] = {"no", "yes",   "off",
                                        "on", "false", "true"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = i % 2;
            return 0;
        }
    }
    return UV_EINVAL;
}

static int
count_parse(const struct config_key *key, const char *text, uint64_t *out)
{
    uint64_t n;
    int base = key->type == KEY_MODE ? 8 : 10;
    if (number_parse(text, base, units_of(key->type), &n) != 0)
        return UV_EINVAL;
    if (n < key->min || n > key->max)
        return UV_ERANGE;
    *out = n;
    return 0;
}

int
config_key_set(void *owner, const struct config_key *key, const char *text)
{
    void *field = field_of(owner, key);
    switch (key->type) {
    case KEY_ADDRESS:
        if (address_check(text) != 0)
            return UV_EINVAL;
        /* fall through */
    case KEY_TEXT:
    case KEY_PROXY:
        return strlen(text) > key->max ? UV_ERANGE : text_set(field, text);
    case KEY_TEXTS:
    case KEY_HEADERS:
    case KEY_VARIABLES:
        return list_add(field, text);
    case KEY_SWITCH:
        return switch_parse(text, field);
    case KEY_CHOICE:
        return choice_parse(key->words, text, field);
    default:
        return count_parse(key, text, field);
    }
}

/* --- values to texts */

static void
count_format(const struct config_key *key, uint64_t n, char *out, size_t bytes)
{
    const struct unit *u = units_of(key->type);
    if (key->type == KEY_MODE) {
        snprintf(out, bytes, "0%llo", (unsigned long long) n);
        return;
    }
    while (u[1].name && (n == 0 || n % u->factor))
        u++;
    snprintf(out, bytes, "%llu%s", (unsigned long long) (n / u->factor),
             u->name);
}

static void
text_print(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\' || *text == '$')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void
choice_print(const char *words, uint64_t n, FILE *out)
{
    while (n--)
        words += strcspn(words, "|") + 1;
    fprintf(out, "%.*s", (int) strcspn(words, "|"), words);
}

/* The value of a header or a variable may be a secret: its name is all that is
 * shown. */
static void
item_print(const struct config_key *key, const char *item, FILE *out)
{
    if (key->type == KEY_TEXTS)
        text_print(item, out);
    else if (key->type == KEY_HEADERS)
        fprintf(out, "\"%.*s: ***\"", (int) strcspn(item, ":"), item);
    else
        fprintf(out, "\"%.*s%s\"", (int) strcspn(item, "="), item,
                strchr(item, '=') ? "=***" : "");
}

static void
list_print(const struct config_key *key, const struct config_list *list,
           FILE *out)
{
    fputc('{', out);
    for (size_t i = 0; i < list->count; i++) {
        fputs(i ? ", " : "", out);
        item_print(key, list->items[i], out);
    }
    fputc('}', out);
}

static void
proxy_print(const char *text, FILE *out)
{
    const char *at = strrchr(text, '@');
    if (at)
        fprintf(out, "\"http://***%s\"", at);
    else
        text_print(text, out);
}

void
config_key_print(const void *owner, const struct config_key *key, FILE *out)
{
    const void *value = value_of(owner, key);
    char number[32];

    switch (key->type) {
    case KEY_TEXT:
    case KEY_ADDRESS:
        text_print(*(char *const *) value, out);
        break;
    case KEY_PROXY:
        proxy_print(*(char *const *) value, out);
        break;
    case KEY_TEXTS:
    case KEY_HEADERS:
    case KEY_VARIABLES:
        list_print(key, value, out);
        break;
    case KEY_SWITCH:
        fputs(*(const bool *) value ? "yes" : "no", out);
        break;
    case KEY_CHOICE:
        choice_print(key->words, *(const uint64_t *) value, out);
        break;
    default:
        count_format(key, *(const uint64_t *) value, number, sizeof(number));
        fputs(number, out);
    }
}

/* Why a value was refused, for people. */
void
config_key_bounds(const struct config_key *key, char out[CONFIG_BOUNDS_BYTES])
{
    char min[32], max[32];
    switch (key->type) {
    case KEY_ADDRESS:
        snprintf(out, CONFIG_BOUNDS_BYTES, "host:port");
        break;
    case KEY_TEXT:
    case KEY_PROXY:
    case KEY_TEXTS:
    case KEY_HEADERS:
    case KEY_VARIABLES:
        snprintf(out, CONFIG_BOUNDS_BYTES, "at most %llu %s",
                 (unsigned long long) key->max,
                 config_key_is_text(key) ? "characters" : "entries");
        break;
    case KEY_SWITCH:
        snprintf(out, CONFIG_BOUNDS_BYTES, "yes or no");
        break;
    case KEY_CHOICE:
        snprintf(out, CONFIG_BOUNDS_BYTES, "one of %s", key->words);
        break;
    default:
        count_format(key, key->min, min, sizeof(min));
        count_format(key, key->max, max, sizeof(max));
        snprintf(out, CONFIG_BOUNDS_BYTES, "%s to %s", min, max);
    }
}

void
config_key_print_initial(const struct config_key *key, FILE *out)
{
    if (config_key_is_list(key))
        fputs("{}", out);
    else if (config_key_is_text(key))
        text_print(key->initial, out);
    else
        fputs(key->initial, out);
}

void
config_key_free(void *owner, const struct config_key *key)
{
    void *field = field_of(owner, key);
    if (config_key_is_text(key))
        free(*(char **) field);
    if (!config_key_is_list(key))
        return;
    struct config_list *list = field;
    while (list->count)
        free(list->items[--list->count]);
    free(list->items);
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/lsp_place.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#define PATH_BYTES 4096

static bool
is_position(const json_t *position)
{
    const json_t *line = json_object_get(position, "line");
    const json_t *character = json_object_get(position, "character");

    /* What is added to must not overflow. */
    return json_is_integer(line) && json_is_integer(character)
           && json_integer_value(line) >= 0
           && json_integer_value(character) >= 0
           && json_integer_value(line) <= INT32_MAX
           && json_integer_value(character) <= INT32_MAX;
}

bool
lsp_place_is_range(const json_t *range)
{
    return is_position(json_object_get(range, "start"))
           && is_position(json_object_get(range, "end"));
}

static json_t *
range_copy(const json_t *range)
{
    const json_t *start = json_object_get(range, "start");
    const json_t *end = json_object_get(range, "end");

    return json_pack(
        "{s:{s:I, s:I}, s:{s:I, s:I}}", "start", "line",
        json_integer_value(json_object_get(start, "line")), "character",
        json_integer_value(json_object_get(start, "character")), "end", "line",
        json_integer_value(json_object_get(end, "line")), "character",
        json_integer_value(json_object_get(end, "character")));
}

/* Beneath the root without it; NULL: it isn't there. */
static const char *
path_below(const char *root, const char *path)
{
    size_t bytes = strlen(root);

    if (strncmp(path, root, bytes) != 0)
        return NULL;
    if (path[bytes] == '\0')
        return ".";
    return path[bytes] == '/' ? path + bytes + 1 : NULL;
}

static void
set_path(json_t *place, const char *root, const char *uri)
{
    char path[PATH_BYTES];
    const char *below;

    if (lsp_place_path(path, sizeof(path), uri) != 0)
        return;
    below = path_below(root, path);
    /* A path that is no UTF-8 is left to the uri. */
    json_object_set_new(place, "file_path",
                        json_string(below != NULL ? below : path));
    if (below == NULL)
        json_object_set_new(place, "outside_root", json_true());
}

json_t *
lsp_place_make(const char *root, const char *uri, const json_t *range)
{
    json_t *place = json_object();

    if (place == NULL)
        return NULL;
    set_path(place, root, uri);
    if (lsp_place_is_range(range)) {
        const json_t *start = json_object_get(range, "start");

        json_object_set_new(
            place, "line",
            json_integer(json_integer_value(json_object_get(start, "line"))
                         + 1));
        json_object_set_new(
            place, "character",
            json_integer(json_integer_value(json_object_get(start, "character"))
                         + 1));
        json_object_set_new(place, "range", range_copy(range));
    }
    if (strlen(uri) < LSP_PLACE_URI_MAX)
        json_object_set_new(place, "uri", json_string(uri));
    return place;
}

/* --- URIs */

static bool
is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9')
           || (c != '\0' && strchr("-._~/!$&'()*+,;=@", c) != NULL);
}

int
lsp_place_uri(char *uri, size_t room, const char *path)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t at = 7;

    if (path[0] != '/')
        return UV_EINVAL;
    if (room < 8)
        return UV_EMSGSIZE;
    memcpy(uri, "file://", 7);
    for (; *path != '\0'; path++) {
        unsigned char c = (unsigned char) *path;

        if (room - at < 4)
            return UV_EMSGSIZE;
        if (is_plain(c)) {
            uri[at++] = (char) c;
            continue;
        }
        uri[at++] = '%';
        uri[at++] = hex[c >> 4];
        uri[at++] = hex[c & 15];
    }
    uri[at] = '\0';
    return 0;
}

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One byte of a URI's path; how many characters it took, 0: none that may be
 * in a path. */
static size_t
byte_read(const char *uri, char *byte)
{
    int value;

    *byte = *uri;
    if (*uri != '%')
        return 1;
    if (hex_value(uri[1]) < 0 || hex_value(uri[2]) < 0)
        return 0;
    value = hex_value(uri[1]) * 16 + hex_value(uri[2]);
    *byte = (char) value;
    return value == 0 ? 0 : 3;
}

int
lsp_place_path(char *path, size_t room, const char *uri)
{
    size_t at = 0;

    if (strncasecmp(uri, "file:///", 8) != 0)
        return UV_EINVAL;
    for (uri += 7; *uri != '\0' && *uri != '?' && *uri != '#'; at++) {
        size_t taken;

        if (room - at < 2)
            return UV_EMSGSIZE;
        taken = byte_read(uri, &path[at]);
        if (taken == 0)
            return UV_EINVAL;
        uri += taken;
    }
    path[at] = '\0';
    return 0;
}

/* --- names */

const char *
lsp_place_symbol_kind(long long kind)
{
    static const char *const names[] = {
        "file",          "module",      "namespace", "package",     "class",
        "method",        "property",    "field",     "constructor", "enum",
        "interface",     "function",    "variable",  "constant",    "string",
        "number",        "boolean",     "array",     "object",      "key",
        "null",          "enum member", "struct",    "event",       "operator",
        "type parameter"};
    long long count = sizeof(names) / sizeof(names[0]);

    return kind >= 1 && kind <= count ? names[kind - 1] : "symbol";
}

const char *
lsp_place_language(const char *extension)
{
    static const char *const names[][2] = {
        {"bash", "shellscript"},
        {"cc", "cpp"},
        {"cjs", "javascript"},
        {"cs", "csharp"},
        {"cxx", "cpp"},
        {"erl", "erlang"},
        {"ex", "elixir"},
        {"exs", "elixir"},
        {"h", "c"},
        {"hh", "cpp"},
        {"hpp", "cpp"},
        {"hs", "haskell"},
        {"hxx", "cpp"},
        {"js", "javascript"},
        {"jsx", "javascriptreact"},
        {"kt", "kotlin"},
        {"m", "objective-c"},
        {"md", "markdown"},
        {"mjs", "javascript"},
        {"mm", "objective-cpp"},
        {"pl", "perl"},
        {"py", "python"},
        {"pyi", "python"},
        {"rb", "ruby"},
        {"rs", "rust"},
        {"sh", "shellscript"},
        {"tex", "latex"},
        {"ts", "typescript"},
        {"tsx", "typescriptreact"},
        {"yml", "yaml"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcasecmp(names[i][0], extension) == 0)
            return names[i][1];
    return extension;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/lsp_answer.h"

#include "codec/lsp_place.h"
#include "codec/tool_limits.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define DEPTH_MAX 32 /* of a tree of symbols */

/* Results as they are gathered. */
struct gather {
    json_t *results;
    const char *root;
    size_t max_results;
    size_t total;
    size_t bytes; /* of JSON text so far */
    bool full;
    bool broken; /* no memory */
};

static int
gather_init(struct gather *g, const char *root, size_t max_results)
{
    memset(g, 0, sizeof(*g));
    g->root = root;
    g->max_results = max_results;
    g->results = json_array();
    return g->results != NULL ? 0 : UV_ENOMEM;
}

/* Takes what was made of one result; what doesn't fit is only counted. */
static void
gather_take(struct gather *g, json_t *made)
{
    size_t bytes;

    g->total++;
    if (made == NULL) {
        g->broken = true;
        return;
    }
    bytes = json_dumpb(made, NULL, 0, JSON_COMPACT);
    if (g->full || json_array_size(g->results) >= g->max_results
        || bytes > LSP_ANSWER_BYTES - g->bytes) {
        g->full = true;
        json_decref(made);
        return;
    }
    g->bytes += bytes + 1 < LSP_ANSWER_BYTES - g->bytes
                    ? bytes + 1
                    : LSP_ANSWER_BYTES - g->bytes;
    if (json_array_append_new(g->results, made) != 0)
        g->broken = true;
}

static int
gather_finish(struct gather *g, const char *operation,
              struct lsp_answer *answer)
{
    size_t shown = json_array_size(g->results);
    json_t *message;

    if (shown < g->total)
        message = json_sprintf("%s: Showing %zu of %zu results.", operation,
                               shown, g->total);
    else if (shown == 0)
        message = json_sprintf("%s: No results found.", operation);
    else
        message = json_sprintf("%s: %zu result%s.", operation, shown,
                               shown == 1 ? "" : "s");
    answer->truncated = shown < g->total;
    answer->output =
        json_pack("{s:o, s:I, s:b, s:o}", "results", g->results, "total_count",
                  (json_int_t) g->total, "truncated", answer->truncated,
                  "message", message);
    if (answer->output == NULL)
        return UV_ENOMEM;
    if (g->broken) {
        json_decref(answer->output);
        answer->output = NULL;
        return UV_ENOMEM;
    }
    return 0;
}

/* A text of the server, cut. */
static json_t *
text_cut(const json_t *text, size_t max_bytes)
{
    const char *value = json_string_value(text);

    if (value == NULL)
        return json_string("");
    return json_stringn(
        value, tool_limits_cut(value, json_string_length(text), max_bytes));
}

static void
set_text(json_t *object, const char *name, const json_t *text)
{
    if (json_is_string(text) && json_string_length(text) > 0)
        json_object_set_new(object, name,
                            text_cut(text, LSP_ANSWER_TEXT_BYTES));
}

/* --- places */

static void
place_take(struct gather *g, const json_t *place)
{
    const json_t *uri = json_object_get(place, "uri");
    const json_t *range = json_object_get(place, "range");

    if (uri == NULL) { /* LocationLink */
        uri = json_object_get(place, "targetUri");
        range = json_object_get(place, "targetSelectionRange");
    }
    if (!json_is_string(uri))
        return;
    gather_take(g, lsp_place_make(g->root, json_string_value(uri), range));
}

int
lsp_answer_places(struct lsp_answer *answer, const char *operation,
                  const char *root, const json_t *result, unsigned max_results)
{
    struct gather g;
    const json_t *place;
    size_t i;

    if (gather_init(&g, root, max_results) != 0)
        return UV_ENOMEM;
    if (json_is_object(result))
        place_take(&g, result);
    json_array_foreach(result, i, place) place_take(&g, place);
    return gather_finish(&g, operation, answer);
}

/* --- symbols */

static void
symbol_take(struct gather *g, const json_t *symbol, json_t *place,
            const json_t *container)
{
    json_int_t kind = json_integer_value(json_object_get(symbol, "kind"));

    if (place == NULL) {
        gather_take(g, NULL);
        return;
    }
    json_object_set_new(
        place, "name",
        text_cut(json_object_get(symbol, "name"), LSP_ANSWER_TEXT_BYTES));
    json_object_set_new(place, "kind", json_integer(kind));
    json_object_set_new(place, "kind_name",
                        json_string(lsp_place_symbol_kind(kind)));
    set_text(place, "detail", json_object_get(symbol, "detail"));
    set_text(place, "containerName", container);
    gather_take(g, place);
}

/* A DocumentSymbol and those in it, as they stand in the file. */
static void
tree_take(struct gather *g, const char *uri, const json_t *symbol,
          const json_t *container, unsigned depth)
{
    const json_t *children = json_object_get(symbol, "children");
    const json_t *range = json_object_get(symbol, "selectionRange");
    const json_t *child;
    size_t i;

    if (!json_is_object(symbol) || depth > DEPTH_MAX)
        return;
    if (range == NULL)
        range = json_object_get(symbol, "range");
    symbol_take(g, symbol, lsp_place_make(g->root, uri, range), container);
    json_array_foreach(children, i, child)
        tree_take(g, uri, child, json_object_get(symbol, "name"), depth + 1);
}

int
lsp_answer_symbols(struct lsp_answer *answer, const char *operation,
                   const char *root, const char *uri, const json_t *result)
{
    struct gather g;
    const json_t *symbol;
    size_t i;

    if (gather_init(&g, root, LSP_ANSWER_RESULTS) != 0)
        return UV_ENOMEM;
    json_array_foreach(result, i, symbol)
    {
        const json_t *place = json_object_get(symbol, "location");
        const json_t *where = json_object_get(place, "uri");

        if (json_is_string(where))
            symbol_take(&g, symbol,
                        lsp_place_make(root, json_string_value(where),
                                       json_object_get(place, "range")),
                        json_object_get(symbol, "containerName"));
        else if (uri != NULL)
            tree_take(&g, uri, symbol, NULL, 0);
    }
    return gather_finish(&g, operation, answer);
}

/* --- diagnostics */

static json_int_t
severity_of(const json_t *item)
{
    json_int_t severity = json_integer_value(json_object_get(item, "severity"));

    return severity >= 1 && severity <= 4 ? severity : 1;
}

static json_t *
diagnostic_make(struct gather *g, const char *uri, const json_t *item)
{
    static const char *const names[] = {"error", "warning", "information",
                                        "hint"};
    json_int_t severity = severity_of(item);
    const json_t *code = json_object_get(item, "code");
    json_t *made = lsp_place_make(g->root, uri, json_object_get(item, "range"));

    if (made == NULL)
        return NULL;
    json_object_set_new(made, "severity", json_integer(severity));
    json_object_set_new(made, "severity_name",
                        json_string(names[severity - 1]));
    json_object_set_new(
        made, "message",
        text_cut(json_object_get(item, "message"), LSP_ANSWER_TEXT_BYTES));
    set_text(made, "source", json_object_get(item, "source"));
    if (json_is_integer(code))
        json_object_set_new(made, "code",
                            json_integer(json_integer_value(code)));
    set_text(made, "code", code);
    return made;
}

int
lsp_answer_diagnostics(struct lsp_answer *answer, const char *root,
                       const char *uri, const json_t *items)
{
    struct gather g;
    const json_t *item;
    size_t i;

    if (gather_init(&g, root, LSP_ANSWER_RESULTS) != 0)
        return UV_ENOMEM;
    for (json_int_t severity = 1; severity <= 4; severity++)
        json_array_foreach(items, i, item) if (json_is_object(item)
                                               && severity_of(item) == severity)
            gather_take(&g, diagnostic_make(&g, uri, item));
    return gather_finish(&g, "diagnostics", answer);
}

/* --- hover */

/* Of a MarkupContent, a MarkedString or a list of those the texts in a row. */
static void
hover_write(struct buffer *text, const json_t *contents)
{
    const json_t *value = json_is_string(contents)
                              ? contents
                              : json_object_get(contents, "value");
    const json_t *part;
    size_t i;

    if (json_is_string(value)) {
        if (text->bytes > 0)
            (void) buffer_append(text, "\n\n", 2);
        (void) buffer_append(text, json_string_value(value),
                             json_string_length(value));
    }
    json_array_foreach(contents, i, part) if (!json_is_array(part))
        hover_write(text, part);
}

static json_t *
hover_pack(const struct buffer *text, const json_t *result, bool *truncated)
{
    const json_t *kind =
        json_object_get(json_object_get(result, "contents"), "kind");
    const json_t *range = json_object_get(result, "range");
    size_t shown = tool_limits_cut((const char *) text->data, text->bytes,
                                   LSP_ANSWER_HOVER_BYTES);
    json_t *output;

    *truncated = shown < text->bytes;
    output = json_pack(
        "{s:{s:s, s:s%}, s:b, s:I, s:o}", "contents", "kind",
        json_is_string(kind)
                && strcmp(json_string_value(kind), "plaintext") == 0
            ? "plaintext"
            : "markdown",
        "value", (const char *) text->data, shown, "truncated", *truncated,
        "original_length", (json_int_t) text->bytes, "message",
        *truncated ? json_sprintf("hover: Showing %zu of %zu bytes.", shown,
                                  text->bytes)
                   : json_sprintf("hover: %zu bytes.", text->bytes));
    if (output != NULL && lsp_place_is_range(range))
        json_object_set_new(output, "range", json_deep_copy(range));
    return output;
}

int
lsp_answer_hover(struct lsp_answer *answer, const json_t *result)
{
    struct buffer text;

    answer->truncated = false;
    buffer_init(&text, SIZE_MAX / 2);
    hover_write(&text, json_object_get(result, "contents"));
    if (text.bytes == 0)
        answer->output =
            json_pack("{s:n, s:b, s:s}", "contents", "truncated", 0, "message",
                      "hover: No information available.");
    else
        answer->output = hover_pack(&text, result, &answer->truncated);
    buffer_deinit(&text);
    return answer->output != NULL ? 0 : UV_ENOMEM;
}

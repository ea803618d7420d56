/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   tool_hits ─► offset, head_limit, R4.2 ─► results, or pages of ten
 *            └─► all are counted
 */

#include "tools/tool_grep.h"

#include "codec/tool_limits.h"
#include "tools/tool_excerpt.h"
#include "tools/tool_hits.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define PAGE_HITS 10
#define OUTPUT_BYTES                                                           \
    8388608 /* ten matches with all the context there can be                   \
             */

struct grep {
    struct tool_hits *hits;
    enum tool_hits_mode mode;
    bool is_numbered, is_multiline, with_context;
    unsigned offset, limit;     /* of entries */
    unsigned lines, lines_left; /* of content: one entry's; R4.2's */
    uint64_t entries;           /* lines, files or counts that there are */
    uint64_t taken;             /* of them */
    uint64_t total, shown;      /* matches; those in what was taken */
    unsigned pages;
    bool is_full, is_cut;
    bool is_end, is_over; /* all was searched; the time was over before */
    json_t *found;        /* of this page */
};

static const char *const list_names[] = {
    [TOOL_HITS_LINES] = "results",
    [TOOL_HITS_FILES] = "files",
    [TOOL_HITS_COUNTS] = "counts",
};

static const char *const mode_names[] = {
    [TOOL_HITS_LINES] = "content",
    [TOOL_HITS_FILES] = "files_with_matches",
    [TOOL_HITS_COUNTS] = "count",
};

static void
grep_release(void *kept)
{
    struct grep *g = kept;

    if (g->hits)
        tool_hits_destroy(&g->hits);
    json_decref(g->found);
    free(g);
}

/* --- hits */

static unsigned
lines_of(const struct grep *g, const struct tool_hit *hit)
{
    const struct tool_scan_match *m = &hit->match;

    return g->mode == TOOL_HITS_LINES ? 1 + m->before_lines + m->after_lines
                                      : 0;
}

/* Its place is not among those wanted, or there is no room for it. */
static bool
is_left_out(struct grep *g, const struct tool_hit *hit)
{
    unsigned lines = lines_of(g, hit);

    if (g->entries++ < g->offset)
        return true;
    if (g->taken >= g->limit || (g->taken > 0 && lines > g->lines_left))
        g->is_full = true;
    if (!g->is_full)
        g->lines_left -= lines < g->lines_left ? lines : g->lines_left;
    return g->is_full;
}

static int
hit_take(struct grep *g, const struct tool_hit *hit)
{
    const struct tool_excerpt excerpt = {
        .file = hit->file,
        .match = &hit->match,
        .is_numbered = g->is_numbered,
        .is_multiline = g->is_multiline,
        .with_context = g->with_context,
    };
    json_t *value = g->mode == TOOL_HITS_LINES
                        ? tool_excerpt_make(&excerpt, &g->is_cut)
                        : tool_file_text(hit->file, strlen(hit->file));

    if (!value)
        return UV_ENOMEM;
    g->taken++;
    g->shown += g->mode == TOOL_HITS_COUNTS ? hit->count : 1;
    if (g->mode != TOOL_HITS_COUNTS)
        return json_array_append_new(g->found, value) ? UV_ENOMEM : 0;
    int failed = json_object_set_new(g->found, json_string_value(value),
                                     json_integer((json_int_t) hit->count));
    json_decref(value);
    return failed ? UV_ENOMEM : 0;
}

/* How many entries the page under way has. */
static size_t
found_count(const struct grep *g)
{
    return g->mode == TOOL_HITS_COUNTS ? json_object_size(g->found)
                                       : json_array_size(g->found);
}

/* Until there are so many, or all that may be; then, or when those are told,
 * to the end. 0 or UV_E*. */
static int
hits_gather(struct grep *g, const struct tool_run *run, size_t group)
{
    struct tool_hit hit;
    int result = 0;

    while (found_count(g) < group) {
        if (group != SIZE_MAX && g->taken >= g->limit && found_count(g) > 0)
            return 0;
        result = tool_hits_next(g->hits, &hit);
        if (result <= 0)
            break;
        g->total += g->mode == TOOL_HITS_COUNTS ? hit.count : 1;
        if (is_left_out(g, &hit))
            continue;
        result = hit_take(g, &hit);
        if (result)
            return result;
    }
    if (result == UV_ECANCELED && !tool_run_is_cancelled(run)) {
        g->is_over = true;
        result = 0;
    }
    g->is_end = result == 0 && found_count(g) < group;
    return result > 0 ? 0 : result;
}

/* --- results */

static const char *
warning_of(const struct grep *g)
{
    return g->is_over ? "There was no time to search everything. Narrow the "
                        "search by path, glob or type."
                      : tool_hits_warning(g->hits);
}

static int
totals_set(struct grep *g, json_t *output, bool *truncated)
{
    const char *warning = warning_of(g);
    json_t *totals;

    *truncated = g->is_cut || warning || g->entries > g->offset + g->taken;
    totals = json_pack("{s:I, s:I, s:b, s:b}", "total_matches",
                       (json_int_t) g->total, "matches_count",
                       (json_int_t) g->shown, "results_capped",
                       g->entries > g->taken, "truncated", *truncated);
    int result =
        totals && json_object_update(output, totals) == 0 ? 0 : UV_ENOMEM;
    json_decref(totals);
    if (!result && warning)
        result = tool_file_set(output, "warning", json_string(warning));
    return result;
}

static json_t *
output_make(const struct grep *g, const struct tool_run *run)
{
    return json_pack("{s:s, s:s}", "pattern",
                     tool_run_text(run, "pattern", NULL), "output_mode",
                     mode_names[g->mode]);
}

static int
found_set(struct grep *g, json_t *output)
{
    int result = tool_file_set(output, list_names[g->mode], g->found);

    g->found = NULL;
    return result;
}

static enum tool_step
failure(struct tool_run *run, int error)
{
    if (tool_run_is_cancelled(run))
        return tool_file_cancelled(run);
    if (error != UV_E2BIG)
        return tool_file_fail(run, NULL, error);
    tool_run_fail(run, "invalid_arguments",
                  "The pattern takes too much work on this text. Make it "
                  "simpler.");
    return TOOL_STEP_DONE;
}

static enum tool_step
grep_end(struct grep *g, struct tool_run *run)
{
    struct tool_result result = {.output = output_make(g, run)};
    int error = result.output ? 0 : UV_ENOMEM;

    if (!error && g->pages == 0)
        error = found_set(g, result.output);
    if (!error && g->pages > 0)
        error = tool_file_set(result.output, "pages", json_integer(g->pages));
    if (!error)
        error = totals_set(g, result.output, &result.truncated);
    if (error) {
        json_decref(result.output);
        return failure(run, error);
    }
    result.unsettled = g->is_over;
    tool_run_finish(run, &result);
    return TOOL_STEP_DONE;
}

static enum tool_step
page_give(struct grep *g, struct tool_run *run)
{
    json_t *page = output_make(g, run);
    int error = page ? found_set(g, page) : UV_ENOMEM;

    if (!error)
        error = tool_file_set(page, "page", json_integer(++g->pages));
    if (error) {
        json_decref(page);
        return failure(run, error);
    }
    error = tool_run_page(run, page);
    if (error == UV_ECANCELED)
        return tool_file_cancelled(run);
    return error ? failure(run, error) : TOOL_STEP_PAGE;
}

/* --- runs */

static int
found_begin(struct grep *g)
{
    if (!g->found)
        g->found = g->mode == TOOL_HITS_COUNTS ? json_object() : json_array();
    return g->found ? 0 : UV_ENOMEM;
}

static enum tool_step
page_step(struct grep *g, struct tool_run *run)
{
    int error = found_begin(g);

    if (!error && !g->is_end)
        error = hits_gather(g, run, PAGE_HITS);
    if (error)
        return failure(run, error);
    return found_count(g) > 0 ? page_give(g, run) : grep_end(g, run);
}

static enum tool_step
whole_step(struct grep *g, struct tool_run *run)
{
    int error = found_begin(g);

    if (!error)
        error = hits_gather(g, run, SIZE_MAX);
    return error ? failure(run, error) : grep_end(g, run);
}

/* head_limit 0 is none; a result that is no stream has R4.2's. */
static void
limits_set(struct grep *g, const struct tool_run *run)
{
    unsigned limit = tool_file_number(run, "head_limit", 0, UINT32_MAX);

    g->limit = limit ? limit : UINT32_MAX;
    g->offset = tool_file_number(run, "offset", 0, UINT32_MAX);
    g->lines_left = UINT32_MAX;
    if (run->cfg.wants_pages)
        return;
    if (g->limit > TOOL_LIMIT_GREP_MATCHES)
        g->limit = TOOL_LIMIT_GREP_MATCHES;
    g->lines_left = TOOL_LIMIT_GREP_LINES;
}

static enum tool_step
grep_begin(struct tool_run *run, const struct tool_root *root, struct grep **gp)
{
    char error[TOOL_PATTERN_ERROR_BYTES];
    struct grep *g = calloc(1, sizeof(*g));

    if (!g)
        return tool_file_fail(run, NULL, UV_ENOMEM);
    int result = tool_hits_create(&g->hits, root, run, error);
    if (result && error[0])
        tool_run_fail(run, "invalid_arguments", "%s", error);
    else if (result)
        tool_file_fail(run, tool_run_text(run, "path", NULL), result);
    if (result) {
        grep_release(g);
        return TOOL_STEP_DONE;
    }
    g->mode = tool_hits_get_mode(g->hits);
    g->is_numbered = tool_run_boolean(run, "-n", true);
    g->is_multiline = tool_run_boolean(run, "multiline", false);
    g->with_context = tool_run_integer(run, "-A", 0) > 0
                      || tool_run_integer(run, "-B", 0) > 0
                      || tool_run_integer(run, "-C", 0) > 0;
    limits_set(g, run);
    *gp = g;
    return TOOL_STEP_PAGE;
}

static enum tool_step
grep_work(struct tool *tool, struct tool_run *run)
{
    struct grep *g = run->kept;

    if (tool_run_is_cancelled(run))
        return tool_file_cancelled(run);
    if (!g) {
        if (grep_begin(run, tool_file_root(tool), &g) == TOOL_STEP_DONE)
            return TOOL_STEP_DONE;
        tool_run_keep(run, g, grep_release);
    }
    return run->cfg.wants_pages ? page_step(g, run) : whole_step(g, run);
}

static const struct tool_ops ops = {
    .work = grep_work,
    .destroy = tool_file_destroy,
};

#define COUNT "\"type\":\"integer\",\"minimum\":0"
#define FLAG  "\"type\":\"boolean\""

static const struct tool_spec spec = {
    .name = "grep",
    .description =
        "Searches files for a regular expression (Perl's syntax), line by "
        "line. "
        "Tells which files have it, the lines (output_mode content), or how "
        "many there are (count); 100 at most at a time, total_matches says how "
        "many there are. Hidden files and what ignore files name are left out "
        "unless include_ignored is set. Paths are relative to the working "
        "directory.",
    .parameters =
        "{\"type\":\"object\",\"properties\":{"
        "\"pattern\":{\"type\":\"string\",\"minLength\":1,"
        "\"description\":\"What to search for\"},"
        "\"path\":{\"type\":\"string\","
        "\"description\":\"The file or directory to search in\"},"
        "\"output_mode\":{\"type\":\"string\","
        "\"enum\":[\"files_with_matches\",\"content\",\"count\"]},"
        "\"-i\":{" FLAG
        ",\"description\":\"Upper and lower case are the same\"},"
        "\"-n\":{" FLAG ",\"description\":\"Line numbers; true unless given\"},"
        "\"-A\":{" COUNT ",\"description\":\"Lines to show after a match\"},"
        "\"-B\":{" COUNT ",\"description\":\"Lines to show before a match\"},"
        "\"-C\":{" COUNT ",\"description\":\"Lines to show around a match\"},"
        "\"glob\":{\"type\":\"string\",\"description\":"
        "\"Only files whose names fit: *.js, src/**/*.{ts,tsx}, !*.min.js\"},"
        "\"type\":{\"type\":\"string\",\"description\":"
        "\"Only files of a kind: py, js, ts, rust, c, md, …\"},"
        "\"multiline\":{" FLAG ",\"description\":"
        "\"A match may go over lines, and . is any character\"},"
        "\"head_limit\":{" COUNT
        ",\"description\":\"At most so many results\"},"
        "\"offset\":{" COUNT ",\"description\":\"Results to leave out first\"},"
        "\"include_ignored\":{" FLAG "}},"
        "\"required\":[\"pattern\"],\"additionalProperties\":false}",
    .flags = TOOL_READ_ONLY | TOOL_PAGES,
    .domain = TOOL_DOMAIN_FILES,
    .ttl_ms = 30000,
    .timeout_ms = 10000,
    .max_bytes = OUTPUT_BYTES,
};

int
tool_grep_create(struct tool **tp, const struct tool_file_config *cfg)
{
    return tool_file_create(tp, cfg, &ops, &spec);
}

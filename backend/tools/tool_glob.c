/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   tool_walk ─► excluded? ─► fits? ─► kind? ─► the newest 500, all counted
 */

#include "tools/tool_glob.h"

#include "codec/glob_pattern.h"
#include "tools/tool_walk.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#define MATCHES_MAX  500
#define EXCLUDES_MAX 16
#define OUTPUT_BYTES 16777216 /* all with the longest of paths */

struct match {
    char *path;
    bool is_directory;
    uint64_t size;
    int64_t mtime_ns;
};

struct glob {
    const struct tool_run *run;
    const struct tool_root *root;
    struct glob_pattern *pattern;
    struct glob_pattern *excludes[EXCLUDES_MAX];
    unsigned excludes_count;
    bool wants_files, wants_directories;
    struct tool_walk *walk;
    uint64_t total;
    unsigned count;
    struct match matches[MATCHES_MAX * 2]; /* cut to the newest when full */
    bool is_over;
};

static bool
on_over(const void *arg)
{
    return tool_file_is_over(arg);
}

/* --- matches */

/* The one changed last first. */
static int
compare(const void *a, const void *b)
{
    const struct match *x = a, *y = b;

    if (x->mtime_ns != y->mtime_ns)
        return x->mtime_ns < y->mtime_ns ? 1 : -1;
    return strcmp(x->path, y->path);
}

static void
matches_cut(struct glob *g)
{
    qsort(g->matches, g->count, sizeof(*g->matches), compare);
    while (g->count > MATCHES_MAX)
        free(g->matches[--g->count].path);
}

static int
match_add(struct glob *g, const struct tool_walk_entry *entry,
          const struct match *match)
{
    if (g->count == MATCHES_MAX * 2)
        matches_cut(g);
    struct match *at = &g->matches[g->count];
    *at = *match;
    at->path = strdup(entry->path);
    if (!at->path)
        return UV_ENOMEM;
    g->count++;
    g->total++;
    return 0;
}

/* A link is what it leads to, unless that is nowhere, or outside. */
static bool
match_look(const struct glob *g, const struct tool_walk_entry *entry,
           struct match *match)
{
    struct tool_root_stat to;
    struct stat st;

    if (entry->kind == TOOL_WALK_LINK) {
        if (tool_root_stat(g->root, entry->path, entry->path_bytes, &to))
            return false;
        *match =
            (struct match){NULL, to.is_directory, to.size_bytes, to.mtime_ns};
        return true;
    }
    if (fstatat(entry->directory, entry->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    *match = (struct match){
        .is_directory = S_ISDIR(st.st_mode),
        .size = (uint64_t) st.st_size,
        .mtime_ns =
            st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec,
    };
    return S_ISDIR(st.st_mode) || S_ISREG(st.st_mode);
}

/* --- entries */

static bool
is_excluded(const struct glob *g, const struct tool_walk_entry *entry)
{
    const char *below = entry->path + entry->base_bytes;

    for (unsigned i = 0; i < g->excludes_count; i++)
        if (glob_pattern_matches(g->excludes[i], below, strlen(below))
            || glob_pattern_matches(g->excludes[i], entry->name,
                                    strlen(entry->name)))
            return true;
    return false;
}

static int
entry_take(struct glob *g, const struct tool_walk_entry *entry)
{
    const char *below = entry->path + entry->base_bytes;
    size_t bytes = entry->path_bytes - entry->base_bytes;
    struct match match;

    if (is_excluded(g, entry)) {
        tool_walk_skip(g->walk);
        return 0;
    }
    if (entry->kind == TOOL_WALK_DIRECTORY
        && !glob_pattern_leads_below(g->pattern, below, bytes))
        tool_walk_skip(g->walk);
    if (!glob_pattern_matches(g->pattern, below, bytes)
        || !match_look(g, entry, &match)
        || !(match.is_directory ? g->wants_directories : g->wants_files))
        return 0;
    return match_add(g, entry, &match);
}

static int
matches_find(struct glob *g)
{
    struct tool_walk_entry entry;
    int result;

    while ((result = tool_walk_next(g->walk, &entry)) > 0) {
        result = entry_take(g, &entry);
        if (result)
            return result;
    }
    if (result == UV_ECANCELED && !tool_run_is_cancelled(g->run)) {
        g->is_over = true;
        result = 0;
    }
    matches_cut(g);
    return result;
}

/* --- arguments */

/* An absolute pattern is one from the root. */
static int
pattern_make(struct glob *g)
{
    size_t bytes, skip = strlen(tool_root_path(g->root));
    const char *text = tool_run_text(g->run, "pattern", &bytes);

    if (bytes > skip && text[0] == '/') {
        if (memcmp(text, tool_root_path(g->root), skip) != 0
            || (skip > 1 && text[skip] != '/'))
            return UV_EXDEV;
        text += skip;
        bytes -= skip;
    } else if (text[0] == '/') {
        return UV_EXDEV;
    }
    return glob_pattern_create(&g->pattern, text, bytes, GLOB_PATH);
}

static int
excludes_make(struct glob *g)
{
    const json_t *list = json_object_get(g->run->cfg.arguments, "exclude");
    int result = 0;

    for (size_t i = 0; i < json_array_size(list) && !result; i++) {
        const json_t *text = json_array_get(list, i);

        if (g->excludes_count == EXCLUDES_MAX)
            return UV_E2BIG;
        result = glob_pattern_create(&g->excludes[g->excludes_count],
                                     json_string_value(text),
                                     json_string_length(text), GLOB_PATH);
        g->excludes_count += !result;
    }
    return result;
}

static void
kinds_set(struct glob *g)
{
    const char *type = tool_run_text(g->run, "type", NULL);

    g->wants_directories = type && strcmp(type, "file") != 0;
    g->wants_files = !type || strcmp(type, "dir") != 0;
}

static int
walk_make(struct glob *g)
{
    struct tool_walk_config cfg = {
        .root = g->root,
        .with_ignored = tool_run_boolean(g->run, "include_ignored", false),
        .with_git = glob_pattern_is_of_hidden(g->pattern),
        .is_over = on_over,
        .over_arg = g->run,
    };

    cfg.path = tool_run_text(g->run, "path", &cfg.path_bytes);
    if (!cfg.path || cfg.path_bytes == 0) {
        cfg.path = ".";
        cfg.path_bytes = 1;
    }
    cfg.with_hidden = cfg.with_ignored || cfg.with_git;
    return tool_walk_create(&g->walk, &cfg);
}

/* --- results */

static json_t *
matches_list(const struct glob *g)
{
    json_t *list = json_array();

    for (unsigned i = 0; list && i < g->count; i++) {
        const struct match *m = &g->matches[i];
        json_t *entry = json_pack("{s:o, s:s}", "path",
                                  tool_file_text(m->path, strlen(m->path)),
                                  "type", m->is_directory ? "dir" : "file");

        if (!m->is_directory)
            json_object_set_new(entry, "size",
                                json_integer((json_int_t) m->size));
        if (!entry || json_array_append_new(list, entry)) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static const char *
warning_of(const struct glob *g)
{
    if (g->is_over)
        return "There was no time to look everywhere. Narrow the search by "
               "path or pattern.";
    return tool_walk_is_incomplete(g->walk)
               ? "Some directories could not be read, or not all of them."
               : NULL;
}

static enum tool_step
glob_end(struct glob *g, struct tool_run *run)
{
    const char *base = tool_walk_base(g->walk);
    const char *warning = warning_of(g);
    bool is_capped = g->total > g->count;
    struct tool_result result = {
        .truncated = is_capped || warning,
        .unsettled = g->is_over,
    };

    result.output =
        json_pack("{s:s, s:o, s:I, s:i, s:o, s:b, s:b}", "pattern",
                  tool_run_text(run, "pattern", NULL), "base_path",
                  *base ? tool_file_text(base, strlen(base)) : json_string("."),
                  "total_files", (json_int_t) g->total, "count", (int) g->count,
                  "matches", matches_list(g), "results_capped", is_capped,
                  "truncated", result.truncated);
    if (!result.output
        || (warning
            && tool_file_set(result.output, "warning", json_string(warning)))) {
        json_decref(result.output);
        return tool_file_fail(run, NULL, UV_ENOMEM);
    }
    tool_run_finish(run, &result);
    return TOOL_STEP_DONE;
}

static void
glob_free(struct glob *g)
{
    while (g->count > 0)
        free(g->matches[--g->count].path);
    while (g->excludes_count > 0)
        glob_pattern_destroy(&g->excludes[--g->excludes_count]);
    if (g->pattern)
        glob_pattern_destroy(&g->pattern);
    if (g->walk)
        tool_walk_destroy(&g->walk);
    free(g);
}

static enum tool_step
glob_fail(struct glob *g, struct tool_run *run, int error, bool is_of_pattern)
{
    glob_free(g);
    if (tool_run_is_cancelled(run))
        return tool_file_cancelled(run);
    if (!is_of_pattern || (error != UV_EINVAL && error != UV_E2BIG))
        return tool_file_fail(
            run, tool_run_text(run, is_of_pattern ? "pattern" : "path", NULL),
            error);
    tool_run_fail(run, "invalid_arguments",
                  "The pattern is no pattern of file names, or too long. Use "
                  "*, ?, **, [a-z] and {a,b}; paths have no \"..\".");
    return TOOL_STEP_DONE;
}

static enum tool_step
glob_work(struct tool *tool, struct tool_run *run)
{
    struct glob *g = calloc(1, sizeof(*g));

    if (!g)
        return tool_file_fail(run, NULL, UV_ENOMEM);
    g->run = run;
    g->root = tool_file_root(tool);
    kinds_set(g);
    int result = pattern_make(g);
    if (!result)
        result = excludes_make(g);
    if (result)
        return glob_fail(g, run, result, true);
    result = walk_make(g);
    if (!result)
        result = matches_find(g);
    if (result || tool_run_is_cancelled(run))
        return glob_fail(g, run, result, false);
    glob_end(g, run);
    glob_free(g);
    return TOOL_STEP_DONE;
}

static const struct tool_ops ops = {
    .work = glob_work,
    .destroy = tool_file_destroy,
};

static const struct tool_spec spec = {
    .name = "glob",
    .description =
        "Finds files by their names: *.md in the directory itself, **/*.md "
        "below it too. The 500 changed last are given, newest first; "
        "total_files says how many there are. Hidden files and what ignore "
        "files name are left out unless the pattern or include_ignored asks "
        "for "
        "them. Paths are relative to the working directory.",
    .parameters =
        "{\"type\":\"object\",\"properties\":{"
        "\"pattern\":{\"type\":\"string\",\"minLength\":1,"
        "\"description\":\"What names have to fit, as in src/**/*.{c,h}\"},"
        "\"path\":{\"type\":\"string\","
        "\"description\":\"The directory to look in\"},"
        "\"type\":{\"type\":\"string\",\"enum\":[\"file\",\"dir\",\"any\"],"
        "\"description\":\"What to find; file unless given\"},"
        "\"exclude\":{\"type\":\"array\",\"maxItems\":16,"
        "\"items\":{\"type\":\"string\",\"minLength\":1},"
        "\"description\":\"Patterns of what to leave out\"},"
        "\"include_ignored\":{\"type\":\"boolean\"}},"
        "\"required\":[\"pattern\"],\"additionalProperties\":false}",
    .flags = TOOL_READ_ONLY,
    .domain = TOOL_DOMAIN_FILES,
    .ttl_ms = 30000,
    .timeout_ms = 5000,
    .max_bytes = OUTPUT_BYTES,
};

int
tool_glob_create(struct tool **tp, const struct tool_file_config *cfg)
{
    return tool_file_create(tp, cfg, &ops, &spec);
}

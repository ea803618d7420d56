/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_hits.h"

#include "codec/file_type.h"
#include "codec/glob_pattern.h"
#include "tools/tool_walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

struct tool_hits {
    const struct tool_run *run;
    const struct tool_root *root;
    enum tool_hits_mode mode;
    struct tool_pattern *pattern;
    struct tool_scan *scan;
    struct tool_walk *walk; /* NULL: one file */
    bool is_done;           /* that one has been opened */
    struct glob_pattern *glob;
    bool glob_excludes; /* "!…" */
    bool glob_has_slash;
    const struct file_type *type;
    const char *file; /* being searched */
    uint64_t count;   /* in it */
};

static bool
on_over(const void *arg)
{
    return tool_file_is_over(arg);
}

/* --- which files */

static bool
glob_fits(const struct tool_hits *h, const struct tool_walk_entry *entry)
{
    const char *below = entry->path + entry->base_bytes;
    size_t bytes = entry->path_bytes - entry->base_bytes;

    if (!h->glob_has_slash)
        return glob_pattern_matches(h->glob, entry->name, strlen(entry->name));
    return glob_pattern_matches(h->glob, below, bytes)
           || glob_pattern_matches(h->glob, entry->path, entry->path_bytes);
}

static bool
is_wanted(const struct tool_hits *h, const struct tool_walk_entry *entry)
{
    if (entry->kind != TOOL_WALK_FILE)
        return false;
    if (h->type && !file_type_has(h->type, entry->name))
        return false;
    return !h->glob || glob_fits(h, entry) != h->glob_excludes;
}

/* 1: a file is open; 0: there are no more. One that can't be read is none. */
static int
walk_open(struct tool_hits *h)
{
    struct tool_walk_entry entry;
    struct tool_root_stat st;
    int result;

    while ((result = tool_walk_next(h->walk, &entry)) > 0) {
        if (entry.kind == TOOL_WALK_DIRECTORY && h->glob_excludes
            && glob_fits(h, &entry))
            tool_walk_skip(h->walk);
        if (!is_wanted(h, &entry))
            continue;
        int fd = tool_walk_open_file(&entry, &st);
        if (fd < 0)
            continue;
        h->file = entry.path;
        tool_scan_open(h->scan, fd);
        return 1;
    }
    return result;
}

static int
file_open(struct tool_hits *h)
{
    size_t bytes;
    const char *path = tool_run_text(h->run, "path", &bytes);

    h->count = 0;
    if (h->walk)
        return walk_open(h);
    if (h->is_done)
        return 0;
    h->is_done = true;
    int fd = tool_root_open_file(h->root, path, bytes, NULL);
    if (fd < 0)
        return 0;
    h->file = path;
    tool_scan_open(h->scan, fd);
    return 1;
}

/* --- hits */

/* Of the open file. 1: a hit; 0: on with the next; or UV_E*. */
static int
file_search(struct tool_hits *h, struct tool_hit *hit)
{
    int result = tool_scan_next(h->scan, &hit->match);

    hit->file = h->file;
    if (result > 0)
        h->count++;
    if (result > 0 && h->mode == TOOL_HITS_FILES)
        tool_scan_close(h->scan);
    if (h->mode != TOOL_HITS_COUNTS || result < 0)
        return result;
    hit->count = h->count;
    return result == 0 && h->count > 0;
}

int
tool_hits_next(struct tool_hits *h, struct tool_hit *hit)
{
    int result = 0;

    while (result == 0) {
        if (!tool_scan_is_open(h->scan)) {
            result = file_open(h);
            if (result <= 0)
                return result;
        }
        result = file_search(h, hit);
    }
    return result;
}

enum tool_hits_mode
tool_hits_get_mode(const struct tool_hits *h)
{
    return h->mode;
}

const char *
tool_hits_warning(const struct tool_hits *h)
{
    const struct tool_scan_counts *counts = tool_scan_get_counts(h->scan);

    if (counts->hard > 0)
        return "The pattern was too much work for some lines, which were left "
               "out.";
    if (h->walk && tool_walk_is_incomplete(h->walk))
        return "Some directories could not be searched, or not all of them.";
    if (counts->cut > 0)
        return "Some files or lines were too long to be searched whole.";
    if (!h->walk && counts->binary > 0)
        return "The file is not text, and was not searched.";
    return NULL;
}

/* --- making */

static bool
flag_of(const struct tool_run *run, const char *name)
{
    return tool_run_boolean(run, name, false);
}

static int
pattern_make(struct tool_hits *h, char error[TOOL_PATTERN_ERROR_BYTES])
{
    struct tool_pattern_config cfg = {.is_over = on_over, .over_arg = h->run};

    cfg.text = tool_run_text(h->run, "pattern", &cfg.bytes);
    if (flag_of(h->run, "-i"))
        cfg.flags |= TOOL_PATTERN_CASELESS;
    if (flag_of(h->run, "multiline"))
        cfg.flags |= TOOL_PATTERN_MULTILINE;
    return tool_pattern_create(&h->pattern, &cfg, error);
}

static int
scan_make(struct tool_hits *h)
{
    unsigned around = tool_file_number(h->run, "-C", 0, TOOL_SCAN_CONTEXT);
    struct tool_scan_config cfg = {
        .pattern = h->pattern,
        .is_multiline = flag_of(h->run, "multiline"),
        .is_over = on_over,
        .over_arg = h->run,
    };

    if (h->mode == TOOL_HITS_LINES) {
        cfg.before = tool_file_number(h->run, "-B", around, TOOL_SCAN_CONTEXT);
        cfg.after = tool_file_number(h->run, "-A", around, TOOL_SCAN_CONTEXT);
    }
    return tool_scan_create(&h->scan, &cfg);
}

static int
walk_make(struct tool_hits *h)
{
    struct tool_walk_config cfg = {
        .root = h->root,
        .with_ignored = flag_of(h->run, "include_ignored"),
        .is_over = on_over,
        .over_arg = h->run,
    };
    struct tool_root_stat st;

    cfg.path = tool_run_text(h->run, "path", &cfg.path_bytes);
    if (!cfg.path || cfg.path_bytes == 0) {
        cfg.path = ".";
        cfg.path_bytes = 1;
    }
    cfg.with_hidden = cfg.with_ignored;
    int result = tool_root_stat(h->root, cfg.path, cfg.path_bytes, &st);
    if (result || !st.is_directory)
        return result;
    return tool_walk_create(&h->walk, &cfg);
}

static int
filters_make(struct tool_hits *h, char error[TOOL_PATTERN_ERROR_BYTES])
{
    size_t bytes;
    const char *type = tool_run_text(h->run, "type", NULL);
    const char *glob = tool_run_text(h->run, "glob", &bytes);

    h->type = type && *type ? file_type_find(type) : NULL;
    if (type && *type && !h->type) {
        snprintf(error, TOOL_PATTERN_ERROR_BYTES,
                 "There is no such type of files. Types are: %s.",
                 file_type_list());
        return UV_EINVAL;
    }
    if (!glob || bytes == 0)
        return 0;
    h->glob_excludes = *glob == '!';
    glob += h->glob_excludes;
    bytes -= h->glob_excludes;
    h->glob_has_slash = memchr(glob, '/', bytes) != NULL;
    int result = glob_pattern_create(&h->glob, glob, bytes, GLOB_PATH);
    if (result && result != UV_ENOMEM) {
        snprintf(error, TOOL_PATTERN_ERROR_BYTES,
                 "The glob is no pattern of file names, or too long.");
        result = UV_EINVAL;
    }
    return result;
}

static enum tool_hits_mode
mode_of(const struct tool_run *run)
{
    const char *mode = tool_run_text(run, "output_mode", NULL);

    if (mode && strcmp(mode, "content") == 0)
        return TOOL_HITS_LINES;
    return mode && strcmp(mode, "count") == 0 ? TOOL_HITS_COUNTS
                                              : TOOL_HITS_FILES;
}

int
tool_hits_create(struct tool_hits **hp, const struct tool_root *root,
                 const struct tool_run *run,
                 char error[TOOL_PATTERN_ERROR_BYTES])
{
    struct tool_hits *h = calloc(1, sizeof(*h));

    error[0] = 0;
    if (!h)
        return UV_ENOMEM;
    h->run = run;
    h->root = root;
    h->mode = mode_of(run);
    int result = pattern_make(h, error);
    if (!result)
        result = filters_make(h, error);
    if (!result)
        result = scan_make(h);
    if (!result)
        result = walk_make(h);
    if (result)
        tool_hits_destroy(&h);
    else
        *hp = h;
    return result;
}

void
tool_hits_destroy(struct tool_hits **hp)
{
    struct tool_hits *h = *hp;

    *hp = NULL;
    if (!h)
        return;
    if (h->walk)
        tool_walk_destroy(&h->walk);
    if (h->scan)
        tool_scan_destroy(&h->scan);
    if (h->pattern)
        tool_pattern_destroy(&h->pattern);
    if (h->glob)
        glob_pattern_destroy(&h->glob);
    free(h);
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_listing.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "codec/tool_limits.h"
#include "tools/tool_walk.h"

#include <string.h>
#include <uv.h>

#define MOST TOOL_LIMIT_FILE_LINES

struct names {
    const char *label;
    struct buffer text;
    uint64_t count;
};

struct listing {
    struct tool_run *run;
    const struct tool_root *root;
    const char *path;
    struct tool_root_stat st;
    struct names directories, files;
};

static bool
on_over(const void *arg)
{
    return tool_file_is_over(arg);
}

/* A link is what it leads to; one that leads nowhere, or out, is a file. */
static bool
is_directory(const struct listing *l, const struct tool_walk_entry *entry)
{
    struct tool_root_stat st;

    if (entry->kind != TOOL_WALK_LINK)
        return entry->kind == TOOL_WALK_DIRECTORY;
    return !tool_root_stat(l->root, entry->path, entry->path_bytes, &st)
           && st.is_directory;
}

static int
name_add(struct names *names, const char *name)
{
    if (names->count++ >= MOST)
        return 0;
    return buffer_printf(&names->text, "  %s %s\n", names->label, name);
}

static int
names_read(struct listing *l, bool *is_whole)
{
    const struct tool_walk_config cfg = {
        .root = l->root,
        .path = l->path,
        .path_bytes = strlen(l->path),
        .with_hidden = true,
        .with_ignored = true,
        .with_git = true,
        .is_over = on_over,
        .over_arg = l->run,
    };
    struct tool_walk_entry entry;
    struct tool_walk *walk = NULL;
    int result = tool_walk_create(&walk, &cfg);

    if (result)
        return result;
    while ((result = tool_walk_next(walk, &entry)) > 0) {
        tool_walk_skip(walk);
        result = name_add(is_directory(l, &entry) ? &l->directories : &l->files,
                          entry.name);
        if (result)
            break;
    }
    *is_whole = result == 0 && !tool_walk_is_incomplete(walk);
    tool_walk_destroy(&walk);
    return result == UV_ECANCELED ? 0 : result;
}

/* What of the files still fits behind the directories. */
static size_t
lines_bytes(const struct buffer *text, uint64_t lines)
{
    const char *at = (const char *) text->data;
    size_t left = text->bytes;

    for (; lines > 0 && left > 0; lines--) {
        const char *end = memchr(at, '\n', left);

        left -= (size_t) (end + 1 - at);
        at = end + 1;
    }
    return text->bytes - left;
}

static json_t *
content_make(struct listing *l)
{
    struct buffer *text = &l->directories.text;
    uint64_t shown = l->directories.count < MOST ? l->directories.count : MOST;
    size_t bytes = lines_bytes(&l->files.text, MOST - shown);

    text->max_bytes += bytes;
    if (bytes > 0 && buffer_append(text, l->files.text.data, bytes))
        return NULL;
    return text->bytes ? tool_file_text((char *) text->data, text->bytes)
                       : json_string("");
}

static int
output_fill(struct listing *l, json_t *output, bool is_whole, bool *truncated)
{
    uint64_t count = l->directories.count + l->files.count;
    int result = tool_file_set(output, "content", content_make(l));

    *truncated = !is_whole || count > MOST;
    if (!result)
        result = tool_file_set(output, "entry_count",
                               json_integer((json_int_t) count));
    if (!result)
        result = tool_file_set(output, "truncated", json_boolean(*truncated));
    if (!result && !is_whole)
        result = tool_file_set(
            output, "warning",
            json_string("The directory has too many entries to read all."));
    return result;
}

static bool
is_settled(const struct listing *l)
{
    struct tool_root_stat now;

    return !tool_root_stat(l->root, l->path, strlen(l->path), &now)
           && tool_root_stat_equal(&now, &l->st)
           && tool_root_stat_is_settled(&now, clock_wall_ms() * 1000000);
}

static enum tool_step
listing_end(struct listing *l, json_t *output, bool is_whole)
{
    struct tool_result result = {.output = output};
    int error = output ? output_fill(l, output, is_whole, &result.truncated)
                       : UV_ENOMEM;

    if (error || tool_run_is_cancelled(l->run)) {
        json_decref(output);
        return error ? tool_file_fail(l->run, l->path, error)
                     : tool_file_cancelled(l->run);
    }
    result.unsettled = !is_whole || !is_settled(l);
    result.stamp = tool_file_stamp(&l->st);
    tool_run_finish(l->run, &result);
    return TOOL_STEP_DONE;
}

enum tool_step
tool_listing_run(struct tool_run *run, const struct tool_root *root)
{
    struct listing l = {
        .run = run,
        .root = root,
        .path = tool_run_text(run, "file_path", NULL),
        .directories = {.label = "DIR "},
        .files = {.label = "FILE"},
    };
    size_t most = (size_t) MOST * (TOOL_ROOT_NAME_MAX + 16);
    enum tool_step step;
    bool is_whole = false;

    buffer_init(&l.directories.text, most);
    buffer_init(&l.files.text, most);
    int result = tool_root_stat(root, l.path, strlen(l.path), &l.st);
    if (!result)
        result = names_read(&l, &is_whole);
    if (result)
        step = tool_file_fail(run, l.path, result);
    else
        step = listing_end(
            &l, json_pack("{s:s, s:b}", "file_path", l.path, "is_directory", 1),
            is_whole);
    buffer_deinit(&l.directories.text);
    buffer_deinit(&l.files.text);
    return step;
}

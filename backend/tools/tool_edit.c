/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   file ─► memory ─► occurrences counted ─► replaced ─► tool_change, if the
 *   file still is what was read
 */

#include "tools/tool_edit.h"

#include "tools/tool_change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define FILE_MAX   16777216 /* bytes, before */
#define RESULT_MAX 33554432 /* and after */

struct text {
    char *text;
    size_t bytes;
};

struct edit {
    const struct tool_root *root;
    const char *path;
    size_t path_bytes;
    struct text old, new; /* owned: with the file's line ends */
    bool all;
    struct tool_root_stat st;
    struct text file, result;
    size_t count; /* of occurrences */
};

/* --- the file */

static int
bytes_read(int fd, struct text *file)
{
    size_t filled = 0;

    while (filled < file->bytes) {
        ssize_t got = read(fd, file->text + filled, file->bytes - filled);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return uv_translate_sys_error(errno);
        if (got == 0)
            return UV_EBUSY; /* shorter than it was a moment ago */
        filled += (size_t) got;
    }
    return 0;
}

static int
file_read(struct edit *e)
{
    int fd = tool_root_open_file(e->root, e->path, e->path_bytes, &e->st);
    int result = fd < 0 ? fd : 0;

    if (!result && e->st.size_bytes > FILE_MAX)
        result = UV_EFBIG;
    if (!result) {
        e->file.bytes = (size_t) e->st.size_bytes;
        e->file.text = malloc(e->file.bytes + 1);
        result = e->file.text ? bytes_read(fd, &e->file) : UV_ENOMEM;
    }
    if (fd >= 0)
        close(fd);
    return result;
}

/* --- occurrences */

static const char *
next_of(const struct edit *e, const char *from)
{
    size_t left = e->file.bytes - (size_t) (from - e->file.text);

    return memmem(from, left, e->old.text, e->old.bytes);
}

static size_t
occurrences_count(const struct edit *e)
{
    size_t count = 0;

    if (e->old.bytes == 0)
        return 0;
    for (const char *at = e->file.text; (at = next_of(e, at));
         at += e->old.bytes)
        count++;
    return count;
}

/* Takes the text with \n for \r\n in it. */
static int
line_ends_set(struct text *text)
{
    struct text wide = {.text = malloc(text->bytes * 2 + 1)};

    if (!wide.text)
        return UV_ENOMEM;
    for (size_t i = 0; i < text->bytes; i++) {
        if (text->text[i] == '\n' && (i == 0 || text->text[i - 1] != '\r'))
            wide.text[wide.bytes++] = '\r';
        wide.text[wide.bytes++] = text->text[i];
    }
    free(text->text);
    *text = wide;
    return 0;
}

/* Models write \n where a file has \r\n. */
static int
occurrences_find(struct edit *e)
{
    int result = 0;

    e->count = occurrences_count(e);
    if (e->count > 0 || !memchr(e->old.text, '\n', e->old.bytes)
        || memchr(e->old.text, '\r', e->old.bytes)
        || !memmem(e->file.text, e->file.bytes, "\r\n", 2))
        return 0;
    result = line_ends_set(&e->old);
    if (!result)
        result = line_ends_set(&e->new);
    if (!result)
        e->count = occurrences_count(e);
    return result;
}

static int
result_make(struct edit *e)
{
    size_t more = e->new.bytes > e->old.bytes ? e->new.bytes - e->old.bytes : 0;
    size_t less = e->old.bytes > e->new.bytes ? e->old.bytes - e->new.bytes : 0;

    if (more > 0 && e->count > (RESULT_MAX - e->file.bytes) / more)
        return UV_EFBIG;
    e->result.text =
        malloc(e->file.bytes + e->count * more - e->count * less + 1);
    if (!e->result.text)
        return UV_ENOMEM;
    const char *from = e->file.text;
    char *to = e->result.text;
    for (const char *at; (at = next_of(e, from)); from = at + e->old.bytes) {
        to = mempcpy(to, from, (size_t) (at - from));
        to = mempcpy(to, e->new.text, e->new.bytes);
    }
    to = mempcpy(to, from, e->file.bytes - (size_t) (from - e->file.text));
    e->result.bytes = (size_t) (to - e->result.text);
    return 0;
}

/* --- runs */

static int
file_change(struct edit *e)
{
    const struct tool_change change = {
        .root = e->root,
        .path = e->path,
        .path_bytes = e->path_bytes,
        .text = e->result.text,
        .text_bytes = e->result.bytes,
        .expects = &e->st,
    };

    return tool_change_replace(&change);
}

static int
edit_do(struct edit *e)
{
    int result = file_read(e);

    if (!result)
        result = occurrences_find(e);
    if (result || e->count == 0 || (e->count > 1 && !e->all))
        return result;
    result = result_make(e);
    return result ? result : file_change(e);
}

static int
text_copy(const struct tool_run *run, const char *name, struct text *text)
{
    const char *from = tool_run_text(run, name, &text->bytes);

    text->text = malloc(text->bytes + 1);
    if (!text->text)
        return UV_ENOMEM;
    memcpy(text->text, from, text->bytes);
    return 0;
}

static enum tool_step
edit_answer(const struct edit *e, struct tool_run *run, int result)
{
    if (result)
        return tool_file_fail(run, e->path, result);
    if (e->count == 0)
        tool_run_fail(run, "not_found",
                      "old_string does not occur in the file. Read it, and "
                      "give the text as it is there, without line numbers.");
    else if (e->count > 1 && !e->all)
        tool_run_fail(run, "invalid_arguments",
                      "old_string occurs %zu times in the file. Give more of "
                      "the text around it, or set replace_all.",
                      e->count);
    else
        tool_run_succeed(run, json_pack("{s:s, s:I, s:I}", "file_path", e->path,
                                        "replacements_made",
                                        (json_int_t) e->count, "bytes_written",
                                        (json_int_t) e->result.bytes));
    return TOOL_STEP_DONE;
}

static void
edit_free(struct edit *e)
{
    free(e->old.text);
    free(e->new.text);
    free(e->file.text);
    free(e->result.text);
}

static enum tool_step
edit_work(struct tool *tool, struct tool_run *run)
{
    struct edit e = {.root = tool_file_root(tool)};
    int result = text_copy(run, "old_string", &e.old);
    enum tool_step step;

    e.path = tool_run_text(run, "file_path", &e.path_bytes);
    e.all = tool_run_boolean(run, "replace_all", false);
    if (!result)
        result = text_copy(run, "new_string", &e.new);
    if (!result
        && e.old.bytes
               == e.new.bytes &&memcmp(e.old.text, e.new.text, e.old.bytes)
               == 0) {
        tool_run_fail(run, "invalid_arguments",
                      "old_string and new_string are the same.");
        edit_free(&e);
        return TOOL_STEP_DONE;
    }
    tool_change_lock();
    bool is_cancelled = tool_run_is_cancelled(run);
    if (!result && !is_cancelled)
        result = edit_do(&e);
    tool_change_unlock();
    step =
        is_cancelled ? tool_file_cancelled(run) : edit_answer(&e, run, result);
    edit_free(&e);
    return step;
}

static const struct tool_ops ops = {
    .work = edit_work,
    .destroy = tool_file_destroy,
};

static const struct tool_spec spec = {
    .name = "edit_file",
    .description =
        "Replaces text in a file. old_string must be there exactly as given, "
        "and once, unless replace_all is set. Read the file first; line "
        "numbers "
        "of read_file are no part of its text. Paths are relative to the "
        "working directory.",
    .parameters = "{\"type\":\"object\",\"properties\":{"
                  "\"file_path\":{\"type\":\"string\",\"minLength\":1,"
                  "\"description\":\"The file to change\"},"
                  "\"old_string\":{\"type\":\"string\",\"minLength\":1,"
                  "\"description\":\"The text to replace\"},"
                  "\"new_string\":{\"type\":\"string\","
                  "\"description\":\"What to put in its place\"},"
                  "\"replace_all\":{\"type\":\"boolean\",\"default\":false,"
                  "\"description\":\"Replace every occurrence\"}},"
                  "\"required\":[\"file_path\",\"old_string\",\"new_string\"],"
                  "\"additionalProperties\":false}",
    .domain = TOOL_DOMAIN_FILES,
    .timeout_ms = 10000,
};

int
tool_edit_create(struct tool **tp, const struct tool_file_config *cfg)
{
    return tool_file_create(tp, cfg, &ops, &spec);
}

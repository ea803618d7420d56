/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   file ─► chunk of 64 KB ─► lines before the page, counted ─► page ─► result
 *                                                                 └─► the rest,
 *   counted, or the next page
 */

#include "tools/tool_read.h"

#include "base/clock.h"
#include "codec/tool_limits.h"
#include "tools/tool_listing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define CHUNK_BYTES 65536
#define PAGE_LINES  1000
#define COUNT_MS    1000 /* what the number of all lines may cost */
#define ALL_LINES   UINT32_MAX

/* A page of a thousand lines of four-byte characters, or of those that JSON
 * writes with six. */
#define OUTPUT_BYTES 8388608

struct reading {
    int fd;
    struct tool_root_stat st;
    size_t at, bytes;     /* of the chunk */
    bool at_end, is_over; /* of the file; of the time */
    bool is_binary;       /* a NUL was seen */
    bool begun;           /* a line, that has no end yet */
    uint64_t newlines;    /* passed: the line under way is one more */
    uint64_t first, left; /* wanted: line, lines from it */
    uint64_t lines_read;  /* given */
    unsigned pages, cut_lines;
    char chunk[CHUNK_BYTES]; /* the last: it needs no zeroes */
};

static void
reading_release(void *kept)
{
    struct reading *r = kept;

    if (r->fd >= 0)
        close(r->fd);
    free(r);
}

/* --- chunks */

/* 1: there are bytes; 0: the file is at its end, or the time; or UV_E*. */
static int
chunk_fill(struct reading *r, const struct tool_run *run)
{
    ssize_t got;

    if (r->at < r->bytes)
        return 1;
    r->is_over = r->is_over || tool_file_is_over(run);
    if (r->at_end || r->is_over)
        return 0;
    do {
        got = read(r->fd, r->chunk, sizeof(r->chunk));
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno != EAGAIN)
        return uv_translate_sys_error(errno);
    r->at = 0;
    r->bytes = got > 0 ? (size_t) got : 0;
    r->at_end = got <= 0;
    return r->bytes > 0;
}

/* The rest of the line, as far as the chunk has it, and its end. */
static size_t
line_take(struct reading *r)
{
    const char *from = r->chunk + r->at;
    const char *end = memchr(from, '\n', r->bytes - r->at);
    size_t bytes = end ? (size_t) (end - from) + 1 : r->bytes - r->at;

    r->at += bytes;
    r->begun = !end;
    r->newlines += end != NULL;
    return bytes;
}

static int
lines_skip(struct reading *r, const struct tool_run *run)
{
    int result = 0;

    while (r->newlines + 1 < r->first && (result = chunk_fill(r, run)) > 0)
        line_take(r);
    return result < 0 ? result : 0;
}

static int
page_fill(struct reading *r, const struct tool_run *run,
          struct tool_lines *lines)
{
    int result = 0;

    while (!tool_lines_is_full(lines) && (result = chunk_fill(r, run)) > 0) {
        const char *line = r->chunk + r->at;
        size_t bytes = line_take(r);

        r->is_binary = r->is_binary || memchr(line, 0, bytes);
        result = tool_lines_push(lines, line, bytes);
        if (result)
            return result;
    }
    return result < 0 ? result : tool_lines_finish(lines);
}

/* All that there are; false: it would take too long. */
static bool
lines_count(struct reading *r, const struct tool_run *run, uint64_t *total)
{
    uint64_t until_ms = clock_now_ms() + COUNT_MS;
    int result;

    while ((result = chunk_fill(r, run)) > 0) {
        line_take(r);
        if (r->at == r->bytes && clock_now_ms() >= until_ms)
            break;
    }
    *total = r->newlines + r->begun;
    return result == 0 && r->at_end;
}

/* --- results */

static int
warning_set(const struct reading *r, json_t *output, bool is_counted,
            uint64_t total)
{
    char text[96];

    if (r->is_over)
        snprintf(text, sizeof(text), "There was no time to read all of it.");
    else if (!is_counted)
        snprintf(text, sizeof(text), "It has too many lines to be counted.");
    else if (total == 0)
        snprintf(text, sizeof(text), "The file is empty.");
    else if (r->first > total)
        snprintf(text, sizeof(text), "The file ends before line %llu.",
                 (unsigned long long) r->first);
    else if (r->is_binary)
        snprintf(text, sizeof(text),
                 "The file is not text: some bytes are shown as '?'.");
    else
        return 0;
    return tool_file_set(output, "warning", json_string(text));
}

/* What is told of the whole; then the rest of the file has been read. */
static int
totals_set(struct reading *r, const struct tool_run *run, json_t *output,
           bool *truncated)
{
    uint64_t after = r->first + r->lines_read;
    uint64_t total;
    bool is_counted = lines_count(r, run, &total);

    *truncated = r->cut_lines > 0 || !is_counted || after <= total;
    int result = tool_file_set(output, "total_lines",
                               is_counted ? json_integer((json_int_t) total)
                                          : json_null());
    if (!result)
        result = tool_file_set(output, "total_bytes",
                               json_integer((json_int_t) r->st.size_bytes));
    if (!result)
        result = tool_file_set(output, "truncated", json_boolean(*truncated));
    return result ? result : warning_set(r, output, is_counted, total);
}

static json_t *
output_make(const char *path, uint64_t lines, uint64_t offset)
{
    return json_pack("{s:s, s:I, s:I}", "file_path", path, "lines_read",
                     (json_int_t) lines, "offset", (json_int_t) offset);
}

/* It may be kept when it is what the file has been for a while. */
static bool
is_settled(const struct reading *r, const struct tool_root *root,
           const char *path)
{
    struct tool_root_stat now;

    return !r->is_over && !tool_root_stat(root, path, strlen(path), &now)
           && tool_root_stat_equal(&now, &r->st)
           && tool_root_stat_is_settled(&now, clock_wall_ms() * 1000000);
}

static enum tool_step
reading_end(struct reading *r, struct tool_run *run,
            const struct tool_root *root, json_t *output)
{
    const char *path = tool_run_text(run, "file_path", NULL);
    struct tool_result result = {.output = output};
    int error =
        output ? totals_set(r, run, output, &result.truncated) : UV_ENOMEM;

    if (!error && r->pages > 0)
        error = tool_file_set(output, "pages", json_integer(r->pages));
    if (error || tool_run_is_cancelled(run)) {
        json_decref(output);
        return error ? tool_file_fail(run, path, error)
                     : tool_file_cancelled(run);
    }
    result.unsettled = !is_settled(r, root, path);
    result.stamp = tool_file_stamp(&r->st);
    tool_run_finish(run, &result);
    return TOOL_STEP_DONE;
}

/* The next lines, at most so many, as text and as numbers. */
static int
page_make(struct reading *r, struct tool_run *run, unsigned most, json_t **page)
{
    const char *path = tool_run_text(run, "file_path", NULL);
    struct tool_lines_config cfg = {
        .first = r->first + r->lines_read,
        .max_lines = r->left < most ? (unsigned) r->left : most,
        .max_chars = TOOL_LIMIT_LINE_CHARS,
        .numbered = true,
    };
    struct tool_lines lines;

    tool_lines_init(&lines, &cfg);
    lines.line = cfg.first; /* those before it are never seen */
    int result = cfg.max_lines ? page_fill(r, run, &lines) : 0;
    if (!result) {
        *page = output_make(path, lines.lines, cfg.first);
        result = *page ? tool_file_set(
                     *page, "content",
                     tool_file_text((char *) lines.text.data, lines.text.bytes))
                       : UV_ENOMEM;
        r->lines_read += lines.lines;
        r->left -= lines.lines;
        r->cut_lines += lines.cut_lines;
    }
    tool_lines_deinit(&lines);
    if (result)
        json_decref(*page);
    return result;
}

/* --- runs */

/* Whether another page is to come. */
static bool
has_more(struct reading *r, const struct tool_run *run)
{
    return r->left > 0 && chunk_fill(r, run) > 0;
}

static enum tool_step
page_step(struct reading *r, struct tool_run *run, const struct tool_root *root)
{
    const char *path = tool_run_text(run, "file_path", NULL);
    json_t *page = NULL;
    int result = 0;

    if (has_more(r, run) || r->pages == 0) {
        result = page_make(r, run, PAGE_LINES, &page);
        if (!result)
            result = tool_file_set(page, "page", json_integer(++r->pages));
        if (!result)
            result = tool_run_page(run, page);
        if (result == UV_ECANCELED)
            return tool_file_cancelled(run);
        return result ? tool_file_fail(run, path, result) : TOOL_STEP_PAGE;
    }
    return reading_end(r, run, root,
                       output_make(path, r->lines_read, r->first));
}

static enum tool_step
whole_step(struct reading *r, struct tool_run *run,
           const struct tool_root *root)
{
    const char *path = tool_run_text(run, "file_path", NULL);
    json_t *output = NULL;
    int result = page_make(r, run, TOOL_LIMIT_FILE_LINES, &output);

    return result ? tool_file_fail(run, path, result)
                  : reading_end(r, run, root, output);
}

/* UV_EISDIR: a directory, which is no reading's. */
static int
reading_begin(struct tool_run *run, const struct tool_root *root,
              struct reading **rp)
{
    size_t bytes;
    const char *path = tool_run_text(run, "file_path", &bytes);
    int64_t first = tool_run_integer(run, "offset", 1);
    struct tool_root_stat st;
    int fd = tool_root_open_file(root, path, bytes, &st);

    if (fd < 0)
        return fd;
    struct reading *r = malloc(sizeof(*r));
    if (!r) {
        close(fd);
        return UV_ENOMEM;
    }
    memset(r, 0, offsetof(struct reading, chunk));
    r->fd = fd;
    r->st = st;
    r->first = first > 1 ? (uint64_t) first : 1;
    r->left = tool_file_number(run, "limit", ALL_LINES, ALL_LINES);
    *rp = r;
    int result = lines_skip(r, run);
    if (result)
        reading_release(r);
    return result;
}

static enum tool_step
read_work(struct tool *tool, struct tool_run *run)
{
    const struct tool_root *root = tool_file_root(tool);
    struct reading *r = run->kept;

    if (tool_run_is_cancelled(run))
        return tool_file_cancelled(run);
    if (!r) {
        int result = reading_begin(run, root, &r);

        if (result == UV_EISDIR)
            return tool_listing_run(run, root);
        if (result)
            return tool_file_fail(run, tool_run_text(run, "file_path", NULL),
                                  result);
        tool_run_keep(run, r, reading_release);
    }
    return run->cfg.wants_pages ? page_step(r, run, root)
                                : whole_step(r, run, root);
}

static int
read_stamp(struct tool *tool, const json_t *arguments, struct tool_stamp *stamp)
{
    const json_t *path = json_object_get(arguments, "file_path");
    struct tool_root_stat st;
    int result = UV_EINVAL;

    if (json_is_string(path))
        result = tool_root_stat(tool_file_root(tool), json_string_value(path),
                                json_string_length(path), &st);
    if (!result)
        *stamp = tool_file_stamp(&st);
    return result;
}

static const struct tool_ops ops = {
    .work = read_work,
    .stamp = read_stamp,
    .destroy = tool_file_destroy,
};

static const struct tool_spec spec = {
    .name = "read_file",
    .description =
        "Reads a text file, or lists a directory. Lines come numbered, 500 at "
        "most at a time and each cut after 1000 characters; total_lines says "
        "how "
        "many there are, offset and limit choose which. Paths are relative to "
        "the working directory.",
    .parameters =
        "{\"type\":\"object\",\"properties\":{"
        "\"file_path\":{\"type\":\"string\",\"minLength\":1,"
        "\"description\":\"The file or directory to read\"},"
        "\"offset\":{\"type\":\"integer\",\"minimum\":1,"
        "\"description\":\"The line to begin with, from 1\"},"
        "\"limit\":{\"type\":\"integer\",\"minimum\":1,"
        "\"description\":\"How many lines to read\"}},"
        "\"required\":[\"file_path\"],\"additionalProperties\":false}",
    .flags = TOOL_READ_ONLY | TOOL_PAGES | TOOL_STAMPED,
    .domain = TOOL_DOMAIN_FILES,
    .ttl_ms = 30000,
    .timeout_ms = 5000,
    .max_bytes = OUTPUT_BYTES,
};

int
tool_read_create(struct tool **tp, const struct tool_file_config *cfg)
{
    return tool_file_create(tp, cfg, &ops, &spec);
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_write.h"

#include "tools/tool_change.h"

static enum tool_step
write_work(struct tool *tool, struct tool_run *run)
{
    size_t path_bytes, bytes;
    const char *path = tool_run_text(run, "file_path", &path_bytes);
    const char *content = tool_run_text(run, "content", &bytes);
    const struct tool_change change = {
        .root = tool_file_root(tool),
        .path = path,
        .path_bytes = path_bytes,
        .text = content,
        .text_bytes = bytes,
        .make_directories = true,
    };
    int result = 0;

    tool_change_lock();
    bool is_cancelled = tool_run_is_cancelled(run);
    if (!is_cancelled)
        result = tool_change_replace(&change);
    tool_change_unlock();
    if (is_cancelled)
        return tool_file_cancelled(run);
    if (result)
        return tool_file_fail(run, path, result);
    tool_run_succeed(run, json_pack("{s:s, s:I}", "file_path", path, "bytes",
                                    (json_int_t) bytes));
    return TOOL_STEP_DONE;
}

static const struct tool_ops ops = {
    .work = write_work,
    .destroy = tool_file_destroy,
};

static const struct tool_spec spec = {
    .name = "write_file",
    .description =
        "Writes a text file: makes it, or replaces all of it. Directories on "
        "the way to it are made. To change a part of a file use edit_file. "
        "Paths "
        "are relative to the working directory.",
    .parameters = "{\"type\":\"object\",\"properties\":{"
                  "\"file_path\":{\"type\":\"string\",\"minLength\":1,"
                  "\"description\":\"The file to write\"},"
                  "\"content\":{\"type\":\"string\","
                  "\"description\":\"All of its new text\"}},"
                  "\"required\":[\"file_path\",\"content\"],"
                  "\"additionalProperties\":false}",
    .domain = TOOL_DOMAIN_FILES,
    .timeout_ms = 10000,
};

int
tool_write_create(struct tool **tp, const struct tool_file_config *cfg)
{
    return tool_file_create(tp, cfg, &ops, &spec);
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_file.h"

#include "base/clock.h"
#include "codec/tool_limits.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* Before the run's deadline: what it takes to say what was found. */
#define RESERVE_MS 500

#define SHOWN_PATH 200 /* bytes, in an error */

/* --- tools */

int
tool_file_create(struct tool **tp, const struct tool_file_config *cfg,
                 const struct tool_ops *ops, const struct tool_spec *spec)
{
    struct tool_file *file = calloc(1, sizeof(*file));

    if (!file)
        return UV_ENOMEM;
    file->root = cfg->root;
    int result = tool_init(&file->tool, ops, spec);
    if (result) {
        free(file);
        return result;
    }
    *tp = &file->tool;
    return 0;
}

void
tool_file_destroy(struct tool *tool)
{
    tool_deinit(tool);
    free(tool);
}

const struct tool_root *
tool_file_root(const struct tool *tool)
{
    return ((const struct tool_file *) tool)->root;
}

/* --- ends */

static const char *
type_of(int error)
{
    switch (error) {
    case UV_ENOENT:
        return "not_found";
    case UV_EXDEV:
    case UV_EACCES:
    case UV_EPERM:
    case UV_EROFS:
        return "denied";
    case UV_EINVAL:
    case UV_ENAMETOOLONG:
    case UV_EISDIR:
    case UV_ENOTDIR:
    case UV_EFTYPE:
    case UV_ELOOP:
        return "invalid_arguments";
    case UV_EFBIG:
        return "too_large";
    case UV_EAGAIN:
    case UV_EMFILE:
    case UV_ENFILE:
        return "unavailable";
    default:
        return "failed";
    }
}

static const char *
text_of(int error)
{
    switch (error) {
    case UV_EFBIG:
        return "The file is too large for this.";
    case UV_ENOSPC:
        return "There is no space left for the file.";
    case UV_EROFS:
        return "The file system takes no changes.";
    case UV_ENOMEM:
        return "The server has no memory left for this.";
    case UV_EBUSY:
        return "The file was changed meanwhile; read it again.";
    default:
        return tool_root_error_text(error);
    }
}

enum tool_step
tool_file_fail(struct tool_run *run, const char *path, int error)
{
    size_t bytes = path ? strlen(path) : 0;
    int shown = (int) tool_limits_cut(path, bytes, SHOWN_PATH);

    if (path)
        tool_run_fail(run, type_of(error), "%.*s%s: %s", shown, path,
                      bytes > SHOWN_PATH ? "…" : "", text_of(error));
    else
        tool_run_fail(run, type_of(error), "%s", text_of(error));
    return TOOL_STEP_DONE;
}

enum tool_step
tool_file_cancelled(struct tool_run *run)
{
    tool_run_fail(run, "cancelled", "The call was cancelled.");
    return TOOL_STEP_DONE;
}

bool
tool_file_is_over(const struct tool_run *run)
{
    uint64_t deadline_ms = run->cfg.deadline_ms;

    return tool_run_is_cancelled(run)
           || (deadline_ms && clock_now_ms() + RESERVE_MS >= deadline_ms);
}

/* --- arguments and results */

unsigned
tool_file_number(const struct tool_run *run, const char *name,
                 unsigned otherwise, unsigned most)
{
    int64_t value = tool_run_integer(run, name, otherwise);

    return value < 0 ? 0 : value > most ? most : (unsigned) value;
}

json_t *
tool_file_text(const char *text, size_t bytes)
{
    if (bytes == 0)
        return json_string("");
    if (tool_limits_is_clean(text, bytes))
        return json_stringn_nocheck(text, bytes);
    char *clean = malloc(bytes + 1);
    if (!clean)
        return NULL;
    memcpy(clean, text, bytes);
    tool_limits_clean(clean, bytes);
    json_t *value = json_stringn_nocheck(clean, bytes);
    free(clean);
    return value;
}

int
tool_file_set(json_t *object, const char *name, json_t *value)
{
    return value && json_object_set_new(object, name, value) == 0 ? 0
                                                                  : UV_ENOMEM;
}

struct tool_stamp
tool_file_stamp(const struct tool_root_stat *st)
{
    return (struct tool_stamp){
        .words = {st->device, st->inode, st->size_bytes,
                  (uint64_t) st->mtime_ns, (uint64_t) st->ctime_ns,
                  st->is_directory ? 2 : 1},
    };
}

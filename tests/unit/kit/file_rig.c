/* SPDX-License-Identifier: BSD-2-Clause */

#include "kit/file_rig.h"

#include "base/clock.h"
#include "codec/tool_schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- the tree */

static unsigned
descriptors_count(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

void
file_rig_init(struct file_rig *rig)
{
    rig->descriptors = descriptors_count();
    snprintf(rig->base, sizeof(rig->base), "/tmp/voice-files-XXXXXX");
    assert_non_null(mkdtemp(rig->base));
    assert_int_equal(mkdir(file_rig_at(rig, "root"), 0755), 0);
    assert_int_equal(tool_root_open(&rig->root, file_rig_at(rig, "root")), 0);
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void) kind;
    (void) ftw;
    if (S_ISDIR(st->st_mode))
        return rmdir(path);
    return unlink(path);
}

void
file_rig_deinit(struct file_rig *rig)
{
    tool_root_close(&rig->root);
    assert_int_equal(descriptors_count(), rig->descriptors);
    assert_int_equal(nftw(rig->base, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

const char *
file_rig_at(const struct file_rig *rig, const char *name)
{
    static char paths[8][8192];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof(*paths), "%s/%s", rig->base, name);
    return path;
}

static void
directories_make(const struct file_rig *rig, const char *name)
{
    char part[4096];

    for (const char *slash = strchr(name, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof(part), "root/%.*s", (int) (slash - name), name);
        assert_true(mkdir(file_rig_at(rig, part), 0755) == 0
                    || errno == EEXIST);
    }
}

void
file_rig_write_bytes(const struct file_rig *rig, const char *name,
                     const void *data, size_t bytes)
{
    char path[4096];

    directories_make(rig, name);
    snprintf(path, sizeof(path), "root/%s", name);
    FILE *file = fopen(file_rig_at(rig, path), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

void
file_rig_write(const struct file_rig *rig, const char *name, const char *text)
{
    file_rig_write_bytes(rig, name, text, strlen(text));
}

char *
file_rig_read(const struct file_rig *rig, const char *name)
{
    char path[4096];
    char *text = calloc(1, 1 << 20);

    snprintf(path, sizeof(path), "root/%s", name);
    FILE *file = fopen(file_rig_at(rig, path), "r");
    assert_non_null(file);
    assert_true(fread(text, 1, (1 << 20) - 1, file) < (1 << 20) - 1);
    fclose(file);
    return text;
}

void
file_rig_age(const struct file_rig *rig, const char *name, int seconds)
{
    static struct timespec begun; /* the same for all: an order holds */
    struct timespec times[2];
    char path[4096];

    snprintf(path, sizeof(path), "root/%s", name);
    if (begun.tv_sec == 0)
        clock_gettime(CLOCK_REALTIME, &begun);
    times[0] = begun;
    times[0].tv_sec -= seconds;
    times[1] = times[0];
    assert_int_equal(utimensat(-1, file_rig_at(rig, path), times, 0), 0);
}

/* --- runs */

struct running {
    const struct file_rig_call *call;
    struct file_rig_result *result;
    struct tool_run run;
    unsigned pages_of_step;
};

static int
on_page(void *arg, json_t *page)
{
    struct running *r = arg;

    assert_true(r->call->wants_pages);
    assert_int_equal(++r->pages_of_step, 1);
    json_array_append_new(r->result->pages, page);
    if (r->call->cancel_after
        && json_array_size(r->result->pages) == r->call->cancel_after)
        tool_run_cancel(&r->run);
    return 0;
}

static void
on_progress(void *arg, double progress, double total, const char *message)
{
    (void) arg;
    (void) progress;
    (void) total;
    (void) message;
}

static void
on_finished(void *arg, struct tool_result *ended)
{
    struct running *r = arg;

    r->result->finished++;
    r->result->output = ended->output;
    r->result->truncated = ended->truncated;
    r->result->unsettled = ended->unsettled;
    r->result->stamp = ended->stamp;
    if (ended->error)
        snprintf(r->result->error, sizeof(r->result->error), "%s",
                 ended->error);
    if (ended->type)
        snprintf(r->result->type, sizeof(r->result->type), "%s", ended->type);
    assert_true(!ended->output == !!ended->error);
}

static const struct tool_run_handlers handlers = {
    .on_page = on_page,
    .on_progress = on_progress,
    .on_finished = on_finished,
};

static json_t *
arguments_of(const char *text)
{
    char *json = strdup(text);
    json_error_t error;

    for (char *at = json; *at; at++)
        if (*at == '\'')
            *at = '"';
    json_t *value = json_loads(json, 0, &error);
    if (!value)
        fail_msg("%s: %s", json, error.text);
    free(json);
    return value;
}

static void
output_check(const struct file_rig_call *call,
             const struct file_rig_result *result)
{
    json_t *value;
    size_t at;

    json_array_foreach(result->pages, at, value) assert_true(
        json_dumpb(value, NULL, 0, 0) <= call->tool->spec.max_bytes);
    if (result->output)
        assert_true(json_dumpb(result->output, NULL, 0, 0)
                    <= call->tool->spec.max_bytes);
}

void
file_rig_run(const struct file_rig_call *call, struct file_rig_result *result)
{
    json_t *arguments = arguments_of(call->arguments);
    struct running r = {.call = call, .result = result};
    const struct tool_run_config cfg = {
        .id = "run_test",
        .tenant = "",
        .session_id = "",
        .arguments = arguments,
        .deadline_ms =
            clock_now_ms() + (call->timeout_ms ? call->timeout_ms : 60000),
        .wants_pages = call->wants_pages,
        .traceparent = "",
    };
    char error[TOOL_SCHEMA_ERROR_BYTES];
    enum tool_step step = TOOL_STEP_PAGE;

    *result = (struct file_rig_result){.pages = json_array()};
    if (tool_schema_check(call->tool->schema, arguments, error))
        fail_msg("%s", error);
    tool_run_init(&r.run, &cfg, &handlers, &r);
    if (call->is_cancelled)
        tool_run_cancel(&r.run);
    while (step == TOOL_STEP_PAGE) {
        r.pages_of_step = 0;
        step = call->tool->ops->work(call->tool, &r.run);
        assert_true((step == TOOL_STEP_DONE) == (result->finished == 1));
    }
    tool_run_deinit(&r.run);
    output_check(call, result);
    json_decref(arguments);
}

void
file_rig_result_deinit(struct file_rig_result *result)
{
    json_decref(result->output);
    json_decref(result->pages);
}

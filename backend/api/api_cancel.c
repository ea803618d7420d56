/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_cancel.h"

#include "api/api_web_app.h"
#include "base/clock.h"
#include "base/log.h"
#include "codec/policy.h"
#include "service/tool_runner.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define BODY_MAX_BYTES  65536
#define NAMES_MAX_BYTES (1u << 20)
#define ENDING_MS       10000 /* what was cancelled at once is gone by then */

enum level { LEVEL_NONE, LEVEL_GRACEFUL, LEVEL_IMMEDIATE };

static const char *const level_names[] = {"none", "graceful", "immediate"};

/* Who has cancelled and still has something running. Few do at a time. */
static struct {
    pthread_mutex_t lock;
    uint64_t clock;
    struct mark {
        char tenant[API_TENANT_BYTES];
        enum level level; /* NONE: the place is free */
        uint64_t at, raised_ms;
    } marks[API_CANCEL_TENANTS];
} marks = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* With the lock. */
static struct mark *
mark_find(const char *tenant)
{
    for (size_t i = 0; i < API_CANCEL_TENANTS; i++) {
        struct mark *mark = &marks.marks[i];

        if (mark->level != LEVEL_NONE && strcmp(mark->tenant, tenant) == 0) {
            return mark;
        }
    }
    return NULL;
}

static struct mark *
mark_place(void)
{
    struct mark *oldest = &marks.marks[0];

    for (size_t i = 0; i < API_CANCEL_TENANTS; i++) {
        struct mark *mark = &marks.marks[i];

        if (mark->level == LEVEL_NONE) {
            return mark;
        }
        if (mark->at < oldest->at) {
            oldest = mark;
        }
    }
    return oldest;
}

/* The level it had before. */
static enum level
mark_raise(const char *tenant, enum level level)
{
    enum level before = LEVEL_NONE;
    struct mark *mark;

    pthread_mutex_lock(&marks.lock);
    mark = mark_find(tenant);
    if (mark != NULL) {
        before = mark->level;
    } else {
        mark = mark_place();
        snprintf(mark->tenant, sizeof(mark->tenant), "%s", tenant);
        mark->at = ++marks.clock;
        mark->level = LEVEL_NONE;
    }
    if (mark->level < level) {
        mark->level = level;
    }
    mark->raised_ms = clock_now_ms();
    pthread_mutex_unlock(&marks.lock);
    return before;
}

/* What there is; nothing once nothing runs. */
static enum level
mark_look(const char *tenant, bool runs)
{
    enum level level = LEVEL_NONE;
    struct mark *mark;

    pthread_mutex_lock(&marks.lock);
    mark = mark_find(tenant);
    if (mark != NULL
        && (!runs
            || (mark->level == LEVEL_IMMEDIATE
                && clock_now_ms() - mark->raised_ms > ENDING_MS))) {
        mark->level = LEVEL_NONE;
    } else if (mark != NULL) {
        level = mark->level;
    }
    pthread_mutex_unlock(&marks.lock);
    return level;
}

/* --- what was asked for */

struct asked {
    bool immediate;
    char session_id[API_ID_BYTES]; /* "": all of the tenant */
};

static const char *
asked_read(struct asked *asked, const json_t *tree)
{
    const json_t *immediate = json_object_get(tree, "immediate");
    const json_t *reason = json_object_get(tree, "reason");
    const json_t *id = json_object_get(tree, "session_id");

    if (!json_is_object(tree)) {
        return "The body must be a JSON object.";
    }
    if (immediate != NULL && !json_is_boolean(immediate)
        && !json_is_null(immediate)) {
        return "immediate must be a boolean.";
    }
    if (reason != NULL && !json_is_string(reason) && !json_is_null(reason)) {
        return "reason must be a string.";
    }
    if (id != NULL && !json_is_null(id)
        && (!json_is_string(id) || json_string_length(id) == 0
            || json_string_length(id) >= API_ID_BYTES)) {
        return "session_id must be the id of a session.";
    }
    asked->immediate = json_is_true(immediate);
    snprintf(asked->session_id, sizeof(asked->session_id), "%s",
             json_is_string(id) ? json_string_value(id) : "");
    return NULL;
}

static bool
body_is_empty(struct gate_request *rq)
{
    const char *body;
    size_t bytes;

    return gate_body(rq, &body, &bytes) == 0 && bytes == 0;
}

/* 0, or `fault` says what is wrong. */
static int
body_read(struct gate_request *rq, struct asked *asked,
          struct api_body_fault *fault)
{
    const char *wrong;
    json_t *tree;
    int err;

    *asked = (struct asked){0};
    if (body_is_empty(rq)) {
        return 0;
    }
    err = api_body_read(rq, BODY_MAX_BYTES, &tree, fault);
    if (err != 0) {
        return err;
    }
    wrong = asked_read(asked, tree);
    json_decref(tree);
    if (wrong == NULL) {
        return 0;
    }
    fault->status = 400;
    fault->code = "invalid_value";
    snprintf(fault->message, sizeof(fault->message), "%s", wrong);
    return UV_EINVAL;
}

/* --- the answers */

/* The array of names that the runner wrote. NULL: no memory. */
static json_t *
names_tree(const struct buffer *names)
{
    return names->bytes > 0
               ? json_loadb((const char *) names->data, names->bytes, 0, NULL)
               : json_array();
}

static void
cancel(struct gate_request *rq, struct api_context *api,
       const struct asked *asked)
{
    const char *tenant = api_tenant(rq);
    const char *session =
        asked->session_id[0] != '\0' ? asked->session_id : NULL;
    enum level level = asked->immediate ? LEVEL_IMMEDIATE : LEVEL_GRACEFUL;
    enum level before = LEVEL_NONE;
    struct buffer names;
    unsigned count;
    json_t *tree;

    buffer_init(&names, NAMES_MAX_BYTES);
    count = tool_runner_cancel(api->tool_runner, tenant, session,
                               asked->immediate, &names);
    if (session == NULL) {
        before = mark_look(tenant, count > 0);
        if (count > 0) {
            mark_raise(tenant, level);
        }
    }
    LOG(INFO, "tools", "event=cancel level=%s count=%u", level_names[level],
        count);
    tree = json_pack("{s:b, s:s, s:o, s:b}", "cancelled", count > 0, "level",
                     level_names[level], "running_tools", names_tree(&names),
                     "was_already_cancelled", before >= level);
    buffer_deinit(&names);
    api_json(rq, 200, &tree);
}

static bool
is_child(const char *name)
{
    static const char *const names[] = {"task", "delegate", "dispatch"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int
count_children(const json_t *names)
{
    const json_t *name;
    int count = 0;
    size_t i;

    json_array_foreach(names, i, name)
    {
        count += json_is_string(name) && is_child(json_string_value(name));
    }
    return count;
}

static void
status(struct gate_request *rq, struct api_context *api)
{
    struct buffer text;
    unsigned count;
    enum level level;
    json_t *names, *tree;
    int children;

    buffer_init(&text, NAMES_MAX_BYTES);
    count = tool_runner_list(api->tool_runner, api_tenant(rq), &text);
    level = mark_look(api_tenant(rq), count > 0);
    names = names_tree(&text);
    children = count_children(names);
    buffer_deinit(&text);
    tree = json_pack("{s:b, s:b, s:s, s:o, s:i}", "is_cancellable", count > 0,
                     "is_cancelled", level != LEVEL_NONE, "level",
                     level_names[level], "running_tools", names,
                     "active_children", children);
    api_json(rq, 200, &tree);
}

/* --- the routes */

void
api_cancel(struct gate_request *rq, struct api_context *api)
{
    struct api_body_fault fault;
    struct asked asked;

    if (body_read(rq, &asked, &fault) == 0) {
        cancel(rq, api, &asked);
    } else {
        api_error(rq, fault.status, fault.code, fault.message, NULL);
    }
}

void
api_cancel_status(struct gate_request *rq, struct api_context *api)
{
    status(rq, api);
}

void
api_cancel_web_app(struct gate_request *rq, struct api_context *api)
{
    const struct policy *policy;
    struct api_body_fault fault;
    struct asked asked;

    if (api_web_app_policy(rq, &policy) != 0) {
        return;
    }
    policy_put(&policy);
    if (body_read(rq, &asked, &fault) == 0) {
        cancel(rq, api, &asked);
    } else {
        api_web_app_error(rq, fault.status, fault.message);
    }
}

void
api_cancel_status_web_app(struct gate_request *rq, struct api_context *api)
{
    const struct policy *policy;

    if (api_web_app_policy(rq, &policy) == 0) {
        policy_put(&policy);
        status(rq, api);
    }
}

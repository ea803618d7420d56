/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/lsp_link.h"

#include "base/buffer.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "codec/lsp_frame.h"
#include "codec/lsp_place.h"
#include "gate/child.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define NO_SUCH_METHOD (-32601) /* JSON-RPC 2.0, 5.1 */

struct lsp_link {
    struct lsp_link_handlers handlers;
    void *arg;
    struct child *child;
    struct loop *loop;
    struct loop_timer *grace; /* while closing */
    struct buffer input;
    json_t *root_uri; /* of the one folder it works on */
    uint64_t last_id;
    bool failed; /* on_end was told, or is being */
    bool closing;
    bool ending; /* on_end is being told: it isn't freed inside */
};

static atomic_uint closing_links;

unsigned
lsp_link_closing(void)
{
    return atomic_load(&closing_links);
}

static void
link_free(struct lsp_link *link)
{
    if (link->closing)
        atomic_fetch_sub(&closing_links, 1);
    child_close(&link->child);
    loop_timer_destroy(&link->grace);
    buffer_deinit(&link->input);
    json_decref(link->root_uri);
    free(link);
}

/* --- out */

/* Takes the message. */
static int
message_send(struct lsp_link *link, json_t *message)
{
    char head[LSP_FRAME_HEAD_ROOM];
    char *body;
    size_t head_bytes, body_bytes, waiting;
    int error = UV_ENOBUFS;

    if (message == NULL)
        return UV_ENOMEM;
    body = json_dumps(message, JSON_COMPACT);
    json_decref(message);
    if (body == NULL)
        return UV_ENOMEM;
    body_bytes = strlen(body);
    head_bytes = lsp_frame_write_head(head, body_bytes);
    waiting = child_waiting_bytes(link->child);
    /* A head without its body would be the end of the stream's sense. */
    if (waiting <= LSP_LINK_QUEUE_MAX
        && body_bytes + head_bytes <= LSP_LINK_QUEUE_MAX - waiting)
        error = child_write(link->child, head, head_bytes);
    if (error == 0)
        error = child_write(link->child, body, body_bytes);
    free(body);
    return error;
}

int
lsp_link_request(struct lsp_link *link, const char *method, json_t *params,
                 uint64_t *id)
{
    if (link->failed) {
        json_decref(params);
        return UV_EPIPE;
    }
    *id = ++link->last_id;
    return message_send(link, json_pack("{s:s, s:I, s:s, s:o}", "jsonrpc",
                                        "2.0", "id", (json_int_t) *id, "method",
                                        method, "params",
                                        params != NULL ? params : json_null()));
}

int
lsp_link_notify(struct lsp_link *link, const char *method, json_t *params)
{
    if (link->failed) {
        json_decref(params);
        return UV_EPIPE;
    }
    return message_send(
        link, json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", method,
                        "params", params != NULL ? params : json_object()));
}

void
lsp_link_cancel(struct lsp_link *link, uint64_t id)
{
    (void) lsp_link_notify(link, "$/cancelRequest",
                           json_pack("{s:I}", "id", (json_int_t) id));
}

/* --- what the server asks of its client */

static json_t *
folders_make(const struct lsp_link *link)
{
    return json_pack("[{s:O, s:s}]", "uri", link->root_uri, "name", "root");
}

/* Settings: none are set. As many as it asked for. */
static json_t *
settings_make(const json_t *params)
{
    size_t count = json_array_size(json_object_get(params, "items"));
    json_t *settings = json_array();

    for (size_t i = 0; i < count && i < 1000; i++)
        json_array_append_new(settings, json_null());
    return settings;
}

static json_t *
result_make(const struct lsp_link *link, const char *method,
            const json_t *params)
{
    static const char *const agreed[] = {
        "client/registerCapability", "client/unregisterCapability",
        "window/workDoneProgress/create", "window/showMessageRequest",
        "workspace/diagnostic/refresh"};

    if (strcmp(method, "workspace/configuration") == 0)
        return settings_make(params);
    if (strcmp(method, "workspace/workspaceFolders") == 0)
        return folders_make(link);
    if (strcmp(method, "workspace/applyEdit") == 0)
        return json_pack("{s:b}", "applied", 0);
    for (size_t i = 0; i < sizeof(agreed) / sizeof(agreed[0]); i++)
        if (strcmp(method, agreed[i]) == 0)
            return json_null();
    return NULL;
}

static void
asked_answer(struct lsp_link *link, const json_t *id, const char *method,
             const json_t *params)
{
    json_t *result = result_make(link, method, params);
    json_t *message;

    if (!json_is_string(id) && !json_is_number(id)) {
        json_decref(result);
        return;
    }
    if (result != NULL)
        message = json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", id,
                            "result", result);
    else
        message = json_pack("{s:s, s:O, s:{s:i, s:s}}", "jsonrpc", "2.0", "id",
                            id, "error", "code", NO_SUCH_METHOD, "message",
                            "not supported by this client");
    (void) message_send(link, message);
}

/* --- in */

static void
link_fail(struct lsp_link *link, const char *why)
{
    if (link->failed || link->closing)
        return;
    link->failed = true;
    link->handlers.on_end(link->arg, why);
}

/* A handler may close the link, which lives until its child has ended. */
static void
message_take(struct lsp_link *link, const json_t *message)
{
    const json_t *id = json_object_get(message, "id");
    const char *method = json_string_value(json_object_get(message, "method"));
    const json_t *params = json_object_get(message, "params");

    if (link->closing)
        return;
    if (method != NULL && id != NULL)
        asked_answer(link, id, method, params);
    else if (method != NULL)
        link->handlers.on_notice(link->arg, method, params);
    else if (json_is_integer(id) && json_integer_value(id) > 0)
        link->handlers.on_answer(link->arg, (uint64_t) json_integer_value(id),
                                 json_object_get(message, "result"),
                                 json_object_get(message, "error"));
}

static void
input_read(struct lsp_link *link)
{
    struct lsp_frame frame;
    long taken = 0;

    while (!link->failed && !link->closing
           && (taken = lsp_frame_read(&frame, (const char *) link->input.data,
                                      link->input.bytes, LSP_LINK_MESSAGE_MAX))
                  > 0) {
        json_t *message =
            json_loadb(frame.body, frame.body_bytes,
                       JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);

        buffer_consume(&link->input, (size_t) taken);
        if (message == NULL) {
            link_fail(link, "it sent what is no JSON");
            return;
        }
        message_take(link, message);
        json_decref(message);
    }
    if (taken == UV_EMSGSIZE)
        link_fail(link, "it sent a message that is too large");
    else if (taken < 0)
        link_fail(link, "it sent what is no LSP message");
}

static void
on_child_output(void *arg, enum child_stream stream, const char *data,
                size_t bytes)
{
    struct lsp_link *link = arg;

    /* Its log goes nowhere: it has pieces of files in it. */
    if (stream != CHILD_OUTPUT || link->failed || link->closing)
        return;
    if (buffer_append(&link->input, data, bytes) != 0)
        link_fail(link, "it sent a message that is too large");
    else
        input_read(link);
}

static void
on_child_exit(void *arg, const struct child_exit *end)
{
    struct lsp_link *link = arg;

    (void) end;
    child_close(&link->child);
    link->ending = true;
    link_fail(link, "it has ended");
    link->ending = false;
    if (link->closing)
        link_free(link);
}

/* --- life */

int
lsp_link_open(struct lsp_link **lp, const struct lsp_link_config *cfg,
              const struct lsp_link_handlers *handlers, void *arg)
{
    static const struct child_handlers child_handlers = {
        .on_output = on_child_output, .on_exit = on_child_exit};
    static const struct child_limit limits[] = {
        {RLIMIT_DATA, LSP_LINK_MEMORY_BYTES}, {RLIMIT_CORE, 0}};
    struct child_config child = {.loop = cfg->loop,
                                 .name = "lsp",
                                 .argv = cfg->argv,
                                 .directory = cfg->directory,
                                 .max_input_bytes = LSP_LINK_QUEUE_MAX,
                                 .limits = limits,
                                 .limit_count = 2,
                                 .nice = 10,
                                 .expendable = true};
    struct lsp_link *link = calloc(1, sizeof(*link));
    char uri[LSP_PLACE_URI_MAX];
    int error;

    if (link == NULL)
        return UV_ENOMEM;
    link->handlers = *handlers;
    link->arg = arg;
    link->loop = cfg->loop;
    buffer_init(&link->input,
                LSP_LINK_MESSAGE_MAX + LSP_FRAME_HEAD_MAX + CHILD_CHUNK_MAX);
    error = lsp_place_uri(uri, sizeof(uri), cfg->directory);
    if (error == 0) {
        link->root_uri = json_string(uri);
        error = link->root_uri == NULL ? UV_ENOMEM : 0;
    }
    if (error == 0)
        error = child_open(&link->child, &child, &child_handlers, link);
    if (error != 0) {
        link_free(link);
        return error;
    }
    *lp = link;
    return 0;
}

static void
on_grace_over(void *arg)
{
    struct lsp_link *link = arg;

    /* on_child_exit follows, and frees. */
    child_end(link->child, 0);
}

/* Shutdown and exit are LSP's way; the end of its stdin says it again. */
void
lsp_link_close(struct lsp_link **lp)
{
    struct lsp_link *link = *lp;
    uint64_t id;

    *lp = NULL;
    if (link == NULL)
        return;
    if (link->child != NULL && !link->failed
        && lsp_link_request(link, "shutdown", NULL, &id) == 0)
        (void) lsp_link_notify(link, "exit", NULL);
    link->closing = true;
    atomic_fetch_add(&closing_links, 1);
    if (link->child == NULL) {
        if (!link->ending)
            link_free(link);
        return;
    }
    child_finish_input(link->child);
    if (link->failed
        || loop_timer_create(&link->grace, link->loop, on_grace_over, link)
               != 0) {
        child_end(link->child, 0);
        return;
    }
    loop_timer_start(link->grace, LSP_LINK_GRACE_MS, 0);
}

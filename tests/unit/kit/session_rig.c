/* SPDX-License-Identifier: BSD-2-Clause */

#include "kit/session_rig.h"

#include "base/log.h"
#include "kit/policy_text.h"
#include "session/session_echo.h"
#include "session/session_up.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define STDIN_RECORD  5
#define STDOUT_RECORD 6
#define END_RECORD    3
#define RECORD_MAX    32768
#define MESSAGE_MAX   (4u << 20)

static void
keep(struct rig_messages *list, unsigned opcode, const void *data, size_t bytes)
{
    struct rig_message *message = &list->items[list->count];

    assert_true(list->count < RIG_MESSAGES);
    message->text = malloc(bytes + 1);
    memcpy(message->text, data, bytes);
    message->text[bytes] = 0;
    message->bytes = bytes;
    message->opcode = (uint8_t) opcode;
    list->count++;
}

static void
drop(struct rig_messages *list)
{
    while (list->count)
        free(list->items[--list->count].text);
}

/* --- the model */

static int
model_send(struct model_link *link, const char *json, size_t bytes)
{
    struct rig_model *model = (struct rig_model *) link;

    assert_false(model->closing);
    if (model->send_result == 0 || model->send_result == UV_EAGAIN)
        keep(&model->got, WS_TEXT, json, bytes);
    return model->send_result;
}

static void
model_pause(struct model_link *link, bool paused)
{
    struct rig_model *model = (struct rig_model *) link;

    assert_false(model->closed);
    model->paused = paused;
}

static void
model_close(struct model_link *link)
{
    struct rig_model *model = (struct rig_model *) link;

    assert_false(model->closed);
    model->closing = true;
}

static const char *
model_name(const struct model_link *link)
{
    (void) link;
    return "rig";
}

static const struct model_link_ops ops = {model_send, model_pause, model_close,
                                          model_name, NULL};

static int
model_open(struct model_link **lp, const struct model_link_config *cfg,
           const struct model_link_handlers *handlers, void *link_arg,
           void *arg)
{
    struct rig_model *model = arg;

    model->opened++;
    if (model->open_result)
        return model->open_result;
    model->link.ops = &ops;
    model->handlers = handlers;
    model->arg = link_arg;
    strncpy(model->asked, cfg->model, sizeof(model->asked) - 1);
    *lp = &model->link;
    return 0;
}

void
rig_model_end(struct rig *rig, uint16_t code, const char *reason)
{
    rig->model.closed = true;
    rig->model.handlers->on_closed(rig->model.arg, code, reason);
    rig_turn(rig);
}

void
rig_say(struct rig *rig, const char *json)
{
    rig->model.handlers->on_event(rig->model.arg, json, strlen(json));
    rig_turn(rig);
}

/* --- the client */

static void
frame_take(struct rig *rig, const struct ws_frame *frame, const uint8_t *data)
{
    uint16_t code;

    assert_true(frame->fin);
    if (frame->opcode == WS_CLOSE) {
        assert_int_equal(
            ws_close_decode(data, (size_t) frame->payload_bytes, &code), 0);
        rig->close_code = code;
        if (frame->payload_bytes > 2)
            memcpy(rig->close_reason, data + 2,
                   (size_t) frame->payload_bytes - 2);
        return;
    }
    keep(&rig->got, frame->opcode, data, (size_t) frame->payload_bytes);
}

static void
frames_take(struct rig *rig)
{
    for (;;) {
        struct ws_frame frame;
        struct ws_decoder decoder = rig->decoder;
        int used = ws_decoder_push(&decoder, rig->frames.data,
                                   rig->frames.bytes, &frame);
        assert_true(used >= 0);
        if (used == 0
            || frame.payload_bytes > rig->frames.bytes - (size_t) used)
            return;
        frame_take(rig, &frame, rig->frames.data + used);
        rig->decoder = decoder;
        buffer_consume(&rig->frames,
                       (size_t) used + (size_t) frame.payload_bytes);
        if (!rig->frames.bytes)
            return;
    }
}

static void
records_take(struct rig *rig)
{
    while (rig->records.bytes >= 8) {
        const uint8_t *head = rig->records.data;
        size_t content = (size_t) head[4] << 8 | head[5];
        size_t all = 8 + content + head[6];
        if (rig->records.bytes < all)
            return;
        assert_int_equal(head[0], 1);
        assert_false(rig->ended);
        if (head[1] == END_RECORD)
            rig->ended = true;
        else if (head[1] == STDOUT_RECORD)
            assert_int_equal(buffer_append(&rig->frames, head + 8, content), 0);
        buffer_consume(&rig->records, all);
        if (rig->frames.bytes)
            frames_take(rig);
    }
}

static bool
client_read(struct rig *rig)
{
    static uint8_t data[65536];

    if (rig->fd < 0 || !rig->reads)
        return false;
    ssize_t n = recv(rig->fd, data, sizeof(data), MSG_DONTWAIT);
    if (n <= 0)
        return false;
    assert_int_equal(buffer_append(&rig->records, data, (size_t) n), 0);
    records_take(rig);
    if (rig->ended) { /* as NGINX does */
        close(rig->fd);
        rig->fd = -1;
    }
    return true;
}

void
rig_turn(struct rig *rig)
{
    for (int quiet = 0; quiet < 4; quiet++) {
        uv_run(loop_uv(rig->loop), UV_RUN_NOWAIT);
        if (rig->model.closing && !rig->model.closed) {
            rig->model.closed = true;
            rig->model.handlers->on_closed(rig->model.arg, 1000, "asked");
        }
        if (client_read(rig))
            quiet = 0;
    }
}

static void
bytes_send(struct rig *rig, const uint8_t *data, size_t bytes)
{
    for (int tries = 0; bytes && tries < 1000; tries++) {
        ssize_t n = send(rig->fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            data += n;
            bytes -= (size_t) n;
        } else {
            rig_turn(rig);
        }
    }
}

void
rig_send_record(struct rig *rig, unsigned type, const void *data, size_t bytes)
{
    uint8_t record[8 + RECORD_MAX] = {
        1, (uint8_t) type, 0, 1, (uint8_t) (bytes >> 8), (uint8_t) bytes};

    assert_true(bytes <= RECORD_MAX);
    if (bytes)
        memcpy(record + 8, data, bytes);
    bytes_send(rig, record, 8 + bytes);
}

void
rig_send_frame(struct rig *rig, unsigned opcode, const void *data, size_t bytes)
{
    uint8_t head[WS_HEADER_MAX];
    const struct ws_frame frame = {
        .opcode = (uint8_t) opcode, .fin = true, .payload_bytes = bytes};
    size_t head_bytes = ws_frame_encode(head, &frame);
    const uint8_t *p = data;

    rig_send_record(rig, STDIN_RECORD, head, head_bytes);
    while (bytes) {
        size_t part = bytes < RECORD_MAX ? bytes : RECORD_MAX;
        rig_send_record(rig, STDIN_RECORD, p, part);
        p += part;
        bytes -= part;
    }
}

void
rig_send(struct rig *rig, const char *text)
{
    rig_send_frame(rig, WS_TEXT, text, strlen(text));
    rig_turn(rig);
}

void
rig_client_close(struct rig *rig, unsigned code)
{
    uint8_t payload[WS_CONTROL_MAX];
    size_t bytes = ws_close_encode(payload, code, "bye", 3);

    rig_send_frame(rig, WS_CLOSE, payload, bytes);
    rig_send_record(rig, STDIN_RECORD, NULL, 0);
    rig_turn(rig);
}

size_t
rig_unread(struct rig *rig)
{
    int bytes = 0;

    ioctl(rig->fd, TIOCOUTQ, &bytes);
    return (size_t) bytes;
}

static void
timer_hurry(uv_handle_t *handle, void *arg)
{
    uint64_t *due_ms = arg;
    uv_timer_t *timer = (uv_timer_t *) handle;

    if (handle->type != UV_TIMER || !uv_is_active(handle))
        return;
    if (*due_ms && uv_timer_get_due_in(timer) <= *due_ms
        && uv_timer_get_due_in(timer) + 2000 > *due_ms)
        *due_ms = 0;
    uv_timer_start(timer, timer->timer_cb, 1, 0);
}

void
rig_hurry(struct rig *rig, uint64_t due_ms)
{
    uv_update_time(loop_uv(rig->loop));
    uv_walk(loop_uv(rig->loop), timer_hurry, &due_ms);
    assert_int_equal(due_ms, 0);
    usleep(3000);
    rig_turn(rig);
}

/* --- the whole */

void
rig_init(struct rig *rig, const char *changes)
{
    char path[] = "/tmp/session-rig-XXXXXX";
    struct log_config log = {.level = LOG_LEVEL_DEBUG,
                             .target = LOG_TARGET_FILE};

    memset(rig, 0, sizeof(*rig));
    int log_fd = mkstemp(path);
    assert_true(log_fd >= 0);
    close(log_fd);
    rig->log_path = strdup(path);
    log.path = rig->log_path;
    assert_int_equal(log_open(&log), 0);
    assert_int_equal(loop_create(&rig->loop, 0), 0);
    assert_int_equal(session_registry_create(&rig->registry, &rig->loop, 1, 2),
                     0);
    buffer_init(&rig->records, 16u << 20);
    buffer_init(&rig->frames, 16u << 20);
    ws_decoder_init(&rig->decoder, WS_MASK_FORBIDDEN, 0);
    rig->policy = policy_of(changes);
    rig->reads = true;
    rig->fd = -1;
}

static int
start(struct rig *rig, int (*start_h)(const struct session_config *))
{
    int fds[2];
    struct session_config cfg = {
        .id = "sess_0123456789ABCDEFGHIJK",
        .tenant = "acme",
        .model = "gpt-realtime",
        .policy = rig->policy,
        .bound_session = rig->bound_session,
        .registry = rig->registry,
        .tool_registry = rig->tools,
        .tool_runner = rig->runner,
        .open_model = model_open,
        .open_model_arg = &rig->model,
        .max_message_bytes = MESSAGE_MAX,
    };

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
    rig->fd = fds[0];
    cfg.fd = fds[1];
    assert_int_equal(session_registry_reserve(rig->registry, &cfg.loop), 0);
    return start_h(&cfg);
}

int
rig_session_start(struct rig *rig)
{
    return start(rig, session_start);
}

void
rig_start(struct rig *rig, const char *changes)
{
    rig_init(rig, changes);
    assert_int_equal(start(rig, session_start), 0);
    rig_turn(rig);
}

void
rig_start_echo(struct rig *rig)
{
    rig_init(rig, "");
    assert_int_equal(start(rig, session_echo_start), 0);
    rig_turn(rig);
}

void
rig_wait_end(struct rig *rig)
{
    rig->reads = true;
    for (int i = 0; i < 500 && session_registry_count(rig->registry); i++) {
        rig_turn(rig);
        usleep(1000);
    }
}

void
rig_stop(struct rig *rig)
{
    rig_wait_end(rig);
    assert_int_equal(session_registry_count(rig->registry), 0);
    assert_int_equal(session_illegal_count(), 0);
    assert_int_equal(session_up_waiting_all(), 0);
    if (rig->fd >= 0)
        close(rig->fd);
    session_registry_destroy(&rig->registry);
    loop_stop(rig->loop);
    loop_destroy(&rig->loop);
    policy_put(&rig->policy);
    policy_cache_clear();
    buffer_deinit(&rig->records);
    buffer_deinit(&rig->frames);
    drop(&rig->got);
    drop(&rig->model.got);
    char *log = rig_log(rig);
    if (strstr(log, "alert"))
        fail_msg("alert in the log: %s", log);
    free(log);
    log_close();
    unlink(rig->log_path);
    free(rig->log_path);
}

static const char *
got(struct rig_messages *list, size_t n, const char *who)
{
    if (n >= list->count)
        fail_msg("%s got %zu messages, not %zu", who, list->count, n + 1);
    return list->items[n].text;
}

const char *
rig_client_got(struct rig *rig, size_t n)
{
    return got(&rig->got, n, "the client");
}

const char *
rig_model_got(struct rig *rig, size_t n)
{
    return got(&rig->model.got, n, "the model");
}

char *
rig_state(struct rig *rig)
{
    char *text = session_registry_list(rig->registry);
    json_t *list = json_loads(text, 0, NULL);
    json_t *state = json_object_get(json_array_get(list, 0), "state");
    char *copy = strdup(json_is_string(state) ? json_string_value(state) : "");

    json_decref(list);
    free(text);
    return copy;
}

char *
rig_log(struct rig *rig)
{
    char *text = calloc(1, 1 << 20);
    int fd = open(rig->log_path, O_RDONLY);

    assert_true(fd >= 0 && read(fd, text, (1 << 20) - 1) >= 0);
    close(fd);
    return text;
}

char *
rig_summary(struct rig *rig)
{
    char *log = rig_log(rig);

    for (int tries = 0; !strstr(log, "session=sess_") && tries < 5000;
         tries++) {
        free(log);
        usleep(1000);
        rig_turn(rig);
        log = rig_log(rig);
    }
    return log;
}

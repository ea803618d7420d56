/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * voiced's end of a session's stream on a loop, fed by a socket in any pieces,
 * against a slow reading of the same bytes: the same messages, round trips and
 * drains, and the same end. What it answers is well-formed; a message that is
 * sent back comes back.
 *
 * First byte: 1 the input is records, else a script of frames; 2 messages are
 * echoed; 4 the input ends (empty STDIN). Then the seed of the pieces.
 */

#include "gate/stream_link.h"

#include "base/log.h"
#include "kit/script.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define MESSAGE_MAX 60000
#define STDIN_TYPE  5
#define STDOUT_TYPE 6
#define END_TYPE    3
#define ABORT_TYPE  2

enum { RECORDS = 1, ECHOES = 2, ENDS = 4 };

static struct {
    struct loop *loop;
    struct stream_link link;
    int peer;
    bool closed, echo;
    unsigned code;
    struct tokens data, controls;
    struct bytes out; /* what came back */
} rig;

/* --- what it hears */

static void
on_message(void *arg, enum stream_opcode opcode, const uint8_t *data,
           size_t bytes)
{
    (void) arg;
    CHECK(!rig.closed && bytes <= MESSAGE_MAX);
    tokens_add(&rig.data, opcode == STREAM_TEXT ? TOKEN_TEXT : TOKEN_BINARY);
    for (size_t i = 0; i < bytes; i++) {
        tokens_add(&rig.data, data[i]);
    }
    tokens_add(&rig.data, TOKEN_END);
    if (rig.echo) {
        stream_link_send(&rig.link, opcode, data, bytes);
    }
}

static void
control_add(unsigned kind, const void *payload, size_t bytes)
{
    tokens_add(&rig.controls, kind);
    for (size_t i = 0; i < bytes; i++) {
        tokens_add(&rig.controls, ((const uint8_t *) payload)[i]);
    }
    tokens_add(&rig.controls, TOKEN_END);
}

static void
on_rtt(void *arg, uint32_t us)
{
    const uint8_t payload[] = {(uint8_t) (us >> 24), (uint8_t) (us >> 16),
                               (uint8_t) (us >> 8), (uint8_t) us};

    (void) arg;
    control_add(TOKEN_PONG, payload, sizeof(payload));
}

static void
on_drain(void *arg, uint32_t ms)
{
    (void) arg;
    control_add(TOKEN_PING, &ms, sizeof(ms));
}

static void
on_closed(void *arg, uint16_t code, const char *reason)
{
    (void) arg;
    CHECK(!rig.closed && strlen(reason) <= WS_REASON_MAX);
    rig.closed = true;
    rig.code = code;
}

static const struct stream_link_handlers handlers = {
    .on_message = on_message,
    .on_rtt = on_rtt,
    .on_drain = on_drain,
    .on_closed = on_closed,
};

/* --- the rig */

static void
turn(void)
{
    uint8_t some[16384];
    ssize_t n;

    uv_run(loop_uv(rig.loop), UV_RUN_NOWAIT);
    while ((n = recv(rig.peer, some, sizeof(some), MSG_DONTWAIT)) > 0) {
        bytes_add(&rig.out, some, (size_t) n);
    }
}

static void
rig_open(unsigned flags)
{
    struct stream_link_config cfg = {.id = "fuzz",
                                     .max_message_bytes = MESSAGE_MAX,
                                     .down_high_bytes = 1 << 20,
                                     .down_max_bytes = 16 << 20};
    int fds[2];

    if (rig.loop == NULL) {
        CHECK(loop_create(&rig.loop, 0) == 0);
        stream_link_set_budget(SIZE_MAX / 2);
    }
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    rig.peer = fds[0];
    rig.closed = false;
    rig.echo = flags & ECHOES;
    rig.code = 0;
    cfg.loop = rig.loop;
    cfg.fd = fds[1];
    CHECK(stream_link_open(&rig.link, &cfg, &handlers, &rig) == 0);
}

static void
feed(const struct bytes *wire, struct dice *dice)
{
    static const uint32_t sizes[] = {2, 30, 1000, 70000};

    for (size_t at = 0; at < wire->count && !rig.closed;) {
        size_t part = 1 + dice_roll(dice, sizes[dice_roll(dice, 4)]);
        ssize_t n;

        part = part < wire->count - at ? part : wire->count - at;
        n = send(rig.peer, wire->data + at, part, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) {
            break;
        }
        at += n > 0 ? (size_t) n : 0;
        turn();
    }
    turn();
    turn();
}

static void
rig_close(void)
{
    /* its last words, then the end of file lets it go */
    for (int i = 0; i < 4; i++) {
        turn();
    }
    close(rig.peer);
    for (int i = 0; i < 100 && !rig.closed; i++) {
        uv_run(loop_uv(rig.loop), UV_RUN_NOWAIT);
    }
    CHECK(rig.closed);
    tokens_free(&rig.data);
    tokens_free(&rig.controls);
    bytes_free(&rig.out);
}

/* --- what it must hear */

struct expected {
    struct records records;
    struct frames frames;
    struct tokens data, controls;
    unsigned code; /* 0: it is open */
};

/* Behind a ping that is no drain, or a pong of another size, all is void. */
static bool
control_read(struct expected *e, const uint16_t *payload, size_t bytes,
             unsigned kind)
{
    uint32_t ms = 0;

    if (kind == TOKEN_PONG) {
        if (bytes != 4) {
            return false;
        }
        tokens_add(&e->controls, kind);
        for (size_t i = 0; i < 4; i++) {
            tokens_add(&e->controls, payload[i]);
        }
        tokens_add(&e->controls, TOKEN_END);
        return true;
    }
    if (bytes < 7 || bytes > 15) {
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        if (i < 6 ? payload[i] != (uint8_t) "drain "[i]
                  : payload[i] < '0' || payload[i] > '9') {
            return false;
        }
        ms = i < 6 ? 0 : ms * 10 + (payload[i] - '0');
    }
    tokens_add(&e->controls, kind);
    for (size_t i = 0; i < sizeof(ms); i++) {
        tokens_add(&e->controls, ((const uint8_t *) &ms)[i]);
    }
    tokens_add(&e->controls, TOKEN_END);
    return true;
}

/* False: one of them ends the session. */
static bool
controls_read(struct expected *e)
{
    const struct tokens *all = &e->frames.controls;
    size_t at = 0, end;

    while (at < all->count) {
        for (end = at + 1; all->items[end] != TOKEN_END; end++) {
        }
        if (!control_read(e, all->items + at + 1, end - at - 1,
                          all->items[at])) {
            return false;
        }
        at = end + 1;
    }
    return true;
}

/* Whole messages only. */
static void
data_read(struct expected *e)
{
    size_t count = e->frames.data.count;

    while (count > 0 && e->frames.data.items[count - 1] != TOKEN_END) {
        count--;
    }
    for (size_t i = 0; i < count; i++) {
        tokens_add(&e->data, e->frames.data.items[i]);
    }
}

static unsigned
code_expected(const struct expected *e)
{
    const struct frames *frames = &e->frames;

    if (frames->end == FRAMES_CLOSED) {
        return frames->close_bytes ? frames->close[0] * 256u + frames->close[1]
                                   : WS_CLOSE_NOT_GIVEN;
    }
    if (frames->end != 0) {
        return frames->end == WS_CLOSE_TOO_BIG ? frames->end
                                               : WS_CLOSE_PROTOCOL_ERROR;
    }
    if (e->records.end == RECORDS_BAD) {
        return WS_CLOSE_PROTOCOL_ERROR;
    }
    return e->records.end == RECORDS_ENDED ? WS_CLOSE_LOST : 0;
}

/* --- a run */

static void
wire_make(struct bytes *wire, unsigned flags, struct dice *dice,
          struct input input)
{
    static const struct script_rules rules = {.limit = 100000};
    struct bytes frames = {.data = NULL};

    if (flags & RECORDS) {
        bytes_add(wire, input.data, input.left);
    } else {
        script_frames(&frames, input, &rules);
        script_records(wire, dice, STDIN_TYPE, 0, &frames);
        bytes_free(&frames);
    }
    if (flags & ENDS) {
        script_record(wire, STDIN_TYPE, "", 0, 0);
    }
}

/* STDIN up to its end or an ABORT. */
static void
expected_read(struct expected *e, const struct bytes *wire)
{
    static const struct records_rules records = {.type = STDIN_TYPE,
                                                 .last = STDIN_TYPE,
                                                 .other = ABORT_TYPE,
                                                 .other_ends = true,
                                                 .hasty = true};
    static const struct frames_rules frames = {.any_text = true,
                                               .message_max = MESSAGE_MAX};

    memset(e, 0, sizeof(*e));
    records_read(&e->records, &records, wire->data, wire->count);
    frames_read(&e->frames, &frames, e->records.content.data,
                e->records.content.count);
    data_read(e);
    e->code = code_expected(e);
}

static void
answer_check(const struct expected *e, unsigned flags)
{
    static const struct records_rules records = {.type = STDOUT_TYPE,
                                                 .last = END_TYPE};
    static const struct frames_rules frames = {.any_text = true};
    struct records back;
    struct frames said;

    records_read(&back, &records, rig.out.data, rig.out.count);
    frames_read(&said, &frames, back.content.data, back.content.count);
    CHECK(back.end != RECORDS_BAD && said.end <= FRAMES_CLOSED);
    CHECK(back.aligned && !back.partial && !said.partial);
    CHECK(back.end != RECORDS_ENDED || back.used == rig.out.count);
    /* whoever went without a Close is not told anything */
    CHECK(e->code == 0 || e->code == WS_CLOSE_LOST || back.end == RECORDS_ENDED
          || e->frames.end == FRAMES_CLOSED);
    if (flags & ECHOES) {
        CHECK(tokens_begin_with(&rig.data, &said.data));
        CHECK(said.data.count == rig.data.count || e->code != 0);
    }
    records_free(&back);
    frames_free(&said);
}

static void
heard_check(struct expected *e)
{
    if (!controls_read(e)) {
        /* Where among the messages it stood was not written down. */
        CHECK(tokens_begin_with(&e->data, &rig.data));
        CHECK(tokens_begin_with(&rig.controls, &e->controls));
        e->code = WS_CLOSE_PROTOCOL_ERROR;
        return;
    }
    CHECK(tokens_begin_with(&e->data, &rig.data));
    CHECK(rig.data.count == e->data.count);
    CHECK(tokens_begin_with(&rig.controls, &e->controls));
    CHECK(rig.controls.count == e->controls.count);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct input input = {data, bytes};
    struct bytes wire = {.data = NULL};
    struct expected e;
    struct dice dice;
    static const struct log_config quiet = {.level = LOG_LEVEL_ALERT};
    unsigned flags = input_byte(&input), code;

    CHECK(rig.loop != NULL || log_open(&quiet) == 0);
    dice_init(&dice, input_number(&input, 2));
    wire_make(&wire, flags, &dice, input);
    bytes_add(&wire, NULL, 0);
    expected_read(&e, &wire);
    rig_open(flags);
    feed(&wire, &dice);
    heard_check(&e);
    answer_check(&e, flags);
    code = e.code;
    rig_close();
    /* with us gone an open session is lost */
    CHECK(rig.code == (code != 0 ? code : WS_CLOSE_LOST));
    bytes_free(&wire);
    records_free(&e.records);
    frames_free(&e.frames);
    tokens_free(&e.data);
    tokens_free(&e.controls);
    return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/stream_link.h"

#include "codec/ws_frame.h"
#include "kit/fcgi_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STDIN_TYPE 5
#define ABORT_TYPE 2

/* One link, its loop run by hand, and what its handlers heard: "T:text",
 * "B:3", "rtt 7", "drain 9", "writable", "closed 1000 reason". */
static struct {
    struct loop *loop;
    struct stream_link memory;
    struct stream_link *link;
    int peer;
    char heard[4096];
    size_t message_bytes;
    uint8_t sum;
    int messages;
    bool closed, echo, close_at_message;
} rig;

static void
hear(const char *fmt, ...)
{
    size_t used = strlen(rig.heard);
    va_list args;

    va_start(args, fmt);
    vsnprintf(rig.heard + used, sizeof(rig.heard) - used, fmt, args);
    va_end(args);
}

static void
on_message(void *arg, enum stream_opcode opcode, const uint8_t *data,
           size_t bytes)
{
    (void) arg;
    rig.messages++;
    rig.message_bytes = bytes;
    for (size_t i = 0; i < bytes; i++) {
        rig.sum = (uint8_t) (rig.sum * 31 + data[i]);
    }
    if (bytes < 40) {
        hear("%c:%.*s|", opcode == STREAM_TEXT ? 'T' : 'B', (int) bytes,
             (const char *) data);
    }
    if (rig.echo) {
        assert_int_equal(stream_link_send(rig.link, opcode, data, bytes), 0);
    }
    if (rig.close_at_message) {
        stream_link_close(rig.link, 1000, "enough");
    }
}

static void
on_rtt(void *arg, uint32_t us)
{
    (void) arg;
    hear("rtt %u|", us);
}

static void
on_drain(void *arg, uint32_t ms)
{
    (void) arg;
    hear("drain %u|", ms);
}

static void
on_writable(void *arg)
{
    (void) arg;
    hear("writable|");
}

static void
on_drained(void *arg)
{
    (void) arg;
    assert_false(stream_link_is_stalled(rig.link));
    hear("drained|");
}

static void
on_closed(void *arg, uint16_t code, const char *reason)
{
    assert_ptr_equal(arg, &rig);
    hear("closed %u %s|", code, reason);
    rig.closed = true;
}

static const struct stream_link_handlers handlers = {
    .on_message = on_message,
    .on_rtt = on_rtt,
    .on_drain = on_drain,
    .on_writable = on_writable,
    .on_drained = on_drained,
    .on_closed = on_closed,
};

static void
turn(int times)
{
    while (times-- > 0) {
        uv_run(loop_uv(rig.loop), UV_RUN_NOWAIT);
    }
}

static void
rig_start(void)
{
    struct stream_link_config cfg = {.id = "sess_test",
                                     .max_message_bytes = 1 << 20,
                                     .down_high_bytes = 100000,
                                     .down_max_bytes = 1 << 20};
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    memset(&rig, 0, sizeof(rig));
    assert_int_equal(loop_create(&rig.loop, 0), 0);
    rig.peer = fds[0];
    cfg.loop = rig.loop;
    cfg.fd = fds[1];
    rig.link = &rig.memory;
    assert_int_equal(stream_link_open(rig.link, &cfg, &handlers, &rig), 0);
}

static void
rig_stop(void)
{
    close(rig.peer);
    for (int i = 0; i < 100 && !rig.closed; i++) {
        turn(1);
    }
    assert_true(rig.closed);
    loop_destroy(&rig.loop);
    stream_link_set_budget(256u << 20);
}

static void
put_frame(struct fcgi_bytes *to, bool fin, uint8_t opcode, const void *data,
          size_t bytes)
{
    uint8_t head[WS_HEADER_MAX];
    const struct ws_frame frame = {
        .payload_bytes = bytes, .opcode = opcode, .fin = fin};

    fcgi_put(to, head, ws_frame_encode(head, &frame));
    fcgi_put(to, data, bytes);
}

/* The frames inside records of `step` content bytes. */
static void
put_records(struct fcgi_bytes *to, const struct fcgi_bytes *frames, size_t step)
{
    for (size_t at = 0; at < frames->bytes;) {
        size_t left = frames->bytes - at;
        size_t part = left < step ? left : step;

        fcgi_put_record(to, STDIN_TYPE, frames->data + at, part);
        at += part;
    }
}

static void
feed(const struct fcgi_bytes *wire, size_t step)
{
    for (size_t at = 0; at < wire->bytes;) {
        size_t left = wire->bytes - at;
        size_t part = left < step ? left : step;
        ssize_t n = send(rig.peer, wire->data + at, part, MSG_DONTWAIT);

        at += n > 0 ? (size_t) n : 0;
        turn(1);
    }
    turn(3);
}

static void
feed_frames(struct fcgi_bytes *frames)
{
    struct fcgi_bytes wire = {0};

    put_records(&wire, frames, 60000);
    feed(&wire, 1 << 20);
    fcgi_free(&wire);
    fcgi_free(frames);
}

static void
feed_record(unsigned type, const char *content)
{
    struct fcgi_bytes wire = {0};

    fcgi_put_record(&wire, type, content, strlen(content));
    feed(&wire, 1 << 20);
    fcgi_free(&wire);
}

static const char script_heard[] =
    "T:hello|B:ab|rtt 66051|T:onetwothree|drain 600000|T:|"
    "closed 1000 bye|";

static void
put_script(struct fcgi_bytes *frames)
{
    put_frame(frames, true, WS_TEXT, "hello", 5);
    put_frame(frames, true, WS_BINARY, "ab", 2);
    put_frame(frames, true, WS_PONG, "\x00\x01\x02\x03", 4);
    put_frame(frames, false, WS_TEXT, "one", 3);
    put_frame(frames, false, WS_CONTINUATION, "", 0);
    put_frame(frames, false, WS_CONTINUATION, "two", 3);
    put_frame(frames, true, WS_CONTINUATION, "three", 5);
    put_frame(frames, true, WS_PING, "drain 600000", 12);
    put_frame(frames, true, WS_TEXT, "", 0);
    put_frame(frames, true, WS_CLOSE,
              "\x03\xe8"
              "bye",
              5);
}

static void
play_script(size_t record, size_t step)
{
    struct fcgi_bytes frames = {0}, wire = {0};

    rig_start();
    put_script(&frames);
    put_records(&wire, &frames, record);
    fcgi_put_record(&wire, STDIN_TYPE, "", 0);
    feed(&wire, step);
    turn(3);
    assert_string_equal(rig.heard, script_heard);
    fcgi_free(&frames);
    fcgi_free(&wire);
    rig_stop();
}

static void
test_every_split(void **state)
{
    struct fcgi_bytes frames = {0};
    size_t bytes;

    (void) state;
    put_script(&frames);
    bytes = frames.bytes;
    fcgi_free(&frames);
    for (size_t record = 1; record <= bytes; record++) {
        play_script(record, 1 << 20);
    }
    for (size_t step = 1; step < 40; step++) {
        play_script(7, step);
        play_script(1000, step);
    }
}

static void
test_sizes_echo_back(void **state)
{
    static const size_t sizes[] = {0,     1,     125,   126,    127,   65520,
                                   65528, 65535, 65536, 131072, 300000};
    struct fcgi_bytes frames = {0}, out = {0};
    uint8_t *data = malloc(300000);

    (void) state;
    for (size_t i = 0; i < 300000; i++) {
        data[i] = (uint8_t) (i * 7);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct fcgi_bytes want = {0};
        int big = 1 << 20;

        rig_start();
        rig.echo = true;
        setsockopt(rig.peer, SOL_SOCKET, SO_RCVBUF, &big, sizeof(big));
        put_frame(&frames, true, WS_BINARY, data, sizes[i]);
        put_frame(&want, true, WS_BINARY, data, sizes[i]);
        feed_frames(&frames);
        while (out.bytes < want.bytes) {
            fcgi_read(rig.peer, &out, out.bytes + 1);
            turn(3);
        }
        assert_int_equal(out.bytes, want.bytes);
        assert_memory_equal(out.data, want.data, want.bytes);
        assert_int_equal(rig.messages, 1);
        fcgi_free(&out);
        fcgi_free(&want);
        rig_stop();
    }
    free(data);
}

static void
expect_broken(const void *bytes, size_t count, const char *heard)
{
    struct fcgi_bytes frames = {0}, out = {0};

    rig_start();
    fcgi_put(&frames, bytes, count);
    feed_frames(&frames);
    assert_true(fcgi_read(rig.peer, &out, 0));
    assert_int_equal(out.bytes, 0);
    fcgi_free(&out);
    rig_stop();
    assert_string_equal(rig.heard, heard);
}

static void
test_protocol_errors(void **state)
{
    (void) state;
    expect_broken("\x81\x81xxxxa", 7, "closed 1002 bad WebSocket frame|");
    expect_broken("\xc1\x01x", 3, "closed 1002 bad WebSocket frame|");
    expect_broken("\x80\x01x", 3, "closed 1002 bad WebSocket frame|");
    expect_broken("\x8a\x7e\x01\x00", 4, "closed 1002 bad WebSocket frame|");
    expect_broken("\x89\x05hello", 7, "closed 1002 ping is not a drain|");
    expect_broken("\x89\x07"
                  "drain x",
                  9, "closed 1002 ping is not a drain|");
    expect_broken("\x8a\x03xxx", 5, "closed 1002 pong is not 4 bytes|");
    expect_broken("\x88\x01x", 3, "closed 1002 bad close frame|");
}

/* Pings are "drain <ms>" and nothing else; one inside a message is heard. */
static void
test_drain_notices(void **state)
{
    static const char *const bad[] = {
        "",          "drain",     "drain ",          "drain -1",
        "drain 1 ",  " drain 1",  "Drain 1",         "drain 0x1",
        "drain 1.5", "drain1000", "drain 1234567890"};
    struct fcgi_bytes frames = {0};

    (void) state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put_frame(&frames, true, WS_PING, bad[i], strlen(bad[i]));
        expect_broken(frames.data, frames.bytes,
                      "closed 1002 ping is not a drain|");
        fcgi_free(&frames);
    }
    rig_start();
    put_frame(&frames, true, WS_PING, "drain 0", 7);
    put_frame(&frames, false, WS_TEXT, "one", 3);
    put_frame(&frames, true, WS_PING, "drain 999999999", 15);
    put_frame(&frames, true, WS_CONTINUATION, "two", 3);
    feed_frames(&frames);
    assert_string_equal(rig.heard, "drain 0|drain 999999999|T:onetwo|");
    rig_stop();
}

static void
test_ends(void **state)
{
    struct fcgi_bytes frames = {0};

    (void) state;
    rig_start();
    feed_record(ABORT_TYPE, "");
    rig_stop();
    assert_string_equal(rig.heard, "closed 1006 aborted|");
    rig_start();
    feed_record(STDIN_TYPE, "");
    rig_stop();
    assert_string_equal(rig.heard, "closed 1006 no close frame|");
    rig_start();
    rig_stop();
    assert_string_equal(rig.heard, "closed 1006 connection lost|");
    rig_start();
    put_frame(&frames, true, WS_CLOSE, "", 0);
    feed_frames(&frames);
    feed_record(STDIN_TYPE, "");
    rig_stop();
    assert_string_equal(rig.heard, "closed 1005 |");
    rig_start();
    feed_record(4, "x");
    rig_stop();
    assert_string_equal(rig.heard,
                        "closed 1002 not the expected FastCGI record|");
    rig_start();
    assert_int_equal(write(rig.peer, "HTTP/1.1 200", 12), 12);
    turn(3);
    rig_stop();
    assert_string_equal(rig.heard,
                        "closed 1002 not the expected FastCGI record|");
}

static void
test_close_says_code_then_ends(void **state)
{
    struct fcgi_bytes out = {0};

    (void) state;
    rig_start();
    stream_link_send(rig.link, STREAM_TEXT, "last", 4);
    stream_link_close(rig.link, 1013, "busy");
    stream_link_close(rig.link, 1000, "second");
    assert_int_equal(stream_link_send(rig.link, STREAM_TEXT, "x", 1), UV_EPIPE);
    assert_string_equal(rig.heard, "");
    turn(2);
    assert_true(fcgi_read(rig.peer, &out, 0));
    assert_int_equal(out.bytes, 6 + 8);
    assert_memory_equal(out.data,
                        "\x81\x04last\x88\x06\x03\xf5"
                        "busy",
                        14);
    fcgi_free(&out);
    rig_stop();
    assert_string_equal(rig.heard, "closed 1013 busy|");
}

static void
test_close_inside_handler(void **state)
{
    struct fcgi_bytes frames = {0};

    (void) state;
    rig_start();
    rig.close_at_message = true;
    put_frame(&frames, false, WS_TEXT, "a", 1);
    put_frame(&frames, true, WS_CONTINUATION, "b", 1);
    put_frame(&frames, true, WS_TEXT, "c", 1);
    feed_frames(&frames);
    rig_stop();
    assert_string_equal(rig.heard, "T:ab|closed 1000 enough|");
}

static void
test_too_big(void **state)
{
    struct fcgi_bytes frames = {0};
    char half[600000];

    (void) state;
    memset(half, 'x', sizeof(half));
    rig_start();
    fcgi_put(&frames, "\x82\x7f\x00\x00\x00\x00\x00\x10\x00\x01", 10);
    feed_frames(&frames);
    rig_stop();
    assert_string_equal(rig.heard, "closed 1009 message too big|");
    rig_start();
    put_frame(&frames, false, WS_TEXT, half, sizeof(half));
    put_frame(&frames, true, WS_CONTINUATION, half, sizeof(half));
    feed_frames(&frames);
    rig_stop();
    assert_string_equal(rig.heard, "closed 1009 message too big|");
}

static void
test_budget(void **state)
{
    struct fcgi_bytes frames = {0};
    char part[50000];

    (void) state;
    memset(part, 'x', sizeof(part));
    for (int i = 0; i < 3; i++) {
        rig_start();
        stream_link_set_budget(100000);
        put_frame(&frames, false, WS_TEXT, part, sizeof(part));
        feed_frames(&frames);
        assert_string_equal(rig.heard, "");
        put_frame(&frames, false, WS_CONTINUATION, part, sizeof(part));
        put_frame(&frames, true, WS_CONTINUATION, part, sizeof(part));
        feed_frames(&frames);
        rig_stop();
        assert_string_equal(rig.heard,
                            "closed 1013 too much is being received|");
    }
}

static void
test_backpressure(void **state)
{
    struct fcgi_bytes out = {0};
    struct stream_link_stats stats;
    char message[10000];
    size_t sent = 0;
    int err;

    (void) state;
    memset(message, 'm', sizeof(message));
    rig_start();
    while ((err = stream_link_send(rig.link, STREAM_BINARY, message,
                                   sizeof(message)))
           == 0) {
        sent++;
        if (sent % 8 == 0) {
            turn(1);
        }
        assert_true(sent < 10000);
    }
    assert_int_equal(err, UV_ENOBUFS);
    assert_true(stream_link_is_full(rig.link));
    assert_true(stream_link_is_stalled(rig.link));
    assert_true(stream_link_queued_bytes(rig.link) <= (1 << 20) + 10100);
    usleep(2000);
    while (out.bytes < sent * (sizeof(message) + 4)) {
        fcgi_read(rig.peer, &out, out.bytes + 1);
        turn(2);
    }
    assert_int_equal(stream_link_queued_bytes(rig.link), 0);
    assert_string_equal(rig.heard, "writable|drained|");
    for (size_t i = 0; i < sent; i++) {
        const uint8_t *at = out.data + i * (sizeof(message) + 4);

        assert_memory_equal(at, "\x82\x7e\x27\x10", 4);
        assert_memory_equal(at + 4, message, sizeof(message));
    }
    stream_link_get_stats(rig.link, &stats);
    assert_int_equal(stats.down_messages, sent);
    assert_true(stats.stall_us >= 2000);
    fcgi_free(&out);
    rig_stop();
}

/* A peer that goes while we are blocked in the middle of a record. */
static void
test_lost_while_blocked(void **state)
{
    char message[10000] = {0};

    (void) state;
    rig_start();
    while (stream_link_send(rig.link, STREAM_BINARY, message, sizeof(message))
           == 0) {
    }
    feed_record(ABORT_TYPE, "");
    rig_stop();
    assert_string_equal(rig.heard, "closed 1006 aborted|");
}

static void
test_pause(void **state)
{
    struct fcgi_bytes frames = {0};

    (void) state;
    rig_start();
    stream_link_pause(rig.link, true);
    put_frame(&frames, true, WS_TEXT, "a", 1);
    feed_frames(&frames);
    assert_string_equal(rig.heard, "");
    stream_link_pause(rig.link, true);
    stream_link_pause(rig.link, false);
    turn(2);
    assert_string_equal(rig.heard, "T:a|");
    rig_stop();
}

/* Many small sends of one turn are one or two writes, in order. */
static void
test_batch(void **state)
{
    struct fcgi_bytes out = {0};
    char text[16];

    (void) state;
    rig_start();
    turn(1);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "%03d", i);
        assert_int_equal(stream_link_send(rig.link, STREAM_TEXT, text, 3), 0);
    }
    assert_true(stream_link_queued_bytes(rig.link) >= 99 * 16);
    turn(1);
    assert_int_equal(stream_link_queued_bytes(rig.link), 0);
    fcgi_read(rig.peer, &out, 500);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "\x81\x03%03d", i);
        assert_memory_equal(out.data + i * 5, text, 5);
    }
    fcgi_free(&out);
    rig_stop();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_sizes_echo_back),
        cmocka_unit_test(test_protocol_errors),
        cmocka_unit_test(test_drain_notices),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_close_says_code_then_ends),
        cmocka_unit_test(test_close_inside_handler),
        cmocka_unit_test(test_too_big),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_lost_while_blocked),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

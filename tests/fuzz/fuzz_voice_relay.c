/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A session of the module between two fake sockets: what a client and an
 * upstream send, in any pieces, while the other side takes any pieces, with
 * timers and ends at any moment.
 *
 *   client bytes ─► relay, up ─► records of frames ─┐
 *        └──────► read the slow way ◄── must agree ─┘        and the other way
 *
 * Held: what comes out is well-formed and says what went in, a beginning of it
 * while the session was cut short, all of it when both sides are quiet; bad
 * input ends with its close code; nothing follows an end; a flood, a full
 * socket or a lost wake-up leaves nothing undelivered; every session ends, and
 * keeps no memory.
 */

#include "kit/voice_nginx.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define STREAM_MAX  80000 /* some blocks of the module */
#define STEPS       300
#define STEPS_QUIET 20000

enum {
    CLIENT_RAW = 1,
    PEER_RAW = 2,
    PEER_ENDS = 4, /* with END_REQUEST */
    LOSSES = 8,    /* a side may vanish */
    TIMES = 16,    /* timers run */
    NARROW = 32,   /* sockets take little */
    CUT_READS = 64,
    PONGS = 128 /* our pings are answered */
};

struct run {
    struct fake_session s;
    unsigned flags;
    bool cut; /* a side vanished, or timers may have ended it */
    bool deflate, client_takeover, server_takeover;
    uint8_t server_bits;
};

/* --- the two streams */

/* As the client's side of the session is to be read. */
static struct frames_rules
from_client(const struct run *run)
{
    return (struct frames_rules){.masked = true,
                                 .inflate = run->deflate,
                                 .takeover = run->client_takeover,
                                 .message_max = run->s.conf.max_message_size};
}

static struct frames_rules
to_client(const struct run *run)
{
    return (struct frames_rules){.any_text = true,
                                 .inflate = run->deflate,
                                 .takeover = run->server_takeover,
                                 .bits = run->server_bits};
}

static void
client_make(struct run *run, struct input part)
{
    const ngx_http_voice_deflate_t *df = run->s.ctx->deflate;
    const struct script_rules rules = {.masked = true,
                                       .deflate = df != NULL,
                                       .takeover = df && df->client_takeover,
                                       .limit = STREAM_MAX};

    if (run->flags & CLIENT_RAW) {
        bytes_add(&run->s.client.in, part.data, part.left);
    } else {
        script_frames(&run->s.client.in, part, &rules);
    }
}

static void
peer_make(struct run *run, struct input part)
{
    static const struct script_rules rules = {.limit = STREAM_MAX};
    struct bytes frames = {.data = NULL};

    if (run->flags & PEER_RAW) {
        bytes_add(&run->s.peer.in, part.data, part.left);
    } else {
        script_frames(&frames, part, &rules);
        script_records(&run->s.peer.in, &run->s.dice, NGX_HTTP_VOICE_STDOUT,
                       NGX_HTTP_VOICE_STDERR, &frames);
        bytes_free(&frames);
    }
    if (run->flags & PEER_ENDS) {
        script_record(&run->s.peer.in, NGX_HTTP_VOICE_END_REQUEST,
                      "\0\0\0\0\0\0\0", 8, 0);
    }
}

/* Answers the last ping, unless the client is within a frame. */
static void
pong_add(struct run *run)
{
    const struct frames_rules sent_by = from_client(run);
    const struct frames_rules got_by = to_client(run);
    struct fake_socket *client = &run->s.client;
    struct frames sent, got;
    uint8_t pong[6] = {0x8a, 0x80};
    size_t at;

    frames_read(&sent, &sent_by, client->in.data, client->in.count);
    frames_read(&got, &got_by, client->out.data, client->out.count);
    if (sent.end == 0 && !sent.partial) {
        for (at = got.controls.count; at > 0; at--) {
            if (got.controls.items[at - 1] == TOKEN_PING) {
                break;
            }
        }
        if (at > 0) {
            pong[1] |= NGX_HTTP_VOICE_PING_SIZE;
            bytes_add(&client->in, pong, 6);
            for (size_t i = 0; i < NGX_HTTP_VOICE_PING_SIZE; i++) {
                bytes_put(&client->in, got.controls.items[at + i]);
            }
        }
    }
    frames_free(&sent);
    frames_free(&got);
}

/* --- what happens */

static size_t
some(struct run *run)
{
    static const uint32_t sizes[] = {3, 20, 200, 5000, 40000, 200000};

    return 1 + dice_roll(&run->s.dice, sizes[dice_roll(&run->s.dice, 6)]);
}

static void
rare_step(struct run *run)
{
    struct fake_session *s = &run->s;

    switch (dice_roll(&s->dice, 5)) {
    case 0:
        if (run->flags & TIMES) {
            run->cut = true;
            fake_session_wait(s, dice_roll(&s->dice, 30000));
        }
        return;
    case 1:
        if (run->flags & LOSSES && dice_roll(&s->dice, 4) == 0) {
            run->cut = true;
            fake_end(dice_roll(&s->dice, 2) ? &s->client : &s->peer,
                     dice_roll(&s->dice, 2));
        }
        return;
    case 2:
        if (run->flags & TIMES) {
            run->cut = true;
            fake_session_wait_timer(s);
        }
        return;
    case 3:
        if (run->flags & TIMES && dice_roll(&s->dice, 4) == 0) {
            run->cut = true;
            fake_session_drain(s);
        }
        return;
    default:
        if (run->flags & PONGS && s->client.arrived == s->client.in.count) {
            pong_add(run);
        }
    }
}

static void
step(struct run *run)
{
    struct fake_session *s = &run->s;

    switch (dice_roll(&s->dice, 8)) {
    case 0:
    case 1:
        fake_arrive(&s->client, some(run));
        return;
    case 2:
    case 3:
        fake_arrive(&s->peer, some(run));
        return;
    case 4:
        fake_widen(dice_roll(&s->dice, 2) ? &s->client : &s->peer, some(run));
        return;
    case 5:
        rare_step(run);
        return;
    default:
        fake_session_turn(s);
    }
}

/* All there is arrives, and all that comes is taken. */
static void
settle(struct run *run)
{
    struct fake_session *s = &run->s;
    int steps = 0;

    fake_arrive(&s->client, SIZE_MAX);
    fake_arrive(&s->peer, SIZE_MAX);
    fake_widen(&s->client, SIZE_MAX);
    fake_widen(&s->peer, SIZE_MAX);
    while (fake_session_turn(s)) {
        CHECK(++steps < STEPS_QUIET);
    }
}

/* The client goes; what is left are timers. */
static void
finish(struct run *run)
{
    int steps = 0;

    if (!run->s.client.closed) {
        fake_end(&run->s.client, false);
        settle(run);
    }
    while (run->s.ctx != NULL) {
        CHECK(++steps < 50);
        CHECK(fake_session_wait_timer(&run->s));
        settle(run);
    }
}

/* --- what must be true */

/* Of the first, the second has a part in the same order. */
static void
pongs_check(const struct tokens *asked, const struct tokens *seen, bool all)
{
    size_t at = 0;

    for (size_t i = 0; i < seen->count; i++) {
        if (seen->items[i] != TOKEN_PONG) {
            continue;
        }
        for (;; at++) {
            size_t n = 1;

            CHECK(at < asked->count);
            if (asked->items[at] != TOKEN_PING) {
                continue;
            }
            while (asked->items[at + n] == seen->items[i + n]
                   && seen->items[i + n] != TOKEN_END) {
                n++;
            }
            if (asked->items[at + n] == seen->items[i + n]) {
                at++;
                break;
            }
        }
    }
    for (; all && at < asked->count; at++) {
        CHECK(asked->items[at] != TOKEN_PING);
    }
}

struct verdict {
    struct records to_peer, from_peer;
    struct frames up, up_seen, down, down_seen;
    bool open;
};

static void
verdict_read(struct verdict *v, struct run *run)
{
    static const struct records_rules to_peer = {
        .type = NGX_HTTP_VOICE_STDIN,
        .last = NGX_HTTP_VOICE_STDIN,
        .other = NGX_HTTP_VOICE_ABORT_REQUEST};
    static const struct records_rules from_peer = {
        .type = NGX_HTTP_VOICE_STDOUT,
        .last = NGX_HTTP_VOICE_END_REQUEST,
        .other = NGX_HTTP_VOICE_STDERR};
    static const struct frames_rules plain = {.any_text = true};
    const struct frames_rules sent_by = from_client(run);
    const struct frames_rules got_by = to_client(run);
    struct fake_session *s = &run->s;

    records_read(&v->to_peer, &to_peer, s->peer.out.data, s->peer.out.count);
    records_read(&v->from_peer, &from_peer, s->peer.in.data, s->peer.taken);
    frames_read(&v->up, &sent_by, s->client.in.data, s->client.taken);
    frames_read(&v->up_seen, &plain, v->to_peer.content.data,
                v->to_peer.content.count);
    frames_read(&v->down, &plain, v->from_peer.content.data,
                v->from_peer.content.count);
    frames_read(&v->down_seen, &got_by, s->client.out.data,
                s->client.out.count);
    v->open = s->ctx != NULL && s->ctx->phase == ngx_http_voice_open;
}

static void
verdict_free(struct verdict *v)
{
    records_free(&v->to_peer);
    records_free(&v->from_peer);
    frames_free(&v->up);
    frames_free(&v->up_seen);
    frames_free(&v->down);
    frames_free(&v->down_seen);
}

/* Well-formed, with nothing behind an end. */
static void
form_check(struct run *run, struct verdict *v)
{
    CHECK(v->to_peer.end != RECORDS_BAD && v->to_peer.aligned);
    CHECK(v->up_seen.end <= FRAMES_CLOSED && v->down_seen.end <= FRAMES_CLOSED);
    CHECK(v->to_peer.end != RECORDS_ENDED
          || v->to_peer.used == run->s.peer.out.count);
    CHECK(v->up_seen.end == 0 || v->up_seen.used == v->to_peer.content.count);
    CHECK(v->down_seen.end == 0
          || v->down_seen.used == run->s.client.out.count);
    CHECK(v->to_peer.others == 0 || v->to_peer.others == 1);
    CHECK(v->to_peer.others == 0 || v->to_peer.end == RECORDS_ENDED
          || v->to_peer.partial || run->cut);
    if (!v->to_peer.partial) {
        CHECK(!v->up_seen.partial);
    }
    if (!run->cut) {
        CHECK(!v->down_seen.partial);
    }
    /* an upstream that ended is not written to any more */
    if (!run->cut && v->from_peer.end == RECORDS_OPEN && v->down.end == 0) {
        CHECK(!v->to_peer.partial);
    }
}

/* Tokens that the client must have got: while a message is being compressed,
 * none of it. */
static size_t
owed(const struct run *run, const struct frames *down)
{
    size_t count = down->sure;

    while (run->deflate && count > 0
           && down->data.items[count - 1] != TOKEN_END) {
        count--;
    }
    return count;
}

/* In an open session all that came has gone on. */
static void
open_check(struct run *run, struct verdict *v)
{
    CHECK(run->s.client.taken == run->s.client.in.count);
    CHECK(run->s.peer.taken == run->s.peer.in.count);
    CHECK(v->up.end == 0 && v->down.end == 0);
    CHECK(v->up.data.count == v->up_seen.data.count);
    CHECK(v->down_seen.data.count >= owed(run, &v->down));
    CHECK(v->down_seen.end == 0 && v->up_seen.end == 0);
    CHECK(v->from_peer.end == RECORDS_OPEN);
    CHECK(run->s.ctx->up.block == NULL && run->s.ctx->down.block == NULL);
}

static unsigned
code_of(const struct frames *frames)
{
    CHECK(frames->end == FRAMES_CLOSED);
    return frames->close_bytes ? frames->close[0] * 256u + frames->close[1]
                               : 1005;
}

static void
same_close(const struct frames *one, const struct frames *two)
{
    CHECK(one->end == FRAMES_CLOSED && two->end == FRAMES_CLOSED);
    CHECK(one->close_bytes == two->close_bytes);
    CHECK(memcmp(one->close, two->close, one->close_bytes) == 0);
}

/* Of what is wrong with one piece of inflated data either may be said. */
static void
code_check(struct verdict *v)
{
    unsigned code = code_of(&v->down_seen);

    CHECK(code == v->up.end
          || (v->up.packed && (code == 1007 || code == 1009)
              && (v->up.end == 1007 || v->up.end == 1009)));
}

/* Ended by the client alone, or by the upstream alone: both hear why. */
static void
end_check(struct run *run, struct verdict *v)
{
    bool up = v->up.end != 0;
    bool down = v->down.end != 0 || v->from_peer.end != RECORDS_OPEN;

    CHECK(up || down);
    CHECK(v->down_seen.end == FRAMES_CLOSED);
    if (!down) {
        CHECK(v->up_seen.data.count >= v->up.sure);
        CHECK(v->to_peer.end == RECORDS_ENDED && v->to_peer.others == 0);
        same_close(&v->up_seen, &v->down_seen);
        if (v->up.end == FRAMES_CLOSED) {
            same_close(&v->up, &v->down_seen);
        } else {
            code_check(v);
        }
    } else if (!up) {
        CHECK(v->down_seen.data.count >= owed(run, &v->down));
        if (v->down.end == FRAMES_CLOSED) {
            same_close(&v->down, &v->down_seen);
        } else {
            CHECK(code_of(&v->down_seen) == 1011);
        }
    }
}

static void
check(struct run *run)
{
    struct verdict v;

    verdict_read(&v, run);
    form_check(run, &v);
    CHECK(tokens_begin_with(&v.up.data, &v.up_seen.data));
    CHECK(tokens_begin_with(&v.down.data, &v.down_seen.data));
    pongs_check(&v.up.controls, &v.down_seen.controls, v.open);
    if (v.open) {
        open_check(run, &v);
    } else if (!run->cut) {
        end_check(run, &v);
    }
    verdict_free(&v);
}

/* --- a run */

/* 0-2 the offer, 3-4 least length, 5 takeover, 6-7 level */
static void
offer_make(struct run *run, unsigned byte)
{
    static const char *const offers[] = {
        NULL,
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=9",
        "permessage-deflate; server_max_window_bits=12; "
        "client_max_window_bits=10",
        "x-webkit-deflate-frame",
    };
    static const size_t least[] = {1, 20, 1000, 20000};
    static const ngx_int_t levels[] = {1, 3, 6, 9};
    const ngx_http_voice_deflate_t *df;

    run->s.conf.deflate_min_length = least[byte >> 3 & 3];
    run->s.conf.deflate_takeover = byte >> 5 & 1;
    run->s.conf.deflate_level = levels[byte >> 6];
    if (offers[byte & 7] != NULL) {
        fake_session_offer(&run->s, offers[byte & 7]);
    }
    df = run->s.ctx->deflate;
    run->deflate = df != NULL;
    run->client_takeover = df && df->client_takeover;
    run->server_takeover = df && df->server_takeover;
    run->server_bits = df ? df->server_bits : 0;
}

static void
prepare(struct run *run, struct input *input)
{
    struct fake_session *s = &run->s;
    size_t message_max, first;

    run->flags = input_byte(input);
    run->cut = false;
    fake_session_init(s, input_number(input, 3));
    message_max = input_number(input, 2);
    first = input_number(input, 2);
    offer_make(run, input_byte(input));
    if (message_max > 0) {
        s->conf.max_message_size = message_max * 4;
    } else if (run->deflate) {
        /* what inflates without end is slow to read */
        s->conf.max_message_size = 150000;
    }
    client_make(run, input_part(input, first));
    peer_make(run, *input);
    s->conf.drain_timeout = 1000 + dice_roll(&s->dice, 30000);
    s->client.cut_reads = s->peer.cut_reads = run->flags & CUT_READS;
    if (run->flags & NARROW) {
        s->client.window = some(run);
        s->peer.window = some(run);
    }
    if (run->flags & TIMES) {
        s->conf.idle_timeout = dice_roll(&s->dice, 3) * 7000;
        s->conf.max_session = dice_roll(&s->dice, 3) * 40000;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct run run;
    struct input input = {data, bytes};

    prepare(&run, &input);
    fake_session_open(&run.s, dice_roll(&run.s.dice, 3) ? 0 : some(&run) % 1024,
                      dice_roll(&run.s.dice, 3) ? 0 : some(&run) % 4096);
    for (int i = 0; i < STEPS && run.s.ctx != NULL; i++) {
        step(&run);
    }
    settle(&run);
    while (run.s.ctx != NULL && run.s.ctx->phase == ngx_http_voice_close
           && !run.s.ctx->close_sent && !run.s.ctx->client_gone) {
        /* a Close that waits for the upstream's last words */
        CHECK(fake_session_wait_timer(&run.s));
        settle(&run);
    }
    check(&run);
    if (run.s.ctx != NULL) {
        run.cut = true;
        finish(&run);
        check(&run);
    }
    fake_session_deinit(&run.s);
    return 0;
}

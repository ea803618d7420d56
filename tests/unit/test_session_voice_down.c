/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The down direction against a clock of the test's own and a player that has
 * a delay, plays in real time while it has something, and reports:
 *
 *   feed ─► session_voice_down ─► on_send ─► (way, half of rtt) ─► player
 *                    ▲ played ◄── (way back) ◄── its place ───────────┘
 */

#include "session/session_voice_down.h"

#include "codec/pcm_text.h"
#include "codec/voice_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACKETS_MAX 400000
#define EVENTS_MAX  64
#define NEVER       UINT64_MAX

struct seen {
    uint64_t now_ms;
    uint32_t timestamp;
    uint16_t sequence;
    uint8_t flags;
    unsigned ms;
    uint16_t bytes;
};

struct world {
    struct session_voice_down *down;
    uint64_t now;
    int refuse; /* what send says, 0 takes */
    struct seen *packets;
    size_t count;
    char events[EVENTS_MAX][64];
    uint64_t event_ms[EVENTS_MAX];
    size_t event_count;
    struct opus_voice_decoder *decoder;
    struct pcm_text_writer writer; /* of the feed */
    uint32_t phase;
    bool quiet;
    size_t runs; /* by the clock */
    /* the player */
    unsigned way_ms;  /* one way */
    size_t delivered; /* packets */
    uint64_t place, end;
    uint64_t cleared_ms; /* when the clear arrives; 0: none under way */
    bool is_cleared, frozen;
    double slow; /* of its clock, share */
    double owed;
};

static struct world *w;

static int
on_send(void *arg, const uint8_t *message, size_t bytes)
{
    struct voice_packet packet;
    struct seen *seen;

    assert_ptr_equal(arg, w);
    if (w->refuse != 0)
        return w->refuse;
    assert_int_equal(voice_packet_read(&packet, message, bytes), 0);
    assert_true(w->count < PACKETS_MAX);
    seen = &w->packets[w->count++];
    *seen = (struct seen){
        .now_ms = w->now,
        .timestamp = packet.timestamp,
        .sequence = packet.sequence,
        .flags = packet.flags,
        .bytes = (uint16_t) packet.body_bytes,
        .ms =
            (unsigned) opus_voice_packet_samples(packet.body, packet.body_bytes)
            / 24,
    };
    return 0;
}

static void
event_note(const char *what, const char *id)
{
    assert_true(w->event_count < EVENTS_MAX);
    w->event_ms[w->event_count] = w->now;
    snprintf(w->events[w->event_count++], sizeof w->events[0], "%s %s", what,
             id);
}

static void
on_started(void *arg, const char *id)
{
    (void) arg;
    event_note("started", id);
}

static void
on_stopped(void *arg, const char *id)
{
    (void) arg;
    event_note("stopped", id);
}

static const struct session_voice_down_handlers handlers = {on_send, on_started,
                                                            on_stopped};

static struct session_voice_down_config
config_of(void)
{
    return (struct session_voice_down_config){.opus = {.frame_ms = 20,
                                                       .bitrate_bps = 24000,
                                                       .complexity = 0,
                                                       .loss_percent = 5,
                                                       .fec = true}};
}

static void
world_make(const struct session_voice_down_config *cfg)
{
    w = calloc(1, sizeof *w);
    w->packets = calloc(PACKETS_MAX, sizeof *w->packets);
    w->now = 1000000;
    assert_int_equal(session_voice_down_create(&w->down, cfg, &handlers, w), 0);
}

static int
setup(void **state)
{
    struct session_voice_down_config cfg = config_of();

    (void) state;
    world_make(&cfg);
    return 0;
}

static int
teardown(void **state)
{
    (void) state;
    session_voice_down_destroy(&w->down);
    free(w->packets);
    free(w);
    return 0;
}

/* One millisecond of the player. */
static void
player_step(void)
{
    while (w->delivered < w->count
           && w->packets[w->delivered].now_ms + w->way_ms <= w->now) {
        struct seen *s = &w->packets[w->delivered++];
        uint64_t at = s->timestamp / 48;

        if (w->is_cleared && !(s->flags & VOICE_PACKET_START))
            continue; /* was under way when it was cleared */
        if (w->is_cleared || at > w->end)
            w->place = at < w->end ? w->place : at;
        w->is_cleared = false;
        w->end = at + s->ms;
    }
    if (w->cleared_ms > 0 && w->now >= w->cleared_ms) {
        w->is_cleared = true;
        w->cleared_ms = 0;
        w->end = w->place;
    }
    w->owed += 1 - w->slow;
    if (w->owed < 1)
        return;
    w->owed -= 1;
    if (w->place < w->end && !w->frozen)
        w->place++;
}

static void
run_for(uint64_t ms)
{
    for (uint64_t end = w->now + ms; w->now < end;) {
        w->now++;
        player_step();
        if (session_voice_down_due(w->down) <= w->now) {
            w->runs++;
            session_voice_down_run(w->down, w->now);
        }
        assert_true(session_voice_down_due(w->down) > w->now);
    }
}

static struct realtime_span
span_of(const char *text)
{
    return (struct realtime_span){text, strlen(text)};
}

static struct session_voice_part
part_of(const char *response, const char *item)
{
    return (struct session_voice_part){.response_id = span_of(response),
                                       .item_id = span_of(item)};
}

/* A buzz that a speech encoder likes. */
static void
samples_make(int16_t *pcm, size_t samples)
{
    for (size_t i = 0; i < samples; i++, w->phase++) {
        uint32_t tooth = w->phase * 37 % 200;

        pcm[i] = w->quiet ? 0
                          : (int16_t) ((int) (tooth * 40) - 4000
                                       + (int) (w->phase / 2400 % 3) * 500);
    }
}

static int
push_samples(const struct session_voice_part *part, size_t samples)
{
    int16_t *pcm = malloc(samples * 2 + 2);
    char *text = malloc(pcm_text_chars_max(samples) + 8);
    struct pcm_text_writer writer = {0};
    size_t chars = 1;
    int err;

    samples_make(pcm, samples);
    text[0] = '"';
    chars += pcm_text_push(&writer, text + chars, pcm, samples);
    chars += pcm_text_end(&writer, text + chars);
    text[chars++] = '"';
    err = session_voice_down_push(w->down, part,
                                  (struct realtime_span){text, chars}, w->now);
    free(text);
    free(pcm);
    return err;
}

static int
push_ms(const char *response, const char *item, unsigned ms)
{
    struct session_voice_part part = part_of(response, item);

    return push_samples(&part, (size_t) ms * 24);
}

static void
done(const char *response)
{
    session_voice_down_response_done(w->down, span_of(response), w->now);
}

static struct session_voice_down_counts
counts(void)
{
    struct session_voice_down_counts c;

    session_voice_down_get_counts(w->down, &c);
    return c;
}

/* All in order, nothing missing, START on the first alone. */
static void
packets_check(size_t from, unsigned ms)
{
    for (size_t i = from; i < w->count; i++) {
        const struct seen *s = &w->packets[i];

        assert_int_equal(s->flags & VOICE_PACKET_START,
                         i == from ? VOICE_PACKET_START : 0);
        assert_int_equal(s->ms, ms);
        if (i == from)
            continue;
        assert_int_equal((uint16_t) (s[-1].sequence + 1), s->sequence);
        assert_int_equal(s[-1].timestamp + ms * 48, s->timestamp);
    }
}

/* By nobody's report: never more than the target ahead of real time. */
static void
pace_check(size_t from, unsigned target)
{
    uint64_t clock = 0, at = 0;

    for (size_t i = from; i < w->count; i++) {
        const struct seen *s = &w->packets[i];
        uint64_t place = s->timestamp / 48;

        clock = i == from ? place : clock + s->now_ms - at;
        at = s->now_ms;
        if (clock > place)
            clock = place;
        assert_true(place + s->ms <= clock + target);
    }
}

static void
test_fast(void **state)
{
    size_t at_once;

    (void) state;
    assert_int_equal(push_ms("\"r1\"", "\"i1\"", 200), 0);
    at_once = w->count; /* what the target lets out, in the same call */
    assert_int_equal(at_once, 7);
    assert_string_equal(w->events[0], "started r1");
    for (int i = 1; i < 50; i++) {
        run_for(40);
        assert_int_equal(push_ms("\"r1\"", "\"i1\"", 200), 0);
    }
    done("\"r1\"");
    assert_true(session_voice_down_is_playing(w->down, w->now));
    run_for(12000);
    assert_int_equal(w->count, 500);
    packets_check(0, 20);
    pace_check(0, 150);
    /* two at a time, more or less; and nothing is late for the player */
    assert_true(w->runs < 300);
    for (size_t i = 0; i < w->count; i++)
        assert_true(w->packets[i].now_ms <= 1000000 + 20 * i);
    assert_int_equal(w->event_count, 2);
    assert_string_equal(w->events[1], "stopped r1");
    assert_true(w->event_ms[1] >= 1000000 + 10000);
    assert_true(w->event_ms[1] <= 1000000 + 10000 + 170);
    assert_false(session_voice_down_is_playing(w->down, w->now));
    run_for(20000);
    assert_true(session_voice_down_due(w->down) == NEVER);
}

static void
test_real_time(void **state)
{
    (void) state;
    for (unsigned i = 0; i < 500; i++) {
        assert_int_equal(push_ms("\"r\"", "\"i\"", 20), 0);
        assert_int_equal(w->count, i + 1); /* in the same call */
        assert_true(session_voice_down_due(w->down) == NEVER);
        run_for(20);
    }
    packets_check(0, 20);
    assert_int_equal(w->runs, 0);
}

/* The model is late and early by turns. */
static void
test_jitter(void **state)
{
    (void) state;
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(push_ms("\"r\"", "\"i\"", 50), 0);
        run_for(i % 2 ? 90 : 10);
    }
    done("\"r\"");
    run_for(1000);
    assert_int_equal(w->count, 750);
    packets_check(0, 20);
    pace_check(0, 150);
}

static void
test_targets(void **state)
{
    static const unsigned targets[] = {20, 40, 80, 150, 300, 500, 1000};

    (void) state;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        size_t from = w->count;
        char id[16];

        snprintf(id, sizeof id, "\"r%zu\"", i);
        session_voice_down_set_target(w->down, targets[i], w->now);
        assert_int_equal(push_ms(id, "\"i\"", 3000), 0);
        done(id);
        run_for(5000);
        assert_int_equal(w->count - from, 150);
        packets_check(from, 20);
        pace_check(from, targets[i]);
        for (size_t k = from; k < w->count && targets[i] >= 40; k++)
            assert_true(w->packets[k].now_ms
                        <= w->packets[from].now_ms + 20 * (k - from));
    }
}

static void
test_ten_ms(void **state)
{
    struct session_voice_down_config cfg = config_of();

    cfg.opus.frame_ms = 10;
    teardown(state);
    world_make(&cfg);
    assert_int_equal(push_ms("\"r\"", "\"i\"", 500), 0);
    run_for(200);
    packets_check(0, 10);
    cfg.opus.frame_ms = 20;
    cfg.opus.bitrate_bps = 16000;
    cfg.opus.fec = false;
    assert_int_equal(session_voice_down_configure(w->down, &cfg.opus), 0);
    cfg.opus.frame_ms = 30;
    assert_int_equal(session_voice_down_configure(w->down, &cfg.opus),
                     UV_EINVAL);
    done("\"r\"");
    run_for(2000);
    assert_int_equal(w->packets[w->count - 1].ms, 20);
    assert_true(w->packets[w->count - 1].timestamp / 48 + 20 >= 500);
    for (size_t i = 1; i < w->count; i++)
        assert_int_equal(w->packets[i].timestamp,
                         w->packets[i - 1].timestamp
                             + w->packets[i - 1].ms * 48);
}

/* What does not fill a frame waits, for its end or until nothing is left. */
static void
test_partial(void **state)
{
    struct session_voice_part part = part_of("\"r\"", "\"i\"");
    size_t count;

    (void) state;
    assert_int_equal(push_samples(&part, 500), 0);
    assert_int_equal(w->count, 1);
    run_for(10);
    session_voice_down_part_done(w->down, &part, w->now);
    assert_int_equal(w->count, 2);
    part.content_index = 1;
    assert_int_equal(push_samples(&part, 100), 0);
    assert_int_equal(w->count, 2);
    run_for(200); /* the model stalls */
    assert_int_equal(w->count, 3);
    packets_check(0, 20);
    for (int i = 0; i < 100; i++) { /* 10 ms at a time */
        assert_int_equal(push_samples(&part, 240), 0);
        run_for(10);
    }
    count = w->count;
    assert_in_range(count, 3 + 49, 3 + 51);
    done("\"r\"");
    run_for(1000);
    packets_check(0, 20);
    assert_int_equal(w->event_count, 2);
    /* nothing at all */
    done("\"none\"");
    part = part_of("\"r2\"", "\"i2\"");
    assert_int_equal(push_samples(&part, 0), 0);
    done("\"r2\"");
    run_for(1000);
    assert_int_equal(w->event_count, 2);
}

static int
push_text(const char *text)
{
    struct session_voice_part part = part_of("\"t\"", "\"i\"");

    return session_voice_down_push(w->down, &part, span_of(text), w->now);
}

static void
test_texts(void **state)
{
    static const char *const bad[] = {
        "",           "\"",         "AAAA",           "\"AAA\"",   "\"AA=A\"",
        "\"A*AA\"",   "\"\\nAAA\"", "\"\\u00e4AAA\"", "\"\\u00\"", "\"AAA\\",
        "\"AAAA\\\"", "\"AAA \"",   "null",           "12"};
    char text[4 + 2 * 1280];
    size_t at = 0;

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(push_text(bad[i]), UV_EINVAL);
    assert_int_equal(counts().refused, sizeof bad / sizeof *bad);
    assert_int_equal(w->count, 0);
    assert_int_equal(push_text("\"\""), 0);
    /* 959 bytes and one more: an odd byte waits for its other half */
    text[at++] = '"';
    memset(text + at, '/', 1276);
    at += 1276;
    memcpy(text + at, "//8=\"", 6);
    assert_int_equal(push_text(text), 0);
    assert_int_equal(w->count, 0);
    assert_int_equal(push_text("\"/w==\""), 0);
    assert_int_equal(w->count, 1);
    /* the same with escapes */
    at = 1;
    for (int i = 0; i < 640; i++, at += 3)
        memcpy(text + at, i % 2 ? "\\/B" : "C\\/", 3);
    memcpy(text + at, "\"", 2);
    run_for(20);
    assert_int_equal(push_text(text), 0);
    assert_int_equal(w->count, 2);
    assert_int_equal(push_text("\"\\u002b\\u002Bab\""), 0);
    /* garbage behind a lot that is good leaves nothing */
    {
        size_t chars = 400000;
        char *big = malloc(chars + 3);

        memset(big, 'A', chars + 2);
        big[0] = big[chars + 1] = '"';
        big[chars + 2] = 0;
        big[chars - 6] = '!';
        assert_int_equal(push_text(big), UV_EINVAL);
        big[chars - 6] = 'A';
        big[12800] = '=';
        assert_int_equal(push_text(big), UV_EINVAL);
        free(big);
    }
    done("\"t\"");
    run_for(1000);
    assert_int_equal(w->count, 3);
}

/* Silence is not sent, and takes its time. */
static void
test_dtx(void **state)
{
    struct session_voice_down_config cfg = config_of();
    struct voice_track track = {0};
    struct voice_track_news news;
    size_t rests = 0, silent = 0;

    cfg.opus.dtx = true;
    teardown(state);
    world_make(&cfg);
    assert_int_equal(push_ms("\"r\"", "\"i\"", 1000), 0);
    w->quiet = true;
    assert_int_equal(push_ms("\"r\"", "\"i\"", 2000), 0);
    w->quiet = false;
    assert_int_equal(push_ms("\"r\"", "\"i\"", 1000), 0);
    done("\"r\"");
    run_for(6000);
    assert_true(w->count < 190);
    for (size_t i = 0; i < w->count; i++) {
        struct voice_packet p = {.flags = w->packets[i].flags,
                                 .sequence = w->packets[i].sequence,
                                 .timestamp = w->packets[i].timestamp};

        voice_track_take(&track, &p, w->packets[i].ms * 48, &news);
        rests += (p.flags & VOICE_PACKET_REST) != 0;
        silent += news.rest_48k;
        assert_int_equal(news.lost_packets, 0);
    }
    assert_int_equal(track.restarts, 0);
    assert_true(rests >= 1);
    assert_int_equal(silent / 960 + w->count, 200);
    pace_check(0, 150);
    assert_int_equal(w->event_count, 2);
}

/* Held for a while: what is late waits, and what is very late is gone. */
static void
test_stall(void **state)
{
    struct voice_track track = {0};
    struct voice_track_news news;
    uint64_t lost = 0;
    size_t before;

    (void) state;
    assert_int_equal(push_ms("\"r\"", "\"i\"", 20000), 0);
    done("\"r\"");
    run_for(1000);
    before = w->count;
    w->refuse = UV_EAGAIN;
    run_for(1000);
    assert_int_equal(w->count, before);
    w->refuse = 0;
    session_voice_down_resume(w->down, w->now);
    run_for(1000);
    packets_check(0, 20);
    assert_int_equal(counts().dropped_packets, 0);
    w->refuse = UV_EAGAIN;
    run_for(5000);
    before = w->count;
    w->refuse = 0;
    session_voice_down_resume(w->down, w->now);
    assert_true(w->count > before);
    run_for(20000);
    assert_in_range(counts().dropped_packets, 140, 160);
    assert_int_equal(w->count + counts().dropped_packets, 1000);
    for (size_t i = 0; i < w->count; i++) {
        struct voice_packet p = {.flags = w->packets[i].flags,
                                 .sequence = w->packets[i].sequence,
                                 .timestamp = w->packets[i].timestamp};

        voice_track_take(&track, &p, 960, &news);
        lost += track.restarts ? 0 : news.lost_packets;
        if (i > 0)
            assert_int_equal(
                (uint16_t) (p.sequence - w->packets[i - 1].sequence) * 960,
                p.timestamp - w->packets[i - 1].timestamp);
    }
    assert_int_equal(w->packets[w->count - 1].timestamp, 999 * 960);
    assert_string_equal(w->events[1], "stopped r");
}

/* A model in real time goes on meanwhile: two seconds are kept, no more. */
static void
test_stall_real_time(void **state)
{
    (void) state;
    for (int i = 0; i < 400; i++) {
        if (i == 50)
            w->refuse = UV_EAGAIN;
        if (i == 300) {
            w->refuse = 0;
            session_voice_down_resume(w->down, w->now);
        }
        assert_int_equal(push_ms("\"r\"", "\"i\"", 20), 0);
        run_for(20);
    }
    done("\"r\"");
    run_for(5000);
    assert_in_range(counts().dropped_packets, 140, 152);
    assert_int_equal(w->count + counts().dropped_packets, 400);
    /* a stall in which nothing is said takes nothing away */
    w->refuse = UV_EAGAIN;
    assert_int_equal(push_ms("\"q\"", "\"i\"", 1000), 0);
    run_for(60000);
    assert_int_equal(push_ms("\"q\"", "\"i\"", 1000), 0);
    w->refuse = 0;
    session_voice_down_resume(w->down, w->now);
    done("\"q\"");
    run_for(5000);
    assert_int_equal(w->count + counts().dropped_packets, 500);
    assert_in_range(counts().dropped_packets, 140, 152);
}

static void
test_pause(void **state)
{
    size_t before;

    (void) state;
    assert_int_equal(push_ms("\"r\"", "\"i\"", 5000), 0);
    done("\"r\"");
    run_for(1000);
    before = w->count;
    session_voice_down_pause(w->down, true, w->now);
    run_for(30000);
    assert_int_equal(w->count, before);
    assert_int_equal(w->event_count, 1);
    assert_true(session_voice_down_is_playing(w->down, w->now));
    session_voice_down_pause(w->down, true, w->now);
    session_voice_down_pause(w->down, false, w->now);
    assert_int_equal(w->count, before + 7);
    run_for(10000);
    assert_int_equal(w->count, 250);
    packets_check(before, 20);
    assert_int_equal(w->packets[before].timestamp, before * 960);
    assert_int_equal(counts().dropped_packets, 0);
    assert_int_equal(w->event_count, 2);
}

/* The client's word on what it is at, as it arrives here. */
static uint64_t
player_report(uint64_t ms)
{
    uint64_t place = w->place;

    run_for(ms);
    return place;
}

/*
 * Interrupted at any moment, over any way, with and without reports: the item
 * is cut where the player was, within 40 ms; and exactly there by its word.
 */
static void
clear_case(unsigned way, bool reports, unsigned random)
{
    struct session_voice_cut cut;
    uint64_t truth, last = w->now, first;
    size_t from = w->count;
    char id[16];
    const unsigned length = 300 + random % 3000;

    w->way_ms = way;
    w->event_count = 0;
    snprintf(id, sizeof id, "\"r%u\"", random % 100000);
    session_voice_down_rtt(w->down, reports ? 2 * way : 0);
    assert_int_equal(push_ms(id, "\"i\"", length / 2), 0);
    first = w->packets[from].timestamp / 48;
    assert_true(w->packets[from].flags & VOICE_PACKET_START);
    run_for(37);
    assert_int_equal(push_ms(id, "\"i\"", length - length / 2), 0);
    for (unsigned left = random / 7 % (length + 200); left > 0; left--) {
        run_for(1);
        if (reports && w->now - last >= 1000) {
            uint64_t place = player_report(way);

            last = w->now;
            session_voice_down_played(w->down, place, w->now);
        }
    }
    assert_int_equal(session_voice_down_clear(w->down, w->now), 1);
    w->cleared_ms = w->now + way + 1;
    assert_true(session_voice_down_cut(w->down, 0, &cut));
    assert_string_equal(cut.item_id, "i");
    assert_int_equal(cut.total_ms, length);
    assert_false(cut.whole);
    assert_true(cut.heard_ms <= cut.sent_ms && cut.sent_ms <= cut.total_ms);
    from = w->count;
    assert_int_equal(push_ms(id, "\"i\"", 100), UV_ECANCELED);
    run_for(way + 2);
    assert_int_equal(w->count, from); /* nothing of it any more */
    truth = w->place > first ? w->place - first : 0;
    if (truth > length)
        truth = length;
    assert_true(cut.heard_ms <= truth + 40);
    assert_true(truth <= cut.heard_ms + 40);
    assert_int_equal(session_voice_down_heard(w->down, w->place), 0);
    assert_true(session_voice_down_cut(w->down, 0, &cut));
    assert_true(cut.heard_ms <= truth && truth <= cut.heard_ms + 8);
    assert_false(session_voice_down_cut(w->down, 1, &cut));
    done(id);
    run_for(random % 700);
}

static void
test_clear(void **state)
{
    static const unsigned ways[] = {0, 5, 20, 60, 150};
    unsigned random = 12345;

    (void) state;
    for (int i = 0; i < 200; i++) {
        random = random * 1103515245 + 12345;
        clear_case(ways[i % 5], i % 3 != 0, random >> 8);
    }
}

/* What a player says can not be more than it was sent, nor faster. */
static void
test_lies(void **state)
{
    struct session_voice_cut cut;

    (void) state;
    session_voice_down_rtt(w->down, 50);
    assert_int_equal(push_ms("\"r\"", "\"i\"", 10000), 0);
    for (int i = 0; i < 50; i++) {
        run_for(100);
        session_voice_down_played(
            w->down, w->packets[w->count - 1].timestamp / 48 + 20, w->now);
        session_voice_down_played(w->down, UINT64_MAX, w->now);
        session_voice_down_played(w->down, 1u << 31, w->now);
    }
    assert_true(w->packets[w->count - 1].timestamp / 48 <= 5000 + 170);
    session_voice_down_clear(w->down, w->now);
    assert_int_equal(session_voice_down_heard(w->down, UINT64_MAX), UV_EINVAL);
    assert_true(session_voice_down_cut(w->down, 0, &cut));
    assert_true(cut.heard_ms <= cut.sent_ms && cut.heard_ms <= 5020);
    /* one that has heard nothing, ever: it is not sent more either */
    assert_int_equal(push_ms("\"r2\"", "\"i2\"", 10000), 0);
    for (int i = 0; i < 80; i++) {
        run_for(100);
        session_voice_down_played(w->down, cut.sent_ms, w->now);
        session_voice_down_played(w->down, 0, w->now);
    }
    assert_true(w->packets[w->count - 1].timestamp / 48 <= cut.sent_ms + 2500);
    assert_int_equal(session_voice_down_clear(w->down, w->now), 1);
    assert_true(session_voice_down_cut(w->down, 0, &cut));
    assert_true(cut.heard_ms <= 60);
}

/* A player that stood still is not sent on and on; one late report is not
 * taken for that. */
static void
test_behind(void **state)
{
    uint64_t most = 0;

    (void) state;
    w->way_ms = 20;
    session_voice_down_rtt(w->down, 40);
    assert_int_equal(push_ms("\"r\"", "\"i\"", 30000), 0);
    for (int i = 0; i < 25; i++) {
        if (i == 5) { /* a second old */
            uint64_t place = player_report(1000);

            session_voice_down_played(w->down, place, w->now);
            run_for(1000);
            assert_true(w->end > w->place + 60);
        }
        w->frozen = i == 10 || i == 11;
        run_for(960);
        {
            uint64_t place = player_report(20);

            session_voice_down_played(w->down, place, w->now);
        }
        if (i > 16 && w->end - w->place > most)
            most = w->end - w->place;
    }
    assert_true(most <= 220);
}

static void
test_items(void **state)
{
    struct session_voice_part b = part_of("\"r\"", "\"b\"");
    struct session_voice_cut cut;

    (void) state;
    assert_int_equal(push_ms("\"r\"", "\"a\"", 400), 0);
    assert_int_equal(push_ms("\"r\"", "\"b\"", 600), 0);
    session_voice_down_part_done(w->down, &b, w->now);
    b.content_index = 1;
    assert_int_equal(push_samples(&b, 24 * 500), 0);
    assert_int_equal(push_ms("\"q\"", "\"c\"", 500), 0);
    run_for(700);
    assert_int_equal(session_voice_down_clear(w->down, w->now), 4);
    assert_true(session_voice_down_cut(w->down, 0, &cut));
    assert_string_equal(cut.item_id, "a");
    assert_int_equal(cut.total_ms, 400);
    assert_int_equal(cut.heard_ms, 400);
    assert_true(session_voice_down_cut(w->down, 1, &cut));
    assert_string_equal(cut.item_id, "b");
    assert_int_equal(cut.total_ms, 600);
    assert_in_range(cut.heard_ms, 285, 300);
    assert_in_range(cut.sent_ms, 400, 460);
    assert_true(session_voice_down_cut(w->down, 2, &cut));
    assert_int_equal(cut.content_index, 1);
    assert_int_equal(cut.sent_ms, 0);
    assert_int_equal(cut.heard_ms, 0);
    assert_true(session_voice_down_cut(w->down, 3, &cut));
    assert_string_equal(cut.response_id, "q");
    /* both responses are thrown away, until done */
    assert_int_equal(push_ms("\"r\"", "\"b\"", 20), UV_ECANCELED);
    assert_int_equal(push_ms("\"q\"", "\"c\"", 20), UV_ECANCELED);
    assert_false(session_voice_down_is_playing(w->down, w->now));
    done("\"r\"");
    session_voice_down_discard(w->down, span_of("\"q\""), false);
    assert_int_equal(push_ms("\"q\"", "\"c\"", 20), 0);
    session_voice_down_discard(w->down, span_of("\"x\""), true);
    assert_int_equal(push_ms("\"x\"", "\"c\"", 20), UV_ECANCELED);
    /* a heard answer is whole, though it is named */
    done("\"q\"");
    run_for(300);
    if (session_voice_down_clear(w->down, w->now) > 0) {
        assert_true(session_voice_down_cut(w->down, 0, &cut));
        assert_true(cut.whole);
    }
}

/* Response after response: a new voice where there was a pause. */
static void
test_responses(void **state)
{
    size_t starts = 0;

    (void) state;
    for (int i = 0; i < 40; i++) {
        char id[16];

        snprintf(id, sizeof id, "\"r%d\"", i);
        assert_int_equal(push_ms(id, "\"i\"", 110), 0);
        done(id);
        run_for(i < 12 ? 400 : 0);
        if (i == 19)
            break;
    }
    run_for(5000);
    assert_int_equal(w->event_count, 40);
    assert_string_equal(w->events[39], "stopped r19");
    for (size_t i = 0; i < w->count; i++)
        starts += (w->packets[i].flags & VOICE_PACKET_START) != 0;
    assert_in_range(starts, 12, 14);
    assert_int_equal(w->count, 20 * 6);
}

static void
test_ids(void **state)
{
    struct session_voice_cut cut;
    char a[300], b[300];

    (void) state;
    memset(a, 'a', sizeof a);
    a[0] = a[298] = '"';
    a[299] = 0;
    memcpy(b, a, sizeof b);
    b[200] = 'b';
    assert_int_equal(push_ms(a, b, 100), 0);
    done(a);
    assert_int_equal(push_ms(b, a, 100), 0);
    assert_int_equal(push_ms(b, b, 100), 0);
    run_for(200);
    assert_string_equal(w->events[0], "started ");
    assert_int_equal(session_voice_down_clear(w->down, w->now), 3);
    assert_true(session_voice_down_cut(w->down, 0, &cut));
    assert_string_equal(cut.item_id, "");
    assert_int_equal(push_ms(b, a, 100), UV_ECANCELED);
    assert_int_equal(push_ms(a, b, 100), 0);
    assert_int_equal(push_ms("null", "null", 100), 0);
    {
        struct session_voice_part none = {0};

        assert_int_equal(push_samples(&none, 480), 0);
    }
}

/* Ten minutes at once: as much as may wait, and not a frame more; a turn of
 * the loop is never held by it. */
static void
test_long(void **state)
{
    int err = 0;
    unsigned ms = 0;

    (void) state;
    for (; err == 0 && ms < 700000; ms += 1000) {
        err = push_ms("\"r\"", "\"i\"", 1000);
        run_for(30);
    }
    assert_int_equal(err, UV_ENOBUFS);
    assert_true(ms > 480000);
    assert_true(counts().dropped_packets > 0);
    done("\"r\"");
    run_for(5000);
    session_voice_down_clear(w->down, w->now);
    run_for(20000);
    assert_true(session_voice_down_due(w->down) == NEVER);
    assert_int_equal(push_ms("\"s\"", "\"i\"", 1000), 0);
    done("\"s\"");
    run_for(3000);
    /* one delta of half a minute */
    assert_int_equal(push_ms("\"t\"", "\"i\"", 30000), 0);
    done("\"t\"");
    w->runs = 0;
    run_for(40000);
    assert_string_equal(w->events[w->event_count - 1], "stopped t");
}

/* More parts, and more stretches, than are kept. */
static void
test_many(void **state)
{
    struct session_voice_part part;
    char ids[2][16];
    size_t taken = 0;

    (void) state;
    for (int i = 0; i < 200; i++) {
        snprintf(ids[0], sizeof ids[0], "\"i%d\"", i);
        taken += push_ms("\"r\"", ids[0], 20) == 0;
    }
    assert_in_range(taken, 64, 80);
    run_for(3000);
    session_voice_down_clear(w->down, w->now);
    taken = 0;
    for (int i = 0; i < 2000; i++) {
        part = part_of("\"s\"", i % 2 ? "\"a\"" : "\"b\"");
        taken += push_samples(&part, 24) == 0;
    }
    assert_in_range(taken, 512, 530);
    taken = 0;
    for (int i = 0; i < 20; i++) {
        snprintf(ids[1], sizeof ids[1], "\"r%d\"", i);
        taken += push_ms(ids[1], "\"z\"", 20) == 0;
    }
    assert_true(taken < 8);
    run_for(30000);
    done("\"s\"");
    run_for(30000);
    assert_int_equal(push_ms("\"s\"", "\"a\"", 20), 0);
}

/* A session's day: random calls, and all invariants of the packets. */
static void
test_random(void **state)
{
    unsigned random = 99;
    uint32_t next = 0;

    (void) state;
    for (int i = 0; i < 20000; i++) {
        struct session_voice_cut cut;
        char id[16];

        random = random * 1103515245 + 12345;
        snprintf(id, sizeof id, "\"r%d\"", i / 40);
        switch (random >> 16 & 15) {
        case 0:
            session_voice_down_pause(w->down, random >> 20 & 1, w->now);
            break;
        case 1:
            w->refuse = random >> 20 & 1 ? UV_EAGAIN : 0;
            if (!w->refuse)
                session_voice_down_resume(w->down, w->now);
            break;
        case 2:
            done(id);
            break;
        case 3:
            session_voice_down_played(w->down, random >> 12, w->now);
            break;
        case 4:
            session_voice_down_set_target(w->down, random >> 20 & 1023, w->now);
            break;
        case 5:
            if (random >> 24 & 1)
                session_voice_down_clear(w->down, w->now);
            for (size_t k = 0; session_voice_down_cut(w->down, k, &cut); k++)
                assert_true(cut.heard_ms <= cut.sent_ms
                            && cut.sent_ms <= cut.total_ms);
            break;
        case 6:
            session_voice_down_heard(w->down, random >> 14);
            break;
        default:
            push_ms(id, random >> 20 & 1 ? "\"a\"" : "\"b\"",
                    random >> 22 & 255);
        }
        run_for(random >> 18 & 127);
        w->event_count = 0;
    }
    assert_true(w->count > 1000);
    for (size_t i = 0; i < w->count; i++) {
        assert_true(w->packets[i].timestamp >= next);
        next = w->packets[i].timestamp + w->packets[i].ms * 48;
    }
}

#define T(name, function)                                                      \
    {                                                                          \
        name, function, setup, teardown, NULL                                  \
    }

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T("R2.4 an answer faster than it is played", test_fast),
        T("R2.4 an answer in real time: no timer", test_real_time),
        T("R2.4 an answer in fits and starts", test_jitter),
        T("R2.4 never more than the target ahead", test_targets),
        T("R2.3 10 ms, and settings in the middle", test_ten_ms),
        T("R2.3 what fills no frame", test_partial),
        T("R2.3 texts", test_texts),
        T("R2.3 DTX", test_dtx),
        T("R2.4 a stall", test_stall),
        T("R2.4 a stall in real time", test_stall_real_time),
        T("R2.4 no connection", test_pause),
        T("R2.4 interrupted", test_clear),
        T("R2.4 lies", test_lies),
        T("R2.4 a player behind", test_behind),
        T("R2.4 items", test_items),
        T("R2.4 responses", test_responses),
        T("R2.4 ids", test_ids),
        T("R2.4 long answers", test_long),
        T("R2.4 many parts", test_many),
        T("R2.4 random", test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

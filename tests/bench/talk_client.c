/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   speech ──► packet (or append of base64) ──► WebSocket
 *   WebSocket ──► packet: placed by its timestamp, played
 *            └──► text: session.created │ delta │ voice.playout.clear │ error
 */

#include "talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS          1000000ull
#define TELL_NS     BENCH_NS_PER_S
#define BUFFER_NS   (60 * MS)
#define START       0x01
#define FRAME_ROOM  14 /* before a payload, for its header */
#define PACKET_HEAD 8

static const char append_head[] =
    "{\"type\":\"input_audio_buffer.append\",\"audio\":\"";

/* --- what is heard */

/* Place on the timeline that is heard now. */
static uint32_t
play_place(struct talk_session *session, uint64_t now_ns)
{
    if (!session->playing || now_ns < session->play_ns)
        return session->play_at;
    uint64_t gone = (now_ns - session->play_ns) * 48 / MS;
    uint32_t have = session->play_end - session->play_at;
    return session->play_at + (gone < have ? (uint32_t) gone : have);
}

static void
play_push(struct talk_session *session, uint32_t timestamp, bool starts,
          uint64_t now_ns)
{
    bool dry = play_place(session, now_ns) == session->play_end;

    if (!session->playing || starts || dry) {
        session->playing = true;
        session->play_ns = now_ns + BUFFER_NS;
        session->play_at = timestamp;
    }
    session->play_end = timestamp + TALK_FRAME_48K;
    if (!session->answer_heard) {
        session->answer_heard = true;
        session->answer_at = timestamp;
    }
}

/* --- sending */

/* reply_to: a member with its comma, or "". */
static int
tell(struct talk_session *session, const char *reply_to, uint64_t now_ns)
{
    char text[FRAME_ROOM + 512];
    int bytes = snprintf(text + FRAME_ROOM, sizeof(text) - FRAME_ROOM,
                         "{\"type\":\"voice.stats\",%s\"rtt_ms\":1,"
                         "\"jitter_ms\":1,\"loss\":0,\"underruns\":0,"
                         "\"played_ms\":%.1f}",
                         reply_to, play_place(session, now_ns) / 48.0);

    session->tell_ns = now_ns + TELL_NS;
    return bench_ws_send(&session->ws, BENCH_WS_TEXT,
                         (uint8_t *) text + FRAME_ROOM, (size_t) bytes);
}

static size_t
packet_make(struct talk_session *session, uint8_t *payload)
{
    const struct talk_packet *packet =
        talk_speech_packet(&talk.speech, session->at);
    uint16_t sequence = session->sequence;
    uint32_t timestamp = session->timestamp;

    payload[0] = 0x11;
    payload[1] = session->up.sent == 0 ? START : 0;
    payload[2] = (uint8_t) (sequence >> 8);
    payload[3] = (uint8_t) sequence;
    for (int i = 0; i < 4; i++)
        payload[4 + i] = (uint8_t) (timestamp >> (24 - 8 * i));
    memcpy(payload + PACKET_HEAD, packet->data, packet->bytes);
    return PACKET_HEAD + packet->bytes;
}

static size_t
append_make(struct talk_session *session, uint8_t *payload, unsigned frames)
{
    size_t head = sizeof(append_head) - 1;
    size_t chars = (size_t) frames * TALK_FRAME_CHARS;

    memcpy(payload, append_head, head);
    memcpy(payload + head, talk_speech_text(&talk.speech, session->at), chars);
    memcpy(payload + head + chars, "\"}", 2);
    return head + chars + 2;
}

static void
speak(struct talk_session *session)
{
    static uint8_t room[FRAME_ROOM + 128 + TALK_FRAMES_MOST * TALK_FRAME_CHARS];
    uint8_t *payload = room + FRAME_ROOM;
    bool plain = talk.options->plain;
    unsigned frames = plain ? talk.options->append_ms / TALK_FRAME_MS : 1;
    size_t bytes = plain ? append_make(session, payload, frames)
                         : packet_make(session, payload);

    if (session->ws.rest) {
        talk.counts.skipped++;
        return;
    }
    uint64_t now = bench_wall_ns();
    for (unsigned i = 0; i < frames; i++)
        talk_way_sent(&session->up, now);
    session->at = (session->at + frames) % talk.speech.frames;
    session->sequence++;
    session->timestamp += TALK_FRAME_48K;
    talk.counts.up_sent += frames;
    bench_ws_send(&session->ws, plain ? BENCH_WS_TEXT : BENCH_WS_BINARY,
                  payload, bytes);
}

uint64_t
talk_client_turn(struct talk_session *session, uint64_t now_ns)
{
    const struct talk_options *options = talk.options;
    uint64_t period =
        (options->plain ? options->append_ms : TALK_FRAME_MS) * MS;

    if (!session->ready || session->ws.state != BENCH_WS_OPEN)
        return UINT64_MAX;
    while (session->due_ns <= now_ns && session->ws.state == BENCH_WS_OPEN) {
        bench_histogram_add(&talk.counts.late, now_ns - session->due_ns);
        session->due_ns += period;
        speak(session);
    }
    if (!options->plain && session->tell_ns <= now_ns
        && session->ws.state == BENCH_WS_OPEN)
        tell(session, "", now_ns);
    return session->ws.state == BENCH_WS_OPEN ? session->due_ns : UINT64_MAX;
}

/* --- receiving */

static void
frame_taken(struct talk_session *session, uint64_t number)
{
    struct bench_histogram *histogram =
        session->ws.index < talk.options->interrupters ? NULL
                                                       : &talk.counts.down;

    talk.counts.down_taken++;
    if (number >= session->down.sent)
        talk.counts.down_odd++;
    else
        talk_way_taken(&session->down, number, session->ws.arrived_ns,
                       histogram);
}

static void
packet_taken(struct talk_session *session)
{
    const uint8_t *head = (const uint8_t *) session->head;
    uint16_t sequence = (uint16_t) (head[2] << 8 | head[3]);
    uint32_t timestamp = (uint32_t) head[4] << 24 | (uint32_t) head[5] << 16
                         | (uint32_t) head[6] << 8 | head[7];
    uint16_t gap = (uint16_t) (sequence - session->sequence_down);

    if (session->message_bytes <= PACKET_HEAD || head[0] != 0x11) {
        talk.counts.down_odd++;
        return;
    }
    if (session->down.taken > 0 && !(head[1] & START))
        talk.counts.down_missing += gap;
    session->sequence_down = (uint16_t) (sequence + 1);
    if (session->interrupted
        && session->ws.arrived_ns > session->interrupted_ns)
        session->last_ns = session->ws.arrived_ns;
    frame_taken(session, timestamp / TALK_FRAME_48K);
    play_push(session, timestamp, head[1] & START, bench_now_ns());
}

static void
delta_taken(struct talk_session *session)
{
    static const char key[] = "\"delta\":\"";
    const char *at = strstr(session->head, key);
    size_t before = at ? (size_t) (at + sizeof(key) - 1 - session->head) : 0;

    if (!at || session->message_bytes < before + 2) {
        talk.counts.down_odd++;
        return;
    }
    size_t frames = (session->message_bytes - before - 2) / TALK_FRAME_CHARS;
    for (size_t i = 0; i < frames; i++)
        frame_taken(session, session->down.taken);
}

/* The report after a clear names it. */
static void
reply_make(const struct talk_session *session, char reply[160])
{
    static const char key[] = "\"event_id\":\"";
    const char *id = strstr(session->head, key);

    reply[0] = '\0';
    if (id) {
        id += sizeof(key) - 1;
        snprintf(reply, 160, "\"reply_to\":\"%.*s\",", (int) strcspn(id, "\""),
                 id);
    }
}

static void
cleared(struct talk_session *session)
{
    uint64_t now = bench_now_ns();
    char reply[160];
    uint32_t place = play_place(session, now);

    session->play_at = session->play_end = place;
    session->playing = false;
    session->cleared = true;
    session->heard_ms = session->answer_heard && place > session->answer_at
                            ? (place - session->answer_at) / 48.0
                            : 0;
    reply_make(session, reply);
    tell(session, reply, now);
}

static void
begin(struct talk_session *session)
{
    uint64_t now = bench_now_ns();
    uint64_t period =
        (talk.options->plain ? talk.options->append_ms : TALK_FRAME_MS) * MS;

    session->ready = true;
    talk.ready++;
    session->due_ns = now + (uint64_t) (talk_random() * (double) period);
    session->tell_ns = now + (uint64_t) (talk_random() * TELL_NS);
}

static void
text_taken(struct talk_session *session)
{
    const char *head = session->head;

    if (strstr(head, "\"response.output_audio.delta\""))
        delta_taken(session);
    else if (!session->ready && strstr(head, "\"session.created\""))
        begin(session);
    else if (strstr(head, "\"voice.playout.clear\""))
        cleared(session);
    else if (strstr(head, "\"type\":\"error\"")) {
        talk.counts.errors++;
        fprintf(stderr, "bench-talk: %s\n", head);
    }
}

static void
on_piece(struct bench_ws *ws, const uint8_t *data, size_t bytes, bool first,
         bool last)
{
    struct talk_session *session = (struct talk_session *) ws;

    if (first)
        session->message_bytes = 0;
    if (session->message_bytes < TALK_HEAD_MAX - 1) {
        size_t room = TALK_HEAD_MAX - 1 - session->message_bytes;
        size_t take = bytes < room ? bytes : room;
        memcpy(session->head + session->message_bytes, data, take);
        session->head[session->message_bytes + take] = '\0';
    }
    session->message_bytes += (uint32_t) bytes;
    if (!last)
        return;
    if (ws->message == BENCH_WS_BINARY)
        packet_taken(session);
    else
        text_taken(session);
}

static void
on_open(struct bench_ws *ws)
{
    if (!talk.options->plain && !strcasestr(ws->head, "voice.opus.v1"))
        bench_ws_drop(ws, "voice.opus.v1 was not agreed on");
}

static void
on_closed(struct bench_ws *ws, const char *why, bool expected)
{
    struct talk_session *session = (struct talk_session *) ws;

    if (expected || talk.closing)
        return;
    talk_failed(why);
    if (session->ready)
        talk.dropped++;
    else
        talk.failed++;
}

static const struct bench_ws_handler handler = {on_open, on_piece, on_closed};

void
talk_client_open(struct talk_session *session)
{
    struct bench_ws *ws = &session->ws;

    if (asprintf(&session->request,
                 "GET %s?model=talk-%u HTTP/1.1\r\nHost: localhost\r\n"
                 "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: %s\r\n%s\r\n",
                 talk.options->path, ws->index, bench_ws_key,
                 talk.options->plain
                     ? ""
                     : "Sec-WebSocket-Protocol: voice.opus.v1\r\n")
        < 0)
        exit(1);
    ws->handler = &handler;
    ws->loop = &talk.loop;
    ws->request = session->request;
    ws->stamped = true;
    session->at = (unsigned) (talk_random() * talk.speech.frames);
    int error = bench_ws_open(ws, &talk.options->target);
    if (error) {
        talk_failed(strerror(-error));
        talk.failed++;
    }
}

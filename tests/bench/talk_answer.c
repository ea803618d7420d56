/* SPDX-License-Identifier: BSD-2-Clause */

#include "talk.h"
#include "talk_upstream.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS           1000000ull
#define EVENT_BYTES  2048
#define WORD_FRAMES  16 /* a word is said in a third of a second */
#define LATE_DELTAS  2  /* under way when the user is heard */
#define QUIET_MS     500
#define SPARE_MS     300 /* an interruption is that far into the answer */
#define INTERRUPT_MS 2500

static unsigned events;

static void say(struct talk_peer *peer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
say(struct talk_peer *peer, const char *format, ...)
{
    char text[EVENT_BYTES];
    va_list args;

    va_start(args, format);
    int bytes = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct talk_parts parts = {{text}, {(size_t) bytes}};
    talk_peer_send(peer, BENCH_WS_TEXT, &parts);
}

#define RESPONSE                                                               \
    "\"response\":{\"object\":\"realtime.response\",\"id\":\"resp_%u_%u\","    \
    "\"status\":\"%s\",\"status_details\":%s,\"output\":[],"                   \
    "\"conversation_id\":\"conv_%u\",\"output_modalities\":[\"audio\"],"       \
    "\"max_output_tokens\":\"inf\",\"audio\":{\"output\":{\"format\":{"        \
    "\"type\":\"audio/pcm\",\"rate\":24000},\"voice\":\"marin\"}},"            \
    "\"usage\":%s,\"metadata\":null}"
#define ITEM                                                                   \
    "\"item\":{\"id\":\"item_%u_%u\",\"type\":\"message\",\"status\":"         \
    "\"%s\",\"role\":\"assistant\",\"content\":[]}"
#define PLACE                                                                  \
    "\"response_id\":\"resp_%u_%u\",\"item_id\":\"item_%u_%u\","               \
    "\"output_index\":0,\"content_index\":0"

static const char usage_text[] =
    "{\"total_tokens\":60,\"input_tokens\":40,\"output_tokens\":20,"
    "\"input_token_details\":{\"text_tokens\":40,\"audio_tokens\":0,"
    "\"image_tokens\":0,\"cached_tokens\":0,\"cached_tokens_details\":{"
    "\"text_tokens\":0,\"audio_tokens\":0,\"image_tokens\":0}},"
    "\"output_token_details\":{\"text_tokens\":5,\"audio_tokens\":15}}";

static void
answer_begin(struct talk_peer *peer, uint64_t now_ns)
{
    struct talk_answer *a = &peer->answer;
    struct talk_session *session = peer->session;
    unsigned s = session->ws.index, n = ++a->number;

    a->phase = TALK_TALKING;
    a->left = talk.options->answer_ms / TALK_FRAME_MS;
    a->said = 0;
    a->done = false;
    a->began_ns = now_ns;
    a->due_ns = now_ns;
    a->interrupt_ns = 0;
    if (s < talk.options->interrupters)
        a->interrupt_ns =
            now_ns + SPARE_MS * MS
            + (uint64_t) (talk_random() * (INTERRUPT_MS - SPARE_MS) * MS);
    session->answer_heard = false;
    session->cleared = false;
    say(peer,
        "{\"type\":\"response.created\",\"event_id\":\"event_%u\"," RESPONSE
        "}",
        ++events, s, n, "in_progress", "null", s, "null");
    say(peer,
        "{\"type\":\"response.output_item.added\",\"event_id\":"
        "\"event_%u\",\"response_id\":\"resp_%u_%u\",\"output_index\":0," ITEM
        "}",
        ++events, s, n, s, n, "in_progress");
    say(peer,
        "{\"type\":\"conversation.item.added\",\"event_id\":"
        "\"event_%u\",\"previous_item_id\":null," ITEM "}",
        ++events, s, n, "in_progress");
    say(peer,
        "{\"type\":\"response.content_part.added\",\"event_id\":"
        "\"event_%u\"," PLACE ",\"part\":{\"type\":\"audio\",\"transcript\":"
        "\"\"}}",
        ++events, s, n, s, n);
}

static void
answer_end(struct talk_peer *peer, bool cancelled)
{
    struct talk_answer *a = &peer->answer;
    unsigned s = peer->session->ws.index, n = a->number;
    const char *item = cancelled ? "incomplete" : "completed";

    a->done = true;
    say(peer,
        "{\"type\":\"response.output_audio.done\",\"event_id\":"
        "\"event_%u\"," PLACE "}",
        ++events, s, n, s, n);
    say(peer,
        "{\"type\":\"response.output_audio_transcript.done\","
        "\"event_id\":\"event_%u\"," PLACE ",\"transcript\":\"word\"}",
        ++events, s, n, s, n);
    say(peer,
        "{\"type\":\"response.content_part.done\",\"event_id\":"
        "\"event_%u\"," PLACE ",\"part\":{\"type\":\"audio\",\"transcript\":"
        "\"word\"}}",
        ++events, s, n, s, n);
    say(peer,
        "{\"type\":\"conversation.item.done\",\"event_id\":"
        "\"event_%u\",\"previous_item_id\":null," ITEM "}",
        ++events, s, n, item);
    say(peer,
        "{\"type\":\"response.output_item.done\",\"event_id\":"
        "\"event_%u\",\"response_id\":\"resp_%u_%u\",\"output_index\":0," ITEM
        "}",
        ++events, s, n, s, n, item);
    say(peer,
        "{\"type\":\"response.done\",\"event_id\":\"event_%u\"," RESPONSE "}",
        ++events, s, n, cancelled ? "cancelled" : "completed",
        cancelled ? "{\"type\":\"cancelled\",\"reason\":\"turn_detected\"}"
                  : "null",
        s, usage_text);
}

/* Straight to a client: what the gateway would have made of it. */
static void
packets_say(struct talk_peer *peer, unsigned frames)
{
    struct talk_session *session = peer->session;

    for (unsigned i = 0; i < frames; i++) {
        uint32_t sequence = (uint32_t) session->down.sent;
        uint32_t timestamp = sequence * TALK_FRAME_48K;
        uint8_t head[8] = {0x11,
                           sequence == 0,
                           (uint8_t) (sequence >> 8),
                           (uint8_t) sequence,
                           (uint8_t) (timestamp >> 24),
                           (uint8_t) (timestamp >> 16),
                           (uint8_t) (timestamp >> 8),
                           (uint8_t) timestamp};
        const struct talk_packet *packet =
            talk_speech_packet(&talk.speech, peer->answer.at + i);
        struct talk_parts parts = {{head, packet->data},
                                   {sizeof(head), packet->bytes}};
        talk_way_sent(&session->down, bench_wall_ns());
        talk_peer_send(peer, BENCH_WS_BINARY, &parts);
    }
}

static void
delta_say(struct talk_peer *peer, unsigned frames)
{
    struct talk_session *session = peer->session;
    unsigned s = session->ws.index, n = peer->answer.number;
    char head[EVENT_BYTES];
    int bytes = snprintf(head, sizeof(head),
                         "{\"type\":\"response.output_audio.delta\","
                         "\"event_id\":\"event_%u\"," PLACE ",\"delta\":\"",
                         ++events, s, n, s, n);
    struct talk_parts parts = {
        {head, talk_speech_text(&talk.speech, peer->answer.at), "\"}"},
        {(size_t) bytes, (size_t) frames * TALK_FRAME_CHARS, 2}};
    uint64_t now = bench_wall_ns();

    for (unsigned i = 0; i < frames; i++)
        talk_way_sent(&session->down, now);
    talk_peer_send(peer, BENCH_WS_TEXT, &parts);
}

static void
word_say(struct talk_peer *peer)
{
    unsigned s = peer->session->ws.index, n = peer->answer.number;

    say(peer,
        "{\"type\":\"response.output_audio_transcript.delta\","
        "\"event_id\":\"event_%u\"," PLACE ",\"delta\":\" word\","
        "\"obfuscation\":\"x1y2z3w4\"}",
        ++events, s, n, s, n);
}

static void
frames_say(struct talk_peer *peer)
{
    struct talk_answer *a = &peer->answer;
    unsigned frames = talk.options->delta_ms / TALK_FRAME_MS;

    frames = frames < a->left ? frames : a->left;
    talk.counts.down_sent += frames;
    if (peer->packets)
        packets_say(peer, frames);
    else
        delta_say(peer, frames);
    a->at += frames;
    a->left -= frames;
    unsigned words = a->said / WORD_FRAMES;
    a->said += frames;
    if (peer->fd >= 0 && a->said / WORD_FRAMES > words)
        word_say(peer);
}

/* The user speaks. */
static void
interrupt(struct talk_peer *peer, uint64_t now_ns)
{
    struct talk_answer *a = &peer->answer;
    struct talk_session *session = peer->session;
    uint64_t pace =
        (uint64_t) (talk.options->delta_ms * MS / talk.options->speed);

    a->interrupt_ns = 0;
    a->late = a->done ? 0 : LATE_DELTAS;
    a->phase = a->late ? TALK_LATE : TALK_QUIET;
    a->due_ns = now_ns + (a->late ? pace : QUIET_MS * MS);
    session->interrupted = true;
    session->last_ns = 0;
    session->interrupted_ns = bench_wall_ns();
    say(peer,
        "{\"type\":\"input_audio_buffer.speech_started\",\"event_id\":"
        "\"event_%u\",\"audio_start_ms\":%llu,\"item_id\":\"item_u%u\"}",
        ++events, (unsigned long long) session->up.taken * TALK_FRAME_MS,
        a->number);
}

/* It is over: what was heard of the old answer, and when. */
static void
interrupt_end(struct talk_peer *peer)
{
    struct talk_session *session = peer->session;
    unsigned n = peer->answer.number;

    session->interrupted = false;
    talk.counts.interrupted++;
    talk.counts.uncleared += !session->cleared;
    bench_histogram_add(&talk.counts.old,
                        session->last_ns > session->interrupted_ns
                            ? session->last_ns - session->interrupted_ns
                            : 0);
    say(peer,
        "{\"type\":\"input_audio_buffer.speech_stopped\",\"event_id\":"
        "\"event_%u\",\"audio_end_ms\":%llu,\"item_id\":\"item_u%u\"}",
        ++events, (unsigned long long) session->up.taken * TALK_FRAME_MS, n);
    say(peer,
        "{\"type\":\"input_audio_buffer.committed\",\"event_id\":"
        "\"event_%u\",\"previous_item_id\":null,\"item_id\":\"item_u%u\"}",
        ++events, n);
}

void
talk_answer_truncated(struct talk_peer *peer, const char *text, size_t bytes)
{
    static const char key[] = "\"audio_end_ms\":";
    const char *at = memmem(text, bytes, key, sizeof(key) - 1);
    struct talk_session *session = peer->session;
    char number[16] = "";

    if (!at || !session->interrupted || !session->cleared)
        return;
    at += sizeof(key) - 1;
    for (size_t i = 0; i < sizeof(number) - 1 && at + i < text + bytes; i++)
        number[i] = at[i];
    talk.counts.truncated++;
    bench_histogram_add(
        &talk.counts.truncate,
        (uint64_t) (fabs(strtod(number, NULL) - session->heard_ms) * MS));
}

/* --- time */

static void
after_talking(struct talk_peer *peer)
{
    struct talk_answer *a = &peer->answer;

    if (a->left > 0) {
        a->due_ns +=
            (uint64_t) (talk.options->delta_ms * MS / talk.options->speed);
        return;
    }
    answer_end(peer, false);
    a->phase = TALK_HEARD;
    a->due_ns = a->began_ns + talk.options->answer_ms * MS;
}

static void
after_late(struct talk_peer *peer, uint64_t now_ns)
{
    struct talk_answer *a = &peer->answer;

    if (a->left > 0 && --a->late > 0) {
        a->due_ns +=
            (uint64_t) (talk.options->delta_ms * MS / talk.options->speed);
        return;
    }
    answer_end(peer, true);
    a->phase = TALK_QUIET;
    a->due_ns = now_ns + QUIET_MS * MS;
}

static void
step(struct talk_peer *peer, uint64_t now_ns)
{
    struct talk_answer *a = &peer->answer;

    switch (a->phase) {
    case TALK_TALKING:
    case TALK_LATE:
        bench_histogram_add(&talk.counts.late, now_ns - a->due_ns);
        frames_say(peer);
        if (peer->fd < 0)
            return;
        if (a->phase == TALK_TALKING)
            after_talking(peer);
        else
            after_late(peer, now_ns);
        break;
    case TALK_HEARD:
        answer_begin(peer, a->due_ns);
        break;
    case TALK_QUIET:
        interrupt_end(peer);
        answer_begin(peer, now_ns);
        break;
    case TALK_OFF:
        break;
    }
}

uint64_t
talk_answer_turn(struct talk_peer *peer, uint64_t now_ns)
{
    struct talk_answer *a = &peer->answer;

    if (a->interrupt_ns && a->interrupt_ns <= now_ns)
        interrupt(peer, now_ns);
    while (peer->fd >= 0 && a->due_ns <= now_ns)
        step(peer, now_ns);
    if (peer->fd < 0)
        return UINT64_MAX;
    return a->interrupt_ns && a->interrupt_ns < a->due_ns ? a->interrupt_ns
                                                          : a->due_ns;
}

/* Sessions are not in step: the first answer is as if it had begun a random
 * while ago; a fast one begins a random while later, or all of them would come
 * at once. */
void
talk_answer_start(struct talk_peer *peer, uint64_t now_ns)
{
    struct talk_answer *a = &peer->answer;
    const struct talk_options *options = talk.options;
    unsigned all = options->answer_ms / TALK_FRAME_MS;
    unsigned frames = options->delta_ms / TALK_FRAME_MS;

    a->at = (unsigned) (talk_random() * talk.speech.frames);
    if (options->speed > 1) {
        a->phase = TALK_HEARD;
        a->due_ns =
            now_ns + (uint64_t) (talk_random() * options->answer_ms * MS);
        return;
    }
    answer_begin(peer, now_ns);
    a->due_ns += (uint64_t) (talk_random() * options->delta_ms * MS);
    if (a->interrupt_ns)
        return;
    a->left -= (unsigned) (talk_random() * (all / frames - 1)) * frames;
    a->began_ns = a->due_ns - (all - a->left) * (TALK_FRAME_MS * MS);
}

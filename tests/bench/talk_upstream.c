/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   socket ──► in ──► handshake ──► session
 *                └──► frames ──► append: counted │ update │ truncate │ rest: no
 *   parts ──► socket, what does not fit ──► out
 */

#include "talk.h"
#include "talk_upstream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PEERS_SPARE 64
#define IN_STEP     16384
#define IN_MOST     (4u << 20)
#define OUT_MOST    (8u << 20)
#define OP_CLOSE    8
#define OP_PING     9
#define OP_PONG     10

static struct {
    int fd;
    struct talk_peer *peers;
    unsigned count; /* places, used or not */
} upstream = {.fd = -1};

static const char session_text[] =
    "{\"type\":\"%s\",\"event_id\":\"event_%u\",\"session\":{\"type\":"
    "\"realtime\",\"object\":\"realtime.session\",\"id\":\"sess_%u\","
    "\"model\":\"talk-%u\",\"output_modalities\":[\"audio\"],"
    "\"instructions\":\"\",\"tools\":[],\"tool_choice\":\"auto\","
    "\"max_output_tokens\":\"inf\",\"tracing\":null,\"truncation\":\"auto\","
    "\"prompt\":null,\"expires_at\":4000000000,\"audio\":{\"input\":{"
    "\"format\":{\"type\":\"audio/pcm\",\"rate\":24000},\"transcription\":"
    "null,\"noise_reduction\":null,\"turn_detection\":{\"type\":\"server_vad\","
    "\"threshold\":0.5,\"prefix_padding_ms\":300,\"silence_duration_ms\":500,"
    "\"idle_timeout_ms\":null,\"create_response\":true,"
    "\"interrupt_response\":true}},\"output\":{\"format\":{\"type\":"
    "\"audio/pcm\",\"rate\":24000},\"voice\":\"marin\",\"speed\":1.0}},"
    "\"include\":null}}";

static void
peer_drop(struct talk_peer *peer)
{
    close(peer->fd);
    peer->fd = -1;
    if (peer->session)
        peer->session->peer = NULL;
    free(peer->in);
    free(peer->out);
    memset(peer, 0, sizeof(*peer));
    peer->fd = -1;
}

/* --- sending */

static bool
out_keep(struct talk_peer *peer, const void *data, size_t bytes)
{
    if (peer->out_at > 0 && peer->out_at == peer->out_bytes)
        peer->out_at = peer->out_bytes = 0;
    if (bytes > peer->out_room - peer->out_bytes) {
        size_t room = peer->out_room ? 2 * peer->out_room : IN_STEP;
        while (room < peer->out_bytes + bytes)
            room *= 2;
        uint8_t *more = room > OUT_MOST ? NULL : realloc(peer->out, room);
        if (!more)
            return false;
        peer->out = more;
        peer->out_room = room;
    }
    memcpy(peer->out + peer->out_bytes, data, bytes);
    peer->out_bytes += bytes;
    return true;
}

static bool
out_waits(const struct talk_peer *peer)
{
    return peer->out_at < peer->out_bytes;
}

/* False: the connection is of no use any more. */
static bool
out_send(struct talk_peer *peer, const struct iovec *parts, int count)
{
    ssize_t done = 0;

    if (!out_waits(peer)) {
        done = writev(peer->fd, parts, count);
        if (done < 0 && errno != EAGAIN)
            return false;
        done = done < 0 ? 0 : done;
    }
    bool waited = out_waits(peer);
    for (int i = 0; i < count; i++) {
        size_t gone =
            (size_t) done < parts[i].iov_len ? (size_t) done : parts[i].iov_len;
        done -= (ssize_t) gone;
        if (gone < parts[i].iov_len
            && !out_keep(peer, (uint8_t *) parts[i].iov_base + gone,
                         parts[i].iov_len - gone))
            return false;
    }
    return waited == out_waits(peer)
           || bench_loop_change(&talk.loop, peer->fd, EPOLLIN | EPOLLOUT, peer)
                  == 0;
}

static bool
out_flush(struct talk_peer *peer)
{
    ssize_t done = write(peer->fd, peer->out + peer->out_at,
                         peer->out_bytes - peer->out_at);

    if (done < 0)
        return errno == EAGAIN;
    peer->out_at += (size_t) done;
    return out_waits(peer)
           || bench_loop_change(&talk.loop, peer->fd, EPOLLIN, peer) == 0;
}

void
talk_peer_send(struct talk_peer *peer, uint8_t opcode,
               const struct talk_parts *parts)
{
    uint64_t bytes = parts->bytes[0] + parts->bytes[1] + parts->bytes[2];
    size_t length = bytes < 126 ? 0 : bytes < 65536 ? 2 : 8;
    uint8_t head[10] = {0x80u | opcode};
    struct iovec all[4] = {{.iov_base = head, .iov_len = 2 + length}};

    if (peer->fd < 0)
        return;
    head[1] = (uint8_t) (length == 0 ? bytes : length == 2 ? 126 : 127);
    for (size_t i = 0; i < length; i++)
        head[2 + i] = (uint8_t) (bytes >> (8 * (length - 1 - i)));
    for (size_t i = 0; i < 3; i++)
        all[i + 1] = (struct iovec){.iov_base = (void *) parts->data[i],
                                    .iov_len = parts->bytes[i]};
    if (out_send(peer, all, 4))
        return;
    talk.counts.overruns++;
    peer_drop(peer);
}

static void
session_say(struct talk_peer *peer, const char *type)
{
    static unsigned events;
    char text[2048];
    unsigned index = peer->session->ws.index;
    int bytes = snprintf(text, sizeof(text), session_text, type, ++events,
                         index, index);
    struct talk_parts parts = {{text}, {(size_t) bytes}};

    talk_peer_send(peer, BENCH_WS_TEXT, &parts);
}

/* --- receiving */

static const char *
type_find(const char *text, size_t bytes, const char *type)
{
    return memmem(text, bytes < 200 ? bytes : 200, type, strlen(type));
}

/* Frames of base64 without anything in it: the middle of each is looked at. */
static bool
is_silent(const char *audio, size_t chars)
{
    static const char nothing[] = "AAAAAAAAAAAAAAAA";

    return chars >= 64 && memcmp(audio + (chars / 8) * 4, nothing, 16) == 0
           && memcmp(audio + (chars / 12) * 4, nothing, 16) == 0;
}

static void
append_take(struct talk_peer *peer, const char *text, size_t bytes)
{
    static const char key[] = "\"audio\":\"";
    struct talk_session *session = peer->session;
    const char *audio =
        memmem(text, bytes < 400 ? bytes : 400, key, sizeof(key) - 1);
    const char *end =
        audio ? memchr(audio + sizeof(key) - 1, '"',
                       bytes - (size_t) (audio + sizeof(key) - 1 - text))
              : NULL;

    if (!end)
        return;
    audio += sizeof(key) - 1;
    talk.counts.up_silent += is_silent(audio, (size_t) (end - audio));
    session->up_chars += (size_t) (end - audio);
    while (session->up_chars >= (session->up.taken + 1) * TALK_FRAME_CHARS) {
        if (session->up.taken >= session->up.sent) {
            talk.counts.up_extra++;
            session->up_chars = session->up.sent * TALK_FRAME_CHARS;
            return;
        }
        talk.counts.up_taken++;
        talk_way_taken(&session->up, session->up.taken, peer->arrived_ns,
                       &talk.counts.up);
    }
}

static void
packet_take(struct talk_peer *peer)
{
    struct talk_session *session = peer->session;

    if (session->up.taken >= session->up.sent) {
        talk.counts.up_extra++;
        return;
    }
    talk.counts.up_taken++;
    talk_way_taken(&session->up, session->up.taken, peer->arrived_ns,
                   &talk.counts.up);
}

static void
text_take(struct talk_peer *peer, const char *text, size_t bytes)
{
    if (type_find(text, bytes, "\"input_audio_buffer.append\""))
        append_take(peer, text, bytes);
    else if (type_find(text, bytes, "\"session.update\""))
        session_say(peer, "session.updated");
    else if (type_find(text, bytes, "\"conversation.item.truncate\""))
        talk_answer_truncated(peer, text, bytes);
}

static void
message_take(struct talk_peer *peer, uint8_t opcode, uint8_t *data,
             size_t bytes)
{
    struct talk_parts parts = {{data}, {bytes}};

    if (opcode == BENCH_WS_BINARY)
        packet_take(peer);
    else if (opcode == BENCH_WS_TEXT)
        text_take(peer, (const char *) data, bytes);
    else if (opcode == OP_PING)
        talk_peer_send(peer, OP_PONG, &parts);
    else if (opcode == OP_CLOSE)
        talk_peer_send(peer, OP_CLOSE, &parts);
    if (opcode == OP_CLOSE && peer->fd >= 0)
        peer_drop(peer);
    if (peer->fd >= 0 && peer->answer.phase == TALK_OFF
        && peer->session->up.taken > 0)
        talk_answer_start(peer, bench_now_ns());
}

static void
unmask(uint8_t *data, size_t bytes, const uint8_t mask[4])
{
    uint64_t wide;
    size_t i = 0;

    memcpy(&wide, mask, 4);
    memcpy((uint8_t *) &wide + 4, mask, 4);
    for (; i + 8 <= bytes; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, 8);
        word ^= wide;
        memcpy(data + i, &word, 8);
    }
    for (; i < bytes; i++)
        data[i] ^= mask[i % 4];
}

/* One whole frame; its bytes, 0: more is needed, -1: it is none of ours. */
static ptrdiff_t
frame_take(struct talk_peer *peer, uint8_t *data, size_t bytes)
{
    size_t length = bytes < 2 ? 0 : data[1] & 0x7f;
    size_t head = 6 + (length == 126 ? 2u : length == 127 ? 8u : 0u);
    uint64_t payload = length < 126 ? length : 0;

    if (bytes >= 2 && ((data[0] & 0xf0) != 0x80 || !(data[1] & 0x80)))
        return -1; /* in pieces, compressed or without mask */
    if (bytes < head)
        return 0;
    for (size_t i = 2; i < head - 4; i++)
        payload = payload << 8 | data[i];
    if (payload > IN_MOST)
        return -1;
    if (bytes - head < payload)
        return 0;
    unmask(data + head, (size_t) payload, data + head - 4);
    message_take(peer, data[0] & 0x0f, data + head, (size_t) payload);
    return (ptrdiff_t) (head + payload);
}

static void
accept_make(const char *key, size_t bytes, char accept[32])
{
    unsigned char digest[SHA_DIGEST_LENGTH];
    char text[128];

    snprintf(text, sizeof(text), "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
             (int) bytes, key);
    SHA1((const unsigned char *) text, strlen(text), digest);
    EVP_EncodeBlock((unsigned char *) accept, digest, sizeof(digest));
}

/* The session whose model is asked for. */
static bool
session_find(struct talk_peer *peer, const char *request)
{
    const char *model = strstr(request, "model=talk-");
    unsigned long index = model ? strtoul(model + 11, NULL, 10) : ~0ul;

    if (index >= talk.options->sessions || talk.all[index].peer)
        return false;
    peer->session = &talk.all[index];
    peer->session->peer = peer;
    return true;
}

/* The handshake's bytes, 0: more is needed, -1: it is none. */
static ptrdiff_t
handshake_take(struct talk_peer *peer, char *data, size_t bytes)
{
    char accept[32], answer[512];
    char *end = memmem(data, bytes, "\r\n\r\n", 4);

    if (!end)
        return bytes > 8192 ? -1 : 0;
    end[2] = '\0';
    const char *key = strcasestr(data, "\r\nsec-websocket-key:");
    if (!key || !session_find(peer, data))
        return -1;
    key += 20 + strspn(key + 20, " ");
    accept_make(key, strcspn(key, "\r "), accept);
    peer->packets = strstr(data, "voice.opus.v1") != NULL;
    int length = snprintf(
        answer, sizeof(answer),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
        accept,
        peer->packets ? "Sec-WebSocket-Protocol: voice.opus.v1\r\n" : "");
    struct iovec part = {.iov_base = answer, .iov_len = (size_t) length};
    if (!out_send(peer, &part, 1))
        return -1;
    peer->opened = true;
    session_say(peer, "session.created");
    return end + 4 - data;
}

/* False: it is to be dropped, or was. */
static bool
input_take(struct talk_peer *peer)
{
    size_t at = 0;
    ptrdiff_t took = 1;

    while (at < peer->in_bytes && took > 0) {
        took = peer->opened
                   ? frame_take(peer, peer->in + at, peer->in_bytes - at)
                   : handshake_take(peer, (char *) peer->in + at,
                                    peer->in_bytes - at);
        if (took < 0 || peer->fd < 0)
            return false;
        at += (size_t) took;
    }
    memmove(peer->in, peer->in + at, peer->in_bytes - at);
    peer->in_bytes -= at;
    return true;
}

static bool
input_read(struct talk_peer *peer)
{
    if (peer->in_room - peer->in_bytes < IN_STEP / 2) {
        size_t room = peer->in_room ? 2 * peer->in_room : IN_STEP;
        uint8_t *more = room > 2 * IN_MOST ? NULL : realloc(peer->in, room);
        if (!more)
            return false;
        peer->in = more;
        peer->in_room = room;
    }
    ssize_t got =
        bench_stamp_recv(peer->fd, peer->in + peer->in_bytes,
                         peer->in_room - peer->in_bytes, &peer->arrived_ns);
    if (got < 0)
        return errno == EAGAIN;
    if (got == 0)
        return false;
    peer->in_bytes += (size_t) got;
    return input_take(peer);
}

static struct talk_peer *
place_find(void)
{
    for (unsigned i = 0; i < upstream.count; i++)
        if (upstream.peers[i].fd < 0)
            return &upstream.peers[i];
    return NULL;
}

static void
peers_accept(void)
{
    for (;;) {
        int on = 1;
        int fd = accept4(upstream.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct talk_peer *peer = place_find();
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (!peer || bench_stamp_enable(fd)
            || bench_loop_watch(&talk.loop, fd, EPOLLIN, peer)) {
            close(fd);
            continue;
        }
        peer->fd = fd;
    }
}

void
talk_upstream_event(void *tag, uint32_t mask)
{
    struct talk_peer *peer = tag;

    if (tag == &upstream) {
        peers_accept();
        return;
    }
    if (peer->fd >= 0 && mask & EPOLLOUT && out_waits(peer) && !out_flush(peer))
        peer_drop(peer);
    if (peer->fd >= 0 && mask & (EPOLLIN | EPOLLERR | EPOLLHUP)
        && !input_read(peer) && peer->fd >= 0)
        peer_drop(peer);
}

uint64_t
talk_upstream_turn(uint64_t now_ns)
{
    uint64_t next = UINT64_MAX;

    for (unsigned i = 0; i < upstream.count; i++) {
        struct talk_peer *peer = &upstream.peers[i];
        if (peer->fd < 0 || peer->answer.phase == TALK_OFF)
            continue;
        uint64_t due = talk_answer_turn(peer, now_ns);
        if (due < next)
            next = due;
    }
    return next;
}

int
talk_upstream_listen(unsigned *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t) *port)};
    socklen_t bytes = sizeof(address);
    int on = 1;

    upstream.count = talk.options->sessions + PEERS_SPARE;
    upstream.peers = calloc(upstream.count, sizeof(*upstream.peers));
    upstream.fd =
        socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (!upstream.peers || upstream.fd < 0)
        return -ENOMEM;
    for (unsigned i = 0; i < upstream.count; i++)
        upstream.peers[i].fd = -1;
    setsockopt(upstream.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(upstream.fd, (struct sockaddr *) &address, bytes) < 0
        || listen(upstream.fd, 4096) < 0
        || getsockname(upstream.fd, (struct sockaddr *) &address, &bytes) < 0)
        return -errno;
    *port = ntohs(address.sin_port);
    return bench_loop_watch(&talk.loop, upstream.fd, EPOLLIN, &upstream);
}

void
talk_upstream_close(void)
{
    for (unsigned i = 0; i < upstream.count; i++)
        if (upstream.peers[i].fd >= 0)
            peer_drop(&upstream.peers[i]);
    close(upstream.fd);
    free(upstream.peers);
}

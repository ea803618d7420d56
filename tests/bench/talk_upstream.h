/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The upstream's end: a Realtime server without a model. It takes the
 * handshake, counts the audio of appends, answers session.update, and says
 * what talk_answer.h has to say. To a client that comes straight to it and
 * speaks voice.opus.v1 it sends Opus packets and takes them. Owns the
 * listening socket and the connections; everything that does not fit a socket
 * waits in memory, up to a cap, as in a server.
 */

#ifndef TALK_UPSTREAM_H
#define TALK_UPSTREAM_H

#include "talk_answer.h"

struct talk_session;

struct talk_peer {
    int fd; /* -1: nobody */
    bool opened;
    bool packets; /* no gateway between: it gets packets */
    struct talk_session *session;
    struct talk_answer answer;
    uint64_t arrived_ns; /* what is being read */
    uint8_t *in;
    size_t in_bytes, in_room;
    uint8_t *out;
    size_t out_bytes, out_at, out_room;
};

/* 127.0.0.1; gives the port. 0 or -errno. */
int talk_upstream_listen(unsigned *port);
void talk_upstream_close(void);

/* What epoll reported of a tag that is no client's. */
void talk_upstream_event(void *tag, uint32_t mask);

/* Says what is due; the time of what is due next. */
uint64_t talk_upstream_turn(uint64_t now_ns);

/* One message out of three parts, each may be empty. A connection that can't
 * take it any more is dropped. */
struct talk_parts {
    const void *data[3];
    size_t bytes[3];
};
void talk_peer_send(struct talk_peer *peer, uint8_t opcode,
                    const struct talk_parts *parts);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * bench-talk: clients that talk all the time, and the Realtime server they
 * talk to, in one thread of one process, with the servers that are measured
 * between the two. What a session's client sends is found again at its other
 * end, and the other way round, by counting frames of 20 ms: nobody has to
 * look into the audio.
 *
 *   talk_client ──► NGINX ──► voiced ──► talk_upstream
 *        ◄─────────       ◄──        ◄── talk_answer
 *   talk_client ◄──────────────────────► talk_upstream      without them
 *
 * Which connection belongs to which session the model's name tells: talk-7.
 * Times are the kernel's (bench_loop.h): how late this program reads is not in
 * them.
 */

#ifndef TALK_H
#define TALK_H

#include "bench_histogram.h"
#include "bench_ws.h"
#include "talk_speech.h"

#define TALK_RING     512 /* frames under way, a session and direction */
#define TALK_HEAD_MAX 512 /* of a text message that is looked at */

struct talk_options {
    struct bench_target target;
    const char *path;
    const char *wav;
    unsigned port;     /* of the upstream; 0: any */
    bool direct;       /* clients connect to the upstream */
    bool plain;        /* base64 PCM in events, not voice.opus.v1 */
    unsigned sessions; /* all of them */
    unsigned first;    /* opened at first; the driver asks for the rest */
    unsigned append_ms, delta_ms;
    unsigned answer_ms;    /* length of one answer */
    double speed;          /* answers come so many times faster than heard */
    unsigned interrupters; /* sessions that are interrupted over and over */
    unsigned interrupts;   /* of all of them, then it is over */
    unsigned seed;
    double seconds;
    double patience;
    bool steps;
};

struct talk_peer;

struct talk_way {
    uint64_t sent, taken;         /* frames: the next of each end */
    uint64_t stamp_ns[TALK_RING]; /* when a frame was sent, by its number */
};

struct talk_session {
    struct bench_ws ws;     /* the client; the first member */
    struct talk_peer *peer; /* the other end; NULL: not there */
    char *request;
    bool ready;       /* session.created came */
    uint64_t due_ns;  /* speaks next */
    uint64_t tell_ns; /* sends voice.stats next */
    unsigned at;      /* frame of the speech */
    uint16_t sequence, sequence_down;
    uint32_t timestamp;
    struct talk_way up, down;
    uint64_t up_chars;        /* of base64 that the upstream got */
    char head[TALK_HEAD_MAX]; /* of the text message being read */
    uint32_t message_bytes;   /* of the message being read */
    /* what is heard, in 48 kHz, as a player with 60 ms of buffer hears it */
    uint64_t play_ns; /* when play_at was heard */
    uint32_t play_at, play_end;
    uint32_t answer_at; /* where the present answer began */
    bool playing, answer_heard;
    /* an interruption */
    bool interrupted;        /* from speech_started to the next answer */
    uint64_t interrupted_ns; /* speech_started left */
    uint64_t last_ns;        /* latest packet after that, 0: none */
    double heard_ms;         /* of the answer, when it was cleared */
    bool cleared;
};

/* Counted since the driver's last word. */
struct talk_counts {
    uint64_t up_sent, up_taken, up_extra, up_silent;
    uint64_t down_sent, down_taken, down_missing, down_odd;
    uint64_t skipped;     /* the client's socket was full */
    uint64_t overruns;    /* the upstream's was */
    uint64_t errors;      /* error events */
    uint64_t interrupted; /* interruptions that are over */
    uint64_t uncleared;   /* of those, without voice.playout.clear */
    uint64_t truncated;   /* of those, with a truncate that could be judged */
    struct bench_histogram up, down, late, old, truncate;
};

struct talk {
    const struct talk_options *options;
    struct bench_loop loop;
    struct talk_speech speech;
    struct talk_session *all;
    unsigned begun, ready, failed, dropped;
    char why[64]; /* of the first that failed */
    bool closing;
    struct talk_counts counts;
};

extern struct talk talk;

/* Evenly in [0, 1). */
double talk_random(void);

void talk_failed(const char *why);

/* A frame of this session left, or arrived: at the client's end or the
 * upstream's. stamp_ns and arrived_ns are bench_wall_ns's. */
void talk_way_sent(struct talk_way *way, uint64_t stamp_ns);
void talk_way_taken(struct talk_way *way, uint64_t number, uint64_t arrived_ns,
                    struct bench_histogram *histogram);

/* --- the client's end */

/* Starts the handshake. */
void talk_client_open(struct talk_session *session);
/* Sends what is due; the time of what is due next. */
uint64_t talk_client_turn(struct talk_session *session, uint64_t now_ns);

/* The whole run, to its end; an exit status. */
int talk_run(struct talk_options *options);

#endif

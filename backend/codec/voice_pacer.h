/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How far a client may be with what it was sent, and so when it is sent more:
 * a model of a player that plays as long as it has something, in real time
 * from the first packet on, corrected by its own reports. Pure, embedded, no
 * allocation; `now_ms` never goes back (where it does, time stands still).
 *
 * Places are milliseconds of what was sent, as the client will be there when
 * that which is sent now arrives: the way there takes half of rtt, the report
 * took the other half. A report moves the model back, but the pace follows
 * only when three in a row say so, or the player stands still: a late report
 * must not starve it.
 * Nobody is ahead of real time, whatever he says; what is sent is an upper
 * bound, too.
 *
 * Sockets take minutes of Opus without a word, so a line that stands shows in
 * nothing but reports that stay away. Of who has reported every second and is
 * silent for VOICE_PACER_SILENT_MS while he has something to play, the clocks
 * stand until he reports again, or has been silent so long that he is taken
 * for one who doesn't.
 */

#ifndef VOICE_VOICE_PACER_H
#define VOICE_VOICE_PACER_H

#include <stdbool.h>
#include <stdint.h>

#define VOICE_PACER_REPORTS     3
#define VOICE_PACER_UNKNOWN_RTT 250u /* ms, for the pace: rather too long */
#define VOICE_PACER_SILENT_MS   2500u
#define VOICE_PACER_LOST_MS     12500u

struct voice_pacer {
    uint64_t at_ms;   /* the clocks stand for this moment */
    uint64_t sent;    /* the end of all that was sent */
    uint64_t floor;   /* reports of before this place are of another time */
    uint64_t gap_at;  /* what was never sent, and how much: whoever comes */
    uint64_t gap_ms;  /* there jumps over it, when something is behind it */
    uint64_t open_at; /* gaps of which no report has told yet if they were */
    uint64_t open_ms; /* jumped over: where the first is, all of them */
    uint64_t filled_ms;
    uint64_t fastest;                   /* a player that never waited */
    uint64_t heard;                     /* by the last report */
    uint64_t pace[VOICE_PACER_REPORTS]; /* by each of the last ones */
    uint64_t report_ms;                 /* when the last one came; 0: none */
    uint64_t report_place;
    uint64_t turn_ms;   /* when pace[0] was begun */
    uint64_t silent_ms; /* when it last reported or began to play */
    uint64_t stood_ms;  /* so long the clocks have stood since */
    unsigned turns;     /* reports in a row that came in time */
};

/* All at place 0; zeroed memory with at_ms set is the same. */
void voice_pacer_init(struct voice_pacer *p, uint64_t now_ms);

/* Lets the clocks run on to now. */
void voice_pacer_advance(struct voice_pacer *p, uint64_t now_ms);

/* So much was sent (or passed as silence) now. */
void voice_pacer_sent(struct voice_pacer *p, unsigned ms, uint64_t now_ms);

/* So much passed that was never sent: the player will jump over it. */
void voice_pacer_skipped(struct voice_pacer *p, unsigned ms, uint64_t now_ms);

/* The player has nothing more to play, wherever it was; also: time goes on
 * here, after it stood still. */
void voice_pacer_cut(struct voice_pacer *p, uint64_t now_ms);

/* A report of the place to be played next. rtt_ms 0: not known. False: it is
 * none that can be true, and nothing has changed. */
bool voice_pacer_report(struct voice_pacer *p, uint64_t place, unsigned rtt_ms,
                        uint64_t now_ms);

/* What is sent and not played yet, by the pace; and the place that was heard,
 * both as of the last advance. */
uint64_t voice_pacer_ahead(const struct voice_pacer *p);
uint64_t voice_pacer_heard(const struct voice_pacer *p);

/* How much of the gaps, by its reports, the player has filled with something of
 * its own instead of jumping over it, since this was last asked. */
uint64_t voice_pacer_take_filled(struct voice_pacer *p);

/* Whether ms more may go, at most target_ms ahead; to one who has nothing to
 * play always. And when they may, if nothing else happens. */
bool voice_pacer_may(const struct voice_pacer *p, unsigned ms,
                     unsigned target_ms);
uint64_t voice_pacer_when(const struct voice_pacer *p, unsigned ms,
                          unsigned target_ms);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/voice_pacer.h"

#include <string.h>

/* Reports closer together than this are one: a burst of late ones. */
#define REPORT_TURN_MS 400

/* A sound card's clock may be off by so much: 1 / 512. */
#define DRIFT_SHIFT  9
#define DRIFT_MAX_MS 10240

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void
voice_pacer_init(struct voice_pacer *p, uint64_t now_ms)
{
    memset(p, 0, sizeof *p);
    p->at_ms = now_ms;
}

static bool
is_reporting(const struct voice_pacer *p)
{
    return p->turns >= VOICE_PACER_REPORTS;
}

/* How much of the time until then a player's clock runs: not from the moment
 * when its report is overdue to the one when nobody waits for it any more. */
static uint64_t
clock_runs(const struct voice_pacer *p, uint64_t now_ms)
{
    uint64_t stands_ms = p->silent_ms + VOICE_PACER_SILENT_MS;
    uint64_t lost_ms = p->silent_ms + VOICE_PACER_LOST_MS;
    uint64_t from_ms = p->at_ms > stands_ms ? p->at_ms : stands_ms;
    uint64_t to_ms = least(now_ms, lost_ms);

    if (!is_reporting(p) || to_ms <= from_ms)
        return now_ms - p->at_ms;
    return now_ms - p->at_ms - (to_ms - from_ms);
}

static bool
is_before_gap(const struct voice_pacer *p, uint64_t place)
{
    return p->gap_ms > 0 && place <= p->gap_at;
}

/* Where one at `place` is after so long. */
static uint64_t
place_after(const struct voice_pacer *p, uint64_t place, uint64_t passed)
{
    bool jumps = is_before_gap(p, place) && place + passed >= p->gap_at;

    if (jumps && p->sent == p->gap_at + p->gap_ms)
        return p->gap_at;
    return least(p->sent, place + passed + (jumps ? p->gap_ms : 0));
}

void
voice_pacer_advance(struct voice_pacer *p, uint64_t now_ms)
{
    uint64_t passed;

    if (now_ms <= p->at_ms)
        return;
    passed = clock_runs(p, now_ms);
    p->stood_ms += now_ms - p->at_ms - passed;
    p->at_ms = now_ms;
    if (now_ms >= p->silent_ms + VOICE_PACER_LOST_MS)
        p->turns = 0;
    p->fastest = place_after(p, p->fastest, passed);
    p->heard = place_after(p, p->heard, passed);
    for (int i = 0; i < VOICE_PACER_REPORTS; i++)
        p->pace[i] = place_after(p, p->pace[i], passed);
}

/* Begins to play: who was silent before, as tabs in the background are, may
 * be for a while yet. */
static void
silence_restart(struct voice_pacer *p)
{
    if (p->at_ms - p->silent_ms >= VOICE_PACER_SILENT_MS)
        p->turns = 0;
    p->silent_ms = p->at_ms;
    p->stood_ms = 0;
}

void
voice_pacer_sent(struct voice_pacer *p, unsigned ms, uint64_t now_ms)
{
    voice_pacer_advance(p, now_ms);
    if (voice_pacer_ahead(p) == 0)
        silence_restart(p);
    p->sent += ms;
}

/* There is one gap; who did not come to the one before is behind it now. */
static void
gap_begin(struct voice_pacer *p)
{
    if (is_before_gap(p, p->fastest))
        p->fastest += p->gap_ms;
    if (is_before_gap(p, p->heard))
        p->heard += p->gap_ms;
    for (int i = 0; i < VOICE_PACER_REPORTS; i++)
        if (is_before_gap(p, p->pace[i]))
            p->pace[i] += p->gap_ms;
    p->gap_at = p->sent;
    p->gap_ms = 0;
}

void
voice_pacer_skipped(struct voice_pacer *p, unsigned ms, uint64_t now_ms)
{
    voice_pacer_advance(p, now_ms);
    if (p->gap_ms == 0 || p->sent != p->gap_at + p->gap_ms)
        gap_begin(p);
    if (p->open_ms == 0)
        p->open_at = p->sent;
    p->open_ms += ms;
    p->gap_ms += ms;
    p->sent += ms;
}

void
voice_pacer_cut(struct voice_pacer *p, uint64_t now_ms)
{
    voice_pacer_advance(p, now_ms);
    p->gap_ms = p->open_ms = p->stood_ms = 0;
    p->floor = p->fastest = p->heard = p->sent;
    for (int i = 0; i < VOICE_PACER_REPORTS; i++)
        p->pace[i] = p->sent;
}

/* Who says that he is ahead of real time has a fast clock, at most; or it was
 * only his reports that stood. */
static void
fastest_correct(struct voice_pacer *p, uint64_t reached)
{
    uint64_t since = least(p->at_ms - p->report_ms, DRIFT_MAX_MS);
    uint64_t most = p->fastest + (since >> DRIFT_SHIFT) + p->stood_ms;

    if (p->report_ms > 0 && reached > p->fastest)
        p->fastest = least(least(reached, p->sent), most);
    p->stood_ms = 0;
}

/* However late two reports are: between them it did not play. */
static bool
is_stuck(const struct voice_pacer *p, uint64_t place)
{
    return p->report_ms > 0 && place == p->report_place
           && p->at_ms - p->report_ms >= REPORT_TURN_MS;
}

static void
pace_note(struct voice_pacer *p, uint64_t reached, bool stuck)
{
    if (p->turn_ms > 0 && p->at_ms - p->turn_ms < REPORT_TURN_MS) {
        if (reached > p->pace[0])
            p->pace[0] = reached;
        return;
    }
    if (p->at_ms - p->turn_ms >= VOICE_PACER_SILENT_MS)
        p->turns = 0;
    p->turns++;
    p->turn_ms = p->at_ms;
    memmove(p->pace + 1, p->pace, sizeof p->pace - sizeof p->pace[0]);
    p->pace[0] = reached;
    for (int i = 1; i < VOICE_PACER_REPORTS && stuck; i++)
        p->pace[i] = reached;
}

/* It was thought to be beyond the gap and is not: so much it filled. */
static void
filled_note(struct voice_pacer *p, uint64_t place, uint64_t before)
{
    uint64_t filled =
        least(before > p->heard ? before - p->heard : 0, p->open_ms);

    if (place <= p->open_at)
        return;
    p->filled_ms += filled;
    p->open_ms -= filled;
    if (place >= p->gap_at + p->gap_ms)
        p->open_ms = 0;
}

bool
voice_pacer_report(struct voice_pacer *p, uint64_t place, unsigned rtt_ms,
                   uint64_t now_ms)
{
    uint64_t reached, before;
    bool stuck;

    voice_pacer_advance(p, now_ms);
    before = p->heard;
    if (place < p->floor || place > p->sent)
        return false;
    stuck = is_stuck(p, place);
    fastest_correct(p, place_after(p, place, rtt_ms));
    p->report_ms = p->silent_ms = p->at_ms;
    p->report_place = place;
    p->heard = least(place_after(p, place, rtt_ms), p->fastest);
    filled_note(p, place, before);
    reached =
        place_after(p, place, rtt_ms > 0 ? rtt_ms : VOICE_PACER_UNKNOWN_RTT);
    pace_note(p, least(reached, p->fastest), stuck);
    return true;
}

uint64_t
voice_pacer_ahead(const struct voice_pacer *p)
{
    uint64_t place = p->pace[0];

    for (int i = 1; i < VOICE_PACER_REPORTS; i++)
        if (p->pace[i] > place)
            place = p->pace[i];
    return p->sent - place - (is_before_gap(p, place) ? p->gap_ms : 0);
}

uint64_t
voice_pacer_heard(const struct voice_pacer *p)
{
    return p->heard;
}

uint64_t
voice_pacer_take_filled(struct voice_pacer *p)
{
    uint64_t ms = p->filled_ms;

    p->filled_ms = 0;
    return ms;
}

bool
voice_pacer_may(const struct voice_pacer *p, unsigned ms, unsigned target_ms)
{
    uint64_t ahead = voice_pacer_ahead(p);

    return ahead == 0 || ahead + ms <= target_ms;
}

uint64_t
voice_pacer_when(const struct voice_pacer *p, unsigned ms, unsigned target_ms)
{
    uint64_t ahead = voice_pacer_ahead(p);

    if (voice_pacer_may(p, ms, target_ms))
        return p->at_ms;
    return p->at_ms + least(ahead, ahead + ms - least(target_ms, ahead + ms));
}

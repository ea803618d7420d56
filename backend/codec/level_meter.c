/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/level_meter.h"

#include "codec/g711.h"
#include "codec/pcm.h"
#include "codec/pcm_text.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define PIECE_CHARS   4096 /* whole groups that are an even count of bytes */
#define PIECE_BYTES   (PIECE_CHARS / 4 * 3)
#define G711_RATE     8000u
#define G711_CLIPPED  32000 /* the highest step of either law is beyond it */
#define SLOTS_IN(ms)  ((ms) / LEVEL_METER_SLOT_MS)
#define SLOT_OF(rate) ((rate) / 1000 * LEVEL_METER_SLOT_MS)

struct level_slot {
    float power;
    uint16_t samples, peak, clipped;
};

struct level_meter {
    struct pcm_text_reader reader; /* half a sample of the text before */
    enum level_format format;
    uint64_t slot;           /* that is being filled */
    uint32_t fill;           /* its samples, measured or not */
    uint64_t from_ms;        /* the turn's begin */
    struct audio_level now;  /* of the slot being filled */
    struct audio_level past; /* of the turn, in slots that are kept no more */
    uint64_t mark_ms[LEVEL_METER_MARKS]; /* oldest first */
    unsigned marks;
    unsigned kept;
    struct level_slot slots[];
};

int
level_meter_create(struct level_meter **mp, unsigned slots)
{
    struct level_meter *m = calloc(1, sizeof(*m) + slots * sizeof(m->slots[0]));

    if (!m)
        return UV_ENOMEM;
    m->kept = slots;
    *mp = m;
    return 0;
}

void
level_meter_destroy(struct level_meter **mp)
{
    free(*mp);
    *mp = NULL;
}

static uint32_t
rate_of(enum level_format format)
{
    return format == LEVEL_PCM ? PCM_RATE : G711_RATE;
}

uint64_t
level_meter_now_ms(const struct level_meter *m)
{
    return m->slot * LEVEL_METER_SLOT_MS
           + m->fill * UINT64_C(1000) / rate_of(m->format);
}

/* The first slot that is kept. */
static uint64_t
oldest(const struct level_meter *m)
{
    return m->slot > m->kept ? m->slot - m->kept : 0;
}

/* --- slots */

static struct audio_level
slot_level(const struct level_slot *slot)
{
    return (struct audio_level){
        .power = (uint64_t) slot->power,
        .samples = slot->samples,
        .clipped = slot->clipped,
        .peak = slot->peak,
    };
}

/* The slot is over; the one whose place it takes leaves. */
static void
slot_finish(struct level_meter *m)
{
    struct level_slot *place = &m->slots[m->slot % m->kept];

    if (m->slot >= m->kept && m->slot - m->kept >= SLOTS_IN(m->from_ms)) {
        struct audio_level left = slot_level(place);
        audio_level_merge(&m->past, &left);
    }
    *place = (struct level_slot){
        .power = (float) m->now.power,
        .samples = (uint16_t) m->now.samples,
        .peak = (uint16_t) m->now.peak,
        .clipped = (uint16_t) m->now.clipped,
    };
    m->now = (struct audio_level){0};
    m->slot++;
    m->fill = 0;
}

/* Time passes by so many samples of the present slot, at most the rest of it.
 */
static void
slot_fill(struct level_meter *m, uint32_t samples)
{
    m->fill += samples;
    if (m->fill >= SLOT_OF(rate_of(m->format)))
        slot_finish(m);
}

/* Audio of another rate: what the slot has so far stays as long as it was. */
static void
format_set(struct level_meter *m, enum level_format format)
{
    if (m->format == format)
        return;
    m->fill = m->fill * (rate_of(format) / 1000) / (rate_of(m->format) / 1000);
    m->format = format;
    m->reader = (struct pcm_text_reader){0};
}

/* --- samples */

/* The laws have no code for full scale: their highest steps stand for it. */
static uint64_t
clipped_count(const int16_t *pcm, size_t samples)
{
    uint64_t clipped = 0;

    for (size_t i = 0; i < samples; i++)
        clipped += pcm[i] > G711_CLIPPED || pcm[i] < -G711_CLIPPED;
    return clipped;
}

static void
samples_push(struct level_meter *m, const int16_t *pcm, size_t samples)
{
    while (samples > 0) {
        size_t room = SLOT_OF(rate_of(m->format)) - m->fill;
        size_t n = samples < room ? samples : room;

        audio_level_push(&m->now, pcm, n);
        if (m->format != LEVEL_PCM)
            m->now.clipped += clipped_count(pcm, n);
        slot_fill(m, (uint32_t) n);
        pcm += n;
        samples -= n;
    }
}

static int
piece_push(struct level_meter *m, const char *text, size_t chars)
{
    int16_t pcm[PIECE_BYTES];
    uint8_t bytes[PIECE_BYTES];
    ssize_t samples;

    if (m->format == LEVEL_PCM) {
        samples = pcm_text_read(&m->reader, pcm, text, chars);
    } else {
        samples = base64_decode(bytes, text, chars);
        if (samples > 0)
            g711_decode(m->format == LEVEL_ULAW ? G711_ULAW : G711_ALAW, pcm,
                        bytes, (size_t) samples);
    }
    if (samples < 0)
        return UV_EINVAL;
    samples_push(m, pcm, (size_t) samples);
    return 0;
}

size_t
level_meter_push(struct level_meter *m, enum level_format format,
                 const char *text, size_t chars)
{
    size_t at = 0;

    format_set(m, format);
    while (at < chars) {
        size_t n = chars - at < PIECE_CHARS ? chars - at : PIECE_CHARS;

        if (piece_push(m, text + at, n))
            break;
        at += n;
    }
    return at;
}

void
level_meter_skip(struct level_meter *m, enum level_format format, size_t chars)
{
    format_set(m, format);
    uint64_t samples = (uint64_t) chars / 4 * 3;
    if (format == LEVEL_PCM)
        samples /= sizeof(int16_t);
    while (samples > 0) {
        uint64_t room = SLOT_OF(rate_of(format)) - m->fill;
        uint64_t n = samples < room ? samples : room;

        slot_fill(m, (uint32_t) n);
        samples -= n;
    }
}

/* --- turns */

static void
turn_from(struct level_meter *m, uint64_t at_ms)
{
    m->from_ms = at_ms;
    m->past = (struct audio_level){0};
}

void
level_meter_begin(struct level_meter *m, uint64_t at_ms)
{
    uint64_t now_ms = level_meter_now_ms(m);

    if (at_ms > now_ms || at_ms < m->from_ms)
        at_ms = now_ms > m->from_ms + LEVEL_METER_LATE_MS
                    ? now_ms - LEVEL_METER_LATE_MS
                    : m->from_ms;
    if (SLOTS_IN(at_ms) >= oldest(m))
        turn_from(m, at_ms);
    else /* what went before can't be told apart any more */
        m->from_ms = at_ms;
}

void
level_meter_end(struct level_meter *m, uint64_t at_ms, struct level_turn *out)
{
    uint64_t now_ms = level_meter_now_ms(m);
    uint64_t slot = SLOTS_IN(m->from_ms);

    if (at_ms > now_ms || at_ms < m->from_ms)
        at_ms = now_ms;
    out->ms = at_ms - m->from_ms;
    out->level = m->past;
    if (out->ms == 0)
        return;
    if (slot < oldest(m))
        slot = oldest(m);
    for (; slot * LEVEL_METER_SLOT_MS < at_ms && slot < m->slot; slot++) {
        struct audio_level level = slot_level(&m->slots[slot % m->kept]);
        audio_level_merge(&out->level, &level);
    }
    if (slot * LEVEL_METER_SLOT_MS < at_ms)
        audio_level_merge(&out->level, &m->now);
    turn_from(m, at_ms);
}

/* --- marks */

static uint64_t
mark_pop(struct level_meter *m)
{
    uint64_t at_ms = m->mark_ms[0];

    m->marks--;
    memmove(m->mark_ms, m->mark_ms + 1, m->marks * sizeof(m->mark_ms[0]));
    return at_ms;
}

void
level_meter_mark(struct level_meter *m)
{
    if (m->marks == LEVEL_METER_MARKS)
        mark_pop(m);
    m->mark_ms[m->marks++] = level_meter_now_ms(m);
}

void
level_meter_mark_drop(struct level_meter *m)
{
    if (m->marks > 0)
        mark_pop(m);
}

void
level_meter_end_mark(struct level_meter *m, struct level_turn *out)
{
    level_meter_end(m, m->marks > 0 ? mark_pop(m) : level_meter_now_ms(m), out);
}

void
level_meter_restart(struct level_meter *m)
{
    m->reader = (struct pcm_text_reader){0};
    m->slot = 0;
    m->fill = 0;
    m->marks = 0;
    m->now = (struct audio_level){0};
    turn_from(m, 0);
}

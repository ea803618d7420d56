// SPDX-License-Identifier: BSD-2-Clause
//
// What a client does with the packets it gets: decode, fill in what is missing,
// play. Nothing sounds, but the clock is real: position() is the sample that
// would be played next, as a place on the timeline of the packets (48 kHz).
//
//     packets ─► push ─► decoder ─► heard[]        every sample there was
//                          │ gaps: FEC, concealment, silence
//                          └─► end ──── position, at the speed of time
//
// The first packet is played at once. When all has been played and more was to
// come, that is an underrun: then the player waits for its target to be there.

import { wasLate } from './lag.mjs';
import { OpusDecoder } from './opus_codec.mjs';
import { REST, START, VOICE_RATE, packetSamples } from './voice_packet.mjs';
import { RATE, joinPcm, silence } from './wav.mjs';

const PER_MS = VOICE_RATE / 1000;
const STEP = VOICE_RATE / RATE;
const GAP_MAX = 2 * VOICE_RATE; // more than that is no gap
const MADE_UP_MAX_MS = 100;

export class Player {
    heard = [];        // { timestamp, pcm, kind: 'packet' | 'lost' | 'rest' }
    underruns = 0;
    packets = 0;
    lost = 0;
    end = 0;           // where what is there ends
    #place = 0;        // where the player was at #since
    #since = 0;
    #rests = false;
    #over = true;      // nothing more is to come
    #last = null;      // { sequence, timestamp, at }
    #late = 0;         // the most since jitter() was asked
    #decoder = new OpusDecoder();

    constructor(targetMs = 80) {
        this.targetMs = targetMs;
    }

    // At the speed of time, whatever is there.
    #clock(now) {
        return this.#place + Math.max(0, now - this.#since) * PER_MS;
    }

    position(now = performance.now()) {
        const at = this.#clock(now);
        return this.#rests ? at : Math.min(at, Math.max(this.end, this.#place));
    }

    playedMs(now) {
        return Math.round(this.position(now) / PER_MS);
    }

    // What is there and not yet played.
    queuedMs(now = performance.now()) {
        return Math.max(0, this.end - this.position(now)) / PER_MS;
    }

    #play(timestamp, from) {
        this.#place = timestamp;
        this.#since = from;
    }

    // { lost, rest } in packets and samples at 48 kHz.
    push({ flags, sequence, timestamp, body }, now = performance.now()) {
        const samples = packetSamples(body);
        const news = this.#gap(flags, sequence, timestamp, now);
        this.#follow(flags, timestamp, news, now);
        const pcm = this.#decoder.decode(body);
        this.heard.push({ timestamp, pcm, kind: 'packet' });
        this.packets++;
        this.end = timestamp + samples;
        this.#rests = (flags & REST) !== 0;
        this.#over = false;
        this.#last = { sequence, timestamp, at: now };
        return news;
    }

    #gap(flags, sequence, timestamp, now) {
        const last = this.#last;
        const gap = timestamp - this.end;
        if (flags & START || !last) {
            this.#decoder.reset();
            return { start: true, lost: 0, rest: 0 };
        }
        const lost = (sequence - last.sequence - 1) & 0xffff;
        this.lost += lost;
        const late = now - last.at - (timestamp - last.timestamp) / PER_MS;
        if (late > this.#late && !wasLate(last.at, now, 15)) {
            this.#late = late;
        }
        return { lost, rest: lost ? 0 : gap };
    }

    // By how much the longest wait for a packet since the last call was longer
    // than the sound before it, in ms. Not against the quickest of all: how far
    // ahead of time the gateway sends is up to it, and changes.
    jitter() {
        const late = this.#late;
        this.#late = 0;
        return late;
    }

    // Goes on playing, or begins to; fills what is before the packet.
    #follow(flags, timestamp, { start, lost }, now) {
        const empty = this.#clock(now) >= this.end;
        if (start || (empty && this.#over)) {
            if (empty) {
                this.#play(timestamp, now);
            }
            return;
        }
        if (empty && this.#rests) {
            if (this.#clock(now) > timestamp) {
                this.#play(timestamp, now);
            }
        } else if (empty) {
            this.underruns++;
            this.#play(timestamp, now + this.targetMs);
        }
        this.#fill(timestamp, lost);
    }

    #fill(timestamp, lost) {
        const gap = (timestamp - this.end) / STEP;
        if (gap <= 0 || gap * STEP > GAP_MAX) {
            return;
        }
        const made = lost ? Math.min(gap, RATE * MADE_UP_MAX_MS / 1000) : 0;
        const parts = [];
        for (let left = made; left > 0; left -= 480) {
            parts.push(this.#decoder.conceal(Math.min(480, left)));
        }
        this.heard.push({ timestamp: this.end, kind: lost ? 'lost' : 'rest',
            pcm: joinPcm(...parts, silence((gap - made) * 1000 / RATE)) });
    }

    // Drops what is there; where the player was.
    clear(now = performance.now()) {
        const at = this.position(now);
        this.#play(at, now);
        this.end = Math.min(at, this.end);
        this.#rests = false;
        this.#over = true;
        return at;
    }

    // Nothing more is to come for now.
    finish() {
        this.#rests = false;
        this.#over = true;
    }

    // All that came of this stretch of the timeline, without gaps.
    pcm(from = 0, to = Infinity) {
        return joinPcm(...this.heard.filter(({ timestamp }) => timestamp >= from && timestamp < to)
            .map(({ pcm }) => pcm));
    }
}

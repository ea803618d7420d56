// SPDX-License-Identifier: BSD-2-Clause
//
// Whether one sound is another, delayed and coded.

import { joinPcm, RATE, silence } from './wav.mjs';
import { spoken } from './speech.mjs';

const SENTENCES = ['nonsense', 'count', 'weather', 'sum', 'story', 'question', 'read'];

const sentences = new Map();

function sentence(name) {
    if (!sentences.has(name)) {
        sentences.set(name, trimmed(spoken(name)));
    }
    return sentences.get(name);
}

// Speech of at least so many ms, with pauses as a speaker makes them.
export function speech(ms, pauseMs = 120) {
    const parts = [];
    let samples = 0;
    for (let i = 0; samples < RATE * ms / 1000; i++) {
        const pcm = sentence(SENTENCES[i % SENTENCES.length]);
        parts.push(pcm, silence(pauseMs));
        samples += pcm.length + RATE * pauseMs / 1000;
    }
    return joinPcm(...parts).subarray(0, RATE * ms / 1000);
}

// Without the silence at both ends.
export function trimmed(pcm, level = 200) {
    let from = 0;
    let to = pcm.length;
    while (from < to && Math.abs(pcm[from]) < level) {
        from++;
    }
    while (to > from && Math.abs(pcm[to - 1]) < level) {
        to--;
    }
    return pcm.subarray(from, to);
}

function correlationAt(a, b, lag, step) {
    let ab = 0;
    let aa = 0;
    let bb = 0;
    for (let i = Math.max(0, -lag); i < a.length && i + lag < b.length; i += step) {
        ab += a[i] * b[i + lag];
        aa += a[i] * a[i];
        bb += b[i + lag] * b[i + lag];
    }
    return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : 0;
}

// How alike they are at their best: { lag, correlation, snrDb }; `heard` is
// behind by `lag` samples.
export function compare(said, heard, { maxLagMs = 60 } = {}) {
    const most = Math.round(RATE * maxLagMs / 1000);
    let best = { lag: 0, correlation: -1 };
    const look = (from, to, by, step) => {
        for (let lag = from; lag <= to; lag += by) {
            const correlation = correlationAt(said, heard, lag, step);
            if (correlation > best.correlation) {
                best = { lag, correlation };
            }
        }
    };
    look(-most, most, 4, 7);
    best.correlation = -1;
    look(best.lag - 6, best.lag + 6, 1, 1);
    const { correlation: c } = best;
    const snrDb = c > 0 ? 10 * Math.log10(c * c / Math.max(1e-9, 1 - c * c)) : -Infinity;
    return { ...best, snrDb };
}

// How much of what was heard is louder than a murmur, in ms.
export function soundMs(pcm, level = 300) {
    const step = RATE / 100;
    let ms = 0;
    for (let at = 0; at + step <= pcm.length; at += step) {
        let sum = 0;
        for (let i = at; i < at + step; i++) {
            sum += pcm[i] * pcm[i];
        }
        ms += Math.sqrt(sum / step) > level ? 10 : 0;
    }
    return ms;
}

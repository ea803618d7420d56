// SPDX-License-Identifier: BSD-2-Clause
//
// Telephone audio as a phone would send it: G.711 made anew here, from the
// recommendation's own tables of segments, so that the server's meets another.
//
//     encode('audio/pcmu', pcm24k) → Buffer      decode('audio/pcma', bytes) → pcm24k

import { RATE } from './wav.mjs';

export const BYTES_PER_MS = 8;
export const LAWS = ['audio/pcmu', 'audio/pcma'];

// One code to its sample, from the definition.
function muSample(code) {
    const c = ~code & 0xff;
    const value = (((c & 15) * 2 + 33) << ((c >> 4) & 7)) - 33;
    return (c & 0x80 ? -value : value) * 4;
}

function aSample(code) {
    const c = code ^ 0x55;
    const segment = (c >> 4) & 7;
    const step = (c & 15) * 2 + 1;
    const value = segment === 0 ? step : (step + 32) << (segment - 1);
    return (c & 0x80 ? value : -value) * 8;
}

const tables = Object.fromEntries([['audio/pcmu', muSample], ['audio/pcma', aSample]]
    .map(([law, sample]) => [law, Int16Array.from({ length: 256 }, (_, code) => sample(code))]));

// The code whose sample is nearest, for every sample: slow once, right always.
const codes = {};

function codesOf(law) {
    if (!codes[law]) {
        const sorted = [...tables[law].entries()].sort((a, b) => a[1] - b[1]);
        const nearest = new Uint8Array(65536);
        let at = 0;
        for (let value = -32768; value < 32768; value++) {
            while (at + 1 < sorted.length && Math.abs(sorted[at + 1][1] - value) <=
                Math.abs(sorted[at][1] - value)) {
                at++;
            }
            nearest[value & 0xffff] = sorted[at][0];
        }
        codes[law] = nearest;
    }
    return codes[law];
}

// Low-pass at 3.5 kHz, at 24 kHz.
const taps = Array.from({ length: 61 }, (_, i) => {
    const x = i - 30;
    const sinc = x === 0 ? 2 * 3500 / RATE : Math.sin(2 * Math.PI * 3500 / RATE * x) / (Math.PI * x);
    return sinc * (0.54 + 0.46 * Math.cos(Math.PI * x / 30));
});

function filtered(pcm, at) {
    let sum = 0;
    for (let i = 0; i < taps.length; i++) {
        sum += taps[i] * (pcm[at + i - 30] ?? 0);
    }
    return sum;
}

export function encode(law, pcm) {
    const out = Buffer.alloc(Math.floor(pcm.length / 3));
    const table = codesOf(law);
    for (let i = 0; i < out.length; i++) {
        const value = Math.max(-32768, Math.min(32767, Math.round(filtered(pcm, i * 3))));
        out[i] = table[value & 0xffff];
    }
    return out;
}

export function decode(law, bytes) {
    const wide = new Float64Array(bytes.length * 3);
    bytes.forEach((code, i) => { wide[i * 3] = tables[law][code] * 3; });
    return Int16Array.from(wide, (_, i) =>
        Math.max(-32768, Math.min(32767, Math.round(filtered(wide, i)))));
}

export const silentCode = (law) => (law === 'audio/pcmu' ? 0xff : 0xd5);

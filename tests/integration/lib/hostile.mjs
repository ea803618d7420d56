// SPDX-License-Identifier: BSD-2-Clause
//
// What no good client sends as a packet of voice.opus.v1: made of a seed, so
// that a run can be had again.
//
//     const make = hostile(seed, bodies);    // bodies: good Opus packets
//     const { kind, message } = make();

import { writePacket } from './voice_packet.mjs';

// Numbers of 0…1 (xorshift32).
export function random(seed) {
    let state = seed >>> 0 || 1;
    return () => {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        return (state >>> 0) / 2 ** 32;
    };
}

export function hostile(seed, bodies) {
    const next = random(seed);
    const below = (n) => Math.floor(next() * n);
    const noise = (bytes) => Buffer.from(Array.from({ length: bytes }, () => below(256)));
    const body = () => Buffer.from(bodies[below(bodies.length)]);
    const place = () => ({ sequence: below(65536), timestamp: below(2 ** 32) });
    let sequence = 0;
    const inOrder = () => ({ sequence: ++sequence & 0xffff, timestamp: sequence * 960 });
    const packet = (fields) => writePacket({ flags: 0, ...inOrder(), body: body(), ...fields });
    const changed = (change) => packet({ body: change(body()) });
    const toc = (first, rest) => packet({ body: Buffer.concat([Buffer.from([first]), rest]) });

    const kinds = {
        empty: () => Buffer.alloc(0),
        garbage: () => noise(below(300)),
        short: () => packet({}).subarray(0, below(9)),
        headOnly: () => packet({ body: Buffer.alloc(0) }),
        version: () => packet({ head: below(256) & ~0x11 }),
        flags: () => packet({ flags: 4 + below(252) }),
        noise: () => packet({ body: noise(1 + below(200)) }),
        long: () => packet({ body: noise(7658 + below(60000)) }),
        longest: () => packet({ body: noise(7657) }),
        truncated: () => changed((b) => b.subarray(0, 1 + below(b.length))),
        padded: () => changed((b) => Buffer.concat([b, noise(below(100))])),
        flipped: () => changed((b) => { b[below(b.length)] ^= 1 << below(8); return b; }),
        stereo: () => changed((b) => { b[0] |= 4; return b; }),
        manyFrames: () => toc(0x4b, Buffer.concat([Buffer.from([below(256)]), noise(below(60))])),
        twoFrames: () => toc(0x49 + below(2), noise(below(80))),
        lies: () => toc(0x4b, Buffer.from([0x80 | 0x40 | below(64), 255, 255, 255, below(256)])),
        noFrames: () => toc(0x4b, Buffer.from([0])),
        place: () => packet(place()),
        start: () => packet({ ...place(), flags: below(4) }),
        future: () => { sequence += below(30000); return packet({}); },
        past: () => packet({ sequence: sequence - below(200) & 0xffff, timestamp: 0 }),
        standing: () => packet({ timestamp: 1 }),
        back: () => packet({ timestamp: 2 ** 32 - 1 - below(1000) }),
    };
    const names = Object.keys(kinds);
    return () => {
        const kind = names[below(names.length)];
        return { kind, message: kinds[kind]() };
    };
}

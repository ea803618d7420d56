// SPDX-License-Identifier: BSD-2-Clause
//
// When this process itself was late, so that what it measured then says nothing
// about anybody else.
//
//     watchLag();
//     wasLate(from, to, 20)      a stall of more than 20 ms overlapped

const TICK_MS = 5;
const KEPT = 2000;
const stalls = []; // { from, to }
let last = performance.now();
let timer = null;

function tick() {
    const now = performance.now();
    if (now - last > 2 * TICK_MS) {
        stalls.push({ from: last, to: now });
        stalls.splice(0, stalls.length - KEPT);
    }
    last = now;
}

export function watchLag() {
    if (!timer) {
        last = performance.now();
        timer = setInterval(tick, TICK_MS).unref();
    }
}

export function wasLate(from, to, ms) {
    const open = { from: last, to: performance.now() }; // nobody ticked yet
    return timer !== null && [...stalls, open].some((stall) => stall.to - stall.from > ms &&
        stall.to >= from && stall.from <= to);
}

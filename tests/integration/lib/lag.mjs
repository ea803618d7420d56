// SPDX-License-Identifier: BSD-2-Clause
//
// When this process itself was late, so that what it measured then says nothing
// about anybody else.
//
//     watchLag();
//     wasLate(from, to, 20)      a stall of more than 20 ms overlapped

const TICK_MS = 5;
const stalls = []; // { from, to }
let timer = null;

export function watchLag() {
    let last = performance.now();
    timer ??= setInterval(() => {
        const now = performance.now();
        if (now - last > 2 * TICK_MS) {
            stalls.push({ from: last, to: now });
        }
        last = now;
    }, TICK_MS).unref();
}

export function wasLate(from, to, ms) {
    return stalls.some((stall) => stall.to - stall.from > ms && stall.to >= from &&
        stall.from <= to);
}

// SPDX-License-Identifier: BSD-2-Clause
//
// One client floods, another talks, and one worker serves both. What an echo
// of the second waits is measured in what the first gets through meanwhile:
// that holds on a slow machine as on a fast one. A pump without a bound on
// the work of one event lets a flood pass for as long as it lasts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Flood, kinds } from './lib/flood.mjs';
import { startEcho } from './lib/nginx_kit.mjs';
import { count } from './lib/paths.mjs';
import { sleep } from './lib/process.mjs';
import { Voiced } from './lib/voiced.mjs';
import { BINARY, PONG, RawClient } from './lib/ws_raw.mjs';

const ROUNDS = 8;       // at most
const MOST_KB = 1024;   // of the flood, while the median echo is under way
const MOST_MS = 50;     // more than when nothing else happens

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

// The median time of an echo, milliseconds.
async function medianEcho(client, samples) {
    const times = [];
    for (let i = 0; i < samples; i++) {
        const start = performance.now();
        client.send(BINARY, Buffer.alloc(160));
        for (;;) {
            const event = await client.next();
            if (event.type === 'message') {
                break;
            }
            client.send(PONG, event.data);
        }
        times.push(performance.now() - start);
        await sleep(1);
    }
    return median(times);
}

const isFair = ({ idle, busy, kb }) => kb < MOST_KB && busy - idle < MOST_MS;

// The best of some rounds, idle and flooded by turns: what the machine does
// besides makes a round worse, never better.
async function compare(client, flood) {
    const best = { idle: Infinity, busy: Infinity, kb: Infinity };
    for (let i = 0; i < 2 || (i < ROUNDS && !isFair(best)); i++) {
        flood.pause();
        await sleep(150);
        best.idle = Math.min(best.idle, await medianEcho(client, count(60, 300)));
        flood.resume();
        await sleep(150);
        const [start, before, heard] = [performance.now(), flood.kilobytes(), flood.answers()];
        const busy = await medianEcho(client, count(60, 300));
        const rate = (flood.kilobytes() - before) / (performance.now() - start);
        assert.ok(flood.answers() > heard, 'the flood goes on');
        best.busy = Math.min(best.busy, busy);
        best.kb = Math.min(best.kb, busy * rate);
    }
    return best;
}

test('R6.1 a flood of one client does not delay another', async (t) => {
    const other = await Voiced.start(t, { settings: { bench: { echo: 'yes' } } });
    const { port } = await startEcho(t, {
        http: `upstream other { server unix:${other.socket}; }`,
        server: 'location = /realtime { voice_pass other; }' });
    const cases = [...Object.keys(kinds).map((kind) => [kind, '/realtime', 'another voiced']),
        ['large', '/v1/realtime', 'the same voiced']];
    for (const [kind, path, where] of cases) {
        await t.test(`${kind}, to ${where}`, async (t) => {
            const client = await RawClient.open(port);
            const flood = await Flood.start(t, { port, path, kind });
            const { idle, busy, kb } = await compare(client, flood);
            await flood.end();
            await client.close();
            t.diagnostic(`an echo takes ${idle.toFixed(2)} ms, beside the flood ` +
                `${busy.toFixed(2)} ms, in which ${kb.toFixed(0)} KB of it pass`);
            assert.ok(kb < MOST_KB, `${kb} KB`);
            assert.ok(busy - idle < MOST_MS, `${busy - idle} ms`);
        });
    }
});

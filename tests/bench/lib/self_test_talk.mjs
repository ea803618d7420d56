// SPDX-License-Identifier: BSD-2-Clause
//
// bench-talk's own test: between its two ends a proxy that delays, loses and
// interrupts in known ways must show as exactly that.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fixtures, freePort } from '../../integration/lib/paths.mjs';
import { Client, benchTalk } from './measure.mjs';

const require = createRequire(new URL('../../package.json', import.meta.url));
const { WebSocket, WebSocketServer } = require('ws');

const wav = join(fixtures, 'story.wav');
const load = { wav, sessions: 10, seconds: 0.6, patience: 3, deltaMs: 20 };

// One connection through the proxy: what is done to messages of either way.
// up and down get (data, binary, pass): pass sends on.
function linked(client, request, port, manners) {
    const upstream = new WebSocket(`ws://127.0.0.1:${port}${request.url}`,
        request.headers['sec-websocket-protocol']?.split(', ') ?? []);
    const waiting = [];
    const toUpstream = data => (upstream.readyState === 1 ? upstream.send(data.text ?? data.data)
        : waiting.push(data));
    const ends = { toUpstream, toClient: data => client.readyState === 1 &&
        client.send(data.text ?? data.data) };
    const own = manners(ends);
    const wrap = (data, binary) => (binary ? { data } : { text: data.toString() });
    client.on('message', (data, binary) => own.up(wrap(data, binary)));
    upstream.on('message', (data, binary) => own.down(wrap(data, binary)));
    upstream.on('open', () => waiting.splice(0).forEach(toUpstream));
    client.on('close', () => upstream.close());
    upstream.on('close', () => client.close());
    client.on('error', () => {});
    upstream.on('error', () => client.terminate());
}

// Lines of a run of bench-talk whose clients go through the proxy.
async function through(manners, options = {}) {
    const port = await freePort();
    const proxy = new WebSocketServer({ host: '127.0.0.1', port: await freePort(),
        perMessageDeflate: false, handleProtocols: offered => [...offered][0] });
    proxy.on('connection', (client, request) => linked(client, request, port, manners));
    await new Promise(done => proxy.once('listening', done));
    try {
        return await run({ ...load, port, target: `127.0.0.1:${proxy.address().port}`, ...options });
    } finally {
        proxy.close();
        proxy.clients.forEach(client => client.terminate());
    }
}

async function run(options) {
    const client = new Client(null, options, benchTalk);
    const [, open, line] = [await client.phase(), await client.phase(), await client.phase()];
    await client.ended;
    assert.deepEqual([open.ready, open.failed, line.dropped, line.errors],
        [options.sessions, 0, 0, 0], `${open.why} ${line.why}`);
    return line;
}

const passes = ends => ({ up: ends.toUpstream, down: ends.toClient });

// What is under way at the borders of the phase.
const near = (found, wanted) => assert.ok(Math.abs(found - wanted) <= load.sessions * 3,
    `${found} instead of ${wanted}`);

async function counts() {
    for (const plain of [false, true]) {
        const straight = { ...load, direct: true, plain, deltaMs: plain ? 100 : 20 };
        const line = await run(straight);
        for (const way of ['up', 'down']) {
            near(line[`${way}_sent`], line[`${way}_taken`]);
            near(line[`${way}_sent`] / (plain ? 3 : 1), load.sessions * 30 / (plain ? 3 : 1));
        }
        assert.deepEqual([line.up_extra, line.down_missing, line.down_odd, line.lagging,
            line.overruns], [0, 0, 0, 0, 0]);
    }
}

async function delays() {
    const line = await through(({ toUpstream, toClient }) => ({
        up: data => setTimeout(toUpstream, 40, data),
        down: data => setTimeout(toClient, 40, data) }));
    for (const way of ['up', 'down']) {
        assert.ok(line[way].p50_us >= 39000 && line[way].p50_us < 90000, JSON.stringify(line[way]));
    }
}

// Every tenth packet, of either way.
async function losses() {
    const tenth = pass => {
        let count = 0;
        return data => (data.data && ++count % 10 === 5 ? undefined : pass(data));
    };
    const line = await through(({ toUpstream, toClient }) => ({
        up: tenth(toUpstream), down: tenth(toClient) }));
    near(line.down_missing, line.down_sent / 10);
    near(line.up_sent - line.up_taken, line.up_sent / 10);
}

// Packets made up on the way.
async function additions() {
    const line = await through(({ toUpstream, toClient }) => ({
        up: data => {
            toUpstream(data);
            if (data.data) {
                toUpstream(data);
            }
        },
        down: toClient }));
    near(line.up_extra, line.up_sent);
}

const interrupted = { interrupters: 10, interrupts: 20, speed: 4, answerMs: 4000, seconds: 20 };

// Packets of the old answer come 60 ms after everything else.
async function lateAnswers() {
    const line = await through(({ toUpstream, toClient }) => ({ up: toUpstream,
        down: data => (data.data ? setTimeout(toClient, 60, data) : toClient(data)) }),
    interrupted);
    assert.ok(line.interrupted >= 20);
    assert.equal(line.uncleared, line.interrupted);
    assert.ok(line.old.p99_us >= 59000, JSON.stringify(line.old));
}

// What a gateway does, and a truncate that is 25 ms off.
function interrupts({ toUpstream, toClient }) {
    let began = null;
    let dropping = false;
    let waiting = false;
    return {
        up: data => {
            const stats = data.text?.includes('voice.stats') ? JSON.parse(data.text) : null;
            if (stats && waiting) {
                waiting = false;
                toUpstream({ text: JSON.stringify({ type: 'conversation.item.truncate',
                    item_id: 'item', content_index: 0,
                    audio_end_ms: Math.round(stats.played_ms - began / 48 + 25) }) });
            } else if (!stats) {
                toUpstream(data);
            }
        },
        down: data => {
            if (data.data) {
                began ??= data.data.readUInt32BE(4);
                return dropping ? undefined : toClient(data);
            }
            if (data.text.includes('"input_audio_buffer.speech_started"')) {
                dropping = waiting = true;
                toClient({ text: '{"type":"voice.playout.clear","event_id":"e"}' });
            } else if (data.text.includes('"response.created"')) {
                dropping = false;
                began = null;
            }
            return toClient(data);
        },
    };
}

async function clears() {
    const line = await through(interrupts, interrupted);
    assert.ok(line.interrupted >= 20);
    assert.equal(line.uncleared, 0);
    assert.ok(line.truncated >= 20 && line.truncated <= 40, `${line.truncated} truncated`);
    assert.ok(line.truncate.p50_us >= 24000 && line.truncate.p50_us <= 27000,
        JSON.stringify(line.truncate));
    assert.ok(line.old.p50_us < 59000, JSON.stringify(line.old));
}

// A server that agrees to nothing, and one that is not there.
async function refusals() {
    const port = await freePort();
    const proxy = new WebSocketServer({ host: '127.0.0.1', port, handleProtocols: () => false });
    await new Promise(done => proxy.once('listening', done));
    for (const why of ['voice.opus.v1 was not agreed on', 'Connection refused']) {
        const client = new Client(null, { ...load, target: `127.0.0.1:${port}` }, benchTalk);
        await client.phase();
        const open = await client.phase();
        assert.deepEqual([open.ready, open.failed, open.why], [0, 10, why]);
        await client.kill();
        proxy.clients.forEach(each => each.terminate());
        await new Promise(done => proxy.close(done));
    }
}

export const talkChecks = { counts, delays, losses, additions, lateAnswers, clears, refusals,
    passing: async () => near((await through(passes)).down_missing, 0) };

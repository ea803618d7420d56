// SPDX-License-Identifier: BSD-2-Clause
//
// The start and the end of a session are told to who listens of the same
// tenant, as a stream and as a long poll, and to nobody else.

import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';
import { defer, until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';

// An event stream; `events` grows: { id, type, timestamp, … }.
async function readEvents(t, port, key, headers = {}) {
    const stream = { events: [], open: false };
    let rest = '';
    const request = http.get({ host: '127.0.0.1', port, path: '/v1/events', agent: false,
        headers: { Accept: 'text/event-stream', Authorization: `Bearer ${key}`, ...headers } });
    request.on('error', () => {});
    request.once('response', (response) => {
        stream.open = response.statusCode === 200;
        response.setEncoding('utf8').on('data', (data) => {
            const blocks = (rest + data).split('\n\n');
            rest = blocks.pop();
            for (const block of blocks) {
                const found = /^id: (\d+)\ndata: (.*)$/.exec(block);
                if (found) {
                    stream.events.push({ id: Number(found[1]), ...JSON.parse(found[2]) });
                }
            }
        });
        response.on('error', () => {});
    });
    defer(t, () => request.destroy());
    await until(() => stream.open, 'an event stream');
    return stream;
}

test('events of sessions', async (t) => {
    const stack = await startStack(t, { voiced: { auth: 'keys' } });
    const keys = { one: await stack.voiced.addKey('one', '--tenant', 'red'),
        other: await stack.voiced.addKey('other', '--tenant', 'blue') };
    const bearer = (key) => ({ headers: { Authorization: `Bearer ${key}` } });
    const poll = async (key, query) => (await stack.request(`/v1/events?${query}`,
        bearer(key))).json;
    await until(async () => (await stack.request('/v1/events?wait=0', bearer(keys.other)))
        .status === 200, 'the keys to be known');

    const { port } = stack.nginx;
    const mine = await readEvents(t, port, keys.one);
    const theirs = await readEvents(t, port, keys.other);
    const after = (await poll(keys.one, 'wait=0')).next;
    const waiting = poll(keys.one, `after=${after}&wait=30`);
    const foreign = poll(keys.other, `after=${after}&wait=2`);

    const client = await stack.connect(t, { key: keys.one });
    await client.next('session.created');
    const { sessionId } = client;

    await t.test('the start wakes a long poll', async () => {
        const { events, next } = await waiting;
        assert.equal(events.length, 1);
        assert.equal(events[0].type, 'session_start');
        assert.equal(events[0].session_id, sessionId);
        assert.equal(events[0].model, 'gpt-realtime');
        assert.ok(!Number.isNaN(Date.parse(events[0].timestamp)));
        assert.equal(next, events[0].id);
    });

    await t.test('a stream gets both, in order', async () => {
        await client.close();
        await until(() => mine.events.length === 2, 'two events');
        assert.deepEqual(mine.events.map((e) => e.type), ['session_start', 'session_end']);
        assert.ok(mine.events.every((e) => e.session_id === sessionId));
        assert.equal(mine.events[1].reason, 'client_closed');
        assert.ok(mine.events[1].id > mine.events[0].id);
    });

    await t.test('a list has both', async () => {
        const { events } = await poll(keys.one, `after=${after}`);
        assert.deepEqual(events.map((e) => e.type), ['session_start', 'session_end']);
    });

    await t.test('who comes back gets what was missed', async (t) => {
        const again = await readEvents(t, port, keys.one,
            { 'Last-Event-ID': String(mine.events[0].id) });
        await until(() => again.events.length === 1, 'the missed event');
        assert.equal(again.events[0].type, 'session_end');
    });

    await t.test('another tenant hears nothing', async () => {
        assert.deepEqual((await foreign).events, []);
        assert.deepEqual((await poll(keys.other, 'after=0')).events, []);
        assert.deepEqual(theirs.events, []);
    });
});

// SPDX-License-Identifier: BSD-2-Clause
//
// A thousand readers of events, a thousand long polls and five hundred idle
// connections hold no thread: health and new sessions are served beside them.

import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';
import { FastcgiConnection, paramsOf } from './lib/fastcgi.mjs';
import { count } from './lib/paths.mjs';
import { defer, fdCount, until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';

const readers = count(200, 1000);
const polls = count(200, 1000);
const idle = count(100, 500);

// An event stream being read; `text` grows.
function readEvents(t, port) {
    const stream = { text: '', open: false };
    const request = http.get({ host: '127.0.0.1', port, path: '/v1/events', agent: false,
        headers: { Accept: 'text/event-stream' } });
    request.on('error', () => {});
    request.once('response', (response) => {
        stream.open = response.statusCode === 200;
        stream.type = response.headers['content-type'];
        response.setEncoding('utf8').on('data', (data) => { stream.text += data; });
        response.on('error', () => {});
    });
    defer(t, () => request.destroy());
    return stream;
}

function longPoll(t, port) {
    const poll = { status: 0 };
    const request = http.get({ host: '127.0.0.1', port, path: '/v1/events?wait=60',
        agent: false });
    request.on('error', () => {});
    request.once('response', (response) => {
        poll.status = response.statusCode;
        response.resume();
        response.on('error', () => {});
    });
    defer(t, () => request.destroy());
    return poll;
}

test('R5.1 nobody who waits keeps others from being served', async (t) => {
    const stack = await startStack(t, { voiced: { settings: { request_threads: 2 } } });
    const { port } = stack.nginx;
    const server = stack.voiced.serverPid();
    const fdsBefore = fdCount(server);

    await t.test('while all of them wait', async (t) => {
        const streams = Array.from({ length: readers }, () => readEvents(t, port));
        // Sooner than the first keep-alive comment (30 s) would bring it.
        await until(() => streams.every((s) => s.open), 'event streams', 20000);
        assert.ok(streams.every((s) => /^text\/event-stream/.test(s.type)));

        for (let i = 0; i < idle; i++) {
            const connection = await FastcgiConnection.open(stack.voiced.socket);
            defer(t, () => connection.close());
            const answer = await connection.request(paramsOf('GET', '/health/live'),
                { keep: true });
            assert.equal(answer.status, 200);
        }

        const waiting = Array.from({ length: polls }, () => longPoll(t, port));
        await until(() => fdCount(server) >= fdsBefore + readers + polls + idle,
            'all requests to arrive', 60000);
        for (let i = 0; i < 20; i++) {
            assert.equal((await stack.request('/health')).status, 200);
        }
        assert.ok(waiting.every((poll) => poll.status === 0), 'polls still wait');

        // New sessions start, talk, and are told to all who wait.
        for (let i = 0; i < 10; i++) {
            const client = await stack.connect(t);
            await client.update({ output_modalities: ['text'] });
            client.sayText('What is seven plus five?');
            assert.equal((await client.respond()).status, 'completed');
            await client.close();
        }
        await until(() => waiting.every((poll) => poll.status === 200), 'polls to be answered',
            60000);
        await until(() => streams.every((s) => s.text.includes('"session_start"')),
            'streams to be told', 60000);
        assert.equal((await stack.request('/health')).status, 200);
    });

    await t.test('R4.3 and when they leave, nothing of them is left', async () => {
        await until(() => fdCount(server) <= fdsBefore + 33, 'descriptors to come back',
            30000);
        assert.equal((await stack.request('/health')).status, 200);
    });
});

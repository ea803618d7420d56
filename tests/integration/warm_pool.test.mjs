// SPDX-License-Identifier: BSD-2-Clause
//
// Links that are open before a client comes: taken at once, once, never after
// their time; replaced; closed when nobody may take them any more. What an
// upstream connection is sent tells whose it is.

import assert from 'node:assert/strict';
import test from 'node:test';
import { full } from './lib/paths.mjs';
import { sleep, until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';
import { Upstream } from './lib/upstream.mjs';

const POLICY = 'voice_model m other none;\n';

const warm = (more) => ({ loops: 2,
    warm: { model: 'm', links: 3, ttl: '45s', refill: '1s', ...more } });

async function start(t, { settings = warm(), policy = POLICY, upstream = {}, ...options } = {}) {
    const up = await Upstream.start(t, { onEvent: () => true, ...upstream });
    const stack = await startStack(t, { policy, voiced: up.voiced({ settings, ...options }) });
    return { up, stack };
}

async function counters(stack) {
    const { text } = await stack.request('/metrics');
    return Object.fromEntries(text.split('\n').filter((line) => line && !line.startsWith('#'))
        .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

const warmLinks = async (stack) => (await counters(stack)).voiced_warm_links;
const filled = (stack, count) => until(async () => await warmLinks(stack) === count,
    `${count} warm links`, 15000);

// A session that leaves its mark at the connection it got.
let marks = 0;
async function mark(stack, t, options) {
    const client = await stack.connect(t, { path: '/v1/realtime?model=m', ...options });
    client.mark = `mark_${marks++}`;
    await client.next('session.created');
    client.send({ type: 'input_audio_buffer.clear', event_id: client.mark });
    return client;
}

const marksOf = (conn) => conn.events.map((event) => event.event_id)
    .filter((id) => /^mark_/.test(id ?? ''));

function markedBy(up, client) {
    return until(() => up.connections.find((conn) => marksOf(conn).includes(client.mark)),
        `the mark of ${client.mark}`);
}

// The heart of it: whoever got a connection was the only one.
function assertOnceEach(up) {
    for (const conn of up.connections) {
        assert.ok(marksOf(conn).length <= 1, `a link given twice: ${marksOf(conn)}`);
    }
}

test('R1.1 warm links', async (t) => {
    const { up, stack } = await start(t, { upstream: { delayMs: 50 } });
    await filled(stack, 3);

    await t.test('three are open before anybody asks', () => {
        assert.equal(up.connections.length, 3);
        assert.equal(up.connections[0].query.get('model'), 'm');
    });

    await t.test('a session gets one of them, and another takes its place', async (t) => {
        const client = await mark(stack, t);
        const conn = await markedBy(up, client);
        assert.ok(up.connections.indexOf(conn) < 3);
        await filled(stack, 3);
        assert.equal(up.connections.length, 4);
        await client.close();
        assert.equal((await conn.waitClosed()).code, 1000);
        assert.equal((await counters(stack)).voiced_warm_taken_total, 1);
    });

    await t.test('what was used is not used again', async (t) => {
        for (let i = 0; i < 10; i++) {
            const client = await mark(stack, t);
            await markedBy(up, client);
            await client.close();
        }
        assertOnceEach(up);
    });

    await t.test('sessions of their own kind bypass the pool', async (t) => {
        await filled(stack, 3);
        const before = (await counters(stack)).voiced_warm_taken_total;
        const client = await mark(stack, t, { headers: { 'OpenAI-Safety-Identifier': 'u' } });
        const conn = await markedBy(up, client);
        assert.equal(conn.request.headers['openai-safety-identifier'], 'u');
        assert.equal((await counters(stack)).voiced_warm_taken_total, before);
        await client.close();
    });

    await t.test('a model that is asked for is kept warm from then on', async (t) => {
        const other = (t) => mark(stack, t, { path: '/v1/realtime?model=other' });
        const first = await other(t);
        await markedBy(up, first);
        await filled(stack, 6);
        const second = await other(t);
        const conn = await markedBy(up, second);
        assert.equal(conn.query.get('model'), 'other');
        assert.ok(up.connections.indexOf(conn) < up.connections.length - 1);
        await Promise.all([first.close(), second.close()]);
        assertOnceEach(up);
    });

    await t.test('a link that the upstream closes is replaced', async () => {
        await filled(stack, 6);
        const before = up.connections.length;
        await sleep(2100);
        up.live[0].kill();
        await until(() => up.connections.length > before, 'another link');
        await filled(stack, 6);
    });
});

test('R1.1 many starts at once', async (t) => {
    const { up, stack } = await start(t, { upstream: { delayMs: 20 },
        settings: warm({ links: 10, max: 40 }) });
    await filled(stack, 10);
    const rounds = full ? 20 : 3;
    const each = 50;
    for (let round = 0; round < rounds; round++) {
        const clients = await Promise.all(Array.from({ length: each }, () => mark(stack, t)));
        const conns = await Promise.all(clients.map((client) => markedBy(up, client)));
        assert.equal(new Set(conns).size, each);
        await Promise.all(clients.map((client) => client.close()));
    }
    assertOnceEach(up);
    const all = await counters(stack);
    assert.equal(all.voiced_warm_taken_total + all.voiced_warm_missed_total, rounds * each);
    assert.ok(all.voiced_warm_taken_total >= 10);
});

test('R1.1 a link is not used beyond its time', async (t) => {
    const ttlMs = 2000;
    const { up, stack } = await start(t, { settings: warm({ ttl: `${ttlMs}ms`, refill: '1s' }) });
    const opened = new Map();
    up.options.onConnection = (conn) => opened.set(conn, performance.now());
    await filled(stack, 3);
    const until_ = performance.now() + (full ? 60000 : 8000);
    while (performance.now() < until_) {
        const asked = performance.now();
        const client = await mark(stack, t);
        const conn = await markedBy(up, client);
        if (opened.has(conn)) {
            assert.ok(asked - opened.get(conn) < ttlMs, 'an expired link was handed out');
        }
        await client.close();
        await sleep(500 + Math.random() * 900);
    }
    assertOnceEach(up);
    assert.ok((await counters(stack)).voiced_warm_expired_total > 0);
    // Those that were never taken are closed by us, in order.
    assert.ok(up.connections.some((conn) => marksOf(conn).length === 0 &&
        conn.closed?.code === 1000));
});

test('R1.1 an upstream that fails is not stormed', async (t) => {
    const { up, stack } = await start(t);
    await filled(stack, 3);

    await t.test('when it is gone', async () => {
        await up.stop();
        await filled(stack, 0);
        const before = (await counters(stack))[
            'voiced_upstream_connects_total{upstream="main",result="unavailable"}'] ?? 0;
        await sleep(5000);
        const tries = (await counters(stack))[
            'voiced_upstream_connects_total{upstream="main",result="unavailable"}'] - before;
        assert.ok(tries <= 6, `${tries} attempts in 5 s`);
    });

    await t.test('when it is there again', async (t) => {
        await up.restart();
        await filled(stack, 3);
        const client = await mark(stack, t);
        await markedBy(up, client);
        await client.close();
    });

    await t.test('when it refuses', async () => {
        up.refuse(429);
        up.killAll();
        await filled(stack, 0);
        const before = up.handshakes;
        await sleep(5000);
        assert.ok(up.handshakes - before <= 6, `${up.handshakes - before} attempts in 5 s`);
        up.accept();
        await filled(stack, 3);
    });

    await t.test('when it refuses while links of before are there', async (t) => {
        await sleep(2500);
        up.refuse(401);
        const client = await mark(stack, t);
        const before = up.handshakes;
        await sleep(4000);
        assert.ok(up.handshakes - before <= 5, `${up.handshakes - before} attempts in 4 s`);
        up.accept();
        await filled(stack, 3);
        await client.close();
    });

    await t.test('a model that it does not have is asked for once a session', async (t) => {
        up.options.models = ['m'];
        const before = up.handshakes;
        const client = await stack.connect(t, { path: '/v1/realtime?model=none', checked: false });
        await client.waitClosed();
        await sleep(3000);
        assert.ok(up.handshakes - before <= 2);
        assertOnceEach(up);
    });
});

test('R1.1 another order of upstreams bypasses the pool', async (t) => {
    const second = await Upstream.start(t, { onEvent: () => true });
    const { up, stack } = await start(t, { policy: `${POLICY}voice_upstream second main;`,
        settings: { ...warm(), upstream: { second: second.section() } } });
    await filled(stack, 3);
    const client = await mark(stack, t);
    await markedBy(second, client);
    assert.equal(up.connections.length, 3);
    await client.close();
});

test('R1.1 no link is left', async (t) => {
    const { up, stack } = await start(t);
    await filled(stack, 3);

    await t.test('of a generation that drains', async (t) => {
        const client = await mark(stack, t);
        const conn = await markedBy(up, client);
        await stack.voiced.reload();
        await until(() => up.live.length === 4, 'the old links to close and new ones to open',
            15000);
        assert.ok(!conn.closed);
        await client.close();
    });

    await t.test('of a server that stops', async () => {
        await until(() => up.live.length === 3, 'the session to be gone');
        await stack.voiced.stop();
        await until(() => up.live.length === 0, 'all links to close');
        assert.deepEqual([...new Set(up.connections.map((conn) => conn.closed.code))], [1000]);
        assertOnceEach(up);
    });
});

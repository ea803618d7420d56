// SPDX-License-Identifier: BSD-2-Clause
//
// The upstream{} block: peers that are dead, silent, full or broken.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { FastcgiPeer, echo, record } from './lib/fastcgi_peer.mjs';
import { startModule } from './lib/module_kit.mjs';
import { makeDir } from './lib/paths.mjs';
import { defer, until } from './lib/process.mjs';
import { CLOSE, RawClient, TEXT, closePayload, frame } from './lib/ws_raw.mjs';

const location = (name, more = '') =>
    `location = /${name} { voice_pass ${name}; ${more} }`;

async function ask(port, path) {
    const client = await RawClient.connect(port);
    const answer = await client.handshake({ path });
    client.destroy();
    return answer;
}

test('a dead peer is passed over; when all are dead, 502', async (t) => {
    const { peer, nginx, port } = await startModule(t, {
        http: `upstream dead { server unix:/nonexistent/a; server unix:/nonexistent/b; }`,
        server: location('dead') });
    assert.equal((await ask(port, '/dead')).status, 502);
    assert.equal((await ask(port, '/dead')).status, 502);
    assert.equal(peer.sessions.length, 0);
    assert.match(nginx.errorLog(), /connect\(\) to unix:\/nonexistent\/b failed/);
    assert.match(nginx.errorLog(), /no live upstreams/);
});

test('the next peer takes a session that the first can not', async (t) => {
    const alive = await FastcgiPeer.start(t);
    const { nginx, port } = await startModule(t, {
        http: `upstream mixed { server unix:/nonexistent/a max_fails=0;
            server unix:${alive.socket} max_fails=0; }
            log_format up '$upstream_addr $upstream_status $status';`,
        server: location('mixed', 'access_log logs/up.log up;') });
    for (let i = 0; i < 6; i++) {
        const client = await RawClient.open(port, { path: '/mixed' });
        client.send(TEXT, 'x');
        assert.equal((await client.next()).data.toString(), 'x');
        await client.close();
    }
    assert.equal(alive.sessions.length, 6);
    assert.match(nginx.errorLog(), /nonexistent\/a failed/);
});

test('voice_next_upstream off: the first answer stands', async (t) => {
    const alive = await FastcgiPeer.start(t);
    const { port } = await startModule(t, {
        http: `upstream off { server unix:/nonexistent/a max_fails=0;
            server unix:${alive.socket} backup; }`,
        server: location('off', 'voice_next_upstream off;') });
    assert.equal((await ask(port, '/off')).status, 502);
    assert.equal(alive.sessions.length, 0);
});

test('a peer that answers 503 is passed over where asked; the last answer is relayed',
    async (t) => {
        const full = (s) => { s.answer(503, { 'Retry-After': 7 }, 'full'); };
        const [a, b] = [await FastcgiPeer.start(t, full), await FastcgiPeer.start(t, full)];
        const { port } = await startModule(t, {
            http: `upstream full { server unix:${a.socket} max_fails=0;
                server unix:${b.socket} max_fails=0; }`,
            server: location('full', 'voice_next_upstream error http_503;') });
        const answer = await ask(port, '/full');
        assert.equal(answer.status, 503);
        assert.equal(answer.body, 'full');
        assert.equal(answer.headers['retry-after'], '7');
        assert.deepEqual([a.sessions.length, b.sessions.length], [1, 1]);
    });

test('a peer that never answers: 504', async (t) => {
    const { nginx, port } = await startModule(t, { handler: () => {},
        directives: 'voice_read_timeout 300ms; voice_next_upstream off;' });
    assert.equal((await ask(port, '/v1/realtime')).status, 504);
    assert.match(nginx.errorLog(), /upstream timed out/);
});

test('a peer that accepts connections and nothing else: 504', async (t) => {
    const socket = join(makeDir('silent'), 's');
    const held = [];
    const server = createServer((c) => { c.pause(); held.push(c); });
    await new Promise((done) => server.listen(socket, done));
    defer(t, () => { held.forEach((c) => c.destroy()); server.close(); });
    const { port } = await startModule(t, { http: `upstream mute { server unix:${socket}; }`,
        server: location('mute', 'voice_read_timeout 300ms; voice_send_timeout 300ms;') });
    assert.equal((await ask(port, '/mute')).status, 504);
});

test('max_conns counts live sessions', async (t) => {
    const one = await FastcgiPeer.start(t);
    const { port } = await startModule(t, {
        http: `upstream one { zone one 64k; server unix:${one.socket} max_conns=1; }`,
        server: location('one') });
    const client = await RawClient.open(port, { path: '/one' });
    assert.equal((await ask(port, '/one')).status, 502);
    await client.close();
    const second = await until(async () => {
        const next = await RawClient.connect(port);
        if ((await next.handshake({ path: '/one' })).status === 101) {
            return next;
        }
        next.destroy();
        return null;
    }, 'the place to be free again');
    await second.close();
});

test('an upstream killed mid-session: Close 1011, and the next session elsewhere', async (t) => {
    const [a, b] = [await FastcgiPeer.start(t), await FastcgiPeer.start(t)];
    const { nginx, port } = await startModule(t, {
        http: `upstream pair { server unix:${a.socket}; server unix:${b.socket}; }`,
        server: location('pair') });
    const clients = [];
    for (let i = 0; i < 8; i++) {
        clients.push(await RawClient.open(port, { path: '/pair' }));
    }
    assert.deepEqual([a.sessions.length, b.sessions.length], [4, 4]);
    await a.crash();
    let lost = 0;
    await Promise.all(clients.map(async (client) => {
        client.send(TEXT, 'still there?');
        const event = await client.next();
        if (event.type === 'message') {
            await client.close();
            return;
        }
        lost++;
        assert.deepEqual([event.type, event.code], ['close', 1011]);
        client.send(CLOSE, event.data);
        await client.gone;
    }));
    assert.equal(lost, 4);
    const client = await RawClient.open(port, { path: '/pair' });
    await client.close();
    await nginx.accessLine(/ 101 .* code=1011 /);
});

test('an upstream killed within a message: the client still gets a Close', async (t) => {
    const { port } = await startModule(t, { handler: async (s) => {
        s.accept();
        const bytes = frame(TEXT, 'half'.repeat(1000));
        await s.stdout(bytes.subarray(0, 500));
        await s.next();
        s.destroy();
    } });
    const client = await RawClient.open(port);
    client.send(TEXT, 'now');
    const close = await client.untilClose();
    assert.equal(close.code, 1011);
    client.destroy();
});

const openings = [
    ['a record of version 2', (s) => s.stdout('Status: 101\r\n\r\n', { version: 2 })],
    ['a record of request 2', (s) => s.stdout('Status: 101\r\n\r\n', { id: 2 })],
    ['a record of an unknown type', (s) => s.write(record(11, 'x'))],
    ['no FastCGI at all', (s) => s.write('HTTP/1.1 101 Switching Protocols\r\n\r\n')],
    ['a header that is none', (s) => s.stdout('\x01\x02\r\n\r\n')],
    ['a status out of range', (s) => s.stdout('Status: 999\r\n\r\n')],
    ['a status that is none', (s) => s.stdout('Status: abc\r\n\r\n')],
    ['a provisional status', (s) => s.stdout('Status: 100\r\n\r\n')],
    ['a header without end', (s) => s.stdout(`X-A: ${'a'.repeat(60000)}`)],
    ['END_REQUEST at once', (s) => { s.end(); }],
    ['a closed connection', (s) => { s.destroy(); }],
    ['half a record, then closed', async (s) => {
        await s.write(record(6, 'Status: 101\r\n\r\n').subarray(0, 11));
        s.destroy();
    }],
];

test('an answer that is broken: 502', async (t) => {
    let opening;
    const { port } = await startModule(t, { handler: (s) => opening(s) });
    for (const [name, open] of openings) {
        await t.test(name, async () => {
            opening = open;
            assert.equal((await ask(port, '/v1/realtime')).status, 502);
        });
    }
});

const breaks = [
    ['a record of version 2', (s) => s.stdout('x', { version: 2 })],
    ['a record of request 2', (s) => s.stdout('x', { id: 2 })],
    ['a record of request 257', (s) => s.stdout('x', { id: 257 })],
    ['a record of an unknown type', (s) => s.write(record(9, 'x'))],
    ['a masked frame', (s) => s.stdout(frame(TEXT, 'x', { masked: true }))],
    ['an RSV bit', (s) => s.stdout(frame(TEXT, 'x', { rsv: 4 }))],
    ['a control frame of 126 bytes', (s) => s.stdout(frame(9, 'x'.repeat(126)))],
    ['a continuation of nothing', (s) => s.stdout(frame(0, 'x'))],
    ['a close code that may not be sent', (s) => s.stdout(frame(CLOSE, closePayload(1006)))],
    ['END_REQUEST without a Close', (s) => { s.end(); }],
    ['a closed connection', (s) => { s.destroy(); }],
    ['a closed connection within padding', async (s) => {
        await s.write(record(6, frame(TEXT, 'ok'), { padding: 255 }).subarray(0, 100));
        s.destroy();
    }],
];

test('an upstream that breaks the wire mid-session: Close 1011', async (t) => {
    let act;
    const { port } = await startModule(t, { handler: async (s) => {
        s.accept();
        await s.until('message');
        await act(s);
    } });
    for (const [name, breaking] of breaks) {
        await t.test(name, async () => {
            act = breaking;
            const client = await RawClient.open(port);
            client.send(TEXT, 'go');
            const close = await client.untilClose();
            assert.equal(close.code, 1011);
            client.send(CLOSE, close.data);
            await client.gone;
        });
    }
});

test('records with much padding and none are read alike', async (t) => {
    const { port } = await startModule(t, { handler: async (s) => {
        s.accept();
        for (let padding = 0; padding < 256; padding++) {
            await s.stdout(frame(TEXT, `${padding}`), { padding });
        }
        await s.until('close');
        s.end();
    } });
    const client = await RawClient.open(port);
    for (let padding = 0; padding < 256; padding++) {
        assert.equal((await client.next()).data.toString(), `${padding}`);
    }
    await client.close();
});

test('a client that leaves before the answer: the upstream connection is closed, 499',
    async (t) => {
        const { peer, nginx, port } = await startModule(t, { handler: () => {} });
        const client = await RawClient.connect(port);
        client.handshake({}).catch(() => {});
        const session = await peer.session();
        client.destroy();
        await session.gone;
        await nginx.accessLine(/\/v1\/realtime 499 /);
    });

test('a cached connection of a keepalive upstream is used, and given up when stale',
    async (t) => {
        const peer = await FastcgiPeer.start(t, async (s) => {
            s.accept();
            await echo(s);
        });
        const { port } = await startModule(t, {
            http: `upstream cached { server unix:${peer.socket}; keepalive 4; }`,
            server: location('cached') });
        for (let i = 0; i < 4; i++) {
            const client = await RawClient.open(port, { path: '/cached' });
            await client.close();
        }
    });

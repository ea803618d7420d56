// SPDX-License-Identifier: BSD-2-Clause
//
// Peers that fail: a voiced that is dead, one that never answers, one that
// dies in a session, and clients that are no longer there.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import { Client, RawSocket, frame, refused } from './lib/client.mjs';
import { Nginx } from './lib/nginx.mjs';
import { defer, until } from './lib/process.mjs';
import { Voiced } from './lib/voiced.mjs';

const config = (servers, more = '') => ({ port }) => `
    upstream voice { ${servers.map((path) => `server unix:${path};`).join(' ')} }
    server {
        listen 127.0.0.1:${port};
        voice_model gpt-realtime;
        ${more}
        location = /v1/realtime { voice_pass voice; }
    }`;

test('a dead voiced: the next peer serves, and with none left it is 502', async (t) => {
    const alive = await Voiced.start(t);
    const nginx = await Nginx.start(t, {
        http: config([join(alive.dir, 'nobody.sock'), alive.socket]) });
    for (let i = 0; i < 4; i++) {
        const client = await Client.connect(t, { port: nginx.port });
        await client.next('session.created');
        await client.close();
    }
    await alive.stop();
    const answer = await refused({ port: nginx.port });
    assert.equal(answer.status, 502);
    await nginx.accessLine(/ 502 /); // it may come after the answer
});

test('a voiced that never answers is 504, and is left alone for a while', async (t) => {
    const alive = await Voiced.start(t);
    const path = join(alive.dir, 'mute.sock');
    const held = new Set();
    const mute = createServer((socket) => {
        held.add(socket);
        socket.resume();
        socket.on('error', () => {});
        socket.on('close', () => held.delete(socket));
    });
    await new Promise((done) => mute.listen(path, done));
    defer(t, () => mute.close());
    const timeouts = 'voice_read_timeout 500ms; voice_connect_timeout 500ms;';

    const alone = await Nginx.start(t, { http: config([path], timeouts) });
    assert.equal((await refused({ port: alone.port })).status, 504);
    await until(() => held.size === 0, 'nginx to let the connection go');

    // A client that leaves while nothing has been answered is let go too.
    const raw = await RawSocket.connect(t, { port: alone.port });
    const slow = await Nginx.start(t, { http: config([path], 'voice_read_timeout 60s;') });
    const leaving = await RawSocket.connect(t, { port: slow.port });
    leaving.upgrade().catch(() => {});
    await until(() => held.size === 1, 'the request to arrive');
    leaving.socket.destroy();
    await until(() => held.size === 0, 'nginx to let the connection go');
    raw.socket.destroy();
});

test('a voiced that is gone in the middle of a session is Close 1011', async (t) => {
    const voiced = await Voiced.start(t);
    const path = join(voiced.dir, 'cut.sock');
    // Between the two, so that one connection can be cut alone.
    const { createConnection } = await import('node:net');
    const links = [];
    const relay = createServer((near) => {
        const far = createConnection(voiced.socket);
        near.pipe(far).pipe(near);
        for (const socket of [near, far]) {
            socket.on('error', () => {});
        }
        links.push({ near, far });
    });
    await new Promise((done) => relay.listen(path, done));
    defer(t, () => {
        links.forEach(({ near, far }) => { near.destroy(); far.destroy(); });
        relay.close();
    });
    const nginx = await Nginx.start(t, { http: config([path]) });
    const cut = await Client.connect(t, { port: nginx.port });
    const other = await Client.connect(t, { port: nginx.port });
    await cut.next('session.created');
    await other.next('session.created');
    links[0].near.destroy();
    links[0].far.destroy();
    assert.equal((await cut.waitClosed()).code, 1011);
    assert.equal((await voiced.summary(cut.sessionId)).ended, 'client_lost');
    await other.update({});
});

test('clients that are no longer there', async (t) => {
    const voiced = await Voiced.start(t);
    const nginx = await Nginx.start(t, { http: config([voiced.socket],
        'voice_ping_interval 1s; voice_ping_timeout 1s;') });
    const open = async (t, options) => {
        const raw = await RawSocket.connect(t, { port: nginx.port, ...options });
        const { status, head } = await raw.upgrade();
        assert.equal(status, 101);
        return { raw, id: /x-voice-session: (\S+)/i.exec(head)[1] };
    };

    await t.test('one that answers no ping is let go', async (t) => {
        const { raw, id } = await open(t);
        await raw.waitEnd();
        assert.equal((await voiced.summary(id)).ended, 'client_lost');
    });

    await t.test('one that stops in the middle of a frame is let go', async (t) => {
        const { raw, id } = await open(t);
        await raw.write(frame(1, 'x'.repeat(1000)).subarray(0, 500));
        await raw.waitEnd();
        assert.equal((await voiced.summary(id)).ended, 'client_lost');
    });

    await t.test('one that shuts down its sending side is let go', async (t) => {
        const { raw, id } = await open(t, { allowHalfOpen: true });
        raw.socket.end();
        await raw.waitEnd();
        assert.equal((await voiced.summary(id)).ended, 'client_lost');
    });

    await t.test('one that resets its connection is let go', async (t) => {
        const { raw, id } = await open(t);
        raw.socket.resetAndDestroy();
        assert.equal((await voiced.summary(id)).ended, 'client_lost');
    });

    await t.test('one that answers pings stays', async (t) => {
        const client = await Client.connect(t, { port: nginx.port });
        await client.next('session.created');
        let pings = 0;
        client.socket.on('ping', () => { pings++; });
        await until(() => pings >= 3, 'three pings');
        await client.update({});
        await client.close();
        const summary = await voiced.summary(client.sessionId);
        assert.equal(summary.ended, 'client_closed');
        assert.ok(summary.rtt_us > 0, 'voiced learned the round-trip time');
    });
});

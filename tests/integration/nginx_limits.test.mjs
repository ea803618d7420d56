// SPDX-License-Identifier: BSD-2-Clause
//
// voice_max_message_size, to the byte, however the message comes; and the
// socket to voiced: voice_bind, voice_socket_keepalive.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { FastcgiPeer } from './lib/fastcgi_peer.mjs';
import { frame } from './lib/frames.mjs';
import { Nginx } from './lib/nginx.mjs';
import { ask, logOf, startEcho } from './lib/nginx_kit.mjs';
import { startModule } from './lib/module_kit.mjs';
import { sanitized } from './lib/paths.mjs';
import { rssAnonKb } from './lib/process.mjs';
import { BINARY, CONT, PING, RawClient, TEXT, masked } from './lib/ws_raw.mjs';

// The message cut into frames of those sizes.
function fragments(opcode, data, sizes) {
    const frames = [];
    let at = 0;
    for (const [i, size] of sizes.entries()) {
        frames.push(masked(i === 0 ? opcode : CONT, data.subarray(at, at + size),
            { fin: i === sizes.length - 1 }));
        at += size;
    }
    return frames;
}

const halves = (size) => [size >> 1, size - (size >> 1)];
const shapes = {
    'a single frame': (size) => [size],
    'two fragments': halves,
    'a full frame and an empty one': (size) => [size, 0],
    'empty frames and all at the end': (size) => [0, 0, size],
    'a byte at the end': (size) => [size - 1, 1],
    'many fragments': (size) => Array.from({ length: 50 }, (_, i) =>
        Math.floor((i + 1) * size / 50) - Math.floor(i * size / 50)),
};

test('R6.1 voice_max_message_size, to the byte', async (t) => {
    const { nginx, port } = await startEcho(t, {
        location: 'voice_max_message_size 1000;',
        server: 'location = /realtime { voice_pass voice; voice_max_message_size 100k; }' });
    for (const [path, limit] of [['/v1/realtime', 1000], ['/realtime', 102400]]) {
        for (const [name, cut] of Object.entries(shapes)) {
            await t.test(`${limit}: ${name}`, async () => {
                const client = await RawClient.open(port, { path });
                for (const size of [limit - 1, limit, limit - 1, limit]) {
                    const data = Buffer.alloc(size, 'm');
                    await client.write(Buffer.concat(fragments(TEXT, data, cut(size))));
                    assert.equal((await client.next()).data.length, size);
                }
                const data = Buffer.alloc(limit + 1, 'm');
                for (const bytes of fragments(BINARY, data, cut(limit + 1))) {
                    client.write(bytes);
                }
                const close = await client.untilClose();
                assert.deepEqual([close.code, close.reason], [1009, 'message too big']);
                client.destroy();
            });
        }
    }
    const line = await logOf(nginx, { voice_close_code: '1009' });
    assert.equal(line.voice_messages_up, '4', 'the one too big is not counted');
});

test('R6.1 a size that is only announced is refused at once, and takes no memory', async (t) => {
    const { nginx, port } = await startEcho(t, { location: 'voice_max_message_size 1m;' });
    const [worker] = nginx.workers();
    await ask(port);
    const before = rssAnonKb(worker);
    const announced = [[1 << 20 | 1, 8], [2 ** 40, 8], [2 ** 53, 8]];
    for (const [length, wide] of announced) {
        const client = await RawClient.open(port);
        const head = frame(BINARY, '', { length, wide });
        head[1] |= 0x80;
        await client.write(Buffer.concat([head, Buffer.from([1, 2, 3, 4])]));
        assert.equal((await client.untilClose()).code, 1009, `${length}`);
        client.destroy();
    }
    if (!sanitized) {
        assert.ok(rssAnonKb(worker) - before < 300);
    }
});

test('R6.1 pings between the fragments do not count, and pass', async (t) => {
    const { port } = await startEcho(t, { location: 'voice_max_message_size 100;' });
    const client = await RawClient.open(port);
    const [first, second] = fragments(TEXT, Buffer.alloc(100, 'm'), [60, 40]);
    await client.write(Buffer.concat([first, masked(PING, 'p'.repeat(125)), second]));
    const events = [await client.next(), await client.next()];
    assert.deepEqual(events.map((e) => [e.type, e.data.length]).sort(),
        [['message', 100], ['pong', 125]]);
    await client.close();
});

test('R6.1 the limit is for what clients send', async (t) => {
    const { port } = await startModule(t, { handler: async (s) => {
        s.accept();
        s.message(BINARY, Buffer.alloc(100000));
        await s.until('close');
        s.end();
    }, directives: 'voice_max_message_size 10;' });
    const client = await RawClient.open(port);
    assert.equal((await client.next()).data.length, 100000);
    await client.close();
});

// A relay on TCP in front of a peer: where do the connections come from?
async function onTcp(t) {
    const peer = await FastcgiPeer.start(t);
    const seen = [];
    const server = createServer((socket) => {
        seen.push(socket.remoteAddress);
        peer.server.emit('connection', socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    return { peer, seen, port: server.address().port };
}

// Timers of the connections to that port, from /proc/net/tcp: 02 is keep-alive.
function timersTo(port) {
    const hex = port.toString(16).toUpperCase().padStart(4, '0');
    return readFileSync('/proc/net/tcp', 'latin1').split('\n')
        .filter((line) => / 01 /.test(line) && new RegExp(`^ *\\d+: \\S+ \\S+:${hex} `).test(line))
        .map((line) => line.trim().split(/\s+/)[5].split(':')[0]);
}

test('R6.1 voice_bind and voice_socket_keepalive', async (t) => {
    const { peer, seen, port } = await onTcp(t);
    const nginx = await Nginx.start(t, { http: ({ port: listen }) => `
        upstream voice { server 127.0.0.1:${port}; }
        server {
            listen 127.0.0.1:${listen};
            voice_bind 127.0.0.77;
            location = /bound { voice_pass voice; voice_socket_keepalive on; }
            location = /variable { voice_pass voice; voice_bind $arg_from; }
            location = /off { voice_pass voice; voice_bind off; }
        }` });
    const table = [['/bound', '127.0.0.77', '02'], ['/variable?from=127.0.0.78', '127.0.0.78',
        '00'], ['/variable', '127.0.0.1', '00'], ['/off', '127.0.0.1', '00'],
    ['/variable?from=nonsense', '127.0.0.1', '00']];
    for (const [path, from, timer] of table) {
        const client = await RawClient.open(nginx.port, { path });
        await peer.session();
        await client.send(TEXT, 'hello');
        await client.next();
        assert.equal(seen.at(-1), from, path);
        assert.deepEqual(timersTo(port), [timer], path);
        await client.close();
        await peer.sessions.at(-1).gone;
    }
    assert.match(nginx.errorLog(), /invalid local address "nonsense"/);
});

test('R6.1 an address that can not be bound is 500', async (t) => {
    const { port, seen } = await onTcp(t);
    const nginx = await Nginx.start(t, {
        allow: [/bind\(192\.0\.2\.55\) failed/],
        http: ({ port: listen }) => `
        upstream voice { server 127.0.0.1:${port}; }
        server { listen 127.0.0.1:${listen};
            location = /v1/realtime { voice_pass voice; voice_bind 192.0.2.55; } }` });
    assert.equal((await ask(nginx.port)).status, 500);
    assert.equal(seen.length, 0);
});

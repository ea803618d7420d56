// SPDX-License-Identifier: BSD-2-Clause
//
// The load client's own test: against an echo server with known faults it
// must report exactly these. Runs before every benchmark: figures of a client
// that miscounts are worth nothing.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { createServer as createTcp } from 'node:net';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makeDir } from '../../integration/lib/paths.mjs';
import { Process } from '../../integration/lib/process.mjs';
import { Client, nodeEcho } from './measure.mjs';
import { talkChecks } from './self_test_talk.mjs';
import { Scope, slowUpstream } from './stacks.mjs';

async function withPeer(faults, work) {
    const dir = makeDir('self');
    const log = join(dir, 'log');
    const socket = join(dir, 'echo.sock');
    const peer = new Process(process.execPath, [nodeEcho, socket, JSON.stringify(faults)],
        { log, name: 'echo peer' });
    try {
        await peer.ready(() => existsSync(log) && /\n/.test(peer.log()), 'a listening socket');
        return await work(`unix:${socket}`);
    } finally {
        await peer.stop('SIGKILL');
    }
}

// 20 connections x 20 messages = 400.
const load = { connections: 20, rate: 50, seconds: 0.4, patience: 0.4 };

async function faulty(faults, extra = {}) {
    return withPeer(faults, async target => {
        const lines = await Client.run('echo', { target, ...load, ...extra });
        assert.equal(lines[0].failed, 0);
        return lines.at(-1);
    });
}

const counts = ({ sent, received, lost, wrong, repeated }) =>
    ({ sent, received, lost, wrong, repeated });

async function echoes() {
    const clean = { sent: 400, received: 400, lost: 0, wrong: 0, repeated: 0 };
    assert.deepEqual(counts(await faulty({})), clean);
    for (const bytes of [16, 125, 126, 65535, 65536, 200000]) {
        const line = await faulty({ fragment: true, ping: true }, { bytes, connections: 4 });
        // On a busy machine a large one may not have left when the next is due.
        assert.equal(line.sent + line.skipped, 80);
        assert.deepEqual(counts(line), { ...clean, sent: line.sent, received: line.sent });
    }
    assert.deepEqual(counts(await faulty({ drop: 10 })), { ...clean, received: 360, lost: 40 });
    assert.deepEqual(counts(await faulty({ damage: 25 })), { ...clean, received: 384, wrong: 16 });
    assert.deepEqual(counts(await faulty({ twice: 20 })), { ...clean, repeated: 20 });
    const slow = await faulty({ delay: 30 });
    assert.deepEqual(counts(slow), clean);
    assert.ok(slow.rtt.p50_us >= 29000 && slow.rtt.count === 400, JSON.stringify(slow.rtt));
}

// Compressed JSON, against a server that compresses, and one that does not.
async function compressed() {
    const clean = { sent: 400, received: 400, lost: 0, wrong: 0, repeated: 0 };
    const line = await faulty({ deflate: true }, { deflate: true, bytes: 2048 });
    assert.deepEqual({ ...counts(line), packed: line.packed }, { ...clean, packed: 400 });
    const short = await faulty({ deflate: true }, { deflate: true, bytes: 500 });
    assert.deepEqual({ ...counts(short), packed: short.packed }, { ...clean, packed: 0 });
    assert.deepEqual(counts(await faulty({ deflate: true, damage: 25 },
        { deflate: true, bytes: 70000, connections: 4 })),
    { sent: 80, received: 77, lost: 0, wrong: 3, repeated: 0 });
    const [refused] = await withPeer({}, target => Client.run('echo',
        { target, deflate: true, bytes: 500, connections: 3, seconds: 0, patience: 2 }));
    assert.deepEqual(refused.reasons, { 'no compression agreed': 3 });
}

// A server that hangs up: what was not sent is skipped, and told.
async function hangUps() {
    const line = await faulty({ hang_up: 150 });
    assert.equal(line.dropped, 20);
    assert.equal(line.live, 0);
    assert.equal(line.sent + line.skipped, 400);
    assert.ok(line.skipped > 0);
}

// No WebSocket there: all handshakes fail, with the reason.
async function refusals() {
    const server = createServer((_, response) => {
        response.writeHead(404, { 'Content-Length': 2 });
        response.end('no');
    });
    await new Promise(done => server.listen(0, '127.0.0.1', done));
    const target = `127.0.0.1:${server.address().port}`;
    const [line] = await Client.run('echo', { target, connections: 5, seconds: 0, patience: 2 });
    assert.equal(line.failed, 5);
    assert.deepEqual(line.reasons, { 'refused: HTTP/1.1 404 Not Found': 5 });
    const [asked] = await Client.run('http', { target, connections: 2, seconds: 0.3 });
    assert.ok(asked.refused >= asked.answered && asked.answered > 0 && asked.broken === 0);
    server.close();
    server.closeAllConnections();
}

// Posts that differ by a number, and come whole.
async function posts() {
    const bodies = [];
    const server = createServer((request, response) => {
        let text = '';
        request.setEncoding('utf8').on('data', part => { text += part; });
        request.on('end', () => {
            bodies.push(`${request.method} ${request.headers['content-type']} ${text}`);
            response.end('yes');
        });
    });
    await new Promise(done => server.listen(0, '127.0.0.1', done));
    const [line] = await Client.run('http', { target: `127.0.0.1:${server.address().port}`,
        connections: 2, seconds: 0.3, header: 'Content-Type: a/b', body: '{"n":"%%%"}', vary: 4 });
    assert.ok(line.answered > 0 && line.refused === 0 && line.broken === 0);
    assert.deepEqual([...new Set(bodies)].sort(),
        ['000', '001', '002', '003'].map(n => `POST a/b {"n":"${n}"}`));
    server.close();
    server.closeAllConnections();
}

// Sessions that begin after a while; a server whose certificate is another's,
// one that says something else first, and one that is not there.
async function sessionStarts() {
    const scope = new Scope();
    const load = { connections: 20, rate: 100, patience: 3, path: '/v1/realtime?model=m' };
    try {
        const { port, ca } = await slowUpstream(scope, 30);
        const target = `127.0.0.1:${port}`;
        const [line] = await Client.run('start', { target, ca, ...load });
        assert.deepEqual([line.created, line.failed, line.dropped], [20, 0, 0], line.why);
        assert.ok(line.setup.p50_us >= 29000 && line.setup.count === 20, JSON.stringify(line));
        const [plain] = await Client.run('start', { target, ...load });
        assert.deepEqual([plain.created, plain.failed], [0, 20]);
        const other = join(makeDir('self'), 'ca.pem');
        execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
            'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', '/dev/null', '-out', other,
            '-days', '2', '-subj', '/CN=another'], { stdio: 'ignore' });
        const [foreign] = await Client.run('start', { target, ca: other, ...load });
        assert.deepEqual([foreign.created, foreign.failed], [0, 20]);
    } finally {
        await scope.end();
    }
    const [echo] = await withPeer({}, target => Client.run('start',
        { target, ...load, patience: 0.3 }));
    assert.deepEqual([echo.created, echo.failed, echo.late.count], [0, 0, 20]);
}

// Holders of every kind, and a server that drops some of them.
async function holders() {
    let asked = 0;
    const server = createServer((request, response) => {
        asked++;
        if (request.url === '/stream') {
            response.writeHead(200, { 'Content-Type': 'text/event-stream' });
            response.write(': hello\n\n');
        } else if (request.url === '/once') {
            response.end('yes');
        }
    });
    await new Promise(done => server.listen(0, '127.0.0.1', done));
    const target = `127.0.0.1:${server.address().port}`;
    for (const [path, until] of [['/stream', 'header'], ['/poll', 'request'], ['/once', 'answer']]) {
        const client = new Client('hold', { target, path, until, connections: 7, steps: true });
        assert.equal((await client.phase()).settled, 7);
        client.go();
        const line = await client.phase();
        assert.deepEqual([line.dropped, line.failed, line.answered],
            [0, 0, path === '/once' ? 7 : 0]);
        await client.ended;
    }
    const client = new Client('hold', { target, path: '/stream', until: 'header', connections: 7,
        steps: true });
    await client.phase();
    server.closeAllConnections();
    await new Promise(done => setTimeout(done, 100));
    client.go();
    assert.equal((await client.phase()).dropped, 7);
    assert.ok(asked >= 28);
    server.close();
}

// A server that breaks the protocol: the client says so and counts it.
async function badFrames() {
    const bad = { 'reserved bits or a mask from the server': [0xc2, 0x00],
        'a bad control frame': [0x89, 0x7e, 0x00, 0x80], 'a frame out of order': [0x80, 0x00] };
    for (const [reason, bytes] of Object.entries(bad)) {
        const server = createTcp(socket => {
            socket.on('error', () => {});
            socket.once('data', () => socket.write(Buffer.concat([Buffer.from(
                'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n' +
                'sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'),
            Buffer.from(bytes)])));
        });
        await new Promise(done => server.listen(0, '127.0.0.1', done));
        const lines = await Client.run('echo', { target: `127.0.0.1:${server.address().port}`,
            connections: 3, rate: 10, seconds: 0.2, patience: 0.2 });
        assert.equal(lines.at(-1).dropped, 3);
        assert.deepEqual(lines[0].reasons, { [reason]: 3 });
        server.close();
    }
}

export async function selfTest() {
    for (const check of [echoes, compressed, hangUps, refusals, posts, holders, sessionStarts,
        badFrames]) {
        try {
            await check();
        } catch (error) {
            throw new Error(`the load client miscounts (${check.name}): ${error.message}`);
        }
    }
    for (const [name, check] of Object.entries(talkChecks)) {
        try {
            await check();
        } catch (error) {
            throw new Error(`bench-talk miscounts (${name}): ${error.message}`);
        }
    }
    console.log('bench-client, bench-talk: count what is lost, damaged, repeated, late and refused');
}

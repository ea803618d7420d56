// SPDX-License-Identifier: BSD-2-Clause
//
// R1.2: the HTTP client against a server that counts: streams of one HTTP/2
// connection, the pool and its limits, every limit of time, what it refuses.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { HttpPeer, Requests } from './lib/http_peer.mjs';
import { count, makeDir, valgrind } from './lib/paths.mjs';
import { defer, sleep, until } from './lib/process.mjs';

const answered = (answer, bytes) => {
    assert.equal(answer.error, '', answer.why);
    assert.equal(answer.status, 200);
    assert.equal(answer.bytes, bytes);
    assert.equal(answer.on_loop, true);
};

const failed = (answer, error, why) => {
    assert.equal(answer.error, error, JSON.stringify(answer));
    assert.match(answer.why, why);
    assert.equal(answer.status, 0);
    assert.equal(answer.bytes, 0);
    assert.equal(answer.on_loop, true);
};

async function start(t, limits, peerOptions, options) {
    const peer = await HttpPeer.start(t, peerOptions);
    const requests = await Requests.start(t, limits, options);
    const to = (path, more) => ({ url: peer.url(path), ca_file: peer.ca, ...more });
    return { peer, requests, to };
}

// A server of bare sockets, for what a good one doesn't do.
async function rawServer(t, onSocket) {
    const sockets = new Set();
    const server = createServer((socket) => {
        sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => sockets.delete(socket));
        onSocket(socket);
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    defer(t, () => {
        server.close();
        sockets.forEach((socket) => socket.destroy());
    });
    return { port: server.address().port, sockets };
}

test('R1.2 the limits of voiced.conf are those of the requirement', async (t) => {
    const path = join(makeDir('conf'), 'voiced.conf');
    writeFileSync(path, '');
    const { peer, requests, to } = await start(t, path, { h2: false });

    // 105 at once: 100 connections, five wait for one, 20 are kept.
    for (const answer of await requests.send(105, to('/wait/600'))) {
        answered(answer, 4);
    }
    assert.equal(peer.mostServing, 100, 'a connection each');
    assert.ok(peer.accepted <= 105, `${peer.accepted} connections`);
    await until(() => peer.sockets.size === 20, '20 connections kept');
    await sleep(300);
    assert.equal(peer.sockets.size, 20);
});

test('R1.2 streams share one HTTP/2 connection', async (t) => {
    const { peer, requests, to } = await start(t);
    for (const answer of await requests.send(100, to('/wait/300'))) {
        answered(answer, 4);
    }
    assert.equal(peer.accepted, 1);
    assert.equal(peer.mostServing, 100);
    answered(await requests.one(to('/size/10')), 10);
    assert.equal(peer.accepted, 1, 'kept and used again');
    assert.equal((await requests.metrics())['voiced_http_connections'], 1);
});

test('R1.2 at most 100 streams a connection, fewer where the server says so', async (t) => {
    for (const [streams, together, most] of [[1000, 150, 100], [10, 35, 10]]) {
        await t.test(`the server allows ${streams}`, async (s) => {
            const { peer, requests, to } = await start(s, {}, { streams });
            answered(await requests.one(to('/size/1')), 1); // its settings are known
            for (const answer of await requests.send(together, to('/wait/500'))) {
                answered(answer, 4);
            }
            assert.equal(peer.accepted, Math.ceil(together / most));
            assert.equal(peer.mostStreams, most);
            assert.equal(peer.mostServing, together);
        });
    }
});

test('R1.2 who gets no connection within the pool wait is told so', async (t) => {
    const { peer, requests, to } = await start(t, { max: 3, pool_wait_ms: 400 }, { h2: false });
    requests.post(3, to('/wait/2500'));
    await until(() => peer.serving === 3, 'three at work');
    const late = await requests.send(2, to('/size/1'));
    for (const answer of late) {
        failed(answer, 'ETIMEDOUT', /^pool$/);
        assert.ok(answer.ms >= 400);
    }
    for (const answer of await requests.take(3)) {
        answered(answer, 4);
    }
    assert.equal(peer.accepted, 3);
    const metrics = await requests.metrics();
    assert.equal(metrics['voiced_http_requests_total{result="timeout"}'], 2);
    assert.equal(metrics['voiced_http_requests_total{result="answered"}'], 3);
});

test('R1.2 connections in use are not closed while others wait for them', async (t) => {
    const { peer, requests, to } = await start(t, { keepalive: 2, max: 8 }, { h2: false });
    for (const answer of await requests.send(80, to('/wait/20'))) {
        answered(answer, 4);
    }
    assert.equal(peer.mostServing, 8);
    // Only the last turn, when nobody waits any more, may open one again.
    assert.ok(peer.accepted <= 16, `${peer.accepted} connections for 80 requests`);
    await until(() => peer.sockets.size <= 2, 'two kept');
});

test('R1.2 an idle connection is closed in its time, also when nothing else happens',
    async (t) => {
        for (const h2 of [true, false]) {
            await t.test(h2 ? 'HTTP/2' : 'HTTP/1.1', async (s) => {
                const { peer, requests, to } = await start(s, { idle_ms: 2000 }, { h2 });
                answered(await requests.one(to('/size/1')), 1);
                const since = Date.now();
                await until(() => peer.sockets.size === 0, 'the idle one to close');
                assert.ok(peer.closed[0] - since >= 1900, `after ${peer.closed[0] - since} ms`);
                answered(await requests.one(to('/size/1')), 1);
                assert.equal(peer.accepted, 2);
                // Node's HTTP/2 server resumes no session that curl offers.
                assert.equal(peer.resumed, h2 ? 0 : 1, 'its TLS session was kept');
            });
        }
    });

test('R1.2 a connection that the server closed is not used again', async (t) => {
    const { peer, requests, to } = await start(t, {}, { h2: false });
    answered(await requests.one(to('/size/1')), 1);
    peer.sockets.forEach((socket) => socket.destroy());
    await until(() => peer.sockets.size === 0, 'the server to close it');
    answered(await requests.one(to('/size/1')), 1);
    assert.equal(peer.accepted, 2);
});

test('R1.2 connect: a server that never finishes the handshake', async (t) => {
    const { port } = await rawServer(t, () => {});
    const requests = await Requests.start(t, { connect_ms: 500 });
    const answer = await requests.one({ url: `https://127.0.0.1:${port}/` });
    failed(answer, 'ETIMEDOUT', /^connect$/);
    assert.ok(answer.ms >= 500);
});

test('R1.2 connect: nobody there, no such name', async (t) => {
    const requests = await Requests.start(t);
    const { port } = await rawServer(t, (socket) => socket.destroy());
    failed(await requests.one({ url: 'http://127.0.0.1:1/' }), 'ECONNREFUSED', /connect/);
    failed(await requests.one({ url: 'http://no-such-host.invalid/' }), 'EAI_NONAME', /resolve/);
    failed(await requests.one({ url: `http://127.0.0.1:${port}/` }), 'ECONNRESET', /./);
    failed(await requests.one({ url: `https://127.0.0.1:${port}/` }),
        'EPROTO', /SSL connect/);
});

test('R1.2 read: no answer, half an answer; a slow one may take its time', async (t) => {
    for (const h2 of [true, false]) {
        await t.test(h2 ? 'HTTP/2' : 'HTTP/1.1', async (s) => {
            const { peer, requests, to } = await start(s, { read_ms: 600 }, { h2 });
            for (const path of ['/silent', '/part']) {
                const answer = await requests.one(to(path));
                failed(answer, 'ETIMEDOUT', /^read$/);
                assert.ok(answer.ms >= 600);
            }
            answered(await requests.one(to('/trickle/200')), 8);
            assert.equal(peer.accepted, 3, 'a silent connection is not used again');
        });
    }
});

test('R1.2 read counts from the end of the body, write while it is sent', async (t) => {
    for (const h2 of [true, false]) {
        await t.test(h2 ? 'HTTP/2' : 'HTTP/1.1', async (s) => {
            const { requests, to } = await start(s, { write_ms: 500, read_ms: 20000 }, { h2 });
            const stuck = await requests.one(to('/deaf', { body_bytes: 40000000 }));
            failed(stuck, 'ETIMEDOUT', /^write$/);
            for (const body_bytes of [1, 1000, 70000]) { // small ones: no writer's trouble
                answered(await requests.one(to('/wait/1500', { body_bytes })), 4);
            }
        });
    }
});

test('R1.2 a certificate must be for this name and by one who is trusted', async (t) => {
    const { requests, to } = await start(t);
    const other = await HttpPeer.start(t, { address: '127.0.0.2' });
    answered(await requests.one(to('/size/1')), 1);
    failed(await requests.one({ ...to('/size/1'), ca_file: undefined }), 'EACCES', /certificate/);
    failed(await requests.one({ url: other.url('/size/1'), ca_file: other.ca }), 'EACCES',
        /certificate/);
    failed(await requests.one({ ...to('/size/1'), ca_file: '/nonexistent.pem' }), 'EACCES', /CA/);
    assert.equal(other.requests, 0);
});

test('R1.2 bodies both ways', async (t) => {
    for (const h2 of [true, false]) {
        await t.test(h2 ? 'HTTP/2' : 'HTTP/1.1', async (s) => {
            const { peer, requests, to } = await start(s, {}, { h2 });
            const most = { max_answer_bytes: 3000000 };
            const big = await requests.send(20, to('/size/1048576', most));
            big.forEach((answer) => answered(answer, 1048576));
            const echoes = await requests.send(10, to('/echo', { body_bytes: 2500000, ...most,
                headers: { 'Content-Type': 'application/sdp' }, header: 'CONTENT-TYPE' }));
            for (const answer of echoes) {
                answered(answer, 2500000);
                assert.equal(answer.header, 'application/sdp');
            }
            answered(await requests.one(to('/echo', { method: 'POST' })), 0);
            answered(await requests.one(to('/size/7', { method: 'DELETE' })), 7);
            const head = await requests.one(to('/size/7', { method: 'HEAD', header: 'x-size' }));
            answered(head, 0);
            assert.equal(head.header, '7');
            const none = await requests.one(to('/size/7', { header: 'x-none' }));
            assert.equal(none.header, undefined);
            const methods = peer.seen.map((seen) => seen.method);
            assert.deepEqual(methods.slice(-4), ['POST', 'DELETE', 'HEAD', 'GET']);
        });
    }
});

test('R1.2 an answer beyond its cap is dropped, the others go on', async (t) => {
    for (const h2 of [true, false]) {
        await t.test(h2 ? 'HTTP/2' : 'HTTP/1.1', async (s) => {
            const { requests, to } = await start(s, {}, { h2 });
            requests.post(1, to('/wait/1500'));
            for (const path of ['/size/1000', '/stream/1000']) {
                answered(await requests.one(to(path, { max_answer_bytes: 1000 })), 1000);
                failed(await requests.one(to(path, { max_answer_bytes: 999 })),
                    'EMSGSIZE', /too large/);
            }
            // Without a number: HTTP_CLIENT_ANSWER_MAX.
            answered(await requests.one(to('/stream/1048576')), 1048576);
            failed(await requests.one(to('/stream/1048577')), 'EMSGSIZE', /too large/);
            answered((await requests.take(1))[0], 4);
        });
    }
});

test('R1.2 headers of an answer have a cap', async (t) => {
    const { requests, to } = await start(t, {}, { h2: false });
    answered(await requests.one(to('/head/40000')), 3);
    failed(await requests.one(to('/head/80000')), 'EMSGSIZE', /too large/);
});

test('R1.2 no redirect, no cookie, nothing of curl\'s own', async (t) => {
    const { peer, requests, to } = await start(t, {}, { h2: false });
    const moved = await requests.one(to('/status/302', { header: 'location' }));
    assert.equal(moved.status, 302);
    assert.match(moved.header, /\/size\/1$/);
    assert.equal((await requests.one(to('/status/503'))).status, 503);
    await requests.one(to('/size/1', { body_bytes: 5000, headers: { authorization: 'Bearer k' } }));
    assert.deepEqual(peer.seen.map((seen) => seen.path), ['/status/302', '/status/503', '/size/1']);
    const { headers } = peer.seen[2];
    assert.deepEqual(Object.keys(headers).sort(),
        ['accept', 'authorization', 'content-length', 'host']);
    assert.equal(headers.authorization, 'Bearer k');
});

test('R1.2 what is not well-formed is refused before anything is sent', async (t) => {
    const { peer, requests, to } = await start(t, {}, { h2: false });
    const bad = [{ url: 'ftp://127.0.0.1/' }, { url: 'file:///etc/passwd' }, { url: 'no url' },
        { url: peer.url('/').replace('://', '://user:secret@') }, { method: 'GET /x' },
        { method: '' }, { method: 'get' }, { headers: { 'a b': 'c' } }, { headers: { '': 'c' } },
        { headers: { 'x:y': 'c' } }, { headers: { x: 'a\r\nInjected: yes' } },
        { headers: { x: 'a\u0001' } }, { headers: { x: 'h'.repeat(20000) } }];
    for (const what of bad) {
        const answer = await requests.one(to('/size/1', what));
        assert.equal(answer.refused, 'EINVAL', JSON.stringify(what).slice(0, 100));
    }
    const huge = await requests.one(to('/echo', { body_bytes: 67108865 }));
    assert.equal(huge.refused, 'EMSGSIZE');
    assert.equal(peer.requests, 0);
    answered(await requests.one(to('/size/1', { headers: { 'x-empty': '' } })), 1);
    assert.equal(peer.seen[0].headers['x-empty'], '');
});

test('R1.2 an answer that breaks off', async (t) => {
    for (const h2 of [true, false]) {
        const { requests, to } = await start(t, {}, { h2 });
        failed(await requests.one(to('/cut')), 'ECONNRESET', /./);
        answered(await requests.one(to('/size/1')), 1);
    }
});

test('R1.2 through a proxy, by CONNECT; the environment\'s is not asked', async (t) => {
    const asked = [];
    let proxyPort = 0;
    const { port } = await rawServer(t, (socket) => {
        socket.once('data', async (data) => {
            const head = data.toString('latin1');
            asked.push(head);
            if (/refuse/.test(head)) {
                socket.end('HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n');
                return;
            }
            const { connect } = await import('node:net');
            const out = connect(Number(/:(\d+) HTTP/.exec(head)[1]), '127.0.0.1', () =>
                socket.write('HTTP/1.1 200 Connected\r\n\r\n'));
            out.on('error', () => socket.destroy());
            socket.pipe(out).pipe(socket);
        });
    });
    proxyPort = port;
    process.env.https_proxy = process.env.all_proxy = `http://127.0.0.1:${proxyPort}/`;
    t.after(() => {
        delete process.env.https_proxy;
        delete process.env.all_proxy;
    });
    const { peer, requests, to } = await start(t);
    const other = await HttpPeer.start(t);
    answered(await requests.one({ url: other.url('/size/1'), ca_file: other.ca }), 1);
    assert.equal(asked.length, 0);
    const proxy = `http://user:pass@127.0.0.1:${proxyPort}`;
    const together = await requests.send(5, to('/wait/200', { proxy }));
    together.forEach((answer) => answered(answer, 4));
    assert.equal(asked.length, 1, 'HTTP/2 inside the tunnel');
    assert.match(asked[0], new RegExp(`^CONNECT 127.0.0.1:${peer.port} HTTP/1.1\r\n`));
    assert.match(asked[0], /Proxy-Authorization: Basic dXNlcjpwYXNz\r\n/);
    assert.ok(peer.seen.every((seen) => !('proxy-authorization' in seen.headers)));
    failed(await requests.one({ url: 'https://refuse.invalid/', proxy }), 'ECONNRESET', /./);
});

test('R1.2 cancelled: waiting, connecting, reading, answered', async (t) => {
    const { peer, requests, to } = await start(t, { max: 2 }, { h2: false });
    const { port } = await rawServer(t, () => {});
    failed(await requests.one({ url: `https://127.0.0.1:${port}/`, cancel_ms: 200 }),
        'ECANCELED', /cancelled/);
    failed(await requests.one(to('/silent', { cancel_ms: 200 })), 'ECANCELED', /cancelled/);
    answered(await requests.one(to('/size/1', { cancel_ms: 400 })), 1);
    requests.post(2, to('/wait/2000'));
    await until(() => peer.serving === 2, 'both connections in use');
    failed(await requests.one(to('/size/1', { cancel_ms: 100 })), 'ECANCELED', /cancelled/);
    for (const answer of await requests.take(2)) {
        answered(answer, 4);
    }
    await until(() => peer.sockets.size <= 2, 'cancelled ones to close');
});

test('R1.2 the client ends with requests under way', async (t) => {
    const { peer, requests, to } = await start(t, { max: 3 }, { h2: false });
    requests.post(6, to('/silent'));
    await until(() => peer.serving === 3, 'three at work');
    requests.command({ close: true });
    for (const answer of await requests.take(6)) {
        failed(answer, 'ECANCELED', /closed/);
    }
    await until(() => peer.sockets.size === 0, 'connections to close');
});

test('R1.2 more than may wait are refused at once', async (t) => {
    const { requests, to } = await start(t, { max: 1, pool_wait_ms: 20000 }, { h2: false });
    requests.post(1100, to('/silent'));
    const refused = await requests.take(76);
    refused.forEach((answer) => assert.equal(answer.refused, 'ENOBUFS'));
    requests.command({ close: true });
    const rest = await requests.take(1024);
    rest.forEach((answer) => failed(answer, 'ECANCELED', /closed/));
});

test('R1.2 a thousand requests leave nothing behind', async (t) => {
    const { peer, requests, to } = await start(t, { idle_ms: 1000 });
    const rounds = valgrind ? 1 : count(10, 100);
    for (let i = 0; i < rounds; i++) {
        for (const answer of await requests.send(100, to(i % 2 ? '/echo' : '/size/3000',
            { body_bytes: 3000 }))) {
            answered(answer, 3000);
        }
    }
    assert.equal(peer.accepted, 1);
    const metrics = await requests.metrics();
    assert.equal(metrics['voiced_http_requests_total{result="answered"}'], rounds * 100);
    await until(async () => (await requests.metrics()).voiced_http_connections === 0,
        'no connection left');
});

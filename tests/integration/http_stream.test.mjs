// SPDX-License-Identifier: BSD-2-Clause
//
// The HTTP client's answers as they come: pausing, ending, limits of the whole,
// codings undone, and addresses judged in the moment a socket is opened.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { deflateRawSync, gzipSync } from 'node:zlib';
import { HttpPeer, Requests, noise, sum } from './lib/http_peer.mjs';
import { defer, sleep, until } from './lib/process.mjs';

async function start(t, limits, peerOptions, options) {
    const peer = await HttpPeer.start(t, { http1: true, ...peerOptions });
    const requests = await Requests.start(t, limits, options);
    const to = (path, more) => ({ url: peer.url(path), ca_file: peer.ca, ...more });
    return { peer, requests, to };
}

const streamed = (answer, data) => {
    assert.equal(answer.error, '', JSON.stringify(answer));
    assert.equal(answer.status, 200);
    assert.equal(answer.bytes, 0, 'nothing is kept');
    assert.equal(answer.heads, 1);
    assert.equal(answer.head_status, 200);
    assert.equal(answer.streamed, data.length);
    assert.equal(answer.sum, sum(data), 'byte for byte');
    assert.equal(answer.leaked, 0, 'none while it is paused');
};

const failed = (answer, error, why) => {
    assert.equal(answer.error, error, JSON.stringify(answer));
    assert.match(answer.why, why);
};

for (const h2 of [true, false]) {
    const kind = h2 ? 'a server of HTTP/2' : 'a server of HTTP/1.1';

    test(`R3.4 an answer comes as it is sent: ${kind}`, async (t) => {
        const { peer, requests, to } = await start(t, {}, { h2 });
        streamed(await requests.one(to('/flow/3000000', { stream: true })), noise(3000000));
        const slow = await requests.one(to('/trickle/150', { stream: true }));
        assert.equal(slow.streamed, 8);
        assert.equal(slow.pieces, 8);
        assert.ok(slow.first_ms < slow.ms, 'before its end');
        const late = await requests.one(to('/late/800', { stream: true, header: 'x-begun' }));
        assert.equal(late.header, 'yes');
        assert.ok(late.head_ms + 500 < late.first_ms, 'the head goes ahead of the body');
        assert.ok(peer.seen.every((seen) => !('accept-encoding' in seen.headers)));
    });

    test(`R3.4 a paused answer waits at the server, and holds up no other: ${kind}`,
        async (t) => {
            const { peer, requests, to } = await start(t, { read_ms: 2000 }, { h2 });
            noise(30000000); // takes its time, which is not the server's
            requests.post(1, to('/flow/30000000', { stream: true, pause_at: 10000000,
                pause_ms: 3000 }));
            await until(() => peer.flowed > 9000000, 'the first part', 30000);
            await sleep(1000);
            const held = peer.flowed;
            assert.ok(held < 27000000, `${held} bytes went out`);
            const other = await requests.one(to('/size/1000'));
            assert.equal(other.bytes, 1000);
            assert.equal(peer.flowed, held, 'still paused');
            const [answer] = await requests.take(1);
            streamed(answer, noise(30000000));
            assert.ok(answer.ms >= 6000, 'two pauses beyond read_ms each');
        });

    test(`R3.4 its reader may end it: ${kind}`, async (t) => {
        const { peer, requests, to } = await start(t, {}, { h2 });
        const stopped = await requests.one(to('/flow/8000000', { stream: true,
            stop_at: 100000 }));
        failed(stopped, 'ENOSPC', /reader/);
        assert.ok(stopped.streamed < 200000);
        const head = await requests.one(to('/flow/8000000', { stream: true, stop_head: true }));
        failed(head, 'ENOTSUP', /reader/);
        assert.equal(head.streamed ?? 0, 0);
        const none = await requests.one(to('/size/9', { stream: true, header: 'x-none' }));
        failed(none, 'ENOENT', /reader/);
        const cancelled = await requests.one(to('/flow/8000000', { stream: true,
            cancel_at: 100000 }));
        failed(cancelled, 'ECANCELED', /cancelled/);
        assert.ok(cancelled.streamed < 200000, 'not a byte after that');
        const paused = await requests.one(to('/flow/8000000', { stream: true,
            pause_at: 100000, pause_ms: 60000, total_ms: 700 }));
        failed(paused, 'ETIMEDOUT', /^total$/);
        await until(() => peer.sockets.size === 0, 'none of these connections is kept');
    });

    test(`R3.4 a stream has a cap where one is given: ${kind}`, async (t) => {
        const { requests, to } = await start(t, {}, { h2 });
        streamed(await requests.one(to('/flow/100000', { stream: true,
            max_answer_bytes: 100000 })), noise(100000));
        const over = await requests.one(to('/flow/100001', { stream: true,
            max_answer_bytes: 100000 }));
        failed(over, 'EMSGSIZE', /too large/);
        assert.ok(over.streamed <= 100000);
    });

    test(`R3.5 a call may have a limit for all of it, and one of its own to be read: ${kind}`,
        async (t) => {
            const { requests, to } = await start(t, { read_ms: 700 }, { h2 });
            for (const stream of [undefined, true]) {
                const slow = await requests.one(to('/trickle/300', { stream, total_ms: 900 }));
                failed(slow, 'ETIMEDOUT', /^total$/);
                assert.ok(slow.ms >= 900);
                failed(await requests.one(to('/wait/1500', { stream })), 'ETIMEDOUT', /^read$/);
                const patient = await requests.one(to('/wait/1500', { stream, read_ms: -1 }));
                assert.equal(patient.error, '');
                failed(await requests.one(to('/wait/1500', { stream, read_ms: 200 })),
                    'ETIMEDOUT', /^read$/);
            }
        });

    test(`codings are undone where it is asked for: ${kind}`, async (t) => {
        const { peer, requests, to } = await start(t, {}, { h2 });
        for (const path of ['/gzip/700000', '/deflate/700000', '/flow/700000', '/gzip/0']) {
            const data = noise(Number(path.split('/')[2]));
            if (data.length > 0) {
                streamed(await requests.one(to(path, { stream: true, inflates: true })), data);
            }
            const kept = await requests.one(to(path, { inflates: true }));
            assert.equal(kept.error, '', path);
            assert.equal(kept.bytes, data.length);
        }
        assert.equal(peer.seen.at(-1).headers['accept-encoding'], 'gzip, deflate');
        const head = await requests.one(to('/gzip/70', { inflates: true, method: 'HEAD' }));
        assert.equal(head.error, '');
        const plain = await requests.one(to('/gzip/700000', { header: 'content-encoding' }));
        assert.ok(plain.bytes < 700000, 'not asked for, not undone');
        assert.equal(plain.header, 'gzip');
    });

    test(`a bomb is given up at the cap, whoever pauses in it: ${kind}`, async (t) => {
        const { peer, requests, to } = await start(t, {}, { h2 });
        const zeros = Buffer.alloc(50000000, 'z');
        peer.raw.bomb = { headers: { 'content-encoding': 'gzip' }, body: gzipSync(zeros) };
        for (const stream of [undefined, true]) {
            const answer = await requests.one(to('/raw/bomb', { stream, inflates: true,
                max_answer_bytes: 2000000 }));
            failed(answer, 'EMSGSIZE', /too large/);
            assert.ok((answer.streamed ?? 0) <= 2000000);
        }
        // 50 KB of it on the wire make 50 MB: pauses in the middle of a piece.
        const paused = await requests.one(to('/raw/bomb', { stream: true, inflates: true,
            pause_at: 5000000, pause_ms: 20 }));
        streamed(paused, zeros);
        assert.ok(paused.ms >= 9 * 20);
        // Nothing, said in many words.
        const nothing = Array(40000).fill(gzipSync('', { level: 0 }));
        peer.raw.empty = { headers: { 'content-encoding': 'gzip' }, body: Buffer.concat(nothing) };
        failed(await requests.one(to('/raw/empty', { inflates: true, max_answer_bytes: 1000 })),
            'EMSGSIZE', /too large/);
    });

    test(`a coding that is none, or another: ${kind}`, async (t) => {
        const { peer, requests, to } = await start(t, {}, { h2 });
        const good = gzipSync(noise(5000));
        const twice = gzipSync(good);
        peer.raw = {
            brotli: { headers: { 'content-encoding': 'br' }, body: 'x' },
            twice: { headers: { 'content-encoding': 'gzip, gzip' }, body: twice },
            ...h2 ? {} : { lines: { headers: { 'content-encoding': ['gzip', 'gzip'] },
                body: twice } },
            plain: { headers: { 'content-encoding': 'gzip' }, body: 'no gzip at all' },
            short: { headers: { 'content-encoding': 'gzip' }, body: good.subarray(0, -9) },
            behind: { headers: { 'content-encoding': 'gzip' }, body: Buffer.concat([good,
                Buffer.from('more')]) },
        };
        for (const name of Object.keys(peer.raw)) {
            for (const stream of [undefined, true]) {
                const answer = await requests.one(to(`/raw/${name}`, { stream, inflates: true }));
                failed(answer, 'EPROTO', /coding/);
            }
        }
        peer.raw.raw = { headers: { 'content-encoding': 'deflate' },
            body: deflateRawSync(noise(5000)) };
        streamed(await requests.one(to('/raw/raw', { stream: true, inflates: true })),
            noise(5000));
    });
}

test('an address is judged before a byte is sent to it', async (t) => {
    const { peer, requests, to } = await start(t);
    const refuse = ['127.0.0.1'];
    failed(await requests.one(to('/size/1', { refuse })), 'EADDRNOTAVAIL', /refused/);
    assert.equal(peer.accepted, 0);
    const let_through = await requests.one(to('/size/1', { refuse: ['10.0.0.1'] }));
    assert.equal(let_through.error, '');
    assert.equal(let_through.judged, 1);
    assert.equal(peer.accepted, 1);
    // A proxy would open the socket: there is nothing to judge.
    const proxied = await requests.one(to('/size/1', { refuse, proxy: 'http://127.0.0.1:1' }));
    assert.equal(proxied.refused, 'EINVAL');
});

test('every address of a name is judged, and one that will do is taken', async (t) => {
    const server = createServer((request, response) => response.end('here'));
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    defer(t, () => server.close());
    const url = `http://localhost:${server.address().port}/`;
    const requests = await Requests.start(t);
    const some = await requests.one({ url, refuse: ['::1'] });
    assert.equal(some.error, '', JSON.stringify(some));
    failed(await requests.one({ url, refuse: ['::1', '127.0.0.1'] }), 'EADDRNOTAVAIL',
        /refused/);
    // What no guard refused and nobody answers is told as that.
    server.close();
    server.closeAllConnections();
    await sleep(50);
    failed(await requests.one({ url, refuse: ['10.0.0.1'] }), 'ECONNREFUSED', /connect/);
});

for (const h2 of [true, false]) {
    test(`a guarded request uses no kept connection, and leaves none: ${h2 ? 'HTTP/2' : 'HTTP/1.1'}`,
        async (t) => {
            const { peer, requests, to } = await start(t, {}, { h2 });
            assert.equal((await requests.one(to('/size/1'))).error, '');
            assert.equal(peer.accepted, 1, 'kept for the next');
            for (const stream of [undefined, true]) {
                const refused = await requests.one(to('/size/1',
                    { stream, refuse: ['127.0.0.1'] }));
                failed(refused, 'EADDRNOTAVAIL', /refused/);
            }
            assert.equal(peer.requests, 1, 'not by the one that was kept');
            // Also not by one in use, whose streams others would share.
            requests.post(1, to('/wait/800'));
            await until(() => peer.serving === 1, 'one at work');
            failed(await requests.one(to('/size/1', { refuse: ['127.0.0.1'] })),
                'EADDRNOTAVAIL', /refused/);
            await requests.take(1);
            const allowed = await requests.send(3, to('/wait/100', { refuse: [''] }));
            allowed.forEach((answer) => {
                assert.equal(answer.error, '');
                assert.equal(answer.judged, 1);
            });
            assert.equal(peer.accepted, 4, 'one each');
            await until(() => peer.sockets.size === 1, 'the guarded to close');
            assert.equal((await requests.one(to('/size/1'))).error, '');
            assert.equal(peer.accepted, 4, 'the others\' still serves');
        });
}

test('the client ends with streams paused and under way', async (t) => {
    const { peer, requests, to } = await start(t, {}, { h2: false });
    requests.post(2, to('/flow/8000000', { stream: true, pause_at: 100000, pause_ms: 500 }));
    requests.post(2, to('/silent', { stream: true }));
    await until(() => peer.serving === 4, 'four at work');
    await sleep(200);
    requests.command({ close: true });
    for (const answer of await requests.take(4)) {
        failed(answer, 'ECANCELED', /closed/);
    }
    await until(() => peer.sockets.size === 0, 'connections to close');
});

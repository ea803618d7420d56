// SPDX-License-Identifier: BSD-2-Clause
//
// How a worker that shuts down ends its sessions when not all goes well: who
// does not read, who is late, who does not answer, and who has no time.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';
import { reload, workersGone } from './lib/drain.mjs';
import { echo } from './lib/fastcgi_peer.mjs';
import { startModule } from './lib/module_kit.mjs';
import { Nginx } from './lib/nginx.mjs';
import { sleep, until, within } from './lib/process.mjs';
import { BINARY, CLOSE, RawClient, TEXT, masked } from './lib/ws_raw.mjs';

const accept = (session) => { session.accept(); };

function assertNotice(event, atMost) {
    assert.equal(event.type, 'ping');
    const [, ms] = /^drain (\d+)$/.exec(event.data.toString());
    assert.ok(Number(ms) <= atMost && Number(ms) > 0, `${event.data}`);
    return Number(ms);
}

// What a client answers to a Close, and the end of the connection.
async function part(client, { code = 1001, reason } = {}) {
    const close = await client.untilClose();
    assert.equal(close.code, code);
    if (reason !== undefined) {
        assert.equal(close.reason, reason);
    }
    client.send(CLOSE, close.data);
    await client.gone;
}

const told = { code: 1001, reason: 'server is shutting down' };

test('R6.1 the upstream is told once, between two frames of a message', async (t) => {
    const { peer, nginx, port } = await startModule(t, { handler: accept,
        directives: 'voice_drain_timeout 30s;' });
    const client = await RawClient.open(port);
    const session = await peer.session();
    const data = randomBytes(9000);
    const bytes = masked(BINARY, data);
    client.send(TEXT, 'first');
    client.write(bytes.subarray(0, 4000));
    assert.equal((await session.next()).data.toString(), 'first');
    await until(() => session.stdinBytes > 3000, 'half a message');
    const old = await reload(nginx);
    assertNotice(await session.next(), 30000);
    client.write(bytes.subarray(4000));
    const message = await session.next();
    assert.equal(message.type, 'message');
    assert.ok(message.data.equals(data));
    const again = await reload(nginx); // the old worker is told nothing new
    client.send(TEXT, 'last');
    assert.equal((await session.next()).data.toString(), 'last');
    client.send(CLOSE, '');
    assert.equal((await session.next()).type, 'close');
    assert.equal((await session.next()).type, 'end');
    session.end();
    await client.gone;
    await workersGone(nginx, [...old, ...again]);
});

test('R6.1 two reloads in a row: each worker has its own time', async (t) => {
    const { nginx, port } = await startModule(t, { directives: 'voice_drain_timeout 1500ms;' });
    const first = await RawClient.open(port);
    const old = await reload(nginx);
    const second = await RawClient.open(port);
    await sleep(700);
    const from = Date.now();
    old.push(...await reload(nginx));
    const third = await RawClient.open(port);
    await part(first, told);
    await part(second, told);
    assert.ok(Date.now() - from >= 1400);
    await workersGone(nginx, old);
    third.send(TEXT, 'here');
    assert.equal((await third.next()).data.toString(), 'here');
    await third.close();
});

test('R6.1 a session still in its handshake is told when it opens', async (t) => {
    let go;
    const gone = new Promise((done) => { go = done; });
    const { peer, nginx, port } = await startModule(t, { handler: async (s) => {
        await gone;
        await echo(s);
    }, directives: 'voice_drain_timeout 3s;' });
    const opening = RawClient.open(port);
    const late = RawClient.open(port);
    const sessions = [await peer.session(), await peer.session()];
    const next = sessions.map((s) => s.next.bind(s));
    const events = [[], []];
    sessions.forEach((s, i) => {
        s.next = async () => {
            const event = await next[i]();
            events[i].push(event);
            return event;
        };
    });
    const old = await reload(nginx);
    await sleep(500);
    go();
    const clients = [await opening, await late];
    for (const client of clients) {
        client.send(TEXT, 'in time');
        assert.equal((await client.next()).data.toString(), 'in time');
    }
    for (const list of events) {
        const notices = list.filter((event) => event.type === 'ping');
        assert.equal(notices.length, 1);
        assertNotice(notices[0], 2600);
    }
    for (const client of clients) {
        await part(client, told);
    }
    await workersGone(nginx, old);
});

test('R6.1 an upstream that accepts after the time gets no session', async (t) => {
    const { peer, nginx, port } = await startModule(t, { handler: async (s) => {
        await sleep(900);
        await echo(s);
    }, directives: 'voice_drain_timeout 400ms;' });
    const opening = RawClient.open(port);
    await peer.session();
    const old = await reload(nginx);
    await part(await opening, told);
    await workersGone(nginx, old);
});

// The upstream's own count says what must arrive.
async function flood(session, state) {
    session.accept();
    const closed = session.until('close').then(() => { state.closed = true; });
    const wait = () => new Promise((done) => setImmediate(done));
    while (!state.closed) {
        await Promise.race([session.message(TEXT, `${state.sent++} ${'x'.repeat(2000)}`), closed]);
        await wait();
    }
    await closed;
    session.end();
}

test('R6.1 a client that has not read for a while loses nothing', async (t) => {
    const state = { sent: 0 };
    const { nginx, port } = await startModule(t, { handler: (s) => flood(s, state),
        directives: 'voice_drain_timeout 600ms;' });
    const client = await RawClient.open(port);
    client.socket.pause();
    await sleep(300);
    const old = await reload(nginx);
    await until(() => state.closed, 'the time to be over');
    await sleep(500);
    assert.ok(nginx.workers().includes(old[0]));
    client.socket.resume();
    for (let i = 0; i < state.sent; i++) {
        const event = await client.next();
        assert.equal(parseInt(event.data?.toString(), 10), i);
    }
    const close = await client.next();
    assert.deepEqual([close.type, close.code], ['close', 1001]);
    client.send(CLOSE, close.data);
    await client.gone;
    await workersGone(nginx, old);
});

test('R6.1 a client that never reads again holds no worker', async (t) => {
    const state = { sent: 0 };
    const { nginx, port } = await startModule(t, { handler: (s) => flood(s, state),
        directives: 'voice_drain_timeout 300ms; send_timeout 2s;' });
    const client = await RawClient.open(port);
    client.socket.pause();
    await sleep(300);
    const old = await reload(nginx);
    await workersGone(nginx, old);
    client.destroy();
});

// Numbered messages until a socket in between is full.
async function fill(client, deflated) {
    let sent = 0;
    for (let taken = true; taken; sent++) {
        const data = randomBytes(50000);
        data.writeUInt32BE(sent);
        const bytes = deflated
            ? masked(BINARY, deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH })
                .subarray(0, -4), { rsv: 4 })
            : masked(BINARY, data);
        taken = await within(client.write(bytes).then(() => true), 300);
    }
    return sent;
}

// Reads nothing until it is told to, then to the end; `got` is all it read.
function lateReader() {
    const reader = { got: [] };
    const told = new Promise((done) => { reader.resume = done; });
    reader.handler = async (s) => {
        s.accept();
        s.socket.pause();
        await told;
        s.socket.resume();
        do {
            reader.got.push(await s.next());
        } while (reader.got.at(-1).type !== 'end');
        s.end();
    };
    return reader;
}

// Every message that NGINX counted, in order, then the end.
async function assertReadAll(nginx, got) {
    const messages = got.filter((event) => event.type === 'message');
    messages.forEach((event, i) => assert.equal(event.data.readUInt32BE(), i));
    const line = await nginx.accessLine(/ 101 /);
    assert.equal(Number(/up=(\d+)\//.exec(line)[1]), messages.length);
    assert.deepEqual(got.slice(-2).map((event) => event.type), ['close', 'end']);
    assert.equal(got.at(-2).code, 1001);
}

for (const deflated of [false, true]) {
    const kind = deflated ? ', compressed' : '';
    const headers = deflated ? { 'Sec-WebSocket-Extensions': 'permessage-deflate' } : {};

    test(`R6.1 an upstream that reads late hears all, then of the drain${kind}`, async (t) => {
        const reader = lateReader();
        const { peer, nginx, port } = await startModule(t, { handler: reader.handler,
            directives: 'voice_drain_timeout 3s;' });
        const client = await RawClient.open(port, { headers });
        await peer.session();
        await fill(client, deflated);
        const old = await reload(nginx);
        await sleep(500);
        reader.resume();
        await part(client, told);
        await workersGone(nginx, old);
        await assertReadAll(nginx, reader.got);
        // Says what is left by the time it goes.
        const notices = reader.got.filter((event) => event.type === 'ping');
        assert.equal(notices.length, 1);
        assertNotice(notices[0], 2600);
    });

    test(`R6.1 an upstream that reads when time is over hears all${kind}`, async (t) => {
        const reader = lateReader();
        const { peer, nginx, port } = await startModule(t, { handler: reader.handler,
            directives: 'voice_drain_timeout 500ms;' });
        const client = await RawClient.open(port, { headers });
        await peer.session();
        await fill(client, deflated);
        const old = await reload(nginx);
        await sleep(1500);
        reader.resume();
        await part(client, told);
        await workersGone(nginx, old);
        await assertReadAll(nginx, reader.got);
    });
}

test('R6.1 an upstream that never reads again holds no client', async (t) => {
    const { peer, nginx, port } = await startModule(t, { handler: (s) => {
        s.accept();
        s.socket.pause();
    }, directives: 'voice_drain_timeout 500ms;' });
    const client = await RawClient.open(port);
    await peer.session();
    await fill(client);
    const old = await reload(nginx);
    await part(client, told);
    await workersGone(nginx, old);
    assert.match(nginx.errorLog(), /\[error\].* upstream did not end its session in time/);
});

test('R6.1 an upstream that talks on after its notice is heard to its end', async (t) => {
    const { peer, nginx, port } = await startModule(t, { handler: accept,
        directives: 'voice_drain_timeout 400ms;' });
    const client = await RawClient.open(port);
    const session = await peer.session();
    const old = await reload(nginx);
    assertNotice(await session.next(), 400);
    const close = await session.next();
    assert.deepEqual([close.type, close.code], ['close', 1001]);
    assert.equal((await session.next()).type, 'end');
    client.send(TEXT, 'nobody reads that');
    await sleep(300);
    await session.message(TEXT, 'last');
    session.end();
    assert.equal((await client.next()).data.toString(), 'last');
    await part(client, told);
    await workersGone(nginx, old);
    await nginx.accessLine(/code=1001 up=0\/0 down=1\/4 /);
});

test('R6.1 the upstream may end first, with a code of its own', async (t) => {
    const { peer, nginx, port } = await startModule(t, { handler: accept,
        directives: 'voice_drain_timeout 30s;' });
    const client = await RawClient.open(port);
    const session = await peer.session();
    const old = await reload(nginx);
    assertNotice(await session.next(), 30000);
    session.close(1012, 'come back');
    await part(client, { code: 1012, reason: 'come back' });
    await workersGone(nginx, old);
});

test('R6.1 SIGQUIT: sessions have their time, then the master ends', async (t) => {
    const { peer, nginx, port } = await startModule(t,
        { directives: 'voice_drain_timeout 800ms;' });
    const client = await RawClient.open(port);
    await peer.session();
    const ended = nginx.stop('SIGQUIT');
    await until(() => /draining 1 voice sessions/.test(nginx.errorLog()), 'the drain');
    await assert.rejects(RawClient.open(port));
    client.send(TEXT, 'still here');
    assert.equal((await client.next()).data.toString(), 'still here');
    await part(client, told);
    assert.deepEqual(await ended, { code: 0, signal: null });
});

for (const tls of [false, true]) {
    test(`R6.1 SIGTERM: a Close each way${tls ? ', over TLS' : ''}`, async (t) => {
        const { peer, nginx, port, tlsPort, ca } = await startModule(t, { handler: accept });
        const talking = [];
        const clients = [];
        for (let i = 0; i < 10; i++) {
            const client = await RawClient.open(tls ? tlsPort : port, tls ? { ca } : {});
            clients.push(client);
            talking.push(setInterval(() => client.send(TEXT, 'talk'), 1));
        }
        t.after(() => talking.forEach(clearInterval));
        await sleep(200);
        const ended = nginx.stop('SIGTERM');
        for (const client of clients) {
            const close = await client.untilClose();
            assert.deepEqual([close.code, close.reason], [told.code, told.reason]);
        }
        talking.forEach(clearInterval);
        assert.deepEqual(await ended, { code: 0, signal: null });
        for (const session of peer.sessions) {
            assert.equal((await session.until('close')).code, 1001);
            assert.equal((await session.until('end')).type, 'end');
        }
        assert.equal(nginx.accessLog().filter((line) => / code=1001 /.test(line)).length, 10);
    });
}

test('R6.1 SIGTERM amid a drain', async (t) => {
    const { peer, nginx, port } = await startModule(t);
    const clients = [await RawClient.open(port), await RawClient.open(port)];
    await peer.session();
    await reload(nginx);
    clients.push(await RawClient.open(port));
    const ended = nginx.stop('SIGTERM');
    for (const client of clients) {
        assert.equal((await client.untilClose()).code, 1001);
    }
    assert.deepEqual(await ended, { code: 0, signal: null });
});

test('R6.1 worker_shutdown_timeout cuts, with a Close each way', async (t) => {
    const { peer, nginx, port } = await startModule(t, { handler: accept,
        directives: 'voice_drain_timeout 2s;',
        nginx: { main: 'worker_shutdown_timeout 2s;' } });
    const client = await RawClient.open(port);
    const session = await peer.session();
    const old = await reload(nginx);
    // Half of so short a time is kept back for the ends of sessions.
    assertNotice(await session.next(), 1000);
    assert.equal((await session.next()).code, 1001);
    assert.equal((await session.next()).type, 'end'); // and ends nothing
    await part(client, told);
    await workersGone(nginx, old);
});

test('R6.1 worker_shutdown_timeout cuts off a client that is slow to close', async (t) => {
    const { nginx, port } = await startModule(t,
        { nginx: { main: 'worker_shutdown_timeout 600ms;' } });
    const client = await RawClient.open(port);
    const old = await reload(nginx);
    assert.equal((await client.untilClose()).code, 1001); // and does not answer
    await workersGone(nginx, old, 2500);
    client.destroy();
});

test('voice_drain_timeout: what it may be', async (t) => {
    const http = (directive) => ({ port }) => `
        upstream voice { server 127.0.0.1:1; }
        server {
            listen 127.0.0.1:${port};
            location / {
                voice_pass voice;
                ${directive}
            }
        }`;
    const table = [
        ['', 'voice_drain_timeout 10m;', null],
        ['worker_shutdown_timeout 5m;', 'voice_drain_timeout 5m;', null],
        ['worker_shutdown_timeout 5m;', '', null],
        ['worker_shutdown_timeout 0;', 'voice_drain_timeout 5m;', null],
        ['worker_shutdown_timeout 5m;', 'voice_drain_timeout 301s;',
            /directive is longer than "worker_shutdown_timeout" in .*nginx.conf:/],
        ['', 'voice_drain_timeout 0;', /must not be zero in .*nginx.conf:/],
        ['', 'voice_drain_timeout soon;', /invalid value in .*nginx.conf:/],
    ];
    for (const [main, directive, wrong] of table) {
        const nginx = await Nginx.prepare({ main, http: http(directive) });
        const { code, stderr } = await nginx.test();
        assert.equal(code === 0, wrong === null, stderr);
        if (wrong) {
            assert.match(stderr, wrong);
        }
    }
});

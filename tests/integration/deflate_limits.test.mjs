// SPDX-License-Identifier: BSD-2-Clause
//
// What compression may cost: bombs, clients that stop, sessions that end in
// the middle of a compressed message, and the worker's memory through it all.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { RSV1, base64, echoed, events, frames, nextMessage, openDeflate, pack, unpack }
    from './lib/deflate.mjs';
import { echo } from './lib/fastcgi_peer.mjs';
import { startModule } from './lib/module_kit.mjs';
import { count, patience, sanitized } from './lib/paths.mjs';
import { rssAnonKb, sleep, until } from './lib/process.mjs';
import { BINARY, CONT, PING, TEXT, closePayload, masked } from './lib/ws_raw.mjs';

const MB = 1 << 20;
const anonKb = (nginx) => rssAnonKb(nginx.workers()[0]);

// A sanitizer keeps freed memory and adds to each block.
const within = (kb, most, what) => {
    if (!sanitized) {
        assert.ok(kb <= most, `${what}: ${kb} kB`);
    }
};

// Half of a compressed message, whose other half is given back.
function half(client, data, opcode = TEXT) {
    const packed = pack(data, { level: 1 });
    const cut = packed.length >> 1;
    client.write(masked(opcode, packed.subarray(0, cut), { fin: false, rsv: RSV1 }));
    return masked(0, packed.subarray(cut));
}

test('the limit of a message counts what comes out', async (t) => {
    const { port } = await startModule(t, { directives: 'voice_max_message_size 3m;' });
    const client = await openDeflate(port);
    await echoed(client, BINARY, events(3 * MB));
    client.write(frames(BINARY, pack(events(3 * MB + 1))));
    assert.equal((await client.untilClose()).code, 1009);
});

test('200 to 1 is too much beyond a megabyte', async (t) => {
    const { port } = await startModule(t);
    const client = await openDeflate(port);
    await echoed(client, BINARY, Buffer.alloc(MB));
    const mixed = Buffer.concat([base64(MB), Buffer.alloc(20 * MB)]);
    await echoed(client, BINARY, mixed);
    client.write(frames(BINARY, pack(Buffer.alloc(MB + MB / 2))));
    const { code, reason } = await client.untilClose();
    assert.equal(code, 1009);
    assert.match(reason, /too well/);
});

test('bombs cost their sender the session and the worker nothing', async (t) => {
    const { nginx, port } = await startModule(t);
    const bomb = pack(Buffer.alloc(64 * MB), { level: 9 });
    const other = await openDeflate(port);
    await echoed(other, TEXT, events(5000));
    const before = anonKb(nginx);
    let peak = 0;
    const clients = await Promise.all(Array.from({ length: 50 }, () => openDeflate(port)));
    const ends = clients.map(async (client) => {
        client.write(frames(BINARY, bomb));
        assert.equal((await client.untilClose()).code, 1009);
        peak = Math.max(peak, anonKb(nginx));
    });
    const began = Date.now();
    await echoed(other, TEXT, events(5000));
    assert.ok(Date.now() - began < patience(3000), 'others go on');
    await Promise.all(ends);
    within(peak - before, 16 * 1024, 'growth under 50 bombs');
    await other.close();
});

// Down, the message that goes compressed; `paused` says how much the peer
// could write before it was stopped.
test('a client that stops reading in a large compressed message', async (t) => {
    const data = base64(24 * MB);
    let written = 0;
    const { nginx, port } = await startModule(t, { handler: async (s) => {
        if (s.params.QUERY_STRING === 'echo') {
            await echo(s);
            return;
        }
        s.accept();
        await s.until('message');
        for (let at = 0; at < data.length; at += MB) {
            await s.message(at === 0 ? TEXT : CONT, data.subarray(at, at + MB),
                { fin: at + MB >= data.length });
            written += MB;
        }
        await s.until('close');
        s.end();
    } });
    const other = await openDeflate(port, { path: '/v1/realtime?echo' });
    await echoed(other, TEXT, events(3000));
    const before = anonKb(nginx);
    const client = await openDeflate(port);
    client.socket.pause();
    client.write(masked(TEXT, 'go'));
    let last = -1;
    await until(async () => {
        const stands = written > 0 && written === last;
        last = written;
        await sleep(300);
        return stands && written === last;
    }, 'the upstream to be stopped', 20000);
    assert.ok(written < 16 * MB, `${written} bytes were taken`);
    within(anonKb(nginx) - before, 1024, 'growth with a stopped client');
    for (let i = 0; i < 20; i++) {
        assert.equal((await echoed(other, TEXT, events(3000))).rsv, RSV1);
    }
    client.socket.resume();
    const message = await nextMessage(client);
    assert.equal(message.rsv, RSV1);
    assert.equal(createHash('sha1').update(message.data).digest('hex'),
        createHash('sha1').update(data).digest('hex'));
    await client.close();
    await other.close();
});

test('an upstream that stops reading stops a client that compresses', async (t) => {
    let go;
    const gate = new Promise((done) => { go = done; });
    const { nginx, port } = await startModule(t, { handler: async (s) => {
        s.accept();
        s.socket.pause();
        await gate;
        s.socket.resume();
        await s.message(BINARY, (await s.until('message')).data);
        await s.until('close');
        s.end();
    } });
    const client = await openDeflate(port);
    const before = anonKb(nginx);
    const data = base64(20 * MB);
    const sent = client.write(frames(BINARY, pack(data, { level: 1 })));
    assert.equal(await Promise.race([sent.then(() => 'taken'), sleep(1000)]), undefined);
    within(anonKb(nginx) - before, 1024, 'growth with a stopped upstream');
    go();
    await sent;
    assert.ok((await nextMessage(client)).data.equals(data));
    await client.close();
});

async function openMany(port, total) {
    const clients = [];
    while (clients.length < total) {
        clients.push(...await Promise.all(Array.from(
            { length: Math.min(50, total - clients.length) }, () => openDeflate(port))));
    }
    return clients;
}

// p95 of echoes of 20 clients, in milliseconds.
async function p95(clients, rounds = 20) {
    const times = [];
    const data = events(4000);
    const packed = pack(data);
    for (let round = 0; round < rounds; round++) {
        await Promise.all(clients.map(async (client) => {
            const began = performance.now();
            await echoed(client, TEXT, data, { packed });
            times.push(performance.now() - began);
        }));
    }
    return times.sort((a, b) => a - b)[Math.floor(times.length * 0.95)];
}

test('500 clients stuck within a message, 20 that talk, twice', async (t) => {
    const { nginx, port } = await startModule(t);
    const talkers = await openMany(port, 20);
    const alone = await p95(talkers);
    const data = events(60000);
    const levels = [];
    for (let round = 0; round < 2; round++) {
        const stuck = await openMany(port, 500);
        const before = anonKb(nginx);
        const rests = stuck.map((client) => half(client, data));
        await sleep(500);
        const beside = await p95(talkers);
        assert.ok(beside < Math.max(4 * alone, 100), `p95 ${beside} ms, alone ${alone} ms`);
        t.diagnostic(`p95 ${beside.toFixed(1)} ms, alone ${alone.toFixed(1)} ms, ` +
            `${anonKb(nginx) - before} kB for 500 stuck clients`);
        within(anonKb(nginx), 60 * 1024, 'memory with 500 stuck clients');
        for (const [i, client] of stuck.entries()) {
            client.write(rests[i]);
            assert.ok((await nextMessage(client)).data.equals(data));
        }
        await Promise.all(stuck.map((client) => client.close()));
        await sleep(100);
        levels.push(anonKb(nginx));
    }
    within(levels[1] - levels[0], 500, `growth from ${levels[0]} kB`);
    await Promise.all(talkers.map((client) => client.close()));
});

test('600 stuck clients: whoever fed longest ago makes room', async (t) => {
    const { nginx, port } = await startModule(t);
    const data = events(20000);
    const stuck = await openMany(port, 600);
    const rests = stuck.map((client) => half(client, data));
    const closed = new Map();
    stuck.forEach((client, i) => {
        client.untilClose(60000).then((event) => closed.set(i, event.code), () => {});
    });
    await until(() => closed.size >= 88, 'as many closed as are too many', 20000);
    await sleep(300);
    assert.equal(closed.size, 88);
    assert.ok([...closed.values()].every((code) => code === 1008));
    const late = await openDeflate(port);
    const began = Date.now();
    await echoed(late, TEXT, data);
    assert.ok(Date.now() - began < patience(3000), 'a newcomer is served soon');
    assert.ok(closed.size <= 90);
    await late.close();
    stuck.forEach((client, i) => client.write(closed.has(i) ? '' : rests[i]));
    await until(() => (nginx.accessLog().length >= closed.size), 'the closed ones\' log lines');
    const left = stuck.filter((_, i) => !closed.has(i));
    await Promise.all(left.map((client) => client.write(masked(8, closePayload(1000)))));
    await until(() => nginx.accessLog().length === 601, 'every session to end', 30000);
    const codes = nginx.accessLog().map((entry) => /code=(\d+)/.exec(entry)[1]);
    assert.equal(codes.filter((code) => code === '1000').length, left.length + 1);
    const again = await openMany(port, 600);
    await Promise.all(again.map((client) => echoed(client, TEXT, data)));
    await Promise.all(again.map((client) => client.close()));
});

test('clients that wait for a state may go, close and ping', async (t) => {
    const { nginx, port } = await startModule(t);
    const data = events(20000);
    const stuck = await openMany(port, 512);
    stuck.forEach((client) => half(client, data));
    await sleep(300);
    const waiting = await openMany(port, 30);
    waiting.forEach((client, i) => {
        const bytes = [frames(TEXT, pack(data)), masked(PING, 'p')];
        client.write(Buffer.concat(i % 3 === 1 ? [...bytes, masked(8, closePayload(1000))] : bytes));
        if (i % 3 === 2) {
            client.destroy();
        }
    });
    for (const [i, client] of waiting.entries()) {
        if (i % 3 === 0) {
            assert.ok((await nextMessage(client)).data.equals(data));
            await client.close();
        } else if (i % 3 === 1) {
            assert.equal((await client.untilClose()).code, 1000);
        }
    }
    stuck.forEach((client) => client.destroy());
    await until(() => nginx.accessLog().length === 542, 'every session to end', 30000);
    const last = await openDeflate(port);
    await echoed(last, TEXT, data);
    await last.close();
});

// Ends of a session while a compressed message is under way, up or down.
const ends = {
    'the client goes': (client) => client.destroy(),
    'the client closes': (client) => client.write(masked(8, closePayload(1000))),
    'the client errs': (client) => client.write(masked(3, '')),
    'the upstream closes': (_, session) => session.close(1000, 'bye'),
    'the upstream goes': (_, session) => session.destroy(),
    'the upstream errs': (_, session) => session.write(randomBytes(64)),
    'its time is over': () => {},
};

test('ends in the middle of a compressed message give all back', async (t) => {
    const { peer, nginx, port } = await startModule(t, {
        directives: 'voice_max_session 400ms;',
        server: 'location = /echo { voice_pass voice; }',
        handler: async (s) => {
            if (s.params.REQUEST_URI === '/echo') {
                await echo(s);
                return;
            }
            s.accept();
            s.message(TEXT, events(s.params.QUERY_STRING === 'trial' ? 9000 : 90000),
                { fin: false });
            for (;;) {
                const { type } = await s.next();
                if (['end', 'lost', 'abort'].includes(type)) {
                    s.end();
                    return;
                }
            }
        } });
    const echoing = async () => {
        const client = await openDeflate(port, { path: '/echo' });
        const { rsv } = await echoed(client, TEXT, events(5000));
        assert.equal(rsv, RSV1, 'a deflater is there');
        await client.close();
    };
    const levels = [];
    for (let round = 0; round < count(3, 9); round++) {
        for (const [name, end] of Object.entries(ends)) {
            for (const path of ['/v1/realtime', '/v1/realtime?trial']) {
                const clients = [];
                for (let i = 0; i < 24; i++) {
                    clients.push(await openDeflate(port, { path }));
                }
                clients.forEach((client) => half(client, events(40000)));
                await sleep(20);
                const sessions = peer.sessions.splice(0);
                clients.forEach((client, i) => end(client, sessions[i]));
                await until(() => sessions.every((s) => s.socket.destroyed), `ends: ${name}`,
                    15000);
                clients.forEach((client) => client.destroy());
            }
        }
        await echoing();
        levels.push(anonKb(nginx));
    }
    // The heap has its high water, reached after some rounds.
    within(levels.at(-1), 32 * 1024, 'memory after all');
    if (levels.length > 5) {
        within(levels.at(-1) - levels.at(-4), 1000, `growth: ${levels.join(' ')}`);
    }
});

test('a reload in the middle of messages', async (t) => {
    let session;
    const { nginx, port } = await startModule(t, { handler: async (s) => {
        session = s;
        await echo(s);
    } });
    const client = await openDeflate(port);
    const data = events(300000);
    const rest = half(client, data);
    await until(() => session, 'the session');
    const down = events(100000);
    session.message(BINARY, down.subarray(0, 50000), { fin: false });
    await sleep(100);
    await nginx.reload();
    session.message(CONT, down.subarray(50000));
    assert.ok((await nextMessage(client)).data.equals(down));
    client.write(rest);
    const message = await nextMessage(client);
    assert.equal(message.rsv, RSV1);
    assert.ok(message.data.equals(data));
    const other = await openDeflate(port);
    await echoed(other, TEXT, data);
    await other.close();
    await client.close();
});

test('worker_shutdown_timeout in the middle of messages', async (t) => {
    const { nginx, port } = await startModule(t, {
        nginx: { main: 'worker_shutdown_timeout 300ms;' },
        handler: async (s) => {
            s.accept();
            s.message(TEXT, events(90000), { fin: false });
            await s.until('lost').catch(() => {});
        } });
    const clients = await openMany(port, 20);
    clients.forEach((client) => half(client, events(40000)));
    await sleep(200);
    await nginx.reload();
    for (const client of clients) {
        assert.equal((await client.untilClose()).code, 1001);
    }
});

test('idle sessions that agreed on compression cost 12 kB at most', async (t) => {
    const { nginx, port } = await startModule(t);
    const total = count(1000, 5000);
    const warm = await openMany(port, 64);
    await Promise.all(warm.map((client) => client.close()));
    await sleep(200);
    const before = anonKb(nginx);
    const clients = await openMany(port, total);
    await sleep(200);
    const each = (anonKb(nginx) - before) / total;
    t.diagnostic(`${each.toFixed(2)} kB a session`);
    within(each, 12, 'an idle session');
    await Promise.all(clients.map((client) => client.close()));
});

test('memory is flat over messages, compressed ones and others', async (t) => {
    const { nginx, port } = await startModule(t, { directives: 'voice_ping_interval 0;' });
    const client = await openDeflate(port);
    const kinds = [events(2000), events(200), randomBytes(1500), events(40000), Buffer.alloc(0)];
    const packed = kinds.map((data) => frames(BINARY, pack(data)));
    const plain = kinds.map((data) => masked(BINARY, data));
    const batch = 500;
    const burst = async () => {
        const parts = [];
        for (let i = 0; i < batch; i++) {
            const kind = i % 50 === 0 ? 3 : [0, 1, 2, 4][i % 4];
            parts.push(i % 3 ? plain[kind] : packed[kind]);
        }
        client.write(Buffer.concat(parts));
        for (let i = 0; i < batch; i++) {
            const event = await client.next();
            assert.equal(event.type, 'message');
            if (i % 100 === 0) {
                const data = event.rsv ? unpack(event.data) : event.data;
                assert.ok(data.equals(kinds[3]));
            }
        }
    };
    for (let i = 0; i < 10; i++) {
        await burst();
    }
    const before = anonKb(nginx);
    for (let sent = 0; sent < count(30000, 1000000); sent += batch) {
        await burst();
    }
    const growth = anonKb(nginx) - before;
    t.diagnostic(`${growth} kB`);
    within(Math.abs(growth), 100, 'growth');
    await client.close();
});

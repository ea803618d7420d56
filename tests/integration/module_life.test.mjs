// SPDX-License-Identifier: BSD-2-Clause
//
// Time and processes: pings, time limits, reload, shutdown, memory.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { startModule } from './lib/module_kit.mjs';
import { count, sanitized } from './lib/paths.mjs';
import { fdCount, readStat, rssAnonKb, sleep, until } from './lib/process.mjs';
import { BINARY, CLOSE, PONG, RawClient, TEXT, masked } from './lib/ws_raw.mjs';

test('pings measure the round trip and the upstream learns it', async (t) => {
    const { peer, nginx, port } = await startModule(t, { handler: (s) => { s.accept(); },
        directives: 'voice_ping_interval 100ms;' });
    const client = await RawClient.open(port);
    const session = await peer.session();
    for (let i = 0; i < 3; i++) {
        const ping = await client.next();
        assert.equal(ping.type, 'ping');
        assert.ok(ping.data.length <= 8);
        client.send(PONG, 'another'); // not the answer
        await sleep(30);
        client.send(PONG, ping.data);
        const pong = await session.next();
        assert.equal(pong.type, 'pong');
        assert.equal(pong.data.length, 4);
        assert.ok(pong.data.readUInt32BE() >= 20000, 'microseconds');
    }
    client.send(CLOSE, '');
    await session.until('end');
    session.end();
    const line = await nginx.accessLine(/ 101 /);
    assert.ok(Number(/rtt=([\d.]+)/.exec(line)[1]) >= 0.02, line);
});

test('a half-open client is found by its missing pong', async (t) => {
    const { peer, nginx, port } = await startModule(t, { handler: (s) => { s.accept(); },
        directives: 'voice_ping_interval 100ms; voice_ping_timeout 200ms;' });
    const client = await RawClient.open(port);
    const session = await peer.session();
    assert.equal((await client.next()).type, 'ping');
    assert.equal((await session.next()).type, 'abort');
    session.end();
    assert.equal((await client.untilClose()).code, 1001);
    const line = await nginx.accessLine(/ 101 /);
    assert.match(line, /code=100[16] /);
    client.destroy();
});

test('voice_ping_interval 0 sends no pings', async (t) => {
    const { port } = await startModule(t, { handler: async (s) => {
        s.accept();
        await sleep(300);
        s.close(1000, '');
    }, directives: 'voice_ping_interval 0; voice_ping_timeout 50ms;' });
    const client = await RawClient.open(port);
    assert.equal((await client.next()).type, 'close');
    client.destroy();
});

test('a client whose data nobody reads is not taken for dead', async (t) => {
    let resume;
    const { port } = await startModule(t, { handler: async (s) => {
        s.accept();
        s.socket.pause();
        await new Promise((done) => { resume = done; });
        s.socket.resume();
        const sum = await s.until('message');
        s.message(TEXT, createHash('sha1').update(sum.data).digest('hex'));
        await s.until('close');
        s.end();
    }, directives: 'voice_ping_interval 100ms; voice_ping_timeout 150ms;' });
    const client = await RawClient.open(port);
    const data = randomBytes(12 << 20);
    client.write(masked(BINARY, data)); // the pongs stand behind it
    const pongs = (async () => {
        for (;;) {
            const event = await client.next();
            if (event.type !== 'ping') {
                return event;
            }
            client.send(PONG, event.data);
        }
    })();
    await sleep(900);
    resume();
    const event = await pongs;
    assert.equal(event.data?.toString(), createHash('sha1').update(data).digest('hex'));
    await client.close();
});

test('voice_idle_timeout and voice_max_session close with 1001', async (t) => {
    const { nginx, port } = await startModule(t, { server: `
        location = /idle { voice_pass voice; voice_idle_timeout 400ms;
            voice_ping_interval 100ms; }
        location = /max { voice_pass voice; voice_max_session 600ms; }` });
    const idle = await RawClient.open(port, { path: '/idle' });
    for (let i = 0; i < 6; i++) {
        await sleep(150);
        idle.send(TEXT, 'busy');
    }
    let close = await idle.untilClose();
    assert.deepEqual([close.code, close.reason], [1001, 'idle timeout']);
    idle.send(CLOSE, close.data);
    await idle.gone;
    await nginx.accessLine(/\/idle 101 .* code=1001 up=6\/24 down=6\/24 /);

    const max = await RawClient.open(port, { path: '/max' });
    const sending = setInterval(() => max.send(TEXT, 'x'), 50);
    close = await max.untilClose();
    clearInterval(sending);
    assert.deepEqual([close.code, close.reason], [1001, 'session time limit']);
    max.send(CLOSE, close.data);
    await max.gone;
});

test('a reload leaves sessions on the old worker, and no alert', async (t) => {
    const { nginx, port } = await startModule(t);
    const [old] = nginx.workers();
    const client = await RawClient.open(port);
    const idle = await RawClient.open(port);
    client.send(TEXT, 'before');
    assert.equal((await client.next()).data.toString(), 'before');
    await nginx.reload();
    await sleep(200);
    client.send(TEXT, 'after');
    assert.equal((await client.next()).data.toString(), 'after');
    assert.ok(nginx.workers().includes(old));
    const fresh = await RawClient.open(port);
    await client.close();
    await idle.close();
    await until(() => !nginx.workers().includes(old), 'the old worker to end');
    await fresh.close();
});

test('worker_shutdown_timeout: every client gets a Close, 1001', async (t) => {
    const { nginx, port } = await startModule(t, {
        nginx: { main: 'worker_shutdown_timeout 300ms;' } });
    const [old] = nginx.workers();
    const clients = [];
    for (let i = 0; i < 20; i++) {
        clients.push(await RawClient.open(port));
    }
    await nginx.reload();
    for (const client of clients) {
        assert.equal((await client.untilClose()).code, 1001);
    }
    await until(() => !nginx.workers().includes(old), 'the old worker to end');
    await until(() => nginx.accessLog().filter((l) => / code=1001 /.test(l)).length === 20,
        'the log lines');
});

test('a client that stops reading stops the upstream, and loses nothing', async (t) => {
    const total = count(200, 2000);
    const size = 100000;
    const sum = createHash('sha1');
    let sent = 0;
    const { nginx, port } = await startModule(t, { handler: async (s) => {
        s.accept();
        for (; sent < total; sent++) {
            const data = randomBytes(size);
            sum.update(data);
            await s.message(BINARY, data);
        }
        s.close(1000, 'all');
    } });
    const [worker] = nginx.workers();
    const client = await RawClient.open(port);
    client.send(BINARY, Buffer.from('go'));
    client.socket.pause();
    const before = rssAnonKb(worker);
    await sleep(200);
    const ticks = readStat(worker).cpuTicks;
    await sleep(500);
    assert.ok(readStat(worker).cpuTicks - ticks < 15, 'nginx waits, and does not spin');
    assert.ok(sent < total, 'the upstream is held up');
    assert.ok(rssAnonKb(worker) - before < 300, 'nginx holds two blocks at most');
    client.socket.resume();
    const got = createHash('sha1');
    for (let i = 0; i < total; i++) {
        got.update((await client.next()).data);
    }
    const close = await client.next();
    assert.equal(close.code, 1000);
    assert.equal(got.digest('hex'), sum.digest('hex'));
    client.send(CLOSE, close.data);
    await client.gone;
    const line = await nginx.accessLine(/ 101 /);
    assert.ok(Number(/stall=([\d.]+)/.exec(line)[1]) > 0.3, line);
});

test('the same over TLS, both ways, while pings go on', async (t) => {
    const size = 3 << 20;
    const { nginx, tlsPort, ca } = await startModule(t,
        { directives: 'voice_ping_interval 50ms; voice_ping_timeout 60s;' });
    const client = await RawClient.open(tlsPort, { ca });
    const [sent, got] = [createHash('sha1'), createHash('sha1')];
    let pings = 0;
    for (let round = 0; round < count(4, 20); round++) {
        const parts = [randomBytes(size), randomBytes(17), randomBytes(70000)];
        client.socket.pause();
        for (const part of parts) {
            sent.update(part);
            client.send(BINARY, part);
        }
        await sleep(150);
        client.socket.resume();
        for (let left = parts.length; left > 0;) {
            const event = await client.next();
            assert.notEqual(event.type, 'gone');
            if (event.type === 'ping') {
                pings++;
                client.send(PONG, event.data);
            } else {
                got.update(event.data);
                left--;
            }
        }
    }
    assert.equal(got.digest('hex'), sent.digest('hex'));
    assert.ok(pings > 0);
    await client.close();
    assert.ok(!/SSL_/.test(nginx.errorLog()), 'no bad write retry');
});

test('memory and descriptors stay flat over messages and sessions', async (t) => {
    const { nginx, port } = await startModule(t, { directives: 'voice_ping_interval 10m;' });
    const [worker] = nginx.workers();
    const client = await RawClient.open(port);
    const batch = Buffer.concat(Array.from({ length: 1000 },
        () => masked(BINARY, Buffer.alloc(160))));
    const many = async (batches) => {
        for (let i = 0; i < batches; i++) {
            client.write(batch);
            for (let left = 1000; left > 0; left--) {
                assert.equal((await client.next()).data.length, 160);
            }
        }
    };
    await many(3);
    // A sanitizer keeps freed memory back to find its late uses.
    const before = rssAnonKb(worker);
    await many(count(20, 1000));
    assert.ok(rssAnonKb(worker) - before < (sanitized ? 512 : 64), `${rssAnonKb(worker) - before} kB more`);
    await client.close();

    const sessions = async (n) => {
        for (let i = 0; i < n; i++) {
            const one = await RawClient.open(port);
            await one.close();
        }
    };
    await sessions(50);
    const [fds, rss] = [fdCount(worker), rssAnonKb(worker)];
    await sessions(count(200, 5000));
    await until(() => fdCount(worker) <= fds, 'descriptors to be closed');
    if (!sanitized) {
        assert.ok(rssAnonKb(worker) - rss < 64, `${rssAnonKb(worker) - rss} kB more`);
    }
});

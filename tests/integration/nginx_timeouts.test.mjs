// SPDX-License-Identifier: BSD-2-Clause
//
// nginx's own timeouts, which end requests: what they mean before the 101 and
// that they mean nothing after it; and the module's own.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { startModule } from './lib/module_kit.mjs';
import { ask, logOf, roundTrip, startEcho } from './lib/nginx_kit.mjs';
import { sleep, until, within } from './lib/process.mjs';
import { BINARY, PONG, RawClient, TEXT, handshakeText, masked } from './lib/ws_raw.mjs';

const FIN_WAIT1 = '04';

// The state of the server's end of a connection in /proc/net/tcp.
function stateOf(port, clientPort) {
    const hex = (n) => n.toString(16).toUpperCase().padStart(4, '0');
    const line = readFileSync('/proc/net/tcp', 'latin1').split('\n')
        .find((text) => text.includes(`:${hex(port)} 0100007F:${hex(clientPort)} `));
    return line?.trim().split(/\s+/)[3];
}

const short = `client_header_timeout 400ms; client_body_timeout 400ms; keepalive_timeout 400ms;
    send_timeout 400ms; lingering_timeout 400ms; proxy_read_timeout 400ms;`;

test('R6.1 the timeouts of requests do not end sessions', async (t) => {
    const { port, tlsPort, ca } = await startEcho(t, { server: `${short}
        location = /page { return 200 page; }`,
    location: 'voice_read_timeout 400ms; voice_send_timeout 400ms;' });
    for (const [name, to, options] of [['plain', port, {}], ['TLS', tlsPort, { ca }]]) {
        await t.test(`${name}: a silent session goes on`, async () => {
            const client = await RawClient.open(to, options);
            await roundTrip(client, TEXT, 'before');
            await sleep(800);
            await roundTrip(client, TEXT, 'after');
            await client.close();
        });
        await t.test(`${name}: half a frame may wait`, async () => {
            const client = await RawClient.open(to, options);
            const bytes = masked(TEXT, 'in two parts');
            await client.write(bytes.subarray(0, 9));
            await sleep(800);
            await client.write(bytes.subarray(9));
            assert.equal((await client.next()).data.toString(), 'in two parts');
            await client.close();
        });
        await t.test(`${name}: a session on a kept connection goes on too`, async () => {
            const client = await RawClient.connect(to, options);
            await client.handshake({ text: 'GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n' });
            await client.handshake();
            await sleep(800);
            await roundTrip(client, TEXT, 'after');
            await client.close();
        });
    }
});

test('R6.1 the timeouts of requests hold before the 101', async (t) => {
    const { nginx, port } = await startEcho(t, { server: short });
    const slow = await RawClient.connect(port);
    await slow.write(Buffer.from(handshakeText().slice(0, 40)));
    assert.ok(await within(slow.gone.then(() => true), 5000), 'client_header_timeout');
    await logOf(nginx, { status: '408' });
    const idle = await RawClient.connect(port);
    await idle.handshake({ headers: { Upgrade: null } });
    assert.ok(await within(idle.gone.then(() => true), 5000), 'keepalive_timeout');
});

test('R6.1 send_timeout ends a client that takes nothing', async (t) => {
    for (const reset of ['off', 'on']) {
        await t.test(`reset_timedout_connection ${reset}`, async (t) => {
            const { peer, nginx, port } = await startModule(t, { handler: async (s) => {
                s.accept();
                s.message(BINARY, Buffer.alloc(32 << 20));
                await s.until('abort');
                s.end();
            }, directives: `send_timeout 500ms; reset_timedout_connection ${reset};` });
            const client = await RawClient.open(port);
            client.socket.pause();
            await nginx.accessLine(/ 101 .* code=1006 /);
            assert.match(nginx.errorLog(), /\[info\].*client timed out.*relaying voice session/);
            assert.equal(peer.sessions[0].aborted, true);
            // what could not be sent is kept by the kernel, unless reset
            const state = stateOf(port, client.socket.localPort);
            assert.equal(state, reset === 'on' ? undefined : FIN_WAIT1);
            client.destroy();
        });
    }
});

test('R6.1 a client that reads slowly, but reads, is not timed out', async (t) => {
    const { port } = await startModule(t, { handler: async (s) => {
        s.accept();
        s.message(BINARY, Buffer.alloc(24 << 20));
        await s.until('close');
        s.end();
    }, directives: 'send_timeout 700ms;' });
    const client = await RawClient.open(port);
    const message = client.next(60000);
    for (let i = 0; i < 8; i++) {
        client.socket.pause();
        await sleep(250);
        client.socket.resume();
        await sleep(5);
    }
    assert.equal((await message).data.length, 24 << 20);
    await client.close();
});

test('R6.1 voice_send_timeout ends a voiced that takes nothing', async (t) => {
    const { nginx, port } = await startModule(t, { handler: (s) => {
        s.accept();
        s.socket.pause();
    }, directives: 'voice_send_timeout 500ms;' });
    const client = await RawClient.open(port);
    client.send(BINARY, Buffer.alloc(16 << 20));
    const close = await client.untilClose();
    assert.deepEqual([close.code, close.reason], [1011, 'upstream timed out']);
    client.destroy();
    await nginx.accessLine(/ code=1011 /);
});

test('R6.1 voice_max_session and voice_idle_timeout, by what voiced says of it', async (t) => {
    const { voiced, nginx, port } = await startEcho(t, { server: `
        location = /realtime { voice_pass voice; voice_max_session 500ms; }
        location = /realtime/ { voice_pass voice; voice_idle_timeout 500ms;
            voice_ping_interval 100ms; }
        location = /v1/realtime/ { voice_pass voice; voice_idle_timeout off;
            voice_max_session off; }` });
    const table = [['/realtime', 'session time limit'], ['/realtime/', 'idle timeout']];
    const unlimited = await RawClient.open(port, { path: '/v1/realtime/' });
    for (const [path, reason] of table) {
        const client = await RawClient.connect(port);
        const { headers } = await client.handshake({ path });
        await roundTrip(client, TEXT, 'hello');
        const close = await client.untilClose();
        assert.deepEqual([close.code, close.reason], [1001, reason]);
        client.send(8, close.data);
        await within(client.gone, 5000);
        const summary = await voiced.summary(headers['x-voice-session']);
        assert.deepEqual([summary.code, summary.up_messages], [1001, 1]);
        const line = await logOf(nginx, { uri: path });
        assert.deepEqual([line.voice_close_code, line.voice_close_reason], ['1001', reason]);
        assert.ok(Number(line.request_time) >= 0.5, line.request_time);
    }
    await roundTrip(unlimited, TEXT, 'still here');
    await unlimited.close();
});

test('R6.1 a large message on its way is no idle session', async (t) => {
    const { port } = await startEcho(t, { location: 'voice_idle_timeout 600ms;' });
    const client = await RawClient.open(port);
    const data = Buffer.alloc(900, 'x');
    const sending = masked(TEXT, data);
    for (let at = 0; at < sending.length; at += 100) {
        await client.write(sending.subarray(at, at + 100));
        await sleep(40);
    }
    assert.equal((await client.next()).data.length, 900);
    await client.close();
});

test('R6.1 pings: the interval is the interval', async (t) => {
    const { nginx, voiced, port } = await startEcho(t, {
        location: 'voice_ping_interval 150ms; voice_ping_timeout 30s;' });
    const client = await RawClient.connect(port);
    const { headers } = await client.handshake();
    const times = [performance.now()];
    while (times.length < 6) {
        const event = await client.next();
        assert.equal(event.type, 'ping');
        times.push(performance.now());
        await sleep(20);
        await client.send(PONG, event.data);
    }
    for (let i = 1; i < times.length; i++) {
        assert.ok(times[i] - times[i - 1] > 100, 'not sooner');
    }
    await sleep(50);
    await client.close();
    const line = await logOf(nginx, { voice_close_code: '1000' });
    const rtt = Number(line.voice_rtt);
    assert.ok(rtt >= 0.019, line.voice_rtt); // a timer of 20 ms may be early
    const summary = await voiced.summary(headers['x-voice-session']);
    assert.equal(summary.rtt_us, Math.round(rtt * 1e6));
});

test('R6.1 a pong may come behind a long message on a slow line', async (t) => {
    const { nginx, port } = await startEcho(t, {
        location: 'voice_ping_interval 100ms; voice_ping_timeout 400ms;' });
    const client = await RawClient.open(port);
    const bytes = masked(BINARY, Buffer.alloc(100000));
    const step = 4000;
    const pings = [];
    client.reader.on = (event) => { pings.push(event); };
    for (let at = 0; at < bytes.length; at += step) {
        await client.write(bytes.subarray(at, at + step));
        await sleep(60);
    }
    assert.deepEqual(pings.map((event) => event.type), ['ping', 'message']);
    await client.send(PONG, pings[0].data);
    await client.send(8, Buffer.from([0x03, 0xe8]));
    const line = await logOf(nginx, { voice_close_code: '1000' });
    assert.ok(Number(line.voice_rtt) > 1);
});

test('R6.1 a client that answers no ping, beside one that does', async (t) => {
    const { nginx, voiced, port } = await startEcho(t, {
        location: 'voice_ping_interval 100ms; voice_ping_timeout 300ms;' });
    const [good, mute] = [await RawClient.open(port), await RawClient.open(port)];
    const answering = (async () => {
        for (;;) {
            const event = await good.next();
            if (event.type !== 'ping') {
                return event;
            }
            good.send(PONG, event.data);
        }
    })();
    // unasked pongs are no answer
    const talking = setInterval(() => mute.send(PONG, ''), 50);
    const close = await mute.untilClose();
    assert.deepEqual([close.code, close.reason], [1001, 'ping timeout']);
    clearInterval(talking);
    mute.destroy();
    const line = await logOf(nginx, { voice_close_code: '1001' });
    assert.deepEqual([line.status, line.voice_close_reason], ['101', 'ping timeout']);
    await until(async () => (await voiced.sessions()).length === 1, 'voiced to know');
    assert.match(nginx.errorLog(), /\[info\].*client did not answer a ping/);
    good.send(TEXT, 'bye');
    assert.equal((await answering).data.toString(), 'bye');
    good.destroy();
    assert.equal((await ask(port)).status, 101);
});

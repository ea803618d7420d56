// SPDX-License-Identifier: BSD-2-Clause
//
// Sessions through the module as they should go, and how each side ends them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startModule } from './lib/module_kit.mjs';
import { within } from './lib/process.mjs';
import { BINARY, PING, PONG, RawClient, TEXT, frame, masked } from './lib/ws_raw.mjs';

test('messages are echoed, pings answered, the closing handshake done', async (t) => {
    const { peer, nginx, port } = await startModule(t);
    const client = await RawClient.open(port);
    for (const text of ['', 'hello', 'é'.repeat(200), 'x'.repeat(70000)]) {
        client.send(TEXT, text);
        const event = await client.next();
        assert.equal(event.opcode, TEXT);
        assert.equal(event.data.toString(), text);
    }
    client.send(BINARY, Buffer.from([0, 255, 254]));
    assert.deepEqual((await client.next()).data, Buffer.from([0, 255, 254]));
    client.send(PING, 'are you there');
    const pong = await client.next();
    assert.equal(pong.type, 'pong');
    assert.equal(pong.data.toString(), 'are you there');

    const close = await client.close(4321, 'done');
    assert.equal(close.code, 4321);
    assert.equal(peer.sessions[0].closed.code, 4321);
    assert.equal(peer.sessions[0].closed.reason, 'done');
    const line = await nginx.accessLine(/\/v1\/realtime 101 /);
    assert.match(line, /session=sess_test code=4321 up=5\/70408 down=5\/70408 /);
});

test('frames behind the handshake in its segment are the first of the session', async (t) => {
    const { port } = await startModule(t);
    const early = Buffer.concat([masked(TEXT, 'early'), masked(PING, 'p'), masked(TEXT, 'bird')]);
    const client = await RawClient.open(port, { early });
    const got = [await client.next(), await client.next(), await client.next()];
    assert.deepEqual(got.map((e) => e.data.toString()).sort(), ['bird', 'early', 'p']);
    assert.equal((await client.close()).code, 1000);
});

test('half a frame in the handshake segment is completed later', async (t) => {
    const { port } = await startModule(t);
    const bytes = masked(TEXT, 'split here');
    for (const at of [1, 3, 6, 9]) {
        const client = await RawClient.open(port, { early: bytes.subarray(0, at) });
        client.write(bytes.subarray(at));
        assert.equal((await client.next()).data.toString(), 'split here');
        await client.close();
    }
});

test('frames behind the 101 in its record reach the client', async (t) => {
    const { port } = await startModule(t, { handler: async (s) => {
        s.accept({}, frame(TEXT, 'first'));
        s.message(TEXT, 'second');
        await s.until('close');
        s.end();
    } });
    const client = await RawClient.open(port);
    assert.equal((await client.next()).data.toString(), 'first');
    assert.equal((await client.next()).data.toString(), 'second');
    await client.close();
});

test('an upstream that answers one byte per record is understood', async (t) => {
    const { port } = await startModule(t, { handler: async (s) => {
        s.isAccepted = true;
        const bytes = Buffer.concat([
            Buffer.from('Status: 101\r\nX-Voice-Session: sess_slow\r\n\r\n'),
            frame(TEXT, 'z'.repeat(300)), frame(TEXT, 'ab', { fin: false }), frame(0, 'c')]);
        for (const byte of bytes) {
            await s.stdout(Buffer.from([byte]), { padding: byte % 9 });
        }
        s.close(1000, 'slow');
    } });
    const client = await RawClient.open(port);
    assert.equal((await client.next()).data.toString(), 'z'.repeat(300));
    assert.equal((await client.next()).data.toString(), 'abc');
    const close = await client.next();
    assert.deepEqual([close.type, close.code, close.reason], ['close', 1000, 'slow']);
    client.send(8, close.data);
    await client.gone;
});

test('the close of the upstream reaches the client after every message', async (t) => {
    const { peer, nginx, port } = await startModule(t, { handler: async (s) => {
        s.accept();
        for (let i = 0; i < 50; i++) {
            s.message(TEXT, `${i}`.padStart(20000, '.'));
        }
        s.close(4000, 'enough');
    } });
    const client = await RawClient.open(port);
    for (let i = 0; i < 50; i++) {
        assert.equal((await client.next()).data.toString(), `${i}`.padStart(20000, '.'));
    }
    const close = await client.next();
    assert.deepEqual([close.type, close.code, close.reason], ['close', 4000, 'enough']);
    // the upstream's connection is closed at once, whatever the client does
    assert.ok(await within(peer.sessions[0].gone.then(() => true), 5000));
    client.send(8, close.data);
    await client.gone;
    await nginx.accessLine(/ code=4000 up=0\/0 down=50\/1000000 /);
});

test('a client that never answers a Close is let go', async (t) => {
    const { nginx, port } = await startModule(t, { handler: async (s) => {
        s.accept();
        s.close(1000, '');
    } });
    const client = await RawClient.open(port);
    assert.equal((await client.untilClose()).code, 1000);
    await nginx.accessLine(/ code=1000 /, 20000);
    client.destroy();
});

test('an empty close is answered with an empty close', async (t) => {
    const { peer, port } = await startModule(t);
    const client = await RawClient.open(port);
    assert.equal((await client.close(1005)).data.length, 0);
    assert.equal(peer.sessions[0].closed.code, 1005);
});

test('a client that goes without a Close: abort upstream, 1006 in the log', async (t) => {
    const { peer, nginx, port } = await startModule(t, { handler: (s) => { s.accept(); } });
    const client = await RawClient.open(port);
    const session = await peer.session();
    client.send(TEXT, 'last words');
    assert.equal((await session.next()).data.toString(), 'last words');
    client.send(TEXT, 'really');
    client.socket.end();
    assert.equal((await session.next()).data.toString(), 'really');
    assert.equal((await session.next()).type, 'abort');
    assert.equal((await session.next()).type, 'end');
    session.end();
    await nginx.accessLine(/ 101 .* code=1006 up=2\/16 /);
});

test('pings and pongs of the upstream stay in nginx', async (t) => {
    const { port } = await startModule(t, { handler: async (s) => {
        s.accept();
        s.message(PING, 'x');
        s.message(PONG, 'y');
        s.message(TEXT, 'z');
        await s.until('close');
        s.end();
    } });
    const client = await RawClient.open(port);
    assert.equal((await client.next()).data.toString(), 'z');
    await client.close();
});

test('text of the upstream on stderr is logged, to a limit', async (t) => {
    const { nginx, port } = await startModule(t, { handler: async (s) => {
        s.stderr('before the header\n');
        s.accept();
        for (let i = 0; i < 20; i++) {
            s.stderr('#'.repeat(1000));
        }
        await s.until('close');
        s.end();
    } });
    const client = await RawClient.open(port);
    await client.close();
    await nginx.accessLine(/ 101 /);
    const lines = nginx.errorLog().split('\n').filter((l) => l.includes('stderr'));
    assert.match(lines[0], /"before the header"/);
    assert.ok(lines.join('').match(/#/g).length <= 4096);
});

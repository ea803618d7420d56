// SPDX-License-Identifier: BSD-2-Clause
//
// The byte stream of frames: every split, every size, every mistake.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { startModule } from './lib/module_kit.mjs';
import { count } from './lib/paths.mjs';
import { until, within } from './lib/process.mjs';
import { BINARY, CLOSE, CONT, PING, PONG, RawClient, TEXT, closePayload, frame, masked }
    from './lib/ws_raw.mjs';

const stream = () => Buffer.concat([
    masked(TEXT, 'Hé', { fin: false }), masked(PING, 'one'), masked(CONT, '', { fin: false }),
    masked(CONT, 'llo'), masked(PONG, 'unasked'), masked(BINARY, Buffer.alloc(130, 7)),
    masked(TEXT, ''), masked(PING, ''), masked(TEXT, 'end')]);

async function checkStream(client) {
    const messages = [];
    while (messages.length < 4) {
        const event = await client.next();
        assert.notEqual(event.type, 'close', event.reason);
        if (event.type === 'message') {
            messages.push(event);
        }
    }
    assert.deepEqual(messages.map((m) => [m.opcode, m.data.toString()]),
        [[TEXT, 'Héllo'], [BINARY, '\x07'.repeat(130)], [TEXT, ''], [TEXT, 'end']]);
}

test('one byte at a time', async (t) => {
    const { port } = await startModule(t);
    const client = await RawClient.open(port);
    const done = checkStream(client);
    await client.dribble(stream());
    await done;
    assert.equal((await client.close()).code, 1000);
});

test('a multi-frame stream, split at every position', async (t) => {
    const { port } = await startModule(t);
    const bytes = stream();
    const client = await RawClient.open(port);
    for (let at = 1; at < bytes.length; at++) {
        const done = checkStream(client);
        await client.write(bytes.subarray(0, at));
        await new Promise((next) => setTimeout(next, 1));
        await client.write(bytes.subarray(at));
        await done;
    }
    assert.equal((await client.close()).code, 1000);
});

test('the same down, split at every position over records and writes', async (t) => {
    const bytes = Buffer.concat([frame(TEXT, 'Hé', { fin: false }), frame(CONT, 'llo'),
        frame(BINARY, Buffer.alloc(130, 7)), frame(TEXT, ''), frame(TEXT, 'end')]);
    const { port } = await startModule(t, { handler: async (s) => {
        s.accept();
        for (let at = 1; at < bytes.length; at++) {
            await s.stdout(bytes.subarray(0, at), { padding: at % 256 });
            if (at % 2) {
                await new Promise((next) => setTimeout(next, 1));
            }
            await s.stdout(bytes.subarray(at), { padding: 0 });
        }
        await s.until('close');
        s.end();
    } });
    const client = await RawClient.open(port);
    for (let at = 1; at < bytes.length; at++) {
        await checkStream(client);
    }
    await client.close();
});

test('messages of 16 MiB both ways, and sizes at the borders of encodings', async (t) => {
    const { port } = await startModule(t);
    const client = await RawClient.open(port);
    for (const size of [124, 125, 126, 127, 128, 4095, 16384, 32672, 32688, 32768, 65527, 65528,
        65529, 65535, 65536, 65537, 1 << 20, 16 << 20]) {
        const data = randomBytes(size);
        client.send(BINARY, data);
        const event = await client.next();
        assert.equal(event.data.length, size);
        assert.ok(event.data.equals(data), `${size} bytes`);
    }
    await client.close();
});

test('20,000 pipelined small messages come back in order', async (t) => {
    const { port } = await startModule(t);
    const client = await RawClient.open(port);
    const total = 20000;
    const sent = Array.from({ length: total }, (_, i) => masked(TEXT, `${i}`.padEnd(i % 40)));
    client.write(Buffer.concat(sent));
    for (let i = 0; i < total; i++) {
        const { data } = await client.next();
        assert.equal(data.toString(), `${i}`.padEnd(i % 40));
    }
    await client.close();
});

test('control frames between the fragments of large messages', async (t) => {
    const { port } = await startModule(t);
    const client = await RawClient.open(port);
    const part = Buffer.alloc(50000, 'p');
    const parts = [masked(BINARY, part, { fin: false })];
    for (let i = 0; i < 20; i++) {
        parts.push(masked(PING, `${i}`), masked(CONT, part, { fin: i === 19 }));
    }
    client.write(Buffer.concat(parts));
    let last;
    for (;;) {
        const event = await client.next();
        if (event.type === 'message') {
            assert.equal(event.data.length, 21 * part.length);
            break;
        }
        assert.equal(event.type, 'pong');
        last = event.data.toString();
    }
    assert.ok(last !== undefined);
    await client.close();
});

const raw = (...bytes) => Buffer.from(bytes);
const bad = [
    ['a frame without mask', frame(TEXT, 'x'), 1002],
    ['RSV1', masked(TEXT, 'x', { rsv: 4 }), 1002],
    ['RSV2', masked(TEXT, 'x', { rsv: 2 }), 1002],
    ['RSV3', masked(PING, 'x', { rsv: 1 }), 1002],
    ['opcode 3', masked(3, 'x'), 1002],
    ['opcode 11', masked(11, 'x'), 1002],
    ['a continuation of nothing', masked(CONT, 'x'), 1002],
    ['a new message within one', Buffer.concat([masked(TEXT, 'x', { fin: false }),
        masked(TEXT, 'y')]), 1002],
    ['a fragmented ping', masked(PING, 'x', { fin: false }), 1002],
    ['a ping of 126 bytes', masked(PING, 'x'.repeat(126)), 1002],
    ['a length wider than needed, 16 bits', masked(TEXT, 'x', { wide: 2 }), 1002],
    ['a length wider than needed, 64 bits', masked(TEXT, 'x', { wide: 8 }), 1002],
    ['a length of 64 bits with the top bit', raw(0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0,
        1, 2, 3, 4), 1002],
    ['a close of one byte', masked(CLOSE, 'x'), 1002],
    ['close code 1005', masked(CLOSE, closePayload(1005)), 1002],
    ['close code 999', masked(CLOSE, closePayload(999)), 1002],
    ['close code 2000', masked(CLOSE, closePayload(2000)), 1002],
    ['a close reason that is not UTF-8', masked(CLOSE, raw(0x03, 0xe8, 0xff)), 1007],
    ['text that is not UTF-8', masked(TEXT, raw(0x61, 0xff)), 1007],
    ['text that ends within a character', masked(TEXT, raw(0xe2, 0x82)), 1007],
    ['a surrogate across fragments', Buffer.concat([masked(TEXT, raw(0xed), { fin: false }),
        masked(CONT, raw(0xa0, 0x80))]), 1007],
    ['text that ends within a character, empty last fragment', Buffer.concat([
        masked(TEXT, raw(0xc3), { fin: false }), masked(CONT, '')]), 1007],
    ['an announced message above the limit', masked(BINARY, '', { length: 1025 }), 1009],
    ['fragments that sum up above the limit', Buffer.concat([
        masked(BINARY, Buffer.alloc(1000), { fin: false }), masked(CONT, Buffer.alloc(25))]),
    1009],
    ['an announced message of 2^63 - 1 bytes', raw(0x82, 0xff, 0x7f, 255, 255, 255, 255, 255,
        255, 255, 1, 2, 3, 4), 1009],
];

test('mistakes of the client end its session with the right code', async (t) => {
    const { peer, nginx, port } = await startModule(t, {
        directives: 'voice_max_message_size 1024;' });
    for (const [name, bytes, code] of bad) {
        await t.test(name, async () => {
            const client = await RawClient.open(port);
            const session = await peer.session();
            client.send(TEXT, 'fine');
            assert.equal((await client.next()).data.toString(), 'fine');
            client.write(Buffer.concat([bytes, masked(TEXT, 'never read')]));
            assert.equal((await client.untilClose()).code, code);
            assert.ok(await within(client.gone.then(() => true), 10000), 'the connection ends');
            await session.gone;
            assert.equal(session.closed?.code, code, 'the upstream learns the code');
        });
    }
    await until(() => nginx.accessLog().length === bad.length, 'a log line of each');
});

test('a split character and a message of exactly the limit pass', async (t) => {
    const { port } = await startModule(t, { directives: 'voice_max_message_size 1024;' });
    const client = await RawClient.open(port);
    client.write(Buffer.concat([masked(TEXT, raw(0xf0, 0x9f), { fin: false }), masked(PING, 'x'),
        masked(CONT, raw(0x99, 0x82))]));
    assert.equal((await client.next()).type, 'pong');
    assert.equal((await client.next()).data.toString(), '🙂');
    client.write(Buffer.concat([masked(BINARY, Buffer.alloc(1000), { fin: false }),
        masked(CONT, Buffer.alloc(24))]));
    assert.equal((await client.next()).data.length, 1024);
    client.send(BINARY, Buffer.alloc(1024));
    assert.equal((await client.next()).data.length, 1024);
    await client.close();
});

// A stream of random frames in random pieces against its own definition.
test('random streams in random pieces', async (t) => {
    const { port } = await startModule(t);
    const rounds = count(20, 400);
    const client = await RawClient.open(port);
    for (let round = 0; round < rounds; round++) {
        const sizes = randomBytes(30);
        const parts = [];
        const sent = createHash('sha1');
        for (const size of sizes) {
            const data = randomBytes(size % 3 === 0 ? size * 150 : size);
            sent.update(data);
            const cut = size % 2 ? Math.floor(data.length / 3) : data.length;
            parts.push(masked(BINARY, data.subarray(0, cut), { fin: cut === data.length }));
            if (cut < data.length) {
                parts.push(masked(PING, 'i'), masked(CONT, data.subarray(cut)));
            }
        }
        const bytes = Buffer.concat(parts);
        const cuts = randomBytes(40).map((b) => b);
        for (let at = 0, i = 0; at < bytes.length; i++) {
            const piece = 1 + cuts[i % 40] * (i % 7 === 0 ? 200 : 1);
            client.write(bytes.subarray(at, at + piece));
            at += piece;
            if (i % 5 === 0) {
                await new Promise((next) => setImmediate(next));
            }
        }
        const got = createHash('sha1');
        for (let left = sizes.length; left > 0;) {
            const event = await client.next();
            if (event.type === 'message') {
                got.update(event.data);
                left--;
            }
        }
        assert.equal(got.digest('hex'), sent.digest('hex'));
    }
    await client.close();
});

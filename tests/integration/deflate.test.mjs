// SPDX-License-Identifier: BSD-2-Clause
//
// permessage-deflate (RFC 7692): what is agreed on, every size, every split,
// contexts, windows, and what the upstream sees of it: nothing.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import zlib from 'node:zlib';
import { Context, OFFER, RSV1, agreed, base64, echoed, events, frames, nextMessage, openDeflate,
    pack } from './lib/deflate.mjs';
import { startModule } from './lib/module_kit.mjs';
import { Nginx } from './lib/nginx.mjs';
import { count, patience } from './lib/paths.mjs';
import { Voiced } from './lib/voiced.mjs';
import { BINARY, CONT, PING, RawClient, TEXT, frame, masked } from './lib/ws_raw.mjs';

const WebSocket = createRequire(import.meta.url)('ws');

const MB = 1 << 20;
const sizes = [0, 1, 125, 126, 127, 999, 1000, 1001, 16383, 16384, 16385, 16640, 32672, 32688,
    32692, 32704, 32767, 32768, 32769, 65384, 65528, 65535, 65536, 65537, 98304, MB, 16 * MB];

test('every size, there and back, compressible and not', async (t) => {
    const { port } = await startModule(t);
    const client = await openDeflate(port);
    for (const size of sizes) {
        const text = await echoed(client, TEXT, events(size));
        assert.equal(text.rsv, size >= 1000 ? RSV1 : 0, `${size} bytes of text`);
        const noise = await echoed(client, BINARY, randomBytes(size));
        assert.equal(noise.rsv, 0, `${size} bytes of noise`);
        const quarter = await echoed(client, BINARY, base64(size));
        assert.equal(quarter.rsv, size >= 1000 ? RSV1 : 0, `${size} bytes of base64`);
    }
    assert.equal((await client.close()).code, 1000);
});

test('plain messages of every size within a session that compresses', async (t) => {
    const { port } = await startModule(t);
    const client = await openDeflate(port);
    for (const size of sizes) {
        const data = randomBytes(size);
        client.send(BINARY, data);
        const message = await nextMessage(client);
        assert.ok(message.data.equals(data), `${size} bytes`);
    }
    await client.close();
});

test('through voiced: Node\'s ws and raw frames', async (t) => {
    const voiced = await Voiced.start(t, { auth: 'none', settings: { bench: { echo: 'yes' } } });
    const nginx = await Nginx.start(t, { http: ({ port }) => `
        upstream voice { server unix:${voiced.socket}; }
        server { listen 127.0.0.1:${port};
            location = /v1/realtime { voice_model gpt-realtime; voice_pass voice; } }` });
    const client = await openDeflate(nginx.port);
    for (const size of sizes.filter((n) => n <= MB)) {
        await echoed(client, TEXT, events(size));
        await echoed(client, BINARY, randomBytes(size));
    }
    await client.close();
    await wsEchoes(nginx.port, 200);
});

async function wsEchoes(port, total, options = {}) {
    const ws = new WebSocket(`ws://127.0.0.1:${port}/v1/realtime`,
        { perMessageDeflate: { threshold: 0, ...options } });
    const got = [];
    const all = new Promise((done, fail) => {
        ws.on('message', (data, isBinary) => {
            got.push([data, isBinary]);
            if (got.length === total) {
                done();
            }
        });
        ws.on('error', fail);
        ws.on('close', (code) => fail(new Error(`closed with ${code}`)));
    });
    await new Promise((done) => ws.once('open', done));
    const sent = Array.from({ length: total }, (_, i) => (i % 3 === 1 ? randomBytes(i * 37)
        : events(i * 53 % 9000)));
    sent.forEach((data, i) => ws.send(data, { binary: i % 3 === 1, compress: i % 5 !== 0 }));
    await all;
    got.forEach(([data, isBinary], i) => {
        assert.equal(isBinary, i % 3 === 1);
        assert.ok(data.equals(sent[i]), `message ${i} of ${sent[i].length} bytes`);
    });
    ws.removeAllListeners('close');
    ws.close();
    await new Promise((done) => ws.once('close', done));
    return ws;
}

test('what is agreed on', async (t) => {
    const { nginx, port } = await startModule(t, { server: `
        location = /off { voice_deflate off; voice_pass voice; }
        location = /takeover { voice_deflate_context_takeover on; voice_pass voice; }` });
    const ask = async (offer, path = '/v1/realtime') => {
        const client = await openDeflate(port, { offer, path });
        const answer = agreed(client);
        await client.close();
        return answer;
    };
    const alone = `${OFFER}; server_no_context_takeover; client_no_context_takeover`;
    assert.equal(await ask(OFFER), alone);
    assert.equal(await ask(`${OFFER}; server_max_window_bits=9`),
        `${alone}; server_max_window_bits=9`);
    assert.equal(await ask(`${OFFER}; server_max_window_bits=8, ${OFFER}`), alone);
    assert.equal(await ask(`${OFFER}; server_max_window_bits=8`), undefined);
    assert.equal(await ask(`${OFFER}; made_up`), undefined);
    assert.equal(await ask('x-permessage-deflate'), undefined);
    assert.equal(await ask(OFFER, '/off'), undefined);
    assert.equal(await ask(OFFER, '/takeover'), OFFER);
    assert.equal(await ask(`${OFFER}; client_no_context_takeover`, '/takeover'),
        `${OFFER}; client_no_context_takeover`);
    const off = await openDeflate(port, { path: '/off' });
    off.write(frames(TEXT, pack('x')));
    assert.equal((await off.untilClose()).code, 1002);
    assert.ok(nginx.accessLog().every((entry) => / ratio=-$/.test(entry)));
});

test('fragments of the client: every border, pings between, one byte each', async (t) => {
    const { port } = await startModule(t);
    const client = await openDeflate(port);
    const data = Buffer.from('Hé🙂llo, '.repeat(9) + events(200));
    const packed = pack(data);
    for (let at = 0; at <= packed.length; at++) {
        await echoed(client, TEXT, data, { packed, cuts: [at], ping: at % 2 === 0 });
        await echoed(client, TEXT, data, { packed, cuts: [at, at], ping: at % 3 === 0 });
    }
    const each = Array.from({ length: packed.length - 1 }, (_, i) => i + 1);
    await echoed(client, TEXT, data, { packed, cuts: each, ping: true });
    await echoed(client, TEXT, data, { packed, cuts: each });
    const done = nextMessage(client);
    await client.dribble(frames(TEXT, packed, { cuts: [1, 2, 40], ping: true }));
    assert.ok((await done).data.equals(data));
    for (let at = 1; at < packed.length + 8; at += 3) {
        const bytes = frames(TEXT, packed, { cuts: [10] });
        const got = nextMessage(client);
        await client.write(bytes.subarray(0, at));
        await new Promise((next) => setTimeout(next, 1));
        client.write(bytes.subarray(at));
        assert.ok((await got).data.equals(data));
    }
    await client.close();
});

test('characters cut by the blocks that inflate gives', async (t) => {
    const { port } = await startModule(t);
    const client = await openDeflate(port);
    for (let shift = 0; shift < 4; shift++) {
        const data = Buffer.from('a'.repeat(shift) + '🙂'.repeat(40000));
        await echoed(client, TEXT, data, { cuts: [1, 2, 3] });
    }
    await client.close();
});

// 32,688 bytes are read at a time and 32,692 come out at most. Pongs fill the
// first read up to the end of a fragment that gives just as much: all input is
// used up and maybe there is more output, while the rest waits in the socket.
test('a read and a block that end together', async (t) => {
    const { port } = await startModule(t);
    const client = await openDeflate(port);
    for (let more = -2; more <= 2; more++) {
        const half = events(32692 + more);
        const [first, second] = [zlib.deflateRawSync(half,
            { finishFlush: zlib.constants.Z_SYNC_FLUSH }), pack('the end')];
        const head = masked(TEXT, first, { fin: false, rsv: RSV1 });
        let space = 32688 - head.length;
        const pongs = [];
        while (space > 0) {
            const size = space > 262 ? 131 : space > 131 ? space >> 1 : space;
            pongs.push(masked(10, Buffer.alloc(size - 6)));
            space -= size;
        }
        client.write(Buffer.concat([...pongs, head, masked(CONT, second)]));
        const { data } = await nextMessage(client, { timeoutMs: patience(5000) });
        assert.equal(data.length, half.length + 7);
        assert.ok(data.subarray(0, half.length).equals(half));
    }
    await client.close();
});

test('streams with final blocks, and empty ones', async (t) => {
    const { port } = await startModule(t, { server: `
        location = /takeover { voice_deflate_context_takeover on; voice_pass voice; }` });
    const final = (text) => zlib.deflateRawSync(text);
    const cases = [
        ['RFC 7692, 7.2.3.4', Buffer.from('f348cdc9c9070000', 'hex'), 'Hello'],
        ['7.2.3.5', Buffer.from('f24805000000ffffcac9c90700', 'hex'), 'Hello'],
        ['no block', Buffer.alloc(0), ''],
        ['an empty stored block', Buffer.from([0]), ''],
        ['an empty block of Chrome', Buffer.from([2, 0]), ''],
        ['an empty final block', Buffer.from([3, 0]), ''],
        ['a final block and nothing', final('Hello'), 'Hello'],
        ['two final blocks', Buffer.concat([final('Hello'), final(' you')]), 'Hello you'],
        ['a final block, then another', Buffer.concat([final('Hello'), pack(' you')]),
            'Hello you'],
        ['10,000 empty final blocks', Buffer.concat([...Array(10000).fill(Buffer.from([3, 0])),
            pack('end')]), 'end'],
    ];
    for (const path of ['/v1/realtime', '/takeover']) {
        const client = await openDeflate(port, { path });
        for (const [name, packed, text] of cases) {
            for (const cuts of [[], [0], [packed.length], [packed.length >> 1]]) {
                client.write(frames(TEXT, packed, { cuts }));
                const { data } = await nextMessage(client);
                assert.equal(data.toString(), text, `${name}, ${path}, cut at ${cuts}`);
            }
        }
        await client.close();
    }
});

const random = (bytes) => randomBytes(bytes).toString('hex').slice(0, bytes);

test('a final block leaves the window for the next', async (t) => {
    const { port } = await startModule(t);
    const client = await openDeflate(port);
    const dictionary = Buffer.from(random(2000));
    const again = zlib.deflateRawSync(dictionary, { dictionary,
        finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
    const packed = Buffer.concat([zlib.deflateRawSync(dictionary), again]);
    await echoed(client, TEXT, Buffer.concat([dictionary, dictionary]), { packed });
    // and not for another message
    client.write(frames(TEXT, again));
    assert.equal((await client.untilClose()).code, 1007);
});

// Every fragmentation of the upstream is one message for the client.
test('fragments of the upstream', async (t) => {
    const rounds = [];
    const sizesDown = [0, 1, 999, 1000, 16383, 16384, 16385, 20000, 40000, 200000];
    for (const size of sizesDown) {
        for (const kind of [events, base64, randomBytes]) {
            for (const cuts of [[0], [size], [size >> 1], [0, 0, size, size], [1, 2, 3],
                [16384, 16384], [100, 16384, 16385, 32768]]) {
                rounds.push({ data: kind(size), cuts: cuts.map((cut) => Math.min(cut, size)) });
            }
        }
    }
    const { port } = await startModule(t, { handler: async (s) => {
        s.accept();
        for (const { data, cuts } of rounds) {
            const ends = [...cuts, data.length];
            for (let i = 0; i < ends.length; i++) {
                await s.message(i === 0 ? BINARY : CONT,
                    data.subarray(i === 0 ? 0 : ends[i - 1], ends[i]),
                    { fin: i === cuts.length });
                if (i % 2) {
                    await s.message(PING, 'between');
                }
            }
        }
        await s.until('close');
        s.end();
    } });
    const client = await openDeflate(port);
    for (const { data, cuts } of rounds) {
        const message = await nextMessage(client);
        const what = `${data.length} bytes cut at ${cuts}`;
        assert.equal(message.opcode, BINARY, what);
        assert.equal(message.data.length, data.length, what);
        assert.ok(message.data.equals(data), what);
    }
    await client.close();
});

test('without takeover each message decodes alone, in the agreed window', async (t) => {
    const { port } = await startModule(t);
    const far = Buffer.from(random(20000));
    const data = Buffer.concat([far, far, events(3000)]);
    for (let bits = 9; bits <= 15; bits++) {
        const client = await openDeflate(port,
            { offer: `${OFFER}; server_max_window_bits=${bits}` });
        for (let i = 0; i < 3; i++) {
            const message = await echoed(client, BINARY, data, { options: { windowBits: bits } });
            assert.equal(message.rsv, RSV1);
        }
        await client.close();
    }
});

const takeover = 'voice_deflate_context_takeover on;';

test('a context in both directions, plain and empty messages between', async (t) => {
    const { port } = await startModule(t,
        { directives: `${takeover} voice_deflate_min_length 0;` });
    for (const bits of [9, 12, 15]) {
        const client = await openDeflate(port,
            { offer: `${OFFER}; server_max_window_bits=${bits}` });
        const packer = Context.packer();
        const context = Context.unpacker({ windowBits: bits });
        const data = Buffer.from(random(100));
        let last;
        for (let i = 0; i < 50; i++) {
            last = await echoed(client, TEXT, data, { packed: await packer.pack(data), context });
            assert.equal(last.rsv, RSV1);
            const empty = Buffer.alloc(0);
            await echoed(client, TEXT, empty, { packed: await packer.pack(empty), context });
            await echoed(client, TEXT, empty, { packed: empty, context });
            client.send(BINARY, data);
            assert.ok((await nextMessage(client, { context })).data.equals(data));
        }
        assert.ok(last.packed < 30, `${last.packed} bytes for what was said before`);
        await client.close();
    }
    await wsEchoes(port, count(300, 3000));
});

test('a context over large messages, in fragments of the upstream', async (t) => {
    const parts = [events(70000), randomBytes(100000), events(40), base64(50000), Buffer.alloc(0)];
    const { port } = await startModule(t, { directives: takeover, handler: async (s) => {
        s.accept();
        for (let round = 0; round < 5; round++) {
            for (const data of parts) {
                await s.message(BINARY, data.subarray(0, 33), { fin: false });
                await s.message(CONT, data.subarray(33, 60000), { fin: false });
                await s.message(CONT, data.subarray(60000));
            }
        }
        await s.until('close');
        s.end();
    } });
    const client = await openDeflate(port);
    const context = Context.unpacker();
    for (let round = 0; round < 5; round++) {
        for (const data of parts) {
            const message = await nextMessage(client, { context });
            assert.ok(message.data.equals(data), `${data.length} bytes`);
        }
    }
    await client.close();
});

test('levels differ between locations that share states', async (t) => {
    const { port } = await startModule(t, { server: [1, 6, 9].map((level) => `
        location = /${level} { voice_deflate_level ${level}; voice_pass voice; }`).join('') });
    const clients = [];
    for (const level of [1, 6, 9]) {
        clients.push(await openDeflate(port, { path: `/${level}` }));
    }
    const data = events(30000);
    let first;
    for (let round = 0; round < 4; round++) {
        const lengths = [];
        for (const client of clients) {
            lengths.push((await echoed(client, TEXT, data)).packed);
        }
        first ??= lengths;
        assert.deepEqual(lengths, first);
        assert.ok(lengths[0] > lengths[1] && lengths[1] !== lengths[2], `${lengths}`);
    }
    await Promise.all(clients.map((client) => client.close()));
});

test('$voice_deflate_ratio counts what went compressed', async (t) => {
    const { nginx, port } = await startModule(t);
    const client = await openDeflate(port);
    const data = events(5000);
    const packed = pack(data);
    const { packed: back } = await echoed(client, TEXT, data, { packed });
    client.send(BINARY, randomBytes(9000));
    await nextMessage(client);
    await client.close();
    const ratio = (10000 / (packed.length + back)).toFixed(2);
    const entry = await nginx.accessLine(/ ratio=\d/);
    assert.equal(/ratio=(\S+)/.exec(entry)[1], ratio);
});

const raw = (...bytes) => Buffer.from(bytes);
const bad = [
    ['RSV1 on a continuation', Buffer.concat([masked(TEXT, pack('x'), { fin: false, rsv: RSV1 }),
        masked(CONT, '', { rsv: RSV1 })]), 1002],
    ['RSV1 on a ping', masked(PING, '', { rsv: RSV1 }), 1002],
    ['RSV2', masked(TEXT, 'x', { rsv: 2 }), 1002],
    ['RSV1 and RSV3', masked(TEXT, pack('x'), { rsv: 5 }), 1002],
    ['garbage', frames(BINARY, raw(0xff, 0xff, 0xff, 0xff)), 1007],
    ['a distance before the start', frames(BINARY, raw(0x02, 0x23, 0x00)), 1007],
    ['plain text with RSV1', frames(TEXT, Buffer.from('Hello, plain text')), 1007],
    ['bad UTF-8', frames(TEXT, pack(raw(0x61, 0xff))), 1007],
    ['half a character at the end', frames(TEXT, pack(raw(0xe2, 0x82))), 1007],
    ['half a character before an empty fragment', frames(TEXT, pack(raw(0xe2, 0x82)),
        { cuts: [3] }), 1007],
    ['one byte above the limit', frames(BINARY, pack(Buffer.alloc(5001))), 1009],
    ['noise above the limit', frames(BINARY, pack(randomBytes(5001))), 1009],
    ['an announced length far above it', masked(BINARY, '', { rsv: RSV1, length: 1 << 30 }), 1009],
    ['fragments above it', Buffer.concat(Array.from({ length: 80 }, (_, i) =>
        masked(i ? CONT : BINARY, zlib.deflateRawSync(Buffer.alloc(100),
            { finishFlush: zlib.constants.Z_SYNC_FLUSH }), { fin: false, rsv: i ? 0 : RSV1 }))), 1009],
    ...[1, 10, 500, 1000].map((cut) => [`a stream without its last ${cut} bytes`,
        frames(BINARY, pack(random(4000)).subarray(0, -cut)), 1007]),
];

test('mistakes within compression end the session with the right code', async (t) => {
    const { peer, port } = await startModule(t, {
        directives: `voice_max_message_size 5000;`,
        server: `location = /takeover { ${takeover} voice_max_message_size 5000;
            voice_pass voice; }` });
    for (const path of ['/v1/realtime', '/takeover']) {
        for (const [name, bytes, code] of bad) {
            await t.test(`${name}, ${path}`, async () => {
                const client = await openDeflate(port, { path });
                const session = await peer.session();
                client.write(frames(BINARY, pack(Buffer.alloc(5000))));
                assert.equal((await nextMessage(client)).data.length, 5000);
                client.write(Buffer.concat([bytes, masked(TEXT, 'never read')]));
                assert.equal((await client.untilClose()).code, code);
                await session.gone;
                assert.equal(session.closed?.code, code, 'the upstream learns the code');
            });
        }
    }
    const none = await RawClient.open(port);
    none.write(frames(TEXT, pack('x')));
    assert.equal((await none.untilClose()).code, 1002, 'RSV1 without agreement');
});

test('over TLS, with a client that pauses', async (t) => {
    const { tlsPort, ca } = await startModule(t);
    const client = await openDeflate(tlsPort, { ca });
    for (const size of sizes.filter((n) => n <= MB)) {
        await echoed(client, TEXT, events(size));
        await echoed(client, BINARY, randomBytes(size));
    }
    const data = base64(12 * MB);
    client.socket.pause();
    client.write(frames(TEXT, pack(data, { level: 1 })));
    await new Promise((next) => setTimeout(next, 500));
    client.socket.resume();
    assert.ok((await nextMessage(client)).data.equals(data));
    await client.close();
});

test('compressed frames together with the handshake, and behind the 101', async (t) => {
    const greeting = events(3000);
    const { port } = await startModule(t, { handler: async (s) => {
        await s.accept({}, Buffer.concat([frame(TEXT, greeting), frame(TEXT, 'short'),
            frame(BINARY, greeting.subarray(0, 1500), { fin: false })]));
        await s.message(CONT, greeting.subarray(1500));
        for (let i = 0; i < 3; i++) {
            const { opcode, data } = await s.until('message');
            await s.message(opcode, data);
        }
        await s.until('close');
        s.end();
    } });
    for (const size of [10, 900, 3000]) {
        const data = randomBytes(size);
        const early = Buffer.concat([1, 2, 3].map(() => frames(BINARY, pack(data))));
        const client = await openDeflate(port, { early: early.subarray(0, early.length - 5) });
        client.write(early.subarray(early.length - 5));
        for (const [text, rsv] of [[greeting, RSV1], ['short', 0], [greeting, RSV1]]) {
            const message = await nextMessage(client);
            assert.equal(message.rsv, rsv);
            assert.ok(message.data.equals(Buffer.from(text)));
        }
        for (let i = 0; i < 3; i++) {
            assert.ok((await nextMessage(client)).data.equals(data));
        }
        await client.close();
    }
});

// A stream of random messages in random pieces against its own definition.
test('random messages in random fragments and pieces', async (t) => {
    const { port } = await startModule(t, { server: `
        location = /takeover { ${takeover} voice_pass voice; }` });
    for (const path of ['/v1/realtime', '/takeover']) {
        const client = await openDeflate(port, { path });
        const packer = path === '/takeover' ? Context.packer() : { pack };
        const context = path === '/takeover' ? Context.unpacker() : undefined;
        for (let round = 0; round < count(10, 200); round++) {
            const sent = [];
            const parts = [];
            for (const n of randomBytes(20)) {
                const kind = [events, randomBytes, base64][n % 3];
                const data = kind(n % 4 === 0 ? n * 700 : n * 7);
                sent.push(data);
                if (n % 5 === 0) {
                    parts.push(masked(BINARY, data));
                    continue;
                }
                const packed = await packer.pack(data);
                const cuts = [...randomBytes(n % 7)].map((b) => Math.floor(b * packed.length / 256))
                    .sort((a, b) => a - b);
                parts.push(frames(BINARY, packed, { cuts, ping: n % 2 === 0 }));
            }
            const bytes = Buffer.concat(parts);
            for (let at = 0, i = 0; at < bytes.length; i++) {
                const piece = 1 + randomBytes(1)[0] * (i % 7 === 0 ? 400 : 20);
                client.write(bytes.subarray(at, at + piece));
                at += piece;
                if (i % 5 === 0) {
                    await new Promise((next) => setImmediate(next));
                }
            }
            for (const data of sent) {
                const message = await nextMessage(client, { context });
                assert.ok(message.data.equals(data), `${data.length} bytes`);
            }
        }
        await client.close();
    }
});

test('no frame of the upstream may be compressed', async (t) => {
    const { port } = await startModule(t, { handler: async (s) => {
        s.accept();
        await s.stdout(frame(TEXT, pack('x'), { rsv: RSV1 }));
        await s.until('lost');
    } });
    const client = await openDeflate(port);
    assert.equal((await client.untilClose()).code, 1011);
});

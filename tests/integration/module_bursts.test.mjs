// SPDX-License-Identifier: BSD-2-Clause
//
// Bursts of a client: more pings than it takes pongs, and a mistake right
// behind questions that are not answered yet.

import assert from 'node:assert/strict';
import test from 'node:test';
import { startModule } from './lib/module_kit.mjs';
import { sanitized } from './lib/paths.mjs';
import { rssAnonKb, until, within } from './lib/process.mjs';
import { BINARY, PING, RawClient, TEXT, masked } from './lib/ws_raw.mjs';

const number = (i) => {
    const data = Buffer.alloc(125);
    data.writeUInt32BE(i);
    return data;
};

test('every ping of a burst is answered, in order', async (t) => {
    const { port } = await startModule(t);
    const client = await RawClient.open(port);
    // More than a block of pongs, less than what sockets hold.
    const total = 400;
    client.write(Buffer.concat(Array.from({ length: total }, (_, i) => masked(PING, number(i)))));
    for (let i = 0; i < total; i++) {
        const event = await client.next();
        assert.equal(event.type, 'pong');
        assert.ok(event.data.equals(number(i)), `pong ${i}`);
    }
    await client.close();
});

test('of pings without end the last are answered, in bounded memory', async (t) => {
    const { nginx, port } = await startModule(t);
    const client = await RawClient.open(port);
    const [worker] = nginx.workers();
    client.socket.pause();
    const total = 400000;
    const before = rssAnonKb(worker);
    for (let i = 0; i < total; i += 1000) {
        await client.write(Buffer.concat(Array.from({ length: 1000 }, (_, k) =>
            masked(PING, number(i + k)))));
    }
    const grown = rssAnonKb(worker) - before;
    assert.ok(sanitized || grown < 1024, `${grown} kB for pongs that nobody takes`);
    client.socket.resume();
    let last = -1;
    let count = 0;
    while (last < total - 1) {
        const event = await client.next();
        assert.equal(event.type, 'pong');
        assert.ok(event.data.readUInt32BE() > last, 'pongs in order');
        last = event.data.readUInt32BE();
        count++;
    }
    assert.ok(count < total, 'the sockets held all pongs: the test is too small');
    await client.close();
});

test('answers to what was right come before the Close of a mistake', async (t) => {
    const { port } = await startModule(t, { handler: async (session) => {
        session.accept();
        for (let i = 0; i < 3; i++) {
            const { data } = await session.until('message');
            session.message(BINARY, Buffer.alloc(100000, data[0]));
        }
        await session.until('close');
        session.end();
    } });
    const client = await RawClient.open(port);
    client.write(Buffer.concat(['a', 'b', 'c'].map((letter) => masked(TEXT, letter))
        .concat(masked(TEXT, 'bad', { rsv: 2 }), masked(PING, 'never read'))));
    for (const letter of 'abc') {
        const event = await client.next();
        assert.ok(event.data.equals(Buffer.alloc(100000, letter)), `the answer to ${letter}`);
    }
    const { type, code } = await client.next();
    assert.deepEqual([type, code], ['close', 1002]);
    assert.ok(await within(client.gone.then(() => true), 10000), 'the connection ends');
});

test('an upstream that has nothing to say holds no Close back', async (t) => {
    let told;
    const heard = new Promise((done) => { told = done; });
    const { port } = await startModule(t, { handler: async (session) => {
        session.accept();
        told(await session.until('close'));
        await session.gone; // no END_REQUEST
    } });
    const client = await RawClient.open(port);
    client.write(masked(11, ''));
    const { type, code } = await client.next();
    assert.deepEqual([type, code], ['close', 1002]);
    assert.equal((await heard).code, 1002);
    assert.ok(await within(client.gone.then(() => true), 10000), 'the connection ends');
});

test('a client that leaves within the wait leaves nothing behind', async (t) => {
    const { nginx, port } = await startModule(t, { handler: async (session) => {
        session.accept();
        await session.gone;
    } });
    const client = await RawClient.open(port);
    await client.write(masked(11, ''));
    client.destroy();
    await until(() => nginx.accessLog().length === 1, 'the session\'s line in the log');
});

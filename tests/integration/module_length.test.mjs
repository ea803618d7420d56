// SPDX-License-Identifier: BSD-2-Clause
//
// A refusal whose body is not as long as its header says neither shifts the
// next response of the connection nor leaves the client waiting.

import assert from 'node:assert/strict';
import test from 'node:test';
import { RawSocket } from './lib/client.mjs';
import { startModule } from './lib/module_kit.mjs';

const refuse = (length, body) => (session) => session.answer(403,
    { 'Content-Type': 'text/plain', 'Content-Length': length }, body);

const server = 'location = /after { return 200 "after\\n"; }';

test('a body longer than announced is cut', async (t) => {
    const { port } = await startModule(t, { handler: refuse(4, 'fourHTTP/1.1 200 OK\r\n\r\n'),
        server });
    const raw = await RawSocket.connect(t, { port });
    assert.equal((await raw.upgrade('/v1/realtime')).status, 403);
    await raw.wait((data) => data.length >= 4);
    assert.equal(raw.received.toString('latin1', 0, 4), 'four');
    raw.received = raw.received.subarray(4);
    await raw.write('GET /after HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.match((await raw.readHead()).head, /^HTTP\/1\.1 200 OK\r\nServer: nginx/);
    await raw.wait((data) => data.toString() === 'after\n');
});

test('a body shorter than announced ends the connection', async (t) => {
    const { port } = await startModule(t, { handler: refuse(100, 'four') });
    const raw = await RawSocket.connect(t, { port });
    assert.equal((await raw.upgrade('/v1/realtime')).status, 403);
    await raw.waitEnd(5000);
    assert.equal(raw.received.toString(), 'four');
});

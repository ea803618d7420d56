// SPDX-License-Identifier: BSD-2-Clause
//
// FastCGI parameters whose lengths are lies cost their connection and nothing
// else.

import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import test from 'node:test';
import { fastcgiRequest, paramsOf } from './lib/fastcgi.mjs';
import { record } from './lib/fastcgi_peer.mjs';
import { defer, within } from './lib/process.mjs';
import { Voiced } from './lib/voiced.mjs';

const BEGIN = 1, PARAMS = 4, STDIN = 5;
const begin = record(BEGIN, Buffer.from([0, 1, 0, 0, 0, 0, 0, 0]));

function lengths(name, value) {
    const out = Buffer.alloc(8);
    out.writeUInt32BE(name, 0);
    out.writeUInt32BE(value, 4);
    return out;
}

const params = (bytes) => Buffer.concat([begin, record(PARAMS, bytes), record(PARAMS),
    record(STDIN)]);

const lies = {
    'the longest': params(lengths(0xffffffff, 0xffffffff)),
    'a sum beyond an int': params(lengths(0xfffffff0, 0x8000000e)),
    'a long name': params(lengths(0xfffffffe, 0x80000005)),
    'a long value': params(lengths(0x80000001, 0xfffffffe)),
    'a pair that is cut': params(Buffer.from([1, 10, 65])),
    'half a length': params(Buffer.from([0xff, 0xff])),
    'more than can be': Buffer.concat([begin, ...Array(4).fill(
        record(PARAMS, Buffer.concat([lengths(0x80000001, 0x8000fff0), Buffer.alloc(65520)])))]),
    'no begin': Buffer.concat([record(PARAMS, lengths(1, 1)), record(PARAMS)]),
};

test('lengths that are lies', async (t) => {
    const voiced = await Voiced.start(t);
    const pid = voiced.serverPid();
    for (const [what, bytes] of Object.entries(lies)) {
        await t.test(what, async (t) => {
            const socket = createConnection(voiced.socket);
            defer(t, () => socket.destroy());
            let received = 0;
            socket.on('data', (data) => { received += data.length; });
            socket.on('error', () => {});
            const closed = new Promise((done) => socket.once('close', () => done(true)));
            socket.write(bytes);
            assert.equal(await within(closed, 5000), true, 'it is closed');
            assert.equal(received, 0);
            const { status } = await fastcgiRequest(voiced.socket, paramsOf('GET', '/health'));
            assert.equal(status, 200);
            assert.equal(voiced.serverPid(), pid, 'the same server answers');
        });
    }
});

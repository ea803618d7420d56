// SPDX-License-Identifier: BSD-2-Clause
//
// The runner of the Autobahn cases itself: against Node's `ws`, which is right
// in all but fail-fast, and against `ws` with known faults it must find
// exactly those.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import test from 'node:test';
import zlib from 'node:zlib';
import { closeCases, frameCases } from './lib/autobahn_cases.mjs';
import { Deflate } from './lib/autobahn_client.mjs';
import { dataSet } from './lib/autobahn_data.mjs';
import { dataCases, offerCases, parseAnswer } from './lib/autobahn_deflate.mjs';
import { runCase } from './lib/autobahn_run.mjs';
import { utf8Cases } from './lib/autobahn_utf8.mjs';
import { defer } from './lib/process.mjs';

const { WebSocketServer } = createRequire(import.meta.url)('ws');
const allCases = [...frameCases, ...utf8Cases, ...closeCases];
const failFast = ['6.4.1', '6.4.2', '6.4.3', '6.4.4'];

const echo = (socket, data, isBinary) => socket.send(data, { binary: isBinary });

async function startWs(t, options, answer = echo) {
    const server = createServer();
    const sockets = new WebSocketServer({ server, ...options });
    sockets.on('connection', (socket) => {
        socket.on('message', (data, isBinary) => answer(socket, data, isBinary));
        socket.on('error', () => {});
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    defer(t, () => {
        sockets.clients.forEach((socket) => socket.terminate());
        server.close();
    });
    return server.address().port;
}

async function failing(cases, port) {
    const found = [];
    for (const one of cases) {
        await runCase(one, { port, times: 10, eventMs: 500 }).catch(() => found.push(one.id));
    }
    return found;
}

const idsOf = (cases) => cases.map((one) => one.id);

test('a good server fails in nothing but what it does not claim', async (t) => {
    assert.deepEqual(await failing(allCases, await startWs(t)), failFast);
});

test('a server without pongs is found', async (t) => {
    const port = await startWs(t, { autoPong: false });
    assert.deepEqual(await failing(frameCases, port),
        idsOf(frameCases.filter((one) => one.expect.some((e) => 'pong' in e))));
});

test('a server that does not look at text is found', async (t) => {
    const port = await startWs(t, { skipUTF8Validation: true });
    // 7.7.5 is a client's own, lawful Close 1007.
    const cases = [...utf8Cases, ...closeCases].filter((one) => one.id !== '7.7.5');
    assert.deepEqual(await failing(cases, port),
        idsOf(cases.filter((one) => one.close.code === 1007)));
});

test('a server that takes text for binary is found', async (t) => {
    const port = await startWs(t, {}, (socket, data) => socket.send(data, { binary: true }));
    assert.deepEqual(await failing(frameCases, port), idsOf(frameCases.filter((one) =>
        one.expect.some((e) => 'text' in e))));
});

test('a server that changes an octet is found', async (t) => {
    const port = await startWs(t, {}, (socket, data, isBinary) => {
        if (data.length > 0) {
            data[data.length - 1] ^= 1;
        }
        echo(socket, data, isBinary);
    });
    const cases = frameCases.slice(0, 16);
    assert.deepEqual(await failing(cases, port), idsOf(cases.filter((one) =>
        !/ 0 octets/.test(one.what))));
});

for (const [what, takeover] of [['without', true], ['with', undefined]]) {
    test(`compression ${what} context takeover, as ws does it`, async (t) => {
        const port = await startWs(t, { perMessageDeflate: { threshold: 0,
            serverNoContextTakeover: takeover, clientNoContextTakeover: takeover } });
        const cases = [...dataCases, ...offerCases].filter((one) => !one.long);
        assert.deepEqual(await failing(cases, port), []);
    });
}

test('a server that reaches back further than it said is found', () => {
    const data = Buffer.from(dataSet('json').data);
    const deflate = new Deflate({ serverBits: 9, clientBits: 15, serverTakeover: false,
        clientTakeover: false });
    const pack = (windowBits) => zlib.deflateRawSync(data, { windowBits,
        finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
    assert.ok(deflate.unpack(pack(9)).equals(data));
    assert.throws(() => deflate.unpack(pack(15)));
});

test('answers that are none are found', () => {
    for (const bad of [undefined, 'permessage-deflate; foo', 'deflate-frame',
        'permessage-deflate; server_no_context_takeover=1',
        'permessage-deflate; server_max_window_bits', 'permessage-deflate, permessage-deflate',
        'permessage-deflate; server_max_window_bits=7',
        'permessage-deflate; client_max_window_bits=16',
        'permessage-deflate; server_max_window_bits=9; server_max_window_bits=9']) {
        assert.throws(() => parseAnswer(bad), bad);
    }
    const [plain] = offerCases;
    const small = offerCases.find((one) => one.id === '13.5.1');
    assert.deepEqual(plain.accept('permessage-deflate'),
        { serverBits: 15, clientBits: 15, serverTakeover: true, clientTakeover: true });
    assert.throws(() => small.accept('permessage-deflate; server_no_context_takeover'));
    assert.throws(() => small.accept('permessage-deflate; server_max_window_bits=9'));
    assert.deepEqual(small.accept('permessage-deflate; server_no_context_takeover; ' +
        'server_max_window_bits="9"; client_max_window_bits=10'),
    { serverBits: 9, clientBits: 10, serverTakeover: false, clientTakeover: true });
});

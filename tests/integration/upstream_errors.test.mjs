// SPDX-License-Identifier: BSD-2-Clause
//
// What goes wrong at an upstream, and what the client is told of it: an error
// event in the API's shape and a close code, in bounded time, without a word
// about the gateway's key.

import assert from 'node:assert/strict';
import test from 'node:test';
import { refused } from './lib/client.mjs';
import { until } from './lib/process.mjs';
import { startLocalStack } from './lib/stack.mjs';
import { Upstream } from './lib/upstream.mjs';
import { errorBody } from './lib/upstream_shapes.mjs';

async function start(t, { upstream, ...options } = {}) {
    const up = await Upstream.start(t, options);
    const stack = await startLocalStack(t, { policy: '', voiced: up.voiced({
        upstream: { connect_timeout: '2s', read_timeout: '3s', ping_interval: '1s', ...upstream },
    }) });
    return { up, stack, connect: (t) => stack.connect(t, { checked: 'loose' }) };
}

// A session that never comes about: its error and its close.
async function refusal(t, connect) {
    const client = await connect(t);
    const closed = await client.waitClosed();
    assert.deepEqual(client.types(), ['error']);
    const [{ error, event_id: id }] = client.events;
    assert.match(id, /^event_/);
    return { ...closed, error };
}

test('an upstream that refuses', async (t) => {
    const { up, stack, connect } = await start(t);
    const cases = [
        { status: 401, code: 1011, error: 'upstream_unauthorized' },
        { status: 403, code: 1011, error: 'upstream_unauthorized' },
        { status: 404, code: 4000, error: 'model_not_found', type: 'invalid_request_error' },
        { status: 404, code: 4000, error: 'model_not_found', type: 'invalid_request_error',
            body: '<html>404</html>' },
        { status: 429, code: 1013, error: 'rate_limit_exceeded', body: errorBody(
            'rate_limit_exceeded', 'Slow down.', { type: 'rate_limit_error' }),
        type: 'rate_limit_error', message: /Slow down/ },
        { status: 429, code: 1013, error: 'rate_limit_exceeded', body: '' },
        { status: 429, code: 1013, error: 'rate_limit_exceeded' }, // its words hold the key
        { status: 500, code: 1011, error: 'upstream_unavailable' },
        { status: 502, code: 1011, error: 'upstream_unavailable', body: '' },
        { status: 503, code: 1011, error: 'upstream_unavailable' },
        { status: 302, code: 1011, error: 'upstream_unavailable' },
        { status: 200, code: 1011, error: 'upstream_unavailable' },
    ];
    for (const { status, code, error, body, type = 'server_error', message = /server/ } of cases) {
        await t.test(`with ${status}${body === undefined ? '' : ' and a body'}`, async (t) => {
            up.refuse(status, body);
            const told = await refusal(t, connect);
            up.accept();
            if (type !== 'server_error' && !message.test('server')) {
                assert.match(told.error.message, message);
            }
            assert.deepEqual([told.code, told.error.type, told.error.code], [code, type, error]);
            assert.equal(told.reason, `${type}.${error}`);
        });
    }
    await t.test('and then does not: the next session works', async (t) => {
        const client = await connect(t);
        await client.next('session.created');
        client.sayText('hello');
        assert.equal((await client.respond()).status, 'completed');
        const id = client.session?.id ?? 'sess_';
        assert.match(stack.voiced.log(), new RegExp(`${id}.* event=session_live upstream=main`));
    });
    await t.test('the log says what was answered and when it was well again', () => {
        assert.match(stack.voiced.log(), /event=upstream_failed upstream=main .*why="HTTP status 401"/);
        assert.match(stack.voiced.log(), /upstream=main state=down/);
        assert.match(stack.voiced.log(), /upstream=main state=up/);
    });
});

test('no model is a way to another path of the upstream', async (t) => {
    const { up, stack } = await start(t);
    const before = up.requests.length;
    for (const model of ['..', '.', '../x', 'a/../../b', 'a%2F..%2Fb', '%2e%2e']) {
        const no = await refused({ port: stack.nginx.port, path: `/v1/realtime?model=${model}` });
        assert.equal(no.status, 404, model);
        assert.equal(no.json.error.code, 'model_not_found');
    }
    assert.equal(up.requests.length, before);
});

test('a key that is longer than what is told of a refusal', async (t) => {
    const key = `sk-${'0123456789abcdef'.repeat(30)}`;
    const { up, connect } = await start(t, { key });
    up.refuse(400, errorBody('odd', `Wrong: ${key}, which is nobody's.`));
    const { error } = await refusal(t, connect);
    assert.equal(error.code, 'upstream_refused');
    assert.doesNotMatch(error.message, /sk-0123/);
});

test('an upstream that does not answer as it should', async (t) => {
    const { up, connect } = await start(t);
    const cases = [
        ['garbage', () => up.garbage(), 'upstream_unavailable'],
        ['a page', () => up.garbage('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'),
            'upstream_unavailable'],
        ['no WebSocket', () => up.garbage('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
            'upstream_unavailable'],
        ['a wrong Sec-WebSocket-Accept', () => up.garbage('HTTP/1.1 101 Switching Protocols\r\n' +
            'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n'),
        'upstream_unavailable'],
        ['an endless head', () => up.garbage(`HTTP/1.1 101 X\r\n${'X: y\r\n'.repeat(40000)}`),
            'upstream_unavailable'],
        ['the end of the connection', () => up.garbage(''), 'upstream_unavailable'],
        ['nothing', () => up.silentHandshake(), 'upstream_timeout'],
        ['a byte now and then', () => up.slowLoris(100), 'upstream_timeout'],
    ];
    for (const [what, fault, code] of cases) {
        await t.test(`but with ${what}`, async (t) => {
            fault();
            const told = await refusal(t, connect);
            up.accept();
            assert.deepEqual([told.code, told.error.type, told.error.code],
                [1011, 'server_error', code]);
        });
    }
    await t.test('but is not there', async (t) => {
        await up.stop();
        const told = await refusal(t, connect);
        assert.equal(told.error.code, 'upstream_unavailable');
        await up.restart();
        await (await connect(t)).next('session.created');
    });
});

test('an upstream that has given up the beta shape', async (t) => {
    const { up, connect } = await start(t);
    up.betaDisabled();
    const told = await refusal(t, connect);
    assert.deepEqual([told.code, told.reason, told.error.code], [4000,
        'invalid_request_error.beta_api_shape_disabled', 'beta_api_shape_disabled']);
    const [{ headers }] = up.requests;
    assert.equal(headers['openai-beta'], undefined);
    assert.equal(headers['sec-websocket-extensions'], undefined);
    assert.equal(headers['sec-websocket-protocol'], undefined);
});

async function session(t, options) {
    const { up, stack, connect } = await start(t, options);
    const client = await connect(t);
    await client.next('session.created');
    return { up, stack, client, conn: await up.nextConnection() };
}

test('a close that means something is relayed', async (t) => {
    for (const [code, reason] of [[1000, 'bye'], [4001, 'invalid_request_error.something'],
        [4002, 'a reason of 123 bytes '.padEnd(123, 'x')]]) {
        await t.test(`${code} and its reason`, async (t) => {
            const { client, conn } = await session(t);
            await conn.close(code, reason);
            assert.deepEqual(await client.waitClosed(), { code, reason });
        });
    }
});

const faults = [
    ['session_expired and 1001', (conn) => conn.expire()],
    ['a killed connection', (conn) => conn.kill()],
    ['silence', (conn) => conn.silence(), 1006],
    ['a gigabyte that is announced', (conn) => conn.announce(), 1009],
    ['a frame with a mask', (conn) => conn.raw(Buffer.from([0x81, 0x81, 1, 2, 3, 4, 5])), 1002],
    ['reserved bits', (conn) => conn.raw(Buffer.from([0xf1, 1, 65])), 1002],
    ['text that is no UTF-8', (conn) => conn.raw(Buffer.from([0x81, 2, 255, 255])), 1007],
    ['1011 and "restart"', (conn) => conn.close(1011, 'restart')],
];

test('a session survives its upstream', async (t) => {
    for (const [what, fault, code] of faults) {
        await t.test(what, async (t) => {
            const { up, client, conn } = await session(t,
                { upstream: { ping_interval: '300ms', read_timeout: '1s' } });
            fault(conn);
            const closed = await conn.waitClosed(20000);
            if (code) {
                assert.equal(closed.code, code, 'what the upstream is told');
            }
            const next = await up.nextConnection(20000);
            client.sayText('hello');
            assert.equal((await client.respond()).status, 'completed');
            assert.deepEqual(next.types.filter((type) => type === 'response.create'),
                ['response.create']);
            assert.ok(!client.types().includes('error'));
            assert.equal(client.closed, null);
        });
    }
});

test('an upstream that does not come back', async (t) => {
    for (const [what, fault] of faults.slice(0, 2)) {
        await t.test(`after ${what} is 1011 for the client`, async (t) => {
            const { up, stack, client, conn } = await session(t);
            up.refuse(503);
            fault(conn);
            const closed = await client.waitClosed(60000);
            assert.equal(closed.code, 1011);
            assert.notEqual(closed.reason, '');
            await until(() => stack.voiced.summaries().length === 1, 'the summary');
        });
    }
});

test('pings of ours keep a quiet session, pongs alone are life', async (t) => {
    const { up, client, conn } = await session(t,
        { upstream: { ping_interval: '200ms', read_timeout: '1s' } });
    await until(() => conn.pings >= 10, 'ten pings', 20000);
    assert.equal(client.closed, null);
    assert.deepEqual(up.live, [conn]);
});

test('what is no event is dropped, the session lives', async (t) => {
    const { client, conn } = await session(t);
    for (const junk of ['{ not json', '[]', '"text"', 'null', '{"type":7}', '']) {
        conn.send(junk);
    }
    conn.ws.send(Buffer.from([1, 2, 3]));
    client.sayText('hello');
    assert.equal((await client.respond()).status, 'completed');
    assert.ok(client.events.every((event) => typeof event.type === 'string'));
});

test('a key that the upstream repeats goes no further', async (t) => {
    const { up, client, conn } = await session(t);
    const { key } = up.options;
    conn.session.fail({ code: 'invalid_api_key',
        message: `Incorrect API key provided: ${key}.` });
    client.sayText('hello');
    await client.respond();
    await conn.close(4002, `bad key ${key}`);
    await client.waitClosed(20000);
    assert.ok(!JSON.stringify([client.events, client.closed]).includes(key));
});

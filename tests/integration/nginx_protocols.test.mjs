// SPDX-License-Identifier: BSD-2-Clause
//
// HTTP/2 and HTTP/1.0 on the listening sockets of sessions, and which page of
// which origin may open one.

import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import { test } from 'node:test';
import { ask, logOf, roundTrip, startEcho } from './lib/nginx_kit.mjs';
import { startStack } from './lib/stack.mjs';
import { RawClient, TEXT } from './lib/ws_raw.mjs';

const local = (name, options, done) => done(null, options.all
    ? [{ address: '127.0.0.1', family: 4 }] : '127.0.0.1', 4);

// { status, headers, body } or { error } of a request of an HTTP/2 session.
function request(session, headers, body) {
    return new Promise((done) => {
        const stream = session.request(headers);
        const answer = { body: '' };
        stream.on('response', (got) => { answer.status = got[':status']; answer.headers = got; });
        stream.on('data', (data) => { answer.body += data; });
        stream.on('end', () => done(answer));
        stream.on('error', (error) => done({ error }));
        stream.end(body);
    });
}

test('R6.1 HTTP/2: a session is refused, the HTTP interface works', async (t) => {
    const stack = await startStack(t, { server: 'http2_max_concurrent_streams 16;',
        http2: true });
    const h2 = connect(`https://localhost:${stack.nginx.tlsPort}`, { ca: stack.tls.ca,
        lookup: local });
    t.after(() => h2.destroy());

    await t.test('GET, plain or as a handshake, is 400', async () => {
        for (const more of [{}, { 'sec-websocket-version': '13',
            'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' }]) {
            const answer = await request(h2, { ':path': '/v1/realtime?model=gpt-realtime',
                ...more });
            assert.equal(answer.status, 400);
            assert.match(JSON.parse(answer.body).error.message, /HTTP\/1\.1/);
            assert.ok(answer.headers['x-request-id']);
        }
    });
    await t.test('extended CONNECT is refused, the connection lives', async () => {
        const answer = await request(h2, { ':method': 'CONNECT', ':protocol': 'websocket',
            ':scheme': 'https', ':authority': 'localhost', ':path': '/v1/realtime',
            'sec-websocket-version': '13' });
        assert.ok(answer.error || answer.status >= 400, JSON.stringify(answer));
        assert.equal((await request(h2, { ':path': '/health' })).status, 200);
    });
    await t.test('the HTTP interface, many at a time', async () => {
        const answers = await Promise.all(Array.from({ length: 40 }, (_, i) =>
            request(h2, { ':path': i % 2 ? '/health' : '/v1/unknown' })));
        assert.deepEqual(answers.map((a) => a.status),
            answers.map((_, i) => (i % 2 ? 200 : 404)));
    });
    await t.test('a body that is posted arrives', async () => {
        const answer = await request(h2, { ':path': '/v1/realtime', ':method': 'POST',
            'content-type': 'application/json' }, JSON.stringify({ x: 'y'.repeat(100000) }));
        assert.equal(answer.status, 501);
        assert.equal(JSON.parse(answer.body).error.code, 'webrtc_unavailable');
    });
    await t.test('on the same port a client that asks for HTTP/1.1 gets its session', async () => {
        for (const ALPNProtocols of [['http/1.1'], undefined]) {
            const client = await RawClient.open(stack.nginx.tlsPort, { ca: stack.tls.ca,
                tls: { ALPNProtocols }, path: '/v1/realtime?model=gpt-realtime' });
            assert.equal(JSON.parse((await client.next()).data).type, 'session.created');
            await client.close();
        }
    });
});

test('R6.1 HTTP/1.0 and upgrades to something else are refused', async (t) => {
    const { port } = await startEcho(t);
    for (const options of [{ version: '1.0' }, { headers: { Upgrade: 'h2c',
        'HTTP2-Settings': 'AAMAAABkAARAAAAAAAIAAAAA' } },
    { headers: { Upgrade: 'websocket2' } }]) {
        const { status, headers } = await ask(port, options);
        assert.equal(status, 426);
        assert.equal(headers.upgrade, 'websocket');
    }
});

// [what the browser says, Host, over TLS] and whether it is allowed
const same = [
    ['http://voice.example', 'voice.example', false, true],
    ['http://VOICE.example', 'voice.EXAMPLE', false, true],
    ['http://voice.example:80', 'voice.example', false, true],
    ['http://voice.example:8080', 'voice.example:8080', false, true],
    ['http://voice.example:8080', 'voice.example', false, false],
    ['http://voice.example', 'voice.example:8080', false, false],
    ['https://voice.example', 'voice.example', false, true],
    ['https://voice.example', 'voice.example', true, true],
    ['https://voice.example:443', 'voice.example', true, true],
    ['https://voice.example:8443', 'voice.example:8443', true, true],
    ['https://voice.example:8443', 'voice.example', true, false],
    ['http://voice.example', 'voice.example', true, false],
    ['http://voice.example:8443', 'voice.example:8443', true, false],
    ['http://other.example', 'voice.example', false, false],
    ['http://voice.example.evil', 'voice.example', false, false],
    ['http://evil-voice.example', 'voice.example', false, false],
    ['http://voice.example/', 'voice.example', false, false],
    ['http://voice.example@evil', 'voice.example', false, false],
    ['voice.example', 'voice.example', false, false],
    ['file://', 'voice.example', false, false],
    ['null', 'voice.example', false, false],
    ['', 'voice.example', false, false],
    ['http://', 'voice.example', false, false],
    ['http://[::1]:81', '[::1]:81', false, true],
    ['http://[::1]', '[::1]:81', false, false],
    [null, 'voice.example', false, true],
    [null, 'voice.example', true, true],
];

test('R6.1 voice_origin same, the default', async (t) => {
    const { port, tlsPort, ca } = await startEcho(t);
    for (const [origin, host, secure, allowed] of same) {
        const { status } = await ask(secure ? tlsPort : port, { host, ca: secure ? ca : undefined,
            headers: { Origin: origin } });
        assert.equal(status, allowed ? 101 : 403, `${origin} to ${host}${secure ? ' TLS' : ''}`);
    }
});

test('R6.1 voice_origin as a list, inherited and replaced', async (t) => {
    const { nginx, port } = await startEcho(t, {
        http: 'voice_origin https://app.example;',
        server: `location = /realtime { voice_pass voice;
                voice_origin https://a.example https://b.example:8443 http://[::1]:3000; }
            location = /realtime/ { voice_pass voice; voice_origin *; }
            location = /v1/realtime/ { voice_pass voice; voice_origin same
                https://app.example; }` });
    const table = [
        // the list of http {}: same origin is no longer in it
        ['/v1/realtime', 'https://app.example', 101], ['/v1/realtime', 'http://localhost', 403],
        ['/realtime', 'https://a.example', 101], ['/realtime', 'https://A.Example', 101],
        ['/realtime', 'https://a.example:443', 403], ['/realtime', 'http://a.example', 403],
        ['/realtime', 'https://b.example:8443', 101], ['/realtime', 'https://b.example', 403],
        ['/realtime', 'http://[::1]:3000', 101], ['/realtime', 'https://app.example', 403],
        ['/realtime', 'null', 403], ['/realtime', null, 101],
        ['/realtime/', 'https://anything.example', 101], ['/realtime/', 'null', 101],
        ['/realtime/', '', 101], ['/realtime/', null, 101],
        ['/v1/realtime/', 'http://localhost', 101], ['/v1/realtime/', 'https://app.example', 101],
        ['/v1/realtime/', 'https://other.example', 403],
    ];
    for (const [path, origin, status] of table) {
        const answer = await ask(port, { path, headers: { Origin: origin } });
        assert.equal(answer.status, status, `${path} from ${origin}`);
    }
    const twice = await ask(port, { path: '/realtime/',
        headers: { Origin: ['https://a.example', 'https://a.example'] } });
    assert.equal(twice.status, 403, 'two origins are none');
    await logOf(nginx, { status: '403', voice_close_code: '-' });
    const client = await RawClient.open(port, { path: '/realtime',
        headers: { Origin: 'https://a.example' } });
    await roundTrip(client, TEXT, 'hello');
    await client.close();
});

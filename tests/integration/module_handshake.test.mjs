// SPDX-License-Identifier: BSD-2-Clause
//
// The opening handshake: what becomes a session, what the upstream is told,
// and how everything else is refused.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { test } from 'node:test';
import { startModule } from './lib/module_kit.mjs';
import { RawClient, handshakeText } from './lib/ws_raw.mjs';

async function ask(port, options, tls = {}) {
    const client = await RawClient.connect(port, tls);
    const answer = await client.handshake(options);
    client.destroy();
    return answer;
}

const refusals = [
    ['a plain GET', { headers: { Upgrade: null, Connection: 'close' } }, 426],
    ['another upgrade', { headers: { Upgrade: 'h2c' } }, 426],
    ['Upgrade without Connection', { headers: { Connection: 'keep-alive' } }, 426],
    ['HTTP/1.0', { version: '1.0' }, 426],
    ['no version', { headers: { 'Sec-WebSocket-Version': null } }, 426],
    ['version 8', { headers: { 'Sec-WebSocket-Version': '8' } }, 426],
    ['version 130', { headers: { 'Sec-WebSocket-Version': '130' } }, 426],
    ['no key', { headers: { 'Sec-WebSocket-Key': null } }, 400],
    ['a short key', { headers: { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZQ==' } }, 400],
    ['a long key', { headers: { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZXM=' } }, 400],
    ['a key that is no base64', { headers: { 'Sec-WebSocket-Key': '!!hlIHNhbXBsZSBub25jZQ==' } },
        400],
    ['two keys', { headers: { 'Sec-WebSocket-Key': ['dGhlIHNhbXBsZSBub25jZQ==',
        'dGhlIHNhbXBsZSBub25jZQ=='] } }, 400],
    ['a body', { headers: { 'Content-Length': '5' }, early: Buffer.from('12345') }, 400],
    ['a chunked body', { headers: { 'Transfer-Encoding': 'chunked' },
        early: Buffer.from('0\r\n\r\n') }, 400],
    ['a foreign origin', { headers: { Origin: 'http://evil.example' } }, 403],
    ['the null origin', { headers: { Origin: 'null' } }, 403],
    ['an origin of another port', { headers: { Origin: 'http://localhost:81' } }, 403],
    ['an origin with a longer name', { headers: { Origin: 'http://localhost.evil.example' } },
        403],
    ['two origins', { headers: { Origin: ['http://localhost', 'http://localhost'] } }, 403],
    ['POST without a fallback', { method: 'POST', headers: { 'Content-Length': '2' },
        early: Buffer.from('{}') }, 405],
];

test('handshakes that are refused', async (t) => {
    const { peer, port } = await startModule(t);
    for (const [name, options, status] of refusals) {
        await t.test(name, async () => {
            const answer = await ask(port, options);
            assert.equal(answer.status, status);
            assert.ok(answer.headers['x-request-id']);
            const { error } = JSON.parse(answer.body);
            assert.deepEqual(Object.keys(error), ['message', 'type', 'param', 'code']);
            if (status === 426) {
                assert.equal(answer.line, 'HTTP/1.1 426 Upgrade Required');
                assert.equal(answer.headers.upgrade, 'websocket');
                assert.match(answer.headers.connection, /Upgrade/);
                assert.equal(answer.headers['sec-websocket-version'], '13');
            }
            if (status === 405) {
                assert.equal(answer.headers.allow, 'GET');
            }
        });
    }
    assert.equal(peer.sessions.length, 0, 'the upstream saw none of them');
});

const accepted = [
    ['tokens in any case and company', { headers: { Upgrade: 'foo, WebSocket',
        Connection: 'keep-alive, UPGRADE' } }],
    ['Connection in two lines', { headers: { Connection: ['keep-alive', 'Upgrade'] } }],
    ['the same origin', { headers: { Origin: 'http://localhost' } }],
    ['the same origin with its port', { host: 'localhost:8080',
        headers: { Origin: 'http://LOCALHOST:8080' } }],
    ['an https origin where TLS ended before us', { headers: { Origin: 'https://localhost' } }],
    ['the default port written out', { host: 'localhost:443',
        headers: { Origin: 'https://localhost' } }],
    ['an IPv6 origin', { host: '[::1]:8080', headers: { Origin: 'http://[::1]:8080' } }],
    ['Content-Length: 0', { headers: { 'Content-Length': '0' } }],
    ['extensions that are not taken', { headers: {
        'Sec-WebSocket-Extensions': 'x-webkit-deflate-frame, foo; permessage-deflate' } }],
];

test('handshakes that are accepted', async (t) => {
    const { port } = await startModule(t);
    for (const [name, options] of accepted) {
        await t.test(name, async () => {
            const answer = await ask(port, options);
            assert.equal(answer.status, 101);
            assert.equal(answer.headers['sec-websocket-extensions'], undefined);
            assert.equal(answer.headers['sec-websocket-protocol'], undefined);
            assert.equal(answer.headers['x-voice-session'], 'sess_test');
        });
    }
});

test('voice_origin: a list, "same", and "*"', async (t) => {
    const { port } = await startModule(t, { server: `
        location = /list { voice_pass voice; voice_origin https://a.example same; }
        location = /any { voice_pass voice; voice_origin *; }` });
    const table = [['/list', 'https://a.example', 101], ['/list', 'https://A.example', 101],
        ['/list', 'https://b.example', 403], ['/list', 'https://a.example:444', 403],
        ['/list', 'http://localhost', 101], ['/any', 'null', 101], ['/any', 'x://y', 101]];
    for (const [path, origin, status] of table) {
        assert.equal((await ask(port, { path, headers: { Origin: origin } })).status, status,
            `${path} ${origin}`);
    }
});

test('over TLS, a page without TLS is a foreign origin', async (t) => {
    const { tlsPort, ca } = await startModule(t);
    const from = (Origin) => ask(tlsPort, { headers: { Origin } }, { ca });
    assert.equal((await from('https://localhost')).status, 101);
    assert.equal((await from('http://localhost')).status, 403);
});

test('requests that are no GET go to the fallback', async (t) => {
    const { port } = await startModule(t, { directives: 'voice_fallback @http;', server: `
        location @http { return 200 "$request_method"; }` });
    for (const method of ['POST', 'OPTIONS', 'PUT', 'DELETE']) {
        const answer = await ask(port, { method, headers: { Upgrade: null, Connection: null } });
        assert.equal(answer.status, 200);
        assert.equal(answer.body, method);
    }
    assert.equal((await ask(port, { headers: { Upgrade: null } })).status, 426);
});

test('HTTP/2: a GET is refused with 400, a POST goes to the fallback', async (t) => {
    const { tlsPort, ca } = await startModule(t, { directives: 'voice_fallback @http;',
        server: 'location @http { return 200 "fell back"; }' });
    const session = connect(`https://localhost:${tlsPort}`, { ca,
        lookup: (name, options, done) => done(null, options.all
            ? [{ address: '127.0.0.1', family: 4 }] : '127.0.0.1', 4) });
    const request = (method) => new Promise((done, fail) => {
        const stream = session.request({ ':path': '/v1/realtime', ':method': method });
        let status, body = '';
        stream.on('response', (headers) => { status = headers[':status']; });
        stream.on('data', (data) => { body += data; });
        stream.on('end', () => done([status, body]));
        stream.on('error', fail);
        stream.end();
    });
    assert.equal((await request('GET'))[0], 400);
    assert.deepEqual(await request('POST'), [200, 'fell back']);
    session.close();
});

test('the upstream gets the CGI set, the headers and the session parameters', async (t) => {
    const { peer, port, tlsPort, ca, nginx } = await startModule(t, { directives: `
        voice_param VOICE_TENANT $arg_tenant if_not_empty;
        voice_param EMPTY "";
        voice_param HTTP_X_HIDDEN mine;
        voice_param SERVER_NAME other;
        voice_model gpt-realtime;` });
    const headers = { 'X-Twice': ['a', 'b'], 'X-Hidden': 'theirs', Cookie: ['c=1', 'd=2'],
        'User-Agent': 'raw', Authorization: 'Basic bWU6c2VjcmV0' };
    await RawClient.open(port, { path: '/v1/realtime?model=m&tenant=t%201', headers });
    const { params } = await peer.session();
    const expected = { REQUEST_METHOD: 'GET', QUERY_STRING: 'model=m&tenant=t%201',
        REQUEST_URI: '/v1/realtime?model=m&tenant=t%201', DOCUMENT_URI: '/v1/realtime',
        SCRIPT_NAME: '/v1/realtime', CONTENT_TYPE: '', CONTENT_LENGTH: '',
        SERVER_PROTOCOL: 'HTTP/1.1', REQUEST_SCHEME: 'http', GATEWAY_INTERFACE: 'CGI/1.1',
        REMOTE_ADDR: '127.0.0.1', SERVER_ADDR: '127.0.0.1', SERVER_PORT: `${port}`,
        SERVER_NAME: 'other', REDIRECT_STATUS: '200', REMOTE_USER: 'me',
        HTTP_HOST: 'localhost', HTTP_X_TWICE: 'a, b', HTTP_COOKIE: 'c=1; d=2',
        HTTP_USER_AGENT: 'raw', HTTP_X_HIDDEN: 'mine', VOICE_STREAM: '1', VOICE_PROTOCOL: '1',
        VOICE_TENANT: 't%201', EMPTY: '' };
    for (const [name, value] of Object.entries(expected)) {
        assert.equal(params[name], value, name);
    }
    assert.match(params.SERVER_SOFTWARE, /^nginx\//);
    assert.match(params.REMOTE_PORT, /^\d+$/);
    assert.match(params.VOICE_REQUEST_ID, /^[0-9a-f]{32}$/);
    assert.equal(JSON.parse(params.VOICE_POLICY).model, 'gpt-realtime');
    assert.equal(params.HTTPS, undefined);
    // every name of nginx's own file, too
    const names = readFileSync('/etc/nginx/fastcgi_params', 'utf8')
        .match(/^fastcgi_param\s+\w+/gm).map((line) => line.split(/\s+/)[1]);
    for (const name of names) {
        assert.ok(name === 'HTTPS' || name in params, name);
    }

    await RawClient.open(tlsPort, { ca });
    const secure = (await peer.session()).params;
    assert.equal(secure.HTTPS, 'on');
    assert.equal(secure.REQUEST_SCHEME, 'https');
    assert.equal('VOICE_TENANT' in secure, false);
    assert.ok(!nginx.errorLog().includes('c2VjcmV0'));
});

test('20 KB of headers, and parameters of more than a record', async (t) => {
    const big = 'v'.repeat(8000);
    const many = Array.from({ length: 20 }, (_, i) =>
        `voice_param BIG_${i} "${'x'.repeat(3900)}$arg_n";`).join('\n');
    const { peer, port } = await startModule(t, { directives: many,
        server: 'large_client_header_buffers 8 16k;' });
    const client = await RawClient.open(port, { path: '/v1/realtime?n=7',
        headers: { 'X-A': big, 'X-B': big, 'X-C': big } });
    const session = await peer.session();
    assert.equal(session.params.HTTP_X_C, big);
    for (let i = 0; i < 20; i++) {
        assert.equal(session.params[`BIG_${i}`], `${'x'.repeat(3900)}7`);
    }
    assert.ok(session.paramRecords >= 3, 'two records and the empty one');
    await client.close();
});

test('the subprotocol that the upstream chooses is echoed, no other', async (t) => {
    let choice = 'realtime';
    const { nginx, port } = await startModule(t, {
        handler: (s) => { s.accept(choice && { 'Sec-WebSocket-Protocol': choice }); } });
    const offer = { 'Sec-WebSocket-Protocol': 'realtime, openai-insecure-api-key.sk-secret' };
    let answer = await ask(port, { headers: offer });
    assert.equal(answer.headers['sec-websocket-protocol'], 'realtime');
    answer = await ask(port, { headers: { 'Sec-WebSocket-Protocol': ['other', 'realtime'] } });
    assert.equal(answer.headers['sec-websocket-protocol'], 'realtime');
    choice = 'never-offered';
    assert.equal((await ask(port, { headers: offer })).status, 502);
    choice = null;
    answer = await ask(port, { headers: offer });
    assert.equal(answer.status, 101);
    assert.equal(answer.headers['sec-websocket-protocol'], undefined);
    assert.ok(!nginx.errorLog().includes('sk-secret'), 'keys are not logged');
});

test('of the headers of a 101 the client sees X-* alone', async (t) => {
    const { port } = await startModule(t, { handler: (s) => { s.accept({ 'X-Voice-Resume': 'tok',
        'x-request-id': 'id', 'Set-Cookie': 'a=b', Upgrade: 'nonsense', Connection: 'close',
        'Sec-WebSocket-Accept': 'x', 'X-Accel-Redirect': '/etc', 'Content-Length': '5' }); } });
    const { headers } = await ask(port, {});
    assert.equal(headers['x-voice-resume'], 'tok');
    assert.equal(headers['x-request-id'], 'id');
    for (const name of ['set-cookie', 'x-accel-redirect', 'content-length',
        'transfer-encoding']) {
        assert.equal(headers[name], undefined, name);
    }
});

test('an answer that is no 101 is an ordinary response', async (t) => {
    let answer;
    const { nginx, port } = await startModule(t, { handler: (s) => { s.answer(...answer); } });
    const body = JSON.stringify({ error: { message: 'no key', type: 'invalid_request_error' } });
    answer = ['401 Unauthorized', { 'Content-Type': 'application/json', 'x-request-id': 'req_1',
        'WWW-Authenticate': 'Bearer', 'Content-Length': body.length }, body];
    const got = await ask(port, {});
    assert.equal(got.line, 'HTTP/1.1 401 Unauthorized');
    assert.equal(got.body, body);
    assert.equal(got.headers['content-type'], 'application/json');
    assert.equal(got.headers['www-authenticate'], 'Bearer');
    assert.equal(got.headers['x-request-id'], 'req_1');

    // a large body without a length, and the connection stays usable
    answer = [200, { 'Content-Type': 'text/plain' }, 'y'.repeat(3000000)];
    const client = await RawClient.connect(port);
    const large = await client.handshake({});
    assert.equal(large.headers['transfer-encoding'], 'chunked');
    assert.equal(large.body.length, 3000000);
    client.destroy();

    answer = ['204 No Content', {}, ''];
    const none = await ask(port, { text: handshakeText({}).replace('\r\n\r\n',
        '\r\nConnection: close\r\n\r\n') });
    assert.equal(none.status, 204);
    await nginx.accessLine(/ 401 /);
});

test('a client that reads an ordinary response slowly gets all of it', async (t) => {
    const size = 8 << 20;
    const { port } = await startModule(t, { handler: (s) => {
        s.answer(503, { 'Content-Length': size }, 'b'.repeat(size)); } });
    const client = await RawClient.connect(port);
    const reading = client.handshake({});
    client.socket.pause();
    await new Promise((done) => setTimeout(done, 300));
    client.socket.resume();
    const answer = await reading;
    assert.equal(answer.status, 503);
    assert.equal(answer.body.length, size);
    client.destroy();
});

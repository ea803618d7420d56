// SPDX-License-Identifier: BSD-2-Clause
//
// Where a voice_pass may stand and how a handshake gets there: regular
// expressions, nested locations, if, rewrite, named locations, redirects
// inside nginx, and connections that have carried requests before.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startModule } from './lib/module_kit.mjs';
import { Nginx } from './lib/nginx.mjs';
import { ask, logOf, roundTrip, startEcho } from './lib/nginx_kit.mjs';
import { until, within } from './lib/process.mjs';
import { RawClient, TEXT, handshakeText, masked } from './lib/ws_raw.mjs';

// Opens a session there, and gives the parameters that the peer got.
async function paramsAt(peer, port, path, headers = {}) {
    const client = await RawClient.open(port, { path, headers });
    const { params } = await peer.session();
    await roundTrip(client, TEXT, path);
    await client.close();
    return params;
}

test('R6.1 voice_pass in every kind of location', async (t) => {
    const { peer, port } = await startModule(t, { server: `
        voice_param LEVEL server; voice_model outer;
        location ~ ^/regex/(?<team>\\w+)$ {
            voice_pass voice; voice_param DOCUMENT_URI /v1/realtime;
            voice_param VOICE_TENANT $team;
        }
        location /outer/ {
            voice_param LEVEL outer; voice_model a b;
            location = /outer/plain { voice_pass voice; }
            location ~ /own$ { voice_pass voice; voice_param LEVEL own; voice_model c; }
            voice_pass voice;
        }
        location ^~ /prefix/ { voice_pass voice; }
        location /named/ { try_files /nonexistent @session; }
        location @session { voice_pass voice; voice_param LEVEL named; }` });
    const table = [
        ['/regex/blue', { DOCUMENT_URI: '/v1/realtime', VOICE_TENANT: 'blue',
            REQUEST_URI: '/regex/blue', LEVEL: undefined }, 'outer'],
        ['/outer/plain', { LEVEL: 'outer', DOCUMENT_URI: '/outer/plain' }, 'a'],
        ['/outer/own', { LEVEL: 'own' }, 'c'],
        ['/outer/other', { LEVEL: 'outer' }, 'a'],
        ['/prefix/x/y', { LEVEL: 'server' }, 'outer'],
        ['/named/x', { LEVEL: 'named', DOCUMENT_URI: '/named/x' }, 'outer'],
    ];
    for (const [path, expected, model] of table) {
        const params = await paramsAt(peer, port, path);
        for (const [name, value] of Object.entries(expected)) {
            assert.equal(params[name], value, `${path} ${name}`);
        }
        assert.equal(JSON.parse(params.VOICE_POLICY).model, model, path);
    }
});

test('R6.1 if in location', async (t) => {
    const { peer, port } = await startModule(t, {
        http: 'upstream dead { server unix:/nonexistent; }',
        directives: `
            set $team none;
            if ($arg_team) { set $team $arg_team; }
            if ($http_x_closed) { return 503 closed; }
            if ($http_x_pool = dead) { voice_pass dead; }
            voice_param VOICE_TENANT $team; voice_model gpt; voice_max_message_size 5;`,
        server: 'location = /only-if { if ($arg_on) { voice_pass voice; break; } return 404; }' });

    let client = await RawClient.open(port);
    let { params } = await peer.session();
    assert.equal(params.VOICE_TENANT, 'none');
    await client.close();

    // a block of if is a location of its own, which inherits
    client = await RawClient.open(port, { path: '/v1/realtime?team=red' });
    params = (await peer.session()).params;
    assert.deepEqual([params.VOICE_TENANT, JSON.parse(params.VOICE_POLICY).model],
        ['red', 'gpt']);
    await roundTrip(client, TEXT, 'five.');
    client.send(TEXT, 'sixsix');
    assert.equal((await client.untilClose()).code, 1009);
    client.destroy();

    assert.equal((await ask(port, { headers: { 'X-Closed': '1' } })).status, 503);
    assert.equal((await ask(port, { headers: { 'X-Pool': 'dead' } })).status, 502);
    assert.equal((await ask(port, { path: '/only-if' })).status, 404);
    await paramsAt(peer, port, '/only-if?on=1');
});

test('R6.1 rewrite, limit_except and redirects inside nginx', async (t) => {
    const { peer, port, nginx } = await startModule(t, { server: `
        rewrite ^/chat/([\\w-]+)$ /v1/realtime?model=$1 last;
        rewrite ^/moved$ /v1/realtime permanent;
        location = /break { rewrite ^ /v1/realtime?b=1 break; voice_pass voice; }
        location = /except {
            voice_fallback @post;
            limit_except GET { deny all; }
            voice_pass voice;
        }
        location @post { return 200 posted; }
        location = /ticket { proxy_pass http://127.0.0.1:$server_port/decide; }
        location = /decide {
            add_header X-Accel-Redirect /inside?ticket=$arg_t;
            return 200;
        }
        location = /inside { internal; voice_pass voice; voice_param TICKET $arg_ticket; }` });

    let params = await paramsAt(peer, port, '/chat/gpt-x?user=1');
    assert.deepEqual([params.DOCUMENT_URI, params.QUERY_STRING, params.REQUEST_URI],
        ['/v1/realtime', 'model=gpt-x&user=1', '/chat/gpt-x?user=1']);
    params = await paramsAt(peer, port, '/break?a=1');
    assert.deepEqual([params.DOCUMENT_URI, params.QUERY_STRING], ['/v1/realtime', 'b=1&a=1']);

    const moved = await ask(port, { path: '/moved' });
    assert.deepEqual([moved.status, /\/v1\/realtime$/.test(moved.headers.location)], [301, true]);

    await paramsAt(peer, port, '/except');
    const posted = { method: 'POST', path: '/except',
        headers: { Upgrade: null, Connection: 'close' } };
    assert.equal((await ask(port, posted)).status, 403);

    // an application decides and sends the handshake on
    params = await paramsAt(peer, port, '/ticket');
    assert.deepEqual([params.DOCUMENT_URI, params.QUERY_STRING], ['/inside', 'ticket=']);
    assert.equal((await ask(port, { path: '/inside' })).status, 404);
    await nginx.accessLine(/\/inside 101 .*up=1\/7 /);
});

test('R6.1 a subrequest is no session', async (t) => {
    const { peer, nginx, port } = await startModule(t, { server: `
        location = /page { auth_request /v1/realtime; empty_gif; }
        location = /mirrored { mirror /v1/realtime; voice_pass voice; }` });
    assert.equal((await ask(port, { path: '/page' })).status, 500);
    assert.match(nginx.errorLog(), /\[error\].*a subrequest can't be a voice session/);
    assert.equal(peer.sessions.length, 0);
    await paramsAt(peer, port, '/mirrored'); // the mirrored one alone fails
    assert.equal(peer.sessions.length, 1);
});

test('R6.1 a session of voiced under any path', async (t) => {
    const { voiced, port } = await startEcho(t, { server: `
        location ~ ^/teams/(?<team>[a-z]+)/voice$ {
            voice_pass voice;
            voice_param DOCUMENT_URI /v1/realtime;
            voice_param VOICE_TENANT $team;
        }
        location = /elsewhere { voice_pass voice; }` });
    const client = await RawClient.connect(port);
    const { headers } = await client.handshake({ path: '/teams/blue/voice' });
    await roundTrip(client, TEXT, 'hello');
    assert.equal((await voiced.sessions()).length, 1);
    await client.close();
    assert.equal((await voiced.summary(headers['x-voice-session'])).up_messages, 1);
    assert.equal((await ask(port, { path: '/elsewhere' })).status, 404);
});

test('R6.1 what is for bodies does nothing to a session', async (t) => {
    const { port } = await startEcho(t, { location: `limit_rate 1k; limit_rate_after 1;
        client_max_body_size 1; gzip on; gzip_min_length 1; gzip_types *;
        sub_filter hello goodbye; sub_filter_types *; expires 1d; etag on;
        chunked_transfer_encoding on; output_buffers 1 1k; postpone_output 64k; ssi on;
        ssi_types *;` });
    const client = await RawClient.open(port, { headers: { 'Accept-Encoding': 'gzip' } });
    await roundTrip(client, TEXT, 'hello <!--# echo var="uri" -->');
    await roundTrip(client, TEXT, 'hello '.repeat(50000));
    await client.close();
});

test('R6.1 limit_rate slows the header of a 101, and not the session', async (t) => {
    const { port } = await startEcho(t, { location: `limit_rate 2k; limit_rate_after 1;
        add_header X-Long ${'x'.repeat(2500)} always;` });
    const client = await RawClient.open(port, { early: masked(TEXT, 'early') });
    assert.equal((await client.next()).data.toString(), 'early');
    await roundTrip(client, TEXT, 'y'.repeat(300000));
    await client.close();
});

test('R6.1 a fallback that does not exist is 500', async (t) => {
    const { nginx, port } = await startEcho(t, { location: 'voice_fallback @nowhere;' });
    const { status } = await ask(port, { method: 'POST', headers: { Upgrade: null } });
    assert.equal(status, 500);
    assert.match(nginx.errorLog(), /could not find named location "@nowhere"/);
});

test('R6.1 voice_pass stands in a location, and takes no variables', async () => {
    const table = [
        ['voice_pass voice; location = / { }', /"voice_pass" directive is not allowed here/],
        ['location = / { voice_pass $pool; }', /"voice_pass" directive does not take variables/],
        ['location = / { limit_except GET { voice_pass voice; } }', /is not allowed here/],
        ['location = / { voice_pass nowhere.invalid; }', /no port in upstream/],
    ];
    const nginx = await Nginx.prepare();
    for (const [text, message] of table) {
        nginx.configure({ http: `upstream voice { server unix:/tmp/none; }
            server { listen 127.0.0.1:${nginx.port}; ${text} }` });
        const { code, stderr } = await nginx.test();
        assert.equal(code, 1, text);
        assert.match(stderr, message);
        assert.match(stderr, /nginx\.conf:\d+/);
    }
});

test('R6.1 a kept connection becomes a session', async (t) => {
    const { nginx, port, tlsPort, ca } = await startEcho(t, { server: `
        large_client_header_buffers 8 16k;
        location = /page { return 200 "a page of some length"; }
        location = /v1/realtime/ { voice_pass voice; }` });
    const page = 'GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n';

    for (const [name, to, options] of [['plain', port, {}], ['TLS', tlsPort, { ca }]]) {
        await t.test(`${name}: after requests, one of them refused`, async () => {
            const client = await RawClient.connect(to, options);
            for (const text of [page, page, handshakeText({ headers: { Origin: 'null' } })]) {
                await client.handshake({ text });
            }
            assert.equal((await client.handshake()).status, 101);
            await roundTrip(client, TEXT, 'hello');
            await client.close();
            const line = await logOf(nginx, { connection_requests: '4',
                ssl_protocol: name === 'TLS' ? 'TLSv1.3' : '-' });
            assert.equal(line.voice_messages_up, '1');
        });
        await t.test(`${name}: requests, handshake and frames in one segment`, async () => {
            const client = await RawClient.connect(to, options);
            client.reader.on = () => {};
            const seen = [];
            client.socket.on('data', (data) => seen.push(data));
            await client.write(Buffer.concat([Buffer.from(page + page +
                handshakeText({ path: '/v1/realtime/' })), masked(TEXT, 'pipelined')]));
            const text = () => Buffer.concat(seen).toString('latin1');
            await until(() => text().endsWith('\x81\x09pipelined'), 'the echo');
            assert.equal(text().split('a page of some length').length, 3);
            assert.match(text(), /101 Switching Protocols[^]*\r\n\r\n\x81\x09pipelined$/);
            client.write(masked(8, Buffer.from([0x03, 0xe9])));
            await within(client.gone, 10000);
            assert.ok(text().endsWith('\x88\x02\x03\xe9'));
        });
    }
    await t.test('with headers that need large buffers, and frames behind them', async () => {
        const client = await RawClient.connect(port);
        await client.handshake({ text: page });
        const answer = await client.handshake({ early: masked(TEXT, 'x'.repeat(3000)),
            headers: { 'X-A': 'a'.repeat(15000), 'X-B': 'b'.repeat(12000) } });
        assert.equal(answer.status, 101);
        assert.equal((await client.next()).data.length, 3000);
        await roundTrip(client, TEXT, 'y'.repeat(100000));
        await client.close();
    });
});

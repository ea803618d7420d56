// SPDX-License-Identifier: BSD-2-Clause
//
// Who may have a session, decided by nginx's own modules before voiced sees
// anything: limit_conn, limit_req, auth_request, auth_basic, allow and deny,
// satisfy.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { startModule } from './lib/module_kit.mjs';
import { ask, logOf, roundTrip, startEcho } from './lib/nginx_kit.mjs';
import { until } from './lib/process.mjs';
import { RawClient, TEXT, masked } from './lib/ws_raw.mjs';

const basic = (text) => ({ Authorization: `Basic ${Buffer.from(text).toString('base64')}` });

// A line of a password file; nginx knows {SHA} without help of crypt().
const user = (name, password) =>
    `${name}:{SHA}${createHash('sha1').update(password).digest('base64')}\n`;

test('R6.1 limit_conn counts live sessions', async (t) => {
    const { voiced, nginx, port } = await startEcho(t, {
        http: 'limit_conn_zone $binary_remote_addr zone=live:1m;',
        location: 'limit_conn live 2; voice_ping_interval 100ms; voice_ping_timeout 200ms;' });
    const room = () => until(async () => {
        const client = await RawClient.connect(port);
        if ((await client.handshake()).status === 101) {
            return client;
        }
        client.destroy();
        return null;
    }, 'room for a session');
    const full = async () => assert.equal((await ask(port)).status, 503);

    const first = await RawClient.open(port);
    const second = await RawClient.open(port);
    await full();
    await full();
    assert.equal((await voiced.sessions()).length, 2, 'voiced saw no third');
    second.socket.on('data', () => {}); // answers no ping

    await t.test('room again after a Close', async () => {
        await first.close();
        const third = await room();
        await third.close();
    });
    await t.test('room again when a client is lost', async () => {
        await until(async () => (await voiced.sessions()).length === 0, 'the lost one to go');
        second.destroy();
        const both = [await room(), await room()];
        await full();
        both[0].socket.resetAndDestroy();
        both[1].destroy();
        await (await room()).close();
    });
    await logOf(nginx, { status: '503', voice_close_code: '-' });
});

test('R6.1 limit_conn counts the sessions of old workers too', async (t) => {
    const { nginx, port } = await startEcho(t, {
        http: 'limit_conn_zone $binary_remote_addr zone=live:1m;',
        location: 'limit_conn live 1;' });
    const [old] = nginx.workers();
    const client = await RawClient.open(port);
    await nginx.reload();
    await until(async () => (await ask(port)).status === 503, 'the new worker to refuse');
    await roundTrip(client, TEXT, 'still there');
    await client.close();
    await until(() => !nginx.workers().includes(old), 'the old worker to end');
    await until(async () => (await ask(port)).status === 101, 'room for a session');
});

test('R6.1 limit_conn lets go what the handshake refused', async (t) => {
    const { port } = await startEcho(t, {
        http: `limit_conn_zone $binary_remote_addr zone=live:1m;
            upstream nobody { server unix:/nonexistent; }`,
        location: 'limit_conn live 1;',
        server: 'location = /realtime { limit_conn live 1; voice_pass nobody; }' });
    for (let i = 0; i < 5; i++) {
        assert.equal((await ask(port, { path: '/realtime' })).status, 502);
        assert.equal((await ask(port, { headers: { Upgrade: null } })).status, 426);
        assert.equal((await ask(port, { headers: { Origin: 'null' } })).status, 403);
    }
    const client = await RawClient.open(port);
    assert.equal((await ask(port)).status, 503);
    await client.close();
});

test('R6.1 limit_req counts handshakes, not messages', async (t) => {
    const { port } = await startEcho(t, {
        http: 'limit_req_zone $binary_remote_addr zone=starts:1m rate=6r/m;',
        location: 'limit_req zone=starts burst=1 nodelay; limit_req_status 429;' });
    const clients = [await RawClient.open(port), await RawClient.open(port)];
    assert.equal((await ask(port)).status, 429);
    for (const client of clients) {
        for (let i = 0; i < 50; i++) {
            await roundTrip(client, TEXT, `${i}`);
        }
        await client.close();
    }
    assert.equal((await ask(port)).status, 429);
});

test('R6.1 limit_req may delay a handshake and lose nothing of it', async (t) => {
    const { port } = await startEcho(t, {
        http: 'limit_req_zone $binary_remote_addr zone=starts:1m rate=4r/s;',
        location: 'limit_req zone=starts burst=5;' });
    await (await RawClient.open(port)).close();
    const delayed = await RawClient.open(port, { early: Buffer.from('818112345678', 'hex') });
    delayed.write(Buffer.from([0x12 ^ 0x61]));
    assert.equal((await delayed.next()).data.toString(), 'a');
    await delayed.close();
});

test('R6.1 auth_request', async (t) => {
    const { peer, nginx, port } = await startModule(t, {
        directives: `auth_request /auth; auth_request_set $tenant $upstream_http_x_tenant;
            voice_param VOICE_TENANT $tenant if_not_empty;`,
        server: `
        location = /auth {
            internal;
            proxy_pass http://127.0.0.1:$server_port/decide;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
        }
        location = /decide {
            if ($http_authorization = "") {
                add_header WWW-Authenticate 'Bearer realm="voice"' always;
                return 401;
            }
            if ($http_authorization = "Bearer bad") { return 403; }
            if ($http_authorization = "Bearer broken") { return 500; }
            add_header X-Tenant $http_x_name;
            return 204;
        }` });
    const withKey = (key) => ask(port, { headers: { Authorization: key } });

    await t.test('a refusal reaches the client, nothing reaches voiced', async () => {
        const none = await ask(port);
        assert.equal(none.status, 401);
        assert.equal(none.headers['www-authenticate'], 'Bearer realm="voice"');
        assert.equal((await withKey('Bearer bad')).status, 403);
        assert.equal((await withKey('Bearer broken')).status, 500);
        assert.equal(peer.sessions.length, 0);
    });
    await t.test('what it found goes on as a parameter', async () => {
        const names = ['acme', 'b', 'c'];
        const clients = await Promise.all(names.map((name) => RawClient.open(port,
            { path: '/v1/realtime?model=m',
                headers: { Authorization: 'Bearer good', 'X-Name': name } })));
        const tenants = [];
        for (const client of clients) {
            const { params } = await peer.session();
            tenants.push(params.VOICE_TENANT);
            assert.equal(params.QUERY_STRING, 'model=m');
            assert.equal(params.DOCUMENT_URI, '/v1/realtime');
            await roundTrip(client, TEXT, 'hello');
        }
        assert.deepEqual(tenants.sort(), names);
        await Promise.all(clients.map((client) => client.close()));
        await nginx.accessLine(/\/v1\/realtime 101 .* code=1000 /);
    });
    await t.test('a client can not name its tenant itself', async () => {
        const client = await RawClient.open(port, { headers: { Authorization: 'Bearer good',
            'X-Name': 'acme', 'Voice-Tenant': 'other', VOICE_TENANT: 'other' } });
        assert.equal((await peer.session()).params.VOICE_TENANT, 'acme');
        await client.close();
    });
    await t.test('the first frames may come while it is asked', async () => {
        const client = await RawClient.open(port, { early: masked(TEXT, 'early'),
            headers: { Authorization: 'Bearer good' } });
        assert.equal((await client.next()).data.toString(), 'early');
        assert.equal('VOICE_TENANT' in (await peer.session()).params, false);
        await client.close();
    });
});

test('R6.1 auth_basic, and its user reaches voiced', async (t) => {
    const { peer, nginx, port } = await startModule(t, {
        directives: `auth_basic voice; auth_basic_user_file users;
            voice_param VOICE_TENANT $remote_user;`,
        nginx: { files: { users: user('ann', 'secret') } } });
    const none = await ask(port);
    assert.equal(none.status, 401);
    assert.equal(none.headers['www-authenticate'], 'Basic realm="voice"');
    assert.equal((await ask(port, { headers: basic('ann:wrong') })).status, 401);
    assert.equal(peer.sessions.length, 0);
    const client = await RawClient.open(port, { headers: basic('ann:secret') });
    const { params } = await peer.session();
    assert.deepEqual([params.VOICE_TENANT, params.REMOTE_USER], ['ann', 'ann']);
    await client.close();
    assert.doesNotMatch(nginx.errorLog(), /secret/);
});

test('R6.1 satisfy any: an address or a password', async (t) => {
    const { port } = await startEcho(t, {
        location: `satisfy any; auth_basic voice; auth_basic_user_file users;
            allow 203.0.113.0/24; deny all;`,
        server: 'set_real_ip_from 127.0.0.1; real_ip_header X-Real;',
        nginx: { files: { users: user('ann', 'secret') } } });
    const table = [
        [{}, 401],
        [basic('ann:wrong'), 401],
        [basic('ann:secret'), 101],
        [{ 'X-Real': '203.0.113.5' }, 101],
        [{ 'X-Real': '203.0.113.5', ...basic('ann:secret') }, 101],
        [{ 'X-Real': '198.51.100.5' }, 401],
    ];
    for (const [headers, status] of table) {
        assert.equal((await ask(port, { headers })).status, status, JSON.stringify(headers));
    }
});

test('R6.1 satisfy all: an address and a password', async (t) => {
    const { port } = await startEcho(t, {
        location: `auth_basic voice; auth_basic_user_file users; allow 203.0.113.0/24; deny all;`,
        server: 'set_real_ip_from 127.0.0.1; real_ip_header X-Real;',
        nginx: { files: { users: user('ann', 'secret') } } });
    const near = { 'X-Real': '203.0.113.5' };
    assert.equal((await ask(port, { headers: basic('ann:secret') })).status, 403);
    assert.equal((await ask(port, { headers: near })).status, 401);
    const client = await RawClient.open(port, { headers: { ...near, ...basic('ann:secret') } });
    await roundTrip(client, TEXT, 'hello');
    await client.close();
});

// SPDX-License-Identifier: BSD-2-Clause
//
// Every route of the shipped conf/voice.conf, and what a wrong request gets.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get } from 'node:http';
import test from 'node:test';
import { refused, RawSocket } from './lib/client.mjs';
import { fastcgiRequest, paramsOf } from './lib/fastcgi.mjs';
import { Nginx } from './lib/nginx.mjs';
import { until } from './lib/process.mjs';
import { parsePrometheus } from './lib/prometheus.mjs';
import { startStack } from './lib/stack.mjs';

function assertError(answer, status) {
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.headers['content-type'], /^application\/json/);
    const { error } = answer.json;
    assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'param', 'type']);
    assert.ok(error.message.length > 0);
    assert.match(answer.headers['x-request-id'], /^[0-9a-f]{32}$/);
}

test('HTTP routes', async (t) => {
    const stack = await startStack(t);

    await t.test('GET /health tells what this is', async () => {
        const answer = await stack.request('/health');
        assert.equal(answer.status, 200);
        assert.equal(answer.json.status, 'healthy');
        assert.equal(typeof answer.json.version, 'string');
        assert.ok('model' in answer.json && 'assistant_name' in answer.json);
        assert.equal(typeof answer.json.amplifier.enabled, 'boolean');
        assert.equal(typeof answer.json.amplifier.tools_count, 'number');
        assert.ok(answer.headers['content-length'] > 0);
        assert.match(answer.headers['x-request-id'], /^[0-9a-f]{32}$/);
    });

    await t.test('GET /metrics is Prometheus text', async () => {
        const answer = await stack.request('/metrics');
        assert.equal(answer.status, 200);
        assert.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/);
        assert.match(String(answer.body), /^# TYPE voiced_gate_requests_total counter$/m);
        assert.match(String(answer.body), /^voiced_gate_requests_total [1-9]\d*$/m);
    });

    await t.test('R1.5 R7.1 sessions: how long they took to begin, how many there are', async () => {
        const read = async () => parsePrometheus(String((await stack.request('/metrics')).body));
        const name = 'voice_connection_setup_seconds';
        const before = await read();
        const client = await stack.connect(t);
        await client.next('session.created');
        const after = await read();
        assert.equal(after.get('voice_active_sessions'), before.get('voice_active_sessions') + 1);
        assert.equal(after.get(`${name}_count`), (before.get(`${name}_count`) ?? 0) + 1);
        assert.ok(after.get(`${name}_sum`) > (before.get(`${name}_sum`) ?? 0));
        const bounds = [...after.keys()].filter((key) => key.startsWith(`${name}_bucket`))
            .map((key) => /le="(.*)"/.exec(key)[1]);
        assert.deepEqual(bounds, ['0.1', '0.2', '0.5', '1', '2', '5', '+Inf']);
        await client.close();
        await until(async () => (await read()).get('voice_active_sessions')
            === before.get('voice_active_sessions'), 'the session to end');
    });

    await t.test('R6.1 GET /voice_status counts, for this machine alone', async () => {
        const client = await stack.connect(t);
        await client.next('session.created');
        const answer = await stack.request('/voice_status');
        assert.equal(answer.status, 200);
        assert.match(answer.headers['content-type'], /^application\/json/);
        assert.equal(answer.json.sessions_live, 1);
        const scraped = await stack.request('/voice_status', { headers: {
            Accept: 'application/openmetrics-text;q=0.6,text/plain;version=0.0.4;q=0.5' } });
        const samples = parsePrometheus(String(scraped.body));
        assert.equal(samples.get('voice_sessions_live'), 1);
        await client.close();
        for (const path of ['/voice_status', '/metrics']) {
            const [denied] = await once(get({ host: '127.0.0.1', port: stack.nginx.port, path,
                localAddress: '127.0.0.2' }), 'response');
            denied.resume();
            assert.equal(denied.statusCode, 403);
        }
    });

    await t.test('GET /health/live and /health/ready', async () => {
        assert.equal((await stack.request('/health/live')).status, 200);
        assert.equal((await stack.request('/health/ready')).status, 200);
    });

    await t.test('HEAD has no body', async () => {
        const answer = await stack.request('/health', { method: 'HEAD' });
        assert.equal(answer.status, 200);
        assert.equal(answer.body.length, 0);
    });

    await t.test('an unknown path is 404', async () => {
        for (const path of ['/v1/nothing', '/health/what', '/v1/', '/v1/realtime/x']) {
            assertError(await stack.request(path), 404);
        }
    });

    await t.test('a wrong method is 405 with Allow', async () => {
        for (const method of ['POST', 'DELETE', 'PUT']) {
            const answer = await stack.request('/health', { method });
            assertError(answer, 405);
            assert.match(answer.headers.allow, /\bGET\b/);
        }
    });

    await t.test('a body is read to its end on a kept connection', async () => {
        for (let i = 0; i < 20; i++) {
            const answer = await stack.request('/health', { method: 'POST',
                headers: { 'Content-Type': 'application/json' }, body: 'x'.repeat(200000) });
            assert.equal(answer.status, 405);
            assert.equal((await stack.request('/health/live')).status, 200);
        }
    });

    await t.test('a body over the limit is 413', async () => {
        const raw = await RawSocket.connect(t, { port: stack.nginx.port });
        await raw.write('POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n');
        assert.equal((await raw.readHead()).status, 413);
    });

    await t.test('a session route without Upgrade is 426', async () => {
        for (const path of ['/v1/realtime', '/v1/realtime/', '/realtime', '/realtime/']) {
            const answer = await stack.request(`${path}?model=gpt-realtime`);
            assert.equal(answer.status, 426, path);
            assert.match(answer.headers.upgrade, /websocket/i);
        }
    });

    await t.test('a session opens under every spelling of the path', async (t) => {
        for (const path of ['/v1/realtime', '/v1/realtime/', '/realtime', '/realtime/']) {
            const client = await stack.connect(t, { path: `${path}?model=gpt-realtime` });
            await client.next('session.created');
            await client.close();
        }
    });

    await t.test('a broken handshake is 400, a wrong version 426', async (t) => {
        const upgrade = async (headers) => {
            const raw = await RawSocket.connect(t, { port: stack.nginx.port });
            return raw.upgrade('/v1/realtime?model=gpt-realtime', headers);
        };
        assert.equal((await upgrade({ 'Sec-WebSocket-Key': null })).status, 400);
        assert.equal((await upgrade({ 'Sec-WebSocket-Key': 'short' })).status, 400);
        const version = await upgrade({ 'Sec-WebSocket-Version': '8' });
        assert.equal(version.status, 426);
        assert.match(version.head, /^Sec-WebSocket-Version: 13\r$/mi);
        assert.equal((await upgrade({})).status, 101);
    });

    await t.test('a model the place does not allow is 404', async () => {
        const answer = await refused({ port: stack.nginx.port,
            path: '/v1/realtime?model=another' });
        assertError(answer, 404);
        assert.equal(answer.json.error.code, 'model_not_found');
    });

    await t.test('a sideband to an unknown call is 404', async () => {
        const answer = await refused({ port: stack.nginx.port,
            path: '/v1/realtime?call_id=rtc_nobody' });
        assertError(answer, 404);
        assert.equal(answer.json.error.code, 'call_id_not_found');
    });

    await t.test('another origin is refused, the same is not', async (t) => {
        const { port } = stack.nginx;
        const answer = await refused({ port, headers: { Origin: 'https://evil.example' } });
        assert.equal(answer.status, 403);
        const client = await stack.connect(t,
            { headers: { Origin: `http://127.0.0.1:${port}` } });
        await client.next('session.created');
    });

    await t.test('a session without a policy is 403', async () => {
        const upgrade = { VOICE_STREAM: '1', VOICE_PROTOCOL: '1', VOICE_REQUEST_ID: 'r',
            HTTP_UPGRADE: 'websocket', HTTP_CONNECTION: 'Upgrade' };
        const answer = await fastcgiRequest(stack.voiced.socket,
            paramsOf('GET', '/v1/realtime?model=gpt-realtime', upgrade), { stdin: false });
        assert.equal(answer.status, 403);
    });

    await t.test('a policy that is no policy is refused', async () => {
        const upgrade = { VOICE_STREAM: '1', VOICE_PROTOCOL: '1', VOICE_REQUEST_ID: 'r',
            VOICE_POLICY: '{"v":1,' };
        const answer = await fastcgiRequest(stack.voiced.socket,
            paramsOf('GET', '/v1/realtime?model=gpt-realtime', upgrade), { stdin: false });
        assert.ok(answer.status >= 400, `${answer.status}`);
    });
});

test('HTTP routes demand the key under auth keys', async (t) => {
    const stack = await startStack(t, { voiced: { auth: 'keys', keys: ['app'] } });
    assert.equal((await stack.request('/health')).status, 200);
    assertError(await stack.request('/v1/events?wait=0'), 401);
    const answer = await stack.request('/v1/events?wait=0',
        { headers: { Authorization: `Bearer ${stack.voiced.keys.app}` } });
    assert.notEqual(answer.status, 401);
});

test('R1.3 until voiced is there every answer says so', async (t) => {
    const nginx = await Nginx.start(t, { http: ({ port, dir }) => `
        upstream voice { server unix:${dir}/nobody.sock; }
        server {
            listen 127.0.0.1:${port};
            voice_model gpt-realtime;
            location = /v1/realtime { voice_pass voice; }
        }` });
    assert.equal((await refused({ port: nginx.port })).status, 502);
});

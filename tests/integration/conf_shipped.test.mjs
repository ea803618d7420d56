// SPDX-License-Identifier: BSD-2-Clause
//
// The shipped conf/nginx.conf as it stands, with nothing but its addresses
// and paths put in place.

import assert from 'node:assert/strict';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { attached, callOf, offer } from './lib/calls.mjs';
import { Client, request } from './lib/client.mjs';
import { conf, loadModule } from './lib/paths.mjs';
import { Nginx } from './lib/nginx.mjs';
import { Upstream } from './lib/upstream.mjs';
import { Voiced } from './lib/voiced.mjs';

function shippedText(socket) {
    return ({ dir, port, tlsPort, certs }) => {
        for (const name of ['voice.conf', 'voice_params']) {
            cpSync(join(conf, name), join(dir, name));
        }
        for (const name of ['fastcgi_params', 'mime.types']) {
            cpSync(join('/etc/nginx', name), join(dir, name));
        }
        return `daemon off;\n${process.getuid() === 0 ? 'user root;' : ''}\n` +
            readFileSync(join(conf, 'nginx.conf'), 'utf8')
                .replaceAll('/run/voiced/voiced.sock', socket)
                .replace(/^load_module .*$/m, loadModule)
                .replaceAll('8080', port).replaceAll('8443', tlsPort)
                .replaceAll('logs/', '')
                .replace('cert.pem', certs.certPath).replace('key.pem', certs.keyPath);
    };
}

test('conf/nginx.conf passes nginx -t and serves', async (t) => {
    const voiced = await Voiced.start(t);
    const nginx = await Nginx.prepare({ config: shippedText(voiced.socket) });
    const checked = await nginx.test();
    assert.equal(checked.code, 0, checked.stderr);
    assert.doesNotMatch(checked.stderr, /\[warn\]/);

    const running = await Nginx.start(t, { config: shippedText(voiced.socket) });
    assert.equal((await request(running.port, '/health')).status, 200);
    assert.equal((await request(running.tlsPort, '/health/ready',
        { tls: { ca: running.certs.ca } })).status, 200);
    const client = await Client.connect(t, { port: running.tlsPort,
        tls: { ca: running.certs.ca } });
    await client.next('session.created');
    await client.close();
    await running.accessLine(/session=sess_\w+ code=1000/);
});

test('conf/voice.conf leads offers and secrets to voiced', async (t) => {
    const up = await Upstream.start(t);
    const origin = 'https://app.example';
    const voiced = await Voiced.start(t, up.voiced({
        settings: { auth: { mode: 'none', cors_origins: [origin] } } }));
    const nginx = await Nginx.start(t, { config: shippedText(voiced.socket) });
    const ask = (path, headers, body, method = 'POST') => request(nginx.port, path, { method, body,
        headers: { origin, ...headers, ...(body && { 'content-length': Buffer.byteLength(body) }) } });
    const isCall = async (answer, path) => {
        assert.equal(answer.status, 201, `${path}: ${answer.text}`);
        assert.match(answer.headers.location, /^\/v1\/realtime\/calls\/rtc_/);
        assert.equal(answer.headers['access-control-allow-origin'], origin);
        assert.match(answer.headers['access-control-expose-headers'], /Location, X-Call-Id/);
        await attached(up, callOf(answer));
        assert.equal((await ask(`${answer.headers.location}/hangup`, {})).status, 200);
    };

    for (const path of ['/v1/realtime/calls', '/v1/realtime', '/v1/realtime/', '/realtime',
        '/realtime/']) {
        await isCall(await ask(`${path}?model=gpt-realtime`, { 'content-type': 'application/sdp' },
            offer), path);
        const preflight = await ask(path, { 'access-control-request-method': 'POST' }, '', 'OPTIONS');
        assert.equal(preflight.status, 204, path);
        assert.match(preflight.headers['access-control-allow-methods'], /POST/);
    }
    const part = (name, text) => `--b\r\ncontent-disposition: form-data; name="${name}"` +
        `\r\n\r\n${text}\r\n`;
    await isCall(await ask('/v1/realtime/calls', { 'content-type': 'multipart/form-data; boundary=b' },
        part('sdp', offer) + part('session', '{"type":"realtime","model":"gpt-realtime"}') +
        '--b--\r\n'), 'a form');
    for (const path of ['client_secrets', 'sessions', 'transcription_sessions']) {
        const minted = await ask(`/v1/realtime/${path}`, { 'content-type': 'application/json' },
            path === 'client_secrets' ? '{"session":{"type":"realtime","model":"gpt-realtime"}}'
                : '{"model":"gpt-realtime"}');
        assert.equal(minted.status, 200, `${path}: ${minted.text}`);
        assert.match(minted.text, /"ek_/);
        assert.doesNotMatch(minted.text, /\.\d*(0{6}|9{6})/, 'numbers are as they were written');
        assert.doesNotMatch(minted.text, /Answer spoken/, 'what the offline model is told');
    }
});

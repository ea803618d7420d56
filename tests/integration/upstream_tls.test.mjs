// SPDX-License-Identifier: BSD-2-Clause
//
// The way to an upstream: TLS whose certificate is verified by name, date and
// issuer, an HTTP proxy, IPv6. The upstream is a second stack of ours, or a
// scripted one where something has to be counted.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import test from 'node:test';
import { Certs } from './lib/certs.mjs';
import { assertSpoken } from './lib/expect.mjs';
import { Proxy } from './lib/proxy.mjs';
import { startRemoteStack } from './lib/remote.mjs';
import { until } from './lib/process.mjs';
import { protect } from './lib/secrets.mjs';
import { startLocalStack } from './lib/stack.mjs';
import { Upstream } from './lib/upstream.mjs';

const noWarm = { settings: { warm: { links: 0 } } };

async function assertWorks(t, stack) {
    const client = await stack.connect(t);
    await client.next('session.created');
    client.sayText('What is seven plus five?');
    assert.match(assertSpoken(client, await client.respond()), /twelve|12|seven/i);
    await client.close();
}

// The session's error code; the client is told in the API's shape.
async function refusedWith(t, stack) {
    const client = await stack.connect(t, { checked: 'loose' });
    const { code } = await client.waitClosed(20000);
    assert.equal(code, 1011);
    assert.deepEqual(client.types(), ['error']);
    return client.events[0].error.code;
}

const innerSessions = (stack) => stack.inner.voiced.summaries().length;

test('a second stack of ours over TLS', async (t) => {
    for (const http2 of [false, true]) {
        await t.test(`with the right authority${http2 ? ', HTTP/2 on the same port' : ''}`,
            async (t) => {
                const stack = await startRemoteStack(t, { inner: { http2 }, voiced: noWarm });
                await assertWorks(t, stack);
                await stack.inner.nginx.accessLine(/GET \/v1\/realtime 101/);
            });
    }
    for (const [cert, why] of [['wrongName', /subject name/], ['expired', /expired/],
        ['unknown', /issuer/]]) {
        await t.test(`is refused when its certificate is ${cert}`, async (t) => {
            const stack = await startRemoteStack(t, { inner: { cert },
                voiced: noWarm });
            assert.equal(await refusedWith(t, stack), 'upstream_unavailable');
            assert.equal(innerSessions(stack), 0);
            assert.match(stack.voiced.log(), /why="TLS fails/);
            assert.match(stack.voiced.log(), why);
        });
    }
    await t.test('is refused when only the system\'s authorities are known', async (t) => {
        const stack = await startRemoteStack(t, { upstream: { ca_file: '' }, voiced: noWarm });
        assert.equal(await refusedWith(t, stack), 'upstream_unavailable');
        assert.equal(innerSessions(stack), 0);
    });
    await t.test('is let in when the system\'s are told to hold ours', async (t) => {
        const stack = await startRemoteStack(t, { upstream: { ca_file: '' },
            voiced: { ...noWarm, env: { SSL_CERT_FILE: Certs.get().caPath } } });
        await assertWorks(t, stack);
    });
    await t.test('is refused when the file of authorities is none', async (t) => {
        const stack = await startRemoteStack(t, { voiced: noWarm,
            upstream: { ca_file: Certs.get().keyPath } });
        assert.equal(await refusedWith(t, stack), 'upstream_unavailable');
        assert.equal(innerSessions(stack), 0);
    });
});

test('TLS where there is none, none where there is', async (t) => {
    const plain = await Upstream.start(t, { tls: false });
    const safe = await Upstream.start(t);
    for (const [up, url] of [[plain, plain.url('wss')], [safe, safe.url('ws')]]) {
        const stack = await startLocalStack(t, { policy: '', voiced: up.voiced({
            upstream: { url, ca_file: up.certs.caPath } }) });
        assert.equal(await refusedWith(t, stack), 'upstream_unavailable');
        assert.equal(up.connections.length, 0);
    }
});

test('a TLS session is resumed, HTTP/1.1 agreed on', async (t) => {
    const up = await Upstream.start(t);
    const stack = await startLocalStack(t, { voiced: up.voiced() });
    for (let i = 0; i < 8; i++) {
        await assertWorks(t, stack);
    }
    assert.equal(up.handshakes, 8);
    assert.ok(up.resumed > 0, 'a session that was resumed');
    assert.deepEqual(new Set(up.protocols), new Set(['http/1.1']));
});

test('through a proxy', async (t) => {
    await t.test('with a password', async (t) => {
        const password = protect('a-password of the proxy/@:');
        const proxy = await Proxy.start(t, { auth: `some one:${password}` });
        const stack = await startRemoteStack(t, { voiced: noWarm, upstream: {
            proxy: `http://some%20one:${encodeURIComponent(password)}@127.0.0.1:${proxy.port}` } });
        await assertWorks(t, stack);
        assert.deepEqual(proxy.connects.map(({ host, status }) => ({ host, status })),
            [{ host: `localhost:${stack.inner.nginx.tlsPort}`, status: 200 }]);
        assert.equal(proxy.requests, 0);

        proxy.refuse(407);
        assert.equal(await refusedWith(t, stack), 'upstream_unavailable');
        proxy.refuse(502);
        assert.equal(await refusedWith(t, stack), 'upstream_unavailable');
        proxy.accept();
        await assertWorks(t, stack);
        await until(() => innerSessions(stack) === 2, 'two sessions of the inner stack');
    });

    await t.test('without one, to an upstream without TLS', async (t) => {
        const proxy = await Proxy.start(t);
        const up = await Upstream.start(t, { tls: false });
        const stack = await startLocalStack(t, { voiced: up.voiced({
            upstream: { proxy: proxy.url } }) });
        await assertWorks(t, stack);
        assert.deepEqual(proxy.connects.map((each) => [each.host, each.authorization]),
            [[`127.0.0.1:${up.port}`, undefined]]);
    });

    await t.test('that asks for one, never answers, or is not there', async (t) => {
        const asking = await Proxy.start(t, { auth: 'a:b' });
        const mute = await Proxy.start(t, { mute: true });
        const gone = await Proxy.start(t);
        await gone.stop();
        const up = await Upstream.start(t);
        for (const [proxy, code] of [[asking, 'upstream_unavailable'], [mute, 'upstream_timeout'],
            [gone, 'upstream_unavailable']]) {
            const stack = await startLocalStack(t, { voiced: up.voiced({
                upstream: { proxy: proxy.plainUrl, connect_timeout: '1s' } }) });
            assert.equal(await refusedWith(t, stack), code);
        }
        assert.equal(up.sockets, 0);
    });

    await t.test('and no certificate of a proxy counts for the upstream', async (t) => {
        const proxy = await Proxy.start(t);
        const stack = await startRemoteStack(t, { inner: { cert: 'wrongName' }, voiced: noWarm,
            upstream: { proxy: proxy.url } });
        assert.equal(await refusedWith(t, stack), 'upstream_unavailable');
        assert.equal(proxy.connects.length, 1);
    });
});

test('names and addresses', async (t) => {
    await t.test('IPv6', async (t) => {
        if (!await canListen('::1')) {
            t.diagnostic('this host has no ::1');
            return;
        }
        const up = await Upstream.start(t, { host: '::1' });
        const stack = await startLocalStack(t, { voiced: up.voiced() });
        await assertWorks(t, stack);
        const [{ headers }] = up.requests;
        assert.equal(headers.host, `[::1]:${up.port}`);
    });

    await t.test('a name that nobody has', async (t) => {
        const up = await Upstream.start(t);
        const stack = await startLocalStack(t, { voiced: up.voiced({
            upstream: { url: 'wss://nowhere.invalid/v1/realtime' } }) });
        assert.equal(await refusedWith(t, stack), 'upstream_unavailable');
    });
});

test('the environment\'s proxies do not count', async (t) => {
    const proxy = await Proxy.start(t);
    const up = await Upstream.start(t);
    const env = Object.fromEntries(['http_proxy', 'https_proxy', 'HTTPS_PROXY', 'ALL_PROXY']
        .map((name) => [name, proxy.url]));
    const stack = await startLocalStack(t, { voiced: up.voiced({ env }) });
    await assertWorks(t, stack);
    assert.deepEqual(proxy.connects, []);
});

function canListen(host) {
    return new Promise((done) => {
        const server = createServer();
        server.once('error', () => done(false));
        server.listen(0, host, () => server.close(() => done(true)));
    });
}

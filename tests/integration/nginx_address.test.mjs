// SPDX-License-Identifier: BSD-2-Clause
//
// Whose address a session has: the PROXY protocol and ngx_http_realip, in the
// parameters of voiced, in the log, and in what allow, limit_conn and map go
// by.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FastcgiPeer } from './lib/fastcgi_peer.mjs';
import { startModule } from './lib/module_kit.mjs';
import { ask, logOf, roundTrip, startEcho } from './lib/nginx_kit.mjs';
import { Nginx } from './lib/nginx.mjs';
import { RawClient, TEXT, masked } from './lib/ws_raw.mjs';

const proxied = (address, port = 40000) =>
    Buffer.from(`PROXY TCP4 ${address} 192.0.2.1 ${port} 443\r\n`);

// Version 2: signature, version and command, family, length, addresses, ports.
function proxiedV2(address, port) {
    const head = Buffer.from('0d0a0d0a000d0a515549540a2111000c', 'hex');
    const body = Buffer.alloc(12);
    Buffer.from(address.split('.').map(Number)).copy(body);
    Buffer.from([192, 0, 2, 1]).copy(body, 4);
    body.writeUInt16BE(port, 8);
    body.writeUInt16BE(443, 10);
    return Buffer.concat([head, body]);
}

test('R6.1 listen proxy_protocol with realip', async (t) => {
    const { nginx, port, tlsPort, ca } = await startEcho(t, { listen: 'proxy_protocol',
        server: 'set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;' });
    const kinds = [
        ['plain', port, {}, proxied('198.51.100.1'), '198.51.100.1'],
        ['version 2', port, {}, proxiedV2('198.51.100.2', 40000), '198.51.100.2'],
        ['over TLS', tlsPort, { ca }, proxied('198.51.100.3'), '198.51.100.3'],
        ['unknown', port, {}, Buffer.from('PROXY UNKNOWN\r\n'), '127.0.0.1'],
    ];
    for (const [name, to, options, prefix, address] of kinds) {
        await t.test(name, async () => {
            const client = await RawClient.open(to, { ...options, prefix });
            await roundTrip(client, TEXT, 'hello');
            await client.close();
            const line = await logOf(nginx, { remote_addr: address });
            assert.deepEqual([line.status, line.voice_close_code], ['101', '1000']);
        });
    }
    await t.test('its line, the handshake and a frame in one segment', async () => {
        const client = await RawClient.open(port, { prefix: proxied('198.51.100.4'),
            early: masked(TEXT, 'early') });
        assert.equal((await client.next()).data.toString(), 'early');
        await client.close();
        await logOf(nginx, { remote_addr: '198.51.100.4', voice_messages_up: '1' });
    });
    await t.test('a connection without it gets no session', async () => {
        const client = await RawClient.connect(port);
        const answer = await client.handshake().catch(() => ({ status: 0 }));
        assert.equal(answer.status, 0);
        client.destroy();
    });
});

test('R6.1 what voiced gets is the real address', async (t) => {
    const { peer, nginx, port } = await startModule(t, { server: `
        set_real_ip_from 127.0.0.0/8; real_ip_header X-Forwarded-For; real_ip_recursive on;
        location = /forwarded { voice_pass voice;
            voice_param HTTP_X_FORWARDED_FOR $proxy_add_x_forwarded_for;
            voice_param REAL $realip_remote_addr; }` });
    const table = [
        ['203.0.113.7', '203.0.113.7'],
        ['203.0.113.1, 203.0.113.8, 127.0.0.9', '203.0.113.8'],
        ['2001:db8::7', '2001:db8::7'],
        ['nonsense', '127.0.0.1'],
    ];
    for (const [header, address] of table) {
        const client = await RawClient.open(port, { path: '/forwarded',
            headers: { 'X-Forwarded-For': header } });
        const { params } = await peer.session();
        assert.equal(params.REMOTE_ADDR, address, header);
        assert.equal(params.HTTP_X_FORWARDED_FOR, `${header}, ${address}`);
        assert.equal(params.REAL, '127.0.0.1');
        assert.match(params.REMOTE_PORT, address === '127.0.0.1' ? /^\d{4,5}$/ : /^$/);
        await client.close();
    }
    await nginx.accessLine(/\/forwarded 101/);
});

test('R6.1 the PROXY protocol: what voiced gets', async (t) => {
    const peer = await FastcgiPeer.start(t);
    const nginx = await Nginx.start(t, { http: ({ port }) => `
        upstream voice { server unix:${peer.socket}; }
        server {
            listen 127.0.0.1:${port} proxy_protocol;
            set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;
            location = /v1/realtime { voice_pass voice;
                voice_param SEEN "$proxy_protocol_addr $proxy_protocol_server_port"; }
        }` });
    const client = await RawClient.open(nginx.port, { prefix: proxied('198.51.100.1', 40123) });
    const { params } = await peer.session();
    assert.deepEqual([params.REMOTE_ADDR, params.REMOTE_PORT, params.SEEN],
        ['198.51.100.1', '40123', '198.51.100.1 443']);
    await client.close();
});

test('R6.1 allow and deny go by the real address', async (t) => {
    const { port } = await startEcho(t, { server: `
        set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;`,
    location: 'allow 203.0.113.0/24; deny all;' });
    const from = async (address) => (await ask(port,
        { headers: { 'X-Forwarded-For': address } })).status;
    assert.equal(await from('203.0.113.9'), 101);
    assert.equal(await from('203.0.114.9'), 403);
});

test('R6.1 a listening unix socket', async (t) => {
    const peer = await FastcgiPeer.start(t);
    const nginx = await Nginx.start(t, { http: ({ port, dir }) => `
        upstream voice { server unix:${peer.socket}; }
        server {
            listen 127.0.0.1:${port};
            listen unix:${dir}/http;
            set_real_ip_from unix:; real_ip_header X-Real;
            location = /v1/realtime { voice_pass voice; }
        }` });
    for (const [headers, address] of [[{}, 'unix:'], [{ 'X-Real': '203.0.113.4' },
        '203.0.113.4']]) {
        const client = await RawClient.open(`${nginx.dir}/http`, { headers });
        const { params } = await peer.session();
        assert.deepEqual([params.REMOTE_ADDR, params.REMOTE_PORT], [address, '']);
        await roundTrip(client, TEXT, 'hello');
        await client.close();
    }
});

test('R6.1 behind another nginx', async (t) => {
    const { nginx, port } = await startEcho(t, {
        server: ({ port }) => `
        set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;
        location = /front {
            proxy_pass http://127.0.0.1:${port}/v1/realtime;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For 198.51.100.9;
        }
        location = /forgetful {
            proxy_pass http://127.0.0.1:${port}/v1/realtime;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }` });
    const headers = { Origin: 'https://voice.example' };
    const client = await RawClient.open(port, { path: '/front', host: 'voice.example', headers,
        early: masked(TEXT, 'early') });
    assert.equal((await client.next()).data.toString(), 'early');
    await roundTrip(client, TEXT, 'x'.repeat(200000));
    await client.close();
    const line = await logOf(nginx, { uri: '/v1/realtime', remote_addr: '198.51.100.9' });
    assert.deepEqual([line.voice_close_code, line.voice_messages_up], ['1000', '2']);
    // the Host of the page is lost on the way: no origin is the same
    const lost = await ask(port, { path: '/forgetful', host: 'voice.example', headers });
    assert.equal(lost.status, 403);
});

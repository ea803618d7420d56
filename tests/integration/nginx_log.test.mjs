// SPDX-License-Identifier: BSD-2-Clause
//
// What a session leaves in the access log, with every variable; maps and
// headers of the 101 that are made of them.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { FastcgiPeer } from './lib/fastcgi_peer.mjs';
import { startModule } from './lib/module_kit.mjs';
import { Nginx } from './lib/nginx.mjs';
import { ask, logOf, roundTrip, startEcho } from './lib/nginx_kit.mjs';
import { sleep, until, within } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';
import { BINARY, PONG, RawClient, TEXT, frame, handshakeText,
    masked } from './lib/ws_raw.mjs';

// The client's side of a connection, counted.
function counted(client) {
    const count = { bytes: 0 };
    client.socket.on('data', (data) => { count.bytes += data.length; });
    return count;
}

test('R6.1 the line of a session, written at its end', async (t) => {
    const { nginx, voiced, port } = await startEcho(t, { location: 'voice_ping_interval 100ms;' });
    const client = await RawClient.connect(port);
    const received = counted(client);
    const { headers } = await client.handshake();
    const started = performance.now();
    const sizes = [0, 1, 125, 126, 65535, 65536, 200000];
    for (const size of sizes) {
        await roundTrip(client, BINARY, randomBytes(size));
    }
    for (let pings = 0; pings < 2;) {
        const event = await client.next();
        if (event.type === 'ping') {
            await client.send(PONG, event.data);
            pings++;
        }
    }
    await sleep(300);
    assert.deepEqual(nginx.accessLog(), [], 'nothing before the end');
    await client.send(8, frame(8, '').subarray(2));
    await within(client.gone, 10000);
    const seconds = (performance.now() - started) / 1000;

    const line = await logOf(nginx, { uri: '/v1/realtime' });
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const expected = { status: '101', request_method: 'GET', remote_addr: '127.0.0.1',
        voice_session_id: headers['x-voice-session'], voice_close_code: '1005',
        voice_close_reason: '-', voice_messages_up: `${sizes.length}`,
        voice_messages_down: `${sizes.length}`, voice_bytes_up: `${total}`,
        voice_bytes_down: `${total}`, upstream_addr: `unix:${voiced.socket}`,
        upstream_status: '101', bytes_sent: `${received.bytes}`,
        request_length: `${handshakeText().length}` };
    for (const [name, value] of Object.entries(expected)) {
        assert.equal(line[name], value, name);
    }
    assert.match(line.voice_rtt, /^0\.\d{6}$/);
    assert.match(line.voice_stall_time, /^\d+\.\d{3}$/);
    const time = Number(line.request_time);
    assert.ok(time > 0.3 && time <= seconds + 0.1, `${time} of ${seconds} s`);
    assert.ok(Math.abs(Number(line.upstream_response_time) - time) < 0.1);
    assert.ok(Number(line.upstream_header_time) <= time);
    assert.ok(Number(line.upstream_bytes_received) > total);
    assert.ok(Number(line.upstream_bytes_sent) > total);
    assert.equal(line.body_bytes_sent, `${received.bytes - headerBytes(headers)}`);
});

// Of the 101 as it came: the status line, a line a header, the empty one.
function headerBytes(headers) {
    return 'HTTP/1.1 101 Switching Protocols\r\n\r\n'.length + Object.entries(headers)
        .reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);
}

test('R6.1 the close code and reason of every kind of end', async (t) => {
    const handler = async (s) => {
        s.accept();
        for (;;) {
            const event = await s.next();
            if (event.type === 'message' && event.data.toString() === 'close') {
                s.close(4001, 'upstream "says" so\n');
                return;
            }
            if (event.type === 'message' && event.data.toString() === 'die') {
                s.destroy();
                return;
            }
            if (event.type === 'close' || event.type === 'abort') {
                s.end();
                return;
            }
        }
    };
    const peer = await FastcgiPeer.start(t, handler);
    const nginx = await Nginx.start(t, { http: ({ port, accessLogPath }) => `
        log_format code 'code=$voice_close_code reason=$voice_close_reason status=$status';
        access_log ${accessLogPath} code;
        upstream voice { server unix:${peer.socket}; }
        server { listen 127.0.0.1:${port};
            location = /v1/realtime { voice_pass voice; voice_max_message_size 100; }
            location = /max { voice_pass voice; voice_max_session 200ms; } }` });
    // two logs write each line: ours and the one of the test's nginx
    const lines = () => nginx.accessLog().filter((line) => /^code/.test(line));
    const table = [
        ['1000', '-', (c) => c.close(1000)],
        ['1001', 'gone', (c) => c.close(1001, 'gone')],
        ['1005', '-', (c) => c.close(1005)],
        ['4999', 'é'.repeat(61), (c) => c.close(4999, 'é'.repeat(61))],
        ['1006', '-', (c) => c.destroy()],
        ['1006', '-', (c) => c.socket.resetAndDestroy()],
        ['1002', 'protocol error', (c) => c.write(frame(TEXT, 'no mask'))],
        ['1002', 'invalid close frame', (c) => c.send(8, Buffer.from([3]))],
        ['1007', 'text is not UTF-8', (c) => c.send(TEXT, Buffer.from([0xff]))],
        ['1009', 'message too big', (c) => c.send(TEXT, 'x'.repeat(101))],
        ['4001', 'upstream \\x22says\\x22 so\\x0A', (c) => c.send(TEXT, 'close')],
        ['1011', 'upstream lost', (c) => c.send(TEXT, 'die')],
        ['1001', 'session time limit', () => {}, '/max'],
    ];
    for (const [code, reason, act, path = '/v1/realtime'] of table) {
        const before = lines().length;
        const client = await RawClient.open(nginx.port, { path });
        await act(client);
        client.socket.resume();
        if (/^(1002|1007|1009|4001|1011)$/.test(code) || path === '/max') {
            const close = await client.untilClose();
            assert.equal(`${close.code}`, code);
            client.send(8, close.data);
        }
        assert.equal(await until(() => lines()[before], 'the line'), `code=${code} ` +
            `reason=${escaped(reason)} status=101`);
        client.destroy();
    }
});

// As nginx escapes in its log: bytes above 126 too.
const escaped = (text) => [...Buffer.from(text)].map((byte) => (byte > 126
    ? `\\x${byte.toString(16).toUpperCase()}` : String.fromCharCode(byte))).join('');

test('R6.1 maps and conditions made of the variables', async (t) => {
    const { nginx, port } = await startEcho(t, {
        http: `map $voice_close_code $outcome { default odd; "" refused; 1000 fine; 1006 lost; }
            map $voice_messages_up $worth { default 1; "" 0; 0 0; }
            log_format outcome 'outcome=$outcome worth=$worth';`,
        server: ({ accessLogPath }) => `access_log ${accessLogPath} outcome if=$worth;
            add_header X-Outcome $outcome always;` });
    const quiet = await RawClient.open(port);
    await quiet.close();
    assert.equal((await ask(port, { headers: { Origin: 'null' } })).headers['x-outcome'],
        'refused');
    const client = await RawClient.open(port);
    await roundTrip(client, TEXT, 'hello');
    await client.close();
    await nginx.accessLine(/^outcome=\w+ worth=1$/);
    assert.equal(nginx.accessLog().filter((line) => /^outcome/.test(line)).length, 1);
    const lost = await RawClient.open(port);
    await roundTrip(lost, TEXT, 'hello');
    lost.destroy();
    await logOf(nginx, { voice_close_code: '1006' });
});

test('R6.1 the variables outside of a session', async (t) => {
    const names = ['session_id', 'close_code', 'close_reason', 'messages_up', 'messages_down',
        'bytes_up', 'bytes_down', 'rtt', 'stall_time'];
    const nginx = await Nginx.start(t, { http: ({ port }) => `server {
        listen 127.0.0.1:${port};
        location = / { return 200 "${names.map((name) => `[$voice_${name}]`).join('')}"; }
        location = /policy { voice_model m; return 200 "$voice_policy"; } }` });
    assert.equal((await ask(nginx.port, { path: '/' })).body, '[]'.repeat(names.length));
    assert.equal(JSON.parse((await ask(nginx.port, { path: '/policy' })).body).model, 'm');
});

test('R6.1 add_header and server_tokens on the 101', async (t) => {
    const { peer, port } = await startModule(t, { directives: `
        add_header X-Always "$voice_session_id $arg_q" always;
        add_header X-Usual never;
        server_tokens off;` });
    const client = await RawClient.connect(port);
    const { headers } = await client.handshake({ path: '/v1/realtime?q=7' });
    assert.equal(headers['x-always'], 'sess_test 7');
    assert.equal(headers['x-usual'], undefined, 'add_header without always: not for a 101');
    assert.equal(headers.server, 'nginx');
    await client.close();
    assert.match((await peer.session()).params.SERVER_SOFTWARE, /^nginx\/[\d.]+$/);
});

test('R6.1 nothing secret is logged', async (t) => {
    const { nginx, port } = await startEcho(t, { nginx: { level: 'info' },
        http: ({ accessLogPath }) => `log_format uri '$uri $status';
            access_log ${accessLogPath} uri;` });
    const client = await RawClient.connect(port);
    await client.handshake({ headers: { Authorization: 'Bearer vk_secret',
        'Sec-WebSocket-Protocol': 'realtime, openai-insecure-api-key.vk_secret' } });
    await client.send(TEXT, 'vk_secret said');
    await client.next();
    await client.write(masked(TEXT, 'vk_secret', { rsv: 4 }));
    assert.equal((await client.untilClose()).code, 1002);
    client.destroy();
    await logOf(nginx, { voice_close_code: '1002' });
    assert.doesNotMatch(nginx.errorLog() + nginx.accessLog().join('\n'), /vk_secret/);
});

test('R6.1 a conversation in the log of conf/nginx.conf', async (t) => {
    const stack = await startStack(t, { policy: `voice_model gpt-realtime;
        voice_ping_interval 100ms;` });
    const client = await stack.connect(t, {});
    await client.next('session.created');
    client.sayText('hello');
    await client.respond({ output_modalities: ['text'] });
    await sleep(250);
    await client.close();
    const line = await stack.nginx.accessLine(/ code=1000 /);
    const summary = await stack.voiced.summary(client.sessionId);
    const [, upMessages, upBytes] = /up=(\d+)\/(\d+)/.exec(line);
    const [, downMessages, downBytes] = /down=(\d+)\/(\d+)/.exec(line);
    assert.deepEqual([upMessages, upBytes, downMessages, downBytes].map(Number),
        [summary.up_messages, summary.up_bytes, summary.down_messages, summary.down_bytes],
        'nginx and voiced count the same');
    assert.match(line, new RegExp(`session=${client.sessionId} `));
    const rtt = Math.round(Number(/rtt=([\d.]+)/.exec(line)[1]) * 1e6);
    assert.equal(summary.rtt_us, rtt, 'voiced knows the same round trip');
});

// SPDX-License-Identifier: BSD-2-Clause
//
// error_page for handshakes that become no session: pages of refusals, and
// somewhere else to go when voiced is not there.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask, logOf, roundTrip, startEcho } from './lib/nginx_kit.mjs';
import { makeDir } from './lib/paths.mjs';
import { defer } from './lib/process.mjs';
import { RawClient, TEXT, handshakeText, masked } from './lib/ws_raw.mjs';

// A peer that takes a connection and never answers.
async function startMute(t) {
    const path = join(makeDir('mute'), 's');
    const server = createServer((socket) => {
        socket.resume();
        socket.on('error', () => {});
    });
    server.listen(path);
    await once(server, 'listening');
    defer(t, () => server.close());
    return path;
}

const pages = { 'denied.html': '<p>denied</p>', 'upgrade.html': '<p>upgrade</p>' };

test('R6.1 error_page for what the handshake refuses', async (t) => {
    const { nginx, port } = await startEcho(t, {
        nginx: { files: pages },
        http: 'limit_conn_zone $binary_remote_addr zone=live:1m;',
        server: ({ dir }) => `root ${dir}; types { text/html html; }
            error_page 403 /denied.html; error_page 426 /upgrade.html;
            error_page 405 =200 @other; error_page 503 = @busy;
            location @other { return 200 "$request_method elsewhere"; }
            location @busy { add_header Retry-After 3 always; return 503 "busy"; }
            location = /realtime { deny all; voice_pass voice; }
            location = /v1/realtime/ { limit_conn live 1; voice_pass voice; }
            location = /plain { error_page 404 /x; voice_pass voice; }` });

    await t.test('403 of an origin, and of deny', async () => {
        for (const options of [{ headers: { Origin: 'http://evil.example' } },
            { path: '/realtime' }]) {
            const { status, headers, body } = await ask(port, options);
            assert.deepEqual([status, headers['content-type'], body],
                [403, 'text/html', '<p>denied</p>']);
        }
    });
    await t.test('426, which still says what it wants', async () => {
        const { status, headers, body } = await ask(port, { headers: { Upgrade: null } });
        assert.deepEqual([status, body], [426, '<p>upgrade</p>']);
        assert.equal(headers.upgrade, 'websocket');
        assert.equal(headers['sec-websocket-version'], '13');
    });
    await t.test('405 that another location answers', async () => {
        const { status, body } = await ask(port, { method: 'POST',
            headers: { Upgrade: null, Connection: 'close', 'Content-Length': '2' },
            early: Buffer.from('{}') });
        assert.deepEqual([status, body], [200, 'POST elsewhere']);
    });
    await t.test('503 of limit_conn', async () => {
        const client = await RawClient.open(port, { path: '/v1/realtime/' });
        const { status, headers, body } = await ask(port, { path: '/v1/realtime/' });
        assert.deepEqual([status, headers['retry-after'], body], [503, '3', 'busy']);
        await client.close();
    });
    await t.test('our own answer where there is no page', async () => {
        const { status, body } = await ask(port, { path: '/plain',
            headers: { Origin: 'http://evil.example' } });
        assert.equal(status, 403);
        assert.equal(JSON.parse(body).error.code, 'websocket_handshake');
    });
    await t.test('the connection is kept, and the next handshake is one', async () => {
        const client = await RawClient.connect(port);
        const refused = await client.handshake(
            { text: handshakeText({ headers: { Origin: 'null' } }) });
        assert.deepEqual([refused.status, refused.body], [403, '<p>denied</p>']);
        assert.equal((await client.handshake()).status, 101);
        await roundTrip(client, TEXT, 'hello');
        await client.close();
        await logOf(nginx, { connection_requests: '2', status: '101' });
    });
});

test('R6.1 error_page 502 504: somewhere else to go', async (t) => {
    const mute = await startMute(t);
    const { nginx, port, voiced } = await startEcho(t, {
        http: `upstream dead { server unix:/nonexistent; }
            upstream mute { server unix:${mute}; }`,
        server: `
            location = /502 { voice_pass dead; error_page 502 504 = @sorry; }
            location = /504 { voice_pass mute; voice_read_timeout 200ms;
                error_page 502 504 = @sorry; }
            location @sorry { default_type text/plain; return 200 "sorry"; }
            location = /realtime { voice_pass dead; error_page 502 504 = @backup; }
            location @backup { voice_pass voice; voice_max_message_size 10; }
            location = /v1/realtime/ { voice_pass dead; error_page 502 @backup; }
            location = /twice { voice_pass dead; error_page 502 = @again; }
            location @again { voice_pass dead; error_page 502 = @sorry; }` });

    await t.test('an ordinary answer', async () => {
        for (const path of ['/502', '/504']) {
            const { status, body } = await ask(port, { path });
            assert.deepEqual([status, body], [200, 'sorry'], path);
        }
        await logOf(nginx, { uri: '/504', status: '200', upstream_status: '504',
            voice_close_code: '-' });
    });
    await t.test('another pool, with the settings of its own location', async () => {
        const client = await RawClient.open(port, { path: '/realtime',
            early: masked(TEXT, 'early') });
        assert.equal((await client.next()).data.toString(), 'early');
        await roundTrip(client, TEXT, 'a session');
        client.send(TEXT, 'more than ten bytes');
        assert.equal((await client.untilClose()).code, 1009);
        client.destroy();
        const line = await logOf(nginx, { uri: '/realtime' });
        assert.deepEqual([line.status, line.voice_close_code, line.voice_messages_up],
            ['101', '1009', '2']);
        assert.equal(line.upstream_addr, `unix:/nonexistent : unix:${voiced.socket}`);
        assert.equal(line.upstream_status, '502 : 101');
    });
    await t.test('another pool, without the "=" that it needs', async () => {
        const { status } = await ask(port, { path: '/v1/realtime/' });
        assert.equal(status, 502);
        assert.match(nginx.errorLog(), /\[error\].*a voice session can't have status 502/);
        assert.equal((await voiced.sessions()).length, 0);
    });
    await t.test('a page of a page is not looked for', async () => {
        const { status } = await ask(port, { path: '/twice' });
        assert.equal(status, 502);
    });
});

test("R6.1 error_page does not touch voiced's own answers", async (t) => {
    const { port } = await startEcho(t, { voiced: { auth: 'keys' }, nginx: { files: pages },
        server: ({ dir }) => `root ${dir}; error_page 401 403 404 /denied.html;` });
    const { status, body } = await ask(port);
    assert.equal(status, 401);
    assert.ok(JSON.parse(body).error.message);
});

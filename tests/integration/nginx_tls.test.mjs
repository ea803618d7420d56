// SPDX-License-Identifier: BSD-2-Clause
//
// Sessions over TLS: nginx's own, with both versions of the protocol, and
// what is particular to it: records that are not messages, close_notify,
// changing keys, certificates of clients.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import { test } from 'node:test';
import { readFileSync } from 'node:fs';
import { FrameReader } from './lib/frames.mjs';
import { startModule } from './lib/module_kit.mjs';
import { logOf, roundTrip, startEcho } from './lib/nginx_kit.mjs';
import { sanitized } from './lib/paths.mjs';
import { rssAnonKb, defer, sleep, until, within } from './lib/process.mjs';
import { BINARY, RawClient, TEXT, closePayload, handshakeText, masked } from './lib/ws_raw.mjs';

const versions = ['TLSv1.2', 'TLSv1.3'];
const only = (version) => ({ minVersion: version, maxVersion: version });

test('R6.1 wss with TLS 1.2 and 1.3', async (t) => {
    const { nginx, tlsPort, ca } = await startEcho(t);
    for (const version of versions) {
        const tls = only(version);

        await t.test(`${version}: large messages both ways`, async () => {
            const client = await RawClient.open(tlsPort, { ca, tls });
            assert.equal(client.socket.getProtocol(), version);
            for (const size of [0, 16383, 16384, 16385, 70000, 1 << 20, 3 << 20]) {
                await roundTrip(client, BINARY, randomBytes(size));
            }
            await client.close();
            const line = await logOf(nginx, { ssl_protocol: version });
            assert.equal(line.voice_close_code, '1000');
        });

        await t.test(`${version}: many small writes`, async () => {
            const client = await RawClient.open(tlsPort, { ca, tls });
            const sums = [createHash('sha1'), createHash('sha1')];
            const total = 3000;
            const writing = (async () => {
                for (let i = 0; i < total; i++) {
                    const data = randomBytes(i % 200);
                    sums[0].update(data);
                    await client.send(BINARY, data); // a TLS record each
                }
            })();
            for (let i = 0; i < total; i++) {
                sums[1].update((await client.next()).data);
            }
            await writing;
            assert.equal(sums[1].digest('hex'), sums[0].digest('hex'));
            await client.dribble(masked(TEXT, 'one byte a TLS record'));
            assert.equal((await client.next()).data.toString(), 'one byte a TLS record');
            await client.close();
        });

        await t.test(`${version}: a resumed TLS session`, async () => {
            const first = await RawClient.connect(tlsPort, { ca, tls });
            const ticket = version === 'TLSv1.2' ? [first.socket.getSession()]
                : once(first.socket, 'session');
            await first.handshake();
            await roundTrip(first, TEXT, 'first');
            const [session] = await ticket;
            await first.close();
            const second = await RawClient.open(tlsPort, { ca, tls: { ...tls, session } });
            assert.ok(second.socket.isSessionReused());
            await roundTrip(second, TEXT, 'second');
            await second.close();
        });
    }
    assert.doesNotMatch(nginx.errorLog(), /\[(error|crit)\]/);
});

test('R6.1 a wss client that stops reading holds no memory and loses nothing', async (t) => {
    const { nginx, tlsPort, ca } = await startEcho(t);
    const [worker] = nginx.workers();
    for (const version of versions) {
        const client = await RawClient.open(tlsPort, { ca, tls: only(version) });
        await roundTrip(client, TEXT, 'awake');
        const before = rssAnonKb(worker);
        client.socket.pause();
        const sum = createHash('sha1');
        for (let i = 0; i < 30; i++) {
            const data = randomBytes(1 << 20);
            sum.update(data);
            client.send(BINARY, data);
        }
        await sleep(500);
        if (!sanitized) {
            assert.ok(rssAnonKb(worker) - before < 500, 'a block each way and TLS buffers');
        }
        client.socket.resume();
        const got = createHash('sha1');
        for (let i = 0; i < 30; i++) {
            got.update((await client.next()).data);
        }
        assert.equal(got.digest('hex'), sum.digest('hex'));
        await client.close();
        const line = await logOf(nginx, { ssl_protocol: version });
        assert.ok(Number(line.voice_stall_time) > 0.2, line.voice_stall_time);
    }
});

// Types and sizes of the TLS records that a server sends, by a relay between.
async function recordsOf(t, port) {
    const records = [];
    const server = createServer((near) => {
        const far = createConnection(port, '127.0.0.1');
        let held = Buffer.alloc(0);
        near.pipe(far);
        far.on('data', (data) => {
            near.write(data);
            held = Buffer.concat([held, data]);
            while (held.length >= 5 && held.length >= 5 + held.readUInt16BE(3)) {
                records.push({ type: held[0], bytes: held.readUInt16BE(3) });
                held = held.subarray(5 + held.readUInt16BE(3));
            }
        });
        far.on('end', () => { records.push({ type: 'fin' }); near.end(); });
        near.on('error', () => far.destroy());
        far.on('error', () => near.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    defer(t, () => server.close());
    return { records, port: server.address().port };
}

// In TLS 1.2 the type of a record is in the clear: 23 data, 21 alert.
test('R6.1 the Close frame, then close_notify, then the end of TCP', async (t) => {
    const { tlsPort, ca } = await startEcho(t, { server: `
        location = /realtime { voice_pass voice; voice_max_session 300ms; }` });
    const tls = only('TLSv1.2');
    for (const who of ['client', 'server']) {
        const { records, port } = await recordsOf(t, tlsPort);
        const client = await RawClient.open(port, { ca, tls,
            path: who === 'client' ? '/v1/realtime' : '/realtime' });
        if (who === 'client') {
            await roundTrip(client, TEXT, 'hello');
            await client.close(1000);
        } else {
            const close = await client.untilClose();
            assert.equal(close.code, 1001);
            await client.send(8, close.data);
            await within(client.gone, 5000);
        }
        assert.equal(client.error, undefined, 'no reset');
        await until(() => records.at(-1)?.type === 'fin', 'the end');
        assert.deepEqual(records.slice(-3).map((r) => r.type), [23, 21, 'fin'], who);
    }
});

test('R6.1 a wss client that ends TLS without a Close frame is 1006', async (t) => {
    const { nginx, tlsPort, ca } = await startEcho(t);
    for (const version of versions) {
        const client = await RawClient.open(tlsPort, { ca, tls: only(version) });
        await roundTrip(client, TEXT, 'hello');
        client.socket.end(); // close_notify and FIN
        await within(client.gone, 10000);
        const line = await logOf(nginx, { ssl_protocol: version });
        assert.deepEqual([line.status, line.voice_close_code, line.voice_messages_up],
            ['101', '1006', '1']);
    }
    assert.doesNotMatch(nginx.errorLog(), /\[(error|crit)\]/);
});

// Only openssl's own client changes keys when told to: a line "K" asks the
// other side to change them too.
test('R6.1 a session survives a change of keys in TLS 1.3', async (t) => {
    const { nginx, tlsPort } = await startEcho(t);
    const client = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${tlsPort}`, '-tls1_3',
        '-CAfile', nginx.certs.caPath, '-servername', 'localhost', '-no_ign_eof'],
    { stdio: 'pipe' });
    defer(t, () => client.kill('SIGKILL'));
    let [out, log] = [Buffer.alloc(0), ''];
    client.stdout.on('data', (data) => { out = Buffer.concat([out, data]); });
    client.stderr.on('data', (data) => { log += data; });
    await until(() => /Verify return code/.test(out.toString('latin1')), 'TLS');
    client.stdin.write(handshakeText());
    const start = await until(() => {
        const at = out.indexOf('HTTP/1.1 101');
        return at >= 0 && out.indexOf('\r\n\r\n', at) + 4;
    }, 'the 101');
    const events = [];
    const reader = new FrameReader((event) => events.push(event));
    let read = start;
    const answered = (text) => until(() => {
        reader.push(out.subarray(read));
        read = out.length;
        return events.some((event) => event.data.toString() === text);
    }, text);
    for (let i = 0; i < 4; i++) {
        client.stdin.write(masked(TEXT, `before ${i} ${'.'.repeat(20000)}`));
        await answered(`before ${i} ${'.'.repeat(20000)}`);
        client.stdin.write(i % 2 ? 'K\n' : 'k\n');
        await until(() => log.split('KEYUPDATE').length === i + 2, 'a key update');
        client.stdin.write(masked(TEXT, `after ${i}`));
        await answered(`after ${i}`);
    }
    client.stdin.write(masked(8, closePayload(1000)));
    const line = await logOf(nginx, { ssl_protocol: 'TLSv1.3' });
    assert.deepEqual([line.voice_close_code, line.voice_messages_up, line.voice_messages_down],
        ['1000', '8', '8']);
});

test('R6.1 who a client certificate names reaches voiced by voice_param', async (t) => {
    const { peer, tlsPort, ca, nginx } = await startModule(t, {
        server: 'ssl_verify_client optional; ssl_client_certificate CA;'.replace('CA', 'ca.pem'),
        directives: `if ($ssl_client_verify != SUCCESS) { return 403; }
            voice_param VOICE_TENANT $ssl_client_s_dn;`,
        nginx: { files: { 'ca.pem': ({ certs }) => readFileSync(certs.caPath, 'utf8') } } });
    const { certPath, keyPath } = nginx.certs;
    const mine = { cert: readFileSync(certPath), key: readFileSync(keyPath) };
    const client = await RawClient.open(tlsPort, { ca, tls: mine });
    assert.equal((await peer.session()).params.VOICE_TENANT, 'CN=localhost');
    await roundTrip(client, TEXT, 'hello');
    await client.close();
    const stranger = await RawClient.connect(tlsPort, { ca });
    assert.equal((await stranger.handshake()).status, 403);
    assert.equal(peer.sessions.length, 1);
    stranger.destroy();
});

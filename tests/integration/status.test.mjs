// SPDX-License-Identifier: BSD-2-Clause
//
// voice_status: the counters of all workers, in both formats, over the lives
// of workers.

import assert from 'node:assert/strict';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { constants, deflateRawSync, gunzipSync } from 'node:zlib';
import { request } from './lib/client.mjs';
import { FastcgiPeer, record } from './lib/fastcgi_peer.mjs';
import { startModule } from './lib/module_kit.mjs';
import { Nginx, badLines, canConnect } from './lib/nginx.mjs';
import { nginxBinary, runDir } from './lib/paths.mjs';
import { Process, childrenOf, defer, isAlive, membersOf, run, sleep, until } from './lib/process.mjs';
import { parsePrometheus } from './lib/prometheus.mjs';
import { BINARY, CLOSE, CONT, PONG, RawClient, TEXT, frame, masked } from './lib/ws_raw.mjs';

const STATUS = 'location = /status { voice_status; }';

async function statusOf(port, path = '/status') {
    const answer = await request(port, path);
    assert.equal(answer.status, 200);
    return answer.json;
}

// Until the counters show it: a session ends a moment after its client does.
async function statusWhen(port, check) {
    return until(async () => {
        const status = await statusOf(port);
        return check(status) && status;
    }, 'the counters to show it');
}

const sumOf = (object) => Object.values(object).reduce((a, b) => a + b, 0);
const counted = (object) => Object.fromEntries(
    Object.entries(object).filter(([, value]) => value > 0));

// The JSON as samples of the other format.
function samplesOf(status) {
    const samples = new Map();
    const add = (name, labels, value) => samples.set(`voice_${name}${labels}`, value);
    const label = { sessions_closed: 'code', handshakes_refused: 'status',
        upstream_failures: 'reason', protocol_errors: 'reason' };
    const { workers, rtt_seconds: rtt, sessions_live: live, ...counters } = status;
    add('sessions_live', '', live);
    for (const [name, value] of Object.entries(counters)) {
        if (typeof value === 'number') {
            add(`${name}_total`, '', value);
            continue;
        }
        for (const [key, number] of Object.entries(value)) {
            add(`${name}_total`, `{${label[name] ?? 'direction'}="${key}"}`, number);
        }
    }
    for (const [le, value] of Object.entries(rtt.buckets)) {
        add('rtt_seconds_bucket', `{le="${le}"}`, value);
    }
    add('rtt_seconds_sum', '', rtt.sum);
    add('rtt_seconds_count', '', rtt.count);
    const draining = workers.filter((w) => w.draining).length;
    add('workers', '{state="running"}', workers.length - draining);
    add('workers', '{state="draining"}', draining);
    return samples;
}

const byKey = (map) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

async function assertFormatsAgree(port) {
    const status = await statusOf(port);
    const answer = await request(port, '/status?format=prometheus');
    assert.deepEqual(byKey(parsePrometheus(answer.text)), byKey(samplesOf(status)));
}

test('R6.1 the reader of Prometheus text lets nothing pass', () => {
    const good = '# HELP a_total x \\\\ y\\nz\n# TYPE a_total counter\n' +
        'a_total{b="q\\"\\\\\\n"} 1\na_total{b="r",c=""} 2.5e3 170\n';
    assert.deepEqual([...parsePrometheus(good).values()], [1, 2500]);
    const head = '# HELP a_total x\n# TYPE a_total counter\n';
    for (const bad of [good.slice(0, -1), good + good, `${head}a_total x\n`, `${head}a_total 1\n\n`,
        `${head}a_total{b="\\t"} 1\n`, `${head}a_total{b=1} 1\n`, `${head}a_total{b="1} 1\n`,
        `${head}a_total{b="1",b="2"} 1\n`, `${head}a_total -1\n`, `${head}a_total 1\na_total 1\n`,
        `${head}a_total 1 \n`, `${head}0a 1\n`, 'a_total 1\n', head, '# HELP a_total x\na_total 1\n',
        head.replaceAll('a_total', 'a') + 'a 1\n', head.replace('counter', 'clock') + 'a_total 1\n',
        '# HELP h x\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\nh_count 1\n',
        '# HELP h x\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\n' +
            'h_sum 1\nh_count 1\n']) {
        assert.throws(() => parsePrometheus(bad), Error, bad);
    }
});

// Connections spread over the workers by their ports.
async function startWorkers(t, workers, { handler, nginx = {}, directives = '' } = {}) {
    const peer = await FastcgiPeer.start(t, handler);
    const http = ({ port }) => `
        upstream voice { server unix:${peer.socket}; }
        server {
            listen 127.0.0.1:${port} reuseport;
            location = /v1/realtime { voice_pass voice; ${directives} }
            ${STATUS}
        }`;
    return Nginx.start(t, { workers, http, ...nginx });
}

async function openAll(port, n) {
    const clients = [];
    for (let i = 0; i < n; i++) {
        clients.push(await RawClient.open(port));
    }
    return clients;
}

test('R6.1 sessions over several workers add up', async (t) => {
    const nginx = await startWorkers(t, 4);
    const { port } = nginx;
    const clients = await openAll(port, 24);
    let bytes = 0;
    for (const [i, client] of clients.entries()) {
        for (let n = 0; n <= i; n++) {
            client.send(BINARY, Buffer.alloc(n * 700));
            bytes += n * 700;
            assert.equal((await client.next()).data.length, n * 700);
        }
    }
    const open = await statusOf(port);
    assert.equal(open.sessions_live, 24);
    assert.equal(open.sessions_opened, 24);
    assert.deepEqual(open.messages, { up: 300, down: 300 });
    assert.deepEqual(open.bytes, { up: bytes, down: bytes });
    assert.equal(open.workers.length, 4);
    assert.deepEqual(open.workers.map((w) => w.pid).sort(), nginx.workers().sort());
    assert.deepEqual(open.workers.map((w) => w.worker).sort(), [0, 1, 2, 3]);
    assert.ok(open.workers.filter((w) => w.sessions_live > 0).length > 1, 'spread');
    assert.equal(open.workers.reduce((sum, w) => sum + w.sessions_live, 0), 24);
    assert.equal(open.workers.reduce((sum, w) => sum + w.bytes.up, 0), bytes);
    await assertFormatsAgree(port);

    for (const [i, client] of clients.entries()) {
        await client.close([1000, 1001, 3999, 4000, 1005, 1013][i % 6]);
    }
    const ended = await statusWhen(port, (s) => s.sessions_live === 0);
    assert.deepEqual(counted(ended.sessions_closed),
        { 1000: 4, 1001: 4, 1005: 4, 1013: 4, '3000-4999': 8 });
    assert.equal(ended.sessions_drained, 0);
    await assertFormatsAgree(port);
});

test('R6.1 refused and abandoned handshakes are counted by status', async (t) => {
    const statuses = { '/full': 503, '/busy': 429, '/who': 401, '/gone': 404, '/tea': 418 };
    const { port } = await startModule(t, {
        handler: (s) => {
            const status = statuses[s.params.SCRIPT_NAME];
            return status ? s.answer(status, {}, 'no') : undefined;
        },
        directives: 'voice_read_timeout 300ms;',
        http: `upstream dead { server unix:/nonexistent/a max_fails=0;
            server unix:/nonexistent/b max_fails=0; }`,
        server: `${STATUS}
            location = /dead { voice_pass dead; }
            location = /slow { voice_pass voice; }
            ${Object.keys(statuses).map((p) => `location = ${p} { voice_pass voice; }`).join('')}`,
    });
    const ask = async (options) => {
        const client = await RawClient.connect(port);
        const { status } = await client.handshake(options);
        client.destroy();
        return status;
    };
    const get = 'GET /v1/realtime HTTP/1.1\r\nHost: x\r\nConnection: close\r\n';
    assert.equal(await ask({ text: `${get}\r\n` }), 426);
    assert.equal(await ask({ text: `${get.replace('close', 'upgrade')}Upgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n' }), 400);
    assert.equal(await ask({ headers: { Origin: 'http://evil.example' } }), 403);
    assert.equal((await request(port, '/v1/realtime', { method: 'POST' })).status, 405);
    assert.equal(await ask({ path: '/dead' }), 502);
    assert.equal(await ask({}), 504);
    for (const [path, status] of Object.entries(statuses)) {
        assert.equal(await ask({ path }), status);
    }
    const gone = await RawClient.connect(port);
    gone.handshake({ path: '/slow' }).catch(() => {});
    await sleep(200);
    gone.destroy();

    const status = await statusWhen(port, (s) => s.handshakes_abandoned === 1);
    assert.deepEqual(counted(status.handshakes_refused), { 400: 1, 401: 1, 403: 1, 404: 1,
        405: 1, 426: 1, 429: 1, 502: 1, 503: 1, 504: 1, other: 1 });
    assert.deepEqual(counted(status.upstream_failures), { error: 2, timeout: 1 });
    assert.equal(status.upstream_retries, 1);
    assert.equal(status.sessions_opened, 0);
    assert.equal(sumOf(status.sessions_closed), 0);
    await assertFormatsAgree(port);
});

test('R6.1 what breaks the protocol, and a lost upstream', async (t) => {
    const { port } = await startModule(t, {
        handler: async (s) => {
            s.accept();
            const { data } = await s.next();
            if (String(data) === 'crash') {
                s.destroy();
            } else if (String(data) === 'babble') {
                s.write(record(6, Buffer.from([0x8f, 0x01, 0x00])));
            } else if (String(data) === 'bad record') {
                s.write(record(6, 'x', { version: 2 }));
            }
        },
        directives: 'voice_max_message_size 1k;', server: STATUS });
    const end = async (bytes, code) => {
        const client = await RawClient.open(port);
        client.write(bytes);
        assert.equal((await client.untilClose()).code, code);
        client.destroy();
    };
    await end(frame(TEXT, 'not masked'), 1002);
    await end(masked(TEXT, Buffer.from([0xff])), 1007);
    await end(masked(TEXT, 'x'.repeat(1025)), 1009);
    await end(masked(TEXT, 'crash'), 1011);
    await end(masked(TEXT, 'babble'), 1011);
    await end(masked(TEXT, 'bad record'), 1011);
    const lost = await RawClient.open(port);
    lost.socket.resetAndDestroy();

    const status = await statusWhen(port, (s) => s.sessions_live === 0 &&
        s.sessions_opened === 7);
    assert.deepEqual(counted(status.protocol_errors),
        { client_frame: 1, client_payload: 1, client_size: 1, upstream: 2 });
    assert.equal(status.upstream_lost, 3);
    assert.deepEqual(counted(status.sessions_closed),
        { 1002: 1, 1006: 1, 1007: 1, 1009: 1, 1011: 3 });
});

test('R6.1 pings, round trips and stalls', async (t) => {
    let sent = 0;
    const { port } = await startModule(t, {
        directives: 'voice_ping_interval 30ms;', server: STATUS,
        handler: async (s) => {
            s.accept();
            await s.until('message');
            for (; sent < 200; sent++) {
                await s.message(BINARY, Buffer.alloc(100000));
            }
            s.close(1000, '');
        } });
    const client = await RawClient.open(port);
    for (let n = 0; n < 5; n++) {
        const ping = await client.next();
        assert.equal(ping.type, 'ping');
        if (n === 2) {
            await sleep(60);
        }
        client.send(PONG, ping.data);
    }
    const pinged = await statusWhen(port, (s) => s.rtt_seconds.count === 5);
    assert.ok(pinged.pings >= 5);
    assert.ok(pinged.rtt_seconds.sum >= 0.05 && pinged.rtt_seconds.sum < 20);
    assert.ok(pinged.rtt_seconds.buckets['0.05'] <= 4, 'one was slow');
    assert.equal(pinged.rtt_seconds.buckets['+Inf'], 5);

    client.socket.pause();
    client.send(TEXT, 'go');
    await sleep(500);
    client.socket.resume();
    const close = await client.untilClose();
    client.send(CLOSE, close.data);
    await client.gone;
    const status = await statusWhen(port, (s) => s.sessions_live === 0);
    assert.ok(status.stalls.down > 0);
    assert.ok(status.stall_seconds.down > 0.2, `${status.stall_seconds.down}`);
    assert.equal(status.messages.down, 200);
    assert.equal(status.bytes.down, 20000000);
    await assertFormatsAgree(port);
});

// Frames of a server, whole ones, with their RSV bits as they are.
function framesOf(bytes) {
    const frames = [];
    for (let at = 0; at + 4 <= bytes.length;) {
        const short = bytes[at + 1] & 127;
        const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10);
        const size = short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2)
            : Number(bytes.readBigUInt64BE(at + 2));
        if (start + size > bytes.length) {
            break;
        }
        frames.push({ packed: (bytes[at] & 0x40) !== 0, fin: (bytes[at] & 0x80) !== 0,
            bytes: size });
        at = start + size;
    }
    return frames;
}

test('R6.1 compressed messages count on the wire and off it', async (t) => {
    const { port } = await startModule(t, { server: STATUS });
    const plain = await RawClient.open(port);
    const client = await RawClient.connect(port);
    let received = Buffer.alloc(0);
    client.reader = { push: (bytes) => { received = Buffer.concat([received, bytes]); } };
    assert.equal((await client.handshake({ headers: {
        'Sec-WebSocket-Extensions': 'permessage-deflate' } })).status, 101);

    const texts = ['{"type":"x"}'.repeat(400), '{"delta":"y"}'.repeat(20000), 'short'];
    let packed = 0;
    for (const text of texts) {
        const data = deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
        packed += data.length;
        client.send(TEXT, data.subarray(0, 3), { rsv: 4, fin: false });
        client.send(CONT, data.subarray(3));
    }
    client.send(TEXT, 'as it is');
    const ends = () => framesOf(received).filter((f) => f.fin);
    await until(() => ends().length === 4, 'four messages');
    const frames = framesOf(received);
    const two = frames.slice(0, frames.findIndex((f, i) =>
        frames.slice(0, i + 1).filter((g) => g.fin).length === 2) + 1);
    assert.equal(two.filter((f) => f.packed).length, 2);
    assert.equal(frames.filter((f) => f.packed).length, 2, 'the others are short');

    const bytes = texts[0].length + texts[1].length;
    const status = await statusOf(port);
    assert.equal(status.sessions_live, 2);
    assert.equal(status.deflate_sessions, 1);
    assert.deepEqual(status.messages, { up: 4, down: 4 });
    assert.deepEqual(status.bytes, { up: bytes + 13, down: bytes + 13 });
    assert.deepEqual(status.deflate_messages, { up: 3, down: 2 });
    assert.deepEqual(status.deflate_plain_bytes, { up: bytes + 5, down: bytes });
    assert.deepEqual(status.deflate_packed_bytes, { up: packed,
        down: two.reduce((sum, f) => sum + f.bytes, 0) });
    await assertFormatsAgree(port);

    // what is no deflate data ends its session, and counts as a wrong payload
    client.send(TEXT, Buffer.from([0xff, 0xff, 0xff]), { rsv: 4 });
    const broken = await statusWhen(port, (s) => s.sessions_closed[1007] === 1);
    assert.deepEqual(counted(broken.protocol_errors), { client_payload: 1 });
    client.destroy();
    await plain.close();
});

test('R6.1 formats, methods and headers', async (t) => {
    const { port } = await startModule(t, { server: `${STATUS}
        location = /text { voice_status prometheus; }
        location = /object { voice_status json; if ($arg_x) { set $y 1; } }
        location = /if { voice_status prometheus; if ($arg_x) { set $y 1; } }
        location = /zip { voice_status; gzip on; gzip_min_length 0;
            gzip_types application/json text/plain; }` });
    const kind = async (path, accept) => {
        const answer = await request(port, path, { headers: accept ? { Accept: accept } : {} });
        assert.equal(answer.status, 200);
        assert.equal(answer.headers['cache-control'], 'no-store');
        assert.equal(Number(answer.headers['content-length']), answer.body.length);
        if (answer.headers['content-type'] === 'application/json') {
            assert.equal(JSON.parse(answer.text).sessions_live, 0);
            return 'json';
        }
        assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
        assert.equal(parsePrometheus(answer.text).get('voice_sessions_live'), 0);
        return 'prometheus';
    };
    const scraper = 'application/openmetrics-text;version=1.0.0;q=0.75,' +
        'text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
    assert.equal(await kind('/status'), 'json');
    assert.equal(await kind('/status', '*/*'), 'json');
    assert.equal(await kind('/status', 'application/json'), 'json');
    assert.equal(await kind('/status', 'text/plain'), 'prometheus');
    assert.equal(await kind('/status', scraper), 'prometheus');
    assert.equal(await kind('/status', 'text/plainer, x/text/plain'), 'json');
    assert.equal(await kind('/status', 'application/json;q=1, Text/Plain;q=0.5'), 'json');
    assert.equal(await kind('/status?format=json', 'text/plain'), 'json');
    assert.equal(await kind('/status?format=prometheus'), 'prometheus');
    assert.equal(await kind('/text', 'application/json'), 'prometheus');
    assert.equal(await kind('/text?format=json'), 'json');
    assert.equal(await kind('/object', 'text/plain'), 'json');
    assert.equal(await kind('/if?x=1'), 'prometheus');
    assert.equal((await request(port, '/status?format=xml')).status, 400);
    assert.equal((await request(port, '/status?format=')).status, 400);

    for (const path of ['/status', '/text']) {
        const [get, head] = [await request(port, path), await request(port, path,
            { method: 'HEAD' })];
        assert.equal(head.status, 200);
        assert.equal(head.body.length, 0);
        assert.equal(head.headers['content-length'], get.headers['content-length']);
        assert.equal(head.headers['content-type'], get.headers['content-type']);
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
        const answer = await request(port, '/status', { method, body: 'x' });
        assert.equal(answer.status, 405);
        assert.equal(answer.headers.allow, 'GET, HEAD');
    }
    for (const path of ['/zip', '/zip?format=prometheus']) {
        const answer = await request(port, path, { headers: { 'Accept-Encoding': 'gzip' } });
        assert.equal(answer.headers['content-encoding'], 'gzip');
        const text = String(gunzipSync(answer.body));
        assert.equal(text, (await request(port, path)).text);
        const head = await request(port, path, { method: 'HEAD',
            headers: { 'Accept-Encoding': 'gzip' } });
        assert.equal(head.status, 200);
        assert.equal(head.body.length, 0);
    }
});

test('R6.1 nginx -t judges voice_status', async () => {
    const check = async (location) => {
        const nginx = await Nginx.prepare({ http: ({ port }) =>
            `server { listen 127.0.0.1:${port}; ${location} }` });
        return nginx.test();
    };
    assert.equal((await check(STATUS)).code, 0);
    for (const [location, message] of [
        ['location / { voice_status xml; }', /invalid format "xml".*nginx\.conf:\d+/],
        ['location / { voice_status; voice_status json; }', /"voice_status".* is duplicate/],
        ['location / { voice_status json prometheus; }', /invalid number of arguments/],
        ['voice_status;', /"voice_status" directive is not allowed here/],
    ]) {
        const { code, stderr } = await check(location);
        assert.notEqual(code, 0, location);
        assert.match(stderr, message);
    }
});

// Shared mappings of a worker that are larger than nginx's own.
function zonesOf(pid) {
    return readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n').filter((line) => {
        const [, from, to] = /^(\w+)-(\w+) rw-s .*zero/.exec(line) ?? [];
        return from && parseInt(to, 16) - parseInt(from, 16) > 300000;
    }).length;
}

test('R6.1 there is shared memory only where the module is used', async (t) => {
    const plain = await Nginx.start(t, { http: ({ port }) => `server {
        listen 127.0.0.1:${port}; location / { return 204; } }` });
    assert.equal(zonesOf(plain.workers()[0]), 0);
    const { nginx } = await startModule(t);
    assert.equal(zonesOf(nginx.workers()[0]), 1);
});

test('R6.1 a reload keeps the totals, and an old worker counts on', async (t) => {
    const nginx = await startWorkers(t, 2);
    const { port } = nginx;
    const clients = await openAll(port, 10);
    for (const client of clients) {
        client.send(TEXT, 'before');
        await client.next();
    }
    for (const client of clients.slice(0, 6)) {
        await client.close();
    }
    const before = await statusWhen(port, (s) => s.sessions_live === 4);
    const old = before.workers.map((w) => w.pid);
    await nginx.reload();
    const after = await statusWhen(port, (s) =>
        s.workers.filter((w) => !w.draining && !old.includes(w.pid)).length === 2);
    assert.equal(after.sessions_live, 4);
    assert.equal(after.sessions_opened, 10);
    assert.deepEqual(after.messages, { up: 10, down: 10 });
    for (const worker of after.workers) {
        assert.equal(worker.draining, old.includes(worker.pid));
    }
    await until(() => nginx.errorLog().split('gracefully shutting down').length > 2,
        'the old workers to be told');
    clients[9].send(TEXT, 'after');
    await clients[9].next();
    assert.deepEqual((await statusOf(port)).messages, { up: 11, down: 11 });
    await assertFormatsAgree(port);

    for (const client of clients.slice(6)) {
        await client.close();
    }
    await until(() => !nginx.workers().some((pid) => old.includes(pid)), 'the old workers to end');
    const end = await statusOf(port);
    assert.equal(end.sessions_live, 0);
    assert.equal(end.sessions_closed[1000], 10);
    assert.equal(end.sessions_drained, 4);
    assert.deepEqual(end.messages, { up: 11, down: 11 });
    assert.deepEqual(end.workers.map((w) => w.pid).sort(), nginx.workers().sort());
    for (let i = 0; i < 5; i++) {
        await nginx.reload();
    }
    await until(() => nginx.workers().length === 2, 'two workers');
    const again = await statusOf(port);
    assert.equal(again.sessions_opened, 10);
    assert.equal(again.workers.length, 2);
});

test('R6.1 worker_shutdown_timeout: what it closes is counted', async (t) => {
    const { nginx, port } = await startModule(t, { server: STATUS,
        nginx: { main: 'worker_shutdown_timeout 200ms;' } });
    const clients = await openAll(port, 5);
    await nginx.reload();
    for (const client of clients) {
        assert.equal((await client.untilClose()).code, 1001);
    }
    const status = await statusWhen(port, (s) => s.sessions_live === 0);
    assert.equal(status.sessions_closed[1001], 5);
    assert.equal(status.sessions_drained, 5);
});

test('R6.1 a worker killed leaves the gauge right', async (t) => {
    const nginx = await startWorkers(t, 2,
        { nginx: { allow: [/worker process \d+ exited on signal 9/] } });
    const { port } = nginx;
    const clients = await openAll(port, 16);
    const before = await statusOf(port);
    const [victim, other] = before.workers;
    assert.ok(victim.sessions_live > 0 && other.sessions_live > 0);
    process.kill(victim.pid, 'SIGKILL');
    await until(() => nginx.workers().length === 2 && !nginx.workers().includes(victim.pid),
        'another worker');
    const after = await statusWhen(port, (s) => s.workers.length === 2);
    assert.equal(after.sessions_live, other.sessions_live);
    assert.equal(after.sessions_opened, 16);
    assert.equal(after.sessions_closed.none, victim.sessions_live);
    assert.deepEqual(after.workers.map((w) => w.worker).sort(), [0, 1]);
    await assertFormatsAgree(port);

    // one that nginx does not start again: nobody takes its place
    await nginx.reload();
    await statusWhen(port, (s) => s.workers.some((w) => w.pid === other.pid && w.draining));
    process.kill(other.pid, 'SIGKILL');
    await until(() => !isAlive(other.pid), 'its end');
    const end = await statusWhen(port, (s) => s.workers.every((w) => !w.draining));
    assert.equal(end.sessions_live, 0);
    assert.equal(end.sessions_closed.none, 16);
    assert.equal(end.sessions_opened, 16);
    clients.forEach((client) => client.destroy());
});

test('R6.1 one process without a master counts too', async (t) => {
    const peer = await FastcgiPeer.start(t);
    const nginx = await Nginx.prepare({ main: 'master_process off;', http: ({ port }) => `
        upstream voice { server unix:${peer.socket}; }
        server { listen 127.0.0.1:${port}; ${STATUS}
            location = /v1/realtime { voice_pass voice; } }` });
    const single = new Process(nginxBinary, ['-p', nginx.dir, '-c', nginx.configPath, '-e',
        nginx.errorLogPath], { cwd: nginx.dir, log: join(nginx.dir, 'nginx.log'),
        name: 'nginx', env: nginx.environment });
    defer(t, async () => {
        await single.stop();
        single.checkSanitizers();
        assert.deepEqual(badLines(nginx.errorLog()), []);
    });
    const { port } = nginx;
    await single.ready(() => canConnect(port), 'a listening port');
    const client = await RawClient.open(port);
    client.send(TEXT, 'alone');
    await client.next();
    const status = await statusOf(port);
    assert.equal(status.sessions_live, 1);
    assert.deepEqual(status.workers.map((w) => w.pid), [single.pid]);
    await client.close();
});

// nginx ignores SIGUSR2 while its first parent lives, so this one is a daemon;
// what a sanitized module needs must reach the new binary.
test('R6.1 a new binary (SIGUSR2) counts anew, the old one to its end', async (t) => {
    const peer = await FastcgiPeer.start(t);
    const nginx = await Nginx.prepare({ main: 'env LD_PRELOAD; env ASAN_OPTIONS;',
        http: ({ port }) => `
        upstream voice { server unix:${peer.socket}; }
        server { listen 127.0.0.1:${port}; ${STATUS}
            location = /v1/realtime { voice_pass voice; } }` });
    const text = readFileSync(nginx.configPath, 'utf8').replace('daemon off;', 'daemon on;');
    nginx.configure({ config: text });
    const { code, stderr } = await run(nginxBinary,
        ['-p', nginx.dir, '-c', nginx.configPath, '-e', nginx.errorLogPath],
        { env: nginx.environment });
    assert.equal(code, 0, stderr);
    const pidOf = (name) => Number(readFileSync(join(nginx.dir, name), 'utf8'));
    const old = await until(() => { try { return pidOf('nginx.pid'); } catch { return 0; } },
        'the pid file');
    appendFileSync(join(runDir, 'sessions'), `${old}\n`);
    defer(t, async () => {
        for (const { pid } of membersOf(old).filter((p) => !membersOf(old)
            .some((q) => q.pid === p.ppid))) {
            process.kill(pid, 'SIGTERM');
        }
        await until(() => membersOf(old).length === 0, 'all to end');
        assert.deepEqual(badLines(nginx.errorLog()), []);
    });
    const { port } = nginx;
    const client = await until(() => RawClient.open(port).catch(() => null), 'nginx');
    assert.equal((await statusOf(port)).sessions_live, 1);

    process.kill(old, 'SIGUSR2');
    const fresh = await until(() => { try { return pidOf('nginx.pid') !== old &&
        pidOf('nginx.pid'); } catch { return 0; } }, 'the new binary');
    await until(() => childrenOf(fresh).length === 1, 'its worker');
    process.kill(old, 'SIGWINCH');
    const status = await statusWhen(port, (s) => s.sessions_opened === 0);
    assert.deepEqual(status.workers.map((w) => w.pid).sort(), childrenOf(fresh).sort());
    client.send(TEXT, 'still here');
    assert.equal((await client.next()).data.toString(), 'still here');
    const second = await RawClient.open(port);
    assert.equal((await statusOf(port)).sessions_live, 1);
    await client.close();
    process.kill(old, 'SIGQUIT');
    await until(() => !isAlive(old), 'the old master to end');
    assert.equal((await statusOf(port)).sessions_opened, 1);
    await second.close();
});

// SPDX-License-Identifier: BSD-2-Clause
//
// voice_inflate beside the rest of nginx: unbuffered handlers, HTTP/2, error
// pages and redirects, variables, limits, memory, temporary files, clients
// that are slow or leave, and what nginx -t says.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { connect } from 'node:http2';
import { join } from 'node:path';
import test from 'node:test';
import { deflateSync, gzipSync } from 'node:zlib';
import { badBodies, goodBodies, mixed, text, unknownCodings } from './lib/gzip_bodies.mjs';
import { backends, readAnswer, sha, startInflate } from './lib/inflate_kit.mjs';
import { Nginx } from './lib/nginx.mjs';
import { sanitized } from './lib/paths.mjs';
import { rssAnonKb, sleep, until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';

const zipped = gzipSync(text);
const broken = Buffer.from(zipped);
broken[broken.length - 5] ^= 1;
const framings = ['length', 'chunked'];

// The most that a process ever had in memory.
function peakKb(pid) {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1]);
}

// A sanitizer keeps what was freed for a while.
function assertFlat(before, now, mostKb) {
    assert.ok(sanitized || now - before < mostKb, `${before} kB, then ${now}`);
}

test('R6.1 with request buffering off a compressed body is buffered all the same', async (t) => {
    const kit = await startInflate(t, { locations: (fastcgi, proxy) => `
        location = /stream/fastcgi { ${fastcgi} fastcgi_request_buffering off; }
        location = /stream/proxy { ${proxy} proxy_request_buffering off; }` });
    const large = mixed(3000000);
    for (const backend of backends) {
        for (const framing of framings) {
            for (const piece of [undefined, 40]) {
                const path = `/stream/${backend}`;
                const good = await kit.send(path, { body: zipped, coding: 'gzip', framing, piece,
                    after: true });
                assert.equal(good.json.sha, sha(text));
                assert.equal(good.json.length, String(text.length));
                assert.equal(good.json.encoding, null);
                const begun = kit.fastcgi.begun + kit.http.begun;
                const bad = await kit.send(path, { body: broken, coding: 'gzip', framing, piece,
                    after: true });
                assert.equal(bad.status, 400);
                assert.equal(kit.fastcgi.begun + kit.http.begun, begun);
            }
            const much = await kit.send(`/stream/${backend}`, { body: gzipSync(large),
                coding: 'gzip', framing, after: true });
            assert.equal(much.json.sha, sha(large));
            const plain = await kit.send(`/stream/${backend}`, { body: large, framing,
                coding: 'identity', after: true });
            assert.equal(plain.json.sha, sha(large));
        }
    }
    assert.equal(kit.fastcgi.aborted + kit.http.aborted, 0);
});

// One request over HTTP/2: { status, json }.
function h2Request(session, path, body, headers, piece = 16000) {
    return new Promise((done, fail) => {
        const stream = session.request({ ':method': 'POST', ':path': path, ...headers });
        const parts = [];
        let status;
        stream.setTimeout(10000, () => fail(new Error(`${path}: no answer`)));
        stream.on('response', (answer) => { status = answer[':status']; });
        stream.on('data', (data) => parts.push(data));
        stream.on('error', fail);
        stream.on('end', () => {
            const answer = Buffer.concat(parts).toString();
            done({ status, json: answer.startsWith('{') ? JSON.parse(answer) : undefined });
        });
        for (let at = 0; at < body.length; at += piece) {
            stream.write(body.subarray(at, at + piece));
        }
        stream.end();
    });
}

test('R6.1 bodies over HTTP/2, with a length and without', async (t) => {
    const kit = await startInflate(t, { server: 'keepalive_requests 100000;', locations: (fastcgi, proxy) => `
        location = /stream/fastcgi { ${fastcgi} fastcgi_request_buffering off; }
        location = /stream/proxy { ${proxy} proxy_request_buffering off; }` });
    const session = connect(`https://127.0.0.1:${kit.nginx.tlsPort}`,
        { ca: kit.nginx.certs.ca, checkServerIdentity: () => undefined });
    session.on('error', () => {});
    t.after(() => session.destroy());
    const bad = [...badBodies(), ...unknownCodings()].filter(({ body }) => body.length < 5000000);
    const good = goodBodies().filter(({ plain }) => plain.length > 0);
    for (const path of ['/fastcgi', '/proxy', '/stream/fastcgi', '/stream/proxy']) {
        for (const isSized of [true, false]) {
            const headers = (body, coding) => ({ 'content-encoding': coding.trim(),
                ...(isSized && { 'content-length': body.length }) });
            for (const { name, body, coding, status } of bad) {
                if (body.length > 0 || isSized) {
                    const answer = await h2Request(session, path, body, headers(body, coding));
                    assert.equal(answer.status, status, `${path} ${name} ${isSized}`);
                }
            }
            for (const { name, plain, body, coding } of good.filter((_, i) => i % 3 === 0)) {
                const answer = await h2Request(session, path, body, headers(body, coding),
                    body.length < 400 ? 9 : 16000);
                assert.equal(answer.status, 200, `${path} ${name} ${isSized}`);
                assert.equal(answer.json.sha, sha(plain), `${path} ${name} ${isSized}`);
                if (path.length < 9) {
                    assert.equal(answer.json.length, String(plain.length));
                }
            }
        }
    }
    assert.equal(kit.fastcgi.aborted + kit.http.aborted, 0);
});

test('R6.1 lengths, headers and variables say what the handler gets', async (t) => {
    const kit = await startInflate(t, {
        http: `map $content_length:$http_content_length:$http_content_encoding $before {
                   default "$content_length $http_content_length $http_content_encoding"; }`,
        locations: (fastcgi, proxy) => `
        location = /seen/fastcgi {
            set $was $before;
            ${fastcgi}
            fastcgi_param WAS $was;
            fastcgi_param CODING $http_content_encoding;
            fastcgi_param LENGTH $http_content_length;
        }
        location = /seen/proxy {
            if ($content_length = 1) { return 418; }
            ${proxy}
            proxy_set_header X-Length $content_length;
            proxy_set_header X-Coding $http_content_encoding;
        }` });
    const many = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`X-${i}`, `value ${i}`]));
    for (const framing of framings) {
        const { params } = (await kit.send('/seen/fastcgi', { body: zipped, coding: 'gzip', framing,
            headers: { 'X-Last': 'last', Cookie: 'a=b' } })).json;
        const length = String(text.length);
        assert.equal(params.CONTENT_LENGTH, length);
        assert.equal(params.HTTP_CONTENT_LENGTH, framing === 'length' ? length : undefined);
        assert.equal(params.LENGTH, framing === 'length' ? length : '');
        assert.equal(params.HTTP_CONTENT_ENCODING, undefined);
        assert.equal(params.CODING, '');
        assert.equal(params.HTTP_X_LAST, 'last');
        assert.equal(params.HTTP_COOKIE, 'a=b');
        assert.equal(params.WAS, framing === 'length' ? `${zipped.length} ${zipped.length} gzip`
            : '  gzip');

        const { headers } = (await kit.send('/seen/proxy', { body: zipped, coding: 'gzip', framing,
        })).json;
        assert.equal(headers['content-length'], length);
        assert.equal(headers['x-length'], length);
        assert.equal(headers['x-coding'], undefined);
        assert.equal(headers['transfer-encoding'], undefined);

        // The header to be removed first, last, in the middle, twice, and in
        // every place of a list that has several parts.
        for (const place of [0, 1, 17, 18, 19, 20, 21, 37, 38, 39, 40, 41, 59, 60]) {
            const all = Object.entries(many);
            all.splice(place, 0, ['Content-Encoding', place % 2 ? 'gzip' : ['identity', 'gzip']]);
            const seen = (await kit.send('/seen/proxy', { body: zipped, framing,
                headers: Object.fromEntries(all) })).json;
            assert.equal(seen.sha, sha(text), `place ${place}`);
            assert.equal(seen.encoding, null, `place ${place}`);
            for (const [name, value] of Object.entries(many)) {
                assert.equal(seen.headers[name.toLowerCase()], value, `place ${place}`);
            }
        }
    }
    const twice = await kit.send('/proxy', { body: zipped, headers: {
        'Content-Encoding': ['gzip', 'gzip'] }, after: true });
    assert.equal(twice.status, 415);
});

test('R6.1 a request without a body passes, whatever it says', async (t) => {
    const kit = await startInflate(t);
    for (const backend of backends) {
        for (const coding of ['gzip', 'br']) {
            const raw = await kit.connect();
            await raw.write(`GET /${backend} HTTP/1.1\r\nHost: x\r\n` +
                `Content-Encoding: ${coding}\r\n\r\n`);
            const answer = await readAnswer(raw);
            assert.equal(answer.status, 200);
            assert.equal(answer.json.bytes, 0);
        }
    }
});

test('R6.1 where it is off, bodies pass as they are, coding and all', async (t) => {
    const kit = await startInflate(t, { locations: (fastcgi, proxy) => `
        location = /off/fastcgi { voice_inflate off; ${fastcgi} }
        location = /off/proxy { voice_inflate off; ${proxy} }` });
    for (const backend of backends) {
        for (const body of [zipped, broken]) {
            const { json } = await kit.send(`/off/${backend}`, { body, coding: 'gzip', after: true });
            assert.equal(json.sha, sha(body));
            assert.equal(json.length, String(body.length));
            assert.equal(json.encoding, 'gzip');
        }
    }
});

test('R6.1 requests pipelined behind good and bad bodies', async (t) => {
    const kit = await startInflate(t);
    const after = 'GET /after HTTP/1.1\r\nHost: x\r\n\r\n';
    for (const backend of backends) {
        const head = (body, coding, framing) => Buffer.from(
            `POST /${backend} HTTP/1.1\r\nHost: x\r\nContent-Encoding: ${coding}\r\n` +
            (framing === 'length' ? `Content-Length: ${body.length}\r\n\r\n`
                : `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n`));
        const tail = (framing) => (framing === 'length' ? '' : '\r\n0\r\n\r\n');
        for (const framing of framings) {
            for (const [body, coding, status] of [[zipped, 'gzip', 200], [broken, 'gzip', 400],
                [zipped, 'br', 415]]) {
                const raw = await kit.connect();
                await raw.write(Buffer.concat([head(body, coding, framing), body,
                    Buffer.from(tail(framing) + after)]));
                const answer = await readAnswer(raw);
                assert.equal(answer.status, status);
                if (/^connection: close\r$/im.test(answer.head)) {
                    raw.socket.end();
                    await raw.waitEnd(5000);
                    assert.equal(raw.received.length, 0);
                } else {
                    assert.equal((await readAnswer(raw)).text, 'after\n');
                }
            }
        }
    }
});

test('R6.1 a client that goes on sending hears the refusal', async (t) => {
    const kit = await startInflate(t);
    const noise = randomBytes(200000);
    for (const backend of backends) {
        for (const [coding, start, status] of [['gzip', broken, 400], ['gzip', noise, 400],
            ['br', noise, 415], ['gzip', gzipSync(Buffer.alloc(16 << 20)), 413]]) {
            const raw = await kit.connect();
            await raw.write(`POST /${backend} HTTP/1.1\r\nHost: x\r\n` +
                `Content-Encoding: ${coding}\r\nContent-Length: 8000000\r\n\r\n`);
            await raw.write(Buffer.concat([start, Buffer.from('more')]));
            const answer = await readAnswer(raw);
            assert.equal(answer.status, status);
            for (let sent = 0; sent < 20 && !raw.ended; sent++) {
                await raw.write(noise);
            }
            assert.equal(raw.socket.errored, null);
            raw.socket.destroy();
        }
    }
});

test('R6.1 with Expect an unknown coding is refused before the upload', async (t) => {
    const kit = await startInflate(t);
    const head = (coding) => `POST /fastcgi HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n` +
        `Content-Encoding: ${coding}\r\nContent-Length: ${zipped.length}\r\n\r\n`;
    const raw = await kit.connect();
    await raw.write(head('br'));
    assert.equal((await raw.readHead()).status, 415);
    const other = await kit.connect();
    await other.write(head('gzip'));
    assert.equal((await other.readHead()).status, 100);
    await other.write(zipped);
    assert.equal((await readAnswer(other)).json.sha, sha(text));
});

test('R6.1 slow clients are waited for, silent ones are timed out', async (t) => {
    const kit = await startInflate(t, { locations: (fastcgi, proxy) => `
        location = /slow { client_body_timeout 1s; ${proxy} }` });
    const raw = await kit.connect();
    await raw.write(`POST /slow HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n` +
        `Content-Length: ${zipped.length}\r\n\r\n`);
    const step = Math.ceil(zipped.length / 6);
    for (let at = 0; at < zipped.length; at += step) {
        await sleep(300);
        await raw.write(zipped.subarray(at, at + step));
    }
    assert.equal((await readAnswer(raw)).json.sha, sha(text));

    const silent = await kit.connect();
    await silent.write(`POST /slow HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n` +
        `Content-Length: ${zipped.length}\r\n\r\n`);
    await silent.write(zipped.subarray(0, 20));
    await silent.waitEnd(5000);

    const gone = await kit.connect();
    await gone.write(`POST /slow HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n` +
        `Content-Length: ${zipped.length}\r\n\r\n`);
    await gone.write(zipped.subarray(0, 20));
    gone.socket.destroy();
    await kit.nginx.accessLine(/POST \/slow 400/);
});

test('R6.1 error pages: static, passed on with no body, and of nginx itself', async (t) => {
    const kit = await startInflate(t, {
        nginx: { files: { '415.html': 'static page\n' } },
        locations: (fastcgi, proxy) => `
        location = /415.html { root .; internal; }
        location = /static { error_page 415 /415.html; ${fastcgi} }
        location = /named/fastcgi { error_page 400 413 415 = @fastcgi; ${fastcgi} }
        location = /named/proxy { error_page 400 413 415 = @proxy; ${proxy} }
        location = /off/fastcgi { client_max_body_size 1000; error_page 400 413 = @plain_fastcgi;
                                  ${fastcgi} }
        location = /off/proxy { client_max_body_size 1000; error_page 400 413 = @plain_proxy;
                                ${proxy} }
        location @fastcgi { ${fastcgi} }
        location @proxy { ${proxy} }
        location @plain_fastcgi { voice_inflate off; ${fastcgi} }
        location @plain_proxy { voice_inflate off; ${proxy} }` });
    for (const framing of framings) {
        const page = await kit.send('/static', { body: zipped, coding: 'br', framing, after: true });
        assert.equal(`${page.status} ${page.text}`, '415 static page\n');
        for (const backend of backends) {
            for (const body of [broken, gzipSync(Buffer.alloc(16 << 20)), zipped.subarray(0, 30)]) {
                const { status, json } = await kit.send(`/named/${backend}`, { body, coding: 'gzip',
                    framing, after: true });
                assert.equal(status, 200);
                assert.equal(json.bytes, 0);
                assert.ok([null, '0'].includes(json.length), json.length);
                assert.equal(json.encoding, null);
            }
            const unknown = await kit.send(`/named/${backend}`, { body: zipped, coding: 'br',
                framing, after: true });
            assert.equal(unknown.status, 415);
        }
    }
    // nginx gives up on a chunked body half way: bad framing, and its own limit.
    const part = gzipSync(mixed(900000)).subarray(0, 600);
    for (const backend of backends) {
        for (const next of ['zz\r\n', `800\r\n${'x'.repeat(100)}`]) {
            const raw = await kit.connect();
            await raw.write(`POST /off/${backend} HTTP/1.1\r\nHost: x\r\n` +
                'Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n' +
                `${part.length.toString(16)}\r\n`);
            await raw.write(part);
            await sleep(50);
            await raw.write(`\r\n${next}`);
            const { status, json } = await readAnswer(raw);
            assert.equal(status, 200);
            assert.equal(json.bytes, 0);
            assert.ok([null, '0'].includes(json.length), json.length);
            raw.socket.destroy();
        }
    }
});

test('R6.1 redirects: inflated once, never passed on raw', async (t) => {
    const kit = await startInflate(t, { locations: (fastcgi, proxy) => `
        location = /try { try_files /nonexistent @fastcgi; }
        location @fastcgi { ${fastcgi} }
        location = /down { proxy_pass http://127.0.0.1:1; error_page 502 = @next; }
        location @next { ${proxy} }
        location = /down_off { voice_inflate off; proxy_pass http://127.0.0.1:1;
                               error_page 502 = @next; }
        location = /down_on { proxy_pass http://127.0.0.1:1; error_page 502 = @next_off; }
        location @next_off { voice_inflate off; ${fastcgi} }
        location = /mirror { mirror /copy; ${fastcgi} }
        location = /copy { internal; ${proxy} }` });
    for (const framing of framings) {
        for (const path of ['/try', '/down', '/down_on', '/mirror']) {
            const { status, json } = await kit.send(path, { body: zipped, coding: 'gzip', framing,
                after: true });
            assert.equal(status, 200, path);
            assert.equal(json.sha, sha(text), path);
            assert.equal(json.length, String(text.length), path);
            assert.equal(json.encoding, null, path);
        }
        const raw = await kit.send('/down_off', { body: zipped, coding: 'gzip', framing,
            after: true });
        assert.equal(raw.status, 415);
        const plain = await kit.send('/down_off', { body: text, framing, after: true });
        assert.equal(plain.json.sha, sha(text));
    }
    await until(() => kit.http.seen === 6, 'the mirrored requests');
    assert.equal(kit.http.received, 6 * text.length);
});

// client_body_early_read is newer than nginx 1.31.4; elsewhere there is no way
// to have a body read so early.
test('R6.1 a body read before its location is known is not passed on raw', async (t) => {
    const early = 'client_body_early_read 1;';
    const checked = await (await Nginx.prepare({ http: early })).test();
    if (checked.code !== 0) {
        assert.match(checked.stderr, /unknown directive "client_body_early_read"/);
        return;
    }
    const kit = await startInflate(t, { server: early, http: '', locations: (fastcgi) => `
        location = /off { voice_inflate off; ${fastcgi} }` });
    const send = (path, body, coding) => kit.send(path, { body, coding, after: true });
    for (const path of ['/fastcgi', '/off']) {
        const { json } = await send(path, zipped, 'gzip');
        assert.equal(json.sha, sha(text));
        assert.equal(json.encoding, null);
        assert.equal((await send(path, broken, 'gzip')).status, 400);
    }
    await kit.nginx.reload({ http: ({ port }) => `
        server {
            listen 127.0.0.1:${port};
            ${early}
            location = /after { return 200 "after\n"; }
            location = /fastcgi { voice_inflate on; include /etc/nginx/fastcgi_params;
                                  fastcgi_pass unix:${kit.fastcgi.path}; }
        }` });
    await until(async () => (await kit.send('/fastcgi', { body: zipped, coding: 'gzip' }))
        .status === 415, 'the new configuration');
    assert.equal((await send('/fastcgi', text)).json.sha, sha(text));
});

test('R6.1 limits are those of the location', async (t) => {
    const kit = await startInflate(t, { locations: (fastcgi, proxy) => `
        location = /own { voice_inflate_max_size 10k; voice_inflate_max_ratio 0; ${fastcgi} }
        location = /none { voice_inflate_max_size 0; voice_inflate_max_ratio 0;
                           client_max_body_size 1m; ${fastcgi} }
        location = /ratio { voice_inflate_max_ratio 5; ${proxy} }`,
    server: '' });
    const status = async (path, plain) => (await kit.send(path, { body: gzipSync(plain),
        coding: 'gzip', after: true })).status;
    assert.equal(await status('/own', Buffer.alloc(10240)), 200);
    assert.equal(await status('/own', Buffer.alloc(10241)), 413);
    assert.equal(await status('/none', Buffer.alloc(20 << 20)), 200);
    assert.equal(await status('/none', randomBytes(2 << 20)), 413);
    assert.equal(await status('/ratio', Buffer.alloc(65536)), 200);
    assert.equal(await status('/ratio', Buffer.alloc(65537)), 413);
    assert.equal(await status('/ratio', randomBytes(300000)), 200);
    assert.match(kit.nginx.errorLog(), /\[info\].*size limit, \d+ bytes made of \d+/);
    assert.match(kit.nginx.errorLog(), /\[info\].*ratio limit, \d+ bytes made of \d+/);
});

test('R6.1 without a size of its own, client_max_body_size is the limit', async (t) => {
    const kit = await startInflate(t, { http: 'map $uri $x { default 1; }' });
    await kit.nginx.reload({ http: ({ port }) => `
        client_max_body_size 50k;
        voice_inflate on;
        server {
            listen 127.0.0.1:${port};
            location = /after { return 200 "after\\n"; }
            location = /fastcgi { include /etc/nginx/fastcgi_params;
                                  fastcgi_pass unix:${kit.fastcgi.path}; }
        }` });
    await until(async () => (await kit.send('/fastcgi', { body: gzipSync(mixed(51201)),
        coding: 'gzip' })).status === 413, 'the new limit');
    assert.equal((await kit.send('/fastcgi', { body: gzipSync(mixed(51200)), coding: 'gzip',
        after: true })).status, 200);
});

test('R6.1 large bodies are in files, not in memory; nothing is left', async (t) => {
    const kit = await startInflate(t, { locations: (fastcgi, proxy) => `
        location /big/ {
            voice_inflate_max_size 0;
            voice_inflate_max_ratio 0;
            location = /big/fastcgi { ${fastcgi} }
            location = /big/proxy { ${proxy} }
        }
        location = /one { client_body_in_single_buffer on; client_body_buffer_size 1m; ${proxy} }
        location = /file { client_body_in_file_only clean; ${fastcgi} }
        location = /tiny { client_body_buffer_size 8; ${fastcgi} }` });
    const [worker] = kit.nginx.workers();
    const plain = Buffer.alloc(100 << 20, 'abcdefgh');
    const body = gzipSync(plain, { level: 9 });
    const whole = sha(plain);
    await kit.send('/big/fastcgi', { body: zipped, coding: 'gzip' });
    const before = peakKb(worker);
    for (const backend of backends) {
        for (const framing of framings) {
            const { json } = await kit.send(`/big/${backend}`, { body, coding: 'gzip', framing,
                after: true });
            assert.equal(json.sha, whole);
        }
    }
    assertFlat(before, peakKb(worker), 2000);
    for (const path of ['/one', '/file', '/tiny']) {
        for (const part of [Buffer.alloc(0), text, mixed(40000), mixed(2000000)]) {
            const { status, json } = await kit.send(path, { body: deflateSync(part),
                coding: 'deflate', after: true });
            assert.equal(status, 200, `${path} ${part.length}`);
            assert.equal(json.sha, sha(part), `${path} ${part.length}`);
            assert.equal(json.length, String(part.length));
        }
    }
    await until(() => readdirSync(join(kit.nginx.dir, 'tmp/body')).length === 0,
        'temporary files to be removed');
    const files = readdirSync(`/proc/${worker}/fd`).length;
    assert.ok(files < 60, `${files} descriptors`);
});

test('R6.1 many at once share nothing', async (t) => {
    const kit = await startInflate(t);
    const jobs = Array.from({ length: 120 }, (_, i) => mixed(1000 + i * 997));
    await Promise.all(jobs.map(async (plain, i) => {
        const isBad = i % 5 === 0;
        const body = i % 2 ? gzipSync(plain) : deflateSync(plain);
        const answer = await kit.send(`/${backends[i % 2]}`, { coding: i % 2 ? 'gzip' : 'deflate',
            body: isBad ? body.subarray(0, -1) : body, framing: framings[i >> 1 & 1], piece: 1700 });
        assert.equal(answer.status, isBad ? 400 : 200);
        if (!isBad) {
            assert.equal(answer.json.sha, sha(plain));
        }
    }));
});

test('R6.1 thousands of requests on one connection leave no memory behind', async (t) => {
    const kit = await startInflate(t, { server: 'keepalive_requests 100000;' });
    const [worker] = kit.nginx.workers();
    const raw = await kit.connect();
    const body = gzipSync(mixed(30000));
    const round = async (times) => {
        for (let i = 0; i < times; i++) {
            const coding = i % 10 === 0 ? 'br' : 'gzip';
            const answer = await kit.send('/fastcgi', { raw, body, coding });
            assert.equal(answer.status, coding === 'br' ? 415 : 200);
        }
    };
    await round(300);
    const before = rssAnonKb(worker);
    await round(2000);
    assertFlat(before, rssAnonKb(worker), 300);
});

test('R6.1 nginx -t knows the directives', async () => {
    const verdict = async (line) => {
        const nginx = await Nginx.prepare({ http: ({ port }) => `
            server { listen 127.0.0.1:${port}; ${line} location / { ${line} } }` });
        const { code, stderr } = await nginx.test();
        return code === 0 ? 'ok' : stderr.split('\n')[0];
    };
    assert.equal(await verdict('voice_inflate on;'), 'ok');
    assert.equal(await verdict('voice_inflate_max_size 10m; voice_inflate_max_ratio 50;'), 'ok');
    assert.match(await verdict('voice_inflate yes;'), /invalid value "yes" in "voice_inflate"/);
    assert.match(await verdict('voice_inflate_max_size -1;'), /invalid value in .*nginx.conf:\d+/);
    assert.match(await verdict('voice_inflate_max_ratio x;'), /invalid number in .*nginx.conf:\d+/);
    assert.match(await verdict('voice_inflate on; voice_inflate off;'), /is duplicate/);
});

test('R6.1 the shipped configuration inflates on its way to voiced', async (t) => {
    const stack = await startStack(t);
    const post = (body, coding) => stack.request('/v1/realtime/calls', { method: 'POST', body,
        headers: { 'Content-Type': 'application/json',
            ...(coding && { 'Content-Encoding': coding }) } });
    const plain = await post('{}');
    const inflated = await post(gzipSync('{}'), 'gzip');
    assert.equal(inflated.status, plain.status);
    assert.deepEqual(inflated.json, plain.json);
    assert.equal((await post(broken, 'gzip')).status, 400);
    assert.equal((await post(gzipSync(Buffer.alloc(30 << 20)), 'gzip')).status, 413);
    assert.equal((await post(zipped, 'br')).status, 415);
});

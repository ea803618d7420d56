// SPDX-License-Identifier: BSD-2-Clause
//
// nginx with voice_inflate on in front of both kinds of backend, and a sender
// that frames a body as it is told and checks that the connection stays in
// step.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { FastcgiBackend, HttpBackend } from './body_backends.mjs';
import { RawSocket } from './client.mjs';
import { LIMIT } from './gzip_bodies.mjs';
import { Nginx } from './nginx.mjs';
import { defer } from './process.mjs';

export const backends = ['fastcgi', 'proxy'];
export const sha = (data) => createHash('sha256').update(data).digest('hex');

const TIMEOUT_MS = 10000;

// `locations`: text of more locations, or a function of (fastcgi, proxy), the
// two pass directives.
export async function startInflate(t, { locations = '', server = '', http = '',
    nginx: more = {} } = {}) {
    const fastcgi = await FastcgiBackend.start(t);
    const backend = await HttpBackend.start(t);
    const pass = {
        fastcgi: `include /etc/nginx/fastcgi_params; fastcgi_pass unix:${fastcgi.path};`,
        proxy: `proxy_http_version 1.1; proxy_pass http://127.0.0.1:${backend.port};`,
    };
    const text = typeof locations === 'function' ? locations(pass.fastcgi, pass.proxy) : locations;
    const nginx = await Nginx.start(t, { ...more, http: ({ port, tlsPort, certs }) => `
        ${http}
        server {
            listen 127.0.0.1:${port};
            listen 127.0.0.1:${tlsPort} ssl http2;
            ssl_certificate ${certs.certPath};
            ssl_certificate_key ${certs.keyPath};
            client_max_body_size 8m;
            client_body_timeout 5s;
            lingering_timeout 2s;
            voice_inflate on;
            voice_inflate_max_size ${LIMIT};
            ${server}
            location = /after { return 200 "after\\n"; }
            location = /fastcgi { ${pass.fastcgi} }
            location = /proxy { ${pass.proxy} }
            ${text}
        }` });
    defer(t, () => assert.doesNotMatch(nginx.errorLog(), /\[(alert|crit|emerg)\]/));
    return new InflateKit(t, nginx, fastcgi, backend);
}

function chunk(data) {
    return Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data,
        Buffer.from('\r\n')]);
}

function slices(data, bytes) {
    const parts = [];
    for (let at = 0; at < data.length; at += bytes) {
        parts.push(data.subarray(at, at + bytes));
    }
    return parts;
}

// The writes that make a request; `piece`: bytes of the body in each.
function writes(path, { body, coding, framing = 'length', piece, headers = {}, method = 'POST' }) {
    const lines = Object.entries({ Host: 'localhost',
        ...(coding !== undefined && { 'Content-Encoding': coding }),
        ...(framing === 'length' ? { 'Content-Length': body.length }
            : { 'Transfer-Encoding': 'chunked' }), ...headers });
    const head = Buffer.from(`${method} ${path} HTTP/1.1\r\n` +
        `${lines.flatMap(([name, value]) => [value].flat()
            .map((one) => `${name}: ${one}\r\n`)).join('')}\r\n`);
    let parts = slices(body, piece ?? 50000);
    if (framing === 'chunked') {
        parts = [...parts.map(chunk), Buffer.from('0\r\n\r\n')];
    }
    return piece ? [head, ...parts] : [Buffer.concat([head, ...parts])];
}

export class InflateKit {
    constructor(t, nginx, fastcgi, http) {
        Object.assign(this, { t, nginx, fastcgi, http, port: nginx.port });
    }

    connect() {
        return RawSocket.connect(this.t, { port: this.port });
    }

    // { status, head, text, json }. after: the connection must then either
    // answer another request or come to its end.
    async send(path, options) {
        const raw = options.raw ?? await this.connect();
        for (const data of writes(path, options)) {
            await raw.write(data);
        }
        const answer = await readAnswer(raw);
        if (options.after) {
            await this.checkStep(raw, answer);
        }
        if (!options.raw) {
            raw.socket.destroy();
        }
        return answer;
    }

    async checkStep(raw, answer) {
        if (/^connection: close\r$/im.test(answer.head)) {
            raw.socket.end();
            await raw.waitEnd(TIMEOUT_MS);
            assert.equal(raw.received.toString(), '', 'nothing behind the answer');
            return;
        }
        await raw.write('GET /after HTTP/1.1\r\nHost: x\r\n\r\n');
        const after = await readAnswer(raw);
        assert.equal(`${after.status} ${after.text}`, '200 after\n');
    }
}

export async function readAnswer(raw) {
    let answer;
    do {
        answer = await raw.readHead();
    } while (answer.status === 100);
    const length = /^content-length: (\d+)/im.exec(answer.head);
    let body;
    if (length) {
        const bytes = Number(length[1]);
        await raw.wait((data) => data.length >= bytes, 'the body', TIMEOUT_MS);
        body = raw.received.subarray(0, bytes);
        raw.received = raw.received.subarray(bytes);
    } else {
        body = await readChunks(raw);
    }
    const text = body.toString();
    return { ...answer, text, json: text.startsWith('{') ? JSON.parse(text) : undefined };
}

async function readChunks(raw) {
    const parts = [];
    for (;;) {
        const line = await raw.wait((data) => data.includes('\r\n') &&
            data.toString('latin1', 0, data.indexOf('\r\n') + 2), 'a chunk', TIMEOUT_MS);
        const bytes = parseInt(line, 16);
        const whole = line.length + bytes + 2;
        await raw.wait((data) => data.length >= whole, 'a chunk', TIMEOUT_MS);
        parts.push(raw.received.subarray(line.length, line.length + bytes));
        raw.received = raw.received.subarray(whole);
        if (bytes === 0) {
            return Buffer.concat(parts);
        }
    }
}

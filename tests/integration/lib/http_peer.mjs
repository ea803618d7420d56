// SPDX-License-Identifier: BSD-2-Clause
//
// Both ends of the HTTP client's tests: a server that counts what reaches it
// (connections, streams, handshakes, closes) and the program that sends.
//
//     const peer = await HttpPeer.start(t, { h2: true });
//     const requests = await Requests.start(t, { read_ms: 500 });
//     const answers = await requests.send(3, { url: peer.url('/size/1000') });

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { deflateSync, gzipSync } from 'node:zlib';
import { Certs } from './certs.mjs';
import { build } from './paths.mjs';
import { defer, sanitizerReport, until, within } from './process.mjs';

const program = join(build, 'tests/http_requests');

// Limits that are out of the way; a test names those that it is about.
export const roomy = { keepalive: 20, max: 100, idle_ms: 30000, connect_ms: 20000,
    read_ms: 30000, write_ms: 30000, pool_wait_ms: 20000 };

// Bytes that shrink to a half or so.
const noises = new Map();

export function noise(bytes) {
    const known = noises.get(bytes);
    if (known) {
        return known;
    }
    const data = Buffer.alloc(bytes);
    noises.set(bytes, data);
    for (let i = 0, x = 1; i < bytes; i++) {
        x = (x * 1103515245 + 12345) % 2147483648;
        data[i] = 97 + Math.floor(x / 65536) % 16;
    }
    return data;
}

// What the sending program makes of the bytes that it was told.
export function sum(data) {
    let value = 0;
    for (const byte of data) {
        value = (value * 31 + byte) % 1000000007;
    }
    return value;
}

// Answers by path: /size/N, that many bytes; /wait/MS, after a while;
// /silent, never; /part, the head and a byte, then never; /head/N, a header
// of that size; /echo, what came; /deaf, reads no byte of the body; /flow/N, so
// much noise as the reader takes; /late/MS, the head, and its body after a
// while; /gzip/N and /deflate/N, N bytes said shorter; /raw/NAME, a body of that
// name that the test gave.
export class HttpPeer {
    static async start(t, { h2 = true, address = '127.0.0.1', streams = 1000,
        http1 = false } = {}) {
        const peer = new HttpPeer(h2, streams, http1);
        await new Promise((done) => peer.server.listen(0, address, done));
        peer.address = address;
        peer.port = peer.server.address().port;
        defer(t, () => peer.stop());
        return peer;
    }

    constructor(h2, streams, http1) {
        const certs = Certs.get();
        const tls = { key: readFileSync(certs.keyPath), cert: readFileSync(certs.certPath) };
        this.ca = certs.caPath;
        this.sockets = new Set();
        Object.assign(this, { accepted: 0, resumed: 0, requests: 0,
            serving: 0, mostServing: 0, mostStreams: 0, closed: [],
            seen: [], raw: {}, flowed: 0 });
        this.server = h2
            ? createSecureServer({ ...tls, allowHTTP1: http1, settings: { maxConcurrentStreams: streams },
                maxSessionMemory: 1000 }) // MB; by default ten: it would end the session
            : createServer({ ...tls, keepAliveTimeout: 600000 });
        this.server.on('secureConnection', (socket) => this.#accept(socket));
        this.server.on('request', (request, response) => this.#serve(request, response));
        this.server.on('sessionError', () => {});
        this.server.on('session', (session) => {
            let open = 0;
            session.on('stream', (stream) => {
                this.mostStreams = Math.max(this.mostStreams, ++open);
                stream.on('close', () => open--);
            });
        });
    }

    #accept(socket) {
        this.accepted++;
        this.resumed += socket.isSessionReused() ? 1 : 0;
        this.sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
            this.sockets.delete(socket);
            this.closed.push(Date.now());
        });
    }

    #serve(request, response) {
        this.requests++;
        this.serving++;
        this.mostServing = Math.max(this.mostServing, this.serving);
        this.seen.push({ method: request.method, path: request.url, headers: request.headers });
        // Answered counts as served: a client may be quicker than our events.
        let serving = true;
        const over = () => {
            this.serving -= serving ? 1 : 0;
            serving = false;
        };
        const end = response.end;
        response.end = (...args) => {
            over();
            return end.apply(response, args);
        };
        response.on('close', over);
        response.on('error', () => {});
        request.on('error', () => {});
        const [, what, value] = request.url.split('/');
        if (what === 'deaf') {
            return;
        }
        if (what === 'echo') {
            response.writeHead(200, { 'content-type': request.headers['content-type'] ?? 'none' });
            request.pipe(response);
            return;
        }
        request.resume();
        request.on('end', () => this.#answer(what, Number(value), response, value));
    }

    // As much as the reader takes; `flowed` tells how much that was.
    #flow(bytes, response) {
        const data = noise(bytes);
        response.writeHead(200);
        let at = 0;
        const more = () => {
            while (at < bytes) {
                const piece = data.subarray(at, at + 65536);
                at += piece.length;
                this.flowed = at;
                if (!response.write(piece)) {
                    response.once('drain', more);
                    return;
                }
            }
            response.end();
        };
        more();
    }

    #answer(what, value, response, name) {
        if (what === 'size') {
            response.writeHead(200, { 'x-size': String(value) });
            response.end(Buffer.alloc(value, 'a'));
        } else if (what === 'stream') { // no length said
            response.writeHead(200);
            response.write(Buffer.alloc(value, 'a'));
            response.end();
        } else if (what === 'wait') {
            setTimeout(() => response.end('late'), value);
        } else if (what === 'part') {
            response.writeHead(200, { 'x-begun': 'yes' });
            response.write('p');
        } else if (what === 'trickle') { // a byte each `value` ms, eight in all
            let left = 8;
            const timer = setInterval(() => {
                response.write('t');
                if (--left === 0) {
                    clearInterval(timer);
                    response.end();
                }
            }, value);
        } else if (what === 'head') {
            for (let i = 0; i < value / 1000; i++) {
                response.setHeader(`x-${i}`, 'h'.repeat(990));
            }
            response.end('big');
        } else if (what === 'status') {
            response.writeHead(value, { location: this.url('/size/1'), 'set-cookie': 'a=b' });
            response.end('no');
        } else if (what === 'flow') {
            this.#flow(value, response);
        } else if (what === 'late') {
            response.writeHead(200, { 'x-begun': 'yes' });
            response.flushHeaders();
            setTimeout(() => response.end('late'), value);
        } else if (what === 'gzip' || what === 'deflate') {
            const zip = what === 'gzip' ? gzipSync : deflateSync;
            response.writeHead(200, { 'content-encoding': what });
            response.end(zip(noise(value)));
        } else if (what === 'raw') {
            const { headers, body } = this.raw[name];
            response.writeHead(200, headers);
            response.end(body);
        } else if (what === 'cut') {
            response.writeHead(200, { 'content-length': '100' });
            response.write('c');
            setTimeout(() => (response.stream?.session ?? response).destroy(), 50);
        }
    }

    url(path) {
        return `https://${this.address}:${this.port}${path}`;
    }

    async stop() {
        this.server.close();
        for (const socket of this.sockets) {
            socket.destroy();
        }
    }
}

// The program that drives the client: one a test.
export class Requests {
    // limits: what differs from `roomy`, or the path of a voiced.conf
    static async start(t, limits = {}, { command = [] } = {}) {
        assert.ok(existsSync(program), `${program} is missing: make test-programs`);
        const given = typeof limits === 'string' ? limits : JSON.stringify({ ...roomy, ...limits });
        const requests = new Requests([...command, program, given]);
        defer(t, () => requests.stop());
        return requests;
    }

    constructor([command, ...args]) {
        this.lines = [];
        this.errors = '';
        this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
        this.child.stderr.on('data', (data) => { this.errors += data; });
        this.exited = new Promise((done) => this.child.once('exit', (code, signal) =>
            done({ code, signal })));
        createInterface({ input: this.child.stdout }).on('line', (line) =>
            this.lines.push(JSON.parse(line)));
    }

    command(what) {
        this.child.stdin.write(`${JSON.stringify(what)}\n`);
    }

    // Sends without waiting for answers; `take` gets them.
    post(count, what) {
        this.command({ send: count, ...what });
    }

    async take(count, timeoutMs = 30000) {
        await until(() => this.lines.length >= count, `${count} answers`, timeoutMs);
        return this.lines.splice(0, count);
    }

    async send(count, what) {
        this.post(count, what);
        return this.take(count);
    }

    async one(what) {
        return (await this.send(1, what))[0];
    }

    async metrics() {
        this.command({ metrics: true });
        return (await this.take(1))[0];
    }

    // Clean, whatever is under way: sanitizers speak at the exit.
    async stop() {
        if (this.stopped) {
            return;
        }
        this.stopped = true;
        this.child.stdin.end();
        const exit = await within(this.exited, 20000);
        if (!exit) {
            this.child.kill('SIGKILL');
        }
        assert.equal(sanitizerReport(this.errors), null);
        assert.deepEqual(exit, { code: 0, signal: null }, this.errors);
        assert.doesNotMatch(this.errors, /ALERT|alert/);
    }
}

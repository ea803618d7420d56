// SPDX-License-Identifier: BSD-2-Clause
//
// Backends that tell what request they got: a FastCGI responder and a Node
// HTTP server, both answering 200 with the same JSON:
//
//     { bytes, sha, length, encoding, params }   (params: FastCGI alone)
//
// length is CONTENT_LENGTH or Content-Length, encoding Content-Encoding, null
// when not there. `seen` counts the requests whose body came to its end,
// `aborted` those whose body did not.

import { createHash } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { parseParams, record } from './fastcgi_peer.mjs';
import { makeDir } from './paths.mjs';
import { defer } from './process.mjs';

const END = 3, PARAMS = 4, STDIN = 5, STDOUT = 6;

class Tally {
    constructor(owner) {
        this.owner = owner;
        this.hash = createHash('sha256');
        this.bytes = 0;
        owner.begun++;
    }

    add(data) {
        this.bytes += data.length;
        this.hash.update(data);
        this.owner.received += data.length;
    }

    end(more) {
        this.owner.seen++;
        this.ended = true;
        return JSON.stringify({ bytes: this.bytes, sha: this.hash.digest('hex'), ...more });
    }

    cut() {
        if (!this.ended) {
            this.owner.aborted++;
        }
    }
}

class Backend {
    begun = 0;
    seen = 0;
    aborted = 0;
    received = 0;
}

export class FastcgiBackend extends Backend {
    static async start(t) {
        const backend = new FastcgiBackend();
        backend.path = join(makeDir('body'), 's');
        const sockets = new Set();
        const server = createServer((socket) => {
            sockets.add(socket);
            socket.once('close', () => sockets.delete(socket));
            socket.on('error', () => {});
            backend.#serve(socket);
        });
        await new Promise((done) => server.listen(backend.path, 1024, done));
        defer(t, () => {
            server.close();
            sockets.forEach((socket) => socket.destroy());
        });
        return backend;
    }

    #serve(socket) {
        let held = Buffer.alloc(0);
        const state = { params: [] };
        socket.on('data', (data) => {
            held = Buffer.concat([held, data]);
            while (held.length >= 8) {
                const bytes = held.readUInt16BE(4);
                if (held.length < 8 + bytes + held[6]) {
                    return;
                }
                const content = held.subarray(8, 8 + bytes);
                const type = held[1];
                held = held.subarray(8 + bytes + held[6]);
                this.#record(socket, state, type, content);
            }
        });
        socket.once('close', () => state.tally?.cut());
    }

    #record(socket, state, type, content) {
        if (type === PARAMS) {
            state.params.push(Buffer.from(content));
            if (content.length === 0) {
                state.params = parseParams(Buffer.concat(state.params));
                state.tally = new Tally(this);
            }
        } else if (type === STDIN && content.length > 0) {
            state.tally.add(content);
        } else if (type === STDIN) {
            const { params } = state;
            const answer = state.tally.end({ params, length: params.CONTENT_LENGTH || null,
                encoding: params.HTTP_CONTENT_ENCODING ?? null });
            socket.write(Buffer.concat([record(STDOUT,
                `Status: 200 OK\r\nContent-Type: application/json\r\n\r\n${answer}`),
            record(STDOUT), record(END, Buffer.alloc(8))]));
            socket.end();
        }
    }
}

export class HttpBackend extends Backend {
    static async start(t) {
        const backend = new HttpBackend();
        const server = createHttpServer((request, response) => {
            const tally = new Tally(backend);
            request.on('data', (data) => tally.add(data));
            request.on('error', () => {});
            request.once('close', () => tally.cut());
            request.once('end', () => {
                const { headers } = request;
                response.setHeader('Content-Type', 'application/json');
                response.end(tally.end({ length: headers['content-length'] ?? null,
                    encoding: headers['content-encoding'] ?? null, headers }));
            });
        });
        await new Promise((done) => server.listen(0, '127.0.0.1', done));
        backend.port = server.address().port;
        defer(t, () => {
            server.close();
            server.closeAllConnections();
        });
        return backend;
    }
}

// SPDX-License-Identifier: BSD-2-Clause
//
// An HTTP proxy that knows CONNECT alone.
//
//     const proxy = await Proxy.start(t, { auth: 'user:secret' });
//     proxy.url                 http://user:secret@127.0.0.1:…
//     proxy.connects            [{ host, authorization, status }]
//     proxy.refuse(403)         until accept()
//     proxy.killAll()           the tunnels that are open

import { createServer } from 'node:http';
import { connect } from 'node:net';
import { freePort } from './paths.mjs';
import { defer } from './process.mjs';

export class Proxy {
    connects = [];
    requests = 0;       // of any other method
    #status = 0;
    #sockets = new Set();

    static async start(t, options = {}) {
        const proxy = new Proxy(options);
        proxy.port = await freePort();
        await new Promise((done, fail) => {
            proxy.server.once('error', fail);
            proxy.server.listen(proxy.port, '127.0.0.1', done);
        });
        defer(t, () => proxy.stop());
        return proxy;
    }

    // `auth` is "user:password"; `mute`: CONNECT is never answered.
    constructor({ auth, mute = false }) {
        this.auth = auth;
        this.mute = mute;
        this.server = createServer((_request, response) => {
            this.requests++;
            response.writeHead(405).end();
        });
        this.server.on('connection', (socket) => {
            this.#sockets.add(socket);
            socket.on('close', () => this.#sockets.delete(socket));
            socket.on('error', () => {});
        });
        this.server.on('connect', (request, socket, head) => this.#connect(request, socket, head));
    }

    get url() {
        return `http://${this.auth ? `${this.auth}@` : ''}127.0.0.1:${this.port}`;
    }

    // Without the password.
    get plainUrl() {
        return `http://127.0.0.1:${this.port}`;
    }

    refuse(status) { this.#status = status; }

    accept() { this.#status = 0; }

    get tunnels() {
        return this.#sockets.size;
    }

    killAll() {
        this.#sockets.forEach((socket) => socket.destroy());
    }

    #judge(authorization) {
        if (this.#status) {
            return this.#status;
        }
        const want = this.auth && `Basic ${Buffer.from(this.auth).toString('base64')}`;
        return want && authorization !== want ? 407 : 200;
    }

    #connect(request, socket, head) {
        const authorization = request.headers['proxy-authorization'];
        const status = this.#judge(authorization);
        this.connects.push({ host: request.url, authorization, status });
        if (this.mute) {
            return;
        }
        if (status !== 200) {
            socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\nConnection: close\r\n` +
                `${status === 407 ? 'Proxy-Authenticate: Basic realm="test"\r\n' : ''}\r\n`);
            return;
        }
        this.#tunnel(new URL(`http://${request.url}`), socket, head);
    }

    #tunnel({ hostname, port }, socket, head) {
        const there = connect(Number(port || 80), hostname.replace(/^\[|\]$/g, ''));
        this.#sockets.add(there);
        there.once('connect', () => {
            socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
            there.write(head);
            socket.pipe(there).pipe(socket);
        });
        there.on('error', () => socket.destroy());
        there.on('close', () => { this.#sockets.delete(there); socket.destroy(); });
        socket.on('close', () => there.destroy());
    }

    async stop() {
        this.killAll();
        await new Promise((done) => this.server.close(done));
    }
}

// SPDX-License-Identifier: BSD-2-Clause
//
// A WebSocket client that is nothing but bytes: the handshake as given, then
// any bytes in any pieces. What it receives is cut into frames (ws_raw.next)
// and checked: a masked frame or RSV bit from a server is an error.

import { createHash } from 'node:crypto';
import { createConnection } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { EventQueue, FrameReader, closePayload, frame } from './frames.mjs';
import { within } from './process.mjs';

export { BINARY, CLOSE, CONT, PING, PONG, TEXT, closePayload, frame } from './frames.mjs';

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

// A frame as a client sends it.
export const masked = (opcode, payload, options) =>
    frame(opcode, payload, { masked: true, ...options });

export function handshakeText({ path = '/v1/realtime', method = 'GET', version = '1.1',
    host = 'localhost', headers = {} } = {}) {
    const all = { Host: host, Connection: 'Upgrade', Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': KEY, ...headers };
    const lines = Object.entries(all).filter(([, value]) => value !== null)
        .flatMap(([name, value]) => [value].flat().map((v) => `${name}: ${v}\r\n`));
    return `${method} ${path} HTTP/${version}\r\n${lines.join('')}\r\n`;
}

export class RawClient {
    #head = Buffer.alloc(0);
    #events = new EventQueue();

    // port: or the path of a unix socket; ca: over TLS; tls: more options of
    // it; prefix: bytes before all others, in the clear.
    static async connect(port, { ca, tls, prefix, rsv } = {}) {
        const client = new RawClient();
        client.socket = createConnection(typeof port === 'string' ? { path: port }
            : { port, host: '127.0.0.1' });
        if (prefix) {
            client.socket.write(prefix);
        }
        if (ca) {
            client.socket = connectTls({ socket: client.socket, servername: 'localhost', ca,
                ...tls });
        }
        client.socket.setNoDelay(true);
        client.reader = new FrameReader((event) => client.#events.push(event), { rsv });
        client.gone = new Promise((done) => client.socket.once('close', () => {
            client.#events.push({ type: 'gone' });
            done();
        }));
        await new Promise((done, fail) => {
            client.socket.once(ca ? 'secureConnect' : 'connect', done);
            client.socket.once('error', fail);
        });
        client.socket.on('error', (error) => { client.error = error; });
        return client;
    }

    // Connects and expects a 101; `early` bytes follow in the same segment.
    static async open(port, options = {}) {
        const client = await RawClient.connect(port, options);
        const answer = await client.handshake(options);
        if (answer.status !== 101) {
            throw new Error(`handshake: ${answer.status} ${answer.body}`);
        }
        client.answer = answer;
        return client;
    }

    // { status, headers, body } of the answer.
    async handshake(options = {}) {
        const text = options.text ?? handshakeText(options);
        const answer = this.#answer();
        this.socket.write(Buffer.concat([Buffer.from(text), options.early ?? Buffer.alloc(0)]));
        const result = await within(answer, options.timeoutMs ?? 20000);
        if (!result) {
            throw new Error('no answer to the handshake');
        }
        if (result.status === 101 && !options.text) {
            this.#check(result);
        }
        return result;
    }

    #check({ headers }) {
        const accept = createHash('sha1')
            .update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
        if (headers['sec-websocket-accept'] !== accept ||
            headers.upgrade?.toLowerCase() !== 'websocket' ||
            headers.connection?.toLowerCase() !== 'upgrade') {
            throw new Error(`a wrong 101: ${JSON.stringify(headers)}`);
        }
    }

    #answer() {
        this.#head = Buffer.alloc(0);
        return new Promise((done) => {
            const finish = () => done(parseAnswer(this.#head));
            const onData = (data) => {
                this.#head = Buffer.concat([this.#head, data]);
                const end = this.#head.indexOf('\r\n\r\n');
                const answer = end < 0 ? null : parseAnswer(this.#head);
                if (!answer || (answer.status !== 101 && !answer.whole)) {
                    return;
                }
                this.socket.off('data', onData);
                this.socket.off('close', finish);
                if (answer.status === 101) {
                    this.socket.on('data', (bytes) => this.#take(bytes));
                    this.#take(this.#head.subarray(end + 4));
                }
                done(answer);
            };
            this.socket.on('data', onData);
            this.socket.once('close', finish);
        });
    }

    #take(bytes) {
        try {
            this.reader.push(bytes);
        } catch (error) {
            this.#events.push({ type: 'error', error });
        }
    }

    // The next message, ping, pong or close; gone when the connection is.
    async next(timeoutMs = 20000) {
        const event = await within(this.#events.next(), timeoutMs);
        if (!event) {
            throw new Error('nothing came from the server');
        }
        if (event.type === 'error') {
            throw event.error;
        }
        return event;
    }

    // Skips to the Close frame and gives it; every session ends with one.
    async untilClose(timeoutMs) {
        for (;;) {
            const event = await this.next(timeoutMs);
            if (event.type === 'close') {
                return event;
            }
            if (event.type === 'gone') {
                throw new Error('the connection ended without a Close frame');
            }
        }
    }

    // Resolves when the kernel has taken the bytes.
    write(bytes) {
        return new Promise((done) => this.socket.write(bytes, done));
    }

    send(opcode, payload, options) {
        return this.write(masked(opcode, payload, options));
    }

    // Every byte in a segment of its own.
    async dribble(bytes) {
        for (let i = 0; i < bytes.length; i++) {
            await this.write(bytes.subarray(i, i + 1));
            await new Promise((done) => setImmediate(done));
        }
    }

    // The closing handshake; resolves when the server has ended the connection.
    async close(code = 1000, reason = '') {
        await this.send(8, code === 1005 ? '' : closePayload(code, reason));
        const event = await this.untilClose();
        await within(this.gone, 10000);
        return event;
    }

    destroy() {
        this.socket.destroy();
    }
}

function parseAnswer(data) {
    const end = data.indexOf('\r\n\r\n');
    if (end < 0) {
        return { status: 0, headers: {}, body: data.toString() };
    }
    const [line, ...lines] = data.subarray(0, end).toString('latin1').split('\r\n');
    const headers = {};
    for (const text of lines) {
        const colon = text.indexOf(':');
        const name = text.slice(0, colon).toLowerCase();
        const value = text.slice(colon + 1).trim();
        headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
    }
    let body = data.subarray(end + 4);
    let whole = false;
    if (headers['content-length'] !== undefined) {
        whole = body.length >= Number(headers['content-length']);
    } else if (headers['transfer-encoding'] === 'chunked') {
        whole = body.subarray(-5).toString() === '0\r\n\r\n';
        body = whole ? unchunk(body) : body;
    }
    return { status: Number(line.split(' ')[1]), line, headers, whole, body: body.toString() };
}

function unchunk(data) {
    const parts = [];
    for (let at = 0; ;) {
        const end = data.indexOf('\r\n', at);
        const bytes = parseInt(data.toString('latin1', at, end), 16);
        if (!bytes) {
            return Buffer.concat(parts);
        }
        parts.push(data.subarray(end + 2, end + 2 + bytes));
        at = end + 4 + bytes;
    }
}

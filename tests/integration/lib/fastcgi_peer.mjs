// SPDX-License-Identifier: BSD-2-Clause
//
// What the module talks to: a FastCGI server that speaks the stream wire, as
// the test scripts it. A handler gets each session after its parameters:
//
//     const peer = await FastcgiPeer.start(t, async (s) => {
//         s.accept();
//         const event = await s.next();    // message, pong, close, end, …
//         s.message(TEXT, 'hello');
//         s.close(1000, 'bye');
//     });
//
// Without a handler it accepts and echoes. Anything the module sends that the
// wire forbids is recorded in peer.violations, and teardown fails on it.

import { createServer } from 'node:net';
import { join } from 'node:path';
import { CLOSE, EventQueue, FrameReader, closePayload, frame } from './frames.mjs';
import { makeDir } from './paths.mjs';
import { defer, within } from './process.mjs';

const BEGIN = 1, ABORT = 2, END = 3, PARAMS = 4, STDIN = 5, STDOUT = 6, STDERR = 7;

export function record(type, content = '', { version = 1, id = 1, padding } = {}) {
    const data = Buffer.from(content);
    const pad = padding ?? (-data.length & 7);
    return Buffer.concat([Buffer.from([version, type, id >> 8, id & 255, data.length >> 8,
        data.length & 255, pad, 0]), data, Buffer.alloc(pad)]);
}

export async function echo(session) {
    session.accept();
    for (;;) {
        const event = await session.next();
        if (event.type === 'message') {
            await session.message(event.opcode, event.data);
        } else if (event.type === 'close') {
            session.closed = event;
        } else if (!['ping', 'pong'].includes(event.type)) {
            session.end();
            return;
        }
    }
}

export class FastcgiPeer {
    static async start(t, handler = echo, { socket } = {}) {
        const peer = new FastcgiPeer();
        peer.socket = socket ?? join(makeDir('peer'), 's');
        peer.handler = handler;
        peer.violations = [];
        peer.sessions = [];
        peer.arrivals = new EventQueue();
        peer.server = createServer((c) => peer.#connection(c));
        await new Promise((done, fail) => {
            peer.server.once('error', fail);
            peer.server.listen(peer.socket, 4096, done);
        });
        defer(t, () => peer.#teardown());
        return peer;
    }

    // The session of a client that is connecting.
    async session() {
        const session = await within(this.arrivals.next(), 10000);
        if (!session) {
            throw new Error('no session arrived');
        }
        return session;
    }

    #connection(socket) {
        const session = new Session(this, socket);
        this.sessions.push(session);
    }

    // Stops listening and cuts every session, as a crash does.
    async crash() {
        for (const session of this.sessions) {
            session.socket.destroy();
        }
        await new Promise((done) => this.server.close(done));
    }

    async #teardown() {
        for (const session of this.sessions) {
            session.socket.destroy();
        }
        this.server.close();
        if (this.violations.length > 0) {
            throw new Error(`the module broke the wire: ${this.violations.join('; ')}`);
        }
    }
}

class Session {
    #held = Buffer.alloc(0);
    #params = [];
    #events = new EventQueue();
    #ready = false;

    constructor(peer, socket) {
        this.peer = peer;
        this.socket = socket;
        this.isAccepted = false; // set by hand when a test writes its own 101
        this.records = 0;
        this.stdinBytes = 0;
        this.paramRecords = 0;
        this.gone = new Promise((done) => socket.once('close', done));
        this.reader = new FrameReader((event) => this.#events.push(event));
        socket.on('data', (data) => this.#read(data));
        socket.on('error', () => {});
        socket.once('close', () => this.#events.push({ type: 'lost' }));
    }

    #violation(text) {
        this.peer.violations.push(text);
    }

    #read(data) {
        this.#held = this.#held.length > 0 ? Buffer.concat([this.#held, data]) : data;
        for (;;) {
            const b = this.#held;
            const bytes = b.length < 8 ? 0 : b.readUInt16BE(4);
            if (b.length < 8 || b.length < 8 + bytes + b[6]) {
                return;
            }
            this.#held = b.subarray(8 + bytes + b[6]);
            this.#record(b, b.subarray(8, 8 + bytes));
        }
    }

    #record(head, content) {
        this.records++;
        if (head[0] !== 1 || head.readUInt16BE(2) !== 1 || (content.length + head[6]) % 8 !== 0) {
            this.#violation(`a record of version ${head[0]}, id ${head.readUInt16BE(2)}, ` +
                `${content.length} + ${head[6]} bytes`);
        }
        const type = head[1];
        if (type === BEGIN) {
            this.keep = content[2];
        } else if (type === PARAMS) {
            this.#takeParams(content);
        } else if (!this.isAccepted) {
            this.#violation(`record ${type} before the answer`);
        } else if (type === STDIN) {
            this.#takeStdin(content);
        } else if (type === ABORT) {
            this.aborted = true;
            this.#events.push({ type: 'abort' });
        } else {
            this.#violation(`record of type ${type}`);
        }
    }

    #takeParams(content) {
        this.paramRecords++;
        this.#params.push(Buffer.from(content));
        if (content.length > 0) {
            return;
        }
        if (this.keep !== 0) {
            this.#violation('FCGI_KEEP_CONN');
        }
        this.params = parseParams(Buffer.concat(this.#params));
        this.#ready = true;
        this.peer.arrivals.push(this);
        Promise.resolve(this.peer.handler(this)).catch((error) => {
            this.#violation(error.message);
        });
    }

    #takeStdin(content) {
        if (this.ended) {
            this.#violation('STDIN after its end');
        }
        this.stdinBytes += content.length;
        if (content.length === 0) {
            this.ended = true;
            this.#events.push({ type: 'end' });
            return;
        }
        try {
            this.reader.push(content);
        } catch (error) {
            this.#violation(error.message);
        }
    }

    // The next event: message, ping, pong, close (frames), end (empty STDIN),
    // abort, lost (the connection).
    async next(timeoutMs = 20000) {
        const event = await within(this.#events.next(), timeoutMs);
        if (!event) {
            throw new Error('nothing came from the module');
        }
        return event;
    }

    // Skips to an event of that type.
    async until(type) {
        for (;;) {
            const event = await this.next();
            if (event.type === type) {
                return event;
            }
            if (event.type === 'lost') {
                throw new Error(`lost before ${type}`);
            }
        }
    }

    // Resolves when the kernel has taken it, so an echo holds no more than a
    // socket does.
    write(bytes) {
        return new Promise((done) => this.socket.write(bytes, done));
    }

    // `more`: bytes of frames behind the header, in the same record.
    accept(headers = {}, more = '') {
        this.isAccepted = true;
        const head = cgiHead(101, { 'X-Voice-Session': 'sess_test', ...headers });
        return this.stdout(Buffer.concat([Buffer.from(head), Buffer.from(more)]));
    }

    answer(status, headers = {}, body = '') {
        this.write(Buffer.concat([record(STDOUT, cgiHead(status, headers)),
            ...chunks(Buffer.from(body)).map((part) => record(STDOUT, part))]));
        this.end();
    }

    stdout(bytes, options) {
        return this.write(record(STDOUT, bytes, options));
    }

    stderr(text) {
        return this.write(record(STDERR, text));
    }

    message(opcode, data, options) {
        const bytes = frame(opcode, data, options);
        return this.write(Buffer.concat(chunks(bytes).map((part) => record(STDOUT, part))));
    }

    // The Close frame, then END_REQUEST.
    close(code, reason) {
        this.stdout(frame(CLOSE, code === 1005 ? '' : closePayload(code, reason)));
        this.end();
    }

    end() {
        this.write(Buffer.concat([record(STDOUT), record(END, Buffer.alloc(8))]));
        this.socket.end();
    }

    destroy() {
        this.socket.destroy();
    }
}

function chunks(data) {
    const parts = [];
    for (let at = 0; at < data.length; at += 65528) {
        parts.push(data.subarray(at, at + 65528));
    }
    return parts;
}

function cgiHead(status, headers) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    return `Status: ${status}\r\n${lines.join('')}\r\n`;
}

export function parseParams(data) {
    const params = {};
    let at = 0;
    const length = () => {
        if (data[at] < 128) {
            return data[at++];
        }
        at += 4;
        return data.readUInt32BE(at - 4) & 0x7fffffff;
    };
    while (at < data.length) {
        const [name, value] = [length(), length()];
        params[data.toString('latin1', at, at + name)] =
            data.toString('utf8', at + name, at + name + value);
        at += name + value;
    }
    return params;
}

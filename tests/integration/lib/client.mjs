// SPDX-License-Identifier: BSD-2-Clause
//
// Clients of the running stack: `Client` (Realtime events over the `ws`
// package), `request` (one HTTP request), `RawSocket` (bytes on a TCP or TLS
// connection, for what no proper client would do).
//
//     const client = await Client.connect(t, { port: nginx.port });
//     client.send({ type: 'response.create' });
//     const done = await client.next('response.done');

import { createConnection } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import http from 'node:http';
import https from 'node:https';
import WebSocket from 'ws';
import { EventChecker } from './events.mjs';
import { patience } from './paths.mjs';
import { defer, sleep } from './process.mjs';
import { assertTellsNothing, secretsAreKnown } from './secrets.mjs';
import { RATE, durationMs, fromBase64, joinPcm, silence, toBase64 } from './wav.mjs';

const matches = (event, type, pred) =>
    (type instanceof RegExp ? type.test(event.type) : event.type === type) &&
    (!pred || pred(event));

// Events of one session as they arrived, from whatever client; waiting for one.
export class EventLog {
    events = [];
    closed = null; // { code, reason } after the end
    #cursor = 0;
    #waiters = new Set();

    push(event) {
        this.events.push(event);
        this.#wake();
    }

    end(code, reason) {
        this.closed ??= { code, reason };
        this.#wake();
    }

    #wake() {
        for (const waiter of [...this.#waiters]) {
            waiter();
        }
    }

    // The first event of that type (text or RegExp) from index `from` on.
    async waitFor(type, pred, { from = 0, timeoutMs = 20000 } = {}) {
        return this.events[await this.#find(type, pred, from, timeoutMs)];
    }

    // As waitFor, but from the last event that next() gave.
    async next(type, pred, { timeoutMs = 20000 } = {}) {
        const at = await this.#find(type, pred, this.#cursor, timeoutMs);
        this.#cursor = at + 1;
        return this.events[at];
    }

    waitClosed(timeoutMs = 10000) {
        return this.#until(() => this.closed, 'the close', timeoutMs);
    }

    #find(type, pred, from, timeoutMs) {
        let at = from;
        return this.#until(() => {
            for (; at < this.events.length; at++) {
                if (matches(this.events[at], type, pred)) {
                    return { at };
                }
            }
            if (this.closed) {
                throw new Error(`closed (${this.closed.code} ${this.closed.reason}) ` +
                    `before ${type}; events: ${this.types().join(' ')}`);
            }
            return null;
        }, type, timeoutMs).then((found) => found.at);
    }

    #until(check, what, timeoutMs) {
        return new Promise((done, fail) => {
            const finish = (settle, value) => {
                clearTimeout(timer);
                this.#waiters.delete(waiter);
                settle(value);
            };
            const waiter = () => {
                try {
                    const value = check();
                    if (value) {
                        finish(done, value);
                    }
                } catch (error) {
                    finish(fail, error);
                }
            };
            const timer = setTimeout(() => finish(fail, new Error(
                `no ${what} in ${timeoutMs} ms; events: ${this.types().join(' ')}`)),
            patience(timeoutMs));
            this.#waiters.add(waiter);
            waiter();
        });
    }

    types() {
        return this.events.map((event) => event.type);
    }

    // What a response sent: { pcm, transcript, text } of its parts.
    spoken(responseId) {
        const of = (type) => this.events.filter((event) => event.type === type &&
            event.response_id === responseId).map((event) => event.delta);
        return {
            pcm: joinPcm(...of('response.output_audio.delta').map(fromBase64)),
            transcript: of('response.output_audio_transcript.delta').join(''),
            text: of('response.output_text.delta').join(''),
        };
    }
}

// A Realtime client, whatever carries its events: transmit(text), hangUp() and
// kill() are the carrier's.
export class Talker extends EventLog {
    #checker = new EventChecker();

    receive(event) {
        this.#checker.check(event);
        this.push(event);
    }

    // An event object, or text as it is.
    send(event) {
        this.transmit(typeof event === 'string' ? event : JSON.stringify(event));
    }

    // Updates the session and gives the effective one.
    async update(session) {
        this.send({ type: 'session.update', session: { type: 'realtime', ...session } });
        return (await this.next('session.updated')).session;
    }

    sayText(text) {
        this.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user',
            content: [{ type: 'input_text', text }] } });
    }

    // Asks for a response and waits for its end.
    async respond(response) {
        this.send({ type: 'response.create', ...(response && { response }) });
        return this.responseDone();
    }

    async responseDone() {
        return (await this.next('response.done')).response;
    }

    speak(pcm, options) {
        return streamSpeech((event) => this.send(event), pcm, options);
    }

    async close(code = 1000, reason = '') {
        this.hangUp(code, reason);
        return this.waitClosed();
    }

    assertValid() {
        if (this.#checker.problems.length > 0) {
            throw new Error(`events: ${this.#checker.problems.slice(0, 10).join('\n')}`);
        }
    }

    async teardown() {
        if (!this.closed) {
            this.hangUp(1000, '');
            await this.waitClosed(5000).catch(() => {});
        }
        this.kill();
        this.assertValid();
        assertTellsNothing([this.events, this.closed, this.responseHeaders],
            'what a client was told');
    }
}

// Over the package `ws`.
export class Client extends Talker {
    // tls: { ca }; protocols: list; key: Authorization; checked: false for
    // sessions that are no Realtime sessions (echo): text events come as
    // { type: 'text', text }, binary ones in `binary`; 'loose': events whose
    // shape and order nobody checks.
    static async connect(t, options) {
        const client = new Client(options);
        defer(t, () => client.teardown());
        await client.opened;
        return client;
    }

    constructor({ port, host = '127.0.0.1', tls, path = '/v1/realtime?model=gpt-realtime',
        url, protocols = [], headers = {}, key, checked = true, ws = {} }) {
        super();
        const target = url ?? `${tls ? 'wss' : 'ws'}://${host}:${port}${path}`;
        const auth = key === undefined ? {} : { Authorization: `Bearer ${key}` };
        this.socket = new WebSocket(target, protocols, {
            headers: { ...auth, ...headers }, perMessageDeflate: false, ...tls, ...ws });
        this.checked = checked;
        this.binary = [];
        this.responseHeaders = {};
        this.socket.on('upgrade', (response) => { this.responseHeaders = response.headers; });
        this.socket.on('message', (data, isBinary) => this.#message(data, isBinary));
        this.socket.on('close', (code, reason) => this.end(code, reason.toString()));
        this.opened = new Promise((done, fail) => {
            this.socket.once('open', () => done(this));
            this.socket.once('error', fail);
        });
        this.socket.on('error', () => {});
    }

    get sessionId() {
        return this.responseHeaders['x-voice-session'];
    }

    #message(data, isBinary) {
        if (isBinary) {
            this.binary.push(data);
        } else if (this.checked === 'loose') {
            this.push(JSON.parse(data.toString()));
        } else if (this.checked) {
            this.receive(JSON.parse(data.toString()));
        } else {
            this.push({ type: 'text', text: data.toString() });
        }
    }

    transmit(text) {
        this.socket.send(text);
    }

    hangUp(code, reason) {
        this.socket.close(code, reason);
    }

    kill() {
        this.socket.terminate();
    }
}

// The status and body of a refused handshake.
export function refused(options) {
    return new Promise((done, fail) => {
        const client = new Client(options);
        client.socket.once('unexpected-response', (_request, response) => {
            collect(response).then(done, fail);
        });
        client.opened.then(() => {
            client.socket.terminate();
            fail(new Error('the handshake was not refused'));
        }, (error) => {
            if (!/Unexpected server response/.test(error.message)) {
                fail(error);
            }
        });
    });
}

// Sends speech as a microphone does: `pace` 1 is real time, 0 as fast as it
// goes; `silenceMs` follows, so that a server can hear the end.
export async function streamSpeech(send, pcm, { pace = 0, chunkMs = 100, silenceMs = 1000 } = {}) {
    const all = joinPcm(pcm, silence(silenceMs));
    const step = RATE * chunkMs / 1000;
    const start = performance.now();
    for (let at = 0; at < all.length; at += step) {
        const chunk = all.subarray(at, Math.min(at + step, all.length));
        send({ type: 'input_audio_buffer.append', audio: toBase64(chunk) });
        const due = start + pace * durationMs(all.subarray(0, at + chunk.length));
        const early = due - performance.now();
        if (early > 1) {
            await sleep(early);
        }
    }
}

async function collect(response) {
    const chunks = [];
    for await (const chunk of response) {
        chunks.push(chunk);
    }
    const body = Buffer.concat(chunks);
    const answer = { status: response.statusCode, headers: response.headers,
        body, text: body.toString() };
    assertTellsNothing(answer.text, 'a body');
    assertTellsNothing(answer.headers, 'a header');
    if (/^application\/json/.test(response.headers['content-type'] ?? '') &&
        !response.headers['content-encoding'] && body.length > 0) {
        answer.json = JSON.parse(answer.text);
    }
    return answer;
}

// One HTTP request: { status, headers, body, text, json }.
export function request(port, path, { method = 'GET', headers = {}, body, tls, agent,
    timeoutMs = 30000 } = {}) {
    return new Promise((done, fail) => {
        const req = (tls ? https : http).request({ host: '127.0.0.1', port, path, method,
            headers, agent: agent ?? false, ...tls });
        req.setTimeout(patience(timeoutMs), () => req.destroy(new Error(`${path}: no answer`)));
        req.once('response', (response) => collect(response).then(done, fail));
        req.once('error', fail);
        req.end(body);
    });
}

// Bytes as they come. `received` is all of them; read* wait.
export class RawSocket {
    received = Buffer.alloc(0);
    #all = []; // while there are secrets to look for
    ended = false;
    #waiters = new Set();

    static async connect(t, { port, tls, allowHalfOpen = false }) {
        const raw = new RawSocket();
        raw.socket = tls ? tlsConnect({ port, host: '127.0.0.1', ...tls })
            : createConnection({ port, host: '127.0.0.1', allowHalfOpen });
        raw.socket.setNoDelay(true);
        const wake = () => [...raw.#waiters].forEach((waiter) => waiter());
        raw.socket.on('data', (data) => {
            raw.received = Buffer.concat([raw.received, data]);
            if (secretsAreKnown()) {
                raw.#all.push(data);
            }
            wake();
        });
        for (const name of ['end', 'close', 'error']) {
            raw.socket.on(name, () => { raw.ended = true; wake(); });
        }
        defer(t, () => {
            raw.socket.destroy();
            assertTellsNothing(Buffer.concat(raw.#all), 'what a client was told');
        });
        await new Promise((done, fail) => {
            raw.socket.once(tls ? 'secureConnect' : 'connect', done);
            raw.socket.once('error', fail);
        });
        return raw;
    }

    write(data) {
        return new Promise((done) => this.socket.write(data, () => done()));
    }

    // Waits for check(received, ended) to be truthy and gives its value.
    wait(check, what = 'bytes', timeoutMs = 10000) {
        return new Promise((done, fail) => {
            const waiter = () => {
                const value = check(this.received, this.ended);
                if (value) {
                    clearTimeout(timer);
                    this.#waiters.delete(waiter);
                    done(value);
                }
            };
            const timer = setTimeout(() => {
                this.#waiters.delete(waiter);
                fail(new Error(`no ${what}; received ${JSON.stringify(
                    this.received.toString('latin1').slice(0, 400))}`));
            }, patience(timeoutMs));
            this.#waiters.add(waiter);
            waiter();
        });
    }

    // Sends the handshake; resolves to the head of the answer. What follows
    // the head stays in `received`.
    async upgrade(path = '/v1/realtime?model=gpt-realtime', headers = {}, tail = '') {
        const lines = Object.entries({ 'Host': 'localhost', 'Upgrade': 'websocket',
            'Connection': 'Upgrade', 'Sec-WebSocket-Version': '13',
            'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', ...headers })
            .filter(([, value]) => value !== null)
            .map(([name, value]) => `${name}: ${value}\r\n`).join('');
        await this.write(Buffer.concat([
            Buffer.from(`GET ${path} HTTP/1.1\r\n${lines}\r\n`), Buffer.from(tail)]));
        return this.readHead();
    }

    async readHead() {
        const end = await this.wait((data, ended) => {
            const at = data.indexOf('\r\n\r\n');
            return at >= 0 ? at + 4 : (ended && -1);
        }, 'response head');
        if (end < 0) {
            throw new Error('closed before a response head');
        }
        const head = this.received.toString('latin1', 0, end);
        this.received = this.received.subarray(end);
        return { status: Number(head.split(' ')[1]), head };
    }

    // The next whole frame: { opcode, fin, payload }.
    async readFrame(timeoutMs) {
        const frame = await this.wait((data, ended) => parseFrame(data) ??
            (ended && { end: true }), 'frame', timeoutMs);
        if (frame.end) {
            throw new Error('closed before a frame');
        }
        this.received = this.received.subarray(frame.bytes);
        return frame;
    }

    waitEnd(timeoutMs) {
        return this.wait((_data, ended) => ended, 'end of the connection', timeoutMs);
    }
}

// A client's frame, masked.
export function frame(opcode, payload = '', { fin = true, rsv = 0, masked = true,
    mask = Buffer.from([0x12, 0x34, 0x56, 0x78]) } = {}) {
    const body = Buffer.from(payload);
    const head = Buffer.alloc(body.length < 126 ? 2 : body.length < 65536 ? 4 : 10);
    head[0] = (fin ? 0x80 : 0) | rsv << 4 | opcode;
    if (body.length < 126) {
        head[1] = body.length;
    } else if (body.length < 65536) {
        head[1] = 126;
        head.writeUInt16BE(body.length, 2);
    } else {
        head[1] = 127;
        head.writeBigUInt64BE(BigInt(body.length), 2);
    }
    if (!masked) {
        return Buffer.concat([head, body]);
    }
    head[1] |= 0x80;
    for (let i = 0; i < body.length; i++) {
        body[i] ^= mask[i & 3];
    }
    return Buffer.concat([head, mask, body]);
}

// A server's frame at the start of `data`, or null if it is not whole yet.
export function parseFrame(data) {
    if (data.length < 2) {
        return null;
    }
    let bytes = data[1] & 0x7f;
    let at = 2;
    if (bytes === 126 || bytes === 127) {
        at = bytes === 126 ? 4 : 10;
        if (data.length < at) {
            return null;
        }
        bytes = at === 4 ? data.readUInt16BE(2) : Number(data.readBigUInt64BE(2));
    }
    if (data.length < at + bytes) {
        return null;
    }
    return { opcode: data[0] & 15, fin: data[0] >= 0x80, rsv: data[0] >> 4 & 7,
        masked: data[1] >= 0x80, payload: data.subarray(at, at + bytes), bytes: at + bytes };
}

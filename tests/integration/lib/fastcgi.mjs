// SPDX-License-Identifier: BSD-2-Clause
//
// NGINX's side of FastCGI, for what NGINX itself would not send.

import { createConnection } from 'node:net';
import { patience } from './paths.mjs';

const BEGIN = 1, END = 3, PARAMS = 4, STDIN = 5, STDOUT = 6, STDERR = 7;

function record(type, content = Buffer.alloc(0)) {
    const padding = -content.length & 7;
    const head = Buffer.from([1, type, 0, 1, content.length >> 8, content.length & 255,
        padding, 0]);
    return Buffer.concat([head, content, Buffer.alloc(padding)]);
}

function stream(type, content) {
    const parts = [];
    for (let at = 0; at < content.length; at += 65528) {
        parts.push(record(type, content.subarray(at, at + 65528)));
    }
    return Buffer.concat([...parts, record(type)]);
}

function length(n) {
    const long = Buffer.alloc(4);
    long.writeUInt32BE((n | 0x80000000) >>> 0);
    return n < 128 ? Buffer.from([n]) : long;
}

function encodeParams(params) {
    return Buffer.concat(Object.entries(params).flatMap(([name, value]) => {
        const [n, v] = [Buffer.from(name), Buffer.from(String(value))];
        return [length(n.length), length(v.length), n, v];
    }));
}

export function paramsOf(method, path, more = {}) {
    const [uri, query = ''] = path.split('?');
    return { REQUEST_METHOD: method, REQUEST_URI: path, DOCUMENT_URI: uri, SCRIPT_NAME: uri,
        QUERY_STRING: query, SERVER_PROTOCOL: 'HTTP/1.1', GATEWAY_INTERFACE: 'CGI/1.1',
        REMOTE_ADDR: '127.0.0.1', SERVER_NAME: 'localhost', CONTENT_LENGTH: '',
        HTTP_HOST: 'localhost', ...more };
}

export class FastcgiConnection {
    static open(path) {
        const c = new FastcgiConnection();
        c.socket = createConnection(path);
        c.received = Buffer.alloc(0);
        c.socket.on('data', (data) => {
            c.received = Buffer.concat([c.received, data]);
            c.onProgress?.();
        });
        c.ended = new Promise((done) => c.socket.once('close', done));
        c.socket.once('close', () => { c.isClosed = true; c.onProgress?.(); });
        return new Promise((done, fail) => {
            c.socket.once('connect', () => done(c));
            c.socket.once('error', fail);
        });
    }

    // { status, headers, body, stderr } at END_REQUEST. keep: the connection is
    // meant to be used again. stdin false: no STDIN record, as for a stream;
    // then the answer is whole at the blank line after its head.
    request(params, { keep = false, body = Buffer.alloc(0), stdin = true,
        timeoutMs = 10000 } = {}) {
        this.socket.write(Buffer.concat([
            record(BEGIN, Buffer.from([0, 1, keep ? 1 : 0, 0, 0, 0, 0, 0])),
            stream(PARAMS, encodeParams(params)),
            stdin ? stream(STDIN, Buffer.from(body)) : Buffer.alloc(0)]));
        return this.#answer(stdin, timeoutMs);
    }

    #answer(whole, timeoutMs) {
        const out = { [STDOUT]: [], [STDERR]: [] };
        return new Promise((done, fail) => {
            const timer = setTimeout(() => fail(new Error('no FastCGI answer')),
                patience(timeoutMs));
            this.onProgress = () => {
                let end = false;
                for (let rec; (rec = this.#takeRecord());) {
                    out[rec.type]?.push(rec.content);
                    end ||= rec.type === END;
                }
                const text = Buffer.concat(out[STDOUT]).toString('latin1');
                if (end || (!whole && text.includes('\r\n\r\n'))) {
                    clearTimeout(timer);
                    done(parseAnswer(text, Buffer.concat(out[STDERR]).toString()));
                } else if (this.isClosed) {
                    clearTimeout(timer);
                    fail(new Error('the FastCGI connection was closed'));
                }
            };
            this.onProgress();
        });
    }

    #takeRecord() {
        const b = this.received;
        if (b.length < 8 || b.length < 8 + b.readUInt16BE(4) + b[6]) {
            return null;
        }
        const bytes = b.readUInt16BE(4);
        this.received = b.subarray(8 + bytes + b[6]);
        return { type: b[1], content: b.subarray(8, 8 + bytes) };
    }

    close() {
        this.socket.destroy();
    }
}

function parseAnswer(text, stderr) {
    const end = text.indexOf('\r\n\r\n');
    const headers = Object.fromEntries(text.slice(0, end).split('\r\n').map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }));
    return { status: parseInt(headers.status ?? '200', 10), headers,
        body: Buffer.from(text.slice(end + 4), 'latin1').toString(), stderr };
}

// One request on a connection of its own.
export async function fastcgiRequest(path, params, options) {
    const connection = await FastcgiConnection.open(path);
    try {
        return await connection.request(params, options);
    } finally {
        connection.close();
    }
}

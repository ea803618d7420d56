// SPDX-License-Identifier: BSD-2-Clause
//
// WebSocket frames as bytes, for tests that want every one of them in hand.

export const CONT = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

const KEY = Buffer.from([0x12, 0x34, 0x56, 0x78]);

export function maskBytes(data, key = KEY) {
    const out = Buffer.from(data);
    const [a, b, c, d] = key;
    let i = 0;
    for (; i + 4 <= out.length; i += 4) {
        out[i] ^= a;
        out[i + 1] ^= b;
        out[i + 2] ^= c;
        out[i + 3] ^= d;
    }
    for (; i < out.length; i++) {
        out[i] ^= key[i & 3];
    }
    return out;
}

// length: what the header says, where that is not the payload's length;
// wide: 2 or 8, a length field wider than needed.
export function frame(opcode, payload = '', { fin = true, masked = false, rsv = 0, length, wide }
= {}) {
    const data = Buffer.from(payload);
    const bytes = BigInt(length ?? data.length);
    const field = wide ?? (bytes < 126n ? 0 : bytes < 65536n ? 2 : 8);
    const head = Buffer.alloc(2 + field);
    head[0] = (fin ? 0x80 : 0) | rsv << 4 | opcode;
    head[1] = (masked ? 0x80 : 0) | (field === 0 ? Number(bytes) : field === 2 ? 126 : 127);
    if (field === 2) {
        head.writeUInt16BE(Number(bytes), 2);
    } else if (field === 8) {
        head.writeBigUInt64BE(bytes, 2);
    }
    return masked ? Buffer.concat([head, KEY, maskBytes(data)]) : Buffer.concat([head, data]);
}

export function closePayload(code, reason = '') {
    const head = Buffer.alloc(2);
    head.writeUInt16BE(code);
    return Buffer.concat([head, Buffer.from(reason)]);
}

// Cuts a byte stream into frames and messages: push(bytes), then read
// `frames` (headers, counted) and what `on` was called with:
//   { type: 'message', opcode, data, fragments, rsv } and
//   { type: 'ping' | 'pong' | 'close', data, code, reason }.
export class FrameReader {
    #held = [];
    #bytes = 0;
    #message = null;

    // rsv: bits that the first frame of a message may have (4: RSV1).
    constructor(on, { masked = false, rsv = 0 } = {}) {
        this.on = on;
        this.rsv = rsv;
        this.masked = masked;
        this.frames = 0;
    }

    push(data) {
        this.#held.push(data);
        this.#bytes += data.length;
        while (this.#frame()) { /* as many as there are */ }
    }

    #whole(bytes) {
        if (this.#held[0].length < bytes) {
            this.#held = [Buffer.concat(this.#held)];
        }
        return this.#held[0];
    }

    #frame() {
        if (this.#bytes < 2) {
            return false;
        }
        let head = this.#whole(2);
        if (Boolean(head[1] & 0x80) !== this.masked) {
            throw new Error(this.masked ? 'a frame without mask' : 'a masked frame');
        }
        const allowed = (head[0] & 15) === TEXT || (head[0] & 15) === BINARY ? this.rsv : 0;
        if (head[0] >> 4 & 7 & ~allowed) {
            throw new Error('a frame with RSV bits');
        }
        let length = head[1] & 127;
        const field = length === 126 ? 2 : length === 127 ? 8 : 0;
        const start = 2 + field + (this.masked ? 4 : 0);
        if (this.#bytes < start) {
            return false;
        }
        head = this.#whole(start);
        if (field > 0) {
            length = field === 2 ? head.readUInt16BE(2) : Number(head.readBigUInt64BE(2));
        }
        if (this.#bytes < start + length) {
            return false;
        }
        const all = this.#whole(start + length);
        let data = all.subarray(start, start + length);
        if (this.masked) {
            data = maskBytes(data, all.subarray(start - 4, start));
        }
        this.#held[0] = all.subarray(start + length);
        this.#bytes -= start + length;
        this.frames++;
        this.#take(all[0], data);
        return true;
    }

    #take(first, data) {
        const [opcode, fin] = [first & 15, Boolean(first & 0x80)];
        if (opcode >= CLOSE) {
            const type = { [CLOSE]: 'close', [PING]: 'ping', [PONG]: 'pong' }[opcode];
            if (!type || !fin || data.length > 125) {
                throw new Error(`a bad control frame: opcode ${opcode}`);
            }
            const code = data.length >= 2 ? data.readUInt16BE() : 1005;
            this.on(type === 'close' ? { type, data, code, reason: data.subarray(2).toString() }
                : { type, data });
            return;
        }
        if ((opcode === CONT) !== (this.#message !== null)) {
            throw new Error(`a bad continuation: opcode ${opcode}`);
        }
        this.#message ??= { opcode, rsv: first >> 4 & 7, parts: [] };
        this.#message.parts.push(data);
        if (fin) {
            const { opcode: kind, parts, rsv } = this.#message;
            this.#message = null;
            this.on({ type: 'message', opcode: kind, data: Buffer.concat(parts),
                fragments: parts.length, rsv });
        }
    }
}

// Events that are awaited one by one.
export class EventQueue {
    #events = [];
    #waiting = [];

    push(event) {
        const next = this.#waiting.shift();
        if (next) {
            next(event);
        } else {
            this.#events.push(event);
        }
    }

    next() {
        if (this.#events.length > 0) {
            return Promise.resolve(this.#events.shift());
        }
        return new Promise((done) => this.#waiting.push(done));
    }
}

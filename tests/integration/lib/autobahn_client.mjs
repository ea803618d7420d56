// SPDX-License-Identifier: BSD-2-Clause
//
// The client of the Autobahn cases: RawClient with a reader that forgives a
// server nothing, and with permessage-deflate of its own (RFC 7692).

import { createHash } from 'node:crypto';
import zlib from 'node:zlib';
import { BINARY, CLOSE, CONT, PING, PONG, TEXT, maskBytes } from './frames.mjs';
import { RawClient } from './ws_raw.mjs';

const TAIL = Buffer.from([0, 0, 0xff, 0xff]);
const MAX_MESSAGE = 64 << 20;

let keys = 0;

// Another one for each frame, none with a zero octet.
function nextKey() {
    return createHash('sha1').update(`${keys++}`).digest().subarray(0, 4).map((b) => b | 1);
}

// A frame as a client sends it.
export function clientFrame({ op, data = '', fin = true, rsv = 0 }, key = nextKey()) {
    const payload = Buffer.from(data);
    const size = payload.length;
    const field = size < 126 ? 0 : size < 65536 ? 2 : 8;
    const head = Buffer.alloc(2 + field + 4);
    head[0] = (fin ? 0x80 : 0) | rsv << 4 | op;
    head[1] = 0x80 | (field === 0 ? size : field === 2 ? 126 : 127);
    if (field === 2) {
        head.writeUInt16BE(size, 2);
    } else if (field === 8) {
        head.writeBigUInt64BE(BigInt(size), 2);
    }
    key.copy(head, 2 + field);
    return Buffer.concat([head, maskBytes(payload, key)]);
}

// A message as frames of at most `size` payload octets each, one buffer; an
// RSV bit stands in the first one only.
export function clientFragments({ op, data, rsv = 0 }, size) {
    if (!size || data.length <= size) {
        return clientFrame({ op, data, rsv });
    }
    const parts = [];
    for (let at = 0; at < data.length; at += size) {
        parts.push(clientFrame({ op: at === 0 ? op : CONT, rsv: at === 0 ? rsv : 0,
            fin: at + size >= data.length, data: data.subarray(at, at + size) }));
    }
    return Buffer.concat(parts);
}

// One direction of permessage-deflate. Whether the window goes on from
// message to message or not, each is worked on at once, with what the window
// holds as a dictionary: the same for deflate, and synchronous.
class Window {
    #past = Buffer.alloc(0);

    constructor(bits, takeover) {
        this.bits = bits;
        this.takeover = takeover;
    }

    options() {
        return { windowBits: this.bits, finishFlush: zlib.constants.Z_SYNC_FLUSH,
            ...(this.#past.length > 0 && { dictionary: this.#past }) };
    }

    remember(data) {
        if (this.takeover) {
            const size = 1 << this.bits;
            const all = data.length >= size ? data : Buffer.concat([this.#past, data]);
            this.#past = Buffer.from(all.subarray(-size));
        }
    }
}

export class Deflate {
    constructor({ serverBits, clientBits, serverTakeover, clientTakeover }) {
        this.down = new Window(serverBits, serverTakeover);
        this.up = new Window(clientBits, clientTakeover);
    }

    pack(data) {
        const packed = zlib.deflateRawSync(data, { ...this.up.options(),
            level: data.length > 16384 ? 1 : 6 });
        this.up.remember(data);
        return packed.subarray(0, packed.length - TAIL.length);
    }

    // A small window with small pieces of output: zlib finds out that a
    // server reaches back further than it said only between two pieces.
    unpack(data) {
        const size = this.down.bits < 15 ? { chunkSize: 1024 } : {};
        const plain = zlib.inflateRawSync(Buffer.concat([data, TAIL]),
            { ...this.down.options(), ...size, maxOutputLength: MAX_MESSAGE });
        this.down.remember(plain);
        return plain;
    }
}

function fault(condition, what) {
    if (condition) {
        throw new Error(`the server sent ${what}`);
    }
}

// Like FrameReader (frames.mjs), but for RSV 1, and with every duty of a
// server checked: no mask, shortest lengths, known opcodes, fragments in
// order, UTF-8, a lawful Close and nothing behind it.
export class StrictReader {
    #held = [];
    #bytes = 0;
    #message = null;
    #closed = false;

    constructor(on) {
        this.on = on;
        this.deflate = null;
        this.packed = 0; // messages with RSV 1
        this.wire = 0;   // their octets
    }

    push(data) {
        this.#held.push(data);
        this.#bytes += data.length;
        while (this.#frame()) { /* as many as there are */ }
    }

    #first(bytes) {
        if (this.#held[0].length < bytes) {
            this.#held = [Buffer.concat(this.#held)];
        }
        return this.#held[0];
    }

    #frame() {
        if (this.#bytes < 2) {
            return false;
        }
        fault(this.#closed, 'something behind its Close');
        let head = this.#first(2);
        fault(head[1] & 0x80, 'a masked frame');
        const short = head[1] & 127;
        const start = short === 126 ? 4 : short === 127 ? 10 : 2;
        if (this.#bytes < start) {
            return false;
        }
        head = this.#first(start);
        const length = short < 126 ? short
            : short === 126 ? head.readUInt16BE(2) : Number(head.readBigUInt64BE(2));
        fault(length < (short === 126 ? 126 : short === 127 ? 65536 : 0), 'a long length');
        fault(length > MAX_MESSAGE, `a frame of ${length} octets`);
        if (this.#bytes < start + length) {
            return false;
        }
        const all = this.#first(start + length);
        this.#held[0] = all.subarray(start + length);
        this.#bytes -= start + length;
        this.#take(all[0], all.subarray(start, start + length));
        return true;
    }

    #take(first, data) {
        const opcode = first & 15;
        const fin = Boolean(first & 0x80);
        const rsv = first >> 4 & 7;
        const control = opcode >= CLOSE;
        fault(rsv && (rsv !== 4 || !this.deflate || control || opcode === CONT), `RSV ${rsv}`);
        if (control) {
            fault(!fin || data.length > 125, 'a bad control frame');
            this.#control(opcode, data);
        } else {
            fault(opcode > BINARY, `opcode ${opcode}`);
            this.#data(opcode, fin, rsv !== 0, data);
        }
    }

    #control(opcode, data) {
        if (opcode === CLOSE) {
            this.#closed = true;
            fault(data.length === 1, 'a Close of one octet');
            const code = data.length === 0 ? 1005 : data.readUInt16BE();
            this.on({ type: 'close', code, reason: toText(data.subarray(2)) });
            return;
        }
        fault(opcode !== PING && opcode !== PONG, `opcode ${opcode}`);
        this.on({ type: opcode === PING ? 'ping' : 'pong', data });
    }

    #data(opcode, fin, packed, data) {
        fault((opcode === CONT) !== (this.#message !== null), 'a fragment out of order');
        this.#message ??= { opcode, packed, parts: [] };
        this.#message.parts.push(data);
        if (!fin) {
            return;
        }
        const { opcode: kind, packed: isPacked, parts } = this.#message;
        this.#message = null;
        let plain = parts.length === 1 ? parts[0] : Buffer.concat(parts);
        if (isPacked) {
            this.packed++;
            this.wire += plain.length;
            plain = this.deflate.unpack(plain);
        }
        if (kind === TEXT) {
            toText(plain);
        }
        this.on({ type: kind === TEXT ? 'text' : 'binary', data: plain, packed: isPacked,
            fragments: parts.length });
    }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function toText(data) {
    try {
        return decoder.decode(data);
    } catch {
        throw new Error('the server sent text that is not UTF-8');
    }
}

// A client whose handshake is done. `offers`: what stands in
// Sec-WebSocket-Extensions; the answer must be one of `accept(answer)`, which
// gives the parameters of Deflate.
export async function openClient(port, { path = '/v1/realtime', offers, accept } = {}) {
    const client = await RawClient.connect(port);
    client.reader = new StrictReader(client.reader.on);
    try {
        const answer = await client.handshake({ path,
            headers: offers ? { 'Sec-WebSocket-Extensions': offers } : {} });
        if (answer.status !== 101) {
            throw new Error(`handshake: ${answer.status} ${answer.body}`);
        }
        const extensions = answer.headers['sec-websocket-extensions'];
        if (offers) {
            client.extensions = extensions;
            client.reader.deflate = new Deflate(accept(extensions));
        } else {
            fault(extensions !== undefined, 'an extension that nobody offered');
        }
    } catch (error) {
        client.destroy();
        throw error;
    }
    return client;
}

// SPDX-License-Identifier: BSD-2-Clause
//
// permessage-deflate in the test's own hands: a raw client that packs and
// unpacks, message by message or with a context, by zlib alone.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import zlib from 'node:zlib';
import { CONT, PING, RawClient, masked } from './ws_raw.mjs';

export const RSV1 = 4;
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);
const flush = { finishFlush: zlib.constants.Z_SYNC_FLUSH };

// A message as RFC 7692, 7.2.1 has it, each on its own.
export function pack(data, options) {
    const all = zlib.deflateRawSync(data, { ...flush, ...options });
    assert.ok(all.subarray(-4).equals(TAIL));
    return all.subarray(0, -4);
}

export function unpack(data, options) {
    return zlib.inflateRawSync(Buffer.concat([data, TAIL]), { ...flush, ...options });
}

// The same with a context that lives from message to message.
export class Context {
    constructor(stream) {
        this.stream = stream;
        this.parts = [];
        stream.on('data', (data) => this.parts.push(data));
        stream.on('error', (error) => { this.error = error; });
    }

    async #push(data) {
        this.stream.write(data);
        await new Promise((done) => this.stream.flush(zlib.constants.Z_SYNC_FLUSH, done));
        if (this.error) {
            throw this.error;
        }
        return Buffer.concat(this.parts.splice(0));
    }

    async pack(data) {
        const all = await this.#push(data);
        return all.length > 0 ? all.subarray(0, -4) : Buffer.from([0]);
    }

    unpack(data) {
        return this.#push(Buffer.concat([data, TAIL]));
    }

    static packer(options) {
        return new Context(zlib.createDeflateRaw(options));
    }

    static unpacker(options) {
        return new Context(zlib.createInflateRaw(options));
    }
}

const line = (i) => JSON.stringify({ type: 'response.output_text.delta', event_id: `event_${i}`,
    response_id: 'resp_1', output_index: 0, delta: `word ${i * 7919 % 1000}` });

// ASCII that compresses about ten to one, of exactly that size.
export function events(bytes) {
    const lines = [];
    for (let have = 0, i = 0; have < bytes; i++) {
        lines.push(line(i));
        have += lines[i].length + 1;
    }
    return Buffer.from(lines.join('\n')).subarray(0, bytes);
}

// Text that saves a quarter and no more.
export const base64 = (bytes) =>
    Buffer.from(randomBytes(Math.ceil(bytes * 3 / 4) + 3).toString('base64').slice(0, bytes));

export const OFFER = 'permessage-deflate';

// A RawClient that agreed on compression; options: offer, and RawClient.open's.
export async function openDeflate(port, { offer = OFFER, headers, ...options } = {}) {
    return RawClient.open(port, { rsv: RSV1, ...options,
        headers: { 'Sec-WebSocket-Extensions': offer, ...headers } });
}

export const agreed = (client) => client.answer.headers['sec-websocket-extensions'];

// The frames of a compressed message, cut at those places of the payload.
export function frames(opcode, packed, { cuts = [], ping = false } = {}) {
    const ends = [...cuts, packed.length];
    return Buffer.concat(ends.map((end, i) => {
        const part = packed.subarray(i === 0 ? 0 : ends[i - 1], end);
        const bytes = masked(i === 0 ? opcode : CONT, part,
            { fin: i === cuts.length, rsv: i === 0 ? RSV1 : 0 });
        return ping && i > 0 ? Buffer.concat([masked(PING, `${i}`), bytes]) : bytes;
    }));
}

// The next message, decompressed; pongs are passed over.
export async function nextMessage(client, { options, context, timeoutMs } = {}) {
    for (;;) {
        const event = await client.next(timeoutMs);
        if (event.type === 'message') {
            if (!event.rsv) {
                return event;
            }
            const data = context ? await context.unpack(event.data) : unpack(event.data, options);
            return { ...event, packed: event.data.length, data };
        }
        if (event.type !== 'pong' && event.type !== 'ping') {
            throw new Error(`${event.type} ${event.code} ${event.reason} instead of a message`);
        }
    }
}

// There and back; the message that came.
export async function echoed(client, opcode, data, options = {}) {
    client.write(frames(opcode, options.packed ?? pack(data, { level: 1 }), options));
    const message = await nextMessage(client, options);
    assert.equal(message.opcode, opcode);
    assert.equal(message.data.length, data.length);
    assert.ok(message.data.equals(data), `${data.length} bytes came back damaged`);
    return message;
}


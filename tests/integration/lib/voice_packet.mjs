// SPDX-License-Identifier: BSD-2-Clause
//
// The binary message of voice.opus.v1: eight bytes and an Opus packet.

export const START = 0x01;
export const REST = 0x02;
export const VOICE_RATE = 48000; // of timestamps
const AUDIO = 0x11;              // version 1, kind 1

export function writePacket({ flags = 0, sequence, timestamp, body, head = AUDIO }) {
    const message = Buffer.alloc(8 + body.length);
    message[0] = head;
    message[1] = flags;
    message.writeUInt16BE(sequence & 0xffff, 2);
    message.writeUInt32BE(timestamp >>> 0, 4);
    message.set(body, 8);
    return message;
}

// Throws for what no server may send.
export function readPacket(message) {
    if (message.length <= 8 || message[0] !== AUDIO || (message[1] & ~(START | REST))) {
        throw new Error(`not a packet: ${message.subarray(0, 12).toString('hex')}`);
    }
    return { flags: message[1], sequence: message.readUInt16BE(2),
        timestamp: message.readUInt32BE(4), body: message.subarray(8) };
}

// Samples at 48 kHz in an Opus packet, by its first bytes (RFC 6716, 3.1).
export function packetSamples(body) {
    const config = body[0] >> 3;
    const frame = config < 12 ? [480, 960, 1920, 2880][config & 3]
        : config < 16 ? [480, 960][config & 1] : [120, 240, 480, 960][config & 3];
    const code = body[0] & 3;
    return frame * (code === 0 ? 1 : code === 3 ? body[1] & 63 : 2);
}

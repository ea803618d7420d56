// SPDX-License-Identifier: BSD-2-Clause
//
// 16-bit mono PCM: files, base64, and the questions tests ask of it.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fixtures } from './paths.mjs';

export const RATE = 24000;

// { rate, pcm: Int16Array } of a RIFF file; throws for anything but 16-bit
// mono PCM.
export function readWav(path) {
    const b = readFileSync(path);
    if (b.toString('latin1', 0, 4) !== 'RIFF' || b.toString('latin1', 8, 12) !== 'WAVE') {
        throw new Error(`${path}: no WAV file`);
    }
    let rate = 0;
    for (let at = 12; at + 8 <= b.length;) {
        const id = b.toString('latin1', at, at + 4);
        const bytes = b.readUInt32LE(at + 4);
        const body = at + 8;
        if (id === 'fmt ') {
            if (b.readUInt16LE(body) !== 1 || b.readUInt16LE(body + 2) !== 1 ||
                b.readUInt16LE(body + 14) !== 16) {
                throw new Error(`${path}: not 16-bit mono PCM`);
            }
            rate = b.readUInt32LE(body + 4);
        } else if (id === 'data') {
            const end = Math.min(b.length, body + bytes);
            return { rate, pcm: toPcm(b.subarray(body, end)) };
        }
        at = body + bytes + (bytes & 1);
    }
    throw new Error(`${path}: no data chunk`);
}

export function fixture(name) {
    const { rate, pcm } = readWav(join(fixtures, name));
    if (rate !== RATE) {
        throw new Error(`${name}: ${rate} Hz, wanted ${RATE}`);
    }
    return pcm;
}

export function writeWav(path, pcm, rate = RATE) {
    const head = Buffer.alloc(44);
    const bytes = pcm.length * 2;
    head.write('RIFF', 0);
    head.writeUInt32LE(36 + bytes, 4);
    head.write('WAVEfmt ', 8);
    head.writeUInt32LE(16, 16);
    head.writeUInt16LE(1, 20);
    head.writeUInt16LE(1, 22);
    head.writeUInt32LE(rate, 24);
    head.writeUInt32LE(rate * 2, 28);
    head.writeUInt16LE(2, 32);
    head.writeUInt16LE(16, 34);
    head.write('data', 36);
    head.writeUInt32LE(bytes, 40);
    writeFileSync(path, Buffer.concat([head, toBytes(pcm)]));
}

export const toBytes = (pcm) => Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength);
export const toBase64 = (pcm) => toBytes(pcm).toString('base64');
export const fromBase64 = (text) => toPcm(Buffer.from(text, 'base64'));

// Little-endian bytes, aligned by copying.
function toPcm(bytes) {
    const pcm = new Int16Array(bytes.length >> 1);
    toBytes(pcm).set(bytes.subarray(0, pcm.length * 2));
    return pcm;
}

export const silence = (ms) => new Int16Array(Math.round(RATE * ms / 1000));
export const durationMs = (pcm) => pcm.length * 1000 / RATE;

export function joinPcm(...parts) {
    const out = new Int16Array(parts.reduce((n, p) => n + p.length, 0));
    let at = 0;
    for (const part of parts) {
        out.set(part, at);
        at += part.length;
    }
    return out;
}

export function rms(pcm) {
    let sum = 0;
    for (const v of pcm) {
        sum += v * v;
    }
    return pcm.length === 0 ? 0 : Math.sqrt(sum / pcm.length);
}

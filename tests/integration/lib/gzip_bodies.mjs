// SPDX-License-Identifier: BSD-2-Clause
//
// Compressed bodies, good ones and such as no compressor makes: tables of
// { name, body, coding, status }; the good ones with `plain` instead.

import { randomBytes } from 'node:crypto';
import { crc32, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';

export const FTEXT = 1, FHCRC = 2, FEXTRA = 4, FNAME = 8, FCOMMENT = 16;

const le16 = (n) => Buffer.from([n & 255, n >> 8 & 255]);
const le32 = (n) => Buffer.from([n & 255, n >> 8 & 255, n >> 16 & 255, n >>> 24]);

export function gzipHeader({ flags = 0, method = 8, magic = [0x1f, 0x8b], extra = 'extra',
    name = 'name', comment = 'comment', headerCrc } = {}) {
    const parts = [Buffer.from([...magic, method, flags, 1, 2, 3, 4, 0, 3])];
    if (flags & FEXTRA) {
        parts.push(le16(extra.length), Buffer.from(extra));
    }
    if (flags & FNAME) {
        parts.push(Buffer.from(`${name}\0`));
    }
    if (flags & FCOMMENT) {
        parts.push(Buffer.from(`${comment}\0`));
    }
    const head = Buffer.concat(parts);
    return flags & FHCRC ? Buffer.concat([head, le16(headerCrc ?? crc32(head))]) : head;
}

// One member; `deflated` replaces the blocks, `crc` and `size` the trailer's.
export function member(plain, { deflated, crc, size, level, ...header } = {}) {
    const data = Buffer.from(plain);
    return Buffer.concat([gzipHeader(header), deflated ?? deflateRawSync(data, { level }),
        le32(crc ?? crc32(data)), le32(size ?? data.length)]);
}

export const text = Buffer.from('What is the weather like? '.repeat(40));
const allFlags = FTEXT | FHCRC | FEXTRA | FNAME | FCOMMENT;

// Lengths of the header of `member(text, { flags: allFlags })` after each
// field: magic, method, flags, time, xfl, os, xlen, extra, name, comment, crc.
const fields = [['magic', 2], ['CM', 3], ['FLG', 4], ['MTIME', 8], ['XFL', 9], ['OS', 10],
    ['XLEN', 12], ['extra', 17], ['FNAME', 22], ['FCOMMENT', 30], ['FHCRC', 32]];

function cut() {
    const cases = [];
    const full = member(text, { flags: allFlags });
    let start = 0;
    for (const [name, end] of fields) {
        if (end - start > 1) {
            cases.push([`in ${name}`, full.subarray(0, start + 1)]);
        }
        cases.push([`after ${name}`, full.subarray(0, end)]);
        start = end;
    }
    const plain = gzipSync(text);
    const trailer = plain.length - 8;
    for (const at of [10, 11, 12, 10 + Math.floor((trailer - 10) / 2), trailer - 1]) {
        cases.push([`at byte ${at}, in the block`, plain.subarray(0, at)]);
    }
    for (let at = trailer; at < plain.length; at++) {
        cases.push([`with ${at - trailer} bytes of the trailer`, plain.subarray(0, at)]);
    }
    cases.push(['in a second member', Buffer.concat([plain, plain.subarray(0, 15)])]);
    cases.push(['after one byte of a second member', Buffer.concat([plain, Buffer.from([0x1f])])]);
    cases.push(['in the middle of 1 MB', gzipSync(randomBytes(1 << 20)).subarray(0, 1 << 19)]);
    return cases.map(([name, body]) => [`cut ${name}`, body]);
}

function broken() {
    const plain = gzipSync(text);
    const raw = (bytes) => member('', { deflated: Buffer.from(bytes) });
    const large = randomBytes(300000);
    return [
        ['no bytes', Buffer.alloc(0)],
        ['plain text', text],
        ['wrong magic', member(text, { magic: [0x1f, 0x8c] })],
        ['method 7', member(text, { method: 7 })],
        ['reserved flag 0x20', member(text, { flags: 0x20 })],
        ['reserved flag 0x40', member(text, { flags: 0x40 })],
        ['reserved flag 0x80', member(text, { flags: 0x80 })],
        ['wrong FHCRC', member(text, { flags: FHCRC, headerCrc: 0x1234 })],
        ['wrong FHCRC behind every field', member(text, { flags: allFlags, headerCrc: 1 })],
        ['XLEN beyond the end', Buffer.concat([gzipHeader({ flags: FEXTRA }).subarray(0, 10),
            Buffer.from([0xff, 0xff]), text])],
        ['a name without end', Buffer.concat([gzipHeader({ flags: FNAME }).subarray(0, 14),
            Buffer.alloc(70000, 'x')])],
        ['wrong CRC', member(text, { crc: 1 })],
        ['wrong ISIZE', member(text, { size: 1 })],
        ['wrong CRC of 300 kB', member(large, { crc: 1 })],
        ['wrong ISIZE of 300 kB', member(large, { size: large.length + 1 })],
        ['wrong CRC of an empty body', member('', { crc: 1 })],
        ['one byte behind the end', Buffer.concat([plain, Buffer.from('x')])],
        ['zeros behind the end', Buffer.concat([plain, Buffer.alloc(512)])],
        ['text behind the end', Buffer.concat([plain, text])],
        ['64 kB behind the end', Buffer.concat([plain, Buffer.alloc(65536, 'x')])],
        ['a bad second member', Buffer.concat([plain, member(text, { crc: 1 })])],
        ['block type 3', raw([0x07])],
        ['a stored block with a wrong length', raw([0x01, 5, 0, 5, 0])],
        ['a distance too far back', raw([0x63, 0x00, 0x02, 0x00])],
        ['bad code lengths', raw([0x05, 0xff, 0xff, 0xff, 0xff, 0xff])],
        ['zlib called gzip', deflateSync(text)],
        ['raw deflate called gzip', deflateRawSync(text)],
    ];
}

function brokenDeflate() {
    const zlib = deflateSync(text);
    const raw = deflateRawSync(text);
    const patched = Buffer.from(zlib);
    patched[patched.length - 1] ^= 1;
    const header = Buffer.from(zlib);
    header[1] ^= 1;
    return [
        ['no bytes', Buffer.alloc(0)],
        ['a preset dictionary', deflateSync(text, { dictionary: Buffer.from('weather') })],
        ['a wrong FCHECK', header],
        ['a window of 64 kB', Buffer.concat([Buffer.from([0x88, 0x1c]), zlib.subarray(2)])],
        ['a wrong Adler-32', patched],
        ['one byte of header', zlib.subarray(0, 1)],
        ['a header alone', zlib.subarray(0, 2)],
        ['no Adler-32', zlib.subarray(0, -4)],
        ['half an Adler-32', zlib.subarray(0, -2)],
        ['a byte behind the end', Buffer.concat([zlib, Buffer.from('x')])],
        ['a second stream', Buffer.concat([zlib, zlib])],
        ['raw, cut', raw.subarray(0, -1)],
        ['raw, a byte behind the end', Buffer.concat([raw, Buffer.from('x')])],
        ['gzip called deflate', gzipSync(text)],
        ['text called deflate', text],
    ];
}

// Limits of the location these are for: 4 MB, 200 times.
export const LIMIT = 4 << 20;

function tooLarge() {
    const zeros = gzipSync(Buffer.alloc(LIMIT / 4));
    return [
        ['1000:1, 64 MB', gzipSync(Buffer.alloc(64 << 20), { level: 9 }), 'gzip'],
        ['1000:1, 1 MB: the ratio alone', zeros, 'gzip'],
        ['201:1', gzipSync(Buffer.concat([randomBytes(2000), Buffer.alloc(600000)])), 'gzip'],
        ['1 byte too large', gzipSync(mixed(LIMIT + 1)), 'gzip'],
        ['1 byte too large, stored', gzipSync(mixed(LIMIT + 1), { level: 0 }), 'gzip', 'length'],
        ['twenty members', Buffer.concat(Array(20).fill(zeros)), 'gzip'],
        ['a bomb in the second member', Buffer.concat([gzipSync(text),
            gzipSync(Buffer.alloc(64 << 20))]), 'gzip'],
        ['a bomb, then garbage', Buffer.concat([zeros, text]), 'gzip'],
        ['a bomb, cut', zeros.subarray(0, -20), 'gzip'],
        ['zlib, 1000:1', deflateSync(Buffer.alloc(64 << 20)), 'deflate'],
        ['raw, 1000:1', deflateRawSync(Buffer.alloc(64 << 20)), 'deflate'],
    ];
}

// Half of it compresses well.
export function mixed(bytes) {
    const data = Buffer.alloc(bytes, 'weather and time; ');
    for (let at = 0; at + 2000 <= bytes; at += 4000) {
        randomBytes(2000).copy(data, at);
    }
    return data;
}

export function badBodies() {
    return [
        ...[...cut(), ...broken()].map(([name, body]) => ({ name: `gzip: ${name}`, body,
            coding: 'gzip', status: 400 })),
        ...brokenDeflate().map(([name, body]) => ({ name: `deflate: ${name}`, body,
            coding: 'deflate', status: 400 })),
        ...tooLarge().map(([name, body, coding]) => ({ name, body, coding, status: 413 })),
    ];
}

export function unknownCodings() {
    const once = gzipSync(text);
    return [
        ['gzip, gzip', gzipSync(once)], ['gzip,deflate', once], ['deflate, gzip', once],
        ['identity, gzip, x-gzip', once], ['br', once], ['zstd', once], ['compress', once],
        ['gzip;q=1', once], ['gzip gzip', once], ['x-deflate', once], ['"gzip"', once],
        ['gzi', once], ['gzipp', once], ['*', once],
    ].map(([coding, body]) => ({ name: coding, coding, body, status: 415 }));
}

export function goodBodies() {
    const cases = [];
    const add = (name, plain, body, coding = 'gzip') => cases.push({ name, plain, body, coding });
    for (const bytes of [0, 1, 2, 100, 4095, 4096, 16383, 16384, 16385, 32768, 65536, 65537,
        1000000, LIMIT - 1, LIMIT]) {
        const plain = mixed(bytes);
        add(`gzip, ${bytes} bytes`, plain, gzipSync(plain));
        add(`deflate, ${bytes} bytes`, plain, deflateSync(plain), 'deflate');
        add(`raw deflate, ${bytes} bytes`, plain, deflateRawSync(plain), 'deflate');
    }
    const noise = randomBytes(3000000);
    add('3 MB of noise', noise, gzipSync(noise));
    add('3 MB stored', noise, gzipSync(noise, { level: 0 }));
    const letters = Buffer.alloc(65536, 'a');
    add('64 kB of one letter', letters, gzipSync(letters));
    for (let flags = 1; flags < 32; flags++) {
        add(`header flags ${flags}`, text, member(text, { flags }));
    }
    add('a 65535 byte extra field', text, member(text, { flags: FEXTRA, extra: 'x'.repeat(65535) }));
    add('a 20000 byte name', text, member(text, { flags: FNAME, name: 'n'.repeat(20000) }));
    add('two members', Buffer.concat([text, text]), Buffer.concat([member(text), member(text)]));
    add('an empty member between', Buffer.concat([text, text]),
        Buffer.concat([member(text), member(''), member(text), member('')]));
    const many = Array.from({ length: 2000 }, (_, i) => Buffer.from(`member ${i}\n`));
    add('2000 members', Buffer.concat(many), Buffer.concat(many.map((part) => member(part))));
    for (const coding of ['x-gzip', 'GZIP', 'X-GZip', ' gzip ', 'gzip, identity', 'identity,gzip',
        ', gzip,', 'gzip\t,']) {
        add(`coding "${coding}"`, text, gzipSync(text), coding);
    }
    add('coding "Deflate"', text, deflateSync(text), 'Deflate');
    for (const coding of ['identity', 'Identity', '', ',', 'identity, identity']) {
        add(`coding "${coding}"`, text, text, coding);
    }
    return cases;
}

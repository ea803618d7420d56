// SPDX-License-Identifier: BSD-2-Clause
//
// The cases of the Autobahn TestSuite's fuzzing client, groups 1 to 5, 7, 9
// and 10 (6 is in autobahn_utf8.mjs, 12 and 13 in autobahn_deflate.mjs), by
// its numbers. Where that suite accepts several outcomes, here stands the
// strict one.
//
// A case: { id, what, send, expect, close }
//   send    steps, in order:
//             { op, data, fin, rsv, chop, own }   a frame; without `own` and
//                 `chop` it shares a segment with its neighbours, `own` gives
//                 it one, `chop` cuts it into segments of that many octets
//             { begin: frame, bytes }   a frame up to so many payload octets
//             { rest: bytes }           that many more of it
//             { quiet: true }           the server says nothing and stays
//             { fails: true }           the server's Close must come now
//             { pongs: n }              so many pongs must have come now
//   expect  what comes back before the server's Close: { text } { binary }
//           { pong }, all of it, in order
//   close   the server's Close: { by: 'us' } if it answers ours (sent after
//           the last of `expect`, or among the steps, then `sent: true`),
//           { by: 'server' } if it has found a fault; code as in the frame,
//           1005 for none
//   mayLack the echoes may be missing, the last ones first
// or { id, what, big }: a message of some size, sent as `big` says and echoed
// In every case the server ends the TCP connection.

import { BINARY, CLOSE, CONT, PING, PONG, TEXT, closePayload } from './frames.mjs';

const hello = 'Good morning!';
const bytes = Buffer.from([0, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0, 0xff]);
const filled = (size, value) => Buffer.alloc(size, value);

const answered = { by: 'us', code: 1000 };
const sent = (code) => ({ by: 'us', code, sent: true });
const failed = (code) => ({ by: 'server', code });
const breach = failed(1002);

export const text = (data, more) => ({ op: TEXT, data, ...more });
const binary = (data, more) => ({ op: BINARY, data, ...more });
const cont = (data, more) => ({ op: CONT, data, ...more });
const ping = (data = '', more) => ({ op: PING, data, ...more });
const pong = (data = '', more) => ({ op: PONG, data, ...more });
const closing = (code, reason) => ({ op: CLOSE, data: closePayload(code, reason) });
const open = { fin: false };
const own = { own: true };
const octets = { chop: 1 };

// --- 1: framing

const lengths = [[0], [125], [126], [127], [128], [65535], [65536], [65536, 997]];

const framing = [['text', text, '*'], ['binary', binary, 0xfe]].flatMap(
    ([kind, make, value], group) => lengths.map(([size, chop], i) => ({
        id: `1.${group + 1}.${i + 1}`,
        what: `${kind} of ${size} octets${chop ? ` in chops of ${chop}` : ''}`,
        send: [make(filled(size, value), { chop })],
        expect: [{ [kind]: filled(size, value) }],
        close: answered,
    })));

// --- 2: pings and pongs

const tenPings = (chop) => ({
    send: Array.from({ length: 10 }, (_, i) => ping(`number ${i}`, { chop })),
    expect: Array.from({ length: 10 }, (_, i) => ({ pong: `number ${i}` })),
    close: answered,
});
const onePing = (data, more) => ({ send: [ping(data, more)], expect: [{ pong: data }],
    close: answered });

const pings = [
    { id: '2.1', what: 'an empty ping', ...onePing('') },
    { id: '2.2', what: 'a ping with text', ...onePing(hello) },
    { id: '2.3', what: 'a ping with octets', ...onePing(bytes) },
    { id: '2.4', what: 'a ping of 125 octets', ...onePing(filled(125, 0xfe)) },
    { id: '2.5', what: 'a ping of 126 octets', send: [ping(filled(126, 0xfe))], expect: [],
        close: breach },
    { id: '2.6', what: 'a ping of 125 octets, octet by octet',
        ...onePing(filled(125, 0xfe), octets) },
    { id: '2.7', what: 'an empty pong that nobody asked for', send: [pong(), closing(1000)],
        expect: [], close: sent(1000) },
    { id: '2.8', what: 'a pong with text that nobody asked for',
        send: [pong('not asked for'), closing(1000)], expect: [], close: sent(1000) },
    { id: '2.9', what: 'such a pong, then a ping', send: [pong('not asked for'), ping('asked')],
        expect: [{ pong: 'asked' }], close: answered },
    { id: '2.10', what: 'ten pings at once', ...tenPings() },
    { id: '2.11', what: 'ten pings, octet by octet', ...tenPings(1) },
];

// --- 3: reserved bits

// A good message, the bad frame, a ping that must stay without an answer.
const goodBadPing = (bad, more) => ({
    send: [text(hello, more), { ...bad, ...more }, ping('', more)],
    expect: [{ text: hello }], close: breach });

const reserved = [
    { id: '3.1', what: 'text with RSV 1', send: [text(hello, { rsv: 1 })], expect: [],
        close: breach },
    { id: '3.2', what: 'text with RSV 2 after a good one',
        ...goodBadPing(text(hello, { rsv: 2 })) },
    { id: '3.3', what: 'text with RSV 3 after a good one, frame by frame',
        ...goodBadPing(text(hello, { rsv: 3 }), own) },
    { id: '3.4', what: 'text with RSV 4 after a good one, octet by octet',
        ...goodBadPing(text(hello, { rsv: 4 }), octets) },
    { id: '3.5', what: 'binary with RSV 5', send: [binary(bytes, { rsv: 5 })], expect: [],
        close: breach },
    { id: '3.6', what: 'a ping with RSV 6', send: [ping(hello, { rsv: 6 })], expect: [],
        close: breach },
    { id: '3.7', what: 'a close with RSV 7', send: [{ op: CLOSE, data: '', rsv: 7 }], expect: [],
        close: breach },
];

// --- 4: opcodes

const opcodes = [[3, 4, 5, 6, 7], [11, 12, 13, 14, 15]].flatMap((ops, group) =>
    ops.map((op, i) => {
        const data = [1, 3, 4].includes(i) ? 'of no known kind' : '';
        const bad = { op, data };
        const frames = i < 2 ? { send: [bad], expect: [], close: breach }
            : goodBadPing(bad, i === 4 ? octets : undefined);
        return { id: `4.${group + 1}.${i + 1}`,
            what: `opcode ${op}${data && ' with payload'}${i < 2 ? '' : ' after a good message'}`,
            ...frames };
    }));

// --- 5: fragmentation

const ways = [['at once', undefined], ['frame by frame', own], ['octet by octet', octets]];

const twoFragments = ways.map(([way, more], i) => ({
    id: `5.${3 + i}`, what: `text in two fragments, ${way}`,
    send: [text('first', { ...open, ...more }), cont('second', more)],
    expect: [{ text: 'firstsecond' }], close: answered }));

const pingBetween = ways.map(([way, more], i) => ({
    id: `5.${6 + i}`, what: `a ping between two fragments, ${way}`,
    send: [text('first', { ...open, ...more }), ping('between', more), cont('second', more)],
    expect: [{ pong: 'between' }, { text: 'firstsecond' }], close: answered }));

const nothingToContinue = [true, false].flatMap((fin, group) => ways.map(([way, more], i) => ({
    id: `5.${9 + 3 * group + i}`,
    what: `a continuation of nothing, ${fin ? 'final' : 'not final'}, then text, ${way}`,
    send: [cont('of nothing', { fin, ...more }), text(hello, more)], expect: [],
    close: breach })));

const twice = (frames) => [...frames, ...frames];

const fiveFragments = (more) => ({
    send: [text('a', { ...open, ...more }), cont('b', { ...open, ...more }), ping('one', more),
        { pongs: 1 }, cont('c', { ...open, ...more }), cont('d', { ...open, ...more }),
        ping('two', more), cont('e', more)],
    expect: [{ pong: 'one' }, { pong: 'two' }, { text: 'abcde' }], close: answered });

const fragmentation = [
    { id: '5.1', what: 'a ping in two fragments', send: [ping('first', open), cont('second')],
        expect: [], close: breach },
    { id: '5.2', what: 'a pong in two fragments', send: [pong('first', open), cont('second')],
        expect: [], close: breach },
    ...twoFragments, ...pingBetween, ...nothingToContinue,
    { id: '5.15', what: 'a continuation of a message that was complete',
        send: [text('first', open), cont('second'), cont('third', open), text('fourth')],
        expect: [{ text: 'firstsecond' }], close: breach },
    { id: '5.16', what: 'continuations of nothing before fragments, not final',
        send: twice([cont('a', open), text('b', open), cont('c')]), expect: [], close: breach },
    { id: '5.17', what: 'continuations of nothing before fragments, final',
        send: twice([cont('a'), text('b', open), cont('c')]), expect: [], close: breach },
    { id: '5.18', what: 'two fragments that both say text', send: [text('a', open), text('b')],
        expect: [], close: breach },
    { id: '5.19', what: 'five fragments, two pings, a pause', ...fiveFragments() },
    { id: '5.20', what: 'five fragments, two pings, a pause, frame by frame',
        ...fiveFragments(own) },
];

// --- 7: closing

const badReason = Buffer.from('cebae1bdb9cf83ceeda080656469746564', 'hex');
const valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
const invalid = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999];
const beyond = [5000, 65535];
const closeOnly = (data, code) => ({ send: [{ op: CLOSE, data }], expect: [],
    close: sent(code) });

const closes = [
    { id: '7.1.1', what: 'a message, then Close', send: [text(hello)], expect: [{ text: hello }],
        close: answered },
    { id: '7.1.2', what: 'two Close frames', send: [closing(1000), { op: CLOSE, data: '' }],
        expect: [], close: sent(1000) },
    { id: '7.1.3', what: 'a ping behind Close', send: [closing(1000), ping()], expect: [],
        close: sent(1000) },
    { id: '7.1.4', what: 'a message behind Close', send: [closing(1000), text(hello)],
        expect: [], close: sent(1000) },
    { id: '7.1.5', what: 'Close between two fragments',
        send: [text('first', open), closing(1000), cont('second')], expect: [],
        close: sent(1000) },
    // Whether the echoes are faster than the Close is nobody's duty; a part
    // of one, a pong or another code would be a fault.
    { id: '7.1.6', what: '256 KB, a message, Close and a ping',
        send: [text(filled(1 << 18, 'a')), text(hello), closing(1000), ping()],
        expect: [{ text: filled(1 << 18, 'a') }, { text: hello }], mayLack: true,
        close: sent(1000) },
    { id: '7.3.1', what: 'Close without payload', ...closeOnly('', 1005) },
    { id: '7.3.2', what: 'Close of one octet', ...closeOnly('a', 1002) },
    { id: '7.3.3', what: 'Close with a code', ...closeOnly(closePayload(1000), 1000) },
    { id: '7.3.4', what: 'Close with a reason', ...closeOnly(closePayload(1000, hello), 1000) },
    { id: '7.3.5', what: 'Close with a reason of 123 octets',
        ...closeOnly(closePayload(1000, '*'.repeat(123)), 1000) },
    { id: '7.3.6', what: 'Close with a reason of 124 octets',
        ...closeOnly(closePayload(1000, '*'.repeat(124)), 1002) },
    { id: '7.5.1', what: 'Close with a reason that is not UTF-8',
        ...closeOnly(Buffer.concat([closePayload(1000), badReason]), 1007) },
    ...valid.map((code, i) => ({ id: `7.7.${i + 1}`, what: `Close ${code}`,
        ...closeOnly(closePayload(code), code) })),
    ...invalid.map((code, i) => ({ id: `7.9.${i + 1}`, what: `Close ${code}`,
        ...closeOnly(closePayload(code), 1002) })),
    ...beyond.map((code, i) => ({ id: `7.13.${i + 1}`, what: `Close ${code}`,
        ...closeOnly(closePayload(code), 1002) })),
];

// --- 9: limits

// Payloads of 9 and 10 are made when their case runs: { fill, size }.
const KB = 1024, MB = KB * KB;
const words = 'Voices. '; // repeated
const noise = Buffer.from([0, 0xfe, 0x23, 0xfa, 0xf0]);

const wholeSizes = [64 * KB, 256 * KB, MB, 4 * MB, 8 * MB, 16 * MB];
const fragmentSizes = [64, 256, KB, 4 * KB, 16 * KB, 64 * KB, 256 * KB, MB, 4 * MB];
const chopSizes = [64, 128, 256, 512, KB, 2 * KB];
const tripSizes = [0, 16, 64, 256, 1024, 4096];

const limitCase = (group, i, what, big) => ({ id: `9.${group}.${i + 1}`, what, big });

const kinds = [['text', words], ['binary', noise]];

const limits = kinds.flatMap(([kind, fill], k) => [
    ...wholeSizes.map((size, i) => limitCase(1 + k, i, `${kind} of ${size} octets`,
        { kind, fill, size })),
    ...fragmentSizes.map((fragment, i) => limitCase(3 + k, i,
        `${kind} of 4 MB in fragments of ${fragment}`,
        { kind, fill, size: 4 * MB, fragment })),
    ...chopSizes.map((chop, i) => limitCase(5 + k, i, `${kind} of 1 MB in chops of ${chop}`,
        { kind, fill, size: MB, chop })),
    ...tripSizes.map((size, i) => limitCase(7 + k, i, `1000 times ${kind} of ${size} octets`,
        { kind, fill, size, times: 1000 })),
]);

// --- 10: fragments as a sender's stack makes them

const automatic = [{ id: '10.1.1', what: 'text of 65536 octets in fragments of 1300',
    big: { kind: 'text', fill: '*', size: 65536, fragment: 1300 } }];

const inOrder = (cases) => cases.sort((a, b) =>
    a.id.localeCompare(b.id, undefined, { numeric: true }));

export const frameCases = inOrder([...framing, ...pings, ...reserved, ...opcodes,
    ...fragmentation]);
export const closeCases = closes;
export const limitCases = inOrder([...limits, ...automatic]);

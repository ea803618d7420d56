// SPDX-License-Identifier: BSD-2-Clause
//
// Group 6 of the Autobahn cases: UTF-8 (autobahn_cases.mjs says what a case
// is). 6.5 to 6.23 are the sequences of Markus Kuhn's UTF-8 decoder stress
// test, written as hexadecimal octets; + is valid text, - is not.

import { CONT, TEXT } from './frames.mjs';

const hex = (digits) => Buffer.from(digits, 'hex');
const answered = { by: 'us', code: 1000 };
const bad = { by: 'server', code: 1007 };

const fragments = (parts) => parts.map((data, i) => ({ op: i === 0 ? TEXT : CONT, data,
    fin: i === parts.length - 1 }));
const octets = (data) => Array.from(data, (_, i) => data.subarray(i, i + 1));
const echoed = (parts) => ({ send: fragments(parts),
    expect: [{ text: Buffer.concat(parts.map((part) => Buffer.from(part))) }],
    close: answered });

const greeting = Buffer.from('Blåbærgrød-µ@ßöäü-año!');
const kosme = hex('cebae1bdb9cf83cebcceb5');
const surrogate = Buffer.concat([kosme, hex('eda080'), Buffer.from('edited')]);
const tooHigh = Buffer.concat([kosme, hex('f4908080'), Buffer.from('edited')]);

// The octet that spoils the text is the 13th, whatever stands behind it.
const inFrames = (first, second) => ({
    send: [{ op: TEXT, data: tooHigh.subarray(0, first), fin: false }, { quiet: true },
        { op: CONT, data: tooHigh.subarray(first, second), fin: false }, { fails: true },
        { op: CONT, data: tooHigh.subarray(second) }],
    expect: [], close: bad });
const inOneFrame = (first, second) => ({
    send: [{ begin: { op: TEXT, data: tooHigh }, bytes: first }, { quiet: true },
        { rest: second - first }, { fails: true }, { rest: tooHigh.length - second }],
    expect: [], close: bad });

const first = [
    { id: '6.1.1', what: 'text of no octets', ...echoed(['']) },
    { id: '6.1.2', what: 'text of no octets in three fragments', ...echoed(['', '', '']) },
    { id: '6.1.3', what: 'text between two empty fragments', ...echoed(['', 'middle', '']) },
    { id: '6.2.1', what: 'text in one fragment', ...echoed([greeting]) },
    { id: '6.2.2', what: 'text cut between characters',
        ...echoed([greeting.subarray(0, 4), greeting.subarray(4)]) },
    { id: '6.2.3', what: 'text in fragments of one octet', ...echoed(octets(greeting)) },
    { id: '6.2.4', what: 'Greek text in fragments of one octet', ...echoed(octets(kosme)) },
    { id: '6.3.1', what: 'a surrogate', send: fragments([surrogate]), expect: [], close: bad },
    { id: '6.3.2', what: 'a surrogate in fragments of one octet',
        send: fragments(octets(surrogate)), expect: [], close: bad },
    { id: '6.4.1', what: 'fails at the fragment that is wrong', ...inFrames(11, 15) },
    { id: '6.4.2', what: 'fails at the octet that is wrong', ...inFrames(12, 13) },
    { id: '6.4.3', what: 'fails within a frame, at the chop that is wrong',
        ...inOneFrame(11, 15) },
    { id: '6.4.4', what: 'fails within a frame, at the octet that is wrong',
        ...inOneFrame(12, 13) },
];

const range = (from, to, step = (n) => n) => Array.from({ length: to - from + 1 },
    (_, i) => step((from + i).toString(16))).join('');
const lonely = (from, to) => `-${range(from, to, (byte) => `${byte}20`)}`;
const incomplete = ['c0', 'e080', 'f08080', 'f8808080', 'fc80808080', 'df', 'efbf', 'f7bfbf',
    'fbbfbfbf', 'fdbfbfbfbf'];

// The last two code points of each plane, as far as four octets reach.
const nonCharacters = ['9f', 'af', 'bf', ...[1, 2, 3].flatMap(() => ['8f', '9f', 'af', 'bf']), '8f']
    .flatMap((second, i) => {
        const lead = i < 3 ? 'f0' : `f${1 + Math.floor((i - 3) / 4)}`;
        return [`+${lead}${second}bfbe`, `+${lead}${second}bfbf`];
    });

const world = (character) => `+${Buffer.from('hello').toString('hex')}${character}` +
    Buffer.from('world').toString('hex');

const sequences = [
    ['valid text', [world('24'), world('c2a2'), world('e282ac'), world('f0a4ada2'),
        `+${kosme.toString('hex')}`]],
    ['every beginning of a valid text', Array.from(kosme, (_, i) =>
        `${[2, 5, 7, 9, 11].includes(i + 1) ? '+' : '-'}${kosme.toString('hex', 0, i + 1)}`)],
    ['the first of each length', ['+00', '+c280', '+e0a080', '+f0908080']],
    ['the first of five and six octets', ['-f888808080', '-fc8480808080']],
    ['the last of each length', ['+7f', '+dfbf', '+efbfbf', '+f48fbfbf']],
    ['the last of four octets and more', ['-f7bfbfbf', '-fbbfbfbfbf', '-fdbfbfbfbfbf']],
    ['other borders', ['+ed9fbf', '+ee8080', '+efbfbd', '+f48fbfbf', '-f4908080']],
    ['continuations of nothing', ['-80', '-bf', '-80bf', '-80bf80', '-80bf80bf', '-80bf80bf80',
        '-80bf80bf80bf', `-${range(0x80, 0xbe)}`]],
    ['lonely first octets', [lonely(0xc0, 0xde), lonely(0xe0, 0xee), lonely(0xf0, 0xf6),
        lonely(0xf8, 0xfa), lonely(0xfc, 0xfc)]],
    ['the last octet missing', incomplete.map((digits) => `-${digits}`)],
    ['incomplete characters in a row', [`-${incomplete.join('')}`]],
    ['impossible octets', ['-fe', '-ff', '-fefeffff']],
    ['overlong ASCII', ['-c0af', '-e080af', '-f08080af', '-f8808080af', '-fc80808080af']],
    ['longest overlong characters', ['-c1bf', '-e09fbf', '-f08fbfbf', '-f887bfbfbf',
        '-fc83bfbfbfbf']],
    ['overlong NUL', ['-c080', '-e08080', '-f0808080', '-f880808080', '-fc8080808080']],
    ['single surrogates', ['-eda080', '-edadbf', '-edae80', '-edafbf', '-edb080', '-edbe80',
        '-edbfbf']],
    ['pairs of surrogates', ['-eda080edb080', '-eda080edbfbf', '-edadbfedb080', '-edadbfedbfbf',
        '-edae80edb080', '-edae80edbfbf', '-edafbfedb080', '-edafbfedbfbf']],
    ['code points that are no characters', ['+efbfbe', '+efbfbf', ...nonCharacters]],
    ['specials', ['b9', 'ba', 'bb', 'bc', 'bd', 'be', 'bf'].map((last) => `+efbf${last}`)],
];

export const utf8Cases = [...first, ...sequences.flatMap(([what, list], group) =>
    list.map((entry, i) => {
        const data = hex(entry.slice(1));
        const good = entry[0] === '+';
        return { id: `6.${5 + group}.${i + 1}`, what: `${what}, ${entry.slice(0, 25)}`,
            send: [{ op: TEXT, data }], expect: good ? [{ text: data }] : [],
            close: good ? answered : bad };
    }))];

// SPDX-License-Identifier: BSD-2-Clause
//
// Groups 12 (data sets) and 13 (offers) of the Autobahn cases: 1000 messages
// each through permessage-deflate, 18 combinations of a message's size and
// the size of its fragments. What the server agrees to is read by the grammar
// of RFC 7692, section 7.1, and held against the offer.

import assert from 'node:assert/strict';
import { messagesOf } from './autobahn_data.mjs';

const sizes = [16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072]
    .map((size) => ({ size, fragment: 0 }));
const cut = [[8192, 256], [16384, 256], [32768, 256], [65536, 256], [131072, 256],
    [131072, 1024], [131072, 4096], [131072, 32768]]
    .map(([size, fragment]) => ({ size, fragment }));
const shapes = [...sizes, ...cut];

const dataSets = ['json', 'bitmap', 'prose', 'html', 'pdf'];

// Parameters beside those that every offer has: the client is able to do
// without context takeover, and with a smaller window.
const ANY = 'client_no_context_takeover; client_max_window_bits';
const NO_TAKEOVER = 'server_no_context_takeover';
const bits = (n) => `server_max_window_bits=${n}`;
const offers = [
    [[]],
    [[NO_TAKEOVER]],
    [[bits(9)]],
    [[bits(15)]],
    [[NO_TAKEOVER, bits(9)]],
    [[NO_TAKEOVER, bits(15)]],
    [[NO_TAKEOVER, bits(9)], [NO_TAKEOVER], []],
];

const offerText = (list) => list.map((more) =>
    ['permessage-deflate', ANY, ...more].join('; ')).join(', ');

// The parameters of an answer, each at most once, known and of a right value.
export function parseAnswer(text) {
    const [name, ...parts] = (text ?? '').split(/\s*;\s*/);
    assert.equal(name, 'permessage-deflate', `the answer is ${text}`);
    const found = {};
    for (const part of parts) {
        const [, key, number] = /^([a-z_]+)(?:=(\d+|"\d+"))?$/.exec(part) ?? [];
        assert.ok(key && !(key in found), `parameter ${part}`);
        if (/^(server|client)_no_context_takeover$/.test(key)) {
            assert.equal(number, undefined, part);
        } else {
            assert.match(key, /^(server|client)_max_window_bits$/);
            assert.match(number ?? '', /^"?([89]|1[0-5])"?$/, part);
        }
        found[key] = number?.replaceAll('"', '') ?? true;
    }
    return found;
}

// The server may take any of the offers, and must keep to what it asked.
function acceptOf(list) {
    return (text) => {
        const answer = parseAnswer(text);
        const fits = list.some((more) => {
            const limit = /\d+$/.exec(more.find((p) => p.startsWith('server_max')) ?? '')?.[0];
            return (!more.includes(NO_TAKEOVER) || answer.server_no_context_takeover) &&
                (!limit || Number(answer.server_max_window_bits) <= Number(limit));
        });
        assert.ok(fits, `the answer ${text} is to none of the offers`);
        return { serverBits: Number(answer.server_max_window_bits ?? 15),
            clientBits: Number(answer.client_max_window_bits ?? 15),
            serverTakeover: !answer.server_no_context_takeover,
            clientTakeover: !answer.client_no_context_takeover };
    };
}

// A short run has two shapes of each data set and of each offer, and in sum
// every shape.
const shortShapes = {
    12: [[1, 10], [2, 11], [3, 12], [4, 13], [5, 14]],
    13: [[6, 15], [7, 16], [8, 17], [9, 18], [4, 12], [3, 10], [5, 11]],
};

function deflateCase(group, part, i, { set, list }) {
    const { size, fragment } = shapes[i];
    return {
        id: `${group}.${part + 1}.${i + 1}`,
        what: `${set}, messages of ${size}${fragment ? ` in fragments of ${fragment}` : ''}` +
            (group === 13 ? `, offer ${list.map((more) => `(${more.join(' ')})`).join(' ')}` : ''),
        offers: offerText(list),
        accept: acceptOf(list),
        kind: set === 'json' || set === 'html' ? 'text' : 'binary',
        messages: () => messagesOf(set, size),
        size,
        fragment,
        times: 1000,
        packs: size < 1000 ? false : set === 'bitmap' || set === 'pdf' ? undefined : true,
        long: !shortShapes[group][part].includes(i + 1),
    };
}

export const dataCases = dataSets.flatMap((set, part) =>
    shapes.map((_, i) => deflateCase(12, part, i, { set, list: offers[0] })));
export const offerCases = offers.flatMap((list, part) =>
    shapes.map((_, i) => deflateCase(13, part, i, { set: 'json', list })));

// SPDX-License-Identifier: BSD-2-Clause
//
// Data sets of the compression cases: one each of the kinds that the Autobahn
// TestSuite uses (a JSON file, a grey bitmap, German prose, an HTML page, a
// PDF), of the same sizes, but made here, the same at every run.

import zlib from 'node:zlib';

// xorshift32: 0 <= value < below.
function dice(seed) {
    let state = seed;
    return (below) => {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        return (state >>> 0) % below;
    };
}

const stems = `wagen licht straße garten fenster brücke schatten hügel mühle käse strom
    vogel winter abend morgen stimme kabel draht löffel tür schlüssel gerät frage antwort zug
    bahnhof küste regen müde grün kühl laut heiter schnell ruhig fern alt neu weiß dunkel hell
    geht steht hört sagt läuft fließt öffnet trägt sucht findet wartet spricht schweigt über
    unter neben zwischen gegen ohne durch und oder aber weil dass wenn der die das ein eine
    nicht noch schon immer wieder dort hier heute gestern früh spät`.split(/\s+/);

const capital = (word) => word[0].toUpperCase() + word.slice(1);

function sentence(roll) {
    const words = Array.from({ length: 4 + roll(14) }, () => {
        const word = stems[roll(stems.length)];
        return roll(4) === 0 ? capital(word) : roll(9) === 0 ? `${word},` : word;
    });
    return `${capital(words.join(' ').replace(/,$/, ''))}${'.?!;'[roll(4)]}`;
}

// Parts until there are `size` octets, then cut: at a character if it is text.
function fill(size, part) {
    const parts = [];
    for (let octets = 0; octets < size;) {
        const next = Buffer.from(part(parts.length));
        parts.push(next);
        octets += next.length;
    }
    return Buffer.concat(parts).subarray(0, size);
}

function json(size) {
    const roll = dice(1);
    return fill(size, (i) => `${i === 0 ? '[' : ','}\n  ${JSON.stringify({
        id: roll(1e9), index: i, name: capital(stems[roll(stems.length)]),
        active: roll(2) === 1, balance: roll(400000) / 100,
        tags: [1, 2, 3].map(() => stems[roll(stems.length)]), about: sentence(roll) })}`);
}

function bitmap() {
    const side = 512;
    const head = Buffer.alloc(54 + 1024);
    head.write('BM');
    head.writeUInt32LE(head.length + side * side, 2);
    head.writeUInt32LE(head.length, 10);
    [40, side, side, 1 | 8 << 16].forEach((value, i) => head.writeUInt32LE(value, 14 + 4 * i));
    for (let grey = 0; grey < 256; grey++) {
        head.fill(grey, 54 + 4 * grey, 57 + 4 * grey);
    }
    const roll = dice(2);
    const pixels = Buffer.alloc(side * side);
    for (let at = 0; at < pixels.length; at++) {
        const x = at % side, y = at / side;
        pixels[at] = 110 + 60 * Math.sin(x / 41) + 50 * Math.cos(y / 67 + x / 190) + roll(24);
    }
    return Buffer.concat([head, pixels]);
}

function prose(size) {
    const roll = dice(3);
    return fill(size, () => `${sentence(roll)}${roll(5) === 0 ? '\r\n' : ' '}`);
}

function html(size) {
    const roll = dice(4);
    return fill(size, (i) => (i === 0 ? '<!DOCTYPE html>\n<html lang="de"><body>\n' : '') +
        (roll(3) === 0 ? `<h2 id="s${i}"><a href="#s${roll(i + 1)}">${sentence(roll)}</a></h2>\n`
            : `<p class="c${roll(6)}">${sentence(roll)} &mdash; <em>${sentence(roll)}</em></p>\n`));
}

function pdf(size) {
    const roll = dice(5);
    return fill(size, (i) => {
        const stream = zlib.deflateSync(prosePage(roll));
        return Buffer.concat([Buffer.from(`${i === 0 ? '%PDF-1.4\n' : ''}${i + 1} 0 obj\n` +
            `<< /Length ${stream.length} /Filter /FlateDecode >>\nstream\n`), stream,
        Buffer.from('\nendstream\nendobj\n')]);
    });
}

const prosePage = (roll) => Array.from({ length: 60 }, () =>
    `BT ${roll(600)} ${roll(800)} Td (${sentence(roll)}) Tj ET`).join('\n');

const makers = {
    json: { text: true, make: () => json(194056) },
    bitmap: { text: false, make: bitmap },
    prose: { text: false, make: () => prose(222218) },
    html: { text: true, make: () => html(263647) },
    pdf: { text: false, make: () => pdf(1042328) },
};

const made = new Map();

// { kind, data }: of text a string, every character of it one UTF-16 unit.
export function dataSet(name) {
    if (!made.has(name)) {
        const { text, make } = makers[name];
        const data = make();
        made.set(name, text ? { kind: 'text', data: data.toString().replace('\ufffd', '') }
            : { kind: 'binary', data });
    }
    return made.get(name);
}

// Messages of `size` characters or octets, one behind the other, round and
// round.
export function* messagesOf(name, size) {
    const { data } = dataSet(name);
    for (let from = 0; ;) {
        const to = (from + size) % data.length;
        const parts = to > from ? [data.slice(from, to)] : [data.slice(from), data.slice(0, to)];
        yield typeof data === 'string' ? Buffer.from(parts.join(''))
            : parts.length === 1 ? parts[0] : Buffer.concat(parts);
        from = to;
    }
}

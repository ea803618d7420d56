// SPDX-License-Identifier: BSD-2-Clause
//
// A strict reader of Prometheus' text exposition format 0.0.4: what it lets
// pass, every scraper understands. It throws where the format only advises,
// too: HELP and TYPE once and before the samples, a family's samples in one
// group, counters named _total, histograms whole.
//
//     const samples = parsePrometheus(text);   // Map
//     samples.get('voice_messages_total{direction="up"}')

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*/;
const VALUE = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]Inf|NaN)$/;
const TYPES = ['counter', 'gauge', 'histogram', 'summary', 'untyped'];

function numberOf(text) {
    if (!VALUE.test(text)) {
        throw new Error(`not a value: ${text}`);
    }
    return Number(text.replace('Inf', 'Infinity'));
}

// `text` behind a '{': { labels, rest } where rest is what follows the '}'.
function takeLabels(text) {
    const labels = new Map();
    let rest = text;
    while (rest[0] !== '}') {
        const name = LABEL.exec(rest)?.[0];
        const quoted = name && /^="((?:[^"\\\n]|\\["\\n])*)"/.exec(rest.slice(name.length));
        if (!quoted || labels.has(name)) {
            throw new Error(`not labels: {${text}`);
        }
        labels.set(name, quoted[1].replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c)));
        rest = rest.slice(name.length + quoted[0].length);
        if (rest[0] === ',') {
            rest = rest.slice(1);
        } else if (rest[0] !== '}') {
            throw new Error(`not labels: {${text}`);
        }
    }
    return { labels, rest: rest.slice(1) };
}

function parseSample(line) {
    const name = NAME.exec(line)?.[0];
    if (!name) {
        throw new Error(`not a sample: ${line}`);
    }
    let rest = line.slice(name.length);
    let labels = new Map();
    if (rest[0] === '{') {
        ({ labels, rest } = takeLabels(rest.slice(1)));
    }
    const found = /^ (\S+)(?: (-?\d+))?$/.exec(rest);
    if (!found) {
        throw new Error(`not a sample: ${line}`);
    }
    return { name, labels, value: numberOf(found[1]) };
}

function keyOf({ name, labels }) {
    const pairs = [...labels].map(([label, value]) => `${label}=${JSON.stringify(value)}`);
    return pairs.length > 0 ? `${name}{${pairs.join(',')}}` : name;
}

function checkFamily({ name, type, samples }) {
    if (samples.length === 0) {
        throw new Error(`${name} has no samples`);
    }
    if (type === 'histogram') {
        checkHistograms(name, samples);
        return;
    }
    for (const sample of samples) {
        if (sample.name !== name) {
            throw new Error(`${sample.name} among ${name}`);
        }
        if (type === 'counter' && !(name.endsWith('_total') && sample.value >= 0)) {
            throw new Error(`${name} is no counter`);
        }
    }
}

// One histogram for each set of labels.
function checkHistograms(name, samples) {
    const sets = new Map();
    for (const sample of samples) {
        const set = keyOf({ name, labels: [...sample.labels].filter(([label]) => label !== 'le') });
        sets.set(set, [...(sets.get(set) ?? []), sample]);
    }
    sets.forEach((each) => checkHistogram(name, each));
}

function checkHistogram(name, samples) {
    const buckets = samples.filter((s) => s.name === `${name}_bucket`);
    const [sum] = samples.filter((s) => s.name === `${name}_sum`);
    const [count] = samples.filter((s) => s.name === `${name}_count`);
    if (!sum || !count || samples.length !== buckets.length + 2) {
        throw new Error(`${name} is not a whole histogram`);
    }
    let [bound, seen] = [-Infinity, 0];
    for (const { labels, value } of buckets) {
        const le = numberOf(labels.get('le'));
        if (le <= bound || value < seen) {
            throw new Error(`buckets of ${name} go down`);
        }
        [bound, seen] = [le, value];
    }
    if (bound !== Infinity || seen !== count.value) {
        throw new Error(`the last bucket of ${name} is not all`);
    }
}

export function parsePrometheus(text) {
    if (!text.endsWith('\n')) {
        throw new Error('the last line does not end');
    }
    const samples = new Map();
    const families = new Map();
    let family = null;
    for (const line of text.slice(0, -1).split('\n')) {
        const meta = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
        if (meta?.[1] === 'HELP') {
            const [, , name, help] = meta;
            if (families.has(name) || !/^(?:[^\\]|\\[\\n])*$/.test(help)) {
                throw new Error(`a second or bad HELP: ${line}`);
            }
            family = { name, help, samples: [] };
            families.set(name, family);
        } else if (meta) {
            if (family?.name !== meta[2] || family.type || !TYPES.includes(meta[3])) {
                throw new Error(`a TYPE out of place: ${line}`);
            }
            family.type = meta[3];
        } else {
            const sample = parseSample(line);
            const key = keyOf(sample);
            if (!family?.type || !sample.name.startsWith(family.name) || samples.has(key)) {
                throw new Error(`a sample out of place: ${line}`);
            }
            family.samples.push(sample);
            samples.set(key, sample.value);
        }
    }
    families.forEach(checkFamily);
    return samples;
}

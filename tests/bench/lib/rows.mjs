// SPDX-License-Identifier: BSD-2-Clause
//
// The rows of `make bench`: id, unit, goal, and the group that measures them.
// A group starts its servers, takes what it needs in alternation and returns
// { id: value }, with further figures for the reader under `notes`.

import { sleep, until } from '../../integration/lib/process.mjs';
import { audioRows } from './audio.mjs';
import { Client, anonKb, cpuSeconds, demand, median, metricsOf } from './measure.mjs';
import { httpStack, ourStack, parkedStack, remoteStack, scoped, slowUpstream,
    tunnelStack } from './stacks.mjs';
import { toolRows } from './tools.mjs';

export const rows = [
    { id: 'idle_kb.nginx', unit: 'kB', most: 9.7, group: idle,
        what: 'anonymous memory of the NGINX worker per idle session, deflate agreed on' },
    { id: 'idle_kb.voiced', unit: 'kB', most: 0.4, group: idle,
        what: 'anonymous memory of voiced per idle echo session' },
    { id: 'idle_kb.voiced_session', unit: 'kB', most: 200, group: idleSession,
        what: 'the same of a Realtime session on the offline model' },
    { id: 'echo_160.nginx_cpu_ratio', unit: 'ratio', most: 0.85, group: echo160,
        what: 'NGINX CPU per echo of 160 B, against its proxy_pass tunnel' },
    { id: 'echo_160.total_cpu_ratio', unit: 'ratio', most: 0.64, group: echo160,
        what: 'NGINX and voiced CPU, against the tunnel and Node ws' },
    { id: 'echo_4k.nginx_cpu_ratio', unit: 'ratio', most: 1.0, group: echo4k,
        what: 'NGINX CPU per echo of 4 KB, against its proxy_pass tunnel' },
    { id: 'echo_json_deflate.nginx_cpu_ratio', unit: 'ratio', most: 1.0, group: echoJson,
        what: 'NGINX CPU per compressed echo of 2 KB JSON, against tunnel and Node, ' +
            'which compresses there' },
    { id: 'echo_160.added_p99_ms', unit: 'ms', most: 5, group: echoAdded,
        what: 'p99 of an echo at half load, less that of Node ws without NGINX' },
    { id: 'http.plain_libfcgi_ratio', unit: 'ratio', least: 1.5, group: http,
        what: 'GET /health/live a second, against a plain libfcgi program' },
    { id: 'parked.health_ratio', unit: 'ratio', most: 3, group: parked,
        what: 'p50 of GET /health beside 3,000 parked connections, against idle' },
    { id: 'parked.ws_ratio', unit: 'ratio', most: 3, group: parked,
        what: 'p50 of a session\'s set-up beside them, against idle' },
    { id: 'warm_start.p50_ms', unit: 'ms', most: 2, group: warmStart,
        what: 'p50 from connect to session.created, upstream begins after 150 ms, links open' },
    { id: 'warm_start.hit_share', unit: 'share', least: 0.95, group: warmStart,
        what: 'sessions that got an open link, at 5 starts a second' },
    { id: 'cold_start.added_ms', unit: 'ms', most: 5, group: coldStart,
        what: 'p50 without open links, less that of the upstream asked directly' },
    ...audioRows,
    ...toolRows,
];

// A row without either is told for what it is.
export const goalOf = row => (row.most !== undefined ? `<= ${row.most}`
    : row.least !== undefined ? `>= ${row.least}` : '-');

export const holds = (row, value) => value <= (row.most ?? Infinity) &&
    value >= (row.least ?? -Infinity);

const path = '/v1/realtime';

// Connections that are all open; what becomes of them is the caller's.
async function opened(target, options) {
    const client = new Client('echo', { target, path, steps: true, ...options });
    const line = await client.phase();
    if (line.failed > 0) {
        await client.kill();
        demand(false, 'connections failed', line);
    }
    return client;
}

// --- memory

// Growth of the processes from one set of sessions to none, a session.
async function memoryOf(target, pids, options) {
    const warm = await opened(target, { ...options, connections: 64 });
    await warm.finish();
    await sleep(1000);
    const before = pids.map(anonKb);
    const client = await opened(target, options);
    await sleep(1500);
    const after = pids.map(anonKb);
    await client.finish();
    return after.map((kb, i) => (kb - before[i]) / options.connections);
}

// The median of three stacks: how full the last pages of a heap are is chance.
async function idle({ quick }) {
    const connections = quick ? 1000 : 3000;
    const found = [];
    for (let i = 0; i < (quick ? 1 : 3); i++) {
        found.push(await scoped(async scope => {
            const ours = await ourStack(scope);
            return memoryOf(ours.target, [ours.worker, ours.server],
                { connections, deflate: true });
        }));
    }
    const [nginx, voiced] = [0, 1].map(which => median(found.map(round => round[which])));
    return { 'idle_kb.nginx': nginx, 'idle_kb.voiced': voiced, notes: { connections, found } };
}

async function idleSession({ quick }) {
    const connections = quick ? 100 : 500;
    return scoped(async scope => {
        const ours = await ourStack(scope, { echo: false });
        const [voiced] = await memoryOf(ours.target, [ours.server],
            { connections, firstMessage: true });
        return { 'idle_kb.voiced_session': voiced, notes: { connections } };
    });
}

// --- echo

// CPU seconds of both servers while the load runs, and what the client saw.
async function echoOnce(stack, load) {
    const client = await opened(stack.target, load);
    const read = () => [cpuSeconds(stack.worker), cpuSeconds(stack.server)];
    const before = read();
    client.go();
    const line = await client.phase();
    const after = read();
    await client.finish();
    demand(line.lost === 0 && line.wrong === 0 && line.repeated === 0 && line.dropped === 0,
        'echoes were lost or damaged', line);
    demand(!load.deflate || line.packed === line.received, 'echoes came plain', line);
    const [nginx, server] = after.map((seconds, i) => seconds - before[i]);
    const micro = seconds => Number((seconds * 1e6 / line.received).toFixed(2));
    return { nginx: micro(nginx), total: micro(nginx + server), received: line.received,
        skipped: line.skipped, p50: line.rtt.p50_us, p99: line.rtt.p99_us,
        late: line.late.p99_us };
}

function echoRatios(pairs, field) {
    return median(pairs.map(({ ours, tunnel }) => ours[field] / tunnel[field]));
}

// Microseconds of CPU a message, and round trip times in microseconds.
function echoNotes({ pairs, taken }) {
    const of = side => Object.fromEntries(['nginx', 'total', 'p50', 'p99', 'late']
        .map(field => [field, median(pairs.map(pair => pair[side][field]))]));
    return { ours: of('ours'), tunnel: of('tunnel'), taken, counted: pairs.length };
}

// A load that left late came in bunches, and bunches are cheap: with another
// job on the processors the two sides were not offered the same.
const LATE_US = 2000;
const isEven = pair => pair.ours.late < LATE_US && pair.tunnel.late < LATE_US;

async function echoPairs({ rounds, peer }, load) {
    return scoped(async scope => {
        const stacks = { ours: await ourStack(scope),
            tunnel: await tunnelStack(scope, peer, load) };
        for (const stack of Object.values(stacks)) {
            await echoOnce(stack, { ...load, seconds: 1 });
        }
        const pairs = [];
        let even = 0;
        for (let round = 0; even < rounds && round < 3 * rounds; round++) {
            const pair = {};
            const order = round % 2 ? ['tunnel', 'ours'] : ['ours', 'tunnel'];
            for (const side of order) {
                pair[side] = await echoOnce(stacks[side], load);
            }
            pairs.push(pair);
            even += isEven(pair);
        }
        return { pairs: even > 0 ? pairs.filter(isEven) : pairs, taken: pairs.length };
    });
}

async function echo160(options) {
    const found = await echoPairs(options, { connections: 1000, rate: 25, bytes: 160,
        seconds: options.quick ? 2 : 4 });
    return { 'echo_160.nginx_cpu_ratio': echoRatios(found.pairs, 'nginx'),
        'echo_160.total_cpu_ratio': echoRatios(found.pairs, 'total'), notes: echoNotes(found) };
}

async function echo4k(options) {
    const found = await echoPairs(options, { connections: 1000, rate: 15, bytes: 4096,
        seconds: options.quick ? 2 : 4 });
    return { 'echo_4k.nginx_cpu_ratio': echoRatios(found.pairs, 'nginx'),
        notes: echoNotes(found) };
}

// Where the peer compresses it is Node that does, so its CPU counts as well.
async function echoJson(options) {
    const found = await echoPairs(options, { connections: 500, rate: 6, bytes: 2048,
        deflate: true, seconds: options.quick ? 2 : 4 });
    const ratios = found.pairs.map(({ ours, tunnel }) => ours.nginx / tunnel.total);
    return { 'echo_json_deflate.nginx_cpu_ratio': median(ratios), notes: echoNotes(found) };
}

// Half of the load of echo_160, by three ways in turn; what the third shows,
// the client and the machine, is taken off.
async function echoAdded({ rounds, peer, quick }) {
    const load = { connections: 1000, rate: 12, bytes: 160, seconds: quick ? 2 : 4 };
    return scoped(async scope => {
        const tunnel = await tunnelStack(scope, peer);
        const stacks = { ours: await ourStack(scope), tunnel,
            direct: { ...tunnel, target: tunnel.direct } };
        for (const stack of Object.values(stacks)) {
            await echoOnce(stack, { ...load, seconds: 1 });
        }
        const taken = [];
        for (let round = 0; round < rounds; round++) {
            const order = Object.keys(stacks);
            const each = {};
            for (const side of round % 2 ? order.reverse() : order) {
                each[side] = await echoOnce(stacks[side], load);
            }
            taken.push(each);
        }
        const of = side => median(taken.map(each => each[side].p99));
        return { 'echo_160.added_p99_ms': median(taken.map(({ ours, direct }) =>
            (ours.p99 - direct.p99) / 1000)),
        notes: { p99_us: { ours: of('ours'), tunnel: of('tunnel'), direct: of('direct') } } };
    });
}

// --- requests

async function httpOnce(target, where, options) {
    const [line] = await Client.run('http', { target, path: where, ...options });
    demand(line.answered > 0 && line.refused === 0 && line.broken === 0,
        `requests of ${where} failed`, line);
    return line;
}

async function http({ quick, rounds }) {
    return scoped(async scope => {
        const stack = await httpStack(scope);
        const load = { connections: 32, seconds: quick ? 2 : 4 };
        const taken = { '/health/live': [], '/plain': [] };
        for (let round = 0; round < rounds; round++) {
            const order = Object.keys(taken);
            for (const where of round % 2 ? order.reverse() : order) {
                taken[where].push((await httpOnce(stack.target, where, load)).per_second);
            }
        }
        const ratios = taken['/health/live'].map((value, i) => value / taken['/plain'][i]);
        return { 'http.plain_libfcgi_ratio': median(ratios),
            notes: { ours_per_second: median(taken['/health/live']),
                plain_per_second: median(taken['/plain']) } };
    });
}

// --- parked

const crowdOf = ({ target, socket }) => [
    ['event streams', { target, path: '/v1/events', header: 'Accept: text/event-stream',
        until: 'header', connections: 1000 }],
    ['long polls', { target, path: '/v1/events?wait=60', until: 'request', connections: 1000,
        again: true }],
    ['idle HTTP connections', { target, path: '/health/live', connections: 500 }],
    ['idle FastCGI connections', { target: `unix:${socket}`, path: '/health/live',
        fastcgi: true, connections: 500 }],
];

// Everybody of the crowd in place, or an error; the clients that hold them.
async function crowdStart(stack, clients) {
    for (const [name, options] of crowdOf(stack)) {
        const client = new Client('hold', { steps: true, ...options });
        clients.push([name, client]);
        const line = await client.phase();
        demand(line.settled === options.connections, name, line);
    }
    await sleep(500);
}

// They must have stayed, or the figure is about something else.
async function crowdEnd(clients) {
    for (const [name, client] of clients) {
        client.go();
        const line = await client.phase();
        await client.ended;
        demand(line.failed === 0 && line.dropped === 0 && line.refused === 0, name, line);
    }
}

async function latencies({ target }, quick) {
    const health = await httpOnce(target, '/health', { connections: 1, seconds: quick ? 1 : 3 });
    const [line] = await Client.run('echo', { target, path, oneByOne: true, firstMessage: true,
        connections: quick ? 50 : 200, parallel: 1 });
    demand(line.failed === 0, 'sessions failed', line);
    return { health: health.time.p50_us, ws: line.setup.p50_us,
        health_p99: health.time.p99_us, ws_p99: line.setup.p99_us };
}

async function latenciesBesideCrowd(stack, quick) {
    const clients = [];
    try {
        await crowdStart(stack, clients);
        const taken = await latencies(stack, quick);
        await crowdEnd(clients);
        return taken;
    } finally {
        for (const [, client] of clients) {
            await client.kill();
        }
        await sleep(500);
    }
}

async function parked({ quick, rounds }) {
    return scoped(async scope => {
        const stack = await parkedStack(scope);
        await latencies(stack, true);
        const pairs = [];
        for (let round = 0; round < rounds; round++) {
            const alone = await latencies(stack, quick);
            pairs.push({ alone, beside: await latenciesBesideCrowd(stack, quick) });
        }
        const ratio = field => median(pairs.map(({ alone, beside }) => beside[field] / alone[field]));
        const of = side => Object.fromEntries(Object.keys(pairs[0][side])
            .map(field => [`${field}_us`, median(pairs.map(pair => pair[side][field]))]));
        return { 'parked.health_ratio': ratio('health'), 'parked.ws_ratio': ratio('ws'),
            notes: { alone: of('alone'), beside: of('beside') } };
    });
}

// --- session starts

const DELAY_MS = 150;
const STARTS_PER_SECOND = 5;
const sessionPath = '/v1/realtime?model=gpt-realtime';

// Poisson, open loop: a slow start does not put off the next.
async function starts({ target, ca }, count, seed) {
    const [line] = await Client.run('start', { target, ca, path: sessionPath, seed,
        rate: STARTS_PER_SECOND, connections: count, header: 'Authorization: Bearer bench-key' });
    demand(line.created === count && line.failed === 0 && line.dropped === 0,
        'sessions failed', line);
    return line;
}

// Samples of /metrics by name.
async function warmStart({ quick, rounds }) {
    return scoped(async scope => {
        const upstream = await slowUpstream(scope, DELAY_MS);
        const stack = await remoteStack(scope, upstream, { links: 3 });
        const ready = async () => (await metricsOf(stack)).get('voiced_warm_links') >= 3;
        await until(ready, 'warm links');
        const before = await metricsOf(stack);
        const taken = [];
        for (let round = 0; round < rounds; round++) {
            taken.push(await starts(stack, quick ? 25 : 50, round + 1));
        }
        const after = await metricsOf(stack);
        const grown = name => (after.get(name) ?? 0) - (before.get(name) ?? 0);
        const hits = grown('voiced_warm_taken_total');
        const misses = grown('voiced_warm_missed_total');
        const of = point => median(taken.map(({ setup }) => setup[point])) / 1000;
        return { 'warm_start.p50_ms': of('p50_us'),
            'warm_start.hit_share': hits / (hits + misses),
            notes: { p90_ms: of('p90_us'), p99_ms: of('p99_us'), hits, misses,
                late_p99_us: median(taken.map(({ late }) => late.p99_us)),
                setups: grown('voice_connection_setup_seconds_count') } };
    });
}

// In turn through the gateway, asked plainly, and straight to the upstream;
// TLS to the upstream in both, with the same certificate verified.
async function coldStart({ quick, rounds }) {
    return scoped(async scope => {
        const upstream = await slowUpstream(scope, DELAY_MS);
        const stack = await remoteStack(scope, upstream, { links: 0 });
        const targets = { ours: { target: stack.target },
            direct: { target: `127.0.0.1:${upstream.port}`, ca: upstream.ca } };
        await starts(targets.ours, 3, 1);
        await starts(targets.direct, 3, 1);
        const pairs = [];
        for (let round = 0; round < rounds; round++) {
            const pair = {};
            const order = Object.keys(targets);
            for (const side of round % 2 ? order.reverse() : order) {
                pair[side] = (await starts(targets[side], quick ? 15 : 25, round + 1)).setup;
            }
            pairs.push(pair);
        }
        const of = (side, point) => median(pairs.map(pair => pair[side][point])) / 1000;
        return { 'cold_start.added_ms':
                median(pairs.map(({ ours, direct }) => ours.p50_us - direct.p50_us)) / 1000,
        notes: Object.fromEntries(Object.keys(targets).map(side =>
            [side, { p50_ms: of(side, 'p50_us'), p99_ms: of(side, 'p99_us') }])) };
    });
}

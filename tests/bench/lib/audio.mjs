// SPDX-License-Identifier: BSD-2-Clause
//
// Audio: sessions that talk all the time, from both ends, through NGINX and
// voiced. What the servers used in CPU and memory is read from /proc, latency
// and loss from bench-talk, which is both ends; what libopus alone costs comes
// from opus-ceiling, in turn with the load, on the same speech.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, fixtures, freePort } from '../../integration/lib/paths.mjs';
import { childrenOf, sleep } from '../../integration/lib/process.mjs';
import { Client, benchTalk, cpuSeconds, demand, median, metricsOf,
    opusCeiling, pssKb } from './measure.mjs';
import { scoped, talkStack } from './stacks.mjs';

const RATE = 24000;
const HEADER = 44;
const opus = { bitrate: 24000, ptime: 20, complexity: 5 };

// All recorded sentences as one, without the quiet at their ends: what is
// measured talks all the time.
function speechFile() {
    const quiet = ms => 2 * Math.round(RATE * ms / 1000);
    const parts = readdirSync(fixtures).filter(name => name.endsWith('.wav')).sort()
        .map(name => readFileSync(join(fixtures, name)).subarray(HEADER))
        .map(pcm => pcm.subarray(quiet(380), pcm.length - quiet(280)));
    const header = Buffer.from(readFileSync(join(fixtures, 'story.wav')).subarray(0, HEADER));
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    header.writeUInt32LE(36 + bytes, 4);
    header.writeUInt32LE(bytes, 40);
    const path = join(build, 'bench/speech.wav');
    mkdirSync(join(build, 'bench'), { recursive: true });
    writeFileSync(path, Buffer.concat([header, ...parts]));
    return path;
}

// Full-duplex sessions that libopus alone lets a core have.
function ceilingOf(wav) {
    const text = execFileSync(opusCeiling, [wav, opus.ptime, opus.bitrate, opus.complexity]
        .map(String), { encoding: 'utf8' });
    const [{ encode_us: encode, decode_us: decode }] = JSON.parse(text).rows;
    return 1000 * opus.ptime / (encode + decode);
}

async function audioStack(scope) {
    const port = await freePort();
    const stack = await talkStack(scope, { port, opus });
    return { ...stack, port, wav: speechFile() };
}

// The servers' processes, the children that they have now included.
const pidsOf = ({ master, supervisor }) => [master, supervisor]
    .flatMap(pid => [pid, ...childrenOf(pid)]);

// Sessions that talk; the caller looks while they do.
async function talking(stack, options) {
    const client = new Client(null, { wav: stack.wav, target: stack.target, port: stack.port,
        steps: true, ...options }, benchTalk);
    await client.phase();
    const line = await client.phase();
    if (line.failed > 0 || line.ready !== line.sessions) {
        await client.kill();
        demand(false, 'sessions failed', line);
    }
    return client;
}

// Nothing may be lost, made up or left behind: else the figure is of less.
function demandWhole(line) {
    const share = (line.up_sent - line.up_taken) / line.up_sent;
    demand(line.dropped === 0 && line.errors === 0 && line.overruns === 0 &&
        line.lagging === 0 && line.skipped === 0 && line.down_missing === 0 &&
        line.down_odd === 0 && Math.abs(share) < 0.02 &&
        line.up_extra <= line.up_sent / 1000, 'audio was lost or made up', line);
}

// Under pressure voiced encodes with less care than is measured here.
async function demandCare(stack) {
    const cut = (await metricsOf(stack)).get('voiced_opus_complexity_cut');
    demand(cut === 0, 'the complexity of Opus was cut: the machine is too busy', cut);
}

// So many sessions talk for so long: what they cost and how it went.
async function talkOnce(stack, options) {
    const client = await talking(stack, options);
    await sleep(1500);
    const pids = pidsOf(stack);
    const before = pids.map(pid => cpuSeconds(pid));
    client.go();
    const line = await client.phase();
    const each = pids.map((pid, i) => cpuSeconds(pid) - before[i]);
    await demandCare(stack);
    await client.finish();
    demandWhole(line);
    const cpu = each.reduce((sum, seconds) => sum + seconds, 0);
    return { line, perCore: options.sessions * line.seconds / cpu,
        nginx: each[pids.indexOf(stack.worker)] / cpu };
}

const round = (value, digits = 1) => Number(value.toFixed(digits));

// --- what a core can do

async function relay({ quick, rounds }) {
    return scoped(async scope => {
        const stack = await audioStack(scope);
        const load = { plain: true, sessions: 200, seconds: quick ? 3 : 5 };
        const taken = [];
        for (let i = 0; i < Math.min(rounds, 2); i++) {
            taken.push(await talkOnce(stack, { ...load, seed: i + 1 }));
        }
        const of = read => median(taken.map(read));
        return { 'relay.sessions_per_core': of(({ perCore }) => perCore),
            notes: { sessions: load.sessions, nginx_share: round(of(({ nginx }) => nginx), 2),
                up_p99_us: of(({ line }) => line.up.p99_us),
                down_p99_us: of(({ line }) => line.down.p99_us) } };
    });
}

// Sessions that half fill a core: what the last measurement found, or a short
// one of its own.
let perCoreKnown = 0;
const GOAL = 0.7;

async function halfLoad(stack) {
    if (perCoreKnown === 0) {
        perCoreKnown = (await talkOnce(stack, { sessions: 60, seconds: 3 })).perCore;
    }
    return Math.max(2, Math.round(perCoreKnown / 2));
}

// libopus before and after each load, so that what slows the machine slows
// both; the middle one of many, since machines are slowed for seconds by
// others. The load is what the goal names: as many sessions as should fit.
async function opusLoad({ quick }) {
    return scoped(async scope => {
        const stack = await audioStack(scope);
        const ceilings = [ceilingOf(stack.wav)];
        const load = { sessions: Math.round(GOAL * ceilings[0]), seconds: quick ? 2 : 3 };
        const taken = [];
        for (let i = 0; i < (quick ? 3 : 7); i++) {
            const found = await talkOnce(stack, { ...load, seed: i + 1 });
            ceilings.push(ceilingOf(stack.wav));
            taken.push({ ...found, ratio: 2 * found.perCore / (ceilings.at(-2) + ceilings.at(-1)) });
        }
        const of = read => median(taken.map(read));
        perCoreKnown = of(({ perCore }) => perCore);
        const short = await talkOnce(stack, { ...load, deltaMs: 20 });
        return { 'opus.ceiling_ratio': of(({ ratio }) => ratio),
            'opus.sessions_per_core': perCoreKnown,
            notes: { sessions: load.sessions, ceiling: round(median(ceilings)),
                ratios: taken.map(({ ratio }) => round(ratio, 3)),
                nginx_share: round(of(({ nginx }) => nginx), 2),
                sessions_per_core_20ms_deltas: round(short.perCore) } };
    });
}

// --- latency

// A frame from one end to the other, with an answer in real time and deltas
// of one frame; what the same clients and upstream show with nothing between
// them is taken off.
async function opusLatency({ quick, rounds }) {
    return scoped(async scope => {
        const stack = await audioStack(scope);
        const load = { sessions: await halfLoad(stack), deltaMs: 20, seconds: quick ? 3 : 5 };
        const taken = [];
        for (let i = 0; i < Math.min(rounds, 3); i++) {
            const { line } = await talkOnce(stack, { ...load, seed: i + 1 });
            const direct = await directOnce(stack, { ...load, seconds: 2, seed: i + 1 });
            taken.push({ ours: line, direct });
        }
        const added = way => median(taken.map(({ ours, direct }) =>
            (ours[way].p99_us - direct[way].p99_us) / 1000));
        const of = (side, way, point) => round(median(taken.map(each => each[side][way][point])));
        return { 'opus.added_latency_p99_ms': Math.max(added('up'), added('down')),
            notes: { sessions: load.sessions, added_ms: { up: round(added('up'), 3),
                down: round(added('down'), 3) },
            p50_us: { up: of('ours', 'up', 'p50_us'), down: of('ours', 'down', 'p50_us') },
            direct_p99_us: { up: of('direct', 'up', 'p99_us'),
                down: of('direct', 'down', 'p99_us') } } };
    });
}

async function directOnce(stack, options) {
    const client = new Client(null, { wav: stack.wav, direct: true, ...options }, benchTalk);
    await client.phase();
    await client.phase();
    const line = await client.phase();
    await client.ended;
    demandWhole(line);
    return line;
}

// --- memory

// The most that a further session takes while it talks, and while answers
// that come six times faster than they are heard wait to be played.
async function opusMemory({ quick }) {
    return scoped(async scope => {
        const stack = await audioStack(scope);
        const [first, sessions] = quick ? [10, 40] : [10, 60];
        const client = await talking(stack, { sessions, first, speed: 6, deltaMs: 200,
            seconds: 0 });
        const few = await pssMost(stack, 12);
        client.go();
        const line = await client.phase();
        demand(line.failed === 0 && line.ready === sessions, 'sessions failed', line);
        const many = await pssMost(stack, 14);
        client.go();
        const end = await client.phase();
        await client.finish();
        demand(end.dropped === 0 && end.errors === 0 && end.overruns === 0, 'sessions', end);
        const each = many.map((kb, i) => (kb - few[i]) / (sessions - first));
        return { 'opus.session_kb': each.reduce((sum, kb) => sum + kb, 0),
            notes: { sessions, nginx_kb: round(each[0]), voiced_kb: round(each[1]) } };
    });
}

// Of NGINX and of voiced, within so many seconds.
async function pssMost(stack, seconds) {
    const of = pid => [pid, ...childrenOf(pid)].reduce((sum, each) => sum + pssKb(each), 0);
    const most = [0, 0];
    for (let i = 0; i < seconds * 2; i++) {
        await sleep(500);
        most.forEach((_, which) => {
            const now = of(which === 0 ? stack.master : stack.supervisor);
            most[which] = Math.max(most[which], now);
        });
    }
    return most;
}

// --- interruptions

// Some of the sessions of a half load are interrupted at random moments of
// answers that come four times faster than they are heard.
async function bargeIn({ quick }) {
    return scoped(async scope => {
        const stack = await audioStack(scope);
        const sessions = await halfLoad(stack);
        const interrupts = quick ? 40 : 200;
        const client = await talking(stack, { sessions, interrupters: Math.min(16, sessions),
            interrupts, speed: 4, answerMs: 6000, seconds: 120 });
        client.go();
        const line = await client.phase();
        await client.finish();
        demand(line.dropped === 0 && line.errors === 0 && line.overruns === 0 &&
            line.interrupted >= interrupts && line.uncleared === 0, 'interruptions', line);
        return { 'bargein.p99_ms': line.old.p99_us / 1000,
            notes: { sessions, interrupted: line.interrupted, p50_ms: line.old.p50_us / 1000,
                max_ms: line.old.max_us / 1000, truncated: line.truncated,
                truncate_off_p99_ms: line.truncate.p99_us / 1000 } };
    });
}

export const audioRows = [
    { id: 'relay.sessions_per_core', unit: 'count', group: relay,
        what: 'base64 sessions, both sides talking, a core of NGINX and voiced' },
    { id: 'opus.ceiling_ratio', unit: 'ratio', least: 0.7, group: opusLoad,
        what: 'Opus sessions, both sides talking, a core, against libopus alone' },
    { id: 'opus.sessions_per_core', unit: 'count', group: opusLoad,
        what: 'the same as a number' },
    { id: 'opus.added_latency_p99_ms', unit: 'ms', most: 3, group: opusLatency,
        what: 'p99 of a 20 ms frame through NGINX and voiced at half that load' },
    { id: 'opus.session_kb', unit: 'kB', most: 200, group: opusMemory,
        what: 'memory of NGINX and voiced per talking Opus session' },
    { id: 'bargein.p99_ms', unit: 'ms', most: 40, group: bargeIn,
        what: 'from speech_started to the last packet of the old answer' },
];

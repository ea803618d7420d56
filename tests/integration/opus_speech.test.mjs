// SPDX-License-Identifier: BSD-2-Clause
//
// Speech that went through Opus is still understood: sentences that the offline
// model knows, in three voices, are said as plain PCM and through
// voice.opus.v1 by another libopus than the gateway's, and what the model
// heard is compared; and the other way, what it says is heard again.

import assert from 'node:assert/strict';
import test from 'node:test';
import { OpusClient } from './lib/opus_client.mjs';
import { count } from './lib/paths.mjs';
import { SENTENCES, VOICES, speakAll } from './lib/sentences.mjs';
import { words } from './lib/speech.mjs';
import { startStack } from './lib/stack.mjs';
import { durationMs, joinPcm, silence } from './lib/wav.mjs';

const PER_VOICE = count(4, SENTENCES.length);
const LANES = 4; // sessions beside each other
const BITRATE = 24000;
const SKIPPED = 0.05;
const HEARD = /^conversation\.item\.input_audio_transcription\.(completed|failed)$/;

const isHeard = (text, heard) => words(heard).join(' ') === words(text).join(' ');

// Numbers from 0 to 1, the same in every run.
function randomOf(seed) {
    let state = seed;
    return () => {
        state = (state + 0x6d2b79f5) | 0;
        let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
        mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
}

// Every job is done by some lane; results in the jobs' order.
async function inLanes(jobs, open, work) {
    const results = new Array(jobs.length);
    let next = 0;
    await Promise.all(Array.from({ length: Math.min(LANES, jobs.length) }, async (_, lane) => {
        const client = await open(lane);
        while (next < jobs.length) {
            const at = next++;
            results[at] = await work(client, jobs[at], lane);
        }
        await client.close();
    }));
    return results;
}

const byHand = { audio: { input: { turn_detection: null,
    transcription: { model: 'whisper-1' } } } };

// What the model heard in a turn that ends now.
async function commit(client) {
    client.send({ type: 'input_audio_buffer.commit' });
    const { item_id: id } = await client.next('input_audio_buffer.committed');
    const heard = await client.next(HEARD, (event) => event.item_id === id,
        { timeoutMs: 60000 });
    return heard.transcript ?? '';
}

const openPlain = (t, stack) => async () => {
    const client = await stack.connect(t);
    await client.update(byHand);
    return client;
};

async function sayPlain(client, { pcm }) {
    await client.speak(pcm, { silenceMs: 0 });
    return commit(client);
}

const openOpus = (t, stack, encoder) => async () => {
    const client = await OpusClient.connect(t, { port: stack.nginx.port, encoder });
    await client.next('session.created');
    await client.update(byHand);
    client.sentBytes = client.sentMs = client.made = client.skipped = 0;
    const sendBinary = client.sendBinary.bind(client);
    client.sendBinary = (message) => {
        client.sentBytes += message.length - 8;
        sendBinary(message);
    };
    return client;
};

// Faster than real time, but not so fast that what is lost could not be
// filled in: that is bounded by the time that passes.
const sayOpus = (random, total) => async (client, { pcm }) => {
    const before = client.sentBytes;
    await client.say(pcm, { pace: 0.25, skip: () => {
        const skips = random() < SKIPPED;
        total.made++;
        total.skipped += skips && total.skips;
        return skips && total.skips;
    } });
    total.bytes += client.sentBytes - before;
    total.ms += durationMs(pcm);
    return commit(client);
};

const newTotal = (skips) => ({ skips, made: 0, skipped: 0, bytes: 0, ms: 0 });

// How many of the sentences that were understood as PCM are understood so.
function compare(t, what, utterances, plain, heard) {
    const known = utterances.map(({ text }, i) => isHeard(text, plain[i]));
    const understood = utterances.filter(({ text }, i) => known[i] && isHeard(text, heard[i]));
    const of = known.filter(Boolean).length;
    t.diagnostic(`${what}: ${understood.length} of ${of} that PCM lets understand ` +
        `(${utterances.length} sentences), ${(100 * understood.length / of).toFixed(1)} %`);
    utterances.forEach(({ voice, text }, i) => {
        if (known[i] && !isHeard(text, heard[i])) {
            t.diagnostic(`  ${voice}: "${text}" became "${heard[i]}"`);
        }
    });
    return { understood: understood.length, of };
}

const POLICY = (more = '') => `voice_model gpt-realtime;\nvoice_vad normal;\n` +
    `voice_opus on bitrate=24k dtx=on${more};`;

test('speech through Opus is understood', async (t) => {
    const stack = await startStack(t, { policy: POLICY() });
    const utterances = VOICES.flatMap((voice, i) => speakAll(voice, count(
        SENTENCES.slice(i * PER_VOICE, (i + 1) * PER_VOICE), SENTENCES)));
    const plain = await inLanes(utterances, openPlain(t, stack), sayPlain);

    await t.test('R2.3 as PCM, which all else is compared with', (t) => {
        const { understood, of } = compare(t, 'PCM', utterances,
            utterances.map(({ text }) => text), plain);
        assert.ok(understood >= of * 0.8, `${understood} of ${of}`);
    });

    await t.test('R2.3 at 24 kbit/s at least 95 % of it', async (t) => {
        const total = newTotal(false);
        const heard = await inLanes(utterances, openOpus(t, stack,
            { bitrate: BITRATE, dtx: false }), sayOpus(randomOf(1), total));
        const kbps = total.bytes * 8 / total.ms;
        t.diagnostic(`${total.made} packets, ${kbps.toFixed(1)} kbit/s`);
        const { understood, of } = compare(t, '24 kbit/s', utterances, plain, heard);
        assert.ok(understood >= Math.floor(of * 0.95), `${understood} of ${of}`);
        assert.ok(kbps < 26, `${kbps} kbit/s`);
    });

    await t.test('R2.3 with 5 % of the packets skipped at least 90 %', async (t) => {
        const total = newTotal(true);
        const heard = await inLanes(utterances, openOpus(t, stack,
            { bitrate: BITRATE, dtx: false }), sayOpus(randomOf(2), total));
        t.diagnostic(`${total.skipped} of ${total.made} packets skipped`);
        const share = total.skipped / total.made;
        assert.ok(share > SKIPPED * 0.6 && share < SKIPPED * 1.5, `${share} skipped`);
        const { understood, of } = compare(t, '5 % skipped', utterances, plain, heard);
        assert.ok(understood >= Math.floor(of * 0.9), `${understood} of ${of}`);
    });
});

// --- in real time

const spokenTurns = { audio: { input: { transcription: { model: 'whisper-1' },
    turn_detection: { type: 'server_vad', create_response: false } } } };

// As a microphone that sends nothing in a silence: the gateway feeds the one
// that ends the turn.
async function sayAloud(client, { pcm }) {
    await client.say(pcm);
    const { item_id: id } = await client.next('input_audio_buffer.committed');
    const heard = await client.next(HEARD, (event) => event.item_id === id);
    return heard.transcript ?? '';
}

const MOUTHS = ['marin', 'cedar', 'ballad'];
const edge = silence(400);

// What the model says when it is told to, as this client gets it.
async function spokenPlain(client, { text }) {
    client.sayText(`repeat after me ${text}`);
    const { id } = await client.respond();
    return client.spoken(id).pcm;
}

async function spokenOpus(client, { text }) {
    const from = client.player.heard.length;
    client.sayText(`repeat after me ${text}`);
    const { id } = await client.respond();
    await client.next('output_audio_buffer.stopped', (event) => event.response_id === id);
    const heard = client.player.heard.slice(from);
    assert.ok(heard.every(({ kind, pcm }) => kind !== 'packet' || durationMs(pcm) === 10));
    return joinPcm(...heard.map(({ pcm }) => pcm));
}

test('speech both ways in packets of 10 ms, with silence left out', async (t) => {
    const stack = await startStack(t, { policy: POLICY(' ptime=10ms') });

    await t.test('R2.3 a microphone', async (t) => {
        const texts = count(SENTENCES.slice(20, 24), SENTENCES.slice(20, 50));
        const utterances = VOICES.flatMap((voice) => speakAll(voice, texts));
        const plain = await inLanes(utterances, openPlain(t, stack), sayPlain);
        const heard = await inLanes(utterances, async () => {
            const client = await OpusClient.connect(t, { port: stack.nginx.port,
                encoder: { bitrate: BITRATE, frameMs: 10, dtx: true } });
            await client.next('session.created');
            await client.update(spokenTurns);
            return client;
        }, sayAloud);
        const { understood, of } = compare(t, 'by voice', utterances, plain, heard);
        assert.ok(understood >= Math.floor(of * 0.9), `${understood} of ${of}`);
    });

    await t.test('R2.3 answers are understood again', async (t) => {
        const texts = count(SENTENCES.slice(30, 33), SENTENCES.slice(0, 40));
        const jobs = MOUTHS.flatMap((voice) => texts.map((text) => ({ voice, text })));
        // A session has one voice.
        const speakers = (open, spokenOf) => Promise.all(MOUTHS.map((voice) =>
            inLanes(jobs.filter((job) => job.voice === voice), async () => {
                const client = await open();
                await client.update({ audio: { output: { voice } } });
                return client;
            }, spokenOf))).then((all) => all.flat());
        const hear = (sounds) => inLanes(sounds.map((pcm) => ({
            pcm: joinPcm(edge, pcm, edge) })), openPlain(t, stack), sayPlain);
        const plain = await hear(await speakers(openPlain(t, stack), spokenPlain));
        const heard = await hear(await speakers(openOpus(t, stack, {}), spokenOpus));
        const { understood, of } = compare(t, 'answers', jobs, plain, heard);
        assert.ok(of >= jobs.length * 0.8, `only ${of} are understood at all`);
        assert.ok(understood >= Math.floor(of * 0.95), `${understood} of ${of}`);
    });
});

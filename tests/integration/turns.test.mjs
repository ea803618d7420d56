// SPDX-License-Identifier: BSD-2-Clause
//
// How long turns take, as the histograms tell it: an upstream that takes its
// time at each step shows up in the figure of that step and in the whole.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Impair } from './lib/impair.mjs';
import { openOpus, startOpus } from './lib/opus_stack.mjs';
import { parsePrometheus } from './lib/prometheus.mjs';
import { sleep, until } from './lib/process.mjs';
import { speech } from './lib/sound.mjs';
import { startStack } from './lib/stack.mjs';
import { Upstream } from './lib/upstream.mjs';

const SILENCE_MS = 400;   // voice_vad quiet
const VAD_MS = 60;        // from the last audio to the model's word
const THINK_MS = 320;     // from response.created to its first audio
const TOOL_MS = 500;
const APPEND_MS = 100;
const WAY_MS = 150;       // one way, of a line

const append = { type: 'input_audio_buffer.append',
    audio: Buffer.alloc(APPEND_MS * 48).toString('base64') };

const voice = (from, interrupted = 'false', to = 'sent') =>
    ['voice_to_voice_latency_seconds', `{from="${from}",to="${to}",interrupted="${interrupted}"}`];
const first = (from, output) =>
    ['voice_llm_first_output_seconds', `{from="${from}",output="${output}"}`];

// { count, sum, within(seconds) } of a histogram.
function histogram(samples, [name, labels = '']) {
    const within = (le) => samples.get(
        `${name}_bucket{${labels ? `${labels.slice(1, -1)},` : ''}le="${le}"}`) ?? 0;
    return { count: samples.get(`${name}_count${labels}`) ?? 0,
        sum: samples.get(`${name}_sum${labels}`) ?? 0, within };
}

const metricsOf = async (stack) =>
    parsePrometheus(String((await stack.request('/metrics')).body));

async function start(t, options) {
    const up = await Upstream.start(t, options);
    const stack = await startStack(t, { policy: 'voice_model gpt-realtime;\nvoice_vad quiet;',
        voiced: up.voiced() });
    return { up, stack, metrics: () => metricsOf(stack) };
}

async function open(t, { up, stack }) {
    const client = await stack.connect(t);
    await client.next('session.created');
    const conn = await up.nextConnection();
    await conn.next('session.update');
    return { client, conn };
}

// A second of audio in a second; then the model's word, a while later.
async function speak(client, conn, count = 10) {
    const before = conn.session.totalBytes ?? 0;
    for (let i = 0; i < count; i++) {
        client.send(append);
        await sleep(APPEND_MS);
    }
    await until(() => conn.session.totalBytes === before + count * APPEND_MS * 48, 'the audio');
    await sleep(VAD_MS);
    conn.session.speechStarted(before / 48);
    conn.session.speechStopped('something', conn.session.totalBytes / 48);
}

test('R8 a turn in its parts', async (t) => {
    const env = await start(t, { script: async () => {
        await sleep(THINK_MS);
        return [{ say: 'Hello there.', audioMs: 400 }];
    } });
    const { client, conn } = await open(t, env);
    for (let turn = 0; turn < 2; turn++) {
        await speak(client, conn);
        await client.next('response.done');
    }
    const samples = await env.metrics();
    const of = (which) => histogram(samples, which);

    const vad = of(['voice_vad_seconds']);
    assert.equal(vad.count, 2);
    assert.ok(vad.sum >= 2 * VAD_MS / 1000 && vad.within('0.05') === 0, `vad ${vad.sum}`);

    const think = of(first('response_created', 'audio'));
    const asked = of(first('turn_end', 'audio'));
    assert.equal(think.count, 2);
    assert.equal(asked.count, 2);
    assert.ok(think.sum >= 2 * THINK_MS / 1000 && think.within('0.3') === 0);
    assert.ok(asked.sum >= think.sum);

    const sent = of(voice('turn_end'));
    const speech = of(voice('speech_end'));
    assert.equal(sent.count, 2);
    assert.equal(speech.count, 2);
    assert.ok(sent.sum >= asked.sum);
    // The user fell silent before the model said so: the silence, and the VAD.
    const before = 2 * (SILENCE_MS + VAD_MS) / 1000;
    assert.ok(speech.sum >= sent.sum + before, `${speech.sum} after ${sent.sum}`);
    assert.equal(speech.within('0.5'), 0);

    for (const direction of ['up', 'down']) {
        const own = of(['voice_gateway_seconds', `{direction="${direction}"}`]);
        assert.equal(own.count, 2);
        assert.ok(own.sum < sent.sum);
    }
    assert.equal(of(voice('turn_end', 'true')).count, 0);

    await client.close();
    const [line] = await until(() => {
        const lines = env.stack.voiced.log().split('\n').filter((each) => /ended=/.test(each));
        return lines.length > 0 && lines;
    }, 'the summary');
    const figure = (name) => Number(new RegExp(` ${name}=(\\d+)`).exec(line)[1]);
    assert.equal(figure('turns'), 2);
    assert.ok(figure('first_ms') >= THINK_MS);
    assert.ok(figure('voice_ms') >= THINK_MS + SILENCE_MS + VAD_MS);
    assert.ok(figure('gateway_us') > 0);
});

test('R7.1 what was cut short stands apart', async (t) => {
    const env = await start(t, { paceMs: 20 });
    const { client, conn } = await open(t, env);
    await speak(client, conn, 3);
    client.sayText('tell me a story');
    await client.next('response.done');
    client.send({ type: 'response.create' });
    await client.next('response.output_audio.delta');
    await speak(client, conn, 3);       // speech_started cancels the story
    await client.next('response.done', ({ response }) => response.status === 'cancelled');
    await client.next('response.done', ({ response }) => response.status === 'completed');
    const before = await env.metrics();
    assert.equal(histogram(before, voice('turn_end')).count, 2);

    client.sayText('tell me a story');
    await speak(client, conn, 3);
    await client.next('response.output_audio.delta');
    conn.session.speechStarted();
    await client.next('response.done', ({ response }) => response.status === 'cancelled');
    const after = await env.metrics();
    assert.equal(histogram(after, voice('turn_end')).count, 2);
    assert.equal(histogram(after, voice('turn_end', 'true')).count, 1);
});

test('R8 the time of a tool is the user\'s wait, not the model\'s', async (t) => {
    const env = await start(t, { script: ({ input }) => (
        input.at(-1).type === 'function_call_output'
            ? [{ say: 'It is done.', audioMs: 200 }]
            : [{ call: { name: 'f', arguments: '{}' } }]) });
    const { client, conn } = await open(t, env);
    await speak(client, conn, 3);
    const { response } = await client.next('response.done');
    await sleep(TOOL_MS);
    client.send({ type: 'conversation.item.create', item: { type: 'function_call_output',
        call_id: response.output[0].call_id, output: '1' } });
    client.send({ type: 'response.create' });
    await client.next('response.done');
    const samples = await env.metrics();
    const sent = histogram(samples, voice('turn_end'));
    const spoke = histogram(samples, first('turn_end', 'audio'));
    assert.equal(sent.count, 1);
    assert.ok(sent.sum >= TOOL_MS / 1000);
    assert.equal(histogram(samples, first('turn_end', 'call')).count, 1);
    assert.equal(spoke.count, 1);
    assert.ok(sent.sum >= spoke.sum + TOOL_MS / 1000);
});

test('R8 a client that reports what it plays tells when it was heard', async (t) => {
    const env = await startOpus(t);
    const line = await Impair.start(t, { to: { port: env.stack.nginx.port } });
    const { client, conn } = await openOpus(t, env, { port: line.port });
    line.set({ delayMs: WAY_MS });
    // Until its round trip is known, and then what is to be measured.
    await until(() => client.rttMs > 1.5 * WAY_MS, 'a report of the round trip');
    await sleep(2500);
    await client.say(speech(800));
    await sleep(WAY_MS + 100);
    conn.session.speechStarted(0);
    conn.session.speechStopped('say 2500', conn.session.totalBytes / 48);
    conn.session.respond({});
    await client.next('response.output_item.done');
    await client.next('output_audio_buffer.stopped');
    const samples = await metricsOf(env.stack);
    const sent = histogram(samples, voice('turn_end'));
    const heard = histogram(samples, voice('turn_end', 'false', 'heard'));
    assert.equal(sent.count, 1);
    assert.equal(heard.count, 1);
    assert.equal(histogram(samples, voice('speech_end', 'false', 'heard')).count, 1);
    // The way there is part of it; how long it is, is reckoned.
    assert.ok(heard.sum >= sent.sum + WAY_MS / 2000, `heard ${heard.sum}, sent ${sent.sum}`);
    assert.ok(heard.sum < sent.sum + 2.5, `heard ${heard.sum}, sent ${sent.sum}`);
});

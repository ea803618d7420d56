// SPDX-License-Identifier: BSD-2-Clause
//
// R5.1: a line in the log tells how loud each turn was, the summary how loud
// the session; figures, never what was said.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { until } from './lib/process.mjs';
import { spoken, words } from './lib/speech.mjs';
import { startStack } from './lib/stack.mjs';
import { fieldsOf } from './lib/voiced.mjs';
import { durationMs, rms, silence } from './lib/wav.mjs';

const dbfs = (level) => 20 * Math.log10(level / 32768);
const near = (got, wanted, by, what) => assert.ok(Math.abs(got - wanted) <= by,
    `${what}: ${got}, wanted ${wanted}`);

const peakOf = (pcm) => pcm.reduce((most, v) => Math.max(most, Math.abs(v)), 0);

// The turns in voiced's log of this session so far.
const turnsOf = (voiced, id) => readFileSync(voiced.logPath, 'utf8').split('\n')
    .filter((line) => line.includes('event=turn ') && line.includes(id)).map(fieldsOf);

function waitTurns(voiced, id, count) {
    return until(() => {
        const turns = turnsOf(voiced, id);
        return turns.length >= count && turns;
    }, `${count} turns in the log`);
}

const louder = (pcm, gain) => pcm.map((v) => Math.max(-32768, Math.min(32767, v * gain)));

async function metric(stack, name) {
    const { text } = await stack.request('/metrics');
    const line = text.split('\n').find((l) => l.startsWith(`${name} `));
    return line ? Number(line.split(' ')[1]) : 0;
}

test('levels of turns', async (t) => {
    const stack = await startStack(t);
    const { voiced } = stack;

    await t.test('R5.1 a spoken turn and its answer', async (t) => {
        const client = await stack.connect(t);
        const { session } = await client.next('session.created');
        const pcm = spoken('question');
        await client.speak(pcm, { pace: 0.25, chunkMs: 40, silenceMs: 800 });
        const started = await client.next('input_audio_buffer.speech_started');
        const stopped = await client.next('input_audio_buffer.speech_stopped');
        const response = await client.responseDone();
        const answer = client.spoken(response.id).pcm;
        const [user, assistant] = await waitTurns(voiced, session.id, 2);

        const from = started.audio_start_ms * 24;
        const said = pcm.subarray(from, Math.min(pcm.length, stopped.audio_end_ms * 24));
        const whole = (stopped.audio_end_ms - started.audio_start_ms) * 24;
        assert.equal(user.who, 'user');
        assert.equal(Number(user.ms), stopped.audio_end_ms - started.audio_start_ms);
        near(Number(user.rms_dbfs), dbfs(rms(said) * Math.sqrt(said.length / whole)), 0.5,
            'rms');
        near(Number(user.peak_dbfs), dbfs(peakOf(said)), 0.1, 'peak');
        assert.equal(user.clipped, '0');
        assert.equal(assistant.who, 'assistant');
        near(Number(assistant.ms), durationMs(answer), 1, 'length of the answer');
        near(Number(assistant.rms_dbfs), dbfs(rms(answer)), 0.1, 'rms of the answer');
        near(Number(assistant.peak_dbfs), dbfs(peakOf(answer)), 0.1, 'peak of the answer');

        await client.close();
        const summary = await voiced.summary(session.id);
        assert.equal(summary.user_ms, Number(user.ms));
        assert.equal(summary.user_dbfs, user.rms_dbfs);
        assert.equal(summary.answer_ms, Number(assistant.ms));
        assert.equal(summary.answer_dbfs, assistant.rms_dbfs);
        const log = readFileSync(voiced.logPath, 'utf8');
        const { transcript } = response.output[0].content[0];
        for (const word of words(transcript).filter((w) => w.length > 3)) {
            assert.ok(!log.includes(` ${word} `), `"${word}" is in the log`);
        }
    });

    await t.test('R5.1 turns by hand: too quiet, and clipped', async (t) => {
        const quiet = await metric(stack, 'voiced_turns_total{who="user",level="quiet"}');
        const clipped = await metric(stack, 'voiced_turns_total{who="user",level="clipped"}');
        const client = await stack.connect(t);
        const { session } = await client.next('session.created');
        await client.update({ audio: { input: { turn_detection: null } } });
        for (const gain of [0.005, 30]) {
            await client.speak(silence(2000), { silenceMs: 0 });
            client.send({ type: 'input_audio_buffer.clear' });
            await client.speak(louder(spoken('hello'), gain), { silenceMs: 0 });
            client.send({ type: 'input_audio_buffer.commit' });
            await client.next('input_audio_buffer.committed');
        }
        const [soft, loud] = await waitTurns(voiced, session.id, 2);
        for (const turn of [soft, loud]) {
            near(Number(turn.ms), durationMs(spoken('hello')), 1, 'length');
        }
        near(Number(soft.rms_dbfs), dbfs(rms(spoken('hello')) * 0.005), 1, 'rms');
        assert.equal(loud.peak_dbfs, '0.0');
        assert.ok(Number(loud.clipped) > 1000, `clipped ${loud.clipped}`);
        assert.equal(await metric(stack,
            'voiced_turns_total{who="user",level="quiet"}'), quiet + 1);
        assert.equal(await metric(stack,
            'voiced_turns_total{who="user",level="clipped"}'), clipped + 1);
    });

    await t.test('R5.1 G.711 both ways', async (t) => {
        const client = await stack.connect(t);
        const { session } = await client.next('session.created');
        const format = { type: 'audio/pcmu' };
        await client.update({ audio: { input: { format, turn_detection: null },
            output: { format } } });
        // A square wave of 0x10 and 0x90: 15996 of 32768.
        const bytes = Buffer.alloc(8000, 0x10);
        for (let i = 0; i < bytes.length; i += 2) {
            bytes[i] = 0x90;
        }
        client.send({ type: 'input_audio_buffer.append', audio: bytes.toString('base64') });
        client.send({ type: 'input_audio_buffer.commit' });
        await client.next('input_audio_buffer.committed');
        client.sayText('what time is it');
        const response = await client.respond();
        const sent = client.events.filter((e) => e.type === 'response.output_audio.delta' &&
            e.response_id === response.id)
            .reduce((n, e) => n + Buffer.from(e.delta, 'base64').length, 0);
        const [user, assistant] = await waitTurns(voiced, session.id, 2);
        assert.equal(user.ms, '1000');
        near(Number(user.rms_dbfs), dbfs(15996), 0.1, 'rms');
        assert.equal(user.clipped, '0');
        near(Number(assistant.ms), sent / 8, 1, 'length of the answer');
        assert.ok(Number(assistant.rms_dbfs) > -40, 'it can be heard');
    });

    await t.test('R5.1 a session that ends while it speaks', async (t) => {
        const client = await stack.connect(t);
        const { session } = await client.next('session.created');
        client.sayText('tell me a long story');
        client.send({ type: 'response.create' });
        await client.next('response.output_audio.delta');
        await client.next('response.output_audio.delta');
        await client.close();
        const [assistant] = await waitTurns(voiced, session.id, 1);
        assert.ok(Number(assistant.ms) > 0);
        const summary = await voiced.summary(session.id);
        assert.equal(summary.answer_ms, Number(assistant.ms));
        assert.equal(summary.user_dbfs, '-96.0');
    });
});

// SPDX-License-Identifier: BSD-2-Clause
//
// A spoken question, found by server VAD, is heard and answered aloud.

import assert from 'node:assert/strict';
import test from 'node:test';
import { assertOrder, assertSpoken } from './lib/expect.mjs';
import { SdkClient } from './lib/sdk.mjs';
import { spoken } from './lib/speech.mjs';
import { startStack } from './lib/stack.mjs';
import { durationMs } from './lib/wav.mjs';

const turnOrder = ['input_audio_buffer.speech_started', 'input_audio_buffer.speech_stopped',
    'input_audio_buffer.committed', 'conversation.item.added', 'conversation.item.done',
    'response.created', 'response.output_item.added', 'conversation.item.added',
    'response.content_part.added', 'response.output_audio.delta',
    'response.output_audio.done', 'response.output_audio_transcript.done',
    'response.content_part.done', 'conversation.item.done', 'response.output_item.done',
    'response.done'];

test('a spoken turn with server VAD', async (t) => {
    const stack = await startStack(t);

    await t.test('the bundled question in real time, with the npm client openai',
        async (t) => {
            const client = await SdkClient.connect(t,
                { baseURL: stack.url('https'), tls: stack.tls });
            await client.update({ audio: { input: {
                transcription: { model: 'gpt-4o-mini-transcribe' } } } });
            const pcm = spoken('question');
            await client.speak(pcm, { pace: 1, chunkMs: 40, silenceMs: 800 });

            const started = await client.next('input_audio_buffer.speech_started');
            const stopped = await client.next('input_audio_buffer.speech_stopped');
            assert.ok(stopped.audio_end_ms > started.audio_start_ms);
            assert.ok(stopped.audio_end_ms <= durationMs(pcm) + 800);
            const committed = await client.next('input_audio_buffer.committed');
            assert.equal(committed.item_id, started.item_id);
            const added = await client.next('conversation.item.added');
            assert.equal(added.item.id, started.item_id);
            assert.equal(added.item.content[0].type, 'input_audio');

            const response = await client.responseDone();
            assertSpoken(client, response);
            const heard = await client.waitFor(
                'conversation.item.input_audio_transcription.completed');
            assert.equal(heard.item_id, started.item_id);
            assert.match(heard.transcript, /what time is it/i);
            assertOrder(client.events, turnOrder);
            assert.deepEqual(client.errors, []);
        });

    await t.test('two questions in one session, each heard right', async (t) => {
        const client = await stack.connect(t, { tls: true });
        await client.update({ audio: { input: {
            transcription: { model: 'whisper-1' } } } });
        for (const [sentence, heard, answer] of [
            ['question', /what time is it/, /\d|o'clock/i],
            ['count', /count from three to eight/, /three.*five.*eight|3.*5.*8/i]]) {
            await client.speak(spoken(sentence));
            const response = await client.responseDone();
            assert.match(assertSpoken(client, response), answer);
            const { transcript } = await client.waitFor(
                'conversation.item.input_audio_transcription.completed',
                (event) => heard.test(event.transcript.toLowerCase()));
            assert.ok(transcript);
        }
    });

    await t.test('silence and noise below the threshold start nothing', async (t) => {
        const client = await stack.connect(t);
        await client.next('session.created');
        const noise = Int16Array.from({ length: 48000 }, (_, i) => (i * 7919 % 61) - 30);
        await client.speak(noise);
        // An event that is answered in order shows that all audio was seen.
        await client.update({});
        assert.deepEqual(client.types(), ['session.created', 'session.updated']);
    });

    await t.test('an answer comes faster than it is spoken', async (t) => {
        const client = await stack.connect(t);
        await client.next('session.created');
        client.sayText('tell me a story');
        const begin = performance.now();
        const response = await client.respond();
        const took = performance.now() - begin;
        assertSpoken(client, response);
        const { pcm } = client.spoken(response.id);
        assert.ok(durationMs(pcm) > took, `${durationMs(pcm)} ms of audio in ${took} ms`);
    });
});

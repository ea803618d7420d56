// SPDX-License-Identifier: BSD-2-Clause
//
// Push-to-talk: with turn_detection null the client says when a turn ends.

import assert from 'node:assert/strict';
import test from 'node:test';
import { assertSpoken } from './lib/expect.mjs';
import { spoken } from './lib/speech.mjs';
import { startStack } from './lib/stack.mjs';
import { silence } from './lib/wav.mjs';

test('a manual turn', async (t) => {
    const stack = await startStack(t);
    const connect = async (t) => {
        const client = await stack.connect(t);
        const session = await client.update({ audio: { input: { turn_detection: null,
            transcription: { model: 'whisper-1' } } } });
        assert.equal(session.audio.input.turn_detection, null);
        return client;
    };

    await t.test('append, commit, response.create', async (t) => {
        const client = await connect(t);
        await client.speak(spoken('count'), { silenceMs: 200 });
        client.send({ type: 'input_audio_buffer.commit' });
        const { item_id: id } = await client.next('input_audio_buffer.committed');
        assert.equal((await client.next('conversation.item.added')).item.id, id);
        await client.next('conversation.item.done');
        assert.ok(!client.types().includes('response.created'));
        assert.ok(!client.types().includes('input_audio_buffer.speech_started'));

        assert.match(assertSpoken(client, await client.respond()), /3.*5.*8|three.*five.*eight/i);
        const heard = await client.waitFor(
            'conversation.item.input_audio_transcription.completed');
        assert.match(heard.transcript, /count from three to eight/i);
    });

    await t.test('a cleared buffer and one under 100 ms can’t be committed', async (t) => {
        const client = await connect(t);
        await client.speak(spoken('count'));
        client.send({ type: 'input_audio_buffer.clear' });
        await client.next('input_audio_buffer.cleared');
        client.send({ type: 'input_audio_buffer.commit', event_id: 'empty' });
        const { error } = await client.next('error');
        assert.equal(error.code, 'input_audio_buffer_commit_empty');
        assert.equal(error.event_id, 'empty');
        await client.speak(silence(90), { silenceMs: 0 });
        client.send({ type: 'input_audio_buffer.commit' });
        assert.equal((await client.next('error')).error.code,
            'input_audio_buffer_commit_empty');
    });
});

// SPDX-License-Identifier: BSD-2-Clause
//
// A long answer can be stopped: by response.cancel, and by speaking.

import assert from 'node:assert/strict';
import test from 'node:test';
import { assertSpoken } from './lib/expect.mjs';
import { SdkClient } from './lib/sdk.mjs';
import { spoken } from './lib/speech.mjs';
import { startStack } from './lib/stack.mjs';
import { durationMs, rms } from './lib/wav.mjs';

async function startStory(client) {
    client.sayText('tell me a story');
    client.send({ type: 'response.create' });
    const { response } = await client.next('response.created');
    await client.waitFor('response.output_audio.delta',
        () => rms(client.spoken(response.id).pcm) > 200);
    return response.id;
}

// Nothing of a response may follow its end; a later answered event proves it.
async function assertNothingFollows(client, responseId) {
    const at = client.events.findIndex((e) => e.type === 'response.done' &&
        e.response.id === responseId);
    await client.update({});
    assert.deepEqual(client.events.slice(at + 1)
        .filter((event) => event.response_id === responseId), []);
}

test('a long answer stops', async (t) => {
    const stack = await startStack(t);

    await t.test('on response.cancel, with the npm client openai', async (t) => {
        const client = await SdkClient.connect(t,
            { baseURL: stack.url('https'), tls: stack.tls });
        await client.next('session.created');
        const id = await startStory(client);
        client.send({ type: 'response.cancel' });
        const done = await client.responseDone();
        assert.equal(done.id, id);
        assert.equal(done.status, 'cancelled');
        assert.equal(done.status_details.reason, 'client_cancelled');
        assert.equal(done.output[0].status, 'incomplete');
        assert.ok(rms(client.spoken(id).pcm) > 200);
        await assertNothingFollows(client, id);
        assert.deepEqual(client.errors, []);
    });

    await t.test('on response.cancel with its id, and the next turn works', async (t) => {
        const client = await stack.connect(t);
        await client.next('session.created');
        const id = await startStory(client);
        client.send({ type: 'response.cancel', response_id: id });
        assert.equal((await client.responseDone()).status, 'cancelled');
        client.sayText('What is seven plus five?');
        assert.match(assertSpoken(client, await client.respond()), /twelve|12/i);
    });

    await t.test('when someone speaks over it (barge-in)', async (t) => {
        const client = await stack.connect(t);
        await client.next('session.created');
        const id = await startStory(client);
        await client.speak(spoken('count'));

        await client.next('input_audio_buffer.speech_started');
        const cut = await client.responseDone();
        assert.equal(cut.id, id);
        assert.equal(cut.status, 'cancelled');
        assert.equal(cut.status_details.reason, 'turn_detected');
        assert.match(assertSpoken(client, await client.responseDone()), /3.*5.*8|three.*five.*eight/i);

        const item = cut.output[0].id;
        const heardMs = Math.min(500, Math.floor(durationMs(client.spoken(id).pcm)));
        client.send({ type: 'conversation.item.truncate', item_id: item, content_index: 0,
            audio_end_ms: heardMs });
        const truncated = await client.next('conversation.item.truncated');
        assert.equal(truncated.audio_end_ms, heardMs);
        await assertNothingFollows(client, id);
    });

    await t.test('not when interrupt_response is off', async (t) => {
        const client = await stack.connect(t);
        await client.update({ audio: { input: { turn_detection: { type: 'server_vad',
            interrupt_response: false, create_response: false } } } });
        const id = await startStory(client);
        await client.speak(spoken('count'));
        const done = await client.responseDone();
        assert.equal(done.id, id);
        assert.equal(done.status, 'completed');
        await client.waitFor('input_audio_buffer.committed');
        await client.update({});
        assert.equal(client.types().filter((type) => type === 'response.created').length, 1);
    });

    await t.test('when its client leaves', async (t) => {
        const client = await stack.connect(t);
        await client.next('session.created');
        await startStory(client);
        client.kill();
        const summary = await stack.voiced.summary(client.sessionId);
        assert.equal(summary.ended, 'client_lost');
    });
});

test('response.cancel without a response is nobody’s affair', async (t) => {
    const stack = await startStack(t);
    const client = await stack.connect(t);
    await client.next('session.created');
    client.send({ type: 'response.cancel', event_id: 'c9' });
    await client.update({});
    assert.ok(!client.types().includes('error'));
});

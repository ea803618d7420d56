// SPDX-License-Identifier: BSD-2-Clause
//
// session.update: what is named changes, the rest stays, and the answer is
// the whole session. What the place's policy says is there from the start.

import assert from 'node:assert/strict';
import test from 'node:test';
import { startStack } from './lib/stack.mjs';

const vadOf = (session) => session.audio.input.turn_detection;

test('session settings', async (t) => {
    const stack = await startStack(t, { policy: 'voice_model gpt-realtime;' });

    await t.test('start with the defaults', async (t) => {
        const client = await stack.connect(t);
        const { session } = await client.next('session.created');
        assert.equal(session.id, client.sessionId);
        assert.deepEqual(session.output_modalities, ['audio']);
        assert.deepEqual(session.tools, []);
        assert.equal(session.max_output_tokens, 'inf');
        const vad = vadOf(session);
        assert.equal(vad.type, 'server_vad');
        assert.equal(vad.threshold, 0.5);
        assert.equal(vad.prefix_padding_ms, 300);
        assert.equal(vad.silence_duration_ms, 500);
        assert.equal(vad.create_response, true);
        assert.equal(vad.interrupt_response, true);
        assert.ok(session.expires_at > Date.now() / 1000 + 3000);
    });

    await t.test('merge, and clear with null or an empty value', async (t) => {
        const client = await stack.connect(t);
        await client.update({ instructions: 'Be brief.' });
        const tool = { type: 'function', name: 'f', description: 'd',
            parameters: { type: 'object', properties: {} } };
        const second = await client.update({ tools: [tool],
            audio: { output: { speed: 1.25 } } });
        assert.equal(second.instructions, 'Be brief.');
        assert.deepEqual(second.tools, [tool]);
        assert.equal(second.audio.output.speed, 1.25);
        assert.equal(vadOf(second).type, 'server_vad');
        const third = await client.update({ instructions: '', tools: [],
            audio: { input: { turn_detection: null } } });
        assert.equal(third.instructions, '');
        assert.deepEqual(third.tools, []);
        assert.equal(vadOf(third), null);
        assert.equal(third.audio.output.speed, 1.25);
        const fourth = await client.update({ audio: { input: { turn_detection: {
            type: 'semantic_vad', eagerness: 'high' } } } });
        assert.deepEqual(vadOf(fourth), { type: 'semantic_vad', eagerness: 'high',
            create_response: true, interrupt_response: true });
    });
});

for (const [preset, threshold, silenceMs] of [['quiet', 0.3, 400], ['normal', 0.5, 500],
    ['noisy', 0.7, 800]]) {
    test(`R2.1 voice_vad ${preset} gives the whole turn_detection`, async (t) => {
        const stack = await startStack(t, {
            policy: `voice_model gpt-realtime; voice_vad ${preset};` });
        const client = await stack.connect(t);
        const session = await client.update({});
        assert.equal(vadOf(session).type, 'server_vad');
        assert.equal(vadOf(session).threshold, threshold);
        assert.equal(vadOf(session).silence_duration_ms, silenceMs);
        assert.equal(vadOf(session).create_response, true);
    });
}

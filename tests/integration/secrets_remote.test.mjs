// SPDX-License-Identifier: BSD-2-Clause
//
// Client secrets and usage with a model elsewhere: what a secret is bound to
// reaches the upstream, whose own key stays here.

import assert from 'node:assert/strict';
import test from 'node:test';
import { refused } from './lib/client.mjs';
import { until } from './lib/process.mjs';
import { startRemoteStack } from './lib/remote.mjs';

const bearer = (key) => ({ authorization: `Bearer ${key}` });

test('R1.4 R6.4 a client secret for a remote model', async (t) => {
    const stack = await startRemoteStack(t, { policy: 'voice_model gpt-realtime;',
        voiced: { auth: 'keys', keys: ['app'] } });
    const key = stack.voiced.keys.app;
    const tool = { type: 'function', name: 'f', description: 'd',
        parameters: { type: 'object', properties: {} } };
    const answer = await stack.request('/v1/realtime/client_secrets', { method: 'POST',
        headers: { ...bearer(key), 'content-type': 'application/json' },
        body: JSON.stringify({ session: { type: 'realtime', model: 'gpt-realtime',
            instructions: 'Be brief.', tools: [tool],
            audio: { output: { voice: 'cedar' } } } }) });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json.session.audio.output.voice, 'cedar');
    const client = await stack.connect(t, { path: '/v1/realtime',
        headers: bearer(answer.json.value) });
    const { session } = await client.next('session.created');
    assert.equal(session.instructions, 'Be brief.');
    assert.equal(session.audio.output.voice, 'cedar');
    // The upstream has it too: it answers with what it has.
    const now = await client.update({ output_modalities: ['text'] });
    assert.equal(now.instructions, 'Be brief.');
    assert.deepEqual(now.tools, [tool]);
    client.sayText('What is seven plus five?');
    const { usage } = await client.respond({});
    await client.close();
    const total = await until(async () => {
        const used = await stack.request('/v1/usage', { headers: bearer(key) });
        return used.json.total.sessions === 1 && used.json.total;
    }, 'the session to be counted');
    assert.equal(total.input_tokens, usage.input_tokens);
    assert.equal(total.output_tokens, usage.output_tokens);
    assert.equal(total.estimated_responses, 0);
});

test('R1.4 a transcription secret needs an upstream and opens its kind', async (t) => {
    const stack = await startRemoteStack(t, { policy: 'voice_model gpt-realtime;',
        voiced: { auth: 'keys', keys: ['app'] } });
    const answer = await stack.request('/v1/realtime/client_secrets', { method: 'POST',
        headers: { ...bearer(stack.voiced.keys.app), 'content-type': 'application/json' },
        body: JSON.stringify({ session: { type: 'transcription',
            audio: { input: { transcription: { model: 'gpt-4o-transcribe' } } } } }) });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json.session.object, 'realtime.transcription_session');
    assert.equal(answer.json.session.audio.input.transcription.model, 'gpt-4o-transcribe');
    assert.ok(!('output' in answer.json.session.audio));
    // And no other kind, nor does one of a conversation open this one.
    const talk = await stack.request('/v1/realtime/client_secrets', { method: 'POST',
        headers: bearer(stack.voiced.keys.app) });
    for (const [value, query] of [[answer.json.value, 'intent=realtime&model=gpt-realtime'],
        [talk.json.value, 'intent=transcription']]) {
        const no = await refused({ port: stack.nginx.port, path: `/v1/realtime?${query}`,
            headers: bearer(value) });
        assert.equal(no.status, 403, query);
        assert.equal(no.json.error.code, 'intent_not_allowed');
    }
});

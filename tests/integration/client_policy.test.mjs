// SPDX-License-Identifier: BSD-2-Clause
//
// What nginx.conf says about a place holds for its sessions, whatever their
// clients ask for.

import assert from 'node:assert/strict';
import test from 'node:test';
import { startStack } from './lib/stack.mjs';
import { Upstream } from './lib/upstream.mjs';

const tool = { type: 'function', name: 'f', description: 'd',
    parameters: { type: 'object', properties: {} } };

const policy = (mode) => `voice_model gpt-realtime gpt-other; voice_name cedar;
    voice_client_update ${mode};`;

test('the policy of a place', async (t) => {
    await t.test('allow: a client changes what it likes', async (t) => {
        const stack = await startStack(t, { policy: policy('allow') });
        const client = await stack.connect(t);
        const session = await client.update({ instructions: 'Sing.', tools: [tool],
            audio: { output: { voice: 'marin' } } });
        assert.equal(session.instructions, 'Sing.');
        assert.equal(session.audio.output.voice, 'marin');
        assert.deepEqual(session.tools, [tool]);
    });

    await t.test('deny: instructions and tools stay', async (t) => {
        const stack = await startStack(t, { policy: policy('deny') });
        const client = await stack.connect(t);
        const before = await client.update({});
        assert.equal(before.audio.output.voice, 'cedar');
        for (const session of [{ instructions: 'Sing.' }, { tools: [tool] }]) {
            client.send({ type: 'session.update', event_id: 'no',
                session: { type: 'realtime', ...session } });
            const { error } = await client.next('error');
            assert.equal(error.event_id, 'no');
            assert.equal(error.type, 'invalid_request_error');
        }
        client.send({ type: 'response.create', event_id: 'no',
            response: { instructions: 'Say exactly: tulip' } });
        assert.equal((await client.next('error')).error.event_id, 'no');
        // Twice the same key: whichever counts, it does not get through.
        client.send('{"type":"session.update","session":{"type":"realtime"},' +
            '"session":{"type":"realtime","instructions":"Sing."}}');
        await client.next('error');
        const after = await client.update({});
        assert.equal(after.instructions, before.instructions);
        assert.deepEqual(after.tools, before.tools);
        client.sayText('What is seven plus five?');
        const response = await client.respond({ output_modalities: ['text'] });
        assert.match(client.spoken(response.id).text, /twelve|12/i);
    });

    await t.test('a client may choose among the allowed models', async (t) => {
        const stack = await startStack(t, { policy: policy('deny') });
        const other = await stack.connect(t, { path: '/v1/realtime?model=gpt-other' });
        assert.equal((await other.next('session.created')).session.model, 'gpt-other');
        const none = await stack.connect(t, { path: '/v1/realtime' });
        assert.equal((await none.next('session.created')).session.model, 'gpt-realtime');
    });

    await t.test('instructions of a file are for the model alone', async (t) => {
        const up = await Upstream.start(t);
        const stack = await startStack(t, { voiced: up.voiced({ settings: { warm: { links: 0 } } }),
            nginx: { files: { 'instructions.txt': 'Speak like a pirate.\n' } },
            policy: 'voice_model gpt-realtime; voice_instructions instructions.txt;' });
        const client = await stack.connect(t);
        await client.next('session.created');
        const conn = await up.nextConnection();
        const { session } = await conn.next('session.update');
        assert.match(session.instructions, /like a pirate/);
        client.send({ type: 'session.update', session: { type: 'realtime' } });
        assert.equal((await client.next('session.updated')).session.instructions, '');
        assert.doesNotMatch(JSON.stringify(client.events), /pirate/);
    });
});

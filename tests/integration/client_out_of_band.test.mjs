// SPDX-License-Identifier: BSD-2-Clause
//
// Responses beside the conversation.

import assert from 'node:assert/strict';
import test from 'node:test';
import { startStack } from './lib/stack.mjs';

const ask = (text) => [{ type: 'message', role: 'user',
    content: [{ type: 'input_text', text }] }];

test('an out-of-band response', async (t) => {
    const stack = await startStack(t);
    const client = await stack.connect(t);
    await client.next('session.created');

    client.sayText('tell me a story');
    client.send({ type: 'response.create' });
    const { response: story } = await client.next('response.created');
    // One of the conversation would wait for the story's end.
    client.send({ type: 'response.create', event_id: 'later',
        response: { output_modalities: ['text'], metadata: { topic: 'later' } } });

    client.send({ type: 'response.create', response: { conversation: 'none',
        output_modalities: ['text'], input: ask('What is seven plus five?'),
        metadata: { client_event_id: 'mine', topic: 'sum' } } });
    const created = await client.waitFor('response.created',
        (e) => e.response.id !== story.id);
    const { id } = created.response;
    assert.equal(created.response.conversation_id, null);
    assert.deepEqual(created.response.metadata, { client_event_id: 'mine', topic: 'sum' });
    const { response } = await client.waitFor('response.done', (e) => e.response.id === id);
    assert.equal(response.status, 'completed');
    assert.deepEqual(response.metadata, { client_event_id: 'mine', topic: 'sum' });
    assert.match(client.spoken(id).text, /twelve|12/i);

    // Its items are no part of the conversation.
    const [item] = response.output;
    client.send({ type: 'conversation.item.retrieve', item_id: item.id });
    const refused = await client.waitFor('error',
        (e) => e.error.code === 'item_retrieve_invalid_item_id');
    assert.ok(refused);
    assert.ok(!client.events.some((e) => e.type === 'conversation.item.added' &&
        e.item.id === item.id));

    const { response: told } = await client.waitFor('response.done',
        (e) => e.response.id === story.id, { timeoutMs: 60000 });
    assert.equal(told.status, 'completed');
    const later = await client.waitFor('response.created',
        (e) => e.response.metadata?.topic === 'later');
    assert.ok(client.events.indexOf(later) > client.events.findIndex(
        (e) => e.type === 'response.done' && e.response.id === story.id));
    await client.waitFor('response.done', (e) => e.response.id === later.response.id);
});

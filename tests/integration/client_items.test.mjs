// SPDX-License-Identifier: BSD-2-Clause
//
// The conversation is the client's to edit: insert, retrieve, truncate,
// delete.

import assert from 'node:assert/strict';
import test from 'node:test';
import { startStack } from './lib/stack.mjs';
import { durationMs, fromBase64, rms } from './lib/wav.mjs';

const userText = (id, text) => ({ id, type: 'message', role: 'user',
    content: [{ type: 'input_text', text }] });

test('items of a conversation', async (t) => {
    const stack = await startStack(t);

    await t.test('keep the client’s ids and their places', async (t) => {
        const client = await stack.connect(t);
        await client.next('session.created');
        const create = async (item, previous) => {
            client.send({ type: 'conversation.item.create', item,
                ...(previous && { previous_item_id: previous }) });
            const added = await client.next('conversation.item.added');
            const done = await client.next('conversation.item.done');
            assert.equal(added.item.id, item.id);
            assert.equal(done.item.status, 'completed');
            return added.previous_item_id;
        };
        assert.equal(await create(userText('b', 'second')), null);
        assert.equal(await create(userText('c', 'third')), 'b');
        assert.equal(await create(userText('a', 'first'), 'root'), null);
        assert.equal(await create(userText('bb', 'between'), 'b'), 'b');
        assert.equal(await create({ id: 's', type: 'message', role: 'system',
            content: [{ type: 'input_text', text: 'be brief' }] }), 'c');
        assert.equal(await create({ id: 'h', type: 'message', role: 'assistant',
            content: [{ type: 'output_text', text: 'as I said' }] }), 's');

        client.send({ type: 'conversation.item.create', item: userText('d', 'x'),
            previous_item_id: 'nobody', event_id: 'e1' });
        assert.equal((await client.next('error')).error.event_id, 'e1');
        client.send({ type: 'conversation.item.create', item: userText('a', 'again') });
        assert.equal((await client.next('error')).error.type, 'invalid_request_error');
    });

    await t.test('can be retrieved, with their audio', async (t) => {
        const client = await stack.connect(t);
        await client.next('session.created');
        client.sayText('What is seven plus five?');
        const response = await client.respond();
        const [{ id }] = response.output;
        client.send({ type: 'conversation.item.retrieve', item_id: id });
        const { item } = await client.next('conversation.item.retrieved');
        assert.equal(item.id, id);
        assert.equal(item.role, 'assistant');
        const pcm = fromBase64(item.content[0].audio);
        assert.deepEqual(pcm, client.spoken(response.id).pcm);
        assert.ok(rms(pcm) > 200);

        client.send({ type: 'conversation.item.retrieve', item_id: 'nobody',
            event_id: 'rci_1' });
        const { error } = await client.next('error');
        assert.equal(error.code, 'item_retrieve_invalid_item_id');
        assert.equal(error.event_id, 'rci_1');
    });

    await t.test('can be truncated to what was heard', async (t) => {
        const client = await stack.connect(t);
        await client.next('session.created');
        client.sayText('What is seven plus five?');
        const response = await client.respond();
        const [{ id }] = response.output;
        const totalMs = durationMs(client.spoken(response.id).pcm);
        client.send({ type: 'conversation.item.truncate', item_id: id, content_index: 0,
            audio_end_ms: 300 });
        const truncated = await client.next('conversation.item.truncated');
        assert.deepEqual([truncated.item_id, truncated.content_index, truncated.audio_end_ms],
            [id, 0, 300]);
        client.send({ type: 'conversation.item.retrieve', item_id: id });
        const { item } = await client.next('conversation.item.retrieved');
        assert.equal(durationMs(fromBase64(item.content[0].audio)), 300);
        assert.ok(!item.content[0].transcript, 'what was not heard was not said');

        // More than is left of it: as much as there is.
        assert.ok(totalMs > 300);
        client.send({ type: 'conversation.item.truncate', item_id: id, content_index: 0,
            audio_end_ms: Math.ceil(totalMs) + 1000 });
        assert.equal((await client.next('conversation.item.truncated')).audio_end_ms, 300);
        assert.ok(!client.types().includes('error'));
    });

    await t.test('is known to the model as far as it was heard', async (t) => {
        const client = await stack.connect(t);
        await client.next('session.created');
        client.sayText('Tell me a story.');
        const response = await client.respond();
        const [{ id, content: [{ transcript }] }] = response.output;
        const words = transcript.split(' ').length;
        for (const part of [2, 4]) {
            const heardMs = Math.round(durationMs(client.spoken(response.id).pcm) / part);
            client.send({ type: 'conversation.item.truncate', item_id: id, content_index: 0,
                audio_end_ms: heardMs });
            await client.next('conversation.item.truncated');
            client.sayText('What did you say?');
            const again = await client.respond();
            const heard = again.output[0].content[0].transcript;
            assert.ok(transcript.startsWith(heard), heard);
            const share = heard.split(' ').length / words;
            assert.ok(share > 0.7 / part && share < 1.1 / part, `${share} of 1/${part}`);
            client.send({ type: 'conversation.item.delete', item_id: again.output[0].id });
            await client.next('conversation.item.deleted');
        }
    });

    await t.test('can be deleted once', async (t) => {
        const client = await stack.connect(t);
        await client.next('session.created');
        client.send({ type: 'conversation.item.create', item: userText('gone', 'hello') });
        await client.next('conversation.item.done');
        client.send({ type: 'conversation.item.delete', item_id: 'gone' });
        assert.equal((await client.next('conversation.item.deleted')).item_id, 'gone');
        client.send({ type: 'conversation.item.delete', item_id: 'gone', event_id: 'again' });
        assert.equal((await client.next('error')).error.event_id, 'again');
        // Nobody has heard anything of it: there is nothing to cut.
        client.send({ type: 'conversation.item.truncate', item_id: 'gone', content_index: 0,
            audio_end_ms: 0 });
        assert.equal((await client.next('conversation.item.truncated')).item_id, 'gone');
        await client.update({});
    });
});

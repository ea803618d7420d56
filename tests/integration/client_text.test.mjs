// SPDX-License-Identifier: BSD-2-Clause
//
// A typed question is answered in text, whatever client asks.

import assert from 'node:assert/strict';
import test from 'node:test';
import { assertOrder } from './lib/expect.mjs';
import { NativeClient, SdkClient } from './lib/sdk.mjs';
import { startStack } from './lib/stack.mjs';

async function textTurn(client) {
    const created = await client.next('session.created');
    assert.equal(created.session.model, 'gpt-realtime');
    const session = await client.update({ output_modalities: ['text'] });
    assert.deepEqual(session.output_modalities, ['text']);

    client.sayText('What is seven plus five?');
    const response = await client.respond();

    assert.equal(response.status, 'completed');
    const { text, pcm } = client.spoken(response.id);
    assert.match(text, /twelve|12/i);
    assert.equal(pcm.length, 0);
    assert.deepEqual(response.output[0].content, [{ type: 'output_text', text }]);
    assert.equal(response.usage.output_token_details.audio_tokens, 0);
    assertOrder(client.events, ['session.created', 'session.updated',
        'conversation.item.added', 'conversation.item.done', 'response.created',
        'response.output_item.added', 'conversation.item.added',
        'response.content_part.added', 'response.output_text.delta',
        'response.output_text.done', 'response.content_part.done',
        'conversation.item.done', 'response.output_item.done', 'response.done']);
    assert.deepEqual(await client.close(), { code: 1000, reason: '' });
}

test('a text turn', async (t) => {
    const stack = await startStack(t);

    await t.test('with the npm client openai over wss', async (t) => {
        const client = await SdkClient.connect(t,
            { baseURL: stack.url('https'), tls: stack.tls });
        await textTurn(client);
        assert.deepEqual(client.errors, []);
    });

    await t.test('with ws', async (t) => {
        const client = await stack.connect(t);
        assert.match(client.sessionId, /^sess_[A-Za-z0-9]{21}$/);
        await textTurn(client);
        const summary = await stack.voiced.summary(client.sessionId);
        assert.equal(summary.ended, 'client_closed');
        assert.equal(summary.code, 1000);
        assert.equal(summary.turns, 1);
        assert.equal(summary.up_messages, 3);
        assert.equal(summary.down_messages, client.events.length);
    });

    await t.test('with a native WebSocket that offers subprotocols', async (t) => {
        const client = await NativeClient.connect(t, {
            url: stack.url('ws', '/v1/realtime?model=gpt-realtime'),
            protocols: ['realtime', 'openai-insecure-api-key.any'] });
        assert.equal(client.socket.protocol, 'realtime');
        await textTurn(client);
    });
});

// SPDX-License-Identifier: BSD-2-Clause
//
// A question that needs a tool the session declared: the model calls it, the
// client answers, the result is spoken.

import assert from 'node:assert/strict';
import test from 'node:test';
import { assertOrder, assertSpoken } from './lib/expect.mjs';
import { SdkClient } from './lib/sdk.mjs';
import { spoken } from './lib/speech.mjs';
import { startStack } from './lib/stack.mjs';

const readFile = { type: 'function', name: 'read_file', description: 'Reads a file',
    parameters: { type: 'object', properties: { file_path: { type: 'string' } },
        required: ['file_path'] } };

async function answerCall(client, response, output) {
    const call = response.output.find((item) => item.type === 'function_call');
    assert.ok(call, `a call in ${JSON.stringify(response.output)}`);
    client.send({ type: 'conversation.item.create', item: { type: 'function_call_output',
        call_id: call.call_id, output } });
    return call;
}

test('a function call', async (t) => {
    const stack = await startStack(t);

    await t.test('asked aloud, answered aloud, with the npm client openai', async (t) => {
        const client = await SdkClient.connect(t,
            { baseURL: stack.url('https'), tls: stack.tls });
        const session = await client.update({ tools: [readFile] });
        assert.deepEqual(session.tools, [readFile]);
        assert.equal(session.tool_choice, 'auto');

        await client.speak(spoken('read'));
        const first = await client.responseDone();
        const call = await answerCall(client, first, 'the purple elephant dances');
        assert.equal(call.name, 'read_file');
        assert.equal(call.status, 'completed');
        assert.match(JSON.parse(call.arguments).file_path, /readme/i);
        assertOrder(client.events, ['response.created', 'response.output_item.added',
            'conversation.item.added', 'response.function_call_arguments.delta',
            'response.function_call_arguments.done', 'conversation.item.done',
            'response.output_item.done', 'response.done']);

        const transcript = assertSpoken(client, await client.respond());
        assert.match(transcript, /purple elephant/i);
        assert.deepEqual(client.errors, []);
    });

    await t.test('demanded by tool_choice, the server never goes on by itself', async (t) => {
        const client = await stack.connect(t);
        await client.update({ output_modalities: ['text'], tools: [readFile],
            tool_choice: { type: 'function', name: 'read_file' } });
        client.sayText('hello');
        const first = await client.respond();
        await answerCall(client, first, '42');
        const added = await client.next('conversation.item.added',
            (event) => event.item.type === 'function_call_output');
        assert.equal(added.item.output, '42');
        client.sayText('still there?');
        await client.next('conversation.item.done');
        assert.equal(client.types().filter((type) => type === 'response.created').length, 1);

        const second = await client.respond({ tool_choice: 'none' });
        assert.equal(second.output[0].type, 'message');
    });

    await t.test('two results are sent before one response.create', async (t) => {
        const client = await stack.connect(t);
        await client.update({ output_modalities: ['text'], tools: [readFile],
            tool_choice: 'required' });
        const calls = [];
        for (let i = 0; i < 2; i++) {
            client.sayText('read the file readme');
            calls.push(await client.respond());
        }
        await answerCall(client, calls[0], 'one');
        await answerCall(client, calls[1], 'two');
        const last = await client.respond({ tool_choice: 'none' });
        assert.equal(last.status, 'completed');
        assert.match(client.spoken(last.id).text, /two/i);
    });

    await t.test('an answer to a call that was never made is an error', async (t) => {
        const client = await stack.connect(t);
        await client.next('session.created');
        client.send({ type: 'conversation.item.create', event_id: 'lost', item: {
            type: 'function_call_output', call_id: 'call_neverneverneverx', output: '' } });
        const { error } = await client.next('error');
        assert.equal(error.event_id, 'lost');
        await client.update({});
    });
});

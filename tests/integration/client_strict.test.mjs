// SPDX-License-Identifier: BSD-2-Clause
//
// R1.4 A client that dies of any event it does not know, or that lacks
// anything, lives through every kind of turn: with the offline model, and with
// upstreams of each dialect, whatever those send.

import assert from 'node:assert/strict';
import test from 'node:test';
import { startStack } from './lib/stack.mjs';
import { StrictClient } from './lib/strict.mjs';
import { spoken } from './lib/speech.mjs';
import { Upstream } from './lib/upstream.mjs';
import { azureUpstream, betaUpstream, xaiUpstream } from './lib/upstream_dialects.mjs';
import { silence, toBase64 } from './lib/wav.mjs';

const look = { type: 'function', name: 'look', description: 'Looks',
    parameters: { type: 'object', properties: {} } };

const vad = { type: 'server_vad', create_response: true, interrupt_response: true };

const connect = (t, stack) => StrictClient.connect(t, { port: stack.nginx.port });

// What a voice application sends when it begins.
const begin = (client) => client.update({ output_modalities: ['audio'], instructions: 'Be brief.',
    tools: [look], tool_choice: 'auto', audio: {
        input: { format: { type: 'audio/pcm', rate: 24000 }, turn_detection: vad,
            transcription: { model: 'gpt-4o-mini-transcribe' } },
        output: { format: { type: 'audio/pcm', rate: 24000 }, voice: 'marin' } } });

// A long answer under way: { id, item }.
async function story(client) {
    client.sayText('tell me a story');
    client.send({ type: 'response.create' });
    const { response } = await client.next('response.created');
    const delta = await client.next('response.output_audio.delta');
    await client.next('response.output_audio.delta');
    return { id: response.id, item: delta.item_id };
}

async function turns(t, stack, upstream) {
    await t.test('a text turn', async (t) => {
        const client = await connect(t, stack);
        await begin(client);
        client.sayText('What is seven plus five?');
        const done = await client.respond({ metadata: { client_event_id: 'mine' } });
        assert.equal(done.status, 'completed');
        assert.deepEqual(done.metadata, { client_event_id: 'mine' });
        const made = client.events.find((e) => e.type === 'response.created');
        assert.deepEqual(made.response.metadata, { client_event_id: 'mine' });
        assert.ok(client.spoken(done.id).pcm.length > 0);
        assert.equal(done.output[0].content[0].transcript, client.spoken(done.id).transcript);
    });

    await t.test('items of its own, kept, deleted', async (t) => {
        const client = await connect(t, stack);
        await begin(client);
        client.send({ type: 'conversation.item.create', previous_item_id: 'root', item: {
            id: 'mine', type: 'message', role: 'assistant',
            content: [{ type: 'output_text', text: 'How can I help?' }] } });
        const { item } = await client.next('conversation.item.added');
        assert.equal(item.id, 'mine');
        assert.deepEqual(item.content, [{ type: 'output_text', text: 'How can I help?' }]);
        await client.next('conversation.item.done');
        client.send({ type: 'conversation.item.delete', item_id: 'mine' });
        assert.equal((await client.next('conversation.item.deleted')).item_id, 'mine');
    });

    await t.test('a spoken turn', async (t) => {
        const client = await connect(t, stack);
        await begin(client);
        if (upstream) {
            const conn = upstream.connections.at(-1);
            client.send({ type: 'input_audio_buffer.append', audio: toBase64(silence(500)) });
            await conn.next('input_audio_buffer.append');
            conn.session.hear('what time is it');
        } else {
            await client.speak(spoken('question'));
        }
        const started = await client.next('input_audio_buffer.speech_started');
        const done = await client.responseDone();
        assert.equal(done.status, 'completed');
        const heard = await client.waitFor(
            'conversation.item.input_audio_transcription.completed');
        assert.equal(heard.item_id, started.item_id);
        assert.match(heard.transcript, /what time is it/i);
        const told = client.types().filter((type) => /transcription.completed$/.test(type));
        assert.equal(told.length, 1);
    });

    await t.test('a function call', async (t) => {
        const client = await connect(t, stack);
        const session = await begin(client);
        assert.equal(session.tools[0].name, 'look');
        client.sayText(upstream ? 'call look {}' : 'look');
        const first = await client.respond(upstream ? undefined
            : { tool_choice: { type: 'function', name: 'look' } });
        const call = first.output.find((each) => each.type === 'function_call');
        assert.equal(call.name, 'look');
        const { name } = await client.waitFor('response.function_call_arguments.done');
        assert.equal(name, 'look');
        client.send({ type: 'conversation.item.create', item: { type: 'function_call_output',
            call_id: call.call_id, output: 'fog' } });
        const second = await client.respond();
        assert.match(client.spoken(second.id).transcript, /fog/);
    });

    await t.test('a cancelled turn and what was heard of it', async (t) => {
        const client = await connect(t, stack);
        await begin(client);
        const { id, item } = await story(client);
        client.send({ type: 'response.cancel' });
        const done = await client.responseDone();
        assert.equal(done.id, id);
        assert.equal(done.status, 'cancelled');
        assert.equal(done.status_details.reason, 'client_cancelled');
        client.send({ type: 'conversation.item.truncate', item_id: item, content_index: 0,
            audio_end_ms: 50 });
        const cut = await client.next('conversation.item.truncated');
        assert.equal(cut.item_id, item);
        assert.equal(cut.audio_end_ms, 50);
        client.send({ type: 'response.cancel' });
        client.sayText('What is seven plus five?');
        assert.equal((await client.respond()).status, 'completed');
    });

    await t.test('what silences clients of other relays', async (t) => {
        const client = await connect(t, stack);
        await begin(client);
        client.sayText('What is seven plus five?');
        client.send({ type: 'response.create' });
        client.send({ type: 'response.create' });
        const first = await client.responseDone();
        const second = await client.responseDone();
        assert.deepEqual([first.status, second.status], ['completed', 'completed']);
        assert.notEqual(first.id, second.id);
        client.send({ type: 'response.cancel' });
        client.send({ type: 'conversation.item.truncate', item_id: second.output[0].id,
            content_index: 0, audio_end_ms: 3600000 });
        client.sayText('What is seven plus five?');
        assert.equal((await client.respond()).status, 'completed');
        assert.ok(!client.types().includes('error'));
    });

    await t.test('a barge-in', async (t) => {
        const client = await connect(t, stack);
        await begin(client);
        const { id } = await story(client);
        if (upstream) {
            const conn = upstream.connections.at(-1);
            client.send({ type: 'input_audio_buffer.append', audio: toBase64(silence(500)) });
            await conn.waitFor('input_audio_buffer.append');
            conn.session.speechStarted();
            await client.next('input_audio_buffer.speech_started');
        } else {
            await client.speak(spoken('count'));
        }
        const cut = await client.responseDone();
        assert.equal(cut.id, id);
        assert.equal(cut.status, 'cancelled');
        assert.equal(cut.status_details.reason, 'turn_detected');
        if (upstream) {
            upstream.connections.at(-1).session.speechStopped('count to three');
        }
        assert.equal((await client.responseDone()).status, 'completed');
    });
}

test('R1.4 a strict client with the offline model', async (t) => {
    await turns(t, await startStack(t), null);
});

for (const [dialect, options] of [['openai', () => ({ said: [] })], ['azure', azureUpstream],
    ['beta', betaUpstream], ['xai', xaiUpstream]]) {
    test(`R1.4 a strict client with an upstream that speaks ${dialect}`, async (t) => {
        const own = options();
        const up = await Upstream.start(t, { ...own, paceMs: 5 });
        const stack = await startStack(t, { voiced: up.voiced({ upstream: { dialect },
            settings: { warm: { links: 0 } } }) });
        await turns(t, stack, up);

        await t.test('an upstream that dies amid a function call', async (t) => {
            const client = await connect(t, stack);
            await begin(client);
            client.sayText('hello');
            await client.respond();
            up.killAll();
            client.sayText('call look {}');
            const { output: [call] } = await client.respond();
            assert.equal(call.name, 'look');
            up.killAll();
            client.send({ type: 'conversation.item.create', item: {
                type: 'function_call_output', call_id: call.call_id, output: 'fog' } });
            const answer = await client.respond();
            assert.match(client.spoken(answer.id).transcript, /fog/);
        });
        assert.deepEqual(own.said, []);
        assert.equal(up.connections[0].request.headers['openai-beta'],
            dialect === 'beta' ? 'realtime=v1' : undefined);
    });
}

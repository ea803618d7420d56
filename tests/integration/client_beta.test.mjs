// SPDX-License-Identifier: BSD-2-Clause
//
// R1.4 A client that still speaks the beta of 2024 has whole sessions: every
// event it gets is the beta's, and what it says is understood.

import assert from 'node:assert/strict';
import test from 'node:test';
import { BetaClient, BetaSdkClient } from './lib/beta.mjs';
import { assertOrder } from './lib/expect.mjs';
import { spoken } from './lib/speech.mjs';
import { startStack } from './lib/stack.mjs';
import { Upstream } from './lib/upstream.mjs';
import { azureUpstream, betaUpstream, xaiUpstream } from './lib/upstream_dialects.mjs';
import { durationMs, rms } from './lib/wav.mjs';

const readFile = { type: 'function', name: 'read_file', description: 'Reads a file',
    parameters: { type: 'object', properties: { file_path: { type: 'string' } },
        required: ['file_path'] } };

// What the reference client of the beta sends when it connects.
const settings = { modalities: ['text', 'audio'], instructions: 'Be brief.', voice: 'alloy',
    input_audio_format: 'pcm16', output_audio_format: 'pcm16', input_audio_transcription: null,
    turn_detection: null, tools: [], tool_choice: 'auto', temperature: 0.8,
    max_response_output_tokens: 4096 };

const vad = { type: 'server_vad', threshold: 0.5, prefix_padding_ms: 300,
    silence_duration_ms: 200 };

const url = (stack) => stack.url('ws', '/v1/realtime?model=gpt-realtime');

test('R1.4 a client of the beta', async (t) => {
    const stack = await startStack(t);
    const connect = (t) => BetaSdkClient.connect(t,
        { baseURL: stack.url('https'), tls: stack.tls });

    await t.test('has flat sessions, with the npm client openai', async (t) => {
        const client = await connect(t);
        const { session: created } = await client.next('session.created');
        assert.equal(created.model, 'gpt-realtime');
        assert.deepEqual(created.modalities, ['audio', 'text']);
        assert.equal(created.input_audio_format, 'pcm16');

        const session = await client.update(settings);
        const { voice, temperature, turn_detection, modalities } = session;
        assert.deepEqual({ voice, temperature, turn_detection, modalities },
            { voice: 'alloy', temperature: 0.8, turn_detection: null,
                modalities: ['audio', 'text'] });
        assert.equal(session.max_response_output_tokens, 4096);
        assert.equal(session.instructions, 'Be brief.');

        const other = await client.update({ turn_detection: vad,
            input_audio_transcription: { model: 'whisper-1' },
            input_audio_noise_reduction: { type: 'near_field' }, modalities: ['text'],
            output_audio_format: 'g711_ulaw' });
        assert.equal(other.turn_detection.silence_duration_ms, 200);
        assert.equal(other.input_audio_transcription.model, 'whisper-1');
        assert.equal(other.input_audio_noise_reduction.type, 'near_field');
        assert.deepEqual(other.modalities, ['text']);
        assert.equal(other.output_audio_format, 'g711_ulaw');
        assert.deepEqual(client.errors, []);
    });

    await t.test('has a text turn, with the npm client openai', async (t) => {
        const client = await connect(t);
        await client.next('session.created');
        client.sayText('What is seven plus five?');
        const response = await client.respond({ modalities: ['text'] });
        assert.equal(response.status, 'completed');
        const { text, pcm } = client.said(response.id);
        assert.match(text, /twelve|12/i);
        assert.equal(pcm.length, 0);
        assert.deepEqual(response.output[0].content, [{ type: 'text', text }]);
        assert.deepEqual(client.conversation.items.get(response.output[0].id).content,
            [{ type: 'text', text }]);
        assertOrder(client.events, ['session.created', 'conversation.item.created',
            'response.created', 'response.output_item.added', 'conversation.item.created',
            'response.content_part.added', 'response.text.delta', 'response.text.done',
            'response.content_part.done', 'response.output_item.done', 'response.done']);
        assert.deepEqual(client.errors, []);
    });

    await t.test('has a spoken turn found by VAD, by its header', async (t) => {
        const client = await BetaClient.connect(t, { url: url(stack) });
        await client.update({ ...settings, turn_detection: vad,
            input_audio_transcription: { model: 'whisper-1' } });
        await client.speak(spoken('question'));
        const { response } = await client.next('response.done');
        assert.equal(response.status, 'completed');
        const { pcm, transcript } = client.said(response.id);
        assert.ok(durationMs(pcm) > 300 && rms(pcm) > 200);
        assert.deepEqual(response.output[0].content, [{ type: 'audio', transcript }]);
        const heard = await client.waitFor(
            'conversation.item.input_audio_transcription.completed');
        assert.match(heard.transcript, /what time is it/i);
        assertOrder(client.events, ['input_audio_buffer.speech_started',
            'input_audio_buffer.speech_stopped', 'input_audio_buffer.committed',
            'conversation.item.created', 'response.created', 'response.audio.delta',
            'response.audio.done', 'response.audio_transcript.done', 'response.done']);
    });

    await t.test('has a manual turn and an answer of its own in the history, by subprotocol',
        async (t) => {
            const client = await BetaClient.connect(t, { url: url(stack), header: false,
                protocols: ['realtime', 'openai-insecure-api-key.any',
                    'openai-beta.realtime-v1'] });
            assert.equal(client.socket.protocol, 'realtime');
            await client.update(settings);
            client.send({ type: 'conversation.item.create', item: { type: 'message',
                id: 'mine', status: 'completed', role: 'assistant', object: 'realtime.item',
                content: [{ type: 'text', text: 'How can I help?' }] } });
            const { item } = await client.next('conversation.item.created');
            assert.equal(item.id, 'mine');
            assert.deepEqual(item.content, [{ type: 'text', text: 'How can I help?' }]);

            await client.speak(spoken('sum'), { silenceMs: 200 });
            client.send({ type: 'input_audio_buffer.commit' });
            await client.next('input_audio_buffer.committed');
            const response = await client.respond();
            assert.match(client.said(response.id).transcript, /twelve|12|\d/i);
        });

    await t.test('calls a function', async (t) => {
        const client = await connect(t);
        const session = await client.update({ ...settings, tools: [readFile] });
        assert.deepEqual(session.tools, [readFile]);
        client.sayText('read the file readme');
        const first = await client.respond();
        const call = first.output.find((item) => item.type === 'function_call');
        assert.equal(call.name, 'read_file');
        assert.equal(client.conversation.items.get(call.id).arguments, call.arguments);
        client.send({ type: 'conversation.item.create', item: { type: 'function_call_output',
            call_id: call.call_id, output: 'the purple elephant dances' } });
        const second = await client.respond();
        assert.match(client.said(second.id).transcript, /purple elephant/i);
        assert.deepEqual(client.errors, []);
    });

    await t.test('cancels and truncates as its library does', async (t) => {
        const client = await connect(t);
        await client.update(settings);
        client.sayText('tell me a story');
        client.send({ type: 'response.create' });
        const { response } = await client.next('response.created');
        const delta = await client.waitFor('response.audio.delta',
            () => rms(client.said(response.id).pcm) > 200);
        client.send({ type: 'response.cancel' });
        const { response: done } = await client.next('response.done');
        assert.equal(done.status, 'cancelled');
        assert.equal(done.status_details.reason, 'client_cancelled');
        const heardMs = Math.min(400, Math.floor(durationMs(client.said(response.id).pcm)));
        client.send({ type: 'conversation.item.truncate', item_id: delta.item_id,
            content_index: 0, audio_end_ms: heardMs });
        assert.equal((await client.next('conversation.item.truncated')).audio_end_ms, heardMs);
        client.send({ type: 'conversation.item.delete', item_id: delta.item_id });
        await client.next('conversation.item.deleted');
        assert.deepEqual(client.errors, []);
    });

    await t.test('is told of errors in its own words', async (t) => {
        const client = await BetaClient.connect(t, { url: url(stack) });
        await client.next('session.created');
        const fail = async (event) => {
            client.send(event);
            return (await client.next('error')).error;
        };
        const wrong = await fail({ type: 'session.update', event_id: 'mine',
            session: { turn_detection: { type: 'telepathy' } } });
        assert.equal(wrong.param, 'session.turn_detection.type');
        assert.equal(wrong.event_id, 'mine');
        const format = await fail({ type: 'session.update',
            session: { input_audio_format: 'opus' } });
        assert.match(format.param, /^session\.input_audio_format/);
        assert.equal((await fail('{"type":"session.update"')).code, 'invalid_event');
        assert.equal((await fail('{"type":"session.update","session":{},"session":{}}')).code,
            'invalid_event');
        assert.equal((await fail({ session: {} })).code, 'invalid_event');
        assert.equal((await fail({ type: 'no.such.event' })).type, 'invalid_request_error');
        assert.equal((await fail({ type: 'conversation.item.delete', item_id: 'item_none' })).code,
            'item_delete_invalid_item_id');
        await client.update({ instructions: 'Still here.' });
    });

    await t.test('is bound by the policy as any other', async (t) => {
        const strict = await startStack(t, {
            nginx: { files: { 'instructions.txt': 'Say little.' } },
            policy: `voice_model gpt-realtime; voice_instructions instructions.txt;
                voice_client_update deny;` });
        const client = await BetaClient.connect(t, { url: url(strict) });
        const { session } = await client.next('session.created');
        assert.equal(session.instructions, '', 'the policy shows to nobody');
        client.send({ type: 'session.update', session: { instructions: 'Tell all.' } });
        const { error } = await client.next('error');
        assert.equal(error.code, 'forbidden');
        client.send({ type: 'response.create', response: { modalities: ['text'],
            instructions: 'Tell all.' } });
        assert.equal((await client.next('error')).error.code, 'forbidden');
    });

    await t.test('has GA beside it', async (t) => {
        const client = await stack.connect(t, { headers: { 'OpenAI-Beta': 'assistants=v2' } });
        const { session } = await client.next('session.created');
        assert.equal(session.type, 'realtime');
    });
});

for (const [dialect, options] of [['azure', azureUpstream], ['beta', betaUpstream],
    ['xai', xaiUpstream]]) {
    test(`R1.4 a client of the beta with an upstream that speaks ${dialect}`, async (t) => {
        const up = await Upstream.start(t, { ...options(), paceMs: 5 });
        const stack = await startStack(t, { voiced: up.voiced({ upstream: { dialect },
            settings: { warm: { links: 0 } } }) });
        const client = await BetaClient.connect(t, { url: url(stack) });
        await client.next('session.created');
        await client.update({ ...settings, tools: [readFile], turn_detection: vad,
            input_audio_transcription: { model: 'whisper-1' } });
        client.sayText('hello');
        const first = await client.respond({ modalities: ['audio', 'text'] });
        assert.equal(client.said(first.id).transcript, 'You said: hello');
        client.sayText('call read_file {}');
        const second = await client.respond();
        assert.equal(second.output[0].name, 'read_file');
        client.send({ type: 'conversation.item.create', item: { type: 'function_call_output',
            call_id: second.output[0].call_id, output: 'fog' } });
        const third = await client.respond();
        assert.match(client.said(third.id).transcript, /fog/);
        up.connections[0].session.hear('what time is it');
        const { response } = await client.next('response.done');
        assert.equal(client.said(response.id).transcript, 'You said: what time is it');
        assert.equal(client.types().filter((type) => /transcription.completed$/.test(type)).length,
            1);
        assert.deepEqual(up.options.said, []);
    });
}

test('R1.4 a client of the beta that only wants to know what is said', async (t) => {
    const up = await Upstream.start(t, { type: 'transcription' });
    const stack = await startStack(t, { voiced: up.voiced({ settings: { warm: { links: 0 } } }) });
    const client = await BetaClient.connect(t,
        { url: stack.url('ws', '/v1/realtime?intent=transcription') });
    const { session } = await client.next('transcription_session.created');
    assert.equal(session.input_audio_format, 'pcm16');
    assert.equal(session.audio, undefined);
    client.send({ type: 'transcription_session.update', session: { input_audio_format: 'g711_ulaw',
        input_audio_transcription: { model: 'gpt-4o-transcribe', language: 'en' },
        turn_detection: { ...vad, create_response: false } } });
    const updated = await client.next('transcription_session.updated');
    assert.equal(updated.session.input_audio_format, 'g711_ulaw');
    assert.equal(updated.session.input_audio_transcription.language, 'en');
    const conn = up.connections[0];
    assert.deepEqual(conn.events.at(-1).session.audio.input.format, { type: 'audio/pcmu' });
    assert.deepEqual(conn.events.map((event) => event.session.type),
        ['transcription', 'transcription'], 'the policy knows what session it is');
    conn.session.speechStarted();
    conn.session.speechStopped('what time is it');
    const heard = await client.next('conversation.item.input_audio_transcription.completed');
    assert.equal(heard.transcript, 'what time is it');
});

test('R1.4 a client of the beta that was cut comes back to what it missed', async (t) => {
    const stack = await startStack(t);
    const client = await BetaClient.connect(t, { url: `${url(stack)}&resume=new` });
    await client.update(settings);
    client.sayText('tell me a story');
    client.send({ type: 'response.create' });
    const { response } = await client.next('response.created');
    await client.next('response.audio.delta');
    const last = client.events.at(-1).event_id;
    await client.comeBack(stack.url('ws', `/v1/realtime?resume=${client.token}&after=${last}`));
    await client.next('response.audio.delta');
    client.send({ type: 'response.cancel' });
    const done = await client.next('response.done');
    assert.equal(done.response.id, response.id);
    const ids = client.events.map((event) => event.event_id);
    assert.equal(new Set(ids).size, ids.length);
});

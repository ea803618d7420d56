// SPDX-License-Identifier: BSD-2-Clause
//
// What a client may get wrong: each mistake has its error event, and the
// session goes on as if it had not been made.

import assert from 'node:assert/strict';
import test from 'node:test';
import { startStack } from './lib/stack.mjs';

// [what, text on the wire, expected code, expected param]
const mistakes = [
    ['text that is no JSON', '{"type":', null],
    ['an array', '[1,2]', null],
    ['a type that is no string', '{"type":7}', null],
    ['no type', '{"event_id":"x1"}', null],
    ['type twice', '{"type":"response.create","type":"session.update"}', 'invalid_event'],
    ['an unknown type', '{"type":"session.destroy","event_id":"x1"}', null],
    ['a server’s type', '{"type":"session.created","event_id":"x1"}', null],
    ['session.update without a session', '{"type":"session.update","event_id":"x1"}',
        'missing_required_parameter', 'session'],
    ['session.update without session.type',
        '{"type":"session.update","event_id":"x1","session":{"instructions":"x"}}',
        'missing_required_parameter', 'session.type'],
    ['an unknown session field',
        '{"type":"session.update","event_id":"x1","session":{"type":"realtime","modalities":[]}}',
        'unknown_parameter', 'session.modalities'],
    ['both modalities',
        '{"type":"session.update","event_id":"x1","session":{"type":"realtime","output_modalities":["audio","text"]}}',
        'invalid_value', 'session.output_modalities'],
    ['a threshold above 1',
        '{"type":"session.update","event_id":"x1","session":{"type":"realtime","audio":{"input":{"turn_detection":{"type":"server_vad","threshold":7}}}}}',
        null, 'session.audio.input.turn_detection.threshold'],
    ['audio that is no base64', '{"type":"input_audio_buffer.append","event_id":"x1","audio":"*"}',
        null, 'audio'],
    ['append without audio', '{"type":"input_audio_buffer.append","event_id":"x1"}',
        'missing_required_parameter', 'audio'],
    ['an item without a type',
        '{"type":"conversation.item.create","event_id":"x1","item":{"role":"user"}}', null],
    ['a message without a role',
        '{"type":"conversation.item.create","event_id":"x1","item":{"type":"message","content":[]}}',
        null],
    ['retrieve without an id', '{"type":"conversation.item.retrieve","event_id":"x1"}',
        'missing_required_parameter', 'item_id'],
    ['a truncate with a fraction',
        '{"type":"conversation.item.truncate","event_id":"x1","item_id":"i","content_index":0,"audio_end_ms":1.5}',
        null],
    ['nesting without end', `{"type":"response.create","response":${'['.repeat(5000)}${']'.repeat(5000)}}`,
        null],
];

test('mistakes of a client', async (t) => {
    const stack = await startStack(t);
    const client = await stack.connect(t);
    const before = await client.update({ instructions: 'Be brief.' });

    for (const [what, text, code, param] of mistakes) {
        await t.test(`${what} is an error event`, async () => {
            const from = client.events.length;
            client.send(text);
            const { error } = await client.next('error');
            assert.equal(client.events.length, from + 1);
            assert.equal(error.type, 'invalid_request_error');
            assert.ok(error.message.length > 5);
            if (code) {
                assert.equal(error.code, code);
            }
            if (param) {
                assert.equal(error.param, param);
            }
            assert.equal(error.event_id, /"event_id":"x1"/.test(text) ? 'x1' : null);
        });
    }

    await t.test('none of them changed the session', async () => {
        const after = await client.update({});
        assert.deepEqual({ ...after, expires_at: 0 }, { ...before, expires_at: 0 });
        client.sayText('What is seven plus five?');
        const response = await client.respond({ output_modalities: ['text'] });
        assert.match(client.spoken(response.id).text, /twelve|12/i);
    });
});

test('a binary message is an error, not the end', async (t) => {
    const stack = await startStack(t);
    const client = await stack.connect(t);
    await client.next('session.created');
    client.socket.send(Buffer.from([1, 2, 3]));
    assert.equal((await client.next('error')).error.type, 'invalid_request_error');
    await client.update({});
});

test('an event over 1 MiB is an error; audio may have 15 MiB', async (t) => {
    const stack = await startStack(t);
    const client = await stack.connect(t);
    await client.update({ audio: { input: { turn_detection: null } } });
    client.sayText('x'.repeat(1 << 20));
    assert.equal((await client.next('error')).error.code, 'event_too_large');
    const bytes = 15 << 20;
    client.send({ type: 'input_audio_buffer.append',
        audio: Buffer.alloc(bytes).toString('base64') });
    await client.update({});
    client.send({ type: 'input_audio_buffer.append', event_id: 'more',
        audio: Buffer.alloc(bytes + 2).toString('base64') });
    assert.equal((await client.next('error')).error.event_id, 'more');
    await client.update({});
    await client.close();
});

test('a message over voice_max_message_size is Close 1009, others live on', async (t) => {
    const stack = await startStack(t, { policy: 'voice_model gpt-realtime;\n' +
        'voice_max_message_size 1m;' });
    const other = await stack.connect(t);
    await other.next('session.created');
    const client = await stack.connect(t);
    await client.next('session.created');
    client.sayText('x'.repeat(1 << 20));
    assert.equal((await client.waitClosed()).code, 1009);
    assert.equal((await stack.voiced.summary(client.sessionId)).ended, 'message_too_big');
    await other.update({});
});

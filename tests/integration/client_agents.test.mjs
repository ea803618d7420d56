// SPDX-License-Identifier: BSD-2-Clause
//
// The npm package @openai/agents-realtime, as an application uses it: an
// agent with a tool, a session, its WebSocket transport over wss.

import assert from 'node:assert/strict';
import test from 'node:test';
import tls from 'node:tls';
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool }
    from '@openai/agents-realtime';
import { z } from 'zod';
import { parseRealtimeEvent }
    from '../node_modules/@openai/agents-realtime/dist/openaiRealtimeEvents.mjs';
import { streamSpeech } from './lib/client.mjs';
import { EventChecker } from './lib/events.mjs';
import { defer, until } from './lib/process.mjs';
import { spoken } from './lib/speech.mjs';
import { startStack } from './lib/stack.mjs';
import { durationMs, joinPcm, rms } from './lib/wav.mjs';

async function startSession(t, stack, tools) {
    tls.setDefaultCACertificates([...tls.getCACertificates('default'), stack.tls.ca.toString()]);
    const agent = new RealtimeAgent({ name: 'Assistant', voice: 'marin',
        instructions: 'You read files.', tools });
    const transport = new OpenAIRealtimeWebSocket({
        url: stack.url('wss', '/v1/realtime?model=gpt-realtime') });
    const session = new RealtimeSession(agent, { transport, model: 'gpt-realtime' });
    const seen = { events: [], errors: [], audio: [], checker: new EventChecker() };
    transport.on('*', (event) => {
        if (typeof event.event_id === 'string' && event.type !== 'audio') {
            seen.events.push(event);
            seen.checker.check(event);
        }
    });
    session.on('error', (error) => seen.errors.push(error));
    session.on('audio', (event) => seen.audio.push(new Int16Array(event.data)));
    await session.connect({ apiKey: 'any' });
    defer(t, () => session.close());
    return { session, seen };
}

// As a microphone does: in real time, and on through the silence after it.
function sendSpeech(session, pcm) {
    return streamSpeech(({ audio }) => {
        const bytes = Buffer.from(audio, 'base64');
        session.sendAudio(bytes.buffer.slice(bytes.byteOffset,
            bytes.byteOffset + bytes.length));
    }, pcm, { pace: 1, silenceMs: 2500 });
}

const done = (seen) => seen.events.filter((e) => e.type === 'response.done');

test('@openai/agents-realtime', async (t) => {
    const stack = await startStack(t);

    await t.test('completes a spoken turn with a tool', async (t) => {
        const calls = [];
        const { session, seen } = await startSession(t, stack, [tool({
            name: 'read_file', description: 'Reads a file',
            parameters: z.object({ file_path: z.string() }),
            execute: async (input) => {
                calls.push(input);
                return 'the purple elephant dances';
            } })]);
        await until(() => seen.events.some((e) => e.type === 'session.updated'),
            'session.updated');
        await sendSpeech(session, spoken('read'));
        await until(() => calls.length > 0 && done(seen).length > 0, 'the tool call');
        assert.equal(calls.length, 1);
        assert.match(calls[0].file_path, /readme/i);

        await until(() => done(seen).length === 2, 'the answer after the tool', 20000);
        const pcm = joinPcm(...seen.audio);
        assert.ok(rms(pcm) > 200);
        assert.ok(durationMs(pcm) > 500);
        const history = JSON.stringify(session.history);
        assert.match(history, /purple elephant/i);
        assert.deepEqual(seen.errors, []);

        // What fails its schema this client ignores without a word.
        for (const event of seen.events) {
            const { isGeneric } = parseRealtimeEvent({ data: JSON.stringify(event) });
            assert.ok(!isGeneric, `not understood: ${JSON.stringify(event).slice(0, 400)}`);
        }
        assert.deepEqual(seen.checker.problems, []);
    });

    await t.test('interrupts and goes on', async (t) => {
        const { session, seen } = await startSession(t, stack, []);
        session.sendMessage('tell me a story');
        await until(() => seen.audio.length > 0, 'sound');
        await sendSpeech(session, spoken('count'));
        await until(() => done(seen).length === 2, 'the second answer', 30000);
        assert.equal(done(seen)[0].response.status, 'cancelled');
        assert.equal(done(seen)[1].response.status, 'completed');
        assert.match(JSON.stringify(done(seen)[1].response.output), /3.*5.*8|three.*five.*eight/i);
        assert.deepEqual(seen.errors, []);
        assert.deepEqual(seen.checker.problems, []);
    });
});

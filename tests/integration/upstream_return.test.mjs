// SPDX-License-Identifier: BSD-2-Clause
//
// A lost upstream that is hard to get back: it refuses, dies again while it is
// told the conversation, says nothing any more; and one that never returns.

import assert from 'node:assert/strict';
import test from 'node:test';
import tls from 'node:tls';
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool }
    from '@openai/agents-realtime';
import { z } from 'zod';
import { count } from './lib/paths.mjs';
import { defer, until } from './lib/process.mjs';
import { startRemoteStack } from './lib/remote.mjs';
import { Talk, startTalk } from './lib/talk.mjs';

test('R1.1 an upstream that refuses for a while', async (t) => {
    const { up, stack } = await startTalk(t);
    const talk = await Talk.open(t, { up, stack });

    await talk.turn('hello');
    for (let i = 0; i < count(1, 5); i++) {
        const before = up.handshakes;
        up.refuse(503, 'no');
        await talk.say(`turn ${i}`);
        await talk.client.next('response.output_audio.delta');
        talk.conn.kill();
        await until(() => up.handshakes > before, 'an attempt');
        up.accept();
        assert.match((await talk.settle()).output[0].content[0].transcript,
            new RegExp(`turn ${i}`));
        await talk.follow();
        await talk.check();
    }
    await talk.client.close();
});

test('R1.1 an upstream that dies while it is told the conversation', async (t) => {
    const places = ['session.update', 'conversation.item.create', 'response.create'];
    for (const place of places) {
        await t.test(`at ${place}`, async (t) => {
            let left = 0;
            const { up, stack } = await startTalk(t, { onEvent(conn, event) {
                if (event.type === place && left > 0) {
                    left--;
                    conn.kill();
                    return true;
                }
                return false;
            } });
            for (let i = 0; i < count(1, 10); i++) {
                const talk = await Talk.open(t, { up, stack });
                await talk.turn('call 2');
                await talk.say('again');
                await talk.client.next('response.output_audio.delta');
                left = 2;
                talk.conn.kill();
                assert.match((await talk.settle()).output[0].content[0].transcript, /again/);
                assert.equal(left, 0);
                await up.nextConnection();
                await up.nextConnection();
                await talk.follow();
                await talk.check();
                await talk.client.close();
            }
        });
    }
});

test('R1.1 an upstream that falls silent', async (t) => {
    const env = await startTalk(t, { upstream: { read_timeout: '1s', ping_interval: '300ms' } });
    const talk = await Talk.open(t, env);

    await talk.turn('hello');
    await talk.say('call 1');
    await talk.client.next('response.function_call_arguments.delta');
    talk.conn.silence();
    await talk.settle();
    await talk.follow();
    await talk.check();
    await talk.client.close();
});

test('R1.1 an upstream that does not return: the client is told how it went', async (t) => {
    const { up, stack } = await startTalk(t);
    const talk = await Talk.open(t, { up, stack });

    await talk.turn('hello');
    await talk.say('again');
    await talk.client.next('response.output_audio.delta');
    up.refuse(503, 'no');
    talk.conn.kill();
    assert.equal((await talk.client.responseDone()).status, 'cancelled');
    const { code } = await talk.client.waitClosed(30000);
    assert.ok([1011, 1013].includes(code), `closed with ${code}`);
    assert.equal(up.handshakes, 5); // the first, and four attempts
});

// The server process behind another NGINX dies, and its supervisor starts the
// next one: between a call and its output, in the middle of a story.
test('R1.1 a second stack as the upstream, killed', async (t) => {
    const stack = await startRemoteStack(t, { voiced: { settings: { warm: { links: 0 } } } });
    const client = await stack.connect(t);
    await client.next('session.created');
    await client.update({ instructions: 'Be brief.', tools: [{ type: 'function',
        name: 'read_file', description: 'Reads a file', parameters: { type: 'object',
            properties: { file_path: { type: 'string' } }, required: ['file_path'] } }] });

    for (let i = 0; i < count(1, 10); i++) {
        client.sayText('read the file README.md');
        const [call] = (await client.respond()).output;
        assert.equal(call.type, 'function_call');
        client.sayText('tell me a long story');
        client.send({ type: 'response.create' });
        await client.next('response.output_audio.delta');
        process.kill(stack.inner.voiced.serverPid(), 'SIGKILL');
        assert.equal((await client.responseDone()).status, 'cancelled');
        assert.match((await client.responseDone()).output[0].content[0].transcript, /story/);
        client.send({ type: 'conversation.item.create', item: { type: 'function_call_output',
            call_id: call.call_id, output: 'elephants' } });
        assert.match((await client.respond()).output[0].content[0].transcript, /elephants/);
    }
    assert.deepEqual(client.events.filter(({ type }) => type === 'error'), []);
    await client.close();
});

test('R1.1 @openai/agents-realtime over losses of its upstream', async (t) => {
    const { up, stack } = await startTalk(t);
    tls.setDefaultCACertificates([...tls.getCACertificates('default'), stack.tls.ca.toString()]);
    const calls = [];
    const errors = [];
    const done = [];
    const agent = new RealtimeAgent({ name: 'A', instructions: 'Be brief.', tools: [tool({
        name: 'look_up', description: 'd', parameters: z.object({ question: z.string() }),
        execute: async ({ question }) => {
            calls.push(question);
            return '42';
        } })] });
    const transport = new OpenAIRealtimeWebSocket({
        url: stack.url('wss', '/v1/realtime?model=m') });
    const session = new RealtimeSession(agent, { transport, model: 'm' });
    session.on('error', (error) => errors.push(error));
    transport.on('*', (event) => event.type === 'response.done' && done.push(event.response));
    await session.connect({ apiKey: 'any' });
    defer(t, () => session.close());
    let conn = await up.nextConnection();
    await until(() => conn.sent.some(({ type }) => type === 'session.updated'), 'its settings');

    // In the arguments of a call, then in mid-sentence.
    const killAt = async (text, type) => {
        const from = conn.sent.length;
        session.sendMessage(text);
        await until(() => conn.sent.slice(from).some((event) => event.type === type), type);
        conn.kill();
        conn = await up.nextConnection();
    };
    for (let i = 0; i < count(2, 10); i++) {
        await killAt('call 1', 'response.function_call_arguments.delta');
        await until(() => conn.session.items.at(-1)?.item.content?.[0]?.transcript
            ?.includes('result is'), 'the answer');
        assert.equal(calls.length, i + 1);
        const before = done.length;
        await killAt(`turn ${i}`, 'response.output_audio.delta');
        await until(() => done.length > before + 1 && done.at(-1).status === 'completed',
            'the answer after the loss');
    }
    assert.deepEqual(errors, []);
    const ids = session.history.map((item) => item.itemId);
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(session.history.filter(({ type }) => type === 'function_call')
        .every(({ status, output }) => status === 'completed' && output === '42'));
});

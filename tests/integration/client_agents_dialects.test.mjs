// SPDX-License-Identifier: BSD-2-Clause
//
// R1.4 The npm package @openai/agents-realtime, which passes over every event
// that fails its schema, misses none from an upstream of another dialect.

import assert from 'node:assert/strict';
import test from 'node:test';
import tls from 'node:tls';
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool }
    from '@openai/agents-realtime';
import { z } from 'zod';
import { parseRealtimeEvent }
    from '../node_modules/@openai/agents-realtime/dist/openaiRealtimeEvents.mjs';
import { defer, until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';
import { Upstream } from './lib/upstream.mjs';
import { azureUpstream, betaUpstream, xaiUpstream } from './lib/upstream_dialects.mjs';

async function start(t, dialect, options, tools) {
    const up = await Upstream.start(t, { ...options(), paceMs: 5 });
    const stack = await startStack(t, { voiced: up.voiced({ upstream: { dialect },
        settings: { warm: { links: 0 } } }) });
    tls.setDefaultCACertificates([...tls.getCACertificates('default'), stack.tls.ca.toString()]);
    const transport = new OpenAIRealtimeWebSocket({
        url: stack.url('wss', '/v1/realtime?model=gpt-realtime') });
    const session = new RealtimeSession(new RealtimeAgent({ name: 'Assistant', voice: 'marin',
        instructions: 'Be brief.', tools }), { transport, model: 'gpt-realtime' });
    const seen = { up, events: [], errors: [], interrupted: 0 };
    transport.on('*', (event) => {
        if (typeof event.event_id === 'string' && event.type !== 'audio') {
            seen.events.push(event);
        }
    });
    session.on('error', (error) => seen.errors.push(error));
    session.on('audio_interrupted', () => seen.interrupted++);
    await session.connect({ apiKey: 'any' });
    defer(t, () => session.close());
    await until(() => seen.events.some((e) => e.type === 'session.updated'), 'session.updated');
    return { session, seen };
}

const done = (seen) => seen.events.filter((e) => e.type === 'response.done');

for (const [dialect, options] of [['azure', azureUpstream], ['beta', betaUpstream],
    ['xai', xaiUpstream]]) {
    test(`R1.4 @openai/agents-realtime with an upstream that speaks ${dialect}`, async (t) => {
        const calls = [];
        const { session, seen } = await start(t, dialect, options, [tool({ name: 'look',
            description: 'Looks', parameters: z.object({}),
            execute: async () => { calls.push(1); return 'fog'; } })]);

        session.sendMessage('call look {}');
        await until(() => done(seen).length === 2, 'the answer after the tool');
        assert.equal(calls.length, 1);
        assert.match(JSON.stringify(session.history), /fog/);

        seen.up.connections[0].session.hear('what time is it');
        await until(() => done(seen).length === 3, 'the spoken turn');
        await until(() => /"transcript":"what time is it"/.test(JSON.stringify(session.history)),
            'what was heard, in the history');

        const before = seen.events.length;
        session.sendMessage('tell me a story');
        await until(() => seen.events.slice(before).filter((e) =>
            e.type === 'response.output_audio.delta').length > 20, 'the story');
        session.interrupt();
        await until(() => done(seen).length === 4, 'the end of the story');
        assert.equal(done(seen)[3].response.status, 'cancelled');
        await until(() => seen.events.some((e) => e.type === 'conversation.item.truncated'),
            'the cut');

        for (const event of seen.events) {
            const { isGeneric } = parseRealtimeEvent({ data: JSON.stringify(event) });
            assert.ok(!isGeneric, `not understood: ${JSON.stringify(event).slice(0, 400)}`);
        }
        assert.deepEqual(seen.errors, []);
        assert.deepEqual(seen.up.options.said, []);
    });
}

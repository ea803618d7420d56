// SPDX-License-Identifier: BSD-2-Clause
//
// The server's tools beside a call whose audio goes past us: its sideband tells
// the model of them and runs them, whatever the caller does meanwhile.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { attached, callOf, postOffer, startCalls } from './lib/calls.mjs';
import { makeDir } from './lib/paths.mjs';
import { until } from './lib/process.mjs';

const own = { type: 'function', name: 'dial', description: 'Dials',
    parameters: { type: 'object', properties: {} } };

async function start(t) {
    const root = makeDir('root');
    writeFileSync(join(root, 'notes'), 'the purple elephant dances');
    const env = await startCalls(t, { voiced: { settings: { tools: { root } } },
        policy: 'voice_model gpt-realtime;\nvoice_tools read_file;' });
    const answer = await postOffer(env.post);
    assert.equal(answer.status, 201, answer.text);
    const id = callOf(answer);
    const [conn] = await attached(env.up, id);
    await conn.next('session.update');
    return { ...env, id, conn, session: env.up.http.calls.get(id).session };
}

const namesOf = (session) => session.session.tools.map(({ name }) => name);
const outputs = (session) => session.items.map(({ item }) => item)
    .filter(({ type }) => type === 'function_call_output');

// What the caller says, over its own channel.
function say(session, text) {
    session.take({ type: 'conversation.item.create', item: { type: 'message', role: 'user',
        content: [{ type: 'input_text', text }] } });
    session.take({ type: 'response.create' });
}

const told = (session, pattern) => until(() => !session.active && session.items.some(({ item }) =>
    pattern.test(item.content?.[0]?.transcript ?? '')), pattern);

test('R1.4 the tools of a call', async (t) => {
    const { session, conn, up, id, post } = await start(t);

    await t.test('are told and run', async () => {
        assert.deepEqual(namesOf(session), ['read_file']);
        say(session, 'call read_file {"file_path":"notes"}');
        await told(session, /The result is .*purple elephant/);
        assert.equal(outputs(session).length, 1);
        assert.equal(conn.events.filter(({ type }) => type === 'response.create').length, 1);
    });

    await t.test("stay beside the caller's own", async () => {
        session.take({ type: 'session.update', session: { type: 'realtime', tools: [own] } });
        await until(() => namesOf(session).length === 2, 'the tools again');
        assert.deepEqual(namesOf(session), ['read_file', 'dial']);
        say(session, 'call dial {} and call read_file {"file_path":"notes"}');
        await until(() => outputs(session).length === 2, 'the output');
        const dial = session.items.find(({ item }) => item.name === 'dial').item;
        assert.ok(!outputs(session).some(({ call_id: call }) => call === dial.call_id));
        // The caller is last, and asks.
        session.take({ type: 'conversation.item.create', item: {
            type: 'function_call_output', call_id: dial.call_id, output: 'busy' } });
        session.take({ type: 'response.create' });
        await told(session, /The result is busy/);
        assert.equal(conn.events.filter(({ type }) => type === 'response.create').length, 1);
    });

    await t.test('go on after the sideband was lost', async () => {
        conn.kill();
        await conn.waitClosed();
        const [next] = await attached(up, id);
        say(session, 'call read_file {"file_path":"notes"}');
        await until(() => outputs(session).length === 4, 'the output');
        await until(() => next.events.some(({ type }) => type === 'response.create'), 'going on');
        const ids = outputs(session).map(({ call_id: call }) => call);
        assert.equal(new Set(ids).size, ids.length);
    });

    await t.test('end with it', async () => {
        const { status } = await post(`/v1/realtime/calls/${id}/hangup`);
        assert.equal(status, 200);
        await attached(up, id, 0);
    });
});

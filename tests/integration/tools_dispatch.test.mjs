// SPDX-License-Identifier: BSD-2-Clause
//
// Tools that take their time, in a session: what is dispatched is acknowledged
// at once and told later, as something new, when nobody speaks; what runs for
// long is spoken of; all of it can be cancelled by the model.

import assert from 'node:assert/strict';
import test from 'node:test';
import { agentsKey, startAgents } from './lib/agents.mjs';
import { sleep, until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';
import { everythingCommand } from './lib/tool_servers.mjs';
import { Upstream } from './lib/upstream.mjs';
import { defaultScript } from './lib/upstream_session.mjs';

async function start(t, { tools, settings, script }) {
    const up = await Upstream.start(t, { paceMs: 1, ...script && { script } });
    const stack = await startStack(t, {
        policy: `voice_model gpt-realtime; voice_tools ${tools.join(' ')};
            voice_http_tools ${tools.join(' ')};`,
        voiced: up.voiced({ env: { AGENTS_KEY: agentsKey },
            settings: { warm: { links: 0 }, ...settings } }) });
    const open = async () => {
        const client = await stack.connect(t);
        await client.next('session.created');
        const conn = await up.nextConnection();
        await client.update({ output_modalities: ['text'] });
        return { client, conn };
    };
    return { stack, open };
}

async function startDispatching(t) {
    const agents = await startAgents(t);
    const env = await start(t, { tools: ['dispatch', 'cancel_current_task'],
        settings: { tools: { delegate_url: agents.url, delegate_key_env: 'AGENTS_KEY' } } });
    return { ...env, agents };
}

const itemsOf = ({ session }, type) => session.items.map(({ item }) => item)
    .filter((item) => item.type === type);
const callsOf = (conn) => itemsOf(conn, 'function_call');
const outputsOf = (conn) => itemsOf(conn, 'function_call_output');

function ask(client, text) {
    client.sayText(text);
    client.send({ type: 'response.create' });
}

// Each call has one output, and nothing of the late one is the first one's.
function assertPaired(conn) {
    const ids = callsOf(conn).map((item) => item.call_id);
    assert.deepEqual(outputsOf(conn).map((item) => item.call_id), ids);
    assert.equal(new Set(ids).size, ids.length);
    assert.deepEqual(conn.session.errors, []);
}

function assertHidden(client) {
    assert.doesNotMatch(JSON.stringify(client.events), /function_call|result_of/);
}

const dispatch = (order) => `call dispatch ${JSON.stringify({ instruction: order })}`;
const lastSaid = ({ session }) => session.items.findLast(({ item }) =>
    item.role === 'assistant')?.item.content[0]?.text ?? '';

test('R3.3 what is dispatched is acknowledged, and its result told as something new', async (t) => {
    const { agents, open } = await startDispatching(t);
    const { client, conn } = await open();
    ask(client, dispatch('wait 1500'));
    await until(() => outputsOf(conn).length === 1, 'the first word');
    assert.ok(!agents.seen().includes('waited'));
    assert.doesNotMatch(outputsOf(conn)[0].output, /waited/);
    await until(() => !conn.session.active && /^The result is/.test(lastSaid(conn)), 'its telling');
    ask(client, 'are you there');
    await until(() => /You said: are you there/.test(lastSaid(conn)), 'a turn meanwhile');
    assert.equal(outputsOf(conn).length, 1);
    await until(() => outputsOf(conn).length === 2, 'the result');
    assert.match(outputsOf(conn)[1].output, /waited/);
    assert.equal(JSON.parse(callsOf(conn)[1].arguments).result_of, callsOf(conn)[0].call_id);
    await until(() => !conn.session.active && /The result is.*waited/.test(lastSaid(conn)),
        'the telling of it');
    assertPaired(conn);
    assert.equal(conn.events.filter(({ type }) => type === 'response.create').length, 4,
        'two asked for, one for each output');
    assertHidden(client);
});

test('R3.3 its result comes into no turn of the user', async (t) => {
    const { open } = await startDispatching(t);
    const { client, conn } = await open();
    ask(client, dispatch('wait 700'));
    await until(() => !conn.session.active && /^The result is/.test(lastSaid(conn)), 'the word');
    client.send({ type: 'input_audio_buffer.append', audio: 'A'.repeat(12800) });
    await until(() => conn.session.appendedBytes > 0, 'sound');
    conn.session.speechStarted();
    await sleep(1500);
    assert.equal(outputsOf(conn).length, 1, 'somebody speaks');
    conn.session.speechStopped('a turn of mine');
    await until(() => /The result is.*waited/.test(lastSaid(conn)), 'the result');
    assertPaired(conn);
    const items = conn.session.items.map(({ item }) => item);
    const answered = items.findIndex((item) => item.role === 'assistant'
        && /You said: a turn of mine/.test(item.content[0].text));
    assert.ok(answered > 0 && answered < items.indexOf(callsOf(conn)[1]), 'the turn comes first');
});

test('R3.5 the model cancels what it dispatched', async (t) => {
    const { agents, open, stack } = await startDispatching(t);
    const { client, conn } = await open();
    const other = await open();
    for (const { client: one, conn: its } of [{ client, conn }, other]) {
        ask(one, dispatch('wait 60000'));
        await until(() => outputsOf(its).length === 1 && !its.session.active, 'the first word');
    }
    await until(() => agents.seen().filter((line) => line === 'execute wait 60000').length === 2,
        'both at work');
    ask(client, 'call cancel_current_task {"immediate":true}');
    await until(() => callsOf(conn).some(({ name }) => name === 'cancel_current_task')
        && outputsOf(conn).some(({ output }) => /"cancelled":true/.test(output)), 'its answer');
    await until(() => agents.seen().filter((line) => line === 'cancel true').length === 1,
        'the agent to be told');
    await until(() => callsOf(conn).length === outputsOf(conn).length
        && !conn.session.active, 'an end');
    assertPaired(conn);
    const { running_tools: left } = (await stack.request('/v1/cancel/status')).json;
    assert.deepEqual(left, ['dispatch'], 'that of another session goes on');
    await other.client.close();
    await until(async () => (await stack.request('/v1/cancel/status')).json
        .running_tools.length === 0, 'its end with its session');
});

test('R3.5 sessions are cancelled by their own tenant', async (t) => {
    const agents = await startAgents(t);
    const up = await Upstream.start(t, { paceMs: 1 });
    const stack = await startStack(t, {
        policy: 'voice_model gpt-realtime; voice_tools dispatch;',
        voiced: up.voiced({ auth: 'keys', keys: ['ours'], env: { AGENTS_KEY: agentsKey },
            settings: { warm: { links: 0 },
                tools: { delegate_url: agents.url, delegate_key_env: 'AGENTS_KEY' } } }) });
    const theirs = await stack.voiced.addKey('theirs', '--tenant', 'them');
    const cancel = async (key, body) => (await stack.request('/v1/cancel', { method: 'POST',
        body: JSON.stringify({ immediate: true, ...body }), headers: {
            authorization: `Bearer ${key}`, 'content-type': 'application/json' } })).json;
    const client = await stack.connect(t, { key: stack.voiced.keys.ours });
    await client.next('session.created');
    const conn = await up.nextConnection();
    await client.update({ output_modalities: ['text'] });
    ask(client, dispatch('wait 60000'));
    await until(() => agents.seen().includes('execute wait 60000'), 'the order');
    await until(async () => (await cancel(theirs, {})).error === undefined, 'the new key');
    for (const body of [{}, { session_id: client.sessionId }]) {
        assert.deepEqual(await cancel(theirs, body), { cancelled: false, level: 'immediate',
            running_tools: [], was_already_cancelled: false });
    }
    assert.ok(!agents.seen().includes('cancel true'));
    assert.equal((await cancel(stack.voiced.keys.ours, { session_id: 'sess_none' })).cancelled,
        false);
    assert.deepEqual((await cancel(stack.voiced.keys.ours, { session_id: client.sessionId }))
        .running_tools, ['dispatch']);
    await until(() => agents.seen().includes('cancel true'), 'the agent to be told');
    await until(() => callsOf(conn).length === outputsOf(conn).length && !conn.session.active,
        'an end');
    assertPaired(conn);
});

test('R3.5 a call that takes long is spoken of', async (t) => {
    const tool = 'mcp_every_trigger-long-running-operation';
    const { open, stack } = await start(t, { tools: [tool],
        settings: { tool_server: { every: { command: everythingCommand } } },
        script: (asked) => asked.text === 'begin' && asked.input.at(-1)?.role === 'user'
            ? [{ call: { name: tool, arguments: '{"duration":9,"steps":9}' } }]
            : defaultScript(asked) });
    await until(async () => (await stack.request('/v1/tools')).json.count === 1, 'the tool');
    const { client, conn } = await open();
    ask(client, 'begin');
    const told = () => conn.events.filter(({ type, response }) => type === 'response.create'
        && response?.instructions);
    await until(() => told().length > 0, 'progress', 30000);
    assert.equal(outputsOf(conn).length, 0, 'it still runs');
    assert.match(told()[0].response.instructions, /\d.*9/);
    assert.equal(told()[0].response.tool_choice, 'none');
    await until(() => outputsOf(conn).length === 1 && !conn.session.active, 'its end', 30000);
    assertPaired(conn);
    assertHidden(client);
});

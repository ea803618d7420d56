// SPDX-License-Identifier: BSD-2-Clause
//
// The server's tools in a session whose user, model and connections do as they
// like: each call of the model has one output and no second, nothing is stuck,
// and nobody else hears of it. Against a scripted upstream, which shows what it
// was told.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import test from 'node:test';
import { count, patience } from './lib/paths.mjs';
import { defer, sleep, until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';
import { Upstream } from './lib/upstream.mjs';

const TOOL = 'http_slow_wait';

// GET /tools, POST /execute/wait: answers after so many ms; counts the calls
// that it was asked for and those whose asker hung up.
async function startToolServer(t) {
    const seen = { asked: 0, left: 0 };
    const server = createServer(async (request, response) => {
        let body = '';
        for await (const chunk of request) {
            body += chunk;
        }
        response.setHeader('content-type', 'application/json');
        if (request.url === '/tools') {
            response.end(JSON.stringify({ count: 1, tools: [{ type: 'function', name: 'wait',
                description: 'Waits', parameters: { type: 'object',
                    properties: { ms: { type: 'integer' }, id: { type: 'string' } } } }] }));
            return;
        }
        seen.asked++;
        const { ms = 0 } = JSON.parse(body || '{}');
        response.on('close', () => { seen.left += !response.writableFinished; });
        await sleep(ms);
        response.end(JSON.stringify({ success: true, output: { waited: ms } }));
    });
    await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
    defer(t, () => { server.closeAllConnections(); server.close(); });
    return { seen, url: `http://127.0.0.1:${server.address().port}` };
}

async function start(t, { instances = 1, ...options } = {}) {
    const up = await Upstream.start(t, options);
    const tools = await startToolServer(t);
    const voiced = up.voiced({ settings: { warm: { links: 0 },
        tool_server: { slow: { http: tools.url } } } });
    const stack = await startStack(t, { policy: 'voice_model gpt-realtime;\nvoice_tools all;',
        voiced });
    await until(async () => {
        const { text } = await stack.request('/health');
        return JSON.parse(text).tools_count !== 0;
    }, 'the tool server');
    return { up, stack, tools };
}

async function open(t, { up, stack }) {
    const client = await stack.connect(t);
    await client.next('session.created');
    const conn = await up.nextConnection();
    await client.update({ output_modalities: ['text'] });
    return { client, conn };
}

const itemsOf = (session, type) => session.items.map(({ item }) => item)
    .filter((item) => item.type === type);

// One output for each call that the conversation has, in what the last
// upstream knows of it.
function assertAnswered(session, where) {
    const outputs = itemsOf(session, 'function_call_output').map((item) => item.call_id);
    const calls = itemsOf(session, 'function_call').map((item) => item.call_id);
    assert.deepEqual(outputs.toSorted(), calls.toSorted(), where);
    assert.equal(new Set(outputs).size, outputs.length, where);
}

const isAnswered = (session) => itemsOf(session, 'function_call')
    .every(({ call_id: id }) => itemsOf(session, 'function_call_output')
        .some((item) => item.call_id === id));

const wait = (ms, id = '') => `call ${TOOL} {"ms":${ms},"id":"${id}"}`;

function ask(client, text) {
    client.sayText(text);
    client.send({ type: 'response.create' });
}

// The next response whose text matches.
async function hear(client, pattern) {
    for (;;) {
        const { response } = await client.next('response.done');
        if (pattern.test(client.spoken(response.id).text)) {
            return response;
        }
    }
}

test('R3.3 calls of one response run together and are told in their order', async (t) => {
    const env = await start(t);
    const { client, conn } = await open(t, env);
    ask(client, [wait(600, 'a'), wait(300, 'b'), wait(1, 'c')].join(' and '));
    const from = Date.now();
    await hear(client, /The result is/);
    assert.ok(Date.now() - from < patience(1500), 'together');
    const outputs = itemsOf(conn.session, 'function_call_output');
    assert.deepEqual(outputs.map(({ output }) => JSON.parse(output).waited), [600, 300, 1]);
    assertAnswered(conn.session);
    assert.equal(conn.events.filter(({ type }) => type === 'response.create').length, 2);
    assert.deepEqual(conn.session.errors, []);
});

test('a turn while a tool runs is served, and the result is told after it', async (t) => {
    const env = await start(t);
    const { client, conn } = await open(t, env);
    ask(client, wait(1500));
    await client.next('response.done');
    await until(() => env.tools.seen.asked === 1, 'the call');
    ask(client, 'are you there');
    await hear(client, /You said: are you there/);
    assert.ok(!isAnswered(conn.session), 'the tool still runs');
    await hear(client, /The result is/);
    assertAnswered(conn.session);
});

test('R3.5 a response that is cancelled cancels its calls', async (t) => {
    const env = await start(t);
    const { client, conn } = await open(t, env);
    ask(client, wait(30000));
    await client.next('response.done');
    await until(() => env.tools.seen.asked === 1, 'the call');
    client.send({ type: 'response.cancel' });
    await until(() => isAnswered(conn.session), 'the output');
    await until(() => env.tools.seen.left === 1, 'the hang-up');
    assertAnswered(conn.session);
    assert.match(itemsOf(conn.session, 'function_call_output')[0].output, /"cancelled"/);
    ask(client, 'hello again');
    await hear(client, /hello again/);
    assert.equal(conn.events.filter(({ type }) => type === 'response.create').length, 2);
});

test('the end of a session ends its calls', async (t) => {
    const env = await start(t);
    const { client } = await open(t, env);
    ask(client, wait(30000));
    await until(() => env.tools.seen.asked === 1, 'the call');
    await client.close();
    await until(() => env.tools.seen.left === 1, 'the hang-up');
});

test('an upstream that is lost under a call', async (t) => {
    const env = await start(t);
    const { client, conn } = await open(t, env);
    ask(client, wait(700));
    await client.next('response.done');
    conn.kill();
    const next = await env.up.nextConnection();
    await hear(client, /The result is/);
    assertAnswered(next.session);
});

// --- whatever happens

const pick = (list) => list[Math.floor(Math.random() * list.length)];

const INTERRUPTIONS = {
    cancel: ({ client }) => client.send({ type: 'response.cancel' }),
    'another turn': ({ client }) => ask(client, 'something else'),
    'another call': ({ client }) => ask(client, wait(20)),
    speech: async ({ client, state }) => {
        client.send({ type: 'input_audio_buffer.append', audio: 'A'.repeat(12800) });
        const { session } = state.conn;
        session.speechStarted();
        await sleep(Math.random() * 60);
        session.speechStopped('what was that');
    },
    'a cough': ({ state }) => state.conn.session.speechStarted(),
    'a lost upstream': async ({ up, state }) => {
        state.conn.kill();
        state.conn = await up.nextConnection();
    },
    'a forged output': ({ client, state }) => {
        const call = itemsOf(state.conn.session, 'function_call').at(-1);
        client.send({ type: 'conversation.item.create', item: { type: 'function_call_output',
            call_id: call?.call_id ?? 'call_none', output: 'forged' } });
    },
    nothing: () => {},
};

test('R3.3 interrupted at any moment: one output a call, and no stuck session', async (t) => {
    const env = await start(t, { paceMs: 5 });
    for (let i = 0; i < count(20, 200); i++) {
        const what = [];
        const { client, conn } = await open(t, env);
        const state = { ...env, client, state: { conn } };
        ask(client, Array.from({ length: 1 + i % 3 },
            () => wait(Math.floor(Math.random() * 120))).join(' '));
        for (let n = 0; n < 1 + i % 4; n++) {
            await sleep(Math.random() * 100);
            const name = pick(Object.keys(INTERRUPTIONS));
            what.push(name);
            await INTERRUPTIONS[name](state);
        }
        const where = `run ${i}: ${what.join(', ')}`;
        state.state.conn.session.speechStopped('and now');
        await until(() => !state.state.conn.session.active
            && isAnswered(state.state.conn.session), where);
        ask(client, `are you there ${i}`);
        await hear(client, new RegExp(`there ${i}`));
        await until(() => isAnswered(state.state.conn.session), where);
        await sleep(20);
        assertAnswered(state.state.conn.session, where);
        assert.ok(!itemsOf(state.state.conn.session, 'function_call_output')
            .some(({ output }) => output === 'forged'), where);
        await client.close();
    }
});

// --- others

test('R1.3 while a tool of 5 s runs, nobody else waits', async (t) => {
    const say = { say: 'Once upon a time.', audioMs: 6000, paceMs: 20 };
    const sent = [];
    const env = await start(t, { deltaMs: 20, script: ({ input, text }) => {
        if (input.at(-1)?.type === 'function_call_output') {
            return [{ say: 'The result is there.' }];
        }
        return text.startsWith('call') ? [{ call: { name: TOOL, arguments: '{"ms":5000}' } }]
            : [{ ...say, onDelta: () => sent.push(performance.now()) }];
    } });
    const { client: busy } = await open(t, env);
    const other = await env.stack.connect(t);
    const heard = [];
    other.socket.on('message', (data) => {
        if (data.includes('response.output_audio.delta')) {
            heard.push(performance.now());
        }
    });
    await other.next('session.created');
    ask(other, 'a story');
    await other.next('response.output_audio.delta');
    ask(busy, 'call it');
    await until(() => env.tools.seen.asked === 1, 'the call');
    await hear(busy, /The result is there/);
    const { response } = await other.next('response.done', undefined, { timeoutMs: 60000 });
    assert.equal(response.status, 'completed');
    const late = heard.map((at, i) => at - sent[i]).toSorted((a, b) => a - b);
    assert.equal(heard.length, sent.length);
    assert.ok(late.at(-1) < patience(40), `the latest came ${late.at(-1)} ms late`);
});

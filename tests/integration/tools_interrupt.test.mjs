// SPDX-License-Identifier: BSD-2-Clause
//
// The server's tools in a session whose user, model and connections do as they
// like: each call of the model has one output and no second, nothing is stuck,
// and nobody else hears of it. Against a scripted upstream, which shows what it
// was told.

import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync }
    from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { Client } from './lib/client.mjs';
import { count, patience } from './lib/paths.mjs';
import { defer, sleep, until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';
import { Upstream } from './lib/upstream.mjs';

// Commands are not run as root, but as the owner of the directory.
function makeRoot(t) {
    const place = mkdtempSync(join(tmpdir(), 'voice-root-'));
    const root = join(place, 'root');
    chmodSync(place, 0o755);
    mkdirSync(root);
    if (process.getuid() === 0) {
        chownSync(root, 65534, 65534);
    }
    defer(t, () => rmSync(place, { recursive: true, force: true }));
    return root;
}

// The tool is bash, which says in a file that it runs.
async function start(t, options) {
    const up = await Upstream.start(t, options);
    const root = makeRoot(t);
    const stack = await startStack(t, {
        policy: 'voice_model gpt-realtime;\nvoice_tools bash;',
        voiced: up.voiced({ settings: { warm: { links: 0 }, tools: { root, bash: 'yes' } } }) });
    const log = () => readdirSync(root).includes('log')
        ? readFileSync(join(root, 'log'), 'utf8') : '';
    return { up, stack, log, runs: () => log().replace(/[^a-z]/g, '').length };
}

// A letter at the beginning, the same as a capital at the end.
const command = (ms, id = 'x') => ({ command: `printf ${id} >> log; ` +
    `sleep ${(ms / 1000).toFixed(3)}; printf ${id.toUpperCase()} >> log; echo ran ${id}` });
const wait = (ms, id) => `call bash ${JSON.stringify(command(ms, id))}`;

// Whether a process sleeps for so long: a time that no other test has.
function isAsleep(ms) {
    const wanted = `sleep\0${(ms / 1000).toFixed(3)}\0`;
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).some((pid) => {
        try {
            return readFileSync(`/proc/${pid}/cmdline`, 'utf8') === wanted;
        } catch {
            return false;
        }
    });
}

async function open(t, { up, stack }, modality = 'text') {
    const client = await stack.connect(t);
    await client.next('session.created');
    const conn = await up.nextConnection();
    await client.update({ output_modalities: [modality] });
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

function ask(client, text) {
    client.sayText(text);
    client.send({ type: 'response.create' });
}

// The next response whose text matches.
async function hear(client, pattern) {
    for (;;) {
        const { response } = await client.next('response.done');
        const { text, transcript } = client.spoken(response.id);
        if (pattern.test(text + transcript)) {
            return response;
        }
    }
}

test('R3.3 calls of one response run together and are told in their order', async (t) => {
    const env = await start(t);
    const { client, conn } = await open(t, env);
    ask(client, [wait(2000, 'a'), wait(1000, 'b'), wait(1, 'c')].join(' and '));
    await hear(client, /The result is/);
    assert.match(env.log(), /c.*A/, 'the last began before the first ended');
    assert.match(env.log(), /C.*A/, 'and ended before it');
    const outputs = itemsOf(conn.session, 'function_call_output');
    assert.deepEqual(outputs.map(({ output }) => JSON.parse(output).stdout),
        ['ran a\n', 'ran b\n', 'ran c\n']);
    assertAnswered(conn.session);
    assert.equal(conn.events.filter(({ type }) => type === 'response.create').length, 2);
    assert.deepEqual(conn.session.errors, []);
});

test('a turn while a tool runs is served, and the result is told after it', async (t) => {
    const env = await start(t);
    const { client, conn } = await open(t, env);
    ask(client, wait(1500));
    await client.next('response.done');
    await until(() => env.runs() === 1, 'the call');
    ask(client, 'are you there');
    await hear(client, /You said: are you there/);
    assert.ok(!isAnswered(conn.session), 'the tool still runs');
    await hear(client, /The result is/);
    assertAnswered(conn.session);
});

test('R1.3 a spoken turn and a barge-in while a tool runs', async (t) => {
    const env = await start(t, { paceMs: 20 });
    const { client, conn } = await open(t, env, 'audio');
    ask(client, wait(3000));
    await client.next('response.done');
    await until(() => env.runs() === 1, 'the call');
    client.send({ type: 'input_audio_buffer.append', audio: 'A'.repeat(64000) });
    conn.session.hear('tell me a story');
    await client.next('response.output_audio.delta');
    conn.session.speechStarted();
    const { response } = await client.next('response.done');
    assert.equal(response.status, 'cancelled');
    conn.session.speechStopped('are you there');
    await hear(client, /You said: are you there/);
    assert.ok(!isAnswered(conn.session), 'the tool still runs');
    await hear(client, /The result is/);
    assertAnswered(conn.session);
    assert.deepEqual(client.events.filter(({ type }) => type === 'error'), []);
});

test('R3.5 a response that is cancelled cancels its calls', async (t) => {
    const env = await start(t);
    const { client, conn } = await open(t, env);
    ask(client, wait(30141));
    await client.next('response.done');
    await until(() => isAsleep(30141), 'the call');
    client.send({ type: 'response.cancel' });
    await until(() => isAnswered(conn.session), 'the output');
    await until(() => !isAsleep(30141), 'its end');
    assertAnswered(conn.session);
    assert.match(itemsOf(conn.session, 'function_call_output')[0].output, /"cancelled"/);
    ask(client, 'hello again');
    await hear(client, /hello again/);
    assert.equal(conn.events.filter(({ type }) => type === 'response.create').length, 2);
});

test('the end of a session ends its calls', async (t) => {
    const env = await start(t);
    const { client } = await open(t, env);
    ask(client, wait(30142));
    await until(() => isAsleep(30142), 'the call');
    await client.close();
    await until(() => !isAsleep(30142), 'its end');
});

for (const [when, away] of [['while it still runs', 0], ['when it has ended', 1500]]) {
    test(`R1.3 a client that is lost under a call and comes back ${when}`, async (t) => {
        const env = await start(t);
        const first = await env.stack.connect(t,
            { path: '/v1/realtime?model=gpt-realtime&resume=new' });
        await first.next('session.created');
        const conn = await env.up.nextConnection();
        await first.update({ output_modalities: ['text'] });
        ask(first, wait(1200));
        await first.next('response.done');
        await until(() => env.runs() === 1, 'the call');
        const token = first.responseHeaders['x-voice-resume'];
        const cut = new Promise((done) => first.socket.once('close', done));
        first.socket.terminate();
        await cut;
        await sleep(away);
        first.closed = null;
        const next = new Client({ port: env.stack.nginx.port,
            path: `/v1/realtime?resume=${token}&after=${first.events.at(-1).event_id}` });
        next.receive = (event) => first.receive(event);
        next.socket.on('close', (code, reason) => first.end(code, reason.toString()));
        await next.opened;
        await hear(first, /The result is/);
        assert.equal(env.log(), 'xX', 'it ran once, to its end');
        assertAnswered(conn.session);
        assert.deepEqual(conn.session.errors, []);
        next.socket.close(1000);
        await first.waitClosed();
        assert.doesNotMatch(JSON.stringify(first.events), /function_call/);
        assert.deepEqual(first.events.filter(({ type }) => type === 'error'), []);
    });
}

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
    'a lost upstream': async ({ up, stack, client, state }) => {
        state.conn.kill();
        state.conn = await up.nextConnection();
        await until(async () => { // it hears nothing before
            const { sessions } = JSON.parse((await stack.request('/v1/sessions/live')).text);
            return sessions.find(({ id }) => id === client.sessionId)?.upstream === 'ready';
        }, 'another upstream');
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

// How late the audio of a session comes, at worst, while another one's tool
// runs; the upstream that sends it is in this process.
async function latest(t) {
    const sent = [];
    const heard = [];
    const env = await start(t, { deltaMs: 20, script: ({ input, text }) => {
        if (input.at(-1)?.type === 'function_call_output') {
            return [{ say: 'The result is there.' }];
        }
        return text.startsWith('call') ? [{ call: { name: 'bash', arguments: command(5000) } }]
            : [{ say: 'Once upon a time.', audioMs: 6000, paceMs: 20,
                onDelta: () => sent.push(performance.now()) }];
    } });
    const { client: busy } = await open(t, env);
    const other = await env.stack.connect(t);
    other.socket.on('message', (data) => {
        if (data.includes('response.output_audio.delta')) {
            heard.push(performance.now());
        }
    });
    await other.next('session.created');
    ask(other, 'a story');
    await other.next('response.output_audio.delta');
    ask(busy, 'call it');
    await until(() => env.runs() === 1, 'the call');
    await hear(busy, /The result is there/);
    const { response } = await other.next('response.done', undefined, { timeoutMs: 60000 });
    assert.equal(response.status, 'completed');
    assert.equal(heard.length, sent.length);
    return Math.max(...heard.map((at, i) => at - sent[i]));
}

// A busy machine is late by itself, a tool that is in the way always.
test('R1.3 while a tool of 5 s runs, nobody else waits', async (t) => {
    const late = [];
    do {
        late.push(await latest(t));
    } while (late.at(-1) > 40 && late.length < 4);
    t.diagnostic(`late by ${late.map((ms) => ms.toFixed(1)).join(', ')} ms`);
    assert.ok(late.at(-1) <= patience(40), `late by ${late} ms`);
});

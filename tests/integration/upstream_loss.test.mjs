// SPDX-License-Identifier: BSD-2-Clause
//
// The upstream is lost, or its time runs out, wherever a conversation is: the
// client's socket and ids stay, another upstream is told the conversation in
// its order, no tool call is answered twice and none is lost.

import assert from 'node:assert/strict';
import test from 'node:test';
import { count } from './lib/paths.mjs';
import { sleep, until } from './lib/process.mjs';
import { Upstream } from './lib/upstream.mjs';
import { startStack } from './lib/stack.mjs';
import { silence, toBase64 } from './lib/wav.mjs';

const POLICY = 'voice_model gpt-realtime m;\n';
const tools = [{ type: 'function', name: 'look_up', description: 'd',
    parameters: { type: 'object', properties: {} } }];

// "call 3" asks for three calls with long arguments; all else is told back at
// length, so that there is a middle of it.
function script({ input, text }) {
    const last = input.at(-1);
    if (last?.type === 'function_call_output') {
        return [{ say: `The result is ${last.output}.`, audioMs: 400 }];
    }
    const calls = /\bcall (\d)/.exec(text);
    if (calls) {
        return Array.from({ length: Number(calls[1]) }, () => ({ call: { name: 'look_up',
            arguments: JSON.stringify({ question: 'q'.repeat(120) }) } }));
    }
    return [{ say: `You said: ${text || 'something'}. `.repeat(6).trim(), audioMs: 2000 }];
}

async function start(t, { upstream = {}, ...options } = {}) {
    const up = await Upstream.start(t, { script, ...options });
    const stack = await startStack(t, { policy: POLICY, voiced: up.voiced({ upstream,
        settings: { warm: { links: 0 } } }) });
    return { up, stack };
}

// A client and the upstream that it talks to, over all changes of it.
class Talk {
    answered = new Map(); // call_id → how many outputs were sent
    #heard = 0;           // events up to which calls were looked for

    static async open(t, { up, stack }) {
        const talk = new Talk();
        talk.up = up;
        talk.client = await stack.connect(t, { path: '/v1/realtime?model=m' });
        talk.session = (await talk.client.next('session.created')).session;
        talk.conn = await up.nextConnection();
        await talk.client.update({ tools, instructions: 'Be brief.',
            audio: { input: { transcription: { model: 'whisper-1' } } } });
        return talk;
    }

    // The link is cut; the next one is there, and has the conversation.
    async cut(fault = (conn) => conn.kill()) {
        fault(this.conn);
        await this.follow();
    }

    async follow() {
        this.conn = await this.up.nextConnection();
        const update = await this.conn.next('session.update');
        assert.equal(update.session.instructions, 'Be brief.');
        assert.deepEqual(update.session.tools, tools);
    }

    // Ids of the conversation as the client was told of it.
    get view() {
        const ids = [];
        for (const event of this.client.events) {
            if (event.type === 'conversation.item.added') {
                ids.splice(ids.indexOf(event.previous_item_id) + 1, 0, event.item.id);
            } else if (event.type === 'conversation.item.deleted') {
                ids.splice(ids.indexOf(event.item_id), 1);
            }
        }
        return ids;
    }

    get items() {
        return this.conn.session.items.map(({ item }) => item);
    }

    // Calls that came whole since the last look.
    newCalls() {
        const calls = this.client.events.slice(this.#heard)
            .filter(({ type, item }) => type === 'response.output_item.done' &&
                item.type === 'function_call' && item.status === 'completed')
            .map(({ item }) => item.call_id);
        this.#heard = this.client.events.length;
        return calls;
    }

    answer(calls) {
        for (const callId of calls) {
            this.answered.set(callId, (this.answered.get(callId) ?? 0) + 1);
            this.client.send({ type: 'conversation.item.create', item: {
                type: 'function_call_output', call_id: callId, output: '42' } });
        }
        this.client.send({ type: 'response.create' });
    }

    // As clients do: outputs after the response, and then the next one; until
    // a response has neither been broken off nor called anything.
    async settle() {
        for (;;) {
            const done = await this.client.responseDone();
            const calls = this.newCalls();
            if (calls.length > 0) {
                this.answer(calls);
            } else if (done.status === 'completed') {
                return done;
            }
        }
    }

    async say(text) {
        this.client.sayText(text);
        this.client.send({ type: 'response.create' });
    }

    async turn(text) {
        await this.say(text);
        return this.settle();
    }

    // What must hold whenever nothing is under way.
    async check() {
        assert.equal(this.client.closed, null);
        const retrieved = this.view.at(-1);
        this.client.send({ type: 'conversation.item.retrieve', item_id: retrieved });
        await this.client.next('conversation.item.retrieved');
        assert.deepEqual(this.items.map(({ id }) => id), this.view);
        const outputs = this.items.filter(({ type }) => type === 'function_call_output')
            .map((item) => item.call_id);
        const calls = this.items.filter(({ type }) => type === 'function_call')
            .map((item) => item.call_id);
        assert.deepEqual([...outputs].sort(), [...this.answered.keys()].sort());
        assert.deepEqual([...calls].sort(), [...this.answered.keys()].sort());
        assert.ok([...this.answered.values()].every((n) => n === 1));
        assert.deepEqual(this.client.events.filter(({ type }) => type === 'error'), []);
        const session = await this.client.update({});
        assert.equal(session.id, this.session.id);
    }
}

const words = (talk) => talk.items.flatMap(({ content }) => content ?? [])
    .map((part) => part.text ?? part.transcript ?? '').join('\n');

test('R1.1 an upstream lost in mid-sentence: the client hears a pause', async (t) => {
    const env = await start(t);
    const talk = await Talk.open(t, env);
    const { client } = talk;

    await talk.turn('first');
    for (let i = 0; i < count(10, 100); i++) {
        await talk.say(`turn ${i}`);
        for (let n = 0; n <= i % 7; n++) {
            await client.next('response.output_audio.delta');
        }
        await talk.cut(i % 2 ? (conn) => conn.kill({ reset: true }) : undefined);
        const broken = await client.responseDone();
        assert.equal(broken.status, 'cancelled');
        assert.equal(broken.output[0].status, 'incomplete');
        const done = await talk.settle();
        assert.match(done.output[0].content[0].transcript, new RegExp(`turn ${i}`));
    }
    await talk.check();
    assert.match(words(talk), /first\n.*You said: first[^]*turn 0/);
    assert.equal((await client.close()).code, 1000);
});

test('R1.1 an upstream lost among tool calls: each is answered once', async (t) => {
    const env = await start(t);

    // The event of the client after which the link is cut.
    const places = [
        ['before anything is said', 'conversation.item.done', ({ item }) => item.role === 'user'],
        ['at the response', 'response.created'],
        ['at the call', 'response.output_item.added'],
        ['in the arguments', 'response.function_call_arguments.delta'],
        ['in the second call', 'response.function_call_arguments.delta',
            ({ output_index: index }) => index === 1],
        ['after the arguments', 'response.function_call_arguments.done'],
        ['after the call', 'response.output_item.done'],
        ['after the second call', 'response.output_item.done',
            ({ output_index: index }) => index === 1],
        ['after the response', 'response.done'],
    ];
    for (const [name, type, pred] of places) {
        await t.test(name, async (t) => {
            for (let i = 0; i < count(1, 12); i++) {
                const talk = await Talk.open(t, env);
                await talk.turn('hello');
                await talk.say('call 2');
                await talk.client.next(type, pred);
                talk.conn.kill();
                if (type === 'response.done') {
                    talk.answer(talk.newCalls());
                }
                await talk.settle();
                await talk.follow();
                await talk.check();
                await talk.client.close();
            }
        });
    }

    await t.test('between the outputs and their answer', async (t) => {
        for (let i = 0; i < count(3, 12); i++) {
            const talk = await Talk.open(t, env);
            await talk.say('call 3');
            await talk.client.responseDone();
            talk.answer(talk.newCalls());
            const acks = i % 4; // outputs that the first upstream took
            for (let n = 0; n < acks; n++) {
                await talk.client.next('conversation.item.added',
                    ({ item }) => item.type === 'function_call_output');
            }
            talk.conn.kill();
            assert.match((await talk.settle()).output[0].content[0].transcript, /result is 42/);
            await talk.follow();
            await talk.check();
            await talk.client.close();
        }
    });
});

test('R1.1 an upstream lost while the user speaks: nothing said is lost', async (t) => {
    const env = await start(t);

    for (let i = 0; i < count(2, 20); i++) {
        const talk = await Talk.open(t, env);
        const { client } = talk;
        const append = () => client.send({ type: 'input_audio_buffer.append',
            audio: toBase64(silence(100)) });

        await talk.turn('hello');
        append();
        await talk.conn.next('input_audio_buffer.append');
        talk.conn.session.speechStarted();
        await client.next('input_audio_buffer.speech_started');
        for (let n = 0; n < 5; n++) {
            append();
        }
        await until(() => talk.conn.session.totalBytes >= 6 * 4800, 'the audio');
        talk.conn.kill();
        for (let n = 0; n < 5; n++) {
            append();
        }
        await talk.follow();
        await until(() => talk.conn.session.totalBytes >= 11 * 4800, 'the audio again');
        assert.equal(talk.conn.session.totalBytes, 11 * 4800);
        talk.conn.session.hear('what time is it');
        assert.match((await talk.settle()).output[0].content[0].transcript, /what time is it/);
        await talk.check();
        await client.close();
    }
});

test('R1.1 an upstream lost right after the commit: the turn is answered', async (t) => {
    const env = await start(t);

    for (const [name, byHand] of [['by silence', false], ['by hand', true]]) {
        await t.test(name, async (t) => {
            for (let i = 0; i < count(2, 20); i++) {
                const talk = await Talk.open(t, env);
                const { client, conn } = talk;
                if (byHand) {
                    await client.update({ audio: { input: { turn_detection: null } } });
                } else {
                    conn.session.speechStarted();
                }
                client.send({ type: 'input_audio_buffer.append', audio: toBase64(silence(500)) });
                await conn.next('input_audio_buffer.append');
                if (byHand) {
                    // The model has said nothing yet.
                    conn.session.take = () => {};
                    client.send({ type: 'input_audio_buffer.commit' });
                    client.send({ type: 'response.create' });
                    await conn.next('response.create');
                } else {
                    conn.session.session.audio.input.transcription = null;
                    conn.session.commit(`item_turn${i}`, 'x');
                    await client.next('input_audio_buffer.committed');
                }
                await talk.cut();
                const done = await talk.settle();
                assert.equal(done.status, 'completed');
                const [item] = talk.items;
                assert.equal(item.content[0].type, 'input_audio');
                if (!byHand) {
                    assert.equal(item.id, `item_turn${i}`);
                    assert.equal(Buffer.from(item.content[0].audio, 'base64').length, 500 * 48);
                }
                await talk.check();
                await client.close();
            }
        });
    }
});

test('R1.1 an upstream lost with settings on their way: they come into force', async (t) => {
    const env = await start(t);

    for (let i = 0; i < count(2, 20); i++) {
        const talk = await Talk.open(t, env);
        const { client, conn } = talk;
        conn.session.take = () => {};
        client.send({ type: 'session.update', event_id: 'mine', session: { type: 'realtime',
            audio: { output: { voice: 'cedar' } } } });
        client.sayText('hello');
        await conn.next('conversation.item.create');
        await talk.cut();
        const { session } = await client.next('session.updated');
        assert.equal(session.audio.output.voice, 'cedar');
        assert.equal(session.id, talk.session.id);
        await client.next('conversation.item.added');
        assert.match((await client.respond()).output[0].content[0].transcript, /hello/);
        await talk.check();
        await client.close();
    }
});

test('R1.1 an upstream is left before its time is over', async (t) => {
    await t.test('in a pause', async (t) => {
        const env = await start(t, { upstream: { max_session: '3s' } });
        const talk = await Talk.open(t, env);
        const old = talk.conn;

        await talk.turn('call 1');
        await talk.follow();
        await old.waitClosed();
        assert.equal(await until(() => talk.items.length === 4 && 'all', 'the items'), 'all');
        await talk.turn('again');
        await talk.check();
        assert.equal(talk.client.types().filter((type) => type === 'response.done').length, 3);
        await talk.client.close();
    });

    await t.test('in mid-sentence, when no pause comes', async (t) => {
        const env = await start(t, { upstream: { max_session: '3s' },
            script: ({ text }) => [{ say: `You said: ${text}. `.repeat(40), audioMs: 20000 }],
            paceMs: 20 });
        const talk = await Talk.open(t, env);

        await talk.say('something long');
        await talk.follow();
        assert.equal((await talk.client.responseDone()).status, 'cancelled');
        await talk.client.next('response.output_audio.delta');
        talk.client.send({ type: 'response.cancel' });
        assert.equal((await talk.client.responseDone()).status, 'cancelled');
        await talk.client.close();
    });

    await t.test('session_expired is a loss like another', async (t) => {
        const env = await start(t);
        const talk = await Talk.open(t, env);

        await talk.turn('hello');
        await talk.cut((conn) => conn.expire());
        await talk.turn('again');
        await talk.check();
        await talk.client.close();
    });
});

test('R1.1 what was said and could be truncated can still be', async (t) => {
    const env = await start(t);
    const talk = await Talk.open(t, env);
    const done = await talk.turn('hello');

    await talk.cut();
    talk.client.send({ type: 'conversation.item.truncate', item_id: done.output[0].id,
        content_index: 0, audio_end_ms: 500 });
    await talk.client.next('conversation.item.truncated');
    await talk.turn('again');
    await talk.check();
    await talk.cut();
    await sleep(0);
    assert.doesNotMatch(JSON.stringify(talk.conn.events.concat(talk.items)
        .find(({ item }) => item?.id === done.output[0].id)), /hello.*hello/);
    await talk.client.close();
});

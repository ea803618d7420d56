// SPDX-License-Identifier: BSD-2-Clause
//
// The upstream is lost, or its time runs out, wherever a conversation is: the
// client's socket and ids stay, another upstream is told the conversation in
// its order, no tool call is answered twice and none is lost.

import assert from 'node:assert/strict';
import test from 'node:test';
import { count } from './lib/paths.mjs';
import { until } from './lib/process.mjs';
import { Talk, startTalk } from './lib/talk.mjs';
import { silence, toBase64 } from './lib/wav.mjs';

const words = (talk) => talk.items.flatMap(({ content }) => content ?? [])
    .map((part) => part.text ?? part.transcript ?? '').join('\n');

test('R1.1 an upstream lost in mid-sentence: the client hears a pause', async (t) => {
    const env = await startTalk(t);
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
    const env = await startTalk(t);

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
    const env = await startTalk(t);

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
    const env = await startTalk(t);

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
    const env = await startTalk(t);

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
        const env = await startTalk(t, { upstream: { max_session: '3s' } });
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
        const env = await startTalk(t, { upstream: { max_session: '3s' },
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
        const env = await startTalk(t);
        const talk = await Talk.open(t, env);

        await talk.turn('hello');
        await talk.cut((conn) => conn.expire());
        await talk.turn('again');
        await talk.check();
        await talk.client.close();
    });
});

test('R1.1 what was said and could be truncated can still be', async (t) => {
    const env = await startTalk(t);
    const talk = await Talk.open(t, env);
    const done = await talk.turn('hello');

    await talk.cut();
    talk.client.send({ type: 'conversation.item.truncate', item_id: done.output[0].id,
        content_index: 0, audio_end_ms: 500 });
    await talk.client.next('conversation.item.truncated');
    await talk.turn('again');
    await talk.check();
    await talk.cut();
    await talk.check();
    const [part] = talk.items.find(({ id }) => id === done.output[0].id).content;
    assert.equal(part.text, 'You said: hello. You'); // of six in 2 s
    await talk.client.close();
});

test('R2.4 what was cut short is told the next upstream as far as it was heard', async (t) => {
    const env = await startTalk(t);
    const talk = await Talk.open(t, env);
    const textOf = ({ id }) => talk.items.find((item) => item.id === id).content[0].text;
    const truncate = async (item, ms) => {
        talk.client.send({ type: 'conversation.item.truncate', item_id: item.id,
            content_index: 0, audio_end_ms: ms });
        await talk.client.next('conversation.item.truncated');
    };

    const whole = (await talk.turn('hello')).output[0]; // "You said: hello. " six times in 2 s
    await truncate(whole, 500);
    const twice = (await talk.turn('hello')).output[0];
    await truncate(twice, 1000);
    await truncate(twice, 500);
    // One that is interrupted while it is being said.
    await talk.say('hello');
    const { item } = await talk.client.next('response.output_item.added');
    for (let i = 0; i < 5; i++) {
        await talk.client.next('response.output_audio.delta');
    }
    talk.client.send({ type: 'response.cancel' });
    await talk.client.responseDone();
    await truncate(item, 500);
    await talk.cut();
    await talk.check();
    assert.equal(textOf(whole), 'You said: hello. You');
    assert.equal(textOf(twice), 'You said: hello. You');
    assert.match(textOf(item), /^(You|You said:)$/); // at the pace of speech
    await talk.client.close();
});

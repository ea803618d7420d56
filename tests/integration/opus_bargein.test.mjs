// SPDX-License-Identifier: BSD-2-Clause
//
// Who is interrupted is silent at once, and the model learns exactly what was
// heard of it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Impair } from './lib/impair.mjs';
import { wasLate, watchLag } from './lib/lag.mjs';
import { ask, openOpus, speaker, startOpus } from './lib/opus_stack.mjs';
import { count } from './lib/paths.mjs';
import { sleep, until } from './lib/process.mjs';
import { speech } from './lib/sound.mjs';
import { toBase64 } from './lib/wav.mjs';

watchLag();
const times = count(15, 200);
const talkers = count(5, 10);
const truncates = (conn) => conn.events.filter(({ type }) => type === 'conversation.item.truncate');
const messages = (conn) => conn.session.items.filter(({ item }) => item.role === 'assistant');
const lastItem = (conn) => messages(conn).at(-1).item.id;

// Somebody begins to speak; gives when, and what the model is then told.
async function interrupt(client, conn) {
    const from = truncates(conn).length;
    const clears = client.clears.length;
    const at = performance.now();
    conn.session.speechStarted();
    await until(() => truncates(conn).length > from, 'the truncation');
    await until(() => client.clears.length > clears, 'the clear');
    return { at, truncate: truncates(conn)[from] };
}

const endTurn = async (client, conn) => {
    conn.session.speechStopped('stop');
    await client.next('input_audio_buffer.speech_stopped');
};

// Audio after an event of the log, up to the next answer.
function audioAfter(client, event) {
    const rest = client.log.slice(client.log.findIndex((entry) => entry.event === event));
    const next = rest.findIndex((entry) => entry.event?.type === 'response.created');
    return rest.slice(0, next < 0 ? undefined : next).filter(({ packet }) => packet);
}

// The text that was heard is the beginning of what was said, by the share of
// its sound.
function assertHeardText(client, { item_id: item, transcript, audio_end_ms: ms }) {
    const said = client.events.filter(({ type, item_id: id }) => id === item &&
        type === 'response.output_audio_transcript.delta').map(({ delta }) => delta).join('');
    assert.ok(said.startsWith(transcript), `"${transcript}" of "${said}"`);
    assert.ok(ms > 1000 || transcript.length < said.length, `"${transcript}" in ${ms} ms`);
}

// Truncated where the client was when it was told to be quiet: what is between
// the two. null where this process was late itself, so that the client played
// on for longer than anybody could know.
function assertExact(truncate, { at, position }, first, from = at - 100) {
    if (wasLate(from, at + 50, 20)) {
        return null;
    }
    const played = (position - first) / 48;
    const off = Math.abs(truncate.audio_end_ms - played);
    assert.ok(off <= 40, `truncated to ${truncate.audio_end_ms} ms, played ${played}`);
    return off;
}

async function bargeIn(client, conn, rounds) {
    const results = [];
    for (let i = 0; i < 3 * rounds && results.length < rounds; i++) {
        const { id, first } = await ask(client, 4000);
        await sleep(100 + Math.random() * 2500);
        const { at, truncate } = await interrupt(client, conn);
        assert.equal(client.clears.length, i + 1);
        const clear = client.clears[i];
        assert.equal(truncate.item_id, lastItem(conn));
        assert.equal(truncate.content_index, 0);
        const offMs = assertExact(truncate, clear, first, at);
        assert.equal((await client.next('output_audio_buffer.cleared')).response_id, id);
        const truncated = await client.next('conversation.item.truncated');
        assert.equal(truncated.audio_end_ms, truncate.audio_end_ms);
        assertHeardText(client, truncated);
        await endTurn(client, conn);
        if (offMs !== null) {
            results.push({ clearMs: clear.at - at, offMs });
        }
    }
    for (const { event } of client.clears) {
        const late = audioAfter(client, event);
        assert.equal(late.length, 0, `${late.length} packets of the old answer after the clear`);
    }
    assert.deepEqual(conn.session.errors, []);
    return results;
}

const percentile = (values, p) => [...values].sort((a, b) => a - b)[
    Math.min(values.length - 1, Math.floor(values.length * p / 100))].toFixed(1);

test(`R2.4 interrupted at a random moment, ${times} times: silent at once, truncated where it was`,
    { timeout: 600000 }, async (t) => {
        const env = await startOpus(t);
        const all = (await Promise.all(Array.from({ length: talkers }, async () => {
            const { client, conn } = await openOpus(t, env);
            return bargeIn(client, conn, times / talkers);
        }))).flat();
        const clear = all.map(({ clearMs }) => clearMs);
        const off = all.map(({ offMs }) => offMs);
        assert.ok(all.length >= times / 3, `${all.length} of ${times} could be measured`);
        t.diagnostic(`${all.length} of ${times}: speech_started to clear: ` +
            `p50 ${percentile(clear, 50)} ms, p99 ${percentile(clear, 99)} ms; truncated ${percentile(off, 50)} ms (p99 ` +
            `${percentile(off, 99)}) from what was played`);
    });

describe('R2.4 kinds of interruption', { concurrency: 4 }, () => {
    test('R2.4 who is interrupted before a sound was heard has said 1 ms, never 0', async (t) => {
        let hook = () => {};
        const env = await startOpus(t, { upstream: { script: speaker({
            onDelta: (i, session) => hook(i, session) }) } });
        const { client, conn } = await openOpus(t, env);
        hook = (i, session) => {
            hook = () => {};
            session.speechStarted();
        };
        client.sayText('say 3000');
        client.send({ type: 'response.create' });
        const truncate = await conn.next('conversation.item.truncate');
        assert.ok(truncate.audio_end_ms >= 1 && truncate.audio_end_ms <= 60,
            `${truncate.audio_end_ms} ms`);
        await client.next('conversation.item.truncated');
        const { response } = await client.waitFor('response.done');
        assert.equal(response.status, 'cancelled');
        assert.deepEqual(conn.session.errors, []);
    });

    test('R2.4 who has said all is not truncated', async (t) => {
        const env = await startOpus(t);
        const { client, conn } = await openOpus(t, env);
        await ask(client, 800);
        await client.next('output_audio_buffer.stopped');
        conn.session.speechStarted();
        await client.next('input_audio_buffer.speech_started');
        await sleep(700);
        assert.deepEqual(truncates(conn), []);
        assert.equal(client.clears.length, 0);
        await endTurn(client, conn);
    });

    test('R2.4 with interrupt_response false nothing is cleared', async (t) => {
        const env = await startOpus(t);
        const { client, conn } = await openOpus(t, env, { turn: { interrupt_response: false } });
        const { first } = await ask(client, 2000);
        await sleep(300);
        conn.session.speechStarted();
        await endTurn(client, conn);
        await client.next('output_audio_buffer.stopped');
        assert.deepEqual(truncates(conn), []);
        assert.equal(client.clears.length, 0);
        assert.ok(client.player.pcm(first).length >= 24 * 1950, 'all of it was heard');
    });

    test('R2.4 the client interrupts by itself, and what comes late is thrown away', async (t) => {
        const env = await startOpus(t, { upstream: { script: speaker({ paceMs: 100 }) } });
        const { client, conn } = await openOpus(t, env);
        const { id, first } = await ask(client, 2500);
        await sleep(400);
        client.send({ type: 'output_audio_buffer.clear', event_id: 'mine' });
        const truncate = await conn.next('conversation.item.truncate');
        await client.next('voice.playout.clear');
        assertExact(truncate, client.clears[0], first);
        const [{ event }] = client.clears;
        assert.equal((await client.next('output_audio_buffer.cleared')).response_id, id);
        assert.ok(!conn.types.includes('output_audio_buffer.clear'), 'the model is not asked');
        // The model goes on for a second; nobody hears that.
        await client.next('response.done');
        await sleep(300);
        assert.equal(audioAfter(client, event).length, 0);

        client.send({ type: 'output_audio_buffer.clear' }); // nothing is there
        await client.update({});
        const next = await ask(client, 500);
        await client.next('output_audio_buffer.stopped', (e) => e.response_id === next.id);
        assert.ok(client.player.pcm(next.first).length >= 24 * 490, 'the next one is heard');
        assert.deepEqual(conn.session.errors, []);
    });

    test('R2.4 deltas that come after the interruption are thrown away', async (t) => {
        const env = await startOpus(t, { upstream: { script: speaker({ paceMs: 100 }) } });
        const { client, conn } = await openOpus(t, env);
        await ask(client, 5000);
        await sleep(250);
        const { active } = conn.session;
        const at = { response_id: active.id, item_id: lastItem(conn), output_index: 0,
            content_index: 0 };
        conn.session.speechStarted();
        for (let i = 0; i < 10; i++) {
            conn.session.send('response.output_audio.delta',
                { ...at, delta: toBase64(speech(200)) });
        }
        await conn.next('conversation.item.truncate');
        await client.next('voice.playout.clear');
        await client.next('response.done');
        await sleep(200);
        assert.equal(audioAfter(client, client.clears[0].event).length, 0);
        await endTurn(client, conn);
    });

    test('R2.4 of several messages each is truncated by what was heard of it', async (t) => {
        const env = await startOpus(t);
        const { client, conn } = await openOpus(t, env);
        const early = await ask(client, 1500, 2000);
        await until(() => messages(conn).length === 2, 'the second message');
        await until(() => client.player.position() - early.first > 48 * 500, 'some of the first');
        await interrupt(client, conn);
        await until(() => truncates(conn).length === 2, 'both truncations');
        const [one, two] = messages(conn).map(({ item }) => item.id);
        const by = new Map(truncates(conn).map((event) => [event.item_id, event.audio_end_ms]));
        assertExact({ audio_end_ms: by.get(one) }, client.clears[0], early.first);
        assert.equal(by.get(two), 1, 'nothing was heard of the second');
        await endTurn(client, conn);

        const { first } = await ask(client, 600, 3000);
        await until(() => client.player.position() - first > 48 * 1100, 'some of the second');
        await interrupt(client, conn);
        const last = truncates(conn).slice(2);
        assert.deepEqual(last.map((event) => event.item_id), [lastItem(conn)]);
        assertExact(last[0], client.clears[1], first + 600 * 48);
        await endTurn(client, conn);
        assert.deepEqual(conn.session.errors, []);
    });

    test('R2.4 of a client that reports nothing the place is estimated', async (t) => {
        const env = await startOpus(t);
        const { client, conn } = await openOpus(t, env, { stats: false });
        const { first } = await ask(client, 4000);
        await sleep(900);
        const { truncate } = await interrupt(client, conn);
        const played = (client.clears[0].position - first) / 48;
        t.diagnostic(`estimated ${truncate.audio_end_ms} ms of ${played.toFixed(0)}`);
        assert.ok(Math.abs(truncate.audio_end_ms - played) <= 250,
            `${truncate.audio_end_ms} of ${played}`);
        await endTurn(client, conn);
        assert.deepEqual(conn.session.errors, []);
    });

    test('R2.4 over a long line the place is as exact', async (t) => {
        const env = await startOpus(t);
        const line = await Impair.start(t, { to: { port: env.stack.nginx.port }, delayMs: 120 });
        const { client, conn } = await openOpus(t, env, { port: line.port });
        await until(() => client.told.filter((stats) => stats.rtt_ms > 200).length > 1,
            'the round trip to be told');
        await sleep(300);
        for (let i = 0; i < 2; i++) {
            const { first } = await ask(client, 4000);
            await sleep(500 + 700 * i);
            const { truncate } = await interrupt(client, conn);
            assertExact(truncate, client.clears[i], first);
            assert.equal(audioAfter(client, client.clears[i].event).length, 0);
            await endTurn(client, conn);
        }
        assert.deepEqual(conn.session.errors, []);
    });

    test('R2.1 with a preset who coughs does not interrupt, who speaks does', async (t) => {
        const env = await startOpus(t, { policy: 'voice_vad normal;\n' });
        const { client, conn } = await openOpus(t, env, { turn: null });
        await ask(client, 6000);
        await sleep(300);
        conn.session.active = null; // the model goes on, whoever speaks
        const turn = conn.session.speechStarted();
        await client.next('input_audio_buffer.speech_started');
        await sleep(500);
        assert.equal(client.clears.length, 0, 'nothing was said');
        conn.session.send('input_audio_buffer.speech_stopped',
            { audio_end_ms: 100, item_id: turn });
        await client.next('input_audio_buffer.speech_stopped');
        const talking = client.say(speech(700));
        await sleep(300);
        conn.session.speechStarted();
        await until(() => client.clears.length === 1, 'the clear');
        await conn.next('conversation.item.truncate');
        await talking;
    });
});

// SPDX-License-Identifier: BSD-2-Clause
//
// What makes users of other relays go silent is repaired on the way, what
// strict clients die of does not reach them, and what is the server's stays
// with it. Against a scripted upstream that does all of it wrong.

import assert from 'node:assert/strict';
import test from 'node:test';
import { until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';
import { Upstream } from './lib/upstream.mjs';

const SECRET = 'You are the secret voice of the house; never say so.';
const tool = { type: 'function', name: 'f', description: 'd',
    parameters: { type: 'object', properties: {} } };

async function start(t, { policy = 'voice_model gpt-realtime;', files, ...options } = {}) {
    const up = await Upstream.start(t, options);
    const stack = await startStack(t, { policy, nginx: { files },
        voiced: up.voiced({ settings: { warm: { links: 0 } } }) });
    return { up, stack };
}

async function open(t, { up, stack }, options) {
    const client = await stack.connect(t, options);
    await client.next('session.created');
    return { client, conn: await up.nextConnection() };
}

async function filtered(stack, name) {
    const { text } = await stack.request('/metrics');
    return Number(new RegExp(`^voiced_filter_total\\{filter="${name}"\\} (\\d+)`, 'm')
        .exec(text)?.[1] ?? 0);
}

const eventId = (n) => `event_${String(n).padStart(21, '0')}`;
const errorsOf = (client) => client.events.filter((event) => event.type === 'error');

test('one response at a time', async (t) => {
    const env = await start(t);

    await t.test('creates that come too early wait for their turn', async (t) => {
        const { client, conn } = await open(t, env);
        client.sayText('tell me a story');
        client.send({ type: 'response.create' });
        const { response: story } = await client.next('response.created');
        for (const topic of ['a', 'b']) {
            client.send({ type: 'response.create', event_id: `c_${topic}`,
                response: { metadata: { client_event_id: topic }, output_modalities: ['text'] } });
        }
        const order = [];
        for (const topic of ['a', 'b']) {
            const { response } = await client.next('response.created');
            assert.deepEqual(response.metadata, { client_event_id: topic });
            order.push((await client.next('response.done')).response.id);
        }
        assert.deepEqual(errorsOf(client), []);
        assert.deepEqual(conn.session.errors, []);
        assert.ok(client.events.some((e) => e.type === 'response.done' &&
            e.response.id === story.id));
        assert.equal(new Set(order).size, 2);
        assert.equal(await filtered(env.stack, 'response_held'), 2);
    });

    await t.test('a fifth that waits is refused by name; a cancel drops them all', async (t) => {
        const { client, conn } = await open(t, env);
        client.sayText('tell me a story');
        client.send({ type: 'response.create' });
        await client.next('response.created');
        for (let i = 0; i < 5; i++) {
            client.send({ type: 'response.create', event_id: `c${i}` });
        }
        const { error } = await client.next('error');
        assert.deepEqual([error.code, error.event_id],
            ['conversation_already_has_active_response', 'c4']);
        client.send({ type: 'response.cancel' });
        assert.equal((await client.next('response.done')).response.status, 'cancelled');
        await client.update({});
        assert.deepEqual(errorsOf(client).map((e) => e.error.event_id).sort(),
            ['c0', 'c1', 'c2', 'c3', 'c4']);
        assert.equal(conn.types.filter((type) => type === 'response.create').length, 1);
        client.sayText('hello');
        await client.respond();
    });

    await t.test('one that meets a turn of the model’s own is asked again', async (t) => {
        const { client, conn } = await open(t, env);
        client.sayText('hello');
        // The model has begun by itself; the client can't know yet.
        conn.session.take({ type: 'response.create' });
        client.send({ type: 'response.create', event_id: 'agents_js_response_create_1',
            response: { metadata: { mine: 'yes' } } });
        await client.waitFor('response.created', (e) => e.response.metadata?.mine === 'yes');
        assert.deepEqual(errorsOf(client), []);
    });

    await t.test('a cancel of nothing goes nowhere', async (t) => {
        const { client, conn } = await open(t, env);
        client.send({ type: 'response.cancel', event_id: 'c1' });
        await client.update({});
        assert.ok(!conn.types.includes('response.cancel'));
        assert.deepEqual(errorsOf(client), []);
        assert.ok(await filtered(env.stack, 'cancel_swallowed') >= 1);
    });
});

test('truncates, late deltas and harmless errors', async (t) => {
    const env = await start(t);

    await t.test('a truncate is clamped to what was sent', async (t) => {
        const { client, conn } = await open(t, env);
        client.sayText('hello');
        const { output: [item] } = await client.respond();
        client.send({ type: 'conversation.item.truncate', event_id: 't1', item_id: item.id,
            content_index: 0, audio_end_ms: 3600000 });
        const truncated = await client.next('conversation.item.truncated');
        const sent = await conn.waitFor('conversation.item.truncate');
        assert.equal(sent.event_id, 't1');
        assert.equal(truncated.audio_end_ms, sent.audio_end_ms);
        assert.ok(sent.audio_end_ms > 0 && sent.audio_end_ms < 60000);
        client.send({ type: 'conversation.item.truncate', item_id: 'item_of_nobody',
            content_index: 0, audio_end_ms: 0 });
        assert.equal((await client.next('conversation.item.truncated')).item_id,
            'item_of_nobody');
        assert.equal(conn.types.filter((type) => type.endsWith('truncate')).length, 1);
        assert.deepEqual(errorsOf(client), []);
        assert.equal(await filtered(env.stack, 'truncate_clamped'), 1);
        assert.equal(await filtered(env.stack, 'truncate_answered'), 1);
    });

    await t.test('what is said of a cancelled response is not heard', async (t) => {
        const { client, conn } = await open(t, env);
        client.sayText('tell me a story');
        client.send({ type: 'response.create' });
        const { response } = await client.next('response.created');
        client.send({ type: 'response.cancel' });
        await client.next('response.done');
        const late = (type, more) => conn.send({ type, event_id: 'event_late',
            response_id: response.id, item_id: 'i', output_index: 0, content_index: 0, ...more });
        late('response.output_audio.delta', { delta: 'AAAA' });
        late('response.output_audio.done');
        await client.update({});
        assert.ok(!client.events.some((event) => event.event_id === 'event_late'));
        assert.equal(await filtered(env.stack, 'late_dropped'), 2);
    });

    await t.test('errors that mean nothing are kept back, others are not', async (t) => {
        const { client, conn } = await open(t, env);
        conn.session.fail({ code: 'response_cancel_not_active',
            message: 'Cancellation failed: no active response found' }, { event_id: 'x' });
        conn.session.fail({ code: 'invalid_value',
            message: 'Audio content of 300ms is already shorter than 900ms' });
        conn.session.fail({ code: 'item_retrieve_invalid_item_id', message: 'none' },
            { event_id: 'rci_1' });
        const { error } = await client.next('error');
        assert.equal(error.event_id, 'rci_1');
        assert.equal(await filtered(env.stack, 'error_swallowed'), 2);
    });
});

test('a strict client gets what it can read', async (t) => {
    const env = await start(t);
    const { client, conn } = await open(t, env);
    conn.send({ type: 'conversation.item.created', event_id: eventId(1), item: {} });
    conn.send({ type: 'ping', event_id: eventId(2), timestamp: 1 });
    conn.send('no JSON at all');
    conn.send({ type: 'input_audio_buffer.cleared' });
    assert.match((await client.next('input_audio_buffer.cleared')).event_id, /^event_\w+$/);
    conn.send({ type: 'rate_limits.updated', event_id: eventId(3), rate_limits: [
        { name: 'seconds', limit: 1, remaining: 1, reset_seconds: 0 },
        { name: 'tokens', limit: 1, remaining: 1, reset_seconds: 0 }] });
    assert.deepEqual((await client.next('rate_limits.updated')).rate_limits
        .map((each) => each.name), ['tokens']);
    await client.update({});
    assert.ok(!client.types().some((type) => ['ping', 'conversation.item.created']
        .includes(type)));
    assert.equal(await filtered(env.stack, 'type_dropped'), 2);
    assert.equal(await filtered(env.stack, 'unreadable_dropped'), 1);
});

test('the client’s session begins at once, with the policy in it', async (t) => {
    const env = await start(t, { policy: 'voice_model gpt-realtime; voice_name cedar;',
        onEvent: (_conn, event) => event.type === 'session.update' });
    const client = await env.stack.connect(t);
    // The upstream has not answered the update, and never does.
    const { session } = await client.next('session.created');
    assert.equal(session.audio.output.voice, 'cedar');
    assert.match(session.id, /^sess_/);
    const conn = await env.up.nextConnection();
    const update = await conn.next('session.update');
    assert.equal(update.session.audio.output.voice, 'cedar');
    assert.notEqual(conn.session.session.id, session.id);
});

test('a policy that the upstream refuses ends the session', async (t) => {
    const env = await start(t, { policy: 'voice_model gpt-realtime; voice_name cedar;',
        onEvent: (conn, event) => event.type === 'session.update' &&
            (conn.session.fail({ code: 'invalid_value', param: 'session.audio' }, event), true) });
    const client = await env.stack.connect(t);
    assert.equal((await client.waitClosed()).code, 1011);
    await until(() => env.stack.voiced.summaries().some((s) => s.ended === 'policy_refused'),
        'the end');
});

test('what is the server’s is never shown', async (t) => {
    for (const mode of ['deny', 'merge', 'allow']) {
        await t.test(mode, async (t) => {
            const env = await start(t, { files: { 'secret.txt': `${SECRET}\n` },
                policy: `voice_model gpt-realtime; voice_instructions secret.txt;
                    voice_client_update ${mode};` });
            const { client, conn } = await open(t, env);
            assert.ok((await conn.next('session.update')).session.instructions
                .startsWith(SECRET));
            assert.equal((await client.update({})).instructions, '');
            if (mode !== 'deny') {
                const mine = await client.update({ instructions: 'Sing.', tools: [tool] });
                assert.equal(mine.instructions, 'Sing.');
                assert.equal(mine.tools.length, 1);
            }
            const response = { object: 'realtime.response', id: `resp_${'1'.repeat(21)}`,
                output: [], conversation_id: `conv_${'1'.repeat(21)}`, instructions: SECRET,
                output_modalities: ['audio'], max_output_tokens: 'inf', metadata: null };
            conn.send({ type: 'response.created', event_id: eventId(1), response: {
                ...response, status: 'in_progress', status_details: null, usage: null } });
            conn.send({ type: 'response.done', event_id: eventId(2), response: {
                ...response, status: 'failed', status_details: { type: 'failed',
                    error: { type: 'x', code: 'y', message: `No: ${SECRET}` } } } });
            conn.session.fail({ code: 'invalid_value', message: `Can't follow "${SECRET}".` });
            conn.send({ type: 'conversation.item.added', event_id: eventId(3), previous_item_id: null,
                item: { id: 'item_gw_1', type: 'message', role: 'system',
                    content: [{ type: 'input_text', text: SECRET }] } });
            client.send({ type: 'conversation.item.retrieve', item_id: 'item_gw_1' });
            await client.waitFor('error',
                (e) => e.error.code === 'item_retrieve_invalid_item_id');
            await client.update({});
            assert.doesNotMatch(JSON.stringify(client.events), /secret voice|item_gw_1/);
            assert.ok(client.types().includes('response.done'));
        });
    }
});

test('models are checked in frames as in the query', async (t) => {
    const env = await start(t, {
        policy: 'voice_model gpt-realtime gpt-other; voice_client_update allow;' });
    const { client, conn } = await open(t, env);
    for (const event of [
        { type: 'session.update', session: { type: 'realtime', model: 'gpt-evil' } },
        { type: 'response.create', response: { model: 'gpt-evil' } },
        { type: 'session.update', session: { type: 'realtime',
            prompt: { id: 'p', model: 'gpt-evil' } } },
        { type: 'session.update', model: 'gpt-evil', session: { type: 'realtime' } },
    ]) {
        client.send({ event_id: 'no', ...event });
        const { error } = await client.next('error');
        assert.deepEqual([error.code, error.event_id], ['forbidden', 'no']);
    }
    client.send('{"type":"session.update","session":{"type":"realtime",' +
        '"model":"gpt-realtime","model":"gpt-evil"}}');
    assert.equal((await client.next('error')).error.code, 'invalid_event');
    await client.update({});
    assert.doesNotMatch(JSON.stringify(conn.events), /gpt-evil/);
    assert.equal(await filtered(env.stack, 'policy_refused'), 4);
});

// SPDX-License-Identifier: BSD-2-Clause
//
// Sessions at a remote Realtime server (a scripted one, over TLS): turns are
// relayed both ways, big messages and slow readers too; a server that fails is
// passed over for the next; close codes and errors reach the client, keys
// never do.

import assert from 'node:assert/strict';
import test from 'node:test';
import { assertSpoken } from './lib/expect.mjs';
import { freePort } from './lib/paths.mjs';
import { until } from './lib/process.mjs';
import { Upstream } from './lib/upstream.mjs';
import { startStack } from './lib/stack.mjs';
import { toBase64, silence } from './lib/wav.mjs';

const POLICY = 'voice_model gpt-realtime m;\n';
const noWarm = { warm: { links: 0 } };

// Counters of voiced by their names with labels.
async function counters(stack) {
    const { text } = await stack.request('/metrics');
    return Object.fromEntries(text.split('\n').filter((line) => line && !line.startsWith('#'))
        .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

const connects = (all, name, result) =>
    all[`voiced_upstream_connects_total{upstream="${name}",result="${result}"}`] ?? 0;

// A client whose events are looked at by nobody but us: the sequence is not
// that of a conversation.
const connectRaw = (stack, t, options) => stack.connect(t,
    { path: '/v1/realtime?model=m', checked: 'loose', ...options });

async function oneTurn(stack, t, text = 'hello') {
    const client = await stack.connect(t, { path: '/v1/realtime?model=m' });
    await client.next('session.created');
    client.sayText(text);
    assert.equal(assertSpoken(client, await client.respond()), `You said: ${text}`);
    return client;
}

test('R1.1 a session at an upstream', async (t) => {
    const up = await Upstream.start(t);
    const stack = await startStack(t, { policy: POLICY,
        voiced: up.voiced({ settings: noWarm, upstream: { headers: ['X-Team: voice'] } }) });

    await t.test('a turn of text and sound', async (t) => {
        const client = await oneTurn(stack, t);
        const conn = await up.nextConnection();
        assert.equal(conn.query.get('model'), 'm');
        assert.equal(conn.request.headers.authorization, `Bearer ${up.options.key}`);
        assert.equal(conn.request.headers['x-team'], 'voice');
        assert.equal(conn.request.headers['openai-beta'], undefined);
        assert.deepEqual(await client.close(), { code: 1000, reason: '' });
        assert.equal((await conn.waitClosed()).code, 1000);
    });

    await t.test('speech', async (t) => {
        const client = await stack.connect(t, { path: '/v1/realtime?model=m' });
        await client.next('session.created');
        const conn = await up.nextConnection();
        client.send({ type: 'input_audio_buffer.append', audio: toBase64(silence(500)) });
        await conn.next('input_audio_buffer.append');
        conn.session.hear('what time is it');
        assert.match(assertSpoken(client, await client.responseDone()), /what time is it/);
        await client.close();
    });

    await t.test('an append of 12 MiB arrives as it is', async (t) => {
        const client = await stack.connect(t, { path: '/v1/realtime?model=m' });
        await client.next('session.created');
        const conn = await up.nextConnection();
        const audio = 'QUJD'.repeat(3 << 20);
        client.send({ type: 'input_audio_buffer.append', audio });
        client.send({ type: 'input_audio_buffer.clear' });
        assert.equal((await conn.next('input_audio_buffer.append')).audio, audio);
        await conn.next('input_audio_buffer.clear');
        await client.close();
    });

    await t.test('an upstream that reads nothing holds the client back', async (t) => {
        const client = await stack.connect(t, { path: '/v1/realtime?model=m' });
        await client.next('session.created');
        const conn = await up.nextConnection();
        conn.socket.pause();
        const audio = 'QUJD'.repeat(16 << 10);
        const count = 600;
        for (let i = 0; i < count; i++) {
            client.send({ type: 'input_audio_buffer.append', event_id: `e${i}`, audio });
        }
        await until(() => client.socket.bufferedAmount > 8 << 20, 'the client to be held back');
        conn.socket.resume();
        await conn.next('input_audio_buffer.append', (e) => e.event_id === `e${count - 1}`);
        assert.deepEqual(conn.events.map((e) => e.event_id).filter(Boolean),
            Array.from({ length: count }, (_, i) => `e${i}`));
        await client.close();
    });

    await t.test('a client that reads nothing holds the upstream back', async (t) => {
        const client = await connectRaw(stack, t);
        await client.next('session.created');
        const conn = await up.nextConnection();
        client.socket.pause();
        const delta = 'QUJD'.repeat(16 << 10);
        const count = 400;
        for (let i = 0; i < count; i++) {
            conn.send({ type: 'response.output_audio.delta', event_id: `event_${i}`,
                response_id: 'resp_1', item_id: 'item_1', output_index: 0, content_index: 0,
                delta });
        }
        await until(() => conn.ws.bufferedAmount > 4 << 20, 'the upstream to be held back');
        client.socket.resume();
        await client.next('response.output_audio.delta',
            (e) => e.event_id === `event_${count - 1}`);
        assert.equal(client.types().filter((type) => type === 'response.output_audio.delta')
            .length, count);
        await client.close();
    });

    await t.test('the upstream’s close code and reason are the client’s', async (t) => {
        const client = await oneTurn(stack, t);
        const conn = up.connections.at(-1);
        await conn.close(4004, 'type.some_code');
        assert.deepEqual(await client.waitClosed(), { code: 4004, reason: 'type.some_code' });
    });

    await t.test('intent=transcription goes there without a model', async (t) => {
        const client = await connectRaw(stack, t,
            { path: '/v1/realtime?intent=transcription' });
        await client.next('session.created');
        const conn = up.connections.at(-1);
        assert.equal(conn.query.get('intent'), 'transcription');
        assert.equal(conn.query.get('model'), null);
        await client.close();
    });

    await t.test('the end user’s safety identifier goes along', async (t) => {
        const client = await stack.connect(t, { path: '/v1/realtime?model=m',
            headers: { 'OpenAI-Safety-Identifier': 'user-17' } });
        await client.next('session.created');
        assert.equal(up.connections.at(-1).request.headers['openai-safety-identifier'],
            'user-17');
        await client.close();
    });

    await t.test('the counters tell', async () => {
        const all = await counters(stack);
        assert.equal(connects(all, 'main', 'ok'), up.connections.length);
        await until(async () => (await counters(stack))[
            'voiced_upstream_connections{upstream="main"}'] === 0, 'no connection');
    });
});

test('R1.1 failover', async (t) => {
    const bad = await Upstream.start(t, { key: 'other-key' });
    const good = await Upstream.start(t);
    const dead = await freePort();
    const key = 'upstream-key';
    const stack = await startStack(t, { policy: POLICY, voiced: good.voiced({
        env: { BAD_KEY: 'not-the-right-key' },
        settings: { ...noWarm, upstream: {
            dead: { url: `ws://127.0.0.1:${dead}/v1/realtime`, key_env: 'UP_KEY' },
            bad: bad.section({ key_env: 'BAD_KEY' }),
        } } }) });
    // In the configuration's order: main is the first.
    const order = 'voice_upstream dead bad main;\n';
    const other = await startStack(t, { policy: POLICY + order, voiced: good.voiced({
        env: { BAD_KEY: 'not-the-right-key' },
        settings: { ...noWarm, upstream: {
            dead: { url: `ws://127.0.0.1:${dead}/v1/realtime`, key_env: 'UP_KEY' },
            bad: bad.section({ key_env: 'BAD_KEY' }),
        } } }) });

    await t.test('the first of the configuration serves', async (t) => {
        await (await oneTurn(stack, t)).close();
        assert.equal(connects(await counters(stack), 'main', 'ok'), 1);
    });

    await t.test('a dead one and one that knows no such key are passed over', async (t) => {
        await (await oneTurn(other, t)).close();
        const all = await counters(other);
        assert.equal(connects(all, 'dead', 'unavailable'), 1);
        assert.equal(connects(all, 'bad', 'unauthorized'), 1);
        assert.equal(connects(all, 'main', 'ok'), 1);
        assert.equal(all.voiced_upstream_failovers_total, 2);
    });

    await t.test('those that failed are tried last for a while', async (t) => {
        await (await oneTurn(other, t)).close();
        assert.equal(connects(await counters(other), 'dead', 'unavailable'), 1);
    });

    await t.test('no key is anywhere', () => {
        for (const text of [stack.voiced.log(), other.voiced.log()]) {
            assert.ok(!text.includes('not-the-right-key'));
            assert.ok(!text.includes(key));
        }
    });
});

test('R1.1 upstreams that are slow or full', async (t) => {
    const mute = await Upstream.start(t);
    const small = await Upstream.start(t);
    const main = await Upstream.start(t, { delayMs: 200 });
    mute.silentHandshake();
    const silent = await Upstream.start(t, { greet: false });
    const stack = await startStack(t, { policy: `${POLICY}voice_upstream mute silent small main;`,
        voiced: main.voiced({ settings: { ...noWarm, upstream: {
            mute: mute.section({ connect_timeout: '300ms' }),
            silent: silent.section({ connect_timeout: '300ms' }),
            small: small.section({ max_connections: 1 }),
        } } }) });

    await t.test('one that never answers is passed over in its time', async (t) => {
        const client = await oneTurn(stack, t);
        const all = await counters(stack);
        assert.equal(connects(all, 'mute', 'timeout'), 1);
        assert.equal(connects(all, 'silent', 'timeout'), 1);
        assert.equal(connects(all, 'small', 'ok'), 1);

        await t.test('one that is full too; what is sent meanwhile arrives in order',
            async (t) => {
                const other = await stack.connect(t, { path: '/v1/realtime?model=m' });
                for (let i = 0; i < 50; i++) {
                    other.send({ type: 'input_audio_buffer.clear', event_id: `e${i}` });
                }
                await other.next('session.created');
                const conn = await main.nextConnection();
                await conn.next('input_audio_buffer.clear', (e) => e.event_id === 'e49');
                assert.deepEqual(conn.events.map((e) => e.event_id).filter(Boolean),
                    Array.from({ length: 50 }, (_, i) => `e${i}`));
                assert.equal(connects(await counters(stack), 'small', 'busy'), 1);
                await other.close();
            });
        await client.close();
    });

    await t.test('a client that leaves before it is open leaves nothing', async (t) => {
        main.options.delayMs = 1500;
        const first = await oneTurn(stack, t);
        const client = await stack.connect(t, { path: '/v1/realtime?model=m', checked: false });
        await client.close();
        await first.close();
        await until(async () => {
            const all = await counters(stack);
            return ['mute', 'silent', 'small', 'main'].every((name) =>
                all[`voiced_upstream_connections{upstream="${name}"}`] === 0);
        }, 'no connection');
    });
});

test('R1.1 what a client hears of an upstream that refuses', async (t) => {
    const up = await Upstream.start(t);
    const stack = await startStack(t, { policy: POLICY, voiced: up.voiced({ settings: noWarm }) });
    const refusal = async (t) => {
        const client = await connectRaw(stack, t);
        await client.waitClosed();
        assert.ok(!JSON.stringify(client.events).includes('upstream-key'));
        return { ...client.closed,
            error: client.events.find((e) => e.type === 'error')?.error };
    };

    await t.test('401 is the gateway’s trouble', async (t) => {
        up.refuse(401);
        const { code, error } = await refusal(t);
        assert.equal(code, 1011);
        assert.equal(error.type, 'server_error');
        assert.equal(error.code, 'upstream_unauthorized');
    });

    await t.test('404 is the model', async (t) => {
        up.refuse(404);
        const { code, reason, error } = await refusal(t);
        assert.equal(code, 4000);
        assert.equal(reason, 'invalid_request_error.model_not_found');
        assert.equal(error.code, 'model_not_found');
    });

    await t.test('429 is a matter of time', async (t) => {
        up.refuse(429);
        assert.equal((await refusal(t)).code, 1013);
    });

    await t.test('503 is no fault of the client', async (t) => {
        up.refuse(503);
        const { code, error } = await refusal(t);
        assert.equal(code, 1011);
        assert.equal(error.code, 'upstream_unavailable');
    });

    await t.test('an error event instead of a session is passed on', async (t) => {
        up.betaDisabled();
        const { code, reason, error } = await refusal(t);
        assert.equal(code, 4000);
        assert.equal(reason, 'invalid_request_error.beta_api_shape_disabled');
        assert.equal(error.code, 'beta_api_shape_disabled');
    });

    await t.test('and then it serves again', async (t) => {
        up.accept();
        await (await oneTurn(stack, t)).close();
    });
});

test('R1.1 a location that names an upstream that is not there', async (t) => {
    const up = await Upstream.start(t);
    const stack = await startStack(t, { policy: `${POLICY}voice_upstream nobody;`,
        voiced: up.voiced({ settings: noWarm }) });
    const { status, json } = await stack.request('/v1/realtime?model=m', { headers: {
        Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' } });
    assert.equal(status, 500);
    assert.equal(json.error.code, 'upstream_unknown');
});

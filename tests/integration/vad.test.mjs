// SPDX-License-Identifier: BSD-2-Clause
//
// R2.1 Who finds the end of a turn: a preset of the place, of the request or of
// a minted secret, or what the client says. Whichever it is, the model is told
// the whole turn_detection, and the presets differ as they say.

import assert from 'node:assert/strict';
import test from 'node:test';
import { BetaClient } from './lib/beta.mjs';
import { refused } from './lib/client.mjs';
import { spoken } from './lib/speech.mjs';
import { startStack } from './lib/stack.mjs';
import { Upstream } from './lib/upstream.mjs';
import { betaUpstream } from './lib/upstream_dialects.mjs';
import { RATE, durationMs, joinPcm, rms, silence, toBase64 } from './lib/wav.mjs';

const server = (threshold, silenceMs, more = {}) => ({ type: 'server_vad', threshold,
    prefix_padding_ms: 300, silence_duration_ms: silenceMs, idle_timeout_ms: null,
    create_response: true, interrupt_response: true, ...more });
const semantic = (more = {}) => ({ type: 'semantic_vad', eagerness: 'auto',
    create_response: true, interrupt_response: true, ...more });

const presets = { quiet: server(0.3, 400), normal: server(0.5, 500), noisy: server(0.7, 800),
    semantic: semantic(), off: null };

const vadOf = (event) => event.session.audio?.input?.turn_detection;
const path = (query = '') => `/v1/realtime?model=gpt-realtime${query}`;
const policyOf = (vad) => `voice_model gpt-realtime; ${vad ? `voice_vad ${vad};` : ''}`;

// A scripted upstream behind a stack of its own for each policy.
async function startPlace(t, vad, { options, ...more } = {}) {
    const up = await Upstream.start(t, options);
    const stack = await startStack(t, { policy: policyOf(vad), ...more,
        voiced: up.voiced(more.voiced) });
    return { up, stack };
}

async function enter(t, { up, stack }, query, options) {
    const client = await stack.connect(t, { path: path(query), ...options });
    const created = await client.next('session.created');
    const conn = await up.nextConnection();
    return { client, created, conn };
}

// What the model is told, and what it makes of it for the client.
async function tell({ client, conn }, turn) {
    client.send({ type: 'session.update', session: { type: 'realtime',
        audio: { input: { turn_detection: turn } } } });
    const told = vadOf(await conn.next('session.update'));
    const shown = vadOf(await client.next('session.updated'));
    assert.deepEqual(shown, told);
    return told;
}

for (const [name, wanted] of Object.entries(presets)) {
    test(`R2.1 voice_vad ${name} is told whole, and filled from`, async (t) => {
        const place = await startPlace(t, name);
        const session = await enter(t, place);
        assert.deepEqual(vadOf(await session.conn.next('session.update')), wanted);
        assert.deepEqual(vadOf(session.created), wanted);
        const base = wanted?.type === 'server_vad' ? wanted : presets.normal;
        assert.deepEqual(await tell(session, { type: 'server_vad', threshold: 0.6 }),
            { ...base, threshold: 0.6 });
        // What it was told before counts, while the kind is the same.
        assert.deepEqual(await tell(session, { type: 'server_vad', create_response: false }),
            { ...base, threshold: 0.6, create_response: false });
        assert.deepEqual(await tell(session, { type: 'semantic_vad', eagerness: 'low' }),
            semantic({ eagerness: 'low' }));
        assert.equal(await tell(session, null), null);
        assert.deepEqual(await tell(session, { type: 'server_vad' }), base);
    });

    test(`R2.1 ?vad=${name} on a session's request`, async (t) => {
        const place = await startPlace(t, 'noisy');
        const session = await enter(t, place, `&vad=${name}`);
        assert.deepEqual(vadOf(await session.conn.next('session.update')), wanted);
        assert.deepEqual(vadOf(session.created), wanted);
    });
}

test('R2.1 a place without a preset', async (t) => {
    const place = await startPlace(t, '');

    await t.test('tells nothing of its own', async (t) => {
        const session = await enter(t, place);
        const update = '{"type":"session.update","event_id":"e1","session":{"type":"realtime",' +
            '"audio":{"output":{"speed":0.7}}}}';
        session.client.send(update);
        assert.deepEqual(await session.conn.next('session.update'), JSON.parse(update));
        await session.client.next('session.updated');
    });

    await t.test('has its clients told whole, from the normal preset', async (t) => {
        const session = await enter(t, place);
        assert.deepEqual(await tell(session, { type: 'server_vad', silence_duration_ms: 900 }),
            server(0.5, 900));
        // A refused one changes nothing.
        session.client.send({ type: 'session.update', session: { audio: { input: {
            turn_detection: { type: 'server_vad', threshold: 0.9 } } } } });
        await session.client.next('error');
        await session.conn.next('session.update');
        assert.deepEqual(await tell(session, { type: 'server_vad', interrupt_response: false }),
            server(0.5, 900, { interrupt_response: false }));
    });

    await t.test('two updates at once add up', async (t) => {
        const session = await enter(t, place);
        for (const turn of [{ silence_duration_ms: 900 }, { threshold: 0.4 }]) {
            session.client.send({ type: 'session.update', session: { type: 'realtime',
                audio: { input: { turn_detection: { type: 'server_vad', ...turn } } } } });
        }
        await session.conn.next('session.update');
        assert.deepEqual(vadOf(await session.conn.next('session.update')), server(0.4, 900));
    });

    await t.test('takes a preset from the request', async (t) => {
        const session = await enter(t, place, '&vad=quiet');
        assert.deepEqual(vadOf(await session.conn.next('session.update')), presets.quiet);
    });

    await t.test('knows no other word', async () => {
        for (const word of ['loud', '', 'Quiet']) {
            const answer = await refused({ port: place.stack.nginx.port,
                path: path(`&vad=${word}`) });
            assert.equal(answer.status, 400);
            assert.equal(answer.json.error.code, 'invalid_value');
            assert.equal(answer.json.error.param, 'vad');
        }
    });
});

test('R2.1 a session whose policy lets a client change little', async (t) => {
    const place = await startPlace(t, 'quiet; voice_client_update deny');
    const session = await enter(t, place, '&vad=noisy');
    assert.deepEqual(vadOf(await session.conn.next('session.update')), presets.noisy);
    assert.deepEqual(await tell(session, { type: 'semantic_vad' }), presets.semantic);
});

test('R2.1 a transcription is told nothing of answers', async (t) => {
    const place = await startPlace(t, 'noisy', { options: { type: 'transcription' } });
    const client = await place.stack.connect(t, { checked: 'loose',
        path: '/v1/realtime?intent=transcription' });
    await client.next('session.created');
    const conn = await place.up.nextConnection();
    const { create_response: _c, interrupt_response: _i, idle_timeout_ms: _t, ...wanted } =
        presets.noisy;
    assert.deepEqual(vadOf(await conn.next('session.update')), wanted);
    client.send({ type: 'session.update', session: { type: 'transcription',
        audio: { input: { turn_detection: { type: 'server_vad', threshold: 0.2 } } } } });
    assert.deepEqual(vadOf(await conn.next('session.update')), { ...wanted, threshold: 0.2 });
});

test('R2.1 a minted secret', async (t) => {
    const place = await startPlace(t, 'quiet', { voiced: { auth: 'keys', keys: ['me'] } });
    const me = { Authorization: `Bearer ${place.stack.voiced.keys.me}` };
    const rows = [
        ['/v1/realtime/client_secrets', { session: { type: 'realtime', model: 'gpt-realtime',
            audio: { input: { turn_detection: { type: 'server_vad', threshold: 0.6 } } } } },
        server(0.6, 400), ({ value }) => value],
        ['/v1/realtime/client_secrets', { session: { type: 'realtime', model: 'gpt-realtime',
            audio: { input: { turn_detection: { type: 'semantic_vad' } } } } }, presets.semantic,
        ({ value }) => value],
        ['/v1/realtime/sessions', { model: 'gpt-realtime',
            turn_detection: { type: 'server_vad', silence_duration_ms: 700 } }, server(0.3, 700),
        (minted) => minted.client_secret.value],
        ['/v1/realtime/sessions', { model: 'gpt-realtime', turn_detection: null }, null,
            (minted) => minted.client_secret.value],
    ];
    for (const [route, body, wanted, valueOf] of rows) {
        const minted = await place.stack.request(route, { method: 'POST',
            headers: { ...me, 'content-type': 'application/json' }, body: JSON.stringify(body) });
        assert.equal(minted.status, 200, minted.text);
        const session = await enter(t, place, '', { key: valueOf(minted.json) });
        assert.deepEqual(vadOf(await session.conn.next('session.update')), wanted);
        assert.deepEqual(vadOf(session.created), wanted);
        await session.client.close();
    }
});

test('R2.1 a client of the beta', async (t) => {
    const place = await startPlace(t, 'noisy');
    const client = await BetaClient.connect(t, { url: place.stack.url('ws', path()) });
    await client.next('session.created');
    const conn = await place.up.nextConnection();
    await conn.next('session.update');
    client.send({ type: 'session.update', session: {
        turn_detection: { type: 'server_vad', threshold: 0.4 } } });
    assert.deepEqual(vadOf(await conn.next('session.update')), server(0.4, 800));
    const { session } = await client.next('session.updated');
    assert.equal(session.turn_detection.silence_duration_ms, 800);
    client.send({ type: 'session.update', session: { turn_detection: null } });
    assert.equal(vadOf(await conn.next('session.update')), null);
});

test('R2.1 an upstream of the beta', async (t) => {
    const up = await Upstream.start(t, betaUpstream());
    const stack = await startStack(t, { policy: policyOf('quiet'),
        voiced: up.voiced({ upstream: { dialect: 'beta' } }) });
    const client = await stack.connect(t, { path: path() });
    assert.deepEqual(vadOf(await client.next('session.created')), presets.quiet);
    const conn = await up.nextConnection();
    assert.deepEqual((await conn.next('session.update')).session.turn_detection, presets.quiet);
    client.send({ type: 'session.update', session: { type: 'realtime', audio: { input: {
        turn_detection: { type: 'semantic_vad' } } } } });
    assert.deepEqual((await conn.next('session.update')).session.turn_detection, semantic());
});

// --- what the presets make of speech

const loud = (pcm, at) => rms(pcm.subarray(at, at + RATE / 100)) > 300;

// Where the sound of a sentence ends, in ms.
function endOf(pcm) {
    let at = pcm.length - RATE / 100;
    while (at > 0 && !loud(pcm, at)) {
        at -= RATE / 100;
    }
    return at * 1000 / RATE + 10;
}

// How long it was quiet, on the clock of the audio, when the turn was over.
async function silenceOf(t, stack, query) {
    const client = await stack.connect(t, { path: path(query) });
    const pcm = joinPcm(silence(1000), spoken('question'));
    await client.next('session.created');
    await client.speak(pcm, { silenceMs: 2000, chunkMs: 20 });
    const { audio_end_ms: at } = await client.next('input_audio_buffer.speech_stopped');
    await client.close();
    return at - endOf(pcm);
}

test('R2.1 the presets differ in how long they wait', async (t) => {
    const stack = await startStack(t, { policy: policyOf('') });
    const waited = {};
    for (const name of ['quiet', 'normal', 'noisy']) {
        waited[name] = await silenceOf(t, stack, `&vad=${name}`);
        const wanted = presets[name].silence_duration_ms;
        t.diagnostic(`${name}: ${waited[name]} ms of ${wanted}`);
        // A weak last sound is silence to a high threshold.
        assert.ok(waited[name] > wanted - 120 && waited[name] < wanted + 80,
            `${name}: ${waited[name]}`);
    }
    assert.ok(waited.quiet < waited.normal && waited.normal < waited.noisy);
});

test('R2.1 a pause that ends a quiet turn is a pause in a noisy one', async (t) => {
    const stack = await startStack(t, { policy: policyOf('') });
    const one = spoken('question');
    const said = one.subarray(0, Math.ceil(endOf(one) * RATE / 1000));
    const again = one.subarray(Math.floor(0.35 * RATE)); // its own quiet start is 400 ms
    for (const [name, gapMs, turns] of [['quiet', 550, 2], ['normal', 300, 1], ['normal', 700, 2],
        ['noisy', 550, 1]]) {
        const client = await stack.connect(t, { path: path(`&vad=${name}`) });
        await client.next('session.created');
        client.send({ type: 'session.update', session: { type: 'realtime', audio: { input: {
            turn_detection: { type: 'server_vad', create_response: false } } } } });
        await client.next('session.updated');
        await client.speak(joinPcm(silence(1000), said, silence(gapMs - 50), again),
            { silenceMs: 2000, chunkMs: 20 });
        client.send({ type: 'input_audio_buffer.clear' });
        await client.next('input_audio_buffer.cleared');
        const stopped = client.events.filter(({ type }) =>
            type === 'input_audio_buffer.speech_stopped');
        assert.equal(stopped.length, turns, `${name} with ${gapMs} ms`);
        await client.close();
    }
});

test('R2.1 off: the client ends its turns', async (t) => {
    const stack = await startStack(t, { policy: policyOf('off') });
    const client = await stack.connect(t, { path: path() });
    assert.equal(vadOf(await client.next('session.created')), null);
    const pcm = spoken('question');
    assert.ok(durationMs(pcm) > 1000);
    client.send({ type: 'input_audio_buffer.append', audio: toBase64(pcm) });
    client.send({ type: 'input_audio_buffer.append', audio: toBase64(silence(2000)) });
    client.send({ type: 'input_audio_buffer.commit' });
    await client.next('input_audio_buffer.committed');
    assert.ok(!client.types().some((type) => type.startsWith('input_audio_buffer.speech')));
});

// SPDX-License-Identifier: BSD-2-Clause
//
// G.711 (audio/pcmu, audio/pcma) for clients that ask for it: the bytes pass
// as they are, the gateway counts them right, and the offline model hears and
// speaks both laws.

import assert from 'node:assert/strict';
import test from 'node:test';
import { BetaClient } from './lib/beta.mjs';
import { BYTES_PER_MS, LAWS, decode, encode, silentCode } from './lib/g711.mjs';
import { spoken, words } from './lib/speech.mjs';
import { startStack } from './lib/stack.mjs';
import { POLICY, Talk, startTalk } from './lib/talk.mjs';
import { Upstream } from './lib/upstream.mjs';
import { betaUpstream } from './lib/upstream_dialects.mjs';
import { durationMs, joinPcm, rms, silence } from './lib/wav.mjs';

const both = (type) => ({ audio: { input: { format: { type } }, output: { format: { type } } } });
const deltasOf = (client, responseId) => client.events.filter((event) =>
    event.type === 'response.output_audio.delta' && event.response_id === responseId)
    .map((event) => event.delta);
const soundOf = (client, responseId) => Buffer.concat(deltasOf(client, responseId)
    .map((delta) => Buffer.from(delta, 'base64')));

// Appends in pieces of 20 ms, as a telephone sends them.
function speak(client, law, pcm, { silenceMs = 1000, type = 'input_audio_buffer.append' } = {}) {
    const bytes = encode(law, joinPcm(pcm, silence(silenceMs)));
    for (let at = 0; at < bytes.length; at += 20 * BYTES_PER_MS) {
        client.send({ type, audio: bytes.subarray(at, at + 20 * BYTES_PER_MS).toString('base64') });
    }
    return bytes;
}

for (const law of LAWS) {
    test(`${law} passes to a model and back as it is`, async (t) => {
        const up = await Upstream.start(t);
        const stack = await startStack(t, { voiced: up.voiced() });
        const client = await stack.connect(t);
        await client.next('session.created');
        const conn = await up.nextConnection();
        const session = await client.update(both(law));
        assert.deepEqual(session.audio.input.format, { type: law });
        assert.deepEqual(session.audio.output.format, { type: law });
        const told = await conn.waitFor('session.update', ({ session: s }) => s.audio.output);
        assert.deepEqual(told.session.audio, both(law).audio);

        const said = speak(client, law, spoken('hello'));
        client.send({ type: 'input_audio_buffer.append', audio: '' }); // the last one
        await conn.waitFor('input_audio_buffer.append', ({ audio }) => audio === '');
        const heard = Buffer.concat(conn.events.filter(({ type }) =>
            type === 'input_audio_buffer.append').map(({ audio }) => Buffer.from(audio, 'base64')));
        assert.ok(heard.equals(said));

        client.sayText('hello');
        const response = await client.respond();
        const sent = conn.sent.filter(({ type }) => type === 'response.output_audio.delta')
            .map(({ delta }) => delta);
        assert.ok(sent.length > 1);
        assert.deepEqual(deltasOf(client, response.id), sent);

        // What the client may cut is what it was sent, at 8 bytes a millisecond.
        const sentMs = soundOf(client, response.id).length / BYTES_PER_MS;
        for (const [asked, done] of [[sentMs + 5000, sentMs], [200, 200]]) {
            client.send({ type: 'conversation.item.truncate', item_id: response.output[0].id,
                content_index: 0, audio_end_ms: asked });
            const { audio_end_ms: at } = await client.next('conversation.item.truncated');
            assert.equal(at, done);
        }
        assert.ok(!client.types().includes('error'));
    });

    test(`R1.1 a conversation in ${law} outlives its upstream`, async (t) => {
        const env = await startTalk(t);
        const talk = await Talk.open(t, env);
        await talk.client.update(both(law));
        const [item] = (await talk.turn('hello')).output;
        talk.client.send({ type: 'conversation.item.truncate', item_id: item.id,
            content_index: 0, audio_end_ms: 500 });
        await talk.client.next('conversation.item.truncated');
        talk.conn.session.speechStarted();
        talk.client.send({ type: 'input_audio_buffer.append',
            audio: Buffer.alloc(500 * BYTES_PER_MS, silentCode(law)).toString('base64') });
        await talk.conn.next('input_audio_buffer.append');
        talk.conn.session.session.audio.input.transcription = null;
        talk.conn.session.commit('item_turn', 'x');
        await talk.client.next('input_audio_buffer.committed');
        await talk.cut();
        await talk.settle();
        const { audio } = talk.conn.session.session;
        assert.equal(audio.input.format.type, law);
        assert.equal(audio.output.format.type, law);
        assert.equal(talk.items.find(({ id }) => id === item.id).content[0].text,
            'You said: hello. You'); // a quarter of 2 s
        const turn = talk.items.find(({ id }) => id === 'item_turn');
        assert.equal(Buffer.from(turn.content[0].audio, 'base64').length, 500 * BYTES_PER_MS);
        await talk.check();
        await talk.client.close();
    });

    test(`the offline model hears and speaks ${law}`, async (t) => {
        const stack = await startStack(t);
        const client = await stack.connect(t);
        await client.update({ audio: { ...both(law).audio, input: { format: { type: law },
            transcription: { model: 'whisper-1' } } } });
        const quiet = silence(800);
        for (const [name, heard, answer] of [['question', 'what time is it', /\d|o'clock/i],
            ['weather', 'what is the weather in london', /weather/i]]) {
            const pcm = joinPcm(quiet, spoken(name));
            const bytes = speak(client, law, pcm);
            const started = await client.next('input_audio_buffer.speech_started');
            const stopped = await client.next('input_audio_buffer.speech_stopped');
            const turnMs = stopped.audio_end_ms - started.audio_start_ms;
            assert.ok(turnMs > 700 && turnMs < bytes.length / BYTES_PER_MS, `${turnMs} ms`);
            const response = await client.responseDone();
            const { transcript } = await client.waitFor(
                'conversation.item.input_audio_transcription.completed',
                ({ item_id: id }) => id === started.item_id);
            assert.equal(words(transcript).join(' '), heard);
            assert.match(response.output[0].content[0].transcript, answer);
            assert.deepEqual(response.audio.output.format, { type: law });
            const sound = decode(law, soundOf(client, response.id));
            const count = words(response.output[0].content[0].transcript).length;
            assert.ok(rms(sound) > 200, `rms ${rms(sound)}`);
            assert.ok(durationMs(sound) > 100 * count && durationMs(sound) < 2000 + 1500 * count);
        }
        await client.close();
    });
}

test('what is said in G.711 is what is said in PCM', async (t) => {
    const stack = await startStack(t);
    const levels = {};
    for (const law of ['audio/pcm', ...LAWS]) {
        const client = await stack.connect(t);
        if (law !== 'audio/pcm') {
            await client.update(both(law));
        }
        const response = await client.respond({ instructions: 'Say exactly: one two three' });
        const sound = law === 'audio/pcm' ? client.spoken(response.id).pcm
            : decode(law, soundOf(client, response.id));
        levels[law] = { rms: rms(sound), ms: durationMs(sound) };
        await client.close();
    }
    for (const law of LAWS) {
        t.diagnostic(`${law}: ${JSON.stringify(levels[law])}, pcm: ` +
            JSON.stringify(levels['audio/pcm']));
        assert.ok(Math.abs(levels[law].ms - levels['audio/pcm'].ms) < 40);
        const ratio = levels[law].rms / levels['audio/pcm'].rms;
        assert.ok(ratio > 0.7 && ratio < 1.2, `${law}: ${ratio}`); // the band is narrower
    }
});

test('one response in another format', async (t) => {
    const stack = await startStack(t);
    const client = await stack.connect(t);
    await client.next('session.created');
    client.sayText('What is seven plus five?');
    const response = await client.respond({ audio: { output: { format: { type: 'audio/pcmu' } } } });
    const bytes = soundOf(client, response.id).length;
    client.send({ type: 'conversation.item.truncate', item_id: response.output[0].id,
        content_index: 0, audio_end_ms: 1000000 });
    const { audio_end_ms: at } = await client.next('conversation.item.truncated');
    assert.ok(Math.abs(at - bytes / BYTES_PER_MS) <= 1, `${at} ms of ${bytes} bytes`);
    client.sayText('What is seven plus five?');
    const next = await client.respond();
    const pcmMs = durationMs(client.spoken(next.id).pcm);
    assert.ok(Math.abs(pcmMs - bytes / BYTES_PER_MS) < 60, 'the next one is PCM again');
    assert.ok(!client.types().includes('error'));
});

test('G.711 to and from the beta', async (t) => {
    const up = await Upstream.start(t, betaUpstream());
    const stack = await startStack(t, { policy: POLICY,
        voiced: up.voiced({ upstream: { dialect: 'beta' } }) });
    const names = { 'audio/pcmu': 'g711_ulaw', 'audio/pcma': 'g711_alaw' };

    await t.test('an upstream of the beta', async (t) => {
        const client = await stack.connect(t, { checked: 'loose' });
        await client.next('session.created');
        const conn = await up.nextConnection();
        const session = await client.update({ audio: { input: { format: { type: 'audio/pcmu' } },
            output: { format: { type: 'audio/pcma' } } } });
        const told = conn.events.findLast(({ type }) => type === 'session.update').session;
        assert.equal(told.input_audio_format, names['audio/pcmu']);
        assert.equal(told.output_audio_format, names['audio/pcma']);
        assert.deepEqual(session.audio.output.format, { type: 'audio/pcma' });
        client.sayText('hello');
        const response = await client.respond();
        const sound = soundOf(client, response.id);
        assert.equal(sound.length, conn.session.items.at(-1).audioMs * BYTES_PER_MS);
    });

    await t.test('a client of the beta', async (t) => {
        const client = await BetaClient.connect(t,
            { url: stack.url('ws', '/v1/realtime?model=gpt-realtime') });
        await client.next('session.created');
        client.send({ type: 'session.update', session: { input_audio_format: 'g711_alaw',
            output_audio_format: 'g711_ulaw' } });
        const { session } = await client.next('session.updated');
        assert.equal(session.input_audio_format, 'g711_alaw');
        assert.equal(session.output_audio_format, 'g711_ulaw');
    });
});

test('a model without G.711 says so, and the session goes on in PCM', async (t) => {
    const up = await Upstream.start(t, { onEvent: (conn, event) => {
        const { format } = event.session?.audio?.output ?? {};
        if (event.type !== 'session.update' || !format || format.type === 'audio/pcm') {
            return false;
        }
        conn.session.fail({ code: 'invalid_value', param: 'session.audio.output.format.type',
            message: `Invalid value: '${format.type}'.` }, event);
        return true;
    } });
    const stack = await startStack(t, { voiced: up.voiced() });
    const client = await stack.connect(t);
    await client.next('session.created');
    client.send({ type: 'session.update', event_id: 'phone', session: { type: 'realtime',
        ...both('audio/pcmu') } });
    const { error } = await client.next('error');
    assert.equal(error.event_id, 'phone');
    assert.equal(error.param, 'session.audio.output.format.type');
    client.sayText('hello');
    const response = await client.respond();
    client.send({ type: 'conversation.item.truncate', item_id: response.output[0].id,
        content_index: 0, audio_end_ms: 1000000 });
    const { audio_end_ms: at } = await client.next('conversation.item.truncated');
    assert.equal(at, durationMs(client.spoken(response.id).pcm));
});

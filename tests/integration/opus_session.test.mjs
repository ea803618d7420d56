// SPDX-License-Identifier: BSD-2-Clause
//
// voice.opus.v1: how it is agreed on, what comes first, that speech is the same
// at both ends, at the speed of time; and that nobody else notices.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refused } from './lib/client.mjs';
import { OPUS, OpusClient } from './lib/opus_client.mjs';
import { FASTER, appended, ask, openOpus, startOpus } from './lib/opus_stack.mjs';
import { sleep, until } from './lib/process.mjs';
import { compare, soundMs, speech } from './lib/sound.mjs';
import { spoken } from './lib/speech.mjs';
import { startLocalStack } from './lib/stack.mjs';
import { START } from './lib/voice_packet.mjs';
import { durationMs, joinPcm, silence, toBase64 } from './lib/wav.mjs';

const PATH = '/v1/realtime?model=m';

test('R2.3 voice.opus.v1 is agreed on where voice_opus is on', async (t) => {
    const env = await startOpus(t);
    for (const protocols of [[OPUS], [OPUS, 'realtime'],
        [OPUS, 'realtime', 'openai-insecure-api-key.sk-of-a-client']]) {
        const { client } = await openOpus(t, env, { protocols, turn: null });
        assert.equal(client.protocol, OPUS);
        const { voice } = client;
        assert.equal(client.events[0], voice);
        assert.equal(voice.session_id, client.sessionId);
        assert.deepEqual(voice.opus, { bitrate: 24000, ptime_ms: 20, fec: true, dtx: true });
        assert.equal(voice.buffer.profile, 'balanced');
        assert.equal(voice.resume_token, null, 'it did not ask for one');
        await client.close();
    }
    const plain = await env.stack.connect(t, { path: PATH, protocols: ['realtime', OPUS] });
    assert.equal(plain.socket.protocol, 'realtime', 'the first in its list');
    await plain.next('session.created');
    assert.equal(plain.events[0].type, 'session.created');
    plain.socket.send(Buffer.from([0x11, 1, 0, 0, 0, 0, 0, 0, 8]));
    assert.equal((await plain.next('error')).error.code, 'invalid_event');
});

test('R2.3 where voice_opus is off it is not: realtime, if that is offered', async (t) => {
    const env = await startOpus(t, { policy: () =>
        'voice_model gpt-realtime m;\nvoice_opus off;' });
    const { port } = env.stack.nginx;
    const both = await env.stack.connect(t, { path: PATH, protocols: [OPUS, 'realtime'] });
    assert.equal(both.socket.protocol, 'realtime');
    await both.next('session.created');
    assert.equal(both.events[0].type, 'session.created');
    const { status, json } = await refused({ port, path: PATH, protocols: [OPUS] });
    assert.deepEqual([status, json.error.code], [400, 'unsupported_subprotocol']);
});

test('R2.3 a plain client is untouched: its base64 arrives as it was sent', async (t) => {
    const { up, stack } = await startOpus(t);
    const client = await stack.connect(t, { path: PATH });
    await client.next('session.created');
    const conn = await up.nextConnection();
    const said = speech(700);
    const sent = [];
    for (let at = 0; at < said.length; at += 1111) {
        sent.push(toBase64(said.subarray(at, at + 1111)));
        client.send({ type: 'input_audio_buffer.append', audio: sent.at(-1) });
    }
    // Spaces, an order of its own: nobody writes it anew.
    const odd = `{ "audio" : "${sent[0]}","type":"input_audio_buffer.append" }`;
    client.send(odd);
    await until(() => conn.types.filter((type) => /append/.test(type)).length === sent.length + 1,
        'the appends');
    assert.deepEqual(conn.events.filter(({ type }) => /append/.test(type))
        .map(({ audio }) => audio), [...sent, sent[0]]);
    client.sayText('say 1000');
    const response = await client.respond();
    const { pcm } = client.spoken(response.id);
    assert.deepEqual(pcm, speech(1000));
    assert.equal(client.binary.length, 0);
});

test('R2.3 what is said reaches the model, and its silence too', async (t) => {
    const env = await startOpus(t);
    const { client, conn } = await openOpus(t, env);
    const said = speech(2000);
    await client.say(said, { pace: 1 });
    await until(() => durationMs(appended(conn)) >= 1990, 'the audio');
    const { correlation, lag } = compare(said, appended(conn));
    assert.ok(correlation > 0.7, `correlation ${correlation} at ${lag}`);
    assert.ok(conn.events.every(({ type, audio }) => type !== 'input_audio_buffer.append' ||
        (audio.length > 0 && audio.length % 4 === 0)));

    await t.test('while nothing is sent, the model hears silence', async () => {
        conn.session.speechStarted();
        const before = durationMs(appended(conn));
        const { sentPackets } = client;
        await client.say(joinPcm(speech(400), silence(900)));
        await sleep(300);
        const got = appended(conn);
        assert.ok(client.sentPackets - sentPackets < 55, 'the silence was not sent');
        const fed = durationMs(got) - before;
        assert.ok(fed > 1100, `the model got ${fed} ms of 1600`);
        assert.ok(fed < 2600, `the model got ${fed} ms of 1600`);
        const tail = got.subarray(got.length - 24 * 500);
        assert.ok(soundMs(tail) < 50, `${soundMs(tail)} ms of the silence are loud`);
        conn.session.speechStopped('hello');
        await client.next('input_audio_buffer.speech_stopped');
    });

    await t.test('skipped packets are covered', async () => {
        const from = appended(conn).length;
        await client.say(said, { skip: (i) => i % 10 === 5 });
        await sleep(150);
        const got = appended(conn).subarray(from);
        assert.ok(Math.abs(durationMs(got) - 2000) < 400, `${durationMs(got)} ms`);
        const like = compare(said, got, { maxLagMs: 500 });
        assert.ok(like.correlation > 0.6, `correlation ${like.correlation}`);
    });
    assert.deepEqual(conn.session.errors, []);
});

test('R2.3 what the model says is heard, in time and never far ahead', async (t) => {
    const env = await startOpus(t);
    const { client, conn } = await openOpus(t, env);
    const told = conn.sent.length;
    const { id, first, at } = await ask(client, 5000);
    const done = (await client.next('response.done')).response;
    assert.equal(done.status, 'completed');
    const upstreamMs = performance.now() - at;
    const stopped = await client.next('output_audio_buffer.stopped');
    const playedMs = performance.now() - at;
    assert.equal(stopped.response_id, id);
    assert.ok(upstreamMs < 5000 * 2 / FASTER + 500, `the upstream took ${upstreamMs} ms`);
    assert.ok(playedMs > 4700, `played in ${playedMs} ms`);

    const heard = client.player.pcm(first);
    const { correlation, lag } = compare(speech(5000), heard);
    assert.ok(correlation > 0.7, `correlation ${correlation} at ${lag}`);
    assert.ok(Math.abs(durationMs(heard) - 5000) < 60, `${durationMs(heard)} ms`);

    const { target_ms: target } = client.voice.buffer;
    const ahead = client.packets.map((packet) =>
        (packet.timestamp + packet.samples - first) / 48 - (packet.at - at));
    assert.ok(Math.max(...ahead) <= target + 120, `${Math.max(...ahead)} ms ahead of time`);
    assert.equal(client.packets[0].flags & START, START);
    assert.equal(client.packets[0].timestamp, 0);
    assert.equal(client.player.lost, 0);

    const texts = client.types().filter((type) => !/^(voice|output_audio_buffer)\./.test(type));
    const wanted = conn.sent.slice(told).map(({ type }) => type)
        .filter((type) => type !== 'response.output_audio.delta' && type !== 'rate_limits.updated');
    assert.deepEqual(texts.filter((type) => wanted.includes(type)).slice(-wanted.length), wanted);
    const bytes = client.packets.reduce((sum, packet) => sum + packet.bytes, 0);
    assert.ok(bytes * 8 / 5 < 45000, `${Math.round(bytes * 8 / 5)} bit/s`);
    const started = client.events.filter(({ type }) => type === 'output_audio_buffer.started');
    assert.deepEqual(started.map(({ response_id: r }) => r), [id]);

    await t.test('and the next answer goes on in its time', async () => {
        const next = await ask(client, 600);
        assert.ok(next.first >= 5000 * 48 && next.first < 5200 * 48, `${next.first / 48} ms`);
        await client.next('output_audio_buffer.stopped');
        assert.ok(compare(speech(600), client.player.pcm(next.first)).correlation > 0.7);
    });
});

test('R2.3 it is the same over TLS, compressed as browsers do, in the beta, and by 10 ms',
    async (t) => {
        const env = await startOpus(t);
        const { tlsPort } = env.stack.nginx;
        const kinds = [{ port: tlsPort, tls: env.stack.tls },
            { ws: { perMessageDeflate: { threshold: 0 } } },
            { dialect: 'beta', headers: { 'OpenAI-Beta': 'realtime=v1' }, turn: null },
            { encoder: { frameMs: 10 } }];
        for (const kind of kinds) {
            const { client, conn } = await openOpus(t, env, kind);
            assert.equal(/permessage-deflate/.test(client.socket.extensions), Boolean(kind.ws));
            await client.say(speech(600), { pace: 0 });
            await until(() => durationMs(appended(conn)) >= 590, 'the audio');
            const said = compare(speech(600), appended(conn));
            assert.ok(said.correlation > 0.7, `${Object.keys(kind)}: ${said.correlation}`);
            const { first } = await ask(client, 600);
            await client.next('output_audio_buffer.stopped');
            const heard = compare(speech(600), client.player.pcm(first));
            assert.ok(heard.correlation > 0.7, `${Object.keys(kind)}: ${heard.correlation}`);
            await client.close();
        }
    });

test('R2.3 other formats of audio are refused, and change nothing', async (t) => {
    const env = await startOpus(t);
    const { client, conn } = await openOpus(t, env);
    const pcmu = { type: 'audio/pcmu' };
    const before = conn.events.length;
    const update = (audio) => ({ type: 'session.update', session: { type: 'realtime', audio } });
    for (const event of [update({ input: { format: pcmu } }), update({ output: { format: pcmu } }),
        { type: 'response.create', response: { audio: { output: { format: pcmu } } } }]) {
        client.send({ event_id: `of_mine_${event.type}`, ...event });
        const { error } = await client.next('error');
        assert.equal(error.event_id, `of_mine_${event.type}`);
        assert.deepEqual([error.type, error.code], ['invalid_request_error', 'invalid_value']);
    }
    assert.equal(conn.events.length, before, 'the model was told nothing');
    const session = await client.update({ audio: { input: { format:
        { type: 'audio/pcm', rate: 24000 } } }, instructions: 'Go on.' });
    assert.equal(session.instructions, 'Go on.');
    const { first } = await ask(client, 600);
    await client.next('output_audio_buffer.stopped');
    assert.ok(compare(speech(600), client.player.pcm(first)).correlation > 0.7);
});

test('R6.3 reports are answered, malformed ones with an error', async (t) => {
    const env = await startOpus(t);
    const { client, conn } = await openOpus(t, env, { stats: false });
    const before = conn.events.length;
    client.send({ type: 'voice.stats', event_id: 'first', rtt_ms: 20.5, jitter_ms: 3, loss: 0,
        underruns: 0, played_ms: 0 });
    const quality = await client.next('voice.quality');
    assert.equal(quality.reply_to, 'first');
    assert.equal(quality.level, 'high');
    assert.equal(quality.bitrate, 24000);
    client.send({ type: 'voice.stats' });
    assert.equal((await client.next('voice.quality')).reply_to, undefined);
    for (const [i, wrong] of [{ rtt_ms: 'fast' }, { loss: {} }, { played_ms: [1] },
        { jitter_ms: true }, { underruns: '1' }, { rtt_ms: -5 }, { loss: 7 }].entries()) {
        client.send({ type: 'voice.stats', event_id: `wrong_${i}`, ...wrong });
        const { error } = await client.next('error');
        assert.deepEqual([error.event_id, error.code], [`wrong_${i}`, 'invalid_value'],
            JSON.stringify(wrong));
    }
    for (const type of ['voice.session', 'voice.quality', 'voice.playout.clear', 'voice.odd']) {
        client.send({ type, event_id: type });
        assert.equal((await client.next('error')).error.event_id, type);
    }
    assert.equal(conn.events.length, before, 'the model was told nothing');
    for (let i = 0; i < 100; i++) {
        client.send({ type: 'voice.stats', event_id: `many_${i}` });
    }
    await client.update({});
    const answered = client.events.filter(({ reply_to: id }) => /^many_/.test(id ?? '')).length;
    assert.ok(answered > 0 && answered < 60, `${answered} of 100 were answered`);
});

test('R2.3 the offline model is asked aloud, and understood when it answers', async (t) => {
    const policy = 'voice_model gpt-realtime;\nvoice_vad normal;\nvoice_opus on bitrate=24k;';
    const stack = await startLocalStack(t, { policy });
    const client = await OpusClient.connect(t, { port: stack.nginx.port });
    await client.next('session.created');
    await client.update({ audio: { input: { transcription: { model: 'whisper-1' } } } });
    client.say(joinPcm(spoken('count'), silence(1500)));
    const heard = await client.next('conversation.item.input_audio_transcription.completed');
    assert.match(heard.transcript.toLowerCase(), /count from three to eight/);
    await client.next('output_audio_buffer.stopped');
    const done = client.events.find(({ type }) => type === 'response.done').response;
    const { transcript } = done.output[0].content[0];
    assert.match(transcript, /three.*five.*eight|3.*5.*8/i);
    const pcm = client.player.pcm();
    assert.ok(durationMs(pcm) > 1000 && soundMs(pcm) > 700, `${soundMs(pcm)} ms of sound`);
});

test('R2.3 what comes out of the packets of an answer is understood', async (t) => {
    const said = joinPcm(spoken('weather'), silence(300));
    const env = await startOpus(t, { upstream: { script: () =>
        [{ say: 'What is the weather in London?', pcm: said, paceMs: 20 }] } });
    const { client } = await openOpus(t, env);
    await ask(client, 0);
    await client.next('output_audio_buffer.stopped');
    const offline = await startLocalStack(t, {});
    const listener = await offline.connect(t);
    await listener.next('session.created');
    await listener.update({ audio: { input: { transcription: { model: 'whisper-1' } } } });
    await listener.speak(client.player.pcm());
    const heard = await listener.next('conversation.item.input_audio_transcription.completed');
    assert.match(heard.transcript.toLowerCase(), /what is the weather in london/);
    await listener.next('response.done');
});

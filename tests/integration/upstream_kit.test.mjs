// SPDX-License-Identifier: BSD-2-Clause
//
// The scripted upstream itself: what it says is what the recorded API says,
// so that what is proven against it counts. No gateway is between.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Client, RawSocket, frame, refused, request } from './lib/client.mjs';
import { assertOrder, assertSpoken } from './lib/expect.mjs';
import { Proxy } from './lib/proxy.mjs';
import { SdkClient } from './lib/sdk.mjs';
import { Upstream } from './lib/upstream.mjs';
import { silence, toBase64 } from './lib/wav.mjs';

const KEY = 'sk-a-key-of-this-file';

const connect = (t, up, options = {}) => Client.connect(t, { url: `${up.url()}?model=m`,
    tls: up.options.tls ? { ca: up.certs.ca } : {}, key: KEY, ...options });

const offer = 'v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n' +
    'm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n' +
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n';

test('turns of the scripted upstream', async (t) => {
    const up = await Upstream.start(t, { key: KEY });

    await t.test('text, sound and a function call', async (t) => {
        const client = await connect(t, up);
        await client.next('session.created');
        const conn = await up.nextConnection();
        const session = await client.update({ instructions: 'Be brief.', tools: [
            { type: 'function', name: 'f', parameters: { type: 'object', properties: {} } }] });
        assert.equal(session.instructions, 'Be brief.');
        assert.equal(session.audio.output.voice, 'marin');
        client.sayText('one two three');
        assert.equal(assertSpoken(client, await client.respond()), 'You said: one two three');
        client.sayText('call f {"a": 1}');
        const [call] = (await client.respond()).output;
        assert.deepEqual([call.type, call.name, call.arguments], ['function_call', 'f', '{"a": 1}']);
        client.send({ type: 'conversation.item.create', item: {
            type: 'function_call_output', call_id: call.call_id, output: '42' } });
        const done = await client.respond({ output_modalities: ['text'] });
        assert.equal(client.spoken(done.id).text, 'The result is 42.');
        assert.equal(conn.types[0], 'session.update');
        assert.deepEqual(conn.session.errors, []);
    });

    await t.test('with the npm client openai', async (t) => {
        const client = await SdkClient.connect(t, { baseURL: up.httpUrl('/v1'),
            tls: { ca: up.certs.ca }, key: KEY });
        await client.next('session.created');
        client.sayText('hello');
        assertSpoken(client, await client.respond());
    });

    await t.test('speech it is told of, a barge-in and a late truncate', async (t) => {
        const client = await connect(t, up);
        await client.next('session.created');
        const conn = up.connections.at(-1);
        await client.update({ audio: { input: { transcription: { model: 'whisper-1' } } } });
        client.send({ type: 'input_audio_buffer.append', audio: toBase64(silence(500)) });
        await conn.next('input_audio_buffer.append');
        conn.session.hear('tell me a story');
        const { response } = await client.next('response.created');
        await client.next('response.output_audio.delta');
        conn.session.hear('stop it');
        const cut = await client.responseDone();
        assert.deepEqual([cut.id, cut.status, cut.status_details.reason],
            [response.id, 'cancelled', 'turn_detected']);
        client.send({ type: 'conversation.item.truncate', item_id: cut.output[0].id,
            content_index: 0, audio_end_ms: 3600000 });
        assert.match((await client.next('error')).error.message,
            /^Audio content of \d+ms is already shorter than 3600000ms$/);
        assertOrder(client.events, ['input_audio_buffer.speech_started',
            'input_audio_buffer.speech_stopped', 'input_audio_buffer.committed',
            'conversation.item.added', 'conversation.item.done',
            'conversation.item.input_audio_transcription.completed', 'response.created']);
        await client.responseDone();
    });

    await t.test('its errors', async (t) => {
        const client = await connect(t, up);
        await client.next('session.created');
        const code = async (event) => {
            client.send({ event_id: 'c1', ...event });
            const { error } = await client.next('error');
            assert.equal(error.event_id, 'c1');
            return error.code;
        };
        assert.equal(await code({ type: 'session.update', session: {} }),
            'missing_required_parameter');
        assert.equal(await code({ type: 'session.update', session: { type: 'realtime',
            voice: 'marin' } }), 'unknown_parameter');
        assert.equal(await code({ type: 'response.cancel' }), 'response_cancel_not_active');
        assert.equal(await code({ type: 'input_audio_buffer.commit' }),
            'input_audio_buffer_commit_empty');
        assert.equal(await code({ type: 'conversation.item.retrieve', item_id: 'x' }),
            'item_retrieve_invalid_item_id');
        client.sayText('a story');
        client.send({ type: 'response.create' });
        assert.equal(await code({ type: 'response.create' }),
            'conversation_already_has_active_response');
        client.send({ type: 'response.cancel' });
        assert.equal((await client.responseDone()).status_details.reason, 'client_cancelled');
    });
});

test('faults on demand', async (t) => {
    const up = await Upstream.start(t, { key: KEY, tls: false, models: ['m'] });

    await t.test('refusals', async () => {
        const answer = await refused({ url: `${up.url()}?model=m`, key: 'wrong' });
        assert.equal(answer.status, 401);
        assert.equal(answer.json.error.code, 'invalid_api_key');
        assert.equal((await refused({ url: `${up.url()}?model=x`, key: KEY })).status, 404);
        up.refuse(429);
        assert.equal((await refused({ url: `${up.url()}?model=m`, key: KEY })).status, 429);
        up.accept();
    });

    await t.test('the beta shape, an expired session, silence, death', async (t) => {
        const beta = await connect(t, up, { headers: { 'OpenAI-Beta': 'realtime=v1' },
            checked: false });
        assert.deepEqual(await beta.waitClosed(),
            { code: 4000, reason: 'invalid_request_error.beta_api_shape_disabled' });
        const old = await connect(t, up);
        await old.next('session.created');
        up.connections.at(-1).expire();
        assert.equal((await old.waitClosed()).code, 1001);
        assert.equal(old.events.at(-1).error.code, 'session_expired');

        const dead = await connect(t, up);
        await dead.next('session.created');
        const conn = up.connections.at(-1);
        conn.silence();
        dead.sayText('anybody?');
        dead.socket.ping();
        dead.kill();
        assert.equal((await conn.waitClosed()).code, 1006);
        assert.equal(dead.events.length, 1);

        const killed = await connect(t, up);
        await killed.next('session.created');
        up.connections.at(-1).kill();
        assert.equal((await killed.waitClosed()).code, 1006);
    });
});

test('HTTP end points and a sideband', async (t) => {
    const up = await Upstream.start(t, { key: KEY, tls: false });
    const post = (path, body, headers = {}) => request(up.port, `/v1/realtime/${path}`, {
        method: 'POST', body, headers: { authorization: `Bearer ${KEY}`, ...headers } });
    const minted = await post('client_secrets', JSON.stringify({ expires_after: {
        anchor: 'created_at', seconds: 60 }, session: { type: 'realtime', model: 'm' } }));
    assert.equal(minted.status, 200);
    assert.match(minted.json.value, /^ek_/);
    assert.equal(minted.json.session.model, 'm');

    const made = await post('calls', offer, { 'content-type': 'application/sdp',
        authorization: `Bearer ${minted.json.value}` });
    assert.equal(made.status, 201);
    assert.match(made.text, /^v=0\r\n[^]*a=ice-lite\r\n[^]*m=audio[^]*m=application/);
    const id = made.headers.location.split('/').at(-1);
    assert.match(id, /^rtc_/);

    const side = await Client.connect(t, { url: `${up.url()}?call_id=${id}`,
        key: KEY, checked: false });
    side.send({ type: 'session.update', session: { type: 'realtime', instructions: 'x' } });
    side.send({ type: 'response.create' });
    await side.waitFor('text', ({ text }) => /"response.done"/.test(text));
    assert.match(side.events[0].text, /^\{"type":"session.updated"/);
    assert.ok(!side.events.some(({ text }) => /response.output_audio.delta/.test(text)));

    assert.equal((await post(`calls/${id}/hangup`)).status, 200);
    await side.waitClosed();
    assert.equal((await post(`calls/${id}/hangup`)).json.error.code, 'call_id_not_found');
});

test('the proxy counts, asks for a password, refuses', async (t) => {
    const proxy = await Proxy.start(t, { auth: 'me:secret' });
    const ask = async (auth) => {
        const raw = await RawSocket.connect(t, { port: proxy.port });
        const line = auth ? `Proxy-Authorization: Basic ${Buffer.from(auth).toString('base64')}\r\n`
            : '';
        await raw.write(`CONNECT 127.0.0.1:${up.port} HTTP/1.1\r\nHost: x\r\n${line}\r\n`);
        return { status: (await raw.readHead()).status, raw };
    };
    const up = await Upstream.start(t, { key: KEY, tls: false });
    assert.equal((await ask()).status, 407);
    const { status, raw } = await ask('me:secret');
    assert.equal(status, 200);
    assert.equal((await raw.upgrade('/v1/realtime?model=m',
        { Authorization: `Bearer ${KEY}` })).status, 101);
    await raw.write(frame(8, Buffer.from([3, 232])));
    proxy.refuse(403);
    assert.equal((await ask('me:secret')).status, 403);
    assert.deepEqual(proxy.connects.map((each) => each.status), [407, 200, 403]);
});

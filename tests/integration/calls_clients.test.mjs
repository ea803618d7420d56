// SPDX-License-Identifier: BSD-2-Clause
//
// @openai/agents-realtime's WebRTC transport as a browser runs it, but for the
// media: its peer connection is a stand-in whose data channel ends at the
// scripted upstream.

import assert from 'node:assert/strict';
import test from 'node:test';
import { OpenAIRealtimeWebRTC, RealtimeAgent, RealtimeSession, tool }
    from '@openai/agents-realtime';
import { z } from 'zod';
import { attached, offer, PROVIDER_KEY, startCalls } from './lib/calls.mjs';
import { defer, until } from './lib/process.mjs';

class Channel extends EventTarget {
    readyState = 'connecting';

    constructor(name) {
        super();
        this.name = name;
    }

    meet(call) {
        this.call = call;
        call.listeners.push({ emit: (event) => this.#receive(event), close: async () => {} });
        this.readyState = 'open';
        this.dispatchEvent(new Event('open'));
        call.session.begin();
    }

    #receive(event) {
        if (this.readyState === 'open' && event.type !== 'response.output_audio.delta') {
            this.dispatchEvent(new MessageEvent('message', { data: JSON.stringify(event) }));
        }
    }

    send(text) {
        this.call.session.take(JSON.parse(text));
    }

    close() {
        this.readyState = 'closed';
    }
}

function fakePeer(t, up) {
    const real = globalThis.RTCPeerConnection;
    globalThis.RTCPeerConnection = class {
        connectionState = 'new';

        createDataChannel(name) {
            this.channel = new Channel(name);
            return this.channel;
        }

        addTrack() {}
        getSenders() { return []; }
        async createOffer() { return { type: 'offer', sdp: offer }; }
        async setLocalDescription() {}

        async setRemoteDescription(answer) {
            assert.match(answer.sdp, /^v=0\r\n/);
            this.channel.meet([...up.http.calls.values()].at(-1));
        }

        close() { this.channel.close(); }
    };
    defer(t, () => { globalThis.RTCPeerConnection = real; });
}

test('@openai/agents-realtime over WebRTC', async (t) => {
    const { up, stack, post } = await startCalls(t, { voiced: { auth: 'keys', keys: ['app'],
        settings: { auth: { cors_origins: ['https://app.example'] } } } });
    fakePeer(t, up);
    const minted = await post('/v1/realtime/client_secrets', { key: stack.voiced.keys.app,
        type: 'application/json', body: JSON.stringify({ session: { type: 'realtime',
            model: 'gpt-realtime' } }) });
    assert.equal(minted.status, 200, minted.text);

    await t.test('its preflight passes', async () => {
        const answer = await stack.request('/v1/realtime/calls', { method: 'OPTIONS', headers: {
            origin: 'https://app.example', 'access-control-request-method': 'POST',
            'access-control-request-headers': 'authorization,content-type,x-openai-agents-sdk' } });
        assert.equal(answer.status, 204);
        assert.equal(answer.headers['access-control-allow-origin'], 'https://app.example');
        const allowed = answer.headers['access-control-allow-headers'].toLowerCase().split(/, */);
        for (const name of ['authorization', 'content-type', 'x-openai-agents-sdk']) {
            assert.ok(allowed.includes(name), name);
        }
        const made = await post('/v1/realtime/calls', { key: minted.json.value, body: offer,
            type: 'application/sdp', headers: { origin: 'https://app.example' } });
        assert.match(made.headers['access-control-expose-headers'], /Location/);
        assert.match(made.headers['access-control-expose-headers'], /X-Call-Id/);
        const [call] = up.http.calls.keys();
        await attached(up, call);
        up.http.endCall(call);
    });

    await t.test('connects, runs a tool, ends', async () => {
        const ran = [];
        const agent = new RealtimeAgent({ name: 'Assistant', instructions: 'You tell the time.',
            tools: [tool({ name: 'get_time', description: 'The time', parameters: z.object({}),
                execute: async () => ran.push('get_time') })] });
        const transport = new OpenAIRealtimeWebRTC({ baseUrl: stack.url('http',
            '/v1/realtime/calls'), mediaStream: { getAudioTracks: () => [{ stop() {} }] },
        audioElement: {} });
        const session = new RealtimeSession(agent, { transport, model: 'gpt-realtime' });
        const seen = [];
        const errors = [];
        session.on('error', (error) => errors.push(error));
        transport.on('*', (event) => seen.push(event.type));
        await session.connect({ apiKey: minted.json.value });
        const id = transport.callId;
        assert.match(id, /^rtc_/);
        const call = up.http.calls.get(id);
        assert.equal(call.key, PROVIDER_KEY);
        const [conn] = await attached(up, id);
        session.sendMessage('hello');
        await until(() => seen.includes('response.done'), 'the answer', 15000);
        // The server's own sideband saw the turn too, and says nothing to it.
        await until(() => conn.sent.some((e) => e.type === 'response.done'), 'the sideband');
        assert.deepEqual(conn.types.filter((type) => type !== 'session.update'), []);
        session.close();
        up.http.endCall(id);
        assert.deepEqual(errors, []);
        const summary = await stack.voiced.summary(id.replace('rtc_', 'sess_'));
        assert.equal(summary.turns, 1);
    });

    await t.test('tells why a call is refused', async () => {
        const transport = new OpenAIRealtimeWebRTC({ baseUrl: stack.url('http',
            '/v1/realtime/calls'), mediaStream: { getAudioTracks: () => [{ stop() {} }] },
        audioElement: {} });
        transport.on('error', () => {});
        up.refuse(401);
        await assert.rejects(transport.connect({ apiKey: minted.json.value,
            model: 'gpt-realtime' }), (error) => /502/.test(error.message) &&
            !error.message.includes(PROVIDER_KEY));
        up.accept();
    });
});

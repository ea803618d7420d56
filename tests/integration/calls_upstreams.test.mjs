// SPDX-License-Identifier: BSD-2-Clause
//
// Calls at other providers than the first: failover, Azure's two steps, those
// that have none; and the operator's limits.

import assert from 'node:assert/strict';
import test from 'node:test';
import { attached, callOf, poster, postOffer, PROVIDER_KEY, startCalls } from './lib/calls.mjs';
import { refused } from './lib/client.mjs';
import { startStack } from './lib/stack.mjs';
import { until } from './lib/process.mjs';
import { Upstream } from './lib/upstream.mjs';
import { azureUpstream } from './lib/upstream_dialects.mjs';

test('the next upstream is asked when the first has no call to give', async (t) => {
    const first = await Upstream.start(t, { key: PROVIDER_KEY });
    const second = await Upstream.start(t, { key: 'sk-second-0123456789abcdef' });
    const stack = await startStack(t, { voiced: first.voiced({ env: {
        SECOND_KEY: 'sk-second-0123456789abcdef' }, settings: { upstream: {
        second: second.section({ key_env: 'SECOND_KEY' }) } } }) });
    const post = poster(stack);
    // What is the client's fault is nobody else's to hear.
    first.refuse(400, { error: { message: 'No.', code: 'invalid_offer' } });
    assert.equal((await postOffer(post)).status, 400);
    assert.equal(second.requests.length, 0);
    for (const status of [401, 429, 500]) {
        first.refuse(status);
        const answer = await postOffer(post);
        assert.equal(answer.status, 201, answer.text);
        const id = callOf(answer);
        // It is attached to where it is.
        await attached(second, id);
        assert.equal(first.connections.length, 0);
        assert.equal((await post(`/v1/realtime/calls/${id}/hangup`)).status, 200);
        assert.equal(second.http.calls.get(id).verbs[0].verb, 'hangup');
    }
    first.refuse(429);
    second.refuse(429);
    assert.equal((await postOffer(post)).status, 429);
});

test('Azure: a token knows the session, the offer goes out under it', async (t) => {
    const { up, post } = await startCalls(t, {
        upstream: { ...azureUpstream(), path: '/openai/v1/realtime' },
        section: { dialect: 'azure', auth: 'api-key' },
        policy: 'voice_model gpt-realtime;\nvoice_name marin;' });
    const answer = await postOffer(post);
    assert.equal(answer.status, 201, answer.text);
    const mint = up.requests.find((request) => /client_secrets$/.test(request.url));
    const call = up.requests.find((request) => /calls/.test(request.url));
    assert.equal(mint.url, '/openai/v1/realtime/client_secrets');
    assert.equal(mint.headers['api-key'], PROVIDER_KEY);
    assert.equal(JSON.parse(mint.body).session.audio.output.voice, 'marin');
    assert.equal(call.url, '/openai/v1/realtime/calls?webrtcfilter=on');
    assert.match(call.headers.authorization, /^Bearer ek_/);
    assert.equal(call.headers['api-key'], undefined);
    assert.equal(call.headers['content-type'], 'application/sdp');
    assert.match(call.body, /a=maxptime:20\r\n/);
    const id = callOf(answer);
    const [conn] = await attached(up, id);
    assert.equal(conn.request.headers['api-key'], PROVIDER_KEY);
    up.http.endCall(id);
});

test('an upstream without calls has no WebRTC', async (t) => {
    const { post } = await startCalls(t, { section: { dialect: 'xai' } });
    const answer = await postOffer(post);
    assert.equal(answer.status, 501);
    assert.equal(answer.json.error.code, 'webrtc_unavailable');
});

test('limits hold for calls too', async (t) => {
    const { up, stack, post } = await startCalls(t, { voiced: { settings: {
        limits: { sessions: 1, session: '4s' } } } });
    const answer = await postOffer(post);
    assert.equal(answer.status, 201, answer.text);
    const id = callOf(answer);
    await attached(up, id);
    const second = await postOffer(post);
    assert.equal(second.status, 429);
    assert.equal(second.json.error.code, 'realtime_session_limit');
    // Beside a call there is room: it is no session of its own.
    const path = `/v1/realtime?call_id=${id}`;
    const beside = await stack.connect(t, { path, checked: 'loose' });
    // But not for as many as there is room for at all.
    for (let n = 2; n <= 4; n++) {
        await stack.connect(t, { path, checked: 'loose' });
    }
    await until(async () => (await stack.voiced.sessions()).length === 5, 'all of them');
    const many = await refused({ port: stack.nginx.port, path });
    assert.equal(many.status, 429);
    assert.equal(many.json.error.code, 'realtime_session_limit');
    const summary = await stack.voiced.summary(id.replace('rtc_', 'sess_'));
    assert.equal(summary.ended, 'session_limit');
    await until(() => up.http.calls.get(id).verbs[0]?.verb === 'hangup', 'the hang-up');
    await beside.waitClosed();
    const again = await postOffer(post);
    assert.equal(again.status, 201, again.text);
    await attached(up, callOf(again));
    up.http.endCall(callOf(again));
});

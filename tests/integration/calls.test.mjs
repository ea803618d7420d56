// SPDX-License-Identifier: BSD-2-Clause
//
// WebRTC calls through the gateway: an offer goes to the provider under our
// key and with the Opus parameters of R2.3, the answer comes back, the
// server's own sideband attaches, once, and ends with the call.

import assert from 'node:assert/strict';
import test from 'node:test';
import { attached, callOf, offer, poster, postOffer, PROVIDER_KEY, sdk, sidebands, startCalls }
    from './lib/calls.mjs';
import { sleep, until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';

const form = (parts, boundary = 'gc0p4Jq0M2Yt08j34c0p') => ({
    type: `multipart/form-data; boundary="${boundary}"`,
    body: parts.map(([name, type, body]) => `--${boundary}\r\nContent-Disposition: form-data; ` +
        `name="${name}"\r\nContent-Type: ${type}\r\n\r\n${body}\r\n`).join('') +
        `--${boundary}--\r\n` });

const code = (answer) => answer.json?.error?.code;

const lastCall = (up) => [...up.http.calls.values()].at(-1);

async function end(up, id) {
    await attached(up, id);
    up.http.endCall(id);
}

test('R2.1 a call is told its turn detection whole', async (t) => {
    const { up, post } = await startCalls(t, {
        policy: 'voice_model gpt-realtime;\nvoice_vad noisy;' });
    const noisy = { type: 'server_vad', threshold: 0.7, prefix_padding_ms: 300,
        silence_duration_ms: 800, idle_timeout_ms: null, create_response: true,
        interrupt_response: true };
    const turnOf = (session) => session.audio.input.turn_detection;

    for (const [turn, wanted] of [[undefined, noisy],
        [{ type: 'server_vad', threshold: 0.6 }, { ...noisy, threshold: 0.6 }], [null, null]]) {
        const answer = await post('/v1/realtime/calls', form([
            ['sdp', 'application/sdp', offer],
            ['session', 'application/json', JSON.stringify({ type: 'realtime', ...(
                turn !== undefined && { audio: { input: { turn_detection: turn } } }) })]]));
        assert.equal(answer.status, 201, answer.text);
        assert.deepEqual(turnOf(JSON.parse(lastCall(up).parts.session)), wanted);
        const [conn] = await attached(up, callOf(answer));
        assert.deepEqual(turnOf((await conn.next('session.update')).session), wanted);
        await end(up, callOf(answer));
    }
});

test('R2.3 calls', async (t) => {
    const { up, stack, post } = await startCalls(t, {
        policy: 'voice_model gpt-realtime gpt-realtime-mini;\nvoice_name marin;' });

    await t.test('a raw offer gets its answer, its call a sideband', async () => {
        const answer = await postOffer(post);
        assert.equal(answer.status, 201, answer.text);
        assert.match(answer.headers['content-type'], /^application\/sdp/);
        const id = callOf(answer);
        assert.match(answer.headers.location, /^\/v1\/realtime\/calls\/rtc_/);
        assert.equal(answer.headers['x-call-id'], id);
        assert.match(answer.text, /^v=0\r\n/);

        const call = lastCall(up);
        assert.equal(call.id, id);
        assert.equal(call.key, PROVIDER_KEY);
        const opus = 'minptime=10;useinbandfec=1;stereo=0;x-own=7;usedtx=1;' +
            'maxaveragebitrate=32000;maxplaybackrate=24000;sprop-maxcapturerate=24000;' +
            'sprop-stereo=0';
        assert.match(call.offer, new RegExp(`a=fmtp:109 ${opus}\r\n`));
        assert.match(call.offer, /a=fmtp:96 minptime=10;useinbandfec=1;usedtx=1;/);
        assert.match(call.offer, /a=fmtp:63 109\/109\r\n/);
        assert.equal(call.offer.match(/a=ptime:20\r\na=maxptime:20\r\n/g).length, 1);
        const session = JSON.parse(call.parts.session);
        assert.equal(session.type, 'realtime');
        assert.equal(session.model, 'gpt-realtime');
        assert.equal(session.audio.output.voice, 'marin');

        const [conn] = await attached(up, id);
        const update = await conn.next('session.update');
        assert.equal(update.session.audio.output.voice, 'marin');
        const live = (await stack.request('/v1/sessions/live')).json.sessions;
        assert.equal(live.length, 1);
        assert.equal(live[0].model, 'gpt-realtime');
        assert.equal(live[0].id, id.replace('rtc_', 'sess_'));
        await sleep(1500);
        assert.equal(up.connections.filter((c) => c.query.get('call_id') === id).length, 1);

        up.http.endCall(id);
        const summary = await stack.voiced.summary(live[0].id);
        assert.equal(summary.ended, 'upstream_closed');
        assert.equal(summary.call, id);
        assert.equal(summary.attaches, 1);
    });

    await t.test('a form with a session, a boundary in quotes', async () => {
        const answer = await post('/v1/realtime/calls', form([
            ['sdp', 'application/sdp', offer],
            ['session', 'application/json', JSON.stringify({ type: 'realtime',
                model: 'gpt-realtime-mini', tools: [{ type: 'function', name: 'f',
                    parameters: { type: 'object' } }] })]]));
        assert.equal(answer.status, 201, answer.text);
        const session = JSON.parse(lastCall(up).parts.session);
        assert.equal(session.model, 'gpt-realtime-mini');
        assert.equal(session.tools[0].name, 'f');
        assert.equal(session.audio.output.voice, 'marin');
        await end(up, callOf(answer));
    });

    await t.test('the beta route', async () => {
        for (const path of ['/v1/realtime?model=gpt-realtime', '/realtime']) {
            const answer = await postOffer(post, path);
            assert.equal(answer.status, 201, answer.text);
            await end(up, callOf(answer));
        }
    });

    await t.test('the official SDK makes calls and ends them', async () => {
        const client = sdk(stack);
        const made = await client.realtime.calls.create({ sdp: offer,
            session: { type: 'realtime', model: 'gpt-realtime' } }).asResponse();
        assert.equal(made.status, 201);
        assert.match(await made.text(), /^v=0\r\n/);
        const id = made.headers.get('location').split('/').at(-1);
        await attached(up, id);
        await client.realtime.calls.refer(id, { target_uri: 'tel:+14155550123' });
        await client.realtime.calls.hangup(id);
        assert.deepEqual(up.http.calls.get(id).verbs.map((v) => v.verb), ['refer', 'hangup']);
        assert.deepEqual(JSON.parse(up.http.calls.get(id).verbs[0].body),
            { target_uri: 'tel:+14155550123' });
        await until(() => sidebands(up, id).length === 0, 'the sideband to end');
        await assert.rejects(client.realtime.calls.hangup('rtc_u0_nobody'),
            (error) => error.status === 404 && error.code === 'call_id_not_found');
    });

    await t.test('refusals', async () => {
        const sdp = 'application/sdp';
        const before = up.requests.length;
        const rows = [
            [415, 'unsupported_media_type', { type: 'text/plain', body: offer }],
            [415, 'unsupported_media_type', { body: offer }],
            [400, 'invalid_sdp', { type: sdp, body: '' }],
            [400, 'invalid_sdp', { type: sdp, body: '{"sdp":1}' }],
            [400, 'invalid_sdp', { type: sdp, body: `v=0\r\n${'a=x\r\n'.repeat(40000)}` }],
            [400, 'invalid_multipart', { type: 'multipart/form-data', body: offer }],
            [400, 'invalid_multipart', { type: 'multipart/form-data; boundary=a', body: offer }],
            [400, 'missing_required_parameter', form([['session', 'application/json', '{}']])],
            [400, 'invalid_session', form([['sdp', sdp, offer], ['session', 'a/b', '[]']])],
            [400, 'invalid_session', form([['sdp', sdp, offer],
                ['session', 'a/b', '{"model":"a","model":"b"}']])],
            [403, 'forbidden', form([['sdp', sdp, offer],
                ['session', 'a/b', '{"type":"realtime","prompt":{"id":"p","model":"gpt-4"}}']])],
            [400, 'invalid_event', form([['sdp', sdp, offer],
                ['session', 'a/b', '{"type":"realtime","Model":"gpt-4"}']])],
            [404, 'model_not_found', form([['sdp', sdp, offer],
                ['session', 'a/b', '{"type":"realtime","model":"gpt-4"}']])],
        ];
        for (const [status, name, request] of rows) {
            const answer = await post('/v1/realtime/calls', request);
            assert.equal(answer.status, status, `${name}: ${answer.text}`);
            assert.equal(code(answer), name);
        }
        assert.equal(code(await postOffer(post, '/v1/realtime/calls?model=gpt-4')),
            'model_not_found');
        const got = await stack.request('/v1/realtime/calls');
        assert.equal(got.status, 405);
        assert.match(got.headers.allow, /POST/);
        assert.equal(up.requests.length, before);
    });

    await t.test('a browser asks first', async () => {
        const answer = await stack.request('/v1/realtime/calls', { method: 'OPTIONS' });
        assert.equal(answer.status, 204);
        assert.match(answer.headers.allow, /POST/);
    });

    await until(async () => (await stack.voiced.sessions()).length === 0, 'the calls to end');
    const written = stack.voiced.log();
    assert.doesNotMatch(written, new RegExp(PROVIDER_KEY));
});

test('what goes wrong at the provider', async (t) => {
    const { up, stack, post } = await startCalls(t);
    const rows = [
        [401, undefined, 502, 'upstream_unauthorized'],
        [403, undefined, 502, 'upstream_unauthorized'],
        [400, { error: { message: 'The offer is odd.', type: 'invalid_request_error',
            param: 'sdp', code: 'invalid_offer' } }, 400, 'invalid_offer'],
        [404, { error: { message: 'No such model.', code: 'model_not_found' } }, 404,
            'model_not_found'],
        [429, { error: { message: 'Slow down.', code: 'rate_limit_exceeded' } }, 429,
            'rate_limit_exceeded'],
        [500, undefined, 502, 'upstream_error'],
        [302, '', 502, 'upstream_error'],
    ];
    for (const [status, body, wanted, name] of rows) {
        up.refuse(status, body, { 'retry-after': '7', location: 'https://elsewhere/x' });
        const answer = await postOffer(post);
        assert.equal(answer.status, wanted, answer.text);
        assert.equal(code(answer), name);
        assert.equal(answer.headers['retry-after'], status === 429 ? '7' : undefined);
        assert.equal(answer.headers.location, undefined);
        assert.doesNotMatch(answer.text, new RegExp(PROVIDER_KEY));
    }
    up.accept();

    await t.test('a call that is not there', async () => {
        await up.stop();
        const answer = await postOffer(post);
        assert.equal(answer.status, 502);
        assert.equal(code(answer), 'upstream_unreachable');
        await up.restart();
    });

    await t.test('an answer that comes too late is hung up on', async () => {
        up.options.delayMs = 1500;
        const before = up.requests.length;
        const controller = new AbortController();
        const asked = fetch(stack.url('http', '/v1/realtime/calls'), { method: 'POST',
            headers: { 'content-type': 'application/sdp' }, body: offer,
            signal: controller.signal }).catch(() => {});
        await until(() => up.requests.length > before, 'the offer to arrive');
        controller.abort();
        await asked;
        await until(() => lastCall(up)?.verbs[0]?.verb === 'hangup',
            'the hang-up', 20000);
        up.options.delayMs = 0;
        await until(async () => (await stack.voiced.sessions()).length === 0,
            'the sideband to give up', 20000);
    });
    assert.doesNotMatch(stack.voiced.log(), new RegExp(PROVIDER_KEY));
});

test('a policy that holds clients back refuses calls', async (t) => {
    for (const update of ['deny', 'merge']) {
        const { up, post } = await startCalls(t, { policy:
            `voice_model gpt-realtime;\nvoice_client_update ${update};` });
        const answer = await postOffer(post);
        assert.equal(answer.status, 403);
        assert.equal(code(answer), 'webrtc_not_allowed');
        assert.equal(up.requests.length, 0);
    }
});

test('the offline model has no WebRTC', async (t) => {
    const stack = await startStack(t);
    const answer = await postOffer(poster(stack));
    assert.equal(answer.status, 501);
    assert.equal(code(answer), 'webrtc_unavailable');
    const hangup = await poster(stack)('/v1/realtime/calls/rtc_x/hangup');
    assert.equal(hangup.status, 501);
});

// SPDX-License-Identifier: BSD-2-Clause
//
// Who may be beside a call, and who keeps it when its instance is gone.

import assert from 'node:assert/strict';
import test from 'node:test';
import { attached, callOf, ever, offer, postOffer, PROVIDER_KEY, sdk, sidebands, startCalls }
    from './lib/calls.mjs';
import { refused } from './lib/client.mjs';
import { sleep, until } from './lib/process.mjs';

async function makeCall(post, key) {
    const answer = await postOffer(post, undefined, { key });
    assert.equal(answer.status, 201, answer.text);
    return callOf(answer);
}

test('sidebands of clients', async (t) => {
    const { up, stack, post } = await startCalls(t, { instances: 1,
        voiced: { auth: 'keys', keys: ['alice', 'bob'] } });
    const { alice, bob } = stack.voiced.keys;
    // Keys of two tenants.
    const carol = await stack.voiced.addKey('carol', '--tenant', 'other');
    await sleep(1100);
    const id = await makeCall(post, alice);
    const [own] = await attached(up, id);
    const path = `/v1/realtime?call_id=${id}`;

    await t.test('the tenant that made it may be beside it', async (t) => {
        const client = await stack.connect(t, { path, key: bob });
        client.assertValid = () => {}; // it demands a session.created first
        await attached(up, id, 2);
        const conn = sidebands(up, id).find((c) => c !== own);
        assert.equal(up.constructor.keyOf(conn.request.headers), PROVIDER_KEY);
        client.send({ type: 'session.update', event_id: 'mine',
            session: { type: 'realtime', instructions: 'Be brief.' } });
        const updated = await client.next('session.updated');
        assert.equal(updated.session.instructions, 'Be brief.');
        // No session.created was made up for it.
        assert.equal(client.events[0].type, 'session.updated');
        client.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user',
            content: [{ type: 'input_text', text: 'hi' }] } });
        client.send({ type: 'response.create' });
        await client.next('response.done');
        assert.equal(client.events.some((e) => e.type === 'response.output_audio.delta'), false);
        await client.close();
        await attached(up, id, 1);
    });

    await t.test('what it used is counted once', async () => {
        const rows = await until(async () => {
            const { json } = await stack.request('/v1/usage', {
                headers: { authorization: `Bearer ${alice}` } });
            return json.data.length > 0 && json.data;
        }, 'the usage');
        assert.deepEqual(rows.map((row) => [row.model, row.responses]), [['gpt-realtime', 1]]);
    });

    await t.test('nobody else may', async () => {
        const rows = [[path, carol], ['/v1/realtime?call_id=rtc_u0_none', alice],
            ['/v1/realtime?call_id=../x', alice], [`${path}/`, alice]];
        for (const [where, key] of rows) {
            const answer = await refused({ port: stack.nginx.port, path: where, key });
            assert.equal(answer.status, 404, where);
            assert.equal(answer.json.error.code, 'call_id_not_found');
        }
        for (const verb of ['hangup', 'refer', 'accept', 'reject']) {
            const answer = await post(`/v1/realtime/calls/${id}/${verb}`, { key: carol,
                type: 'application/json', body: '{"type":"realtime"}' });
            assert.equal(answer.status, 404, verb);
            assert.equal(answer.json.error.code, 'call_id_not_found');
        }
        assert.deepEqual(up.http.calls.get(id).verbs, []);
    });

    await t.test('nor with a client secret, which makes calls', async () => {
        const minted = await post('/v1/realtime/client_secrets', { key: alice,
            type: 'application/json', body: JSON.stringify({ session: { type: 'realtime',
                model: 'gpt-realtime', instructions: 'Bound.' } }) });
        assert.equal(minted.status, 200, minted.text);
        const ek = minted.json.value;
        const answer = await refused({ port: stack.nginx.port, path, key: ek });
        assert.equal(answer.status, 404);
        const other = await postOffer(post, '/v1/realtime/calls?model=gpt-4', { key: ek });
        assert.equal(other.status, 403);
        assert.equal(other.json.error.code, 'model_not_allowed');
        const made = await postOffer(post, '/v1/realtime/calls', { key: ek });
        assert.equal(made.status, 201, made.text);
        const call = up.http.calls.get(callOf(made));
        assert.equal(call.key, PROVIDER_KEY);
        assert.equal(JSON.parse(call.parts.session).instructions, 'Bound.');
        await attached(up, call.id);
        up.http.endCall(call.id);
    });

    await t.test('the SDK takes a SIP call that came in, and has it then', async () => {
        const incoming = up.http.calls.get(id);
        const sip = { ...incoming, id: 'rtc_u0_incoming', verbs: [], listeners: [], ended: false };
        sip.session = up.newSession({ model: 'gpt-realtime',
            emit: (event) => sip.listeners.forEach((conn) => conn.emit(event)) });
        up.http.calls.set(sip.id, sip);
        const early = await refused({ port: stack.nginx.port, key: alice,
            path: `/v1/realtime?call_id=${sip.id}` });
        assert.equal(early.status, 404);
        await sdk(stack, alice).realtime.calls.accept(sip.id, { type: 'realtime',
            model: 'gpt-realtime', instructions: 'Pick up.' });
        const session = JSON.parse(sip.verbs[0].body);
        assert.equal(session.model, 'gpt-realtime');
        assert.equal(session.instructions, 'Pick up.');
        await attached(up, sip.id);
        const strange = await post(`/v1/realtime/calls/${sip.id}/hangup`, { key: carol });
        assert.equal(strange.status, 404);
        await sdk(stack, alice).realtime.calls.hangup(sip.id);
        await until(() => sidebands(up, sip.id).length === 0, 'its sideband to end');
        const none = await post('/v1/realtime/calls/rtc_u0_none/accept', { key: alice,
            type: 'application/json', body: '{"type":"realtime"}' });
        assert.equal(none.status, 404);
        await sdk(stack, alice).realtime.calls.reject('rtc_u0_none', { status_code: 486 })
            .then(() => assert.fail('rejected'), (error) => assert.equal(error.status, 404));
    });

    up.http.endCall(id);
    await until(async () => (await stack.voiced.sessions()).length === 0, 'the calls to end');
});

test('a call made with a client secret is what the secret is bound to', async (t) => {
    const { up, stack, post } = await startCalls(t, { voiced: { auth: 'keys', keys: ['alice'] },
        policy: 'voice_model gpt-realtime gpt-realtime-mini;' });
    const mint = async (session) => {
        const minted = await post('/v1/realtime/client_secrets', { key: stack.voiced.keys.alice,
            type: 'application/json', body: JSON.stringify({ session }) });
        assert.equal(minted.status, 200, minted.text);
        return minted.json.value;
    };
    const talk = await mint({ type: 'realtime', model: 'gpt-realtime-mini' });
    const heard = await mint({ type: 'transcription' });
    const made = await postOffer(post, '/v1/realtime/calls', { key: talk });
    assert.equal(made.status, 201, made.text);
    const call = up.http.calls.get(callOf(made));
    assert.equal(JSON.parse(call.parts.session).model, 'gpt-realtime-mini');
    for (const [key, type] of [[talk, 'transcription'], [heard, 'realtime']]) {
        const answer = await post('/v1/realtime/calls', { key,
            type: 'multipart/form-data; boundary=b', body: [['sdp', offer],
                ['session', JSON.stringify({ type })]].map(([name, body]) => '--b\r\n' +
                `Content-Disposition: form-data; name="${name}"\r\n\r\n${body}\r\n`)
                .join('') + '--b--\r\n' });
        assert.equal(answer.status, 403, answer.text);
        assert.equal(answer.json.error.code, 'session_type_not_allowed');
    }
    await attached(up, call.id);
    up.http.endCall(call.id);
    await until(async () => (await stack.voiced.sessions()).length === 0, 'the call to end');
});

test('the policy holds for a SIP call that is taken', async (t) => {
    const { up, stack, post } = await startCalls(t, { policy: 'voice_model gpt-realtime;\n' +
        'voice_name marin;\nvoice_client_update deny;' });
    const sip = { id: 'rtc_u0_phone', verbs: [], listeners: [], ended: false };
    sip.session = up.newSession({ model: 'gpt-realtime',
        emit: (event) => sip.listeners.forEach((conn) => conn.emit(event)) });
    up.http.calls.set(sip.id, sip);
    const accept = (session) => post(`/v1/realtime/calls/${sip.id}/accept`, {
        type: 'application/json', body: JSON.stringify({ type: 'realtime', ...session }) });
    const forbidden = await accept({ instructions: 'Obey the caller.' });
    assert.equal(forbidden.status, 403);
    assert.equal((await accept({ model: 'gpt-4' })).status, 404);
    assert.equal((await post(`/v1/realtime/calls/${sip.id}/accept`, {
        type: 'application/json', body: '[]' })).status, 400);
    assert.deepEqual(sip.verbs, []);
    assert.equal((await accept({})).status, 200);
    const session = JSON.parse(sip.verbs[0].body);
    assert.equal(session.audio.output.voice, 'marin');
    assert.equal(session.model, 'gpt-realtime');
    await attached(up, sip.id);
    up.http.endCall(sip.id);
    await until(async () => (await stack.voiced.sessions()).length === 0, 'the call to end');
});

test('a sideband that is lost comes back', async (t) => {
    const { up, stack, post } = await startCalls(t);
    const id = await makeCall(post);
    for (let i = 1; i <= 3; i++) {
        const [conn] = await attached(up, id);
        conn.kill();
        await until(() => ever(up, id) === i + 1, 'another sideband', 15000);
    }
    await attached(up, id);
    up.http.endCall(id);
    const summary = await stack.voiced.summary(id.replace('rtc_', 'sess_'));
    assert.equal(summary.attaches, 4);
});

test('the server is killed: its call is taken over', async (t) => {
    const { up, stack, post } = await startCalls(t, { instances: 1 });
    const id = await makeCall(post);
    await attached(up, id);
    process.kill(stack.voiced.serverPid(), 'SIGKILL');
    await until(() => sidebands(up, id).length === 0, 'the sideband to be cut');
    await attached(up, id, 1, 60000);
    assert.equal(ever(up, id), 2);
    // The provider's own words reach who asks now.
    const client = await stack.connect(t, { path: `/v1/realtime?call_id=${id}` });
    await attached(up, id, 2);
    await client.close();
    up.http.endCall(id);
    await stack.voiced.summary(id.replace('rtc_', 'sess_'));
    assert.match(stack.voiced.log(), /event=call_claimed/);
});

test('the server drains: its call moves to the next generation', async (t) => {
    const { up, stack, post } = await startCalls(t, { instances: 1 });
    const ids = [];
    for (let i = 0; i < 5; i++) {
        ids.push(await makeCall(post));
        await attached(up, ids[i]);
    }
    await stack.voiced.reload();
    for (const id of ids) {
        await until(() => ever(up, id) === 2, 'a second sideband', 60000);
        await attached(up, id);
    }
    await sleep(4000);
    for (const id of ids) {
        assert.equal(ever(up, id), 2, 'exactly one took it over');
        const gone = await post(`/v1/realtime/calls/${id}/hangup`);
        assert.equal(gone.status, 200, gone.text);
    }
    await until(async () => (await stack.voiced.sessions()).length === 0, 'the calls to end');
});

test('two instances share the store', async (t) => {
    const { up, stack, post } = await startCalls(t, { instances: 2 });
    const ids = [];
    for (let i = 0; i < 4; i++) {
        ids.push(await makeCall(post));
        await attached(up, ids[i]);
    }
    await sleep(4000);
    assert.deepEqual(ids.map((id) => ever(up, id)), [1, 1, 1, 1],
        'what has an owner is left alone');

    // Requests go to the instances in turn: each knows the other's calls.
    for (let i = 0; i < 2; i++) {
        const client = await stack.connect(t, { path: `/v1/realtime?call_id=${ids[0]}` });
        await client.close();
        const answer = await post(`/v1/realtime/calls/${ids[i]}/hangup`);
        assert.equal(answer.status, 200, answer.text);
        await until(() => sidebands(up, ids[i]).length === 0, 'the sideband to end');
        if (i === 0) {
            ids[0] = ids[1];
        }
    }
    const [kept, other] = await Promise.all(stack.instances.map((v) => v.sessions()));
    assert.equal(kept.length + other.length, 2);

    await stack.instances[0].stop('SIGTERM');
    for (const id of ids.slice(2)) {
        await attached(up, id, 1, 60000);
    }
    assert.equal((await stack.instances[1].sessions()).length, 2);
    ids.slice(2).forEach((id) => up.http.endCall(id));
});

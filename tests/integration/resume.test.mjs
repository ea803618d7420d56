// SPDX-License-Identifier: BSD-2-Clause
//
// A client whose connection is lost comes back to its session: nothing is
// missed, nothing comes twice, and nobody else gets in.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, refused } from './lib/client.mjs';
import { count } from './lib/paths.mjs';
import { defer, sleep, until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';
import { startTalk } from './lib/talk.mjs';

const cuts = count(12, 100);
const NEW = '/v1/realtime?model=gpt-realtime&resume=new';
const tokenOf = (client) => client.responseHeaders['x-voice-resume'];
const back = (token, after = '') => `/v1/realtime?resume=${token}&after=${after}`;

// One conversation over connections that break; its checker sees all events as
// one session's.
class Returning extends Client {
    static async start(stack, t) {
        const client = await stack.connect(t, { path: NEW });
        Object.setPrototypeOf(client, Returning.prototype);
        client.stack = stack;
        client.token = tokenOf(client);
        client.connection = client;
        return client;
    }

    // Cuts the TCP connection and comes back from the last event that was read.
    async comeBack(t, { key } = {}) {
        const from = this.connection;
        if (from.socket.readyState !== from.socket.CLOSED) {
            const cut = new Promise((done) => from.socket.once('close', done));
            from.socket.removeAllListeners('message');
            from.socket.terminate();
            await cut;
        }
        this.closed = null;
        const next = new Client({ port: this.stack.nginx.port, key,
            path: back(this.token, this.events.at(-1)?.event_id ?? '') });
        next.receive = (event) => this.receive(event);
        next.socket.on('close', (code, reason) => {
            if (this.connection === next) {
                this.end(code, reason.toString());
            }
        });
        this.connection = next;
        await next.opened;
        assert.notEqual(tokenOf(next), this.token, 'the token is rotated');
        assert.match(tokenOf(next), /^[0-9a-f]{32}$/);
        assert.equal(next.sessionId, this.sessionId);
        this.token = tokenOf(next);
    }

    transmit(text) {
        this.connection.socket.send(text);
    }

    hangUp(code, reason) {
        this.connection.socket.close(code, reason);
    }

    kill() {
        this.connection.socket.terminate();
    }
}

test(`R1 a client cut ${cuts} times amid its responses misses nothing and gets nothing twice`,
    { timeout: 600000 }, async (t) => {
        const stack = await startStack(t);
        const client = await Returning.start(stack, t);
        await client.next('session.created');
        for (let i = 0; i < cuts; i++) {
            client.sayText(i % 2 ? 'tell me a story' : 'what time is it');
            client.send({ type: 'response.create' });
            const { response } = await client.next('response.created');
            if (i % 3) {
                await client.waitFor(/response.output_audio(_transcript)?.delta/,
                    (event) => event.response_id === response.id);
            }
            await client.comeBack(t);
            if (i % 2) {
                client.send({ type: 'response.cancel' });
            }
            const done = await client.next('response.done');
            assert.equal(done.response.id, response.id);
            client.assertValid();
        }
        assert.equal((await stack.voiced.sessions()).length, 1);
        await client.close();
        const summary = await stack.voiced.summary(client.sessionId);
        assert.equal(summary.ended, 'client_closed');
    });

test('R1 what was said while nobody was there is told, each event once', async (t) => {
    const stack = await startStack(t);
    const client = await Returning.start(stack, t);
    await client.next('session.created');
    await client.update({ output_modalities: ['text'] });
    client.sayText('tell me a story');
    client.send({ type: 'response.create' });
    await client.next('response.created');
    client.connection.socket.removeAllListeners('message');
    client.connection.socket.terminate();
    await until(() => stack.voiced.log().includes('event=client_detached'));
    await sleep(1500);
    await client.comeBack(t);
    const done = await client.next('response.done');
    assert.equal(done.response.status, 'completed');
    const { text } = client.spoken(done.response.id);
    assert.equal(text, done.response.output[0].content[0].text);
});

test('R1 a token that is used, foreign, unknown or malformed is refused', async (t) => {
    const stack = await startStack(t, { voiced: { auth: 'keys', keys: ['mine'] } });
    const { mine } = stack.voiced.keys;
    const other = await stack.voiced.addKey('other', '--tenant', 'somebody-else');
    const client = await stack.connect(t, { path: NEW, key: mine });
    const { event_id: after } = await client.next('session.created');
    const first = tokenOf(client);
    const tryWith = async (path, key) => {
        const { status, json } = await refused({ port: stack.nginx.port, path, key });
        return [status, json.error.code];
    };
    await sleep(1100); // the new key is looked for once a second
    client.socket.terminate();
    assert.deepEqual(await tryWith(back(first, after), other), [404, 'session_not_found']);
    assert.deepEqual(await tryWith(back('0'.repeat(32), after), mine), [404, 'session_not_found']);
    assert.deepEqual(await tryWith(back('x', after), mine), [404, 'session_not_found']);
    assert.deepEqual(await tryWith(back(first, 'event_nobody_saw'), mine),
        [410, 'events_missed']);
    const again = await stack.connect(t, { path: back(first, after), key: mine, checked: false });
    assert.deepEqual(await tryWith(back(first, after), mine), [404, 'session_not_found'],
        'a used token');
    assert.equal(again.sessionId, client.sessionId);
    await again.close();
});

test('R1 of many who come with one token one gets in', async (t) => {
    const stack = await startStack(t);
    const client = await stack.connect(t, { path: NEW });
    const { event_id: after } = await client.next('session.created');
    const token = tokenOf(client);
    client.socket.terminate();
    const results = await Promise.all(Array.from({ length: 20 }, () => stack.connect(t,
        { path: back(token, after), checked: false }).catch((error) => error)));
    const inside = results.filter((one) => !(one instanceof Error));
    assert.equal(inside.length, 1);
    for (const error of results.filter((one) => one instanceof Error)) {
        assert.match(error.message, /40[49]/);
    }
    await inside[0].close();
});

test('R1 a client that comes back before its loss was seen takes the place over', async (t) => {
    const stack = await startStack(t);
    const client = await stack.connect(t, { path: NEW });
    const { event_id: after } = await client.next('session.created');
    const again = await stack.connect(t, { path: back(tokenOf(client), after), checked: false });
    const closed = await client.waitClosed();
    assert.equal(closed.code, 1001);
    again.send({ type: 'input_audio_buffer.clear' });
    await again.next('text', ({ text }) => text.includes('input_audio_buffer.cleared'));
    await again.close();
});

test('R1 who does not come back in time, or closes, is gone', async (t) => {
    const stack = await startStack(t, { voiced: { settings: { resume_grace: '1s' } } });
    const lost = await stack.connect(t, { path: NEW });
    await lost.next('session.created');
    lost.socket.terminate();
    assert.equal((await stack.voiced.summary(lost.sessionId)).ended, 'client_lost');
    const path = back(tokenOf(lost));
    assert.equal((await refused({ port: stack.nginx.port, path })).status, 404);

    const closing = await stack.connect(t, { path: NEW });
    await closing.next('session.created');
    await closing.close();
    assert.equal((await stack.voiced.summary(closing.sessionId)).ended, 'client_closed');
    assert.equal((await refused({ port: stack.nginx.port, path: back(tokenOf(closing)) })).status,
        404);

    const plain = await stack.connect(t);
    await plain.next('session.created');
    assert.equal(tokenOf(plain), undefined, 'who did not ask gets no token');
    plain.socket.terminate();
    assert.equal((await stack.voiced.summary(plain.sessionId)).ended, 'client_lost');
});

test('R1 a reload of NGINX sends such a client to another worker, amid a talk', async (t) => {
    const stack = await startStack(t, { policy: 'voice_model gpt-realtime;\nvoice_drain_timeout 20s;' });
    const client = await Returning.start(stack, t);
    await client.next('session.created');
    await stack.nginx.reload();
    const closed = await client.waitClosed(30000);
    assert.equal(closed.code, 1012);
    await client.comeBack(t);
    client.sayText('what time is it');
    assert.equal((await client.respond()).status, 'completed');
    await client.close();
});

test('R1 sessions that wait for their clients end with the server', async (t) => {
    const stack = await startStack(t);
    const client = await stack.connect(t, { path: NEW });
    await client.next('session.created');
    client.socket.terminate();
    await until(() => stack.voiced.log().includes('event=client_detached'));
    await stack.voiced.stop();
    assert.equal((await stack.voiced.summary(client.sessionId)).ended, 'shutdown');
});

test('R1 a client that comes back over a connection that is stuck gets on', async (t) => {
    const { up, stack } = await startTalk(t);
    const stuck = await stack.connect(t, { path: '/v1/realtime?model=m&resume=new' });
    const { event_id: after } = await stuck.next('session.created');
    const conn = await up.nextConnection();
    const queued = async () => (await stack.voiced.sessions())[0].queued_bytes;
    const delta = Buffer.alloc(600000).toString('base64');
    const ids = { response_id: 'resp_x', item_id: 'item_x', output_index: 0, content_index: 0 };

    stuck.socket.pause();
    for (let i = 0; await queued() < 262144; i++) {
        assert.ok(i < 200, 'the queue fills');
        conn.send({ type: 'response.output_audio.delta', event_id: `event_${i}`, ...ids, delta });
        await sleep(20);
    }
    const next = new Client({ port: stack.nginx.port, path: back(tokenOf(stuck), after) });
    defer(t, () => next.kill());
    await next.opened;
    stuck.kill();
    conn.send({ type: 'response.output_audio.delta', event_id: 'event_last', ...ids, delta: 'AAAA' });
    await next.waitFor('response.output_audio.delta', (event) => event.event_id === 'event_last');
    await next.close();
    assert.equal((await stack.voiced.summary(stuck.sessionId)).ended, 'client_closed');
});

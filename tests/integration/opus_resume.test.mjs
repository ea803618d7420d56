// SPDX-License-Identifier: BSD-2-Clause
//
// An Opus client whose connection is lost comes back: the talk and its sound
// go on.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import WebSocket from 'ws';
import { appended, ask, openOpus, startOpus } from './lib/opus_stack.mjs';
import { count } from './lib/paths.mjs';
import { sleep, until } from './lib/process.mjs';
import { compare, speech } from './lib/sound.mjs';
import { START } from './lib/voice_packet.mjs';

const PATH = '/v1/realtime?model=m&resume=new';
const cuts = count(2, 20);

test(`R1 an Opus client cut ${cuts} times amid answers hears the rest of them`,
    { timeout: 600000 }, async (t) => {
        const env = await startOpus(t);
        const { client, conn } = await openOpus(t, env, { path: PATH });
        const { session_id: id, resume_grace_ms: grace } = client.voice;
        assert.ok(grace > 0);
        assert.match(client.voice.resume_token, /^[0-9a-f]{32}$/);
        for (let i = 0; i < cuts; i++) {
            const token = client.voice.resume_token;
            const { id: response, first } = await ask(client, 4000);
            await sleep(500 + Math.random() * 1500);
            const before = { packets: client.packets.length, events: client.events.length,
                end: client.player.end };
            await client.comeBack();
            assert.equal(client.protocol, 'voice.opus.v1');
            const voice = await client.waitFor('voice.session', undefined, { from: before.events });
            assert.equal(client.events[before.events], voice, 'it is the first of all');
            assert.equal(voice.session_id, id);
            assert.notEqual(voice.resume_token, token, 'the token is rotated');
            await client.next('output_audio_buffer.stopped', (e) => e.response_id === response);
            const [next] = client.packets.slice(before.packets);
            assert.equal(next.flags & START, START);
            assert.ok(next.timestamp >= before.end - 960 && next.timestamp < before.end + 48000,
                `${next.timestamp} after ${before.end}`);
            const heard = client.packets.filter(({ timestamp }) => timestamp >= first)
                .reduce((sum, packet) => sum + packet.samples / 48, 0);
            assert.ok(heard > 3300 && heard < 4300, `${heard} ms of 4000`);
            const at = (next.timestamp - first) / 2;
            const { correlation } = compare(speech(4000).subarray(at),
                client.player.pcm(next.timestamp), { maxLagMs: 40 });
            assert.ok(correlation > 0.65, `the rest: correlation ${correlation}`);

            const from = appended(conn).length;
            await client.say(speech(800));
            await until(() => appended(conn).length - from >= 24 * 790, 'what was said');
            const said = compare(speech(800), appended(conn).subarray(from), { maxLagMs: 200 });
            assert.ok(said.correlation > 0.65, `said: correlation ${said.correlation}`);
        }
        assert.equal((await env.stack.voiced.sessions()).length, 1);
        await client.close();
        const summary = await env.stack.voiced.summary(client.sessionId);
        assert.equal(summary.ended, 'client_closed');
    });

test('R1 who comes back late to a finished answer hears its rest', async (t) => {
    const env = await startOpus(t);
    const { client } = await openOpus(t, env, { path: PATH });
    const { id, first } = await ask(client, 2500);
    await sleep(400);
    client.socket.terminate();
    await sleep(2500); // longer than the rest of it
    await client.comeBack();
    await client.next('response.done');
    await client.next('output_audio_buffer.stopped', (e) => e.response_id === id);
    const heard = client.packets.filter(({ timestamp }) => timestamp >= first)
        .reduce((sum, packet) => sum + packet.samples / 48, 0);
    assert.ok(heard > 1900, `${heard} ms of 2500`);
});

// What comes of offering these to a session whose client is gone.
async function offer(port, client, protocols) {
    const { resume_token: token } = client.voice;
    const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/realtime?resume=${token}` +
        `&after=${client.events.at(-1).event_id}`, protocols);
    const answer = await new Promise((done) => {
        socket.once('unexpected-response', (_, response) => done(response.statusCode));
        socket.once('open', () => done(socket.protocol));
    });
    socket.on('error', () => {});
    const closed = new Promise((done) => socket.once('close', done));
    socket.close();
    await closed;
    return answer;
}

test('R1 a session keeps the kind of sound that it began with', async (t) => {
    const env = await startOpus(t);
    const { port } = env.stack.nginx;
    const { client } = await openOpus(t, env, { path: PATH });
    client.socket.terminate();
    await until(() => env.stack.voiced.log().includes('event=client_detached'));
    assert.equal(await offer(port, client, ['realtime']), 400);
    assert.equal(await offer(port, client, []), 400);
    assert.equal(await offer(port, client, ['realtime', 'voice.opus.v1']), 'voice.opus.v1');
});

test('R8 the list of live sessions has the legs and the quality', async (t) => {
    const env = await startOpus(t);
    const { client } = await openOpus(t, env, { path: PATH });
    const listed = async () => (await env.stack.request('/v1/sessions/live')).json.sessions
        .map(({ client: leg, upstream, quality }) => [leg, upstream, quality]);
    assert.deepEqual(await listed(), [['attached', 'ready', 'high']]);
    for (let i = 0; i < 3; i++) {
        client.send({ type: 'voice.stats', rtt_ms: 900, played_ms: 0 });
    }
    await client.next('voice.quality', ({ level }) => level === 'low');
    assert.deepEqual(await listed(), [['attached', 'ready', 'low']]);
    client.socket.terminate();
    await until(async () => (await listed())[0][0] === 'detached', 'its leg is gone');
    const plain = await env.stack.connect(t, { path: '/v1/realtime?model=m' });
    await plain.next('session.created');
    assert.deepEqual((await listed()).find(([leg]) => leg === 'attached'),
        ['attached', 'ready', null]);
    assert.match((await env.stack.voiced.ctl('sessions')).stdout, / quality=low /);
    assert.equal(await offer(env.stack.nginx.port, client, ['voice.opus.v1']), 'voice.opus.v1');
    const { rtt_us: rtt } = await env.stack.voiced.summary(client.sessionId);
    assert.ok(rtt > 0, 'as the client told it');
});

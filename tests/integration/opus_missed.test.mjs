// SPDX-License-Identifier: BSD-2-Clause
//
// An Opus client that was away when an answer began.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openOpus, startOpus } from './lib/opus_stack.mjs';
import { sleep } from './lib/process.mjs';

test('R1 who was away when an answer began is told so, and then hears it', async (t) => {
    const env = await startOpus(t);
    const { client } = await openOpus(t, env, { path: '/v1/realtime?model=m&resume=new' });
    client.sayText('say 1500');
    client.send({ type: 'response.create' });
    await sleep(1); // it is written
    client.socket.terminate();
    await sleep(1500);
    const from = client.log.length;
    await client.comeBack();
    const { response_id: id } = await client.next('output_audio_buffer.stopped');
    const log = client.log.slice(from);
    const place = (type) => log.findIndex(({ event }) => event?.type === type);
    assert.equal(place('voice.session'), 0);
    const started = log.filter(({ event }) => event?.type === 'output_audio_buffer.started');
    assert.deepEqual(started.map(({ event }) => event.response_id), [id]);
    const first = log.findIndex(({ packet }) => packet);
    if (place('response.created') >= 0) {
        assert.ok(first > place('response.created'), 'audio comes after what it belongs to');
    }
    assert.ok(place('output_audio_buffer.started') > place('response.created'));
});

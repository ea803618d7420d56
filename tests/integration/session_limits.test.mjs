// SPDX-License-Identifier: BSD-2-Clause
//
// How long a session may last and how long it may do nothing (limits of
// voiced.conf): the client is told why, and its turn counts as doing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sleep } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';
import { silence, toBase64 } from './lib/wav.mjs';

async function assertEnds(stack, client, code, ended) {
    const { error } = await client.next('error');
    assert.equal(error.code, code);
    assert.equal((await client.waitClosed()).code, 1001);
    assert.equal((await stack.voiced.summary(client.sessionId)).ended, ended);
}

test('R4.3 a session ends at its longest time, with session_expired', async (t) => {
    const stack = await startStack(t, { voiced: { settings: { limits: { session: '1500ms' } } } });
    const client = await stack.connect(t);
    await client.next('session.created');
    client.sayText('what time is it');
    assert.equal((await client.respond()).status, 'completed');
    await assertEnds(stack, client, 'session_expired', 'session_limit');
});

test('R4.3 a session ends when it is idle; an open microphone is no life, a turn is', async (t) => {
    const stack = await startStack(t, { voiced: { settings: { limits: { idle: '1s' } } } });
    const client = await stack.connect(t);
    await client.next('session.created');
    for (let i = 0; i < 3; i++) {
        await sleep(500);
        client.sayText('what time is it');
        assert.equal((await client.respond()).status, 'completed');
    }
    const microphone = setInterval(() => client.send({ type: 'input_audio_buffer.append',
        audio: toBase64(silence(100)) }), 100);
    t.after(() => clearInterval(microphone));
    await assertEnds(stack, client, 'session_idle', 'idle');
});

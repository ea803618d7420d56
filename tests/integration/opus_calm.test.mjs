// SPDX-License-Identifier: BSD-2-Clause
//
// An answer that waits in the gateway to be played is being said: no session
// is idle meanwhile, and none is at a calm moment.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reload } from './lib/drain.mjs';
import { POLICY, ask, openOpus, startOpus } from './lib/opus_stack.mjs';

test('R4.3 an Opus session is not idle while its client hears an answer', async (t) => {
    const env = await startOpus(t, { settings: { limits: { idle: '1500ms' } } });
    const { client } = await openOpus(t, env);
    const { id } = await ask(client, 4000); // the model needs 800 ms for it
    await client.next('output_audio_buffer.stopped', (e) => e.response_id === id);
    const from = Date.now();
    const { error } = await client.next('error');
    assert.equal(error.code, 'session_idle');
    assert.ok(Date.now() - from > 1000, `${Date.now() - from} ms after it`);
});

test('R6.1 an answer is played to its end before a drained Opus session ends', async (t) => {
    const env = await startOpus(t, { policy: () => `${POLICY}voice_drain_timeout 12s;\n` });
    const { client } = await openOpus(t, env);
    const { id } = await ask(client, 9000); // patience ends after 6 s
    await reload(env.stack.nginx);
    await client.next('output_audio_buffer.stopped', (e) => e.response_id === id);
    const { code } = await client.waitClosed();
    assert.equal(code, 1001);
    assert.equal((await env.stack.voiced.summary(client.sessionId)).ended, 'drained');
});

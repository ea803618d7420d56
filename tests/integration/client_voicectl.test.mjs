// SPDX-License-Identifier: BSD-2-Clause
//
// `voicectl talk` over wss: says the question, prints what came of it.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { fixtures, patience, voicectlBinary } from './lib/paths.mjs';
import { run } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';
import { durationMs, readWav, rms } from './lib/wav.mjs';

test('voicectl talk', async (t) => {
    const stack = await startStack(t, { voiced: { auth: 'keys', keys: ['me'] } });
    const out = join(stack.voiced.dir, 'answer.wav');
    const talk = (key, ...args) => run(voicectlBinary, ['talk', '--json',
        '--url', stack.url('wss', '/v1/realtime'), '--model', 'gpt-realtime',
        '--cacert', join(stack.nginx.certs.dir, 'ca.pem'), '--key', key, ...args],
    { timeout: patience(40000) });

    await t.test('speaks a question and keeps the answer', async () => {
        const { code, stdout, stderr } = await talk(stack.voiced.keys.me,
            '--wav', join(fixtures, 'question.wav'), '--out', out, '--real-time');
        assert.equal(code, 0, stderr);
        const facts = JSON.parse(stdout);
        assert.match(facts.heard, /what time is it/i);
        assert.ok(facts.answer.length > 0);
        assert.ok(facts.voice_to_voice_ms > 0);
        assert.match(facts.session, /^sess_/);
        const { rate, pcm } = readWav(out);
        assert.equal(rate, 24000);
        assert.ok(rms(pcm) > 200 && durationMs(pcm) > 300);
    });

    await t.test('types one', async () => {
        const { code, stdout, stderr } = await talk(stack.voiced.keys.me,
            '--text', 'What is seven plus five?');
        assert.equal(code, 0, stderr);
        assert.match(JSON.parse(stdout).answer, /twelve|12/i);
    });

    await t.test('a wrong key is said plainly', async () => {
        const { code, stderr } = await talk('vk_wrong', '--text', 'hello');
        assert.equal(code, 4);
        assert.match(stderr, /401/);
        assert.doesNotMatch(stderr, /vk_wrong/);
    });

    await t.test('status and sessions tell of it', async (t) => {
        const client = await stack.connect(t, { key: stack.voiced.keys.me });
        await client.next('session.created');
        const status = JSON.parse((await stack.voiced.ctl('status', '--json')).stdout);
        assert.equal(status.sessions, 1);
        const [session] = await stack.voiced.sessions();
        assert.equal(session.id, client.sessionId);
        assert.equal(session.model, 'gpt-realtime');
        await client.close();
        await stack.voiced.summary(client.sessionId);
    });
});

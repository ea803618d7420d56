// SPDX-License-Identifier: BSD-2-Clause
//
// What a tenant may use: sessions at once, requests a minute, tokens a day.

import assert from 'node:assert/strict';
import test from 'node:test';
import { refused } from './lib/client.mjs';
import { until } from './lib/process.mjs';
import { startLocalStack } from './lib/stack.mjs';

const start = (t, limits) => startLocalStack(t, { policy: 'voice_model gpt-realtime;',
    voiced: { auth: 'keys', keys: ['app'], settings: { limits } } });

const opens = (stack, key) => refused({ port: stack.nginx.port, key });

function assertRefused(answer, code, type) {
    assert.equal(answer.status, 429);
    const { error } = JSON.parse(answer.text);
    assert.equal(error.code, code);
    assert.equal(error.type, type);
    assert.ok(Number(answer.headers['retry-after']) >= 1);
}

test('sessions at once', async (t) => {
    const stack = await start(t, { sessions: 2 });
    const key = stack.voiced.keys.app;
    const first = await stack.connect(t, { key });
    const second = await stack.connect(t, { key });
    await second.next('session.created');
    assertRefused(await opens(stack, key), 'realtime_session_limit', 'rate_limit_error');
    // Another tenant has its own.
    const theirs = await stack.voiced.addKey('theirs', '--tenant', 'them');
    const other = await until(() => stack.connect(t, { key: theirs }).catch(() => false),
        'the new key to be read');
    await other.next('session.created');
    // One that ends makes room, also one that is cut.
    first.kill();
    const third = await until(() => stack.connect(t, { key }).catch(() => false), 'a free slot');
    await third.next('session.created');
    assertRefused(await opens(stack, key), 'realtime_session_limit', 'rate_limit_error');
    // One that is refused later takes none.
    await second.close();
    await third.close();
    for (let i = 0; i < 5; i++) {
        const answer = await refused({ port: stack.nginx.port, key,
            path: '/v1/realtime?model=nothing' });
        assert.equal(answer.status, 404);
    }
    const last = await until(() => stack.connect(t, { key }).catch(() => false), 'a free slot');
    await last.next('session.created');
});

test('requests a minute', async (t) => {
    const stack = await start(t, { requests: 5 });
    const key = stack.voiced.keys.app;
    const ask = () => stack.request('/v1/usage', { headers: { authorization: `Bearer ${key}` } });
    for (let i = 0; i < 5; i++) {
        assert.equal((await ask()).status, 200);
    }
    const answer = await ask();
    assertRefused(answer, 'rate_limit_exceeded', 'rate_limit_error');
    assert.ok(Number(answer.headers['retry-after']) <= 13);
    // A session start is a request; what is open to all is not.
    assertRefused(await opens(stack, key), 'rate_limit_exceeded', 'rate_limit_error');
    assert.equal((await stack.request('/health')).status, 200);
    const metrics = String((await stack.request('/metrics')).body);
    assert.match(metrics, /voiced_limits_refused_total\{reason="rate_limit_exceeded"\} 2/);
});

test('tokens a day', async (t) => {
    const stack = await start(t, { tokens: 10 });
    const key = stack.voiced.keys.app;
    const client = await stack.connect(t, { key });
    await client.next('session.created');
    client.sayText('What is seven plus five?');
    const { usage } = await client.respond({ output_modalities: ['text'] });
    assert.ok(usage.total_tokens >= 10);
    const answer = await opens(stack, key);
    assertRefused(answer, 'insufficient_quota', 'insufficient_quota');
    assert.ok(Number(answer.headers['retry-after']) <= 86401);
    // Who is in stays in.
    client.sayText('What is one plus one?');
    await client.respond({ output_modalities: ['text'] });
});

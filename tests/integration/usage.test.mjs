// SPDX-License-Identifier: BSD-2-Clause
//
// GET /v1/usage: what tenants have used, by day and model, over restarts.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { makeDir } from './lib/paths.mjs';
import { until } from './lib/process.mjs';
import { startLocalStack } from './lib/stack.mjs';

const bearer = (key) => ({ authorization: `Bearer ${key}` });
const today = () => new Date().toISOString().slice(0, 10);

async function usageOf(stack, key, query = '') {
    const answer = await stack.request(`/v1/usage${query}`, { headers: bearer(key) });
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
}

// A typed turn; resolves to the usage that the client was told.
async function turn(stack, t, key, model = 'gpt-realtime') {
    const client = await stack.connect(t, { key, path: `/v1/realtime?model=${model}` });
    await client.next('session.created');
    client.sayText('What is seven plus five?');
    const response = await client.respond({ output_modalities: ['text'] });
    await client.close();
    return response.usage;
}

const start = (t, store) => startLocalStack(t, { policy: 'voice_model gpt-realtime gpt-other;',
    voiced: { auth: 'keys', keys: ['app'], settings: store ? { store } : {} } });

function assertSums(total, usages) {
    const sum = (pick) => usages.reduce((n, u) => n + pick(u), 0);
    assert.equal(total.responses, usages.length);
    assert.equal(total.estimated_responses, 0);
    assert.equal(total.input_tokens, sum((u) => u.input_tokens));
    assert.equal(total.output_tokens, sum((u) => u.output_tokens));
    assert.equal(total.cached_input_tokens, sum((u) => u.input_token_details.cached_tokens));
    assert.equal(total.uncached_input_tokens,
        total.input_tokens - total.cached_input_tokens);
    assert.equal(total.output_token_details.text_tokens,
        sum((u) => u.output_token_details.text_tokens));
    assert.equal(total.input_token_details.text_tokens,
        sum((u) => u.input_token_details.text_tokens));
}

const ended = (stack, key, n) => until(async () =>
    (await usageOf(stack, key)).total.sessions === n, `${n} sessions to have ended`);

test('R6.4 usage with a store', async (t) => {
    const store = { sqlite: join(makeDir('store'), 'voice.db') };
    const stack = await start(t, store);
    const key = stack.voiced.keys.app;
    const usages = [];

    await t.test('R6.4 nothing yet', async () => {
        const usage = await usageOf(stack, key);
        assert.equal(usage.object, 'usage');
        assert.equal(usage.to, today());
        assert.deepEqual(usage.data, []);
        assert.equal(usage.total.input_tokens, 0);
        assert.equal(usage.total.tool_runs, 0);
    });

    await t.test('R6.4 tokens as the model told the client, by model', async (t) => {
        usages.push(await turn(stack, t, key), await turn(stack, t, key),
            await turn(stack, t, key, 'gpt-other'));
        await ended(stack, key, 3);
        const { data, total } = await usageOf(stack, key);
        assert.deepEqual(data.map((row) => [row.date, row.model]),
            [[today(), 'gpt-other'], [today(), 'gpt-realtime']]);
        assertSums(total, usages);
        assert.ok(total.minutes > 0 && total.minutes < 5);
        assert.ok(total.input_tokens > 0);
    });

    await t.test('R6.4 another tenant sees its own', async (t) => {
        const theirs = await stack.voiced.addKey('theirs', '--tenant', 'them');
        await until(async () => (await stack.request('/v1/usage', { headers: bearer(theirs) }))
            .status === 200, 'the new key to be read');
        const used = await turn(stack, t, theirs);
        await ended(stack, theirs, 1);
        const usage = await usageOf(stack, theirs);
        assert.equal(usage.tenant, 'them');
        assertSums(usage.total, [used]);
    });

    await t.test('R6.4 a new generation knows it, and another instance', async (t) => {
        usages.push(await turn(stack, t, key));
        await stack.voiced.reload();
        await ended(stack, key, 4);
        assertSums((await usageOf(stack, key)).total, usages);
        const other = await start(t, store);
        assertSums((await usageOf(other, other.voiced.keys.app)).total, usages);
    });

    await t.test('days', async () => {
        for (const query of ['?from=2026-13-01', '?to=yesterday', '?from=2026-02-30',
            '?from=2030-01-02&to=2030-01-01', '?from=2020-01-01&to=2029-01-01']) {
            const answer = await stack.request(`/v1/usage${query}`, { headers: bearer(key) });
            assert.equal(answer.status, 400, query);
            assert.equal(answer.json.error.code, 'invalid_value');
        }
        const past = await usageOf(stack, key, '?from=2020-01-01&to=2020-01-31');
        assert.deepEqual([past.from, past.to, past.data.length], ['2020-01-01', '2020-01-31', 0]);
        const now = await usageOf(stack, key, `?from=${today()}`);
        assert.equal(now.data.length, 2);
        assert.equal((await stack.request('/v1/usage')).status, 401);
    });
});

test('R6.4 usage without a store lives as long as the process', async (t) => {
    const stack = await start(t);
    const used = await turn(stack, t, stack.voiced.keys.app);
    await ended(stack, stack.voiced.keys.app, 1);
    const { total, data } = await usageOf(stack, stack.voiced.keys.app);
    assertSums(total, [used]);
    assert.equal(data.length, 1);
});

test('R6.4 runs of tools, of sessions and over HTTP', async (t) => {
    const root = makeDir('root');
    writeFileSync(join(root, 'notes'), 'nine green bottles\n');
    const stack = await startLocalStack(t, {
        policy: 'voice_model gpt-realtime;\nvoice_tools read_file;\nvoice_http_tools read_file;',
        voiced: { auth: 'keys', keys: ['app'], settings: { tools: { root } } } });
    const key = stack.voiced.keys.app;
    const read = (file_path) => stack.request('/v1/tools/read_file', {
        method: 'POST', headers: { ...bearer(key), 'content-type': 'application/json' },
        body: JSON.stringify({ file_path }) });

    const client = await stack.connect(t, { key });
    await client.update({ output_modalities: ['text'] });
    client.sayText('read the file notes');
    client.send({ type: 'response.create' });
    await client.responseDone();
    assert.match(client.spoken((await client.responseDone()).id).text, /nine green bottles/);
    await client.close();
    await ended(stack, key, 1);

    // One that is kept, one that fails, one that is none.
    assert.equal((await read('notes')).json.cached, true);
    assert.equal((await read('nothing')).json.success, false);
    assert.equal((await read(7)).json.error.type, 'invalid_arguments');

    const { data, total } = await usageOf(stack, key);
    assert.deepEqual(data.map((row) => [row.model, row.tool_runs]),
        [['', 1], ['gpt-realtime', 1]]);
    assert.equal(total.tool_runs, 2);
});

// SPDX-License-Identifier: BSD-2-Clause
//
// Reloads of NGINX under sessions that talk: to an echo, which knows of every
// message, and to the offline model, amid its responses.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Talking, assertNothingLost, drained, reload, startMany, workersGone }
    from './lib/drain.mjs';
import { count, freePort, full } from './lib/paths.mjs';
import { sleep } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';
import { Voiced } from './lib/voiced.mjs';

const talkers = count(60, 500);
const rounds = count(2, 20);
const askers = count(6, 20);
const limitMs = 3000;

async function startBoth(t, directives) {
    const echo = await Voiced.start(t, { settings: { bench: { echo: 'yes' } } });
    const port = await freePort();
    const stack = await startStack(t, {
        http: `upstream echo { server unix:${echo.socket}; }
            ${directives}
            server {
                listen 127.0.0.1:${port} backlog=4096;
                add_header X-Worker $pid always;
                location = /v1/realtime { voice_pass echo; }
            }`,
        nginx: { workers: 2 },
    });
    return { echo, port, stack };
}

// Asks for one response after the other until the session ends; counts what
// was begun.
async function ask(client) {
    await client.next('session.created');
    await client.update({ output_modalities: ['audio'] });
    for (;;) {
        client.sayText('tell me a story');
        client.send({ type: 'response.create' });
        try {
            await client.next('response.done');
        } catch {
            return;
        }
    }
}

async function startAsking(t, stack) {
    const client = await stack.connect(t);
    return { client, over: ask(client) };
}

// Whether it was cut amid a response.
async function assertAsked({ client, over }, voiced) {
    const closed = await client.waitClosed(30000);
    await over;
    assert.equal(closed.code, 1001);
    const summary = await voiced.summary(client.sessionId);
    assert.equal(summary.ended, 'drained');
    assert.equal(summary.code, 1001);
    assert.equal(client.events.length, summary.down_messages, 'every event arrived');
    const [begun, done] = ['response.created', 'response.done']
        .map((type) => client.types().filter((other) => other === type).length);
    assert.ok(begun > 0);
    return begun > done;
}

test(`R6.1 ${rounds} reloads under ${talkers} talking sessions lose nothing`,
    { timeout: 1200000 }, async (t) => {
        const { echo, port, stack } = await startBoth(t, `voice_drain_timeout ${limitMs}ms; voice_deflate_min_length 100;`);
        const { nginx } = stack;
        for (let round = 0; round < rounds; round++) {
            const intervalMs = full ? 100 : 20;
            const all = await startMany(talkers, (i) => Talking.start(t, port,
                { intervalMs, deflate: i % 2 === 1 }));
            assert.equal(all.filter(({ client }) =>
                client.responseHeaders['sec-websocket-extensions']).length, talkers >> 1);
            const asking = await startMany(askers, () => startAsking(t, stack));
            await sleep(300);
            const before = all.map((talking) => talking.received);

            const old = await reload(nginx);
            const from = Date.now();
            const fresh = await Talking.start(t, port);
            assert.ok(!old.includes(fresh.worker), 'new sessions go to the new workers');
            await sleep(limitMs / 3);
            if (Date.now() - from < limitMs * 0.8) {
                for (const [i, talking] of all.entries()) {
                    assert.equal(talking.client.closed, null, 'the session goes on');
                    assert.ok(talking.received > before[i] || full, 'and talks');
                }
            }
            for (const talking of all) {
                await assertNothingLost(talking, { nginx, voiced: echo, ended: 'drained' });
            }
            let amid = 0;
            for (const one of asking) {
                amid += await assertAsked(one, stack.voiced);
            }
            assert.ok(amid > 0, 'the time was over amid a response');
            await workersGone(nginx, old);
            assert.equal(fresh.client.closed, null, 'the new worker drains nobody');
            await fresh.client.close();
            fresh.assertInOrder();
            const total = drained(nginx).slice(-2).reduce((a, b) => a + b, 0);
            assert.equal(total, talkers + askers);
        }
    });

test('R6.1 a session at rest ends by itself when its time is nearly over', async (t) => {
    const { echo, port, stack } = await startBoth(t, 'voice_drain_timeout 6s;');
    const quiet = await Talking.start(t, port, { intervalMs: 1 << 30 });
    const model = await stack.connect(t);
    await model.next('session.created');
    const old = await reload(stack.nginx);
    const from = Date.now();
    await assertNothingLost(quiet, { nginx: stack.nginx, voiced: echo, ended: 'drained' });
    const closed = await model.waitClosed();
    assert.deepEqual([closed.code, closed.reason], [1001, 'the gateway is shutting down']);
    assert.ok(Date.now() - from >= 2500, 'not in the first half of it');
    assert.equal((await stack.voiced.summary(model.sessionId)).ended, 'drained');
    await workersGone(stack.nginx, old);
});

test('R6.1 sessions that end by themselves keep their own codes', async (t) => {
    const { port, stack } = await startBoth(t, 'voice_drain_timeout 1m;');
    const talking = await Talking.start(t, port);
    const model = await stack.connect(t);
    await model.next('session.created');
    const old = await reload(stack.nginx);
    await model.update({ output_modalities: ['text'] });
    model.sayText('hello');
    assert.equal((await model.respond()).status, 'completed');
    assert.equal((await stack.voiced.sessions())[0].state, 'draining');
    assert.equal((await model.close()).code, 1000);
    assert.equal((await talking.client.close(3000, 'done')).code, 3000);
    talking.assertInOrder();
    await workersGone(stack.nginx, old);
    assert.equal((await stack.voiced.summary(model.sessionId)).ended, 'client_closed');
});

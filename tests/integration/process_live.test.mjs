// SPDX-License-Identifier: BSD-2-Clause
//
// Two instances behind one upstream under live sessions: what a death, a
// reload and a new binary do to them.

import assert from 'node:assert/strict';
import test from 'node:test';
import { sanitized } from './lib/paths.mjs';
import { fdCount, isAlive, rssAnonKb, until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';

const sessions = 200;

async function connectAll(t, stack) {
    const clients = [];
    while (clients.length < sessions) {
        const few = await Promise.all(Array.from({ length: 20 }, () => stack.connect(t)));
        await Promise.all(few.map((client) => client.next('session.created')));
        clients.push(...few);
    }
    return clients;
}

async function idsOf(voiced) {
    return new Set((await voiced.sessions()).map((s) => s.id));
}

// Every one still carries a turn.
async function assertServed(clients) {
    for (let at = 0; at < clients.length; at += 20) {
        await Promise.all(clients.slice(at, at + 20).map(async (client) => {
            assert.equal(client.closed, null);
            await client.update({ output_modalities: ['text'] });
            client.sayText('hello');
            assert.equal((await client.respond()).status, 'completed');
        }));
    }
}

const figuresOf = (pids) => ({ fds: pids.map(fdCount), kb: pids.map(rssAnonKb) });

test('R5.1 kill -9 under 200 sessions: a Close frame each, the others live on', async (t) => {
    const stack = await startStack(t, { voiced: [{}, {}] });
    const [one, two] = stack.instances;
    const [worker] = stack.nginx.workers();
    const warm = await connectAll(t, stack);
    await Promise.all(warm.map((client) => client.close()));
    const idle = () => until(async () => (await one.sessions()).length +
        (await two.sessions()).length === 0, 'sessions to end');
    await idle();
    const before = figuresOf([worker, two.serverPid(), one.pid, two.pid]);

    const clients = await connectAll(t, stack);
    const doomed = await idsOf(one), safe = await idsOf(two);
    assert.equal(doomed.size + safe.size, sessions);
    assert.ok(doomed.size > sessions / 4 && safe.size > sessions / 4);
    const killed = one.serverPid();
    const start = Date.now();
    process.kill(killed, 'SIGKILL');
    await until(async () => {
        const { code, stdout } = await one.ctl('status', '--json');
        return code === 0 && JSON.parse(stdout).pid !== killed;
    }, 'another server');
    t.diagnostic(`accepting again after ${Date.now() - start} ms`);
    for (const client of clients.filter((c) => doomed.has(c.sessionId))) {
        assert.equal((await client.waitClosed()).code, 1011);
    }
    const living = clients.filter((c) => safe.has(c.sessionId));
    await assertServed(living);
    await assertServed([await stack.connect(t), await stack.connect(t)]);

    await Promise.all(clients.filter((c) => !c.closed).map((c) => c.close()));
    await until(() => fdCount(worker) <= before.fds[0] + 4, 'descriptors to close');
    const after = figuresOf([worker, two.serverPid(), one.pid, two.pid]);
    t.diagnostic(`before ${JSON.stringify(before)}, after ${JSON.stringify(after)}`);
    assert.deepEqual(after.fds.slice(2), before.fds.slice(2));
    if (!sanitized) {
        assert.ok(after.kb[0] < before.kb[0] * 1.3 + 2000, 'nginx gives memory back');
        assert.ok(after.kb[1] < before.kb[1] * 1.5 + 8000, 'voiced gives memory back');
    }
});

for (const signal of ['SIGHUP', 'SIGUSR2']) {
    test(`R5.2 ${signal} under 200 sessions: nobody is cut`, async (t) => {
        const stack = await startStack(t, { voiced: [{}, {}] });
        const [one] = stack.instances;
        const clients = await connectAll(t, stack);
        const old = one.serverPid();
        one.process.kill(signal);
        await until(async () => {
            const { code, stdout } = await one.ctl('status', '--json');
            return code === 0 && JSON.parse(stdout).pid !== old;
        }, 'the new generation');
        await assertServed(clients);
        assert.ok(isAlive(old), 'the old generation serves its sessions');
        const fresh = await stack.connect(t);
        await fresh.next('session.created');
        await assertServed([fresh]);
        await Promise.all([...clients, fresh].map((c) => c.close()));
        await until(() => !isAlive(old), 'the old generation to end', 60000);
        assert.equal(clients.filter((c) => c.closed.code !== 1000).length, 0);
    });
}

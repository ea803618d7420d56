// SPDX-License-Identifier: BSD-2-Clause
//
// Connect, talk, disconnect, many times: descriptors and memory come back.
// VOICE_CYCLES says how often; under VOICE_VALGRIND=1 the server runs in
// valgrind, which then is the judge of its memory.

import assert from 'node:assert/strict';
import test from 'node:test';
import { count, sanitized, valgrind } from './lib/paths.mjs';
import { fdCount, rssAnonKb, until } from './lib/process.mjs';
import { spoken } from './lib/speech.mjs';
import { startStack } from './lib/stack.mjs';

const cycles = Number(process.env.VOICE_CYCLES ?? count(100, 1000));

// Of ten: eight typed questions, one answered aloud, one spoken. Every third
// client leaves without a word.
async function cycle(stack, i) {
    const client = await stack.connect({ after: () => {} });
    const aloud = i % 10 >= 8;
    await client.update({ output_modalities: [aloud ? 'audio' : 'text'] });
    if (i % 10 === 9) {
        await client.speak(spoken('count'));
    } else {
        client.sayText('What is seven plus five?');
        client.send({ type: 'response.create' });
    }
    const response = await client.responseDone();
    assert.equal(response.status, 'completed');
    if (i % 3 === 0) {
        client.kill();
        await client.waitClosed();
    } else {
        await client.close();
    }
    client.assertValid();
}

test(`R4.3 ${cycles} sessions leave no descriptor and no memory behind`, async (t) => {
    const stack = await startStack(t);
    const server = stack.voiced.serverPid();
    const [worker] = stack.nginx.workers();
    const settle = async () => {
        await until(async () => (await stack.voiced.sessions()).length === 0,
            'sessions to end');
        return { fds: fdCount(server), workerFds: fdCount(worker),
            kb: rssAnonKb(server), workerKb: rssAnonKb(worker) };
    };

    const warmUp = Math.min(40, cycles);
    for (let i = 0; i < warmUp; i++) {
        await cycle(stack, i);
    }
    const before = await settle();
    for (let i = 0; i < cycles; i++) {
        await cycle(stack, i);
    }
    const after = await settle();
    t.diagnostic(`before ${JSON.stringify(before)}, after ${JSON.stringify(after)}`);
    assert.ok(after.fds <= before.fds, `${after.fds} descriptors, ${before.fds} before`);
    assert.ok(after.workerFds <= before.workerFds);
    if (!valgrind && !sanitized) {
        const perCycle = (after.kb - before.kb) / cycles;
        assert.ok(after.kb - before.kb < 4096 && perCycle < 20,
            `voiced grew by ${perCycle} kB a cycle`);
        assert.ok(after.workerKb - before.workerKb < 1024,
            `nginx grew by ${after.workerKb - before.workerKb} kB`);
    }
    assert.equal(stack.voiced.summaries().length, warmUp + cycles);
});

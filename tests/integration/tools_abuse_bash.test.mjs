// SPDX-License-Identifier: BSD-2-Clause
//
// Escapes and abuses of shell commands, and their end: with their call, with
// who called, with the server.

import assert from 'node:assert/strict';
import test from 'node:test';
import { fileTools, makePlace, runCases, startTools } from './lib/abuse.mjs';
import { bashCases } from './lib/abuse_bash.mjs';
import { RawSocket } from './lib/client.mjs';
import { fdCount, isAlive, processes, rssAnonKb, commandOf, until } from './lib/process.mjs';
import { sanitized } from './lib/paths.mjs';

const leftKb = 64 * 1024;
const limits = { bash: 'yes', bash_memory: '512m', bash_processes: 32 };
const env = 'NOT-FOR-COMMANDS';

// Everything that the server has started, and they.
function descendants(pid) {
    const all = processes().filter(({ state }) => state !== 'Z');
    const found = [pid];
    for (const one of found) {
        found.push(...all.filter((p) => p.ppid === one).map((p) => p.pid));
    }
    return found.slice(1);
}

async function start(t, options = {}) {
    const at = makePlace(t);
    const tools = await startTools(t, at, { tools: [...fileTools, 'bash'],
        settings: { tools: limits }, voiced: { env: { ABUSE_TOKEN: env }, ...options } });
    const pid = await tools.stack.voiced.serverPid();
    return { ...tools, pid, nobody: () => until(() => descendants(pid).length === 0,
        'every process to be gone') };
}

function raw(stack, args) {
    const body = JSON.stringify(args);
    return `POST /v1/tools/bash HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${body.length}\r\n`
        + `Content-Type: application/json\r\n\r\n${body}`;
}

test('R4.2 R3.5 commands stay in their sandbox and within their limits', async (t) => {
    const tools = await start(t);
    const before = { kb: rssAnonKb(tools.pid), fds: fdCount(tools.pid) };
    const cases = bashCases({ at: tools.at, port: tools.stack.nginx.port, env });

    assert.ok(cases.length >= 60, `${cases.length} cases`);
    await runCases(t, tools, cases);
    await tools.nobody();
    if (!sanitized) {
        assert.ok(rssAnonKb(tools.pid) - before.kb < leftKb,
            `${rssAnonKb(tools.pid) - before.kb} kB`);
    }
    await until(() => fdCount(tools.pid) <= before.fds + 4, 'descriptors to be given back');
});

test('R3.5 a command ends with who called', async (t) => {
    const tools = await start(t);
    for (const command of ['sleep 1000', 'yes', 'trap "" TERM; setsid sleep 1000 & wait']) {
        const caller = await RawSocket.connect(t, { port: tools.stack.nginx.port });
        caller.socket.write(raw(tools.stack, { command, timeout: 100 }));
        await until(() => descendants(tools.pid).length > 1, 'the command to run');
        caller.socket.destroy();
        await tools.nobody();
    }
});

test('R3.5 commands end with the server, however it ends', async (t) => {
    const tools = await start(t);
    const command = 'setsid sleep 1000 & trap "" TERM; sleep 1000';
    const callers = await Promise.all([1, 2, 3].map(() =>
        RawSocket.connect(t, { port: tools.stack.nginx.port })));
    for (const caller of callers) {
        caller.socket.write(raw(tools.stack, { command, timeout: 100 }));
    }
    const sleeping = () => descendants(tools.pid)
        .filter((pid) => commandOf(pid).startsWith('sleep'));
    await until(() => sleeping().length === 6, 'the commands to run');
    const left = descendants(tools.pid);
    process.kill(tools.pid, 'SIGKILL');
    await until(() => !left.some(isAlive), 'its commands to be gone');
    await until(async () => {
        const pid = await tools.stack.voiced.serverPid();
        return pid && pid !== tools.pid;
    }, 'the next server');
    await until(async () => (await tools.stack.request('/health')).status === 200, 'it to answer');
});

test('R3.5 a server that stops ends its commands first', async (t) => {
    const tools = await start(t);
    const caller = await RawSocket.connect(t, { port: tools.stack.nginx.port });
    caller.socket.write(raw(tools.stack, { command: 'sleep 1000', timeout: 100 }));
    await until(() => descendants(tools.pid).length > 1, 'the command to run');
    const left = descendants(tools.pid);
    await tools.stack.voiced.stop();
    await until(() => !left.some(isAlive), 'its command to be gone');
});

test('bash is not there unless it is switched on', async (t) => {
    const at = makePlace(t);
    const tools = await startTools(t, at, { tools: [...fileTools, 'bash'] });
    const listed = await tools.stack.request('/v1/tools');
    assert.ok(!listed.json.tools.some(({ name }) => name === 'bash'));
    assert.equal((await tools.run('bash', { command: 'id' })).status, 404);
});

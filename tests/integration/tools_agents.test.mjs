// SPDX-License-Identifier: BSD-2-Clause
//
// Tools that work through others, over HTTP: a language server in its sandbox,
// agents of an amplifierd and of chat completions, and how they are cancelled.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import test from 'node:test';
import { agentsKey as key, startAgents } from './lib/agents.mjs';
import { makeDir } from './lib/paths.mjs';
import { childrenOf, commandOf, until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';
import { Voiced } from './lib/voiced.mjs';

function rootMake() {
    const root = join(makeDir('agents'), 'root');
    mkdirSync(root);
    writeFileSync(join(root, 'a.c'), '#include "b.h"\n\nint four(void)\n{\n'
        + '    return TWO + two();\n}\n');
    writeFileSync(join(root, 'b.h'), '#define TWO 2\nint two(void);\n');
    return root;
}

async function start(t, { tools, settings, env }) {
    const root = rootMake();
    const stack = await startStack(t, {
        voiced: { env, settings: { tools: { root, ...settings } } },
        policy: `voice_model gpt-realtime; voice_http_tools ${tools.join(' ')};` });
    const run = async (name, args) => {
        const text = JSON.stringify(args);
        const answer = await stack.request(`/v1/tools/${name}`, { method: 'POST', body: text,
            headers: { 'content-type': 'application/json',
                'content-length': Buffer.byteLength(text) } });
        assert.equal(answer.status, 200, answer.text);
        return answer.json;
    };
    return { stack, root, run, file: (name) => join(root, name) };
}

// Below a process, those it started included; others of this machine are not ours.
function descendantsNamed(pid, name) {
    return childrenOf(pid).flatMap((child) => [
        ...(commandOf(child).includes(name) ? [child] : []),
        ...descendantsNamed(child, name)]);
}

test('LSP: clangd in its sandbox', async (t) => {
    const { stack, run, file } = await start(t, { tools: ['LSP', 'write_file'],
        settings: { lsp_command: ['c,h: clangd --log=error'] } });

    await t.test('definitions, in other files too', async () => {
        const answer = await run('LSP', { operation: 'goToDefinition', file_path: 'a.c',
            line: 5, character: 12 });
        assert.equal(answer.success, true, JSON.stringify(answer));
        assert.equal(answer.output.total_count, 1);
        assert.equal(answer.output.results[0].file_path, 'b.h');
        assert.equal(answer.output.results[0].line, 1);
        assert.equal(answer.output.truncated, false);
    });

    await t.test('R3.2 the same question again is not asked', async () => {
        const question = { operation: 'hover', file_path: 'a.c', line: 3, character: 5 };
        assert.equal((await run('LSP', question)).cached, false);
        assert.equal((await run('LSP', question)).cached, true);
    });

    await t.test('R3.2 a write of ours is seen at once', async () => {
        const question = { operation: 'diagnostics', file_path: 'a.c' };
        assert.equal((await run('LSP', question)).output.total_count, 0);
        await run('write_file', { file_path: 'a.c', content: 'int x = missing;\n' });
        const { output, cached } = await run('LSP', question);
        assert.equal(cached, false);
        assert.match(output.results[0].message, /missing/);
        assert.equal(output.results[0].severity_name, 'error');
        assert.equal(output.results[0].line, 1);
    });

    await t.test('system headers are there, the machine\'s files are not', async () => {
        writeFileSync(file('c.c'), '#include <stdio.h>\n#include "/etc/passwd"\n'
            + '#include "/proc/1/environ"\nint main(void) { return puts("x"); }\n');
        const { output } = await run('LSP', { operation: 'diagnostics', file_path: 'c.c' });
        assert.match(output.results[0].message, /\/etc\/passwd' file not found/);
        assert.equal(output.results.some(({ message }) => /stdio|root|x:0/.test(message)), false);
        const place = await run('LSP', { operation: 'goToDefinition', file_path: 'c.c', line: 4,
            character: 25 });
        assert.match(place.output.results[0].file_path, /^\/usr\/include\/.*stdio/);
        assert.equal(place.output.results[0].outside_root, true);
    });

    await t.test('no path leads out', async () => {
        for (const path of ['../../etc/passwd.c', '/etc/passwd.c', '/usr/include/stdio.h']) {
            const { success, error } = await run('LSP', { operation: 'documentSymbol',
                file_path: path });
            assert.equal(success, false, path);
            assert.ok(['denied', 'not_found'].includes(error.type), JSON.stringify(error));
        }
    });

    await t.test('arguments that the schema doesn\'t have', async () => {
        const { success, error } = await run('LSP', { operation: 'rename', file_path: 'a.c' });
        assert.equal(success, false);
        assert.equal(error.type, 'invalid_arguments');
    });

    await t.test('a killed server comes back by itself', async () => {
        const pids = descendantsNamed(stack.voiced.serverPid(), 'clangd');
        assert.ok(pids.length > 0);
        pids.forEach((pid) => process.kill(pid, 'SIGKILL'));
        const answer = await run('LSP', { operation: 'documentSymbol', file_path: 'c.c' });
        assert.equal(answer.success, true, JSON.stringify(answer));
        assert.equal(answer.output.results[0].name, 'main');
    });
});

test('agents of an amplifierd', async (t) => {
    const agents = await startAgents(t);
    const { stack, run } = await start(t, {
        tools: ['delegate', 'dispatch', 'cancel_current_task'],
        env: { AGENTS_KEY: key },
        settings: { delegate_url: agents.url, delegate_key_env: 'AGENTS_KEY',
            delegate_bundle: 'dev' } });

    await t.test('an order and its answer', async () => {
        const { success, output } = await run('delegate', { agent: 'explorer',
            instruction: 'say done' });
        assert.equal(success, true);
        assert.equal(output.response, 'done');
        assert.equal(output.agent, 'explorer');
        assert.equal(output.turn_count, 1);
        const next = await run('delegate', { instruction: 'say more',
            session_id: output.session_id });
        assert.equal(next.output.turn_count, 2);
        assert.equal(next.cached, false);
        assert.deepEqual(agents.seen().filter((line) => line.startsWith('create')),
            ['create dev ']);
    });

    await t.test('R3.3 several at once', async () => {
        const started = Date.now();
        const answers = await Promise.all([1, 2, 3, 4].map(() =>
            run('delegate', { instruction: 'wait 1000' })));
        assert.deepEqual(answers.map(({ output }) => output.response),
            ['waited', 'waited', 'waited', 'waited']);
        t.diagnostic(`four orders of 1 s: ${Date.now() - started} ms`);
    });

    await t.test('dispatch, over HTTP: the request is answered with the result', async () => {
        const { success, output } = await run('dispatch', { instruction: 'say later' });
        assert.equal(success, true);
        assert.equal(output.response, 'later');
    });

    await t.test('cancel_current_task ends the others, and is answered itself', async () => {
        const waiting = run('delegate', { instruction: 'wait 60000' });
        await until(() => agents.seen().some((line) => line === 'execute wait 60000'),
            'the order at the agent');
        const { success, output } = await run('cancel_current_task',
            { immediate: true, reason: 'stop' });
        assert.equal(success, true);
        assert.deepEqual({ ...output, message: undefined }, { cancelled: true, count: 1,
            level: 'immediate', running_tools: ['delegate'], message: undefined });
        const ended = await waiting;
        assert.equal(ended.success, false);
        assert.equal(ended.error.type, 'cancelled');
        await until(() => agents.seen().includes('cancel true'), 'the agent to be told');
        const again = await run('cancel_current_task', {});
        assert.equal(again.output.cancelled, false);
    });

    await t.test('a client that hangs up ends its order', async () => {
        const before = agents.seen().filter((line) => line === 'cancel true').length;
        const asked = http.request({ host: '127.0.0.1', port: stack.nginx.port, agent: false,
            path: '/v1/tools/delegate', method: 'POST',
            headers: { 'content-type': 'application/json' } });
        asked.on('error', () => {});
        asked.end(JSON.stringify({ instruction: 'wait 50000' }));
        await until(() => agents.seen().includes('execute wait 50000'), 'the order at the agent');
        asked.destroy();
        await until(() => agents.seen().filter((line) => line === 'cancel true').length > before,
            'the agent to be told');
    });

    await t.test('the key is nowhere', async () => {
        assert.equal(stack.voiced.log().includes(key), false);
        const environ = readFileSync(`/proc/${stack.voiced.serverPid()}/environ`, 'latin1');
        assert.equal(environ.includes(key), false);
    });
});

test('agents behind chat completions; a key that is refused', async (t) => {
    const agents = await startAgents(t);
    const { run } = await start(t, { tools: ['task'], env: { AGENTS_KEY: key },
        settings: { delegate_url: `${agents.url}/v1`, delegate_kind: 'chat',
            delegate_model: 'agent-1', delegate_key_env: 'AGENTS_KEY' } });
    const { output } = await run('task', { instruction: 'say hello' });
    assert.equal(output.response, 'hello');
    assert.deepEqual(agents.seen(), ['chat agent-1 user:say hello']);

    const wrong = await start(t, { tools: ['task'], env: { AGENTS_KEY: 'wrong-key-0815' },
        settings: { delegate_url: agents.url, delegate_key_env: 'AGENTS_KEY' } });
    const { success, error } = await wrong.run('task', { instruction: 'say hello' });
    assert.equal(success, false);
    assert.equal(error.type, 'unavailable');
    assert.equal(/4711|0815/.test(JSON.stringify(error)), false);
});

test('what is configured wrongly is said', async () => {
    const rows = [
        [{ delegate_url: 'localhost:1' }, /delegate_url/],
        [{ delegate_url: 'http://a/?b' }, /delegate_url/],
        [{ delegate_url: 'http://a', delegate_kind: 'chat' }, /delegate_model/],
        [{ delegate_url: 'http://a', delegate_key_env: 'NOT_SET_AT_ALL' }, /delegate_key_env/],
        [{ delegate_url: 'http://a', delegate_key_file: '/nowhere' }, /delegate_key_file/],
    ];
    for (const [tools, what] of rows) {
        const { code, stderr, stdout } = await Voiced.prepare({ settings: { tools } }).check('-t');
        assert.notEqual(code, 0, JSON.stringify(tools));
        assert.match(stderr + stdout, what);
    }
});

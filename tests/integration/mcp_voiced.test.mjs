// SPDX-License-Identifier: BSD-2-Clause
//
// R3.1, R3.2, R1.3: tools of MCP servers through the whole stack: listed with
// the others, called over HTTP, kept when they may be, mounted late.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { makeDir, patience } from './lib/paths.mjs';
import { childrenOf, until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';
import { EverythingHttp, everythingCommand, filesystemCommand, legacy, result, scriptedHttp }
    from './lib/tool_servers.mjs';

async function start(t, servers, tools) {
    const stack = await startStack(t, {
        voiced: { settings: { tool_server: servers } },
        policy: `voice_model gpt-realtime; voice_http_tools ${tools.join(' ')};` });
    const run = async (name, args = {}) => {
        const body = JSON.stringify(args);
        const answer = await stack.request(`/v1/tools/${name}`, { method: 'POST', body,
            headers: { 'content-type': 'application/json',
                'content-length': Buffer.byteLength(body) } });
        return answer.json;
    };
    const names = async () => (await stack.request('/v1/tools')).json.tools.map((tool) => tool.name);
    return { stack, run, names };
}

test('R3.1 R3.2 tools of MCP servers are tools like any other', async (t) => {
    const root = join(makeDir('mcp'), 'root');
    mkdirSync(root);
    writeFileSync(join(root, 'a.txt'), 'hello\n');
    const path = join(root, 'a.txt');
    const allowed = ['mcp_every_get-sum', 'mcp_fs_read_text_file', 'mcp_fs_write_file'];
    const { stack, run, names } = await start(t, {
        every: { command: everythingCommand },
        fs: { command: filesystemCommand(root), trusted: 'yes' },
    }, allowed);

    // There before the first request.
    assert.deepEqual(await names(), allowed);
    const sum = await run('mcp_every_get-sum', { a: 2, b: 40 });
    assert.match(sum.output.content, /42/);
    assert.equal((await run('mcp_every_get-sum', { a: 2, b: 40 })).cached, false);
    assert.equal((await run('mcp_every_get-sum', { a: 'x' })).error.type, 'invalid_arguments');

    assert.equal((await run('mcp_fs_read_text_file', { path })).cached, false);
    assert.equal((await run('mcp_fs_read_text_file', { path })).cached, true);
    // What changes something makes what was kept worthless.
    assert.equal((await run('mcp_fs_write_file', { path, content: 'new\n' })).success, true);
    const read = await run('mcp_fs_read_text_file', { path });
    assert.deepEqual([read.cached, read.output.content], [false, 'new\n']);

    // A child that dies is another one soon, and no session or request minds.
    const pid = await stack.voiced.serverPid();
    const before = childrenOf(pid);
    assert.equal(before.length, 2);
    before.forEach((child) => process.kill(child, 'SIGKILL'));
    await until(async () => (await run('mcp_every_get-sum', { a: 1, b: 1 })).success,
        'the tool is there again', patience(20000));
});

test('R1.3 a server that comes late is mounted then', async (t) => {
    const server = await EverythingHttp.start(t, { listens: false });
    const { run, names } = await start(t, { every: { mcp: server.url } }, ['mcp_every_get-sum']);
    assert.deepEqual(await names(), []);
    await server.run();
    await until(async () => (await names()).length === 1, 'its tools', patience(60000));
    assert.match((await run('mcp_every_get-sum', { a: 1, b: 2 })).output.content, /3/);
});

test('R1.3 a server that is gone takes its tools along, until it is back', async (t) => {
    const server = await EverythingHttp.start(t);
    const { stack, run, names } = await start(t, { every: { mcp: server.url } },
        ['mcp_every_get-sum']);
    assert.equal((await names()).length, 1);
    await server.stop();
    await until(async () => (await names()).length === 0, 'its tools to go', patience(30000));
    assert.match(stack.voiced.log(), /\[every\] mcp=lost why="it can't be reached"/);
    assert.match(stack.voiced.log(), /\[every\] tool_server=down/);
    await server.run();
    await until(async () => (await names()).length === 1, 'its tools', patience(60000));
    assert.match((await run('mcp_every_get-sum', { a: 2, b: 40 })).output.content, /42/);
});

test('R3.3 eight calls of remote tools take as long as one', async (t) => {
    let most = 0;
    let now = 0;
    const server = await scriptedHttp(t, legacy(async (message) => {
        if (message?.method !== 'tools/call') {
            return undefined;
        }
        most = Math.max(most, ++now);
        await until(() => most >= 8, 'eight at once');
        now--;
        return result(message, { content: [{ type: 'text', text: message.params.arguments.n }] });
    }));
    const { run } = await start(t, { far: { mcp: server.url } }, ['mcp_far_go']);
    const answers = await Promise.all(Array.from({ length: 8 }, (_, i) =>
        run('mcp_far_go', { n: String(i) })));
    assert.deepEqual(answers.map((answer) => answer.output.content),
        ['0', '1', '2', '3', '4', '5', '6', '7']);
});

// SPDX-License-Identifier: BSD-2-Clause
//
// R3.1, R1.3: real MCP servers, of both eras and over both transports: they
// mount, list, run, tell progress, are cancelled, die and come back.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler } from '@modelcontextprotocol/server';
import { createTools, noticed } from './lib/mcp_dual_server.mjs';
import { makeDir, patience } from './lib/paths.mjs';
import { defer, sleep, until } from './lib/process.mjs';
import {
    conformance, EverythingHttp, everythingCommand, filesystemCommand, Probe, probeBinary, scripted,
} from './lib/tool_servers.mjs';

const names = (tools) => tools.map((tool) => tool.name);

// What server-everything can be asked, whichever way it is reached.
async function everythingWorks(probe) {
    const sum = await probe.call('mcp_every_get-sum', { a: 2, b: 3 });
    assert.match(sum.output.content, /5/);
    assert.equal(sum.output.truncated, false);

    const weather = await probe.call('mcp_every_get-structured-content', { location: 'New York' });
    assert.equal(typeof weather.output.structured_content.temperature, 'number');
    assert.equal(weather.output.content, undefined); // said once

    const image = await probe.call('mcp_every_get-tiny-image');
    assert.equal(image.output.attachments[0].mime_type, 'image/png');
    assert.ok(image.output.attachments[0].bytes > 1000);
    assert.ok(!JSON.stringify(image).includes('iVBOR'));

    const wrong = await probe.call('mcp_every_get-sum', { a: 'x' });
    assert.equal(wrong.output, undefined);
    assert.ok(wrong.error.length > 10);

    const id = probe.begin('mcp_every_trigger-long-running-operation', { duration: 2, steps: 4 });
    const first = await probe.progress(id);
    assert.equal(first.total, 4);
    assert.match((await probe.end(id)).output.content, /completed/);

    const long = probe.begin('mcp_every_trigger-long-running-operation', { duration: 60, steps: 60 });
    await probe.progress(long);
    probe.command({ cancel: long });
    assert.equal((await probe.end(long)).type, 'cancelled');
    const late = await probe.call('mcp_every_trigger-long-running-operation',
        { duration: 60, steps: 2 }, 500);
    assert.equal(late.type, 'timeout');
    assert.equal((await probe.report()).under_way, 0);
}

test('R3.1 server-everything over stdio', async (t) => {
    const probe = Probe.start(t, { every: { command: everythingCommand } });
    const tools = await probe.tools('every');
    assert.ok(names(tools).includes('mcp_every_echo'));
    assert.ok(!names(tools).includes('mcp_every_simulate-research-query')); // a task only
    assert.match(probe.log, /version=2025-11-25/);
    await everythingWorks(probe);
});

test('R3.1 server-everything over stdio: killed, it is started again', async (t) => {
    const probe = Probe.start(t, { every: { command: everythingCommand } });
    await probe.tools('every');
    const [before] = probe.children();
    const id = probe.begin('mcp_every_trigger-long-running-operation', { duration: 60, steps: 2 });
    await until(async () => (await probe.report()).under_way === 1, 'the call is under way');
    await sleep(300);
    process.kill(before, 'SIGKILL');
    assert.equal((await probe.end(id)).type, 'unavailable');
    // What comes meanwhile waits for it.
    const sum = await probe.call('mcp_every_get-sum', { a: 1, b: 1 });
    assert.match(sum.output.content, /2/);
    assert.notEqual(probe.children()[0], before);
    // Its tools are the same: nobody was told anything.
    assert.equal(probe.lines.filter((line) => line.event === 'tools').length, 0);
});

test('R3.1 server-everything over HTTP', async (t) => {
    const server = await EverythingHttp.start(t);
    const probe = Probe.start(t, { every: { mcp: server.url } });
    const tools = await probe.tools('every');
    assert.ok(names(tools).includes('mcp_every_echo'));
    await everythingWorks(probe);
});

test('R1.3 server-everything over HTTP: down at the start, lost, forgotten', async (t) => {
    const server = await EverythingHttp.start(t, { listens: false });
    const probe = Probe.start(t, { every: { mcp: server.url } });
    const settled = await probe.take((line) => line.event === 'settled', 'settled');
    assert.equal(settled.tools, 0); // nobody waits for it
    await probe.state('every', 'down');
    await server.run();
    await probe.tools('every', 40000);

    // A new one, which does not know the session: the call is sent again.
    await server.stop();
    assert.equal((await probe.call('mcp_every_get-sum', { a: 1, b: 1 })).type, 'unavailable');
    await server.run();
    const sum = await probe.call('mcp_every_get-sum', { a: 1, b: 1 });
    assert.match(sum.output.content, /2/);
});

test('R3.2 server-filesystem: what a trusted server says of its tools counts', async (t) => {
    const dir = join(makeDir('fs'), 'root');
    mkdirSync(dir);
    writeFileSync(join(dir, 'a.txt'), 'hello\n');
    const probe = Probe.start(t, {
        trusted: { command: filesystemCommand(dir), trusted: 'yes', ttl: '7s' },
        other: { command: filesystemCommand(dir), tools: ['read_text_file', 'write_file'] },
    });
    const tools = await probe.tools('trusted');
    const read = tools.find((tool) => tool.name === 'mcp_trusted_read_text_file');
    const write = tools.find((tool) => tool.name === 'mcp_trusted_write_file');
    assert.deepEqual([read.read_only, read.ttl_ms], [true, 7000]);
    assert.deepEqual([write.read_only, write.ttl_ms], [false, 0]);
    const others = await probe.tools('other');
    assert.deepEqual(names(others).sort(), ['mcp_other_read_text_file', 'mcp_other_write_file']);
    for (const tool of others) {
        assert.deepEqual([tool.read_only, tool.ttl_ms], [false, 0]);
        assert.notEqual(tool.domain, read.domain);
    }
    const got = await probe.call('mcp_trusted_read_text_file', { path: join(dir, 'a.txt') });
    assert.deepEqual(got.output, { content: 'hello\n', truncated: false, total_bytes: 6 });
    const out = await probe.call('mcp_other_read_text_file', { path: '/etc/passwd' });
    assert.match(out.error, /denied/);
    assert.equal(out.type, 'failed');
});

// The SDK's server of both eras in this process.
async function dualHttp(t, options = {}) {
    const state = { extra: false, headers: [] };
    const handler = createMcpHandler(() => createTools(state), options);
    const node = toNodeHandler(handler);
    const server = createServer((request, response) => {
        state.headers.push(request.headers);
        node(request, response);
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    defer(t, () => {
        server.closeAllConnections();
        server.close();
    });
    return { state, handler, url: `http://127.0.0.1:${server.address().port}/` };
}

async function dualWorks(probe) {
    assert.match(probe.log, /version=2026-07-28/);
    const sum = await probe.call('mcp_dual_add', { a: 2, b: 3 });
    assert.equal(sum.output.content, '5');
    const id = probe.begin('mcp_dual_slow', { steps: 4 });
    assert.equal((await probe.progress(id)).message, 'step 1');
    assert.equal((await probe.end(id)).output.content, 'done');
    const long = probe.begin('mcp_dual_slow', { steps: 100 });
    await probe.progress(long);
    probe.command({ cancel: long });
    assert.equal((await probe.end(long)).type, 'cancelled');
}

test('R3.1 the SDK of both eras over HTTP is spoken to as a modern one', async (t) => {
    const { state, handler, url } = await dualHttp(t, { legacy: 'reject' });
    const probe = Probe.start(t, { dual: { mcp: url } });
    assert.deepEqual(names(await probe.tools('dual')).sort(), ['mcp_dual_add', 'mcp_dual_slow']);
    const aborted = noticed.aborted;
    await dualWorks(probe);
    await until(() => noticed.aborted > aborted, 'the server sees that nobody waits');
    const call = state.headers.find((headers) => headers['mcp-name'] === 'add');
    assert.equal(call['mcp-method'], 'tools/call');
    assert.equal(call['mcp-protocol-version'], '2026-07-28');
    assert.equal(call['mcp-session-id'], undefined);

    // Its list changes: a subscription tells, and the list comes anew.
    await until(() => state.headers.some((h) => h['mcp-method'] === 'subscriptions/listen'),
        'a subscription');
    await sleep(200);
    state.extra = true;
    handler.notify.toolsChanged();
    assert.ok(names(await probe.tools('dual')).includes('mcp_dual_late'));
    assert.equal((await probe.call('mcp_dual_late')).output.content, 'late');
});

test('R3.1 the SDK of both eras over stdio is spoken to as a modern one', async (t) => {
    const probe = Probe.start(t, { dual: { command: scripted('mcp_dual_server') } });
    assert.deepEqual(names(await probe.tools('dual')).sort(), ['mcp_dual_add', 'mcp_dual_slow']);
    await dualWorks(probe);
});

// Of the suite's scenarios for clients those that are of tools; the others
// certify what this client does not offer: authorization, elicitation.
for (const scenario of ['initialize', 'tools_call', 'sse-retry']) {
    test(`R3.1 conformance suite, client scenario ${scenario}`, () => {
        const run = spawnSync(process.execPath, [conformance, 'client', '--command', probeBinary,
            '--scenario', scenario], { encoding: 'utf8', timeout: patience(60000) });
        const said = run.stdout + run.stderr;
        assert.match(said, /OVERALL: PASSED/, said);
        assert.match(said, /0 failed, 0 warnings/, said);
    });
}

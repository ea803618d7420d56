// SPDX-License-Identifier: BSD-2-Clause
//
// R3.1: MCP servers that say what they should not, say too much, or nothing:
// each call ends with a clear error, the others go on, nothing grows.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sleep, until } from './lib/process.mjs';
import { legacy, Probe, result, scripted, scriptedHttp } from './lib/tool_servers.mjs';

const odd = (way, more = {}) => ({ odd: { command: scripted('mcp_odd_server', way), ...more } });

test('R3.1 names and schemas of tools are judged before they are offered', async (t) => {
    const probe = Probe.start(t, odd('names'));
    const tools = await probe.tools('odd');
    const names = tools.map((tool) => tool.name);
    assert.equal(new Set(names).size, names.length);
    for (const name of names) {
        assert.match(name, /^mcp_odd_[A-Za-z0-9_-]{1,56}$/);
    }
    assert.equal(names.filter((name) => name.startsWith('mcp_odd_a_b_')).length, 2);
    assert.equal(names.filter((name) => name.startsWith('mcp_odd_xxxx')).length, 2);
    assert.ok(names.includes('mcp_odd_same') && names.includes('mcp_odd_untyped'));
    for (const gone of ['task', 'array', 'marked', 'huge']) {
        assert.ok(!names.includes(`mcp_odd_${gone}`), gone);
    }
    const long = tools.find((tool) => tool.name === 'mcp_odd_long');
    assert.ok(Buffer.byteLength(long.description) <= 4096 && long.description.endsWith('é'));
    assert.equal(tools.find((tool) => tool.name === 'mcp_odd_titled').description, 'Its title');
});

test('R3.1 lists without an end are cut', async (t) => {
    const probe = Probe.start(t, {
        endless: { command: scripted('mcp_odd_server', 'endless') },
        many: { command: scripted('mcp_odd_server', 'many') },
    });
    assert.equal((await probe.tools('endless')).length, 100);
    assert.equal((await probe.tools('many')).length, 256);
});

test('R3.1 what a server says beside its answer harms nothing', async (t) => {
    const probe = Probe.start(t, odd('plain'));
    await probe.tools('odd');
    assert.equal((await probe.call('mcp_odd_noise')).output.content, 'after noise');
    assert.doesNotMatch(probe.log, /secret-of-a-server/);

    const answers = JSON.parse((await probe.call('mcp_odd_asks')).output.content);
    assert.deepEqual(answers.find((a) => a.id === 'a').result, {});
    assert.equal(answers.find((a) => a.id === 'b').error.code, -32601);
    assert.equal(answers.find((a) => a.id === 'c').error.code, -32601);

    assert.equal((await probe.call('mcp_odd_floods_progress')).output.content, 'flooded');
    assert.ok(probe.lines.filter((line) => line.event === 'progress').length < 100);
});

test('R4.2 an answer is cut, refused or ended by its limit', async (t) => {
    const probe = Probe.start(t, odd('plain'));
    await probe.tools('odd');
    const long = await probe.call('mcp_odd_long');
    assert.equal(long.output.content.length, 100000);
    assert.deepEqual([long.truncated, long.output.truncated, long.output.total_bytes],
        [true, true, 150000]);
    const refused = await probe.call('mcp_odd_refused');
    assert.deepEqual([refused.type, refused.error],
        ['invalid_arguments', 'no such argument: \u0007x']);
    assert.equal((await probe.call('mcp_odd_input')).type, 'failed');
    assert.equal((await probe.call('mcp_odd_strange')).type, 'failed');
    assert.equal((await probe.call('mcp_odd_nothing', {}, 700)).type, 'timeout');
});

test('R3.1 a line over max_answer ends the server, which is started again', async (t) => {
    const probe = Probe.start(t, odd('plain', { max_answer: '64k' }));
    await probe.tools('odd');
    const call = await probe.call('mcp_odd_flood');
    assert.equal(call.type, 'unavailable');
    assert.equal((await probe.call('mcp_odd_noise')).output.content, 'after noise');
});

test('R3.1 a server that exits in a call is started again', async (t) => {
    const probe = Probe.start(t, odd('plain'));
    await probe.tools('odd');
    assert.equal((await probe.call('mcp_odd_exit')).type, 'unavailable');
    assert.equal((await probe.call('mcp_odd_noise')).output.content, 'after noise');
});

test('R3.1 old servers that are silent to a question they don\'t know, or die of it', async (t) => {
    const probe = Probe.start(t, {
        silent: { command: scripted('mcp_odd_server', 'silent'), connect_timeout: '6s' },
        dies: { command: scripted('mcp_odd_server', 'dies') },
    });
    assert.ok((await probe.tools('silent')).length > 3);
    assert.ok((await probe.tools('dies')).length > 3);
});

test('R1.3 servers that can\'t be had hold nobody up', async (t) => {
    const probe = Probe.start(t, {
        mute: { command: scripted('mcp_odd_server', 'mute'), connect_timeout: '1s' },
        future: { command: scripted('mcp_odd_server', 'future') },
        none: { command: scripted('mcp_odd_server', 'none') },
        never: { command: scripted('mcp_odd_server', 'starts_never') },
        nowhere: { command: ['/nonexistent/program'] },
        refused: { mcp: 'http://127.0.0.1:1/mcp' },
        unnamed: { mcp: 'http://name.invalid/mcp' },
        good: { command: scripted('mcp_odd_server', 'plain') },
    });
    await probe.take((line) => line.event === 'settled', 'settled', 30000);
    const { servers } = await probe.report();
    for (const { name, state } of servers) {
        assert.equal(state, name === 'good' ? 'mounted' : 'down', name);
    }
    assert.equal((await probe.call('mcp_good_noise')).output.content, 'after noise');
    assert.equal((await probe.call('mcp_mute_go')).type, 'unknown_tool');
});

test('R3.1 a child that does not want to end is ended', async (t) => {
    const probe = Probe.start(t, odd('stays'));
    await probe.tools('odd');
    await probe.stop();
});

test('R3.1 over HTTP: the session goes with every request and is ended', async (t) => {
    const server = await scriptedHttp(t, legacy(undefined, { session: () => 'session-1' }));
    const probe = Probe.start(t, { far: { mcp: server.url, key_env: 'FAR_KEY',
        headers: ['X-Own: value'] } }, { env: { FAR_KEY: 'sk-very-hidden' } });
    await probe.tools('far');
    assert.equal((await probe.call('mcp_far_go')).output.content, 'gone');
    await probe.stop();
    const at = server.requests.findIndex((r) => r.message?.method === 'initialize');
    const before = server.requests.slice(0, at + 1);
    const after = server.requests.slice(at + 1);
    for (const { headers } of before) {
        assert.equal(headers['mcp-session-id'], undefined);
    }
    assert.equal(before.at(-1).headers['mcp-protocol-version'], undefined);
    for (const { headers } of after) {
        assert.equal(headers['mcp-session-id'], 'session-1');
        assert.equal(headers['mcp-protocol-version'], '2025-11-25');
        assert.equal(headers['mcp-method'], undefined);
    }
    for (const { method, headers } of server.requests) {
        assert.equal(headers.authorization, 'Bearer sk-very-hidden');
        assert.equal(headers['x-own'], 'value');
        if (method === 'POST') {
            assert.match(headers.accept, /application\/json, text\/event-stream/);
        }
    }
    assert.equal(after.at(-1).method, 'DELETE');
    assert.ok(after.some((r) => r.method === 'GET'));
    assert.doesNotMatch(probe.log, /very-hidden/);
});

for (const status of [404, 400]) {
    test(`R3.1 over HTTP: a session that the server forgot (${status}) is opened anew`, async (t) => {
        let session = 1;
        let valid = true;
        const server = await scriptedHttp(t, legacy((message, request, response) => {
            if (!valid && request.headers['mcp-session-id'] === 'session-1') {
                response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(
                    { jsonrpc: '2.0', id: null, error: { code: -32000, message: 'no session' } }));
            }
            return undefined;
        }, { session: () => `session-${session++}` }));
        const probe = Probe.start(t, { far: { mcp: server.url } });
        await probe.tools('far');
        await sleep(700);
        valid = false;
        const calls = await Promise.all([1, 2, 3].map(() => probe.call('mcp_far_go')));
        for (const call of calls) {
            assert.equal(call.output?.content, 'gone', JSON.stringify(call));
        }
        assert.equal(server.requests.filter((r) => r.message?.method === 'initialize').length, 2);
    });
}

// What a server answers a call with, by HTTP.
const answers = {
    'a stream that ends without the answer': {
        type: 'unavailable',
        answer: (message, response) => response.writeHead(200,
            { 'Content-Type': 'text/event-stream' }).end(': nothing\n\n'),
    },
    'a stream with events of other types': {
        content: 'gone',
        answer: (message, response) => response.writeHead(200,
            { 'Content-Type': 'text/event-stream; charset=utf-8' }).end(
            `event: ping\ndata: x\n\nid: 1\ndata:\n\ndata: no json\n\ndata: ${JSON.stringify(result(message,
                { content: [{ type: 'text', text: 'gone' }] }))}\r\n\r\n`),
    },
    'a batch': {
        content: 'gone',
        answer: (message, response) => response.writeHead(200,
            { 'Content-Type': 'application/json' }).end(JSON.stringify([
            { jsonrpc: '2.0', method: 'notifications/message', params: {} },
            result(message, { content: [{ type: 'text', text: 'gone' }] })])),
    },
    'no JSON': {
        type: 'unavailable',
        answer: (message, response) => response.writeHead(200,
            { 'Content-Type': 'application/json' }).end('<html>'),
    },
    'another\'s answer': {
        type: 'unavailable',
        answer: (message, response) => response.writeHead(200,
            { 'Content-Type': 'application/json' }).end(JSON.stringify(
            { jsonrpc: '2.0', id: 4711, result: {} })),
    },
    'nothing at all': {
        type: 'unavailable',
        answer: (message, response) => response.writeHead(202).end(),
    },
    'a redirect': {
        type: 'unavailable',
        answer: (message, response) => response.writeHead(302,
            { Location: 'http://169.254.169.254/' }).end(),
    },
    'an error page': {
        type: 'unavailable',
        answer: (message, response) => response.writeHead(500).end('x'.repeat(1000)),
    },
    'an error that answers': {
        type: 'failed',
        error: /^broken$/,
        answer: (message, response) => response.writeHead(500,
            { 'Content-Type': 'application/json' }).end(JSON.stringify(
            { jsonrpc: '2.0', id: message.id, error: { code: -32603, message: 'broken' } })),
    },
    'a closed connection': {
        type: 'unavailable',
        answer: (message, response) => response.destroy(),
    },
    'too much JSON': {
        type: 'too_large',
        answer: (message, response) => response.writeHead(200,
            { 'Content-Type': 'application/json' }).end('x'.repeat(200000)),
    },
    'an event without an end': {
        type: 'too_large',
        answer: (message, response) => response.writeHead(200,
            { 'Content-Type': 'text/event-stream' }).end(`data: ${'x'.repeat(200000)}`),
    },
    'silence': {
        type: 'timeout',
        answer: () => {},
    },
};

test('R3.1 over HTTP: whatever answers a call, it ends', async (t) => {
    const server = await scriptedHttp(t, legacy((message, request, response) => {
        if (message?.method === 'tools/list') {
            return result(message, { tools: Object.keys(answers).map((name, i) => (
                { name: `t${i}`, inputSchema: { type: 'object' } })) });
        }
        if (message?.method !== 'tools/call') {
            return undefined;
        }
        const { answer } = Object.values(answers)[Number(message.params.name.slice(1))];
        answer(message, response);
        return new Promise(() => {});
    }));
    const probe = Probe.start(t, { far: { mcp: server.url, max_answer: '64k' } });
    await probe.tools('far');
    for (const [i, [name, { content, type, error }]] of Object.entries(answers).entries()) {
        const call = await probe.call(`mcp_far_t${i}`, {}, 2000);
        assert.equal(call.output?.content, content, `${name}: ${JSON.stringify(call)}`);
        assert.equal(call.type, type, `${name}: ${JSON.stringify(call)}`);
        if (error) {
            assert.match(call.error, error);
        }
    }
    const { under_way } = await probe.report();
    assert.equal(under_way, 0);
});

test('R3.1 over HTTP: a broken stream is taken up behind its last event', async (t) => {
    let gets = 0;
    const server = await scriptedHttp(t, legacy((message, request, response) => {
        const event = request.headers['last-event-id'];
        if (message?.method === 'tools/call') {
            response.writeHead(200, { 'Content-Type': 'text/event-stream' });
            response.write('retry: 50\nid: e1\ndata:\n\n');
            setTimeout(() => response.destroy(), 50);
            return new Promise(() => {});
        }
        if (request.method === 'GET' && event === 'e1') {
            gets++;
            if (gets < 3) {
                response.writeHead(503).end();
                return undefined;
            }
            const call = server.requests.find((r) => r.message?.method === 'tools/call').message;
            response.writeHead(200, { 'Content-Type': 'text/event-stream' }).end(
                `id: e2\ndata: ${JSON.stringify(result(call, { content: [] }))}\n\n`);
        }
        return undefined;
    }));
    const probe = Probe.start(t, { far: { mcp: server.url } });
    await probe.tools('far');
    const call = await probe.call('mcp_far_go');
    assert.equal(call.output.content, '');
    assert.equal(gets, 3); // also while the server was busy
});

test('R3.1 over HTTP: what is cancelled is told the server, and its stream closed', async (t) => {
    let closed = 0;
    const server = await scriptedHttp(t, legacy((message, request, response) => {
        if (message?.method !== 'tools/call') {
            return undefined;
        }
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        response.write(': wait\n\n');
        response.on('close', () => closed++);
        return new Promise(() => {});
    }));
    const probe = Probe.start(t, { far: { mcp: server.url } });
    await probe.tools('far');
    const id = probe.begin('mcp_far_go');
    await until(() => server.requests.some((r) => r.message?.method === 'tools/call'), 'a call');
    probe.command({ cancel: id });
    assert.equal((await probe.end(id)).type, 'cancelled');
    await until(() => closed === 1, 'its stream is closed');
    await until(() => server.requests.some((r) =>
        r.message?.method === 'notifications/cancelled'), 'the server is told');
    const call = server.requests.find((r) => r.message?.method === 'tools/call').message;
    const told = server.requests.find((r) => r.message?.method === 'notifications/cancelled');
    assert.equal(told.message.params.requestId, call.id);
});

test('R3.3 calls of one server run at the same time', async (t) => {
    let most = 0;
    let now = 0;
    const server = await scriptedHttp(t, legacy(async (message) => {
        if (message?.method !== 'tools/call') {
            return undefined;
        }
        most = Math.max(most, ++now);
        await until(() => most >= 8, 'eight at once');
        now--;
        return result(message, { content: [] });
    }));
    const probe = Probe.start(t, { far: { mcp: server.url } });
    await probe.tools('far');
    const calls = await Promise.all(Array.from({ length: 8 }, () => probe.call('mcp_far_go')));
    assert.ok(calls.every((call) => call.output));
});

test('R3.1 more calls than a server may owe are refused', async (t) => {
    const probe = Probe.start(t, odd('plain'));
    await probe.tools('odd');
    const ids = Array.from({ length: 140 }, () => probe.begin('mcp_odd_nothing', {}, 1500));
    const ends = await Promise.all(ids.map((id) => probe.end(id)));
    assert.equal(ends.filter((end) => end.type === 'unavailable').length, 12);
    assert.equal(ends.filter((end) => end.type === 'timeout').length, 128);
});

test('R3.1 a list that changes is fetched anew, once for many changes', async (t) => {
    let stream;
    let lists = 0;
    const server = await scriptedHttp(t, legacy((message, request, response) => {
        if (request.method === 'GET') {
            stream = response;
            response.writeHead(200, { 'Content-Type': 'text/event-stream' });
            response.write(': ready\n\n');
            return new Promise(() => {});
        }
        if (message?.method === 'tools/list') {
            lists++;
            return result(message, { tools: [{ name: `t${lists > 1 ? 2 : 1}`,
                inputSchema: { type: 'object' } }] });
        }
        return undefined;
    }));
    const probe = Probe.start(t, { far: { mcp: server.url } });
    assert.equal((await probe.tools('far'))[0].name, 'mcp_far_t1');
    await until(() => stream, 'somebody listens');
    for (let i = 0; i < 50; i++) {
        stream.write(`data: ${JSON.stringify({ jsonrpc: '2.0',
            method: 'notifications/tools/list_changed' })}\n\n`);
    }
    assert.equal((await probe.tools('far'))[0].name, 'mcp_far_t2');
    await sleep(1500);
    assert.ok(lists <= 4, `${lists} lists`);
    // The same again is no news.
    assert.equal(probe.lines.filter((line) => line.event === 'tools').length, 0);
});

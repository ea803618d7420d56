// SPDX-License-Identifier: BSD-2-Clause
//
// A legacy MCP server over its standard streams that misbehaves in the way its
// argument names.

import { createInterface } from 'node:readline';

const [, , way] = process.argv;
const tool = (name, more = {}) => ({ name, inputSchema: { type: 'object' }, ...more });
const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const text = (value) => ({ content: [{ type: 'text', text: value }] });
let listed = 0;
let calls = 0;
let answered = []; // what we asked the client

const lists = {
    // Names that no model takes, twice the same, too long, not called so.
    names: () => ({ tools: [
        tool('a.b/c'), tool('a.b/d'), tool('same'), tool('same'), tool('x'.repeat(128)),
        tool(`${'x'.repeat(127)}y`), tool('task', { execution: { taskSupport: 'required' } }),
        { name: 'no schema' }, { inputSchema: { type: 'object' } }, tool(''), tool('a\u0000b'),
        { name: 'array', inputSchema: { type: 'array' } }, { name: 'untyped', inputSchema: {} },
        tool('marked', { inputSchema: { type: 'object',
            properties: { a: { type: 'number', 'x-mcp-header': 'A' } } } }),
        tool('long', { description: 'é'.repeat(5000) }), tool('titled', { title: 'Its title' }),
        { name: 'huge', inputSchema: { type: 'object', description: 'x'.repeat(70000) } }, 7, null,
    ] }),
    // A list without an end.
    endless: () => ({ tools: [tool(`t${listed}`)], nextCursor: `c${listed}` }),
    many: () => ({ tools: Array.from({ length: 1000 }, (_, i) => tool(`t${i}`)) }),
    none: () => ({ tools: {} }),
};

const answers = {
    long: () => text('x'.repeat(150000)),
    // A line over max_answer: 64 KB in the test.
    flood: () => text('x'.repeat(1000000)),
    asks: async (id) => {
        send({ id: 'a', method: 'ping' });
        send({ id: 'b', method: 'sampling/createMessage', params: {} });
        send({ id: 'c', method: 'roots/list' });
        while (answered.length < 3) {
            await new Promise((done) => setTimeout(done, 10));
        }
        return text(JSON.stringify(answered));
    },
    noise: () => {
        process.stdout.write('Listening…\n\n{"jsonrpc":"2.0"}\n[1,{}]\nnull\n\r\n');
        process.stderr.write('secret-of-a-server\n');
        send({ id: 9999, result: {} });
        send({ id: 'x', result: {} });
        send({ method: 'notifications/progress', params: { progressToken: 77, progress: 1 } });
        return text('after noise');
    },
    exit: () => process.exit(3),
    refused: () => { throw { code: -32602, message: 'no such argument: \u0007x' }; },
    input: () => ({ resultType: 'input_required', inputRequests: {} }),
    nothing: () => undefined,
    strange: () => 'a text',
    floods_progress: async (id, params) => {
        for (let i = 0; i < 2000; i++) {
            send({ method: 'notifications/progress', params: {
                progressToken: params._meta.progressToken, progress: i } });
        }
        return text('flooded');
    },
};

async function handle(message) {
    if (!message.method) {
        answered.push(message);
        return;
    }
    const { id, method, params } = message;
    if (method === 'server/discover') {
        if (way === 'dies') {
            process.exit(1);
        }
        if (way !== 'silent') {
            send({ id, error: { code: -32601, message: 'unknown' } });
        }
    } else if (method === 'initialize') {
        if (way === 'mute') {
            return;
        }
        send({ id, result: { protocolVersion: way === 'future' ? '2031-01-01' : '2024-11-05',
            capabilities: { tools: {} }, serverInfo: { name: way, version: '1' } } });
    } else if (method === 'tools/list') {
        listed++;
        const result = lists[way]?.() ?? { tools: Object.keys(answers).map((name) => tool(name)) };
        send({ id, result });
    } else if (method === 'tools/call') {
        calls++;
        try {
            const result = await answers[params.name]?.(id, params) ??
                (params.name === 'nothing' ? undefined : text(params.name));
            if (result !== undefined) {
                send({ id, result });
            }
        } catch (error) {
            send({ id, error });
        }
    }
}

if (way === 'starts_never') {
    process.exit(1);
}
if (way === 'stays') {
    // Its end of input is not its own.
    setInterval(() => {}, 1000);
    process.on('SIGTERM', () => {});
}
createInterface({ input: process.stdin }).on('line', (line) => handle(JSON.parse(line)));

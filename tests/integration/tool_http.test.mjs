// SPDX-License-Identifier: BSD-2-Clause
//
// HTTP tool servers: listed, mounted late, listed again, lost; their tools'
// calls and what their answers come to.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ToolCalls, WebServer } from './lib/tool_calls.mjs';
import { sleep, until } from './lib/process.mjs';

const schema = { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] };

// A tool server: `list` is what GET /tools says, `tools` what runs.
function serving(state) {
    return (request, response, body) => {
        const json = (status, value, headers = {}) => {
            response.writeHead(status, { 'content-type': 'application/json', ...headers });
            response.end(typeof value === 'string' ? value : JSON.stringify(value));
        };
        const path = request.url.replace(state.base ?? '', '');
        if (path === '/tools') {
            const etag = `"${JSON.stringify(state.list).length}"`;
            if (state.etag && request.headers['if-none-match'] === etag) {
                json(304, '');
            } else {
                json(state.status ?? 200, state.list, state.etag ? { etag } : {});
            }
            return;
        }
        const tool = state.tools[path.replace('/execute/', '')];
        if (tool) {
            tool({ json, request, response, body: JSON.parse(body) });
        } else {
            json(404, { detail: 'Not Found' });
        }
    };
}

const echo = ({ json, body }) => json(200, { success: true, output: body });

async function start(t, state, server = {}, setup = {}) {
    const web = await WebServer.start(t, serving(state));
    const calls = await ToolCalls.start(t, { servers: [{ name: 'amp',
        http: web.url(state.base), ...server }], ...setup });
    return { web, calls };
}

const names = (event) => event.tools.map((tool) => tool.name);
const failed = (answer, type, why) => {
    assert.equal(answer.type, type, JSON.stringify(answer));
    assert.match(answer.error, why);
};

test('R3.1 a server\'s tools are listed, in every shape, and run', async (t) => {
    const state = { base: '/api', tools: { delegate: echo }, list: { tools: [
        { type: 'function', name: 'delegate', description: 'Delegates.', parameters: schema },
        { type: 'function', function: { name: 'dispatch', parameters: schema } },
        { name: 'todo', input_schema: { type: 'object' } },
        { name: 'mcp_like', inputSchema: { type: 'object' },
            annotations: { readOnlyHint: true } },
        { name: 'bare', description: 'd'.repeat(9000), read_only: true },
        { name: 'no name' }, { name: '' }, { description: 'none' }, 'text', 7, null,
        { name: 'long', parameters: { type: 'object', x: 'y'.repeat(70000) } }] } };
    const { web, calls } = await start(t, state, { key: 'sesame', headers: ['X-Extra: yes'] });
    const told = await calls.event((event) => event.tools);
    assert.deepEqual(names(told), ['delegate', 'dispatch', 'todo', 'mcp_like', 'bare']);
    assert.ok(told.tools.every((tool) => !tool.read_only && tool.ttl_ms === 0), 'not trusted');
    assert.equal((await calls.event((event) => event.state)).state, 'mounted');
    const answer = await calls.call('delegate', { text: 'caf\u00e9' },
        { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' });
    assert.deepEqual(answer.output, { text: 'caf\u00e9' });
    const { method, url, headers } = web.seen.at(-1);
    assert.equal(`${method} ${url}`, 'POST /api/execute/delegate');
    assert.equal(headers.authorization, 'Bearer sesame');
    assert.equal(headers['x-extra'], 'yes');
    assert.equal(headers['content-type'], 'application/json');
    assert.match(headers.traceparent, /^00-0af7/);
    failed(await calls.call('delegate', { text: 7 }), 'invalid_arguments', /text/);
    failed(await calls.call('dispatch', { text: 'x' }), 'not_found', /Not Found/);
    for (let i = 0; i < 20; i++) {
        await calls.call('delegate', { text: 'x' });
    }
    assert.equal(web.connections, 1, 'all on one connection');
    calls.command({ tools: true });
    const { definitions } = await calls.event((event) => event.definitions);
    const delegate = definitions.find((tool) => tool.name === 'delegate');
    assert.deepEqual(delegate.parameters, schema);
    assert.doesNotMatch(calls.errors, /sesame/);
});

test('R3.2 what a trusted server says is read-only may be kept', async (t) => {
    const state = { tools: {}, list: [{ name: 'a', read_only: true }, { name: 'b' },
        { name: 'c', annotations: { readOnlyHint: true } }, { name: 'd' }] };
    const { calls } = await start(t, state, { trusted: true, tools: ['a', 'b', 'c'] });
    const { tools } = await calls.event((event) => event.tools);
    assert.deepEqual(tools.map((tool) => [tool.name, tool.read_only, tool.ttl_ms > 0]),
        [['a', true, true], ['b', false, false], ['c', true, true]]);
});

test('what answers come to', async (t) => {
    const answers = {
        object: [200, { success: true, output: { a: [1, null] } }, { a: [1, null] }],
        text: [200, { success: true, output: 'words' }, 'words'],
        number: [200, { success: true, output: 7 }, { result: 7 }],
        array: [200, { success: true, output: [1, 2] }, { result: [1, 2] }],
        nothing: [200, { success: true }, {}],
        null: [200, { success: true, output: null }, { result: null }],
        plain: [200, { answer: 42 }, { answer: 42 }],
        list: [201, [1], { result: [1] }],
        words: [200, 'just words \u20ac', 'just words \u20ac'],
        none: [200, '', ''],
        error: [200, { success: false, error: 'It is broken.' }, 'failed', /^It is broken\.$/],
        typed: [200, { success: false, error: { message: 'Not here.', type: 'not_found' } },
            'not_found', /^Not here\.$/],
        odd: [200, { success: false, error: { message: 'Odd.', type: 'FileError' } }, 'failed',
            /^Odd\.$/],
        output: [200, { success: false, output: 'No.' }, 'failed', /^No\.$/],
        silent: [200, { success: false }, 'failed', /status 200/],
        tree: [200, { success: false, error: { code: 7 } }, 'failed', /\{"code":7\}/],
        e400: [400, { error: 'Bad.' }, 'invalid_arguments', /^Bad\.$/],
        e401: [401, { detail: 'Key?' }, 'denied', /^Key\?$/],
        e404: [404, '<html>', 'not_found', /status 404/],
        e409: [409, { title: 'Conflict', detail: 'Busy.' }, 'unavailable', /^Busy\.$/],
        e422: [422, { detail: [{ loc: ['body'], msg: 'field required' }] }, 'invalid_arguments',
            /field required/],
        e500: [500, 'Traceback', 'failed', /status 500/],
        e503: [503, { message: 'Later.' }, 'unavailable', /^Later\.$/],
        e504: [504, {}, 'timeout', /status 504/],
        e302: [302, '', 'failed', /status 302/],
        long: [500, { error: 'x'.repeat(5000) }, 'failed', /^x{300,400}$/],
        deep: [200, '['.repeat(5000), '['.repeat(5000)],
    };
    const state = { list: Object.keys(answers).map((name) => ({ name })), tools: {} };
    for (const [name, [status, body]] of Object.entries(answers)) {
        state.tools[name] = ({ json }) => json(status, body);
    }
    const { calls } = await start(t, state);
    await calls.event((event) => event.tools);
    for (const [name, [, , expected, why]] of Object.entries(answers)) {
        const answer = await calls.call(name, {});
        if (why) {
            failed(answer, expected, why);
        } else {
            assert.deepEqual(answer.output, expected, name);
            assert.equal(answer.truncated, false);
        }
    }
});

test('R4.2 a long answer is cut, a huge one refused', async (t) => {
    const text = '\u20ac'.repeat(100000);
    const state = { list: [{ name: 'text' }, { name: 'tree' }, { name: 'quotes' },
        { name: 'huge' }, { name: 'fits' }], tools: {
        text: ({ json }) => json(200, { success: true, output: text }),
        tree: ({ json }) => json(200, { success: true, output: { text } }),
        quotes: ({ json }) => json(200, { success: true, output: '"\u0001'.repeat(90000) }),
        huge: ({ json }) => json(200, { success: true, output: 'x'.repeat(2000000) }),
        fits: ({ json }) => json(200, { success: true, output: { text: 'x'.repeat(90000) } }),
    } };
    const { calls } = await start(t, state);
    await calls.event((event) => event.tools);
    const cut = await calls.call('text', {});
    assert.equal(cut.truncated, true);
    assert.equal(cut.output.truncated, true);
    assert.equal(cut.output.total_bytes, 300000);
    assert.equal(cut.output.output, '\u20ac'.repeat(33333));
    const tree = await calls.call('tree', {});
    assert.equal(tree.output.total_bytes, 300011);
    assert.match(tree.output.output, /^\{"text":"\u20ac+$/);
    assert.equal((await calls.call('quotes', {})).output.truncated, true);
    failed(await calls.call('huge', {}), 'too_large', /too large/);
    assert.equal((await calls.call('fits', {})).truncated, false);
});

test('R1.3 a server that is down at the start is mounted when it comes', async (t) => {
    const gone = await WebServer.start(t, () => {});
    const { port } = gone;
    gone.stop();
    const calls = await ToolCalls.start(t, { servers: [{ name: 'amp',
        http: `http://127.0.0.1:${port}/` }] });
    const down = await calls.event((event) => event.state);
    assert.equal(down.state, 'down');
    failed(await calls.call('echo', {}), 'unknown_tool', /./);
    const state = { list: [{ name: 'echo' }], tools: { echo } };
    const web = await WebServer.start(t, serving(state), { port });
    await calls.event((event) => event.state === 'mounted');
    assert.deepEqual((await calls.call('echo', { a: 1 })).output, { a: 1 });
    // Restarted: nobody need know.
    web.stop();
    failed(await calls.call('echo', {}), 'unavailable', /amp can't be reached/);
    const again = await WebServer.start(t, serving(state), { port });
    assert.deepEqual((await calls.call('echo', { a: 2 })).output, { a: 2 });
    assert.ok(again.seen.length > 0);
});

test('a list that is none, or other after a while', async (t) => {
    const state = { list: { error: 'not yet' }, tools: { echo }, status: 200 };
    const { web, calls } = await start(t, state);
    const first = await calls.event((event) => event.state);
    assert.equal(first.state, 'down');
    assert.match(first.why, /no list/);
    state.status = 500;
    state.list = [{ name: 'echo' }];
    await until(() => web.seen.length >= 2, 'a second try');
    state.status = 200;
    const told = await calls.event((event) => event.tools);
    assert.deepEqual(names(told), ['echo']);
    await calls.event((event) => event.state === 'mounted');
});

test('R3.5 calls that take too long, are cancelled, break off', async (t) => {
    const closed = [];
    const waiting = ({ response }) => response.on('close', () => closed.push(1));
    const state = { list: ['slow', 'cut', 'half'].map((name) => ({ name })), tools: {
        slow: waiting,
        cut: ({ response }) => response.destroy(),
        half: ({ response }) => {
            response.writeHead(200, { 'content-length': '1000' });
            response.write('{"success":');
            setTimeout(() => response.destroy(), 50);
        } } };
    const { calls } = await start(t, state, { timeout_ms: 900 });
    await calls.event((event) => event.tools);
    const slow = await calls.call('slow', {});
    failed(slow, 'timeout', /./);
    failed(await calls.call('slow', {}, { cancel_ms: 100 }), 'cancelled', /./);
    await until(() => closed.length === 2, 'the server to be told');
    for (const name of ['cut', 'half']) {
        failed(await calls.call(name, {}), 'unavailable', /can't be reached/);
    }
});

test('R3.3 eight calls at once take as long as one', async (t) => {
    const state = { list: [{ name: 'wait' }], tools: {
        wait: ({ json, body }) => setTimeout(() => json(200, { success: true, output: body }),
            300) } };
    const { calls } = await start(t, state);
    await calls.event((event) => event.tools);
    const since = Date.now();
    const numbers = Array.from({ length: 8 }, (_, i) => calls.send('wait', { i }));
    for (const [i, number] of numbers.entries()) {
        assert.deepEqual((await calls.take(number)).output, { i });
    }
    assert.ok(Date.now() - since < 8 * 300, 'not one after the other');
});

test('a server ends with calls under way; its tools are gone with it', async (t) => {
    const state = { list: [{ name: 'slow' }], tools: { slow: () => {} } };
    const { web, calls } = await start(t, state);
    await calls.event((event) => event.tools);
    const numbers = [1, 2, 3].map(() => calls.send('slow', {}));
    await until(() => web.seen.length === 4, 'three calls');
    calls.command({ close: 'amp' });
    for (const number of numbers) {
        failed(await calls.take(number), 'unavailable', /amp/);
    }
    await calls.event((event) => event.closed);
    failed(await calls.call('slow', {}), 'unavailable', /amp/);
});

test('the end of it all in the middle of a list, a pause, calls', async (t) => {
    const silent = await WebServer.start(t, () => {});
    const slow = { list: [{ name: 'slow' }], tools: { slow: () => {} } };
    const web = await WebServer.start(t, serving(slow));
    const calls = await ToolCalls.start(t, { servers: [
        { name: 'silent', http: silent.url() }, { name: 'down', http: 'http://127.0.0.1:1' },
        { name: 'slow', http: web.url() }] });
    await calls.event((event) => event.tools);
    calls.send('slow', {});
    await until(() => web.seen.length === 2 && silent.seen.length === 1, 'all under way');
    await sleep(50);
    await calls.stop();
});

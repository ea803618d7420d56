// SPDX-License-Identifier: BSD-2-Clause
//
// Tools over HTTP, through NGINX and the shipped conf/voice.conf: one, several,
// in pages, cancelled; who may, and what the web app sees.

import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import { RawSocket } from './lib/client.mjs';
import { FastcgiConnection, paramsOf } from './lib/fastcgi.mjs';
import { heldTools } from './lib/held_tools.mjs';
import { count, makeDir, sanitized } from './lib/paths.mjs';
import { defer, fdCount, rssAnonKb, sleep, until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';

const files = ['read_file', 'write_file', 'edit_file', 'glob', 'grep'];

function rootMake() {
    const root = join(makeDir('tools'), 'root');
    mkdirSync(root);
    writeFileSync(join(root, 'notes.txt'), 'buy milk\ncall Ann\n');
    return root;
}

const numbered = (lines) => Array.from({ length: lines }, (_, i) => `line ${i + 1}\n`).join('');

async function start(t, { tools = files, webApp = false, auth, keys, settings = {} } = {}) {
    const root = rootMake();
    const stack = await startStack(t, {
        voiced: { auth, keys, settings: { ...settings, tools: { root, ...settings.tools } } },
        policy: `voice_model gpt-realtime; voice_http_tools ${tools.join(' ') || 'off'};
            voice_web_app ${webApp ? 'on' : 'off'};` });
    const post = (path, body, headers = {}) => {
        const text = typeof body === 'string' || Buffer.isBuffer(body) ? body
            : JSON.stringify(body);
        return stack.request(path, { method: 'POST', body: text,
            headers: { 'content-type': 'application/json',
                'content-length': Buffer.byteLength(text), ...headers } });
    };
    const run = (name, args, headers) => post(`/v1/tools/${name}`, args, headers);
    return { stack, root, post, run, file: (name) => join(root, name) };
}

// The lines of a stream as objects, until it ends.
async function linesOf({ stack }, name, args, accept) {
    const response = await new Promise((done, fail) => {
        const asked = http.request({ host: '127.0.0.1', port: stack.nginx.port, agent: false,
            path: `/v1/tools/${name}`, method: 'POST',
            headers: { 'content-type': 'application/json', accept } }, done);
        asked.on('error', fail);
        asked.end(JSON.stringify(args));
    });
    const text = Buffer.concat(await response.toArray()).toString();
    const lines = accept === 'text/event-stream'
        ? text.split('\n\n').filter((block) => block && !block.startsWith(':')).map((block) => {
            const [, type, data] = /^event: (\w+)\ndata: (.*)$/.exec(block);
            const line = JSON.parse(data);
            assert.equal(line.type, type);
            return line;
        })
        : text.trimEnd().split('\n').map((line) => JSON.parse(line));
    return { lines, response, text };
}

test('R3.1 tools over HTTP', async (t) => {
    const tools = await start(t);
    const { stack, post, run } = tools;

    await t.test('GET /v1/tools lists those that may be called here', async () => {
        const answer = await stack.request('/v1/tools');
        assert.equal(answer.status, 200, answer.text);
        assert.equal(answer.json.count, files.length);
        assert.deepEqual(answer.json.tools.map(({ name }) => name), [...files].sort());
        for (const tool of answer.json.tools) {
            assert.deepEqual(Object.keys(tool).sort(),
                ['description', 'name', 'parameters', 'type']);
            assert.equal(tool.type, 'function');
            assert.equal(tool.parameters.type, 'object');
        }
        assert.equal((await stack.request('/v1/tools')).text, answer.text);
    });

    await t.test('R3.2 a result, and the kept one', async () => {
        await sleep(100);
        const first = await run('read_file', { file_path: 'notes.txt' });
        assert.equal(first.status, 200, first.text);
        assert.deepEqual(Object.keys(first.json),
            ['success', 'output', 'cached', 'truncated', 'duration_ms']);
        assert.equal(first.json.success, true);
        assert.equal(first.json.cached, false);
        assert.match(first.json.output.content, /buy milk/);
        assert.match(first.headers['content-type'], /^application\/json/);
        const second = await run('read_file', { file_path: 'notes.txt' });
        assert.equal(second.json.cached, true);
        assert.deepEqual(second.json.output, first.json.output);
        appendFileSync(tools.file('notes.txt'), 'feed the cat\n');
        const third = await run('read_file', { file_path: 'notes.txt' });
        assert.equal(third.json.cached, false);
        assert.match(third.json.output.content, /feed the cat/);
    });

    await t.test('R3.2 what was written is read, never what was before', async () => {
        for (let i = 0; i < count(30, 300); i++) {
            const args = { file_path: 'turn.txt', content: `turn ${i}\n` };
            assert.equal((await run('write_file', args)).json.success, true);
            const answer = await run('read_file', { file_path: 'turn.txt' });
            assert.match(answer.json.output.content, new RegExp(`turn ${i}$`, 'm'));
        }
    });

    await t.test('what fails is success:false', async () => {
        const missing = await run('read_file', { file_path: 'nobody.txt' });
        assert.equal(missing.status, 200);
        assert.deepEqual(Object.keys(missing.json),
            ['success', 'error', 'cached', 'truncated', 'duration_ms']);
        assert.equal(missing.json.success, false);
        assert.equal(missing.json.error.type, 'not_found');
        assert.ok(missing.json.error.message.length > 0);
        for (const args of [{}, { file_path: 7 }, []]) {
            const wrong = await run('read_file', args);
            assert.equal(wrong.status, 200, wrong.text);
            assert.equal(wrong.json.error.type, 'invalid_arguments', JSON.stringify(args));
        }
        for (const path of ['../../etc/passwd', '/etc/passwd', '/proc/self/environ']) {
            const outside = await run('read_file', { file_path: path });
            assert.equal(outside.json.success, false, path);
            assert.doesNotMatch(outside.text, /root:|PATH=/);
        }
    });

    await t.test('requests that are wrong', async () => {
        const codes = async (answer, status, code) => {
            const got = await answer;
            assert.equal(got.status, status, got.text);
            assert.equal(got.json.error.code, code);
        };
        await codes(run('bash', { command: 'id' }), 404, 'tool_not_found');
        await codes(run('nothing', {}), 404, 'tool_not_found');
        await codes(run('..%2fread_file', {}), 404, 'not_found');
        await codes(run('read_file', '{"file_path":'), 400, 'invalid_json');
        await codes(run('read_file', 'null'), 400, 'invalid_json');
        await codes(run('read_file', '{"file_path":"a","file_path":"b"}'), 400, 'invalid_json');
        await codes(run('read_file', '{}', { 'content-type': 'text/plain' }), 415,
            'unsupported_media_type');
        await codes(run('read_file', { file_path: 'x'.repeat(300000) }), 413, 'body_too_large');
        await codes(run('write_file', { file_path: 'evil.txt', content: 'x' },
            { origin: 'https://evil.example' }), 403, 'origin_not_allowed');
        await codes(run('read_file', { file_path: 'notes.txt' }, { host: 'evil.example' }), 403,
            'host_not_allowed');
        await codes(stack.request('/v1/tools/read_file'), 405, 'method_not_allowed');
        assert.equal((await run('read_file', { file_path: 'evil.txt' })).json.success, false);
        for (const path of ['/tools', '/cancel/status', '/events']) {
            const answer = await stack.request(path);
            assert.equal(answer.status, 404);
            assert.deepEqual(answer.json, { detail: 'Not Found' });
        }
        assert.equal((await post('/execute/read_file', { file_path: 'notes.txt' })).status, 404);
    });

    await t.test('compressed bodies, both ways', async () => {
        writeFileSync(tools.file('long.txt'), numbered(400));
        const body = gzipSync(JSON.stringify({ file_path: 'long.txt' }));
        const answer = await run('read_file', body, { 'content-encoding': 'gzip',
            'accept-encoding': 'gzip' });
        assert.equal(answer.status, 200);
        assert.equal(answer.headers['content-encoding'], 'gzip');
    });

    await t.test('R3.3 several at once, in their order', async () => {
        const calls = [{ call_id: 'call_1', name: 'read_file',
            arguments: { file_path: 'notes.txt' } },
        { call_id: 'call_2', name: 'bash', arguments: { command: 'id' } },
        { call_id: 'call_3', name: 'glob', arguments: { pattern: '*.txt' } },
        { call_id: 'call_4', name: 'read_file', arguments: { file_path: 'nobody' } },
        { call_id: 'call_5', name: 'read_file', arguments: [] },
        ...Array.from({ length: 27 }, (_, i) => ({ call_id: `more_${i}`, name: 'grep',
            arguments: { pattern: `line ${i}`, path: 'long.txt' } }))];
        const answer = await post('/v1/tools', { calls });
        assert.equal(answer.status, 200, answer.text);
        const { results } = answer.json;
        assert.deepEqual(results.map((r) => r.call_id), calls.map((c) => c.call_id));
        assert.deepEqual(results.slice(0, 5).map((r) => r.success),
            [true, false, true, false, false]);
        assert.deepEqual([1, 3, 4].map((i) => results[i].error.type),
            ['unknown_tool', 'not_found', 'invalid_arguments']);
        assert.ok(results.slice(5).every((r) => r.success), answer.text.slice(0, 500));
        for (const body of [{}, [], { calls: [] }, { calls: [{ name: 'glob' }] },
            { calls: Array(33).fill(calls[0]) }]) {
            assert.equal((await post('/v1/tools', body)).status, 400);
        }
    });

    await t.test('arguments of one of several are no larger than those of one', async () => {
        const large = { pattern: 'x', path: 'y'.repeat(262144) };
        const answer = await post('/v1/tools', { calls: [
            { call_id: 'call_1', name: 'grep', arguments: large },
            { call_id: 'call_2', name: 'read_file', arguments: { file_path: 'notes.txt' } }] });
        assert.equal(answer.status, 200, answer.text.slice(0, 200));
        const [one, two] = answer.json.results;
        assert.equal(one.error?.type, 'invalid_arguments');
        assert.match(one.error.message, /too large/);
        assert.equal(two.success, true);
    });

    await t.test('nothing to cancel', async () => {
        const answer = await stack.request('/v1/cancel', { method: 'POST' });
        assert.deepEqual(answer.json, { cancelled: false, level: 'graceful', running_tools: [],
            was_already_cancelled: false });
    });
});

test('R3.4 pages', async (t) => {
    const tools = await start(t);
    const lines = 12345;
    const text = numbered(lines);
    writeFileSync(tools.file('pages.txt'), text);
    const plain = text.trimEnd().split('\n');

    for (const accept of ['text/event-stream', 'application/x-ndjson']) {
        await t.test(`as ${accept}`, async () => {
            const got = await linesOf(tools, 'read_file', { file_path: 'pages.txt' }, accept);
            assert.equal(got.response.statusCode, 200);
            assert.equal(got.response.headers['content-type'], accept);
            assert.equal(got.response.headers['content-length'], undefined);
            assert.match(got.response.headers['x-request-id'], /^[0-9a-f]{32}$/);
            const pages = got.lines.filter(({ type }) => type === 'page');
            assert.equal(pages.length, Math.ceil(lines / 1000));
            assert.equal(got.lines.at(-1).type, 'result');
            assert.equal(got.lines.at(-1).success, true);
            assert.equal(got.lines.at(-1).cached, false);
            const read = pages.map(({ page }) => page.content).join('\n').split('\n')
                .filter((line) => line !== '').map((line) => line.replace(/^\s*\d+\t/, ''));
            assert.deepEqual(read, plain);
        });
    }

    await t.test('R3.4 matches in groups of ten', async () => {
        const got = await linesOf(tools, 'grep', { pattern: 'line 12\\d\\d$',
            path: 'pages.txt', output_mode: 'content' }, 'application/x-ndjson');
        const pages = got.lines.filter(({ type }) => type === 'page');
        assert.equal(pages.length, 10, got.text.slice(0, 600));
        assert.equal(got.lines.at(-1).success, true);
    });

    await t.test('one that has none is a result', async () => {
        const got = await linesOf(tools, 'glob', { pattern: '*.txt' }, 'text/event-stream');
        assert.deepEqual(got.lines.map(({ type }) => type), ['result']);
        assert.equal(got.lines[0].success, true);
    });

    await t.test('a failure is a result, an unknown tool 404', async () => {
        const got = await linesOf(tools, 'read_file', { file_path: 'nobody' },
            'application/x-ndjson');
        assert.equal(got.lines.at(-1).success, false);
        assert.equal(got.lines.at(-1).error.type, 'not_found');
        const unknown = await tools.run('bash', {}, { accept: 'text/event-stream' });
        assert.equal(unknown.status, 404);
    });
});

// NGINX keeps a connection from END_REQUEST on, and sends the next request on
// it at once: were it closed, that request, a POST, would be answered 502.
test('R3.4 a connection outlives its pages', async (t) => {
    const tools = await start(t);
    writeFileSync(tools.file('pages.txt'), numbered(2500));
    const connection = await FastcgiConnection.open(tools.stack.voiced.socket);
    defer(t, () => connection.close());
    const policy = { v: 1, model: 'm', models: ['m'], upstream: [], voice: null,
        instructions: null, vad: null, opus: null, buffer: 'balanced', context: null,
        tools: [], http_tools: ['read_file'], transcript: true, transcription: null,
        client_update: 'allow', web_app: false, auth_seen: false };
    const ask = (accept, keep = true) => {
        const body = JSON.stringify({ file_path: 'pages.txt' });
        return connection.request({
            ...paramsOf('POST', '/v1/tools/read_file', { HTTP_ACCEPT: accept,
                CONTENT_TYPE: 'application/json', CONTENT_LENGTH: body.length }),
            VOICE_POLICY: JSON.stringify(policy) }, { keep, body });
    };
    for (let i = 0; i < count(40, 400); i++) {
        const got = await ask('application/x-ndjson');
        assert.equal(got.status, 200, got.body);
        assert.equal(JSON.parse(got.body.trimEnd().split('\n').at(-1)).success, true);
        assert.equal((await ask('application/json')).status, 200);
    }
    await ask('text/event-stream', false);
    await connection.ended;
});

// As long as nobody reads, a page is all there is of a file of 200 MB.
test('R3.4 slow readers hold neither threads nor memory, and may go', async (t) => {
    const readers = count(10, 40);
    const tools = await start(t, { settings: { request_threads: 2 } });
    const { stack } = tools;
    const block = numbered(200000);
    for (let i = 0; i < 80; i++) {
        appendFileSync(tools.file('big.txt'), block);
    }
    assert.equal((await tools.run('read_file', { file_path: 'notes.txt' })).status, 200);
    const server = stack.voiced.serverPid();
    const [fds, kb] = [fdCount(server), rssAnonKb(server)];
    const body = JSON.stringify({ file_path: 'big.txt' });
    const all = [];
    for (let i = 0; i < readers; i++) {
        const raw = await RawSocket.connect(t, { port: stack.nginx.port });
        await raw.write('POST /v1/tools/read_file HTTP/1.1\r\nHost: localhost\r\n' +
            'Content-Type: application/json\r\nAccept: application/x-ndjson\r\n' +
            `Content-Length: ${body.length}\r\n\r\n${body}`);
        assert.equal((await raw.readHead()).status, 200);
        raw.socket.pause();
        all.push(raw);
    }
    const status = async () => (await stack.request('/v1/cancel/status')).json;
    await until(async () => (await status()).running_tools.length === readers, 'the readers');
    await sleep(500);
    for (let i = 0; i < 20; i++) {
        assert.equal((await stack.request('/health')).status, 200);
        assert.equal((await tools.run('read_file', { file_path: 'notes.txt' })).json.success, true);
    }
    // A sanitizer keeps what has been freed.
    const grown = (rssAnonKb(server) - kb) / readers;
    assert.ok(sanitized || grown < 4096, `${grown} kB a reader`);
    assert.equal((await status()).running_tools.length, readers);
    for (const raw of all) {
        raw.socket.destroy();
    }
    await until(async () => (await status()).running_tools.length === 0, 'them to be gone');
    await until(() => fdCount(server) <= fds + 4, 'their descriptors');
});

test('a server stops in order under a reader of pages', async (t) => {
    const tools = await start(t);
    const block = numbered(200000);
    for (let i = 0; i < 20; i++) {
        appendFileSync(tools.file('big.txt'), block);
    }
    const raw = await RawSocket.connect(t, { port: tools.stack.nginx.port });
    const body = JSON.stringify({ file_path: 'big.txt' });
    await raw.write('POST /v1/tools/read_file HTTP/1.1\r\nHost: localhost\r\n' +
        'Content-Type: application/json\r\nAccept: text/event-stream\r\n' +
        `Content-Length: ${body.length}\r\n\r\n${body}`);
    assert.equal((await raw.readHead()).status, 200);
    raw.socket.pause();
    await sleep(300);
    const { code } = await tools.stack.voiced.stop();
    assert.equal(code, 0);
    assert.match(tools.stack.voiced.log(), /state=ended/);
    assert.doesNotMatch(tools.stack.voiced.log(), /handle left open/);
});

test('a tenant sees and cancels its own tools alone', async (t) => {
    const tools = await start(t, { auth: 'keys', keys: ['ours'] });
    const { stack } = tools;
    const foreign = await stack.voiced.addKey('theirs', '--tenant', 'them');
    const ours = { authorization: `Bearer ${stack.voiced.keys.ours}` };
    const theirs = { authorization: `Bearer ${foreign}` };
    const block = numbered(200000);
    for (let i = 0; i < 80; i++) {
        appendFileSync(tools.file('big.txt'), block);
    }
    assert.equal((await tools.run('read_file', { file_path: 'notes.txt' })).status, 401);
    const raw = await RawSocket.connect(t, { port: stack.nginx.port });
    const body = JSON.stringify({ file_path: 'big.txt' });
    await raw.write('POST /v1/tools/read_file HTTP/1.1\r\nHost: localhost\r\n' +
        `Authorization: ${ours.authorization}\r\n` +
        'Content-Type: application/json\r\nAccept: application/x-ndjson\r\n' +
        `Content-Length: ${body.length}\r\n\r\n${body}`);
    assert.equal((await raw.readHead()).status, 200);
    raw.socket.pause();
    const status = async (headers) => (await stack.request('/v1/cancel/status', { headers })).json;
    const cancel = async (headers, asked) => (await tools.post('/v1/cancel', asked, headers)).json;
    await until(async () => (await status(ours)).running_tools.length === 1, 'the reader');
    await until(async () => (await status(theirs)).error === undefined, 'the new key');
    assert.deepEqual(await status(theirs), { is_cancellable: false, is_cancelled: false,
        level: 'none', running_tools: [], active_children: 0 });
    assert.equal((await cancel(theirs, { immediate: true })).cancelled, false);
    assert.equal((await cancel(theirs, { immediate: true, session_id: '' })).error.code,
        'invalid_value');
    assert.deepEqual(await cancel(ours, { immediate: false, reason: 'enough' }), {
        cancelled: true, level: 'graceful', running_tools: ['read_file'],
        was_already_cancelled: false });
    assert.deepEqual(await status(ours), { is_cancellable: true, is_cancelled: true,
        level: 'graceful', running_tools: ['read_file'], active_children: 0 });
    assert.equal((await cancel(ours, { immediate: true })).level, 'immediate');
    raw.socket.resume();
    await until(async () => (await status(ours)).running_tools.length === 0, 'its end');
    await until(() => /"type":"result","success":false,"error":{"message":"[^"]*","type":"cancelled"/
        .test(raw.received.toString('latin1')), 'what it was told');
    assert.equal((await status(ours)).is_cancelled, false);
});

test('no tenant has all the places', async (t) => {
    const held = await heldTools(t);
    const tools = await start(t, { tools: ['held', 'read_file', 'grep'], auth: 'keys',
        keys: ['ours'], settings: { tools: { max_running: 4, max_waiting: 16 },
            tool_server: { other: { http: held.url } } } });
    const { stack } = tools;
    const theirs = { authorization: `Bearer ${await stack.voiced.addKey('theirs',
        '--tenant', 'them')}` };
    const ours = { authorization: `Bearer ${stack.voiced.keys.ours}` };
    await until(async () => (await stack.request('/v1/tools', { headers: ours })).json.count === 3
        && (await stack.request('/v1/tools', { headers: theirs })).status === 200, 'the tool');
    const answers = Array.from({ length: 14 }, (_, n) => tools.run('held', { n }, ours));
    const refused = await Promise.race(answers);
    assert.equal(refused.status, 503, refused.text);
    assert.match(refused.headers['retry-after'], /^\d+$/);
    await until(() => held.waiting.size === 2, 'two to run');
    for (let i = 0; i < 5; i++) { // of those places, each in turn
        const answer = await tools.run('grep', { pattern: `${i}` }, theirs);
        assert.equal(answer.json.success, true, answer.text);
    }
    const held2 = tools.run('held', { n: 100 }, theirs);
    await until(() => held.waiting.size === 3, 'theirs beside ours');
    let left = 11;
    while (left > 0) {
        left -= held.waiting.size;
        held.letGo();
        await sleep(20);
    }
    const all = await Promise.all(answers);
    assert.deepEqual([200, 503].map((status) =>
        all.filter((answer) => answer.status === status).length), [10, 4]);
    assert.equal((await held2).json.success, true);
});

test('the web app\'s routes', async (t) => {
    const tools = await start(t, { webApp: true, tools: ['read_file', 'write_file'] });
    const { stack, post } = tools;

    const list = await stack.request('/tools');
    assert.equal(list.json.count, 2);
    assert.deepEqual(list.json.tools.map(({ name }) => name), ['read_file', 'write_file']);
    const done = await post('/execute/read_file', { file_path: 'notes.txt' });
    assert.equal(done.status, 200);
    assert.deepEqual(Object.keys(done.json), ['success', 'output']);
    assert.match(done.json.output.content, /buy milk/);
    for (const [name, args] of [['read_file', { file_path: 'nobody' }], ['bash', {}],
        ['nothing', {}], ['read_file', {}], ['read_file', []]]) {
        const failed = await post(`/execute/${name}`, args);
        assert.equal(failed.status, 200);
        assert.deepEqual(Object.keys(failed.json), ['success', 'error']);
        assert.equal(failed.json.success, false);
        assert.equal(typeof failed.json.error, 'string');
    }
    const plain = await post('/execute/read_file', '{}', { 'content-type': 'text/plain' });
    assert.equal(plain.status, 415);
    assert.equal(typeof plain.json.detail, 'string');
    assert.equal((await post('/execute/write_file', { file_path: 'evil', content: '' },
        { origin: 'https://evil.example' })).status, 403);
    assert.deepEqual((await post('/cancel', { immediate: true })).json, { cancelled: false,
        level: 'immediate', running_tools: [], was_already_cancelled: false });
    assert.equal((await stack.request('/cancel/status')).json.is_cancellable, false);

    await t.test('GET /events is a stream, whatever is accepted', async (t) => {
        const asked = http.get({ host: '127.0.0.1', port: stack.nginx.port, path: '/events',
            agent: false });
        defer(t, () => asked.destroy());
        const response = await new Promise((ok, fail) => {
            asked.once('response', ok).once('error', fail);
        });
        response.on('error', () => {});
        assert.match(response.headers['content-type'], /^text\/event-stream/);
        let text = '';
        response.setEncoding('utf8').on('data', (part) => { text += part; });
        await post('/execute/write_file', { file_path: 'new.txt', content: 'secret words' });
        const result = /^data: (.*"type":"tool_result".*)$/m;
        await until(() => result.test(text), 'the event');
        assert.ok(JSON.parse(result.exec(text)[1]).timestamp);
        assert.doesNotMatch(text, /secret words/);
    });
});

test('R3.3 R3.5 tools of another server: in parallel, given up, cancelled', async (t) => {
    const held = await heldTools(t);
    const tools = await start(t, { tools: ['held'],
        settings: { tool_server: { other: { http: held.url } } } });
    const { stack, post, run } = tools;
    await until(async () => (await stack.request('/v1/tools')).json.count === 1, 'the tool');
    const calls = Array.from({ length: 8 },
        (_, n) => ({ call_id: `call_${n}`, name: 'held', arguments: { n } }));

    await t.test('eight of one request wait side by side', async () => {
        const answer = post('/v1/tools', { calls });
        await until(() => held.waiting.size === 8, 'all eight');
        held.letGo();
        const { results } = (await answer).json;
        assert.deepEqual(results.map((r) => [r.call_id, r.success]),
            calls.map((c) => [c.call_id, true]));
    });

    await t.test('a client that leaves takes them along', async (t) => {
        for (const [path, body, count, accept] of [['/v1/tools/held', {}, 1, '*/*'],
            ['/v1/tools', { calls }, 8, '*/*'], ['/v1/tools/held', {}, 1, 'text/event-stream']]) {
            const before = held.gone;
            const raw = await RawSocket.connect(t, { port: stack.nginx.port });
            const text = JSON.stringify(body);
            await raw.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: ${accept}\r\n` +
                `Content-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
            await until(() => held.waiting.size === count, `${count} to wait`);
            raw.socket.destroy();
            await until(() => held.gone === before + count, 'them to be given up');
        }
    });

    await t.test('cancelled at once, and told', async () => {
        const answer = run('held', { n: 1 });
        await until(() => held.waiting.size === 1, 'it to wait');
        assert.deepEqual((await stack.request('/v1/cancel/status')).json.running_tools, ['held']);
        const cancelled = await post('/v1/cancel', { immediate: true });
        assert.deepEqual(cancelled.json, { cancelled: true, level: 'immediate',
            running_tools: ['held'], was_already_cancelled: false });
        const { status, json } = await answer;
        assert.equal(status, 200);
        assert.equal(json.error.type, 'cancelled');
        await until(() => held.waiting.size === 0, 'it to be given up');
    });


    // Its connections went with what was cancelled: each makes one of its own.
    await t.test('those who wait hold no thread', async () => {
        const answers = Array.from({ length: 12 }, (_, n) => run('held', { n: 100 + n }));
        await until(() => held.waiting.size === 12, 'all to wait');
        for (let i = 0; i < 10; i++) {
            assert.equal((await stack.request('/health')).status, 200);
        }
        held.letGo();
        assert.ok((await Promise.all(answers)).every(({ json }) => json.success));
    });
});

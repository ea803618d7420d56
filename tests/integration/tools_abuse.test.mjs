// SPDX-License-Identifier: BSD-2-Clause
//
// Escapes and abuses of file tools and of the way they are called: each ends
// in a clear error or a harmless result, within its limits of time and memory.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import test from 'node:test';
import { Worker } from 'node:worker_threads';
import { makePlace, refused, runCases, secret, startTools, status }
    from './lib/abuse.mjs';
import { fileCases, fillRoot } from './lib/abuse_files.mjs';
import { count, sanitized } from './lib/paths.mjs';
import { defer, fdCount, rssAnonKb, until } from './lib/process.mjs';

// The most that all of it may have cost a server that is idle again. What it
// keeps of results has a limit of its own.
const leftKb = 128 * 1024;

test('R4.2 R3.5 file tools stand what models ask of them', async (t) => {
    const at = makePlace(t);
    const found = await fillRoot(t, at);
    const tools = await startTools(t, at);
    const pid = tools.stack.voiced.serverPid();
    const before = { kb: rssAnonKb(pid), fds: fdCount(pid) };
    const cases = fileCases(at, found);

    assert.ok(cases.length >= 60, `${cases.length} cases`);
    await runCases(t, tools, cases);
    if (!sanitized) {
        assert.ok(rssAnonKb(pid) - before.kb < leftKb, `${rssAnonKb(pid) - before.kb} kB`);
    }
    await until(() => fdCount(pid) <= before.fds + 4, 'descriptors to be given back');
});

// --- races: what a path leads to changes while it is followed

// Puts now a directory, now a link that leads out, in the same place; what a
// tool has made there meanwhile is put away.
const swapper = `
    const { renameSync, rmSync, symlinkSync, unlinkSync } = require('node:fs');
    const { workerData, parentPort } = require('node:worker_threads');
    const { at, place, state } = workerData;
    const flags = new Int32Array(state);
    parentPort.postMessage('up');
    const put = (what) => {
        for (;;) {
            try {
                return what();
            } catch (error) {
                if (!['EEXIST', 'ENOTEMPTY'].includes(error.code)) {
                    throw error;
                }
                try {
                    rmSync(at, { recursive: true, force: true });
                } catch { /* something was made in it again */ }
            }
        }
    };
    while (Atomics.load(flags, 0) === 0) {
        renameSync(at, at + '-aside');
        put(() => symlinkSync(place, at));
        unlinkSync(at);
        put(() => renameSync(at + '-aside', at));
        Atomics.add(flags, 1, 1);
    }
    `;

async function startSwapping(t, at, path) {
    const state = new SharedArrayBuffer(8);
    const flags = new Int32Array(state);
    const worker = new Worker(swapper, { eval: true,
        workerData: { at: path, place: at.place, state } });
    const stop = async () => {
        Atomics.store(flags, 0, 1);
        await worker.terminate();
    };
    defer(t, stop);
    await new Promise((done) => { worker.once('message', done); });
    return { stop, turns: () => Atomics.load(flags, 1) };
}

test('R4.2 a directory that becomes a link under way leads nowhere else', async (t) => {
    const at = makePlace(t);
    mkdirSync(at.in('race'));
    writeFileSync(at.in('race', 'secret.txt'), 'inside\n');
    const tools = await startTools(t, at);
    const swapping = await startSwapping(t, at, at.in('race'));
    let read = 0;
    for (let i = 0; i < count(150, 3000) || swapping.turns() < 100; i++) {
        const calls = [['read_file', { file_path: 'race/secret.txt' }],
            ['write_file', { file_path: `race/new${i}.txt`, content: 'x' }],
            ['edit_file', { file_path: 'race/secret.txt', old_string: 'OUTSIDE',
                new_string: 'x' }],
            ['grep', { pattern: 'OUTSIDE', path: 'race', output_mode: 'content' }],
            ['glob', { pattern: '*', path: `race/${'./'.repeat(i % 7)}` }]];
        for (const answer of await Promise.all(calls.map(([name, args]) =>
            tools.run(name, args)))) {
            assert.equal(answer.status, 200, answer.text);
            assert.ok(!answer.text.includes(secret), answer.text);
            assert.ok(!answer.text.includes('root-sibling'), answer.text);
            read += answer.json.success ? 1 : 0;
        }
        assert.equal(existsSync(`${at.place}/new${i}.txt`), false, 'written outside');
    }
    assert.ok(read > 0, 'some got through');
    await swapping.stop();
});

test('R4.2 a file that becomes a FIFO or a link under way', async (t) => {
    const at = makePlace(t);
    const tools = await startTools(t, at);
    for (let i = 0; i < count(60, 1000); i++) {
        writeFileSync(at.in('new'), 'inside\n');
        symlinkSync(at.outside, at.in('link'));
        const answers = Promise.all([tools.run('read_file', { file_path: 'file' }),
            tools.run('edit_file', { file_path: 'file', old_string: 'inside',
                new_string: 'within' })]);
        renameSync(at.in('new'), at.in('file'));
        renameSync(at.in('link'), at.in('file'));
        for (const answer of await answers) {
            assert.equal(answer.status, 200, answer.text);
            assert.ok(!answer.text.includes(secret), answer.text);
        }
        rmSync(at.in('file'), { force: true });
    }
});

// --- how they are called

const schema = [
    ['read_file', {}], ['read_file', { file_path: null }], ['read_file', { file_path: {} }],
    ['read_file', { file_path: ['notes.txt'] }], ['read_file', { file_path: 'x', offset: '1' }],
    ['read_file', { file_path: 'x', offset: -1 }], ['read_file', { file_path: 'x', limit: 1.5 }],
    ['read_file', { file_path: 'x', limit: 0.1e-9 }], ['read_file', { file_path: 'x', other: 1 }],
    ['read_file', { file_path: 'x', __proto__x: {} }], ['write_file', { file_path: 'x' }],
    ['write_file', { file_path: 'x', content: 7 }], ['edit_file', { file_path: 'x',
        old_string: 'a', new_string: 'b', replace_all: 'yes' }],
    ['glob', { pattern: '*', type: 'socket' }], ['glob', { pattern: '*', exclude: 'x' }],
    ['grep', { pattern: 'x', output_mode: 'everything' }], ['grep', { pattern: 'x', '-A': -1 }],
    ['grep', { pattern: '' }], ['grep', { pattern: 'x', '-i': 1 }],
].map(([tool, args]) => ({ name: `${tool} ${JSON.stringify(args)}`, tool, args,
    ends: refused('invalid_arguments') }));

const notes = '{"file_path":"notes.txt"}';
const nested = (depth) => `{"file_path":${'['.repeat(depth)}${']'.repeat(depth)}}`;

const requests = (port) => [
    { name: 'a page of another site', headers: { origin: 'https://evil.example' }, ends: 403 },
    { name: 'a page of no site', headers: { origin: 'null' }, ends: 403 },
    { name: 'another port', headers: { origin: `http://127.0.0.1:${port + 1}` }, ends: 403 },
    { name: 'another name of this host', headers: { host: 'evil.example' }, ends: 403 },
    { name: 'a form', headers: { 'content-type': 'application/x-www-form-urlencoded' },
        ends: 415 },
    { name: 'plain text', headers: { 'content-type': 'text/plain' }, ends: 415 },
    { name: 'JSON that says it is text', headers: { 'content-type':
        'text/plain; application/json' }, ends: 415 },
    { name: 'a page of another site, as text', headers: { origin: 'https://evil.example',
        'content-type': 'text/plain' }, ends: 403 },
    { name: 'no JSON', body: '{"file_path"', ends: 400 },
    { name: 'two values', body: `${notes}${notes}`, ends: 400 },
    { name: 'NaN', body: '{"file_path":NaN}', ends: 400 },
    { name: 'nothing', body: '', ends: 400 },
    { name: 'too deep', body: nested(100000), ends: 400 },
    { name: 'too long', body: `{"file_path":"${'x'.repeat(400000)}"}`, ends: 413 },
    { name: 'another tool', path: '/v1/tools/bash', ends: 404 },
    { name: 'no tool', path: '/v1/tools/none', ends: 404 },
    { name: 'a way out of the path', path: '/v1/tools/..%2f..%2fhealth',
        ends: [404, 405] },
    { name: 'a NUL in the name', path: '/v1/tools/read_file%00', ends: [400, 404] },
    { name: 'a name of 4 KB', path: `/v1/tools/${'n'.repeat(4000)}`,
        ends: [404, 405, 414] },
    { name: 'the web app\'s way where it is off', path: '/execute/read_file', ends: 404 },
].map(({ name, path = '/v1/tools/read_file', body = notes, headers, ends }) => ({
    name: `request: ${name}`, path, body, headers, ends: status(...[ends].flat()) }));

test('R3.1 calls that are not as they should be', async (t) => {
    const at = makePlace(t);
    writeFileSync(at.in('notes.txt'), 'hello\n');
    const tools = await startTools(t, at);
    await runCases(t, tools, [...schema, ...requests(tools.stack.nginx.port)]);

    await t.test('a batch without an end', async () => {
        const calls = JSON.stringify({ calls: Array.from({ length: 5000 }, () => (
            { name: 'read_file', arguments: { file_path: 'notes.txt' } })) });
        const answer = await tools.post('/v1/tools', calls);
        assert.ok([400, 413].includes(answer.status), answer.text.slice(0, 200));
    });
});

test('R3.2 a tenant is not told what another was', async (t) => {
    const at = makePlace(t);
    writeFileSync(at.in('notes.txt'), 'hello\n');
    const tools = await startTools(t, at, { voiced: { auth: 'keys', keys: ['ours'] } });
    const { voiced } = tools.stack;
    const theirs = await voiced.addKey('theirs', '--tenant', 'them');
    const as = (key, headers = {}) => tools.run('read_file', { file_path: 'notes.txt' },
        { authorization: `Bearer ${key}`, ...headers });
    const keyed = async () => (await as(theirs)).status === 200;
    await until(keyed, 'the new key to be known');

    await until(async () => (await as(voiced.keys.ours)).json.cached, 'ours to be kept');
    const first = await as(await voiced.addKey('third', '--tenant', 'third')
        .then(async (key) => { await until(async () => (await tools.run('glob',
            { pattern: '*' }, { authorization: `Bearer ${key}` })).status === 200, 'a key');
        return key; }));
    assert.equal(first.json.cached, false, 'another tenant has its own');
    for (const headers of [{ 'voice-tenant': 'them' }, { 'x-voice-tenant': 'them' },
        { voice_tenant: 'them' }]) {
        const answer = await as(voiced.keys.ours, headers);
        assert.equal(answer.json.cached, true, 'a header is no identity');
    }
    for (const key of ['', 'vk_none', theirs.slice(0, -1), `${theirs}x`]) {
        assert.equal((await as(key)).status, 401);
    }
});

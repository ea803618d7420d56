// SPDX-License-Identifier: BSD-2-Clause
//
// Tools over HTTP: a kept result and a file read anew, against "hello" of a
// plain libfcgi program behind the same NGINX; tools of another server in
// parallel; the first page of a file of 1 GB.

import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { makeDir } from '../../integration/lib/paths.mjs';
import { defer, sleep, until } from '../../integration/lib/process.mjs';
import { Client, demand, median, metricsOf } from './measure.mjs';
import { scoped, toolStack } from './stacks.mjs';

export const toolRows = [
    { id: 'tool_cached.hello_ratio', unit: 'ratio', least: 0.7, group: toolFiles,
        what: 'POST /v1/tools/read_file of 4 KB, kept, against a plain libfcgi hello' },
    { id: 'tool_cold.hello_ratio', unit: 'ratio', least: 0.4, group: toolFiles,
        what: 'the same of files that are read each time' },
    { id: 'tool_parallel8.ms', unit: 'ms', most: 130, group: toolParallel,
        what: 'p50 of 8 tools of another server in one request, 100 ms each' },
    { id: 'tool_stream.first_page_ms', unit: 'ms', most: 50, group: toolStream,
        what: 'p50 until the first page of a file of 1 GB' },
];

const json = 'Content-Type: application/json';
const FILES = 4096; // far more than are kept
const LINE = `${'The quick brown fox jumps over the lazy dog. '.repeat(2).slice(0, 63)}\n`;

// --- files

function filesMake(dir) {
    mkdirSync(dir, { recursive: true });
    for (let i = 0; i < FILES; i++) {
        writeFileSync(join(dir, `${String(i).padStart(4, '0')}.txt`), LINE.repeat(64));
    }
    return dir;
}

async function post(target, path, body, headers = {}) {
    const answer = await fetch(`http://${target}${path}`, { method: 'POST',
        headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
    return { status: answer.status, body: await answer.json() };
}

const loads = {
    cached: { path: '/v1/tools/read_file', header: json, body: '{"file_path":"0000.txt"}' },
    cold: { path: '/v1/tools/read_file', header: json, body: '{"file_path":"%%%%.txt"}',
        vary: FILES },
    plain: { path: '/plain' },
};

async function once(target, load, seconds) {
    const [line] = await Client.run('http', { target, connections: 32, seconds, ...load });
    demand(line.answered > 0 && line.refused === 0 && line.broken === 0, 'requests failed', line);
    return line.per_second;
}

const sumOf = (samples, name) => [...samples].filter(([key]) => key.startsWith(name))
    .reduce((sum, [, value]) => sum + value, 0);

async function hitsOf(stack) {
    const samples = await metricsOf(stack);
    return { hits: sumOf(samples, 'tool_cache_hits_total'),
        misses: sumOf(samples, 'tool_cache_misses_total') };
}

async function toolFiles({ quick, rounds }) {
    return scoped(async scope => {
        const root = filesMake(join(makeDir('tools'), 'root'));
        const stack = await toolStack(scope, { settings: { tools: { root } },
            tools: ['read_file'] });
        await sleep(200); // a file that has just changed is not kept
        for (let i = 0; i < 2; i++) {
            const { status, body } = await post(stack.target, '/v1/tools/read_file',
                { file_path: '0000.txt' });
            demand(status === 200 && body.success && body.cached === (i === 1) &&
                JSON.stringify(body).length > 4096, 'the file', body);
        }
        const taken = { cached: [], cold: [], plain: [] };
        const shares = { cached: [], cold: [] };
        for (let round = 0; round < rounds; round++) {
            const order = Object.keys(loads);
            for (const name of round % 2 ? order.reverse() : order) {
                const before = await hitsOf(stack);
                taken[name].push(await once(stack.target, loads[name], quick ? 2 : 4));
                const after = await hitsOf(stack);
                const hits = after.hits - before.hits;
                shares[name]?.push(hits / (hits + after.misses - before.misses));
            }
        }
        const ratio = name => median(taken[name].map((value, i) => value / taken.plain[i]));
        return { 'tool_cached.hello_ratio': ratio('cached'), 'tool_cold.hello_ratio': ratio('cold'),
            notes: { per_second: Object.fromEntries(Object.entries(taken)
                .map(([name, values]) => [name, median(values)])),
            hit_share: { cached: median(shares.cached), cold: median(shares.cold) } } };
    });
}

// --- tools of another server

// GET /tools and POST /execute/{name}, 100 ms each.
async function slowTools(scope) {
    const tool = { type: 'function', name: 'wait', description: 'Waits 100 ms.',
        parameters: { type: 'object', properties: { n: { type: 'integer' } } } };
    const server = createServer((asked, answer) => {
        const send = value => {
            answer.writeHead(200, { 'Content-Type': 'application/json' });
            answer.end(JSON.stringify(value));
        };
        asked.resume();
        asked.on('end', () => (asked.url === '/tools' ? send({ tools: [tool], count: 1 })
            : setTimeout(send, 100, { success: true, output: { waited: true } })));
    });
    await new Promise(done => server.listen(0, '127.0.0.1', done));
    defer(scope, () => { server.close(); server.closeAllConnections(); });
    return `http://127.0.0.1:${server.address().port}`;
}

async function toolParallel({ rounds, quick }) {
    return scoped(async scope => {
        const name = 'wait';
        const stack = await toolStack(scope, { tools: [name],
            settings: { tool_server: { bench: { http: await slowTools(scope) } } } });
        const listed = async () => {
            const answer = await fetch(`http://${stack.target}/v1/tools`);
            return (await answer.json()).count === 1;
        };
        await until(listed, `the tool ${name}`);
        const taken = [];
        let n = 0;
        for (let round = 0; round < (quick ? 10 : 10 * rounds); round++) {
            const calls = Array.from({ length: 8 }, (_, i) => (
                { call_id: `call_${i}`, name, arguments: { n: n++ } }));
            const begun = performance.now();
            const { body } = await post(stack.target, '/v1/tools', { calls });
            taken.push(performance.now() - begun);
            demand(body.results?.length === 8 && body.results.every(r => r.success && !r.cached),
                'results', body);
        }
        taken.shift(); // its connections are made
        return { 'tool_parallel8.ms': median(taken),
            notes: { batches: taken.length, worst_ms: Math.max(...taken) } };
    });
}

// --- pages

const GB = 1 << 30;

function bigFileMake(path) {
    const block = Buffer.from(LINE.repeat(16384));
    const fd = openSync(path, 'w');
    for (let written = 0; written < GB; written += block.length) {
        writeSync(fd, block);
    }
    closeSync(fd);
}

// Milliseconds until the first line that is a page; then it hangs up.
function firstPage(target) {
    const [host, port] = target.split(':');
    return new Promise((done, fail) => {
        const begun = performance.now();
        let text = '';
        const asked = request({ host, port, path: '/v1/tools/read_file', method: 'POST',
            agent: false, headers: { 'content-type': 'application/json',
                accept: 'application/x-ndjson' } }, answer => {
            answer.setEncoding('utf8').on('data', part => {
                text += part;
                if (!text.includes('\n')) {
                    return;
                }
                const took = performance.now() - begun;
                const line = JSON.parse(text.split('\n')[0]);
                asked.destroy();
                if (answer.statusCode === 200 && line.type === 'page') {
                    done(took);
                } else {
                    fail(new Error(`${answer.statusCode}: ${text.slice(0, 200)}`));
                }
            });
        });
        asked.on('error', fail);
        asked.end('{"file_path":"big.txt"}');
    });
}

async function toolStream({ rounds, quick }) {
    return scoped(async scope => {
        const root = makeDir('tools');
        bigFileMake(join(root, 'big.txt'));
        const stack = await toolStack(scope, { settings: { tools: { root } },
            tools: ['read_file'] });
        const taken = [];
        for (let round = 0; round < (quick ? 5 : 5 * rounds); round++) {
            taken.push(await firstPage(stack.target));
        }
        return { 'tool_stream.first_page_ms': median(taken),
            notes: { runs: taken.length, worst_ms: Math.max(...taken) } };
    });
}

// SPDX-License-Identifier: BSD-2-Clause
//
// What is kept of results, and for whom: many who ask for the same wait for
// one run, and nobody is told what was before a write of the server's own, over
// HTTP or in a session. What others change is seen at once by read_file, and
// when its time is over by the rest.

import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { RawSocket } from './lib/client.mjs';
import { heldTools } from './lib/held_tools.mjs';
import { count } from './lib/paths.mjs';
import { defer, sleep, until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';
import { Upstream } from './lib/upstream.mjs';

const names = ['read_file', 'write_file', 'edit_file', 'glob', 'grep', 'bash'];

// Commands are not run as root, but as the owner of the directory.
function makeRoot(t) {
    const place = mkdtempSync(join(tmpdir(), 'voice-fresh-'));
    const root = join(place, 'root');
    chmodSync(place, 0o755);
    mkdirSync(root);
    if (process.getuid() === 0) {
        chownSync(root, 65534, 65534);
    }
    defer(t, () => rmSync(place, { recursive: true, force: true }));
    return root;
}

async function start(t, { tools = names, settings = {}, voiced = {} } = {}) {
    const root = makeRoot(t);
    const stack = await startStack(t, {
        policy: `voice_model gpt-realtime; voice_http_tools ${tools.join(' ')};
            voice_tools ${tools.join(' ')};`,
        voiced: { ...voiced, settings: { ...voiced.settings, ...settings,
            tools: { root, bash: 'yes', ...settings.tools } } } });
    const run = async (name, args) => {
        const answer = await stack.request(`/v1/tools/${name}`, { method: 'POST',
            body: JSON.stringify(args), headers: { 'content-type': 'application/json' } });
        assert.equal(answer.status, 200, answer.text);
        return answer.json;
    };
    const works = async (name, args) => {
        const answer = await run(name, args);
        assert.equal(answer.success, true, JSON.stringify(answer));
        return answer;
    };
    return { stack, run, works, file: (name) => join(root, name) };
}

// --- many who ask for one

test('R3.2 64 callers of one slow thing cause one run, whoever of them leaves', async (t) => {
    const held = await heldTools(t, { read_only: true });
    const tools = await start(t, { tools: ['held'],
        settings: { tool_server: { other: { http: held.url, trusted: 'yes' } } } });
    const running = async () => (await tools.stack.request('/v1/cancel/status'))
        .json.running_tools.length;
    await until(async () => (await tools.stack.request('/v1/tools')).json.count === 1, 'it');

    const raws = [];
    const leave = async (n) => { // one that will not wait for its answer
        const raw = await RawSocket.connect(t, { port: tools.stack.nginx.port });
        const text = JSON.stringify({ n });
        await raw.write('POST /v1/tools/held HTTP/1.1\r\nHost: localhost\r\n' +
            `Content-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
        raws.push(raw);
    };
    await leave(1);
    await until(() => held.waiting.size === 1, 'the run');
    const callers = Array.from({ length: 64 }, () => tools.works('held', { n: 1 }));
    await leave(1);
    await until(async () => await running() === 66, 'all to wait');
    raws.forEach((raw) => raw.socket.destroy());
    await until(async () => await running() === 64, 'two to have left');
    assert.equal(held.asked, 1);
    held.letGo();
    for (const { output } of await Promise.all(callers)) {
        assert.deepEqual(output, { held: true });
    }
    assert.equal(held.asked, 1);
    assert.equal(held.gone, 0);
    assert.equal((await tools.works('held', { n: 1 })).cached, true);
    assert.equal(held.asked, 1);
});

test('R3.2 a server that is not trusted is asked each time', async (t) => {
    const held = await heldTools(t, { read_only: true });
    const tools = await start(t, { tools: ['held'],
        settings: { tool_server: { other: { http: held.url } } } });
    await until(async () => (await tools.stack.request('/v1/tools')).json.count === 1, 'it');
    const callers = Array.from({ length: 3 }, () => tools.works('held', { n: 1 }));
    await until(() => held.waiting.size === 3, 'three runs');
    held.letGo();
    assert.ok((await Promise.all(callers)).every(({ cached }) => !cached));
});

// --- what the server writes

// Each changes `turn.txt` to hold the turn's number.
const writers = [
    (i) => ['write_file', { file_path: 'turn.txt', content: `turn ${i};\n` }],
    (i) => ['edit_file', { file_path: 'turn.txt', old_string: `turn ${i - 1};`,
        new_string: `turn ${i};` }],
    (i) => ['bash', { command: `echo "turn ${i};" > new && mv -f new turn.txt` }],
];

const readers = [
    ['read_file', { file_path: 'turn.txt' }],
    ['grep', { pattern: 'turn', path: 'turn.txt', output_mode: 'content' }],
];

test('R3.2 after a write nobody is told what was before it', async (t) => {
    const tools = await start(t);
    await tools.works(...writers[0](0));
    for (let i = 1; i <= count(60, 600); i++) {
        // They read while it is written, and have their answers kept.
        const others = Promise.all(readers.map((one) => tools.works(...one)));
        const { output } = await tools.works(...writers[i % 20 === 2 ? 2 : i % 2](i));
        assert.ok(!output.returncode, JSON.stringify(output));
        for (const one of readers) {
            const text = JSON.stringify((await tools.works(...one)).output);
            assert.match(text, new RegExp(`turn ${i};`), one[0]);
        }
        await others;
    }
    const glob = async () => JSON.stringify((await tools.works('glob',
        { pattern: '*.new' })).output);
    for (let i = 0; i < 10; i++) {
        assert.doesNotMatch(await glob(), new RegExp(`n${i}\\.new`));
        await tools.works('write_file', { file_path: `n${i}.new`, content: '' });
        assert.match(await glob(), new RegExp(`n${i}\\.new`));
    }
});

// --- in a session

// The session's next turn calls a tool; its output, as the model is told it.
async function callIn({ client, conn }, [name, args]) {
    const outputs = () => conn.session.items.map(({ item }) => item)
        .filter(({ type }) => type === 'function_call_output');
    const before = outputs().length;
    client.sayText(`call ${name} ${JSON.stringify(args)}`);
    client.send({ type: 'response.create' });
    await until(() => outputs().length > before && !conn.session.active, `${name}'s output`);
    await until(() => conn.session.items.at(-1).item.role === 'assistant'
        && !conn.session.active, 'the result to be told');
    return outputs().at(-1).output;
}

test('R3.2 in a session too, and between sessions and HTTP', async (t) => {
    const up = await Upstream.start(t, { paceMs: 1 });
    const tools = await start(t, { voiced: up.voiced({ settings: { warm: { links: 0 } } }) });
    const open = async () => {
        const client = await tools.stack.connect(t);
        await client.next('session.created');
        const conn = await up.nextConnection();
        await client.update({ output_modalities: ['text'] });
        return { client, conn };
    };
    const [one, two] = [await open(), await open()];
    const ways = [(call) => callIn(one, call), (call) => callIn(two, call),
        async (call) => JSON.stringify((await tools.works(...call)).output)];
    await tools.works(...writers[0](0));
    for (let i = 1; i <= count(12, 90); i++) {
        const written = await ways[i % 3](writers[i % 2](i));
        assert.doesNotMatch(written, /"error"/);
        for (const [n, way] of ways.entries()) {
            for (const call of readers) {
                assert.match(await way(call), new RegExp(`turn ${i};`),
                    `${call[0]}, way ${n}, turn ${i}`);
            }
        }
    }
});

// --- what others write

test('R3.2 what others change: at once for read_file, in time for the rest', async (t) => {
    const tools = await start(t, { settings: { tools: { file_ttl: '2s' } } });
    const kept = [['glob', { pattern: '*.txt' }], ['grep', { pattern: 'turn' }]];
    const texts = async () => JSON.stringify(await Promise.all(kept.map(async (one) =>
        (await tools.works(...one)).output)));
    for (let i = 0; i < count(60, 600); i++) {
        writeFileSync(tools.file('turn.txt'), `turn ${i % 10};\n`); // of the same size
        const { output } = await tools.works('read_file', { file_path: 'turn.txt' });
        assert.match(output.content, new RegExp(`turn ${i % 10};`));
    }
    await sleep(100); // what has just changed is not kept
    const { output } = await tools.works('read_file', { file_path: 'turn.txt' });
    assert.equal((await tools.works('read_file', { file_path: 'turn.txt' })).cached, true);
    assert.ok(output.content);
    await until(async () => {
        await texts();
        return (await Promise.all(kept.map((one) => tools.works(...one))))
            .every(({ cached }) => cached);
    }, 'them to be kept');
    writeFileSync(tools.file('other.txt'), 'turn too\n');
    const began = Date.now();
    await until(async () => /other\.txt.*other\.txt/s.test(await texts()), 'them to see it');
    t.diagnostic(`after ${Date.now() - began} ms, with 2 s to keep`);
    rmSync(tools.file('turn.txt'));
    const gone = await tools.run('read_file', { file_path: 'turn.txt' });
    assert.equal(gone.error?.type, 'not_found', JSON.stringify(gone));
});

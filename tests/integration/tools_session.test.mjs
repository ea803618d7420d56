// SPDX-License-Identifier: BSD-2-Clause
//
// The server's tools in a session: what is asked aloud or in writing is looked
// up on the server and told, and the client sees an answer and nothing of how
// it came about.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { assertSpoken } from './lib/expect.mjs';
import { makeDir } from './lib/paths.mjs';
import { SdkClient } from './lib/sdk.mjs';
import { speakAll } from './lib/sentences.mjs';
import { startStack } from './lib/stack.mjs';

const POLICY = 'voice_model gpt-realtime;\nvoice_vad normal;';

function rootOf(files) {
    const root = makeDir('root');
    for (const [name, text] of Object.entries(files)) {
        mkdirSync(join(root, name, '..'), { recursive: true });
        writeFileSync(join(root, name), text);
    }
    return root;
}

export function startTools(t, files, tools = 'all', more = {}) {
    return startStack(t, { policy: `${POLICY}\nvoice_tools ${tools};`, ...more,
        voiced: { ...more.voiced,
            settings: { ...more.voiced?.settings, tools: { root: rootOf(files) } } } });
}

// Nothing of the server's calls; no error.
function assertHidden(client) {
    const text = JSON.stringify(client.events);
    assert.doesNotMatch(text, /function_call|item_gw_|gw_tool/);
    assert.deepEqual(client.events.filter((event) => event.type === 'error'), []);
}

// The response that says something, after however many that only call.
async function told(client) {
    for (;;) {
        const response = await client.responseDone();
        assert.equal(response.status, 'completed');
        if (response.output.length > 0) {
            return response;
        }
    }
}

const FILES = { notes: 'the purple elephant dances', 'README.md': 'nine green bottles\n',
    'src/greet.c': 'puts("hello");\n' };

test('R3.1 spoken requests run tools on the server', async (t) => {
    const stack = await startTools(t, FILES);
    const [read, search] = speakAll('slt', ['read the file notes', 'search for hello']);

    await t.test('read the file notes', async (t) => {
        const client = await stack.connect(t);
        const { session } = await client.next('session.created');
        assert.deepEqual(session.tools, []);
        await client.speak(read.pcm);
        assert.match(assertSpoken(client, await told(client)), /purple elephant dances/i);
        assertHidden(client);
    });

    await t.test('search for hello', async (t) => {
        const client = await stack.connect(t);
        await client.speak(search.pcm);
        assert.match(assertSpoken(client, await told(client)), /greet/i);
        assertHidden(client);
    });

    await t.test('with the npm client openai', async (t) => {
        const client = await SdkClient.connect(t, { baseURL: stack.url('https'), tls: stack.tls });
        const session = await client.update({ output_modalities: ['text'] });
        assert.deepEqual(session.tools, []);
        client.sayText('read the file readme');
        client.send({ type: 'response.create' });
        const response = await told(client);
        assert.match(client.spoken(response.id).text, /nine green bottles/i);
        assertHidden(client);
    });
});

test('a session has the tools that its place names', async (t) => {
    const stack = await startTools(t, FILES, 'read_file');
    const text = { output_modalities: ['text'] };

    await t.test('and no others', async (t) => {
        const client = await stack.connect(t);
        await client.update(text);
        client.sayText('search for hello');
        const response = await client.respond();
        assert.equal(response.output[0].type, 'message');
        client.sayText('read the file readme');
        client.send({ type: 'response.create' });
        assert.match(client.spoken((await told(client)).id).text, /nine green/i);
        assertHidden(client);
    });

    await t.test("a client's own beside them are the client's", async (t) => {
        const grep = { type: 'function', name: 'grep', description: 'Searches for a pattern',
            parameters: { type: 'object', properties: { pattern: { type: 'string' } },
                required: ['pattern'] } };
        const client = await stack.connect(t);
        const session = await client.update({ ...text, tools: [grep] });
        assert.deepEqual(session.tools, [grep]);
        client.sayText('search for hello');
        const [call] = (await client.respond()).output;
        assert.equal(call.name, 'grep');
        client.send({ type: 'conversation.item.create', item: { type: 'function_call_output',
            call_id: call.call_id, output: 'the yellow submarine' } });
        const response = await client.respond();
        assert.match(client.spoken(response.id).text, /yellow submarine/);
        client.sayText('read the file readme');
        client.send({ type: 'response.create' });
        assert.match(client.spoken((await told(client)).id).text, /nine green/i);
        assert.equal(client.events.filter((event) =>
            event.type === 'response.function_call_arguments.done').length, 1);
    });

    await t.test('a name that the client takes is the client\'s', async (t) => {
        const own = { type: 'function', name: 'read_file', description: 'Reads a file',
            parameters: { type: 'object', properties: { file_path: { type: 'string' } },
                required: ['file_path'] } };
        const client = await stack.connect(t);
        assert.deepEqual((await client.update({ ...text, tools: [own] })).tools, [own]);
        client.sayText('read the file readme');
        const [call] = (await client.respond()).output;
        assert.equal(call.name, 'read_file');
        assert.deepEqual((await client.update({ tools: [] })).tools, []);
    });
});

test('what is not there is told as a failure', async (t) => {
    const stack = await startTools(t, {});
    const client = await stack.connect(t);
    await client.update({ output_modalities: ['text'] });
    client.sayText('read the file readme');
    client.send({ type: 'response.create' });
    const response = await told(client);
    assert.ok(client.spoken(response.id).text.length > 0);
    assertHidden(client);
});

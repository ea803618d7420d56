// SPDX-License-Identifier: BSD-2-Clause
//
// auth keys: a gateway key in any of the places clients put it, and nowhere
// in a log.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { Client, refused } from './lib/client.mjs';
import { NativeClient, SdkClient } from './lib/sdk.mjs';
import { startStack } from './lib/stack.mjs';
import { until } from './lib/process.mjs';

const protocolOf = (key) => `openai-insecure-api-key.${key}`;

test('a gateway key', async (t) => {
    const stack = await startStack(t, { voiced: { auth: 'keys', keys: ['app'] } });
    const key = stack.voiced.keys.app;
    assert.match(key, /^vk_[A-Za-z0-9]{43}$/);
    const wrong = `vk_${'x'.repeat(43)}`;
    const { port } = stack.nginx;

    const isOpen = async (client) => {
        await client.next('session.created');
        await client.close();
    };

    await t.test('is taken from Authorization, with the npm client openai', async (t) => {
        await isOpen(await SdkClient.connect(t,
            { baseURL: stack.url('https'), tls: stack.tls, key }));
    });

    await t.test('is taken from api-key', async (t) => {
        await isOpen(await stack.connect(t, { headers: { 'api-key': key } }));
    });

    await t.test('is taken from a subprotocol; realtime alone is echoed', async (t) => {
        const client = await stack.connect(t, { protocols: ['realtime', protocolOf(key)] });
        assert.equal(client.socket.protocol, 'realtime');
        await isOpen(client);
    });

    await t.test('is taken from a subprotocol of a native WebSocket', async (t) => {
        const client = await NativeClient.connect(t, {
            url: stack.url('ws', '/v1/realtime?model=gpt-realtime'),
            protocols: ['realtime', protocolOf(key)] });
        assert.equal(client.socket.protocol, 'realtime');
        await isOpen(client);
    });

    await t.test('no subprotocol offered, none answered', async (t) => {
        const client = await stack.connect(t, { key });
        assert.equal(client.responseHeaders['sec-websocket-protocol'], undefined);
        await isOpen(client);
    });

    await t.test('Authorization goes before the subprotocol', async () => {
        const answer = await refused({ port, key: wrong,
            protocols: ['realtime', protocolOf(key)] });
        assert.equal(answer.status, 401);
    });

    for (const [what, options, code = 'invalid_api_key'] of [
        ['a wrong key in Authorization', { key: wrong }],
        ['a wrong key in api-key', { headers: { 'api-key': wrong } }],
        ['a wrong key in a subprotocol', { protocols: ['realtime', protocolOf(wrong)] }],
        ['a key of another kind', { key: 'sk-123' }],
        ['no key', {}, 'missing_api_key']]) {
        await t.test(`${what} is 401`, async () => {
            const answer = await refused({ port, ...options });
            assert.equal(answer.status, 401);
            assert.equal(answer.json.error.code, code);
            assert.ok(answer.json.error.message);
            assert.ok(answer.headers['x-request-id']);
        });
    }

    await t.test('stops working once it is revoked', async (t) => {
        const { code } = await stack.voiced.ctl('keys', 'revoke', 'app');
        assert.equal(code, 0);
        await until(async () => {
            const client = new Client({ port, key });
            try {
                await client.opened;
                await client.close();
                return false;
            } catch (error) {
                return /401/.test(error.message);
            }
        }, 'the refusal of a revoked key');
    });

    await t.test('is in no log and no file but hashed', async () => {
        await stack.nginx.stop();
        await stack.voiced.stop();
        for (const dir of [stack.nginx.dir, stack.voiced.dir]) {
            for (const name of readdirSync(dir, { recursive: true, withFileTypes: true })) {
                if (name.isFile()) {
                    const path = join(name.parentPath, name.name);
                    const text = readFileSync(path, 'latin1');
                    assert.ok(!text.includes(key), `the key is in ${path}`);
                    assert.ok(!text.includes(wrong), `a wrong key is in ${path}`);
                }
            }
        }
    });
});

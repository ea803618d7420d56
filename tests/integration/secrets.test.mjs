// SPDX-License-Identifier: BSD-2-Clause
//
// Minted client secrets: what they open, on which instance, until when.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import OpenAI from 'openai';
import { Certs } from './lib/certs.mjs';
import { refused } from './lib/client.mjs';
import { makeDir } from './lib/paths.mjs';
import { until } from './lib/process.mjs';
import { NativeClient } from './lib/sdk.mjs';
import { startLocalStack } from './lib/stack.mjs';

const tool = { type: 'function', name: 'f', description: 'd',
    parameters: { type: 'object', properties: {} } };

const bearer = (key) => ({ authorization: `Bearer ${key}` });

// Two stacks, each with an NGINX of its own, over one file.
async function startPair(t, options = {}) {
    const sqlite = join(makeDir('store'), 'voice.db');
    const start = () => startLocalStack(t, { policy: 'voice_model gpt-realtime gpt-other;',
        ...options, voiced: { auth: 'keys', keys: ['app'], settings: { store: { sqlite } } } });
    const one = await start();
    const two = await start();
    return { one, two, key: one.voiced.keys.app, otherKey: two.voiced.keys.app };
}

const mint = (stack, key, body = {}, path = '/v1/realtime/client_secrets') =>
    stack.request(path, { method: 'POST',
        headers: { ...bearer(key), 'content-type': 'application/json' },
        body: JSON.stringify(body) });

async function mustMint(stack, key, body, path) {
    const answer = await mint(stack, key, body, path);
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
}

const opens = (stack, key, path = '/v1/realtime') =>
    refused({ port: stack.nginx.port, path, headers: bearer(key) });

test('minted client secrets', async (t) => {
    const { one, two, key, otherKey } = await startPair(t);
    const session = { type: 'realtime', model: 'gpt-other', instructions: 'Be brief.',
        tools: [tool], audio: { output: { voice: 'marin' } } };

    await t.test('R1.4 the official SDK mints one, with the recorded shape', async () => {
        const api = new OpenAI({ apiKey: key, baseURL: one.url('http') });
        const before = Math.floor(Date.now() / 1000);
        const made = await api.realtime.clientSecrets.create({ session,
            expires_after: { anchor: 'created_at', seconds: 60 } });
        assert.match(made.value, /^ek_[A-Za-z0-9]{43}$/);
        assert.ok(made.expires_at >= before + 59 && made.expires_at <= before + 65);
        assert.match(made.session.id, /^sess_[A-Za-z0-9]{21}$/);
        assert.equal(made.session.object, 'realtime.session');
        assert.equal(made.session.type, 'realtime');
        assert.equal(made.session.model, 'gpt-other');
        assert.equal(made.session.instructions, 'Be brief.');
        assert.equal(made.session.audio.output.voice, 'marin');
        assert.equal(made.session.expires_at, 0);
        assert.deepEqual(made.session.tools, [tool]);
        for (const field of ['output_modalities', 'tool_choice', 'max_output_tokens', 'tracing',
            'truncation', 'prompt', 'include', 'audio']) {
            assert.ok(field in made.session, field);
        }
        assert.ok('turn_detection' in made.session.audio.input);
    });

    await t.test('R1.4 a session opened with it is bound to what it was minted for', async (t) => {
        const { value } = await mustMint(one, key, { session });
        const client = await one.connect(t, { path: '/v1/realtime', headers: bearer(value) });
        const created = await client.next('session.created');
        assert.equal(created.session.model, 'gpt-other');
        assert.equal(created.session.instructions, 'Be brief.');
        assert.equal(created.session.audio.output.voice, 'marin');
        assert.deepEqual(created.session.tools, [tool]);
        // Naming its own model is fine, another is not; twice is fine.
        const again = await one.connect(t, { path: '/v1/realtime?model=gpt-other',
            headers: bearer(value) });
        await again.next('session.created');
        const answer = await opens(one, value, '/v1/realtime?model=gpt-realtime');
        assert.equal(answer.status, 403);
    });

    await t.test('R1.4 a browser offers it as a subprotocol', async (t) => {
        const { value } = await mustMint(one, key, { session });
        const client = await NativeClient.connect(t, { url: one.url('ws', '/v1/realtime'),
            protocols: ['realtime', `openai-insecure-api-key.${value}`] });
        assert.equal((await client.next('session.created')).session.instructions, 'Be brief.');
        assert.equal(client.socket.protocol, 'realtime');
    });

    await t.test('api-key holds it as well', async (t) => {
        const { value } = await mustMint(one, key, { session });
        const client = await one.connect(t, { path: '/v1/realtime', headers: { 'api-key': value } });
        await client.next('session.created');
    });

    await t.test('R1.4 it is good on every instance that shares the store', async (t) => {
        const { value } = await mustMint(one, key, { session });
        const client = await two.connect(t, { path: '/v1/realtime', headers: bearer(value) });
        const created = await client.next('session.created');
        assert.equal(created.session.instructions, 'Be brief.');
        assert.equal(created.session.model, 'gpt-other');
    });

    await t.test('R1.4 revoked, it is dead on all of them', async (t) => {
        const { value, id } = await mustMint(one, key, { session });
        const client = await two.connect(t, { path: '/v1/realtime', headers: bearer(value) });
        await client.next('session.created');
        const path = `/v1/realtime/client_secrets/${id}`;
        const gone = await one.request(path, { method: 'DELETE', headers: bearer(key) });
        assert.equal(gone.status, 200, gone.text);
        assert.deepEqual(gone.json, { id, object: 'realtime.client_secret', deleted: true });
        assert.equal((await opens(one, value)).status, 401);
        await until(async () => (await opens(two, value).catch(() => ({}))).status === 401,
            'the other instance to hear of it');
        const twice = await one.request(path, { method: 'DELETE', headers: bearer(key) });
        assert.equal(twice.status, 404);
        assert.equal(twice.json.error.code, 'secret_not_found');
        // The session that it opened lives on.
        await client.update({ instructions: 'Sing.' });
    });

    await t.test('expired, it is dead', async () => {
        const { value, expires_at: at } = await mustMint(one, key, { session,
            expires_after: { anchor: 'created_at', seconds: 10 } });
        await until(() => Date.now() / 1000 > at + 1, 'its end', { timeoutMs: 30000 });
        for (const stack of [one, two]) {
            const answer = await opens(stack, value);
            assert.equal(answer.status, 401);
            assert.equal(JSON.parse(answer.body).error.code, 'invalid_api_key');
        }
    });

    await t.test('it opens sessions and nothing else', async () => {
        const { value, id } = await mustMint(one, key, { session });
        for (const [method, path] of [['POST', '/v1/realtime/client_secrets'],
            ['POST', '/v1/realtime/sessions'], ['DELETE', `/v1/realtime/client_secrets/${id}`],
            ['GET', '/v1/usage'], ['GET', '/v1/events'], ['GET', '/v1/sessions/live']]) {
            const answer = await one.request(path, { method, headers: bearer(value) });
            assert.equal(answer.status, 403, path);
            assert.equal(answer.json.error.code, 'secret_not_allowed');
        }
        assert.equal((await opens(one, `ek_${'x'.repeat(43)}`)).status, 401);
        assert.equal((await opens(one, 'ek_short')).status, 401);
    });

    await t.test('bodies that ask for what there is not', async () => {
        for (const [body, status, param] of [
            [{ expires_after: { anchor: 'created_at', seconds: 9 } }, 400, 'expires_after.seconds'],
            [{ expires_after: { seconds: 7201 } }, 400, 'expires_after.seconds'],
            [{ expires_after: { seconds: '60' } }, 400, 'expires_after.seconds'],
            [{ expires_after: { anchor: 'never' } }, 400, 'expires_after.anchor'],
            [{ expires_after: 60 }, 400, 'expires_after'],
            [{ session: {} }, 400, 'session.type'],
            [{ session: { type: 'opera' } }, 400, 'session.type'],
            [{ session: 'realtime' }, 400, 'session'],
            [{ session: { type: 'realtime', model: 'nothing' } }, 404, 'session.model'],
            [{ session: { type: 'realtime', model: 7 } }, 400, 'session.model'],
            [{ session: { type: 'realtime', tools: {} } }, 400, 'session.tools'],
            [{ session: { type: 'realtime', instructions: 7 } }, 400, 'session.instructions'],
            [{ session: { type: 'realtime', audio: { output: { voice: 7 } } } }, 400,
                'session.audio.output.voice']]) {
            const answer = await mint(one, key, body);
            assert.equal(answer.status, status, JSON.stringify(body) + answer.text);
            assert.equal(answer.json.error.param, param);
        }
        const plain = await one.request('/v1/realtime/client_secrets', { method: 'POST',
            headers: { ...bearer(key), 'content-type': 'text/plain' }, body: 'x' });
        assert.equal(plain.status, 415);
        const get = await one.request('/v1/realtime/client_secrets', { headers: bearer(key) });
        assert.equal(get.status, 405);
        assert.match(get.headers.allow, /POST/);
        const post = await one.request('/v1/realtime/client_secrets/x',
            { method: 'POST', headers: bearer(key) });
        assert.equal(post.status, 405);
        assert.match(post.headers.allow, /DELETE/);
    });

    await t.test('no body at all, and fields nobody knows', async (t) => {
        const bare = await one.request('/v1/realtime/client_secrets',
            { method: 'POST', headers: bearer(key) });
        assert.equal(bare.status, 200, bare.text);
        assert.equal(bare.json.session.model, 'gpt-realtime');
        assert.match(bare.headers['cache-control'], /no-store/);
        assert.ok(bare.json.expires_at - Date.now() / 1000 > 590);
        const { value } = await mustMint(one, key, { strange: 1, session: { type: 'realtime' } });
        const client = await one.connect(t, { path: '/v1/realtime', headers: bearer(value) });
        await client.next('session.created');
    });

    await t.test('the keys of one instance do not revoke for another tenant', async () => {
        const foreign = await one.voiced.addKey('theirs', '--tenant', 'them');
        const { id, value } = await mustMint(one, key, {});
        const path = `/v1/realtime/client_secrets/${id}`;
        await until(async () => (await one.request(path, { method: 'DELETE',
            headers: bearer(foreign) })).status === 404, 'the new key to be read');
        assert.equal((await two.request(path, { method: 'DELETE', headers: bearer(otherKey) }))
            .status, 200); // the same tenant's, elsewhere
        await until(async () => (await opens(one, value).catch(() => ({}))).status === 401,
            'the first instance to hear of it');
    });

    await t.test('R1.4 the beta predecessors', async (t) => {
        const flat = await mustMint(one, key, { model: 'gpt-other', instructions: 'Be brief.',
            voice: 'marin', modalities: ['text', 'audio'], input_audio_format: 'g711_ulaw',
            temperature: 0.8 }, '/v1/realtime/sessions');
        assert.equal(flat.voice, 'marin');
        assert.equal(flat.input_audio_format, 'g711_ulaw');
        assert.equal(flat.model, 'gpt-other');
        assert.match(flat.client_secret.value, /^ek_/);
        const left = flat.client_secret.expires_at - Date.now() / 1000;
        assert.ok(left > 50 && left < 70);
        const client = await one.connect(t, { path: '/v1/realtime',
            headers: bearer(flat.client_secret.value) });
        const created = await client.next('session.created');
        assert.equal(created.session.audio.input.format.type, 'audio/pcmu');
        assert.equal(created.session.audio.output.voice, 'marin');
        const heard = await mustMint(one, key, { input_audio_format: 'pcm16',
            input_audio_transcription: { model: 'gpt-4o-transcribe' } },
        '/v1/realtime/transcription_sessions');
        assert.match(heard.client_secret.value, /^ek_/);
        assert.equal(heard.input_audio_transcription.model, 'gpt-4o-transcribe');
    });

    await t.test('no key and no hash of one is in the log or the file', async () => {
        const { value } = await mustMint(one, key, { session });
        const files = [one.voiced.logPath, two.voiced.logPath];
        const { readFileSync } = await import('node:fs');
        const { sqlite } = one.voiced.settings.store;
        for (const path of [...files, sqlite, `${sqlite}-wal`]) {
            assert.ok(!readFileSync(path, 'latin1').includes(value), path);
        }
    });
});

test('what the policy forbids a client it forbids a minted session', async (t) => {
    const stack = await startLocalStack(t, { voiced: { auth: 'keys', keys: ['app'] },
        policy: 'voice_model gpt-realtime; voice_client_update deny; voice_name cedar;' });
    const key = stack.voiced.keys.app;
    for (const session of [{ instructions: 'Sing.' }, { tools: [tool] }]) {
        const answer = await mint(stack, key, { session: { type: 'realtime', ...session } });
        assert.equal(answer.status, 403, answer.text);
        assert.equal(answer.json.error.code, 'forbidden');
        assert.equal(answer.json.error.param, `session.${Object.keys(session)[0]}`);
    }
    // Nor is another model to be had by another name, where all else is allowed.
    const open = await startLocalStack(t, { voiced: { auth: 'keys', keys: ['app'] },
        policy: 'voice_model gpt-realtime;' });
    for (const [session, status] of [[{ Model: 'gpt-other' }, 400],
        [{ prompt: { id: 'pmpt_1', model: 'gpt-other' } }, 403]]) {
        const answer = await mint(open, open.voiced.keys.app,
            { session: { type: 'realtime', ...session } });
        assert.equal(answer.status, status, answer.text);
    }
    // Without a store a secret is good where it was minted.
    const { value, session } = await mustMint(stack, key, { session: { type: 'realtime',
        audio: { input: { turn_detection: null } } } });
    assert.equal(session.audio.output.voice, 'cedar');
    const client = await stack.connect(t, { path: '/v1/realtime', headers: bearer(value) });
    const created = await client.next('session.created');
    assert.equal(created.session.audio.input.turn_detection, null);
    assert.equal(created.session.audio.output.voice, 'cedar');
});

test('identity from NGINX: a secret is its tenant\'s', async (t) => {
    const stack = await startLocalStack(t, { voiced: { auth: 'nginx' },
        policy: 'voice_model gpt-realtime;',
        server: `voice_param VOICE_TENANT $http_x_who if_not_empty;
            location = /v1/realtime/client_secrets {
                include voice_params;
                fastcgi_param VOICE_TENANT $http_x_who if_not_empty;
                fastcgi_pass voice_http;
            }` });
    const as = (who) => ({ 'x-who': who });
    const made = await stack.request('/v1/realtime/client_secrets',
        { method: 'POST', headers: as('acme') });
    assert.equal(made.status, 200, made.text);
    const { value } = made.json;
    const client = await stack.connect(t, { path: '/v1/realtime', headers: bearer(value) });
    await client.next('session.created');
    const answer = await refused({ port: stack.nginx.port, path: '/v1/realtime',
        headers: { ...bearer(value), ...as('other') } });
    assert.equal(answer.status, 403);
});

// SPDX-License-Identifier: BSD-2-Clause
//
// Secrets of the upstream that are minted before a call needs one: each goes
// with one offer, for the session it was minted for, within its time.

import assert from 'node:assert/strict';
import test from 'node:test';
import { attached, postOffer, startCalls } from './lib/calls.mjs';
import { sleep, until } from './lib/process.mjs';

const settings = (more) => ({ warm: { links: 0, secrets: 2, ttl: '45s', refill: '1s', ...more } });
const section = { dialect: 'azure', auth: 'api-key' };

const mints = (up) => up.requests.filter((r) => /client_secrets/.test(r.url));
const offers = (up) => up.requests.filter((r) => /\/calls\?/.test(r.url));
const bearer = (request) => /^Bearer (ek_\w+)$/.exec(request.headers.authorization)?.[1];

const ready = (stack, count) => until(async () => {
    const { text } = await stack.request('/metrics');
    return Number(/^voiced_warm_secrets (\d+)$/m.exec(text)?.[1]) === count;
}, `${count} warm secrets`);

async function call(post, path) {
    const answer = await postOffer(post, path);
    assert.equal(answer.status, 201, answer.text);
}

async function endCalls(up) {
    for (const id of up.http.calls.keys()) {
        await attached(up, id);
        up.http.endCall(id);
    }
}

test('R1.1 warm secrets', async (t) => {
    const { up, stack, post } = await startCalls(t, { section, voiced: { settings: settings() } });

    await t.test('the first call of a kind mints its own', async () => {
        await call(post);
        assert.equal(up.http.secretOf(bearer(offers(up)[0])) !== null, true);
        await ready(stack, 2);
        assert.equal(mints(up).length, 3);
    });

    await t.test('the next one takes a warm one, which is replaced', async () => {
        const before = new Set(up.http.secrets.keys());
        await call(post);
        const used = bearer(offers(up)[1]);
        assert.ok(before.has(used), 'it was minted before');
        assert.notEqual(used, bearer(offers(up)[0]));
        await ready(stack, 2);
    });

    await t.test('no secret goes with two offers', async () => {
        for (let i = 0; i < 10; i++) {
            await call(post);
        }
        const used = offers(up).map(bearer);
        assert.equal(new Set(used).size, used.length);
    });

    await t.test('minted with the gateway’s key, for the same session', () => {
        assert.deepEqual(new Set(mints(up).map((r) => r.headers['api-key'])),
            new Set([up.options.key]));
        assert.equal(new Set(mints(up).map((r) => r.body)).size, 1);
    });

    await t.test('a call for an end user mints its own', async () => {
        await ready(stack, 2);
        const before = new Set(up.http.secrets.keys());
        const answer = await postOffer(post, undefined,
            { headers: { 'OpenAI-Safety-Identifier': 'user-1' } });
        assert.equal(answer.status, 201);
        assert.ok(!before.has(bearer(offers(up).at(-1))));
    });

    await t.test('none is in a log', () => {
        for (const secret of up.http.secrets.keys()) {
            assert.ok(!stack.voiced.log().includes(secret));
        }
    });
    await endCalls(up);
});

test('R1.1 a secret is not used beyond its time', async (t) => {
    const { up, stack, post } = await startCalls(t, { section,
        voiced: { settings: settings({ ttl: '1s', refill: '100ms' }) } });
    const minted = new Map();
    const set = up.http.secrets.set.bind(up.http.secrets);
    up.http.secrets.set = (key, value) => { minted.set(key, performance.now()); set(key, value); };
    await call(post);
    await ready(stack, 2);
    for (let i = 0; i < 8; i++) {
        await sleep(200 + 150 * i);
        const asked = performance.now();
        await call(post);
        assert.ok(asked - minted.get(bearer(offers(up).at(-1))) < 1000, 'an expired secret');
    }
    await endCalls(up);
});

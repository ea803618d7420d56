// SPDX-License-Identifier: BSD-2-Clause
//
// All the tests of clients once more, with a second stack as the model: the
// outer voiced relays to the inner one over TLS, and no client may notice.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import test from 'node:test';
import { assertSpoken } from './lib/expect.mjs';
import { until } from './lib/process.mjs';
import { startStack } from './lib/stack.mjs';

process.env.VOICE_TEST_REMOTE = '1';

test('the inner stack answers, and sees the outer one alone', async (t) => {
    const stack = await startStack(t, { voiced: { auth: 'keys', keys: ['me'],
        settings: { warm: { links: 0 } } } });
    const client = await stack.connect(t, { key: stack.voiced.keys.me });
    await client.next('session.created');
    const [outer] = await stack.voiced.sessions();
    assert.equal(outer.id, client.sessionId);
    client.sayText('What is seven plus five?');
    assert.match(assertSpoken(client, await client.respond()), /twelve|12/i);
    await client.close();
    // Others of the inner stack's wait, warm, for whoever comes.
    const summary = await until(() => stack.inner.voiced.summaries()
        .find(({ turns }) => turns === '1' || turns === 1), 'the inner session');
    assert.equal(summary.model, 'gpt-realtime');
    assert.notEqual(summary.session, outer.id);
});

for (const name of readdirSync(import.meta.dirname).sort()) {
    if (/^client_.*\.test\.mjs$/.test(name)) {
        await import(`./${name}`);
    }
}

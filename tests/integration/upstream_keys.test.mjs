// SPDX-License-Identifier: BSD-2-Clause
//
// Where a provider's key comes from, and where it does not go.

import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { protect } from './lib/secrets.mjs';
import { until } from './lib/process.mjs';
import { Voiced } from './lib/voiced.mjs';

// Nobody listens there: no session is opened here.
const url = 'wss://127.0.0.1:9/v1/realtime';
const warm = { links: 0, secrets: 0 };

test('R1.1 a key out of the environment stays with the server that read it', async (t) => {
    const key = protect(`sk-environment-${process.pid}-0123456789`);
    const voiced = await Voiced.start(t, { env: { SOME_KEY: key },
        settings: { warm, upstream: { main: { url, key_env: 'SOME_KEY' } } } });
    const environOf = (pid) => readFileSync(`/proc/${pid}/environ`, 'latin1');
    assert.ok(environOf(voiced.pid).includes(key)); // handed on at a reload
    // By its own word: a server that was only asked what to listen on may not
    // be gone yet.
    const servers = () => [...voiced.log().matchAll(/ pid=(\d+) state=ready/g)]
        .map(([, pid]) => Number(pid));
    assert.equal(servers().length, 1);
    assert.ok(!environOf(servers()[0]).includes(key));
    await voiced.reload();
    await until(() => servers().length === 2, 'the new generation');
    assert.ok(!environOf(servers()[1]).includes(key));
    const printed = await voiced.check('--print-config');
    assert.equal(printed.code, 0, printed.stderr);
    assert.match(printed.stdout, /upstream main \{/);
    assert.ok(!printed.stdout.includes(key));
});

test('R1.1 what is wrong with an upstream is told with file and line', async () => {
    const voiced = Voiced.prepare({ settings: { upstream: { main: { url, key_env: 'NO_SUCH' } } } });
    const line = readFileSync(voiced.configPath, 'utf8').split('\n')
        .findIndex((text) => text.includes('key_env')) + 1;
    const answer = await voiced.check('-t');
    assert.equal(answer.code, 78);
    assert.equal(answer.stderr.trim(),
        `voiced: ${voiced.configPath}:${line}: upstream main: 'key_env' names NO_SUCH, ` +
        'which is not set');
    // Who serves nobody needs no key.
    assert.equal((await voiced.check('--print-config')).code, 0);
    await voiced.addKey('somebody');
});

test('R1.1 a key out of a file, read again by a reload', async (t) => {
    const prepared = Voiced.prepare();
    const path = join(prepared.dir, 'provider.key');
    writeFileSync(path, `${protect('sk-file-9876543210')}\n`);
    chmodSync(path, 0o600);
    const settings = { warm, upstream: { main: { url, key_file: path } } };
    const voiced = await Voiced.start(t, { settings });
    assert.ok(!voiced.log().includes('warning='));
    chmodSync(path, 0o644);
    const loose = await voiced.check('-t');
    assert.equal(loose.code, 0);
    assert.match(loose.stderr, /warning: upstream main: everybody may read its key_file/);
    await voiced.reload();
    await until(() => /warning="upstream main: everybody may read its key_file"/
        .test(voiced.log()), 'the warning of the new generation');
    writeFileSync(path, '\n');
    const empty = await voiced.check('-t');
    assert.equal(empty.code, 78);
    assert.match(empty.stderr, /'key_file' names no key of 1 to 2048 characters/);
});

// SPDX-License-Identifier: BSD-2-Clause
//
// A reader of events who neither reads nor leaves does not spoil the stop.

import assert from 'node:assert/strict';
import test from 'node:test';
import { FastcgiConnection, paramsOf } from './lib/fastcgi.mjs';
import { defer, until } from './lib/process.mjs';
import { Voiced } from './lib/voiced.mjs';

test('the server stops in order under a reader that stays', async (t) => {
    const voiced = await Voiced.start(t);
    const connection = await FastcgiConnection.open(voiced.socket);
    defer(t, () => connection.close());
    connection.request(paramsOf('GET', '/v1/events', { HTTP_ACCEPT: 'text/event-stream' }),
        { timeoutMs: 1000 }).catch(() => {});
    connection.onProgress = null;
    await until(() => /: ready/.test(connection.received.toString()), 'the stream');
    connection.socket.pause();

    const { code } = await voiced.stop();
    assert.equal(code, 0);
    const log = voiced.log();
    assert.match(log, /state=ended/);
    assert.doesNotMatch(log, /handle left open/);
});

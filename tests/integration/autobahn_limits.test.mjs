// SPDX-License-Identifier: BSD-2-Clause
//
// The Autobahn cases 9 and 10: messages to 16 MB, small fragments, small
// segments, round trips.

import assert from 'node:assert/strict';
import test from 'node:test';
import { limitCases } from './lib/autobahn_cases.mjs';
import { runCases, startEcho } from './lib/autobahn_stack.mjs';

test('autobahn: limits', async (t) => {
    assert.equal(new Set(limitCases.map((c) => c.id)).size, 55, 'no case is missing');
    await runCases(t, limitCases, await startEcho(t));
});

// SPDX-License-Identifier: BSD-2-Clause
//
// The Autobahn cases 12: five kinds of data through permessage-deflate.

import assert from 'node:assert/strict';
import test from 'node:test';
import { dataCases } from './lib/autobahn_deflate.mjs';
import { deflateTimes, isPacked, runCases, startEcho } from './lib/autobahn_stack.mjs';

test('autobahn: compression of kinds of data', async (t) => {
    assert.equal(new Set(dataCases.map((c) => c.id)).size, 90, 'no case is missing');
    await runCases(t, dataCases, { ...await startEcho(t), times: deflateTimes, check: isPacked });
});

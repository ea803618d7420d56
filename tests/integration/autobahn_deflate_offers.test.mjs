// SPDX-License-Identifier: BSD-2-Clause
//
// The Autobahn cases 13: seven offers of permessage-deflate.

import assert from 'node:assert/strict';
import test from 'node:test';
import { offerCases } from './lib/autobahn_deflate.mjs';
import { deflateTimes, isPacked, runCases, startEcho } from './lib/autobahn_stack.mjs';

test('autobahn: offers of compression', async (t) => {
    assert.equal(new Set(offerCases.map((c) => c.id)).size, 126, 'no case is missing');
    await runCases(t, offerCases, { ...await startEcho(t), times: deflateTimes,
        check: isPacked });
});

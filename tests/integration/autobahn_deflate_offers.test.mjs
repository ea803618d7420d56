// SPDX-License-Identifier: BSD-2-Clause
//
// The Autobahn cases 13: seven offers of permessage-deflate; and of 12 and 13
// the short run's cases once more with context takeover.

import assert from 'node:assert/strict';
import test from 'node:test';
import { dataCases, offerCases } from './lib/autobahn_deflate.mjs';
import { deflateTimes, isPacked, runCases, startEcho } from './lib/autobahn_stack.mjs';

test('autobahn: offers of compression', async (t) => {
    assert.equal(new Set(offerCases.map((c) => c.id)).size, 126, 'no case is missing');
    await runCases(t, offerCases, { ...await startEcho(t), times: deflateTimes,
        check: isPacked });
});

test('autobahn: compression with context takeover', async (t) => {
    // Without the hint that the client could do without.
    const cases = [...dataCases, ...offerCases].filter((c) => !c.long).map((c) => ({ ...c,
        takeover: true, what: `${c.what}, context takeover`,
        offers: c.offers.replaceAll('client_no_context_takeover; ', '') }));
    const echo = await startEcho(t, { directives: 'voice_deflate_context_takeover on;' });
    await runCases(t, cases, { ...echo, times: deflateTimes, check: isPacked });
});

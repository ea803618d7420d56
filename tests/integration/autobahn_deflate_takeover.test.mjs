// SPDX-License-Identifier: BSD-2-Clause
//
// Of the Autobahn cases 12 and 13 those of the short run once more, with
// context takeover in both directions.

import test from 'node:test';
import { dataCases, offerCases } from './lib/autobahn_deflate.mjs';
import { deflateTimes, isPacked, runCases, startEcho } from './lib/autobahn_stack.mjs';

test('autobahn: compression with context takeover', async (t) => {
    // Without the hint that the client could do without.
    const cases = [...dataCases, ...offerCases].filter((c) => !c.long).map((c) => ({ ...c,
        takeover: true, what: `${c.what}, context takeover`,
        offers: c.offers.replaceAll('client_no_context_takeover; ', '') }));
    const echo = await startEcho(t, { directives: 'voice_deflate_context_takeover on;' });
    await runCases(t, cases, { ...echo, times: deflateTimes, check: isPacked });
});

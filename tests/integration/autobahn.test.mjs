// SPDX-License-Identifier: BSD-2-Clause
//
// The Autobahn cases 1 to 7: frames, pings, reserved bits, opcodes,
// fragments, UTF-8, closing.

import assert from 'node:assert/strict';
import test from 'node:test';
import { closeCases, frameCases } from './lib/autobahn_cases.mjs';
import { runCases, startEcho } from './lib/autobahn_stack.mjs';
import { utf8Cases } from './lib/autobahn_utf8.mjs';

const tables = [
    ['frames, pings, reserved bits, opcodes, fragments', frameCases, 64],
    ['UTF-8', utf8Cases, 145],
    ['closing', closeCases, 37],
];

for (const [what, cases, count] of tables) {
    test(`autobahn: ${what}`, async (t) => {
        assert.equal(new Set(cases.map((c) => c.id)).size, count, 'no case is missing');
        await runCases(t, cases, await startEcho(t));
    });
}

// SPDX-License-Identifier: BSD-2-Clause
//
// What the Autobahn cases run against: nginx and a voiced that echoes. And
// how they run as tests.

import assert from 'node:assert/strict';
import { runCase } from './autobahn_run.mjs';
import { Nginx } from './nginx.mjs';
import { count, full } from './paths.mjs';
import { Voiced } from './voiced.mjs';

// { port }
export async function startEcho(t, { directives = '' } = {}) {
    const voiced = await Voiced.start(t, { settings: { bench: { echo: 'yes' },
        log: { level: 'warn' } } });
    const nginx = await Nginx.start(t, { level: 'warn', http: ({ port }) => `
        upstream voice { server unix:${voiced.socket}; }
        server {
            listen 127.0.0.1:${port};
            voice_model gpt-realtime;
            location = /v1/realtime { voice_pass voice; ${directives} }
        }` });
    return { port: nginx.port };
}

// Each case a test of its own, then one line of counts. A short run does not
// register the long ones. `options` as runCase() takes them; check(test,
// result) looks at what a case gave.
export async function runCases(t, cases, { check = () => {}, ...options }) {
    const chosen = cases.filter((test) => full || !test.long);
    let passed = 0;
    for (const test of chosen) {
        await t.test(`R6.1 autobahn ${test.id} ${test.what}`, async () => {
            check(test, await runCase(test, options));
            passed++;
        });
    }
    t.diagnostic(`autobahn: ${passed} of ${chosen.length} cases passed, ` +
        `${cases.length} in the table`);
}

// Messages of a case of compression.
export const deflateTimes = count(40, 1000);

// What pays comes back compressed, and nothing that is too short for that;
// the window goes on where it was asked for and the client did not forbid it.
export function isPacked(test, { packed, extensions, octets, wire }) {
    assert.equal(/server_no_context/.test(extensions),
        !test.takeover || /server_no_context/.test(test.offers.split(',')[0]), extensions);
    assert.equal(/client_no_context/.test(extensions), !test.takeover, extensions);
    assert.ok(wire <= octets, 'compression that makes longer');
    if (test.packs !== undefined) {
        assert.equal(packed, test.packs ? deflateTimes : 0, 'compressed messages');
    }
}

// SPDX-License-Identifier: BSD-2-Clause
//
// voice_inflate in front of fastcgi_pass and proxy_pass: every bad body gets
// its status, in time, with the connection in step; every good one arrives as
// it was.

import assert from 'node:assert/strict';
import test from 'node:test';
import { badBodies, goodBodies, unknownCodings } from './lib/gzip_bodies.mjs';
import { backends, sha, startInflate } from './lib/inflate_kit.mjs';

const framings = ['length', 'chunked'];
const each = backends.flatMap((backend) => framings.map((framing) => [backend, framing]));

async function refusesAll(t, cases, framing, path) {
    const kit = await startInflate(t);
    const wrong = [];
    for (const { name, body, coding, status } of cases) {
        const answer = await kit.send(path, { body, coding, framing, after: true })
            .catch((error) => ({ status: error.message }));
        if (answer.status !== status) {
            wrong.push(`${name}: ${answer.status}, not ${status}`);
        }
    }
    assert.deepEqual(wrong, []);
    assert.equal(kit.fastcgi.begun + kit.http.begun, 0, 'no backend heard of a bad body');
}

for (const [backend, framing] of each) {
    test(`R6.1 bad bodies are refused (${backend}, ${framing})`, async (t) => {
        const cases = badBodies();
        assert.ok(cases.length >= 30);
        await refusesAll(t, cases, framing, `/${backend}`);
    });

    test(`R6.1 unknown codings are 415 (${backend}, ${framing})`, (t) =>
        refusesAll(t, unknownCodings(), framing, `/${backend}`));

    test(`R6.1 good bodies arrive (${backend}, ${framing})`, async (t) => {
        const kit = await startInflate(t);
        for (const { name, plain, body, coding } of goodBodies()) {
            const answer = await kit.send(`/${backend}`, { body, coding, framing, after: true });
            const coded = !/^[,\s]*(identity[,\s]*)*$/i.test(coding);
            assert.equal(answer.status, 200, name);
            assert.equal(answer.json.bytes, plain.length, name);
            assert.equal(answer.json.sha, sha(plain), name);
            assert.equal(answer.json.length, String(plain.length), name);
            assert.equal(answer.json.encoding, coded ? null : coding.trim(), name);
        }
    });
}

for (const backend of backends) {
    test(`R6.1 bad bodies in small pieces (${backend})`, async (t) => {
        const kit = await startInflate(t);
        const cases = badBodies().filter(({ body }) => body.length < 400);
        await Promise.all(cases.map(async ({ name, body, coding, status }) => {
            const answer = await kit.send(`/${backend}`, { body, coding, framing: 'chunked',
                piece: 7 });
            assert.equal(answer.status, status, name);
        }));
        assert.equal(kit.fastcgi.begun + kit.http.begun, 0);
    });

    test(`R6.1 good bodies in small pieces (${backend})`, async (t) => {
        const kit = await startInflate(t);
        const cases = goodBodies().filter(({ body }) => body.length < 400);
        await Promise.all(cases.flatMap(({ name, plain, body, coding }) =>
            framings.map(async (framing) => {
                const answer = await kit.send(`/${backend}`, { body, coding, framing, piece: 3 });
                assert.equal(answer.status, 200, name);
                assert.equal(answer.json.sha, sha(plain), name);
            })));
    });
}

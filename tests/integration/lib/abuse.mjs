// SPDX-License-Identifier: BSD-2-Clause
//
// Abuses of tools, as tables of cases: each is one call over HTTP, and what
// may come of it. Every answer comes within the tool's own limit, tells
// nothing of what lies outside of the root, and leaves a server that answers.
//
//     { name, tool, args, ends: refused('denied') }

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defer } from './process.mjs';
import { startStack } from './stack.mjs';

export const secret = 'OUTSIDE-OF-THE-ROOT';

// Nobody's: of the root when the tests are root's, since a server that is root
// runs no commands as root.
const owner = 12345;

export const fileTools = ['read_file', 'write_file', 'edit_file', 'glob', 'grep'];

// A directory that others may pass through (a sandbox is one), with a secret
// beside the root.
export function makePlace(t) {
    const place = mkdtempSync(join(tmpdir(), 'voice-abuse-'));
    const at = { place, root: join(place, 'root'), outside: join(place, 'secret.txt'),
        sibling: join(place, 'root-sibling') };
    chmodSync(place, 0o755);
    for (const dir of [at.root, at.sibling]) {
        mkdirSync(dir);
    }
    writeFileSync(at.outside, `${secret}\n`);
    writeFileSync(join(at.sibling, 'secret.txt'), `${secret}\n`);
    // Node's own way knows no paths that are too long.
    defer(t, () => { execFileSync('rm', ['-rf', place]); });
    return { ...at, in: (...names) => join(at.root, ...names) };
}

export function ownRoot(at) {
    if (process.getuid() === 0) {
        chownSync(at.root, owner, owner);
    }
}

export async function startTools(t, at, { tools = fileTools, settings = {}, voiced = {},
    policy = '' } = {}) {
    ownRoot(at);
    const stack = await startStack(t, {
        voiced: { ...voiced, settings: { ...settings, tools: { root: at.root,
            ...settings.tools } } },
        policy: `voice_model gpt-realtime; voice_http_tools ${tools.join(' ')}; ${policy}` });
    const post = (path, body, headers = {}) => stack.request(path, { method: 'POST', body,
        headers: { 'content-type': 'application/json',
            'content-length': Buffer.byteLength(body), ...headers }, timeoutMs: 90000 });
    return { at, stack, post,
        run: (name, args, headers) => post(`/v1/tools/${name}`, JSON.stringify(args), headers) };
}

// --- what may come of a case

function told(answer) {
    return `${answer.status} ${answer.text.slice(0, 300)}`;
}

// It fails, as one of these kinds, with a sentence.
export const refused = (...types) => (answer) => {
    assert.equal(answer.status, 200, told(answer));
    assert.equal(answer.json.success, false, told(answer));
    assert.ok(types.includes(answer.json.error.type), told(answer));
    assert.match(answer.json.error.message, /\S.*[.!?…)]$/su, told(answer));
};

// It works, and this holds of its output.
export const gives = (check = () => {}) => (answer) => {
    assert.equal(answer.status, 200, told(answer));
    assert.equal(answer.json.success, true, told(answer));
    check(answer.json.output);
};

// A command ends like this, whatever it says.
export const exits = (...codes) => gives((output) => {
    assert.ok(codes.includes(output.returncode), JSON.stringify(output).slice(0, 300));
});
export const fails = gives((output) => assert.notEqual(output.returncode, 0,
    JSON.stringify(output).slice(0, 300)));

export const status = (...codes) => (answer) => assert.ok(codes.includes(answer.status),
    told(answer));

// One of several ends.
export const either = (...ends) => (answer) => {
    const errors = [];
    for (const end of ends) {
        try {
            return end(answer);
        } catch (error) {
            errors.push(error);
        }
    }
    throw errors[0];
};

// --- running them

export async function runCase(tools, { tool, args, body, path, headers, ends, after }) {
    const answer = await tools.post(path ?? `/v1/tools/${tool}`, body ?? JSON.stringify(args),
        headers);
    assert.doesNotMatch(answer.text, new RegExp(secret), 'what is outside');
    ends(answer);
    after?.(answer);
}

// Each as a subtest; afterwards all is as before.
export async function runCases(t, tools, cases) {
    for (const one of cases) {
        await t.test(one.name, () => runCase(tools, one));
    }
    const health = await tools.stack.request('/health');
    assert.equal(health.status, 200, health.text);
}

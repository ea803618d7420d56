// SPDX-License-Identifier: BSD-2-Clause
//
// Texts that a gateway is given and that it may tell nobody: provider keys.
// From protect() on, whatever clients receive and whatever is written to a log
// is looked through for them: by the classes at their teardown, and by the
// runner over everything that is left at the end.

import { appendFileSync, existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { runDir } from './paths.mjs';

const secrets = new Set();
const listPath = join(runDir, 'secrets');

// Returns it.
export function protect(secret) {
    if (secret?.length >= 8 && !secrets.has(secret)) {
        secrets.add(secret);
        appendFileSync(listPath, `${secret}\n`);
    }
    return secret;
}

export const secretsAreKnown = () => secrets.size > 0;

// As it is, and as base64 of it alone or behind "Bearer ".
const shapesOf = (secret) => [secret, Buffer.from(secret).toString('base64').replace(/=+$/, ''),
    encodeURIComponent(secret)];

function found(text, list) {
    return list.some((secret) => shapesOf(secret).some((shape) => text.includes(shape)));
}

// Throws when the text (or JSON of the value) holds one; the error does not.
export function assertTellsNothing(value, where) {
    if (secrets.size === 0 || value === undefined || value === null) {
        return;
    }
    const text = typeof value === 'string' ? value
        : Buffer.isBuffer(value) ? value.toString('latin1') : JSON.stringify(value);
    if (found(text, [...secrets])) {
        throw new Error(`${where} holds a provider key`);
    }
}

// Everything that a run wrote: files that hold one of the run's secrets.
// Configurations, key files and certificates are where they belong.
export function filesThatTell(dir, list = readList()) {
    if (list.length === 0) {
        return [];
    }
    return readdirSync(dir).flatMap((name) => {
        const path = join(dir, name);
        const stat = statSync(path, { throwIfNoEntry: false });
        if (stat?.isDirectory()) {
            return filesThatTell(path, list);
        }
        return stat?.isFile() && /\.(log|db|sqlite)|valgrind|checked/.test(name) &&
            found(readFileSync(path, 'latin1'), list) ? [path] : [];
    });
}

function readList() {
    return existsSync(listPath) ? readFileSync(listPath, 'utf8').split('\n').filter(Boolean) : [];
}

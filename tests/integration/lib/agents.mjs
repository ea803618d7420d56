// SPDX-License-Identifier: BSD-2-Clause
//
// Agents for task, delegate and dispatch.

import { spawn } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { makeDir, root as tree } from './paths.mjs';
import { defer } from './process.mjs';

export const agentsKey = 'agents-key-4711';

// The stand-in of tests/tools, and what it has seen.
export async function startAgents(t, { demanded = agentsKey } = {}) {
    const journal = join(makeDir('agents'), 'journal');
    const child = spawn(process.execPath,
        [join(tree, 'tests/tools/agents_fake.mjs'), journal, demanded, '0'],
        { stdio: ['ignore', 'pipe', 'inherit'] });
    defer(t, () => child.kill());
    const lines = createInterface({ input: child.stdout });
    const [port] = await new Promise((done) => lines.once('line', (line) => done([line])));
    appendFileSync(journal, '');
    return { url: `http://127.0.0.1:${port}`,
        seen: () => readFileSync(journal, 'utf8').split('\n').filter(Boolean) };
}

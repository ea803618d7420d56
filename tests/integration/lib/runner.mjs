// SPDX-License-Identifier: BSD-2-Clause
//
// Runs test files with Node's runner and looks at what they leave behind.
// The run fails for a failed, skipped or todo test, a file without a test, a
// process that outlived its test, [alert] or [emerg] in an error log, and
// sanitizer output in any log.

import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const here = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const { names, jobs, full } = parseArguments(process.argv.slice(2));
const runDir = mkdtempSync(join(tmpdir(), 'voice-it-'));
process.env.VOICE_RUN_DIR = runDir;
if (full) {
    process.env.VOICE_FULL = '1';
}

// Imported late: they read the environment.
const { sanitized, valgrind } = await import('./paths.mjs');
const { killSession, membersOf, sanitizerReport } = await import('./process.mjs');
const { badLines } = await import('./nginx.mjs');
const { filesThatTell } = await import('./secrets.mjs');

const files = readdirSync(here).filter((name) => name.endsWith('.test.mjs'))
    .filter((name) => names.length === 0 || names.some((part) => name.includes(part)))
    .sort().map((name) => join(here, name));

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
        endProcesses();
        process.exit(1);
    });
}

const problems = files.length === 0 ? ['no test file has such a name'] : await runFiles();
problems.push(...endProcesses(), ...readLogs(runDir),
    ...filesThatTell(runDir).map((path) => `${path} holds a provider key`));
if (problems.length > 0) {
    console.log(`\nintegration failed:\n${problems.map((p) => `* ${p}`).join('\n')}`);
    console.log(`logs are in ${runDir}`);
    process.exitCode = 1;
} else {
    rmSync(runDir, { recursive: true, force: true });
}

function parseArguments(args) {
    const result = { names: [], jobs: Number(process.env.VOICE_TEST_JOBS ?? 1),
        full: process.env.VOICE_FULL === '1' };
    while (args.length > 0) {
        const arg = args.shift();
        if (arg === '--full') {
            result.full = true;
        } else if (arg === '--jobs') {
            result.jobs = Number(args.shift());
        } else if (arg.startsWith('-')) {
            console.error('usage: run-integration [--full] [--jobs N] [FILE|NAME…]');
            process.exit(2);
        } else {
            result.names.push(basename(arg));
        }
    }
    return result;
}

async function runFiles() {
    const minutes = (full ? 25 : 5) * (valgrind ? 20 : sanitized ? 4 : 1);
    const counts = new Map(files.map((file) => [file, 0]));
    const found = [];
    const stream = run({ files, concurrency: jobs, timeout: minutes * 60000 });
    stream.on('test:pass', (test) => {
        if (test.skip !== undefined || test.todo !== undefined) {
            found.push(`${test.name}: skipped or todo`);
        }
        if (test.details.type !== 'suite' && resolve(test.name) !== test.file) {
            counts.set(test.file, (counts.get(test.file) ?? 0) + 1);
        }
    });
    stream.on('test:fail', (test) => {
        found.push(`${basename(test.file ?? '')}: ${test.name}`);
        counts.set(test.file, 1);
    });
    const report = stream.compose(spec);
    report.pipe(process.stdout);
    await new Promise((done) => report.once('end', done));
    for (const [file, ran] of counts) {
        if (ran === 0) {
            found.push(`${basename(file)}: no test ran`);
        }
    }
    return found;
}

// Every process started by a class leads a session; none may have a member.
function endProcesses() {
    const list = join(runDir, 'sessions');
    if (!existsSync(list)) {
        return [];
    }
    const left = [];
    for (const line of readFileSync(list, 'utf8').split('\n').filter(Boolean)) {
        for (const { pid, comm } of membersOf(Number(line))) {
            left.push(`process left: ${comm} (${pid})`);
        }
        killSession(Number(line));
    }
    return left;
}

function readLogs(dir) {
    const found = [];
    for (const name of readdirSync(dir)) {
        const path = join(dir, name);
        if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
            found.push(...readLogs(path));
        } else if (name.endsWith('.log')) {
            found.push(...readLog(path));
        }
    }
    return found;
}

function readLog(path) {
    const allowPath = join(dirname(path), 'allow');
    const allow = existsSync(allowPath)
        ? readFileSync(allowPath, 'utf8').split('\n').filter(Boolean).map((s) => new RegExp(s)) : [];
    const text = readFileSync(path, 'utf8');
    const found = badLines(text, allow).map((line) => `${path}: ${line}`);
    const report = sanitizerReport(text);
    return report ? [...found, `${path}: ${report}`] : found;
}

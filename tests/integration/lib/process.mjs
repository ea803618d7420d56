// SPDX-License-Identifier: BSD-2-Clause
//
// A child process with its log. It leads a session of its own, so that
// whatever it forked is found again: the runner looks for members of every
// session recorded here.

import { spawn, execFile } from 'node:child_process';
import { appendFileSync, closeSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { patience, runDir } from './paths.mjs';

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const stacks = new WeakMap();

// Teardown in reverse order of set-up, every step run even if one throws. `t`
// is a test context, or anything with after(): the node:test module itself.
export function defer(t, step) {
    let steps = stacks.get(t);
    if (!steps) {
        steps = [];
        stacks.set(t, steps);
        t.after(async () => {
            const errors = [];
            while (steps.length > 0) {
                try {
                    await steps.pop()();
                } catch (error) {
                    errors.push(error);
                }
            }
            if (errors.length > 0) {
                throw errors.length === 1 ? errors[0]
                    : new AggregateError(errors, errors.map((e) => e.message).join('\n'));
            }
        });
    }
    steps.push(step);
}

// The promise's value, or null when it takes longer.
export async function within(promise, timeoutMs) {
    let timer;
    const late = new Promise((done) => {
        timer = setTimeout(done, patience(timeoutMs), null);
    });
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}

// Waits until `check` gives something truthy and returns that.
export async function until(check, what, timeoutMs = 10000) {
    const end = Date.now() + patience(timeoutMs);
    for (;;) {
        const value = await check();
        if (value) {
            return value;
        }
        if (Date.now() > end) {
            throw new Error(`gave up waiting for ${what}`);
        }
        await sleep(10);
    }
}

export function isAlive(pid) {
    try {
        process.kill(pid, 0);
        return readStat(pid)?.state !== 'Z';
    } catch {
        return false;
    }
}

// /proc/PID/stat, of which the tests want these fields.
export function readStat(pid) {
    let text;
    try {
        text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    } catch {
        return null;
    }
    const open = text.indexOf('(');
    const close = text.lastIndexOf(')');
    const f = text.slice(close + 2).split(' ');
    return { pid: Number(pid), comm: text.slice(open + 1, close), state: f[0],
        ppid: Number(f[1]), session: Number(f[3]),
        cpuTicks: Number(f[11]) + Number(f[12]), startTicks: Number(f[19]) };
}

export function processes() {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name))
        .map(readStat).filter((p) => p !== null);
}

// The command line, NULs as spaces.
export function commandOf(pid) {
    try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
    } catch {
        return '';
    }
}

// The oldest first: numbers begin again when they run out.
export function childrenOf(pid) {
    return processes().filter((p) => p.ppid === pid && p.state !== 'Z')
        .sort((a, b) => a.startTicks - b.startTicks || a.pid - b.pid).map((p) => p.pid);
}

export function membersOf(session) {
    return processes().filter((p) => p.session === session && p.state !== 'Z');
}

export function rssAnonKb(pid) {
    const text = readFileSync(`/proc/${pid}/status`, 'latin1');
    return Number(/^RssAnon:\s+(\d+) kB/m.exec(text)[1]);
}

export function fdCount(pid) {
    return readdirSync(`/proc/${pid}/fd`).length;
}

const sanitizerLine =
    /ERROR: (Address|Leak|Memory)Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer/;

export function sanitizerReport(text) {
    const at = text.search(sanitizerLine);
    return at < 0 ? null : text.slice(at, at + 6000);
}

export class Process {
    // command, args; options: cwd, env (added to ours), log (a path), name
    constructor(command, args, { cwd, env, log, name }) {
        this.name = name ?? command;
        this.logPath = log;
        const out = openSync(log, 'a');
        this.child = spawn(command, args, { cwd, detached: true,
            env: { ...process.env, ...env }, stdio: ['ignore', out, out] });
        closeSync(out);
        this.pid = this.child.pid;
        this.exit = null; // { code, signal } once it is gone
        this.exited = new Promise((done) => {
            this.child.once('error', (error) => {
                this.exit = { code: null, signal: null, error };
                done(this.exit);
            });
            this.child.once('exit', (code, signal) => {
                this.exit = { code, signal };
                done(this.exit);
            });
        });
        if (this.pid) {
            appendFileSync(join(runDir, 'sessions'), `${this.pid}\n`);
        }
    }

    log() {
        return readFileSync(this.logPath, 'utf8');
    }

    kill(signal = 'SIGTERM') {
        process.kill(this.pid, signal);
    }

    // Waits for readiness; a process that ends first is an error with its log.
    async ready(check, what, timeoutMs = 20000) {
        return until(async () => {
            if (this.exit) {
                throw new Error(`${this.name} ended before ${what}: ` +
                    `${JSON.stringify(this.exit)}\n${this.log()}`);
            }
            return check();
        }, `${this.name}: ${what}`, timeoutMs);
    }

    // Sends the signal and waits for the end; after the time out, SIGKILL to
    // the whole session and an error.
    async stop(signal = 'SIGTERM', timeoutMs = 15000) {
        if (!this.exit) {
            this.kill(signal);
            if (!await within(this.exited, timeoutMs)) {
                killSession(this.pid);
                throw new Error(`${this.name} did not end on ${signal}\n${this.log()}`);
            }
        }
        return this.exit;
    }

    // Nothing it forked may live on.
    async checkNoneLeft() {
        try {
            await until(() => membersOf(this.pid).length === 0, 'children to end', 5000);
        } catch {
            const left = membersOf(this.pid).map((p) => `${p.comm} (${p.pid})`);
            killSession(this.pid);
            throw new Error(`${this.name} left processes: ${left.join(', ')}`);
        }
    }

    checkSanitizers() {
        const report = sanitizerReport(this.log());
        if (report) {
            throw new Error(`${this.name}: sanitizer output\n${report}`);
        }
    }
}

export function killSession(session) {
    for (const { pid } of membersOf(session)) {
        try {
            process.kill(pid, 'SIGKILL');
        } catch { /* gone meanwhile */ }
    }
}

const execFileAsync = promisify(execFile);

// Runs to the end: { code, stdout, stderr }; never throws for an exit code.
export async function run(command, args, options = {}) {
    try {
        const { stdout, stderr } = await execFileAsync(command, args,
            { timeout: patience(30000), maxBuffer: 64 << 20, ...options });
        return { code: 0, stdout, stderr };
    } catch (error) {
        if (typeof error.code !== 'number') {
            throw error;
        }
        return { code: error.code, stdout: error.stdout, stderr: error.stderr };
    }
}

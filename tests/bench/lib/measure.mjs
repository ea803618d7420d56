// SPDX-License-Identifier: BSD-2-Clause
//
// What a process used, and the load client as an object.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { build, root } from '../../integration/lib/paths.mjs';
import { parsePrometheus } from '../../integration/lib/prometheus.mjs';
import { readStat, rssAnonKb } from '../../integration/lib/process.mjs';

export const benchClient = join(build, 'bench/bench-client');
export const benchTalk = join(build, 'bench/bench-talk');
export const opusCeiling = join(build, 'bench/opus-ceiling');
export const plainLibfcgi = join(build, 'bench/plain-libfcgi');
export const nodeUpstream = join(root, 'tests/bench/node_upstream.mjs');
export const nodeEcho = join(root, 'tests/bench/node_ws_echo.mjs');

const TICKS_PER_SECOND = 100; // USER_HZ: the unit of /proc, on every Linux

export function cpuSeconds(...pids) {
    let ticks = 0;
    for (const pid of pids) {
        const stat = readStat(pid);
        if (!stat) {
            throw new Error(`process ${pid} is gone`);
        }
        ticks += stat.cpuTicks;
    }
    return ticks / TICKS_PER_SECOND;
}

// What a process has of memory that no file backs, its part of what it shares
// included: programs and libraries are shared with whoever else runs them.
export function pssKb(pid) {
    const [, kb] = /^Pss_Anon:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
    return Number(kb);
}

// The pages of a process settle a moment after its work does.
export function anonKb(pid) {
    return rssAnonKb(pid);
}

export function median(values) {
    const sorted = [...values].sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

export async function metricsOf({ target }) {
    const answer = await fetch(`http://${target}/metrics`);
    return parsePrometheus(await answer.text());
}

export function demand(condition, what, line) {
    if (!condition) {
        throw new Error(`${what}: ${JSON.stringify(line)}`);
    }
}

export function machine() {
    const all = cpus();
    return `${all.length} x ${all[0]?.model ?? 'unknown'}, node ${process.version}`;
}

const flags = options => Object.entries(options).flatMap(([name, value]) => {
    const flag = `--${name.replace(/[A-Z]/g, c => `-${c.toLowerCase()}`)}`;
    if (value === false || value === undefined) {
        return [];
    }
    return value === true ? [flag] : [flag, String(value)];
});

// One run of bench-client, or of another program of its manners (mode null).
// With `steps` it waits for go() between its phases.
export class Client {
    #lines = [];
    #waiting = [];
    #errors = '';

    static async run(mode, options) {
        const client = new Client(mode, options);
        const last = [];
        for (;;) {
            const line = await client.phase().catch(error => error);
            if (line instanceof Error) {
                await client.ended;
                if (last.length === 0) {
                    throw line;
                }
                return last;
            }
            last.push(line);
        }
    }

    constructor(mode, options, program = benchClient) {
        const args = [...(mode === null ? [] : [mode]), ...flags(options)];
        this.name = basename(program);
        this.child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
        this.child.stdin.on('error', () => {});
        this.child.stderr.on('data', text => { this.#errors += text; });
        this.ended = new Promise(done => this.child.once('close', code => {
            this.code = code ?? 'killed';
            for (const { fail } of this.#waiting.splice(0)) {
                fail(this.#end());
            }
            done(code);
        }));
        createInterface({ input: this.child.stdout }).on('line', text => {
            const line = JSON.parse(text);
            const waiter = this.#waiting.shift();
            if (waiter) {
                waiter.done(line);
            } else {
                this.#lines.push(line);
            }
        });
    }

    #end() {
        return new Error(`${this.name} ended with ${this.code} ${this.#errors.split('\n')[0]}`);
    }

    // The next line the client prints.
    phase() {
        if (this.#lines.length > 0) {
            return Promise.resolve(this.#lines.shift());
        }
        if (this.code !== undefined) {
            return Promise.reject(this.#end());
        }
        return new Promise((done, fail) => this.#waiting.push({ done, fail }));
    }

    go() {
        this.child.stdin.write('\n');
    }

    // Lets it go through all its phases to its end.
    async finish() {
        this.child.stdin.end();
        await this.ended;
    }

    kill() {
        this.child.kill('SIGKILL');
        return this.ended;
    }
}

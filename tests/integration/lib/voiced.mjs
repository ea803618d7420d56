// SPDX-License-Identifier: BSD-2-Clause
//
// voiced: the supervisor and its server, in a directory of its own, with the
// offline model.
//
//     const voiced = await Voiced.start(t, { auth: 'keys' });
//     voiced.socket      the FastCGI socket
//     voiced.serverPid() the server's pid (a child of the supervisor)
//     voiced.summaries() the sessions that have ended
//
// Teardown fails on sanitizer output, an unexpected exit, a session still
// open, or a process left behind.

import { chmodSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { makeDir, patience, root, speechPlugin, valgrind, voicectlBinary, voicedBinary }
    from './paths.mjs';
import { assertTellsNothing } from './secrets.mjs';
import { Process, childrenOf, commandOf, defer, run, until } from './process.mjs';

export function canConnectTo(path) {
    return new Promise((done) => {
        const socket = createConnection(path);
        socket.once('connect', () => { socket.destroy(); done(true); });
        socket.once('error', () => done(false));
    });
}

// "a=1 b=two" to { a: '1', b: 'two' }; values may be quoted.
export function fieldsOf(line) {
    const fields = {};
    for (const [, key, quoted, plain] of line.matchAll(/(\w+)=(?:"([^"]*)"|(\S*))/g)) {
        fields[key] = quoted ?? plain;
    }
    return fields;
}

function valgrindCommand(dir) {
    return ['valgrind', '--trace-children=yes', '--child-silent-after-fork=yes',
        '--leak-check=full', '--show-leak-kinds=definite', '--errors-for-leak-kinds=definite',
        '--track-fds=no', `--suppressions=${root}/tests/tools/valgrind.supp`,
        `--log-file=${dir}/valgrind.%p`];
}

function value(v) {
    if (Array.isArray(v)) {
        return `{ ${v.map(value).join(', ')} }`;
    }
    return typeof v === 'string' ? JSON.stringify(v) : String(v);
}

const assignments = (keys) => Object.entries(keys).map(([key, v]) => `${key} = ${value(v)}\n`)
    .join('');

const isObject = (v) => typeof v === 'object' && !Array.isArray(v);

// A section whose values are all objects is a list of named ones:
// { upstream: { main: { url: … } } } is `upstream main { url = … }`.
function sections(name, keys) {
    const values = Object.values(keys);
    return values.length > 0 && values.every(isObject)
        ? Object.entries(keys).map(([title, inside]) =>
            `${name} ${title} {\n${assignments(inside)}}\n`).join('')
        : `${name} {\n${assignments(keys)}}\n`;
}

function generate(settings) {
    const all = Object.entries(settings);
    const plain = Object.fromEntries(all.filter(([, v]) => !isObject(v)));
    return assignments(plain) + all.filter(([, v]) => isObject(v))
        .map(([name, keys]) => sections(name, keys)).join('');
}

export class Voiced {
    #stopped = false;

    static async start(t, options) {
        const voiced = Voiced.prepare(options);
        for (const name of options?.keys ?? []) {
            voiced.keys[name] = await voiced.addKey(name);
        }
        voiced.#launch();
        defer(t, () => voiced.#teardown(t));
        await voiced.process.ready(() => voiced.isReady(), 'readiness');
        return voiced;
    }

    // Directory and configuration, but no process: for `voiced -t`.
    // `keys` are names of gateway keys that `keys` of the instance then holds.
    // `settings` are keys of voiced.conf, sections as objects:
    // { max_sessions: 5, bench: { echo: 'yes' } }, named ones as objects of
    // objects: { upstream: { main: { url: … } } }; `config` is a whole file
    // instead (text or a function of the instance).
    static prepare({ auth = 'none', settings = {}, config, env = {}, args = [],
        wrap = [] } = {}) {
        const voiced = new Voiced();
        voiced.dir = makeDir('voiced');
        voiced.socket = join(voiced.dir, 'voiced.sock');
        voiced.control = join(voiced.dir, 'control.sock');
        voiced.keysPath = join(voiced.dir, 'keys');
        voiced.pidPath = join(voiced.dir, 'voiced.pid');
        voiced.configPath = join(voiced.dir, 'voiced.conf');
        voiced.logPath = join(voiced.dir, 'voiced.log');
        voiced.env = env;
        voiced.args = args;
        voiced.wrap = valgrind ? valgrindCommand(voiced.dir) : wrap;
        voiced.keys = {};
        voiced.settings = { control: voiced.control, ...settings,
            listen: { unix: voiced.socket, ...settings.listen },
            auth: { mode: auth, keys_file: voiced.keysPath, ...settings.auth },
            offline: { plugin: speechPlugin, ...settings.offline } };
        voiced.config = config;
        writeFileSync(voiced.keysPath, '');
        chmodSync(voiced.keysPath, 0o600);
        voiced.configure({});
        return voiced;
    }

    // Rewrites the configuration; SIGHUP (reload) puts it in force.
    configure(settings) {
        Object.assign(this.settings, settings);
        const { config } = this;
        const text = config === undefined ? generate(this.settings)
            : typeof config === 'function' ? config(this) : config;
        writeFileSync(this.configPath, text);
    }

    #launch() {
        const [command, ...args] = [...this.wrap, voicedBinary, '-c', this.configPath, ...this.args];
        this.process = new Process(command, args, { cwd: this.dir, env: this.env,
            log: this.logPath, name: 'voiced' });
        this.pid = this.process.pid;
    }

    // The socket listens from the supervisor's first moment on; only the
    // server can answer on the control socket.
    async isReady() {
        return existsSync(this.control) && (await this.ctl('status')).code === 0;
    }

    // voiced with other arguments and this configuration, to its end.
    async check(...args) {
        const answer = await run(voicedBinary, ['-c', this.configPath, ...args],
            { cwd: this.dir, env: { ...process.env, ...this.env } });
        assertTellsNothing(answer, 'voiced');
        return answer;
    }

    async ctl(...args) {
        const answer = await run(voicectlBinary, ['-c', this.configPath, ...args],
            { cwd: this.dir, timeout: patience(10000) });
        assertTellsNothing(answer, 'voicectl');
        return answer;
    }

    // A new key; resolves to its text. A running server looks once a second.
    async addKey(name, ...args) {
        const { code, stdout, stderr } = await this.ctl('keys', 'add', name, ...args);
        if (code !== 0) {
            throw new Error(`voicectl keys add: ${stderr}${stdout}`);
        }
        return /vk_[A-Za-z0-9]+/.exec(stdout)[0];
    }

    // Live sessions as the server sees them.
    async sessions() {
        const { code, stdout, stderr } = await this.ctl('sessions', '--json');
        if (code !== 0) {
            throw new Error(`voicectl sessions: ${stderr}`);
        }
        return JSON.parse(stdout);
    }

    // While generations overlap there are several; the newest is last.
    serverPids() {
        return childrenOf(this.pid).filter((pid) => /voiced-server/.test(commandOf(pid)));
    }

    serverPid() {
        return this.serverPids().at(-1);
    }

    log() {
        return readFileSync(this.logPath, 'utf8');
    }

    // Summary lines of ended sessions, numbers as numbers.
    summaries() {
        return this.log().split('\n').filter((line) => /\bended=/.test(line))
            .map((line) => {
                const fields = fieldsOf(line);
                for (const [key, value] of Object.entries(fields)) {
                    if (/^-?\d+$/.test(value)) {
                        fields[key] = Number(value);
                    }
                }
                return fields;
            });
    }

    summary(id, timeoutMs = 10000) {
        return until(() => this.summaries().find((s) => s.session === id),
            `the summary of ${id}`, timeoutMs);
    }

    async reload(settings) {
        if (settings) {
            this.configure(settings);
        }
        const before = this.serverPid();
        this.process.kill('SIGHUP');
        await until(() => this.serverPid() !== before, 'a new generation', 20000);
        await until(() => this.isReady(), 'the new generation to be ready', 20000);
    }

    async stop(signal = 'SIGTERM') {
        this.#stopped = true;
        return this.process.stop(signal);
    }

    async #teardown(t) {
        if (t.passed === false) {
            t.diagnostic?.(`voiced log:\n${this.log().slice(-6000)}`);
        }
        const died = this.process.exit && !this.#stopped;
        let open = [];
        if (!this.process.exit) {
            open = await this.#sessionsStillOpen();
        }
        const { code, signal } = await this.process.stop('SIGTERM');
        await this.process.checkNoneLeft();
        this.process.checkSanitizers();
        this.#checkValgrind();
        assertTellsNothing(this.log(), 'the log of voiced');
        if (open.length > 0) {
            throw new Error(`sessions still open: ${JSON.stringify(open)}`);
        }
        if (died || code !== 0) {
            throw new Error(`voiced ended by itself or with an error: ` +
                `code ${code} signal ${signal}\n${this.log().slice(-4000)}`);
        }
    }

    // One log a process: the supervisor and each server.
    #checkValgrind() {
        const logs = readdirSync(this.dir).filter((name) => name.startsWith('valgrind.'));
        for (const name of logs) {
            const text = readFileSync(join(this.dir, name), 'utf8');
            const lost = /definitely lost: ([\d,]+) bytes/.exec(text)?.[1] ?? '0';
            const errors = /ERROR SUMMARY: (\d+) errors/.exec(text)?.[1];
            if (lost !== '0' || errors !== '0') {
                throw new Error(`valgrind: ${lost} bytes lost, ${errors} errors\n` +
                    text.slice(0, 8000));
            }
        }
        if (valgrind && logs.length < 2) {
            throw new Error('valgrind did not follow the server');
        }
    }

    // Clients are closed before voiced is: give their ends a moment to arrive.
    async #sessionsStillOpen() {
        let open = [];
        try {
            await until(async () => {
                open = await this.sessions();
                return open.length === 0;
            }, 'sessions to end', 5000);
        } catch { /* told by the list */ }
        return open;
    }
}

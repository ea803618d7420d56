// SPDX-License-Identifier: BSD-2-Clause
//
// The stock nginx with our module, in a directory of its own.
//
//     const nginx = await Nginx.start(t, {
//         http: ({ port, dir }) => `
//             upstream voice { server unix:${voiced.socket}; }
//             server {
//                 listen 127.0.0.1:${port};
//                 location = /v1/realtime { voice_pass voice; }
//             }` });
//
// `http` is the inside of http {}; `config` is a whole nginx.conf instead.
// Both may be text or a function of the instance (port, tlsPort, dir, certs).
// Teardown fails on [alert], [emerg], sanitizer output, an unexpected exit or
// a process left behind; `allow` lists patterns of lines that are meant to
// be there.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { Certs } from './certs.mjs';
import { conf, freePort, loadModule, makeDir, nginxBinary, sanitized } from './paths.mjs';
import { assertTellsNothing } from './secrets.mjs';
import { Process, childrenOf, defer, run, until } from './process.mjs';

const asText = (value, self) => (typeof value === 'function' ? value(self) : value ?? '');

export function canConnect(port) {
    return new Promise((done) => {
        const socket = createConnection(port, '127.0.0.1');
        socket.once('connect', () => { socket.destroy(); done(true); });
        socket.once('error', () => done(false));
    });
}

export class Nginx {
    #stopped = false;

    static async start(t, options) {
        const nginx = await Nginx.prepare(options);
        nginx.#launch();
        defer(t, () => nginx.#teardown(t));
        // The master listens before there is a worker.
        await nginx.process.ready(async () => nginx.workers().length > 0 &&
            canConnect(nginx.port), 'a listening port and a worker');
        return nginx;
    }

    // Directory, ports and configuration, but no process: for `nginx -t`.
    static async prepare({ http, main, events, config, workers = 1, allow = [],
        files = {}, env = {}, level = 'info' } = {}) {
        const nginx = new Nginx();
        nginx.dir = makeDir('nginx');
        nginx.port = await freePort();
        nginx.tlsPort = await freePort();
        nginx.certs = Certs.get();
        nginx.conf = conf;
        nginx.env = env;
        nginx.allow = allow;
        nginx.configPath = join(nginx.dir, 'nginx.conf');
        nginx.errorLogPath = join(nginx.dir, 'error.log');
        nginx.accessLogPath = join(nginx.dir, 'access.log');
        nginx.options = { http, main, events, config, workers, level };
        for (const name of ['tmp', 'logs']) {
            mkdirSync(join(nginx.dir, name));
        }
        for (const [name, text] of Object.entries(files)) {
            writeFileSync(join(nginx.dir, name), asText(text, nginx));
        }
        writeFileSync(join(nginx.dir, 'allow'), allow.map((re) => `${re.source}\n`).join(''));
        nginx.configure(nginx.options);
        return nginx;
    }

    // Writes a new configuration: any of http, main, events, config, workers.
    configure(changes) {
        Object.assign(this.options, changes);
        const { http, main, events, config, workers, level } = this.options;
        const text = config !== undefined ? asText(config, this) : `
${process.getuid() === 0 ? 'user root;' : ''}
${loadModule}
daemon off;
worker_processes ${workers};
pid ${this.dir}/nginx.pid;
error_log ${this.errorLogPath} ${level};
worker_rlimit_nofile 16384;
${asText(main, this)}
events { worker_connections 16384; ${asText(events, this)} }
http {
    log_format test '$request_method $uri $status $body_bytes_sent '
                    'session=$voice_session_id code=$voice_close_code '
                    'up=$voice_messages_up/$voice_bytes_up '
                    'down=$voice_messages_down/$voice_bytes_down '
                    'rtt=$voice_rtt stall=$voice_stall_time '
                    'ratio=$voice_deflate_ratio';
    access_log ${this.accessLogPath} test;
    client_body_temp_path ${this.dir}/tmp/body;
    proxy_temp_path ${this.dir}/tmp/proxy;
    fastcgi_temp_path ${this.dir}/tmp/fastcgi;
    uwsgi_temp_path ${this.dir}/tmp/uwsgi;
    scgi_temp_path ${this.dir}/tmp/scgi;
${asText(http, this)}
}
`;
        writeFileSync(this.configPath, text);
    }

    #args(errorLog) {
        return ['-p', this.dir, '-c', this.configPath, '-e', errorLog];
    }

    // A worker leaves its cycle's memory to the system at its end: no leak that
    // matters, so there is no leak check. Every dynamic module has its own
    // ngx_modules and ngx_module_names, as the binary has: no ODR check.
    get #env() {
        const preload = process.env.VOICE_NGINX_PRELOAD;
        const options = [process.env.ASAN_OPTIONS, 'detect_leaks=0', 'detect_odr_violation=0']
            .filter(Boolean).join(':');
        return { ...this.env, ...(sanitized && { ASAN_OPTIONS: options }),
            ...(preload && { LD_PRELOAD: preload }) };
    }

    // For a test that starts nginx by itself.
    get environment() {
        return { ...process.env, ...this.#env };
    }

    #launch() {
        this.process = new Process(nginxBinary, this.#args(this.errorLogPath), { cwd: this.dir,
            env: this.#env, log: join(this.dir, 'nginx.log'), name: 'nginx' });
        this.pid = this.process.pid;
    }

    // nginx -t with this configuration: { code, stdout, stderr }. What it logs
    // is the caller's to judge, so not in a *.log.
    test() {
        return run(nginxBinary, ['-t', ...this.#args(join(this.dir, 'checked'))],
            { env: this.environment });
    }

    // Pids of the workers; while a reload is under way, old and new ones.
    workers() {
        return childrenOf(this.pid);
    }

    // New configuration in force: the old workers have stopped accepting when
    // the new ones are there; those with sessions may live on.
    async reload(changes) {
        if (changes) {
            this.configure(changes);
        }
        const before = new Set(this.workers());
        const marks = this.errorLog().split('reconfiguring').length;
        this.process.kill('SIGHUP');
        await until(() => this.errorLog().split('reconfiguring').length > marks ||
            /\[emerg\]/.test(this.errorLog()), 'nginx to read its new configuration');
        await until(() => this.workers().some((pid) => !before.has(pid)),
            'new nginx workers');
    }

    async stop(signal = 'SIGQUIT') {
        this.#stopped = true;
        return this.process.stop(signal);
    }

    errorLog() {
        try {
            return readFileSync(this.errorLogPath, 'utf8');
        } catch {
            return '';
        }
    }

    // Lines so far; a session's line is written at its end, so most tests
    // want accessLine().
    accessLog() {
        return readFileSync(this.accessLogPath, 'utf8').split('\n').filter(Boolean);
    }

    accessLine(pattern, timeoutMs = 10000) {
        return until(() => this.accessLog().find((line) => pattern.test(line)),
            `an access log line like ${pattern}`, timeoutMs);
    }

    async #teardown(t) {
        if (t.passed === false) {
            t.diagnostic?.(`nginx error.log:\n${this.errorLog().slice(-4000)}`);
        }
        const died = this.process.exit && !this.#stopped;
        const { code, signal } = await this.process.stop('SIGTERM');
        await this.process.checkNoneLeft();
        this.process.checkSanitizers();
        assertTellsNothing(this.errorLog(), 'the error log of nginx');
        assertTellsNothing(existsSync(this.accessLogPath) ? this.accessLog() : '',
            'the access log of nginx');
        const bad = badLines(this.errorLog(), this.allow);
        if (bad.length > 0) {
            throw new Error(`nginx error log:\n${bad.join('\n')}`);
        }
        if (died || code !== 0) {
            throw new Error(`nginx ended by itself or with an error: ` +
                `code ${code} signal ${signal}\n${this.process.log()}`);
        }
    }
}

export function badLines(log, allow = []) {
    return log.split('\n').filter((line) => /\[(alert|emerg)\]/.test(line) &&
        !allow.some((re) => re.test(line)));
}

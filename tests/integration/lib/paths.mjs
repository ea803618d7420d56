// SPDX-License-Identifier: BSD-2-Clause
//
// Where things are, and what this run was asked for. The runner sets
// VOICE_RUN_DIR; a test file started by hand makes one of its own.

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
export const build = resolve(root, process.env.VOICE_BUILD ?? 'build');
export const conf = join(root, 'conf');
export const fixtures = join(root, 'tests/fixtures');

export const nginxBinary = process.env.VOICE_NGINX ?? '/usr/sbin/nginx';
export const nginxModule = join(build, 'nginx/ngx_http_voice_module.so');
// Nothing when the binary has the module linked in.
export const loadModule = process.env.VOICE_NGINX_STATIC ? '' : `load_module ${nginxModule};`;
export const voicedBinary = join(build, 'voiced');
export const voicectlBinary = join(build, 'voicectl');
export const speechPlugin = join(build, 'voiced-speech.so');

// Full counts are what the requirements name; the others fit CI.
export const full = process.env.VOICE_FULL === '1';
export const count = (check, all) => (full ? all : check);

// Sanitized programs are several times slower; no test asserts a time, these
// only say when to give up.
export const sanitized = /asan|tsan/.test(basename(build)) ||
    Boolean(process.env.VOICE_NGINX_PRELOAD);
export const valgrind = process.env.VOICE_VALGRIND === '1';
export const patience = (ms) => (valgrind ? ms * 30 : sanitized ? ms * 5 : ms);

const given = process.env.VOICE_RUN_DIR;
export const runDir = given ?? mkdtempSync(join(tmpdir(), 'voice-it-'));
if (!given) {
    process.on('exit', (code) => {
        if (code === 0) {
            rmSync(runDir, { recursive: true, force: true });
        } else {
            console.error(`logs are in ${runDir}`);
        }
    });
}

// A directory of one instance. Short: it holds unix sockets (108 bytes).
export function makeDir(kind) {
    return mkdtempSync(join(runDir, `${kind}-`));
}

// A free port below the ephemeral range, so that no outgoing connection takes
// it between this answer and the bind; claimed once within a run.
export async function freePort() {
    const claims = join(runDir, 'ports');
    mkdirSync(claims, { recursive: true });
    for (let tries = 0; tries < 200; tries++) {
        const port = 18000 + Math.floor(Math.random() * 13000);
        const claim = join(claims, String(port));
        if (!existsSync(claim) && await isFree(port)) {
            try {
                writeFileSync(claim, '', { flag: 'wx' });
                return port;
            } catch (error) {
                if (error.code !== 'EEXIST') {
                    throw error;
                }
            }
        }
    }
    throw new Error('no free port');
}

function isFree(port) {
    return new Promise((done) => {
        const server = createServer();
        server.once('error', () => done(false));
        server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
    });
}

// SPDX-License-Identifier: BSD-2-Clause
//
// A certificate authority of this run and a server certificate for 127.0.0.1
// and localhost, made once and shared by the files of a run.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runDir } from './paths.mjs';

const openssl = (dir, args) =>
    execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] });

export class Certs {
    static get() {
        const dir = join(runDir, 'certs');
        if (!existsSync(dir)) {
            Certs.#make(dir);
        }
        return new Certs(dir);
    }

    constructor(dir) {
        this.dir = dir;
        this.caPath = join(dir, 'ca.pem');
        this.certPath = join(dir, 'cert.pem');
        this.keyPath = join(dir, 'key.pem');
        this.ca = readFileSync(this.caPath);
    }

    // Made aside and renamed: another file of the run may do the same.
    static #make(dir) {
        mkdirSync(runDir, { recursive: true });
        const tmp = mkdtempSync(join(runDir, 'certs-'));
        const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
        openssl(tmp, ['req', '-x509', ...ec, '-keyout', 'ca.key', '-out', 'ca.pem',
            '-days', '2', '-subj', '/CN=ngx-voice test CA']);
        openssl(tmp, ['req', ...ec, '-keyout', 'key.pem', '-out', 'cert.csr',
            '-subj', '/CN=localhost']);
        writeFileSync(join(tmp, 'ext'),
            'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n');
        openssl(tmp, ['x509', '-req', '-in', 'cert.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key',
            '-CAcreateserial', '-days', '2', '-extfile', 'ext', '-out', 'cert.pem']);
        try {
            renameSync(tmp, dir);
        } catch (error) {
            if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') {
                throw error;
            }
        }
    }
}

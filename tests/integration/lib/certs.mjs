// SPDX-License-Identifier: BSD-2-Clause
//
// A certificate authority of this run and a server certificate for 127.0.0.1,
// ::1 and localhost, made once and shared by the files of a run. Beside the
// good one there are three that a client must refuse: of another name, expired,
// and signed by an authority that nobody knows.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runDir } from './paths.mjs';

// Kind to what is special about it; `good` is cert.pem.
const kinds = {
    good: { cert: 'cert', ca: 'ca' },
    wrongName: { cert: 'wrong-name', ca: 'ca', names: 'DNS:elsewhere.example' },
    expired: { cert: 'expired', ca: 'ca', dates: ['20200101000000Z', '20200102000000Z'] },
    unknown: { cert: 'unknown', ca: 'other-ca' },
};

const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

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
        for (const ca of ['ca', 'other-ca']) {
            openssl(tmp, ['req', '-x509', ...ec, '-keyout', `${ca}.key`, '-out', `${ca}.pem`,
                '-days', '2', '-subj', `/CN=ngx-voice test ${ca}`]);
            writeFileSync(join(tmp, `${ca}.db`), '');
            writeFileSync(join(tmp, `${ca}.conf`), authority(tmp, ca));
        }
        for (const kind of Object.values(kinds)) {
            Certs.#sign(tmp, kind);
        }
        try {
            renameSync(tmp, dir);
        } catch (error) {
            if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') {
                throw error;
            }
        }
    }

    static #sign(dir, { cert, ca, names = 'DNS:localhost,IP:127.0.0.1,IP:::1', dates }) {
        const key = cert === 'cert' ? 'key' : `${cert}-key`;
        openssl(dir, ['req', ...ec, '-keyout', `${key}.pem`, '-out', `${cert}.csr`,
            '-subj', '/CN=localhost']);
        writeFileSync(join(dir, `${cert}.ext`),
            `subjectAltName=${names}\nbasicConstraints=CA:FALSE\n`);
        const when = dates ? ['-startdate', dates[0], '-enddate', dates[1]] : ['-days', '2'];
        openssl(dir, ['ca', '-batch', '-notext', '-config', `${ca}.conf`, '-in', `${cert}.csr`,
            '-out', `${cert}.pem`, '-extfile', `${cert}.ext`, ...when]);
    }

    // { cert, key } of a kind, texts.
    of(kind) {
        const { cert } = kinds[kind];
        const { certPath, keyPath } = this.paths(cert);
        return { cert: readFileSync(certPath), key: readFileSync(keyPath) };
    }

    // Paths of a kind's certificate and key, for nginx.
    pathsOf(kind) {
        return this.paths(kinds[kind].cert);
    }

    paths(cert) {
        const key = cert === 'cert' ? 'key' : `${cert}-key`;
        return { certPath: join(this.dir, `${cert}.pem`), keyPath: join(this.dir, `${key}.pem`) };
    }
}

// What `openssl ca` wants to know; it is the one that signs for any dates.
function authority(dir, ca) {
    return `[ca]\ndefault_ca = it\n[it]\ndatabase = ${dir}/${ca}.db\nnew_certs_dir = ${dir}\n` +
        `certificate = ${dir}/${ca}.pem\nprivate_key = ${dir}/${ca}.key\nrand_serial = yes\n` +
        'default_md = sha256\npolicy = any\nunique_subject = no\nemail_in_dn = no\n' +
        '[any]\ncommonName = supplied\n';
}

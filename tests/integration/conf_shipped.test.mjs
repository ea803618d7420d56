// SPDX-License-Identifier: BSD-2-Clause
//
// The shipped conf/nginx.conf as it stands, with nothing but its addresses
// and paths put in place.

import assert from 'node:assert/strict';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { Client, request } from './lib/client.mjs';
import { conf, loadModule } from './lib/paths.mjs';
import { Nginx } from './lib/nginx.mjs';
import { Voiced } from './lib/voiced.mjs';

function shippedText(socket) {
    return ({ dir, port, tlsPort, certs }) => {
        for (const name of ['voice.conf', 'voice_params']) {
            cpSync(join(conf, name), join(dir, name));
        }
        for (const name of ['fastcgi_params', 'mime.types']) {
            cpSync(join('/etc/nginx', name), join(dir, name));
        }
        return `daemon off;\n${process.getuid() === 0 ? 'user root;' : ''}\n` +
            readFileSync(join(conf, 'nginx.conf'), 'utf8')
                .replaceAll('/run/voiced/voiced.sock', socket)
                .replace(/^load_module .*$/m, loadModule)
                .replaceAll('8080', port).replaceAll('8443', tlsPort)
                .replaceAll('logs/', '')
                .replace('cert.pem', certs.certPath).replace('key.pem', certs.keyPath);
    };
}

test('conf/nginx.conf passes nginx -t and serves', async (t) => {
    const voiced = await Voiced.start(t);
    const nginx = await Nginx.prepare({ config: shippedText(voiced.socket) });
    const checked = await nginx.test();
    assert.equal(checked.code, 0, checked.stderr);
    assert.doesNotMatch(checked.stderr, /\[warn\]/);

    const running = await Nginx.start(t, { config: shippedText(voiced.socket) });
    assert.equal((await request(running.port, '/health')).status, 200);
    assert.equal((await request(running.tlsPort, '/health/ready',
        { tls: { ca: running.certs.ca } })).status, 200);
    const client = await Client.connect(t, { port: running.tlsPort,
        tls: { ca: running.certs.ca } });
    await client.next('session.created');
    await client.close();
    await running.accessLine(/session=sess_\w+ code=1000/);
});

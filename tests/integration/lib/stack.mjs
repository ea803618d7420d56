// SPDX-License-Identifier: BSD-2-Clause
//
// The whole stack: voiced, and nginx in front of it over http and https.
//
//     const stack = await startStack(t, { voiced: { auth: 'keys' } });
//     const client = await stack.connect(t);            // ws
//     stack.url('wss')                                  // wss://127.0.0.1:…

import { Certs } from './certs.mjs';
import { Client, request } from './client.mjs';
import { conf } from './paths.mjs';
import { Nginx } from './nginx.mjs';
import { Voiced } from './voiced.mjs';
import { cpSync } from 'node:fs';
import { join } from 'node:path';

// `policy` is what stands beside the include of conf/voice.conf; `server` and
// `http` go into those blocks. `voiced` and `nginx` are the options of the two
// classes; voiced may be a list of options: instances of one pool. `http2`
// adds it to the TLS port, `cert` is a kind of certs.mjs. With
// VOICE_TEST_REMOTE=1 the model is not voiced's own, but a second stack's,
// unless the test has an upstream of its own.
export async function startStack(t, options) {
    const hasUpstream = [options?.voiced ?? {}].flat().some(({ settings }) => settings?.upstream);
    if (process.env.VOICE_TEST_REMOTE !== '1' || hasUpstream) {
        return startLocalStack(t, options);
    }
    const { startRemoteStack } = await import('./remote.mjs');
    return startRemoteStack(t, options);
}

export async function startLocalStack(t, { voiced: voicedOptions = {}, nginx: nginxOptions = {},
    policy = 'voice_model gpt-realtime;\nvoice_vad normal;', server = '', http = '',
    http2 = false, cert = 'good' } = {}) {
    const instances = [];
    for (const options of [voicedOptions].flat()) {
        instances.push(await Voiced.start(t, options));
    }
    const servers = instances.map((v) => `server unix:${v.socket};`).join(' ');
    const nginx = await Nginx.start(t, {
        http: ({ dir, port, tlsPort, certs }) => `
    upstream voice { ${servers} }
    upstream voice_http { ${servers} keepalive 32; keepalive_timeout 30s; }
    types { text/html html; application/json json; }
    ${http}
    server {
        listen 127.0.0.1:${port} backlog=4096;
        listen 127.0.0.1:${tlsPort} ssl${http2 ? ' http2' : ''} backlog=4096;
        ssl_certificate ${certs.pathsOf(cert).certPath};
        ssl_certificate_key ${certs.pathsOf(cert).keyPath};
        ${policy}
        ${server}
        include ${shippedConf(dir)}/voice.conf;
    }`,
        ...nginxOptions,
    });
    return new Stack(nginx, instances);
}

// The shipped configuration includes by names that are relative to the
// directory of nginx.conf, where an installation has fastcgi_params too.
function shippedConf(dir) {
    for (const name of ['voice.conf', 'voice_params']) {
        cpSync(join(conf, name), join(dir, name));
    }
    cpSync('/etc/nginx/fastcgi_params', join(dir, 'fastcgi_params'));
    return dir;
}

export class Stack {
    constructor(nginx, instances) {
        this.nginx = nginx;
        this.instances = instances;
        this.voiced = instances[0];
        this.tls = { ca: Certs.get().ca };
    }

    url(scheme, path = '/v1') {
        const port = ['https', 'wss'].includes(scheme) ? this.nginx.tlsPort : this.nginx.port;
        return `${scheme}://127.0.0.1:${port}${path}`;
    }

    // options.tls: true for wss
    connect(t, { tls = false, ...options } = {}) {
        return Client.connect(t, { port: tls ? this.nginx.tlsPort : this.nginx.port,
            tls: tls ? this.tls : undefined, ...options });
    }

    request(path, options) {
        return request(this.nginx.port, path, options);
    }
}

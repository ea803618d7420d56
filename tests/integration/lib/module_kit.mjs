// SPDX-License-Identifier: BSD-2-Clause
//
// nginx with the module in front of a scripted FastCGI peer: what most module
// tests stand on.

import { FastcgiPeer } from './fastcgi_peer.mjs';
import { Nginx } from './nginx.mjs';

// { peer, nginx, port }; options: handler of the peer, directives of the
// location, server (text in server {}), http (text before it), nginx (options
// of Nginx.start).
export async function startModule(t, { handler, directives = '', server = '', http = '',
    nginx: more = {} } = {}) {
    const peer = await FastcgiPeer.start(t, handler);
    const nginx = await Nginx.start(t, { ...more, http: ({ port, tlsPort, certs }) => `
        upstream voice { server unix:${peer.socket}; }
        ${http}
        server {
            listen 127.0.0.1:${port};
            listen 127.0.0.1:${tlsPort} ssl http2;
            ssl_certificate ${certs.certPath};
            ssl_certificate_key ${certs.keyPath};
            location = /v1/realtime { voice_pass voice; ${directives} }
            ${server}
        }` });
    return { peer, nginx, port: nginx.port, tlsPort: nginx.tlsPort, ca: nginx.certs.ca };
}

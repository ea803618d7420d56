// SPDX-License-Identifier: BSD-2-Clause
//
// nginx as an operator sets it up, in front of a voiced that sends every
// message back (bench { echo }): what the tests of nginx's own features stand
// on. The access log has one name=value a variable, so that logOf() gives an
// object.

import { Nginx } from './nginx.mjs';
import { Voiced } from './voiced.mjs';
import { RawClient } from './ws_raw.mjs';

const logged = ['status', 'request_method', 'uri', 'remote_addr', 'bytes_sent', 'body_bytes_sent',
    'request_time', 'request_length',
    'connection_requests', 'ssl_protocol', 'remote_user',
    'upstream_addr', 'upstream_status', 'upstream_connect_time', 'upstream_header_time',
    'upstream_response_time', 'upstream_bytes_sent', 'upstream_bytes_received',
    'voice_session_id', 'voice_close_code', 'voice_close_reason', 'voice_messages_up',
    'voice_messages_down', 'voice_bytes_up', 'voice_bytes_down', 'voice_rtt',
    'voice_stall_time'];

const logFormat = `log_format named '${logged.map((name) => `${name}="$${name}"`)
    .join(' ')}';`;

// { voiced, nginx, port, tlsPort, ca }. `location`: directives of
// /v1/realtime; `server`, `http`: text of those blocks; `listen`: parameters
// of both listen directives; `nginx`, `voiced`: options of the two classes.
export async function startEcho(t, { location = '', server = '', http = '', listen = '',
    access = '', nginx: nginxOptions = {}, voiced: voicedOptions = {} } = {}) {
    const voiced = await Voiced.start(t, { ...voicedOptions,
        settings: { bench: { echo: 'yes' }, ...voicedOptions.settings } });
    const nginx = await Nginx.start(t, { ...nginxOptions,
        http: (self) => {
            const { port, tlsPort, certs, accessLogPath } = self;
            const text = (value) => (typeof value === 'function' ? value(self, voiced) : value);
            return `
    ${logFormat}
    upstream voice { server unix:${voiced.socket}; }
    upstream voice_http { server unix:${voiced.socket}; keepalive 4; }
    ${text(http)}
    server {
        listen 127.0.0.1:${port} ${listen};
        listen 127.0.0.1:${tlsPort} ssl http2 ${listen};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate ${certs.certPath};
        ssl_certificate_key ${certs.keyPath};
        access_log ${accessLogPath} named ${access};
        location = /v1/realtime { voice_pass voice; ${text(location)} }
        ${text(server)}
    }`;
        } });
    return { voiced, nginx, port: nginx.port, tlsPort: nginx.tlsPort, ca: nginx.certs.ca };
}

// The line of the access log whose fields are these, as an object.
export async function logOf(nginx, fields, timeoutMs) {
    const wanted = Object.entries(fields).map(([name, value]) => `${name}="${value}"`);
    const fits = (line) => wanted.every((text) => ` ${line}`.includes(` ${text}`));
    const line = await nginx.accessLine({ test: fits, toString: () => wanted.join(' ') },
        timeoutMs);
    return Object.fromEntries([...line.matchAll(/(\w+)="([^"]*)"/g)]
        .map(([, name, value]) => [name, value]));
}

// Status, headers and body of a handshake or of any other request; an
// accepted session is cut.
export async function ask(port, options = {}) {
    const client = await RawClient.connect(port, options);
    try {
        return await client.handshake(options);
    } finally {
        client.destroy();
    }
}

// A message there and back.
export async function roundTrip(client, opcode, data) {
    client.send(opcode, data);
    for (;;) {
        const event = await client.next();
        if (event.type === 'message') {
            if (!event.data.equals(Buffer.from(data))) {
                throw new Error(`${event.data.length} bytes came back, not what was sent`);
            }
            return event;
        }
        if (event.type !== 'ping') {
            throw new Error(`${event.type} ${event.code ?? ''} came, no message`);
        }
        client.send(10, event.data);
    }
}

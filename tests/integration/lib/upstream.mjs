// SPDX-License-Identifier: BSD-2-Clause
//
// A scripted Realtime upstream: the real one's shapes, TLS with a certificate
// of the test CA, counters, and faults on demand.
//
//     const up = await Upstream.start(t, { key: 'UP-KEY', delayMs: 150 });
//     const voiced = await Voiced.start(t, up.voiced());  // settings and env
//     const conn = await up.nextConnection();
//     await conn.next('session.update');        // what it was sent
//     conn.session.hear('what time is it');     // server VAD heard this
//     conn.kill();
//
// Options: tls (true, false, or which certificate: 'good', 'wrongName',
// 'expired', 'unknown'), host, key (null: none is asked for), models (null:
// any), delayMs (before each answer), paceMs and deltaMs of responses, script
// (see upstream_session.mjs), type of session, lifeMs (then session_expired),
// onEvent(conn, event) (true: it has been dealt with), translate(event) and
// understand(event) (each gives a list of events: another dialect), path.
//
// Faults of the next connections, until accept(): refuse(status, body),
// slowLoris(), garbage(bytes), silentHandshake(), betaDisabled(). Faults of
// one connection: kill(), silence(), close(code, reason), announce(bytes),
// expire(), send(event), raw(bytes).

import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { WebSocketServer } from 'ws';
import { Certs } from './certs.mjs';
import { EventLog } from './client.mjs';
import { freePort } from './paths.mjs';
import { defer, sleep, until } from './process.mjs';
import { protect } from './secrets.mjs';
import { UpstreamHttp } from './upstream_http.mjs';
import { UpstreamSession } from './upstream_session.mjs';
import { errorBody, newId } from './upstream_shapes.mjs';

const MAX_PAYLOAD = 16 << 20;

// One WebSocket of the gateway's. As an EventLog it holds what was received.
export class Connection extends EventLog {
    sent = [];
    pings = 0;
    silent = false;

    constructor(upstream, request, ws, session, sideband) {
        super();
        Object.assign(this, { upstream, request, ws, session, sideband });
        this.socket = ws._socket;
        this.query = new URL(request.url, 'ws://x').searchParams;
        ws.on('message', (data, binary) => this.#message(data, binary));
        ws.on('ping', (data) => {
            this.pings++;
            if (!this.silent) {
                ws.pong(data);
            }
        });
        ws.on('error', (error) => { this.error = error; });
        ws.on('close', (code, reason) => {
            if (!sideband) {
                session.end();
            }
            this.end(code, reason.toString());
        });
    }

    #message(data, binary) {
        const text = data.toString();
        let event = null;
        try {
            event = binary ? null : JSON.parse(text);
        } catch { /* told below */ }
        if (event === null) {
            this.upstream.problems.push(`not JSON: ${text.slice(0, 200)}`);
            return;
        }
        this.push(event);
        if (this.upstream.options.onEvent?.(this, event)) {
            return;
        }
        for (const each of this.upstream.options.understand?.(event) ?? [event]) {
            this.session.take(each);
        }
    }

    // An event of the session; its dialect is the upstream's.
    emit(event) {
        if (this.sideband && event.type === 'response.output_audio.delta') {
            return;
        }
        for (const each of this.upstream.options.translate?.(event) ?? [event]) {
            this.send(each);
        }
    }

    // As it is, text or event.
    send(event) {
        if (this.silent || this.ws.readyState !== 1) {
            return;
        }
        this.sent.push(event);
        this.ws.send(typeof event === 'string' ? event : JSON.stringify(event));
    }

    ping(data = '') {
        this.ws.ping(data);
    }

    close(code = 1000, reason = '') {
        this.ws.close(code, reason);
        return this.waitClosed();
    }

    // The peer is gone without a word: FIN, or RST.
    kill({ reset = false } = {}) {
        if (reset && this.socket.resetAndDestroy && !this.socket.encrypted) {
            this.socket.resetAndDestroy();
        } else {
            this.socket.destroy();
        }
    }

    // Neither pong nor byte any more, as a host that lost its power; the
    // gateway giving up is still noticed.
    silence() {
        this.silent = true;
        this.session.end();
        this.socket.removeAllListeners('data');
        this.socket.on('data', () => {});
        this.socket.on('end', () => this.socket.destroy());
    }

    raw(bytes) {
        this.socket.write(bytes);
    }

    // The head of a text frame of so many bytes, and a little of it.
    announce(bytes = 1 << 30) {
        const head = Buffer.alloc(10);
        head[0] = 0x81;
        head[1] = 127;
        head.writeBigUInt64BE(BigInt(bytes), 2);
        this.raw(Buffer.concat([head, Buffer.from('{"type":')]));
    }

    // The end of the 60 minutes.
    expire() {
        const message = 'Your session hit the maximum duration of 60 minutes.';
        this.session.fail({ code: 'session_expired', message });
        return this.close(1001, message);
    }

    get types() {
        return this.events.map((event) => event.type);
    }
}

export class Upstream {
    connections = [];  // Connection, in order
    requests = [];     // { method, url, headers, body, status }: all of them
    problems = [];     // what no gateway may send
    sockets = 0;       // TCP connections
    handshakes = 0;    // upgrades asked for
    tlsErrors = [];
    resumed = 0;       // TLS sessions that were resumed
    protocols = [];    // what ALPN agreed on, of each TLS connection
    #fault = null;
    #open = new Set();
    #taken = 0;

    static async start(t, options = {}) {
        const up = new Upstream(options);
        up.port = options.port ?? await freePort();
        await new Promise((done, fail) => {
            up.server.once('error', fail);
            up.server.listen(up.port, up.host, done);
        });
        defer(t, () => up.#teardown());
        return up;
    }

    constructor(options) {
        this.options = { tls: true, host: '127.0.0.1', key: 'sk-upstream-marker-4711', models: null,
            delayMs: 0, path: '/v1/realtime', ...options };
        this.host = this.options.host;
        this.certs = Certs.get();
        this.http = new UpstreamHttp(this);
        this.#listen();
        this.wss = new WebSocketServer({ noServer: true, autoPong: false,
            maxPayload: MAX_PAYLOAD, perMessageDeflate: false,
            handleProtocols: (set) => (set.has('realtime') ? 'realtime' : false) });
    }

    #listen() {
        const { tls } = this.options;
        const onRequest = (request, response) => this.#request(request, response);
        this.server = tls ? createHttps({ ...this.certs.of(tls === true ? 'good' : tls),
            ALPNProtocols: ['http/1.1'] }, onRequest) : createHttp(onRequest);
        this.server.on('connection', (socket) => {
            this.sockets++;
            this.#open.add(socket);
            socket.on('close', () => this.#open.delete(socket));
            socket.on('error', () => {});
        });
        this.server.on('secureConnection', (socket) => {
            this.resumed += socket.isSessionReused() ? 1 : 0;
            this.protocols.push(socket.alpnProtocol);
            socket.on('error', () => {});
        });
        this.server.on('tlsClientError', (error) => this.tlsErrors.push(error.message));
        this.server.on('upgrade', (request, socket, head) =>
            this.#upgrade(request, socket, head).catch((error) => {
                this.problems.push(`upgrade: ${error.stack}`);
                socket.destroy();
            }));
    }

    // --- where it is, for the gateway

    url(scheme = this.options.tls ? 'wss' : 'ws', path = this.options.path) {
        const host = this.host.includes(':') ? `[${this.host}]` : this.host;
        return `${scheme}://${host}:${this.port}${path}`;
    }

    httpUrl(path) {
        return this.url(this.options.tls ? 'https' : 'http', path);
    }

    // The inside of `upstream NAME { … }`.
    section(more = {}) {
        protect(this.options.key);
        return { url: this.url(), key_env: 'UP_KEY',
            ...(this.options.tls && { ca_file: this.certs.caPath }), ...more };
    }

    // Options for Voiced.start: this is the upstream `main`. No link is kept
    // warm unless `settings` says so: a connection is a session.
    voiced({ settings = {}, env = {}, upstream = {}, ...more } = {}) {
        protect(this.options.key);
        return { ...more, env: { UP_KEY: this.options.key ?? '', ...env },
            settings: { warm: { links: 0 }, ...settings,
                upstream: { main: this.section(upstream), ...settings.upstream } } };
    }

    // --- connections

    // The next that no caller has had yet.
    async nextConnection(timeoutMs = 10000) {
        const at = this.#taken++;
        await until(() => this.connections.length > at, `connection ${at + 1} of the upstream`,
            timeoutMs);
        return this.connections[at];
    }

    get live() {
        return this.connections.filter((conn) => !conn.closed);
    }

    killAll(options) {
        this.live.forEach((conn) => conn.kill(options));
    }

    // --- faults of what comes next

    accept() { this.#fault = null; }

    refuse(status, body, headers = {}) { this.#fault = { refuse: status, body, headers }; }

    slowLoris(everyMs = 1000) { this.#fault = { loris: everyMs }; }

    garbage(bytes = Buffer.alloc(4096, 0xa5)) { this.#fault = { garbage: bytes }; }

    silentHandshake() { this.#fault = { mute: true }; }

    betaDisabled() { this.#fault = { beta: true }; }

    // --- requests

    // The key of a request, wherever it stands.
    static keyOf(headers) {
        const offered = (headers['sec-websocket-protocol'] ?? '').split(',')
            .map((each) => each.trim()).find((each) => each.startsWith('openai-insecure-api-key.'));
        return /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1] ?? headers['api-key'] ??
            offered?.slice('openai-insecure-api-key.'.length) ?? '';
    }

    // What refuses a request whoever it is for: [status, body] or null. The
    // whole key in the text is worse than real ones: none may pass it on.
    judge(request) {
        const { refuse, body, headers } = this.#fault ?? {};
        const key = Upstream.keyOf(request.headers);
        const asked = this.options.key;
        const wrong = errorBody('invalid_api_key', `Incorrect API key provided: ${key}. You can ` +
            'find your API key at https://platform.openai.com/account/api-keys.');
        if (refuse) {
            return [refuse, body ?? (refuse === 401 ? wrong : errorBody(null,
                `The server said ${refuse} to ${key}.`, { type: 'server_error' })), headers];
        }
        return asked === null || key === asked || this.http.secretOf(key) ? null : [401, wrong];
    }

    #note(request) {
        const entry = { method: request.method, url: request.url, headers: request.headers };
        this.requests.push(entry);
        return entry;
    }

    async #request(request, response) {
        const entry = this.#note(request);
        const chunks = [];
        for await (const chunk of request) {
            chunks.push(chunk);
        }
        entry.body = Buffer.concat(chunks).toString();
        await sleep(this.options.delayMs);
        const [status, body, headers] = this.judge(request) ?? this.http.answer(request, entry);
        entry.status = status;
        const text = typeof body === 'string' ? body : JSON.stringify(body);
        response.writeHead(status, { 'content-type': typeof body === 'string'
            ? 'text/plain; charset=utf-8' : 'application/json',
        'x-request-id': newId('req_'), 'content-length': Buffer.byteLength(text), ...headers });
        response.end(text);
    }

    // [status, body] for an upgrade that names nothing there is, or null.
    #unknown(url) {
        const { models } = this.options;
        const model = url.searchParams.get('model');
        const callId = url.searchParams.get('call_id');
        if (callId !== null) {
            return this.http.liveCall(callId) ? null : [404, errorBody('call_id_not_found',
                `No session found for call_id ${callId}`)];
        }
        if (!/\/realtime\/?$/.test(url.pathname)) {
            return [404, errorBody(null, `Invalid URL (GET ${url.pathname})`)];
        }
        return models && model !== null && !models.includes(model)
            ? [404, errorBody('model_not_found', `The model \`${model}\` does not exist or you ` +
                'do not have access to it.')] : null;
    }

    async #upgrade(request, socket, head) {
        const entry = this.#note(request);
        this.handshakes++;
        await sleep(this.options.delayMs);
        const fault = this.#fault ?? {};
        if (fault.mute) {
            return;
        }
        if (fault.garbage !== undefined) {
            socket.end(fault.garbage);
            return;
        }
        if (fault.loris) {
            await this.#drip(socket, fault.loris);
            return;
        }
        const no = this.judge(request) ?? this.#unknown(new URL(request.url, 'ws://x'));
        entry.status = no ? no[0] : 101;
        if (no) {
            Upstream.#refuseUpgrade(socket, ...no);
            return;
        }
        this.wss.handleUpgrade(request, socket, head, (ws) => this.#opened(request, ws, fault));
    }

    static #refuseUpgrade(socket, status, body, headers = {}) {
        const text = typeof body === 'string' ? body : JSON.stringify(body);
        const all = { 'content-type': 'application/json', 'x-request-id': newId('req_'),
            'content-length': Buffer.byteLength(text), connection: 'close', ...headers };
        socket.end(`HTTP/1.1 ${status} No\r\n` + Object.entries(all)
            .map(([name, value]) => `${name}: ${value}\r\n`).join('') + `\r\n${text}`);
    }

    async #drip(socket, everyMs) {
        const text = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n';
        for (let i = 0; i < 10 * text.length && !socket.destroyed; i++) {
            socket.write(text[i % text.length]);
            await sleep(everyMs);
        }
    }

    #opened(request, ws, fault) {
        const url = new URL(request.url, 'ws://x');
        const call = this.http.liveCall(url.searchParams.get('call_id') ?? '');
        const listeners = [];
        const session = call?.session ?? this.newSession({
            model: url.searchParams.get('model') ?? this.http.modelOf(request.headers),
            type: url.searchParams.get('intent') === 'transcription' ? 'transcription' : undefined,
            emit: (event) => listeners.forEach((each) => each.emit(event)) });
        const conn = new Connection(this, request, ws, session, Boolean(call));
        (call?.listeners ?? listeners).push(conn);
        this.connections.push(conn);
        if (fault.beta || (!this.options.understand && isBeta(request))) {
            refuseBeta(conn);
        } else if (!call && this.options.greet !== false) {
            session.begin();
        }
        if (this.options.lifeMs) {
            const timer = setTimeout(() => conn.expire().catch(() => {}), this.options.lifeMs);
            ws.on('close', () => clearTimeout(timer));
        }
        this.options.onConnection?.(conn);
    }

    newSession(fields) {
        const { script, paceMs, deltaMs, lifeMs } = this.options;
        return new UpstreamSession({ paceMs, deltaMs, lifeMs, ...(script && { script }), ...fields });
    }

    // Everything that was received, as text, to look for something in.
    received() {
        return JSON.stringify([this.requests, this.connections.map((conn) => conn.events)]);
    }

    // Stops listening and cuts all: nobody is there any more. restart() is
    // there again, on the same port.
    async stop() {
        this.#open.forEach((socket) => socket.destroy());
        await new Promise((done) => this.server.close(done));
    }

    async restart() {
        this.#listen();
        await new Promise((done) => this.server.listen(this.port, this.host, done));
    }

    async #teardown() {
        this.connections.forEach((conn) => conn.session.end());
        if (this.server.listening) {
            await this.stop();
        }
        const broken = this.connections.map((conn) => conn.session.broken).filter(Boolean);
        if (broken.length > 0) {
            throw broken[0];
        }
        if (this.problems.length > 0) {
            throw new Error(`upstream: ${this.problems.slice(0, 5).join('\n')}`);
        }
    }
}

function isBeta(request) {
    return /realtime=v1/.test(request.headers['openai-beta'] ?? '') ||
        /openai-beta\./.test(request.headers['sec-websocket-protocol'] ?? '');
}

function refuseBeta(conn) {
    conn.session.fail({ code: 'beta_api_shape_disabled', message: 'The Realtime Beta API is no ' +
        'longer supported. Please use /v1/realtime for the GA API.' });
    conn.close(4000, 'invalid_request_error.beta_api_shape_disabled').catch(() => {});
}

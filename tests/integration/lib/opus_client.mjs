// SPDX-License-Identifier: BSD-2-Clause
//
// A client of subprotocol voice.opus.v1: speaks and hears Opus beside Realtime
// events, plays by the clock, and reports.
//
//     const client = await OpusClient.connect(t, { port: nginx.port });
//     client.voice                       the voice.session event
//     await client.say(pcm);             as a microphone does; { pace: 0 }: at once
//     client.player.pcm()                what was heard
//     client.log                         [{ at, packet } | { at, event }] in order
//     await client.comeBack();           another connection, the same session
//
// `dialect: 'beta'`: events of the API are not looked at.
// It sends voice.stats first of all, every second (statsMs), and after
// voice.playout.clear (`stats: false`: never; statsWithout: names left out).
// `clears` holds where the player was at each clear.

import WebSocket from 'ws';
import { Talker } from './client.mjs';
import { watchLag } from './lag.mjs';
import { OpusEncoder } from './opus_codec.mjs';
import { checkExtension, checkNoAudio, isExtension } from './opus_events.mjs';
import { Player } from './opus_player.mjs';
import { defer, sleep } from './process.mjs';
import { REST, START, packetSamples, readPacket, writePacket } from './voice_packet.mjs';
import { RATE } from './wav.mjs';

export const OPUS = 'voice.opus.v1';
const DTX_BYTES = 2; // packets of no more are not sent

export class OpusClient extends Talker {
    log = [];
    clears = [];        // { at, position, event }
    told = [];          // every voice.stats that was sent
    rttMs = null;
    sentPackets = 0;
    player = new Player();
    #problems = [];
    #ids = new Set();
    #asked = new Map(); // event_id of voice.stats → when
    #reports = 0;
    #reported = { underruns: 0, packets: 0, lost: 0 };
    #sequence = Math.floor(Math.random() * 65536);
    #timestamp = Math.floor(Math.random() * 2 ** 32);
    #encoder;
    #timer;

    static async connect(t, options) {
        const client = new OpusClient(options);
        defer(t, () => client.teardown());
        await client.opened;
        return client;
    }

    constructor({ port, host = '127.0.0.1', tls, path = '/v1/realtime?model=gpt-realtime',
        protocols = [OPUS, 'realtime'], headers = {}, key, stats = true, statsMs = 1000,
        statsWithout = [], encoder = {}, ws = {}, dialect = 'ga' }) {
        super();
        this.dialect = dialect;
        watchLag();
        this.target = { port, host, tls, protocols, ws,
            headers: { ...(key !== undefined && { Authorization: `Bearer ${key}` }), ...headers } };
        this.stats = stats;
        this.statsWithout = statsWithout;
        this.#encoder = new OpusEncoder(encoder);
        this.#timer = setInterval(() => this.#tick(), statsMs).unref();
        this.opened = this.#open(path);
    }

    #open(path) {
        const { port, host, tls, protocols, headers, ws } = this.target;
        const socket = new WebSocket(`${tls ? 'wss' : 'ws'}://${host}:${port}${path}`, protocols,
            { headers, perMessageDeflate: false, ...tls, ...ws });
        this.socket = socket;
        this.path = path;
        socket.on('upgrade', (response) => { this.responseHeaders = response.headers; });
        socket.on('message', (data, isBinary) => this.#message(data, isBinary));
        socket.on('error', () => {});
        socket.on('close', (code, reason) => {
            if (this.socket === socket) {
                this.end(code, reason.toString());
            }
        });
        return new Promise((done, fail) => {
            socket.once('open', () => done(this));
            socket.once('error', fail);
        });
    }

    get protocol() {
        return this.socket.protocol;
    }

    get sessionId() {
        return this.responseHeaders['x-voice-session'];
    }

    get packets() {
        return this.log.filter(({ packet }) => packet)
            .map(({ at, packet }) => ({ at, ...packet }));
    }

    // --- what comes

    #message(data, isBinary) {
        const at = performance.now();
        if (!isBinary) {
            const event = JSON.parse(data.toString());
            this.log.push({ at, event });
            this.receive(event);
            return;
        }
        try {
            const packet = readPacket(data);
            const news = this.player.push(packet, at);
            this.log.push({ at, packet: { ...packet, ...news, bytes: data.length,
                samples: packetSamples(packet.body) } });
        } catch (error) {
            this.#problems.push(error.message);
        }
    }

    receive(event) {
        this.#problems.push(...checkNoAudio(event));
        if (!isExtension(event)) {
            if (this.dialect === 'ga') {
                super.receive(event);
            } else {
                this.push(event);
            }
            return;
        }
        const wrong = checkExtension(event);
        this.#problems.push(...wrong);
        if (this.#ids.has(event.event_id)) {
            this.#problems.push(`event_id seen before: ${JSON.stringify(event)}`);
        }
        this.#ids.add(event.event_id);
        if (wrong.length === 0) {
            this.#heed(event);
        }
        this.push(event);
    }

    #heed(event) {
        const handlers = {
            'voice.session': () => {
                this.voice = event;
                this.player.targetMs = event.buffer.target_ms;
                this.report();
            },
            'voice.quality': () => this.#quality(event),
            'voice.playout.clear': () => {
                const at = performance.now();
                this.clears.push({ at, position: this.player.clear(at), event });
                this.report({ reply_to: event.event_id });
            },
            'output_audio_buffer.stopped': () => this.player.finish(),
        };
        handlers[event.type]?.();
    }

    #quality(event) {
        this.player.targetMs = event.buffer_target_ms;
        this.#encoder.configure({ bitrate: event.bitrate, loss: event.expected_loss });
        const asked = this.#asked.get(event.reply_to);
        if (asked !== undefined) {
            this.rttMs = performance.now() - asked;
            this.#asked.delete(event.reply_to);
        }
    }

    // --- reports

    #tick() {
        if (this.socket?.readyState === WebSocket.OPEN) {
            this.report();
        }
    }

    // A voice.stats with what is known; its event_id. `fields` replace some.
    report(fields = {}, { always = false } = {}) {
        if (!this.stats && !always) {
            return null;
        }
        const { underruns, packets, lost } = this.player;
        const since = this.#reported;
        const expected = packets + lost - since.packets - since.lost;
        const eventId = `stats_${++this.#reports}`;
        this.#asked.set(eventId, performance.now());
        const stats = { type: 'voice.stats', event_id: eventId,
            ...(this.rttMs !== null && { rtt_ms: Math.round(this.rttMs) }),
            jitter_ms: Math.round(this.player.jitter()), underruns: underruns - since.underruns,
            loss: expected > 0 ? (lost - since.lost) / expected : 0,
            played_ms: this.player.playedMs(), ...fields };
        this.statsWithout.forEach((name) => delete stats[name]);
        this.send(stats);
        this.told.push(stats);
        this.#reported = { underruns, packets, lost };
        return eventId;
    }

    // --- what is said

    // `skip(i)`: whether the i-th packet is made and never sent.
    async say(pcm, { pace = 1, skip = () => false } = {}) {
        const { frame } = this.#encoder;
        this.#encoder.reset();
        const begin = performance.now();
        let flags = START;
        for (let i = 0; i * frame < pcm.length; i++) {
            const { packet, rests } = this.#encoder.encode(
                pcm.subarray(i * frame, (i + 1) * frame));
            if (packet.length > DTX_BYTES) {
                if (!skip(i)) {
                    this.sendPacket(packet, flags | (rests ? REST : 0));
                    flags = 0;
                }
                this.#sequence = (this.#sequence + 1) & 0xffff;
            }
            this.#timestamp = (this.#timestamp + frame * 48000 / RATE) >>> 0;
            const early = begin + pace * (i + 1) * frame * 1000 / RATE - performance.now();
            if (early > 1) {
                await sleep(early);
            }
        }
    }

    // With the next place; the caller moves it.
    sendPacket(body, flags = 0) {
        this.sentPackets++;
        this.sendBinary(writePacket({ flags, sequence: this.#sequence,
            timestamp: this.#timestamp, body }));
    }

    sendBinary(message) {
        this.socket.send(message, { binary: true });
    }

    // --- the connection

    transmit(text) {
        this.socket.send(text);
    }

    hangUp(code, reason) {
        this.socket.close(code, reason);
    }

    kill() {
        this.socket.terminate();
    }

    // Cuts the connection and comes back from the last event that was read.
    async comeBack() {
        const from = this.socket;
        from.removeAllListeners('message');
        if (from.readyState !== WebSocket.CLOSED) {
            const cut = new Promise((done) => from.once('close', done));
            this.socket = null;
            from.terminate();
            await cut;
        }
        this.closed = null;
        const { event_id: after } = this.events.at(-1);
        await this.#open(`/v1/realtime?resume=${this.voice.resume_token}&after=${after}`);
    }

    assertValid() {
        if (this.#problems.length > 0) {
            throw new Error(`events: ${this.#problems.slice(0, 10).join('\n')}`);
        }
        super.assertValid();
    }

    async teardown() {
        clearInterval(this.#timer);
        await super.teardown();
    }
}

// SPDX-License-Identifier: BSD-2-Clause
//
// The tests' own Opus client, its player and the bad line, against a server
// that is a few lines long: what the other opus_* tests rely on.

import assert from 'node:assert/strict';
import { createConnection, createServer } from 'node:net';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { Impair } from './lib/impair.mjs';
import { OPUS, OpusClient } from './lib/opus_client.mjs';
import { OpusDecoder, OpusEncoder } from './lib/opus_codec.mjs';
import { Player } from './lib/opus_player.mjs';
import { freePort } from './lib/paths.mjs';
import { defer, sleep, until } from './lib/process.mjs';
import { compare, soundMs, speech } from './lib/sound.mjs';
import { newId, newSession } from './lib/upstream_shapes.mjs';
import { REST, START, packetSamples, readPacket, writePacket } from './lib/voice_packet.mjs';
import { joinPcm, silence } from './lib/wav.mjs';

const frames = (pcm, options = {}) => {
    const encoder = new OpusEncoder(options);
    return Array.from({ length: Math.ceil(pcm.length / encoder.frame) }, (_, i) =>
        encoder.encode(pcm.subarray(i * encoder.frame, (i + 1) * encoder.frame)));
};

test('R2.3 the other codec: speech comes back, silence need not be sent', () => {
    const said = speech(3000);
    for (const frameMs of [10, 20]) {
        const decoder = new OpusDecoder();
        const all = frames(said, { frameMs });
        assert.ok(all.every(({ packet }) => packetSamples(packet) === 48 * frameMs));
        const { correlation } = compare(said, joinPcm(...all.map(({ packet }) =>
            decoder.decode(packet))));
        assert.ok(correlation > 0.7, `${frameMs} ms: ${correlation}`);
    }
    const quiet = frames(joinPcm(said, silence(2000))).slice(150);
    assert.ok(quiet.filter(({ packet }) => packet.length <= 2).length > 70);
    const { packet } = frames(said)[20];
    const decoder = new OpusDecoder();
    assert.equal(decoder.conceal(480).length, 480);
    assert.equal(decoder.conceal(480, packet).length, 480);
    const head = { flags: REST, sequence: 65535, timestamp: 2 ** 32 - 1 };
    const message = writePacket({ ...head, body: packet });
    assert.deepEqual(readPacket(message), { ...head, body: message.subarray(8) });
});

test('R2.4 the player: plays at once, waits after an underrun, conceals, rests, clears', () => {
    const player = new Player(60);
    const bodies = frames(speech(3000)).map(({ packet }) => packet);
    const push = (i, now, flags = 0, skipped = 0) => player.push(
        { flags, sequence: i - skipped, timestamp: i * 960, body: bodies[i] }, now);
    push(0, 1000, START);
    push(1, 1000);
    assert.equal(player.position(1000), 0);
    assert.equal(player.playedMs(1025), 25);
    assert.equal(player.playedMs(1500), 40, 'no more than there is');
    push(2, 1500);
    assert.equal(player.underruns, 1);
    assert.equal(player.playedMs(1540), 40, 'it waits');
    assert.equal(player.playedMs(1570), 50);
    assert.deepEqual(push(4, 1572), { lost: 1, rest: 0 });
    assert.equal(player.lost, 1);
    assert.equal(player.queuedMs(1570), 50);
    push(5, 1590, REST);
    assert.equal(player.playedMs(1740), 220, 'silence passes');
    assert.deepEqual(push(20, 1750, 0, 14), { lost: 0, rest: 14 * 960 });
    assert.equal(player.underruns, 1);
    assert.equal(player.playedMs(1760), 240);
    assert.equal(player.clear(1930) / 48, 410);
    assert.equal(player.playedMs(2100), 410);
    assert.equal(player.jitter(), 480, 'of the third');
    assert.equal(player.jitter(), 0);
    push(30, 2200, START, 24);
    assert.equal(player.playedMs(2210), 610);
    assert.equal(player.underruns, 1);
    assert.equal(player.pcm().length, 480 * (21 + 1));
});

// Says what it is told to, and keeps what it gets.
async function fakeServer(t) {
    const server = { got: [], packets: [] };
    const wss = new WebSocketServer({ port: await freePort(), host: '127.0.0.1',
        handleProtocols: (offered) => offered.has(OPUS) && OPUS });
    await new Promise((done) => wss.once('listening', done));
    server.port = wss.address().port;
    wss.on('connection', (ws) => {
        server.ws = ws;
        ws.on('message', (data, isBinary) => (isBinary ? server.packets.push(readPacket(data))
            : server.heed(JSON.parse(data.toString()))));
        server.send('voice.session', { session_id: 'sess_x', resume_token: null,
            resume_grace_ms: 0, opus: { bitrate: 24000, ptime_ms: 20, fec: true, dtx: true },
            buffer: { profile: 'balanced', target_ms: 80 } });
        server.send('session.created', { session: newSession({ model: 'm' }) });
    });
    server.send = (type, fields = {}) => server.ws.send(JSON.stringify({ type,
        event_id: newId('event_'), ...fields }));
    server.heed = (event) => {
        server.got.push(event);
        if (event.type === 'voice.stats') {
            server.send('voice.quality', { level: 'high', bitrate: 24000, expected_loss: 5,
                buffer_target_ms: 80, buffer_profile: 'balanced', reply_to: event.event_id });
        }
    };
    defer(t, () => new Promise((done) => {
        wss.clients.forEach((ws) => ws.terminate());
        wss.close(done);
    }));
    return server;
}

test('R2.4 the client: hears, plays by the clock, reports, says', async (t) => {
    const server = await fakeServer(t);
    const client = await OpusClient.connect(t, { port: server.port });
    assert.equal(client.protocol, OPUS);
    await client.next('voice.session');
    await client.next('session.created');
    const said = speech(1000);
    frames(said).forEach(({ packet }, i) => server.ws.send(writePacket({
        flags: i ? 0 : START, sequence: i, timestamp: 960 * i, body: packet })));
    await until(() => client.packets.length === 50, 'packets');
    assert.ok(compare(said, client.player.pcm()).correlation > 0.7);
    await sleep(200);
    server.send('voice.playout.clear');
    await client.next('voice.playout.clear');
    const [{ position }] = client.clears;
    assert.ok(position > 0 && position < 48000, `${position}`);
    const { event_id: clear } = client.clears[0].event;
    const stats = await until(() => server.got.find((event) => event.reply_to === clear),
        'the report');
    await client.waitFor('voice.quality', (event) => event.reply_to === stats.event_id);
    assert.equal(stats.played_ms, Math.round(position / 48));
    assert.ok(client.rttMs > 0);

    await client.say(joinPcm(said, silence(800), said), { pace: 0 });
    await until(() => server.packets.length === client.sentPackets, 'packets');
    assert.ok(server.packets.length < 120, `${server.packets.length} of 140 were sent`);
    const player = new Player();
    const news = server.packets.map((packet) => player.push(packet, 0));
    assert.ok(news.some(({ rest }) => rest > 960 * 10), 'a rest');
    assert.equal(player.lost, 0);
    assert.equal(player.pcm().length, 24000 * 2.8);
    assert.ok(compare(said, player.pcm().subarray(24000 * 1.8)).correlation > 0.7);
    const before = server.packets.length;
    await client.say(said, { pace: 0, skip: (i) => i % 5 === 3 });
    await until(() => server.packets.length === before + 40, 'packets');
    server.packets.slice(before).forEach((packet) => player.push(packet, 0));
    assert.equal(player.lost, 10);
});

test('R2.4 the client finds what no server may send', async (t) => {
    const server = await fakeServer(t);
    const client = new OpusClient({ port: server.port, stats: false });
    await client.opened;
    await client.next('session.created');
    server.send('voice.quality', { level: 'superb' });
    server.send('output_audio_buffer.started', { response_id: 'resp_1', delta: 'AAAA' });
    server.ws.send(Buffer.from('garbage in here'));
    await until(() => client.events.length === 4, 'events');
    await until(() => {
        try {
            client.assertValid();
            return false;
        } catch ({ message }) {
            return /superb|level/.test(message) && /started/.test(message) &&
                /not a packet/.test(message);
        }
    }, 'problems');
    await client.teardown().catch(() => {});
});

// --- the line

async function echoServer(t) {
    const sockets = new Set();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
        sockets.add(socket);
        socket.pipe(socket);
        socket.on('error', () => {});
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    defer(t, () => new Promise((done) => {
        sockets.forEach((socket) => socket.destroy());
        server.close(done);
    }));
    return server.address().port;
}

function connectTo(t, port) {
    const socket = createConnection({ port, host: '127.0.0.1', allowHalfOpen: true });
    const got = [];
    const end = { got, socket, bytes: 0, at: [] };
    socket.on('data', (data) => {
        got.push(data);
        end.bytes += data.length;
        end.at.push(performance.now());
    });
    socket.on('error', () => {});
    socket.setNoDelay(true);
    end.finished = new Promise((done) => socket.once('end', done));
    defer(t, () => socket.destroy());
    return end;
}

test('R6.3 the line keeps every byte in its place, whatever it does', async (t) => {
    const line = await Impair.start(t, { to: { port: await echoServer(t) } });
    const end = connectTo(t, line.port);
    const sent = Buffer.from(Array.from({ length: 300000 }, (_, i) => i * 31 % 251));
    line.set({ delayMs: 20, jitterMs: 30, stallMs: 100, everyMs: 300 });
    for (let at = 0; at < sent.length; at += 1000) {
        end.socket.write(sent.subarray(at, at + 1000));
        if (at % 50000 === 0) {
            await sleep(10);
            line.set({ bytesPerS: at % 100000 ? Infinity : 400000 }, 'down');
        }
    }
    end.socket.end();
    await end.finished;
    assert.deepEqual(Buffer.concat(end.got), sent);
});

test('R6.3 the line delays, stalls, freezes, and cuts', async (t) => {
    const line = await Impair.start(t, { to: { port: await echoServer(t) }, delayMs: 60 });
    const end = connectTo(t, line.port);
    let sent = 0;
    const roundTrip = async () => {
        const begin = performance.now();
        end.socket.write('x');
        sent++;
        await until(() => end.bytes === sent, 'a byte');
        return performance.now() - begin;
    };
    assert.ok(await roundTrip() >= 119);
    line.clear();
    assert.ok(await roundTrip() < 119);
    line.set({ stallMs: 200, everyMs: 250 }, 'down');
    for (let i = 0; i < 40; i++) {
        end.socket.write('x');
        sent++;
        await sleep(15);
    }
    const gaps = end.at.slice(3).map((at, i) => at - end.at[i + 2]);
    assert.ok(Math.max(...gaps) > 120, `${gaps}`);
    line.clear();
    await roundTrip();
    line.freeze('up');
    const { bytes } = end;
    end.socket.write('y');
    await sleep(100);
    assert.equal(end.bytes, bytes);
    line.thaw('up');
    await until(() => end.bytes === bytes + 1, 'the byte');
    line.cut();
    await new Promise((done) => end.socket.once('close', done));
});

test('R6.3 a slow line is felt by the sender', async (t) => {
    const sockets = [];
    let sent = 0;
    const path = `${process.env.VOICE_RUN_DIR ?? '/tmp'}/slow-${process.pid}.sock`;
    const server = createServer((socket) => {
        sockets.push(socket);
        socket.on('error', () => {});
        const fill = () => {
            while (socket.write(Buffer.alloc(1000), () => { sent += 1000; })) { /* goes on */ }
        };
        socket.on('drain', fill);
        fill();
    });
    await new Promise((done) => server.listen(path, done));
    defer(t, () => new Promise((done) => {
        sockets.forEach((socket) => socket.destroy());
        server.close(done);
    }));
    const line = await Impair.start(t, { to: { path }, bytesPerS: 20000 });
    const end = connectTo(t, line.port);
    const begin = performance.now();
    await until(() => end.bytes > 15000, 'bytes');
    const took = performance.now() - begin;
    assert.ok(end.bytes < 20 * took + 4096, `${end.bytes} in ${took} ms`);
    assert.ok(sent - end.bytes < 400000, `${sent - end.bytes} bytes are under way`);
});

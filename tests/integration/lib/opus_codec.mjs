// SPDX-License-Identifier: BSD-2-Clause
//
// Another Opus than the gateway's: libopus as WebAssembly, of the package
// @evan/opus, at 24 kHz mono. Only its bytes are used, since what it wraps
// them in has neither FEC nor concealment.
//
//     const packet = encoder.encode(pcm);      // Uint8Array, or null: DTX
//     const pcm = decoder.decode(packet);
//     const made = decoder.conceal(480, next); // from next's FEC if it has any

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { RATE } from './wav.mjs';

const VOIP = 2048;
const SET = { bitrate: 4002, complexity: 4010, fec: 4012, loss: 4014, dtx: 4016 };
const IN_DTX = 4049;
const RESET = 4028;
const PACKET_MAX = 7657;
const SAMPLES_MAX = RATE * 120 / 1000;

const lib = instantiate();

function instantiate() {
    const path = createRequire(import.meta.url).resolve('@evan/opus/wasm/opus.wasm');
    const nothing = () => 0;
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(path)), {
        env: { emscripten_notify_memory_growth: nothing },
        wasi_snapshot_preview1: { fd_seek: nothing, fd_write: nothing, fd_close: nothing,
            proc_exit: nothing } });
    exports._initialize();
    return exports;
}

const packetAt = lib.malloc(PACKET_MAX);
const pcmAt = lib.malloc(2 * SAMPLES_MAX);

// The memory may have grown since the last look.
const bytesAt = (at, length) => new Uint8Array(lib.memory.buffer, at, length);
const samplesAt = (at, length) => new Int16Array(lib.memory.buffer, at, length);

function checked(result) {
    if (result < 0) {
        throw new Error(`opus: error ${result}`);
    }
    return result;
}

const states = new FinalizationRegistry((at) => lib.free(at));

function newState(owner, bytes, init) {
    const at = lib.malloc(bytes);
    checked(init(at));
    states.register(owner, at);
    return at;
}

export class OpusEncoder {
    #at;

    constructor({ frameMs = 20, bitrate = 24000, complexity = 5, loss = 10, fec = true,
        dtx = true } = {}) {
        this.#at = newState(this, lib.opus_encoder_get_size(1),
            (at) => lib.opus_encoder_init(at, RATE, 1, VOIP));
        this.frame = RATE * frameMs / 1000;
        this.configure({ bitrate, complexity, loss, fec: Number(fec), dtx: Number(dtx) });
    }

    configure(settings) {
        for (const [name, value] of Object.entries(settings)) {
            checked(lib.opus_encoder_ctl_set(this.#at, SET[name], value));
        }
    }

    reset() {
        checked(lib.opus_encoder_ctl_set(this.#at, RESET, 0));
    }

    // A packet of one frame, short ones filled with silence. { packet, rests }:
    // whether it is one of a silence that need not be sent.
    encode(pcm) {
        const input = samplesAt(pcmAt, this.frame);
        input.fill(0);
        input.set(pcm.subarray(0, this.frame));
        const bytes = checked(lib.opus_encode(this.#at, pcmAt, this.frame, packetAt, PACKET_MAX));
        return { packet: bytesAt(packetAt, bytes).slice(),
            rests: lib.opus_encoder_ctl_get(this.#at, IN_DTX) === 1 };
    }
}

export class OpusDecoder {
    #at;

    constructor() {
        this.#at = newState(this, lib.opus_decoder_get_size(1),
            (at) => lib.opus_decoder_init(at, RATE, 1));
    }

    #run(packet, samples, fec) {
        if (packet) {
            bytesAt(packetAt, packet.length).set(packet);
        }
        const got = checked(lib.opus_decode(this.#at, packet ? packetAt : 0,
            packet?.length ?? 0, pcmAt, samples, fec));
        return samplesAt(pcmAt, got).slice();
    }

    decode(packet) {
        return this.#run(packet, SAMPLES_MAX, 0);
    }

    // So many samples (a multiple of 2.5 ms, at most 120 ms) that never came;
    // `next` is the packet behind them.
    conceal(samples, next) {
        return next ? this.#run(next, samples, 1) : this.#run(null, samples, 0);
    }

    reset() {
        checked(lib.opus_decoder_ctl_set(this.#at, RESET, 0));
    }
}

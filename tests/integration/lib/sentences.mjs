// SPDX-License-Identifier: BSD-2-Clause
//
// Sentences that the offline model knows, spoken in several voices.
//
//     for (const { text, pcm } of speakAll('slt', SENTENCES.slice(0, 12))) …

import { spawnSync } from 'node:child_process';
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { build, makeDir, speechPlugin } from './paths.mjs';
import { RATE, joinPcm, readWav, silence, writeWav } from './wav.mjs';

const PLAIN = ['what time is it', 'what time is it now', 'what is the time',
    'tell me what time it is', 'do you know what time it is', 'what is the date today',
    'what date is it', "what is today's date", 'tell me the date', 'what day is it today',
    'what day of the week is it', 'tell me the day', 'tell me a story', 'tell me a short story',
    'read me a long story', 'i want to hear a story', 'tell me a joke', 'say a joke',
    'hello there', 'good morning', 'good afternoon', 'good evening', 'how are you today',
    'who are you', 'what is your name', 'what can you do', 'what do you understand',
    'what tools do you have', 'list your tools', 'what is the weather',
    'what is the weather like today', 'how is the weather today', 'say that again',
    'what did you say', 'thank you very much', 'goodbye', 'see you later', 'good night',
    'stop talking', 'be quiet', 'that is enough', 'never mind'];
const NUMBERS = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten',
    'eleven', 'twelve', 'twenty', 'twenty one', 'thirty two', 'forty three', 'fifty four',
    'sixty five', 'seventy six', 'eighty seven', 'ninety eight'];
const CITIES = ['london', 'paris', 'berlin', 'tokyo', 'new york', 'rome', 'madrid'];

const number = (i) => NUMBERS[i % NUMBERS.length];
const range = (n, make) => Array.from({ length: n }, (_, i) => make(i));

// 103 of them; any few in a row are of several kinds.
export const SENTENCES = mixed([
    PLAIN,
    range(40, (i) => `${['what is', 'how much is', 'calculate'][i % 3]} ${number(i * 11 + 3)} ` +
        `${['plus', 'minus', 'times', 'divided by'][i % 4]} ${number(i * 5 + 1)}`),
    range(12, (i) => `count to ${number(i * 7 + 4)}`),
    range(11, (i) => `count from ${number(i % 9)} to ${number(10 + i)}`),
    CITIES.map((city) => `what is the weather in ${city}`)]);

function mixed(kinds) {
    const all = kinds.flatMap((kind) => kind.map((text, i) => ({ text, at: i / kind.length })));
    return [...new Set(all.sort((a, b) => a.at - b.at).map(({ text }) => text))];
}

// Of different makers: two synthesisers of the model's own, one foreign.
export const VOICES = ['slt', 'kal16', 'espeak'];

function run(command, args, input) {
    const { status, stderr, error } = spawnSync(command, args, { input });
    assert.equal(status, 0, `${command}: ${error ?? stderr}`);
}

// At another rate: every sample by the 32 around its place, windowed.
function resampled(pcm, from, to) {
    const half = 16;
    const cut = Math.min(1, to / from);
    return Int16Array.from({ length: Math.floor(pcm.length * to / from) }, (_, n) => {
        const place = n * from / to;
        let sum = 0;
        for (let i = Math.floor(place) - half + 1; i <= Math.floor(place) + half; i++) {
            const x = place - i;
            const sinc = x === 0 ? cut : Math.sin(Math.PI * cut * x) / (Math.PI * x);
            sum += (pcm[i] ?? 0) * sinc * (0.5 + 0.5 * Math.cos(Math.PI * x / half));
        }
        return Math.max(-32768, Math.min(32767, Math.round(sum)));
    });
}

// Half of full scale at its loudest, with quiet at both ends.
function espeak(path, text) {
    run('espeak-ng', ['-v', 'en-us', '-s', '175', '-w', path, text]);
    const { rate, pcm } = readWav(path);
    const gain = 16384 / pcm.reduce((most, v) => Math.max(most, Math.abs(v)), 1);
    writeWav(path, joinPcm(silence(400),
        resampled(pcm, rate, RATE).map((v) => v * gain), silence(300)));
}

// [{ voice, text, pcm }]: 24 kHz, with quiet before and after.
export function speakAll(voice, texts) {
    const dir = makeDir('spoken');
    const paths = texts.map((_, i) => join(dir, `${voice}-${i}.wav`));
    if (voice === 'espeak') {
        texts.forEach((text, i) => espeak(paths[i], text));
    } else {
        run(join(build, 'tests/say_files'), [speechPlugin, voice],
            texts.map((text, i) => `${paths[i]}\t${text}\n`).join(''));
    }
    return texts.map((text, i) => ({ voice, text, pcm: readWav(paths[i]).pcm }));
}

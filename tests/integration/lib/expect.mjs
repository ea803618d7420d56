// SPDX-License-Identifier: BSD-2-Clause
//
// Assertions that several tests share.

import assert from 'node:assert/strict';
import { durationMs, rms } from './wav.mjs';
import { words } from './speech.mjs';

// A completed answer that can be heard: sound of a plausible length, and a
// transcript that is the text of the item.
export function assertSpoken(client, response) {
    assert.equal(response.status, 'completed');
    const { pcm, transcript } = client.spoken(response.id);
    const item = response.output.find((i) => i.type === 'message');
    assert.equal(item.content[0].type, 'output_audio');
    assert.equal(item.content[0].transcript, transcript);
    const count = words(transcript).length;
    assert.ok(count > 0, 'a transcript');
    assert.ok(rms(pcm) > 200, `sound (rms ${rms(pcm)})`);
    assert.ok(durationMs(pcm) > 100 * count && durationMs(pcm) < 2000 + 1500 * count,
        `${count} words in ${durationMs(pcm)} ms`);
    const { usage } = response;
    assert.ok(usage.input_tokens > 0 && usage.output_tokens > 0, 'usage');
    assert.ok(usage.output_token_details.audio_tokens > 0, 'audio tokens');
    return transcript;
}

// Types in this order, others between them.
export function assertOrder(events, types) {
    let at = 0;
    for (const type of types) {
        const found = events.findIndex((event, i) => i >= at && event.type === type);
        assert.ok(found >= 0, `${type} after ${events[at - 1]?.type ?? 'the start'}; ` +
            `have ${events.map((e) => e.type).join(' ')}`);
        at = found + 1;
    }
}

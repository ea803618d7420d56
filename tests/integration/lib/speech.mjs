// SPDX-License-Identifier: BSD-2-Clause
//
// The spoken sentences of tests/fixtures, and words as they are compared.

import { fixture } from './wav.mjs';

// 24 kHz PCM of a sentence that tests/fixtures/README.md lists by this name.
export const spoken = (name) => fixture(`${name}.wav`);

// What is heard is words: case and punctuation differ.
export const words = (text) => text.toLowerCase().replace(/[^a-z0-9' ]+/g, ' ')
    .split(' ').filter(Boolean);

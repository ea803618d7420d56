#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# usage: make-speech.sh [DIRECTORY]
# Speaks the sentences of tests/fixtures/README.md with espeak-ng into
# DIRECTORY (tests/fixtures): 16-bit 24 kHz mono WAV, 0.4 s of quiet before
# and 0.3 s after. The files are in the tree; this is how they were made.

set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$here/fixtures}
mkdir -p "$out"

# A table row is: | `name.wav` | text |
sed -n 's/^| `\([a-z_]*\.wav\)` | \(.*\) |$/\1 \2/p' "$here/fixtures/README.md" |
    while read -r name text; do
        espeak-ng -v en-us -s 175 --stdout "$text" </dev/null |
            sox -D -t wav - -r 24000 -b 16 -c 1 "$out/$name" \
                gain -n -6 pad 0.4 0.3
    done

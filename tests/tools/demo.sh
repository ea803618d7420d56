#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The main job without a terminal: a recorded question is spoken in real time
# through wss, NGINX and voiced to the offline model, and the answer is kept.
# Exit 0 only if it was understood and the answer has sound in it.

set -u
. "$(dirname "$0")/stack.sh"
out=$build/demo
dir=$(mktemp -d "${TMPDIR:-/tmp}/voice-demo-XXXXXX")
mkdir -p "$out"
rm -f "$out/answer.wav"

finish() {
    status=$?
    trap - EXIT INT TERM
    stack_stop
    if [ $status = 0 ]; then
        rm -rf "$dir"
    else
        echo "logs: $dir" >&2
    fi
    exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

http=$(stack_free_port) || exit 1
https=$(stack_free_port) || exit 1
stack_prepare "$dir" "$http" "$https" && stack_start "$dir" "$https" || exit 1

"$build/voicectl" talk --url "wss://127.0.0.1:$https/v1/realtime" \
    --cacert "$dir/cert.pem" --wav "$tree/tests/fixtures/question.wav" \
    --out "$out/answer.wav" --real-time --timeout 40 >"$dir/facts"
understood=$?
grep -v '^session=' "$dir/facts"

# The session's own line in the log tells the rest.
session=$(sed -n 's/^session=//p' "$dir/facts")
[ -n "$session" ] && stack_wait 5 "the session's end" \
    grep -q "session=$session .*ended=" "$dir/logs/voiced.log"
line=$(grep "session=$session .*ended=" "$dir/logs/voiced.log" | tail -n 1)
field() { sed -nE "s/.* $1=([^ ]*).*/\1/p" <<<" $line"; }
us=$(field gateway_us)
printf 'gateway_ms=%d.%03d\n' $((${us:-0} / 1000)) $((${us:-0} % 1000))
printf 'session_end=%s\n' "$(field ended)"
[ -n "$line" ] || { echo "no summary line of $session" >&2; exit 1; }
exit $understood

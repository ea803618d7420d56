#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# usage: fuzz.sh FUZZER…; runs each for FUZZ_SECONDS (10), FUZZ_JOBS (1) at a
# time, on a copy of its corpus in tests/fuzz/corpus. FUZZ_KEEP=DIR keeps what
# a run has learned in DIR/NAME, and starts from it. What makes a target fail
# is left beside it.

set -u
seconds=${FUZZ_SECONDS:-10}
jobs=${FUZZ_JOBS:-1}

fuzz_one() {        # fuzzer
    local fuzzer=$1 name work status=0
    name=$(basename "$fuzzer") && name=${name#fuzz_}
    if [ -n "${FUZZ_KEEP:-}" ]; then
        work=$FUZZ_KEEP/$name && mkdir -p "$work"
    else
        work=$(mktemp -d)
    fi
    [ -d "tests/fuzz/corpus/$name" ] && cp "tests/fuzz/corpus/$name/"* "$work/" 2>/dev/null
    # Short inputs make long streams: length need not grow slowly.
    "$fuzzer" -max_total_time="$seconds" -print_final_stats=1 -timeout=60 \
        -rss_limit_mb=4096 -len_control=20 -reload=0 \
        -artifact_prefix="$fuzzer-" "$work" >"$fuzzer.log" 2>&1 || status=1
    if [ $status = 0 ]; then
        echo "ok $name $(sed -n 's/^stat::number_of_executed_units: */runs /p' "$fuzzer.log")"
    else
        echo "not ok $name"
        tail -n 30 "$fuzzer.log"
    fi
    [ -n "${FUZZ_KEEP:-}" ] || rm -rf "$work"
    return $status
}

failed=0
running=0
for fuzzer in "$@"; do
    if [ "$running" -ge "$jobs" ]; then
        wait -n || failed=1
        running=$((running - 1))
    fi
    fuzz_one "$fuzzer" &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
    wait -n || failed=1
    running=$((running - 1))
done
exit $failed

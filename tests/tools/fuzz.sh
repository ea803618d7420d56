#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# usage: fuzz.sh FUZZER…; runs each for FUZZ_SECONDS on a copy of its corpus.

set -u
seconds=${FUZZ_SECONDS:-10}
for fuzzer in "$@"; do
    name=$(basename "$fuzzer") && name=${name#fuzz_}
    work=$(mktemp -d)
    [ -d "tests/fuzz/corpus/$name" ] && cp "tests/fuzz/corpus/$name/"* "$work/" 2>/dev/null
    if "$fuzzer" -max_total_time="$seconds" -artifact_prefix="$(dirname "$fuzzer")/" \
        -print_final_stats=1 "$work" >"$fuzzer.log" 2>&1
    then
        echo "ok $name $(sed -n 's/^stat::number_of_executed_units: */runs /p' "$fuzzer.log")"
    else
        echo "not ok $name"; tail -n 30 "$fuzzer.log"; rm -rf "$work"; exit 1
    fi
    rm -rf "$work"
done

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# usage: valgrind-cycles.sh [N]; N (100) sessions connect, talk and disconnect
# while voiced runs in valgrind: no invalid access, 0 bytes definitely lost.

cd "$(dirname "$0")/../.." || exit
VOICE_VALGRIND=1 VOICE_CYCLES=${1:-100} exec tests/run-integration cycles

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# NGINX on 127.0.0.1:8080 (http) and :8443 (https) with voiced behind it, until
# Ctrl-C. VOICE_HTTP_PORT and VOICE_HTTPS_PORT choose other ports.

set -u
. "$(dirname "$0")/stack.sh"
http=${VOICE_HTTP_PORT:-8080}
https=${VOICE_HTTPS_PORT:-8443}
dir=$build/run
tail_pid=

finish() {
    status=$?
    trap '' INT TERM
    trap - EXIT
    [ -n "$tail_pid" ] && kill "$tail_pid" 2>/dev/null
    stack_stop
    [ "$stack_sockets" = "$dir" ] || rm -rf "$stack_sockets"
    echo "stopped"
    exit $status
}

for port in $http $https; do
    stack_port_is_free "$port" || {
        echo "port $port on 127.0.0.1 is taken; VOICE_HTTP_PORT=… VOICE_HTTPS_PORT=… make run" >&2
        exit 1
    }
done
stack_sockets=$dir
trap finish EXIT
trap 'exit 0' INT TERM
mkdir -p "$dir/logs"
: >"$dir/logs/voiced.log"
: >"$dir/logs/access.log"
: >"$dir/logs/error.log"
stack_prepare "$dir" "$http" "$https" && stack_start "$dir" "$https" || exit 1

cat <<TXT

ngx-voice is up, for this machine alone; the offline model answers, and no key
is asked for (docs/upstreams.md: other models; docs/voiced.md: keys).

  sessions   wss://127.0.0.1:$https/v1/realtime     (ws://127.0.0.1:$http too)
  health     https://127.0.0.1:$https/health
  CA file    $dir/cert.pem

Talk to it from another terminal:
  build/voicectl talk --url wss://127.0.0.1:$https/v1/realtime \\
      --cacert $dir/cert.pem --wav tests/fixtures/question.wav --out answer.wav
  build/voicectl talk --url wss://127.0.0.1:$https/v1/realtime --cacert $dir/cert.pem
  build/voicectl -c $dir/voiced.conf status

Ctrl-C stops everything. The logs:

TXT
tail -n 0 -F "$dir/logs/voiced.log" "$dir/logs/access.log" "$dir/logs/error.log" 2>/dev/null &
tail_pid=$!
wait -n "$stack_voiced_pid" "$stack_nginx_pid"
echo "a server ended by itself; see $dir/logs" >&2
exit 1

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# usage: B=build PREFIX=/usr/local [DESTDIR=…] install.sh
# A configuration that is there already is kept; the shipped one goes beside
# it as *.example.

set -eu
to=${DESTDIR:-}$PREFIX
etc=${DESTDIR:-}/etc/ngx-voice

install -d "$to/sbin" "$to/bin" "$to/lib/voiced" "$to/lib/nginx/modules" "$etc"
install -m 755 "$B/voiced" "$B/voiced-server" "$to/sbin/"
install -m 755 "$B/voicectl" "$to/bin/"
install -m 644 "$B/voiced-speech.so" "$to/lib/voiced/"
install -m 644 "$B/nginx/ngx_http_voice_module.so" "$to/lib/nginx/modules/"
for file in conf/*; do
    name=$(basename "$file")
    if [ -e "$etc/$name" ]; then
        install -m 644 "$file" "$etc/$name.example"
    else
        install -m 644 "$file" "$etc/$name"
    fi
done
echo "installed into $to; nginx.conf wants:"
echo "  load_module $PREFIX/lib/nginx/modules/ngx_http_voice_module.so;"

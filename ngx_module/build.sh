#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# build.sh OUTDIR [NGINX_SRC]: builds OUTDIR/ngx_http_voice_module.so for the
# nginx of Debian's nginx-dev (default), or for a source tree of nginx, then
# --with-compat so that it loads into a packaged binary of the same version.
# VOICE_CFLAGS is added to the compiler's and the linker's flags. Does nothing
# when nothing changed.

set -eu

[ $# -ge 1 ] || { echo "usage: $0 OUTDIR [NGINX_SRC]" >&2; exit 2; }

module=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
src=${2:-/usr/share/nginx/src}
extra=${VOICE_CFLAGS:-}
objs=$out/objs

if [ ! -f "$src/configure" ] && [ -f "$src/auto/configure" ]; then
    configure=auto/configure
elif [ -f "$src/configure" ]; then
    configure=./configure
else
    echo "$0: no nginx sources in $src (Debian: nginx-dev)" >&2
    exit 1
fi

if [ -f "$src/conf_flags" ]; then
    . "$src/conf_flags"
    flags=("${NGX_CONF_FLAGS[@]}")
else
    flags=(--with-compat --with-threads --with-debug --with-http_ssl_module
           --with-http_v2_module)
fi
flags+=(--with-cc-opt="-g -O2 -fPIC $extra" --with-ld-opt="-fPIC $extra")

# nginx configures anew only when a flag or the list of sources changed
stamp=$(printf '%s\n' "$src" "${flags[@]}"; cat "$module/config" "$0";
        cat "$src/src/core/nginx.h")
if [ ! -f "$objs/Makefile" ] || [ "$stamp" != "$(cat "$objs/stamp")" ]; then
    rm -rf "$objs"
    mkdir -p "$objs"
    if ! (cd "$src" && "$configure" "${flags[@]}" --builddir="$objs" \
            --add-dynamic-module="$module") > "$objs/configure.log" 2>&1; then
        tail -n 20 "$objs/configure.log" >&2
        exit 1
    fi
    printf '%s\n' "$stamp" > "$objs/stamp"
fi

make -s -f "$objs/Makefile" -C "$src" modules
if ! cmp -s "$objs/ngx_http_voice_module.so" "$out/ngx_http_voice_module.so"
then
    cp "$objs/ngx_http_voice_module.so" "$out/ngx_http_voice_module.so.new"
    mv "$out/ngx_http_voice_module.so.new" "$out/ngx_http_voice_module.so"
fi

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# usage: nginx-versions.sh [--asan] [--static] [--binary NGINX] SRC_DIR…
#                          [-- TEST…]
#
# For each source tree of nginx: builds that nginx and the module for it, and
# runs the integration tests (those whose name holds one of TEST) with them;
# one line says how it went. Downloads nothing; `make all` comes first.
#
#   --asan           nginx and module under AddressSanitizer, one allocation a
#                    block, so that an overflow can't hide in a pool
#   --static         the module is linked into nginx (--add-module)
#   --binary NGINX   no nginx is built: the module is loaded into this one
#
# Everything goes to build/nginx-versions/, but for the Makefile that nginx's
# configure leaves in its source tree. Exit status 1: not every line is ok.

set -u
cd "$(dirname "$0")/../.." || exit

asan=
static=
binary=
sources=()
tests=()
while [ $# -gt 0 ]; do
    case $1 in
        --asan) asan=-asan ;;
        --static) static=-static ;;
        --binary) binary=$(realpath "${2-}") || exit 2; shift ;;
        --) shift; tests=("$@"); break ;;
        -*) sed -n 's/^# \{0,1\}//; 3,5p' "$0" >&2; exit 2 ;;
        *) sources+=("$(realpath "$1")") ;;
    esac
    shift
done
if [ ${#sources[@]} = 0 ]; then
    echo "$0: no source tree of nginx given" >&2
    exit 2
fi
if [ ${#tests[@]} = 0 ]; then
    tests=(module_ autobahn deflate inflate status drain nginx_ peers
        handshake_keys conf_shipped http_routes parked)
fi
if [ ! -x build/voiced-server ]; then
    echo "$0: voiced is not built: make" >&2
    exit 1
fi

extra=
[ -n "$asan" ] && extra="-fsanitize=address -fno-omit-frame-pointer"
palloc=
[ -n "$asan" ] && palloc="-DNGX_DEBUG_PALLOC=1"

# What the tests' configurations use, and what Debian's binary has of it.
flags=(--with-compat --with-threads --with-debug --with-http_ssl_module
       --with-http_v2_module --with-http_auth_request_module
       --with-http_realip_module --with-http_stub_status_module
       --with-http_sub_module --with-http_gunzip_module
       --with-http_addition_module --with-http_slice_module
       --with-stream --with-stream_ssl_module)

build_nginx() {     # source, directory
    local src=$1 out=$2 configure=auto/configure
    [ -f "$src/auto/configure" ] || configure=./configure
    local all=("${flags[@]}" --prefix="$out" --builddir="$out/objs"
        --with-cc-opt="-g -O2 $extra $palloc -Wno-error"
        --with-ld-opt="$extra")
    [ -n "$static" ] && all+=(--add-module="$PWD/ngx_module")
    if [ ! -f "$out/objs/Makefile" ] ||
        [ "$(cat "$out/flags" 2>/dev/null)" != "${all[*]}" ] ||
        { [ -n "$static" ] && [ ngx_module/config -nt "$out/flags" ]; }
    then
        (cd "$src" && "$configure" "${all[@]}") || return
        printf '%s\n' "${all[*]}" >"$out/flags"
    fi
    make -C "$src" -f "$out/objs/Makefile" -j2 binary
}

# The module for that source and, beside it, the programs that the tests need.
build_module() {    # source, directory
    local src=$1 out=$2 program
    for program in voiced voiced-server voicectl voiced-speech.so; do
        ln -sfn "$PWD/build/$program" "$out/$program" || return
    done
    [ -n "$static" ] && return
    VOICE_CFLAGS="$extra" bash ngx_module/build.sh "$out/nginx" "$src"
}

version_of() {
    sed -n 's/^#define NGINX_VERSION *"\(.*\)"/\1/p' "$1/src/core/nginx.h"
}

# Prints what went wrong, or nothing.
try() {             # source, directory
    local src=$1 out=$2 nginx=${binary:-$2/objs/nginx}
    if [ -z "$binary" ]; then
        build_nginx "$src" "$out" >"$out/nginx.log" 2>&1 || {
            echo "nginx does not build ($out/nginx.log)"
            return
        }
    fi
    build_module "$src" "$out" >"$out/module.log" 2>&1 || {
        echo "the module does not build ($out/module.log)"
        return
    }
    VOICE_NGINX=$nginx VOICE_NGINX_STATIC=$static VOICE_BUILD=$out \
        ASAN_OPTIONS="abort_on_error=0:${ASAN_OPTIONS-}" \
        tests/run-integration "${tests[@]}" >"$out/tests.log" 2>&1 ||
        echo "tests fail ($out/tests.log)"
}

failed=0
for src in "${sources[@]}"; do
    version=$(version_of "$src")
    if [ -z "$version" ]; then
        echo "not ok $src: no source tree of nginx"
        failed=1
        continue
    fi
    name=$version$static${binary:+-in-$(basename "$binary")}$asan
    out=$PWD/build/nginx-versions/$name
    mkdir -p "$out"
    wrong=$(try "$src" "$out")
    if [ -n "$wrong" ]; then
        echo "not ok $name: $wrong"
        failed=1
    else
        count=$(sed -n 's/^ℹ pass //p' "$out/tests.log")
        echo "ok $name: $count tests of ${tests[*]}"
    fi
done
exit $failed

#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Unit and integration tests under ASan+UBSan (NGINX too, when its source can
# be had), then voiced under TSan. SANITIZE=asan or tsan runs one of the two.

set -eu
cd "$(dirname "$0")/../.."
jobs=$(nproc)
which=${SANITIZE:-all}

# The stock binary hides overflows behind its pools: an NGINX of the same
# version with one allocation a block shows them. Not under UBSan: NGINX copies
# no bytes from NULL at every start (ngx_pstrdup), which is not ours to mend.
# The module has UBSan all the same.
nginx_with_asan() {
    local out=$PWD/build/asan/nginx-src
    [ -x "$out/nginx" ] && return 0
    # What the machine takes packages from, asked for their sources.
    mkdir -p "$out/parts"
    sed -s 's/^deb /deb-src /' /dev/null /etc/apt/sources.list \
        /etc/apt/sources.list.d/*.list >"$out/parts/own.list" 2>/dev/null || true
    sed -s -e 's/^Types:.*/Types: deb-src/' -e '$a\' \
        /dev/null /etc/apt/sources.list.d/*.sources \
        >"$out/parts/own.sources" 2>/dev/null || true
    local opts=(-o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$out/parts"
        -o "Dir::State::lists=$out/lists" -o "Dir::Cache=$out/cache")
    mkdir -p "$out/lists/partial" "$out/cache/archives/partial"
    (
        cd "$out" &&
        apt-get "${opts[@]}" update -qq &&
        # Of the source package the upstream tarball suffices, and may be all
        # that the mirror still has.
        { apt-get "${opts[@]}" source --download-only -qq nginx || true; } &&
        tar xf nginx_*.orig.tar.gz --strip-components=1 --one-top-level=tree &&
        cd tree &&
        CC=cc ./configure --with-compat --with-debug --with-threads --with-http_ssl_module \
            --with-http_realip_module --with-http_auth_request_module \
            --with-http_v2_module --with-http_stub_status_module \
            --with-http_sub_module \
            --with-cc-opt="-g -O1 -fsanitize=address -DNGX_DEBUG_PALLOC=1 -Wno-error" \
            --with-ld-opt="-fsanitize=address" &&
        make -j"$jobs" && cp objs/nginx ../nginx
    ) >"$out/build.log" 2>&1
}

# The sanitizers' memmem looks at all of the text whatever it finds first: to
# find each of nine million letters would take days.
memmem=intercept_memmem=0

asan() {
    export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=1:$memmem
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    export LSAN_OPTIONS=suppressions=$PWD/tests/tools/lsan.supp:print_suppressions=0
    local make=(make -j"$jobs" B=build/asan SAN=address,undefined)
    if nginx_with_asan; then
        export VOICE_NGINX=$PWD/build/asan/nginx-src/nginx
        # Its own headers: what a distribution patches moves fields about.
        make+=("NGINX_SRC=$PWD/build/asan/nginx-src/tree")
        echo "sanitize: NGINX itself runs under ASan"
    else
        echo "sanitize: no NGINX source; the stock binary loads the sanitized module"
    fi
    "${make[@]}" all test-programs
    "${make[@]}" unit
    VOICE_BUILD=build/asan tests/run-integration
    unset VOICE_NGINX
}

tsan() {
    # What a test forks off makes threads: TSan would end it, and with it hang
    # the test, which waits for its word.
    export TSAN_OPTIONS=halt_on_error=0:exitcode=66:die_after_fork=0:$memmem:suppressions=$PWD/tests/tools/tsan.supp
    make -j"$jobs" B=build/tsan SAN=thread build/tsan/voiced \
        build/tsan/voiced-server build/tsan/voicectl build/tsan/voiced-speech.so test-programs
    make -j"$jobs" B=build/tsan SAN=thread unit
    make -j"$jobs" all
    # NGINX can't load a module under TSan: the plain one, for the real voiced.
    rm -rf build/tsan/nginx
    ln -s ../nginx build/tsan/nginx
    VOICE_BUILD=build/tsan tests/run-integration
}

[ "$which" = tsan ] || asan
[ "$which" = asan ] || tsan
